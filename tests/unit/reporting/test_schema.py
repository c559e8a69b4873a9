"""The schema of metrics.json is published, is what the types say, and every document keeps it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from airflow_provider_nucleus.gating.verdict import VERDICT_SCHEMA
from airflow_provider_nucleus.reporting.document import metrics_json, missing_judgement, report_document
from airflow_provider_nucleus.reporting.extras import Extras
from tests.judgement_schema import SCHEMA_FILE, schema_text
from tests.judgements import extras, judgement

SCHEMA = json.loads(SCHEMA_FILE.read_text())


def test_the_published_schema_is_that_of_the_types():
    """`python -m tests.judgement_schema` writes it anew; a member that is gone or means something else needs a new version."""
    assert schema_text() == SCHEMA_FILE.read_text()


@pytest.mark.parametrize(
    ("given", "more"),
    [
        (judgement(), extras()),
        (judgement(labels=20, hostile=True), extras(hostile=True)),
        (missing_judgement("no"), Extras()),
    ],
    ids=["ten labels", "hostile", "no judgement"],
)
def test_documents_keep_the_schema(given, more):
    """Everything that is written is described."""
    document = json.loads(metrics_json(report_document(given, more)))

    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["schema"] == VERDICT_SCHEMA == SCHEMA["$id"]


@pytest.mark.parametrize(
    "change",
    [{"schema": "nucleus-verdict/2"}, {"verdict": None}, {"extras": {"changed": [{"kind": "unknown"}]}}],
)
def test_other_documents_do_not(change):
    """The schema says no where it should."""
    document = json.loads(metrics_json(report_document(judgement(), extras()))) | change

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
