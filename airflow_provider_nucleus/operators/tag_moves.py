"""A tag that one model of a family has, such as `champion`: found, moved, and given back.

Nucleus can change nothing of a model but its tags, so the tags say everything: `champion` is on the model in use, `champion:previous` on
the one before it, and `champion:evidence:<id>` beside `champion` names the evaluation or calculation that the model passed with. A family
is what a tag is moved within: the models of a name or `family` in their metadata, else the models with predictions on one dataset.

Nucleus has no exclusive change either. Who moves a tag gives it to the new model first, then takes it from those that had it, and looks
again: of two moves at once one stays, and the other one's task fails and says so.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError, NucleusRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_nucleus.hooks.nucleus import NucleusHook
    from airflow_provider_nucleus.schema.models import Model

__all__ = ["TagFamily", "TagMove", "move_tag"]

log = logging.getLogger(__name__)

_LOOKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFamily:
    """The models that a tag is moved within."""

    tag: str
    dataset_id: str | None = None
    family: str | None = None

    @property
    def previous_tag(self) -> str:
        """The tag of the model that had it before."""
        return f"{self.tag}:previous"

    @property
    def evidence_prefix(self) -> str:
        """The beginning of the tags that name the evidence."""
        return f"{self.tag}:evidence:"

    def tagged(self, hook: NucleusHook, tag: str, *, besides: str | None = None) -> list[Model]:
        """Return the models of the family with *tag*, by the listing of models; one of them may be left out.

        Raises NucleusConfigError where it cannot be known which models are of the family.
        """
        found = [model for model in hook.list_models() if tag in model.tags and model.id != besides]
        if self.family is not None:
            return [model for model in found if self.family in {model.name, model.metadata.get("family")}]
        if not found:
            return []
        if self.dataset_id is None:
            raise NucleusConfigError(
                f"{_names(found)} {'has' if len(found) == 1 else 'have'} tag {tag!r}, and it is not known whether it is the same family: the "
                "verdict names no dataset.",
                conn_id=hook.nucleus_conn_id,
                field="family",
                hint="Give family (the models' name, or 'family' in their metadata) or dataset_id. No tag was moved.",
            )
        runs = set(hook.dataset_model_runs(self.dataset_id))
        return [model for model in found if runs.intersection(hook.model_runs(model.id))]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMove:
    """The outcome of a move: `moved` is False when the model had the tag already, `previous` are the models that had it before."""

    model_id: str
    moved: bool
    previous: tuple[str, ...]


def move_tag(hook: NucleusHook, family: TagFamily, model_id: str, *, evidence: str | None = None) -> TagMove:
    """Give the tag to a model, take it from those of its family that have it, and mark them as previous. Repeating it changes nothing.

    Raises NucleusMetricsError when another task moved the tag at the same time, and it stays there.
    """
    holders = family.tagged(hook, family.tag, besides=model_id)
    model = hook.get_model(model_id)
    moved = family.tag not in model.tags
    if moved:
        hook.tag_model(model_id, [family.tag])
    if holders:
        # Before the next are marked: a retry must not find two generations, and not know which of them had it last.
        _forget_previous(hook, family, [model_id, *(holder.id for holder in holders)])
    for holder in holders:
        _hand_over(hook, family, holder)
    _settle(hook, family, model_id)
    _mark(hook, family, model_id, evidence)
    previous = holders or family.tagged(hook, family.previous_tag, besides=model_id)
    return TagMove(model_id=model_id, moved=moved, previous=tuple(each.id for each in previous))


def _hand_over(hook: NucleusHook, family: TagFamily, holder: Model) -> None:
    """Take the tag from a model that had it, the mark of its evidence with it."""
    # Marked first: if this task dies in between, a retry still knows which it was.
    hook.tag_model(holder.id, [family.previous_tag])
    _untag(hook, holder.id, [family.tag, *_evidence_of(family, holder)])
    log.info("Took tag %r from model %s (%s)", family.tag, holder.id, holder.reference_id or holder.name)


def _settle(hook: NucleusHook, family: TagFamily, model_id: str) -> None:
    """Look until the tag is on this model alone, or leave it to another that was given it at the same time.

    Of models that were given the tag at once, the one with the greatest id keeps it: every task comes to the same without having
    to know of the others.
    """
    for _ in range(_LOOKS):
        holders = {model.id for model in family.tagged(hook, family.tag)}
        if holders == {model_id}:
            return
        if model_id not in holders and not holders:
            hook.tag_model(model_id, [family.tag])
        elif model_id in holders and model_id == max(holders):
            for other in holders - {model_id}:
                _untag(hook, other, [family.tag])
        else:
            _untag(hook, model_id, [family.tag])
            raise NucleusMetricsError(
                f"Another task gave tag {family.tag!r} to {', '.join(sorted(holders - {model_id}))} at the same time; it stays there, and model "
                f"{model_id} does not have it.",
                model_id=model_id,
                dataset_id=family.dataset_id,
                conn_id=hook.nucleus_conn_id,
                hint="Clear the promotion that should win, and let promotions of one family run one at a time (max_active_tis_per_dag=1).",
            )
    raise NucleusMetricsError(
        f"Tag {family.tag!r} does not come to rest: other tasks move it as well.",
        model_id=model_id,
        conn_id=hook.nucleus_conn_id,
        hint="Let promotions of one family run one at a time (max_active_tis_per_dag=1), and clear this task.",
    )


def _forget_previous(hook: NucleusHook, family: TagFamily, besides: list[str]) -> None:
    """Take the mark of those that had the tag before from all but some."""
    for older in family.tagged(hook, family.previous_tag):
        if older.id not in besides:
            _untag(hook, older.id, [family.previous_tag])


def _mark(hook: NucleusHook, family: TagFamily, model_id: str, evidence: str | None) -> None:
    """Leave the evidence on the model that has the tag now."""
    model = hook.get_model(model_id)
    wanted = [] if evidence is None else [f"{family.evidence_prefix}{evidence}"]
    outdated = [tag for tag in _evidence_of(family, model) if tag not in wanted]
    if family.previous_tag in model.tags:
        outdated.append(family.previous_tag)
    if wanted:
        hook.tag_model(model_id, wanted)
    _untag(hook, model_id, outdated)


def _evidence_of(family: TagFamily, model: Model) -> list[str]:
    return [tag for tag in model.tags if tag.startswith(family.evidence_prefix)]


def _untag(hook: NucleusHook, model_id: str, tags: list[str]) -> None:
    """Remove tags; that none of them is there (any more) is fine."""
    if not tags:
        return
    try:
        hook.untag_model(model_id, tags)
    except NucleusRequestError as error:
        if error.status != 400:
            raise
        log.info("Model %s has none of %s any more", model_id, ", ".join(tags))


def _names(models: Iterable[Model]) -> str:
    return ", ".join(f"{model.id} ({model.reference_id or model.name})" for model in models)
