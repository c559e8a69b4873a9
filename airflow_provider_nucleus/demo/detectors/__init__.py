"""Two detectors that look at pixels and nothing else, so that there is something honest to compare."""

from __future__ import annotations

from airflow_provider_nucleus.demo.detectors.detection import CameraCalibration, Detection
from airflow_provider_nucleus.demo.detectors.fixed import detect_fixed
from airflow_provider_nucleus.demo.detectors.relative import detect_relative

__all__ = ["CameraCalibration", "Detection", "detect_fixed", "detect_relative"]
