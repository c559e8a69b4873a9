"""The page of a judgement as one HTML file, as large as it may be and no larger.

The file needs no style, script, font or request: it is written for hosts whose policy forbids all of them. Its style sheet is in the file
as well and makes it nicer where it is allowed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_provider_nucleus.reporting.limits import MOST_BYTES, MOST_BYTES_WITH_CROPS, PageLimits
from airflow_provider_nucleus.reporting.page import report_page
from airflow_provider_nucleus.reporting.texts import broken

if TYPE_CHECKING:
    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.extras import Extras
    from airflow_provider_nucleus.reporting.page import CropPictures, ReportPage

__all__ = ["fitted_page", "html_environment", "page_html", "report_html"]

_TEMPLATES: Final = Path(__file__).parent / "templates"


@cache
def html_environment() -> Environment:
    """Return the templates: everything is escaped, and a value that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["broken"] = broken
    return environment


def page_html(page: ReportPage) -> str:
    """Return the page as HTML."""
    return html_environment().get_template("report.html").render(page=page).lstrip()


def report_html(
    judgement: Judgement,
    extras: Extras,
    *,
    crops: CropPictures | None = None,
    limits: PageLimits | None = None,
    most_bytes: int | None = None,
) -> str:
    """Return the report of a judgement as HTML; as `fitted_page`."""
    return fitted_page(judgement, extras, crops=crops, limits=limits, most_bytes=most_bytes)[1]


def fitted_page(
    judgement: Judgement,
    extras: Extras,
    *,
    crops: CropPictures | None = None,
    limits: PageLimits | None = None,
    most_bytes: int | None = None,
) -> tuple[ReportPage, str]:
    """Return the page and its HTML; rows are left out, and that is said, until the file has no more than *most_bytes*.

    The default is 300 kB, and 2 MB where it has pictures.
    """
    limits = limits or PageLimits()
    if most_bytes is None:
        most_bytes = MOST_BYTES_WITH_CROPS if crops and crops.pictures else MOST_BYTES
    while True:
        page = report_page(judgement, extras, limits=limits, crops=crops)
        text = page_html(page)
        if len(text.encode()) <= most_bytes or limits.smallest:
            return page, text
        limits = limits.smaller()
