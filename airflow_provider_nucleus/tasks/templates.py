"""Templated arguments of a task: rendered so that no spelling is lost, then read by their kinds.

A DAG with `render_template_as_native_obj` has Airflow guess a type for every text: "0123" is kept, "1e5" becomes 100000.0 and "True"
a flag. So what is text by its kind is rendered as text there too; anything else keeps the native value unless that would be spelled
otherwise than the template wrote it.
"""

from __future__ import annotations

import time
from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2.nativetypes import NativeEnvironment

from airflow_provider_nucleus.exceptions import NucleusConfigError
from airflow_provider_nucleus.tasks.rendered_values import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk.definitions.context import render_template_to_string

    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["BEGUN", "TemplatedArguments"]

if not TYPE_CHECKING:
    try:
        from airflow.sdk.definitions.context import render_template_to_string
    except ImportError:  # Airflow < 3
        from airflow.utils.helpers import render_template_to_string

BEGUN = "_nucleus_begun"
"""Attribute of a task in a process that runs it, rather than shows it: since when, in seconds since the epoch."""

_GUESSED = (str, bytes, int, float, complex, list, tuple, dict, set, type(None))
"""Types that native rendering makes of text by itself; a value of any other was one before."""


class TemplatedArguments:
    """Mixin of operators and sensors, before Airflow's own base: `templated` says what each templated argument is."""

    templated: ClassVar[Mapping[str, ArgumentKind]] = {}

    @property
    def map_label(self) -> str:
        """The name of a mapped instance in the interface."""
        raise NotImplementedError

    @property
    def map_label_as_rendered(self) -> str:
        """The label in a form that the template engine of this task's DAG renders to the label."""
        dag: Any = getattr(self, "dag", None) if getattr(self, "has_dag", lambda: False)() else None
        # Native rendering reads any text that looks like a Python literal, a quoted text as what is between the quotes.
        return (
            repr(self.map_label) if getattr(dag, "render_template_as_native_obj", False) else self.map_label
        )

    def read_arguments(self) -> None:
        """Read every rendered argument by its kind; raises NucleusConfigError naming the first that is not what it should be.

        The first thing that a task does, and does again when it wakes up in another process.
        """
        task: Any = self
        if not hasattr(task, BEGUN):
            setattr(task, BEGUN, time.time())
        for name, kind in self.templated.items():
            try:
                value = kind.read(getattr(task, name))
            except ArgumentError as error:
                raise NucleusConfigError(
                    f"Task {task.task_id!r}: {name} {error}.",
                    conn_id=task.nucleus_conn_id if isinstance(task.nucleus_conn_id, str) else None,
                    field=name,
                    hint=None if error.hint is None else error.hint.replace("{name}", name),
                ) from None
            setattr(task, name, value)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Render as Airflow does; of our own arguments in a native DAG, nothing loses its spelling."""
        task: Any = self
        render = super()._do_render_template_fields  # type: ignore[misc]
        if parent is not self or not isinstance(jinja_env, NativeEnvironment):
            render(parent, template_fields, context, jinja_env, seen_oids)
            return
        text_env = task.get_dag().get_template_env(force_sandboxed=True)
        for name in template_fields:
            kind, value = self.templated.get(name), getattr(self, name)
            if kind is not None and kind.text and isinstance(value, str):
                render(parent, (name,), context, text_env, seen_oids)
                continue
            render(parent, (name,), context, jinja_env, seen_oids)
            if kind is not None and isinstance(value, str | list | tuple | dict):
                native = getattr(self, name)
                setattr(
                    self, name, _as_written(native, task.render_template(value, context, text_env, set()))
                )

    def _render(self, template: Any, context: Any, dag: Any = None) -> Any:
        """Render a template as its environment does, whatever that of the DAG is."""
        if isinstance(template.environment, NativeEnvironment):
            return super()._render(template, context, dag=dag)  # type: ignore[misc]
        return render_template_to_string(template, context)


def _as_written(native: Any, text: Any) -> Any:
    """Return a native value, or its text where the value would be spelled otherwise; member by member in what holds others."""
    if isinstance(text, str):
        return native if type(native) not in _GUESSED or str(native) == text else text
    if isinstance(text, dict) and isinstance(native, dict):
        return {key: _as_written(native[key], value) for key, value in text.items()}
    if type(text) in {list, tuple} and isinstance(native, list | tuple):
        return type(text)(starmap(_as_written, zip(native, text, strict=True)))
    return native
