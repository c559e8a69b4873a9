"""What a caller may ask of the matching, checked once at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_nucleus.local.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MatchOptions"]

_KNOWN = frozenset({"class_agnostic", "allowed_label_matches"})
_PAIR = ("ground_truth_label", "model_prediction_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """Which labels may be associated; kept with every match set and shown with it.

    ``allowed_label_matches`` are directed pairs (ground truth label, prediction label) that count as right in
    addition to equal labels. Absent options mean class-sensitive: only equal labels associate.
    """

    class_agnostic: bool = False
    allowed_label_matches: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_wire(cls, body: Mapping[str, Any]) -> Self:
        """Read the options of a request; raises :class:`BadRequestError` for any that is not understood.

        An option that nobody knows is refused rather than ignored: a misspelt one would change every number.
        """
        if unknown := sorted(set(body) - _KNOWN):
            raise BadRequestError(f"Unknown options {unknown}; the options are {sorted(_KNOWN)}.")
        agnostic = body.get("class_agnostic")
        if agnostic is not None and not isinstance(agnostic, bool):
            raise BadRequestError("class_agnostic must be true or false.")
        pairs = body.get("allowed_label_matches")
        if pairs is not None and not isinstance(pairs, list):
            raise BadRequestError("allowed_label_matches must be a list of label pairs.")
        allowed = tuple(dict.fromkeys(starmap(_pair, enumerate(pairs or []))))
        if agnostic and allowed:
            raise BadRequestError(
                "allowed_label_matches and class_agnostic: true exclude each other: a list of pairs says which labels "
                "may differ, class_agnostic says all may. Send one of them."
            )
        return cls(class_agnostic=bool(agnostic), allowed_label_matches=allowed)

    def to_wire(self) -> dict[str, Any]:
        """Return the options as a request would carry them, both always present."""
        return {
            "class_agnostic": self.class_agnostic,
            "allowed_label_matches": [
                dict(zip(_PAIR, pair, strict=True)) for pair in self.allowed_label_matches
            ],
        }


def _pair(index: int, pair: Any) -> tuple[str, str]:
    if (
        not isinstance(pair, dict)
        or set(pair) != set(_PAIR)
        or not all(isinstance(v, str) for v in pair.values())
    ):
        raise BadRequestError(
            f"allowed_label_matches[{index}] must be an object with the strings {' and '.join(_PAIR)}."
        )
    return pair[_PAIR[0]], pair[_PAIR[1]]
