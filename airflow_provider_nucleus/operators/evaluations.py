"""Evaluate a model on a benchmark, and read the chart summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, get_args

from airflow_provider_nucleus.client.benchmark_growth import BenchmarkChoice, OnNewItems
from airflow_provider_nucleus.client.evaluations import as_job
from airflow_provider_nucleus.client.job_outcome import evaluation_failure, is_gone
from airflow_provider_nucleus.client.uploads.resume.orphan_jobs import certainly_before
from airflow_provider_nucleus.client.waiting import WaitOutcome
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError
from airflow_provider_nucleus.hooks.measuring_evaluations import measure_evaluation
from airflow_provider_nucleus.links.nucleus import NucleusDatasetLink, NucleusModelLink
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.starting import NucleusStartingOperator
from airflow_provider_nucleus.schema.evaluations import (
    EvaluationState,
    RollupGroup,
    check_evaluation_options,
    parse_exclusion_rule,
)
from airflow_provider_nucleus.tasks.arguments import ID, OBJECT, OBJECTS, PLACE, TEXT, NumberArgument
from airflow_provider_nucleus.tasks.deferring import ride_out_seconds, seconds
from airflow_provider_nucleus.tasks.evaluation_summary import evaluation_summary
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.measured_results import left_measurement, measuring_subject
from airflow_provider_nucleus.tasks.reports import check_place, path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shrink_to_xcom
from airflow_provider_nucleus.triggers.evaluation import NucleusEvaluationTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.client.cancellation import Outcome
    from airflow_provider_nucleus.client.waiting import Patience
    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.operators.starting import StartIntent
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.schema.jobs import JobStatus
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusEvaluateModelOperator"]

_LEAST_IOU_THRESHOLD: Final = 0.001
"""The smallest one the embedded Nucleus takes: refused before the evaluation has run, not after."""


class NucleusEvaluateModelOperator(NucleusStartingOperator, NucleusAnnouncingOperator):
    """Evaluate a model on a benchmark with Evaluations V2, and return the chart summary: of all its items, or of one batch.

    The benchmark is named by `benchmark_id`, or by `benchmark` (a name): then the newest ready version of that name is taken,
    and if there is none, one is made of `source_slice_id` or `dataset_id` and waited for in the worker. A version is never changed.
    When its source has items with ground truth that the version lacks, `on_new_items` says what to do: take a `new_version` (parent and
    new items; of several tasks at once the first makes it), `keep` the version and say so, or `fail`. A benchmark that no task made of
    this dataset is kept in any case, unless `source_slice_id` is given. `benchmark_version`, `items` and `new_items` of the result, and
    the log, say which version the numbers are of, and what it lacks.

    With `slice_id` or `query` the evaluation is that of the whole benchmark, and the numbers are those of these items alone.

    Which predictions are evaluated: with `model_id` and `dataset_id` those that were uploaded for that dataset (the model's run
    on it); with `model_run_id` those of that run; with `model_id` alone the model's run-free predictions, which
    `copy_from_run` fills first from a run (boxes, polygons and cuboids only).

    The result carries `notes`, what is true of its numbers and easily overlooked (each with `note`, `count` and `text`, which is
    logged as a warning), the `options` it was computed with, and under `excluded` what is in no number: what the rules dropped, and the
    items without ground truth that the benchmark leaves out, with the predictions on them.

    Returns `not_copied` (predictions of the run that `copy_from_run` had to leave out, null when nothing was copied), mAP at
    0.50, 0.75 and 0.50:0.95 and by size (COCO's; null with the reason in `undefined`), counts (TP, FP, FN) at `iou_threshold`, kinds of errors by the rules of TIDE, and AP per label. Labels beyond what an XCom should hold are left
    out, highest AP first; `report` has them all. `overall` has counts, ratios and precision under the names of a gate's policy,
    `coverage` what they rest on, `fingerprint` what they are numbers of. An evaluation that fails or is cancelled fails the task with the server's
    reason.

    :param model_id: id of the model; exactly one of this and `model_run_id` (templated)
    :param model_run_id: id of a model run to evaluate instead (templated)
    :param copy_from_run: id of a run whose predictions are copied to the model before it is evaluated (templated)
    :param benchmark_id: id of the benchmark; exactly one of this and `benchmark` (templated)
    :param benchmark: name of the benchmark, made if there is none (templated)
    :param dataset_id: dataset whose items with ground truth make up a new benchmark, and whose predictions of the model are
        evaluated (templated)
    :param source_slice_id: slice whose items with ground truth make up a new benchmark, and each new version of it (templated)
    :param on_new_items: what to do when the source has items with ground truth that the newest version lacks: `new_version`, `keep`
        or `fail`
    :param slice_id: slice that the numbers are of, the batch of this run for example (templated)
    :param query: items that the numbers are of, in Nucleus' query language; with `slice_id`, of the slice (templated)
    :param evaluation_name: name of the evaluation; the default names DAG, run and task (templated)
    :param iou_threshold: smallest overlap of a true positive, 0.001 to 1 (templated)
    :param rollup_groups: labels evaluated together, each `{"class_name": ..., "labels": [...]}` (templated)
    :param exclusion_rules: what is dropped before anything is matched, as the API spells it (templated)
    :param options: choices in the definition of the numbers, for example `{"max_detections": 300, "crowd_as_objects": True}`
        (see `evaluation_options`); only the embedded Nucleus knows them (templated)
    :param report: file for the whole measurement, as JSON (`gating.measurement.Measurement`), with all charts under `details`: a local
        path, whose folder is made, or any URL that Airflow can write, packed when its name ends in `.gz`; what is wrong with it
        fails the task before anything is started; if it cannot be written later on, `report_error` in the result says why; that of
        a mapped task has `.map<map index>` before its suffix. The result has its place as `measurement`, for a gate (templated)
    :param deferrable: whether to wait in the triggerer, without holding a worker; the default is Airflow's setting
    :param poll_interval: seconds between two looks at the evaluation
    :param job_timeout: longest wait, in seconds or as timedelta
    :param ride_out: how long the server may be away while the task waits, in seconds or as timedelta; `job_timeout` still counts
    :param cancel_on_kill: whether to cancel the evaluation when the task is killed or gives up waiting
    :param partition_key: partition of the events of this task's outlets (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "model_id": ID,
        "model_run_id": ID,
        "copy_from_run": ID,
        "benchmark_id": ID,
        "benchmark": TEXT,
        "dataset_id": ID,
        "source_slice_id": ID,
        "slice_id": ID,
        "query": TEXT,
        "evaluation_name": TEXT,
        "iou_threshold": NumberArgument(low=_LEAST_IOU_THRESHOLD, high=1),
        "rollup_groups": OBJECTS,
        "exclusion_rules": OBJECTS,
        "options": OBJECT,
        "report": PLACE,
        **NucleusStartingOperator.templated,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = dict.fromkeys(
        ("rollup_groups", "exclusion_rules", "options"), "json"
    )
    lineage_writes: ClassVar[str | None] = "numbers"
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusDatasetLink(), NucleusModelLink())

    def __init__(
        self,
        *,
        model_id: str | None = None,
        model_run_id: str | None = None,
        copy_from_run: str | None = None,
        benchmark_id: str | None = None,
        benchmark: str | None = None,
        dataset_id: str | None = None,
        source_slice_id: str | None = None,
        on_new_items: OnNewItems = "new_version",
        slice_id: str | None = None,
        query: str | None = None,
        evaluation_name: str | None = None,
        iou_threshold: float | str = 0.5,
        rollup_groups: Sequence[Mapping[str, Any]] | None = None,
        exclusion_rules: Sequence[Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        report: str | None = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.model_id = model_id
        self.model_run_id = model_run_id
        self.copy_from_run = copy_from_run
        self.benchmark_id = benchmark_id
        self.benchmark = benchmark
        self.dataset_id = dataset_id
        self.source_slice_id = source_slice_id
        self.on_new_items = on_new_items
        self.slice_id = slice_id
        self.query = query
        self.evaluation_name = evaluation_name
        self.iou_threshold = iou_threshold
        self.rollup_groups = rollup_groups
        self.exclusion_rules = exclusion_rules
        self.options = options
        self.report = report
        self._evaluations: dict[str, Evaluation] = {}
        if on_new_items not in get_args(OnNewItems):
            raise ValueError(f"on_new_items must be one of {get_args(OnNewItems)}, not {on_new_items!r}")

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        return short_label(self.model_id or self.model_run_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or make the benchmark, start the evaluation, wait for it, and read its charts."""
        self.read_arguments()
        check_place(path_for_instance(self.report, context), name="report")
        resume_payload = self._settings(context)
        self.check_deferrable(resume_payload)
        self.link_to(context, dataset_id=resume_payload["dataset_id"], model_id=resume_payload["model_id"])
        choice = self._choose_benchmark()
        resume_payload["benchmark_id"] = choice.benchmark.id
        jobs = self.attach_or_start(context, resume_payload)
        # Behind what a retry must have in common to attach: counts grow.
        resume_payload["new_items"] = choice.new_items
        return self.wait_for_jobs(context, jobs, resume_payload)

    def look(self, job_id: str) -> JobStatus:
        """Look at the evaluation."""
        return as_job(self._evaluation(job_id))

    def wait_for(
        self, job_ids: Sequence[str], patience: Patience, *, earlier: WaitOutcome[Any] | None = None
    ) -> WaitOutcome[JobStatus]:
        """Wait in the worker until the evaluation has ended, and keep what was seen of it."""
        found = self.hook.wait_for_evaluations(job_ids, patience, earlier=earlier)
        self._evaluations = found.seen
        jobs = {evaluation_id: as_job(evaluation) for evaluation_id, evaluation in found.seen.items()}
        return WaitOutcome(found.open, jobs, found.gone, found.failing, found.stop, found.error)

    def request_cancellation(self, job_ids: Sequence[str], *, patience: float) -> Mapping[str, Outcome]:
        """Ask for the evaluation to be cancelled, and return what came of it within *patience* seconds."""
        return self.hook.cancel_evaluations(job_ids, seconds=patience)

    def trigger_for(
        self, job_ids: Sequence[str], resume_payload: Mapping[str, Any]
    ) -> NucleusEvaluationTrigger:
        """Return the trigger that waits for the evaluation."""
        found = super().trigger_for(job_ids, resume_payload)
        return NucleusEvaluationTrigger(**found.serialize()[1])

    def jobs_ended(
        self,
        context: Context,
        statuses: Mapping[str, JobStatus],
        resume_payload: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Read the charts of the evaluation, or raise with the server's reason."""
        ((evaluation_id, status),) = statuses.items()
        if is_gone(status):
            raise NucleusMetricsError(
                f"Evaluation {evaluation_id} ended without a result: {status.final_error}.",
                evaluation_id=evaluation_id,
                conn_id=self.nucleus_conn_id,
                hint="A retry starts another.",
            )
        evaluation = self._evaluations.get(evaluation_id)
        if evaluation is None or not evaluation.state.terminal:
            evaluation = self._evaluation(evaluation_id)
        if (failure := evaluation_failure(evaluation, conn_id=self.nucleus_conn_id)) is not None:
            if "copy_predictions_from_run" in (evaluation.error_message or ""):
                failure.add_hint("copy_from_run has this task copy them.")
            raise failure
        self._require_options(evaluation, resume_payload)
        measurement = measure_evaluation(
            self.hook,
            evaluation,
            resume_payload,
            subject=measuring_subject(context),
            definition={name: resume_payload.get(name) for name in ("rollup_groups", "exclusion_rules")},
        )
        summary = evaluation_summary(evaluation, measurement, resume_payload)
        self._log_result(measurement, evaluation)
        summary |= left_measurement(measurement, path_for_instance(self.report, context))
        self.announce_numbers(context, measurement, report=summary.get("measurement"))
        labels = list(summary["per_class_ap"].items())
        return checked_xcom(
            shrink_to_xcom(len(labels), lambda most: summary | {"per_class_ap": dict(labels[:most])})
        )

    def _settings(self, context: Context) -> dict[str, Any]:
        """Return the rendered arguments, checked: they travel with the wait and are the request."""
        model_id, run_id, copied = self.model_id, self.model_run_id, self.copy_from_run
        self._one_of(model_id=model_id, model_run_id=run_id)
        self._one_of(benchmark_id=self.benchmark_id, benchmark=self.benchmark)
        if copied and run_id:
            raise NucleusConfigError(
                "copy_from_run copies to the model that is evaluated: give model_id with it, not model_run_id.",
                conn_id=self.nucleus_conn_id,
                field="copy_from_run",
            )
        ti, dataset_id = context["ti"], self.dataset_id
        if model_id and dataset_id and not copied:
            run_id = self.hook.find_model_run(dataset_id, model_id)
        return {
            "model_id": model_id,
            "model_run_id": run_id,
            "copy_from_run": copied,
            "benchmark_id": self.benchmark_id,
            "dataset_id": dataset_id,
            "slice_id": self.slice_id,
            "query": self.query,
            "name": self.evaluation_name or f"{ti.dag_id} {ti.run_id} {ti.task_id}",
            "iou_threshold": self.iou_threshold,
            "rollup_groups": [RollupGroup.from_wire(group).to_wire() for group in self.rollup_groups or ()],
            "exclusion_rules": [parse_exclusion_rule(rule).to_wire() for rule in self.exclusion_rules or ()],
            "options": check_evaluation_options(self.options).to_wire(),
        }

    def _one_of(self, **values: str | None) -> None:
        if sum(value is not None for value in values.values()) != 1:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: give exactly one of {' and '.join(values)}.",
                conn_id=self.nucleus_conn_id,
                field=next(iter(values)),
                hint="If it is a template, look at what it renders to in the task's Rendered tab.",
            )

    def _choose_benchmark(self) -> BenchmarkChoice:
        """Return the benchmark: the one of the id, or the version of the name that `on_new_items` takes, made if there is none."""
        if self.benchmark_id is not None:
            return BenchmarkChoice(benchmark=self.hook.get_benchmark(self.benchmark_id))
        try:
            return self.hook.choose_benchmark(
                str(self.benchmark),
                dataset_id=self.dataset_id,
                slice_id=self.source_slice_id,
                on_new_items=self.on_new_items,
                poll_interval=self.poll_interval,
                timeout=seconds(self.job_timeout),
                ride_out=ride_out_seconds(self.ride_out),
            )
        except NucleusConfigError as error:
            if self.slice_id is not None and error.field == "benchmark":
                error.add_hint(
                    "slice_id says of which items the numbers are; the slice a benchmark is made of is source_slice_id."
                )
            raise

    def start_jobs(self, resume_payload: dict[str, Any], intent: StartIntent) -> list[str]:
        """Start the evaluation, or find the one an earlier try started without living to record it; return its id."""
        known = self._known(resume_payload)
        if intent.earlier is not None and (found := self._unrecorded(known, resume_payload, intent.earlier)):
            return [found]
        if resume_payload["copy_from_run"]:
            answer = self.hook.copy_predictions_from_run(
                resume_payload["model_id"], resume_payload["copy_from_run"]
            )
            self.log.info("Copied the predictions of %s: %s", resume_payload["copy_from_run"], answer)
            resume_payload["not_copied"] = left = answer.get("predictions_skipped_unsupported")
            if left:
                self.log.warning(
                    "%s predictions of %s are of types that cannot be copied, and are not evaluated",
                    left,
                    resume_payload["copy_from_run"],
                )
        intent.record(max((one.created_at or "" for one in known), default=""))
        evaluation_id = self.hook.create_evaluation(
            resume_payload["benchmark_id"],
            model_id=None if resume_payload["model_run_id"] else resume_payload["model_id"],
            model_run_id=resume_payload["model_run_id"],
            name=resume_payload["name"],
            rollup_groups=[RollupGroup.from_wire(group) for group in resume_payload["rollup_groups"]] or None,
            exclusion_rules=resume_payload["exclusion_rules"] or None,
            options=resume_payload.get("options"),
        )
        self.log.info("Started evaluation %s on benchmark %s", evaluation_id, resume_payload["benchmark_id"])
        return [evaluation_id]

    def _known(self, resume_payload: Mapping[str, Any]) -> list[Evaluation]:
        """Return the evaluations of the model, or of the run, that there are."""
        if resume_payload["model_run_id"]:
            return self.hook.list_run_evaluations(resume_payload["model_run_id"])
        return self.hook.list_model_evaluations(resume_payload["model_id"])

    def _unrecorded(
        self, known: Sequence[Evaluation], resume_payload: Mapping[str, Any], since: str
    ) -> str | None:
        """Return the evaluation that carries our name, is about our benchmark, and is younger than *since*, if one is."""
        for one in known:
            fits = (one.name, one.benchmark_id) == (resume_payload["name"], resume_payload["benchmark_id"])
            well = one.state not in {EvaluationState.FAILED, EvaluationState.CANCELLED}
            # The mark itself is that of an evaluation of before.
            younger = not since or certainly_before(since, one.created_at or "")
            # A Nucleus without options says nothing of them.
            alike = one.options is None or check_evaluation_options(
                one.options
            ).to_wire() == resume_payload.get("options", {})
            if fits and alike and well and younger:
                self.log.info("Found evaluation %s, which an earlier try started", one.id)
                return one.id
        return None

    def _evaluation(self, evaluation_id: str) -> Evaluation:
        return self.hook.get_evaluation(evaluation_id)

    def _require_options(self, evaluation: Evaluation, resume_payload: Mapping[str, Any]) -> None:
        """Raise unless the evaluation has the options that were asked for: its numbers would be others than they seem."""
        wanted, found = resume_payload.get("options") or {}, evaluation.options or {}
        unknown = [name for name, value in wanted.items() if found.get(name) != value]
        if unknown:
            raise NucleusMetricsError(
                f"Evaluation {evaluation.id} was computed without {', '.join(unknown)}: this Nucleus does not know the option.",
                evaluation_id=evaluation.id,
                conn_id=self.nucleus_conn_id,
                hint="Leave it out, or evaluate on an embedded Nucleus.",
            )

    def _log_result(self, measurement: Measurement, evaluation: Evaluation) -> None:
        numbers, subject = measurement.overall.values, measurement.subject
        self.log.info(
            "Evaluation %s: mAP %s, TP %s, FP %s, FN %s, on %s items with ground truth of benchmark %s, version %s",
            evaluation.id,
            *(numbers[name] for name in ("ap", "tp", "fp", "fn")),
            measurement.coverage.with_ground_truth,
            subject.benchmark_name,
            subject.benchmark_version,
        )
        for text in (evaluation.error_message, *(note["text"] for note in measurement.notes)):
            if text:
                self.log.warning("Evaluation %s: %s", evaluation.id, text)
