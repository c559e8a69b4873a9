"""Do something with every model that was accepted, whichever DAG judged it.

It runs on the asset `nucleus://accepted/inference-batch/detector`, which is updated by a pass of the gate or a person's approval, and by nothing
else. What it needs to know is in the event's extra: the model, the data set and batch, the numbers, the verdict, the decision and the links.

Events that arrive while this DAG is paused are dropped by Airflow 3.3, not kept for later: unpause it before the first model is judged, and
after a pause look at the baseline record for what was accepted in the meantime. Several events may start one run together.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_nucleus.assets.factories import accepted

log = logging.getLogger(__name__)

ACCEPTED = accepted(dataset="inference-batch", model="detector")


@dag(
    dag_id="nucleus_deploy_accepted",
    schedule=[ACCEPTED],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["nucleus", "example"],
    doc_md=__doc__,
)
def nucleus_deploy_accepted() -> None:
    """Name the models that were accepted."""

    @task
    def deploy(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Return which models to deploy, the newest last; none for a run that was started by hand."""
        events = list(triggering_asset_events[ACCEPTED]) if triggering_asset_events else []
        models = []
        for event in events:
            told = event.extra
            log.info("%s is accepted: %s, %s", told["model"], told["verdict"], told["decision"])
            models.append({
                "model_id": told["model"]["id"],
                "numbers": told["numbers"],
                "links": told["links"],
            })
        return models

    deploy()


nucleus_deploy_accepted()
