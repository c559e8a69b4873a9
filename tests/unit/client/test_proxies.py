"""Proxies and exemptions, the same for both libraries: what NO_PROXY can hold, and who is asked."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.client.calls import datasets
from airflow_provider_nucleus.client.proxies import Proxies
from airflow_provider_nucleus.exceptions import NucleusConfigError
from tests.unit.client.scripted import Reply

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("*", "http://a/", True),
        ("10.0.0.0/8", "http://10.1.2.3:8787/", True),
        ("10.0.0.0/8", "http://11.1.2.3:8787/", False),
        ("10.0.0.5/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("10.0.0.0/8:8787", "http://10.1.2.3:8787/", True),
        ("10.0.0.0/8:8787", "http://10.1.2.3:80/", False),
        ("host:8787", "http://host:8787/", True),
        ("host:8787", "http://host/", False),
        ("host:443", "https://host/", True),
        ("host", "http://host:8787/", True),
        ("example.com", "http://example.com/", True),
        ("example.com", "http://a.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        (".example.com", "http://a.b.example.com/", True),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://a.example.com:1/", True),
        ("*.example.com", "http://notexample.com/", False),
        ("10.1.*", "http://10.1.2.3/", True),
        ("node-*.local", "http://node-7.local/", True),
        ("EXAMPLE.com.", "http://example.com/", True),
        ("http://example.com/", "http://example.com/", True),
        ("::1", "http://[::1]:8787/", True),
        ("[::1]:8787", "http://[::1]:8787/", True),
        ("[::1]:8787", "http://[::1]/", False),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("[fd00::]/8", "http://[fd12::1]/", True),
        ("[fd00::/8]", "http://[fd12::1]/", True),
        ("[fd00::]/8", "http://[fe12::1]/", False),
        ("a, b\tc  d", "http://c/", True),
        (" , ,,", "http://a/", False),
        ("", "http://a/", False),
        ("a:b:c:x, [", "http://a/", False),
        ("10.0.0.0/99", "http://10.0.0.1/", False),
    ],
)
def test_an_exemption_means_what_people_mean_by_it(exempt, url, direct):
    """Networks, ports, wildcards, leading dots."""
    proxies = Proxies({"all": "proxy:3128", "no": exempt})

    assert (None if direct else "http://proxy:3128") == proxies.proxy_for(Address.parse(url))


@pytest.mark.parametrize(
    ("exempt", "direct"),
    [("", False), ("127.0.0.0/8", True), ("127.0.0.1:{port}", True), ("127.0.0.1:1", False)],
)
def test_both_libraries_go_the_same_way(server, other_server, transport, monkeypatch, exempt, direct):
    """Through the proxy, or not."""
    monkeypatch.setenv("HTTP_PROXY", other_server.origin.removeprefix("http://"))
    monkeypatch.setenv("NO_PROXY", exempt.format(port=server.server_address[1]))
    server.otherwise = other_server.otherwise = Reply(200, [])

    assert transport(server).send(datasets.list_datasets()) == []
    assert (int(direct), int(not direct)) == (len(server.requests), len(other_server.requests))


@pytest.mark.parametrize(
    "proxy", ["http://user:s3cret@", "ftp://proxy:21", "http://pro xy", "http://[", "http://h:99999"]
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(server, transport, monkeypatch, proxy):
    """And not shown: it may hold a password."""
    monkeypatch.setenv("HTTP_PROXY", proxy)

    with pytest.raises(NucleusConfigError, match="HTTP_PROXY") as caught:
        transport(server).send(datasets.list_datasets())

    assert "s3cret" not in str(caught.value)
