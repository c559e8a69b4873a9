"""Baseline records where they are kept: one JSON document on a disk or any object store, or in the state of an asset (Airflow 3.3).

A record is only ever changed by a step, a pure function from record to record (`gating.baseline`): whoever comes second repeats the step
on what the first one left, so that of two gates at once none loses the proposal of the other.

| kept in | two tasks at once |
|---|---|
| a file | one after the other: a lock beside it (`<name>.lock`), made exclusively, as disks and S3 can; one that is older than two minutes belonged to a task that died. On a store that cannot make a file exclusively the record is read again after it was written, and the step repeated if another's is there |
| the state of an asset | read again after it was written, and repeated if another's is there: Airflow has no exclusive write. What is left is the moment between the two; give gates of one asset a pool with one slot where that matters |

Airflow gives the state of an asset to those tasks only that have it among their inlets or outlets.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusError, NucleusSourceError
from airflow_provider_nucleus.gating.baseline import (
    BaselineError,
    BaselineRecord,
    confirm,
    measurement_id,
    propose,
    reject,
)
from airflow_provider_nucleus.gating.baseline_file import fit_record, record_from_json, record_to_json
from airflow_provider_nucleus.tasks.documents import local_document, read_bytes, read_json, write_json
from airflow_provider_nucleus.tasks.rendered_values import is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.verdict import VerdictStatus

__all__ = [
    "ASSET_PLACE",
    "ASSET_STATE_KEY",
    "AssetBaseline",
    "BaselineStore",
    "FileBaseline",
    "baseline_store",
    "record_decision",
]

log = logging.getLogger(__name__)

ASSET_PLACE: Final = "asset:"
"""Beginning of the place of a record in the state of an asset, as results name it."""
ASSET_STATE_KEY: Final = "nucleus.baseline"
"""Key of the record in the state of an asset."""

_TRIES = 8
_LOCK_AGE = 120.0
_LOCK_PATIENCE = 150.0
"""Longer than a lock lasts: after a task that died the next one goes on, without a retry."""
_LOCK_WATCH = 5.0
"""Longer than a step takes: clocks of workers differ, and an old lock may be a new one of a slow clock."""
_PAUSE = 0.05


class BaselineStore(ABC):
    """One baseline record and its place."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Place of the record, as messages and results name it."""

    @abstractmethod
    def read(self) -> BaselineRecord:
        """Return the record, an empty one where there is none yet."""

    @abstractmethod
    def change(self, step: Callable[[BaselineRecord], BaselineRecord]) -> BaselineRecord:
        """Apply *step* to the newest record, store what comes of it, and return it; nothing is written for a step that changes nothing.

        A step that the record does not allow raises NucleusConfigError and leaves it as it was.
        """

    def _step(
        self, step: Callable[[BaselineRecord], BaselineRecord], record: BaselineRecord
    ) -> BaselineRecord:
        try:
            return step(record)
        except BaselineError as error:
            raise NucleusConfigError(f"{error}.", hint=f"The record is {self.place}.") from error

    def _parsed(self, document: Any) -> BaselineRecord:
        try:
            return record_from_json(document)
        except BaselineError as error:
            raise NucleusConfigError(
                f"{self.place}: {error}.",
                hint="It was left as it is. Name another place, or move this one away: the next gate starts a new record.",
            ) from error


@dataclass(frozen=True)
class FileBaseline(BaselineStore):
    """A record as JSON at a path or any URL that Airflow can write."""

    file: str
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @property
    def place(self) -> str:
        """The path or the address."""
        return self.file

    def read(self) -> BaselineRecord:
        """Read the file."""
        try:
            document = read_json(self.file)
        except FileNotFoundError:
            return BaselineRecord()
        return self._parsed(document)

    def change(self, step: Callable[[BaselineRecord], BaselineRecord]) -> BaselineRecord:
        """Change the record under its lock."""
        try:
            return self._changed(step)
        except NucleusError:
            raise
        except Exception as error:
            raise NucleusSourceError(
                f"the baseline record cannot be changed: {type(error).__name__}: {error}",
                source=self.file,
                hint="It is as it was, or has this step already: a retry changes nothing twice.",
            ) from error

    def _changed(self, step: Callable[[BaselineRecord], BaselineRecord]) -> BaselineRecord:
        for _ in range(_TRIES):
            with self._lock() as is_held:
                before = self.read()
                after = self._step(step, before)
                if after.revision == before.revision:
                    return after
                if not is_held():  # a worker that stood still: another has changed the record meanwhile
                    continue
                document = record_to_json(after)
                write_json(self.file, document)
                # Only where the store makes no file exclusively can another's be there.
                if read_json(self.file) == document:
                    return after
        raise _contested(self.place)

    @contextlib.contextmanager
    def _lock(self) -> Generator[Callable[[], bool]]:
        """Hold the lock file, and lend the question whether it is ours still; raises NucleusSourceError when another task holds it for too long."""
        name, token = f"{self.file}.lock", f"{uuid.uuid4().hex} {self.clock()}"
        waited = since = 0.0
        seen = None
        while not self._made(name, token):
            if (text := _text(name)) != seen:
                seen, since = text, waited
            if text is not None and self._stale(text, waited - since):
                log.warning("Removing %s: the task that made it has not removed it in %g s", name, _LOCK_AGE)
                _remove(name)
                continue
            if waited >= _LOCK_PATIENCE:
                raise NucleusSourceError(
                    f"another task has held {name} for {waited:.0f} s",
                    source=self.file,
                    hint="Nothing was changed. A retry waits again; remove the lock if no task is at work.",
                )
            self.sleep(pause := min(1.0, _PAUSE + waited / 10))
            waited += pause
        try:
            yield lambda: _text(name) == token
        finally:
            self._release(name, token)

    def _release(self, name: str, token: str) -> None:
        """Remove the lock if it is still ours; what was written stands if it cannot be removed, and the next task waits until it is old."""
        try:
            if _text(name) == token:
                _remove(name)
        except Exception as error:  # ruff: ignore[blind-except] - file systems of any kind fail in any way
            log.warning("%s could not be removed, others wait %g s for it: %s", name, _LOCK_AGE, error)

    def _made(self, name: str, token: str) -> bool:
        """Make the lock file, and return whether it is ours."""
        try:
            _create(name, token)
        except FileExistsError:
            return False
        return _text(name) == token

    def _stale(self, text: str, watched: float) -> bool:
        """Return whether a lock, the same for *watched* seconds, belonged to a task that died.

        Its age is by the clock of the machine that made it. Where that is ahead of ours, or not there (just made and not yet written, or
        never), it is as old as we have watched it; where that is behind, a task at work is done while we watch.
        """
        try:
            age = self.clock() - float(text.partition(" ")[2])
        except ValueError:
            age = -1.0
        return age > _LOCK_AGE and watched >= _LOCK_WATCH if age >= 0 else watched > _LOCK_AGE


@dataclass(frozen=True)
class AssetBaseline(BaselineStore):
    """A record in the state of an asset; *state* is what Airflow gives the task for it."""

    name: str
    state: Any = field(repr=False)

    @property
    def place(self) -> str:
        """The asset's name."""
        return f"{ASSET_PLACE}{self.name}"

    def read(self) -> BaselineRecord:
        """Read the asset's state."""
        return self._found()[0]

    def change(self, step: Callable[[BaselineRecord], BaselineRecord]) -> BaselineRecord:
        """Change the record, again if another task's change is there afterwards."""
        for _ in range(_TRIES):
            before, seen = self._found()
            after = self._step(step, before)
            if after.revision == before.revision:
                return after
            if self._found()[1] != seen:
                continue
            writer = uuid.uuid4().hex
            self.state.set(
                ASSET_STATE_KEY,
                {"writer": writer, "record": record_to_json(self._step(fit_record, after))},
            )
            if self._found()[1] == writer:
                return after
        raise _contested(self.place)

    def _found(self) -> tuple[BaselineRecord, str | None]:
        """Return the record and the mark of its writer."""
        value = self.state.get(ASSET_STATE_KEY)
        if value is None:
            return BaselineRecord(), None
        if isinstance(value, str):  # put there by hand, in the interface
            try:
                value = json.loads(value.removeprefix("\ufeff"))
            except (ValueError, RecursionError) as error:
                raise NucleusConfigError(
                    f"{self.place}: the state {ASSET_STATE_KEY!r} is no JSON: {error}.",
                    hint="Delete it or mend it.",
                ) from error
        if not isinstance(value, dict):
            raise NucleusConfigError(
                f"{self.place}: the state {ASSET_STATE_KEY!r} is no object.", hint="Delete it or mend it."
            )
        return self._parsed(value.get("record", value)), value.get("writer")


def baseline_store(place: Any, asset: Any, context: Mapping[str, Any]) -> BaselineStore | None:
    """Return the store of the record at *place* or in the state of *asset*, None where neither is given.

    Raises NucleusConfigError where both are, or where this task does not get the state of the asset.
    """
    if asset is None:
        if isinstance(place, str) and place.startswith(ASSET_PLACE):
            raise NucleusConfigError(
                f"The gate keeps its baseline record in the state of {place.removeprefix(ASSET_PLACE)!r}, which this task does not have.",
                field="baseline_asset",
                hint="Give this task the gate's baseline_asset as well. Nothing was changed.",
            )
        return None if is_blank(place) else FileBaseline(str(place))
    if not is_blank(place):
        raise NucleusConfigError(
            "baseline_record and baseline_asset are two places of one record: give one of them.",
            field="baseline_record",
        )
    states = context.get("asset_state_store")
    name = str(getattr(asset, "name", None) or asset)
    if states is None:
        raise NucleusConfigError(
            f"This task gets no state of asset {name!r}: it has no asset among its inlets and outlets, or this Airflow is older than 3.3.",
            field="baseline_asset",
            hint="Put the asset among the task's inlets, or keep the record in a file: baseline_record='s3://bucket/baseline.json'.",
        )
    try:
        return AssetBaseline(name, states[asset])
    except KeyError as error:
        raise NucleusConfigError(
            f"Asset {name!r} is neither an inlet nor an outlet of this task, and Airflow gives the state of those only.",
            field="baseline_asset",
            hint=f"Add it: inlets=[Asset({name!r})].",
        ) from error


def record_decision(
    store: BaselineStore,
    candidate: Measurement,
    *,
    approved: bool,
    by: str,
    at: str,
    verdict: VerdictStatus | None = None,
    evidence: str | None = None,
    note: str | None = None,
) -> BaselineRecord:
    """Accept or reject *candidate* in the record: put forward first, where no gate has, and then confirmed or turned down.

    A decision that is made again, by a retry for example, changes nothing.
    """
    proposal = measurement_id(candidate)

    def step(record: BaselineRecord) -> BaselineRecord:
        if record.accepted is not None and record.accepted.id == proposal:
            if approved:
                return record
            raise BaselineError(f"{proposal} is accepted already and cannot be rejected: confirm another")
        last = next((each for each in reversed(record.decisions) if each.id == proposal), None)
        if not approved and last is not None and last.action == "reject":
            return record
        if all(each.id != proposal for each in record.proposals):
            record = propose(record, candidate, by=by, at=at, verdict=verdict, evidence=evidence)
        if approved:
            return confirm(record, proposal, by=by, at=at, note=note)
        return reject(record, proposal, by=by, at=at, reason=note)

    return store.change(step)


def _contested(place: str) -> NucleusSourceError:
    return NucleusSourceError(
        f"other tasks changed the record in each of {_TRIES} tries",
        source=place,
        hint="A retry tries again; give these tasks a pool with one slot.",
    )


def _create(name: str, text: str) -> None:
    """Make a file with *text*; FileExistsError if there is one, on any store that can tell."""
    local = local_document(name)
    if local is not None:
        local.parent.mkdir(parents=True, exist_ok=True)
        file = local.open("x")
        try:
            with file:
                file.write(text)
        except BaseException:
            local.unlink(missing_ok=True)  # a full disk: nobody is to wait for it
            raise
        return
    path = ObjectStoragePath(name)
    try:
        with path.open("xb") as file:  # type: ignore[no-untyped-call]
            file.write(text.encode())
    except OSError as error:
        # S3 answers two that make it at once with a conflict or a failed condition.
        if isinstance(error, FileExistsError) or error.errno in {errno.EBUSY, errno.EINVAL}:
            raise FileExistsError(name) from error
        raise
    except (ValueError, NotImplementedError):  # a store without exclusive files
        if path.exists():
            raise FileExistsError(name) from None
        path.write_bytes(text.encode())


def _text(name: str) -> str | None:
    """Return the text of a lock, None where it is gone, or is just being made anew."""
    try:
        return read_bytes(name).decode()
    except (FileNotFoundError, NucleusSourceError):
        return None


def _remove(name: str) -> None:
    local = local_document(name)
    if local is not None:
        local.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        ObjectStoragePath(name).unlink()
