"""The gate's task and the command on the same policies and the same evidence: one verdict, one document, and what one refuses the other does."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.cli.main import main
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.profile import Profile
from tests.unit.gating.match_rows import match_rows
from tests.unit.operators.test_gate import measured, run

if TYPE_CHECKING:
    from pathlib import Path

ROWS = match_rows(*((f"i{n}", f"car/t{n}", f"car/p{n}@0.{n % 9 + 1}", 0.9) for n in range(60)))
LESS = match_rows(
    *((f"i{n}", f"car/t{n}", f"car/p{n}@0.{n % 9 + 1}" if n % 4 else None, 0.9) for n in range(60))
)
NUMBERS = {"f1": 0.7, "recall": 0.7, "ground_truth": 200, "predictions": 200}
RESULT = {
    "model_id": "prj_1", "fingerprint": measured(0.7)["fingerprint"], "iou_threshold": 0.5, "overall": NUMBERS,
    "per_label": {"car": NUMBERS}, "labels": 80,
}  # fmt: skip
SIDES: dict[str, Any] = {
    "good": measured(1.0, matches=ROWS),
    "bad": measured(6 / 7, job="job_2", matches=LESS),
    "rowless": measured(0.7, job="job_3"),
    "undefined": measured(None, job="job_4"),
    "elsewhere": measured(0.7, job="job_5", data="dataset:ds_2"),
    "result": RESULT,
    "profile": Profile(items=50, items_with_predictions=20, objects=20).to_dict(),
    "upload": {"dataset_id": "ds_1", "profile": Profile(items=50, items_with_predictions=40, objects=90).to_dict()},
    "foreign": {"annotations": []},
}  # fmt: skip
RULES: dict[str, list[dict[str, Any]]] = {
    "floor": [{"id": "r", "metric": "f1", "min": 0.9}],
    "drop": [{"id": "r", "metric": "f1", "max_drop": 0.05}, {"id": "p", "metric": "f1", "max_drop": 0, "compare": "point"}],
    "labels": [{"id": "r", "metric": "f1", "scope": "per_label", "min": 0.5, "min_support": 1}],
    "profile": [{"id": "r", "metric": "empty_share", "scope": "profile", "max": 0.5}],
    "supplied": [{"id": "r", "metric": "ms", "scope": "supplied", "direction": "lower", "max_drop": 1}],
    "record": [{"id": "r", "metric": "f1", "max_drop": 0.01, "against": "reference"}, {"id": "w", "metric": "f1", "window": {}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all sides, all policies, and a record that lived two weeks."""
    made = tmp_path_factory.mktemp("gates")
    for name, side in SIDES.items():
        (made / f"{name}.json").write_text(json.dumps(side))
    for name, rules in RULES.items():
        (made / f"{name}.policy.json").write_text(json.dumps({"rules": rules}))
    for step, *more in (["propose", "rowless"], ["confirm"], ["propose", "bad"], ["confirm"]):
        measurement = [str(made / f"{name}.json") for name in more]
        assert main(["baseline", step, str(made / "record.json"), *measurement, "--by", "anna"]) == 0
    return made


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        *((name, None) for name in SIDES),
        *(("good", name) for name in ("bad", "elsewhere", "upload", "result")),
        ("bad", "good"),
    ],
)
def test_the_verdict_is_the_same(candidate, baseline, rules, folder, monkeypatch, capsys):
    """With the record, the user's numbers, and for sides with rows also above a confidence."""
    monkeypatch.chdir(folder)
    cut = {"confidence": 0.5} if {candidate, baseline} <= {"good", "bad"} else {}

    status = main([
        "gate", "--policy", f"{rules}.policy.json", "--candidate", f"{candidate}.json", "--record", "record.json", "--json", "command.json",
        "--number", "ms=12", "--baseline-number", "ms=10",
        *(["--baseline", f"{baseline}.json"] if baseline else []), *(["--confidence", "0.5"] if cut else []),
    ])  # fmt: skip
    # The task proposes what passes; the record is the same for all.
    shutil.copy("record.json", "copy.json")
    found, left = run(
        f"{candidate}.json", policy=f"{rules}.policy.json", judgement="task.json", baseline_record="copy.json",
        baseline=f"{baseline}.json" if baseline else None, numbers={"ms": 12}, baseline_numbers={"ms": 10}, **cut,
    )  # fmt: skip

    if status == 65:
        # The name of the side is that of the argument here, and that of the file there.
        assert isinstance(found, NucleusConfigError)
        assert found.message.partition(" ")[2] in capsys.readouterr().err
        return
    ours, theirs = (_document(folder / name) for name in ("command.json", "task.json"))
    assert ours == theirs
    assert status == (
        0 if not left["return_value"]["stopped"] else 1 if ours["verdict"]["status"] == "fail" else 2
    )


def _document(place: Path) -> Any:
    """Return a judgement without its time and without the rows, which the command leaves out."""
    document = json.loads(place.read_text())
    for side in ("candidate", "baseline"):
        if document[side]:
            del document[side]["matches"]
    del document["judged_at"]
    return document
