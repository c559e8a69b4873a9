"""The application: the REST contract under one prefix, a health check beside it."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from airflow_provider_nucleus.dot_ids import DOT_IDS
from airflow_provider_nucleus.local.blobs import BlobFiles
from airflow_provider_nucleus.local.call import RouteCall
from airflow_provider_nucleus.local.contract import contract_route
from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.errors import (
    ApiError,
    BadRequestError,
    MemoryLimitError,
    MethodNotAllowedError,
    NotImplementedRoute,
    TooLargeError,
    UnsupportedEncodingError,
)
from airflow_provider_nucleus.local.evaluations.computing.result_files import ResultFiles
from airflow_provider_nucleus.local.evaluations.computing.result_layouts import log_other_layouts
from airflow_provider_nucleus.local.evaluations.reading.result import ResultCache
from airflow_provider_nucleus.local.http.auth import READING, check_key, check_site
from airflow_provider_nucleus.local.http.messages import (
    error_response,
    json_response,
    read_form,
    read_limited,
)
from airflow_provider_nucleus.local.jobs.cleanup import sweep_at_start, sweep_spilled, sweep_uploads
from airflow_provider_nucleus.local.jobs.pool import JobPool
from airflow_provider_nucleus.local.jobs.registry import RUNNERS
from airflow_provider_nucleus.local.keys import KeyFiles, KeyRing
from airflow_provider_nucleus.local.openapi import openapi_document
from airflow_provider_nucleus.local.pages.app import PagesApp
from airflow_provider_nucleus.local.routes.all_routes import all_routes
from airflow_provider_nucleus.local.routes.diagnostics import DIAGNOSTICS_PREFIX
from airflow_provider_nucleus.local.routes.diagnostics import ROUTES as DIAGNOSTICS
from airflow_provider_nucleus.local.services import Services
from airflow_provider_nucleus.local.store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_nucleus.local.routes.routing import Match, RouteTable
    from airflow_provider_nucleus.local.settings import Settings

__all__ = ["API_PREFIX", "create_app"]

API_PREFIX: Final = "/v1/nucleus"
_WRITERS: Final = 16
_SWEEP_SECONDS: Final = 600.0
_LARGE: Final = 1 << 20
"""Bytes of a body that is itself the reason when there is no memory for it."""
log = logging.getLogger(__name__)


def create_app(data_dir: Path | str | DataDir, *, settings: Settings) -> Starlette:
    """Open the data directory and return the ASGI application.

    `app.state.services` is the opened store; it is closed when the application shuts down.
    Raises `DataDirError` if the directory is in use or not writable.
    """
    folder = data_dir if isinstance(data_dir, DataDir) else DataDir(Path(data_dir))
    services = open_services(folder, settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        sweep_at_start(services)
        log_other_layouts(services.db, services.folder.evaluations)
        services.pool.start(services)
        sweeping = asyncio.create_task(_sweep_again_and_again(services))
        try:
            yield
        finally:
            sweeping.cancel()
            await to_thread.run_sync(services.close)

    tables = {API_PREFIX: all_routes(), DIAGNOSTICS_PREFIX: DIAGNOSTICS}

    async def health(_: Request) -> Response:  # ruff: ignore[unused-async] - needs no thread
        """Answer when the server is ready for work."""
        return json_response({"status": "ok"})

    async def openapi(request: Request) -> Response:
        """Return the OpenAPI document to whoever has the key."""
        try:
            check_key(request, services.keys, changes=False)
        except ApiError as error:
            return error_response(error)
        root = request.scope.get("root_path", "")
        return json_response(await to_thread.run_sync(partial(openapi_document, tables, root=root)))

    routes = [
        Route("/health", health),
        Route("/openapi.json", openapi),
        *(_AnyPath(prefix, _Contract(services, table, prefix=prefix)) for prefix, table in tables.items()),
        # Last: it answers every path that nothing above does.
        _AnyPath("/", PagesApp(services)),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.services = services
    return app


def open_services(folder: DataDir, settings: Settings) -> Services:
    """Open the store of a locked data directory, with everything that handlers and jobs need beside it."""
    sweep_spilled(folder.root)
    db = Database(folder.database, memory_limit=settings.memory_limit, spill=folder.spool / "spill")
    return Services(
        settings,
        folder,
        db,
        BlobFiles(folder.blobs),
        KeyRing(KeyFiles(folder.root), settings.api_key),
        JobPool(RUNNERS, workers=settings.job_workers),
        ResultCache(ResultFiles(folder.evaluations)),
    )


async def _sweep_again_and_again(services: Services) -> None:
    """Forget uploads that nobody came for, on a server on which no job ends."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await to_thread.run_sync(sweep_uploads, services)
        except Exception:
            # A full disk, or too little memory: there is a next time.
            log.warning("uploads that nobody came for stay for now", exc_info=True)


class _AnyPath(Mount):
    """A mount for every path below it: Starlette's takes none with a line break, which an id may have."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app=app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


class _Contract:
    """A table of routes (the contract, or our own) as an ASGI application that answers nothing but JSON."""

    def __init__(self, services: Services, routes: RouteTable, *, prefix: str) -> None:
        self._services = services
        self._routes = routes
        self._prefix = prefix
        # Fewer threads than there are for reads: calls that wait for the writer's turn never hold up a GET.
        self._writers = CapacityLimiter(_WRITERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ApiError as error:
            response = error_response(error)
        except RecursionError:
            # Nothing of ours goes deep by itself: it follows what was sent.
            response = error_response(
                BadRequestError("The request is nested too deep; nothing of it was stored.")
            )
        except ClientDisconnect:
            return
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            response = json_response(
                {"error": "Internal server error; the server's log has the details."}, 500
            )
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        raw = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
        path = raw.partition(self._prefix)[2].lstrip("/")
        match = self._routes.match(request.method, path)
        if match is None or not match.route.public:
            changes = request.method not in READING if match is None else match.route.changes
            check_key(request, self._services.keys, changes=changes)
            if request.method not in READING:
                check_site(request.headers)
        if match is None:
            raise self._missing(request.method, path)
        if (encoding := request.headers.get("content-encoding", "identity").lower()) != "identity":
            raise UnsupportedEncodingError(
                f"The body is sent with the content encoding {encoding[:40]}, which this server does not undo: it could become "
                "any size. Send it as it is; nothing was changed."
            )
        if request.method in {"DELETE", "PATCH"} and request.url.query:
            # None of these has parameters, and what was meant is not what would be deleted.
            raise BadRequestError(
                f"{request.method} {path} came with a query. An id with a question mark must be percent-encoded; "
                "nothing was changed."
            )
        return await self._run(match, request)

    def _missing(self, method: str, path: str) -> ApiError:
        known = contract_route(method, path)
        if known is not None:
            return NotImplementedRoute(
                f"Not implemented in the embedded Nucleus: {method} {known.template} (contract section {known.section})."
            )
        parts = {unquote(part) for part in path.split("/")}
        if "" in parts or parts & DOT_IDS:
            return BadRequestError(
                f"{method} {path} lacks an id: a part of the path is empty, or a dot or two. HTTP libraries resolve an id of . or .. "
                "before they send it, so that its parent is asked for. Nothing was changed."
            )
        if allowed := self._routes.methods(path):
            return MethodNotAllowedError(
                f"{method} is not allowed on {path}; use {' or '.join(allowed)}.", allowed=allowed
            )
        return NotImplementedRoute(f"Not implemented in the embedded Nucleus: {method} {path}.")

    async def _run(self, match: Match, request: Request) -> Response:
        route, params, settings = match.route, match.params(), self._services.settings
        body, form = b"", None
        if not route.raw:
            if request.headers.get("content-type", "").startswith("multipart/"):
                form = await read_form(
                    request, settings.form_body_limit, field_limit=settings.json_body_limit
                )
            else:
                body = await read_limited(request, settings.json_body_limit)
        call = RouteCall(self._services, params, request, None if form is None else form.files)
        try:
            if route.raw:
                return _response(await route.handler(call), route.status)
            limiter = None if request.method == "GET" else self._writers
            return await to_thread.run_sync(
                lambda: _response(route.run(call, body, form), route.status), limiter=limiter
            )
        except MemoryLimitError as error:
            if len(body) < _LARGE:
                raise
            raise TooLargeError(
                f"The request body of {len(body):,} bytes takes more memory than the server may use (NUCLEUS_LOCAL_MEMORY_LIMIT); "
                "nothing of it was stored. Send fewer rows at once."
            ) from error
        finally:
            for part in form.files if form is not None else ():
                part.file.close()


def _response(value: Any, status: int) -> Response:
    return value if isinstance(value, Response) else json_response(value, status)
