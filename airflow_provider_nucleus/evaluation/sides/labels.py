"""Label vocabularies, and the policy of which labels may be associated.

Strings become codes once, at the edge; the engine only ever compares integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_nucleus.evaluation.arrays import BoolArray, IntArray

__all__ = ["LabelMatchPolicy", "Vocabulary"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An ordered set of label names; the position of a name is its code.

    Both sides of a comparison must be encoded with the same vocabulary.
    """

    names: tuple[str, ...]
    codes: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = {name: code for code, name in enumerate(self.names)}
        if len(codes) != len(self.names):
            twice = next(name for code, name in enumerate(self.names) if codes[name] != code)
            raise ValueError(f"label {twice!r} appears twice in the vocabulary")
        object.__setattr__(self, "codes", codes)

    @classmethod
    def of(cls, *label_lists: Iterable[str]) -> Vocabulary:
        """Collect the distinct labels of all lists, sorted, so that codes do not depend on arrival."""
        return cls(tuple(sorted({label for labels in label_lists for label in labels})))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def encode(self, labels: Sequence[str]) -> IntArray:
        """Translate labels to codes; a label outside the vocabulary raises ValueError."""
        try:
            return np.fromiter((self.codes[label] for label in labels), dtype=np.int32, count=len(labels))
        except KeyError as error:
            raise ValueError(f"label {error.args[0]!r} is not in the vocabulary of this evaluation") from None


@dataclass(frozen=True, slots=True)
class LabelMatchPolicy:
    """Policy of labels: which (ground truth, prediction) labels may be associated, and which are correct.

    *allowed* lists directed pairs of codes (ground-truth code, prediction code) that count as right in addition
    to equal labels. With *class_agnostic* every pair may be associated, but only equal labels count as right.
    A pair associates when its overlap exceeds *minimum_overlap*, or when it overlaps at all and its labels are
    right (Nucleus uses 0.01 for masks and 0 for everything else).
    """

    allowed: frozenset[tuple[int, int]] = frozenset()
    class_agnostic: bool = False
    minimum_overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.allowed and self.class_agnostic:
            raise ValueError("allowed label matches and class_agnostic exclude each other: choose one")
        if not 0.0 <= self.minimum_overlap < 1.0:
            raise ValueError(f"minimum_overlap is {self.minimum_overlap}, it must lie in [0, 1)")

    @classmethod
    def from_names(
        cls,
        pairs: Iterable[tuple[str, str]],
        vocabulary: Vocabulary,
        *,
        class_agnostic: bool = False,
        minimum_overlap: float = 0.0,
    ) -> LabelMatchPolicy:
        """Build the rule from (ground truth label, prediction label) names; names that are not in the vocabulary are dropped."""
        codes = vocabulary.codes
        named = list(pairs)
        if named and class_agnostic:
            raise ValueError("allowed label matches and class_agnostic exclude each other: choose one")
        allowed = frozenset((codes[gt], codes[pred]) for gt, pred in named if gt in codes and pred in codes)
        return cls(allowed=allowed, class_agnostic=class_agnostic, minimum_overlap=minimum_overlap)

    def is_correct(self, ground_truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> BoolArray:
        """Return, pair by pair, whether the labels are equal or listed."""
        correct: BoolArray = ground_truth == predicted
        if self.allowed:
            span = 1 + max(
                int(predicted.max(initial=0)),
                int(ground_truth.max(initial=0)),
                *(max(p) for p in self.allowed),
            )
            keys = ground_truth.astype(np.int64) * span + predicted
            listed = np.array(sorted(gt * span + pred for gt, pred in self.allowed), dtype=np.int64)
            correct |= np.isin(keys, listed)
        return correct
