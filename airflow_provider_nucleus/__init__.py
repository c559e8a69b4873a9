"""Apache Airflow provider for Scale Nucleus, with an embedded Nucleus for laptops, CI and air-gapped sites."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
