"""The hook against a real server: testing a connection, typed answers, cancelling, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusJobFailed,
    NucleusNotFoundError,
    NucleusServerError,
)
from airflow_provider_nucleus.hooks.nucleus import NucleusHook
from airflow_provider_nucleus.schema.jobs import JobStatus
from tests.airflow.harness import connection_json

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "live_0123456789abcdef"


@pytest.fixture
def hook(nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[NucleusHook]:
    """A hook of the session's embedded Nucleus."""
    connection = connection_json(endpoint=nucleus.url, api_key=nucleus.api_key)
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection)
    with NucleusHook("probe") as made:
        yield made


@pytest.fixture
def html_server() -> Iterator[str]:
    """A web server that answers everything with a page, as a proxy's login does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><body>Please sign in</body></html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def unused_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_good_connection_says_what_it_reached(hook: NucleusHook) -> None:
    """A working connection names the Nucleus and shows that the key opened it."""
    works, message = hook.test_connection()

    assert works
    assert "127.0.0.1" in message


@pytest.mark.parametrize("case", ["wrong key", "no key", "unreachable", "wrong path", "no nucleus"])
def test_bad_connection_says_what_was_tried_and_what_to_do(
    nucleus: Any, html_server: str, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Each way of being wrong names the connection, the address that was tried and the remedy; the key never appears."""
    closed = f"http://127.0.0.1:{unused_port()}/v1/nucleus"
    endpoint, key, expected = {
        "wrong key": (nucleus.url, KEY, [nucleus.url, "401", "API key"]),
        "no key": (nucleus.url, None, ["password", "API key"]),
        "unreachable": (closed, KEY, [closed, "nucleus-local serve"]),
        "wrong path": (nucleus.base_url, KEY, [nucleus.base_url, "/v1/nucleus"]),
        "no nucleus": (html_server, KEY, [html_server, "not as a Nucleus API"]),
    }[case]
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=endpoint, api_key=key))

    works, message = NucleusHook("probe").test_connection()

    assert not works
    for part in ["'probe'", *expected]:
        assert part in message
    assert KEY not in message


def test_server_that_repeats_the_key_cannot_leak_it(
    nucleus: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither error, nor representation, nor log shows a key."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=nucleus.url, api_key=KEY))
    hook = NucleusHook("probe")
    with caplog.at_level("DEBUG"), pytest.raises(NucleusAuthError) as caught:
        hook.list_datasets()

    assert caught.value.conn_id == "probe"
    for text in (str(caught.value), repr(caught.value), repr(hook.config), repr(vars(hook)), caplog.text):
        assert KEY not in text


def test_datasets_round_trip(hook: NucleusHook) -> None:
    """A dataset can be created, found and looked at through typed methods."""
    dataset_id = hook.create_dataset("hook round trip")

    assert hook.dataset_name(dataset_id) == "hook round trip"
    assert not hook.dataset_is_scene(dataset_id)
    assert 0 == hook.dataset_size(dataset_id) == hook.dataset_info(dataset_id).length
    assert dataset_id in [dataset.id for dataset in hook.list_datasets()]
    assert list(hook.iter_items(dataset_id)) == []


def test_async_client_reads_the_same_connection(hook: NucleusHook) -> None:
    """The triggerer's client speaks to the same server, from its own event loop."""

    async def count() -> int:
        async with NucleusHook("probe").get_async_client() as client:
            return len(await client.list_datasets())

    assert len(hook.list_datasets()) == asyncio.run(count())


def test_cancelling_an_unknown_job_is_no_error(hook: NucleusHook) -> None:
    """Where there is nothing to cancel, that is said instead of raised."""
    assert Cancellation.UNSUPPORTED is hook.cancel_job("job_0000000000000000000000000000")


def test_row_errors_that_cannot_be_read_do_not_hide_the_failure(
    hook: NucleusHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's failure is the news."""

    def away(_: str) -> list[str]:
        raise NucleusServerError("500", status=500)

    monkeypatch.setattr(hook, "job_errors", away)

    assert isinstance(
        hook.job_failure("job_1", JobStatus(status="Errored", job_id="job_1")), NucleusJobFailed
    )


def test_unknown_connection_is_airflows_own_error() -> None:
    """A connection id that does not exist is reported as such."""
    with pytest.raises(Exception, match="no_such_connection"):
        NucleusHook("no_such_connection").list_datasets()


def test_https_to_a_plain_server_is_told_as_such(monkeypatch: pytest.MonkeyPatch, nucleus: Any) -> None:
    """Not as an SSLError that sends people looking for certificates."""
    endpoint = nucleus.url.replace("http://", "https://")
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=endpoint, api_key=nucleus.api_key))

    good, message = NucleusHook("probe").test_connection()

    assert not good
    assert "does not speak TLS" in message
    assert "write http:// in the endpoint" in message


def test_http_to_a_server_that_hangs_up_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """As https servers do when they are spoken to in plain http."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    peer.recv(1)
                    peer.close()

        threading.Thread(target=hang_up, daemon=True).start()
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/nucleus"
        monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=endpoint, api_key="key"))
        good, message = NucleusHook("probe").test_connection()

    assert not good
    assert "hung up: if it is an https server, write https:// in the endpoint" in message


def test_connection_that_does_not_exist_ends_the_asynchronous_way_by_name() -> None:
    """It is our own error, which no wait takes for a passing one."""
    with pytest.raises(NucleusConfigError, match="Connection 'no_such_connection' does not exist"):
        asyncio.run(NucleusHook("no_such_connection").async_config())


def test_the_synchronous_way_is_the_second_try(monkeypatch: pytest.MonkeyPatch, nucleus: Any) -> None:
    """Triggers of `dag.test()` run where the asynchronous look-up knows no database."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=nucleus.url, api_key=nucleus.api_key))

    async def knows_none(*_: Any, **__: Any) -> Any:  # ruff: ignore[unused-async] - as the real one
        raise AirflowNotFoundException

    monkeypatch.setattr("airflow_provider_nucleus.hooks.nucleus.get_async_connection", knows_none)

    assert asyncio.run(NucleusHook("probe").async_config()).api_key == nucleus.api_key


def test_missing_object_is_named(hook: NucleusHook) -> None:
    """An id the server does not know is in the error."""
    with pytest.raises(NucleusNotFoundError, match="ds_nope"):
        hook.dataset_name("ds_nope")
