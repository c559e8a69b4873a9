"""An Airflow connection read into a `NucleusConfig`: the one place where this happens.

Precedence, per value:

=====================  ====================================================================================
endpoint               extra `endpoint`; else host + port (a full URL, or a name with `schema` as protocol);
                       else Scale's cloud, if port and schema are empty too
API key                password (and nowhere else: a login is shown in clear text)
limited access key     extra `limited_access_key`; excludes an API key
links of tasks         extra `public_url`; else beside the endpoint, or Scale's dashboard
TLS verification       extra `verify_tls`; else on
authorities            extra `ca_bundle`; else those of the environment
timeout                extra `timeout`, in seconds; else 120
=====================  ====================================================================================

Forms store a blank as `""` (a port as 0) and URIs carry every extra as a string, so blanks, `None`, `"None"` and
`"null"` all mean "not set", and `"true"`, `"0"` or `"30"` mean what they say. Not so in endpoint and host: the words
there are what a template writes for a variable that is missing, so they are refused, like a login that looks like the address,
or the key would go to Scale's cloud. An IPv6 address as host may lack its brackets, which Airflow takes off. A field may be called
`extra__nucleus__<field>`, as old forms did. Whatever else the extra holds is refused by name, and so is an extra that is no
JSON object: an endpoint that got lost in it would send the key to Scale's cloud.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_nucleus.client.config import NucleusConfig
from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusNotFoundError,
)
from airflow_provider_nucleus.hooks.connection_form import CONN_FIELDS, DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from airflow_provider_nucleus.exceptions import NucleusError

__all__ = ["AirflowConnection", "connection_hint", "parse_connection"]

_FIELDS = tuple(CONN_FIELDS)
_PREFIX = "extra__nucleus__"
_MEANT = (
    (r"prox(y|ies)", "Proxies are set in the environment of workers and triggerers: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."),
    (r"key|token|secret|passw|auth|credential", "The API key belongs into the password field, a limited one into limited_access_key."),
    (r"ssl|tls|verif|cert|insecure|(^|_)ca(_|$)", "The path of certificate authorities is called ca_bundle; verify_tls set to false switches verification off."),
    (r"time|seconds|patience", "The longest wait for an answer is called timeout, in seconds."),
    (r"ur[li]|host|addr|endp|server|base|api|site|path|port|schem|protocol|domain|region|env",
     "The address of the API is called endpoint: http://host:port/v1/nucleus."),
)  # fmt: skip
"""Patterns of unknown names and hints at what they are likely to mean; the first that fits counts."""

_PATH_HINT = "The path of certificate authorities belongs into ca_bundle."
_LIKE_A_KEY = re.compile(r"(live|test|local)_[^\W_]{8}|[^\W_]{20}|.{60}|[^ -~]", re.IGNORECASE | re.DOTALL)
_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "f", "n"})
_NOTHING = frozenset({"none", "null"})
_BLANK = _NOTHING | {""}


class AirflowConnection(Protocol):
    """The members of a connection that are read; both the Task SDK's and Airflow 2's class have it."""

    conn_id: str
    host: str | None
    schema: str | None
    login: str | None
    password: str | None
    port: int | None
    extra: str | None


def parse_connection(conn: AirflowConnection) -> NucleusConfig:
    """Return the configuration that *conn* describes.

    Raises NucleusConfigError naming the field and the connection id; never with a key in its text.
    """
    reader = _ConnectionReader(conn)
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
            hint="Fill in the API key of your Nucleus account, or the key that `nucleus-local keys show` prints.",
        )
    return NucleusConfig(
        endpoint=_endpoint(conn, reader),
        api_key=api_key,
        limited_access_key=limited_access_key,
        verify_tls=reader.flag("verify_tls", default=True, hint=_PATH_HINT),
        ca_bundle=reader.text("ca_bundle"),
        timeout=reader.seconds("timeout", default=DEFAULT_TIMEOUT_SECONDS),
        public_url=reader.text("public_url"),
        conn_id=conn.conn_id,
    )


def connection_hint(error: NucleusError, config: NucleusConfig | None) -> str | None:
    """Return what to do about a connection that does not work, None when the error says it already."""
    if config is None:
        return None
    if isinstance(error, NucleusNotFoundError | NucleusAnswerError):
        return (
            f"Something answers at {config.endpoint}, but not as a Nucleus API: check the path of the endpoint, which "
            "usually ends in /v1/nucleus, and that no proxy, gateway or login page answers in its place."
        )
    if isinstance(error, NucleusConnectionError) and error.retryable and "TLS" not in (error.hint or ""):
        if config.endpoint.startswith("http://") and re.search(
            r"(?i)\breset|closed|disconnected", str(error)
        ):
            return (
                f"Something at {config.endpoint} hung up: if it is an https server, write https:// in the endpoint; if a proxy is in "
                "between, check HTTP_PROXY and NO_PROXY."
            )
        return (
            f"Check that {config.endpoint} can be reached from here; an embedded Nucleus must be running "
            "(`nucleus-local serve`)."
        )
    return None


def _endpoint(conn: AirflowConnection, reader: _ConnectionReader) -> str:
    """Return the endpoint as it stands; whether it is a usable URL is for NucleusConfig to say."""
    reader.require_no_word("endpoint", reader.given("endpoint"))
    if (from_extra := reader.text("endpoint")) is not None:
        return from_extra
    reader.require_no_word("host", conn.host)
    host = _text(conn.host)
    if host is None:
        login = _text(conn.login) or ""
        for field, value in (
            ("port", conn.port),
            ("schema", _text(conn.schema)),
            ("login", re.search(r"[./:]|^localhost$", login, re.IGNORECASE)),
        ):
            if value:
                raise reader.error(
                    field,
                    "is filled in without a host, so the endpoint is incomplete",
                    hint="Fill in the endpoint, or empty this field too to mean Scale's cloud.",
                )
        return CLOUD_ENDPOINT
    if "://" in host:
        return _with_port(host, conn.port)
    name, _, path = host.partition("/")
    if _is_ipv6(name):
        name = f"[{name}]"
    port = f":{conn.port}" if conn.port else ""
    return f"{_text(conn.schema) or 'https'}://{name}{port}/{path or 'v1/nucleus'}"


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _with_port(url: str, port: int | None) -> str:
    """Return a host given as URL with the port of the connection, unless it has one of its own."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if port and not re.search(r":\d+$", host):
        return f"{scheme}://{host}:{port}{slash}{path}"
    return url


class _ConnectionReader:
    """Reads one connection's extra, coerces its values and words its complaints."""

    def __init__(self, conn: AirflowConnection) -> None:
        self._conn_id = conn.conn_id
        self._extra: dict[str, Any] = {}
        for name, value in self._decoded(conn.extra):
            field = name.removeprefix(_PREFIX)
            if field not in _FIELDS:
                raise self._unknown(name)
            known = self._extra.get(field)
            if _blank(known) and not (_is_word(known) and _blank(value)):
                self._extra[field] = value
            elif not _blank(value) and value != known:
                raise self.error(
                    field, "is given twice, with different values", hint="Remove the one that does not hold."
                )

    def _decoded(self, extra: str | None) -> tuple[tuple[str, Any], ...]:
        """Return the members of the extra as they stand, names that come twice included.

        Airflow's own reader takes an extra that it cannot read for an empty one.
        """
        if _blank(extra):
            return ()
        try:
            decoded = json.loads(extra or "", object_pairs_hook=tuple)
        except (TypeError, ValueError, RecursionError):
            decoded = None
        # Nothing but an object becomes a tuple.
        if not isinstance(decoded, tuple):
            raise self.error(
                "extra",
                "is not a JSON object, so an endpoint in it is lost",
                hint=f'Write it like {{"endpoint": "http://host:port/v1/nucleus"}}; its fields are {", ".join(_FIELDS)}.',
            )
        return decoded

    def _unknown(self, name: str) -> NucleusConfigError:
        fields = f"The fields of the extra are {', '.join(_FIELDS)}."
        if not name or _LIKE_A_KEY.search(name):
            return self.error("extra", "holds a name that is not shown, because it may be a key", hint=fields)
        if near := get_close_matches(name.strip().lower(), _FIELDS, n=1, cutoff=0.75):
            return self.error(
                name,
                f"is no field of the extra; {near[0]} is",
                hint=f"Call it {near[0]}, or remove it. {fields}",
            )
        meant = next((f"{hint} " for pattern, hint in _MEANT if re.search(pattern, name.lower())), "")
        return self.error(name, "is no field of the extra of a Nucleus connection", hint=f"{meant}{fields}")

    def error(self, field: str, problem: str, *, hint: str | None = None) -> NucleusConfigError:
        return NucleusConfigError(
            f"Connection {self._conn_id!r}: {field} {problem}.", conn_id=self._conn_id, field=field, hint=hint
        )

    def given(self, field: str) -> Any:
        """Return what the extra has for a field, as it stands."""
        return self._extra.get(field)

    def require_no_word(self, field: str, value: Any) -> None:
        """Raise NucleusConfigError if a place of the endpoint holds the word of a template for "nothing"."""
        if _is_word(value):
            raise self.error(
                field,
                f"is the word {value.strip()!r}, as a template writes it for a variable that is missing, so the endpoint is lost",
                hint="Fill in the endpoint, or empty this field to mean Scale's cloud.",
            )

    def text(self, field: str) -> str | None:
        value = self._extra.get(field)
        if value is not None and not isinstance(value, str):
            raise self.error(field, f"must be text, not {type(value).__name__}")
        return _text(value)

    def flag(self, field: str, *, default: bool, hint: str | None = None) -> bool:
        value = self._extra.get(field)
        if isinstance(value, bool):
            return value
        if _blank(value):
            return default
        word = str(value).strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise self.error(field, f"must be true or false{_instead(value)}", hint=hint)

    def seconds(self, field: str, *, default: float) -> float:
        value = self._extra.get(field)
        if _blank(value):
            return default
        try:
            seconds = float("nan") if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            seconds = float("nan")
        if not math.isfinite(seconds) or seconds <= 0:
            raise self.error(field, f"must be a positive number of seconds{_instead(value)}")
        return seconds


def _instead(value: Any) -> str:
    """Say what a field holds, unless that may be a key in the wrong place."""
    return "" if _LIKE_A_KEY.search(str(value)) else f", not {value!r}"


def _blank(value: Any) -> bool:
    """Say whether a value is one of the ways a form or URI writes "nothing"."""
    return str(value).strip().lower() in _BLANK


def _is_word(value: Any) -> bool:
    """Say whether a value is text that spells "nothing", rather than nothing."""
    return isinstance(value, str) and value.strip().lower() in _NOTHING


def _text(value: str | None) -> str | None:
    """Return *value* stripped, None when it is nothing."""
    return None if value is None or _blank(value) else value.strip()
