"""Options of the matching: which labels may be associated, and what crowds are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict, model_validator

from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS
from airflow_provider_nucleus.local.requests.base import Flag, RequestModel

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LabelPair", "MatchOptions", "MatchRequest", "pairs_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """Labels that may be associated; kept with every match set and shown with it.

    `allowed_label_matches` are directed pairs (ground truth label, prediction label) that count as right in
    addition to equal labels. Absent options mean class-sensitive: only equal labels associate. With `crowd_as_objects` crowd
    regions of ground truth are objects to be found.
    """

    class_agnostic: bool = False
    allowed_label_matches: tuple[tuple[str, str], ...] = ()
    crowd_as_objects: bool = DEFAULT_OPTIONS.crowd_as_objects

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_wire` has written."""
        pairs = data["allowed_label_matches"]
        return cls(
            class_agnostic=data["class_agnostic"],
            allowed_label_matches=tuple(
                (pair["ground_truth_label"], pair["model_prediction_label"]) for pair in pairs
            ),
            # Absent from match sets of a version that had no such option.
            crowd_as_objects=data.get("crowd_as_objects", DEFAULT_OPTIONS.crowd_as_objects),
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the options as a request would carry them, all always present."""
        return {
            "class_agnostic": self.class_agnostic,
            "allowed_label_matches": [
                {"ground_truth_label": truth, "model_prediction_label": predicted}
                for truth, predicted in self.allowed_label_matches
            ],
            "crowd_as_objects": self.crowd_as_objects,
        }


class LabelPair(RequestModel):
    """A ground truth label and a prediction label that count as right together."""

    model_config = ConfigDict(extra="forbid")

    ground_truth_label: str
    model_prediction_label: str


class MatchRequest(RequestModel):
    """Options of a calculation; an unknown one is refused: a misspelt one would change every number."""

    model_config = ConfigDict(extra="forbid")
    unknown: ClassVar[str] = "options"

    class_agnostic: Flag = False
    allowed_label_matches: list[LabelPair] | None = None
    crowd_as_objects: Flag = DEFAULT_OPTIONS.crowd_as_objects

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.class_agnostic and self.allowed_label_matches:
            raise ValueError(
                "allowed_label_matches and class_agnostic: true exclude each other: a list of pairs says which labels "
                "may differ, class_agnostic says all may. Send one of them."
            )
        return self

    @property
    def options(self) -> MatchOptions:
        """The options, each pair once."""
        return MatchOptions(
            class_agnostic=self.class_agnostic,
            allowed_label_matches=pairs_of(self.allowed_label_matches),
            crowd_as_objects=self.crowd_as_objects,
        )


def pairs_of(matches: list[LabelPair] | None) -> tuple[tuple[str, str], ...]:
    """Return pairs of (ground truth label, prediction label), each once."""
    pairs = ((pair.ground_truth_label, pair.model_prediction_label) for pair in matches or ())
    return tuple(dict.fromkeys(pairs))
