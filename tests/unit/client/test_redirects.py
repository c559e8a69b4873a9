"""Where keys and signed files go: hostile redirects, endpoints and signed addresses, through both transports and real sockets."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client import BytesContent, NucleusConfig
from airflow_provider_nucleus.client.calls import datasets, items
from airflow_provider_nucleus.client.exchange import Request, Response, exchange
from airflow_provider_nucleus.client.retry import NO_RETRY
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusConfigError,
    NucleusError,
    NucleusRequestError,
    NucleusValidationError,
)
from tests.unit.client.scripted import Reply

KEY = "live_0123456789abcdef"

# Here `own` is host:port of the configured server and `evil` that of another listener.
_ODD = [
    "http://{evil}\\@{own}/x", "http://{own}\\@{evil}/x", "http:\\\\{evil}/x", "\\\\{evil}/x", "/\\{evil}/x", "\\/{evil}/x",
    "http:/{evil}/x", "http:{evil}/x", "http:///{evil}/x", "https:///{evil}/x", "///{evil}/x", "/..//{evil}/x", "http:x",
    "http://{own}@{evil}/x", "http://user:s3cret@{own}/x", "http://user:s3cret@{evil}/x", "//s3cret@{evil}/x",
    "http://{own}:80@{evil}/x", "http://{own}:443:80/x", "http://{own}@/x", "http://127.0.0.1:/x", "http://127.0.0.1:+80/x",
    "http://{evil}%00.example/x", "http://{evil}\x00@{own}/x", "ht\ttp://{evil}/x", "http:\t//{evil}/x", "http://\t{evil}/x",
    "http://{evil}\t@{own}/x", "http://{evil}\r\n @{own}/x", "http://{evil} @{own}/x", "http://{evil}\x0b/x",
    "http://127.1:{port}/x", "http://2130706433:{port}/x", "http://0x7f000001:{port}/x", "http://0177.0.0.1:{port}/x",
    "http://%31%32%37.0.0.1:{port}/x", "http://127%2E0.0.1:{port}/x", "http://localhost.:{port}/x", "http://local..host:{port}/x",
    "http://127\u30020\u30020\u30021:{port}/x", "http://\uff11\uff12\uff17.0.0.1:{port}/x", "http://\uff4cocalhost:{port}/x",
    "http://[", "http://[]/x", "http://[::1", "http://[127.0.0.1]:{port}/x", "http://[::1%25lo]:{port}/x", "http://::1:{port}/x",
    "http://[::1]{evil}/x", "http://xn--0/x", "ftp://{evil}/x", "file:///etc/passwd", "javascript:alert(1)", "data:,x",
    "http://", "//", "http:", ":", "", "#", "/%2e%2e/x", "http://{own}/v1/%", "http://{own}/\uff0e\uff0e/x",
]  # fmt: skip
_ELSEWHERE = [
    "http://{evil}/x", "HTTP://{evil}/x", "//{evil}/x", "http://{evil}#@{own}/x", "http://{evil}?@{own}/x", "http://{evil}/@{own}",
    "http://localhost:{port}/x", "http://127.0.0.2:{port}/x", "https://{own}/x", "https://{evil}/x", "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x", "http://127.0.0.1/x", "https://127.0.0.1/x",
    "http://{evil}\r@{own}/x",  # to one of the libraries the header ends there
]  # fmt: skip


def filled(template, server, other_server):
    """Return an address of the table with real ports, as header bytes travel: UTF-8 in the guise of Latin-1."""
    port = other_server.server_address[1]
    own = f"127.0.0.1:{server.server_address[1]}"
    return template.format(own=own, evil=f"127.0.0.1:{port}", port=port)


def as_header(text):
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("template", _ODD + _ELSEWHERE)
def test_no_redirect_leads_a_key_astray(server, other_server, transport, template):
    """One request, to the configured server; then an error of ours that says where it was to go, or why that is no address."""
    location = filled(template, server, other_server)
    server.otherwise = Reply(307, "", {"Location": as_header(location)})

    with pytest.raises(NucleusError) as caught:
        transport(server, retry=NO_RETRY).send(datasets.list_datasets())

    assert other_server.requests == []
    assert len(server.requests) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("template", ["http://{evil}\\@{own}/x", "http://[", "http://user:s3cret@{own}/x"])
def test_a_redirect_that_cannot_be_read_is_told_as_such(server, other_server, transport, template):
    """Status, connection, and what is odd about the target; the target itself may hold credentials."""
    location = filled(template, server, other_server)
    server.answers(Reply(302, "", {"Location": location}))

    with pytest.raises(
        NucleusAnswerError, match=r"302 .*'nucleus_test'.* not followed: the target "
    ) as caught:
        transport(server).send(datasets.list_datasets())

    assert location not in str(caught.value)


@pytest.mark.parametrize("template", _ODD)
def test_no_redirect_that_cannot_be_read_takes_a_signed_file(server, other_server, transport, template):
    """Rows go on to another store only by a plain address."""
    location = filled(template, server, other_server)
    server.otherwise = Reply(307, "", {"Location": as_header(location)})

    with pytest.raises(NucleusError) as caught:
        transport(server, retry=NO_RETRY).send(
            items.put_signed(f"{server.origin}/bucket/key?sig=1", BytesContent(b"rows"))
        )

    assert other_server.requests == []
    assert len(server.requests) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("template", [each for each in _ODD if each])
def test_a_signed_address_that_cannot_be_read_is_refused(server, other_server, transport, template):
    """Nothing is sent, whether the server hands it out or a caller brings it."""
    address = filled(template, server, other_server)
    server.answers(Reply(200, {"signed_url": address}))
    client = transport(server)

    with pytest.raises(NucleusAnswerError, match="signed_url"):
        client.send(items.signed_url("ds_1", "0" * 32))
    with pytest.raises(NucleusValidationError, match="signed_url") as caught:
        client.send(items.put_signed(address, BytesContent(b"rows")))

    assert len(server.requests) == 1
    assert other_server.requests == []
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("template", [*_ODD, "http://{own}/#x", "http://{own}/?x", "http://{own}//v1"])
def test_an_endpoint_that_cannot_be_read_is_refused(server, other_server, template):
    """Before anything is sent, and without a word that could be a key."""
    with pytest.raises(NucleusConfigError) as caught:
        NucleusConfig(endpoint=filled(template, server, other_server), api_key=KEY)

    assert caught.value.field == "endpoint"
    assert "s3cret" not in str(caught.value)


def follow(endpoint, location, call=None):
    """Return the address that is asked after a redirect, None if it was not followed."""
    config = NucleusConfig(endpoint=endpoint, api_key=KEY)
    steps = exchange(call or datasets.list_datasets(), config, NO_RETRY, rng=None, clock=lambda: 0.0)
    next(steps)
    try:
        step = steps.send(Response(308, {"location": location}, b""))
    except (NucleusAnswerError, NucleusRequestError):
        return None
    assert isinstance(step, Request)
    assert ("Authorization" in step.headers) == (call is None)
    return step.url


@pytest.mark.parametrize(
    ("endpoint", "location", "followed"),
    [
        ("http://h/v1", "https://h/v1/x", True),
        ("http://h:80/v1", "https://H:443/v1/x", True),
        ("http://h/v1", "https://h:8443/v1/x", False),
        ("http://h:8787/v1", "https://h/v1/x", False),
        ("http://h:8787/v1", "https://h:8787/v1/x", False),
        ("http://h/v1", "https://g/v1/x", False),
        ("http://h/v1", "http://h:8787/v1/x", False),
        ("https://h/v1", "http://h/v1/x", False),
        ("https://h:80/v1", "http://h/v1/x", False),
    ],
)
def test_the_one_other_origin_is_https_of_the_same_host(endpoint, location, followed):
    """Each on its own port: whoever listens at another one may be somebody else."""
    assert (location.replace("H:443", "h") if followed else None) == follow(endpoint, location)


@pytest.mark.parametrize(
    ("signed", "location", "followed"),
    [
        ("https://s/key?sig=1", "https://other/key", True),
        ("http://s/key?sig=1", "https://other/key", True),
        ("http://s/key?sig=1", "http://other/key", True),
        ("https://s/key?sig=1", "http://other/key", False),
        ("https://s/key?sig=1", "http://s/key", False),
    ],
)
def test_rows_never_go_on_in_clear(signed, location, followed):
    """The store may pass a signed file on, without our key, but not from https to http."""
    call = items.put_signed(signed, BytesContent(b"rows"))
    assert (location if followed else None) == follow("https://h/v1", location, call)
