"""A small renderer of yards and loading docks, with exact ground truth of what it drew."""

from __future__ import annotations

from airflow_provider_nucleus.demo.scenes.scene import (
    LABELS,
    RenderedScene,
    TruthBox,
    render_scene,
    render_scenes,
)

__all__ = ["LABELS", "RenderedScene", "TruthBox", "render_scene", "render_scenes"]
