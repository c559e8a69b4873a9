"""Settings of the embedded server, in one frozen value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_nucleus.local.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ASYNC_UPLOAD_LIMIT", "Settings"]

ASYNC_UPLOAD_LIMIT: Final = 0x1FFFFFE8
"""Bytes of one NDJSON upload: the limit the official client checks before it sends."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and switches; every default is what `nucleus-local serve` uses.

    Sizes are bytes, times are seconds.
    """

    api_key: str = field(repr=False)
    """The key of Basic auth (user name) and of the `x-limited-access-key` header."""
    json_body_limit: int = 64 * 1024 * 1024
    """Largest JSON request body."""
    form_body_limit: int = 1024 * 1024 * 1024
    """Largest multipart request body (ten images or masks)."""
    upload_limit: int = ASYNC_UPLOAD_LIMIT
    """Largest NDJSON body sent to a signed URL."""
    signed_url_lifetime: float = 3600.0
    """Seconds for which a signed URL takes an upload."""
    chunk_bytes: int = 32 * 1024 * 1024
    """NDJSON read, checked and committed in one piece by a job: what bounds its memory and what a crash can repeat."""
    evaluation_rows: int = 200_000
    """Objects of both sides that an evaluation matches in one step: what bounds its memory and what a cancel waits for."""
    kept_matches: int = 2
    """Calculations of a run that keep their match rows, the newest; of the others the counts stay."""
    job_workers: int = 2
    """Jobs that run at the same time."""
    memory_limit: str = "2GB"
    """Memory that DuckDB may use before it spills to the data directory."""
    fetch_masks: bool = False
    """True when masks behind http(s) addresses and in object stores are fetched before they are compared."""
    file_roots: str = ""
    """Folders of this machine, with colons between them, below which masks may be read that are named by their path."""
    fetch_images: bool = False
    """True when appended remote images are fetched, and rows refused whose image cannot be."""

    @classmethod
    def from_environment(cls, *, api_key: str) -> Self:
        """Return the settings with every `NUCLEUS_LOCAL_<FIELD>` of the environment applied.

        Raises `SettingsError` naming the variable if its value is not of the field's type.
        """
        given: dict[str, Any] = {}
        for entry in fields(cls):
            variable = f"NUCLEUS_LOCAL_{entry.name.upper()}"
            text = os.environ.get(variable, "")
            if entry.name == "api_key" or not text:
                continue
            try:
                given[entry.name] = _READERS[str(entry.type)](text)
            except (KeyError, ValueError) as error:
                raise SettingsError(f"{variable} must be of type {entry.type}, got {text!r}") from error
        try:
            return cls(api_key=api_key, **given)
        except SettingsError as error:
            # The environment knows it by another name.
            name, _, rest = str(error).partition(" ")
            raise SettingsError(
                f"NUCLEUS_LOCAL_{name.upper()} {rest}" if name in given else str(error)
            ) from None

    def __post_init__(self) -> None:
        """Raise `SettingsError` for values with which a server would start and not work."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"{name} must be from {least} to {most}, got {value}")
        if not _KEY.fullmatch(self.api_key):
            # The key itself belongs into no message.
            raise SettingsError(
                "the API key must be 1 to 200 visible ASCII characters without a colon: HTTP Basic cannot carry others as a user name"
            )


_KEY: Final = re.compile(r"[!-9;-~]{1,200}", re.ASCII)
_BYTES: Final = (1, 2**40)
_RANGES: Final = {
    "json_body_limit": _BYTES, "form_body_limit": _BYTES, "upload_limit": _BYTES, "chunk_bytes": (1, 2**30), "evaluation_rows": (1, 2**31),
    "job_workers": (1, 256), "kept_matches": (1, 2**31), "signed_url_lifetime": (0.0, 10 * 365 * 86400.0),
}  # fmt: skip
"""Least and largest value of settings that are numbers; not a number is neither."""

_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda text: {"1": True, "true": True, "0": False, "false": False}[text.lower()],
}
