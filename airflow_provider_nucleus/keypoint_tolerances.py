"""Tolerances of keypoints (sigmas) in object keypoint similarity: the published ones, by skeleton, and which apply to given keypoints.

Chosen ones come first: a skeleton by name, or one number for each keypoint in the order of the objects' lists. Without a choice, keypoints
that have the names of a skeleton have its tolerances; 17, 14 and 133 keypoints of other names, or of none, have those of COCO's person,
of CrowdPose and of COCO-WholeBody by position, as COCO's tools do; else each has that of its name in COCO's person, or 0.05, about
COCO's mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "SKELETONS",
    "UNIFORM_SIGMA",
    "ChosenSigmas",
    "Skeleton",
    "Tolerances",
    "parse_sigmas",
    "tolerances_of",
]

ChosenSigmas: TypeAlias = str | tuple[float, ...]
"""The name of a skeleton, or a tolerance for each keypoint."""

UNIFORM_SIGMA: Final = 0.05

_LEAST, _MOST = 1e-6, 1e6
"""Between these no square of a tolerance is lost."""

_BODY: Final = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_HAND: Final = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.02,
    0.019, 0.022, 0.031,
)  # fmt: skip
_FOOT: Final = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE: Final = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045, 0.013,
    0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015, 0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010,
    0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034, 0.008, 0.008, 0.009, 0.008, 0.008, 0.007,
    0.010, 0.008, 0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.01, 0.008,
)  # fmt: skip


def _tenths(*values: float) -> tuple[float, ...]:
    """Round the way the published code does."""
    return tuple(value / 10.0 for value in values)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A published list of keypoints: its title, its tolerances in order, and its names where they are fixed."""

    title: str
    sigmas: tuple[float, ...]
    names: tuple[str, ...] = ()


SKELETONS: Final[dict[str, Skeleton]] = {
    "coco": Skeleton(
        "COCO's person",
        _tenths(0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89),
        _BODY,
    ),
    "crowdpose": Skeleton(
        "CrowdPose",
        _tenths(0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79),
        (*_BODY[5:], "head", "neck"),
    ),
    "coco-wholebody": Skeleton(
        "COCO-WholeBody",
        (*_tenths(0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89),
         *_FOOT, *_FACE, *_HAND, *_HAND),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The tolerance of each keypoint, and where they come from, as part of a sentence; *guessed* where nobody published or chose them."""

    sigmas: tuple[float, ...]
    origin: str
    guessed: bool = False


def tolerances_of(names: Sequence[str], chosen: ChosenSigmas | None = None) -> Tolerances:
    """Return the tolerances of keypoints by their names, in the order of the objects' lists; positions are names, too.

    Raises ValueError when there are more or fewer chosen tolerances than keypoints.
    """
    plain = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names]
    named = {key: one for key, one in SKELETONS.items() if one.names and set(plain) == set(one.names)}
    if chosen is not None:
        skeleton = SKELETONS[chosen] if isinstance(chosen, str) else None
        sigmas = skeleton.sigmas if skeleton else chosen
        assert not isinstance(sigmas, str)
        if len(sigmas) != len(names):
            raise ValueError(
                f"keypoint_sigmas has {len(sigmas)} tolerances, and objects have {len(names)} keypoints: give one for each"
            )
        if skeleton and chosen in named:
            return _by_name(plain, skeleton)
        return Tolerances(tuple(sigmas), skeleton.title if skeleton else "keypoint_sigmas")
    if named:
        return _by_name(plain, next(iter(named.values())))
    for skeleton in SKELETONS.values():
        if len(skeleton.sigmas) == len(names):
            positions = plain == [str(position) for position in range(len(plain))]
            return Tolerances(skeleton.sigmas, f"{skeleton.title}, by position", guessed=not positions)
    known = dict(zip(_BODY, SKELETONS["coco"].sigmas, strict=True))
    sigmas = tuple(known.get(name, UNIFORM_SIGMA) for name in plain)
    return Tolerances(
        sigmas,
        f"those of COCO's person by name, {UNIFORM_SIGMA} for other names",
        guessed=not set(plain) <= known.keys(),
    )


def _by_name(names: Sequence[str], skeleton: Skeleton) -> Tolerances:
    known = dict(zip(skeleton.names, skeleton.sigmas, strict=True))
    return Tolerances(tuple(known[name] for name in names), skeleton.title)


def parse_sigmas(value: Any) -> ChosenSigmas:
    """Read a choice: the name of a skeleton, or a list of positive numbers (also as text, `0.05, 0.1`); raises ValueError."""
    wanted = f"keypoint_sigmas must be {', '.join(SKELETONS)}, or a list of positive numbers, one for each keypoint, from 1e-6 to 1e6"
    if isinstance(value, str):
        if value.strip().lower() in SKELETONS:
            return value.strip().lower()
        try:
            value = [float(part) for part in value.strip("[]() ").split(",")]
        except ValueError:
            raise ValueError(f"{wanted}, got {value!r}") from None
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(type(one) in {int, float} and _LEAST <= one <= _MOST for one in value)
    ):
        raise ValueError(f"{wanted}, got {value!r}")
    return tuple(float(one) for one in value)
