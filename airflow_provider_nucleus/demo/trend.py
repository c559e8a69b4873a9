"""The trend of a dataset as the server tells it: headline numbers of each batch, in order, for each model."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.number_texts import column_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.demo.server import Server

__all__ = ["batch_series", "trend_lines"]

_WIDTH = 40


def batch_series(server: Server, dataset_id: str) -> dict[str, list[tuple[str, float | None]]]:
    """Return, by model, the name and the F1 of each batch in order; raises DemoError when the server does not answer as it should."""
    route = f"/ui/api/datasets/{dataset_id}/trend"
    key = base64.b64encode(f"{server.api_key}:".encode()).decode()
    root = server.endpoint.removesuffix("/v1/nucleus")
    request = Request(root + route, headers={"Authorization": f"Basic {key}"})  # ruff: ignore[suspicious-url-open-usage]
    try:
        # No proxy: the address is our own.
        with build_opener(ProxyHandler({})).open(request, timeout=60) as response:
            answer: Mapping[str, Any] = json.load(response)
    except HTTPError as error:
        status = HTTPStatus(error.code)
        raise DemoError(f"The embedded Nucleus answered {status.value} {status.phrase} to {route}.") from None
    except (URLError, ConnectionError, TimeoutError, ValueError) as error:
        raise DemoError(f"The embedded Nucleus did not answer to {route}: {error}.") from None
    return {
        each["model_name"]: [(point["slice_name"], point["values"]["f1"]) for point in each["points"]]
        for each in answer["series"]
        if each["kind"] == "batch"
    }


def trend_lines(series: Mapping[str, Sequence[tuple[str, float | None]]], models: Sequence[str]) -> list[str]:
    """Return the lines of a drawing: a bar for each batch, a block for each of the models, in their order.

    The server's order is that of the first uploads, and of mapped tasks any may be the first.
    """
    width = max(map(len, models), default=0)
    lines = []
    for model in models:
        for number, (batch, value) in enumerate(series.get(model, ())):
            name = "" if number else model
            bar = "#" * round((value or 0) * _WIDTH)
            lines.append(f"  {name:<{width}}  {batch}  {column_text(value)}  {bar}".rstrip())
    return lines
