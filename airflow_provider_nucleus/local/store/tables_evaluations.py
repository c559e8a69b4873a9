"""The tables of Evaluations V2: benchmarks, label configurations, evaluations and presets.

What an evaluation found lies in files beside the store (`evaluations/computing/result_files.py`); its row here says how far it is.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EVALUATION_TABLES"]

EVALUATION_TABLES: Final = (
    # Label configurations a benchmark can refer to. groups: JSON list of {class_name, labels}.
    """CREATE TABLE IF NOT EXISTS label_configs (
        config_id VARCHAR NOT NULL, groups VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL)""",
    # status: draft, building, ready or failed. skipped: items left out because they have no ground truth. archived benchmarks are gone for clients; evaluations and children still refer to them.
    """CREATE TABLE IF NOT EXISTS benchmarks (
        benchmark_no INTEGER NOT NULL, benchmark_id VARCHAR NOT NULL, name VARCHAR NOT NULL, description VARCHAR,
        metadata VARCHAR, status VARCHAR NOT NULL, parent_no INTEGER, version_major INTEGER NOT NULL,
        version_minor INTEGER NOT NULL, version_label VARCHAR, config_id VARCHAR, class_agnostic BOOLEAN NOT NULL,
        exclusion_rules VARCHAR NOT NULL, skipped BIGINT NOT NULL, archived BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS benchmark_items (benchmark_no INTEGER NOT NULL, item_no BIGINT NOT NULL)",
    # The items that were skipped.
    "CREATE TABLE IF NOT EXISTS benchmark_left_out (benchmark_no INTEGER NOT NULL, item_no BIGINT NOT NULL)",
    # Exactly one of model_no (run-free predictions) and run_no is set. benchmark_no is null only for evaluations of a run
    # over its own datasets. config: JSON of the labels and rules that apply. exclusion_stats, summary: JSON, null until
    # it has succeeded.
    """CREATE TABLE IF NOT EXISTS evaluations (
        evaluation_no BIGINT NOT NULL, evaluation_id VARCHAR NOT NULL, status VARCHAR NOT NULL, error_message VARCHAR,
        name VARCHAR, benchmark_no INTEGER, slice_no INTEGER, slice_id VARCHAR, model_no INTEGER, run_no INTEGER,
        config VARCHAR NOT NULL, exclusion_stats VARCHAR, summary VARCHAR, job_no BIGINT NOT NULL,
        archived BOOLEAN NOT NULL, created_at TIMESTAMP NOT NULL, finished_at TIMESTAMP)""",
    # The folder of the result. Null until it has succeeded, and in rows of layout 1, whose folder has the evaluation's id.
    "ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS result VARCHAR",
    """CREATE TABLE IF NOT EXISTS evaluation_presets (
        preset_no BIGINT NOT NULL, preset_id VARCHAR NOT NULL, name VARCHAR NOT NULL, rollup_groups VARCHAR,
        exclusion_rules VARCHAR, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL)""",
)
"""Every statement that creates them."""
