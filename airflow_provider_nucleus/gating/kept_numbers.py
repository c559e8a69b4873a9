"""Numbers as a baseline record keeps them: without matches and charts, with 9 significant digits, so that a retry finds its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_nucleus.gating.measurement import Measurement, Numbers

__all__ = ["kept", "rounded"]

_DIGITS: Final = 9


def kept(measurement: Measurement) -> Measurement:
    """Return what is kept of a measurement."""
    return measurement.model_copy(
        update={
            "matches": None,
            "details": {},
            "overall": _rounded(measurement.overall),
            "per_label": _all_rounded(measurement.per_label),
            "slices": {key: _all_rounded(values) for key, values in measurement.slices.items()},
        }
    )


def rounded(value: float | None) -> float | int | None:
    """Return a number as a record has it: whole, or with 9 significant digits."""
    if value is None:
        return None
    return int(value) if value == int(value) else float(f"{value:.{_DIGITS}g}")


def _rounded(numbers: Numbers) -> Numbers:
    return numbers.model_copy(
        update={"values": {name: rounded(value) for name, value in numbers.values.items()}}
    )


def _all_rounded(rows: Mapping[str, Numbers]) -> dict[str, Numbers]:
    return {name: _rounded(numbers) for name, numbers in rows.items()}
