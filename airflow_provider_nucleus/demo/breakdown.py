"""The same counts, cut by a fact about the images: read back from the server, match by match."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.match_summary import summarize_matches
from airflow_provider_nucleus.schema.matches import EvaluationMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_nucleus.demo.server import Server

__all__ = ["by_metadata"]

_MODES = ("iou", "false_positive", "false_negative")
_PAGE = 5000


def by_metadata(server: Server, metrics: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Return counts and ratios per value of the items' metadata *key*.

    *metrics* is the report of the DAG: it names the dataset, the model run and the IoU threshold. The rule is the one of the
    report, so the counts of all values add up to its totals. Raises DemoError when the server does not answer as it should.
    """
    dataset = f"dataset/{metrics['dataset_id']}"
    value_of = {
        str(item["dataset_item_id"]): str(item.get("metadata", {}).get(key, "n/a"))
        for item in _pages(server, f"{dataset}/itemsPage", {})
    }
    rows: dict[str, dict[str, list[EvaluationMatch]]] = defaultdict(lambda: {mode: [] for mode in _MODES})
    for mode in _MODES:
        request = {"query": "", "patch_mode": mode, "model_run_id": metrics["model_run_id"]}
        for wire in _pages(server, f"{dataset}/queryObjectsPage", request):
            match = EvaluationMatch.from_wire(wire)
            rows[value_of[match.dataset_item_id]][mode].append(match)
    tallies = {}
    for value in sorted(set(value_of.values())):
        matched, false_positives, false_negatives = (rows[value][mode] for mode in _MODES)
        summary = summarize_matches(
            matched,
            false_positives=false_positives,
            false_negatives=false_negatives,
            iou_threshold=metrics["iou_threshold"],
        )
        tallies[value] = summary.overall.to_dict()
    return tallies


def _pages(server: Server, route: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    token = None
    while True:
        answer = _post(server, route, {**body, "pageToken": token, "pageSize": _PAGE})
        yield from answer["items"]
        token = answer.get("nextPageToken")
        if not token:
            return


def _post(server: Server, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
    key = base64.b64encode(f"{server.api_key}:".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    request = Request(f"{server.endpoint}/{route}", data=json.dumps(body).encode(), headers=headers)  # ruff: ignore[suspicious-url-open-usage]
    try:
        # No proxy: the address is our own.
        with build_opener(ProxyHandler({})).open(request, timeout=60) as response:
            answer = json.load(response)
    except HTTPError as error:
        status = HTTPStatus(error.code)
        raise DemoError(f"The embedded Nucleus answered {status.value} {status.phrase} to {route}.") from None
    except (URLError, ConnectionError, TimeoutError, ValueError) as error:
        raise DemoError(f"The embedded Nucleus did not answer to {route}: {error}.") from None
    return dict(answer)
