"""Have Nucleus match predictions with ground truth, and read the metrics off the matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError
from airflow_provider_nucleus.gating.measurement import Unannotated
from airflow_provider_nucleus.hooks.measuring import measure
from airflow_provider_nucleus.links.nucleus import (
    NucleusDatasetLink,
    NucleusEvaluationLink,
    NucleusJobLink,
    NucleusModelLink,
)
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.starting import NucleusStartingOperator, StartIntent
from airflow_provider_nucleus.schema.matches import AllowedLabelMatch
from airflow_provider_nucleus.tasks.arguments import (
    FLAG,
    ID,
    OBJECTS,
    PLACE,
    TEXT,
    TEXTS,
    NumberArgument,
    required,
)
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.measured_results import (
    flat_numbers,
    label_numbers,
    left_measurement,
    measuring_subject,
    result_members,
)
from airflow_provider_nucleus.tasks.rendered_values import is_blank
from airflow_provider_nucleus.tasks.reports import check_place, path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shrink_to_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusCalculateMetricsOperator"]

_JOB_TYPES = ("modelMetrics", "modelRunCommit")
"""Types of jobs that calculate, as listings have them."""


class NucleusCalculateMetricsOperator(NucleusStartingOperator, NucleusAnnouncingOperator):
    """Match a model's predictions with the ground truth of a dataset, and return the metrics: of all items, or of one batch.

    Nucleus matches greedily, highest overlap first, each object at most once, and stores the matches of the whole run, which are what
    queries read from then on; the embedded Nucleus keeps the numbers of earlier calculations, and the task's link leads to its own.
    Run it again after new predictions or corrected ground truth. With `slice_id` or `query` the numbers are those of these items
    alone, read from the same matches; with both, of the items of the slice that the query selects.

    Returns counts (TP, FP, FN), precision, recall, F1 and mean IoU, overall and per label, at `iou_threshold`; how each row
    counts is written in `airflow_provider_nucleus.pair_counts`. A number that cannot be calculated is null, with the
    reason beside it. `coverage` says what the numbers rest on: `items`, how many of them have ground truth (`with_ground_truth`,
    `without_ground_truth`), objects on each side (`ground_truth`, `predictions`), and `predictions_left_out`. `fingerprint` says
    what they are numbers of: data, batch, a digest of the ground truth, and the choices in the definition. Labels beyond what an XCom
    should hold are left out, least frequent first; `report` has them all.

    :param dataset_id: id of the dataset (templated)
    :param model_id: id of the model (templated)
    :param iou_threshold: smallest overlap of a true positive, 0 to 1; a matched pair below it is a false positive and a
        false negative (templated)
    :param allowed_label_matches: further pairs of labels that may match, each
        `{"ground_truth_label": ..., "model_prediction_label": ...}`; not together with `class_agnostic` (templated)
    :param class_agnostic: whether objects with any two labels may be paired; always sent, because the public texts disagree
        about its default (templated)
    :param crowd_as_objects: whether ground truth with `iscrowd` is objects to be found, not regions in which nothing is counted; only the
        embedded Nucleus knows it (templated)
    :param slice_id: id of the slice that the numbers are of, the batch of this run for example (templated)
    :param query: items that the numbers are of, in Nucleus' query language (templated)
    :param unannotated: predictions on items without any ground truth are false positives (`count`), or in no number (`leave_out`):
        for batches whose labels come late or in part
    :param by_metadata: members of the items' metadata by whose values the numbers are cut as well, in the report (templated)
    :param report: file for the whole measurement, as JSON (`gating.measurement.Measurement`): all labels, and every match; a local path,
        whose folder is made, or any URL that Airflow can write, packed when its name ends in `.gz`;
        what is wrong with it fails the task before anything is started; if it cannot be written later on, `report_error` in the
        result says why; that of a mapped task has `.map<map index>` before its suffix. The result has its place as
        `measurement`, for a gate (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at the job
    :param job_timeout: longest wait for the job, in seconds or as timedelta
    :param ride_out: how long the server may be away while the task waits, in seconds or as timedelta; `job_timeout` still counts
    :param cancel_on_kill: whether to cancel the job when the task is killed or gives up waiting, where the server can
    :param partition_key: partition of the events of this task's outlets (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "dataset_id": required(ID),
        "model_id": required(ID),
        "iou_threshold": NumberArgument(low=0, high=1),
        "allowed_label_matches": OBJECTS,
        "class_agnostic": FLAG,
        "crowd_as_objects": FLAG,
        "slice_id": ID,
        "query": TEXT,
        "by_metadata": TEXTS,
        "report": PLACE,
        **NucleusStartingOperator.templated,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "allowed_label_matches": "json",
        "by_metadata": "json",
    }
    lineage_writes: ClassVar[str | None] = "numbers"
    operator_extra_links: Sequence[BaseOperatorLink] = (
        NucleusEvaluationLink(),
        NucleusDatasetLink(),
        NucleusModelLink(),
        NucleusJobLink(),
    )

    def __init__(
        self,
        *,
        dataset_id: str,
        model_id: str,
        iou_threshold: float | str = 0.5,
        allowed_label_matches: Sequence[Mapping[str, str]] | None = None,
        class_agnostic: bool | str = False,
        crowd_as_objects: bool | str = DEFAULT_OPTIONS.crowd_as_objects,
        slice_id: str | None = None,
        query: str | None = None,
        unannotated: Unannotated = "count",
        by_metadata: Sequence[str] | None = None,
        report: str | None = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.dataset_id = dataset_id
        self.model_id = model_id
        self.iou_threshold = iou_threshold
        self.allowed_label_matches = allowed_label_matches
        self.class_agnostic = class_agnostic
        self.crowd_as_objects = crowd_as_objects
        self.slice_id = slice_id
        self.query = query
        if unannotated not in get_args(Unannotated):
            raise ValueError(f"unannotated must be one of {get_args(Unannotated)}, not {unannotated!r}")
        self.unannotated = unannotated
        self.by_metadata = by_metadata
        self.report = report

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.model_id)

    def link_to(self, context: Context, **objects: Any) -> None:
        """Make the evaluation's link that of this task's own calculation: it shows the same numbers next week."""
        super().link_to(context, calculation=objects.get("job_id"), **objects)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the calculation, wait for it, and read the metrics."""
        self.read_arguments()
        check_place(path_for_instance(self.report, context), name="report")
        resume_payload = self._settings()
        self.check_deferrable(resume_payload)
        self.link_to(
            context,
            dataset_id=self.dataset_id,
            model_id=self.model_id,
            iou_threshold=float(self.iou_threshold),
        )
        jobs = self.attach_or_start(context, resume_payload)
        return self.wait_for_jobs(context, jobs, resume_payload)

    def jobs_ended(
        self,
        context: Context,
        statuses: Mapping[str, JobStatus],
        resume_payload: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Read the matches and summarize them."""
        for job_id, status in statuses.items():
            self._succeeded(job_id, status)
        payload = resume_payload
        calculation = next(iter(statuses), None)
        page = self.evaluation_page(
            payload["dataset_id"],
            payload["model_id"],
            iou_threshold=float(payload["iou_threshold"]),
            calculation=calculation,
        )
        measurement = measure(
            self.hook,
            payload["dataset_id"],
            payload["model_id"],
            model_run_id=payload.get("model_run_id"),
            slice_id=payload.get("slice_id"),
            query=payload.get("query"),
            iou_threshold=payload["iou_threshold"],
            unannotated=payload.get("unannotated", "count"),
            slice_keys=payload.get("by_metadata") or (),
            options=_definition(payload),
            subject=measuring_subject(context, job_id=calculation, url=page),
            notes=_notes(statuses, of_batch=bool(payload.get("slice_id") or payload.get("query"))),
            details={"not_matched": _not_matched(statuses)},
            keep_rows=not is_blank(self.report),
        )
        self._require_own_matches(statuses)
        self._log_result(measurement)
        head = {
            "dataset_id": payload["dataset_id"],
            "model_id": payload["model_id"],
            "model_run_id": measurement.subject.model_run_id,
            "job_id": measurement.subject.job_id,
            **_definition(payload),
            "not_matched": measurement.details["not_matched"],
            "notes": measurement.notes,
            **result_members(measurement),
            **left_measurement(measurement, path_for_instance(self.report, context)),
        }
        self.announce_numbers(context, measurement, report=head.get("measurement"))
        return checked_xcom(
            shrink_to_xcom(len(measurement.per_label), lambda most: head | _numbers(measurement, most))
        )

    def _settings(self) -> dict[str, Any]:
        """Return the rendered arguments, checked: they travel with the wait and are the request."""
        pairs = [AllowedLabelMatch.from_wire(pair).to_wire() for pair in self.allowed_label_matches or ()]
        if pairs and self.class_agnostic:
            raise NucleusConfigError(
                "allowed_label_matches and class_agnostic exclude each other: the one lists the pairs of labels that may "
                "match, the other lets every pair match.",
                field="allowed_label_matches",
            )
        return {
            "dataset_id": self.dataset_id,
            "model_id": self.model_id,
            "iou_threshold": self.iou_threshold,
            "class_agnostic": self.class_agnostic,
            "allowed_label_matches": pairs,
            "crowd_as_objects": self.crowd_as_objects,
            "slice_id": self.slice_id,
            "query": self.query,
            "unannotated": self.unannotated,
            "by_metadata": self.by_metadata,
        }

    def start_jobs(self, resume_payload: dict[str, Any], intent: StartIntent) -> list[str]:
        """Start a calculation; return its jobs, none when the server answered without one and lists none."""
        if intent.earlier is not None:
            # Nothing in a job says which model it is about; and of two calculations the later one's matches stay.
            self.log.info(
                "An earlier try may have started a calculation: starting another, which replaces it"
            )
        listed = self._listed()
        before = {job.job_id for job in listed}
        intent.record(max((job.job_creation_time for job in listed), default=""))
        answer = self.hook.calculate_metrics(
            self.dataset_id,
            self.model_id,
            class_agnostic=resume_payload["class_agnostic"],
            allowed_label_matches=[
                AllowedLabelMatch.from_wire(pair) for pair in resume_payload["allowed_label_matches"]
            ],
            crowd_as_objects=resume_payload.get("crowd_as_objects", DEFAULT_OPTIONS.crowd_as_objects),
        )
        job_id = answer.get("job_id")
        # Without an id in the answer, the job is one that was not listed before; waiting for a stranger's as well is harmless.
        jobs = [job_id] if job_id else [job.job_id for job in self._listed() if job.job_id not in before]
        resume_payload["model_run_id"] = answer.get("model_run_id")
        if jobs:
            self.log.info("Started the calculation: %s", ", ".join(jobs))
        else:
            self.log.info("The server answered without a job and lists none: taking the calculation as done")
        return jobs

    def _listed(self) -> Sequence[Any]:
        return self.hook.list_jobs(
            dataset_id=self.dataset_id, job_types=_JOB_TYPES, show_completed=True, limit=1000
        )

    def _succeeded(self, job_id: str, status: JobStatus) -> None:
        """Raise unless the job ended well."""
        if (failure := self.hook.job_failure(job_id, status)) is None:
            return
        for text in failure.errors:
            self.log.error("Job %s: %s", job_id, text)
        failure.hint = "Matches of an earlier calculation, if any, are still in place."
        raise failure

    def _require_own_matches(self, statuses: Mapping[str, JobStatus]) -> None:
        """Raise NucleusMetricsError if another task's calculation with other choices took the place of this one before it was read.

        Jobs of the embedded Nucleus say of which run they are and with which choices; those of the cloud say neither.
        """
        job_id, own = next(((job, _run_and_options(each)) for job, each in statuses.items()), (None, None))
        if own is None:
            return
        listed = {job.job_id: job.job_creation_time for job in self._listed()}
        for other, created in listed.items():
            if created <= listed.get(str(job_id), created):
                continue
            found = _run_and_options(self.hook.job_status(other))
            if found is not None and found[0] == own[0] and found[1] != own[1]:
                raise NucleusMetricsError(
                    f"Calculation {other} of the same model, with other choices ({found[1]}), replaced the matches of {job_id} ({own[1]}) before they "
                    "were read: their numbers would be of its choices.",
                    dataset_id=self.dataset_id,
                    model_id=self.model_id,
                    conn_id=self.nucleus_conn_id,
                    hint="Nothing was written. Let calculations of one model that differ in their choices run one at a time "
                    "(max_active_tis_per_dag=1, or a pool with one slot), and clear this task.",
                )

    def _log_result(self, measurement: Measurement) -> None:
        counts, coverage = measurement.overall.values, measurement.coverage
        self.log.info(
            "At IoU %g: TP %d, FP %d, FN %d, of %d labels, on %d items, %d of them with ground truth",
            measurement.iou_threshold,
            counts["tp"],
            counts["fp"],
            counts["fn"],
            len(measurement.per_label),
            coverage.items,
            coverage.with_ground_truth,
        )
        if measurement.details["not_matched"]:
            self.log.warning("Not matched, and in no count: %s", measurement.details["not_matched"])
        for note in measurement.notes:
            self.log.warning("%s", note["text"])


def _definition(resume_payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices that the matches were calculated with."""
    return {
        "class_agnostic": resume_payload["class_agnostic"],
        "allowed_label_matches": resume_payload["allowed_label_matches"],
        "crowd_as_objects": resume_payload.get("crowd_as_objects", DEFAULT_OPTIONS.crowd_as_objects),
    }


def _numbers(measurement: Measurement, most: int) -> dict[str, Any]:
    """Return the numbers as the task's result has them, of at most so many labels."""
    numbers = {
        "iou_threshold": measurement.iou_threshold,
        "overall": flat_numbers(measurement.overall),
        "labels": len(measurement.per_label),
        "per_label": label_numbers(measurement, most=most),
    }
    categories = measurement.details.get("categories")
    if categories is not None:
        kept = dict(list(categories["per_label"].items())[:most])
        numbers["categories"] = categories | {"per_label": kept}
    return numbers


def _run_and_options(status: JobStatus) -> tuple[str, Any] | None:
    """Return of which run a calculation is, and with which choices, None where its job does not say."""
    message = status.message
    if not isinstance(message, dict) or not {"model_run_id", "options"} <= message.keys():
        return None
    return str(message["model_run_id"]), message["options"]


def _notes(statuses: Mapping[str, JobStatus], *, of_batch: bool) -> list[dict[str, Any]]:
    """Return what the server says of its matches, which are those of the whole run; nothing when it says nothing."""
    about = {"of": "run"} if of_batch else {}
    for status in statuses.values():
        found = status.message.get("notes") if isinstance(status.message, dict) else None
        if isinstance(found, list):
            return [
                dict(note) | about
                for note in found
                if isinstance(note, dict) and isinstance(note.get("text"), str)
            ]
    return []


def _not_matched(statuses: Mapping[str, JobStatus]) -> dict[str, Any] | None:
    """Return the objects of types the server does not match, None when it does not say."""
    for status in statuses.values():
        if isinstance(status.message, dict) and isinstance(status.message.get("not_matched"), dict):
            return dict(status.message["not_matched"])
    return None
