"""A gate's task: the verdict decides what it does, and everything is stored before that."""

from __future__ import annotations

import json
import logging
import pickle
import re
from collections import UserList
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, Asset

from airflow_provider_nucleus.exceptions import (
    NucleusConfigError,
    NucleusGateError,
    NucleusPolicyError,
    NucleusSourceError,
)
from airflow_provider_nucleus.gating.gate import JudgedGate, judge_gate
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.gating.profile import Profile
from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.operators.gate import NucleusGateOperator
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.tasks import gating
from airflow_provider_nucleus.tasks.baselines import FileBaseline
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from airflow_provider_nucleus.tasks.results import MAX_XCOM_BYTES, json_size
from tests.airflow.batches import box
from tests.unit.gating.match_rows import match_rows
from tests.unit.operators.fakes import context

POLICY = {
    "name": "nightly",
    "rules": [
        {"id": "f1-floor", "metric": "f1", "min": 0.6},
        {"id": "f1-drop", "metric": "f1", "max_drop": 0.05},
    ],
}
ABSOLUTE = {"rules": [{"id": "f1-floor", "metric": "f1", "min": 0.6}]}


def measured(
    f1: float | None, *, model: str = "prj_1", job: str = "job_1", data: str = "dataset:ds_1", **more: Any
) -> dict[str, Any]:
    """Return a measurement document of a model."""
    return Measurement(
        subject=Subject(
            model_id=model,
            model_name=f"detector {model}",
            dataset_id="ds_1",
            job_id=job,
            url=f"http://nucleus/{job}",
        ),
        fingerprint=Fingerprint(data=data, ground_truth="t", engine="e"),
        coverage=Coverage(
            items=50, with_ground_truth=50, without_ground_truth=0, ground_truth=200, predictions=210
        ),
        iou_threshold=0.5,
        overall=Numbers(
            values={"f1": f1},
            undefined={} if f1 is not None else {"f1": "no predictions"},
            items=50,
            ground_truth=200,
            predictions=210,
        ),
        **more,
    ).model_dump(mode="json", by_alias=True)


def run(
    candidate: Any, *, policy: Any = ABSOLUTE, map_index: int = -1, **arguments: Any
) -> tuple[Any, dict[str, Any]]:
    """Run a gate; return what it returned or raised, and its XComs."""
    task = NucleusGateOperator(task_id="gate", candidate=candidate, policy=policy, **arguments)
    surroundings = context(task, map_index=map_index)
    try:
        found = task.execute(surroundings)
    except Exception as error:  # ruff: ignore[blind-except] - what is raised is what is tested
        found = error
    return found, surroundings["ti"].xcoms


def test_a_pass_is_returned(tmp_path):
    """With the place of the document, which holds everything."""
    place = tmp_path / "judgement.json"
    result, _ = run(
        measured(0.7),
        policy=POLICY,
        baseline=measured(0.72, model="prj_0", job="job_0"),
        judgement=str(place),
    )

    assert (result["verdict"], result["stopped"], result["reasons"], result["judgement"]) == (
        "pass",
        False,
        [],
        str(place),
    )
    assert (result["candidate"]["model_id"], result["baseline"]["model_id"]) == ("prj_1", "prj_0")
    assert result["links"] == {"candidate": "http://nucleus/job_1", "baseline": "http://nucleus/job_0"}
    document = Judgement.model_validate(json.loads(place.read_text()))
    assert [each.rule_id for each in document.verdict.results] == ["f1-floor", "f1-drop"]
    assert document.candidate.overall.values == {"f1": 0.7}


def test_a_fail_is_raised_after_everything_is_stored(tmp_path):
    """Result and document are there for whoever comes after; the error says what, why, where and what to do."""
    place = tmp_path / "judgement.json"
    error, xcoms = run(
        measured(0.5), policy=POLICY, baseline=measured(0.72, model="prj_0"), judgement=str(place)
    )

    assert isinstance(error, GateStoppedError)
    assert (error.verdict, error.judgement, len(error.reasons)) == ("fail", str(place), 2)
    assert str(error).startswith("FAIL: detector prj_1 breaks policy 'nightly': ")
    assert "f1-floor" in str(error)
    assert str(place) in str(error)
    assert "A retry would come to the same verdict" in str(error)
    assert xcoms["return_value"]["verdict"] == "fail"
    assert xcoms["return_value"]["reasons"] == error.reasons
    assert json.loads(place.read_text())["verdict"]["status"] == "fail"


def test_no_retry_repeats_a_verdict():
    """Neither where Airflow has retry policies nor where it has none; and it survives the way between processes."""
    error, _ = run(measured(0.5))

    assert isinstance(error, NucleusGateError)
    assert isinstance(error, AirflowFailException)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.verdict, again.reasons) == (str(error), "fail", error.reasons)


def test_skipping_is_an_exception_of_the_task_itself():
    """Nothing else holds inside a mapped task group."""
    error, xcoms = run(measured(0.5), outcome="skip")

    assert isinstance(error, AirflowSkipException)
    assert str(error).startswith("FAIL: ")
    assert xcoms["return_value"]["stopped"] is True


def test_what_could_not_be_decided_reads_differently(caplog):
    """Undefined is no pass, and no failure of the model either."""
    with caplog.at_level(logging.INFO):
        error, xcoms = run(measured(None))

    assert isinstance(error, GateStoppedError)
    assert error.verdict == xcoms["return_value"]["verdict"] == "inconclusive"
    assert str(error).startswith(
        "INCONCLUSIVE: policy 'policy' could not be decided for detector prj_1, which is neither shown"
    )
    assert "on_inconclusive='pass' lets undecided models through" in str(error)
    assert "FAIL" not in str(error)
    assert "INCONCLUSIVE, stops the pipeline" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({"candidate": measured(0.5), "fail_on": "never"}, "fail"),
        ({"candidate": measured(None), "on_inconclusive": "pass"}, "inconclusive"),
        ({"candidate": measured(0.7), "policy": POLICY, "on_missing_baseline": "pass"}, "pass"),
    ],
)
def test_the_policy_can_be_overridden(arguments, verdict):
    """By argument, and templates are arguments too."""
    result, _ = run(**arguments)

    assert (result["verdict"], result["stopped"]) == (verdict, False)


def test_a_missing_baseline_is_no_pass():
    """Unless the policy says so."""
    error, _ = run(measured(0.7), policy=POLICY)

    assert isinstance(error, GateStoppedError)
    assert error.verdict == "inconclusive"
    assert "baseline" in str(error)


def test_the_log_has_one_line_for_each_rule_the_worst_first(caplog):
    """What a person reads in Airflow."""
    with caplog.at_level(logging.INFO):
        run(measured(0.65), policy=POLICY, baseline=measured(0.72, model="prj_0"))
    (table,) = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("Policy nightly")
    ]

    assert (
        table.splitlines()[0]
        == "Policy nightly: FAIL, stops the pipeline; 2 rules, 2 results: 1 fail, 1 pass"
    )
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [
        ["FAIL", "f1-drop"],
        ["PASS", "f1-floor"],
    ]


def test_eighty_labels_fit_an_xcom():
    """The worst results come first, and the rest is counted."""
    labels = {
        f"label {n:03} {'x' * 60}": Numbers(
            values={"f1": 0.2 if n < 40 else 0.9}, ground_truth=100, predictions=100
        )
        for n in range(80)
    }
    error, xcoms = run(
        measured(0.7, per_label=labels),
        policy={"rules": [{"id": "per-class", "metric": "f1", "scope": "per_label", "min": 0.6}]},
    )
    result = xcoms["return_value"]

    assert isinstance(error, GateStoppedError)
    assert json_size(result) <= MAX_XCOM_BYTES
    assert result["results_total"] == 80
    assert {each["status"] for each in result["results"]} == {"fail"}


def test_numbers_of_the_user_are_judged(tmp_path):
    """A template renders to text; what is no number is refused by its name."""
    policy = {
        "rules": [
            {
                "id": "latency",
                "metric": "latency_ms",
                "scope": "supplied",
                "max_relative_drop": 0.1,
                "direction": "lower",
            }
        ]
    }
    arguments = {
        "policy": policy,
        "baseline": measured(0.7, model="prj_0"),
        "baseline_numbers": {"latency_ms": 40},
    }

    assert run(measured(0.7), numbers={"latency_ms": "41.5"}, **arguments)[0]["verdict"] == "pass"
    assert run(measured(0.7), numbers={"latency_ms": 50}, **arguments)[0].verdict == "fail"
    assert run(measured(0.7), **arguments)[0].verdict == "inconclusive"
    error, xcoms = run(measured(0.7), numbers={"latency_ms": "fast"}, **arguments)
    assert isinstance(error, NucleusConfigError)
    assert "numbers: latency_ms is 'fast'" in str(error)
    assert xcoms == {}


@pytest.mark.parametrize("form", ["dict", "path", "url", "text", "json"])
def test_policies_come_in_all_forms(form, tmp_path, memory_store):
    """And are the same policy: the digests are equal."""
    path = tmp_path / "nightly.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    memory_store.pipe("/policies/nightly.yaml", path.read_bytes())
    policy = {
        "dict": POLICY,
        "path": str(path),
        "url": "memory://policies/nightly.yaml",
        "text": path.read_text(),
        "json": json.dumps(POLICY),
    }[form]
    result, _ = run(measured(0.7), policy=policy, baseline=measured(0.7, model="prj_0"))
    same, _ = run(measured(0.7), policy=POLICY, baseline=measured(0.7, model="prj_0"))

    assert (result["policy"], result["policy_digest"]) == ("nightly", same["policy_digest"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidate": ""}, r"candidate is empty"),
        ({"candidate": {"a": 1}}, r"candidate is neither a measurement .*; it has a\."),
        (
            {"candidate": {"schema": "nucleus-event/1"}},
            r"neither a measurement .*; its schema is 'nucleus-event/1'",
        ),
        (
            {"candidate": {"schema": "nucleus-measurement/1"}},
            r"candidate is not a measurement as this version knows it: fingerprint: Field required",
        ),
        ({"candidate": measured(0.7), "baseline": {"overall": {}}}, r"no numbers with a fingerprint"),
        ({"candidate": measured(0.7), "policy": {"rules": []}}, r"there are no rules"),
        (
            {"candidate": measured(0.7), "policy": {"rules": [{"id": "a", "metric": "f1", "mn": 1}]}},
            r"Did you mean 'min'",
        ),
        ({"candidate": measured(0.7), "policy": None}, r"policy is empty"),
        (
            {"candidate": measured(0.7), "policy": "memory://policies/none.yaml"},
            r"no policy at memory://policies/none.yaml",
        ),
        ({"candidate": measured(0.7), "on_inconclusive": "maybe"}, r"on_inconclusive"),
        (
            {"candidate": measured(0.7), "confidence": 0.5},
            r"of candidate the numbers above a confidence cannot be had: .*without its matches",
        ),
        (
            {"candidate": measured(0.7), "confidence": "bst"},
            r"confidence must be a number from 0 to 1, not 'bst'; or 'best'",
        ),
        ({"candidate": measured(0.7), "judgement": "/dev/null/judgement.json"}, r"cannot be written"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_judged(arguments, message, memory_store):
    """By name, with what would be right."""
    error, xcoms = run(**arguments)

    assert isinstance(error, NucleusConfigError | NucleusPolicyError), error
    assert re.search(message, str(error)), str(error)
    assert xcoms == {}


def test_a_measurement_that_is_gone_is_named(tmp_path):
    """A retry may find it: it is another task's file."""
    error, _ = run({"measurement": str(tmp_path / "gone.json")})

    assert isinstance(error, NucleusSourceError)
    assert "gone.json: there is no such file, which candidate names" in str(error)


def test_places_are_read(tmp_path):
    """Of a measurement, of what a task returned, of an earlier judgement."""
    (tmp_path / "m.json").write_text(json.dumps(measured(0.7)))
    run(measured(0.7), judgement=str(tmp_path / "j.json"))

    for candidate in (
        str(tmp_path / "m.json"),
        {"measurement": str(tmp_path / "m.json"), "overall": {"f1": 0.1}},
        str(tmp_path / "j.json"),
    ):
        assert run(candidate)[0]["verdict"] == "pass"


def test_labels_that_a_result_was_too_small_for_have_not_vanished():
    """Rules about them are refused; those that name what is there are not."""
    measurement = measured(0.7)
    result = {
        "model_id": "prj_1",
        "fingerprint": measurement["fingerprint"],
        "iou_threshold": 0.5,
        "overall": {"f1": 0.7, "ground_truth": 200, "predictions": 200},
        "per_label": {"car": {"f1": 0.7, "ground_truth": 100, "predictions": 100}},
        "labels": 80,
    }
    rule = {"id": "per-class", "metric": "f1", "scope": "per_label", "min": 0.6}
    error, _ = run(result, policy={"rules": [rule]})

    assert isinstance(error, NucleusConfigError)
    assert "candidate has the numbers of 1 labels, and lacks 79" in str(error)
    assert "Give the task that measures a report=" in str(error)
    assert run(result, policy={"rules": [rule | {"labels": ["car"]}]})[0]["verdict"] == "pass"
    assert run(result)[0]["verdict"] == "pass"


def test_mapped_gates_have_documents_of_their_own(tmp_path):
    """Each would replace the file of the others."""
    result, _ = run(measured(0.7), judgement=str(tmp_path / "j.json.gz"), map_index=3)

    assert result["judgement"] == str(tmp_path / "j.json.map3.gz")
    assert (tmp_path / "j.json.map3.gz").exists()


def test_a_judgement_that_cannot_be_written_any_more_does_not_hide_the_verdict(tmp_path, monkeypatch):
    """The result says why it is not there."""

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_provider_nucleus.tasks.gating.write_json", fail)
    error, xcoms = run(measured(0.5), judgement=str(tmp_path / "j.json"))

    assert isinstance(error, GateStoppedError)
    assert error.judgement is None
    assert "No space left on device" in xcoms["return_value"]["judgement_error"]


def test_what_passes_is_proposed_and_accepted_where_asked(tmp_path):
    """Who and when; what fails is neither; a retry changes nothing."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    run(measured(0.5), baseline_record=record.file)
    assert record.read().revision == 0

    result, _ = run(measured(0.7), baseline_record=record.file)
    found = record.read()
    assert ([each.id for each in found.proposals], found.accepted) == ([result["proposal"]], None)
    assert result["baseline_record"] == record.file
    assert found.proposals[0].by == "dag/run/gate"

    run(measured(0.7), baseline_record=record.file, confirm="auto")
    found = record.read()
    assert found.accepted is not None
    assert found.accepted.id == result["proposal"]
    run(measured(0.7), baseline_record=record.file, confirm="auto")
    assert record.read().accepted == found.accepted


def test_changes_are_measured_from_what_was_accepted_last(tmp_path):
    """Where no baseline is given."""
    record = str(tmp_path / "baseline.json")
    run(measured(0.8), baseline_record=record, confirm="auto")

    assert run(measured(0.78, job="job_2"), policy=POLICY, baseline_record=record)[0]["verdict"] == "pass"
    assert run(measured(0.7, job="job_3"), policy=POLICY, baseline_record=record)[0].verdict == "fail"
    other = run(measured(0.78, job="job_4", data="dataset:ds_2"), policy=POLICY, baseline_record=record)[0]
    assert other.verdict == "inconclusive"


def test_a_gate_that_runs_again_is_not_held_against_its_own_candidate(tmp_path):
    """After a clear, or because its worker died before it could say so: what was accepted meanwhile is what it judged."""
    record, place = str(tmp_path / "baseline.json"), tmp_path / "judgement.json"
    run(measured(0.8), baseline_record=record, confirm="auto")
    run(measured(0.79, job="job_2"), policy=POLICY, baseline_record=record, confirm="auto")
    assert FileBaseline(record).read().accepted.id == "job_2"

    again, _ = run(
        measured(0.79, job="job_2"),
        policy={"rules": [{"id": "f1-drop", "metric": "f1", "max_drop": 0}]},
        baseline_record=record,
        judgement=str(place),
    )
    assert again.verdict == "fail"
    assert json.loads(place.read_text())["baseline"]["subject"]["job_id"] == "job_1"
    first, _ = run(measured(0.8), policy=POLICY, baseline_record=str(tmp_path / "other.json"), confirm="auto")
    assert first.verdict == "inconclusive"
    lenient = {"baseline_record": str(tmp_path / "other.json"), "on_missing_baseline": "pass"}
    for _ in range(2):  # nothing was there to be held against, the second time as the first
        found, _ = run(measured(0.8), policy=POLICY, confirm="auto", **lenient)
        assert found["baseline"] is None


@pytest.mark.parametrize("confirm", ["auto", "promotion"])
def test_what_was_accepted_while_a_gate_judged_is_not_what_it_was_held_against(
    tmp_path, monkeypatch, confirm
):
    """Accepted by the gate itself it would replace what it never met; a retry judges it anew. Proposed, it says what it met."""
    record = FileBaseline(str(tmp_path / "baseline.json"))
    run(measured(0.7, job="job_0"), baseline_record=record.file, confirm="auto")

    def slow(*arguments: Any, **named: Any) -> JudgedGate:
        monkeypatch.undo()
        run(measured(0.9, job="other"), baseline_record=record.file, confirm="auto")
        return judge_gate(*arguments, **named)

    monkeypatch.setattr(gating, "judge_gate", slow)
    arguments = {"policy": POLICY, "baseline_record": record.file, "confirm": confirm}
    found, _ = run(measured(0.7), **arguments)

    assert record.read().accepted.id == "other"
    if confirm == "auto":
        assert isinstance(found, NucleusSourceError)
        assert "other was accepted while job_1 was held against job_0" in str(found)
        assert isinstance(run(measured(0.7), **arguments)[0], NucleusGateError)
    else:
        assert [(each.id, each.before) for each in record.read().proposals] == [("job_1", "job_0")]


def test_a_record_out_of_reach_leaves_the_verdict(tmp_path, monkeypatch):
    """What was judged, and where all of it is, is in the error; object stores raise errors of their own."""

    class EndpointConnectionError(Exception):
        """As of a client of S3: no OSError."""

    def unreachable(*_: Any) -> None:
        raise EndpointConnectionError("Could not connect")

    place = tmp_path / "judgement.json"
    monkeypatch.setattr("airflow_provider_nucleus.tasks.baselines._create", unreachable)
    error, _ = run(measured(0.7), baseline_record=str(tmp_path / "baseline.json"), judgement=str(place))

    assert isinstance(error, NucleusSourceError)
    assert re.search(
        r"baseline.json: the baseline record cannot be changed: EndpointConnectionError: Could not connect. It is as it was.*"
        r"The verdict is pass; all of it is at .*judgement.json",
        str(error),
    )
    assert place.exists()


def test_a_mapped_gate_gets_the_state_of_its_asset():
    """Airflow gives a mapped task the state of the inlets that it was begun with."""
    asset = Asset("nucleus://accepted/street/detector")
    begun = NucleusGateOperator.partial(task_id="gate", policy=ABSOLUTE, baseline_asset=asset)

    assert begun.kwargs["inlets"] == [asset]
    begun.expand(candidate=[])


def test_a_gate_without_ground_truth_judges_the_profile():
    """What the upload returned is the candidate."""
    pytest.importorskip("airflow_provider_nucleus.gating.profile")
    profile = {"schema": "nucleus-profile/1"}
    error, _ = run(
        {"profile": profile, "dataset_id": "ds_1", "model_id": "prj_1"},
        policy={"rules": [{"id": "empty", "metric": "empty_share", "scope": "profile", "max": 0.5}]},
    )

    assert isinstance(error, GateStoppedError)
    assert error.verdict == "inconclusive"


def _shard(number: int, *, items: int | None = 100, **named: Any) -> dict[str, Any]:
    """Return what the upload of one shard returns: 20 items with a prediction each, of a slice of 100."""
    profile = Profile(items=items, items_with_predictions=20, objects=20, labels={f"label-{number}": 20})
    return {
        "dataset_id": "ds_1",
        "model_id": "prj_1",
        "slice_id": "slc_1",
        "profile": profile.to_dict(),
    } | named


@pytest.mark.parametrize(
    ("shards", "empty"),
    [
        ([_shard(n) for n in range(4)], "0.2"),
        ([_shard(n, slice_id=None, items=25) for n in range(4)], "0.2"),
        ([_shard(n) for n in range(6)], None),
    ],
    ids=["items of the slice count once", "items of the shards add up", "items in two shards"],
)
def test_the_uploads_of_all_shards_are_one_profile(shards, empty):
    """What mapped uploads returned, as Airflow hands it over: a sequence that is no list."""
    policy = {
        "rules": [
            {"id": "labels", "scope": "profile", "metric": "labels", "min": len(shards)},
            {"id": "empty", "scope": "profile", "metric": "empty_share", "max": 0.1},
        ]
    }
    _, left = run(UserList(shards), policy=policy)
    results = {one["rule_id"]: one for one in left["return_value"]["results"]}

    assert results["labels"]["status"] == "pass"
    assert results["empty"]["status"] == ("fail" if empty else "insufficient")
    assert empty is None or f"{results['empty']['value']:.1f}" == empty


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        ([_shard(0), _shard(1, model_id="prj_2")], "2 different model_id: prj_1, prj_2"),
        ([_shard(0), {"overall": {}}], "a list of 2 of which 1 have a profile"),
        (
            [_shard(0), {"profile": {"objects": "many"}}],
            "candidate is not a list of uploads as this version knows it: objects: ",
        ),
    ],
)
def test_a_list_of_anything_else_is_refused(shards, words):
    """With what to do: one gate for each, or the shards of one batch."""
    error, _ = run(shards)

    assert isinstance(error, NucleusConfigError)
    assert words in str(error)


def test_models_by_their_ids_are_read_from_the_server(hook, request):
    """The matches of their last calculation, of a slice or of all; links lead there."""
    dataset_id = hook.create_dataset(request.node.name)
    rows = [{"reference_id": name, "image_url": f"http://x/{name}", "metadata": {}} for name in "ab"]
    items = NucleusAppendItemsOperator(task_id="items", dataset_id=dataset_id, source=rows, deferrable=False)
    items.execute(context(items))
    hook.annotate(dataset_id, [box("car", name, 0, 0, 10, f"t{name}") for name in "ab"])
    models = {}
    for quality, size in (("good", 10), ("bad", 3)):
        models[quality] = hook.create_model(quality, reference_id=f"{request.node.name} {quality}")
        hook.upload_predictions(
            dataset_id,
            models[quality],
            [box("car", name, 0, 0, size, f"p{name}", confidence=0.9) for name in "ab"],
        )
        job = hook.calculate_metrics(dataset_id, models[quality])
        if job.get("job_id"):
            hook.wait_for_job(job["job_id"])
    ids = {
        "dataset_id": dataset_id,
        "policy": {"rules": [{"id": "f1", "metric": "f1", "min": 0.6, "min_support": 1}]},
    }
    good, xcoms = run(models["good"], baseline=models["bad"], **ids)
    above = run(models["good"], baseline=models["bad"], confidence="0.95", **ids)[0]
    assert isinstance(above, GateStoppedError), (
        "the predictions have a confidence of 0.9: above 0.95 there are none"
    )
    assert run(models["good"], baseline=models["bad"], confidence="best", **ids)[0]["verdict"] == "pass"
    bad, _ = run({"dataset_id": dataset_id, "model_id": models["bad"]}, policy=ids["policy"])

    assert good["verdict"] == "pass"
    assert good["changes"] == {"fixed": 2, "broken": 0, "both_found": 0, "both_miss": 0}
    assert xcoms["_link_NucleusModelLink"].endswith(f"/model/{models['good']}")
    assert isinstance(bad, GateStoppedError)
    assert bad.verdict == "fail"


def test_a_branch_goes_where_the_verdict_says(monkeypatch):
    """Both ways; the result is there before Airflow is told."""
    chosen = []
    monkeypatch.setattr(
        NucleusGateOperator,
        "do_branch",
        lambda self, context, branches: chosen.append((branches, dict(context["ti"].xcoms))),
    )
    run(measured(0.7), outcome="branch", on_pass="deploy", on_stop=["report", "ask"])
    run(measured(0.5), outcome="branch", on_pass="deploy", on_stop=["report", "ask"])

    assert [branches for branches, _ in chosen] == [["deploy"], ["report", "ask"]]
    assert [xcoms["return_value"]["verdict"] for _, xcoms in chosen] == ["pass", "fail"]


def test_a_branch_of_a_mapped_task_is_refused():
    """Its instances disagree, and what comes after can follow one only."""
    error, xcoms = run(measured(0.7), outcome="branch", on_pass="deploy", map_index=0)

    assert isinstance(error, NucleusConfigError)
    assert "mapped task group, with outcome='skip' or outcome='fail'" in str(error)
    assert xcoms == {}


@pytest.mark.parametrize(
    "arguments",
    [{"outcome": "stop"}, {"confirm": "never"}, {"outcome": "branch"}, {"on_pass": "deploy"}],
)
def test_wrong_constants_are_errors_of_the_dag_file(arguments):
    """Noticed when it is parsed."""
    with pytest.raises(ValueError, match=r"outcome|confirm"):
        NucleusGateOperator(task_id="gate", candidate={}, policy={}, **arguments)


def test_silence_is_kept():
    """`do_xcom_push=False` is for everything."""
    _, xcoms = run(measured(0.5), do_xcom_push=False)

    assert xcoms == {}


def test_a_confidence_night_after_night(tmp_path):
    """The record keeps no pairs: what it accepted above a confidence is compared as it is, and never with all predictions."""
    rows = match_rows(
        *((f"i{n}", f"car/t{n}", f"car/p{n}@0.9", 0.9) for n in range(30)), ("i0", None, "car/x@0.2")
    )
    policy = {"on_missing_baseline": "pass", "rules": [{"id": "drop", "metric": "f1", "max_drop": 0.05}]}
    nights = [
        measured(60 / 61, model=f"prj_{number}", job=f"job_{number}", matches=rows) for number in range(3)
    ]
    kept = {"policy": policy, "baseline_record": str(tmp_path / "record.json"), "confirm": "auto"}
    first, _ = run(nights[0], confidence=0.5, **kept)
    second, _ = run(nights[1], confidence=0.5, **kept)
    third, _ = run(nights[2], **kept)

    assert (first["verdict"], second["verdict"]) == ("pass", "pass")
    assert "is unchanged at 1" in second["results"][0]["text"]
    assert third.verdict == "inconclusive"
    assert "the candidate has all predictions, baseline has those from 0.5 on" in third.reasons[0]


def test_what_is_said_of_a_baseline_is_said_of_the_accepted_one_too(tmp_path):
    """Numbers of the user; and a profile that was given stays above a confidence."""
    rows = match_rows(*((f"i{n}", f"car/t{n}", f"car/p{n}@0.9", 0.9) for n in range(30)))
    policy = {
        "on_missing_baseline": "pass",
        "rules": [
            {
                "id": "latency",
                "metric": "latency_ms",
                "scope": "supplied",
                "direction": "lower",
                "max_drop": 1,
            },
            {"id": "objects", "metric": "objects", "scope": "profile", "min": 1},
        ],
    }
    kept = {
        "policy": policy,
        "baseline_record": str(tmp_path / "record.json"),
        "profile": Profile(objects=30).to_dict(),
        "confidence": 0.5,
    }
    first, _ = run(measured(1, matches=rows), confirm="auto", numbers={"latency_ms": 40}, **kept)
    second, _ = run(
        measured(1, job="job_2", matches=rows),
        numbers={"latency_ms": 40},
        baseline_numbers={"latency_ms": 20},
        **kept,
    )

    assert first["verdict"] == "pass"
    assert "rose by 20, from 20 to 40" in second.reasons[0]
    assert len(second.reasons) == 1
