"""A tenth of the hostile answers of `tests.fuzz.answers`, through both transports and the poll of deferred waits."""

from __future__ import annotations

import gc
import os

import pytest

from tests.fuzz.answers import run


# Where lengths contradict each other urllib3 raises InvalidHeader and leaves the reader of the closed connection to the collector, which is
# therefore asked here, lest another test pays for it. Any other warning fails.
@pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket \[closed\]:pytest.PytestUnraisableExceptionWarning"
)
def test_every_exchange_ends_in_our_errors_or_a_result():
    """Whatever the bytes; `NUCLEUS_FUZZ_SEED` chooses others."""
    outcome = run(3000, int(os.environ.get("NUCLEUS_FUZZ_SEED", "1")))
    gc.collect()

    assert outcome.faults == []
    assert outcome.ends.total() == 3000
    # The largest answer that any call allows, a few times.
    assert outcome.grown_mib < 6000
