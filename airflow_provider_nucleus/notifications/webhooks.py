"""Posting to a webhook: its address from a connection or an argument, and nothing of it in any log."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusConnectionError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from airflow.providers.common.compat.sdk import Connection

__all__ = ["Webhook", "webhook_of"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """Address and credentials of a webhook; all of it may be secret."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)

    def post(self, payload: Mapping[str, Any], *, timeout: float) -> None:
        """Post JSON; raises NucleusConnectionError, without the address, where nobody takes it. Redirects are not followed."""
        try:
            with _unlogged():
                answer = requests.post(
                    self.url,
                    json=payload,
                    headers=dict(self.headers),
                    auth=self.login,
                    timeout=timeout,
                    allow_redirects=False,
                )
        except (requests.RequestException, ValueError, UnicodeError) as error:
            # The text of these errors has the address in it, and its cause is shown with a traceback.
            raise NucleusConnectionError(f"The webhook did not answer: {type(error).__name__}.") from None
        if answer.status_code >= 300:
            raise NucleusConnectionError(f"The webhook answered HTTP {answer.status_code}.")


class _OtherThreads(logging.Filter):
    """Lets records pass that this thread did not write."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether another thread wrote it."""
        return record.thread != self._thread


@contextlib.contextmanager
def _unlogged() -> Generator[None]:
    """Keep the path of a request, which may be the secret, out of the debug log of the HTTP library."""
    library, others = logging.getLogger("urllib3.connectionpool"), _OtherThreads()
    library.addFilter(others)
    try:
        yield
    finally:
        library.removeFilter(others)


def webhook_of(connection: Connection) -> Webhook:
    """Return the webhook of an HTTP connection; raises NucleusConfigError for one without host.

    Its password is a bearer token, with a login the password of it, and where it is an address itself, all of the address: chats
    that put their secret there are kept whole in the field that Airflow encrypts.
    """
    password = connection.password or ""
    if password.startswith(("http://", "https://")):
        return Webhook(password)
    host = (connection.host or "").rstrip("/")
    if not host:
        raise NucleusConfigError(
            "The connection of the webhook has no host.",
            conn_id=connection.conn_id,
            field="host",
            hint="Give it the webhook's address as host, or as password if the address itself is secret.",
        )
    if "://" not in host:
        scheme = connection.schema if connection.schema in {"http", "https"} else "https"
        host = f"{scheme}://{host}" + (f":{connection.port}" if connection.port else "")
    if connection.login:
        return Webhook(host, login=(connection.login, password))
    return Webhook(host, headers={"Authorization": f"Bearer {password}"} if password else {})
