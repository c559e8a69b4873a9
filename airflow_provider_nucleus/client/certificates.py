"""Certificate authorities, by one rule for both HTTP libraries: those of the connection, else of the environment, else certifi's.

Of the environment count the variables of either library: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, then `SSL_CERT_FILE` and
`SSL_CERT_DIR` together.
"""

from __future__ import annotations

import functools
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_nucleus.exceptions import NucleusConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.client.config import NucleusConfig

__all__ = ["Authorities"]

_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""The names by which OpenSSL looks a certificate up in a folder."""
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificate authorities that a server's certificate is checked against.

    `file` is a PEM file, `folder` a folder of them as `openssl rehash` leaves it; neither with `verify` off. `source` says where this is
    set, for messages.
    """

    source: str
    file: str | None = None
    folder: str | None = None
    verify: bool = True
    conn_id: str | None = None

    @classmethod
    def of(cls, config: NucleusConfig, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what holds for a connection."""
        if not config.verify_tls:
            return cls("verify_tls", verify=False, conn_id=config.conn_id)
        if config.ca_bundle:
            return cls._at(config.ca_bundle, "ca_bundle of the connection", config.conn_id)
        for name in _BUNDLES:
            if path := environment.get(name):
                return cls._at(path, name, config.conn_id)
        file, folder = environment.get("SSL_CERT_FILE") or None, environment.get("SSL_CERT_DIR") or None
        if file or folder:
            names = [
                name for name, path in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)) if path is not None
            ]
            return cls(" and ".join(names), file, folder, conn_id=config.conn_id)
        return cls("certifi", DEFAULT_CA_BUNDLE_PATH, conn_id=config.conn_id)

    @classmethod
    def _at(cls, path: str, source: str, conn_id: str | None) -> Self:
        is_folder = Path(path).is_dir()
        return cls(source, None if is_folder else path, path if is_folder else None, conn_id=conn_id)

    @property
    def description(self) -> str:
        """The authorities and where they are set, for messages."""
        paths = " and ".join(filter(None, (self.file, self.folder)))
        return f"{self.source} ({paths})" if paths else self.source

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings for both libraries; read once per process until a file changes.

        Raises NucleusConfigError naming the setting when its file or folder cannot be read.
        """
        try:
            # A folder is only searched when a certificate is checked, so that a missing one would never be noticed.
            changed = tuple(
                Path(path).stat().st_mtime_ns
                for path in (self.file, *_folders(self.folder))
                if path is not None
            )
            self._check_folders()
            return _context(self.file, self.folder, self.verify, changed)
        except (OSError, ValueError) as error:
            raise NucleusConfigError(
                f"The certificate authorities of {self.description} cannot be read: {error}.",
                conn_id=self.conn_id,
                field="ca_bundle",
                hint="It must name a file of PEM certificates, at the same place on all workers and triggerers.",
            ) from error

    def _check_folders(self) -> None:
        """Raise NucleusConfigError for folders in which nothing would ever be found; whatever is in a file counts too."""
        if self.file is not None or not self.folder:
            return
        if not any(
            _HASHED.fullmatch(entry.name) for path in _folders(self.folder) for entry in Path(path).iterdir()
        ):
            raise NucleusConfigError(
                f"The certificate authorities of {self.description} hold no certificate under a name by which one is found.",
                conn_id=self.conn_id,
                field="ca_bundle",
                hint="Run `openssl rehash` on the folder, or name a file of PEM certificates instead.",
            )


def _folders(folder: str | None) -> list[str]:
    return folder.split(os.pathsep) if folder else []


@functools.lru_cache(maxsize=16)
def _context(
    file: str | None,
    folder: str | None,
    verify: bool,
    _: tuple[int, ...],
) -> ssl.SSLContext:
    if verify:
        return ssl.create_default_context(cafile=file, capath=folder)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
