"""What calculations are counted from is kept once for all in a row that have it, and each has exactly its own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from airflow_provider_nucleus.gating.fingerprint import digest_ground_truth, listed_object
from airflow_provider_nucleus.local.engine.masks import MaskFiles
from airflow_provider_nucleus.local.errors import NotFoundError
from airflow_provider_nucleus.local.matching.calculate import calculate
from airflow_provider_nucleus.local.requests.match_options import MatchOptions
from airflow_provider_nucleus.local.store import timestamps
from airflow_provider_nucleus.local.store.catalog import kept_counts, matches
from airflow_provider_nucleus.local.store.catalog.compared_sets import ComparedSets
from airflow_provider_nucleus.local.store.database import Database
from airflow_provider_nucleus.local.store.views import match_counts
from airflow_provider_nucleus.local.store.views.objects import objects_of_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_nucleus.local.store.catalog.matches import MatchSet
    from airflow_provider_nucleus.local.store.database import Cursor

OPTIONS = (MatchOptions(), MatchOptions(class_agnostic=True))
EVERYTHING = 10_000
TRUTH = 1


class Runs:
    """A store with one dataset, its ground truth (set 1) and the predictions of two runs (sets 2 and 3)."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.db = Database(folder / "x.duckdb", memory_limit="500MB", spill=folder)
        self.random = random.Random(seed)
        self.jobs = 0
        self.objects = 0
        self.items = 0

    def add_item(self) -> int:
        """Add an item without objects."""
        self.items += 1
        with self.db.write() as cursor:
            cursor.execute(
                "INSERT INTO items VALUES (?, 1, ?, 's3://b/a', NULL, NULL, '{}', NULL, NULL, NULL, NULL, ?, NULL)",
                [self.items, f"item {self.items}", timestamps.now()],
            )
        return self.items

    def add_object(self, set_no: int, item: int) -> None:
        """Add a box somewhere, of one of two labels."""
        self.objects += 1
        with self.db.write() as cursor:
            cursor.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, NULL, 'box', ?, ?, ?, 0, 10, 10, NULL, '{}', NULL, NULL, NULL)",
                [
                    self.objects,
                    set_no,
                    item,
                    f"a{self.objects}",
                    self.random.choice(("car", "bus")),
                    None if set_no == TRUTH else self.random.random(),
                    self.random.uniform(0, 12),
                ],
            )

    def change(self) -> None:
        """Do to a random item what happens to items: it comes, its objects come, are replaced or go."""
        what = self.random.random()
        item = self.add_item() if self.items < 3 or what < 0.2 else self.random.randint(1, self.items)
        set_no = self.random.choice((1, 1, 2, 2, 3))
        if what > 0.7:
            with self.db.write() as cursor:
                cursor.execute("DELETE FROM objects WHERE set_no = ? AND item_no = ?", [set_no, item])
        if what < 0.9:
            self.add_object(set_no, item)

    def begin(self, set_no: int, options: MatchOptions, *, job_no: int | None = None) -> MatchSet:
        """Begin a calculation."""
        self.jobs += 1
        with self.db.write() as cursor:
            return matches.begin(
                cursor,
                ComparedSets(TRUTH, set_no),
                dataset_no=1,
                options=options,
                job_no=job_no or self.jobs,
            )

    def end(self, match_set: MatchSet) -> dict[str, Any]:
        """Calculate what was begun; the rows of all calculations stay, to be counted."""
        return calculate(self.db, match_set, masks=MaskFiles(Path), kept=EVERYTHING)

    def calculate(self, set_no: int = 2, options: MatchOptions = OPTIONS[0]) -> MatchSet:
        """Begin and end a calculation."""
        made = self.begin(set_no, options)
        self.end(made)
        return made

    def truth_now(self, items: int | None = None) -> str:
        """Return the digest of the ground truth that is there, on the first items alone."""
        with self.db.read() as cursor:
            found = [orjson.loads(orjson.dumps(wire)) for wire in objects_of_set(cursor, TRUTH, truth=True)]
        known = {f"item {number}" for number in range(1, (items or self.items) + 1)}
        found = [wire for wire in found if wire["reference_id"] in known]
        return digest_ground_truth(map(listed_object, found))


def all_calculations(cursor: Cursor) -> list[MatchSet]:
    """Return every calculation that has ended."""
    return [each for set_no in (2, 3) for each in reversed(matches.listing(cursor, set_no, limit=EVERYTHING))]


def counted(cursor: Cursor, match_set: MatchSet, iou: float) -> dict[str, list[Any]]:
    """Count the rows of a calculation themselves: TP, FP, FN and the sum of overlaps by label."""
    found: dict[str, list[Any]] = {}
    for truth, predicted, overlap, correct in cursor.execute(
        "SELECT truth_label, prediction_label, iou, true_positive FROM matches WHERE match_set_no = ?",
        [match_set.number],
    ).fetchall():
        if correct and overlap >= iou:
            one = found.setdefault(truth, [0, 0, 0, 0.0])
            one[0] += 1
            one[3] += overlap
            continue
        if predicted is not None:
            found.setdefault(predicted, [0, 0, 0, 0.0])[1] += 1
        if truth is not None:
            found.setdefault(truth, [0, 0, 0, 0.0])[2] += 1
    return found


def check_all(runs: Runs) -> int:
    """Hold the kept counts of every calculation against its rows, and return how many there are."""
    with runs.db.read() as cursor:
        found = all_calculations(cursor)
        for iou in (0, 0.25, 0.5, 0.503, 0.9, 1):
            wholes = match_counts.whole_counts(cursor, found, iou=iou)
            for each, whole in zip(found, wholes, strict=True):
                rows = counted(cursor, each, iou)
                kept = match_counts.label_counts(cursor, each, iou=iou)
                assert {c.label: [c.tp, c.fp, c.fn] for c in kept} == {k: v[:3] for k, v in rows.items()}
                for counts in kept:
                    assert counts.overlap == pytest.approx(rows[counts.label][3], rel=1e-12)
                assert [whole.tp, whole.fp, whole.fn] == [sum(v[n] for v in rows.values()) for n in range(3)]
    return len(found)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path)
    yield made
    made.db.close()


@pytest.mark.parametrize("seed", range(2))
def test_every_calculation_has_the_counts_of_its_rows(tmp_path: Path, seed: int):
    """Whatever comes, changes and goes, with two runs, two options, and calculations that end in another order than they began."""
    runs = Runs(tmp_path, seed)
    digests: dict[int, str] = {}
    waiting: list[tuple[MatchSet, int]] = []
    for _ in range(16):
        for _ in range(runs.random.randint(0, 5)):
            runs.change()
        begun = runs.begin(runs.random.choice((2, 2, 3)), runs.random.choice(OPTIONS))
        # Coverage is of the items that were there when it began.
        waiting.append((begun, runs.items))
        runs.random.shuffle(waiting)
        for _ in range(runs.random.randint(0, 2)):
            if waiting:
                made, items = waiting.pop()
                digests[made.number] = runs.truth_now(items)
                runs.end(made)
    check_all(runs)
    with runs.db.read() as cursor:
        found = all_calculations(cursor)
    assert {each.number: each.coverage and each.coverage["ground_truth_digest"] for each in found} == digests

    # One that began again after it had ended takes the place of what it had left.
    again = runs.random.choice(found)
    runs.change()
    runs.end(runs.begin(again.sets.predictions, again.options, job_no=again.job_no))
    assert check_all(runs) == len(found)
    # What goes with a run takes nothing of another's.
    with runs.db.write() as cursor:
        matches.remove_match_sets(cursor, [2])
    assert check_all(runs) == sum(each.sets.predictions == 3 for each in found)
    with runs.db.write() as cursor:
        matches.remove_match_sets(cursor, [TRUTH])
        for table in ("match_sets", "kept_counts", "kept_truths", "matches"):
            assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    runs.db.close()


def test_what_did_not_change_is_kept_once(runs: Runs):
    """Rows grow with what is new: a day that adds one item adds its rows, and a day that adds none adds none."""
    sizes = []
    for _ in range(6):
        item = runs.add_item()
        for set_no in (TRUTH, 2):
            runs.add_object(set_no, item)
        runs.calculate()
        runs.calculate()
        with runs.db.read() as cursor:
            sizes.append([
                cursor.execute(f"SELECT count(*), count(DISTINCT item_no) FROM {table}").fetchone()
                for table in ("kept_counts", "kept_truths")
            ])
    for day, (counts, truths) in enumerate(sizes, 1):
        assert truths == (day, day)
        assert counts[1] == day
        assert counts[0] <= 2 * day
    check_all(runs)


def test_ground_truth_is_kept_once_for_all_runs_and_options(runs: Runs):
    """Another run and other options see the same ground truth: it is digested, and kept, once."""
    item = runs.add_item()
    for set_no in (TRUTH, 2, 3):
        runs.add_object(set_no, item)
    for set_no in (2, 3):
        for options in OPTIONS:
            runs.calculate(set_no, options)
    with runs.db.write() as cursor:
        assert cursor.execute("SELECT count(*) FROM kept_truths").fetchone() == (1,)
        digests = {
            each.coverage and each.coverage["ground_truth_digest"] for each in all_calculations(cursor)
        }
        assert digests == {runs.truth_now()}
        matches.remove_match_sets(cursor, [2])
        assert cursor.execute("SELECT count(*) FROM kept_truths").fetchone() == (1,)


def test_a_calculation_that_goes_takes_what_only_it_had(runs: Runs):
    """Of three with different boxes the middle one goes: its rows go, those of the others stay."""
    item = runs.add_item()
    runs.add_object(TRUTH, item)
    made = []
    for _ in range(3):
        runs.add_object(2, item)
        made.append(runs.calculate())
    with runs.db.write() as cursor:
        before = cursor.execute("SELECT count(*) FROM kept_counts").fetchall()
        matches.discard(cursor, made[1])
        after = cursor.execute("SELECT count(*) FROM kept_counts").fetchall()
        gone = cursor.execute(
            "SELECT count(*) FROM kept_counts WHERE first_place = 2 AND until_place = 3"
        ).fetchall()
    assert after < before
    assert gone == [(0,)]
    assert check_all(runs) == 2
    runs.calculate()
    assert check_all(runs) == 3


def test_the_last_calculations_of_another_run_take_no_place_of_the_next(runs: Runs):
    """The run goes that saw ground truth change last: the next calculation of another stands where they stood, with its own alone."""
    item = runs.add_item()
    for set_no in (TRUTH, 2, 3):
        runs.add_object(set_no, item)
    for set_no in (2, 3):
        runs.calculate(set_no)
    runs.add_object(TRUTH, item)
    for _ in range(2):
        runs.calculate(3)
    with runs.db.write() as cursor:
        matches.remove_match_sets(cursor, [3])

    for _ in range(3):
        coverage = runs.end(runs.begin(2, OPTIONS[0]))["coverage"]
        assert coverage["ground_truth_digest"] == runs.truth_now()
        assert (coverage["with_ground_truth"], coverage["without_ground_truth"]) == (1, 0)


BOX = {"annotation_id": "a", "label": "car", "x": 0, "metadata": "{}"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # What two tasks have drawn alike, under one id, is twice there; it cancels nothing out.
        ([BOX, BOX], [BOX | {"x": 5}, BOX | {"x": 5}]),
        ([BOX | {"annotation_id": "a|box"}], [BOX | {"label": "box|car"}]),
        ([BOX | {"metadata": '{"iscrowd": true}'}], [BOX | {"metadata": '{"iscrowd": "true"}'}]),
    ],
)
def test_another_digest_is_noticed_whatever_objects_are_called(
    runs: Runs, before: list[dict[str, Any]], after: list[dict[str, Any]]
):
    """The digest of an item is made again where anything that it follows from is another."""
    item = runs.add_item()
    digests = []
    for objects in (before, after):
        with runs.db.write() as cursor:
            cursor.execute("DELETE FROM objects")
            for number, each in enumerate(objects, 1):
                cursor.execute(
                    "INSERT INTO objects VALUES ($number, 1, $item, $annotation_id, $task, 'box', $label, NULL, $x, 0, 10, 10, NULL, "
                    "$metadata, NULL, NULL, NULL)",
                    each | {"number": number, "item": item, "task": f"task {number}"},
                )
        digests.append(runs.truth_now())
        assert runs.end(runs.begin(2, OPTIONS[0]))["coverage"]["ground_truth_digest"] == digests[-1]
    assert digests[0] != digests[1]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.local.test_kept_counts import Runs
from airflow_provider_nucleus.local.store.catalog import kept_counts, matches

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[2]
runs = Runs(Path(sys.argv[1]), 7)
runs.items, runs.objects, runs.jobs = 3, 1000, 1
runs.add_object(1, 2)
runs.add_object(2, 2)
if moment == "staged":
    kept_counts.keep = die
elif moment == "half kept":
    kept_counts._keep_truths = die
elif moment == "kept":
    matches.publish = die
elif moment == "published":
    publish = matches.publish
    matches.publish = lambda *args, **kwargs: publish(*args, **kwargs) and die()
made = runs.calculate()
die()
"""


@pytest.mark.parametrize("moment", ["staged", "half kept", "kept", "published", "committed"])
def test_a_kill_leaves_the_state_before_or_after(tmp_path: Path, moment: str):
    """SIGKILL at each step of what ends a calculation: the one before is all there, or the new one is, and the next is right."""
    runs = Runs(tmp_path)
    for _ in range(3):
        item = runs.add_item()
        for set_no in (TRUTH, 2):
            runs.add_object(set_no, item)
    runs.calculate()
    with runs.db.read() as cursor:
        before = cursor.execute("SELECT * FROM kept_counts ORDER BY ALL").fetchall()
    runs.db.close()

    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert died.returncode == -signal.SIGKILL, died.stderr
    runs.db = Database(tmp_path / "x.duckdb", memory_limit="500MB", spill=tmp_path)
    with runs.db.read() as cursor:
        after = cursor.execute("SELECT * FROM kept_counts ORDER BY ALL").fetchall()
    assert check_all(runs) == (2 if moment == "committed" else 1)
    assert (after == before) == (moment != "committed")
    # The job begins again.
    runs.objects, runs.jobs = 2000, 2
    runs.end(runs.begin(2, OPTIONS[0], job_no=2))
    assert check_all(runs) == 2
    with runs.db.read() as cursor:
        assert matches.current(cursor, 2).coverage["ground_truth_digest"] == runs.truth_now()
    runs.db.close()


def test_two_calculations_at_once_have_each_its_own(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    """One ends between the snapshot of another and its end: both have what they saw, and so has the next."""
    for _ in range(3):
        item = runs.add_item()
        for set_no in (TRUTH, 2):
            runs.add_object(set_no, item)
    runs.calculate()
    stage = kept_counts.stage
    seen: list[str] = []

    def staged(*args: Any, **extra: Any) -> None:
        stage(*args, **extra)
        monkeypatch.setattr(kept_counts, "stage", stage)
        with runs.db.write() as cursor:
            cursor.execute("DELETE FROM objects WHERE item_no = 1")
        for set_no in (TRUTH, 2):
            runs.add_object(set_no, 2)
        runs.calculate()
        seen.append(runs.truth_now())

    monkeypatch.setattr(kept_counts, "stage", staged)
    seen.append(runs.truth_now())
    slow = runs.calculate()
    runs.calculate()

    assert check_all(runs) == 4
    with runs.db.read() as cursor:
        digests = {
            each.number: each.coverage and each.coverage["ground_truth_digest"]
            for each in all_calculations(cursor)
        }
    assert seen[0] != seen[1]
    assert digests == {1: seen[0], slow.number: seen[0], slow.number + 1: seen[1], slow.number + 2: seen[1]}


def test_a_run_that_is_deleted_while_it_is_calculated_leaves_nothing(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
):
    """The calculation ends with an error, and not a row of it stays."""
    item = runs.add_item()
    for set_no in (TRUTH, 2):
        runs.add_object(set_no, item)
    stage = kept_counts.stage

    def staged(*args: Any, **extra: Any) -> None:
        stage(*args, **extra)
        with runs.db.write() as cursor:
            matches.remove_match_sets(cursor, [2])

    monkeypatch.setattr(kept_counts, "stage", staged)
    with pytest.raises(NotFoundError, match="deleted while the job ran"):
        runs.calculate()
    with runs.db.read() as cursor:
        for table in ("match_sets", "kept_counts", "kept_truths", "matches"):
            assert cursor.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
