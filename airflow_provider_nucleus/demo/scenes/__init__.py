"""A small renderer of yards and loading docks, which knows exactly what it drew and where."""

from __future__ import annotations

from airflow_provider_nucleus.demo.scenes.scene import (
    LABELS,
    RenderedScene,
    TruthBox,
    render_scene,
    render_scenes,
)

__all__ = ["LABELS", "RenderedScene", "TruthBox", "render_scene", "render_scenes"]
