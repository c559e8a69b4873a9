"""Metrics, matches and evaluations, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_nucleus.client.calls import evaluations, metrics, query
from airflow_provider_nucleus.client.cancellation import cancel
from airflow_provider_nucleus.client.jobs import wait_for_evaluation
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_nucleus.client.cancellation import Cancellation
    from airflow_provider_nucleus.schema.evaluations import Evaluation
    from airflow_provider_nucleus.schema.matches import AllowedLabelMatch, EvaluationMatch

__all__ = ["EvaluationRoutes"]


class EvaluationRoutes(Routes):
    """Metrics and their matches, and evaluations on benchmarks."""

    def calculate_metrics(
        self,
        dataset_id: str,
        model_id: str,
        *,
        class_agnostic: bool = False,
        allowed_label_matches: Sequence[AllowedLabelMatch] = (),
    ) -> dict[str, Any]:
        """Have predictions matched with ground truth; the answer usually names the job to wait for."""
        return self.send(
            metrics.calculate_metrics(
                dataset_id,
                model_id,
                class_agnostic=class_agnostic,
                allowed_label_matches=allowed_label_matches,
            )
        )

    def iter_matches(
        self,
        dataset_id: str,
        model_run_id: str,
        *,
        mode: Literal["iou", "false_positive", "false_negative"],
        page_size: int = 10_000,
    ) -> Iterator[EvaluationMatch]:
        """Yield the matches of a run: pairs (``iou``), or the unmatched objects of one side, a page at a time."""
        return self.get_conn().pages(
            query.query_matches_page(dataset_id, model_run_id, mode=mode, page_size=page_size)
        )

    def get_evaluation(self, evaluation_id: str) -> Evaluation:
        """Look at an evaluation on a benchmark."""
        return self.send(evaluations.get_evaluation(evaluation_id))

    def wait_for_evaluation(
        self, evaluation_id: str, *, poll_interval: float = 5.0, timeout: float | None = None
    ) -> Evaluation:
        """Wait until an evaluation is over and return it.

        Raises NucleusMetricsError if it failed or was cancelled, NucleusJobTimeout after *timeout* seconds.
        """
        return wait_for_evaluation(
            self.get_conn(), evaluation_id, poll_interval=poll_interval, timeout=timeout
        )

    def cancel_evaluation(self, evaluation_id: str) -> Cancellation:
        """Ask once for an evaluation to be cancelled, and say what that led to."""
        return cancel(self.get_conn(), evaluations.cancel_evaluation(evaluation_id))
