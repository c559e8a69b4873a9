"""Report of a gate's judgement: a page, a summary and a document in a folder, whatever the gate said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_nucleus.assets.event_content import judgement_event
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.lineage.facts import judgement_facts
from airflow_provider_nucleus.links.nucleus import NucleusReportLink, persist_address
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.tasks.arguments import DOCUMENT, FOLDER, OBJECT, TEXT, required
from airflow_provider_nucleus.tasks.gate_inputs import measurement_of
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from airflow_provider_nucleus.tasks.judgements import judgement_of
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.rendered_values import is_blank
from airflow_provider_nucleus.tasks.report_evidence import (
    earlier_batches,
    hides_failure,
    missing_reason,
    report_links,
    report_origin,
    upstream_states,
)
from airflow_provider_nucleus.tasks.report_files import (
    DOCUMENT_NAME,
    PAGE_NAME,
    SUMMARY_NAME,
    check_folder,
    folder_for_instance,
    write_files,
)
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.crops import Crops
    from airflow_provider_nucleus.reporting.extras import Extras
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusReportOperator"]

_PICTURES = ("page", "folder", "none")
_SENTENCES = 5
_SENTENCE_CHARS = 300


class NucleusReportOperator(NucleusAnnouncingOperator):
    """Write the report of a judgement: `report.html`, `metrics.json` and `report.md`.

    A task of its own, after the gate, that runs whatever the gate said (`trigger_rule="all_done"`). It reads what the gate left before
    it failed. If the gate left nothing, because it failed early or never ran, the report says so and is inconclusive. Where the run would
    be a success although a task right before this one failed, because this task is the last one, it fails after the report is written.

    Returns `report`, `metrics` and `summary` (places), `url` (address of the page, null without `public_url`), `verdict`, `stopped`,
    `pictures`, `left_out` (sentences) and `remarks` (what could not be done).

    :param judgement: what the gate returned (`gate.output`), its judgement, or the place of one; empty if there was none (templated)
    :param folder: folder or URL to write the files below; mapped instances write below `map<map index>` in it (templated)
    :param public_url: address at which a browser finds the folder, for the link of this task; that of an http folder is its own (templated)
    :param candidate: numbers of the candidate, in the forms of the gate's argument, for the report of a gate that left nothing (templated)
    :param pictures: pictures of changed objects: within the `page` (2 MB at most), in the `folder` beside it, or `none`
    :param image_folder: folder in which images lie whose addresses are files; without it no file of the worker is read (templated)
    :param links: further links of the report, addresses by their names (templated)
    :param operating_points: place of the file with operating points for the inference job, to be named in the report (templated)
    :param partition_key: partition of the events of this task's outlets (Airflow 3.2 and later) (templated)
    :param nucleus_conn_id: the Nucleus connection to read outlines and images' addresses with (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "judgement": DOCUMENT,
        "folder": required(FOLDER),
        "public_url": TEXT,
        "candidate": DOCUMENT,
        "image_folder": FOLDER,
        "links": OBJECT,
        "operating_points": TEXT,
        **NucleusAnnouncingOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "judgement": "json",
        "candidate": "json",
        "links": "json",
    }
    operator_extra_links: Sequence[BaseOperatorLink] = (NucleusReportLink(),)

    def __init__(
        self,
        *,
        folder: str,
        judgement: Any = None,
        public_url: str | None = None,
        candidate: Any = None,
        pictures: Literal["page", "folder", "none"] = "page",
        image_folder: str | None = None,
        links: Mapping[str, str] | None = None,
        operating_points: str | None = None,
        trigger_rule: str = "all_done",
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        if pictures not in _PICTURES:
            raise ValueError(f"pictures must be one of {', '.join(_PICTURES)}, not {pictures!r}")
        super().__init__(trigger_rule=trigger_rule, map_index_template=map_index_template, **kwargs)
        self.judgement = judgement
        self.folder = folder
        self.public_url = public_url
        self.candidate = candidate
        self.pictures = pictures
        self.image_folder = image_folder
        self.links = links
        self.operating_points = operating_points

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface: the model that was judged."""
        candidate = self.judgement.get("candidate") if isinstance(self.judgement, dict) else None
        return short_label((candidate or {}).get("model_id") or self.folder)

    def execute(self, context: Context) -> dict[str, Any]:
        """Gather the evidence, write the files, and say where they are."""
        from airflow_provider_nucleus.reporting.document import metrics_json, report_document
        from airflow_provider_nucleus.reporting.html import fitted_page
        from airflow_provider_nucleus.reporting.markdown import report_markdown

        self.read_arguments()
        folder = folder_for_instance(self.folder, context)
        check_folder(folder)
        states = upstream_states(self, context)
        judgement, extras, crops = self._evidence(context, states)
        document, address = report_document(judgement, extras), self._address(folder, context)
        page, text = fitted_page(document, extras, crops=crops.pictures if crops else None)
        files = {file.name: file.content for file in crops.files} if crops else {}
        files[DOCUMENT_NAME] = metrics_json(document).encode()
        files[SUMMARY_NAME] = report_markdown(document, extras, page_url=address).encode()
        files[PAGE_NAME] = text.encode()
        write_files(folder, files)
        if address:
            persist_address(self, context, NucleusReportLink, address)
        result = {
            "report": f"{folder}/{PAGE_NAME}",
            "metrics": f"{folder}/{DOCUMENT_NAME}",
            "summary": f"{folder}/{SUMMARY_NAME}",
            "url": address,
            "verdict": judgement.verdict.status,
            "stopped": judgement.verdict.stopped,
            "pictures": len(crops.pictures.pictures) if crops else 0,
            "left_out": list(page.left_out[:_SENTENCES]),
            "remarks": [remark[:_SENTENCE_CHARS] for remark in extras.remarks[:_SENTENCES]],
        }
        for remark in extras.remarks:
            self.log.warning("%s", remark)
        self.lineage = judgement_facts(judgement, results=tuple(f"{folder}/{name}" for name in files))
        self._refuse_to_hide(context, states, judgement, result)
        links = {link.name: link.url for link in extras.links} | ({"report": address} if address else {})
        self.announce(context, judgement_event(judgement, links=links), kind="evaluated")
        return checked_xcom(result)

    def _evidence(
        self, context: Context, states: Mapping[str, str | None]
    ) -> tuple[Judgement, Extras, Crops | None]:
        """Return the judgement with all that is known beside it; what cannot be had is a remark, never a failure."""
        from airflow_provider_nucleus.reporting.evidence import history_as_rows, with_own_evidence
        from airflow_provider_nucleus.reporting.extras import Extras
        from airflow_provider_nucleus.reporting.number_rows import headline

        judgement, remarks = self._judgement(states)
        metric = headline(judgement.candidate)
        before = earlier_batches(self.judgement, judgement)
        extras = Extras(
            history_metric=metric,
            history=history_as_rows(before, judgement.candidate, judgement, metric=metric) if before else [],
            operating_file=self.operating_points,
            links=report_links(self.judgement, judgement, dict(self.links or {})),
            origin=report_origin(context, states),
            remarks=remarks,
        )
        judgement, extras = with_own_evidence(judgement, extras)
        if self.pictures == "none" or not extras.changed:
            return judgement, extras, None
        return self._with_pictures(judgement, extras)

    def _judgement(self, states: Mapping[str, str | None]) -> tuple[Judgement, list[str]]:
        """Return what the gate left; where that is nothing, a judgement that says so."""
        from airflow_provider_nucleus.reporting.document import missing_judgement

        remarks = []
        reason = missing_reason(states)
        if not is_blank(self.judgement):
            try:
                return judgement_of(self.judgement), []
            except (NucleusError, OSError) as error:
                reason = f"The judgement cannot be read: {error}"
                if isinstance(self.judgement, dict) and self.judgement.get("judgement"):
                    # The gate's own result has the verdict and the worst of its rules.
                    return judgement_of({**self.judgement, "judgement": None}), [reason]
        candidate = None
        try:
            candidate = measurement_of(self.candidate, name="candidate")
        except (NucleusError, OSError) as error:
            remarks.append(f"The numbers of the candidate cannot be read: {error}")
        return missing_judgement(reason, candidate), remarks

    def _with_pictures(self, judgement: Judgement, extras: Extras) -> tuple[Judgement, Extras, Crops]:
        """Return the extras with the outlines of changed objects, and their pictures."""
        from airflow_provider_nucleus.hooks.object_places import place_changes
        from airflow_provider_nucleus.reporting.crops import MOST_CROPS, make_crops
        from airflow_provider_nucleus.tasks.report_images import ImageReader

        subject, baseline = judgement.candidate.subject, judgement.baseline
        changed, remarks = extras.changed or [], list(extras.remarks)
        if subject.dataset_id is not None:
            runs = {
                "candidate": subject.model_run_id,
                "baseline": baseline.subject.model_run_id if baseline else None,
            }
            try:
                changed, more = place_changes(
                    changed, self.hook, dataset_id=subject.dataset_id, runs=runs, most=MOST_CROPS
                )
                remarks += more
            except (NucleusError, AirflowNotFoundException) as error:
                remarks.append(f"Changed objects have no pictures: {error}")
        crops = make_crops(
            changed, ImageReader(self.image_folder), folder="crops" if self.pictures == "folder" else None
        )
        remarks += crops.remarks
        return judgement, extras.model_copy(update={"changed": changed, "remarks": remarks}), crops

    def _address(self, folder: str, context: Context) -> str | None:
        """Return where a browser finds the page, None where that is not known."""
        root = folder_for_instance(self.public_url, context) if self.public_url else folder
        return f"{root}/{PAGE_NAME}" if root.startswith(("http://", "https://")) else None

    def _refuse_to_hide(
        self, context: Context, states: Mapping[str, str | None], judgement: Judgement, result: dict[str, Any]
    ) -> None:
        """Fail where this task's success would be that of a run in which the task before it failed."""
        if (failed := hides_failure(self, states)) is None:
            return
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=checked_xcom(result))
        verdict = judgement.verdict
        raise GateStoppedError(
            f"Task {failed!r} ended as {states[failed]}, and the run would be a success, because this task is the last one. "
            f"The report is complete: {result['report']}.",
            verdict=verdict.status,
            reasons=list(verdict.reasons),
            judgement=result["metrics"],
            hint="Put what must not run behind the gate, beside the report, and the run fails by itself.",
        )
