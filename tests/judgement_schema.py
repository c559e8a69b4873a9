"""The published schema of `metrics.json`; `python -m tests.judgement_schema` writes it anew from the types."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_nucleus.reporting.document import judgement_schema

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "docs" / "schemas" / "nucleus-verdict-1.json"


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(judgement_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
