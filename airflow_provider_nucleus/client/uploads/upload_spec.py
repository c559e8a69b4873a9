"""Specification of an upload: its target, its options, its destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.client.waiting import RIDE_OUT, Patience
from airflow_provider_nucleus.exceptions import NucleusConfigError

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "JOB_TYPES",
    "Kind",
    "OnChange",
    "OnClear",
    "UploadOptions",
    "UploadTarget",
    "describe_destination",
]

Kind = Literal["annotations", "predictions", "items"]
OnChange = Literal["fail", "restart", "continue"]
OnClear = Literal["rerun", "reattach"]

JOB_TYPES: dict[str, str] = {
    "annotations": "uploadAnnotations",
    "predictions": "uploadPredictions",
    "items": "uploadDatasetItems",
}
"""The type a job of each kind has in listings."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Target of an upload: a dataset, and for predictions a model."""

    kind: Kind
    dataset_id: str
    model_id: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in JOB_TYPES:
            raise NucleusConfigError(
                f"kind must be annotations, predictions or items, got {self.kind!r}", field="kind"
            )
        if not self.dataset_id:
            raise NucleusConfigError("An upload needs a dataset id.", field="dataset_id")
        if (self.kind == "predictions") != bool(self.model_id):
            wants = "need" if self.kind == "predictions" else "do not take"
            raise NucleusConfigError(f"{self.kind.capitalize()} {wants} a model id.", field="model_id")

    def __str__(self) -> str:
        of = f" of model {self.model_id}" if self.model_id else ""
        return f"{self.kind}{of} to dataset {self.dataset_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """Options of an upload; the defaults are the safe ones.

    - `update`: replace rows that exist; otherwise the server ignores them.
    - `asynchronous`: hand the rows over as files and let jobs ingest them; else send them in requests, with immediate results.
    - `chunk_rows`: rows of one ledger entry, which is one job (asynchronous, default 200,000, up to 2 % fewer so that jobs differ
      in size) or one round of requests (synchronous, default 40,000). A retry repeats at most one chunk.
    - `max_error_rate`: share of bad rows (0 to 1) that is tolerated. Above it nothing is sent, or, when it is the server that
      refuses rows or does not account for them, the upload fails after everything was sent and reported.
    - `quarantine`: file for the bad rows (`.jsonl` or `.parquet`), text or any object with `open()`.
    - `local_root`: folder below which rows may name files of this machine, whose bytes are then sent: images of items, PNG masks.
      None reads no file, whatever rows say.
    - `validate_only`: check and report, send nothing.
    - `stable_ids`: give rows without an annotation id (lines, polygons, cuboids) one made from their content, so that sending
      them again does not double them.
    - `ignore_unknown`: drop fields that are not part of the wire format instead of refusing the row.
    - `on_change`: the input, or where it goes, is not what the recorded upload began with: `fail`, `restart` from nothing, or
      `continue` and send the chunks that are new (to another place they all are).
    - `on_clear`: the user cleared the task: `rerun` everything, or `reattach` as a retry would.
    - `concurrency`: synchronous requests in flight; fewer while the server answers 429.
    - `ride_out`: how many seconds the server may be away, while rows are sent, jobs are started or waited for, before the upload
      gives up.
    - `poll_interval`, `job_timeout`: seconds between looks at a job and until waiting for it is given up.
    - `progress_interval`: seconds between two progress lines.
    - `trained_slice_id`: for predictions: the slice that the model was trained on.
    - `spool`: folder for the temporary copy of the validated rows (about as large as the rows as JSON).
    """

    update: bool = False
    asynchronous: bool = True
    chunk_rows: int | None = None
    max_error_rate: float = 0.0
    quarantine: Any = None
    local_root: str | PathLike[str] | None = None
    validate_only: bool = False
    stable_ids: bool = True
    ignore_unknown: bool = False
    on_change: OnChange = "fail"
    on_clear: OnClear = "rerun"
    concurrency: int = 4
    ride_out: float = RIDE_OUT
    poll_interval: float = 5.0
    job_timeout: float | None = None
    progress_interval: float = 10.0
    trained_slice_id: str | None = None
    spool: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_error_rate <= 1:
            raise NucleusConfigError(
                f"max_error_rate must lie between 0 and 1, got {self.max_error_rate!r}",
                field="max_error_rate",
            )
        if self.on_change not in {"fail", "restart", "continue"}:
            raise NucleusConfigError(
                f"on_change must be fail, restart or continue, got {self.on_change!r}", field="on_change"
            )
        if self.on_clear not in {"rerun", "reattach"}:
            raise NucleusConfigError(
                f"on_clear must be rerun or reattach, got {self.on_clear!r}", field="on_clear"
            )
        Patience(ride_out=self.ride_out)
        for name in ("chunk_rows", "concurrency"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise NucleusConfigError(f"{name} must be at least 1, got {value!r}", field=name)


def describe_destination(target: UploadTarget, options: UploadOptions) -> str:
    """Return where rows go and what happens to those that exist there.

    "Sent" means the same for two uploads of one destination; a record of another destination counts for nothing.
    """
    replacing = ", replacing what exists" if options.update else ""
    trained = f", trained on slice {options.trained_slice_id}" if options.trained_slice_id else ""
    return f"{target}{replacing}{trained}"
