"""Documents of judging as files of the command: measurements, judgements, operating points; `.gz` by name, whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.gating.baseline import BaselineError
from airflow_provider_nucleus.gating.baseline_file import record_from_json
from airflow_provider_nucleus.gating.side_reading import SideReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.baseline import BaselineRecord
    from airflow_provider_nucleus.gating.confidence_cut import Cut
    from airflow_provider_nucleus.gating.measurement import Document, Measurement

__all__ = [
    "EvidenceError",
    "MissingEvidenceError",
    "document_bytes",
    "measurement_of_document",
    "read_evidence",
    "read_record",
    "write_document",
    "write_together",
]

_FORMS = (
    "`nucleus-local evaluate --measurements` and `report=` of the operators write measurements; COCO result lists are measured with "
    "--ground-truth."
)


class EvidenceError(Exception):
    """A file is missing, unreadable, or not what it should be; the message names it and says what would be right."""


class MissingEvidenceError(EvidenceError):
    """There is no such file."""


def read_evidence(place: str | Path) -> Any:
    """Return what a JSON file holds, at a path or at an address that Airflow can open. Raises EvidenceError."""
    try:
        content = _content(str(place))
        return json.loads(content)
    except ValueError as error:
        raise EvidenceError(f"{place} is no JSON: {error}") from None
    except RecursionError:
        raise EvidenceError(
            f"{place} is no document of judging: it is nested too deeply to be read"
        ) from None
    except EOFError:
        raise EvidenceError(f"{place} cannot be read: the compressed file is cut off") from None
    except zlib.error as error:
        raise EvidenceError(f"{place} cannot be read: the compressed file is damaged ({error})") from None
    except FileNotFoundError:
        raise MissingEvidenceError(f"{place} cannot be read: No such file or directory") from None
    except OSError as error:
        raise EvidenceError(f"{place} cannot be read: {error.strerror or error}") from None


def read_record(place: str | Path) -> BaselineRecord:
    """Return the baseline record in a file. Raises EvidenceError."""
    try:
        return record_from_json(read_evidence(place))
    except BaselineError as error:
        raise EvidenceError(f"{place}: {error}") from None


def measurement_of_document(value: Any, *, place: str | Path, cut: Cut = None) -> Measurement | None:
    """Return the measurement that a document is or has (`gating.side_reading`), above *cut*; None for a list, which is no document.

    Raises EvidenceError that names what is wrong.
    """
    if isinstance(value, list):
        return None
    reader = SideReader(read=lambda inner, _: read_evidence(inner), hint=_FORMS)
    try:
        return reader.document(value, str(place), cut=cut)
    except NucleusConfigError as error:
        raise EvidenceError(str(error)) from None


def write_document(document: Document | Any, path: Path) -> Path:
    """Write a document and return its path; the folder is made, and an unfinished file is never seen. Raises EvidenceError."""
    write_together({path: document_bytes(document, path)})
    return path


def document_bytes(document: Document | Any, path: Path) -> bytes:
    """Return a document as the file *path* has it, but for gzip."""
    value = document.model_dump(mode="json", by_alias=True) if hasattr(document, "model_dump") else document
    # Packed files are for programs, and most of a measurement is columns of its matches.
    indent = None if path.name.endswith(".gz") else 2
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair in a label is no reason to lose the evidence.
    return text.encode(errors="replace")


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together, those named `.gz` packed: all are there before the first takes its place. Raises EvidenceError."""
    parts: dict[Path, Path] = {}
    path = None
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
            _write(parts[path], gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _write(part: Path, content: bytes) -> None:
    with part.open("wb") as unfinished:
        unfinished.write(content)
        unfinished.flush()
        os.fsync(unfinished.fileno())  # else a machine that dies may leave an empty file under the name


def _content(place: str) -> bytes:
    if "://" in place:
        from airflow_provider_nucleus.exceptions import NucleusError
        from airflow_provider_nucleus.tasks.documents import read_bytes

        try:
            return read_bytes(place)
        except NucleusError as error:
            raise EvidenceError(str(error)) from None
    content = Path(place).expanduser().read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
