"""Names of what lineage connects: the same object has the same name, whichever task reads or writes it.

===============================================  =================================================  =====================================
What                                             Namespace                                          Name
===============================================  =================================================  =====================================
data set with its ground truth                   `nucleus://<host of the server>`                   `dataset/<id>`
slice                                            the same                                           `dataset/<id>/slice/<id>`
predictions of a model on a data set             the same                                           `dataset/<id>/model/<id>`
numbers of a model on a data set                 the same                                           `dataset/<id>/model/<id>/numbers`
benchmark, evaluation                            the same                                           `benchmark/<id>`, `evaluation/<id>`
file                                             `file`, or scheme and bucket or host of its URL    path
asset                                            `nucleus`                                          URI without its scheme
===============================================  =================================================  =====================================
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow_provider_nucleus.lineage.facts import LineageFacts

__all__ = ["NamedData", "input_names", "output_names", "place_name", "server_namespace"]

NamedData = tuple[str, str]
"""Namespace and name."""

_UNKNOWN_SERVER: Final = "nucleus"


def server_namespace(endpoint: str | None) -> str:
    """Return the namespace of a server's objects; that of an unknown one where there is no *endpoint*."""
    host = urlsplit(endpoint).netloc.rpartition("@")[2] if endpoint else ""
    return f"nucleus://{host}" if host else _UNKNOWN_SERVER


def place_name(place: str) -> NamedData:
    """Return the name of a file or an address, without what is secret in it: user, password, and the query of a signed URL."""
    if "://" not in place:
        return "file", str(PurePath(place))
    parts = urlsplit(place)
    if parts.scheme == "file":
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/") or "/"


def input_names(facts: LineageFacts, namespace: str) -> list[NamedData]:
    """Return what the task read: files of an upload; for numbers the data set or benchmark, the slice and the predictions."""
    names = [place_name(place) for place in facts.sources]
    if facts.writes in {"items", "annotations", "predictions"}:
        return names
    dataset = f"dataset/{facts.dataset_id}"
    if facts.benchmark_id:
        names.append((namespace, f"benchmark/{facts.benchmark_id}"))
    if facts.dataset_id:
        names.append((namespace, dataset))
        if facts.slice_id:
            names.append((namespace, f"{dataset}/slice/{facts.slice_id}"))
        if facts.model_id:
            names.append((namespace, f"{dataset}/model/{facts.model_id}"))
    if facts.writes is None and (made := _numbers_name(facts)):
        names.append((namespace, made))
    return names


def output_names(facts: LineageFacts, namespace: str) -> list[NamedData]:
    """Return what the task made."""
    names: list[NamedData] = []
    if facts.writes in {"items", "annotations"} and facts.dataset_id:
        names.append((namespace, f"dataset/{facts.dataset_id}"))
    elif facts.writes == "predictions" and facts.dataset_id and facts.model_id:
        names.append((namespace, f"dataset/{facts.dataset_id}/model/{facts.model_id}"))
    elif facts.writes == "numbers" and (made := _numbers_name(facts)):
        names.append((namespace, made))
    return names + [place_name(place) for place in facts.results]


def _numbers_name(facts: LineageFacts) -> str | None:
    if facts.evaluation_id:
        return f"evaluation/{facts.evaluation_id}"
    if facts.dataset_id and facts.model_id:
        return f"dataset/{facts.dataset_id}/model/{facts.model_id}/numbers"
    return None
