"""The Nucleus match and what is read from it, written out pair by pair: the oracle of tests that take predictions away."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

BACKGROUND = "__background__"
KINDS = (
    "truePositive", "localization", "classification", "duplicate", "background", "both", "missed",
)  # fmt: skip


@dataclass(frozen=True)
class Object:
    """A box on an item; `order` is the rank of its id on the item."""

    item: str
    label: str
    box: tuple[float, float, float, float]
    order: int
    confidence: float | None = None


def overlap(first: Object, second: Object) -> float:
    """Intersection over union of two boxes."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = first.box, second.box
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    shared = max(width, 0) * max(height, 0)
    return shared / (aw * ah + bw * bh - shared) if shared else 0.0


@dataclass
class Literal:
    """Ground truth and predictions, matched: highest overlap first, then by confidence, then by id.

    `listed` are (ground truth, prediction) labels that match beside equal ones.
    """

    truths: list[Object]
    found: list[Object]
    listed: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        by_item: dict[str, list[Object]] = {}
        for truth in self.truths:
            by_item.setdefault(truth.item, []).append(truth)
        self.pairs = [
            (value, truth, prediction)
            for prediction in self.found
            for truth in by_item.get(prediction.item, [])
            if (value := overlap(truth, prediction))
        ]
        self.pairs.sort(
            key=lambda pair: (
                -pair[0],
                -1 if pair[2].confidence is None else -pair[2].confidence,
                pair[2].order,
                pair[1].order,
            )
        )
        self.match: dict[Object, tuple[Object, float]] = {}
        self.displayed: dict[Object, tuple[Object, float]] = {}
        self._walk(self.match, self.correct, set())
        self._walk(
            self.displayed,
            lambda _, prediction: prediction not in self.match,
            {truth for truth, _ in self.match.values()},
        )

    def correct(self, truth: Object, prediction: Object) -> bool:
        """Whether the labels are equal or listed."""
        return truth.label == prediction.label or (truth.label, prediction.label) in self.listed

    def _walk(self, into, allowed, taken) -> None:
        for value, truth, prediction in self.pairs:
            if allowed(truth, prediction) and truth not in taken and prediction not in into:
                into[prediction] = (truth, value)
                taken.add(truth)

    def hits(self, threshold: float) -> dict[Object, Object]:
        """True positives and what they found."""
        return {prediction: truth for prediction, (truth, value) in self.match.items() if value >= threshold}

    def counts(self, threshold: float) -> tuple[int, int, int]:
        """True positives, false positives, false negatives."""
        hits = len(self.hits(threshold))
        return hits, len(self.found) - hits, len(self.truths) - hits

    def confusion(self, threshold: float) -> Counter[tuple[str, str]]:
        """Count cells by (ground truth, prediction) label."""
        cells: Counter[tuple[str, str]] = Counter()
        seen = set()
        for prediction in self.found:
            truth, value = self.match.get(prediction) or self.displayed.get(prediction) or (None, 0.0)
            if truth is None or value < threshold:
                cells[BACKGROUND, prediction.label] += 1
            else:
                cells[truth.label, prediction.label] += 1
                seen.add(truth)
        cells.update((truth.label, BACKGROUND) for truth in self.truths if truth not in seen)
        return cells

    def tide(self, threshold: float, background: float) -> dict[str, int]:
        """Count the kinds of TIDE, on this match."""
        hits = self.hits(threshold)
        kinds: Counter[str] = Counter()
        pointed_at = set(hits.values())
        best: dict[tuple[Object, bool], tuple[float, Object]] = {}
        for value, truth, prediction in sorted(self.pairs, key=lambda pair: pair[1].order):
            key = prediction, self.correct(truth, prediction)
            if value > best.get(key, (0.0, None))[0]:
                best[key] = value, truth
        for prediction in self.found:
            correct, own = best.get((prediction, True), (0.0, None))
            incorrect, other = best.get((prediction, False), (0.0, None))
            if prediction in hits:
                kind = "truePositive"
            elif background <= correct < threshold:
                kind = "localization"
                pointed_at.add(own)
            elif incorrect >= threshold:
                kind = "classification"
                pointed_at.add(other)
            elif correct >= threshold:
                kind = "duplicate"
            elif correct <= background and incorrect <= background:
                kind = "background"
            else:
                kind = "both"
            kinds[kind] += 1
        kinds["missed"] = sum(truth not in pointed_at for truth in self.truths)
        return {kind: kinds[kind] for kind in KINDS}

    def above(self, confidence: float) -> Literal:
        """Match what is left above a confidence."""
        left = [one for one in self.found if one.confidence is not None and one.confidence >= confidence]
        return Literal(self.truths, left, self.listed)

    def best_f1(self, threshold: float) -> tuple[float, float]:
        """Return the best F1 over all confidences, and the highest confidence that gives it."""
        # Pairs below the threshold come after all others, and take nothing from them.
        pairs = [pair for pair in self.pairs if pair[0] >= threshold and self.correct(*pair[1:])]
        levels = sorted(one.confidence for one in self.found if one.confidence is not None)
        best = (0.0, 0.0)
        for level in dict.fromkeys(levels):
            taken: set[Object] = set()
            for _, truth, prediction in pairs:
                if prediction.confidence is not None and prediction.confidence >= level:
                    taken |= {truth, prediction} if not taken & {truth, prediction} else set()
            kept = sum(other >= level for other in levels)
            best = max(best, (len(taken) / (kept + len(self.truths)), level))
        return best
