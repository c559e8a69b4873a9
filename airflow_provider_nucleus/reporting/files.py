"""All files of a report, in memory: the page last, because it speaks of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_nucleus.reporting.crops import make_crops
from airflow_provider_nucleus.reporting.document import metrics_json, report_document
from airflow_provider_nucleus.reporting.evidence import with_own_evidence
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.html import fitted_page
from airflow_provider_nucleus.reporting.limits import DOCUMENT_NAME, PAGE_NAME, SUMMARY_NAME
from airflow_provider_nucleus.reporting.markdown import report_markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.page import ReportPage

__all__ = ["ReportFiles", "make_report"]


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """A report: its files by their names below a folder, and what is in them."""

    files: Mapping[str, bytes]
    page: ReportPage
    document: Judgement
    extras: Extras
    pictures: int


def make_report(
    judgement: Judgement,
    extras: Extras | None = None,
    *,
    read_image: Callable[[str], bytes] | None = None,
    pictures: Literal["page", "folder"] = "page",
    page_url: str | None = None,
) -> ReportFiles:
    """Return the report of a judgement; what follows from its matches and profiles is added to the extras.

    *read_image* gives the bytes of an image by its place, for pictures of changed objects whose outlines are known; without it there are
    none. *page_url* is where the page will be, for the summary.
    """
    judgement, extras = with_own_evidence(judgement, extras or Extras())
    crops = None
    if read_image is not None and extras.changed:
        crops = make_crops(extras.changed, read_image, folder="crops" if pictures == "folder" else None)
        extras = extras.model_copy(update={"remarks": [*extras.remarks, *crops.remarks]})
    document = report_document(judgement, extras)
    page, text = fitted_page(document, extras, crops=crops.pictures if crops else None)
    files = {file.name: file.content for file in crops.files} if crops else {}
    files[DOCUMENT_NAME] = metrics_json(document).encode()
    files[SUMMARY_NAME] = report_markdown(document, extras, page_url=page_url).encode()
    files[PAGE_NAME] = text.encode()
    return ReportFiles(files, page, document, extras, len(crops.pictures.pictures) if crops else 0)
