"""The pages as an ASGI application.

Every page needs a key, as the user name of HTTP Basic auth or by the session of a browser that has signed in, on loopback
too: other users and programs of the machine can reach loopback, and so can a web page by way of the browser. Only the style
sheet and the form to sign in are open. Pages are never cached, run no script, and load nothing from elsewhere.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from anyio import to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_nucleus.local.errors import (
    ApiError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
)
from airflow_provider_nucleus.local.http.auth import check_key, check_site, session_name
from airflow_provider_nucleus.local.http.messages import read_limited
from airflow_provider_nucleus.local.http.path_templates import template_pattern
from airflow_provider_nucleus.local.keys import SESSION_SECONDS
from airflow_provider_nucleus.local.pages.dataset import dataset_page
from airflow_provider_nucleus.local.pages.evaluation import evaluation_page
from airflow_provider_nucleus.local.pages.home import home_page
from airflow_provider_nucleus.local.pages.job import job_page
from airflow_provider_nucleus.local.pages.login import login_page, safe_target
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
_FORM_LIMIT: Final = 10_000
"""Bytes of the form to sign in."""
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
        form: Mapping[str, str] = {}
        try:
            if request.method == "POST":
                body = await read_limited(request, _FORM_LIMIT)
                form = dict(parse_qsl(body.decode(errors="replace"), max_num_fields=10))
        except (ApiError, ValueError):
            # Too much for a form of ours: it is answered as an empty one.
            form = {}
        except ClientDisconnect:
            return
        response = await to_thread.run_sync(self._answer, request, form)
        await response(scope, receive, send)

    def _answer(self, request: Request, form: Mapping[str, str]) -> Response:
        urls = Urls(request.scope.get("root_path", "").rstrip("/"))
        path = request.scope["path"].removeprefix(urls.prefix)
        try:
            if path in {PATHS["login"], PATHS["logout"]}:
                return self._session(request, form, urls, signing_in=path == PATHS["login"])
            if request.method not in {"GET", "HEAD"}:
                raise MethodNotAllowedError(f"{request.method} {path}", allowed=["GET"])
            if (answer := self._without_key(path, urls)) is not None:
                return answer
            check_key(request, self._services.keys, changes=False)
            return self._page(request, path, urls)
        except UnauthorizedError as error:
            if "text/html" not in request.headers.get("accept", ""):
                return self._problem(error, urls)
            # A browser gets the form, not a question for a user name.
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            page = login_page(urls, what="Sign in to see this page.", target=target)
            return self._render("login.html", page, urls, status=401, headers={})
        except ApiError as error:
            return self._problem(error, urls)
        except Exception:
            log.exception("page %s failed", path)
            return self._problem(_UnexpectedError("An unexpected error."), urls)

    def _without_key(self, path: str, urls: Urls) -> Response | None:
        """Return what is open to everybody at a path, None if nothing is."""
        if path == PATHS["style"]:
            return Response(self._style, media_type="text/css", headers={"Cache-Control": "max-age=300"})
        target = dashboard_target(path, urls)
        return None if target is None else RedirectResponse(target, 307)

    def _session(
        self, request: Request, form: Mapping[str, str], urls: Urls, *, signing_in: bool
    ) -> Response:
        """Show the form, begin a session with the key that was entered, or end one."""
        if request.method not in {"GET", "HEAD", "POST"}:
            raise MethodNotAllowedError(f"{request.method} {request.url.path}", allowed=["GET", "POST"])
        cookie = session_name(request)
        if request.method != "POST":
            session = self._services.keys.signed_in(request.cookies.get(cookie, ""))
            wished = request.query_params.get("target", "")
            page = login_page(urls, target=wished, signed_in=session.name if session else "")
            return self._render("login.html", page, urls, status=200, headers={})
        check_site(request.headers)
        if not signing_in:
            response = RedirectResponse(urls.login, 303, headers=_HEADERS)
            response.delete_cookie(cookie, path=urls.prefix or "/")
            return response
        key = self._services.keys.find(form.get("key", "").strip())
        target = form.get("target", "")
        if key is None:
            page = login_page(urls, what="This is not a key of this server.", target=target)
            return self._render("login.html", page, urls, status=401, headers={})
        response = RedirectResponse(safe_target(target, urls), 303, headers=_HEADERS)
        response.set_cookie(
            cookie,
            self._services.keys.session(key),
            max_age=SESSION_SECONDS,
            path=urls.prefix or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            # Links from an Airflow elsewhere lead to a page, and not to the form.
            samesite="lax",
        )
        return response

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
