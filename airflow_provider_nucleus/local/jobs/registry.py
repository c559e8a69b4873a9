"""The function that runs each type of job. To add a type, add a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.jobs.benchmarks import run_benchmark_build
from airflow_provider_nucleus.local.jobs.custom_indexing import INDEXING_JOB, run_custom_indexing
from airflow_provider_nucleus.local.jobs.deduplication import DEDUPLICATION_JOB, run_deduplication
from airflow_provider_nucleus.local.jobs.deletions import run_annotation_deletion
from airflow_provider_nucleus.local.jobs.evaluations import run_evaluation
from airflow_provider_nucleus.local.jobs.matching import MATCHING_JOB, run_matching
from airflow_provider_nucleus.local.jobs.merging import MERGE_JOB, run_merge
from airflow_provider_nucleus.local.jobs.uploads import (
    run_item_upload,
    run_metadata_update,
    run_object_upload,
    run_scene_upload,
)
from airflow_provider_nucleus.local.store.catalog.benchmarks import BENCHMARK_JOB
from airflow_provider_nucleus.local.store.catalog.evaluations import EVALUATION_JOB

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.jobs.execution import Runner

__all__ = ["RUNNERS"]

RUNNERS: Final[dict[str, Runner]] = {
    "annotationDeletion": run_annotation_deletion,
    BENCHMARK_JOB: run_benchmark_build,
    DEDUPLICATION_JOB: run_deduplication,
    EVALUATION_JOB: run_evaluation,
    INDEXING_JOB: run_custom_indexing,
    MATCHING_JOB: run_matching,
    MERGE_JOB: run_merge,
    "metadataUpdate": run_metadata_update,
    "uploadAnnotations": run_object_upload,
    "uploadDatasetItems": run_item_upload,
    "uploadLidarScene": run_scene_upload,
    "uploadPredictions": run_object_upload,
    "uploadVideoScene": run_scene_upload,
}
