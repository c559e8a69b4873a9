"""Path templates: `{name}` stands for one part of a path, `{name*}` for the rest of it, slashes included."""

from __future__ import annotations

import re

__all__ = ["template_pattern"]

_PARAMETER = re.compile(r"\{(\w+)(\*?)\}")


def template_pattern(template: str) -> re.Pattern[str]:
    """Return the expression that an undecoded path without its leading slash must match.

    A slash at the end is optional where the template has one, and wrong elsewhere.
    """
    parts: list[str] = []
    last = 0
    for found in _PARAMETER.finditer(template):
        parts.extend((
            re.escape(template[last : found.start()]),
            f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})",
        ))
        last = found.end()
    parts.append(re.escape(template[last:].removesuffix("/")))
    return re.compile("".join(parts) + ("/?" if template.endswith("/") else ""))
