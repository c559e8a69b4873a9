"""The hook: a Nucleus connection of Airflow as typed methods, one per route.

Nothing else in the Airflow face makes HTTP calls. Tasks use the hook itself; triggers ask it for the asynchronous client, whose
connection is then read without blocking the event loop. The methods for the routes are in :mod:`airflow_provider_nucleus.hooks.routes`.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_nucleus.client.aio import AsyncNucleusClient
from airflow_provider_nucleus.client.server_identity import check_target
from airflow_provider_nucleus.client.sync import NucleusClient
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.hooks.connection import connection_hint, parse_connection
from airflow_provider_nucleus.hooks.connection_form import (
    CONN_NAME,
    CONN_TYPE,
    DEFAULT_CONN_ID,
    legacy_field_behaviour,
    legacy_form_widgets,
)
from airflow_provider_nucleus.hooks.routes.datasets import DatasetRoutes
from airflow_provider_nucleus.hooks.routes.evaluations import EvaluationRoutes
from airflow_provider_nucleus.hooks.routes.items import ItemRoutes
from airflow_provider_nucleus.hooks.routes.jobs import JobRoutes
from airflow_provider_nucleus.hooks.routes.models import ModelRoutes
from airflow_provider_nucleus.hooks.routes.predictions import PredictionRoutes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from airflow_provider_nucleus.client.config import NucleusConfig

__all__ = ["NucleusHook"]

_TEST_TIMEOUT = 20.0
"""Seconds that testing a connection waits for an answer at most."""


class NucleusHook(DatasetRoutes, ItemRoutes, PredictionRoutes, ModelRoutes, JobRoutes, EvaluationRoutes):
    """A Nucleus (Scale's cloud or an embedded one), as an Airflow connection describes it.

    Every method raises NucleusConnectionError when there is no answer and a NucleusAPIError when there is a bad one, after the
    retries that can help. Use the hook as a context manager, or call :meth:`close`, to give its connections back early.

    :param nucleus_conn_id: the Nucleus connection to use
    """

    conn_name_attr: ClassVar[str] = "nucleus_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_CONN_ID
    conn_type: ClassVar[str] = CONN_TYPE
    hook_name: ClassVar[str] = CONN_NAME

    def __init__(self, nucleus_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nucleus_conn_id = nucleus_conn_id
        self._config: NucleusConfig | None = None
        self._client: NucleusClient | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields, for Airflow below 3.2."""
        return legacy_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow below 3.2."""
        return legacy_form_widgets()

    @property
    def config(self) -> NucleusConfig:
        """The connection, read; raises NucleusConfigError naming the field that is wrong."""
        if self._config is None:
            self._config = parse_connection(self.get_connection(self.nucleus_conn_id))
            for secret in (self._config.api_key, self._config.limited_access_key):
                if secret:
                    mask_secret(secret)
        return self._config

    async def async_config(self) -> NucleusConfig:
        """Return the connection, read without blocking the event loop."""
        if self._config is None:
            # Both compat functions mask the connection's secrets, without the call that would deadlock here.
            conn = await get_async_connection(self.nucleus_conn_id, hook=type(self))
            config = parse_connection(conn)
            await get_async_extra_dejson(conn)
            self._config = config
        return self._config

    def get_conn(self) -> NucleusClient:
        """Return the client, made once; its pooled connections are shared by all methods."""
        if self._client is None:
            self._client = NucleusClient(self.config)
        return self._client

    @contextlib.asynccontextmanager
    async def get_async_client(self) -> AsyncGenerator[AsyncNucleusClient]:
        """Give an asynchronous client for the running event loop, closed on leaving."""
        async with AsyncNucleusClient(await self.async_config()) as client:
            yield client

    def close(self) -> None:
        """Close the pooled connections; the hook can be used again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the connection works, and if not, what was tried and what to do."""
        try:
            # Someone sits before a form: a host that does not answer should not take the connection's full patience.
            config = replace(self.config, timeout=min(self.config.timeout, _TEST_TIMEOUT))
            with NucleusClient(config) as client:
                return True, str(check_target(client))
        except NucleusError as error:
            error.hint = connection_hint(error, self._config) or error.hint
            return False, str(error)
