"""Directed pairs of labels in AP: the one label under which a prediction is ranked, where there is one.

COCO matches and ranks label by label. A prediction that may be right about ground truth of one label only is ranked under
that label, which is the rule itself. One that may be right about several (`van` about `bus` by a pair and about `van`
by itself) has no single place in the order of confidence, and AP is then not defined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["RankedLabels", "ranked_labels"]


@dataclass(frozen=True, slots=True)
class RankedLabels:
    """Predicted labels that are ranked under another one, and why there is no AP (None: there is)."""

    under: Mapping[str, str]
    reason: str | None = None


def ranked_labels(
    pairs: Iterable[tuple[str, str]], *, truth: Collection[str], predicted: Collection[str]
) -> RankedLabels:
    """Find the labels of predictions, given pairs (ground truth label, predicted label) and the labels of both sides."""
    correct = {label: {label} & set(truth) for label in predicted}
    for truth_label, label in pairs:
        if label in correct and truth_label in truth:
            correct[label].add(truth_label)
    for label, labels in sorted(correct.items()):
        if len(labels) > 1:
            named = ", ".join(map(repr, sorted(labels)))
            return RankedLabels(
                {},
                f"predictions of {label!r} may be right about ground truth of {named}, so that they have no one label to be "
                "ranked under: AP and TIDE's prices are not defined; group these labels with rollup_groups instead",
            )
    return RankedLabels({
        label: labels.pop() for label, labels in correct.items() if labels and label not in labels
    })
