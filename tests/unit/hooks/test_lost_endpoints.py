"""A connection whose endpoint got lost never means Scale's cloud: refused by name, by every reader, before anything is sent."""

from __future__ import annotations

import asyncio
import json
import socket
from urllib.parse import quote

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.hooks.nucleus import NucleusHook

KEY = "live_0123456789abcdef"
LOCAL = "http://127.0.0.1:8787/v1/nucleus"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail whoever connects to anything."""

    def connect(self, address):
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: connect(None, args))


def connection(**fields):
    return json.dumps({"conn_type": "nucleus", "password": KEY} | fields)


def refused(monkeypatch, connection):
    """Return the one refusal of all three readers, which agree."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection)
    with pytest.raises(NucleusConfigError) as caught:
        _ = NucleusHook("probe").config
    with pytest.raises(NucleusConfigError) as caught_async:
        asyncio.run(NucleusHook("probe").async_config())

    assert NucleusHook("probe").test_connection() == (False, str(caught.value))
    assert str(caught.value) == str(caught_async.value)
    assert "'probe'" in str(caught.value)
    assert KEY not in repr(vars(caught.value)) + str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((name, "endpoint") for name in ("url", "base_url", "api_url", "host", "nucleus_endpoint", "Endpoint", "uri", "server", "address",
                                          "endpoint_url", "extra__nucleus__url", "extra__http__endpoint", "endpoint ", "site", "baseUrl")),
        *((name, "verify_tls") for name in ("ssl_verify", "verify_ssl", "verify", "verify_cert", "insecure", "VERIFY_TLS")),
        *((name, "HTTPS_PROXY") for name in ("proxies", "proxy", "https_proxy")),
        *((name, "password") for name in ("api_key", "token", "secret")),
        ("time_out", "timeout"),
        ("team", "fields"),
        ("", "not shown"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_field_is_refused_by_name(monkeypatch, name, meant):
    """With what it probably means, and the names there are."""
    error = refused(monkeypatch, connection(extra={name: LOCAL, "timeout": 30}))

    assert name.strip() in str(error)
    assert meant in str(error)
    assert "endpoint, public_url, limited_access_key, verify_tls, ca_bundle, timeout" in str(error)
    assert LOCAL not in str(error)


@pytest.mark.parametrize(
    "extra",
    [
        '{"endpoint": "' + LOCAL, "{'endpoint': '" + LOCAL + "'}", f"endpoint={LOCAL}", LOCAL, f'"{LOCAL}"', f'["{LOCAL}"]', "[]", "0",
    ],
)  # fmt: skip
def test_an_extra_that_is_no_object_is_refused(monkeypatch, extra):
    """Airflow itself takes it for an empty one."""
    error = refused(monkeypatch, connection(extra=extra))

    assert error.field == "extra"
    assert "JSON object" in str(error)
    assert LOCAL not in str(error).replace("http://host:port/v1/nucleus", "")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"port": 8787}, "port"),
        ({"port": "8787", "host": " "}, "port"),
        ({"schema": "http"}, "schema"),
        ({"login": LOCAL}, "login"),
        ({"schema": "https", "port": 0, "host": ""}, "schema"),
        *(
            ({"login": login}, "login")
            for login in ("h:8787", "10.0.0.1", "nucleus.example.com", "nucleus/v1", "[::1]", "LocalHost")
        ),
        *(({"host": word}, "host") for word in ("None", "null", "none", "NULL", " None ")),
        *(({"extra": {"endpoint": word}}, "endpoint") for word in ("None", "null", "none", " NULL ")),
        ({"extra": {"endpoint": "None"}, "host": "127.0.0.1"}, "endpoint"),
        ({"extra": {"endpoint": "None", "extra__nucleus__endpoint": ""}}, "endpoint"),
        ({"extra": {"endpoint": "", "extra__nucleus__endpoint": "null"}}, "endpoint"),
        ({"extra": {"endpoint": "http://a/v1", "extra__nucleus__endpoint": "http://b/v1"}}, "endpoint"),
        ({"extra": '{"endpoint": "http://a/v1", "endpoint": "http://b/v1"}'}, "endpoint"),
        ({"extra": {"verify_tls": KEY}}, "verify_tls"),
        ({"extra": {"timeout": KEY}}, "timeout"),
        ({"extra": {KEY: ""}}, "extra"),
        ({"extra": {"endpoint": {"url": LOCAL}}}, "endpoint"),
        ({"password": "local_0123456789abcdef"}, "endpoint"),
        ({"password": "local_0123456789abcdef", "host": "api.scale.com"}, "endpoint"),
        ({"password": None, "extra": {"limited_access_key": "local_0123456789abcdef"}}, "endpoint"),
        ({"extra": {"endpoint": "http://api.scale.com/v1/nucleus"}}, "endpoint"),
        ({"host": "api.scale.com", "schema": "http"}, "endpoint"),
        ({"host": "api.scale.com", "port": 80, "schema": "http"}, "endpoint"),
        ({"host": "evil\\@api.scale.com"}, "endpoint"),
    ],
)
def test_half_an_endpoint_is_refused(monkeypatch, fields, field):
    """And so is an address or a key that cannot be meant for the other."""
    error = refused(monkeypatch, connection(**fields))

    assert field == error.field
    assert "0123456789abcdef" not in str(error)


@pytest.mark.parametrize(
    ("uri", "field"),
    [
        (f"nucleus://:{KEY}@/?url={quote(LOCAL, safe='')}", "url"),
        (f"nucleus://:{KEY}@/?extra__nucleus__host=h", "extra__nucleus__host"),
        (f"nucleus://:{KEY}@:8787", "port"),
        (f"nucleus://:{KEY}@None", "host"),
        (f"nucleus://:{KEY}@None:8787/http", "host"),
        (f"nucleus://:{KEY}@/?endpoint=None", "endpoint"),
        (f"nucleus://h%3A8787:{KEY}@", "login"),
        (f"nucleus://:{KEY}@/http", "schema"),
        (f"nucleus://:{KEY}@/?__extra__={quote('{broken')}", "extra"),
        (f"nucleus://:{KEY}@/?__extra__={quote('[1]')}", "extra"),
        (f"nucleus://:{KEY}@/?{KEY}=", "extra"),
    ],
)
def test_the_same_holds_for_a_connection_written_as_uri(monkeypatch, uri, field):
    """Its query is the extra."""
    assert field == refused(monkeypatch, uri).field


@pytest.mark.parametrize(
    "connection",
    [
        connection(extra={"endpoint": LOCAL}),
        connection(extra={"extra__nucleus__endpoint": LOCAL, "extra__nucleus__timeout": "", "timeout": 120}),
        connection(extra={"extra__nucleus__endpoint": LOCAL, "endpoint": ""}),
        connection(extra={"extra__nucleus__endpoint": LOCAL, "endpoint": LOCAL}),
        connection(extra=json.dumps({"endpoint": LOCAL, "verify_tls": None, "timeout": "None"})),
        connection(extra={"endpoint": LOCAL}, host="", schema="", login="", port=0),
        connection(extra={"endpoint": LOCAL}, schema="http", port=8787),
        connection(host="127.0.0.1", port=8787, schema="http", extra=" "),
        connection(host="http://127.0.0.1/v1/nucleus", port=8787, extra="null"),
        f"nucleus://:{KEY}@/?endpoint={quote(LOCAL, safe='')}",
        f"nucleus://:{KEY}@127.0.0.1:8787/http",
        connection(extra={"endpoint": "None", "extra__nucleus__endpoint": LOCAL}),
        connection(extra={"endpoint": LOCAL}, host="None", login="me@example.com"),
        f"nucleus://:{KEY}@{quote(LOCAL, safe='')}/",
        f"nucleus://:{KEY}@/?__extra__={quote(json.dumps({'endpoint': LOCAL}))}",
    ],
)
def test_an_endpoint_is_found_wherever_it_may_be_written(monkeypatch, connection):
    """In the extra, under its old name, in the host; as JSON, as a form saves it, as a URI."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection)

    assert NucleusHook("probe").config.endpoint == LOCAL
    assert NucleusHook("probe").config == asyncio.run(NucleusHook("probe").async_config())


@pytest.mark.parametrize(
    "extra", [None, "", "  ", {}, "{}", {"endpoint": " "}, {"endpoint": None}, "None", "null"]
)
def test_nothing_at_all_means_the_cloud(monkeypatch, extra):
    """As it always did, with blanks of forms for nothing."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection(extra=extra, host="", port=0, schema=None))

    assert NucleusHook("probe").config.endpoint == "https://api.scale.com/v1/nucleus"
    assert NucleusHook("probe").config == asyncio.run(NucleusHook("probe").async_config())


@pytest.mark.parametrize(
    "connection", [f"nucleus://:{KEY}@[::1]:8787/http", connection(host="::1", port=8787, schema="http")]
)
def test_the_brackets_of_an_ipv6_address_may_be_lost(monkeypatch, connection):
    """Airflow takes them off a host of a URI."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection)

    assert NucleusHook("probe").config.endpoint == "http://[::1]:8787/v1/nucleus"
