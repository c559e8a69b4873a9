"""The pages as an ASGI application.

Every page needs the API key, as the user name of HTTP Basic auth, on loopback too: other users and programs of the
machine can reach loopback, and so can a web page by way of the browser. Only the style sheet is open. Pages are never
cached, run no script, and load nothing from elsewhere.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_nucleus.local.errors import ApiError, MethodNotAllowedError, NotFoundError
from airflow_provider_nucleus.local.http.auth import check_key
from airflow_provider_nucleus.local.http.path_templates import template_pattern
from airflow_provider_nucleus.local.pages.dataset import dataset_page
from airflow_provider_nucleus.local.pages.evaluation import evaluation_page
from airflow_provider_nucleus.local.pages.home import home_page
from airflow_provider_nucleus.local.pages.job import job_page
from airflow_provider_nucleus.local.pages.model import model_page
from airflow_provider_nucleus.local.pages.problem import problem_page
from airflow_provider_nucleus.local.pages.urls import PATHS, Urls, dashboard_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from airflow_provider_nucleus.local.pages.layout import PageFrame
    from airflow_provider_nucleus.local.services import Services
    from airflow_provider_nucleus.local.store.database import Cursor

__all__ = ["PagesApp", "environment"]

log = logging.getLogger(__name__)
_HERE: Final = Path(__file__).parent
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGES: Final[Mapping[str, Callable[[Cursor, Urls, Mapping[str, str], Mapping[str, str]], PageFrame]]] = {
    "home": lambda cursor, urls, _ids, _state: home_page(cursor, urls),
    "dataset": lambda cursor, urls, ids, _state: dataset_page(cursor, urls, ids["dataset_id"]),
    "model": lambda cursor, urls, ids, _state: model_page(cursor, urls, ids["model_id"]),
    "job": lambda cursor, urls, ids, _state: job_page(cursor, urls, ids["job_id"]),
    "evaluation": lambda cursor, urls, ids, state: evaluation_page(
        cursor, urls, ids["dataset_id"], ids["model_id"], state=state
    ),
}


def environment() -> Environment:
    """Return the templates: everything is escaped, and a value that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class _UnexpectedError(ApiError):
    """An unexpected error; the text says no more than that."""


class PagesApp:
    """Answers every path below the root that nothing else answers: a page, or a page that says what is missing."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._templates = environment()
        self._style = (_HERE / "static" / "nucleus.css").read_bytes()
        self._patterns = {
            name: template_pattern(path.lstrip("/")) for name, path in PATHS.items() if name in _PAGES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        response = await to_thread.run_sync(self._answer, request)
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        urls = Urls(request.scope.get("root_path", "").rstrip("/"))
        path = request.scope["path"].removeprefix(urls.prefix)
        try:
            if request.method not in {"GET", "HEAD"}:
                raise MethodNotAllowedError(f"{request.method} {path}", allowed=["GET"])
            if path == PATHS["style"]:
                return Response(self._style, media_type="text/css", headers={"Cache-Control": "max-age=300"})
            if (target := dashboard_target(path, urls)) is not None:
                return RedirectResponse(target, 307)
            check_key(request.headers, self._services.settings.api_key)
            return self._page(request, path, urls)
        except ApiError as error:
            return self._problem(error, urls)
        except Exception:
            log.exception("page %s failed", path)
            return self._problem(_UnexpectedError("An unexpected error."), urls)

    def _page(self, request: Request, path: str, urls: Urls) -> Response:
        for name, pattern in self._patterns.items():
            # Reading is no danger, and people put slashes at the end.
            if found := pattern.fullmatch(path.strip("/")):
                with self._services.db.read() as cursor:
                    page = _PAGES[name](cursor, urls, found.groupdict(), request.query_params)
                return self._render(f"{name}.html", page, urls, status=200, headers={})
        raise NotFoundError(f"There is no page at {path}.")

    def _problem(self, error: ApiError, urls: Urls) -> Response:
        return self._render(
            "problem.html", problem_page(error, urls), urls, status=error.status, headers=error.headers
        )

    def _render(
        self, template: str, page: PageFrame, urls: Urls, *, status: int, headers: Mapping[str, str]
    ) -> Response:
        values: dict[str, Any] = {field.name: getattr(page, field.name) for field in dataclasses.fields(page)}
        text = self._templates.get_template(template).render(**values, urls=urls)
        return HTMLResponse(text, status, headers={**_HEADERS, **headers})
