"""Policies from a mapping, a YAML or JSON file, or YAML text: refused with the rule, the field, what is wrong and what would be right.

Keys that a policy does not have are refused by name, keys and rule ids that stand there twice as well: YAML would keep the last one and
say nothing. `yes`, `no`, `on` and `off` are words here, not truth values, so that a label may have such a name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_provider_nucleus.exceptions import NucleusPolicyError
from airflow_provider_nucleus.gating.policy import Policy, Rule, WindowCondition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

__all__ = ["override_policy", "read_policy"]

_TRUTHS = {"yes", "no", "on", "off", "y", "n"}


def read_policy(source: Policy | Mapping[str, Any] | str | Path, *, name: str | None = None) -> Policy:
    """Return the policy that *source* is: itself, a mapping, the path of a YAML or JSON file, or YAML text (with a line end in it).

    *name* is used where the policy has none; a file's is its stem. Raises `NucleusPolicyError` for what is wrong in it.
    """
    if isinstance(source, Policy):
        return source
    if isinstance(source, Mapping):
        return _policy(source, where=name or str(source.get("name") or "policy"), name=name)
    if isinstance(source, str) and "\n" in source:
        return _policy(_yaml(source, where=name or "policy"), where=name or "policy", name=name)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NucleusPolicyError(
            f"the file cannot be read: {error}", source=str(path), hint="Name a YAML or JSON file."
        ) from error
    return _policy(_yaml(text, where=str(path)), where=str(path), name=name or path.stem)


def override_policy(policy: Policy, overrides: Mapping[str, Any]) -> Policy:
    """Return *policy* with choices that are in place of its own, as `fail_on`; those that are None leave its own. As `read_policy` raises."""
    given = {name: each for name, each in overrides.items() if each is not None}
    if not given:
        return policy
    return read_policy({**{name: getattr(policy, name) for name in Policy.model_fields}, **given})


def _policy(value: Any, *, where: str, name: str | None) -> Policy:
    if not isinstance(value, Mapping):
        raise NucleusPolicyError(
            f"a policy is a mapping with rules, not {_kind(value)}",
            source=where,
            hint="Write `rules:` and, below it, a list of rules.",
        )
    content = dict(value)
    _check_keys(content, Policy.model_fields, where=where, rule=None)
    rules = content.get("rules")
    if not isinstance(rules, list | tuple) or not rules:
        raise NucleusPolicyError(
            "there are no rules" if not rules else f"rules are a list, not {_kind(rules)}",
            source=where,
            field="rules",
            hint="Write at least one: `- {id: f1-floor, metric: f1, min: 0.6}`.",
        )
    content["rules"] = [_rule(rule, number, where=where) for number, rule in enumerate(rules, start=1)]
    if name is not None:
        content.setdefault("name", name)
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise _sentence(error.errors()[0], where=where, rule=None, fields=Policy.model_fields) from error


def _rule(value: Any, number: int, *, where: str) -> Rule:
    if isinstance(value, Rule):
        return value
    if not isinstance(value, Mapping):
        raise NucleusPolicyError(
            f"a rule is a mapping, not {_kind(value)}",
            source=where,
            rule=f"rule {number}",
            hint="Write `- id: ...`, `metric: ...` and a bound below it.",
        )
    content = dict(value)
    rule = (
        f"rule {content['id']}" if isinstance(content.get("id"), str) and content["id"] else f"rule {number}"
    )
    _check_keys(content, Rule.model_fields, where=where, rule=rule)
    if isinstance(content.get("window"), Mapping):
        _check_keys(content["window"], WindowCondition.model_fields, where=where, rule=f"{rule}: window")
    for field in ("id", "metric"):
        if field not in content:
            raise NucleusPolicyError(
                "it is missing",
                source=where,
                rule=rule,
                field=field,
                hint="Every rule has an id and a metric.",
            )
    try:
        return Rule.model_validate(content)
    except ValidationError as error:
        raise _sentence(error.errors()[0], where=where, rule=rule, fields=Rule.model_fields) from error


def _check_keys(content: Mapping[Any, Any], known: Iterable[str], *, where: str, rule: str | None) -> None:
    known = list(known)
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
            raise NucleusPolicyError(
                f"there is no field {key!r}",
                source=where,
                rule=rule,
                hint=f"Did you mean {close[0]!r}?" if close else f"The fields are {', '.join(known)}.",
            )


def _sentence(
    error: ErrorDetails, *, where: str, rule: str | None, fields: Mapping[str, Any]
) -> NucleusPolicyError:
    """Return a policy's error for the first thing that pydantic found."""
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, NucleusPolicyError):
        return NucleusPolicyError(
            cause.reason, source=where, rule=cause.rule or rule, field=cause.field, hint=cause.hint
        )
    place = [str(part) for part in error["loc"]]
    field = ".".join(place) or None
    description = fields[place[0]].description if place and place[0] in fields else None
    found = error["input"]
    printed = f"{found!r:.60}" if not isinstance(found, dict | list) else _kind(found)
    reason = error["msg"][:1].lower() + error["msg"][1:]
    return NucleusPolicyError(
        f"{reason}, not {printed}", source=where, rule=rule, field=field, hint=description
    )


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }.get(type(value), type(value).__name__)


def _yaml(text: str, *, where: str) -> Any:
    """Return what YAML says, without its traps: keys twice, `on` and `no` as truth values, tags of Python."""
    try:
        import yaml
    except ImportError as error:
        raise NucleusPolicyError(
            "reading YAML needs PyYAML",
            source=where,
            hint="Install it: pip install 'airflow-provider-nucleus[gate]'.",
        ) from error

    loader_class: Any = type("PolicyLoader", (yaml.SafeLoader,), {})

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        result: dict[Any, Any] = {}
        own = {id(key_node) for key_node, _ in node.value}
        loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                key = str(getattr(key_node, "value", key))
            if id(key_node) not in own:
                # Merged from another mapping (`<<: *other`), which what stands here itself replaces.
                result[key] = loader.construct_object(value_node, deep=True)
                continue
            if key in lines:
                raise NucleusPolicyError(
                    f"{key!r} stands there twice, in lines {lines[key]} and {line}",
                    source=where,
                    hint="Take one of them out: YAML would keep the last and say nothing.",
                )
            lines[key] = line
            result[key] = loader.construct_object(value_node, deep=True)
        return result

    def truth(loader: Any, node: Any) -> Any:
        word = loader.construct_scalar(node)
        return word if word.lower() in _TRUTHS else loader.construct_yaml_bool(node)

    loader_class.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    loader_class.add_constructor("tag:yaml.org,2002:bool", truth)
    try:
        return yaml.load(text, Loader=loader_class)  # ruff: ignore[unsafe-yaml-load] - a SafeLoader
    except RecursionError as error:
        raise NucleusPolicyError(
            "it is nested too deeply to be read",
            source=where,
            hint="A policy is a list of rules, three levels deep.",
        ) from error
    except yaml.YAMLError as error:
        raise NucleusPolicyError(
            f"it is no YAML: {' '.join(str(error).split())}",
            source=where,
            hint="Mind the indentation, and quote texts with a colon or a brace in them.",
        ) from error
