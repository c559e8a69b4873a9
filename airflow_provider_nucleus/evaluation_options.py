"""Choices in the definition of the numbers of an evaluation, the same for the command, the operators, the API and the engine.

| option | meaning | default |
| --- | --- | --- |
| `max_detections` | how many predictions of a label on an item, the most confident ones, AP and AR look at | 100; keypoints 20 |
| `crowd_as_objects` | ground truth with `iscrowd` is objects to be found, not regions in which nothing is counted | false |
| `keypoint_sigmas` | tolerances of keypoints: a skeleton (`coco`, `crowdpose`, `coco-wholebody`) or a number for each | by name, `keypoint_tolerances.py` |
| `ignore_labels` | labels of mask segments whose ground-truth pixels are in no pixel score | none |

Counts at one threshold are never cut by `max_detections`. The defaults are stated here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from airflow_provider_nucleus.keypoint_tolerances import ChosenSigmas, parse_sigmas

__all__ = [
    "DEFAULT_MAX_DETECTIONS",
    "DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS",
    "DEFAULT_OPTIONS",
    "MAX_DETECTIONS_LIMIT",
    "EvaluationOptions",
    "parse_options",
]

DEFAULT_MAX_DETECTIONS: Final = 100
DEFAULT_MAX_DETECTIONS_OF_KEYPOINTS: Final = 20
MAX_DETECTIONS_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """The choices of one evaluation; None stands for COCO's own value."""

    max_detections: int | None = None
    crowd_as_objects: bool = False
    ignore_labels: tuple[str, ...] = ()
    keypoint_sigmas: ChosenSigmas | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the options as they are recorded with the numbers; a value that is left to COCO is not in it."""
        chosen = ((name, getattr(self, name)) for name in _NAMES)
        return {name: _plain(value) for name, value in chosen if value is not None}

    def to_wire(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as a request carries them; nothing where none does."""
        chosen = self.to_dict().items()
        return {
            name: value for name, value in chosen if getattr(self, name) != getattr(DEFAULT_OPTIONS, name)
        }


_NAMES: Final = tuple(field.name for field in fields(EvaluationOptions))
DEFAULT_OPTIONS: Final = EvaluationOptions()


def parse_options(value: object) -> EvaluationOptions:
    """Read options from an object whose keys are in snake_case or camelCase; None and null values mean the defaults.

    Raises ValueError that names the option, what it must be, and what it is.
    """
    if isinstance(value, EvaluationOptions):
        return value
    if value is None:
        return DEFAULT_OPTIONS
    if not isinstance(value, Mapping):
        raise ValueError(  # ruff: ignore[type-check-without-type-error]
            f"must be an object of options ({', '.join(_NAMES)}), got {value!r}"
        )
    given: dict[str, Any] = {}
    for key, chosen in value.items():
        name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower() if isinstance(key, str) else key
        if name not in _READERS:
            raise ValueError(f"has no option {key!r}: there are {', '.join(_NAMES)}")
        if name in given:
            raise ValueError(f"has {name!r} twice")
        if chosen is not None:
            given[name] = _READERS[name](name, chosen)
    return EvaluationOptions(**given)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _whole(name: str, value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_DETECTIONS_LIMIT:
        raise ValueError(f"{name} must be a whole number from 1 to {MAX_DETECTIONS_LIMIT}, got {value!r}")
    return value


def _flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry for entry in value):
        raise ValueError(f"{name} must be a list of labels, got {value!r}")
    return tuple(dict.fromkeys(value))


def _sigmas(name: str, value: object) -> ChosenSigmas:  # ruff: ignore[unused-function-argument] - the readers' signature
    return parse_sigmas(value)


_READERS: Final = {
    "max_detections": _whole,
    "crowd_as_objects": _flag,
    "ignore_labels": _texts,
    "keypoint_sigmas": _sigmas,
}
