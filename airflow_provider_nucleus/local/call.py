"""One authenticated request, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_nucleus.requesting_task import TASK_HEADER, read_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from airflow_provider_nucleus.local.http.messages import ReceivedFile
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Database

__all__ = ["RouteCall"]


@dataclass(frozen=True, slots=True)
class RouteCall:
    """One authenticated request: decoded path parameters, and the files of a multipart request (None: it was none).

    What the body and the address say, handlers get beside it, as the models that their routes declare.
    """

    services: Services
    params: Mapping[str, str]
    request: Request
    files: Sequence[ReceivedFile] | None = field(default=None, repr=False)

    @property
    def db(self) -> Database:
        """The store."""
        return self.services.db

    @property
    def requested_by(self) -> dict[str, str] | None:
        """The task of Airflow that sends this, None where the client does not say."""
        return read_task(self.request.headers.get(TASK_HEADER, ""))

    def url(self, path: str) -> str:
        """Return the absolute URL of a path below the API prefix, as this client reaches the server."""
        address = self.request.url
        return f"{address.scheme}://{address.netloc}{self.request.scope['root_path']}/{path}"
