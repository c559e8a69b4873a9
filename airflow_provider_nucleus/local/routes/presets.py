"""Routes of evaluation presets (contract section 2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_nucleus.local.requests.benchmarks import CreatePresetRequest, UpdatePresetRequest
from airflow_provider_nucleus.local.routes.routing import RouteTable
from airflow_provider_nucleus.local.store.catalog import presets

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.call import RouteCall

__all__ = ["ROUTES"]

ROUTES: Final = RouteTable()


@ROUTES.get("evaluationV2Presets")
def listing(call: RouteCall) -> Any:
    """List all presets."""
    with call.db.read() as cursor:
        return [preset.to_wire() for preset in presets.listing(cursor)]


@ROUTES.post("evaluationV2Presets", body=CreatePresetRequest)
def create(call: RouteCall, request: CreatePresetRequest) -> Any:
    """Keep a preset."""
    with call.db.write() as cursor:
        return presets.create(cursor, request.values).to_wire()


@ROUTES.patch("evaluationV2Presets/{p}", body=UpdatePresetRequest)
def update(call: RouteCall, request: UpdatePresetRequest) -> Any:
    """Change a preset."""
    with call.db.write() as cursor:
        return presets.update(cursor, presets.find(cursor, call.params["p"]), request.values).to_wire()


@ROUTES.delete("evaluationV2Presets/{p}")
def delete(call: RouteCall) -> Any:
    """Delete a preset."""
    with call.db.write() as cursor:
        presets.delete(cursor, presets.find(cursor, call.params["p"]))
    return {}
