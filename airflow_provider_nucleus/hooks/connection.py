"""An Airflow connection read into a :class:`NucleusConfig`: the one place where this happens.

Precedence, per value:

=====================  ====================================================================================
endpoint               extra ``endpoint``; else host + port (a full URL, or a name with ``schema`` as protocol);
                       else Scale's cloud
API key                password (and nowhere else: a login is shown in clear text)
limited access key     extra ``limited_access_key``; excludes an API key
TLS verification       extra ``verify_tls``; else on
timeout                extra ``timeout``, in seconds; else 120
=====================  ====================================================================================

Forms store a blank as ``""`` and URIs carry every extra as a string, so blanks, ``None``, ``"None"`` and ``"null"`` all
mean "not set", and ``"true"``, ``"0"`` or ``"30"`` mean what they say.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_nucleus.client.config import CLOUD_ENDPOINT, NucleusConfig
from airflow_provider_nucleus.exceptions import (
    NucleusAPIError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.hooks.connection_form import DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.exceptions import NucleusError

__all__ = ["AirflowConnection", "connection_hint", "parse_connection"]

_FIELDS = ("endpoint", "limited_access_key", "verify_tls", "timeout")
_EMBEDDED_KEY = "local_"
"""What the keys that an embedded Nucleus generates begin with."""

_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "f", "n"})
_BLANK = frozenset({"", "none", "null"})


class AirflowConnection(Protocol):
    """What is read of a connection; both the Task SDK's and Airflow 2's class have it."""

    conn_id: str
    host: str | None
    schema: str | None
    login: str | None
    password: str | None
    port: int | None


def parse_connection(conn: AirflowConnection, extra: Mapping[str, Any]) -> NucleusConfig:
    """Return the configuration that *conn* describes, *extra* being its decoded extra.

    Raises NucleusConfigError naming the field and the connection id; never with a key in its text.
    """
    reader = _Reader(conn.conn_id, extra)
    _check_names(extra, reader)
    api_key = _text(conn.password)
    limited_access_key = reader.text("limited_access_key")
    if api_key and limited_access_key:
        raise reader.error(
            "limited_access_key",
            "is set together with an API key, and a request can carry only one of them",
            hint="Empty one of the two fields.",
        )
    if not api_key and not limited_access_key:
        if _text(conn.login):
            raise reader.error(
                "password",
                "is empty while the login is filled in",
                hint="Put the API key into the password field (labelled 'API key'): a login is shown in clear text.",
            )
        raise reader.error(
            "password",
            "holds no API key, and limited_access_key is empty too",
            hint="Fill in the API key of your Nucleus account, or the key that `nucleus-local serve` printed.",
        )
    endpoint = _endpoint(conn, reader)
    if endpoint == CLOUD_ENDPOINT and (api_key or "").startswith(_EMBEDDED_KEY):
        raise reader.error(
            "endpoint",
            "is empty, which means Scale's cloud, but the API key is that of an embedded Nucleus",
            hint="Fill in the address that `nucleus-local serve` printed.",
        )
    return NucleusConfig(
        endpoint=endpoint,
        api_key=api_key,
        limited_access_key=limited_access_key,
        verify_tls=reader.flag("verify_tls", default=True),
        timeout=reader.seconds("timeout", default=DEFAULT_TIMEOUT_SECONDS),
        conn_id=conn.conn_id,
    )


def connection_hint(error: NucleusError, config: NucleusConfig | None) -> str | None:
    """Return what to do about a connection that does not work, None when the error says it already."""
    if config is None:
        return None
    is_page = isinstance(error, NucleusAPIError) and error.body.lstrip().startswith("<")
    if isinstance(error, NucleusNotFoundError) or is_page:
        return (
            f"Something answers at {config.endpoint}, but not as a Nucleus API: check the path of the endpoint, which "
            "usually ends in /v1/nucleus."
        )
    if isinstance(error, NucleusConnectionError):
        return (
            f"Check that {config.endpoint} can be reached from here; an embedded Nucleus must be running "
            "(`nucleus-local serve`)."
        )
    return None


def _endpoint(conn: AirflowConnection, reader: _Reader) -> str:
    """Return the endpoint as it stands; whether it is a usable URL is for NucleusConfig to say."""
    host = _text(conn.host)
    if (from_extra := reader.text("endpoint")) is not None or host is None:
        return from_extra or CLOUD_ENDPOINT
    if "://" in host:
        return _with_port(host, conn.port)
    name, _, path = host.partition("/")
    port = f":{conn.port}" if conn.port else ""
    return f"{_text(conn.schema) or 'https'}://{name}{port}/{path or 'v1/nucleus'}"


def _with_port(url: str, port: int | None) -> str:
    """Return a host given as URL with the port of the connection, unless it has one of its own."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if port and not re.search(r":\d+$", host):
        return f"{scheme}://{host}:{port}{slash}{path}"
    return url


def _check_names(extra: Mapping[str, Any], reader: _Reader) -> None:
    """Refuse what is nearly the name of a field: without its endpoint a key would go to Scale's cloud."""
    for name in extra:
        if name not in _FIELDS and (meant := get_close_matches(name, _FIELDS, n=1, cutoff=0.75)):
            raise reader.error(
                name, f"is no field of the extra; {meant[0]} is", hint=f"Call it {meant[0]}, or remove it."
            )


class _Reader:
    """Coerces the values of one connection's extra and words its complaints."""

    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._extra = extra

    def error(self, field: str, problem: str, *, hint: str | None = None) -> NucleusConfigError:
        return NucleusConfigError(
            f"Connection {self._conn_id!r}: {field} {problem}.", conn_id=self._conn_id, field=field, hint=hint
        )

    def text(self, field: str) -> str | None:
        value = self._extra.get(field)
        if value is not None and not isinstance(value, str):
            raise self.error(field, f"must be text, not {type(value).__name__}")
        return _text(value)

    def flag(self, field: str, *, default: bool) -> bool:
        value = self._extra.get(field)
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in _BLANK:
            return default
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise self.error(field, f"must be true or false, not {value!r}")

    def seconds(self, field: str, *, default: float) -> float:
        value = self._extra.get(field)
        if str(value).strip().lower() in _BLANK:
            return default
        try:
            seconds = float("nan") if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            seconds = float("nan")
        if not math.isfinite(seconds) or seconds <= 0:
            raise self.error(field, f"must be a positive number of seconds, not {value!r}")
        return seconds


def _text(value: str | None) -> str | None:
    """Return *value* stripped, None when it is one of the ways a form or URI writes "nothing"."""
    if value is None or value.strip().lower() in _BLANK:
        return None
    return value.strip()
