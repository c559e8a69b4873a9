"""Models of requests: strict, and one sentence per complaint, with the name as the client wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_nucleus.local.errors import BadRequestError
from airflow_provider_nucleus.local.requests.base import RequestModel, read_address, read_body
from airflow_provider_nucleus.local.requests.benchmarks import (
    CreateBenchmarkRequest,
    CreatePresetRequest,
    UpdateBenchmarkRequest,
    UpdatePresetRequest,
)
from airflow_provider_nucleus.local.requests.datasets import CreateDatasetRequest, TagsRequest
from airflow_provider_nucleus.local.requests.diagnostics import ChangesAddress, CompareAddress
from airflow_provider_nucleus.local.requests.evaluations import (
    ChartsAddress,
    ChartsRequest,
    ExamplesRequest,
    RankingRequest,
)
from airflow_provider_nucleus.local.requests.models import CreateModelRequest, MergeRunsRequest
from airflow_provider_nucleus.local.requests.paging import JobsRequest, PageRequest
from airflow_provider_nucleus.local.requests.slices import SlicesAddress
from airflow_provider_nucleus.local.requests.uploads import ObjectsRequest, UploadAddress


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        (TagsRequest, [], "The request body must be a JSON object."),
        (TagsRequest, {"tags": "a"}, "tags must be a list of strings."),
        (TagsRequest, {"tags": ["a", 1]}, "tags must be a list of strings."),
        (CreateDatasetRequest, {}, "A dataset needs a name: a non-empty string."),
        (CreateDatasetRequest, {"name": "x", "is_scene": 1}, "is_scene must be true or false."),
        (CreateDatasetRequest, {"name": "x", "is_scene": None}, "is_scene must be true or false."),
        (CreateModelRequest, {"name": "m"}, "The request body lacks 'reference_id'."),
        (CreateModelRequest, {"name": "m", "reference_id": "r", "metadata": []}, "metadata must be an object."),
        (PageRequest, {"pageSize": True}, "pageSize must be a whole number of at least 1."),
        (PageRequest, {"pageSize": "1"}, "pageSize must be a whole number of at least 1."),
        (PageRequest, {"pageToken": 5}, "pageToken must be a string."),
        (JobsRequest, {"limit": 1.5}, "limit must be a whole number."),
        (JobsRequest, {"limit": -1}, "limit must be 0 or more."),
        (MergeRunsRequest, {"model_run_ids": ["a", "a"]}, "model_run_ids must name at least two different runs."),
        (ObjectsRequest, {"annotations": {}}, "annotations must be a list."),
        (ExamplesRequest, {"matchType": "TN"}, "matchType must be one of TP, FP, FN, not 'TN'."),
        (ExamplesRequest, {"match_type": "TN"}, "match_type must be one of TP, FP, FN, not 'TN'."),
        (RankingRequest, {"benchmarkIds": ["b"], "metricType": "MAP"}, "metricType must be one of MAP_50, MAP_50_95, AP_SMALL, AP_MEDIUM, AP_LARGE, PRECISION, RECALL, F1, not 'MAP'."),
        (ChartsRequest, {"filters": {"iouRange": {"min": True}}}, "filters.iouRange.min must be a number."),
        (ChartsRequest, {"filters": {"iou_range": {"mid": 1}}}, "filters.iou_range has unknown fields ['mid']; it takes max, min."),
        (ChartsRequest, {"filters": {"itemMetadata": [{"key": "k", "op": "GT", "value": True}]}}, "filters.itemMetadata[0].value must be a number or text for GT."),
        (ChartsRequest, {"filters": {"itemMetadata": [{"key": "k"}]}}, "filters.itemMetadata[0] lacks 'op'."),
        (CreateBenchmarkRequest, {"name": "b", "draft": True, "versionMajor": -1}, "versionMajor must be a whole number, 0 or more."),
        (CreateBenchmarkRequest, {"name": "b", "draft": True, "items": [{"datasetId": "d"}]}, "items[0] lacks 'ref_id'."),
        (CreateBenchmarkRequest, {"name": "b", "draft": True, "exclusionRules": [{"type": "boxArea", "scope": "item", "target": "prediction"}]}, "exclusionRules[0] needs min or max, or both."),
        (CreatePresetRequest, {"name": " "}, "A preset needs a name: a non-empty string."),
        (UpdatePresetRequest, {"colour": 1}, "Unknown fields ['colour']; this route takes exclusion_rules, name, rollup_groups."),
    ],
)  # fmt: skip
def test_complaint_is_one_sentence_that_names_the_field(model: type[RequestModel], body: Any, sentence: str):
    """Nothing is coerced, and the name is the one that the client wrote, in its casing."""
    with pytest.raises(BadRequestError) as caught:
        read_body(model, body)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("model", "body", "field", "value"),
    [
        (TagsRequest, {"tags": None}, "tags", []),
        (TagsRequest, {"unknown": 1}, "tags", []),
        (ObjectsRequest, {"update": None}, "update", False),
        (ChartsRequest, {"iouThreshold": None}, "iou_threshold", 0.5),
        (ChartsRequest, {"iouThreshold": 1}, "iou_threshold", 1.0),
        (ExamplesRequest, {"limit": None, "sortOrder": "asc"}, "sort_order", "ASC"),
        (RankingRequest, {"benchmark_ids": ["b"], "metric_type": "F1", "collapse": None}, "collapse", "bestPerModel"),
        (RankingRequest, {"benchmark_ids": ["b"], "metric_type": "F1", "collapse": "allRuns"}, "collapse", "allEvaluations"),
        (UpdateBenchmarkRequest, {"description": None}, "plain_values", {"description": None}),
        (UpdateBenchmarkRequest, {"classAgnostic": None}, "changes_taxonomy", True),
        (UpdateBenchmarkRequest, {"metadata": {"camelKey": 1}}, "plain_values", {"metadata": {"camelKey": 1}}),
        (UpdatePresetRequest, {"rollupGroups": None}, "values", {"rollup_groups": None}),
    ],
)  # fmt: skip
def test_null_is_absent_and_both_casings_are_read(
    model: type[RequestModel], body: dict[str, Any], field: str, value: Any
):
    """Where null means something of its own (it clears), it is kept; what belongs to the user keeps its keys."""
    assert getattr(read_body(model, body), field) == value


@pytest.mark.parametrize(
    ("model", "query", "expected"),
    [
        (UploadAddress, {"async": "1"}, {"as_job": True}),
        (UploadAddress, {"async": "yes"}, {"as_job": False}),
        (SlicesAddress, {"type": "SliceType.DATASET_ITEM"}, {"type": "dataset_item"}),
        (ChangesAddress, {"limit": "007", "offset": ""}, {"limit": 7, "offset": 0}),
        (CompareAddress, {"minimumConfidence": "0.5"}, {"minimum_confidence": 0.5, "ap_replicates": None}),
        (ChartsAddress, {"iou_threshold": "0.75"}, {"iou_threshold": 0.75}),
    ],
)
def test_addresses_are_read_from_text(model: Any, query: dict[str, str], expected: dict[str, Any]):
    """Numbers and switches are text in an address; a parameter without a value is not there."""
    address = read_address(model, query)

    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "query", "sentence"),
    [
        (ChangesAddress, {"limit": "1_0"}, "limit must be a whole number from 0 to 1000."),
        (ChangesAddress, {"limit": "\u0663"}, "limit must be a whole number from 0 to 1000."),
        (CompareAddress, {"minimumConfidence": "nan"}, "minimumConfidence must be a number from 0 to 1."),
        (ChartsAddress, {"iouThreshold": "half"}, "iouThreshold must be a number from 0.001 to 1."),
        (ChartsAddress, {"filters": '{"gtLabels": "car"}'}, "filters.gtLabels must be a list of strings."),
        (CompareAddress, {"query": "x"}, "This route answers for the whole evaluation: query has no effect here."),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_meant_are_refused(model: Any, query: dict[str, str], sentence: str):
    """The sentence names the parameter as it was written."""
    with pytest.raises(BadRequestError) as caught:
        read_address(model, query)

    assert str(caught.value) == sentence
