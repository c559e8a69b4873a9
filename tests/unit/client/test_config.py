"""Where Nucleus is and how to prove who asks."""

from __future__ import annotations

import base64

import pytest

from airflow_provider_nucleus.client import NucleusClient, NucleusConfig, check_target, describe_target
from airflow_provider_nucleus.exceptions import NucleusAuthError, NucleusConfigError
from tests.unit.client.scripted import Reply

KEY = "live_0123456789abcdef"


def test_a_slash_at_the_end_of_the_endpoint_is_dropped():
    """A double slash would be another route."""
    assert (
        NucleusConfig(endpoint=" https://x/v1/nucleus// ", api_key=KEY).url("dataset/1")
        == "https://x/v1/nucleus/dataset/1"
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": KEY, "limited_access_key": "l"}, "limited_access_key"),
        ({"api_key": f"{KEY}\n"}, "api_key"),
        ({"api_key": "kéy"}, "api_key"),
        ({"limited_access_key": "a b"}, "limited_access_key"),
        ({"api_key": KEY, "endpoint": "api.scale.com"}, "endpoint"),
        ({"api_key": KEY, "endpoint": "ftp://x/y"}, "endpoint"),
        ({"api_key": KEY, "endpoint": "http://"}, "endpoint"),
        ({"api_key": KEY, "endpoint": "http://x:notaport/"}, "endpoint"),
        ({"api_key": KEY, "endpoint": "http://x:99999/"}, "endpoint"),
        ({"api_key": KEY, "endpoint": f"http://{KEY}@x/"}, "endpoint"),
        ({"api_key": KEY, "endpoint": "http://x/?a=1"}, "endpoint"),
        ({"api_key": KEY, "timeout": 0}, "timeout"),
        ({"api_key": KEY, "timeout": float("nan")}, "timeout"),
    ],
)
def test_a_contradiction_names_connection_and_field(options, field):
    """And never shows a key."""
    with pytest.raises(NucleusConfigError) as caught:
        NucleusConfig(conn_id="my_conn", **options)

    assert field == caught.value.field
    assert "my_conn" in str(caught.value)
    assert KEY not in str(caught.value)


def test_the_representation_hides_both_keys():
    """Configurations end up in logs."""
    assert KEY not in repr(NucleusConfig(api_key=KEY))
    assert KEY not in repr(NucleusConfig(limited_access_key=KEY))


def test_redacting_removes_the_key_in_both_its_spellings():
    """Plain, and as Basic authentication writes it."""
    config = NucleusConfig(api_key=KEY)
    basic = base64.b64encode(f"{KEY}:".encode()).decode()

    assert config.redact(f"{KEY} and {basic}") == "*** and ***"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"api_key": "local_0123456789abcdef"}, "embedded Nucleus"),
        ({"limited_access_key": "local_0123456789abcdef"}, "embedded Nucleus"),
        (
            {"api_key": "local_0123456789abcdef", "endpoint": "https://eu.API.scale.com/v1"},
            "embedded Nucleus",
        ),
        ({"api_key": KEY, "endpoint": "http://api.scale.com/v1/nucleus"}, "in clear"),
        ({"api_key": KEY, "endpoint": "http://scale.com:8080"}, "in clear"),
    ],
)
def test_no_key_goes_to_scale_that_should_not(options, reason):
    """Neither that of an embedded Nucleus, nor any over a line that others read; whoever builds the configuration."""
    with pytest.raises(NucleusConfigError, match=reason) as caught:
        NucleusConfig(**options)

    assert caught.value.field == "endpoint"
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://api.scale.com/v1/nucleus", "Scale Nucleus at api.scale.com"),
        ("http://localhost:8787/v1/nucleus", "the Nucleus at localhost:8787"),
        ("https://evil-scale.com/v1/nucleus", "the Nucleus at evil-scale.com:443"),
    ],
)
def test_a_target_is_named_by_its_host(endpoint, expected):
    """Only Scale's own hosts are Scale."""
    assert expected == describe_target(NucleusConfig(endpoint=endpoint, api_key=KEY))


def test_checking_a_target_tells_how_many_datasets_the_key_sees(server):
    """One short request."""
    server.answers(Reply(200, [{"id": "ds_1", "name": "a", "is_public": False}]))

    with NucleusClient(NucleusConfig(endpoint=server.endpoint, api_key=KEY)) as client:
        found = check_target(client)

    assert "1 dataset visible" in str(found)


def test_checking_a_target_does_not_retry(server):
    """Somebody waits at the button."""
    server.otherwise = Reply(503, {})

    with (
        NucleusClient(NucleusConfig(endpoint=server.endpoint, api_key=KEY)) as client,
        pytest.raises(Exception, match="503"),
    ):
        check_target(client)

    assert len(server.requests) == 1


def test_a_wrong_key_is_told_apart(server):
    """From an unreachable host."""
    server.answers(Reply(401, {"error": "bad key"}))

    with (
        NucleusClient(NucleusConfig(endpoint=server.endpoint, api_key=KEY)) as client,
        pytest.raises(NucleusAuthError, match="bad key"),
    ):
        check_target(client)
