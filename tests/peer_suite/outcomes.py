"""The outcomes of the official client's own tests, and why some do not pass here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["HEADING", "TestOutcome", "read_outcomes", "section"]

HEADING: Final = "## The official client's own tests"

EXPLAINED: Final[tuple[tuple[str, str], ...]] = (
    (r"tests/validate/|cli/test_tests.py", "Validate answers 501"),
    (r"test_indexing.py", "indexing answers 501"),
    (
        r"get_(image|object)_indexing_status",
        "indexing: the numbers of a data set of upstream's account, which is indexed",
    ),
    (r"deduplicate_video_url", "the server decodes no videos"),
    (
        r"invalid_url_video_scene",
        "the images of frames are not fetched when a scene comes in, only those of items",
    ),
    (r"append_async_with_1_bad_url", "expects the deprecated status `Errored`; it is `Errored_Partial`"),
    (
        r"non_existent_taxonomy_category_gt_upload_async",
        "expects the deprecated status `Errored`; it is `Errored_Server`, as its twin for predictions expects",
    ),
    (r"slice_send_to_labeling", "the server has no labelling projects, and says so with 404"),
    (r"slice_create_and_delete_and_list", "expects objects where its own client returns ids"),
    (r"create_mp_with_tracks", "looks for a text in the result of a comparison"),
    (
        r"upload_embedding_async",
        "expects the job to be running still when it is asked for, which it need not be",
    ),
)
"""Pattern of a test's name, and why it does not pass."""


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What came of one test; `skips` is why upstream skips it, None if it does not."""

    __test__ = False

    test: str
    outcome: str
    reason: str
    skips: str | None

    @property
    def explanation(self) -> str | None:
        """Why it does not pass, None where that is not known."""
        for pattern, why in EXPLAINED:
            if re.search(pattern, self.test):
                return why
        return "upstream's own condition or expectation" if self.outcome in {"skipped", "xfailed"} else None

    @property
    def as_explained(self) -> bool:
        """True when it passes, or does not for a known reason."""
        return self.outcome == "passed" or self.explanation is not None


def read_outcomes(path: Path) -> list[TestOutcome]:
    """Read what the plugin wrote; the last line about a test counts, unless an earlier one says that it failed."""
    found: dict[str, TestOutcome] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        outcome = TestOutcome(entry["test"], entry["outcome"], entry["reason"], entry["skips"])
        if entry["test"] not in found or outcome.outcome == "failed":
            found[entry["test"]] = outcome
    return sorted(found.values(), key=lambda outcome: outcome.test)


def section(outcomes: Sequence[TestOutcome], release: str) -> str:
    """Return the section of docs/coverage.md about them."""
    passed = sum(outcome.outcome == "passed" for outcome in outcomes)
    skipped = [outcome for outcome in outcomes if outcome.skips is not None]
    ours = sum(outcome.outcome == "passed" for outcome in skipped)
    lines = [
        HEADING,
        "",
        f"`make peer-suite PEER=<checkout>` runs the tests of scale-nucleus {release} against a server of its own and rewrites this section.",
        f"{passed} of {len(outcomes)} pass; of the {len(skipped)} that upstream skips, {ours}. These do not:",
        "",
        "| Test | Skipped upstream | Why |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{outcome.test.removeprefix('tests/')}` | {'yes' if outcome.skips is not None else ''} | {outcome.explanation} |"
        for outcome in outcomes
        if outcome.outcome != "passed"
    ]
    return "\n".join(lines) + "\n"
