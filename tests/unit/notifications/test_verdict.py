"""Messages of verdicts: to a real webhook, from a callback, an approval and a deadline; failures fail nothing and leak nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_nucleus.get_provider_info import get_provider_info
from airflow_provider_nucleus.notifications.verdict import NucleusVerdictNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULT = {
    "verdict": "fail",
    "stopped": True,
    "judgement": None,
    "reasons": ["f1 fell"],
    "candidate": {"model_name": "v3", "dataset_name": "street"},
    "results": [
        {
            "rule_id": "f1",
            "metric": "f1",
            "subject": "overall",
            "bound": "max_drop",
            "status": "fail",
            "text": "f1 fell",
        }
    ],
    "links": {"report": "https://r/1"},
}
SECRET = "T0PS3CRET-T0KEN"


class Chat:
    """A webhook: keeps what is posted, answers *status*."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.posts.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(chat.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        self.thread = threading.Thread(target=self.server.serve_forever)


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A running webhook."""
    made = Chat()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def context(result: Any = None, **task: Any) -> dict[str, Any]:
    """Return the context of a callback; *result* is the XCom of the task."""

    def xcom_pull(*, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, key, map_indexes) == ("gate", "return_value", 3)
        return result

    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="gate", map_index=3, xcom_pull=xcom_pull, task=SimpleNamespace(**task)
    )
    return {"ti": ti, "dag": None}


def test_a_callback_posts_the_result_of_its_task(chat):
    """Verdict, rules and links as text, and as facts for a program."""
    NucleusVerdictNotifier(webhook_url=chat.url, message="Look at this").notify(context(RESULT))
    ((path, _, body),) = chat.posts

    assert path == f"/{SECRET}"
    assert body["text"].startswith("Look at this\n\n**fail** by policy policy: v3, on street.")
    assert "[report](https://r/1)" in body["text"]
    assert body["nucleus"]["verdict"] == "fail"
    assert body["nucleus"]["run"] == {"dag_id": "d", "run_id": "r", "task_id": "gate", "map_index": 3}


def test_a_document_of_another_machine_is_no_reason_to_tell_nobody(chat):
    """A deadline's triggerer, or a worker that took over, has not the file of the one that judged; the result has what counts."""
    result = RESULT | {"judgement": "/gone/with/its/worker.json"}
    NucleusVerdictNotifier(webhook_url=chat.url).notify(context(result))

    ((_, _, body),) = chat.posts
    assert body["text"].startswith("**fail** by policy policy: v3, on street.")
    assert body["nucleus"]["verdict"] == "fail"


def test_an_approval_that_waits_is_told_of_with_its_own_judgement(chat):
    """It has no result yet."""
    NucleusVerdictNotifier(webhook_url=chat.url, text_key="content").notify(context(None, judgement=RESULT))

    assert chat.posts[0][2]["content"].startswith("**fail**")


def test_without_a_verdict_the_message_says_so(chat):
    """A task that failed before it had one, or a deadline that passed."""
    NucleusVerdictNotifier(webhook_url=chat.url).notify(context({"rows": 3}))

    assert chat.posts[0][2]["text"] == "No verdict yet: d, run r."


@pytest.mark.parametrize(
    ("connection", "path", "header"),
    [
        ({"password": "{url}"}, f"/{SECRET}", None),
        ({"host": "{url}", "password": SECRET}, f"/{SECRET}", f"Bearer {SECRET}"),
        (
            {"host": "127.0.0.1", "schema": "http", "port": "{port}", "login": "me", "password": "x"},
            "/",
            "Basic bWU6eA==",
        ),
    ],
)
def test_a_connection_has_the_address_and_the_secret(chat, monkeypatch, connection, path, header):
    """A token in a header, a login, or an address that is secret as a whole."""
    port = chat.server.server_port
    values = {
        name: int(value.format(port=port)) if name == "port" else value.format(url=chat.url)
        for name, value in connection.items()
    }
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", **values}))
    NucleusVerdictNotifier(webhook_conn_id="chat").notify(context(RESULT))
    ((found, headers, _),) = chat.posts

    assert found == path
    assert headers.get("Authorization") == header


@pytest.mark.parametrize("status", [404, 500, 302, None])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_webhook_that_fails_fails_nothing_and_its_address_is_in_no_log(chat, caplog, status, asynchronous):
    """Neither the address nor its token, whatever goes wrong."""
    chat.status = status or 200
    url = chat.url if status else f"http://127.0.0.1:1/{SECRET}"
    notifier = NucleusVerdictNotifier(webhook_url=url)
    with caplog.at_level(logging.DEBUG):
        if asynchronous:
            asyncio.run(notifier.async_notify(context(RESULT)))
        else:
            notifier.notify(context(RESULT))

    assert "nothing else is affected" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("webhook_conn_id", ["no_such_connection", None])
def test_a_missing_connection_or_a_wrong_judgement_fails_nothing(webhook_conn_id, caplog):
    """It is logged by its kind."""
    judgement = None if webhook_conn_id else "/no/such/judgement.json"
    NucleusVerdictNotifier(webhook_conn_id=webhook_conn_id, judgement=judgement).notify(context(RESULT))

    assert "nothing else is affected" in caplog.text


def test_without_a_webhook_the_message_is_logged(caplog):
    """For a start, and for tests."""
    with caplog.at_level(logging.INFO):
        NucleusVerdictNotifier().notify(context(RESULT))

    assert "**fail** by policy policy: v3, on street." in caplog.text


def test_a_deadline_calls_it_in_the_triggerer(chat):
    """Through Airflow's own trigger, with the plain context that deadlines have."""
    callbacks = pytest.importorskip("airflow.triggers.callback", reason="deadlines come with Airflow 3.1")
    trigger = callbacks.CallbackTrigger(
        callback_path="airflow_provider_nucleus.notifications.verdict.NucleusVerdictNotifier",
        callback_kwargs={
            "webhook_url": chat.url,
            "message": "No evaluation two hours after the batch",
            "context": {"dag_run": {"dag_id": "d", "dag_run_id": "r"}, "deadline": {"id": "1"}},
        },
    )

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    assert [str(event["state"]) for event in asyncio.run(events())][-1].endswith("success")
    assert chat.posts[0][2]["text"] == "No evaluation two hours after the batch\n\nNo verdict yet: d, run r."


def test_airflow_knows_the_notifier():
    """By the metadata of the provider."""
    assert get_provider_info()["notifications"] == [
        f"{NucleusVerdictNotifier.__module__}.{NucleusVerdictNotifier.__name__}"
    ]
