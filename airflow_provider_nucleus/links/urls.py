"""Addresses at which a person finds an object of Nucleus in a browser.

On Scale's cloud these are dashboard addresses; on an embedded Nucleus they are pages of the same server, whose scheme is
`<root>/dataset/<id>`, `<root>/model/<id>`, `<root>/job/<id>` and `<root>/dataset/<id>/model/<id>/evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.cloud import API_PATH, CLOUD_DASHBOARD, CLOUD_HOST

__all__ = ["PageUrls", "page_urls"]


@dataclass(frozen=True, slots=True)
class PageUrls:
    """Builds the addresses of one Nucleus; `root` has no trailing slash."""

    root: str
    cloud: bool

    def dataset(self, dataset_id: str) -> str:
        """Address of a dataset."""
        return f"{self.root}/{_id(dataset_id)}" if self.cloud else f"{self.root}/dataset/{_id(dataset_id)}"

    def model(self, model_id: str) -> str:
        """Address of a model."""
        return f"{self.root}/{_id(model_id)}" if self.cloud else f"{self.root}/model/{_id(model_id)}"

    def job(self, job_id: str) -> str:
        """Address of a job; the cloud's dashboard has a page for all jobs only."""
        return f"{self.root}/jobs" if self.cloud else f"{self.root}/job/{_id(job_id)}"

    def evaluation(
        self,
        dataset_id: str,
        model_id: str,
        *,
        iou_threshold: float | None = None,
        calculation: str | None = None,
    ) -> str:
        """Address of a model's evaluation on a dataset at an overlap; the cloud shows it with the dataset.

        With the job of a *calculation* it is the page of that one for ever, without it that of the newest.
        """
        if self.cloud:
            return self.dataset(dataset_id)
        state: dict[str, str] = {}
        if iou_threshold is not None:
            state["iou"] = f"{iou_threshold:.10g}"
        if calculation is not None:
            state["calculation"] = calculation
        path = f"{self.root}/dataset/{_id(dataset_id)}/model/{_id(model_id)}/evaluation"
        return f"{path}?{urlencode(state)}" if state else path


def page_urls(endpoint: str, public_url: str | None = None) -> PageUrls:
    """Return the page addresses that belong to the API at *endpoint*, below *public_url* where browsers reach it otherwise."""
    address = Address.parse(endpoint, "endpoint")
    if address.host == CLOUD_HOST:
        return PageUrls(root=(public_url or CLOUD_DASHBOARD).rstrip("/"), cloud=True)
    if public_url:
        address = Address.parse(public_url, "public_url")
    path = address.path.rstrip("/").removesuffix(API_PATH)
    return PageUrls(root=f"{address.root}{path}", cloud=False)


def _id(value: str) -> str:
    return quote(value, safe="")
