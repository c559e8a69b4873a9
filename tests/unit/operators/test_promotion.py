"""Promotion: the tag moves on a pass only, from the model that had it, once, and back again."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusMetricsError
from airflow_provider_nucleus.gating.baseline import reject
from airflow_provider_nucleus.operators import tag_moves
from airflow_provider_nucleus.operators.promotion import NucleusPromoteModelOperator
from airflow_provider_nucleus.operators.tag_moves import TagFamily, move_tag
from airflow_provider_nucleus.tasks.baselines import FileBaseline
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from tests.unit.operators.fakes import context
from tests.unit.operators.test_gate import measured
from tests.unit.operators.test_gate import run as judged


@pytest.fixture
def models(hook, request):
    """Three models with predictions on one dataset, and one of another dataset, by name; `dataset` is the first one's."""
    datasets = {name: hook.create_dataset(f"{request.node.name} {name}") for name in ("dataset", "elsewhere")}
    found = {}
    for name in ("a", "b", "c", "stranger"):
        found[name] = hook.create_model(
            name, reference_id=f"{request.node.name} {name}", metadata={"family": request.node.name}
        )
        hook.ensure_model_run(datasets["elsewhere" if name == "stranger" else "dataset"], found[name])
    return found | datasets


def verdict(
    models: dict[str, str],
    name: str,
    *,
    f1: float = 0.7,
    job: str | None = None,
    batch: str | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Return what a gate leaves for a model."""
    document = measured(f1, model=models[name], job=job or f"job_{name}")
    document["subject"]["dataset_id"] = models["dataset"]
    if batch is not None:
        document["fingerprint"] |= {"scope": f"slice:{batch}", "ground_truth": job}
    found, xcoms = judged(document, **arguments)
    return found if isinstance(found, dict) else xcoms["return_value"]


def promote(gate: Any = None, **arguments: Any) -> dict[str, Any]:
    """Run a promotion."""
    task = NucleusPromoteModelOperator(task_id="promote", gate=gate, **arguments)
    return task.execute(context(task))


def tags(hook: Any, models: dict[str, str], *names: str) -> list[set[str]]:
    """Return the tags of models."""
    return [set(hook.get_model(models[name]).tags) for name in names]


def test_the_tag_moves_and_names_what_it_rests_on(hook, models):
    """One model of the dataset has it, one had it before, and each says so; others keep theirs."""
    hook.tag_model(models["stranger"], ["champion"])
    first, second, third = (promote(verdict(models, name)) for name in "abc")

    assert (first["previous"], second["previous"], third["previous"]) == ([], [models["a"]], [models["b"]])
    assert [each["moved"] for each in (first, second, third)] == [True] * 3
    assert tags(hook, models, "a", "b", "c", "stranger") == [
        set(),
        {"champion:previous"},
        {"champion", "champion:evidence:job_c"},
        {"champion"},
    ]
    assert (third["evidence"], third["verdict"], third["approved_by"]) == ("job_c", "pass", None)


def test_a_retry_changes_nothing_and_says_the_same(hook, models):
    """Who had the tag before is known from the tags alone."""
    promote(verdict(models, "a"))
    gate = verdict(models, "b")
    first = promote(gate)
    before = tags(hook, models, "a", "b")
    again = promote(gate)

    assert tags(hook, models, "a", "b") == before
    assert again == first | {"moved": False}


@pytest.mark.parametrize("after", ["tag_model", "untag_model"])
def test_a_promotion_that_died_is_finished_by_its_retry(hook, models, monkeypatch, after):
    """Wherever it died; at no time does no model have the tag."""
    promote(verdict(models, "a"))
    gate = verdict(models, "b")
    task = NucleusPromoteModelOperator(task_id="promote", gate=gate)
    real = getattr(task.hook, after)

    def die(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(task.hook, after, die)
    with pytest.raises(KeyboardInterrupt):
        task.execute(context(task))
    assert any("champion" in each for each in tags(hook, models, "a", "b"))

    assert promote(gate)["previous"] == [models["a"]]
    assert tags(hook, models, "a", "b") == [{"champion:previous"}, {"champion", "champion:evidence:job_b"}]


def test_a_promotion_that_died_before_its_marks_leaves_one_previous(hook, models, monkeypatch):
    """Between the tag and the marks: the one before the last is previous no more, and the retry knows which gets it back."""
    for name in "ab":
        promote(verdict(models, name))
    gate = verdict(models, "c")
    with monkeypatch.context() as patch:
        patch.setattr(tag_moves, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(gate)

    again = promote(gate)
    assert again["previous"] == [models["b"]]
    assert tags(hook, models, "a", "b") == [set(), {"champion:previous"}]
    assert promote(undo=again)["model_id"] == models["b"]


@pytest.mark.parametrize("status", ["fail", "inconclusive"])
def test_what_did_not_pass_is_refused(hook, models, status):
    """With the reasons of the verdict; a gate that lets it go on does not make it a champion."""
    gate = verdict(models, "a", f1={"fail": 0.5, "inconclusive": None}[status], fail_on="never")
    assert gate["stopped"] is False
    with pytest.raises(
        GateStoppedError,
        match=rf"is not promoted: its verdict is {status}, and nobody approved it: f1-floor: .*stays where it is",
    ):
        promote(gate)

    assert tags(hook, models, "a") == [set()]


def test_an_approval_promotes_what_it_was_given_for(hook, models, tmp_path):
    """The approval of this judgement, and of no other."""
    gate = verdict(models, "a", f1=0.5, judgement=str(tmp_path / "j.json"))
    approval = {"decision": "approved", "by": "ada", "judgement": gate["judgement"]}
    for wrong in (
        {**approval, "decision": "rejected"},
        {**approval, "judgement": "other.json"},
        {"decision": "not_needed"},
    ):
        with pytest.raises(GateStoppedError):
            promote(gate, approval=wrong)

    assert promote(gate, approval=approval)["approved_by"] == "ada"
    assert "champion" in tags(hook, models, "a")[0]


def test_the_baseline_is_accepted_with_the_promotion(models, tmp_path):
    """Proposed by the gate, accepted here, with who and when; once."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    gate = verdict(models, "a", baseline_record=record.file, judgement=str(tmp_path / "j.json.gz"))
    assert record.read().accepted is None
    result = promote(gate)
    found = record.read()

    assert result["baseline_record"] == record.file
    assert (found.accepted.id, found.reference.id, found.accepted.evidence) == (
        "job_a",
        "job_a",
        gate["judgement"],
    )
    assert [(each.action, each.by) for each in found.decisions][1] == ("confirm", "dag/run/promote")
    promote(gate)
    assert record.read() == found


def test_without_its_document_a_proposal_is_accepted_by_its_id(models, tmp_path):
    """The gate had no place for the judgement."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    promote(verdict(models, "a", baseline_record=record.file))

    assert record.read().accepted.id == "job_a"


def test_a_verdict_that_is_out_of_date_is_refused(hook, models, tmp_path):
    """Two models passed against the same champion: the second was not held against the first."""
    record = str(tmp_path / "baseline.json")
    gates = [verdict(models, name, baseline_record=record) for name in "ab"]
    promote(gates[0])
    with pytest.raises(
        GateStoppedError,
        match=r"job_b is not promoted: job_a was accepted after it was judged, against nothing",
    ):
        promote(gates[1])
    assert [("champion" in each) for each in tags(hook, models, "a", "b")] == [True, False]

    promote(verdict(models, "b", baseline_record=record, job="job_b2"))
    assert [("champion" in each) for each in tags(hook, models, "a", "b")] == [False, True]


def test_a_proposal_that_was_rejected_is_not_promoted(hook, models, tmp_path):
    """Whatever its verdict was."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    gate = verdict(models, "a", baseline_record=record.file)
    record.change(lambda found: reject(found, by="ada", at="2026-12-01T00:00:00+00:00"))
    with pytest.raises(GateStoppedError, match="it was rejected by ada"):
        promote(gate)

    assert tags(hook, models, "a") == [set()]


@pytest.mark.parametrize("whole", [True, False])
def test_an_old_promotion_that_is_cleared_is_refused(hook, models, tmp_path, whole):
    """A month later, when the record's decisions do not reach back so far: what was accepted and replaced does not come back."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    place = {"judgement": str(tmp_path / "old.json")} if whole else {}
    old = verdict(models, "a", baseline_record=record.file, **place)
    promote(old)
    for day in range(45):
        verdict(models, "b", job=f"job_{day}", baseline_record=record.file, confirm="auto")
    promote(verdict(models, "b", job="job_44", baseline_record=record.file))

    with pytest.raises(
        GateStoppedError, match="job_a is not promoted: it waits no more, and job_44 is accepted"
    ):
        promote(old)
    assert tags(hook, models, "b") == [{"champion", "champion:evidence:job_44"}]
    assert record.read().accepted.id == "job_44"


@pytest.mark.parametrize("f1", [0.7, 0.4])
@pytest.mark.parametrize(
    ("days", "why"),
    [
        (25, "it waits no more, and job_24"),
        (45, "job_44, which is accepted, is of another model that came later"),
    ],
)
def test_what_the_record_has_forgotten_is_refused_by_its_time(hook, models, tmp_path, f1, days, why):
    """A verdict by its place, or one that a person approved: the gate does not say that it put this forward."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    place, then = tmp_path / "old.json", "2026-01-01T00:00:00+00:00"
    verdict(models, "a", f1=f1, judgement=str(place), baseline_record=record.file)
    place.write_text(json.dumps(json.loads(place.read_text()) | {"judged_at": then}))
    approval = (
        {"decision": "approved", "by": "ada", "at": then, "judgement": str(place)} if f1 < 0.6 else None
    )
    promote(str(place), approval=approval, baseline_record=record.file)
    for day in range(days):
        gate = verdict(
            models, "b", f1=0.7 + day / 1000, job=f"job_{day}", baseline_record=record.file, confirm="auto"
        )
    promote(gate)

    with pytest.raises(GateStoppedError, match=f"job_a is not promoted: {why}") as refused:
        promote(str(place), approval=approval, baseline_record=record.file)
    assert refused.value.verdict == ("fail" if approval else "pass")
    assert [("champion" in each) for each in tags(hook, models, "a", "b")] == [False, True]


def test_an_old_approval_that_is_cleared_is_refused(hook, models, tmp_path):
    """A person accepted it then; somebody accepted another since."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    gate = verdict(models, "a", f1=0.4, judgement=str(tmp_path / "old.json"), baseline_record=record.file)
    approval = {"decision": "approved", "by": "ada", "judgement": gate["judgement"]}
    promote(gate, approval=approval)
    promote(verdict(models, "b", baseline_record=record.file))

    with pytest.raises(
        GateStoppedError, match=r"job_a is not promoted: it was accepted by .* and waits no more, and job_b"
    ):
        promote(gate, approval=approval)
    assert record.read().accepted.id == "job_b"


def test_a_promotion_that_was_taken_back_is_no_batch_of_the_window(models, tmp_path):
    """Nor is the one that gets the baseline back there twice."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    for name in "ab":
        promote(verdict(models, name, baseline_record=record.file))
    promote(undo=promote(verdict(models, "c", baseline_record=record.file)))

    found = record.read()
    assert ([each.id for each in found.history], found.accepted.id) == (["job_a"], "job_b")


def test_late_labels_of_an_older_batch_move_no_tag_to_another_model(hook, models, tmp_path):
    """Of the model that has the tag they are accepted, twice the same; of another one they are refused."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    passes = {
        "baseline_record": record.file,
        "policy": {"rules": [{"id": "f1", "metric": "f1", "min": 0.6, "min_support": 0}]},
    }
    promote(verdict(models, "a", job="job_1", batch="slc_1", **passes))
    promote(verdict(models, "b", job="job_2", batch="slc_1", **passes))
    promote(verdict(models, "b", job="job_3", batch="slc_2", **passes))

    own = verdict(models, "b", job="job_4", batch="slc_1", **passes)
    assert [promote(own)["moved"] for _ in range(2)] == [False, False]
    with pytest.raises(
        GateStoppedError, match=r"job_3/slice:slc_2, which is accepted, is of another model on a later batch"
    ):
        promote(verdict(models, "a", job="job_5", batch="slc_1", **passes))

    found = record.read()
    assert tags(hook, models, "a") == [{"champion:previous"}]
    assert [one.id for one in found.history] == ["job_1/slice:slc_1", "job_4/slice:slc_1"]
    assert found.accepted.id == "job_3/slice:slc_2"


def test_a_promotion_with_a_batch_of_long_ago_can_be_tried_again(hook, models, tmp_path):
    """Its labels came when thirty others had been accepted: it is in no window, and the retry finds it done."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    passes = {
        "baseline_record": record.file,
        "policy": {"rules": [{"id": "f1", "metric": "f1", "min": 0.6, "min_support": 0}]},
    }
    for day in range(33):
        verdict(models, "a", job=f"job_{day}", batch=f"slc_{day}", confirm="auto", **passes)
    late = verdict(
        models, "a", job="job_late", batch="slc_1", judgement=str(tmp_path / "late.json"), **passes
    )
    promote(late)
    found = record.read()

    assert promote(late)["moved"] is False
    assert record.read() == found
    assert (found.accepted.id, found.proposals) == ("job_32/slice:slc_32", [])
    assert tags(hook, models, "a") == [{"champion", "champion:evidence:job_late/slice:slc_1"}]


def test_a_promotion_is_taken_back(hook, models, tmp_path):
    """Tag and baseline; twice is once; and not when another promotion came after it."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    first = promote(verdict(models, "a", baseline_record=record.file))
    second = promote(verdict(models, "b", baseline_record=record.file))
    undone = promote(undo=second)

    assert (undone["model_id"], undone["previous"], undone["moved"]) == (models["a"], [models["b"]], True)
    assert tags(hook, models, "a", "b") == [{"champion"}, {"champion:previous"}]
    assert record.read().accepted.measurement.subject.model_id == models["a"]
    assert record.read().decisions[-1].note == f"the promotion of {models['b']} was taken back"
    revision = record.read().revision
    assert promote(undo=second)["moved"] is False
    assert record.read().revision == revision

    promote(verdict(models, "c", job="job_c"))
    with pytest.raises(NucleusMetricsError, match="another promotion came after"):
        promote(undo=second)
    with pytest.raises(NucleusConfigError, match="names 0 models that had tag"):
        promote(undo=first)


def test_of_promotions_at_once_one_stays(hook, models):
    """Each gives the tag to its model before it looks for others: one has it in the end, and the others' tasks fail."""
    promote(verdict(models, "c"))
    family = TagFamily(tag="champion", dataset_id=models["dataset"])
    barrier = threading.Barrier(2)
    outcomes: dict[str, Any] = {}

    def move(name: str) -> None:
        from airflow_provider_nucleus.hooks.nucleus import NucleusHook

        with NucleusHook() as own:
            listed, first = own.list_models, [True]

            def list_together() -> Any:
                found = listed()
                if first.pop() if first else False:
                    barrier.wait(timeout=30)
                return found

            own.list_models = list_together
            try:
                outcomes[name] = move_tag(own, family, models[name])
            except NucleusMetricsError as error:
                outcomes[name] = error

    tasks = [threading.Thread(target=move, args=(name,)) for name in "ab"]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    holders = [
        name for name, found in zip("abc", tags(hook, models, *"abc"), strict=True) if "champion" in found
    ]

    assert len(holders) == 1
    assert not isinstance(outcomes[holders[0]], Exception)
    (loser,) = {"a", "b"} - set(holders)
    assert isinstance(outcomes[loser], NucleusMetricsError)
    assert "at the same time" in str(outcomes[loser])


def test_a_family_is_a_name_or_what_the_metadata_say(hook, models, request):
    """Across datasets; without either, the tag of a model is not taken on a guess."""
    hook.tag_model(models["stranger"], ["champion"])
    gate = verdict(models, "a")
    assert promote(gate, family=request.node.name)["previous"] == [models["stranger"]]

    no_dataset = measured(0.7, model=models["b"], job="job_b")
    no_dataset["subject"]["dataset_id"] = None
    with pytest.raises(
        NucleusConfigError, match=r"not known whether it is the same family.*No tag was moved"
    ):
        promote(judged(no_dataset)[0])
    assert tags(hook, models, "b") == [set()]


@pytest.mark.parametrize("arguments", [{}, {"gate": {"verdict": "pass"}, "undo": {"model_id": "prj_1"}}])
def test_a_verdict_or_a_promotion_is_given(arguments):
    """A gate that died has no result, and nothing is promoted for that."""
    with pytest.raises(NucleusConfigError, match="give gate, to promote, or undo"):
        promote(**arguments)


def test_the_record_in_an_asset_needs_the_asset(models):
    """Said before a tag moves."""
    gate = verdict(models, "a") | {"baseline_record": "asset:nucleus://accepted/x/y", "proposal": "job_a"}
    with pytest.raises(NucleusConfigError, match=r"state of 'nucleus://accepted/x/y'.*Nothing was changed"):
        promote(gate)
