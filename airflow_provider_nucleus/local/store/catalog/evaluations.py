"""Evaluation rows: configuration, state and a summary of the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.evaluation_options import DEFAULT_OPTIONS, EvaluationOptions, parse_options
from airflow_provider_nucleus.local.errors import ConflictError, NotFoundError
from airflow_provider_nucleus.local.exact_json import json_text, parse_json
from airflow_provider_nucleus.local.requests.exclusion_rules import stored_rules
from airflow_provider_nucleus.local.requests.label_taxonomy import Taxonomy
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.database import one, rows
from airflow_provider_nucleus.local.store.ids import new_id
from airflow_provider_nucleus.local.store.sequences import reserve

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_nucleus.local.requests.exclusion_rules import ExclusionRule
    from airflow_provider_nucleus.local.store.catalog.jobs import JobRecord
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = [
    "CANCELLED",
    "COMPUTING",
    "EVALUATION_JOB",
    "FAILED",
    "PENDING",
    "SUCCEEDED",
    "Config",
    "EvaluationRecord",
    "archive",
    "begin",
    "by_number",
    "cancel",
    "copy",
    "create",
    "fail",
    "find",
    "of_benchmarks",
    "of_model",
    "of_run",
    "of_whole_model",
    "require_succeeded",
    "results",
    "set_job",
    "succeed",
]  # fmt: skip

PENDING: Final = "pending"
COMPUTING: Final = "computing"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"

EVALUATION_JOB: Final = "evaluationV2"
"""The type of the jobs that compute evaluations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The labels, rules and options of an evaluation, fixed when it is created.

    `rules` are those of the request; `benchmark_rules` those the benchmark adds.
    """

    taxonomy: Taxonomy
    rules: tuple[ExclusionRule, ...] = ()
    benchmark_rules: tuple[ExclusionRule, ...] = ()
    only_predicted: bool = False
    options: EvaluationOptions = DEFAULT_OPTIONS

    def to_text(self) -> str:
        """Return JSON for the store."""
        return json_text({
            "taxonomy": self.taxonomy.to_wire(),
            "rules": [rule.to_wire() for rule in self.rules],
            "benchmark_rules": [rule.to_wire() for rule in self.benchmark_rules],
            "only_predicted": self.only_predicted,
            "options": self.options.to_wire(),
        })

    @classmethod
    def from_text(cls, text: str) -> Config:
        """Read what `to_text` has written."""
        data = parse_json(text, what="A stored configuration")
        return cls(
            taxonomy=Taxonomy.from_wire(data["taxonomy"]),
            rules=stored_rules(data["rules"]),
            benchmark_rules=stored_rules(data["benchmark_rules"]),
            only_predicted=data["only_predicted"],
            # Absent from evaluations of a version that had none.
            options=parse_options(data.get("options")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """An evaluation as stored, with the ids and names around it."""

    number: int
    id: str
    status: str
    error_message: str | None
    name: str | None
    benchmark_no: int | None
    benchmark_id: str | None
    slice_no: int | None
    slice_id: str | None
    model_no: int | None
    run_no: int | None
    run_id: str | None
    run_name: str | None
    model_id: str | None
    model_name: str | None
    config_text: str
    exclusion_stats: str | None
    summary: str | None
    job_no: int
    job_id: str | None
    dataset_id: str | None
    created_at: datetime
    result: str

    @property
    def config(self) -> Config:
        """The labels, rules and options."""
        return Config.from_text(self.config_text)

    def to_wire(self) -> dict[str, Any]:
        """Return the evaluation as clients read it; clients of two generations find their keys."""
        config = self.config
        groups = [group.to_wire() for group in config.taxonomy.groups]
        pairs = [
            {"groundTruthLabel": truth, "modelPredictionLabel": predicted}
            for truth, predicted in config.taxonomy.pairs
        ]
        return {
            "id": self.id,
            "status": self.status,
            "model_run_id": self.run_id,
            # A client tells the anchor by which of the two ids there is.
            "model_id": self.model_id if self.run_no is None else None,
            "dataset_id": self.dataset_id,
            "name": self.name,
            "temporal_workflow_id": self.job_id,
            "error_message": self.error_message,
            "created_at": timestamps.to_wire(self.created_at),
            "benchmark_id": self.benchmark_id,
            "slice_id": self.slice_id,
            "rollup_groups": groups or None,
            "allowed_label_matches": pairs or None,
            "exclusion_rules": [rule.to_wire() for rule in (*config.benchmark_rules, *config.rules)],
            "options": config.options.to_dict(),
            "notes": None
            if self.summary is None
            else parse_json(self.summary, what="A summary").get("notes", []),
            "exclusion_stats": None
            if self.exclusion_stats is None
            else parse_json(self.exclusion_stats, what="exclusion_stats"),
        }


_EVALUATION: Final = """SELECT e.evaluation_no AS number, e.evaluation_id AS id, e.status, e.error_message, e.name,
    e.benchmark_no, b.benchmark_id, e.slice_no, e.slice_id, e.model_no, e.run_no, r.run_id, r.name AS run_name,
    m.model_id, m.name AS model_name, e.config AS config_text, e.exclusion_stats, e.summary, e.job_no, j.job_id,
    (SELECT min(d.dataset_id) FROM object_sets s JOIN datasets d USING (dataset_no)
        WHERE s.role = 'run' AND s.run_no = e.run_no) AS dataset_id, e.created_at,
    coalesce(e.result, e.evaluation_id) AS result
    FROM evaluations e LEFT JOIN benchmarks b USING (benchmark_no) LEFT JOIN model_runs r ON r.run_no = e.run_no
    LEFT JOIN models m ON m.model_no = coalesce(e.model_no, r.model_no) LEFT JOIN jobs j ON j.job_no = e.job_no"""


def create(
    cursor: Cursor,
    config: Config,
    *,
    name: str | None,
    benchmark_no: int | None = None,
    slice_no: int | None = None,
    slice_id: str | None = None,
    model_no: int | None = None,
    run_no: int | None = None,
) -> EvaluationRecord:
    """Add a pending evaluation of a model or of a run; its job is set by `set_job` in the same transaction."""
    assert (model_no is None) != (run_no is None)
    number, evaluation_id = reserve(cursor, "evaluation"), new_id("evalv2")
    cursor.execute(
        "INSERT INTO evaluations VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, false, ?, NULL, NULL)",
        [
            number, evaluation_id, PENDING, name, benchmark_no, slice_no, slice_id, model_no, run_no, config.to_text(),
            timestamps.now(),
        ],
    )  # fmt: skip
    return find(cursor, evaluation_id)


def copy(cursor: Cursor, evaluation: EvaluationRecord) -> EvaluationRecord:
    """Add a pending evaluation of the same kind as another."""
    return create(
        cursor,
        evaluation.config,
        name=evaluation.name,
        benchmark_no=evaluation.benchmark_no,
        slice_no=evaluation.slice_no,
        slice_id=evaluation.slice_id,
        model_no=evaluation.model_no,
        run_no=evaluation.run_no,
    )


def set_job(cursor: Cursor, evaluation: EvaluationRecord, job: JobRecord) -> None:
    """Record the job that computes an evaluation."""
    cursor.execute(
        "UPDATE evaluations SET job_no = ? WHERE evaluation_no = ?", [job.number, evaluation.number]
    )


def find(cursor: Cursor, evaluation_id: str) -> EvaluationRecord:
    """Return an evaluation; raises `NotFoundError` if there is none with this id, or it was archived."""
    row = one(cursor, f"{_EVALUATION} WHERE e.evaluation_id = ? AND NOT e.archived", [evaluation_id])
    if row is None:
        raise NotFoundError(f"Evaluation {evaluation_id} does not exist.")
    return EvaluationRecord(**row)


def by_number(cursor: Cursor, number: int) -> EvaluationRecord | None:
    """Return an evaluation by its internal number, or None if it was archived."""
    row = one(cursor, f"{_EVALUATION} WHERE e.evaluation_no = ? AND NOT e.archived", [number])
    return None if row is None else EvaluationRecord(**row)


def of_model(cursor: Cursor, model_no: int) -> list[EvaluationRecord]:
    """Return the evaluations of a model's run-free predictions, newest first."""
    return _listing(cursor, "e.model_no = ?", [model_no])


def of_run(cursor: Cursor, run_no: int) -> list[EvaluationRecord]:
    """Return the evaluations of a run, newest first."""
    return _listing(cursor, "e.run_no = ?", [run_no])


def of_whole_model(cursor: Cursor, model_no: int) -> list[EvaluationRecord]:
    """Return the succeeded evaluations of a model's run-free predictions and of its runs, newest first."""
    runs = "(SELECT run_no FROM model_runs WHERE model_no = ?)"
    condition = f"(e.model_no = ? OR e.run_no IN {runs}) AND e.status = ?"
    return _listing(cursor, condition, [model_no, model_no, SUCCEEDED])


def of_benchmarks(cursor: Cursor, numbers: list[int]) -> list[EvaluationRecord]:
    """Return the succeeded evaluations on some benchmarks, newest first."""
    condition = "e.benchmark_no IN (SELECT unnest(?::INTEGER[])) AND e.status = ?"
    return _listing(cursor, condition, [numbers, SUCCEEDED])


def _listing(cursor: Cursor, condition: str, parameters: list[Any]) -> list[EvaluationRecord]:
    sql = f"{_EVALUATION} WHERE {condition} AND NOT e.archived ORDER BY e.evaluation_no DESC"
    return [EvaluationRecord(**row) for row in rows(cursor, sql, parameters)]


def results(cursor: Cursor) -> list[str]:
    """Return the folders of every result that can be read."""
    sql = "SELECT coalesce(result, evaluation_id) FROM evaluations WHERE status = ? AND NOT archived"
    return [row[0] for row in cursor.execute(sql, [SUCCEEDED]).fetchall()]


def begin(cursor: Cursor, evaluation: EvaluationRecord) -> None:
    """Say that an evaluation is being computed."""
    _transition(cursor, evaluation, COMPUTING)


def succeed(
    cursor: Cursor,
    evaluation: EvaluationRecord,
    *,
    exclusion_stats: dict[str, Any],
    summary: dict[str, Any],
    result: str,
    remark: str | None = None,
) -> None:
    """Publish a result whose files are in place; nothing happens to an evaluation that was cancelled meanwhile.

    The remark says why objects of a kind are in no number; it becomes the `error_message` of an evaluation that has succeeded.
    """
    cursor.execute(
        "UPDATE evaluations SET exclusion_stats = ?, summary = ?, result = ?, error_message = ? WHERE evaluation_no = ?",
        [json_text(exclusion_stats), json_text(summary), result, remark, evaluation.number],
    )
    _transition(cursor, evaluation, SUCCEEDED)


def fail(cursor: Cursor, evaluation: EvaluationRecord, message: str) -> None:
    """Record why an evaluation failed."""
    cursor.execute(
        "UPDATE evaluations SET error_message = ? WHERE evaluation_no = ?", [message, evaluation.number]
    )
    _transition(cursor, evaluation, FAILED)


def cancel(cursor: Cursor, evaluation: EvaluationRecord) -> None:
    """Stop an evaluation; raises `ConflictError` if it has ended."""
    if evaluation.status not in {PENDING, COMPUTING}:
        raise ConflictError(
            f"Evaluation {evaluation.id} has already ended: {evaluation.status}. Delete it to put it away."
        )
    _transition(cursor, evaluation, CANCELLED)


def _transition(cursor: Cursor, evaluation: EvaluationRecord, status: str) -> None:
    """Change the status of an evaluation that has not ended."""
    finished = None if status == COMPUTING else timestamps.now()
    cursor.execute(
        "UPDATE evaluations SET status = ?, finished_at = ? WHERE evaluation_no = ? AND status IN (?, ?)",
        [status, finished, evaluation.number, PENDING, COMPUTING],
    )


def archive(cursor: Cursor, evaluation: EvaluationRecord) -> None:
    """Archive an evaluation: clients no longer see it."""
    cursor.execute("UPDATE evaluations SET archived = true WHERE evaluation_no = ?", [evaluation.number])


def require_succeeded(evaluation: EvaluationRecord) -> None:
    """Raise `ConflictError` unless there is a result to read."""
    if evaluation.status == SUCCEEDED:
        return
    reason = f": {evaluation.error_message.rstrip('.')}" if evaluation.error_message else ""
    advice = (
        "Wait until it has succeeded." if evaluation.status in {PENDING, COMPUTING} else "It has no result."
    )
    raise ConflictError(f"Evaluation {evaluation.id} is {evaluation.status}{reason}. {advice}")
