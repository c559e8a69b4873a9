"""One reading of an address: what is plain, how it is spelled, and that both HTTP libraries read it so."""

from __future__ import annotations

import random
from string import printable

import httpx
import pytest
import requests
from urllib3.util import parse_url

from airflow_provider_nucleus.client.address import Address
from airflow_provider_nucleus.exceptions import NucleusValidationError


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("HTTPS://API.Scale.com/v1/nucleus", "https://api.scale.com/v1/nucleus"),
        ("http://h:80", "http://h"),
        ("https://h:443/", "https://h/"),
        ("https://h:80/", "https://h:80/"),
        ("http://nucleus_server:8787/v1", "http://nucleus_server:8787/v1"),
        ("http://[0:0::0001]:8787/", "http://[::1]:8787/"),
        ("http://10.0.0.1/a//b/", "http://10.0.0.1/a//b/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://h/%7ea%2fb%C3%a9?x=%41&y=a@b:c", "http://h/~a%2Fb%C3%A9?x=A&y=a@b:c"),
        ("http://h/..%2Fimages?", "http://h/..%2Fimages"),
        ("http://h/it's?it's", "http://h/it's?it%27s"),
    ],
)
def test_an_address_has_one_spelling(text, spelling):
    """Lower case, no port that is understood, no encoding that is not needed; and the spelling reads as itself."""
    assert spelling == str(Address.parse(text))
    assert Address.parse(spelling) == Address.parse(text)


def test_an_origin_is_scheme_host_and_port():
    """Defaults filled in, case ignored."""
    assert Address.parse("HTTPS://X.com/path").origin == ("https", "x.com", 443)
    assert Address.parse("http://x:80/").origin == Address.parse("http://x/").origin
    assert Address.parse("http://x:81/").origin != Address.parse("http://x/").origin


@pytest.mark.parametrize(
    "text",
    [
        "", "h", "//h/", "/path", "h:80", "ftp://h/", "http:", "http:/h", "http:h", "http:///h", "http://",
        "http://a\\@b/", "http://a\\b/", "http:\\\\a/", "http://a@b/", "http://a:b@c/", "http://@b/",
        " http://h/", "http://h /", "http://h/ ", "ht\ttp://h/", "http://h\n/", "http://h\r/", "http://h/\x00",
        "http://h\x7f/", "http://h\u3002example/", "http://\uff48/", "http://b\xfccher.example/", "http://h%00.b/",
        "http://%68/", "http://a..b/", "http://.a/", "http://a./", "http://-a/", "http://a-/", f"http://{'a' * 64}/",
        "http://xn--0/", "http://xn--a.b/", "http://h:/", "http://h:0/", "http://h:080/", "http://h:65536/",
        "http://h:+80/", "http://h:443:80/", "http://h:80@b/", "http://127.1/", "http://2130706433/",
        "http://0x7f.0.0.1/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://a.1/", "http://[", "http://[]/",
        "http://[::1", "http://::1/", "http://[::1%25lo]/", "http://[fe80::1%lo]/", "http://[v1.a]/",
        "http://[127.0.0.1]/", "http://[::1]b/", "http://a[::1]/", "http://h/[a]", "http://h/%", "http://h/%2",
        "http://h/%zz", "http://h/a|b", 'http://h/"', "http://h/<a>", "http://h/?a[]=1", "http://h/a^b", "http://h/#",
        "http://h/#a", "http://h//b", "http://h/a/../b", "http://h/.", "http://h/%2e%2e/b", "http://h/a/.%2E",
    ],
)  # fmt: skip
def test_what_libraries_could_read_otherwise_is_no_address(text):
    """And the refusal never repeats it, for what stands in an odd address can be a key."""
    with pytest.raises(NucleusValidationError) as caught:
        Address.parse(text, "endpoint")

    assert caught.value.field == "endpoint"
    assert len(text) < 6 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("https://other:1/x?y#z", "https://other:1/x?y"),
        ("//other/x", "http://other/x"),
        ("/x", "http://h:81/x"),
        ("x", "http://h:81/a/b/x"),
        ("./x/", "http://h:81/a/b/x/"),
        ("../x", "http://h:81/a/x"),
        ("../../../x", "http://h:81/x"),
        ("..", "http://h:81/a/"),
        (".", "http://h:81/a/b/"),
        ("/x/./y/../z", "http://h:81/x/z"),
        ("?q=2", "http://h:81/a/b/c?q=2"),
        ("HTTP://H/x/..", "http://h/"),
    ],
)
def test_a_reference_is_read_from_where_it_was_found(reference, target):
    """As RFC 3986 has it, dot segments and fragments gone."""
    assert target == str(Address.parse("http://h:81/a/b/c?q=1").resolve(reference))


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "#top",
        ":",
        "1:x",
        "http:x",
        "http:/x",
        "http:///x",
        "///x",
        "/..//x",
        "\\x",
        "/\\x",
        "x y",
        "/%2e%2e/x",
        "//a@b",
    ],
)
def test_an_odd_reference_is_refused(reference):
    """Whatever a library would make of it."""
    with pytest.raises(NucleusValidationError):
        Address.parse("http://h:81/a/b/c?q=1").resolve(reference)


_PIECES = {
    "scheme": ["http", "https", "HTTP", "hTTps", "ftp", "http "],
    "slashes": ["://"] * 12 + [":/", ":", ":///", ":\\\\"],
    "user": [""] * 12 + ["a@", "a:b@", "a\\@", "@"],
    "host": ["h", "H.Example", "a_b", "127.0.0.1", "127.1", "[::1]", "[2001:DB8::a]", "[::ffff:1.2.3.4]", "xn--bcher-kva.de",
             "a..b", "a%41", "\uff48", "9a", "a-b.c-d", "a.", "[::1%25a]"],
    "port": ["", "", ":80", ":443", ":8787", ":65535", ":0", ":", ":80:81", ":\u0661"],
    "path": ["", "/", "/a", "/a//b/", "//a", "/%2F", "/%2f%7E", "/a/../b", "/..%2Fa", "/a;b=c,d", "/!$&'()*+:@", "/.../..a", "/ "],
    "query": ["", "?", "?a=b&c=%20+", "??/:@", "?a=../b", "?'", "?[]"],
}  # fmt: skip


def _texts(count):
    rng = random.Random(5)
    for _ in range(count):
        text = "".join(rng.choice(pieces) for pieces in _PIECES.values())
        if rng.random() < 0.3:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(printable) + text[at + rng.randrange(2) :]
        yield text


def test_both_libraries_read_what_is_accepted_as_it_was_read():
    """Scheme, host, port, and the bytes of the request's target: nothing that one of them could read otherwise gets through."""
    accepted = set()
    for text in _texts(80_000):
        try:
            accepted.add(Address.parse(text))
        except NucleusValidationError:
            continue

    assert len(accepted) > 3000
    for address in accepted:
        by_urllib3, by_httpx = parse_url(str(address)), httpx.URL(str(address))
        by_requests = requests.Request("GET", str(address)).prepare()
        target = str(address).removeprefix(address.root)
        target = target if target.startswith("/") else f"/{target}"
        assert address.origin == (
            by_urllib3.scheme,
            by_urllib3.host.strip("[]"),
            by_urllib3.port or {"http": 80, "https": 443}[address.scheme],
        )
        assert (address.scheme, address.host, address.port) == (
            by_httpx.scheme,
            by_httpx.raw_host.decode(),
            by_httpx.port or {"http": 80, "https": 443}[address.scheme],
        )
        assert target == by_requests.path_url == by_httpx.raw_path.decode()
