"""The tables of the store.

Objects hang on *object sets*: the ground truth of a dataset, the predictions of a model run on a dataset, or the
run-free predictions of a model on a dataset. One integer, `set_no`, therefore selects everything an evaluation reads,
and row groups of other sets are skipped by their minimum and maximum.

No table has a primary key or an index: DuckDB's indexes live in memory and make bulk ingest several times slower, while
its scans skip row groups by minimum and maximum. Uniqueness is kept by the single writer (see `ingest/objects.py`).
Columns that hold JSON are VARCHAR with the client's own text, so that a read gives back what was sent.
"""

from __future__ import annotations

from typing import Final

from airflow_provider_nucleus.local.store.tables_evaluations import EVALUATION_TABLES
from airflow_provider_nucleus.local.store.tables_matches import MATCH_TABLES, TO_LAYOUT_4, TO_LAYOUT_5
from airflow_provider_nucleus.local.store.tables_slices import SLICE_TABLES

__all__ = ["ADDED_COLUMNS", "SCHEMA_VERSION", "TABLES", "UPDATES"]

SCHEMA_VERSION: Final = 5

_CORE: Final = (
    # The next number of each kind of row; changed in the transaction that uses the numbers, so never used twice.
    "CREATE TABLE IF NOT EXISTS counters (name VARCHAR NOT NULL, next BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS datasets (
        dataset_no INTEGER NOT NULL, dataset_id VARCHAR NOT NULL, name VARCHAR NOT NULL, is_scene BOOLEAN NOT NULL,
        use_privacy_mode BOOLEAN NOT NULL, annotation_metadata_schema VARCHAR, item_metadata_schema VARCHAR,
        tags VARCHAR[] NOT NULL, created_at TIMESTAMP NOT NULL)""",
    # What type of value each metadata key of a dataset has: 'string' or 'number', fixed by the first item that has it.
    "CREATE TABLE IF NOT EXISTS metadata_kinds (dataset_no INTEGER NOT NULL, key VARCHAR NOT NULL, kind VARCHAR NOT NULL)",
    # phash: 64 characters 0 or 1, of the image's bytes; null where the server has none that it can decode.
    """CREATE TABLE IF NOT EXISTS items (
        item_no BIGINT NOT NULL, dataset_no INTEGER NOT NULL, reference_id VARCHAR NOT NULL,
        image_url VARCHAR, pointcloud_url VARCHAR, blob VARCHAR, metadata VARCHAR NOT NULL,
        width BIGINT, height BIGINT, embedding_info VARCHAR, scene_no BIGINT, created_at TIMESTAMP NOT NULL, phash VARCHAR)""",
    """CREATE TABLE IF NOT EXISTS scenes (
        scene_no BIGINT NOT NULL, dataset_no INTEGER NOT NULL, reference_id VARCHAR NOT NULL, type VARCHAR NOT NULL,
        metadata VARCHAR, frames VARCHAR NOT NULL, tracks VARCHAR, frame_rate DOUBLE, video_url VARCHAR,
        created_at TIMESTAMP NOT NULL)""",
    # What is known of a track beside the objects that name it.
    """CREATE TABLE IF NOT EXISTS tracks (
        dataset_no INTEGER NOT NULL, reference_id VARCHAR NOT NULL, metadata VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS taxonomies (
        dataset_no INTEGER NOT NULL, name VARCHAR NOT NULL, type VARCHAR NOT NULL, labels VARCHAR[] NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS models (
        model_no INTEGER NOT NULL, model_id VARCHAR NOT NULL, name VARCHAR NOT NULL, reference_id VARCHAR NOT NULL,
        metadata VARCHAR NOT NULL, tags VARCHAR[] NOT NULL, trained_slice_ids VARCHAR[] NOT NULL, bundle_name VARCHAR,
        created_at TIMESTAMP NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS model_runs (
        run_no INTEGER NOT NULL, run_id VARCHAR NOT NULL, model_no INTEGER NOT NULL, name VARCHAR NOT NULL,
        metadata VARCHAR NOT NULL, status VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL)""",
    # role: 'truth' (model_no and run_no null), 'run' (both set) or 'model' (run-free predictions: run_no null).
    """CREATE TABLE IF NOT EXISTS object_sets (
        set_no INTEGER NOT NULL, role VARCHAR NOT NULL, dataset_no INTEGER NOT NULL, model_no INTEGER, run_no INTEGER)""",
    # A type is box, line, polygon, keypoints, cuboid. x, y, w, h (px, top-left corner) only for boxes; every other geometry
    # is its JSON. annotation_id is the internal id where the client gave none.
    """CREATE TABLE IF NOT EXISTS objects (
        object_no BIGINT NOT NULL, set_no INTEGER NOT NULL, item_no BIGINT NOT NULL, annotation_id VARCHAR NOT NULL,
        task_id VARCHAR, type VARCHAR NOT NULL, label VARCHAR NOT NULL, confidence DOUBLE,
        x DOUBLE, y DOUBLE, w DOUBLE, h DOUBLE, geometry VARCHAR,
        metadata VARCHAR, class_pdf VARCHAR, track_reference_id VARCHAR, embedding_vector VARCHAR)""",
    # A type is category or multicategory (then labels is a JSON list). One per (set, item or scene, taxonomy); a taxonomy_name
    # of '' is the default taxonomy of the type, which has no labels of its own to keep: it is whatever is used.
    """CREATE TABLE IF NOT EXISTS categories (
        object_no BIGINT NOT NULL, set_no INTEGER NOT NULL, item_no BIGINT, scene_no BIGINT, taxonomy_name VARCHAR NOT NULL,
        type VARCHAR NOT NULL, label VARCHAR, labels VARCHAR, confidence DOUBLE, task_id VARCHAR,
        metadata VARCHAR, class_pdf VARCHAR, track_reference_id VARCHAR)""",
    # One per (set, item). segments is the JSON list the client calls annotations; blob is set if its bytes were uploaded.
    """CREATE TABLE IF NOT EXISTS masks (
        object_no BIGINT NOT NULL, set_no INTEGER NOT NULL, item_no BIGINT NOT NULL, annotation_id VARCHAR NOT NULL,
        mask_url VARCHAR NOT NULL, segments VARCHAR NOT NULL, blob VARCHAR)""",
    # Bytes that were uploaded; token is the unguessable last part of the URL that serves them.
    """CREATE TABLE IF NOT EXISTS blobs (
        token VARCHAR NOT NULL, content_type VARCHAR NOT NULL, size BIGINT NOT NULL, created_at TIMESTAMP NOT NULL)""",
    # Signed URLs that were handed out. lines is null until the bytes have arrived, job_no until a job reads them. file: the token
    # that names the file which came last; null for one of a former layout, whose file bears the token of the address.
    """CREATE TABLE IF NOT EXISTS uploads (
        token VARCHAR NOT NULL, dataset_no INTEGER NOT NULL, request_id VARCHAR NOT NULL, expires_at TIMESTAMP NOT NULL,
        lines BIGINT, job_no BIGINT, file VARCHAR)""",
    # cursor: bytes of the input whose rows are committed, in the same transaction. counts: JSON of what was done so far.
    # requested_by: JSON, the task of Airflow that sent the request; null where it did not say.
    """CREATE TABLE IF NOT EXISTS jobs (
        job_no BIGINT NOT NULL, job_id VARCHAR NOT NULL, type VARCHAR NOT NULL, status VARCHAR NOT NULL, dataset_no INTEGER,
        request VARCHAR NOT NULL, cursor BIGINT NOT NULL, counts VARCHAR NOT NULL, message VARCHAR NOT NULL,
        completed_steps BIGINT NOT NULL, total_steps BIGINT NOT NULL, cancel_requested BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL, finished_at TIMESTAMP, requested_by VARCHAR)""",
    "CREATE TABLE IF NOT EXISTS job_errors (job_no BIGINT NOT NULL, error_no BIGINT NOT NULL, text VARCHAR NOT NULL)",
)

TABLES: Final = (*_CORE, *MATCH_TABLES, *SLICE_TABLES, *EVALUATION_TABLES)
"""Every statement that a new or older store needs; other rooms append theirs here."""

ADDED_COLUMNS: Final = (
    ("items", "phash", "VARCHAR"), ("uploads", "file", "VARCHAR"), ("jobs", "requested_by", "VARCHAR"),
    ("match_sets", "published_at", "TIMESTAMP"), ("match_sets", "rows_kept", "BOOLEAN"), ("match_sets", "totals", "VARCHAR"),
    ("match_sets", "line_no", "BIGINT"), ("match_sets", "place", "BIGINT"), ("match_sets", "truth_place", "BIGINT"),
)  # fmt: skip
"""Columns (table, name, type) that stores of former layouts lack: null in the rows they have."""

UPDATES: Final[dict[int, tuple[str, ...]]] = {4: TO_LAYOUT_4, 5: TO_LAYOUT_5}
"""Statements by the layout that a store of a former one is brought to with them, after its tables and columns are there."""
