"""Report of a gate's judgement: a page, a summary and a document in a folder, whatever the gate said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_nucleus.assets.event_content import judgement_event
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.lineage.facts import judgement_facts
from airflow_provider_nucleus.links.nucleus import NucleusReportLink, persist_address
from airflow_provider_nucleus.links.urls import page_urls
from airflow_provider_nucleus.operators.announcing import NucleusAnnouncingOperator
from airflow_provider_nucleus.reporting.limits import DOCUMENT_NAME, PAGE_NAME, SUMMARY_NAME
from airflow_provider_nucleus.tasks.arguments import DOCUMENT, FOLDER, OBJECT, TEXT, required
from airflow_provider_nucleus.tasks.gate_inputs import measurement_of
from airflow_provider_nucleus.tasks.gating import GateStoppedError
from airflow_provider_nucleus.tasks.judgements import judgement_or_summary
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
from airflow_provider_nucleus.tasks.report_files import check_folder, folder_for_instance, write_files
from airflow_provider_nucleus.tasks.results import checked_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_nucleus.gating.verdict import Judgement
    from airflow_provider_nucleus.reporting.extras import Extras
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusReportOperator"]

_PICTURES = ("page", "folder", "none")
_SENTENCES = 5
_SENTENCE_CHARS = 300


class NucleusReportOperator(NucleusAnnouncingOperator):
    """Write the report of a judgement: `report.html`, `metrics.json` and `report.md`.

    A task of its own, after the gate, that runs whatever the gate said (`trigger_rule="all_done"`). It reads what the gate left before
    it failed. If the gate left nothing, because it failed early or never ran, the report says so and is inconclusive.

    Where the run would be a success although a task right before this one failed, because this task is the last one, it fails after the
    report is written, and Airflow emits no event for its outlets. `as_teardown()` prevents that: a run is not as its teardowns are.

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
        from airflow_provider_nucleus.reporting.files import make_report
        from airflow_provider_nucleus.tasks.report_images import ImageReader

        self.read_arguments()
        folder = folder_for_instance(self.folder, context)
        check_folder(folder)
        states = upstream_states(self, context)
        judgement, extras = self._evidence(context, states)
        address = self._address(folder, context)
        report = make_report(
            judgement,
            extras,
            read_image=None if self.pictures == "none" else ImageReader(self.image_folder),
            pictures="folder" if self.pictures == "folder" else "page",
            page_url=address,
        )
        write_files(folder, report.files)
        if address:
            persist_address(self, context, NucleusReportLink, address)
        result = {
            "report": f"{folder}/{PAGE_NAME}",
            "metrics": f"{folder}/{DOCUMENT_NAME}",
            "summary": f"{folder}/{SUMMARY_NAME}",
            "url": address,
            "verdict": judgement.verdict.status,
            "stopped": judgement.verdict.stopped,
            "pictures": report.pictures,
            "left_out": list(report.page.left_out[:_SENTENCES]),
            "remarks": [remark[:_SENTENCE_CHARS] for remark in report.extras.remarks[:_SENTENCES]],
        }
        for remark in report.extras.remarks:
            self.log.warning("%s", remark)
        self.lineage = judgement_facts(report.document, results=(f"{folder}/{DOCUMENT_NAME}",))
        self._refuse_to_hide(context, states, judgement, result)
        links = {link.name: link.url for link in extras.links} | ({"report": address} if address else {})
        self.announce(context, judgement_event(report.document, links=links), kind="evaluated")
        return checked_xcom(result)

    def _evidence(self, context: Context, states: Mapping[str, str | None]) -> tuple[Judgement, Extras]:
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
            links=report_links(self.judgement, judgement, self._pages(judgement) | dict(self.links or {})),
            origin=report_origin(context, states),
            remarks=remarks,
        )
        judgement, extras = with_own_evidence(judgement, extras)
        if self.pictures != "none" and extras.changed:
            extras = self._placed(judgement, extras)
        return judgement, extras

    def _pages(self, judgement: Judgement) -> dict[str, str]:
        """Return the pages of both evaluations on the connection's server; none without a connection, which a report does not need."""
        try:
            urls = page_urls(self.hook.config.endpoint, self.hook.config.public_url)
        except (NucleusError, AirflowNotFoundException) as error:
            self.log.info("No links to the server: %s", error)
            return {}
        found = {}
        for side, measurement in (("candidate", judgement.candidate), ("baseline", judgement.baseline)):
            subject = measurement.subject if measurement else None
            if measurement and subject and subject.dataset_id and subject.model_id and not subject.url:
                found[f"Evaluation of the {side}"] = urls.evaluation(
                    subject.dataset_id,
                    subject.model_id,
                    iou_threshold=measurement.iou_threshold,
                    calculation=subject.job_id,
                )
        return found

    def _judgement(self, states: Mapping[str, str | None]) -> tuple[Judgement, list[str]]:
        """Return what the gate left; where that is nothing, a judgement that says so."""
        from airflow_provider_nucleus.reporting.document import missing_judgement

        remarks = []
        reason = missing_reason(states)
        if not is_blank(self.judgement):
            try:
                judgement, remark = judgement_or_summary(self.judgement)
            except (NucleusError, OSError) as error:
                reason = f"The judgement cannot be read: {error}"
            else:
                return judgement, [remark] if remark else []
        candidate = None
        try:
            candidate = measurement_of(self.candidate, name="candidate")
        except (NucleusError, OSError) as error:
            remarks.append(f"The numbers of the candidate cannot be read: {error}")
        return missing_judgement(reason, candidate), remarks

    def _placed(self, judgement: Judgement, extras: Extras) -> Extras:
        """Return the extras with the places of changed objects on their images, as far as the server gives them."""
        from airflow_provider_nucleus.hooks.object_places import place_changes
        from airflow_provider_nucleus.reporting.crops import MOST_CROPS

        subject, baseline = judgement.candidate.subject, judgement.baseline
        if subject.dataset_id is None:
            return extras
        runs = {
            "candidate": subject.model_run_id,
            "baseline": baseline.subject.model_run_id if baseline else None,
        }
        try:
            changed, remarks = place_changes(
                extras.changed or [], self.hook, dataset_id=subject.dataset_id, runs=runs, most=MOST_CROPS
            )
        except (NucleusError, AirflowNotFoundException) as error:
            changed, remarks = extras.changed or [], [f"Changed objects have no pictures: {error}"]
        return extras.model_copy(update={"changed": changed, "remarks": [*extras.remarks, *remarks]})

    def _address(self, folder: str, context: Context) -> str | None:
        """Return where a browser finds the page, None where that is not known."""
        root = folder_for_instance(self.public_url, context) if self.public_url else folder
        if not root.startswith(("http://", "https://")):
            return None
        # Ids of runs have the offset of a time zone; S3 takes a plus in an address for a blank, and finds nothing.
        return f"{root}/{PAGE_NAME}".replace("+", "%2B").replace(" ", "%20")

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
            hint="Put what must not run behind the gate, beside the report, or make the report a teardown, .as_teardown(): the run fails by itself "
            "then, and this task emits its events.",
        )
