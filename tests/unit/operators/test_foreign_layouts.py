"""Predictions of a training job as it leaves them: four shards of Parquet in an object store, corner boxes, class numbers, paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusUploadError
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.uploads import (
    NucleusUploadAnnotationsOperator,
    NucleusUploadPredictionsOperator,
)
from tests.unit.operators.fakes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed (dependency group s3)")
s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (dependency group s3)")

MAPPING = {
    "fields": {"label": "cls", "confidence": "conf"},
    "box_format": "xyxy",
    "labels": ["car", "bus"],
    "reference_id": "{path:relative(s3://bucket/images/)}",
    "min_confidence": 0.2,
}


@pytest.fixture(scope="module")
def shards() -> Iterator[Any]:
    """The path of a bucket's shards."""
    airflow_io = pytest.importorskip("airflow.sdk.io", reason="Airflow 3 is not installed")
    from airflow.sdk import ObjectStoragePath

    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    files = s3fs.S3FileSystem(
        endpoint_url=f"http://{host}:{port}", key="k", secret="s", skip_instance_cache=True
    )
    files.mkdir("bucket")
    for shard in range(4):
        rows = [
            {"path": f"s3://bucket/images/day/{number}.jpg", "x1": 10.0, "y1": 20.0, "x2": 40.0 + number, "y2": 60.0, "cls": number % 2, "conf": 0.1 if number == 9 else 0.9}
            for number in range(10)
        ]  # fmt: skip
        rows = [{**row, "y2": row["y2"] + shard} for row in rows]
        with files.open(f"bucket/run/part-{shard}.parquet", "wb") as file:
            pq.write_table(pa.Table.from_pylist(rows), file)
    airflow_io.attach("s3", "s3_shards", fs=files)
    yield ObjectStoragePath("s3://s3_shards@bucket/run/*.parquet")
    server.stop()


def test_four_foreign_shards_are_uploaded_as_they_are(hook, shards):
    """Every row is accounted for: sent, or left out with its reason; what is stored are our boxes."""
    dataset_id = hook.create_dataset("foreign shards")
    items = [
        {"reference_id": f"day/{number}.jpg", "image_url": f"https://images/{number}.jpg"}
        for number in range(10)
    ]
    run(NucleusAppendItemsOperator(task_id="items", dataset_id=dataset_id, source=items, deferrable=False))
    model_id = hook.create_model("detector", reference_id="foreign-shards")
    upload = NucleusUploadPredictionsOperator(
        task_id="upload",
        dataset_id=dataset_id,
        model_id=model_id,
        source=shards,
        mapping=MAPPING,
        deferrable=False,
    )
    result = run(upload)

    assert (result["rows"], result["rejected"], result["sent"], result["processed"]) == (40, 0, 36, 36)
    assert result["left_out"] == {"confidence below 0.2": 4}


@pytest.mark.parametrize(
    ("operator", "mapping", "said"),
    [
        (NucleusUploadPredictionsOperator, {"box_format": "corners"}, "box_format"),
        (NucleusUploadPredictionsOperator, {"columns": {}}, "does not know 'columns'"),
        (NucleusUploadPredictionsOperator, {"fields": {"geometry.x": "x1", "geometry.y": "y1", "geometry.width": "x2", "geometry.height": "y2"}}, "corner"),
        (NucleusUploadPredictionsOperator, '{"box_format": "corners"}', "box_format"),
        (NucleusUploadAnnotationsOperator, {"min_confidence": 0.5}, "min_confidence"),
        (NucleusAppendItemsOperator, {"box_format": "xyxy"}, "box_format"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_right_is_refused_when_the_dag_is_parsed(operator, mapping, said):
    """As far as it holds no templates."""
    arguments = {"model_id": "prj_1"} if operator is NucleusUploadPredictionsOperator else {}
    with pytest.raises(NucleusConfigError, match=said):
        operator(task_id="upload", dataset_id="ds_1", source="rows.jsonl", mapping=mapping, **arguments)


@pytest.mark.parametrize(
    "mapping", ["{{ params.mapping }}", {"box_format": "{{ params.form }}", "labels": ["car"]}, None]
)
def test_templates_in_a_mapping_wait_for_their_values(mapping):
    """They are checked when they are rendered."""
    NucleusUploadPredictionsOperator(
        task_id="upload", dataset_id="ds_1", model_id="prj_1", source="r", mapping=mapping
    )


def test_a_number_without_a_name_fails_the_upload_with_the_mapping_that_would_help(hook):
    """Nothing was sent."""
    dataset_id = hook.create_dataset("numbers")
    rows = [{"reference_id": "a", "label": 7, "x": 1, "y": 2, "width": 3, "height": 4}]
    upload = NucleusUploadAnnotationsOperator(
        task_id="upload", dataset_id=dataset_id, source=rows, deferrable=False
    )
    with pytest.raises(NucleusUploadError, match=r"labels=\{7: \.\.\.\}"):
        run(upload)
