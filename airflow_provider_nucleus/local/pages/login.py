"""The page on which a browser is signed in: it shows a key once, and keeps a session instead of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_nucleus.local.pages.layout import Link, PageFrame

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.pages.urls import Urls

__all__ = ["LoginPage", "login_page", "safe_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage(PageFrame):
    """A form for the key; `target` is where it leads, `signed_in` the name of the key of a browser that is signed in."""

    what: str
    target: str
    signed_in: str


def login_page(urls: Urls, *, what: str = "", target: str = "", signed_in: str = "") -> LoginPage:
    """Describe the form; `what` says why it is shown."""
    return LoginPage(
        title="Sign in",
        trail=(Link("All", urls.home),),
        what=what,
        target=safe_target(target, urls),
        signed_in=signed_in,
    )


def safe_target(target: str, urls: Urls) -> str:
    """Return the address to go on to: a page of this server, the home page where another one was asked for."""
    local = target.startswith(f"{urls.prefix}/") and not target.startswith("//")
    # Browsers read a backslash as a slash, and pass over line ends.
    return target if local and target.isascii() and target.isprintable() and "\\" not in target else urls.home
