"""What happens between a call and its result, with a real server at the other end and both transports at ours."""

from __future__ import annotations

import base64
import errno
import io
import logging
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_nucleus.client import BytesContent, Call, FileContent, RetryPolicy
from airflow_provider_nucleus.client.calls import datasets, items, jobs, models
from airflow_provider_nucleus.client.content import FilePart, Multipart
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusAPIError,
    NucleusAuthError,
    NucleusConnectionError,
    NucleusError,
    NucleusNotFoundError,
    NucleusRateLimitError,
    NucleusRequestError,
    NucleusServerError,
    NucleusSourceError,
)
from tests.unit.client.conftest import KEY
from tests.unit.client.scripted import Reply, Reset

DATASETS = [{"id": "ds_1", "name": "streets", "is_public": False}]
JOB = {"job_id": "job_1", "job_last_known_status": "Running", "job_type": "t", "job_creation_time": "now"}


def test_a_call_returns_what_its_parse_makes_of_the_answer(server, transport):
    """The plain case, with the API key as Basic user and no password."""
    server.answers(Reply(200, DATASETS))

    found = transport(server).send(datasets.list_datasets())

    assert [(each.id, each.name) for each in found] == [("ds_1", "streets")]
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/v1/nucleus/dataset/details")
    assert f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}" == request.headers["authorization"]
    assert "x-limited-access-key" not in request.headers


def test_a_limited_key_travels_in_its_header_and_nothing_else_does(server, transport):
    """The two kinds of key exclude each other on the wire."""
    server.answers(Reply(200, DATASETS))

    transport(server, limited_access_key="limited_123").send(datasets.list_datasets())

    assert server.requests[0].headers["x-limited-access-key"] == "limited_123"
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520, 524])
def test_a_passing_trouble_is_retried(server, transport, status):
    """Each transient status costs one sleep, within the jitter's bounds."""
    server.answers(Reply(status, {"error": "later"}), Reply(status, {"error": "later"}), Reply(200, DATASETS))
    client = transport(server)

    found = client.send(datasets.list_datasets())

    assert len(found) == 1
    assert len(client.sleeps) == 2
    assert 0 <= client.sleeps[0] <= 1
    assert 0 <= client.sleeps[1] <= 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, NucleusRequestError),
        (401, NucleusAuthError),
        (403, NucleusAuthError),
        (404, NucleusNotFoundError),
        (409, NucleusRequestError),
        (413, NucleusRequestError),
        (422, NucleusRequestError),
        (418, NucleusRequestError),
        (501, NucleusServerError),
    ],
)
def test_a_final_status_raises_its_own_error_at_once(server, transport, status, kind):
    """The error says what happened, to what, in the server's words, and what to do."""
    server.answers(Reply(status, {"error": "no such luck"}))
    client = transport(server)

    with pytest.raises(kind) as caught:
        client.send(datasets.dataset_size("ds_1"))

    error = caught.value
    assert kind is type(error)
    assert client.sleeps == []
    assert status == error.status
    assert error.method == "GET"
    assert error.url.endswith("/dataset/ds_1/size")
    assert "no such luck" in str(error)
    assert "nucleus_test" in str(error)
    assert error.hint
    assert KEY not in str(error)
    assert error.retryable == (status >= 500)


@pytest.mark.parametrize("conn_id", [None, "nuc"])
@pytest.mark.parametrize(
    ("status", "said", "end"),
    [
        (404, "Evaluation e was written by another version. Evaluate again.", "written by another version. Evaluate again{}."),
        (409, "Evaluation e was written by another version. Evaluate again.", "written by another version. Evaluate again{}."),
        (400, "Nothing was uploaded here. PUT the rows first.", "Nothing was uploaded here. PUT the rows first{}."),
        (404, "Evaluation e does not exist.", "Evaluation e does not exist{}. Check the id: the object may have been deleted, or belong to another account."),
        (409, "no", "no{}. The object is in another state than this request needs; look at it before repeating."),
        (501, "Not here. Look elsewhere", "Not here. Look elsewhere{}. This Nucleus does not implement the route."),
    ],
)  # fmt: skip
def test_advice_of_the_server_is_not_contradicted(server, transport, conn_id, status, said, end):
    """Whoever says what to do needs no hint of ours beside it; sentences end once."""
    server.answers(Reply(status, {"error": said}))

    with pytest.raises(NucleusError) as caught:
        transport(server, conn_id=conn_id).send(datasets.dataset_size("ds_1"))

    assert str(caught.value).endswith(end.format(f" (connection {conn_id!r})" if conn_id else ""))
    assert ".." not in str(caught.value)
    assert ". ." not in str(caught.value)


def test_retry_after_in_seconds_is_a_lower_bound(server, transport):
    """A server that says when is obeyed."""
    server.answers(Reply(429, {}, {"Retry-After": "17"}), Reply(200, DATASETS))
    client = transport(server)

    client.send(datasets.list_datasets())

    assert 17 <= client.sleeps[0] <= 18


def test_retry_after_beyond_the_deadline_gives_up_at_once_and_says_when(server, transport):
    """A worker is not held for an hour; the scheduler can come back."""
    server.answers(Reply(429, {"error": "slow down"}, {"Retry-After": "3600"}))
    client = transport(server)

    with pytest.raises(NucleusRateLimitError) as caught:
        client.send(datasets.list_datasets())

    assert caught.value.retry_after == 3600.0
    assert client.sleeps == []


def test_retrying_ends_with_the_number_of_attempts(server, transport):
    """The last answer becomes the error."""
    server.otherwise = Reply(503, {"error": "down"})
    client = transport(server, retry=RetryPolicy(attempts=3))

    with pytest.raises(NucleusServerError) as caught:
        client.send(datasets.list_datasets())

    assert len(server.requests) == 3
    assert caught.value.attempts == 3
    assert "after 3 attempts" in str(caught.value)


def test_a_500_after_a_start_is_not_repeated_blindly(server, transport):
    """The server may have started what it failed to answer for."""
    server.otherwise = Reply(500, {"error": "oops"})
    client = transport(server)

    with pytest.raises(NucleusServerError):
        client.send(datasets.create_dataset("d"))

    assert len(server.requests) == 1


def test_retrying_ends_at_the_deadline(server, transport):
    """However many attempts are left."""
    server.otherwise = Reply(503, {}, {"Retry-After": "40"})
    client = transport(server, retry=RetryPolicy(attempts=100, deadline=100))

    with pytest.raises(NucleusServerError):
        client.send(datasets.list_datasets())

    assert len(server.requests) == 3


def test_a_broken_connection_is_retried_when_repeating_is_harmless(server, transport):
    """A GET can be sent again."""
    server.answers(Reset(), Reply(200, DATASETS))

    found = transport(server).send(datasets.list_datasets())

    assert len(found) == 1


def test_a_truncated_answer_is_retried_when_repeating_is_harmless(server, transport):
    """Half an answer is none."""
    server.answers(Reply(200, DATASETS, truncated=True), Reply(200, DATASETS))

    found = transport(server).send(datasets.list_datasets())

    assert len(found) == 1


def test_a_request_that_may_have_taken_effect_is_not_sent_again(server, transport):
    """Creating a dataset twice makes two; the error says that the outcome is unknown."""
    server.answers(Reset())

    with pytest.raises(NucleusConnectionError) as caught:
        transport(server).send(datasets.create_dataset("streets"))

    assert len(server.requests) == 1
    assert "unknown" in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize("status", [502, 504, 520, 524, 503])
def test_an_ambiguous_refusal_does_not_repeat_a_request_that_is_not_repeatable(server, transport, status):
    """A gateway that lost the answer may have delivered the request."""
    server.answers(Reply(status, {"error": "gateway"}))

    with pytest.raises(NucleusServerError):
        transport(server).send(datasets.create_dataset("streets"))

    assert len(server.requests) == 1


@pytest.mark.parametrize("refusal", [Reply(429, {}), Reply(503, {}, {"Retry-After": "1"})])
def test_a_certain_refusal_repeats_even_what_is_not_repeatable(server, transport, refusal):
    """Rate limits and announced outages come before any effect."""
    server.answers(refusal, Reply(200, {"dataset_id": "ds_9"}))

    assert transport(server).send(datasets.create_dataset("streets")) == "ds_9"


def test_a_host_that_does_not_listen_is_tried_again_then_named(transport):
    """Nothing was sent, so anything can be repeated."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = transport(f"http://127.0.0.1:{port}/v1/nucleus", retry=RetryPolicy(attempts=3))

        with pytest.raises(NucleusConnectionError) as caught:
            client.send(datasets.create_dataset("streets"))

    assert len(client.sleeps) == 2
    assert caught.value.attempts == 3
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "Nothing was sent. Check the endpoint" in str(caught.value)


def test_a_read_that_found_nobody_does_not_say_that_nothing_was_sent(transport):
    """It has nothing to send; in the log of an upload the words would be about the rows."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = transport(
            f"http://127.0.0.1:{taken.getsockname()[1]}/v1/nucleus", retry=RetryPolicy(attempts=1)
        )

        with pytest.raises(NucleusConnectionError) as caught:
            client.send(jobs.get_job("job_1"))

    assert "Check the endpoint" in str(caught.value)
    assert "Nothing was sent" not in str(caught.value)


def test_a_server_that_never_answers_runs_into_the_timeout(transport):
    """The timeout is the configuration's."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = transport(
            f"http://127.0.0.1:{silent.getsockname()[1]}/v1/nucleus",
            timeout=0.05,
            retry=RetryPolicy(attempts=1),
        )

        with pytest.raises(NucleusConnectionError, match=r"(?i)time"):
            client.send(datasets.list_datasets())


@pytest.mark.parametrize("body", ["", "<html><body>hello</body></html>", "{", '{"a": ', "OK"])
def test_a_success_that_is_not_json_is_an_error(server, transport, body):
    """An empty or foreign body is never taken for a result."""
    server.answers(Reply(200, body))

    with pytest.raises(NucleusAnswerError) as caught:
        transport(server).send(datasets.list_datasets())

    assert caught.value.status == 200


@pytest.mark.parametrize("body", [{}, [1], None, [{"name": "no id"}], "text", 3])
def test_a_success_of_another_shape_is_an_error(server, transport, body):
    """JSON alone is not enough."""
    server.answers(Reply(200, body))

    with pytest.raises(NucleusAnswerError, match="list datasets"):
        transport(server).send(datasets.list_datasets())


def test_a_web_page_instead_of_the_api_says_that_the_endpoint_looks_wrong(server, transport):
    """The most common mistake is the address of the dashboard."""
    page = "<!DOCTYPE html><html><head><title>Nucleus &amp; more</title></head><body>" + "x" * 100_000
    server.answers(Reply(404, page, {"Content-Type": "text/html"}))

    with pytest.raises(NucleusAnswerError) as caught:
        transport(server).send(datasets.list_datasets())

    text = str(caught.value)
    assert "Nucleus & more" in text
    assert "does not look like a Nucleus API" in text
    assert len(text) < 1000
    assert len(caught.value.body) <= 4000


def test_a_key_that_the_server_repeats_is_not_repeated_by_us(server, transport):
    """Neither in the message nor in the body kept with the error."""
    server.answers(Reply(401, {"error": f"the key {KEY} is wrong"}))

    with pytest.raises(NucleusAuthError) as caught:
        transport(server).send(datasets.list_datasets())

    assert KEY not in str(caught.value)
    assert KEY not in caught.value.body
    assert KEY not in repr(caught.value.__dict__)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed_for_reads(server, transport, status):
    """With the key, because it stays where it belongs."""
    server.answers(Reply(status, "", {"Location": "/v1/nucleus/elsewhere"}), Reply(200, DATASETS))

    transport(server).send(datasets.list_datasets())

    assert server.requests[1].path == "/v1/nucleus/elsewhere"
    assert "authorization" in server.requests[1].headers


@pytest.mark.parametrize("limited", [False, True])
def test_a_redirect_to_another_origin_is_not_followed(server, other_server, transport, limited):
    """No key ever reaches a host that was not configured."""
    server.answers(Reply(302, "", {"Location": f"{other_server.origin}/steal?x=1"}))
    options = {"limited_access_key": "limited_123"} if limited else {}

    with pytest.raises(NucleusAnswerError, match="redirects to"):
        transport(server, **options).send(datasets.list_datasets())

    assert other_server.requests == []


def test_a_post_is_never_turned_into_a_get_by_a_redirect(server, transport):
    """301 and 302 drop the body by custom; then the request has not been made at all."""
    server.answers(Reply(302, "", {"Location": "/v1/nucleus/elsewhere"}))

    with pytest.raises(NucleusAnswerError):
        transport(server).send(datasets.create_dataset("streets"))

    assert len(server.requests) == 1


def test_redirects_in_a_circle_end(server, transport):
    """A loop is an error, not a hang."""
    server.otherwise = Reply(307, "", {"Location": "/v1/nucleus/again"})

    with pytest.raises(NucleusAnswerError):
        transport(server).send(datasets.list_datasets())

    assert len(server.requests) == 6


def test_a_signed_put_carries_neither_key_nor_content_type(
    server, other_server, transport, tmp_path, monkeypatch
):
    """The signature covers both; credentials of .netrc stay at home too."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"a": 1}\n' * 200_000)
    other_server.answers(Reply(200, ""))

    transport(server).send(
        items.put_signed(f"{other_server.origin}/bucket/key?X-Sig=s3cret%2F", FileContent.of(rows))
    )

    request = other_server.requests[0]
    assert (request.method, request.path) == ("PUT", "/bucket/key?X-Sig=s3cret%2F")
    assert rows.read_bytes() == request.body
    assert str(rows.stat().st_size) == request.headers["content-length"]
    for unwanted in ("authorization", "content-type", "transfer-encoding", "x-limited-access-key", "cookie"):
        assert unwanted not in request.headers


def test_an_empty_signed_put_still_announces_its_length(server, transport):
    """Stores refuse chunked bodies."""
    server.answers(Reply(200, ""))

    transport(server).send(items.put_signed(f"{server.origin}/bucket/key", BytesContent(b"")))

    assert server.requests[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in server.requests[0].headers


def test_a_signed_put_is_sent_again_from_the_start(server, transport, tmp_path):
    """The file is read anew for every attempt."""
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b"x" * 3_000_000)
    server.answers(Reply(503, "busy"), Reset(), Reply(200, ""))

    transport(server).send(items.put_signed(f"{server.origin}/bucket/key?sig=1", FileContent.of(rows)))

    assert rows.read_bytes() == server.requests[-1].body


class Unreadable(io.BytesIO):
    """A file whose disk fails after the first piece."""

    def read(self, size=-1):
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            FileContent(partial(Path("/nowhere/rows").open, "rb"), 9, "/nowhere/rows"),
            "cannot be read: .*No such file",
        ),
        (
            FileContent(lambda: Unreadable(b"x" * 3_000_000), 3_000_000, "rows"),
            "cannot be read: .*Input/output",
        ),
        (FileContent(lambda: io.BytesIO(b"x" * 5), 9, "rows"), "ends before its 9 bytes"),
    ],
    ids=["gone", "failing", "shorter"],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in a form"])
def test_a_file_that_cannot_be_read_is_no_silence_of_the_server(server, transport, content, problem, wrapped):
    """Nothing is repeated, and the error names the file instead of the host."""
    server.answers(Reply(200, ""), Reply(200, ""))
    call = items.put_signed(f"{server.origin}/bucket/key?sig=1", content)
    if wrapped:
        form = Multipart(
            name="items", value=[], file_name="image", files=[FilePart("a.png", content, "image/png")]
        )
        call = replace(call, content=form)
    with pytest.raises(NucleusSourceError, match=problem):
        transport(server).send(call)


def test_a_file_that_grew_is_sent_as_it_was_announced(server, transport):
    """Content-Length is a promise; what came after it belongs to nobody's request."""
    server.answers(Reply(200, ""))
    content = FileContent(lambda: io.BytesIO(b"x" * 9), 5)
    transport(server).send(items.put_signed(f"{server.origin}/bucket/key?sig=1", content))

    assert server.requests[0].body == b"xxxxx"


@pytest.mark.parametrize("name", ["nothing", "", "bad\x00"])
def test_a_file_to_be_sent_is_a_file(tmp_path, name):
    """A missing path, a folder, and what is no path at all."""
    with pytest.raises(NucleusSourceError, match="cannot be sent"):
        FileContent.of(f"{tmp_path}/{name}")


def test_a_store_may_pass_a_signed_put_on(server, other_server, transport):
    """Region redirects preserve the method and need no credentials of ours."""
    server.answers(Reply(307, "", {"Location": f"{other_server.origin}/region"}))

    transport(server).send(items.put_signed(f"{server.origin}/bucket/key", BytesContent(b"rows")))

    assert other_server.requests[0].body == b"rows"
    assert "authorization" not in other_server.requests[0].headers


@pytest.mark.parametrize("answer", [Reply(403, "<Error><Message>Expired</Message></Error>"), Reset()])
def test_a_signature_never_shows_in_an_error(server, transport, answer):
    """Whoever reads the log must not be able to write to the bucket."""
    server.otherwise = answer

    with pytest.raises((NucleusAPIError, NucleusConnectionError)) as caught:
        transport(server, retry=RetryPolicy(attempts=2)).send(
            items.put_signed(f"{server.origin}/bucket/key?X-Sig=s3cret", BytesContent(b"rows"))
        )

    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__dict__)
    assert "/bucket/key" in str(caught.value)


def test_an_expired_signature_is_not_blamed_on_the_key(server, transport):
    """403 from a store means another thing than 403 from Nucleus."""
    server.answers(Reply(403, "<Error/>"))

    with pytest.raises(NucleusRequestError, match="signed upload address"):
        transport(server).send(items.put_signed(f"{server.origin}/bucket/key?sig=1", BytesContent(b"rows")))


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (
            507,
            "disk of the Nucleus server is full and nothing of this request was stored: try again once there is room",
        ),
        (500, "The fault is the server's"),
        (503, "The fault is the server's"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_failure_of_the_server_is_not_blamed_on_the_address(server, transport, status, hint, signed):
    """A signed address that a full or failing server refuses has not expired; the error says whose the fault is."""
    server.otherwise = Reply(status, '{"error": "no"}')
    call = items.put_signed(f"{server.origin}/bucket/key", BytesContent(b"rows"))

    with pytest.raises(NucleusServerError, match=hint) as caught:
        transport(server).send(call if signed else datasets.list_datasets())

    assert "expired" not in str(caught.value)


def test_cookies_of_the_server_are_not_sent_back_to_the_store(server, transport):
    """A cookie of the API is a credential too."""
    server.answers(Reply(200, DATASETS, {"Set-Cookie": "session=1; Path=/"}), Reply(200, ""))
    client = transport(server)

    client.send(datasets.list_datasets())
    client.send(items.put_signed(f"{server.origin}/bucket", BytesContent(b"rows")))

    assert "cookie" not in server.requests[1].headers


def test_a_refusal_inside_a_success_is_a_refusal(server, transport):
    """The model route reports a taken reference id with status 200."""
    server.answers(Reply(200, {"error": "reference id is taken"}))

    with pytest.raises(NucleusRequestError, match="reference id is taken"):
        transport(server).send(models.create_model("m", reference_id="r"))


def test_a_call_without_answer_body_accepts_an_empty_one(server, transport):
    """204 has none."""
    server.answers(Reply(204, b""))
    call = Call("DELETE", "x", lambda payload: payload, "delete x", body={}, reads_body=False)

    assert transport(server).send(call) is None


def test_a_delete_carries_an_empty_json_object(server, transport):
    """As the official client does."""
    server.answers(Reply(200, {"message": "Beginning dataset deletion..."}))

    transport(server).send(datasets.delete_dataset("ds_1"))

    assert server.requests[0].body == b"{}"
    assert server.requests[0].headers["content-type"] == "application/json"


def test_trouble_is_logged_once_and_its_end_once(server, transport, caplog):
    """A line per change of state, without payloads."""
    server.answers(*[Reply(503, {})] * 4, Reply(200, DATASETS))

    with caplog.at_level(logging.INFO, logger="airflow_provider_nucleus"):
        transport(server).send(datasets.list_datasets())

    levels = [record.levelno for record in caplog.records if record.name.endswith("exchange")]
    assert levels == [logging.WARNING, logging.INFO]


def test_trouble_that_goes_on_is_told_again(server, transport, caplog):
    """A minute of failures is no minute of silence, and still fewer lines than tries."""
    server.answers(*[Reply(503, {}, headers={"Retry-After": "9"})] * 6, Reply(200, DATASETS))

    with caplog.at_level(logging.INFO, logger="airflow_provider_nucleus"):
        transport(server).send(datasets.list_datasets())

    levels = [record.levelno for record in caplog.records if record.name.endswith("exchange")]
    assert levels == [logging.WARNING] * 3 + [logging.INFO]


def test_pages_are_walked_until_the_last(server, transport):
    """Tokens travel back; the end is a token that says nothing."""
    item = {"reference_id": "a", "image_url": "s3://b/a.png"}
    server.answers(
        Reply(200, {"items": [item, item], "nextPageToken": "t1"}),
        Reply(200, {"items": [], "nextPageToken": "t2"}),
        Reply(200, {"items": [item], "nextPageToken": None}),
    )

    found = transport(server).pages(items.items_page("ds_1"))

    assert len(found) == 3
    assert [request.json["pageToken"] for request in server.requests] == [None, "t1", "t2"]


def test_a_token_that_comes_twice_is_an_error(server, transport):
    """Otherwise the walk would never end."""
    server.otherwise = Reply(200, {"items": [], "nextPageToken": "t1"})

    with pytest.raises(ValueError, match="twice"):
        transport(server).pages(items.items_page("ds_1"))


@pytest.mark.parametrize(
    "body", [{"items": []}, {"nextPageToken": None}, {"items": {}, "nextPageToken": "x"}]
)
def test_a_page_without_its_list_is_an_error(server, transport, body):
    """A missing key must not read as the end of the data, except the token, which servers leave out."""
    server.answers(Reply(200, body))
    client = transport(server)

    if "items" in body and body["items"] == []:
        assert client.pages(items.items_page("ds_1")) == []
    else:
        with pytest.raises(NucleusAnswerError):
            client.pages(items.items_page("ds_1"))


def test_starting_a_job_returns_it(server, transport):
    """And asks for the asynchronous form."""
    server.answers(Reply(200, JOB))

    job = transport(server).send(items.start_append("ds_1", "0" * 32, update=True))

    assert job.job_id == "job_1"
    assert server.requests[0].path == "/v1/nucleus/dataset/ds_1/append?async=1"
    assert server.requests[0].json == {"requestId": "0" * 32, "update": True}


def test_many_threads_share_one_client(server):
    """The pool serves concurrent uploads."""
    from concurrent.futures import ThreadPoolExecutor

    from airflow_provider_nucleus.client import NucleusClient, NucleusConfig

    server.otherwise = Reply(200, {"status": "Running"})
    with (
        NucleusClient(NucleusConfig(endpoint=server.endpoint, api_key=KEY)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        states = list(
            pool.map(lambda number: client.send(jobs.job_status(f"job_{number}")).status, range(40))
        )

    assert states == ["Running"] * 40
