"""A measurement: numbers of one model on stated items, with coverage, support and the fingerprint of their definition.

It is a document (JSON, `schema` says which version) that operators write, baselines keep and `nucleus-local gate` reads. Names of numbers
are the same everywhere: `precision`, `recall`, `f1`, `mean_iou` and the counts `tp`, `fp`, `fn` at the stated overlap; `ap` (COCO's mean
over 0.50:0.95), `ap50`, `ap75`, `ap_small`, `ap_medium`, `ap_large` where the engine ranked the predictions. All rates lie in 0 to 1.
A number that is not defined is None, with its reason in `undefined`; a number that was not computed is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MEASUREMENT_SCHEMA",
    "Coverage",
    "Document",
    "Fingerprint",
    "MatchColumns",
    "Measurement",
    "Numbers",
    "Subject",
    "Unannotated",
    "numbers_of",
]

MEASUREMENT_SCHEMA: Final = "nucleus-measurement/1"

Unannotated = Literal["count", "leave_out"]
"""What predictions on items without any ground truth are: false positives, or in no number."""


class Document(BaseModel):
    """Base of what is written to files and read again: frozen, unknown members refused, numbers finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), populate_by_name=True
    )


def _number(value: Any) -> Any:
    """Refuse what Python would take for a number, and nobody measured: `true` is 1, and ten to the 400th no float."""
    if isinstance(value, bool | str):
        raise ValueError(f"{value!r:.40} is no number")  # ruff: ignore[type-check-without-type-error] - pydantic takes it
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            raise ValueError("the number is too large") from None
    return value


class Subject(Document):
    """Objects and runs a measurement is about: enough to find it again, and to link to it."""

    model_id: str | None = None
    model_name: str | None = None
    model_run_id: str | None = None
    dataset_id: str | None = None
    dataset_name: str | None = None
    slice_id: str | None = None
    slice_name: str | None = None
    query: str | None = None
    benchmark_id: str | None = None
    benchmark_name: str | None = None
    benchmark_version: str | None = None
    evaluation_id: str | None = None
    job_id: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    measured_at: str | None = None
    """ISO 8601 with offset."""
    url: str | None = None
    """Page of these numbers."""


class Fingerprint(Document):
    """Definition of the numbers: two measurements with equal fingerprints may be compared number by number.

    `data` names the data set or the benchmark with its version, `scope` the slice, query or file within it (None for all of it),
    `ground_truth` is a digest of the objects to be found, `options` the choices in the definition (overlap, label matches, limits),
    `engine` what computed them.
    """

    data: str
    scope: str | None = None
    ground_truth: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    engine: str = ""


class Coverage(Document):
    """Items and objects behind the numbers. `items` is None where the server does not say."""

    items: int | None = None
    with_ground_truth: int | None = None
    without_ground_truth: int | None = None
    ground_truth: int = 0
    """Objects to be found."""
    predictions: int = 0
    """Predicted objects."""
    unannotated: Unannotated = "count"
    predictions_left_out: int = 0
    """Predictions on items without ground truth that are in no number, with `unannotated="leave_out"`."""

    @property
    def share(self) -> float | None:
        """Share of the items that have ground truth, 0 to 1; None where it is not known."""
        return (
            self.with_ground_truth / self.items if self.items and self.with_ground_truth is not None else None
        )


class Numbers(Document):
    """Numbers by name, with their support."""

    values: dict[str, Annotated[int | float | None, BeforeValidator(_number)]] = Field(default_factory=dict)
    undefined: dict[str, str] = Field(default_factory=dict)
    """Reason of every value that is None."""
    items: int | None = None
    ground_truth: int | None = None
    predictions: int | None = None


def numbers_of(counts: Mapping[str, Any], *, items: int | None = None) -> Numbers:
    """Return counts and ratios, as `MatchCounts.to_dict` gives them, as numbers with their support."""
    return Numbers(
        values={
            name: value
            for name, value in counts.items()
            if name not in {"predictions", "ground_truth", "undefined"}
        },
        undefined=counts.get("undefined") or {},
        items=items,
        ground_truth=counts.get("ground_truth"),
        predictions=counts.get("predictions"),
    )


class MatchColumns(Document):
    """Rows of the match as columns of equal length: what every number at an overlap threshold can be computed from again.

    A row with both sides is a pair; one with `predicted` None is ground truth that nothing was paired with; one with `truth` None a
    prediction without a partner. `item`, `truth` and `predicted` are places in `items` and `labels`. Pairs below the overlap threshold
    are still pairs here (`rates.py`, `pair_counts.py` say how they count).
    """

    items: list[str]
    """Reference ids (item ids where the server does not give them) of all items measured, those without any row included."""
    labels: list[str]
    item: list[int]
    truth: list[int | None]
    predicted: list[int | None]
    iou: list[float]
    confidence: list[float | None]
    truth_id: list[str | None]
    prediction_id: list[str | None]
    agrees: list[bool]
    """Whether the labels of the pair may match; False for single rows."""
    groups: dict[str, dict[str, list[int]]] = Field(default_factory=dict)
    """Key of item metadata -> value as text -> places in `items` of the items that have it: what intervals of slices are taken from."""

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        """Refuse columns of unequal length and places that lie outside: whatever is counted from them would be wrong, or fail."""
        rows = len(self.item)
        for name in ("truth", "predicted", "iou", "confidence", "truth_id", "prediction_id", "agrees"):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"column {name} has {len(getattr(self, name)):,} rows, column item {rows:,}")
        places = [("item", self.item, len(self.items))]
        places += [
            (name, [each for each in column if each is not None], len(self.labels))
            for name, column in (("truth", self.truth), ("predicted", self.predicted))
        ]
        places += [
            (f"groups.{key}.{value}", found, len(self.items))
            for key, values in self.groups.items()
            for value, found in values.items()
        ]
        for name, column, size in places:
            if column and not 0 <= min(column) <= max(column) < size:
                raise ValueError(f"column {name} has places outside the {size:,} there are")
        return self


class Measurement(Document):
    """Numbers of one model on one batch, slice, query, benchmark or data set."""

    schema_: Literal["nucleus-measurement/1"] = Field(default=MEASUREMENT_SCHEMA, alias="schema")
    subject: Subject = Subject()
    fingerprint: Fingerprint
    coverage: Coverage = Coverage()
    iou_threshold: float | None = None
    confidence_threshold: float | None = None
    """Least confidence of the predictions that count; None when all do."""
    overall: Numbers = Numbers()
    per_label: dict[str, Numbers] = Field(default_factory=dict)
    slices: dict[str, dict[str, Numbers]] = Field(default_factory=dict)
    """Key of item metadata -> value as text -> numbers of the items that have it."""
    profile: dict[str, Any] | None = None
    """Profile of the predictions (`gating.profile`), taken without ground truth."""
    supplied: dict[str, Annotated[float, BeforeValidator(_number)]] = Field(default_factory=dict)
    """Numbers of the user: latency, memory. Their names are the user's."""
    notes: list[dict[str, Any]] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    """What the server says beyond numbers by name: `charts` of an evaluation, `categories` beside shapes, `not_matched`, `excluded`."""
    matches: MatchColumns | None = None
    """Evidence for intervals, changed objects and operating points; None in what is kept small (XCom, baselines)."""
