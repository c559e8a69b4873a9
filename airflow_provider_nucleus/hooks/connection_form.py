"""The connection form of a Nucleus connection, written once.

`get_provider_info` hands this to Airflow 3.2 and later, which draws the form from it; `NucleusHook`'s legacy
form methods are generated from it for older ones. Literals only, for every process of Airflow reads this.
"""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_nucleus.cloud import CLOUD_ENDPOINT

__all__ = [
    "CONN_FIELDS",
    "CONN_NAME",
    "CONN_TYPE",
    "DEFAULT_CONN_ID",
    "DEFAULT_TIMEOUT_SECONDS",
    "UI_FIELD_BEHAVIOUR",
    "legacy_field_behaviour",
    "legacy_form_widgets",
]

CONN_TYPE: Final = "nucleus"
CONN_NAME: Final = "Scale Nucleus"
DEFAULT_CONN_ID: Final = "nucleus_default"
DEFAULT_TIMEOUT_SECONDS: Final = 120

CONN_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "endpoint": {
        "label": "Endpoint",
        "description": (
            "Base URL of the API, with its path. Scale's cloud when empty; an embedded Nucleus is usually "
            "http://127.0.0.1:8787/v1/nucleus."
        ),
        "schema": {"type": ["string", "null"], "default": CLOUD_ENDPOINT},
    },
    "public_url": {
        "label": "Public URL",
        "description": (
            "Where people's browsers reach the pages that tasks link to, when that is not the endpoint: "
            "https://nucleus.example.com. The endpoint's own address, or Scale's dashboard, when empty."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "limited_access_key": {
        "label": "Limited access key",
        "description": "Sent instead of an API key; leave the API key empty when this is set.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "verify_tls": {
        "label": "Verify TLS certificate",
        "description": "Switch off only for a test server whose certificate cannot be verified.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "ca_bundle": {
        "label": "Certificate authorities (path)",
        "description": (
            "PEM file, or folder of them, of the authorities to trust instead of those of the environment; at the same place on "
            "all workers and triggerers."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "Longest wait for one answer of the server, in seconds.",
        "schema": {"type": ["number", "null"], "default": DEFAULT_TIMEOUT_SECONDS, "minimum": 1},
    },
}
"""Fields stored in the connection's extra, by name, in the order the form shows them."""

UI_FIELD_BEHAVIOUR: Final[dict[str, Any]] = {
    "hidden-fields": ["host", "port", "login", "schema", "extra"],
    "relabeling": {"password": "API key"},
    "placeholders": {
        "password": "live_... or the key printed by nucleus-local serve",
        "endpoint": CLOUD_ENDPOINT,
        "timeout": str(DEFAULT_TIMEOUT_SECONDS),
    },
}
"""Treatment of Airflow's own connection fields: hidden, renamed, filled with an example."""


def legacy_field_behaviour() -> dict[str, Any]:
    """Return `UI_FIELD_BEHAVIOUR` as `get_ui_field_behaviour` must answer it before Airflow 3.2."""
    return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}


def legacy_form_widgets() -> dict[str, Any]:
    """Return `CONN_FIELDS` as WTForms fields, as `get_connection_form_widgets` must answer it before 3.2.

    Raises ImportError where Flask-AppBuilder is not installed; only a webserver old enough to have it calls this.
    """
    import wtforms  # type: ignore[import-untyped]
    from wtforms.validators import Optional  # type: ignore[import-untyped]

    def widget(field: dict[str, Any]) -> Any:
        schema = field["schema"]
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if schema.get("format") == "password":
            make: Any = wtforms.PasswordField
        elif "boolean" in kinds:
            make = wtforms.BooleanField
        elif "number" in kinds:
            make = wtforms.IntegerField  # the only number these forms may hold
        else:
            make = wtforms.StringField
        return make(
            field["label"],
            validators=[Optional()],
            description=field["description"],
            default=schema.get("default"),
        )

    return {name: widget(field) for name, field in CONN_FIELDS.items()}
