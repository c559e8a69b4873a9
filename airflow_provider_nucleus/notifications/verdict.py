"""A verdict as a message to people: posted to a webhook of any chat, or logged."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import BaseHook, BaseNotifier

from airflow_provider_nucleus.notifications.webhooks import Webhook, webhook_of
from airflow_provider_nucleus.schema.texts import storable
from airflow_provider_nucleus.tasks.judgements import judgement_or_summary, links_of
from airflow_provider_nucleus.tasks.rendered_values import is_blank
from airflow_provider_nucleus.tasks.verdict_text import verdict_markdown, web_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

__all__ = ["NucleusVerdictNotifier"]

log = logging.getLogger(__name__)

_MESSAGE_CHARS: Final = 1000


class NucleusVerdictNotifier(BaseNotifier):
    """Tell people what a gate says: as callback of a task, as notifier of an approval, or when a deadline has passed.

    It posts `{"text": <markdown>, "nucleus": {...}}` to a webhook, and logs the message where none is given. What goes wrong is
    logged and fails nothing: a chat that is down is no reason to stop a pipeline. Its address appears in no log.

    :param judgement: the judgement, its place, or the output of a gate; the default is the result of the task whose callback this is,
        or the argument of the approval that waits (templated)
    :param message: a first line of one's own (templated)
    :param links: links to add, by name (templated)
    :param webhook_conn_id: HTTP connection of the webhook; its password is a bearer token, or the whole address where that is secret
    :param webhook_url: address of the webhook, instead of a connection; keep secrets out of it: Airflow stores the arguments of
        callbacks (templated)
    :param text_key: member of the JSON that has the text, as the chat wants it: `text`, `content`, `message`
    :param timeout: longest wait for the webhook, in seconds
    """

    template_fields: Sequence[str] = ("judgement", "message", "links", "webhook_url")

    def __init__(
        self,
        *,
        judgement: Any = None,
        message: str | None = None,
        links: Mapping[str, str] | None = None,
        webhook_conn_id: str | None = None,
        webhook_url: str | None = None,
        text_key: str = "text",
        timeout: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.judgement = judgement
        self.message = message
        self.links = links
        self.webhook_conn_id = webhook_conn_id
        self.webhook_url = webhook_url
        self.text_key = text_key
        self.timeout = timeout

    def notify(self, context: Context) -> None:
        """Post or log the message; never raises."""
        try:
            payload = self._payload(context)
            hook = None
            if self.webhook_conn_id:
                hook = webhook_of(BaseHook.get_connection(self.webhook_conn_id))
            self._send(payload, hook)
        except Exception as error:  # ruff: ignore[blind-except] - connections and chats fail in any way
            _failed(error)

    async def async_notify(self, context: Context) -> None:
        """Do the same in the triggerer, without holding up its loop: for deadline alerts."""
        try:
            payload = await asyncio.to_thread(self._payload, context)
            hook = None
            if self.webhook_conn_id:
                hook = webhook_of(await get_async_connection(self.webhook_conn_id))
            await asyncio.to_thread(self._send, payload, hook)
        except Exception as error:  # ruff: ignore[blind-except] - connections and chats fail in any way
            _failed(error)

    def _send(self, payload: dict[str, Any], hook: Webhook | None) -> None:
        if hook is None and not is_blank(self.webhook_url):
            hook = Webhook(str(self.webhook_url))
        if hook is None:
            log.info("%s", payload[self.text_key])
            return
        hook.post(payload, timeout=self.timeout)
        log.info("The verdict was posted to the webhook")

    def _payload(self, context: Context) -> dict[str, Any]:
        lines = [] if is_blank(self.message) else [str(self.message)[:_MESSAGE_CHARS]]
        run, links = _run_of(context), dict(self.links or {})
        facts: dict[str, Any] = {"run": run, "verdict": None}
        value = self._found(context)
        if value is None:
            lines.append(f"No verdict yet: {run['dag_id']}, run {run['run_id']}.")
        else:
            judgement, remark = judgement_or_summary(value)
            if remark:
                log.info("The message is of what the gate's result says: %s", remark)
            lines.append(verdict_markdown(judgement, links=links_of(value) | links))
            verdict = judgement.verdict
            facts |= {"verdict": verdict.status, "stopped": verdict.stopped, "reasons": verdict.reasons[:5]}
            facts["links"] = web_links(links_of(value) | links)
        if log_url := getattr(context.get("ti"), "log_url", None):
            lines.append(f"[{run['dag_id']}, {run['run_id']}]({log_url})")
        return {self.text_key: storable("\n\n".join(lines)), "nucleus": storable(facts)}

    def _found(self, context: Context) -> Any:
        """Return the judgement that was given, else that of the task that calls; None where there is none."""
        if not is_blank(self.judgement):
            return self.judgement
        ti: Any = context.get("ti")
        given = getattr(getattr(ti, "task", None), "judgement", None)
        if isinstance(given, dict | str) and not is_blank(given):
            return given
        if ti is None:
            return None
        try:
            result = ti.xcom_pull(
                task_ids=ti.task_id, key="return_value", map_indexes=getattr(ti, "map_index", -1)
            )
        except Exception as error:  # ruff: ignore[blind-except] - callbacks also run where there are no XComs
            log.info("The result of %s is out of reach here: %s", ti.task_id, type(error).__name__)
            return None
        return result if isinstance(result, dict) and isinstance(result.get("verdict"), str) else None


def _run_of(context: Context) -> dict[str, Any]:
    """Return which task of which run this is about; a deadline knows the run alone, as plain values."""
    ti: Any = context.get("ti")
    dag_run: Any = context.get("dag_run")

    def member(name: str) -> Any:
        if (value := getattr(ti, name, None)) is not None:
            return value
        return dag_run.get(name) if isinstance(dag_run, dict) else getattr(dag_run, name, None)

    return {
        "dag_id": member("dag_id"),
        "run_id": member("run_id") or member("dag_run_id"),
        "task_id": getattr(ti, "task_id", None),
        "map_index": getattr(ti, "map_index", None),
    }


def _failed(error: Exception) -> None:
    """Say that nobody was told; the text of foreign errors may have an address in it."""
    text = (
        str(error) if type(error).__module__.startswith("airflow_provider_nucleus") else type(error).__name__
    )
    log.warning("The verdict was not posted, nothing else is affected: %s", text)
