"""The items that numbers are about, and the ground truth on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.gating.fingerprint import digest_ground_truth, listed_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["GroundTruth", "Population", "read_ground_truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """Ground truth on the items of a batch: what carries any, how many objects there are, and a digest of all of them.

    The digest follows what numbers depend on: item, id, label, shape, and whether an object is a crowd region; not other metadata.
    """

    references: frozenset[str] = frozenset()
    """Reference ids of the items with at least one object."""
    objects: int = 0
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Items whose rows are counted: reference id by item id, with the ground truth on them."""

    names: Mapping[str, str]
    ground_truth: GroundTruth = field(default_factory=GroundTruth)
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Metadata of the items, by item id; read only where numbers are cut by it."""
    condition: str = ""
    """Query that lists what is on these items and little else; empty where everything has to be listed."""

    @property
    def annotated(self) -> frozenset[str]:
        """Ids of the items that have ground truth."""
        known = self.ground_truth.references
        return frozenset(item for item, reference in self.names.items() if reference in known)


def read_ground_truth(objects: Iterable[Mapping[str, Any]]) -> GroundTruth:
    """Read ground truth as the wire lists it, in any order; memory follows the number of items."""
    references: set[str] = set()
    count = 0

    def texts() -> Iterator[tuple[str | None, ...]]:
        nonlocal count
        for each in objects:
            count += 1
            references.add(str(each.get("reference_id")))
            yield listed_object(each)

    digest = digest_ground_truth(texts())
    return GroundTruth(references=frozenset(references), objects=count, digest=digest)
