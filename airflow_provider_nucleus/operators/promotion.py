"""Promotion of a model that passed its gate: a tag such as `champion` is moved to it, and its measurement becomes the baseline."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError
from airflow_provider_nucleus.gating.accepted_batches import is_last
from airflow_provider_nucleus.gating.baseline import accept_again, confirm, is_left_out, measurement_id
from airflow_provider_nucleus.gating.batch_identity import is_later
from airflow_provider_nucleus.links.nucleus import NucleusModelLink
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.operators.tag_moves import TagFamily, move_tag
from airflow_provider_nucleus.tasks.arguments import DOCUMENT, ID, PLACE, TEXT, required
from airflow_provider_nucleus.tasks.baselines import baseline_store, record_decision
from airflow_provider_nucleus.tasks.current_task import task_name
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from airflow_provider_nucleus.tasks.judgements import is_whole, judgement_of
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.gating.baseline import BaselineRecord
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind
    from airflow_provider_nucleus.tasks.baselines import BaselineStore

__all__ = ["NucleusPromoteModelOperator"]

_DONE: Final = {"propose": "proposed", "confirm": "accepted", "reject": "rejected"}


class NucleusPromoteModelOperator(NucleusOperator):
    """Give a tag to the model that passed its gate, take it from the model that had it, and accept the new baseline.

    Refuses, and fails without a retry, where the verdict is no pass and nobody approved it, and where another model was accepted in the
    baseline record since the gate judged: that one it was not held against. A retry changes nothing that is done already.

    The model that had the tag is found in the listing of models: of those with the tag, the ones of `family`, else the ones with
    predictions on the candidate's dataset. It keeps `<tag>:previous`; the new one gets `<tag>:evidence:<id>` with the id of the
    evaluation or calculation that it passed with, for tags are all that Nucleus lets one change of a model. Of two promotions at once
    one wins, and the other fails and says so.

    To take a promotion back, give its result to `undo` of another task of this operator.

    Returns `model_id`, `tag`, `moved` (false where the model had it), `previous` (models that had it), `evidence`, `verdict`,
    `approved_by`, `judgement`, `baseline_record`, `family` and `dataset_id`.

    :param gate: the verdict: what the gate returned (`gate.output`), its judgement, or the place of that (templated)
    :param approval: what an approval behind the gate returned: `approved` promotes a model that did not pass (templated)
    :param undo: what an earlier promotion returned, instead of `gate`: its model gives the tag back to the one that had it (templated)
    :param tag: the tag (templated)
    :param family: models among which one has the tag: those of this name, or with this `family` in their metadata (templated)
    :param dataset_id: dataset among whose models one has the tag, where `family` is not given; the candidate's by default (templated)
    :param baseline_record: file of the baseline record; the gate's by default (templated)
    :param baseline_asset: asset whose state holds the baseline record, as of the gate (Airflow 3.3); it becomes an inlet of this task
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "gate": DOCUMENT,
        "approval": DOCUMENT,
        "undo": DOCUMENT,
        "tag": required(TEXT),
        "family": TEXT,
        "dataset_id": ID,
        "baseline_record": PLACE,
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"gate": "json", "approval": "json", "undo": "json"}
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusModelLink(),)

    def __init__(
        self,
        *,
        gate: Any = None,
        approval: Any = None,
        undo: Any = None,
        tag: str = "champion",
        family: str | None = None,
        dataset_id: str | None = None,
        baseline_record: str | None = None,
        baseline_asset: Any = None,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.gate = gate
        self.approval = approval
        self.undo = undo
        self.tag = tag
        self.family = family
        self.dataset_id = dataset_id
        self.baseline_record = baseline_record
        self.baseline_asset = baseline_asset
        if baseline_asset is not None and baseline_asset not in self.inlets:
            self.inlets = [*self.inlets, baseline_asset]

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        named: Any = self.gate or self.undo
        if isinstance(named, dict):
            candidate = named.get("candidate") or named
            named = candidate.get("model_name") or candidate.get("model_id") or self.tag
        return short_label(named or self.tag)

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the tag and accept the baseline, or take a promotion back."""
        self.read_arguments()
        given: list[Any] = [self.gate, self.undo]
        if sum(each is not None for each in given) != 1:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: give gate, to promote, or undo, to take a promotion back.",
                conn_id=self.nucleus_conn_id,
                field="gate",
                hint="A gate that failed before it judged has no result; look at its log.",
            )
        return self._promote(context) if self.undo is None else self._take_back(context, given[1])

    def _promote(self, context: Context) -> dict[str, Any]:
        judgement = judgement_of(self.gate)
        subject = judgement.candidate.subject
        approved_by = self._require_verdict(judgement)
        named = subject.model_id or subject.model_run_id
        if named is None:
            raise NucleusConfigError(
                "The verdict does not say which model was judged.",
                field="gate",
                hint="Measure it with NucleusCalculateMetricsOperator or NucleusEvaluateModelOperator.",
            )
        model = self.hook.get_model(named)
        evidence = self._evidence(judgement)
        store = self._store(context)
        if store is not None and evidence is not None:
            self._require_current(store.read(), judgement, evidence, store=store)
        family = self._family(self.dataset_id or subject.dataset_id)
        self.link_to(context, model_id=model.id)
        move = move_tag(self.hook, family, model.id, evidence=evidence)
        self.log.info(
            "Tag %r %s model %s (%s); before it: %s",
            self.tag,
            "moved to" if move.moved else "was on",
            model.id,
            model.reference_id or model.name,
            ", ".join(move.previous) or "none",
        )
        if store is not None:
            self._accept(store, judgement, evidence, context)
        return checked_xcom({
            "model_id": model.id,
            "reference_id": model.reference_id,
            "tag": self.tag,
            "moved": move.moved,
            "previous": list(move.previous),
            "evidence": evidence,
            "verdict": judgement.verdict.status,
            "approved_by": approved_by,
            "judgement": self._place,
            "baseline_record": None if store is None else store.place,
            "family": self.family,
            "dataset_id": family.dataset_id,
        })

    def _require_verdict(self, judgement: Judgement) -> str | None:
        """Return who approved a model that did not pass, None for one that did; raises GateStoppedError for any other."""
        status, approval = judgement.verdict.status, self.approval
        if status == "pass":
            return None
        decision = approval if isinstance(approval, dict) else {}
        same = decision.get("judgement") in {None, self._place}
        if decision.get("decision") == "approved" and same:
            return str(decision.get("by") or "an approval")
        subject = judgement.candidate.subject
        why = "the approval is of another judgement" if decision and not same else "nobody approved it"
        raise GateStoppedError(
            f"Model {subject.model_name or subject.model_id} is not promoted: its verdict is {status}, and {why}: "
            f"{'; '.join(judgement.verdict.reasons[:5])}.",
            verdict=status,
            reasons=list(judgement.verdict.reasons),
            judgement=self._place,
            hint=f"Tag {self.tag!r} stays where it is. Give the result of an approval as approval= to let people decide.",
        )

    def _require_current(
        self, record: BaselineRecord, judgement: Judgement, proposal: str, *, store: BaselineStore
    ) -> None:
        """Raise GateStoppedError if the candidate was rejected, or another was accepted since its gate judged.

        Who approved it knew what was accepted then; what was decided since stands.
        """
        if (reason := self._outdated(record, judgement, proposal, store=store)) is not None:
            raise GateStoppedError(
                f"{proposal} is not promoted: {reason}.",
                verdict=judgement.verdict.status,
                judgement=self._place,
                hint=f"The record is {store.place}; tag {self.tag!r} stays where it is. Clear the gate to have the model judged against what is "
                "accepted now; a measurement that was accepted once has to be made anew before.",
            )

    def _outdated(
        self, record: BaselineRecord, judgement: Judgement, proposal: str, *, store: BaselineStore
    ) -> str | None:
        """Return why the candidate cannot be accepted any more, None where it can or is."""
        current, approved = record.accepted, judgement.verdict.status != "pass"
        accepted = None if current is None else current.id
        model_id = None if current is None else current.measurement.subject.model_id
        is_of_current = judgement.candidate.subject.model_id == model_id
        past = [each.measurement.subject.model_id for each in record.history if each.id == proposal]
        if accepted == proposal or model_id in past or (is_of_current and is_left_out(record, proposal)):
            return None
        last = next(
            (each for each in reversed(record.decisions) if each.id == proposal and each.action != "pin"),
            None,
        )
        entry = next((each for each in record.proposals if each.id == proposal), None)
        if entry is not None:
            if entry.before != accepted and not approved:
                return f"{accepted} was accepted after it was judged, against {entry.before or 'nothing'}"
            if entry.measurement.subject.model_id != model_id and not is_last(record, entry):
                return f"{accepted}, which is accepted, is of another model on a later batch"
        elif last is not None:
            return f"it was {_DONE[last.action]} by {last.by} and waits no more, and {accepted or 'nothing'} is accepted"
        elif past or self._was_proposed(proposal, store):
            # So long ago that the record has forgotten what became of it.
            return f"it waits no more, and {accepted or 'nothing'} is accepted"
        elif current is not None and not is_of_current:
            decided = self.approval.get("at") if approved else judgement.judged_at
            if is_later(current.at, decided):
                return f"{accepted}, which is accepted, is of another model that came later, at {current.at}"
        return None

    def _was_proposed(self, proposal: str, store: BaselineStore) -> bool:
        """Return whether the gate says that it put the candidate forward in this record."""
        found: Any = self.gate
        return (
            isinstance(found, dict)
            and found.get("proposal") == proposal
            and found.get("baseline_record") == store.place
        )

    def _accept(
        self, store: BaselineStore, judgement: Judgement, evidence: str | None, context: Context
    ) -> None:
        by, at = task_name(context), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        note = f"promoted to {self.tag}"
        if is_whole(judgement):
            record_decision(
                store,
                judgement.candidate,
                approved=True,
                by=by,
                at=at,
                verdict=judgement.verdict.status,
                evidence=self._place,
                note=note,
            )
        elif evidence is not None:
            store.change(lambda record: confirm(record, evidence, by=by, at=at, note=note))
        self.log.info("Accepted in %s", store.place)

    def _take_back(self, context: Context, promotion: Mapping[str, Any]) -> dict[str, Any]:
        """Give the tag back to the model that had it before, unless another promotion came after the one that is taken back."""
        model_id, before = str(promotion.get("model_id")), list(promotion.get("previous") or ())
        self.tag, self.family = promotion.get("tag") or self.tag, promotion.get("family") or self.family
        family = self._family(promotion.get("dataset_id") or self.dataset_id)
        if len(before) != 1:
            raise NucleusConfigError(
                f"The promotion of {model_id} names {len(before)} models that had tag {self.tag!r} before: it is not known which gets it back.",
                conn_id=self.nucleus_conn_id,
                field="undo",
                hint="Tag a model by hand, or promote another one. Nothing was changed.",
            )
        (previous,) = before
        holders = {model.id for model in family.tagged(self.hook, self.tag)}
        if not holders <= {model_id, previous}:
            raise NucleusMetricsError(
                f"Tag {self.tag!r} is on {', '.join(sorted(holders))} now: another promotion came after that of {model_id}.",
                model_id=model_id,
                conn_id=self.nucleus_conn_id,
                hint="Nothing was changed; take back that promotion first.",
            )
        self.link_to(context, model_id=previous)
        move = move_tag(self.hook, family, previous)
        self.log.info("Tag %r is back on model %s, taken from %s", self.tag, previous, model_id)
        store = self._store(context, promotion.get("baseline_record"))
        if store is not None:
            self._accept_again(store, previous, model_id, context)
        return checked_xcom({
            "model_id": previous,
            "tag": self.tag,
            "moved": move.moved,
            "previous": [model_id],
            "evidence": None,
            "verdict": None,
            "approved_by": None,
            "judgement": None,
            "baseline_record": None if store is None else store.place,
            "family": self.family,
            "dataset_id": family.dataset_id,
        })

    def _accept_again(self, store: BaselineStore, previous: str, model_id: str, context: Context) -> None:
        """Accept the last accepted measurement of *previous* once more."""
        by, at = task_name(context), dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

        def step(record: BaselineRecord) -> BaselineRecord:
            if record.accepted is None or record.accepted.measurement.subject.model_id != model_id:
                return record
            past = [each for each in record.history if each.measurement.subject.model_id == previous]
            if not past:
                self.log.warning(
                    "%s remembers no measurement of model %s: %s stays accepted; confirm another one there",
                    store.place,
                    previous,
                    record.accepted.id,
                )
                return record
            entry, note = past[-1], f"the promotion of {model_id} was taken back"
            return accept_again(record, entry, by=by, at=at, note=note)

        store.change(step)

    def _evidence(self, judgement: Judgement) -> str | None:
        """Return the id of what the model was judged by, as the baseline record has it."""
        if isinstance(self.gate, dict) and self.gate.get("proposal"):
            return str(self.gate["proposal"])
        if is_whole(judgement):
            return measurement_id(judgement.candidate)
        return judgement.candidate.subject.evaluation_id or judgement.candidate.subject.job_id

    def _family(self, dataset_id: str | None) -> TagFamily:
        return TagFamily(
            tag=str(self.tag), family=self.family, dataset_id=None if self.family else dataset_id
        )

    def _store(self, context: Context, named: Any = None) -> BaselineStore | None:
        if named is None and isinstance(self.gate, dict):
            named = self.gate.get("baseline_record")
        place: Any = self.baseline_record or (None if self.baseline_asset is not None else named)
        return baseline_store(place, self.baseline_asset, context)

    @property
    def _place(self) -> str | None:
        """Place of the judgement, as the gate names it."""
        found: Any = self.gate.get("judgement") if isinstance(self.gate, dict) else self.gate
        return str(found) if isinstance(found, str) else None
