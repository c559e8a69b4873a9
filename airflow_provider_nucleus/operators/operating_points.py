"""Operating points of a measured model, as a file for the inference job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusNotFoundError
from airflow_provider_nucleus.gating.operating_point import (
    MIN_SUPPORT,
    TOLERANCE,
    OperatingPoints,
    operating_points_of,
)
from airflow_provider_nucleus.operators.base import NucleusOperator
from airflow_provider_nucleus.tasks.arguments import COUNT, DOCUMENT, PLACE, required
from airflow_provider_nucleus.tasks.documents import write_json
from airflow_provider_nucleus.tasks.gate_inputs import measurement_of
from airflow_provider_nucleus.tasks.labels import MAP_LABEL, short_label
from airflow_provider_nucleus.tasks.reports import check_place, path_for_instance
from airflow_provider_nucleus.tasks.results import checked_xcom, shrink_to_xcom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nucleus.gating.measurement import Measurement
    from airflow_provider_nucleus.gating.operating_point import Aim
    from airflow_provider_nucleus.tasks.arguments import ArgumentKind

__all__ = ["NucleusOperatingPointsOperator"]

log = logging.getLogger(__name__)


class NucleusOperatingPointsOperator(NucleusOperator):
    """Choose the confidence from which predictions are kept, per label and over all, and write it for the inference job.

    The cuts of an evaluation on an embedded Nucleus are exact: each is matched anew. Elsewhere they are read off the pairs that the
    measurement keeps (`report=` of the task that measured), which is approximate, and the document says so in `method`.

    Returns `operating_points` (the place), `method`, `aim`, `target`, `iou_threshold`, `overall` (the cut over all labels, null where there
    is none, with `reason`), `per_label` (cuts by label, of those with most ground truth as many as fit) and `labels_total`.

    :param measurement: what a metrics or evaluation task returned (`task.output`), a measurement, or the place of one (templated)
    :param operating_points: path or URL of the document (templated); in a mapped task each instance needs its own
    :param precision: the lowest cut that is this precise, 0 to 1, instead of that of the best F1
    :param recall: the highest cut that still finds this share of the objects, 0 to 1, instead of that of the best F1
    :param min_support: labels with fewer objects of ground truth get the cut over all labels (templated)
    :param tolerance: how much lower than the best F1 that of the plateau may be
    :param nucleus_conn_id: the Nucleus connection to use (templated)
    """

    templated: ClassVar[Mapping[str, ArgumentKind]] = {
        "measurement": required(DOCUMENT),
        "operating_points": required(PLACE),
        "min_support": COUNT,
        **NucleusOperator.templated,
    }
    template_fields: Sequence[str] = tuple(templated)
    template_fields_renderers: ClassVar[dict[str, str]] = {"measurement": "json"}

    def __init__(
        self,
        *,
        measurement: Any,
        operating_points: str,
        precision: float | None = None,
        recall: float | None = None,
        min_support: int | str | None = MIN_SUPPORT,
        tolerance: float = TOLERANCE,
        map_index_template: str | None = MAP_LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.measurement = measurement
        self.operating_points = operating_points
        self.precision = precision
        self.recall = recall
        self.min_support = min_support
        self.tolerance = tolerance

    @property
    def map_label(self) -> str:
        """Name of a mapped instance in the interface."""
        named: Any = self.measurement
        if isinstance(named, dict):
            named = named.get("model_name") or named.get("model_id") or self.operating_points
        return short_label(named or self.operating_points)

    def execute(self, context: Context) -> dict[str, Any]:
        """Choose, write, and return where."""
        self.read_arguments()
        place = path_for_instance(self.operating_points, context)
        check_place(place, name="operating_points")
        measurement = measurement_of(self.measurement, name="measurement")
        assert measurement is not None, "the argument is required"
        points = self._points(measurement)
        write_json(place, points.model_dump(mode="json", by_alias=True))
        log.info("Wrote %s operating points of %d labels to %s", points.method, len(points.per_label), place)
        return _result(points, place)

    def _points(self, measurement: Measurement) -> OperatingPoints:
        aim, target = self._aim()
        least = MIN_SUPPORT if self.min_support is None else int(self.min_support)
        found = self._exact(measurement, aim, target, least)
        if found is not None:
            return found
        if measurement.matches is None:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: the measurement was written without its matches, and no evaluation of it is on a Nucleus that "
                "could match anew.",
                conn_id=self.nucleus_conn_id,
                field="measurement",
                hint="Give the measuring task a report= and name that file here, or its output.",
            )
        return operating_points_of(
            measurement, aim=aim, target=target, min_support=least, tolerance=self.tolerance
        )

    def _aim(self) -> tuple[Aim, float | None]:
        if self.precision is not None and self.recall is not None:
            raise NucleusConfigError(
                f"Task {self.task_id!r}: precision and recall cannot both be aimed at.",
                field="precision",
                hint="Write two tasks with an output each.",
            )
        if self.precision is not None:
            return "precision", self.precision
        return ("f1", None) if self.recall is None else ("recall", self.recall)

    def _exact(
        self, measurement: Measurement, aim: Aim, target: float | None, least: int
    ) -> OperatingPoints | None:
        """Ask the server for the evaluation's cuts; None where there is no evaluation, or a server that has no such route."""
        subject = measurement.subject
        if subject.evaluation_id is None:
            return None
        filters: dict[str, Any] = {}
        if subject.slice_id is not None:
            filters["sliceIds"] = [subject.slice_id]
        if measurement.confidence_threshold is not None:
            filters["confidenceRange"] = {"min": measurement.confidence_threshold}
        threshold = 0.5 if measurement.iou_threshold is None else measurement.iou_threshold
        try:
            answer = self.hook.evaluation_operating_points(
                subject.evaluation_id,
                iou_threshold=threshold,
                aim=aim,
                target=target,
                min_support=least,
                tolerance=self.tolerance,
                filters=filters or None,
                query=subject.query,
            )
        except NucleusNotFoundError as error:
            log.warning("The pairs of the measurement are counted instead of matching anew: %s", error)
            return None
        return OperatingPoints.model_validate({
            **answer,
            "subject": subject,
            "fingerprint": measurement.fingerprint,
            "least_confidence": measurement.confidence_threshold,
        })


def _result(points: OperatingPoints, place: Any) -> dict[str, Any]:
    by_support = sorted(points.per_label.items(), key=lambda row: (-row[1].ground_truth, row[0]))
    head = {
        "operating_points": str(place),
        "method": points.method,
        "aim": points.aim,
        "target": points.target,
        "iou_threshold": points.iou_threshold,
        "overall": points.overall.confidence,
        "reason": points.overall.reason,
        "labels_total": len(by_support),
    }
    return checked_xcom(
        shrink_to_xcom(
            len(by_support),
            lambda most: (
                head | {"per_label": {label: point.confidence for label, point in by_support[:most]}}
            ),
        )
    )
