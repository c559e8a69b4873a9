"""Certificates: trusted, refused, waived; against a real TLS server."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_nucleus.client import BytesContent, NucleusConfig
from airflow_provider_nucleus.client.calls import datasets, items
from airflow_provider_nucleus.client.retry import NoAnswer, tls_outcome
from airflow_provider_nucleus.exceptions import (
    NucleusAnswerError,
    NucleusCertificateError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusRequestError,
)
from tests.unit.client.scripted import Reply, ScriptedServer


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the loopback address that nobody but its own file vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nucleus test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509
        .CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return public, private


@pytest.fixture
def tls_server(certificate):
    """A server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    made = ScriptedServer(context)
    made.otherwise = Reply(200, [])
    yield made
    made.stop()


def test_a_certificate_nobody_vouches_for_is_refused_at_once(tls_server, transport):
    """Trying again does not help; the settings do."""
    client = transport(tls_server)

    with pytest.raises(NucleusConnectionError, match="ca_bundle") as caught:
        client.send(datasets.list_datasets())

    assert client.sleeps == []
    assert caught.value.attempts == 1
    assert tls_server.requests == []


def test_a_certificate_is_trusted_through_its_authority(tls_server, transport, certificate):
    """ca_bundle is the path of a bundle."""
    assert transport(tls_server, ca_bundle=str(certificate[0])).send(datasets.list_datasets()) == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_environment_of_either_library_counts_for_both(
    tls_server, transport, certificate, monkeypatch, tmp_path, name
):
    """A worker and a triggerer of one installation trust the same authorities."""
    path = certificate[0]
    if name == "SSL_CERT_DIR":
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(path)]
        try:
            hashed = subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError:
            pytest.skip("needs the command openssl")
        (tmp_path / f"{hashed.stdout.strip()}.0").write_bytes(path.read_bytes())
        path = tmp_path
    monkeypatch.setenv(name, str(path))

    assert transport(tls_server).send(datasets.list_datasets()) == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", None])
def test_authorities_that_cannot_be_read_are_named(tls_server, transport, monkeypatch, name):
    """With the setting that names them."""
    if name is not None:
        monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(NucleusConfigError, match=f"{name or 'ca_bundle'}.*/nowhere/ca.pem"):
        transport(tls_server, ca_bundle=None if name else "/nowhere/ca.pem").send(datasets.list_datasets())


@pytest.mark.parametrize("names", [(), ("ca.pem", "other.crt")])
def test_a_folder_in_which_no_certificate_is_found_is_named(
    tls_server, transport, certificate, tmp_path, names
):
    """OpenSSL looks for names of its own there: what lies beside them is as good as not there, and is said at once."""
    for name in names:
        (tmp_path / name).write_bytes(certificate[0].read_bytes())

    with pytest.raises(
        NucleusConfigError, match=r"ca_bundle .*hold no certificate.*openssl rehash"
    ) as caught:
        transport(tls_server, ca_bundle=str(tmp_path)).send(datasets.list_datasets())

    assert caught.value.field == "ca_bundle"
    assert tls_server.requests == []


def test_authorities_that_nobody_needs_stop_nobody(server, transport, monkeypatch):
    """A plain endpoint checks no certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    server.answers(Reply(200, []))

    assert transport(server).send(datasets.list_datasets()) == []


def test_a_wait_tells_of_a_certificate_at_once(tls_server, transport):
    """It does not become valid by waiting."""
    client = transport(tls_server)

    with pytest.raises(NucleusCertificateError, match=r"certifi .*Set ca_bundle of the connection"):
        client.wait_for_job("job_1")

    assert client.sleeps == []


@pytest.mark.parametrize("verify", ["/ca.pem", "yes", None])
def test_a_path_belongs_into_ca_bundle(verify):
    """Not into the switch; and both at once contradict each other."""
    with pytest.raises(NucleusConfigError, match="ca_bundle"):
        NucleusConfig(api_key="key", verify_tls=verify)
    with pytest.raises(NucleusConfigError, match="ca_bundle"):
        NucleusConfig(api_key="key", verify_tls=False, ca_bundle="/ca.pem")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_waived(tls_server, transport):
    """For development, by an explicit setting."""
    assert transport(tls_server, verify_tls=False).send(datasets.list_datasets()) == []


def test_the_environment_cannot_replace_a_bundle_that_was_configured(
    tls_server, transport, certificate, monkeypatch
):
    """What the connection says counts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")

    assert transport(tls_server, ca_bundle=str(certificate[0])).send(datasets.list_datasets()) == []


def test_tls_spoken_to_a_plain_server_is_named(server, transport):
    """A wrong scheme does not become right by waiting."""
    client = transport(server.endpoint.replace("http://", "https://"))

    with pytest.raises(NucleusConnectionError):
        client.send(datasets.list_datasets())

    assert client.sleeps == []


def test_a_redirect_from_http_to_https_of_another_port_is_not_followed(
    server, tls_server, transport, certificate
):
    """Who listens there may be somebody else; the address is told, for whoever knows better."""
    server.answers(Reply(308, "", {"Location": f"{tls_server.endpoint}/dataset/details"}))

    with pytest.raises(NucleusAnswerError, match=f"{tls_server.origin}.* use it as endpoint"):
        transport(server, ca_bundle=str(certificate[0])).send(datasets.list_datasets())

    assert tls_server.requests == []


def test_a_redirect_from_https_to_http_is_not(server, tls_server, transport, certificate):
    """Neither for our key nor for a signed file."""
    client = transport(tls_server, ca_bundle=str(certificate[0]))
    tls_server.otherwise = Reply(307, "", {"Location": f"{server.endpoint}/dataset/details"})

    with pytest.raises(NucleusAnswerError):
        client.send(datasets.list_datasets())
    with pytest.raises(NucleusRequestError):
        client.send(items.put_signed(f"{tls_server.origin}/bucket", BytesContent(b"rows")))

    assert server.requests == []


def test_a_handshake_that_breaks_may_pass():
    """Only certificates and protocols are for good."""
    assert tls_outcome(ValueError("x")) is None
    assert tls_outcome(OSError("x", ssl.SSLEOFError(8, "EOF occurred"))) is NoAnswer.LOST
    assert tls_outcome(ssl.SSLCertVerificationError(1, "bad")) is NoAnswer.HOPELESS
