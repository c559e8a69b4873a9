"""The snippet of docs/evaluation.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evaluation.md"


def test_the_snippet_of_the_guide_runs_and_gives_the_numbers_beside_it():
    """The guide's code is executed as it stands; its comments are the expected values."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    lines = code.strip().splitlines()
    scope: dict = {}
    exec("\n".join(lines[:-2]), scope)

    values = [eval(line.split("#")[0], scope) for line in lines[-2:]]

    assert values == [pytest.approx(0.9), 1]
