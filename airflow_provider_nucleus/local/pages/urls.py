"""Addresses of pages, built in this one place, under whatever prefix the server is mounted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PATHS", "Urls", "dashboard_target"]

PATHS: Final = {
    "home": "/",
    "dataset": "/dataset/{dataset_id}",
    "evaluation": "/dataset/{dataset_id}/model/{model_id}/evaluation",
    "model": "/model/{model_id}",
    "job": "/job/{job_id}",
    "login": "/login",
    "logout": "/logout",
    "style": "/static/nucleus.css",
}
"""The path of every page below the prefix; clients link to these, so they stay as they are."""

_NUMBERS: Final = {
    "charts": "/v1/nucleus/evaluationsV2/{evaluation_id}/charts",
    "COCO's numbers": "/ui/api/evaluations/{evaluation_id}/coco",
    "provenance": "/ui/api/evaluations/{evaluation_id}/provenance",
}
"""The JSON routes of an evaluation of the second version, which has no page."""


_DASHBOARD: Final = re.compile(
    r"(?P<dataset>ds_\w+)(/(slc_\w+|jobs))?|(?P<model>prj_\w+)|(?P<job>job_\w+)|jobs/(?P<listed>job_\w+)|jobs|datasets|models",
    re.ASCII,
)


def dashboard_target(path: str, urls: Urls) -> str | None:
    """Return our page for a path of Scale's dashboard, to which the official command line links; None if there is none."""
    found = _DASHBOARD.fullmatch(path.strip("/"))
    if found is None:
        return None
    if (dataset := found["dataset"]) is not None:
        return urls.dataset(dataset)
    if (model := found["model"]) is not None:
        return urls.model(model)
    job = found["job"] or found["listed"]
    return urls.home if job is None else urls.job(job)


@dataclass(frozen=True, slots=True)
class Urls:
    """Addresses below `prefix`, which has no trailing slash and is empty at the root of a host."""

    prefix: str = ""

    @property
    def home(self) -> str:
        """The list of everything."""
        return self._path("home")

    @property
    def login(self) -> str:
        """The form for the key."""
        return self._path("login")

    @property
    def logout(self) -> str:
        """The address that ends a session."""
        return self._path("logout")

    @property
    def style(self) -> str:
        """The style sheet."""
        return self._path("style")

    def dataset(self, dataset_id: str) -> str:
        """Return the address of a dataset."""
        return self._path("dataset", dataset_id=dataset_id)

    def model(self, model_id: str) -> str:
        """Return the address of a model."""
        return self._path("model", model_id=model_id)

    def job(self, job_id: str) -> str:
        """Return the address of a job."""
        return self._path("job", job_id=job_id)

    def evaluation(self, dataset_id: str, model_id: str, *, state: Mapping[str, str] | None = None) -> str:
        """Return the address of a model's evaluation on a dataset; `state` is what the page shows it at."""
        path = self._path("evaluation", dataset_id=dataset_id, model_id=model_id)
        return f"{path}?{urlencode(state)}" if state else path

    def trend(self, dataset_id: str, model_id: str) -> str:
        """Return the address of the JSON of a model's numbers over time on a dataset."""
        dataset, model = quote(dataset_id, safe=""), quote(model_id, safe="")
        return f"{self.prefix}/ui/api/datasets/{dataset}/trend?model_id={model}"

    def numbers(self, evaluation_id: str) -> dict[str, str]:
        """Return the addresses of what an evaluation of the second version found, by what they have."""
        evaluation = quote(evaluation_id, safe="")
        return {name: self.prefix + path.format(evaluation_id=evaluation) for name, path in _NUMBERS.items()}

    def _path(self, page: str, **ids: str) -> str:
        return self.prefix + PATHS[page].format(**{
            name: quote(value, safe="") for name, value in ids.items()
        })
