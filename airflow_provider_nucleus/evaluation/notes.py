"""Notes beside numbers: what is true of them and easily overlooked, how often, and the way out.

Every interface shows the same sentences: the command, the evaluation on the server, the operators, the pages. A note is no
error and changes no number; `note` names its kind, for those who decide by it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, FloatArray
    from airflow_provider_nucleus.keypoint_tolerances import Tolerances

__all__ = [
    "Note",
    "area_beyond_box",
    "beyond_box",
    "beyond_limit",
    "beyond_limit_of_errors",
    "boxes_as_masks",
    "empty_segments",
    "guessed_areas",
    "guessed_tolerances",
    "label_spellings",
    "no_ground_truth",
    "only_crowds",
    "predictions_of_runs",
    "without_ground_truth",
]

_LABELS_NAMED: Final = 3
_BLANKS: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
"""Categories of characters that show nothing."""
_ROUNDING: Final = 1.01
"""Areas that are larger than their box by less are rounded."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know about some numbers: its kind, how many objects it is about, and a sentence with the way out."""

    note: str
    count: int
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def only_crowds(count: int) -> list[Note]:
    """Say that ground truth is crowd regions throughout, where it is *count* of them and nothing else."""
    text = (
        f"all {count} annotations of the ground truth are crowds (iscrowd), in which nothing is counted: there is nothing to be found, "
        "so no AP, and every prediction is a false positive of the counts; if they are objects, evaluate with crowd_as_objects"
    )
    return [Note("only_crowds", count, text)] if count else []


def no_ground_truth(predictions: int) -> list[Note]:
    """Say that there is no ground truth at all, where there are that many predictions."""
    text = (
        f"there is no ground truth to compare with, so each of {predictions} predictions is a false positive; upload the ground truth, "
        "then have the metrics calculated again"
    )
    return [Note("no_ground_truth", predictions, text)] if predictions else []


def beyond_limit(count: int, *, limit: int, objects: str = "predictions") -> list[Note]:
    """Say that predictions lie beyond the limit of detections, where some do."""
    text = (
        f"{count} {objects} lie beyond the {limit} most confident of their label on their item, which is as far as AP and AR look; "
        "counts at one threshold have them all; evaluate with a higher max_detections where so many objects are real"
    )
    return [Note("beyond_max_detections", count, text)] if count else []


def beyond_limit_of_errors(count: int, *, limit: int) -> list[Note]:
    """Say that predictions lie beyond what TIDE looks at, where some do."""
    text = (
        f"{count} predictions lie beyond the {limit} most confident of their item, which is as far as TIDE looks: they are no errors of "
        "these counts; evaluate with a higher max_detections, or read tideAttribution of the charts, which has all"
    )
    return [Note("beyond_max_detections", count, text)] if count else []


def beyond_box(area: FloatArray, box: FloatArray) -> BoolArray:
    """Mark stated areas that are larger than the box around the object by more than rounding; both in square pixels."""
    larger: BoolArray = area > box * _ROUNDING + 1
    return larger


def area_beyond_box(count: int) -> list[Note]:
    """Say that stated areas are larger than the box around the object, where some are."""
    text = (
        f"{count} annotations state an area larger than their box: AP by size goes by what is stated; correct their area, or leave "
        "it out for that of the shape"
    )
    return [Note("area_beyond_box", count, text)] if count else []


def boxes_as_masks(count: int) -> list[Note]:
    """Say that results without a mask were compared as the area of their box, where some were."""
    text = (
        f"{count} results have no segmentation and are evaluated as the area of their box, as pycocotools does; give them one, or "
        "compare boxes with iou type bbox"
    )
    return [Note("boxes_as_masks", count, text)] if count else []


def label_spellings(*sides: Iterable[str]) -> list[Note]:
    """Say that labels differ only in case, blanks or Unicode form, where some do; *sides* are the labels of each side."""
    spelt: dict[str, set[str]] = {}
    for label in {label for side in sides for label in side}:
        spelt.setdefault(_folded(label), set()).add(label)
    several = sorted(sorted(names) for names in spelt.values() if len(names) > 1)
    if not several:
        return []
    count = sum(len(names) for names in several)
    named = "; ".join(" and ".join(map(repr, names)) for names in several[:_LABELS_NAMED])
    more = f" and {len(several) - _LABELS_NAMED} more" if len(several) > _LABELS_NAMED else ""
    text = (
        f"{count} labels differ only in case, blanks or Unicode form ({named}{more}) and are different labels: none is right for "
        "another; rename them, or evaluate them as one rollup group"
    )
    return [Note("label_spellings", count, text)]


def empty_segments(count: int) -> list[Note]:
    """Say that listed segments have no pixel in their mask, where some have none."""
    text = (
        f"{count} segments are listed with their mask and have no pixel of their index in it: each is missed, or a false positive; "
        "list the indices that the mask holds"
    )
    return [Note("empty_segments", count, text)] if count else []


def guessed_tolerances(count: int, tolerances: Tolerances) -> list[Note]:
    """Say that tolerances of keypoints are nobody's published ones, where they are not; *count* objects are measured by them."""
    if not count or not tolerances.guessed:
        return []
    text = (
        f"the tolerances of the {len(tolerances.sigmas)} keypoints of {count} objects are {tolerances.origin}: nobody published them for "
        "these keypoints; give those of your skeleton as keypoint_sigmas"
    )
    return [Note("guessed_tolerances", count, text)]


def guessed_areas(count: int) -> list[Note]:
    """Say that objects with keypoints state no area, by which distances are measured, where some do not."""
    text = (
        f"{count} objects with keypoints state no area: distances are measured by that of their box, which is larger and more lenient than "
        "the area of the object; give it (area in COCO, in the metadata else)"
    )
    return [Note("guessed_areas", count, text)] if count else []


def without_ground_truth(items: int, *, predictions: int) -> list[Note]:
    """Say that a benchmark leaves out items without ground truth, and the predictions on them, where there are some."""
    if not items:
        return []
    text = (
        f"{items} items of the datasets of this benchmark have no ground truth and are left out, and with them {predictions} predictions of "
        "the model: false alarms on them are in no number; evaluate the model run on its datasets to count them "
        "(modelRun/{run}/evaluationsV2, or calculateEvaluationMetrics)"
    )
    return [Note("without_ground_truth", predictions, text)]


def predictions_of_runs(count: int) -> list[Note]:
    """Say that a model has predictions of runs on the evaluated items, which an evaluation of the model does not read."""
    text = (
        f"the model has {count} predictions of runs on these items, which an evaluation of the model does not read: copy them with "
        "copy_predictions_from_run, or evaluate the run"
    )
    return [Note("predictions_of_runs", count, text)] if count else []


def _folded(label: str) -> str:
    """Return a label without what is not seen as a difference: case, blanks and what stands for them, Unicode form."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return "".join(
        letter for letter in text if letter not in "_-" and unicodedata.category(letter) not in _BLANKS
    )
