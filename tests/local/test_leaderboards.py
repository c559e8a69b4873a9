"""Leaderboards through the official client: ranks, one entry per model or all, evaluations that cannot be ranked."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import nucleus as official
import pytest

from airflow_provider_nucleus.local.errors import ConflictError
from airflow_provider_nucleus.local.evaluations.reading.leaderboard import f1_curves
from tests.local.evaluated import predict, result_folder, world

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus

ITEMS = {"a": {"weather": "rain"}, "b": {"weather": "sun"}}


def test_leaderboards_rank_the_best_of_each_model(client: official.NucleusClient):
    """Best first, one per model unless asked otherwise, undefined scores left out, counts at a confidence."""
    found = world(
        client, ITEMS, [("a", "car", 0), ("b", "car", 0)], [("a", "car", 0, 0.9), ("b", "car", 500, 0.2)]
    )
    second = world(client, {}, [], [], benchmark=False)
    second.dataset, second.benchmark = found.dataset, found.benchmark
    predict(second, [("a", "car", 0, 0.9), ("b", "car", 0, 0.6)])
    silent = world(client, {}, [], [], benchmark=False)
    silent.dataset, silent.benchmark = found.dataset, found.benchmark
    predict(silent, [("a", "car", 0)])
    one, again, two, _ = found.evaluate(), found.evaluate(), second.evaluate(), silent.evaluate()
    board = [found.benchmark.id]

    ranked = client.leaderboard_ranking("MAP_50", board)
    every = client.leaderboard_ranking("MAP_50", board, collapse="allEvaluations")
    precise = client.leaderboard_ranking(
        "PRECISION", board, confidence_threshold=0.5, model_ids=[found.model.id]
    )
    curves = client.leaderboard_f1_curve(board, top_n=1)
    repeated = client.leaderboard_ranking("MAP_50", board * 100_000)

    assert [(entry.model_id, entry.rank) for entry in ranked] == [(second.model.id, 1), (found.model.id, 2)]
    assert ranked[0].score == 1.0
    assert repeated == ranked
    assert [(entry.evaluation_id, entry.rank) for entry in every] == [(two.id, 1), (again.id, 2), (one.id, 2)]
    assert [(entry.score, entry.model_name) for entry in precise] == [(1.0, "detector")]
    assert [(curve.evaluation_id, curve.best_f1, len(curve.points)) for curve in curves] == [
        (two.id, 1.0, 101)
    ]
    with pytest.raises(official.NucleusAPIError, match="metric_type"):
        client.leaderboard_ranking("MAP", board)


def test_results_that_are_gone_leave_no_board_without_them(
    client: official.NucleusClient, nucleus: LocalNucleus
):
    """A board at a confidence that leaves one evaluation out would look like one of all: it is refused by name."""
    found = world(client, {"a": {}}, [("a", "car", 0)], [("a", "car", 0, 0.9)])
    lost, kept = found.evaluate(), found.evaluate()
    shutil.rmtree(result_folder(nucleus, lost.id))

    asked = {"benchmark_ids": [found.benchmark.id], "collapse": "allEvaluations"}
    with pytest.raises(
        Exception, match=rf"1 of the 2 evaluations .*{lost.id}.*Evaluate them again"
    ) as caught:
        client.leaderboard_ranking("F1", **asked, confidence_threshold=0.5)
    assert kept.id not in str(caught.value)
    assert len(client.leaderboard_ranking("F1", **asked)) == 2


def test_curves_of_before_leave_no_board_without_them():
    """An evaluation of an older version has no F1 curve of what is left: no leaderboard pretends that it does not exist."""
    entries: Any = [SimpleNamespace(id=f"evalv2_{n}", number=n, summary=b"{}") for n in range(7)]

    with pytest.raises(ConflictError, match=r"7 of the 7 .*evalv2_4 and 2 more"):
        f1_curves(entries, top=5)


def test_lowest_confidence_changes_no_rank(client: official.NucleusClient):
    """A threshold that leaves every prediction is none, whatever families the model predicts."""
    found = world(client, {"a": {}}, [("a", "car", 0), ("a", "car", 50)], [("a", "car", 0, 0.9)])
    found.dataset.annotate([
        official.CategoryAnnotation(label="sunny", taxonomy_name="weather", reference_id="a")
    ])
    found.evaluate()

    scores = [
        client.leaderboard_ranking("RECALL", [found.benchmark.id], confidence_threshold=threshold)[0].score
        for threshold in (None, 0.0)
    ]

    assert scores[0] == scores[1]
