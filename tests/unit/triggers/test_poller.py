"""Many waiting triggers, one poll: who is told what, and how often the server is asked."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections import Counter

import pytest

from airflow_provider_nucleus.exceptions import (
    NucleusAuthError,
    NucleusConfigError,
    NucleusConnectionError,
    NucleusServerError,
)
from airflow_provider_nucleus.schema.jobs import JobStatus
from airflow_provider_nucleus.triggers import backoff, poller
from airflow_provider_nucleus.triggers.poller import shared_poller
from airflow_provider_nucleus.triggers.watcher import Watcher


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Rounds after a failure follow at once."""
    monkeypatch.setattr(backoff, "MAX_BACK_OFF", 0.0)


class Server:
    """Jobs that end after so many rounds of being asked about."""

    def __init__(self, ends_after: dict[str, int], *, fails: int = 0) -> None:
        self.left = dict(ends_after)
        self.fails = fails
        self.calls: Counter[str] = Counter()
        self.open = 0

    @contextlib.asynccontextmanager
    async def connect(self):
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    def _look(self, job_id):
        self.left[job_id] -= 1
        return "Completed" if self.left[job_id] < 0 else "Running"

    async def status(self, job_id):
        self.calls["status"] += 1
        if self.fails:
            self.fails -= 1
            raise NucleusConnectionError("away")
        return JobStatus(status=self._look(job_id), job_id=job_id)

    async def running(self, limit):
        self.calls["running"] += 1
        if self.fails:
            self.fails -= 1
            raise NucleusConnectionError("away")
        looks = {job: self._look(job) for job in self.left}
        return {job: JobStatus(status=status) for job, status in looks.items() if status == "Running"}


class Watch(Watcher):
    """Waits for jobs, and keeps what each round saw of them; `enough` rounds end it with an error."""

    def __init__(self, *job_ids: str, interval: float = 0, enough: int = 10**9, lasts: float = 60) -> None:
        super().__init__(interval=interval, deadline=time.time() + lasts)
        self.left = set(job_ids)
        self.enough = enough
        self.rounds: list[dict] = []
        self.contexts: set[str] = set()

    @property
    def waiting(self):
        return self.left

    def apply(self, seen):
        self.contexts.add(WHOSE.get())
        mine = {job: seen[job] for job in self.waiting if job in seen}
        self.rounds.append({
            job: what.status if isinstance(what, JobStatus) else what for job, what in mine.items()
        })
        self.left -= {
            job for job, what in mine.items() if isinstance(what, JobStatus) and what.state.terminal
        }
        if len(self.rounds) >= self.enough:
            raise EnoughError


class EnoughError(Exception):
    """The watcher has heard enough."""


WHOSE = contextvars.ContextVar("WHOSE", default="nobody")


async def follow(connect, watch: Watch, *, key: str = "conn"):
    """Do as a trigger does."""
    shared = shared_poller(key, connect=connect)
    shared.join(watch)
    try:
        await watch.end
    finally:
        await shared.leave(watch)


async def wait(server: Server, *job_ids: str, key: str = "conn"):
    """Follow jobs to their end; return everything that was heard, in order."""
    watch = Watch(*job_ids)
    await follow(server.connect, watch, key=key)
    return watch.rounds


def test_jobs_are_followed_to_their_end():
    """Each round tells of the jobs that still run; the rounds stop when all have ended."""
    server = Server({"a": 1, "b": 0})

    rounds = asyncio.run(wait(server, "a", "b"))

    assert rounds == [{"a": "Running"}, {"b": "Completed"}, {"a": "Completed"}]
    assert server.open == 0


def test_many_jobs_cost_one_listing_a_round():
    """A hundred deferred tasks ask the server once a round, and once more for each job that ended."""
    server = Server({f"job_{n}": 5 for n in range(100)})

    async def all_of_them():
        await asyncio.gather(*(wait(server, job) for job in server.left))

    asyncio.run(all_of_them())

    # One look for each job that ended, and one in twenty rounds for each that is listed as running.
    assert 100 <= server.calls["status"] <= 150
    assert server.calls["running"] <= 7


def test_connections_do_not_share_a_poll():
    """Two connections are two servers."""
    one, two = Server({"a": 0}), Server({"a": 0})

    async def both():
        await asyncio.gather(wait(one, "a", key="one"), wait(two, "a", key="two"))

    asyncio.run(both())

    assert (one.calls["status"], two.calls["status"]) == (1, 1)


@pytest.mark.parametrize("jobs", [["a"], [f"job_{n}" for n in range(9)]])
def test_an_error_is_an_observation(jobs):
    """A failed request is reported to those who wait, who decide; the poll goes on."""
    server = Server(dict.fromkeys(jobs, 0), fails=1)

    rounds = asyncio.run(wait(server, *jobs))

    assert isinstance(rounds[0][jobs[0]], NucleusConnectionError)
    assert {job: what for seen in rounds for job, what in seen.items()} == dict.fromkeys(jobs, "Completed")


def test_what_ends_the_poller_reaches_every_subscriber():
    """A connection that cannot be read fails all who wait for it, instead of leaving them waiting."""

    @contextlib.asynccontextmanager
    async def connect():
        raise NucleusConfigError("no key")
        yield

    async def both():
        return await asyncio.gather(
            *(follow(connect, Watch(job)) for job in "ab"),
            return_exceptions=True,
        )

    assert [NucleusConfigError] * 2 == [type(error) for error in asyncio.run(both())]


@pytest.mark.parametrize("jobs", [["a"], [f"job_{n}" for n in range(9)]])
def test_a_connection_that_cannot_be_read_for_a_while_is_an_observation(jobs):
    """Airflow's API or a secrets back end is away: those who wait are told, and the poll goes on when it is back."""
    server = Server(dict.fromkeys(jobs, 0))
    troubles = [RuntimeError("the key is live_secret"), OSError("away")]

    @contextlib.asynccontextmanager
    async def connect():
        await asyncio.sleep(0.01)
        if troubles:
            raise troubles.pop(0)
        yield server

    server.connect = connect
    rounds = asyncio.run(wait(server, *jobs))

    assert isinstance(rounds[0][jobs[0]], NucleusConnectionError)
    assert "RuntimeError" in str(rounds[0][jobs[0]])
    assert "live_secret" not in str(rounds[0][jobs[0]])
    assert {job: what for seen in rounds for job, what in seen.items()} == dict.fromkeys(jobs, "Completed")


def test_the_pause_grows_while_the_connection_cannot_be_read(monkeypatch):
    """As after rounds that fail: a secrets back end is not hammered."""
    monkeypatch.setattr(backoff, "MAX_BACK_OFF", 0.05)
    server, reads = Server({"a": 0}), []

    @contextlib.asynccontextmanager
    async def connect():
        await asyncio.sleep(0)
        reads.append(1)
        raise OSError("away")
        yield

    async def some_time():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await follow(connect, Watch("a"))

    asyncio.run(some_time())

    assert 2 <= len(reads) <= 8
    assert server.open == 0


def test_last_subscriber_closes_the_client():
    """A trigger that is cancelled mid-wait leaves no client behind, and another can start anew."""
    server = Server({"a": 10**9, "b": 0})

    async def scenario():
        task = asyncio.create_task(wait(server, "a"))
        while not server.calls["status"]:  # ruff: ignore[async-busy-wait] - the fake server has no event
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert server.open == 0
        return await wait(server, "b")

    assert asyncio.run(scenario()) == [{"b": "Completed"}]


@pytest.mark.parametrize("turns", range(6))
def test_cancelled_while_another_joins(turns):
    """The last subscriber leaves in the moment in which the poller is woken: the poller ends all the same."""
    server = Server({"a": 10**9})

    async def scenario():
        shared = shared_poller("conn", connect=server.connect)
        watch = Watch("a", interval=60)
        task = asyncio.create_task(follow(server.connect, watch))
        while not watch.rounds:  # ruff: ignore[async-busy-wait] - the watcher has no event
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        shared._woken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait_for(asyncio.wait({task}), timeout=5)
        return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(scenario()) == []
    assert server.open == 0


def test_listing_that_never_changes_is_not_believed_for_ever():
    """A listing that goes on calling an ended job running does not keep its task waiting."""
    server = Server(dict.fromkeys("abcd", 0))

    async def stale(limit):  # ruff: ignore[unused-async]
        return dict.fromkeys("abcd", JobStatus(status="Running"))

    server.running = stale
    rounds = asyncio.run(wait(server, *"abcd"))

    assert len(rounds) <= poller.TRUST_LISTING


def test_rotated_key_is_read_anew():
    """A key that was taken before and is refused now leads to the connection being read again, not to failed tasks."""
    server = Server({"a": 1})
    looks = []

    @contextlib.asynccontextmanager
    async def connect():
        server.open += 1
        yield server

    async def status(job_id):
        looks.append(job_id)
        if len(looks) == 2:
            raise NucleusAuthError("old key", status=401)
        return await Server.status(server, job_id)

    server.status, server.connect = status, connect
    rounds = asyncio.run(wait(server, "a"))

    assert rounds == [{"a": "Running"}, {"a": "Completed"}]
    assert server.open == 2


def test_key_that_never_worked_is_reported():
    """A wrong key is an observation like any other error."""
    server = Server({"a": 0})

    async def refused(job_id):  # ruff: ignore[unused-async]
        raise NucleusAuthError("wrong key", status=401)

    server.status = refused

    async def first():
        watch = Watch("a", enough=1)
        with contextlib.suppress(EnoughError):
            await follow(server.connect, watch)
        return watch.rounds

    (seen,) = asyncio.run(first())
    assert isinstance(seen["a"], NucleusAuthError)


def test_what_a_watcher_raises_ends_its_own_wait_only():
    """One trigger gives up, the others go on waiting, and the poll with them."""
    server = Server({"a": 10**9, "b": 4})

    async def scenario():
        return await asyncio.gather(
            follow(server.connect, Watch("a", enough=2)),
            wait(server, "b"),
            return_exceptions=True,
        )

    given_up, rounds = asyncio.run(scenario())
    assert isinstance(given_up, EnoughError)
    assert rounds[-1] == {"b": "Completed"}
    assert server.open == 0


def test_a_watcher_hears_in_its_own_context():
    """Airflow sends a line to the log of the trigger in whose context it was written, and one poll serves many triggers."""
    server = Server({"a": 3, "b": 3})
    watches = {name: Watch(name) for name in "ab"}

    async def one(name):
        WHOSE.set(name)
        await follow(server.connect, watches[name])

    async def both():
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(both())

    assert {name: {name} for name in "ab"} == {name: watch.contexts for name, watch in watches.items()}


def test_a_poll_that_is_cancelled_leaves_nobody_waiting():
    """The event loop is being closed, say."""
    server = Server({"a": 10**9})

    async def scenario():
        shared = shared_poller("conn", connect=server.connect)
        task = asyncio.create_task(follow(server.connect, Watch("a", interval=60)))
        while not server.calls["status"]:  # ruff: ignore[async-busy-wait] - the fake server has no event
            await asyncio.sleep(0)
        shared._task.cancel()
        await asyncio.wait({task}, timeout=5)
        return task.cancelled()

    assert asyncio.run(scenario())


def test_who_waits_for_a_job_hears_of_its_end_at_once():
    """Not when the looks at thousands of other jobs are through."""
    server = Server(dict.fromkeys("abcdefghijkl", 0))
    heard = []

    async def status(job_id):
        if heard and not heard.count("end of a"):
            await asyncio.sleep(0.01)
        heard.append(job_id)
        return await Server.status(server, job_id)

    async def one(name):
        await follow(server.connect, Watch(name))
        heard.append(f"end of {name}")

    async def all_of_them():
        await asyncio.gather(*map(one, server.left))

    server.status = status
    asyncio.run(all_of_them())

    assert heard.index("end of a") < heard.index("l")


@pytest.mark.parametrize("lasts", [-5, 0.05, 0.5])
def test_one_alarm_ends_every_wait_at_its_deadline(lasts):
    """Between rounds too; a look is granted to those whose deadline has passed; the others go on."""
    server = Server({"a": 10**9, "b": 10**9})
    late, patient = Watch("a", interval=60, lasts=lasts), Watch("b", interval=60, lasts=60)

    async def scenario():
        other = asyncio.create_task(follow(server.connect, patient))
        await asyncio.sleep(0)
        task = asyncio.create_task(follow(server.connect, late))
        await asyncio.wait({task}, timeout=5)
        assert isinstance(task.exception(), TimeoutError)
        done = other.done()
        other.cancel()
        await asyncio.wait({other})
        return done

    assert not asyncio.run(scenario())
    assert len(late.rounds) == 1


@pytest.mark.parametrize("others", ["", "bcde"])
@pytest.mark.parametrize("jobs", ["a", "fgh"])
def test_a_deadline_that_has_passed_waits_for_a_whole_round(jobs, others):
    """What a listing shows of other people's jobs, or of one of several, is no look at the job."""
    server = Server(dict.fromkeys(jobs, 0) | dict.fromkeys(others, 10**9))
    late = Watch(*jobs, interval=60, lasts=-3_600)

    async def scenario():
        tasks = [asyncio.create_task(follow(server.connect, Watch(job, interval=60))) for job in others]
        await asyncio.wait_for(follow(server.connect, late), timeout=5)
        for task in tasks:
            task.cancel()

    asyncio.run(scenario())

    assert {job: what for seen in late.rounds for job, what in seen.items()} == dict.fromkeys(
        jobs, "Completed"
    )


def test_who_waits_for_nothing_is_done():
    """At once, and without a question to the server."""
    server = Server({"a": 0})

    assert asyncio.run(wait(server)) == []
    assert not server.calls


def test_a_newcomer_does_not_disturb_a_server_that_asked_for_a_pause():
    """Whoever joins waits for the end of the pause as well."""
    server = Server({"a": 0})

    async def refused(job_id):  # ruff: ignore[unused-async]
        server.calls["status"] += 1
        raise NucleusServerError("later", status=503, retry_after=600.0)

    async def scenario():
        tasks = []
        for _ in range(5):
            tasks.append(asyncio.create_task(follow(server.connect, Watch("a"))))
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    server.status = refused
    asyncio.run(scenario())

    assert server.calls["status"] == 1


def test_an_error_nobody_foresaw_ends_the_poll_and_its_looks():
    """No look goes on with a client that is closed; everybody hears of it."""
    server, cancelled = Server({"a": 0, "b": 0}), []

    async def status(job_id):
        if job_id == "a":
            raise RuntimeError("a bug")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(job_id)
            raise

    async def scenario():
        return await asyncio.gather(
            *(follow(server.connect, Watch(job)) for job in "ab"), return_exceptions=True
        )

    server.status = status
    errors = asyncio.run(scenario())

    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]
    assert cancelled == ["b"]
    assert server.open == 0
