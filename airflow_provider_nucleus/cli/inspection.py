"""Inspection of a file before it is uploaded: read, mapped and validated as an upload does, and counted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.evaluation.notes import label_spellings
from airflow_provider_nucleus.evaluation_options import DEFAULT_MAX_DETECTIONS
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusValidationError
from airflow_provider_nucleus.gating.profile_counts import ProfileCounts
from airflow_provider_nucleus.sources.formats import check_format
from airflow_provider_nucleus.sources.mapping import as_mapping
from airflow_provider_nucleus.sources.open_rows import first_rows, open_rows
from airflow_provider_nucleus.sources.suggestion import MappingSuggestion, suggest_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_nucleus.schema.batches import RowBatch
    from airflow_provider_nucleus.sources.mapping import RowMapping

__all__ = ["FileInspection", "RefusalReason", "inspect_file"]

_LISTED = 10
_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d[\d.,]*")


@dataclass(slots=True)
class RefusalReason:
    """Rows that are refused for one reason: how many, the words of the first, and where the first ones are."""

    example: str
    count: int = 0
    numbers: list[int] = field(default_factory=list)

    @property
    def places(self) -> str:
        """The first row numbers, for a line of text."""
        return ", ".join(map(str, self.numbers)) + (", ..." if self.count > len(self.numbers) else "")


@dataclass(slots=True)
class FileInspection:
    """Everything that an inspection found; `error` is why the file cannot be read to its end."""

    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    sent: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    reasons: list[RefusalReason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    suggestion: MappingSuggestion | None = None
    profile: dict[str, Any] | None = None
    """Profile of the predictions that would be sent; rows of equal identity, of which an upload sends the first, are all in it."""

    @property
    def refused(self) -> int:
        """Rows that would be refused."""
        return sum(reason.count for reason in self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready dict."""
        return asdict(self) | {"refused": self.refused}


def inspect_file(
    source: Any, *, kind: Any, form: str, geometry: Any, ground_truth: Any, mapping: Mapping[str, Any]
) -> FileInspection:
    """Read a source as an upload would. Raises NucleusConfigError when mapping or arguments are wrong, NucleusSourceError when it is not there."""
    rules = as_mapping(mapping)
    check_format(form)
    found = FileInspection(before=first_rows(source, _LISTED, format=form))
    count = _Count(found, kind, rules)
    try:
        stream = open_rows(
            source,
            kind=kind,
            format=form,
            mapping=rules,
            images=ground_truth,
            categories=ground_truth,
            geometry=geometry,
        )
        count.read(stream.batches())
    except (NucleusConfigError, NucleusValidationError) as error:
        found.error = str(error)
        if rules:
            raise
    count.finish()
    if not rules.fields and not rules.explode and (found.error or found.refused):
        found.suggestion = suggest_mapping(first_rows(source, 200, format=form))
    return found


class _Count:
    """Counts of rows that go by."""

    def __init__(self, found: FileInspection, kind: Any, rules: RowMapping) -> None:
        self._found = found
        self._kind = kind
        self._encoder = Encoder(kind)
        self._size = rules.image_size
        self._cuts = () if rules.min_confidence is None else (rules.min_confidence,)
        self._profile = ProfileCounts() if kind == "predictions" else None
        self._reasons: dict[str, RefusalReason] = {}
        self._labels: set[str] = set()
        self._objects: Counter[Any] = Counter()
        self._outside = 0
        self._unsure = 0

    def read(self, batches: Iterator[RowBatch]) -> None:
        found = self._found
        for batch in batches:
            for reason, count in batch.left_out.items():
                found.left_out[reason] = found.left_out.get(reason, 0) + count
                found.rows += count
            found.rows += len(batch.rows) + len(batch.problems)
            for problem in batch.problems:
                self._refuse(problem.problem or "", problem.number)
            encoded = self._encoder.encode_batch(batch.rows)
            if self._profile is not None:
                encoded.count_in(self._profile)
            bad = {at for at, _ in encoded.bad}
            for at, reason in encoded.bad:
                self._refuse(reason, batch.numbers[at])
            good = [row for at, row in enumerate(batch.rows) if at not in bad]
            found.sent += len(good)
            found.after += good[: _LISTED - len(found.after)]
            self._note(good)

    def _note(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if isinstance(label := row.get("label"), str):
                self._labels.add(label)
            self._objects[row.get("reference_id")] += 1
            self._unsure += self._kind == "predictions" and row.get("confidence") is None
            geometry = row.get("geometry")
            if self._size is not None and isinstance(geometry, dict) and "width" in geometry:
                wide, high = self._size
                self._outside += (
                    geometry["x"] < -1
                    or geometry["y"] < -1
                    or geometry["x"] + geometry["width"] > wide + 1
                    or geometry["y"] + geometry["height"] > high + 1
                )

    def _refuse(self, reason: str, number: int) -> None:
        same = self._reasons.setdefault(_DETAILS.sub("#", reason)[:200], RefusalReason(reason[:400]))
        same.count += 1
        if len(same.numbers) < 5:
            same.numbers.append(number)

    def finish(self) -> None:
        found = self._found
        found.reasons = sorted(self._reasons.values(), key=lambda reason: -reason.count)
        found.notes += [note.text for note in label_spellings(self._labels)]
        if self._profile is not None:
            profile = self._profile.profile(cuts=self._cuts, left_out=sum(found.left_out.values()))
            found.profile = profile.to_dict()
        if self._kind != "items":
            crowded = [name for name, count in self._objects.items() if count > DEFAULT_MAX_DETECTIONS]
            if crowded:
                found.notes.append(
                    f"{len(crowded):,} images have more than {DEFAULT_MAX_DETECTIONS} objects, such as {crowded[0]!r} with "
                    f"{self._objects[crowded[0]]:,}: COCO's average precision looks at {DEFAULT_MAX_DETECTIONS} predictions of a label on an image"
                )
        if self._unsure:
            found.notes.append(
                f"{self._unsure:,} predictions have no confidence: matches count them, average precision leaves them out"
            )
        if self._outside:
            found.notes.append(f"{self._outside:,} boxes reach out of an image of that size")
