"""The work folder of the demonstration: who may use it, and what is replaced in it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from airflow_provider_nucleus.demo.errors import DemoError
from airflow_provider_nucleus.local.datadir import DataDir
from airflow_provider_nucleus.local.disk.belongings import foreign
from airflow_provider_nucleus.local.errors import DataDirBusyError, DataDirError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["WorkDir", "opened", "serve_command", "usual_folder"]

_MARK = "made-by-nucleus-local-demo"
"""File that marks a work folder, locks it, and says what its results are on."""
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")
_MADE = {
    "scenes": re.compile(r"[a-z]+-[a-z]+-\d+-[a-z]+\.jpg"),
    "batch": re.compile(r"([0-9-]+/)?(items\.jsonl|ground_truth\.jsonl|predictions-[^/]+\.jsonl)"),
    "results": re.compile(
        r"comparison\.txt|[^/]+\.json(\.metrics)?|[0-9-]+/(measurement|judgement)[^/]*\.gz"
        r"|[0-9-]+/report/(map[0-9]+/)?(report\.html|report\.md|metrics\.json|[^/]+/[^/]+\.(jpg|png|webp))"
    ),
    "logs": re.compile(r"nucleus\.log|db-migrate\.log|airflow-process\.log|dag-[^/]+\.log|airflow/.+\.log"),
}
"""File that marks each folder which the next demonstration may empty."""


@dataclass(frozen=True)
class WorkDir:
    """The folders of one demonstration."""

    root: Path

    @property
    def nucleus(self) -> Path:
        """Data directory of the embedded Nucleus; `make serve` serves it."""
        return self.root / "nucleus"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME; kept from run to run."""
        return self.root / "airflow"

    @property
    def bytecode(self) -> Path:
        """Compiled modules of Airflow, where Python may not keep them beside the sources; kept from run to run."""
        return self.root / "bytecode"

    @property
    def pictures(self) -> Path:
        """Rendered scenes."""
        return self.root / "scenes"

    @property
    def sheet(self) -> Path:
        """The overview picture."""
        return self.root / "scenes.jpg"

    @property
    def batch(self) -> Path:
        """Items, ground truth and predictions as files."""
        return self.root / "batch"

    @property
    def results(self) -> Path:
        """Documents and reports of each day, or one JSON report for each model; and the table."""
        return self.root / "results"

    @property
    def logs(self) -> Path:
        """Output of the server and of every Airflow command."""
        return self.root / "logs"


def usual_folder(data: Path | None) -> Path:
    """Return where the results on *data* go unless a folder is named: one of their own for each folder of data."""
    if data is None:
        return Path(".demo")
    return Path(f".demo-{_UNUSUAL.sub('-', data.resolve().name).strip('-') or 'data'}")


def serve_command(root: Path) -> str:
    """Return what serves the results in *root* again: `make` in a checkout, else the installed command."""
    command = f"nucleus-local serve --data-dir {quote(str(WorkDir(root).nucleus))}"
    if not _in_checkout():
        return command
    folder = "" if str(root) == ".demo" else f" DEMO_DIR={quote(str(root))}"
    return f"make serve{folder}, or: {command}"


def _in_checkout() -> bool:
    """Say whether the command was started at the top of the checkout that it comes from."""
    top = Path(__file__).resolve().parents[2]
    return (top / "Makefile").is_file() and Path.cwd() == top


def _other_folder() -> str:
    return "another folder with --work-dir" + (" (`make demo DEMO_DIR=...`)" if _in_checkout() else "")


@contextmanager
def opened(root: Path, *, data: Path | None = None) -> Generator[WorkDir, None, None]:
    """Lock the work folder and empty it of the last results; the Airflow database stays.

    Raises DemoError when the folder holds anything else than a former demonstration on *data* (None = the rendered scenes), or when
    a demonstration or a server is still using it; nothing is changed then.
    """
    if root.is_dir() and any(root.iterdir()) and not (root / _MARK).exists():
        raise DemoError(f"{root} holds other things than a demonstration. Name {_other_folder()}.")
    work = WorkDir(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root / _MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DemoError(f"{root} cannot be written: {error}. Name another folder with --work-dir.") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(
                f"Another demonstration is running in {root}. Wait for it, or name {_other_folder()}."
            ) from None
        subject = b"the rendered scenes" if data is None else os.fsencode(data.resolve())
        former = os.pread(lock, 1 << 16, 0)
        if former not in {b"", subject}:
            raise DemoError(
                f"{root} holds the results on {os.fsdecode(former)}, which a demonstration on {os.fsdecode(subject)} would replace. "
                f"Name {_other_folder()}, or remove them first: rm -r {quote(str(root))}"
            )
        _empty(work)
        os.pwrite(lock, subject, 0)
        yield work
    finally:
        os.close(lock)


def _empty(work: WorkDir) -> None:
    if work.nucleus.exists():
        try:
            with DataDir(work.nucleus):
                pass  # no server runs on it
        except DataDirBusyError:
            raise DemoError(
                f"The last results in {work.nucleus} are still being served. Stop that server, or name {_other_folder()}; "
                "nothing was changed."
            ) from None
        except DataDirError as error:
            raise DemoError(
                f"{work.nucleus} is not what a demonstration has made, and would be deleted: {error} Move it away, or name "
                f"{_other_folder()}."
            ) from error
    for name in _others(work):
        raise DemoError(
            f"{work.root / name} is nothing that a demonstration has made, and would be deleted with its last results. Move it away, "
            f"or name {_other_folder()}; nothing was deleted."
        )
    for folder in (work.nucleus, *(work.root / name for name in _MADE)):
        if folder.exists():
            shutil.rmtree(folder)
    work.sheet.unlink(missing_ok=True)
    for folder in (work.batch, work.results, work.logs):
        folder.mkdir()


def _others(work: WorkDir) -> Iterator[str]:
    """Return foreign files in the folders to be emptied, relative to the work folder."""
    for name in ("nucleus", *_MADE):
        if (work.root / name).is_symlink():
            yield name
    yield from (f"nucleus/{name}" for name in foreign(work.nucleus))
    for folder, made in _MADE.items():
        for path in sorted((work.root / folder).rglob("*")):
            name = path.relative_to(work.root / folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or made.fullmatch(name)):
                yield f"{folder}/{name}"
