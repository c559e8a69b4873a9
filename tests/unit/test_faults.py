"""The fault proxy does what the matrix of faults relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.faults import Fault, FaultyNucleus

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus


def _proxy(nucleus: LocalNucleus, *faults: Fault) -> FaultyNucleus:
    return FaultyNucleus(lambda: nucleus.base_url, faults)


def _create(url: str, key: str, name: str) -> requests.Response:
    return requests.post(
        f"{url}/dataset/create", json={"name": name, "is_scene": False}, auth=(key, ""), timeout=30
    )


def _names(nucleus: LocalNucleus) -> list[str]:
    answer = requests.get(f"{nucleus.url}/dataset/details", json={}, auth=(nucleus.api_key, ""), timeout=30)
    return [row["name"] for row in answer.json()]


def test_without_a_fault_the_answer_is_the_servers(nucleus: LocalNucleus) -> None:
    """A request passes through unchanged and is recorded."""
    with _proxy(nucleus) as proxy:
        answer = _create(proxy.url, nucleus.api_key, "faults-none")

        assert answer.json()["dataset_id"].startswith("ds_")
        assert [seen.line for seen in proxy.seen] == ["POST /v1/nucleus/dataset/create"]


def test_the_nth_request_is_answered_with_the_stated_status(nucleus: LocalNucleus) -> None:
    """Only the second of three matching requests is refused, and the server never sees it."""
    fault = Fault("busy", "dataset/create", "status", at=2, status=429, headers={"Retry-After": "7"})
    with _proxy(nucleus, fault) as proxy:
        answers = [_create(proxy.url, nucleus.api_key, f"faults-429-{n}") for n in range(3)]

        assert [answer.status_code for answer in answers] == [200, 429, 200]
        assert answers[1].headers["Retry-After"] == "7"
    assert "faults-429-1" not in _names(nucleus)


@pytest.mark.parametrize(
    ("action", "times_done"),
    [("refuse", 0), ("cut-request", 0), ("cut-answer", 1), ("truncate", 1), ("twice", 2)],
)
def test_how_often_the_server_did_the_work(nucleus: LocalNucleus, action: str, times_done: int) -> None:
    """Each fault leaves the work undone, done once, or done twice, whatever the client saw."""
    name = f"faults-{action}"
    with _proxy(nucleus, Fault(action, "dataset/create", action)) as proxy:  # type: ignore[arg-type]
        if action == "twice":
            _create(proxy.url, nucleus.api_key, name)
        else:
            with pytest.raises(requests.exceptions.RequestException):
                _create(proxy.url, nucleus.api_key, name)

    assert _names(nucleus).count(name) == times_done
