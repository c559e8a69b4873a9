"""What the judging DAG leaves is read back, added up, and put into lines."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.demo.judged_days import models_by_weather, read_day, whole_of
from airflow_provider_nucleus.demo.trend import trend_lines
from airflow_provider_nucleus.demo.verdict_lines import verdict_lines
from airflow_provider_nucleus.gating.judge import judge
from airflow_provider_nucleus.gating.measurement import Coverage, Fingerprint, Measurement, Numbers
from airflow_provider_nucleus.gating.policy import Policy, Rule
from airflow_provider_nucleus.pair_counts import MatchCounts

if TYPE_CHECKING:
    from pathlib import Path

POLICY = Policy(
    rules=[
        Rule(id="floor", metric="f1", min=0.5),
        Rule(id="no-worse", metric="f1", max_drop=0.05, compare="point"),
    ]
)


def numbers(tp: int, fp: int, fn: int) -> Numbers:
    """Numbers of counts, every true positive at an overlap of 0.75."""
    found: dict[str, Any] = MatchCounts(tp, fp, fn, 0, tp * 0.75).to_dict()
    values = {name: found[name] for name in ("tp", "fp", "fn", "precision", "recall", "f1", "mean_iou")}
    return Numbers(
        values=values,
        undefined=found.get("undefined", {}),
        items=50,
        ground_truth=tp + fn,
        predictions=tp + fp,
    )


def measured(tp: int, fp: int, fn: int) -> Measurement:
    """A measurement with one label and one kind of weather."""
    found = numbers(tp, fp, fn)
    return Measurement(
        fingerprint=Fingerprint(data="dataset:ds_1"),
        coverage=Coverage(items=50, with_ground_truth=50, without_ground_truth=0, ground_truth=tp + fn),
        iou_threshold=0.5,
        overall=found,
        per_label={"car": found},
        slices={"weather": {"fog": found}},
    )


def write_day(folder: Path, *sides: Measurement) -> None:
    """Write what two mapped tasks leave, each judged against the other."""
    folder.mkdir()
    for index, side in enumerate(sides):
        judged = judge(POLICY, side, sides[1 - index])
        for name, document in (("measurement", side), ("judgement", judged)):
            text = document.model_dump_json(by_alias=True)
            (folder / f"{name}.json.map{index}.gz").write_bytes(gzip.compress(text.encode()))


def test_days_add_up(tmp_path: Path):
    """Counts are summed and ratios are those of the sums, overall, by label and by weather."""
    write_day(tmp_path / "1", measured(30, 10, 20), measured(20, 30, 30))
    write_day(tmp_path / "2", measured(10, 10, 30), measured(10, 0, 30))
    names = {"models": ["a", "b"], "candidates": ["a", "b"]}
    days = [read_day(name, tmp_path / name, **names) for name in ("1", "2")]

    whole = whole_of(days, "a")

    assert [whole["overall"][name] for name in ("tp", "fp", "fn")] == [40, 20, 50]
    assert whole["overall"]["f1"] == pytest.approx(80 / 150)
    assert whole["overall"]["mean_iou"] == pytest.approx(0.75)
    assert whole["per_label"] == {"car": whole["overall"]}
    assert models_by_weather(days, ["a", "b"], ["day", "fog"])["fog"]["a"] == whole["overall"]
    assert [days[0].verdict_of(model) for model in ("a", "b")] == ["passed", "stopped (fail)"]


def test_a_day_without_its_documents_is_named(tmp_path: Path):
    """The folder may have been emptied while the demonstration ran."""
    with pytest.raises(DemoError, match=r"measurement\.json\.map0\.gz cannot be read"):
        read_day("1", tmp_path, models=["a"], candidates=["a"])


def test_a_verdict_is_a_line_for_each_rule():
    """Value, baseline, difference and bound; the answer first."""
    verdict = judge(POLICY, measured(20, 30, 30), measured(30, 10, 20)).verdict

    lines = list(verdict_lines(verdict, candidate="b", baseline="a"))

    assert lines[0] == "May b replace a? no"
    assert len(lines) == 3
    assert any(
        "FAIL" in line and "floor" in line and "f1 0.400: at least 0.5 is wanted" in line for line in lines
    )
    assert any(
        "f1 0.400 against 0.667, -0.267" in line and "a drop of at most 0.05 is allowed" in line
        for line in lines
    )


def test_the_trend_is_drawn():
    """A bar for each batch; a number that does not exist has none."""
    series = {"longer": [("Monday", 1.0)], "a": [("Monday", 0.5), ("Tuesday", None)]}
    lines = trend_lines(series, ["a", "longer"])

    assert lines == [
        f"  a       Monday  0.500  {'#' * 20}",
        "          Tuesday  n/a",
        f"  longer  Monday  1.000  {'#' * 40}",
    ]


def test_documents_are_json(tmp_path: Path):
    """What is read is what operators write: packed JSON of the published schemas."""
    write_day(tmp_path / "1", measured(1, 0, 0), measured(1, 0, 0))
    document = json.loads(gzip.decompress((tmp_path / "1" / "judgement.json.map0.gz").read_bytes()))

    assert document["schema"] == "nucleus-verdict/1"
