"""URIs of assets: every spelling of one asset is one URI, and what names none is refused by name."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nucleus.assets.factories import (
    accepted,
    annotated,
    appended,
    create_asset,
    evaluated,
    predicted,
)
from airflow_provider_nucleus.assets.uris import AssetAddress, asset_uri, normalize_uri, read_uri
from airflow_provider_nucleus.get_provider_info import get_provider_info

NAMES = st.text(min_size=1, max_size=40).filter(
    lambda text: text.strip() not in {"", ".", ".."} and text.strip().isprintable()
)


def normal(uri: str) -> str:
    """Return the URI as Airflow stores it."""
    return normalize_uri(urlsplit(uri)).geturl()


@pytest.mark.parametrize(
    ("asset", "uri"),
    [
        (appended(dataset="street"), "nucleus://items/street"),
        (annotated(dataset="street"), "nucleus://annotations/street"),
        (predicted(dataset="street", model="detector"), "nucleus://predictions/street/detector"),
        (evaluated(dataset="street", model="detector"), "nucleus://evaluated/street/detector"),
        (accepted(dataset="Street view 2", model="a/b"), "nucleus://accepted/Street%20view%202/a%2Fb"),
    ],
)
def test_a_factory_makes_the_asset_of_its_uri(asset, uri):
    """The asset that another team writes by hand is the one that ours emits."""
    by_hand = Asset(uri=uri)

    assert asset.uri == uri
    assert (by_hand.uri, getattr(by_hand, "name", uri)) == (asset.uri, getattr(asset, "name", uri))


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("nucleus://Accepted/street/detector", "nucleus://accepted/street/detector"),
        ("nucleus://accepted/street/detector/", "nucleus://accepted/street/detector"),
        ("nucleus://accepted/%73treet/%64etector", "nucleus://accepted/street/detector"),
        ("nucleus://accepted/stra\u00dfe/cafe\u0301", "nucleus://accepted/stra%C3%9Fe/caf%C3%A9"),
        ("nucleus://accepted/a%2fb/c", "nucleus://accepted/a%2Fb/c"),
        ("nucleus://annotations/ street ", "nucleus://annotations/street"),
    ],
)
def test_spellings_of_one_asset_are_one_uri(written, stored):
    """Kind in lower case, names in NFC and encoded where they must be."""
    assert normal(written) == stored
    assert normal(stored) == stored


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("nucleus://judged/street/detector", "names no asset of Nucleus"),
        ("nucleus://", "names no asset of Nucleus"),
        ("nucleus://user@accepted/street/detector", "names no asset of Nucleus"),
        ("nucleus://accepted:80/street/detector", "names no asset of Nucleus"),
        ("nucleus://accepted/street", "has 1 names"),
        ("nucleus://annotations/street/detector", "has 2 names"),
        ("nucleus://accepted/a/b/c", "has 3 names"),
        ("nucleus://accepted//detector", "empty name"),
        ("nucleus://accepted/street/%20", "empty name"),
        ("nucleus://annotations/", "empty name"),
        ("nucleus://accepted/../detector", "cannot be one"),
        ("nucleus://accepted/street/a%00b", "cannot be one"),
        ("nucleus://accepted/street/detector?batch=1", "partition key"),
    ],
)
def test_what_names_no_asset_is_refused(uri, reason):
    """At parsing, with the forms that there are."""
    with pytest.raises(ValueError, match=reason):
        normal(uri)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("accepted", {"dataset": "a"}),
        ("annotations", {"dataset": "a", "model": "b"}),
        ("x", {"dataset": "a"}),
    ],
)
def test_a_factory_needs_the_names_of_its_kind(kind, names):
    """Neither too few nor too many."""
    with pytest.raises(ValueError, match="There are: nucleus://items/<data set>"):
        create_asset(kind=kind, **names)


@given(dataset=NAMES, model=NAMES)
def test_names_survive_their_uri(dataset, model):
    """Whatever the names hold, the URI is ASCII, stable, and gives them back."""
    uri = asset_uri("evaluated", dataset=dataset, model=model)

    assert uri.isascii()
    assert normal(uri) == uri
    found = read_uri(uri)
    assert asset_uri("evaluated", dataset=found.dataset, model=found.model) == uri


def test_airflow_uses_the_handler():
    """Under both names of the metadata, because the old one is what Airflow 2.11 reads: it stores one spelling."""
    info = get_provider_info()

    assert info["asset-uris"] == info["dataset-uris"]
    assert Asset(uri="nucleus://Accepted/%73treet/detector").uri == "nucleus://accepted/street/detector"


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_dag_with_a_wrong_uri_does_not_parse():
    """Airflow 3 raises; 2.11 warns, and says that 3 will raise."""
    with pytest.raises((ValueError, UserWarning), match="names no asset of Nucleus"):
        Asset(uri="nucleus://nonsense/street")


def test_an_address_is_read_back():
    """Decoded parts."""
    assert read_uri("nucleus://accepted/a%2Fb/c") == AssetAddress("accepted", "a/b", "c")
