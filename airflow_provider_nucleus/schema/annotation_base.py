"""The base of everything that stands on an item: how one kind of annotation is written, parsed and read.

A shape is a mixin without fields of its own; the classes that add the fields live in `annotations` and `predictions`, because
the official client orders their arguments differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object, trusted
from airflow_provider_nucleus.schema.checks import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Shape"]


class Shape:
    """One kind of annotation on the wire."""

    type: ClassVar[str]
    """The value of `type` on the wire."""

    geometry_fields: ClassVar[tuple[str, ...]] = ()
    """Arguments that travel inside `geometry`."""

    wire_keys: ClassVar[Mapping[str, str]]
    """Key on the wire to argument, without `type` and `geometry`."""

    read_only_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that are understood but carry nothing to keep."""

    has_geometry: ClassVar[bool] = True

    null_metadata: ClassVar[bool] = False
    """True when unset metadata is null on the wire instead of `{}`."""

    if TYPE_CHECKING:
        label: Any
        reference_id: Any
        annotation_id: Any
        metadata: Any
        track_reference_id: Any
        task_id: Any

    def to_wire(self) -> dict[str, Any]:
        """Spell the object exactly as the official client sends it: same keys, same order, same nulls."""
        return {
            "label": self.label,
            "type": self.type,
            "geometry": self._geometry(),
            "reference_id": self.reference_id,
            "annotation_id": self.annotation_id,
            "metadata": self.metadata,
            "track_reference_id": self.track_reference_id,
            "task_id": self.task_id,
        }

    def _geometry(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _read_geometry(cls, geometry: Mapping[str, Any]) -> dict[str, Any]:
        """Read the geometry a server returned into arguments, requiring only what the official client requires."""
        return dict.fromkeys(cls.geometry_fields) if geometry is not None else {}

    @classmethod
    def arguments(cls, payload: Mapping[str, Any], *, ignore_unknown: bool = False) -> dict[str, Any]:
        """Take a wire object apart into constructor arguments; unknown keys are an error unless ignored."""
        taken: dict[str, Any] = {}
        for key, value in payload.items():
            argument = cls.wire_keys.get(key)
            if argument is not None:
                if value is not None or argument not in taken:
                    taken[argument] = value
            elif key == "geometry":
                cls._take_geometry(value, taken, ignore_unknown=ignore_unknown)
            elif key != "type" and key not in cls.read_only_keys and not ignore_unknown:
                raise NucleusValidationError(str(key), f"is not a field of {cls.described()}")
        return taken

    @classmethod
    def _take_geometry(cls, value: object, taken: dict[str, Any], *, ignore_unknown: bool) -> None:
        if value is None and not cls.geometry_fields:
            return
        if not isinstance(value, dict):
            raise NucleusValidationError("geometry", f"must be an object, got {excerpt(value)}")
        for key, member in value.items():
            if key in cls.geometry_fields:
                taken[key] = member
            elif not ignore_unknown:
                raise NucleusValidationError(f"geometry.{key}", f"is not a field of {cls.described()}")

    @classmethod
    def parse(cls, payload: object, *, ignore_unknown: bool = False) -> Self:
        """Validate one wire object and build it; NucleusValidationError names the key, e.g. `geometry.width`."""
        arguments = cls.arguments(require_object(payload, cls.described()), ignore_unknown=ignore_unknown)
        try:
            return cls(**arguments)
        except NucleusValidationError as error:
            raise cls._placed(error) from None

    @classmethod
    def _placed(cls, error: NucleusValidationError) -> NucleusValidationError:
        """Name the key of the wire instead of the argument."""
        first, dot, rest = error.field.partition(".")
        if first in cls.geometry_fields:
            return NucleusValidationError(f"geometry.{first}{dot}{rest}", error.reason)
        return error

    @classmethod
    def from_wire(cls, payload: object) -> Self:
        """Read an object a server returned: only its shape is checked, unknown keys are ignored.

        Raises NucleusValidationError when a key the object cannot do without is missing.
        """
        members = require_object(payload, cls.described())
        values = cls._read(members)
        geometry = members.get("geometry") if cls.has_geometry else None
        try:
            values |= cls._read_geometry(geometry if isinstance(geometry, dict) else {})
        except NucleusValidationError as error:
            raise cls._placed(error) from None
        return trusted(cls, cls._complete(values))

    @classmethod
    def _read(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, argument in cls.wire_keys.items():
            value = members.get(key)
            if value is not None or argument not in values:
                values[argument] = value
        if not cls.null_metadata and "metadata" in values:
            values["metadata"] = values["metadata"] or {}
        return values

    @classmethod
    def _complete(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put values in the order of the fields, so that objects read back print and compare like built ones."""
        fields = cls.__dataclass_fields__  # type: ignore[attr-defined]
        return {name: values.get(name) for name in fields}

    @classmethod
    def described(cls) -> str:
        """Name the kind of object for a message: `a box annotation`."""
        return f"a {cls.type} object"
