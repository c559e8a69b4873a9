"""Where a baseline record is kept: several tasks at once, tasks that died, records that are none."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusSourceError
from airflow_provider_nucleus.gating.baseline import BaselineRecord, confirm, measurement_id, propose
from airflow_provider_nucleus.gating.measurement import Fingerprint, Measurement, Numbers, Subject
from airflow_provider_nucleus.tasks.baselines import (
    AssetBaseline,
    FileBaseline,
    baseline_store,
    record_decision,
)

AT = "2026-12-01T00:00:00+00:00"


def measured(name: str, f1: float = 0.5) -> Measurement:
    return Measurement(
        subject=Subject(model_id="prj_1", evaluation_id=name),
        fingerprint=Fingerprint(data="dataset:ds_1"),
        overall=Numbers(values={"f1": f1, "ap": None}, undefined={"ap": "not ranked"}),
    )


def put_forward(name: str):
    return lambda record: propose(record, measured(name), by="gate", at=AT)


class State:
    """The state of one asset, as Airflow offers it; *between* runs before a write, as another task might."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.between: list[Any] = []

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)
        if self.between:
            self.between.pop()()


@pytest.fixture(params=["path", "memory", "asset"])
def store(request, tmp_path, memory_store):
    """A store of each kind, empty."""
    return {
        "path": FileBaseline(str(tmp_path / "deep" / "baseline.json")),
        "memory": FileBaseline(f"memory://baselines/{tmp_path.name}.json"),
        "asset": AssetBaseline("nucleus://accepted/street/detector", State()),
    }[request.param]


def test_a_record_begins_empty_and_grows(store):
    """What was put forward is accepted, and pinned for it is the first."""
    assert store.read() == BaselineRecord()
    store.change(put_forward("evalv2_1"))
    store.change(lambda record: confirm(record, by="ada", at=AT))
    found = store.read()

    assert found.accepted is not None
    assert found.accepted.measurement.overall == measured("evalv2_1").overall
    assert found.reference == found.accepted
    assert [(one.action, one.by) for one in found.decisions][:2] == [("propose", "gate"), ("confirm", "ada")]


def test_a_step_that_changes_nothing_writes_nothing(store):
    """A retry leaves no trace."""
    store.change(put_forward("evalv2_1"))
    store.change(lambda record: confirm(record, by="ada", at=AT))
    before = store.read()

    assert store.change(lambda record: confirm(record, "evalv2_1", by="bob", at=AT)) == before == store.read()


def test_a_step_that_is_not_allowed_leaves_the_record(store):
    """And names it."""
    store.change(put_forward("evalv2_1"))
    with pytest.raises(NucleusConfigError, match=r"(?s)no proposal 'evalv2_9' waits.*The record is .*"):
        store.change(lambda record: confirm(record, "evalv2_9", by="ada", at=AT))

    assert store.read().revision == 1


def test_of_gates_at_once_none_loses_its_proposal(store, request):
    """Eight at once, each with its own."""
    if "asset" in request.node.callspec.id:
        pytest.skip("Airflow has no exclusive write; see the test of the race that is noticed")
    tasks = [threading.Thread(target=store.change, args=(put_forward(f"evalv2_{n}"),)) for n in range(8)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    found = store.read()

    assert {one.id for one in found.proposals} == {f"evalv2_{n}" for n in range(8)}
    assert found.revision == 8


def test_two_processes_at_once(tmp_path):
    """Not threads of one interpreter alone: four processes, two proposals each."""
    place = tmp_path / "baseline.json"
    script = (
        "import sys; from tests.unit.tasks.test_baselines import FileBaseline, put_forward\n"
        "for n in range(2): FileBaseline(sys.argv[1]).change(put_forward(f'{sys.argv[2]}-{n}'))"
    )
    root = Path(__file__).parents[3]
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(place), str(n)], cwd=root) for n in range(4)
    ]

    assert [one.wait(timeout=120) for one in running] == [0] * 4
    assert {one.id for one in FileBaseline(str(place)).read().proposals} == {
        f"{n}-{m}" for n in range(4) for m in range(2)
    }
    assert [each.name for each in tmp_path.iterdir()] == ["baseline.json"]


def test_a_race_on_an_asset_is_noticed_and_repeated():
    """Another task's record came right after ours: ours is put on top of it."""
    state = State()
    ours, theirs = AssetBaseline("a", state), AssetBaseline("a", state)
    state.between.append(lambda: (state.values.clear(), theirs.change(put_forward("theirs"))))
    ours.change(put_forward("ours"))

    assert [one.id for one in ours.read().proposals] == ["theirs", "ours"]


def test_an_asset_that_never_rests_is_given_up():
    """With what to do about it; a retry may be lucky."""
    state, number = State(), iter(range(99))
    real = state.set

    def set_and_lose(key: str, value: Any) -> None:
        real(key, value)
        real(key, {"writer": f"other {next(number)}", "record": {"schema": "nucleus-baseline/1"}})

    state.set = set_and_lose
    with pytest.raises(NucleusSourceError, match=r"other tasks changed the record in each of 8 tries.*pool"):
        AssetBaseline("a", state).change(put_forward("ours"))


def test_a_lock_of_a_task_that_died_is_removed(tmp_path):
    """After two minutes; nobody has to tidy up."""
    place = tmp_path / "baseline.json"
    (tmp_path / "baseline.json.lock").write_text("dead 1000.0")
    now = [1119.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    FileBaseline(str(place), sleep=sleep, clock=lambda: now[0]).change(put_forward("evalv2_1"))

    assert now[0] > 1120
    assert [each.name for each in tmp_path.iterdir()] == ["baseline.json"]


def test_the_next_task_goes_on_after_one_that_died(tmp_path):
    """At once after it, and when it died while it made its lock: one task waits as long as a lock can last."""
    for text in ("dead 1000.0", ""):
        place = tmp_path / f"baseline{len(text)}.json"
        (tmp_path / f"{place.name}.lock").write_text(text)
        now = [1000.0]

        def sleep(seconds: float, now: list[float] = now) -> None:
            now[0] += seconds

        FileBaseline(str(place), sleep=sleep, clock=lambda now=now: now[0]).change(put_forward("evalv2_1"))

        assert place.exists()
        assert not (tmp_path / f"{place.name}.lock").exists()


def test_the_lock_of_another_task_is_left_alone(tmp_path):
    """One that stood still for too long finds its lock taken over: it waits for the other one, and repeats its step on what that left."""
    place, lock = tmp_path / "baseline.json", tmp_path / "baseline.json.lock"
    seen = []

    def slow(record: BaselineRecord) -> BaselineRecord:
        if not seen:
            lock.unlink()
            FileBaseline(str(place)).change(put_forward("the other's"))
            lock.write_text("another 1")
        seen.append(lock.read_text())
        return put_forward("evalv2_1")(record)

    def sleep(_: float) -> None:
        assert lock.read_text() == "another 1"
        lock.unlink()

    store = FileBaseline(str(place), sleep=sleep, clock=lambda: 2.0)
    store.change(slow)

    assert {one.id for one in store.read().proposals} == {"the other's", "evalv2_1"}
    assert len(seen) == 2


def test_clocks_of_workers_differ(tmp_path):
    """A lock of a slow clock is as old as one that was left behind, and in use; one of a fast clock that was left behind is not waited for till then."""
    lock, now = tmp_path / "baseline.json.lock", [1000.0]
    place = lock.with_suffix("")
    lock.write_text("slow 800.0")

    def release(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 1002:
            FileBaseline(str(place.with_name("other.json"))).change(put_forward("evalv2_0"))
            lock.unlink(missing_ok=True)
        else:
            assert lock.exists()

    FileBaseline(str(place), sleep=release, clock=lambda: now[0]).change(put_forward("evalv2_1"))
    assert 1002 < now[0] < 1005

    lock.write_text("fast 5000.0")

    def wait(seconds: float) -> None:
        now[0] += seconds

    FileBaseline(str(place), sleep=wait, clock=lambda: now[0]).change(put_forward("evalv2_2"))
    assert [one.id for one in FileBaseline(str(place)).read().proposals] == ["evalv2_1", "evalv2_2"]


_FULL = """
import resource, signal, sys
from tests.unit.tasks.test_baselines import FileBaseline, put_forward
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    FileBaseline(sys.argv[1]).change(put_forward("evalv2_2"))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_leaves_the_record_and_no_lock(tmp_path, room):
    """Whether the lock had room or not; the next task does not wait for a lock that nobody holds."""
    place = tmp_path / "baseline.json"
    FileBaseline(str(place)).change(put_forward("evalv2_1"))
    before = place.read_bytes()

    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(place), str(room)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip

    assert done.stdout.startswith("NucleusSourceError")
    assert "File too large" in done.stdout
    assert place.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["baseline.json"]


def test_a_lock_that_is_held_is_waited_for_and_then_named(tmp_path):
    """Nothing is changed, and a retry waits again."""
    place = tmp_path / "baseline.json"
    (tmp_path / "baseline.json.lock").write_text("alive 1000.0")
    slept = []
    store = FileBaseline(str(place), sleep=slept.append, clock=lambda: 1001.0)
    with pytest.raises(
        NucleusSourceError,
        match=r"another task has held .*baseline.json.lock for 15[01] s.*Nothing was changed",
    ):
        store.change(put_forward("evalv2_1"))

    assert not place.exists()
    assert max(slept) <= 1
    assert (tmp_path / "baseline.json.lock").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"schema": "other/1"}',
        '{"accepted": 3}',
        "{",
        "",
        "[" * 50_000,
        '{"schema": "nucleus-baseline/2"}',
    ],
    ids=["list", "other", "numbers", "cut", "empty", "deep", "later"],
)
def test_what_is_no_record_is_left_alone(tmp_path, content):
    """It may be anything: a report, a measurement, what an editor left of a record, the record of a later version."""
    state = State()
    state.set("nucleus.baseline", content)
    with pytest.raises(NucleusConfigError, match=r"asset:street: "):
        AssetBaseline("street", state).change(put_forward("evalv2_1"))
    assert state.get("nucleus.baseline") == content

    place = tmp_path / "baseline.json"
    place.write_text(content)
    with pytest.raises(NucleusConfigError, match=r"baseline\.json"):
        FileBaseline(str(place)).change(put_forward("evalv2_1"))

    assert place.read_text() == content


def test_a_decision_is_made_once(store):
    """Whether a gate put the candidate forward or not; made again, it changes nothing."""
    candidate = measured("evalv2_1")
    first = record_decision(
        store, candidate, approved=True, by="ada", at=AT, verdict="fail", evidence="j.json", note="known"
    )
    again = record_decision(store, candidate, approved=True, by="ada", at=AT)

    assert first == again
    assert (first.accepted.id, first.accepted.verdict, first.accepted.evidence) == (
        measurement_id(candidate),
        "fail",
        "j.json",
    )
    rejected = [
        record_decision(store, measured("evalv2_2"), approved=False, by="bob", at=AT) for _ in range(2)
    ]
    assert rejected[0] == rejected[1]
    assert rejected[0].accepted.id == "evalv2_1"
    assert rejected[0].decisions[-1].action == "reject"
    with pytest.raises(NucleusConfigError, match="accepted already"):
        record_decision(store, candidate, approved=False, by="bob", at=AT)


def test_the_place_or_the_asset(tmp_path):
    """One of them, or neither."""

    class Named:
        name = "accepted"

    asset, other = Named(), Named()
    given = {"asset_state_store": {asset: State()}}

    assert baseline_store(None, None, given) is None
    assert baseline_store("", None, {}) is None
    assert baseline_store(tmp_path / "b.json", None, {}).place == str(tmp_path / "b.json")
    assert baseline_store(None, asset, given).place == "asset:accepted"
    with pytest.raises(NucleusConfigError, match="give one of them"):
        baseline_store("b.json", asset, given)
    with pytest.raises(
        NucleusConfigError, match=r"neither an inlet nor an outlet.*inlets=\[Asset\('accepted'\)\]"
    ):
        baseline_store(None, other, given)
    with pytest.raises(NucleusConfigError, match=r"older than 3\.3.*baseline_record='s3://"):
        baseline_store(None, asset, {})


def test_of_gates_at_once_on_s3_none_loses_its_proposal():
    """S3 makes the lock exclusively; a real S3 server on loopback."""
    moto_server = pytest.importorskip(
        "moto.server", reason="moto[server] is not installed (dependency group s3)"
    )
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (dependency group s3)")
    airflow_io = pytest.importorskip("airflow.sdk.io", reason="Airflow 3 is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        files = s3fs.S3FileSystem(
            endpoint_url=f"http://{host}:{port}",
            key="k",
            secret="s",
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        files.mkdir("baselines")
        airflow_io.attach("s3", "s3_baselines", fs=files)
        store = FileBaseline("s3://s3_baselines@baselines/street/detector.json")
        tasks = [threading.Thread(target=store.change, args=(put_forward(f"evalv2_{n}"),)) for n in range(5)]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()

        assert {one.id for one in store.read().proposals} == {f"evalv2_{n}" for n in range(5)}
        assert files.ls("baselines/street") == ["baselines/street/detector.json"]
    finally:
        server.stop()
