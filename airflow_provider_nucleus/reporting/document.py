"""`metrics.json`: the whole judgement with its evidence, under a versioned schema. Every number of the page and of the summary is in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement
from airflow_provider_nucleus.gating.verdict import Judgement, RuleResult, Verdict
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.rule_rows import bound_place

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SCHEMA_ID",
    "judgement_schema",
    "metrics_json",
    "missing_judgement",
    "report_document",
    "writable",
]

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
SCHEMA_ID: Final = "https://json-schema.org/draft/2020-12/schema"


def report_document(judgement: Judgement, extras: Extras) -> Judgement:
    """Return the judgement as it is written: with the evidence of the report, with the place of every bound, without match rows."""
    verdict = judgement.verdict.model_copy(
        update={"results": [_placed(result) for result in judgement.verdict.results]}
    )
    baseline = judgement.baseline
    return judgement.model_copy(
        update={
            "verdict": verdict,
            "candidate": judgement.candidate.model_copy(update={"matches": None}),
            "baseline": baseline.model_copy(update={"matches": None}) if baseline else None,
            "extras": writable(extras.model_dump(mode="python")),
        }
    )


def _placed(result: RuleResult) -> RuleResult:
    return result.model_copy(update={"bound_at": bound_place(result)})


def metrics_json(document: Judgement) -> str:
    """Return the document as JSON."""
    content = writable(document.model_dump(mode="python", by_alias=True))
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def writable(value: Any) -> Any:
    """Return JSON-ready *value* with U+FFFD for every half of a surrogate pair, which no file of text can hold."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {writable(name): writable(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [writable(member) for member in value]
    return value


def judgement_schema() -> dict[str, Any]:
    """Return the JSON Schema of `metrics.json`; `extras` is described by the schema of its own."""
    schema: dict[str, Any] = Judgement.model_json_schema(by_alias=True, mode="serialization")
    extras = Extras.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    schema.setdefault("$defs", {}).update(extras.pop("$defs", {}))
    schema["$defs"]["Extras"] = extras
    schema["properties"]["extras"] = {
        "anyOf": [{"$ref": "#/$defs/Extras"}, {"type": "null"}],
        "default": None,
    }
    return {"$schema": SCHEMA_ID, "$id": "nucleus-verdict/1", **schema}


def missing_judgement(reason: str, candidate: Measurement | Mapping[str, Any] | None = None) -> Judgement:
    """Return the judgement of a gate that left none: inconclusive, stopped, with the reason."""
    if candidate is None:
        candidate = Measurement(fingerprint=Fingerprint(data="not known"))
    elif not isinstance(candidate, Measurement):
        candidate = Measurement.model_validate(candidate)
    return Judgement(
        candidate=candidate,
        verdict=Verdict(
            status="inconclusive", stopped=True, policy="not known", policy_digest="", reasons=[reason]
        ),
    )
