"""Proxies of the environment, by one rule for both HTTP libraries.

`HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` (a name in lower case goes before) say which proxy, `NO_PROXY` for which hosts none: entries
between commas or blanks, each a name (`example.com`, its sub-domains too; a dot or `*.` before it changes nothing), an address, a
network (`10.0.0.0/8`), any of them with a port (`host:8787`, `[::1]:8787`), a pattern with `*`, or `*` for all.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import getproxies

from airflow_provider_nucleus.exceptions import NucleusConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.client.address import Address

__all__ = ["Exemption", "Proxies"]

_ENTRY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*|[0-9a-f:.]*:[0-9a-f:.]*(?:/\d+)?)(?::(?P<port>\d+))?")
_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Exemption:
    """One entry of NO_PROXY: the hosts that are reached without a proxy, at one `port` or at all."""

    name: str
    port: int | None = None
    network: _Network | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an entry; None for one that is empty or cannot be meant."""
        text = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip().lower()).rstrip("/")
        # Brackets around the address of a network stand before its mask.
        if (network := _network(text.replace("[", "").replace("]", ""))) is not None and "]:" not in text:
            return cls(text, None, network)
        parts = _ENTRY.fullmatch(text)
        if parts is None:
            return None
        port = None if parts["port"] is None else int(parts["port"])
        host = parts["host"]
        if (network := _network(host.strip("[]"))) is not None:
            return cls(host, port, network)
        name = host.removeprefix("*").strip(".") if host != "*" else host
        return cls(name, port) if name else None

    def matches(self, host: str, port: int) -> bool:
        """Return whether a host, in lower case and without brackets, is exempt at a port."""
        if self.port not in {None, port}:
            return False
        if self.network is not None:
            address = _ip_address(host)
            return address is not None and address.version == self.network.version and address in self.network
        if "*" in self.name:
            return fnmatch.fnmatchcase(host, self.name)
        return host == self.name or host.endswith(f".{self.name}")


class Proxies:
    """The proxies that an environment describes."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Read the proxies of this process, or of what `urllib.request.getproxies` would return."""
        found = getproxies() if environment is None else environment
        self._proxies = {scheme: text.strip() for scheme, text in found.items() if text.strip()}
        entries = re.split(r"[,\s]+", self._proxies.pop("no", ""))
        self._exempt = [entry for text in entries if (entry := Exemption.parse(text)) is not None]

    def proxy_for(self, address: Address) -> str | None:
        """Return the address of the proxy for a request, None for none.

        Raises NucleusConfigError, without a word that could be a password, when it cannot be read.
        """
        name = address.scheme if address.scheme in self._proxies else "all"
        text = self._proxies.get(name)
        if text is None or any(entry.matches(address.host, address.port) for entry in self._exempt):
            return None
        proxy = text if "://" in text else f"http://{text}"
        try:
            parts = urlsplit(proxy)
            usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not (proxy.isascii() and proxy.isprintable() and " " not in proxy):
            raise NucleusConfigError(
                f"The proxy in {name.upper()}_PROXY cannot be used: it must look like http://proxy:3128.",
                field=f"{name}_proxy",
                hint="Correct it in the environment of workers and triggerers, or name the host in NO_PROXY.",
            )
        return proxy


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _ip_address(text: str) -> _IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
