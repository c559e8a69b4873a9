"""The four kinds of light in which the scenes are drawn. Colours are linear RGB, directions unit vectors."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_nucleus.demo.scenes.geometry import Colour, srgb

__all__ = ["WEATHERS", "Weather"]


@dataclass(frozen=True)
class Weather:
    """Everything that differs between day, dusk, night and fog.

    *sun* points towards the sun. *fog* is the extinction per metre. *lamps* and *headlights* are strengths (0 = off).
    *noise* is the standard deviation of the sensor noise in grey levels of 0-255.
    """

    name: str
    clock: str
    sun: tuple[float, float, float]
    sun_colour: Colour
    sky_light: Colour
    ground_light: Colour
    zenith: Colour
    horizon: Colour
    fog: float
    lamps: float
    headlights: float
    exposure: float
    noise: float
    shadow_softness: float


WEATHERS: tuple[Weather, ...] = (
    Weather(
        name="day",
        clock="11:20",
        sun=(-0.52, -0.42, 0.744),
        sun_colour=(2.5, 2.35, 2.1),
        sky_light=(0.62, 0.74, 0.95),
        ground_light=(0.36, 0.35, 0.33),
        zenith=srgb(84, 138, 204),
        horizon=srgb(196, 214, 230),
        fog=0.0012,
        lamps=0.0,
        headlights=0.0,
        exposure=0.92,
        noise=1.6,
        shadow_softness=0.8,
    ),
    Weather(
        name="dusk",
        clock="18:45",
        sun=(0.86, 0.34, 0.38),
        sun_colour=(2.3, 1.2, 0.55),
        sky_light=(0.34, 0.32, 0.48),
        ground_light=(0.2, 0.16, 0.15),
        zenith=srgb(62, 74, 124),
        horizon=srgb(250, 168, 104),
        fog=0.003,
        lamps=0.35,
        headlights=1.0,
        exposure=1.0,
        noise=2.2,
        shadow_softness=1.2,
    ),
    Weather(
        name="night",
        clock="22:30",
        sun=(0.0, 0.0, 1.0),
        sun_colour=(0.0, 0.0, 0.0),
        sky_light=(0.05, 0.06, 0.1),
        ground_light=(0.02, 0.02, 0.025),
        zenith=srgb(8, 11, 24),
        horizon=srgb(26, 30, 48),
        fog=0.002,
        lamps=1.0,
        headlights=1.6,
        exposure=1.25,
        noise=3.6,
        shadow_softness=1.0,
    ),
    Weather(
        name="fog",
        clock="06:55",
        sun=(0.0, 0.0, 1.0),
        sun_colour=(0.0, 0.0, 0.0),
        sky_light=(0.95, 1.0, 1.05),
        ground_light=(0.42, 0.43, 0.44),
        zenith=srgb(176, 181, 186),
        horizon=srgb(188, 192, 196),
        fog=0.042,
        lamps=0.25,
        headlights=0.9,
        exposure=1.0,
        noise=1.8,
        shadow_softness=1.0,
    ),
)
"""In the order in which the batch was recorded, one block of frames each."""
