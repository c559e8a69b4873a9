"""Gate of a pipeline: a model's numbers against a policy, and what comes after it runs, is skipped, or fails."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BranchMixIn

from airflow_provider_nucleus.assets.announcing import withhold
from airflow_provider_nucleus.assets.event_content import judgement_event
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.hooks.comparing import compare_measured
from airflow_provider_nucleus.hooks.measuring import measure
from airflow_provider_nucleus.lineage.facts import judgement_facts
from airflow_provider_nucleus.links.nucleus import NucleusDatasetLink, NucleusEvaluationLink, NucleusModelLink
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.operators.base import with_inlet
from airflow_provider_nucleus.tasks.arguments import (
    CONFIDENCE,
    DOCUMENTS,
    ID,
    OBJECT,
    PLACE,
    POLICY,
    TEXT,
    NumberArgument,
    required,
)
from airflow_provider_nucleus.tasks.branching import branch_refusal
from airflow_provider_nucleus.tasks.gating import GateRequest, decide, stop
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind
    from airflow_provider_nucleus.tasks.gating import ServerComparison

__all__ = ["NucleusGateOperator"]

_OUTCOMES = ("fail", "skip", "branch")
_CONFIRM = ("promotion", "auto")


class NucleusGateOperator(NucleusAnnouncingOperator, BranchMixIn):
    """Judge a candidate by a policy; fail, skip or branch where the policy stops it.

    Every rule is judged and everything is stored before anything is raised: the judgement as a document, the result as this task's XCom
    (of a failed or skipped task as well), the links. The log has one line for each rule, the worst first. A verdict that stops is never
    retried, for it would be the same again; clear the task to have it judged anew.

    Returns `verdict` (`pass`, `fail`, `inconclusive`), `stopped`, `reasons`, `judgement` (place of the document), `score`, `candidate` and
    `baseline` (what was measured), `changes` (objects fixed and broken), `proposal` and `baseline_record`, `links`, and `results`, the
    worst first, as many as an XCom should hold of `results_total`.

    :param candidate: the model that is judged: what a metrics or evaluation task returned (`metrics.output`), a measurement or its
        place; what an upload of predictions returned, or the mapped uploads of all shards (their profile, no ground truth needed); or the
        id of a model, with `dataset_id` (templated)
    :param policy: the rules: an object, a `Policy`, or the path or URL of a YAML file (templated)
    :param baseline: what changes are measured from, in the same forms: the model in production on the same items. Without it they are
        measured from what the baseline record accepted last (templated)
    :param numbers: further numbers of the candidate for rules of scope `supplied`, for example `{"latency_ms": 41.5}` (templated)
    :param baseline_numbers: those of the baseline (templated)
    :param profile: profile of the candidate's predictions, for rules of scope `profile`: what the upload returned, or the place of a
        profile (templated)
    :param dataset_id: dataset of a candidate and a baseline that are ids of models; their last calculated matches are read from the
        server (templated)
    :param slice_id: slice that these numbers are of (templated)
    :param query: query, instead of a slice (templated)
    :param iou_threshold: least overlap of a true positive of these numbers (templated)
    :param confidence: least confidence of the predictions that count, on both sides, or `best`: of each model its own cut of the best F1.
        Both sides need their matches (`report=` of a metrics task); all predictions count by default (templated)
    :param judgement: file to write the judgement to, as JSON: a local path or any URL that Airflow can write, packed with `.gz`; that of
        a mapped task has `.map<map index>` before its suffix. What is wrong with it fails the task before anything is judged; if it
        cannot be written later on, `judgement_error` in the result says why (templated)
    :param baseline_record: JSON file with the baseline record: the pinned reference, what was accepted last, and the window of accepted
        batches. A candidate that passes is proposed there (templated)
    :param baseline_asset: asset whose state holds the baseline record instead (Airflow 3.3); it becomes an inlet of this task
    :param confirm: who accepts a proposal: `promotion` (NucleusPromoteModelOperator, or an approval), or `auto`, the gate itself
    :param outcome: what a stopping verdict does: `fail` the task, `skip` it (with what needs its success), or `branch` to `on_stop`. A
        branch is refused inside mapped task groups on Airflow 3.2 and 3.3, which would run what was not chosen
    :param on_pass: task ids to go on with, of a branch
    :param on_stop: task ids to go on with where the policy stops, of a branch
    :param fail_on: in place of the policy's: `error`, `warn` or `never` (templated)
    :param on_inconclusive: in place of the policy's: `fail` or `pass` (templated)
    :param on_missing_baseline: in place of the policy's: `inconclusive`, `pass` or `fail` (templated)
    :param partition_key: partition of the events of this task's outlets, which happen on a pass only (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to use; links and models by their ids need one (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "candidate": required(DOCUMENTS),
        "policy": required(POLICY),
        "baseline": DOCUMENTS,
        "numbers": OBJECT,
        "baseline_numbers": OBJECT,
        "profile": DOCUMENTS,
        "dataset_id": ID,
        "slice_id": ID,
        "query": TEXT,
        "iou_threshold": NumberArgument(low=0, high=1),
        "confidence": CONFIDENCE,
        "judgement": PLACE,
        "baseline_record": PLACE,
        "fail_on": TEXT,
        "on_inconclusive": TEXT,
        "on_missing_baseline": TEXT,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "candidate": "json",
        "baseline": "json",
        "numbers": "json",
        "policy": "json",
    }
    operator_extra_links: Sequence[BaseOperatorLink] = (
        NucleusEvaluationLink(),
        NucleusDatasetLink(),
        NucleusModelLink(),
    )
    _can_skip_downstream = True

    def __init__(
        self,
        *,
        candidate: Any,
        policy: Any,
        baseline: Any = None,
        numbers: Mapping[str, float] | str | None = None,
        baseline_numbers: Mapping[str, float] | str | None = None,
        profile: Any = None,
        dataset_id: str | None = None,
        slice_id: str | None = None,
        query: str | None = None,
        iou_threshold: float | str = 0.5,
        confidence: float | str | None = None,
        judgement: str | None = None,
        baseline_record: str | None = None,
        baseline_asset: Any = None,
        confirm: Literal["promotion", "auto"] = "promotion",
        outcome: Literal["fail", "skip", "branch"] = "fail",
        on_pass: str | Sequence[str] | None = None,
        on_stop: str | Sequence[str] | None = None,
        fail_on: str | None = None,
        on_inconclusive: str | None = None,
        on_missing_baseline: str | None = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        if outcome not in _OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(_OUTCOMES)}, not {outcome!r}")
        if confirm not in _CONFIRM:
            raise ValueError(f"confirm must be one of {', '.join(_CONFIRM)}, not {confirm!r}")
        if (outcome == "branch") != bool(on_pass or on_stop):
            raise ValueError(
                "on_pass and on_stop are where outcome='branch' goes on: give at least one of them with it, and only with it"
            )
        if baseline_asset is not None:
            kwargs["inlets"] = with_inlet(kwargs.get("inlets"), baseline_asset)
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.candidate = candidate
        self.policy = policy
        self.baseline = baseline
        self.numbers = numbers
        self.baseline_numbers = baseline_numbers
        self.profile = profile
        self.dataset_id = dataset_id
        self.slice_id = slice_id
        self.query = query
        self.iou_threshold = iou_threshold
        self.confidence = confidence
        self.judgement = judgement
        self.baseline_record = baseline_record
        self.baseline_asset = baseline_asset
        self.confirm = confirm
        self.outcome = outcome
        self.on_pass = on_pass
        self.on_stop = on_stop
        self.fail_on = fail_on
        self.on_inconclusive = on_inconclusive
        self.on_missing_baseline = on_missing_baseline
        if outcome == "branch" and (reason := branch_refusal(self)) is not None:
            raise ValueError(reason)

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface: the model that is judged."""
        candidate = self.candidate
        if isinstance(candidate, dict):
            candidate = (
                candidate.get("model_id") or (candidate.get("subject") or {}).get("model_id") or "candidate"
            )
        return short_label(candidate)

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the candidate, store the evidence, and then let the pipeline go on or not."""
        self.read_arguments()
        if (
            self.outcome == "branch"
            and (reason := branch_refusal(self, mapped=context["ti"].map_index)) is not None
        ):
            raise NucleusConfigError(reason, conn_id=self.nucleus_conn_id, field="outcome")
        request = GateRequest(**{each.name: getattr(self, each.name) for each in fields(GateRequest)})
        request = replace(request, candidate=self._side(self.candidate), baseline=self._side(self.baseline))
        judgement, result = decide(request, context, measure=self._measured, compare=self._compared)
        self.lineage = judgement_facts(
            judgement, results=(result["judgement"],) if result["judgement"] else ()
        )
        self._link(judgement, context)
        if self.do_xcom_push:
            # Airflow stores what a task returns only if it succeeds; whoever comes after a stop needs it as well.
            context["ti"].xcom_push(key="return_value", value=result)
        if judgement.verdict.stopped and self.outcome != "branch":
            stop(judgement, result, outcome=self.outcome)
        if judgement.verdict.status == "pass":
            self.announce(context, judgement_event(judgement, links=result["links"]), kind="accepted")
        else:
            withhold(context, f"the verdict is {judgement.verdict.status}")
        if self.outcome == "branch":
            chosen = self.on_stop if judgement.verdict.stopped else self.on_pass
            self.do_branch(context, [chosen] if isinstance(chosen, str) else list(chosen or ()))
        return result

    def _side(self, value: Any) -> Any:
        """Return candidate or baseline; an id of a model as the ids that its numbers are read by."""
        if self.dataset_id is None or not isinstance(value, str):
            return value
        return {
            "dataset_id": self.dataset_id,
            "model_id": value,
            "slice_id": self.slice_id,
            "query": self.query,
        }

    def _measured(self, ids: Mapping[str, Any]) -> Measurement:
        """Read the numbers of a model from the matches of its last calculation."""
        model = self.hook.get_model(ids["model_id"])
        return measure(
            self.hook,
            ids["dataset_id"],
            model.id,
            slice_id=ids.get("slice_id"),
            query=ids.get("query"),
            iou_threshold=float(ids.get("iou_threshold") or self.iou_threshold),
        )

    def _compared(self, candidate: Measurement, baseline: Measurement) -> ServerComparison | None:
        """Have the server compare two evaluations; nothing is asked of it where both are no evaluations."""
        if candidate.subject.evaluation_id is None or baseline.subject.evaluation_id is None:
            return None
        try:
            return compare_measured(self.hook, candidate, baseline)
        except AirflowNotFoundException as error:
            self.log.info("Evaluations are compared without a server, and without intervals: %s", error)
            return None

    def _link(self, judgement: Judgement, context: Context) -> None:
        """Let the task's links point to what was judged; they are worth no failure."""
        subject = judgement.candidate.subject
        if not (subject.model_id or subject.dataset_id):
            return
        try:
            self.link_to(
                context,
                dataset_id=subject.dataset_id,
                model_id=subject.model_id,
                iou_threshold=judgement.candidate.iou_threshold,
            )
        except (NucleusConfigError, AirflowNotFoundException) as error:
            # Documents are judged without a server.
            self.log.info("No links: %s", error)
