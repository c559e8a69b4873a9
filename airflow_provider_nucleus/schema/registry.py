"""The types of one side, ground truth or predictions, by their name on the wire: how a row becomes an object of its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.exceptions import NucleusValidationError
from airflow_provider_nucleus.schema.base import require_object
from airflow_provider_nucleus.schema.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Registry"]


@dataclass(frozen=True, slots=True)
class Registry:
    """The types of one side.

    `types` are the classes by name; `fast` builds the objects of some of them from plainly good rows (see `schema.fast`); `what`
    is how a message calls one object, with its article.
    """

    what: str
    types: Mapping[str, type[Any]]
    fast: Mapping[str, Callable[[Mapping[str, Any]], Any]]

    def parse(self, payload: Mapping[str, Any], *, ignore_unknown: bool = False) -> Any:
        """Validate one row that is about to be sent and build it, by its ``type``; NucleusValidationError names the key."""
        kind = self._pick(payload)
        build = self.fast.get(payload["type"])
        if build is not None and (built := build(payload)) is not None:
            return built
        return kind.parse(payload, ignore_unknown=ignore_unknown)

    def read(self, payload: object) -> Any:
        """Read one object a server returned; a type nobody knows is read as a mask, as the official client does."""
        members = require_object(payload, self.what)
        kind = self.types.get(str(members.get("type")), self.types["mask"])
        return kind.from_wire(members)

    def _pick(self, payload: object) -> type[Any]:
        members = require_object(payload, f"a row of {self.what.partition(' ')[2]}s")
        name = members.get("type")
        if name is None:
            raise NucleusValidationError("type", f"is missing; it is one of {', '.join(self.types)}")
        kind = self.types.get(name) if isinstance(name, str) else None
        if kind is None:
            raise NucleusValidationError("type", f"must be one of {', '.join(self.types)}, got {shown(name)}")
        return kind
