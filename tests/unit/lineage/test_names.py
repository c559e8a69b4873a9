"""Names of lineage: what one task makes is what the next one reads, and no secret is in any of them."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.lineage.facts import LineageFacts
from airflow_provider_nucleus.lineage.names import input_names, output_names, place_name, server_namespace

NAMESPACE = "nucleus://n"
IDS = {"dataset_id": "ds_1", "model_id": "prj_1"}


def test_uploads_numbers_and_gate_are_one_chain():
    """Ground truth and predictions are read by the calculation, its numbers by the gate."""
    truth = LineageFacts(dataset_id="ds_1", writes="annotations", sources=("/data/truth.jsonl",))
    predictions = LineageFacts(**IDS, writes="predictions", sources=("s3://bucket/day/p.parquet",))
    numbers = LineageFacts(**IDS, slice_id="slc_1", writes="numbers")
    gate = LineageFacts(**IDS)
    made = [*output_names(truth, NAMESPACE), *output_names(predictions, NAMESPACE)]

    assert set(made) <= set(input_names(numbers, NAMESPACE))
    assert (NAMESPACE, "dataset/ds_1/slice/slc_1") in input_names(numbers, NAMESPACE)
    assert set(output_names(numbers, NAMESPACE)) <= set(input_names(gate, NAMESPACE))
    assert output_names(gate, NAMESPACE) == []
    assert input_names(truth, NAMESPACE) == [("file", "/data/truth.jsonl")]


def test_an_evaluation_is_made_of_its_benchmark_and_read_by_the_gate():
    """It has an id of its own."""
    made = LineageFacts(model_id="prj_1", benchmark_id="bm_1", evaluation_id="eval_1", writes="numbers")
    gate = LineageFacts(model_id="prj_1", benchmark_id="bm_1", evaluation_id="eval_1")

    assert input_names(made, NAMESPACE) == [(NAMESPACE, "benchmark/bm_1")]
    assert output_names(made, NAMESPACE) == [(NAMESPACE, "evaluation/eval_1")]
    assert (NAMESPACE, "evaluation/eval_1") in input_names(gate, NAMESPACE)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/data/a.jsonl", ("file", "/data/a.jsonl")),
        ("file:///data/a.jsonl", ("file", "/data/a.jsonl")),
        ("s3://bucket/day/p.parquet", ("s3://bucket", "day/p.parquet")),
        ("s3://conn@bucket/p.parquet", ("s3://bucket", "p.parquet")),
        ("https://me:secret@host:8443/a.json?X-Signature=secret", ("https://host:8443", "a.json")),
        ("https://host", ("https://host", "/")),
    ],
)
def test_places_have_the_names_of_openlineage_and_no_secrets(place, name):
    """As other integrations name the same file."""
    assert place_name(place) == name


@pytest.mark.parametrize(
    ("endpoint", "namespace"),
    [
        ("https://api.scale.com/v1/nucleus", "nucleus://api.scale.com"),
        ("http://key:secret@localhost:8500", "nucleus://localhost:8500"),
        (None, "nucleus"),
        ("", "nucleus"),
    ],
)
def test_a_server_is_a_namespace(endpoint, namespace):
    """By its host, without user and password."""
    assert server_namespace(endpoint) == namespace
