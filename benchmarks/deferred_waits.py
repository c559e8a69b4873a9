"""Two thousand deferred tasks in one triggerer: how late the event loop runs, and how many requests the server gets.

Runs the triggers in one event loop, as a triggerer does, against a server that answers listings and statuses of jobs that all end
shortly before the run does. The lag is measured by a coroutine that asks to be woken every 10 ms and notes how late it is; `busy_ms_max`
is the most processor time the loop spent between two such moments, which other processes of the machine do not inflate. For
comparison, the requests that a poll of its own for every trigger would have made.

Python collects garbage among all objects, Airflow's two hundred thousand included, when a quarter as many have been added since it
last did; that takes longer than anything a trigger does, so how many a wait adds is counted as well. The run begins after such a
collection.

    python benchmarks/deferred_waits.py [--waits 2000] [--interval 30] [--minutes 2]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

SERVER = """
import json, sys, time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

count, ends = int(sys.argv[1]), time.time() + float(sys.argv[2])
seen = Counter()

class Nucleus(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/seen":
            return self.answer(dict(seen))
        seen["looks"] += 1
        self.answer({"status": status(), "job_id": self.path.rpartition("/")[2], "message": {}})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        seen["listings"] += 1
        now = status()
        self.answer([
            {"job_id": f"job_{n}", "job_last_known_status": now, "job_type": "uploadPredictions", "job_creation_time": ""}
            for n in range(count)
        ])

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass

def status():
    return "Running" if time.time() < ends else "Completed"

server = ThreadingHTTPServer(("127.0.0.1", 0), Nucleus)
print(server.server_port, flush=True)
server.serve_forever()
"""


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waits", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between two looks")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the jobs run")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("results") / "deferred_waits.md"
    )
    options = parser.parse_args()
    seconds = options.minutes * 60
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(options.waits), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        os.environ["AIRFLOW_CONN_BENCHMARK"] = json.dumps({
            "conn_type": "nucleus",
            "password": "key",
            "extra": {"endpoint": f"{base}/v1/nucleus"},
        })
        try:
            found = asyncio.run(measure(options.waits, options.interval, base))
        finally:
            server.terminate()
    looks_alone = options.waits * (seconds / options.interval + 1)
    found |= {
        "waits": options.waits,
        "interval_s": options.interval,
        "jobs_run_s": seconds,
        "requests_with_a_poll_for_each": int(looks_alone),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }
    found["load"] = ", ".join(f"{one:.1f}" for one in os.getloadavg()[:2])
    page = report(found)
    print(page)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(page)


def report(found: dict) -> str:
    """Return the measurement as a page."""
    return f"""# Deferred waits in one triggerer

`python benchmarks/deferred_waits.py`, {found["date"]}, {found["machine"]}, load average of the last minutes {found["load"]}.
{found["waits"]:,} triggers wait for a job each, for {found["jobs_run_s"]:g} s at a look every {found["interval_s"]:g} s, in one event
loop, which shares the machine with the server it asks. "Late" is how long after the time it asked for a coroutine that wakes
every 10 ms was woken, other programs on the machine included; "busy" is the processor time the loop's thread used between two such
wakings. A full garbage collection walks over all that Airflow has loaded, and comes when a quarter as many objects have been added.

| | |
|---|---|
| waits that finished | {found["finished"]:,} of {found["waits"]:,} |
| event loop late, median / 99th percentile / most, ms | {found["lag_ms_p50"]} / {found["lag_ms_p99"]} / {found["lag_ms_max"]} |
| event loop late, most, garbage collections apart, ms | {found["lag_apart_ms_max"]} |
| event loop busy, most, garbage collections apart, ms | {found["busy_ms_max"]} |
| full garbage collections meanwhile | {found["full_collections"]} |
| objects the collector knows before the waits, and that a wait adds (its task apart) | {found["objects_loaded"]:,}, {found["objects_kept"]} |
| requests: listings / looks at single jobs | {found["listings"]:,} / {found["looks"]:,} |
| of these for noticing the end of each job, a look each | {found["waits"]:,} |
| requests if each trigger polled alone | {found["requests_with_a_poll_for_each"]:,} |
"""


async def measure(waits: int, interval: float, base: str) -> dict:
    """Run all triggers to their end and return what was seen on the way."""
    import httpx

    from airflow_provider_nucleus.triggers.job import NucleusJobTrigger

    lags: list[float] = []
    apart: list[float] = []
    busy: list[float] = []
    collected: list[float] = []
    began = 0.0

    full = 0

    def collecting(phase: str, details: dict) -> None:
        nonlocal began, full
        if phase == "start":
            began = time.thread_time()
        else:
            collected.append(time.thread_time() - began)
            full += details["generation"] == 2

    gc.callbacks.append(collecting)

    async def watch() -> None:
        while True:
            asked, worked, collections = time.perf_counter(), time.thread_time(), len(collected)
            await asyncio.sleep(0.01)
            collecting_took = sum(collected[collections:])
            lags.append(time.perf_counter() - asked - 0.01)
            apart.append(lags[-1] - collecting_took)
            busy.append(time.thread_time() - worked - collecting_took)

    async def wait(number: int) -> str:
        trigger = NucleusJobTrigger(
            nucleus_conn_id="benchmark",
            job_ids=[f"job_{number}"],
            deadline=time.time() + 3600,
            poll_interval=interval,
        )
        async for event in trigger.run():
            return event.payload["status"]
        raise AssertionError("a trigger ended without an event")

    # The first trigger pays for imports and certificates; a triggerer has long done both.
    tasks = [asyncio.create_task(wait(0))]
    await asyncio.sleep(2)
    gc.collect()
    loaded = len(gc.get_objects())
    collected.clear()
    full = 0
    watcher = asyncio.create_task(watch())
    started = time.perf_counter()
    for number in range(1, waits):
        tasks.append(asyncio.create_task(wait(number)))
        if not number % 50:
            # A triggerer takes its triggers from the database in batches too.
            await asyncio.sleep(0.01)
    ended = await asyncio.gather(*tasks)
    took = time.perf_counter() - started
    watcher.cancel()
    async with httpx.AsyncClient() as client:
        seen = (await client.get(f"{base}/seen")).json()
    full_collections = full
    counted = [asyncio.create_task(wait(number)) for number in range(500)]
    before = len(gc.get_objects())
    await asyncio.sleep(0)
    kept = (len(gc.get_objects()) - before) / len(counted)
    await asyncio.gather(*counted)
    lags.sort()
    return {
        "finished": ended.count("finished"),
        "took_s": round(took, 1),
        "lag_ms_p50": round(lags[len(lags) // 2] * 1000, 2),
        "lag_ms_p99": round(lags[int(len(lags) * 0.99)] * 1000, 2),
        "lag_ms_max": round(lags[-1] * 1000, 2),
        "lag_apart_ms_max": round(max(apart) * 1000, 2),
        "busy_ms_max": round(max(busy) * 1000, 2),
        "full_collections": full_collections,
        "objects_loaded": loaded,
        "objects_kept": round(kept, 1),
        "listings": seen.get("listings", 0),
        "looks": seen.get("looks", 0),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
