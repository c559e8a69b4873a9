"""One parser from connection to configuration: precedence, coercion, complaints."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT
from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.hooks.connection import parse_connection
from airflow_provider_nucleus.hooks.connection_form import (
    CONN_FIELDS,
    UI_FIELD_BEHAVIOUR,
    legacy_field_behaviour,
    legacy_form_widgets,
)

KEY = "live_0123456789abcdef"


def conn(**changes):
    """Return a connection with an API key; an extra that is not text becomes JSON."""
    fields = {
        "conn_id": "nuc",
        "host": None,
        "schema": None,
        "login": None,
        "password": KEY,
        "port": None,
        "extra": None,
    }
    made = SimpleNamespace(**fields | changes)
    if made.extra is not None and not isinstance(made.extra, str):
        made.extra = json.dumps(made.extra)
    return made


def test_defaults_are_the_cloud_with_tls():
    """A connection with nothing but a key is Scale's cloud, verified, with the client's usual patience."""
    config = parse_connection(conn())

    assert (
        config.endpoint,
        config.api_key,
        config.limited_access_key,
        config.verify_tls,
        config.timeout,
    ) == ("https://api.scale.com/v1/nucleus", KEY, None, True, 120)
    assert config.conn_id == "nuc"


@pytest.mark.parametrize("blank", ["", "  ", None, "None", "null", "NONE"])
def test_blanks_of_forms_and_uris_mean_not_set(blank):
    """What a form or a URI writes for "nothing" is nothing; the words for it are no endpoint and no host."""
    empty = "" if isinstance(blank, str) and blank.strip() else blank
    extra = {"endpoint": empty, "limited_access_key": blank, "verify_tls": blank, "timeout": blank}

    assert parse_connection(conn()) == parse_connection(conn(host=empty, login=blank, extra=extra))


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("0", False), (1, True), (False, False), ("yes", True)],
)
def test_flags_arrive_as_text_or_as_json(text, value):
    """A URI carries every extra as text."""
    assert value is parse_connection(conn(extra={"verify_tls": text})).verify_tls


@pytest.mark.parametrize("text", ["30", 30, 30.0, " 30 "])
def test_timeout_arrives_as_text_or_as_number(text):
    """Seconds, whatever form they have."""
    assert parse_connection(conn(extra={"timeout": text})).timeout == 30


@pytest.mark.parametrize(
    ("changes", "extra", "endpoint"),
    [
        ({}, {"endpoint": "http://localhost:8787/v1/nucleus/"}, "http://localhost:8787/v1/nucleus"),
        ({"host": "other"}, {"endpoint": "http://localhost:1/v1/nucleus"}, "http://localhost:1/v1/nucleus"),
        ({"host": "http://localhost:1/v1/nucleus"}, {}, "http://localhost:1/v1/nucleus"),
        ({"host": "http://localhost/v1/nucleus", "port": 8787}, {}, "http://localhost:8787/v1/nucleus"),
        ({"host": "http://localhost:1/v1/nucleus", "port": 8787}, {}, "http://localhost:1/v1/nucleus"),
        ({"host": "localhost", "port": 8787, "schema": "http"}, {}, "http://localhost:8787/v1/nucleus"),
        ({"host": "ml.example.com"}, {}, "https://ml.example.com/v1/nucleus"),
        ({"host": "ml.example.com/api"}, {}, "https://ml.example.com/api"),
    ],
)
def test_endpoint_precedence(changes, extra, endpoint):
    """The endpoint field wins over the host, which may be a URL or a bare name."""
    assert endpoint == parse_connection(conn(**changes, extra=extra)).endpoint


@pytest.mark.parametrize(
    ("changes", "extra", "field"),
    [
        ({"password": None}, {}, "password"),
        ({"password": None, "login": KEY}, {}, "password"),
        ({}, {"limited_access_key": KEY}, "limited_access_key"),
        ({}, {"endpoint": "localhost:8787"}, "endpoint"),
        ({}, {"endpoint": KEY}, "endpoint"),
        ({}, {"endpoint": "ftp://localhost"}, "endpoint"),
        ({}, {"endpoint": "http://"}, "endpoint"),
        ({}, {"endpoint": "http://h:port/v1"}, "endpoint"),
        ({}, {"endpoint": f"http://{KEY}@localhost/v1/nucleus"}, "endpoint"),
        ({}, {"endpoint": f"http://localhost/v1/nucleus?key={KEY}x"}, "endpoint"),
        ({}, {"endpoint": 8787}, "endpoint"),
        ({}, {"endpont": "http://localhost:8787/v1/nucleus"}, "endpont"),
        ({}, {"verify_tsl": False}, "verify_tsl"),
        ({}, {"verify_tls": "maybe"}, "verify_tls"),
        ({}, {"timeout": "soon"}, "timeout"),
        ({}, {"timeout": 0}, "timeout"),
        ({}, {"timeout": True}, "timeout"),
        ({}, {"timeout": "nan"}, "timeout"),
    ],
)
def test_complaints_name_field_and_connection_and_no_key(changes, extra, field):
    """A wrong connection is refused with its id and the field; the key is never part of the text."""
    with pytest.raises(NucleusConfigError) as caught:
        parse_connection(conn(**changes, extra=extra))

    assert (field, "nuc") == (caught.value.field, caught.value.conn_id)
    assert field in str(caught.value)
    assert "'nuc'" in str(caught.value)
    assert KEY not in str(caught.value)


def test_what_was_typed_as_endpoint_is_shown():
    """Without it nobody sees that only the protocol is missing."""
    with pytest.raises(NucleusConfigError, match=r"got 'localhost:8787/v1/nucleus'"):
        parse_connection(conn(extra={"endpoint": "localhost:8787/v1/nucleus"}))


def test_key_of_an_embedded_nucleus_is_not_sent_to_the_cloud():
    """A forgotten endpoint means the cloud, which such a key cannot be meant for."""
    with pytest.raises(NucleusConfigError, match="embedded Nucleus") as caught:
        parse_connection(conn(password="local_0123456789abcdef"))

    assert caught.value.field == "endpoint"


def test_limited_access_key_replaces_the_api_key():
    """One kind of key at a time."""
    config = parse_connection(conn(password=None, extra={"limited_access_key": KEY}))

    assert (config.api_key, config.limited_access_key) == (None, KEY)
    assert KEY not in repr(config)


def test_legacy_form_is_generated_from_the_same_fields():
    """The form of Airflow below 3.2 cannot drift from the declarative one."""
    behaviour = legacy_field_behaviour()

    assert {key.replace("-", "_") for key in UI_FIELD_BEHAVIOUR} == set(behaviour)
    assert UI_FIELD_BEHAVIOUR["relabeling"] == behaviour["relabeling"]
    json.dumps(behaviour)


def test_legacy_widgets_have_every_field_with_its_label(monkeypatch):
    """Each field becomes a widget of the right kind (WTForms comes with old webservers only, so it is stood in for)."""
    made = {}
    names = ("BooleanField", "IntegerField", "PasswordField", "StringField")
    fields = {name: lambda label, kind=name, **options: made.setdefault(label, kind) for name in names}
    monkeypatch.setitem(sys.modules, "wtforms", SimpleNamespace(**fields))
    monkeypatch.setitem(sys.modules, "wtforms.validators", SimpleNamespace(Optional=object))

    assert list(CONN_FIELDS) == list(legacy_form_widgets())
    assert made == {
        "Endpoint": "StringField",
        "Public URL": "StringField",
        "Limited access key": "PasswordField",
        "Verify TLS certificate": "BooleanField",
        "Certificate authorities (path)": "StringField",
        "Timeout (seconds)": "IntegerField",
    }


def test_port_zero_is_no_port():
    """Airflow's page posts it for a field that is hidden and empty."""
    conn = SimpleNamespace(
        conn_id="c", host="", schema="", login="", password="local_abcdefgh", port=0,
        extra=json.dumps({"endpoint": "http://127.0.0.1:8787/v1/nucleus"}),
    )  # fmt: skip

    assert parse_connection(conn).endpoint == "http://127.0.0.1:8787/v1/nucleus"
    conn.extra = ""
    assert (
        parse_connection(SimpleNamespace(**vars(conn) | {"password": "live_abcdefgh"})).endpoint
        == CLOUD_ENDPOINT
    )


@pytest.mark.parametrize(
    "public_url", ["nucleus.example.com", "https://h/?a=b", "ftp://h", "https://user@h/"]
)
def test_public_url_is_an_address(public_url):
    """What no browser could open is refused by name."""
    conn = SimpleNamespace(
        conn_id="c", host="", schema="", login="", password="local_abcdefgh", port=0,
        extra=json.dumps({"endpoint": "http://127.0.0.1:8787/v1/nucleus", "public_url": public_url}),
    )  # fmt: skip

    with pytest.raises(NucleusConfigError, match="public_url") as caught:
        parse_connection(conn)
    assert caught.value.field == "public_url"
