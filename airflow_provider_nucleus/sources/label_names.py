"""Names of classes: which label a class number, or another name, stands for.

Numbers and texts of them are one key, because JSON knows only texts as keys: `{0: "car"}` and `{"0": "car"}` are the same. A number
without a name is refused, for it is certain that it is no label; another text stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.sources.decode import loads
from airflow_provider_nucleus.sources.files import find_files, open_plain
from airflow_provider_nucleus.sources.template import as_list

__all__ = ["LabelNames", "check_labels", "is_names_file", "load_labels"]

_MOST_BYTES = 16 << 20


def check_labels(labels: Any) -> None:
    """Raise NucleusConfigError unless *labels* is names by class, a list of names, or the path of a file of names."""
    if isinstance(labels, Mapping) or (isinstance(labels, Sequence) and not isinstance(labels, (str, bytes))):
        _names(labels, "labels")
    elif not is_names_file(labels):
        raise _wrong(f"got {type(labels).__name__}")


def is_names_file(labels: Any) -> bool:
    """Return whether the argument is the path of a file of names."""
    return isinstance(labels, str) or hasattr(labels, "open") or hasattr(labels, "__fspath__")


def load_labels(labels: Any) -> LabelNames:
    """Return the names that the argument gives; a file is read.

    The file is a list of names, one a line or as JSON, JSON by class, the `names` of an Ultralytics data set (YAML), or the `categories` of a
    COCO file. Raises NucleusConfigError when it holds none of these, NucleusSourceError when it cannot be read.
    """
    if isinstance(labels, Mapping) or (isinstance(labels, Sequence) and not isinstance(labels, str)):
        return LabelNames(_names(labels, "labels"), counted=not isinstance(labels, Mapping))
    files = find_files(labels)
    if len(files) != 1:
        raise _wrong(f"{labels} is {len(files)} files")
    (source_file,) = files
    with open_plain(source_file) as stream:
        raw = stream.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise _wrong(f"{source_file.name} is larger than {_MOST_BYTES >> 20} MiB", source_file.name)
    found = _parsed(raw.removeprefix(b"\xef\xbb\xbf"), source_file.name, source_file.suffix)
    return LabelNames(_names(found, source_file.name), counted=not isinstance(found, Mapping))


def _parsed(raw: bytes, name: str, suffix: str) -> Any:
    """Return the names in a file, by class or as list."""
    if suffix in {".yaml", ".yml"}:
        document = _yaml(raw, name)
    elif raw.lstrip()[:1] in {b"{", b"["}:
        try:
            document = loads(raw)
        except ValueError as error:
            raise _wrong(f"{name} is not JSON: {error}", name) from None
    else:
        try:
            # A blank line at the end is none; one before it would move all names behind it to another class.
            return [line.strip() for line in raw.decode().rstrip().splitlines()]
        except UnicodeDecodeError:
            raise _wrong(f"{name} is not UTF-8 text", name) from None
    if isinstance(document, Mapping):
        document = next((document[key] for key in ("names", "categories") if key in document), document)
    if isinstance(document, Sequence) and document and all(isinstance(one, Mapping) for one in document):
        if not all({"id", "name"} <= one.keys() and isinstance(one["id"], (int, str)) for one in document):
            raise _wrong(f"{name} holds categories without id or name", name)
        by_id = {one["id"]: one["name"] for one in document}
        if len(by_id) != len(document):
            raise _wrong(f"{name} gives one id to several categories", name)
        return by_id
    return document


def _yaml(raw: bytes, name: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise _wrong(f"{name} is YAML, which needs PyYAML", name) from None
    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, RecursionError) as error:
        raise _wrong(f"{name} is not YAML: {error}", name) from None


def _names(labels: Any, source: str) -> dict[str, str]:
    """Return names by class in its normal form, or raise NucleusConfigError."""
    if isinstance(labels, Mapping):
        pairs = list(labels.items())
    elif isinstance(labels, Sequence) and not isinstance(labels, str):
        pairs = list(enumerate(labels))
    else:
        raise _wrong(f"{source} holds {type(labels).__name__}", source)
    names: dict[str, str] = {}
    for key, label in pairs:
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise _wrong(f"the class {key!r} in {source} is neither a number nor a name", source)
        if not isinstance(label, str) or not label.strip():
            raise _wrong(f"class {key!r} in {source} is named {label!r}, which is no text", source)
        if names.setdefault(str(key), label) != label:
            raise _wrong(f"class {key} in {source} has two names, {names[str(key)]!r} and {label!r}", source)
    return names


def _wrong(reason: str, _: str = "") -> NucleusConfigError:
    return NucleusConfigError(
        f"labels must be names by class ({{0: 'car'}}), a list of names, or the path of a file of names: {reason}.",
        field="labels",
    )


class LabelNames(dict[Any, Any]):  # ruff: ignore[subclass-builtin] - looked up in C, by the million
    """Label by class; a look-up of what is not there gives the text itself, or raises ValueError for a number.

    `counted` says that the classes are the positions in a list.
    """

    def __init__(self, names: Mapping[str, str], *, counted: bool = False) -> None:
        super().__init__(names)
        self._known = dict(names)
        self._range = f"0 to {len(names) - 1}" if counted else ""
        self._numbered = bool(names) and all(_is_whole(name) for name in names)

    def __missing__(self, key: Any) -> Any:
        kind = type(key)
        if kind is str:
            if self._numbered and _is_number(key):
                raise self._unknown(key)
            return key
        if kind is int or (kind is float and key.is_integer()):
            whole = str(int(key))
            if whole not in self._known:
                raise self._unknown(whole)
            self[key] = self._known[whole]
            return self._known[whole]
        if hasattr(key, "item") and getattr(key, "ndim", None) == 0:
            return self[key.item()]
        return key

    def _unknown(self, number: str) -> NucleusValidationError:
        known = f" (it names {self._range or _some(self._known)})" if self._known else ""
        return NucleusValidationError("label", f"class {number} has no name: labels={{{number}: ...}}{known}")

    def of(self, value: Any) -> Any:
        """Return the label of one class; a flag and what is no class at all pass as they are."""
        if isinstance(value, (bool, list, dict)) or value is None:
            return value
        return self[value]

    def column(self, values: Sequence[Any]) -> list[Any] | None:
        """Return the labels of a column; None when some value has to be looked at by itself."""
        if not {str, int}.issuperset(map(type, values)):
            return None
        try:
            return list(map(self.__getitem__, values))
        except ValueError:
            return None

    def many(self, values: Any) -> Any:
        """Return the labels of a list of classes."""
        values = as_list(values)
        return [self.of(one) for one in values] if isinstance(values, list) else values

    def segments(self, values: Any) -> Any:
        """Return the segments of a mask with labels for their classes."""
        if not isinstance(values, list):
            return values
        return [
            {**one, "label": self.of(one["label"])} if isinstance(one, dict) and "label" in one else one
            for one in values
        ]

    def distribution(self, pdf: Any) -> Any:
        """Return probabilities by label, from such by class or from a list of them; those of merged classes add up."""
        pdf = as_list(pdf)
        if isinstance(pdf, list):
            pdf = {str(number): share for number, share in enumerate(pdf)}
        if not isinstance(pdf, dict):
            return pdf
        merged: dict[str, Any] = {}
        for key, share in pdf.items():
            label = self.of(key)
            if label in merged:
                if not (isinstance(share, (int, float)) and isinstance(merged[label], (int, float))):
                    raise ValueError(f"entry {key!r} must be a number, got {share!r}")
                share += merged[label]
            merged[label] = share
        return merged


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _some(names: Mapping[str, str]) -> str:
    few = list(names)[:5]
    return ", ".join(few) + (", ..." if len(names) > len(few) else "")
