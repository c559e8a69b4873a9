"""Kill the embedded server with SIGKILL under ten kinds of writers at once, start it again, and count what is there.

`python -m tests.fuzz.kills --cases 50 --seed 0`

After every start each acknowledged row is there once, requests without an answer are stored whole or not at all, jobs end with the
account they should have, what was deleted stays so, and nothing in the store refers to what is not there. The next try goes on with the same
data.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.writers import Writers
from tests.preloaded import Nursery, PreloadedNucleus

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 4.0
"""Seconds of writing before the server dies, at most, once the first rows are there."""


def kill_under_writers(
    folder: Path, *, cases: int, seed: int, say: Callable[[str], None] = print
) -> list[list[str]]:
    """Kill a server in *folder* as often as *cases* says; returns the problems of each try."""
    dice, tries = random.Random(seed), []
    # Small pieces, so that jobs and evaluations commit often and most deaths hit one in the middle.
    environment = {"NUCLEUS_LOCAL_CHUNK_BYTES": "20000", "NUCLEUS_LOCAL_EVALUATION_ROWS": "300"}
    with (
        Nursery() as nursery,
        PreloadedNucleus(folder / "data", nursery=nursery, environment=environment) as server,
    ):
        for number in range(cases):
            writers = Writers(server.url, server.api_key)
            writers.begin()
            writers.wait_for(lambda ledger: ledger.rows > 0, seconds=60)
            time.sleep(dice.uniform(0, LONGEST))
            server.kill()
            writers.end()
            server.start()
            writers.url = server.url
            problems = writers.check_jobs()
            server.stop()
            problems += writers.check_store(server.data_dir)
            server.start()
            tries.append(problems)
            rows, lost = writers.ledger.rows, sum(map(len, writers.ledger.unanswered.values()))
            say(
                f"try {number}: {rows} rows and {len(writers.ledger.jobs)} jobs acknowledged, {lost} requests without an answer, {len(problems)} problems"
            )
            for problem in problems:
                say(f"  {problem}")
    return tries


def main() -> int:
    """Run from the command line; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tries = kill_under_writers(
            Path(folder), cases=options.cases, seed=options.seed, say=lambda text: print(text, flush=True)
        )
    print(f"{sum(not problems for problems in tries)} of {len(tries)} without a problem, seed {options.seed}")
    return int(any(tries))


if __name__ == "__main__":
    sys.exit(main())
