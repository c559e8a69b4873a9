"""Detections, and the calibration of the camera they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CameraCalibration", "Detection"]


@dataclass(frozen=True)
class CameraCalibration:
    """Measurements of a fixed camera as it is mounted; they hold for every frame.

    *horizon* is the picture row (pixels) at which the ground vanishes, *per_metre* the growth of the scale: a metre
    on the ground that is seen at row v is `(v - horizon) * per_metre` pixels wide. No object reaches above row *top*,
    and none stands further away than row *floor*, where the ground begins.
    """

    horizon: float
    per_metre: float
    top: int
    floor: int

    def pixels_per_metre(self, row: float) -> float:
        """Return the scale at the given row of ground, in pixels per metre."""
        return max(row - self.horizon, 1.0) * self.per_metre


@dataclass(frozen=True)
class Detection:
    """One found object, in pixels; *class_pdf* sums to 1 and *label* is its mode; *confidence* is 0-1."""

    label: str
    x: float
    y: float
    width: float
    height: float
    confidence: float
    class_pdf: dict[str, float] = field(default_factory=dict)
