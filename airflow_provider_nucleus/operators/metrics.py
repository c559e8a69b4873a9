"""Have Nucleus match predictions with ground truth, and read the metrics off the matches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.links.nucleus import (
    NucleusDatasetLink,
    NucleusEvaluationLink,
    NucleusJobLink,
    NucleusModelLink,
)
from airflow_provider_nucleus.match_summary import summarize_matches
from airflow_provider_nucleus.operators.starting import NucleusStartingOperator, StartIntent
from airflow_provider_nucleus.schema.matches import AllowedLabelMatch
from airflow_provider_nucleus.tasks.arguments import FLAG, ID, OBJECTS, PLACE, NumberArgument, required
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.reports import check_place, leave_report, path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shrink_to_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.match_summary import MatchSummary
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusCalculateMetricsOperator"]

_JOB_TYPES = ("modelMetrics", "modelRunCommit")
"""Types of jobs that calculate, as listings have them."""


class NucleusCalculateMetricsOperator(NucleusStartingOperator):
    """Match a model's predictions with the ground truth of a dataset, and return the metrics.

    Nucleus matches greedily, highest overlap first, each object at most once, and stores the matches; they replace those of an
    earlier calculation. Run it again after new predictions or corrected ground truth.

    Returns counts (TP, FP, FN), precision, recall, F1 and mean IoU, overall and per label, at `iou_threshold`; how each row
    counts is written in `airflow_provider_nucleus.match_summary`. A number that cannot be calculated is null, with the
    reason beside it. Labels beyond what an XCom should hold are left out, least frequent first; `report` has them all.

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
    :param report: file to write the whole result to, as JSON: a local path, whose folder is made, or any URL that Airflow can write;
        what is wrong with it fails the task before anything is started; if it cannot be written later on, `report_error` in the
        result says why; that of a mapped task has `.map<map index>` before its suffix (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at the job
    :param job_timeout: longest wait for the job, in seconds or as timedelta
    :param ride_out: how long the server may be away while the task waits, in seconds or as timedelta; `job_timeout` still counts
    :param cancel_on_kill: whether to cancel the job when the task is killed or gives up waiting, where the server can
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "dataset_id": required(ID),
        "model_id": required(ID),
        "iou_threshold": NumberArgument(low=0, high=1),
        "allowed_label_matches": OBJECTS,
        "class_agnostic": FLAG,
        "crowd_as_objects": FLAG,
        "report": PLACE,
        **NucleusStartingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"allowed_label_matches": "json"}
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
        self.report = report

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.model_id)

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
        run_id = resume_payload.get("model_run_id") or self.hook.find_model_run(
            resume_payload["dataset_id"], resume_payload["model_id"]
        )
        rows = partial(self.hook.iter_matches, resume_payload["dataset_id"], run_id)
        summary = summarize_matches(
            rows(mode="iou"),
            false_positives=rows(mode="false_positive"),
            false_negatives=rows(mode="false_negative"),
            iou_threshold=resume_payload["iou_threshold"],
        )
        head = {
            "dataset_id": resume_payload["dataset_id"],
            "model_id": resume_payload["model_id"],
            "model_run_id": run_id,
            "job_id": next(iter(statuses), None),
            "class_agnostic": resume_payload["class_agnostic"],
            "allowed_label_matches": resume_payload["allowed_label_matches"],
            "crowd_as_objects": resume_payload.get("crowd_as_objects", DEFAULT_OPTIONS.crowd_as_objects),
            "not_matched": _not_matched(statuses),
            "notes": _notes(statuses),
        }
        self._log_result(summary, head)
        head |= leave_report(path_for_instance(self.report, context), head | summary.to_dict())
        labels = max(len(summary.per_label), len(summary.categories.per_label))
        return checked_xcom(shrink_to_xcom(labels, lambda most: head | summary.to_dict(max_labels=most)))

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

    def _log_result(self, summary: MatchSummary, head: Mapping[str, Any]) -> None:
        overall = summary.overall
        self.log.info(
            "At IoU %g: TP %d, FP %d, FN %d, of %d labels",
            summary.iou_threshold,
            overall.tp,
            overall.fp,
            overall.fn,
            len(summary.per_label),
        )
        if head["not_matched"]:
            self.log.warning("Not matched, and in no count: %s", head["not_matched"])
        for note in head["notes"]:
            self.log.warning("%s", note["text"])
        for name in ("tp", "fp", "fn"):
            Stats.gauge(f"nucleus.metrics.{name}", getattr(overall, name))


def _notes(statuses: Mapping[str, JobStatus]) -> list[dict[str, Any]]:
    """Return what the server says of its matches; nothing when it says nothing."""
    for status in statuses.values():
        found = status.message.get("notes") if isinstance(status.message, dict) else None
        if isinstance(found, list):
            return [
                dict(note) for note in found if isinstance(note, dict) and isinstance(note.get("text"), str)
            ]
    return []


def _not_matched(statuses: Mapping[str, JobStatus]) -> dict[str, Any] | None:
    """Return the objects of types the server does not match, None when it does not say."""
    for status in statuses.values():
        if isinstance(status.message, dict) and isinstance(status.message.get("not_matched"), dict):
            return dict(status.message["not_matched"])
    return None
