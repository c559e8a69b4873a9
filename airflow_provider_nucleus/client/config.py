"""Where Nucleus is and how to prove who asks."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_nucleus.exceptions import NucleusConfigError

__all__ = ["CLOUD_ENDPOINT", "NucleusConfig", "origin_of"]

CLOUD_ENDPOINT = "https://api.scale.com/v1/nucleus"

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what must be equal before credentials are sent along."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme, 0)


@dataclass(frozen=True, slots=True)
class NucleusConfig:
    """One Nucleus and the key to it; exactly one of the two keys is set.

    `timeout` is in seconds, for connecting and for every wait for the next bytes. `verify_tls` may be the path of a bundle of
    certificate authorities. Constructing a contradictory configuration raises NucleusConfigError naming the connection and
    the field. The representation never shows a key.
    """

    endpoint: str = CLOUD_ENDPOINT
    api_key: str | None = field(default=None, repr=False)
    limited_access_key: str | None = field(default=None, repr=False)
    verify_tls: bool | str = True
    timeout: float = 120.0
    conn_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint", self.endpoint.strip().rstrip("/"))
        self._check_endpoint()
        self._check_keys()
        if not 0 < self.timeout <= 24 * 3600:
            raise self._wrong(
                "timeout", f"must be a positive number of seconds, at most a day, got {self.timeout}"
            )

    def _check_endpoint(self) -> None:
        try:
            parts = urlsplit(self.endpoint)
            # Reading the port is what finds out that it is no number.
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            raise self._wrong("endpoint", "is not a URL") from None
        if not usable:
            # What stands before an @ can be a key.
            raise self._wrong(
                "endpoint",
                f"must look like {CLOUD_ENDPOINT}, got {self.redact(self.endpoint.rpartition('@')[2])!r}",
            )
        if parts.username is not None or parts.password is not None:
            raise self._wrong("endpoint", "must not contain credentials: the key has its own field")
        if parts.query or parts.fragment:
            raise self._wrong("endpoint", "must end with the path, without ? or #")

    def _check_keys(self) -> None:
        if self.api_key and self.limited_access_key:
            raise self._wrong("limited_access_key", "and api_key are both set: a request can carry only one")
        if not self.api_key and not self.limited_access_key:
            raise self._wrong("api_key", "is missing, and so is limited_access_key: set one of them")
        for name in ("api_key", "limited_access_key"):
            key = getattr(self, name)
            if key and not (key.isascii() and key.isprintable() and " " not in key):
                raise self._wrong(name, "contains blanks, line breaks or other characters a key cannot have")

    def _wrong(self, name: str, reason: str) -> NucleusConfigError:
        where = f"connection {self.conn_id!r}: " if self.conn_id else ""
        return NucleusConfigError(f"{where}{name} {reason}", conn_id=self.conn_id, field=name)

    def url(self, path: str) -> str:
        """Return the address of a route."""
        return f"{self.endpoint}/{path}"

    def auth_headers(self) -> dict[str, str]:
        """Return the headers that prove who asks; for requests to the endpoint's own origin only."""
        if self.limited_access_key:
            return {"x-limited-access-key": self.limited_access_key}
        token = base64.b64encode(f"{self.api_key}:".encode()).decode("ascii")
        return {"Authorization": f"Basic {token}"}

    def redact(self, text: str) -> str:
        """Return a text without our keys, in case a server or a proxy repeats them."""
        for key in (self.api_key, self.limited_access_key):
            if key and len(key) >= 4:
                text = text.replace(key, "***")
                text = text.replace(base64.b64encode(f"{key}:".encode()).decode("ascii"), "***")
        return text
