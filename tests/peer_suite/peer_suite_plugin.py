"""A pytest plugin that is loaded into the official client's own tests, in an environment that has nothing of ours.

Before its modules are imported it turns the addresses of their test files to a server of this machine. What upstream skips is run, and what
came of each test is written, one line of JSON a test. Data sets that upstream's account has are stood in for by small ones.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

UPSTREAM = (
    "https://github.com/scaleapi/nucleus-python-client/raw/master/tests/testdata/",
    "https://raw.githubusercontent.com/scaleapi/nucleus-python-client/master/tests/testdata/",
)
FILES = os.environ["PEER_SUITE_FILES"]
RESULTS = Path(os.environ["PEER_SUITE_RESULTS"])
SEEDED = os.environ["PEER_SUITE_DATASET"]


def _local(value: Any) -> Any:
    if isinstance(value, str):
        for address in UPSTREAM:
            value = value.replace(address, FILES)
        return value
    if isinstance(value, list):
        value[:] = map(_local, value)
    elif isinstance(value, dict):
        for key in value:
            value[key] = _local(value[key])
    return value


sys.path.insert(0, str(Path.cwd()))
helpers = importlib.import_module("tests.helpers")
for name, constant in list(vars(helpers).items()):
    if name.isupper():
        setattr(helpers, name, _local(constant))
for entry in (*helpers.TEST_DATASET_ITEMS, *helpers.TEST_VIDEO_ITEMS):
    entry.image_location = _local(entry.image_location)
helpers.DATASET_WITH_EMBEDDINGS = SEEDED


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Run what upstream skips, and note why it does; name the data set that stands in for a public one."""
    for item in items:
        if hasattr(item.module, "PANDASET_ID"):
            item.module.PANDASET_ID = SEEDED
        for mark in [mark for mark in item.own_markers if mark.name == "skip"]:
            reason = mark.kwargs.get("reason") or (mark.args[0] if mark.args else "")
            item.user_properties.append(("upstream_skips", str(reason)))
            item.own_markers.remove(mark)


def pytest_runtest_logreport(report: Any) -> None:
    """Write the outcome of a test, or of its setup where that failed or it was skipped."""
    if "PYTEST_XDIST_WORKER" in os.environ or not (report.when == "call" or report.outcome != "passed"):
        return
    line = {
        "test": report.nodeid,
        "when": report.when,
        "outcome": "xfailed"
        if hasattr(report, "wasxfail") and report.outcome == "skipped"
        else report.outcome,
        "skips": dict(report.user_properties).get("upstream_skips"),
        "reason": _reason(report),
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _reason(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return "" if crash is None else str(crash.message)
