"""What Airflow itself says about this provider: listing, connection form, connection test."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_nucleus.get_provider_info import get_provider_info
from tests.airflow.harness import PrivateAirflow, connection_json

KEY = "live_0123456789abcdef"


def test_airflow_lists_the_provider(private_airflow: PrivateAirflow) -> None:
    """`airflow providers list` shows the distribution by its name."""
    done = private_airflow.cli("providers", "list", "--output", "json")

    assert done.returncode == 0, done.stderr
    providers = {row["package_name"]: row for row in json.loads(done.stdout)}
    assert "airflow-provider-nucleus" in providers


def test_provider_info_names_only_what_exists() -> None:
    """Every module and class of the provider info can be imported."""
    info = get_provider_info()
    classes = [*info["extra-links"], *(row["hook-class-name"] for row in info["connection-types"])]
    for path in classes:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)


@pytest.fixture(scope="module")
def inside(private_airflow: PrivateAirflow) -> dict[str, Any]:
    """What an Airflow process says about the provider, with every warning an error while the hook is imported."""
    script = """
import json, pathlib, warnings
import airflow, jsonschema
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.providers_manager import ProvidersManager
from airflow_provider_nucleus.get_provider_info import get_provider_info

root = pathlib.Path(airflow.__file__).parent
info = get_provider_info()
jsonschema.validate(info, json.loads((root / "provider_info.schema.json").read_text()))
strict = json.loads((root / "provider.yaml.schema.json").read_text())["properties"]["connection-types"]
jsonschema.validate(info["connection-types"], strict)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    hook = ProvidersManager().hooks["nucleus"]
meta = next(m for m in HookMetaService.hook_meta_data() if m.connection_type == "nucleus")
print("ANSWER " + json.dumps({
    "hook": hook and hook.hook_class_name,
    "warnings": [str(w.message) for w in caught if "nucleus" in str(w.message).lower()],
    "form": meta.model_dump(mode="json"),
}))
"""
    printed = _python(private_airflow, script)
    return json.loads(next(line for line in printed.splitlines() if line.startswith("ANSWER "))[7:])


def test_connection_form_shows_labelled_fields(inside: dict[str, Any]) -> None:
    """The form that the interface draws has our fields with their labels, and the API key as a password."""
    form = inside["form"]
    standard, extra = form["standard_fields"], form["extra_fields"]

    assert form["hook_name"] == "Scale Nucleus"
    assert standard["password"]["title"] == "API key"
    assert all(standard[name]["hidden"] for name in ("host", "port", "login", "url_schema"))
    assert {"endpoint", "public_url", "limited_access_key", "verify_tls", "ca_bundle", "timeout"} == set(
        extra
    )
    assert extra["endpoint"]["schema"]["title"] == "Endpoint"
    assert extra["limited_access_key"]["schema"]["format"] == "password"
    assert "boolean" in extra["verify_tls"]["schema"]["type"]


def test_declarative_form_leaves_legacy_methods_alone(inside: dict[str, Any]) -> None:
    """The hook is found, and nothing about it is deprecated."""
    assert inside["hook"] == "airflow_provider_nucleus.hooks.nucleus.NucleusHook"
    assert inside["warnings"] == []


def _python(airflow: PrivateAirflow, script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=airflow.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _test_connection(airflow: PrivateAirflow, connection: str) -> subprocess.CompletedProcess[str]:
    return airflow.cli("connections", "test", "probe", env={"AIRFLOW_CONN_PROBE": connection})


def test_good_connection(private_airflow: PrivateAirflow, nucleus: Any) -> None:
    """A right key on a running server passes."""
    done = _test_connection(private_airflow, connection_json(endpoint=nucleus.url, api_key=nucleus.api_key))

    assert done.returncode == 0, done.stdout
    assert "Connection success" in done.stdout


def test_bad_connection_says_what_to_do(private_airflow: PrivateAirflow, nucleus: Any) -> None:
    """A wrong key fails with the address that was tried and the remedy; the key never appears."""
    done = _test_connection(private_airflow, connection_json(endpoint=nucleus.url, api_key=KEY))

    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    for part in ("'probe'", "401", "API key"):
        assert part in text
    assert KEY not in done.stdout + done.stderr


def test_lost_endpoint_is_refused_by_name(private_airflow: PrivateAirflow) -> None:
    """A name that nobody knows is no way to Scale's cloud."""
    connection = json.dumps({"conn_type": "nucleus", "password": KEY, "extra": {"base_url": "http://h/v1"}})
    done = _test_connection(private_airflow, connection)

    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    for part in ("'probe'", "base_url", "endpoint"):
        assert part in text
    assert KEY not in done.stdout + done.stderr
