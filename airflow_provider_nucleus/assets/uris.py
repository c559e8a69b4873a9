"""URIs of assets: `nucleus://<kind>/<data set>`, and `/<model>` behind it where the kind has one.

===============================================  ==============================================================================
`nucleus://items/<data set>`                     items were appended to the data set
`nucleus://annotations/<data set>`               ground truth of the data set was uploaded
`nucleus://predictions/<data set>/<model>`       predictions of the model were uploaded
`nucleus://evaluated/<data set>/<model>`         the model has numbers, whatever they are
`nucleus://accepted/<data set>/<model>`          the model passed its gate, or a person accepted it
===============================================  ==============================================================================

The names are the DAG author's, known when a DAG is parsed, and stable: of a model's family rather than of one version. What a single
event is about (ids, version, batch) is in its `extra`. A batch is no part of the URI: there would be an asset a day.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["KINDS", "SCHEME", "AssetAddress", "asset_uri", "normalize_uri", "read_uri"]

SCHEME: Final = "nucleus"

KINDS: Final = {"items": 1, "annotations": 1, "predictions": 2, "evaluated": 2, "accepted": 2}
"""Number of names behind each kind: of the data set, and of the model."""

_FORMS: Final = "; ".join(
    f"{SCHEME}://{kind}/<data set>" + ("/<model>" if names == 2 else "") for kind, names in KINDS.items()
)


@dataclass(frozen=True, slots=True)
class AssetAddress:
    """Parts of a URI, decoded. `model` is None for ground truth."""

    kind: str
    dataset: str
    model: str | None = None

    @property
    def path(self) -> str:
        """The URI without its scheme."""
        return "/".join([self.kind, *(_encoded(name) for name in (self.dataset, self.model) if name)])


def asset_uri(kind: str, *, dataset: str, model: str | None = None) -> str:
    """Return the URI of *kind*; raises ValueError for names that a URI cannot have."""
    names = [_checked(name, asset=f"{SCHEME}://{kind}") for name in (dataset, model) if name is not None]
    if KINDS.get(kind) != len(names):
        raise ValueError(f"No asset {kind!r} with {len(names)} names. There are: {_FORMS}.")
    return f"{SCHEME}://{AssetAddress(kind, *names).path}"


def read_uri(uri: str) -> AssetAddress:
    """Return the parts of a URI; raises ValueError for one that names none of our assets."""
    return _address(urlsplit(uri))


def normalize_uri(uri: SplitResult) -> SplitResult:
    """Return the URI as every spelling of it is stored, for Airflow; raises ValueError for one that names none of our assets.

    The kind is in lower case, a name in NFC and percent-encoded where it must be, and only there.
    """
    address = _address(uri)
    kind, _, names = address.path.partition("/")
    return uri._replace(netloc=kind, path=f"/{names}", query="", fragment="")


def _address(uri: SplitResult) -> AssetAddress:
    text = uri.geturl()
    if uri.scheme.lower() != SCHEME or (kind := uri.netloc.lower()) not in KINDS:
        raise ValueError(f"{text!r} names no asset of Nucleus. There are: {_FORMS}.")
    if uri.query:
        raise ValueError(
            f"{text!r} has a query, which assets of Nucleus do not: what an event is about is in its extra, and a batch is its "
            "partition key."
        )
    names = [
        _checked(unquote(name), asset=repr(text))
        for name in uri.path.rstrip("/").removeprefix("/").split("/")
    ]
    if len(names) != KINDS[kind]:
        raise ValueError(
            f"{text!r} has {len(names)} names, and {kind} has {KINDS[kind]}. There are: {_FORMS}. A slash within a name is %2F."
        )
    return AssetAddress(kind, *names)


def _checked(name: str, *, asset: str) -> str:
    """Return a name in NFC, without the blanks around it."""
    name = unicodedata.normalize("NFC", str(name)).strip()
    if not name:
        raise ValueError(f"The asset {asset} has an empty name. There are: {_FORMS}.")
    if name in {".", ".."} or not name.isprintable():
        raise ValueError(f"The asset {asset} has a name that cannot be one: {name!r}.")
    return name


def _encoded(name: str) -> str:
    return quote(name, safe="")
