r"""The address of a server, read once and strictly, so that whoever sends it cannot read it otherwise.

HTTP libraries forgive much, each something else: `http://a\@b/` is the host b to one and a to the other, blanks and line breaks
vanish here and there, a full-width dot becomes a dot. What decides whether credentials go along must be what decides where
they go, so an address is taken apart here and put together again from its parts, and only that text reaches a transport.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

import idna

from airflow_provider_nucleus.exceptions import NucleusValidationError

__all__ = ["Address"]

_DEFAULT_PORTS = {"http": 80, "https": 443}

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_REFERENCE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SEGMENTS = re.compile(r"(?:[A-Za-z0-9._~:/@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


@dataclass(frozen=True, slots=True)
class Address:
    """A plain http or https address (RFC 3986), without user and fragment; `str()` is its one spelling.

    `host` is in lower case, an IPv6 address without its brackets; `port` is the scheme's own unless another is given; `path` is
    empty or begins with a slash; `query` is never empty.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    def __str__(self) -> str:
        return f"{self.root}{self.path}{'' if self.query is None else f'?{self.query}'}"

    @property
    def root(self) -> str:
        """The address without path and query."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port != _DEFAULT_PORTS[self.scheme] else ''}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: equal wherever credentials are sent along."""
        return self.scheme, self.host, self.port

    @property
    def secured(self) -> Self | None:
        """The same over https where both schemes have their own port; None for every other address."""
        if self.scheme != "http" or self.port != _DEFAULT_PORTS["http"]:
            return None
        return type(self)("https", self.host, _DEFAULT_PORTS["https"], self.path, self.query)

    @classmethod
    def parse(cls, text: str, what: str = "address") -> Self:
        """Read an absolute address; NucleusValidationError says of `what` why it is not plain, and never shows it."""
        parts = _split(text, what)
        if parts["scheme"] is None or parts["authority"] is None:
            raise NucleusValidationError(what, "must begin with http:// or https://")
        if parts["fragment"] is not None:
            raise NucleusValidationError(what, "must not have a fragment (#)")
        return cls._checked(parts["scheme"], parts["authority"], parts["path"] or "", parts["query"], what)

    def resolve(self, reference: str, what: str = "address") -> Self:
        """Return what a reference means from here (RFC 3986, section 5.2), without its fragment; raises as `parse` does."""
        parts = _split(reference, what)
        path, query = parts["path"] or "", parts["query"]
        if parts["scheme"] is not None or parts["authority"] is not None:
            if parts["authority"] is None:
                raise NucleusValidationError(what, "has a scheme but no //host")
            scheme = parts["scheme"] or self.scheme
            return self._checked(scheme, parts["authority"], _without_dots(path), query, what)
        if not path and query is None:
            raise NucleusValidationError(what, "is empty")
        if not path:
            path = self.path
        elif not path.startswith("/"):
            if ":" in path.partition("/")[0]:
                raise NucleusValidationError(what, "has a colon where a scheme would end")
            path = f"{self.path.rpartition('/')[0]}/{path}"
        return type(self)(*self.origin, _path(_without_dots(path), what), _query(query, what))

    @classmethod
    def _checked(cls, scheme: str, authority: str, path: str, query: str | None, what: str) -> Self:
        scheme = scheme.lower()
        if scheme not in _DEFAULT_PORTS:
            raise NucleusValidationError(what, "must begin with http:// or https://")
        host, port = _host_and_port(authority, what)
        return cls(scheme, host, port or _DEFAULT_PORTS[scheme], _path(path, what), _query(query, what))


def _split(text: str, what: str) -> dict[str, str | None]:
    if not _CHARACTERS.fullmatch(text):
        raise NucleusValidationError(
            what,
            "holds blanks, control characters, backslashes or other characters that an address cannot have; "
            "names beyond ASCII are written as xn--...",
        )
    parts = _REFERENCE.fullmatch(text)
    assert parts is not None
    return parts.groupdict()


def _host_and_port(authority: str, what: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise NucleusValidationError(what, "must not contain credentials (user@host)")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise NucleusValidationError(what, "has no plain host")
    port = parts["port"]
    if port is not None and not (_PORT.fullmatch(port) and int(port) <= 0xFFFF):
        raise NucleusValidationError(what, "has a port that is no number from 1 to 65535")
    return _host(parts["host"].lower(), what), None if port is None else int(port)


def _host(host: str, what: str) -> str:
    if not host:
        raise NucleusValidationError(what, "has no host")
    try:
        if host.startswith("["):
            if "%" in host:
                raise NucleusValidationError(what, "has a host with a zone or with percent signs")
            return str(ipaddress.IPv6Address(host[1:-1]))
        labels = host.split(".")
        # Ends in a number: an IPv4 address to some, in any of its odd spellings, and a name to others.
        if _NUMBER.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host))
    except ipaddress.AddressValueError:
        raise NucleusValidationError(what, "has a host that is no IP address in its usual spelling") from None
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise NucleusValidationError(
            what,
            "has a host that is no plain name: letters, digits, - and _, separated by single dots",
        )
    if any(label.startswith("xn--") for label in labels):
        try:
            # Both libraries stand on this one; what it cannot read ends one of them in an error of its own.
            idna.decode(host)
        except UnicodeError:
            raise NucleusValidationError(what, "has a host with an xn-- label that encodes no name") from None
    return host


def _path(path: str, what: str) -> str:
    if path and not path.startswith("/"):
        raise NucleusValidationError(what, "has a path that does not begin with a slash")
    if not _SEGMENTS.fullmatch(path):
        raise NucleusValidationError(what, "has a path with characters that must be percent-encoded")
    path = _ENCODED.sub(_plainly, path)
    # One library folds these into one slash, the other does not.
    if path.startswith("//"):
        raise NucleusValidationError(what, "has a path that begins with two slashes")
    # Both fold these, so that the request would reach another object than the one named.
    if any(part in {".", ".."} for part in path.split("/")):
        raise NucleusValidationError(what, "has a dot segment (. or ..) in its path")
    return path


def _query(query: str | None, what: str) -> str | None:
    if not query:
        return None
    if not _QUERY.fullmatch(query):
        raise NucleusValidationError(what, "has a query with characters that must be percent-encoded")
    return _ENCODED.sub(_plainly, query).replace("'", "%27")


def _plainly(encoded: re.Match[str]) -> str:
    """Spell one percent-encoded octet the usual way, as one of the libraries would do and the other not."""
    character = chr(int(encoded[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else encoded[0].upper()


def _without_dots(path: str) -> str:
    """Resolve dot segments (RFC 3986, section 5.2.4)."""
    if not path.startswith("/"):
        return path
    parts = path[1:].split("/")
    if parts[-1] in {".", ".."}:
        parts.append("")
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept)
