"""Scale's cloud: its addresses, as literals that cost nothing to import."""

from __future__ import annotations

from typing import Final

__all__ = ["API_PATH", "CLOUD_DASHBOARD", "CLOUD_ENDPOINT", "CLOUD_HOST", "is_scale"]

API_PATH: Final = "/v1/nucleus"
CLOUD_HOST: Final = "api.scale.com"
CLOUD_ENDPOINT: Final = f"https://{CLOUD_HOST}{API_PATH}"
CLOUD_DASHBOARD: Final = "https://dashboard.scale.com/nucleus"


def is_scale(host: str) -> bool:
    """Return whether a host is one of Scale's own."""
    return host == "scale.com" or host.endswith(".scale.com")
