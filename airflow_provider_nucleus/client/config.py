"""Configuration of a connection: endpoint, credentials, TLS and time-out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.cloud import API_PATH, CLOUD_ENDPOINT, is_scale
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.requesting_task import TASK_HEADER

__all__ = ["NucleusConfig"]

_EMBEDDED_KEY = "local_"
"""Beginning of the keys that an embedded Nucleus generates."""


@dataclass(frozen=True, slots=True)
class NucleusConfig:
    """One Nucleus and the key to it; exactly one of the two keys is set.

    `endpoint` is kept in its one spelling (see `Address`); no key goes to Scale in clear, nor one of an embedded Nucleus.
    `timeout` is in seconds, for connecting and for an answer, beyond the time in which its bytes move. `ca_bundle` is the path of
    certificate authorities, a PEM file or a folder of them; without it the environment's count (see `Authorities`). `public_url` is where a browser reaches
    the pages, None when that is beside the endpoint. `requesting_task` is the header that names the task which asks, empty for none; Scale's
    cloud is not sent it. Constructing a contradictory configuration raises NucleusConfigError naming the connection and
    the field. The representation never shows a key.
    """

    endpoint: str = CLOUD_ENDPOINT
    api_key: str | None = field(default=None, repr=False)
    limited_access_key: str | None = field(default=None, repr=False)
    verify_tls: bool = True
    timeout: float = 120.0
    conn_id: str | None = None
    ca_bundle: str | None = None
    public_url: str | None = None
    requesting_task: str = ""

    def __post_init__(self) -> None:
        address = self._read("endpoint", self.endpoint, CLOUD_ENDPOINT)
        object.__setattr__(self, "endpoint", str(address))
        if self.public_url is not None:
            public = self._read("public_url", self.public_url, "https://nucleus.example.com")
            object.__setattr__(self, "public_url", str(public).rstrip("/"))
        self._check_keys()
        self._check_cloud(address)
        self._check_tls()
        if not 0 < self.timeout <= 24 * 3600:
            raise self._wrong(
                "timeout", f"must be a positive number of seconds, at most a day, got {self.timeout}"
            )

    def _read(self, name: str, url: str, like: str) -> Address:
        text = url.strip().rstrip("/")
        if "?" in text or "#" in text:
            raise self._wrong(name, "must end with the path, without ? or #")
        try:
            return Address.parse(text, name)
        except NucleusValidationError as error:
            # What stands before an @ can be a key, and so can a word without any punctuation.
            typed = f"; got {self.redact(text)!r}" if re.search(r"[./:]", text) and "@" not in text else ""
            raise self._wrong(name, f"{error.reason}; it must look like {like}{typed}") from None

    def _check_cloud(self, address: Address) -> None:
        if not is_scale(address.host):
            return
        if address.scheme != "https":
            raise self._wrong(
                "endpoint", f"would send the key to {address.host} in clear", hint="Write https:// instead."
            )
        if any((key or "").startswith(_EMBEDDED_KEY) for key in (self.api_key, self.limited_access_key)):
            raise self._wrong(
                "endpoint",
                f"is Scale's ({address.host}), or missing, but the key is that of an embedded Nucleus",
                hint="Fill in the address that `nucleus-local serve` printed.",
            )

    def _check_tls(self) -> None:
        if not isinstance(self.verify_tls, bool):
            raise self._wrong(
                "verify_tls",
                f"must be true or false, got {self.verify_tls!r}",
                hint="The path of certificate authorities belongs into ca_bundle.",
            )
        if self.ca_bundle is not None and not self.verify_tls:
            raise self._wrong("ca_bundle", "is set while verify_tls is off: only one of them can be meant")

    def _check_keys(self) -> None:
        if self.api_key and self.limited_access_key:
            raise self._wrong("limited_access_key", "and api_key are both set: a request can carry only one")
        if not self.api_key and not self.limited_access_key:
            raise self._wrong("api_key", "is missing, and so is limited_access_key: set one of them")
        for name in ("api_key", "limited_access_key"):
            key = getattr(self, name)
            if key and not (key.isascii() and key.isprintable() and " " not in key):
                raise self._wrong(name, "contains blanks, line breaks or other characters a key cannot have")

    def _wrong(self, name: str, reason: str, *, hint: str | None = None) -> NucleusConfigError:
        where = f"connection {self.conn_id!r}: " if self.conn_id else ""
        return NucleusConfigError(f"{where}{name} {reason}", conn_id=self.conn_id, field=name, hint=hint)

    def url(self, path: str) -> str:
        """Return the address of a route; one that begins with a slash is beside the API of an embedded Nucleus, not below it."""
        if path.startswith("/"):
            return f"{self.endpoint.removesuffix(API_PATH)}{path}"
        return f"{self.endpoint}/{path}"

    def auth_headers(self) -> dict[str, str]:
        """Return the headers that prove who asks; for requests to the endpoint's own origin only."""
        if self.limited_access_key:
            return {"x-limited-access-key": self.limited_access_key}
        token = base64.b64encode(f"{self.api_key}:".encode()).decode("ascii")
        return {"Authorization": f"Basic {token}"}

    def task_headers(self) -> dict[str, str]:
        """Return the header that names the task which asks, for an embedded Nucleus to keep."""
        if not self.requesting_task or is_scale(Address.parse(self.endpoint, "endpoint").host):
            return {}
        return {TASK_HEADER: self.requesting_task}

    def redact(self, text: str) -> str:
        """Return a text without our keys, in case a server or a proxy repeats them."""
        for key in (self.api_key, self.limited_access_key):
            if key and len(key) >= 4:
                text = text.replace(key, "***")
                text = text.replace(base64.b64encode(f"{key}:".encode()).decode("ascii"), "***")
        return text
