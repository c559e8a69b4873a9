"""Metadata of the provider, which every process of Airflow reads: literals, and nothing that would have to be imported for them."""

from __future__ import annotations

from typing import Any

from airflow_provider_nucleus import __version__
from airflow_provider_nucleus.hooks.connection_form import (
    CONN_FIELDS,
    CONN_NAME,
    CONN_TYPE,
    UI_FIELD_BEHAVIOUR,
)

__all__ = ["get_provider_info"]

PACKAGE = "airflow-provider-nucleus"
INTEGRATION = "Scale Nucleus"
ASSET_URIS = [
    {
        "schemes": ["nucleus"],
        "handler": "airflow_provider_nucleus.assets.uris.normalize_uri",
        "factory": "airflow_provider_nucleus.assets.factories.create_asset",
        "to_openlineage_converter": "airflow_provider_nucleus.assets.lineage.to_openlineage",
    }
]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in the shape of Airflow's `provider_info.schema.json`."""
    return {
        "package-name": PACKAGE,
        "name": INTEGRATION,
        "description": (
            "Upload ground truth and predictions to `Scale Nucleus <https://nucleus.scale.com/>`__ or to the "
            "embedded Nucleus of this package, calculate metrics and compare models."
        ),
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://docs.nucleus.scale.com/",
                "tags": ["service"],
            }
        ],
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "airflow_provider_nucleus.hooks.nucleus.NucleusHook",
                "hook-name": CONN_NAME,
                "conn-fields": CONN_FIELDS,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
            }
        ],
        "hooks": [
            {"integration-name": INTEGRATION, "python-modules": ["airflow_provider_nucleus.hooks.nucleus"]},
        ],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "airflow_provider_nucleus.operators.approval",
                    "airflow_provider_nucleus.operators.datasets",
                    "airflow_provider_nucleus.operators.evaluations",
                    "airflow_provider_nucleus.operators.gate",
                    "airflow_provider_nucleus.operators.items",
                    "airflow_provider_nucleus.operators.metrics",
                    "airflow_provider_nucleus.operators.models",
                    "airflow_provider_nucleus.operators.operating_points",
                    "airflow_provider_nucleus.operators.promotion",
                    "airflow_provider_nucleus.operators.report",
                    "airflow_provider_nucleus.operators.slices",
                    "airflow_provider_nucleus.operators.uploads",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "airflow_provider_nucleus.sensors.evaluation",
                    "airflow_provider_nucleus.sensors.job",
                ],
            },
        ],
        "triggers": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "airflow_provider_nucleus.triggers.evaluation",
                    "airflow_provider_nucleus.triggers.job",
                ],
            },
        ],
        "notifications": ["airflow_provider_nucleus.notifications.verdict.NucleusVerdictNotifier"],
        "asset-uris": ASSET_URIS,
        "dataset-uris": ASSET_URIS,  # Airflow 2.11
        "cli": ["airflow_provider_nucleus.cli.airflow_commands.get_commands"],
        "extra-links": [
            "airflow_provider_nucleus.links.nucleus.NucleusDatasetLink",
            "airflow_provider_nucleus.links.nucleus.NucleusModelLink",
            "airflow_provider_nucleus.links.nucleus.NucleusJobLink",
            "airflow_provider_nucleus.links.nucleus.NucleusEvaluationLink",
            "airflow_provider_nucleus.links.nucleus.NucleusReportLink",
        ],
    }
