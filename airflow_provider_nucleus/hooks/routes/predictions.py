"""Ground truth and predictions, as methods of the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_nucleus.client.calls import annotations as ground_truth
from airflow_provider_nucleus.client.calls import predictions
from airflow_provider_nucleus.hooks.routes.base import Routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_nucleus.schema.annotations import AnyAnnotation
    from airflow_provider_nucleus.schema.models import UploadAnswer
    from airflow_provider_nucleus.schema.predictions import AnyPrediction

__all__ = ["PredictionRoutes"]


class PredictionRoutes(Routes):
    """Ground truth and predictions: send up to 5000, and read them."""

    def annotate(
        self, dataset_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store up to 5000 wire objects of ground truth; for more there is the upload engine."""
        return self.send(ground_truth.annotate(dataset_id, rows, update=update))

    def annotation(self, dataset_id: str, reference_id: str, annotation_id: str) -> AnyAnnotation:
        """Return one object of the ground truth."""
        return self.send(ground_truth.annotation(dataset_id, reference_id, annotation_id))

    def upload_predictions(
        self, dataset_id: str, model_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store up to 5000 predictions (wire objects); for more there is the upload engine."""
        return self.send(predictions.upload_predictions(dataset_id, model_id, rows, update=update))

    def item_predictions(
        self, dataset_id: str, model_id: str, reference_id: str
    ) -> dict[str, list[AnyPrediction]]:
        """Return the predictions of a model for one item, by type."""
        return self.send(predictions.item_predictions_by_reference(dataset_id, model_id, reference_id))

    def item_predictions_by_index(
        self, dataset_id: str, model_id: str, index: int
    ) -> dict[str, list[AnyPrediction]]:
        """Return the predictions of a model for the item inserted as number *index*, by type."""
        return self.send(predictions.item_predictions_by_index(dataset_id, model_id, index))

    def prediction(
        self, dataset_id: str, model_id: str, reference_id: str, annotation_id: str
    ) -> AnyPrediction:
        """Return one prediction."""
        return self.send(predictions.prediction(dataset_id, model_id, reference_id, annotation_id))

    def predictions_export(self, dataset_id: str, model_id: str) -> dict[str, list[AnyPrediction]]:
        """Return all predictions of a model on a dataset, by type."""
        return self.send(predictions.predictions_export(dataset_id, model_id))

    def upload_model_predictions(
        self, model_id: str, rows: Sequence[Mapping[str, Any]], *, update: bool = False
    ) -> UploadAnswer:
        """Store predictions without a run, as benchmark evaluations read them."""
        return self.send(predictions.upload_model_predictions(model_id, rows, update=update))

    def model_predictions_by_item(self, model_id: str, dataset_item_id: str) -> list[AnyPrediction]:
        """Return the run-free predictions for one item."""
        return self.send(predictions.model_predictions_by_item(model_id, dataset_item_id))

    def model_predictions_by_reference(self, model_id: str, reference_id: str) -> list[AnyPrediction]:
        """Return the run-free predictions for all items with a reference id."""
        return self.send(predictions.model_predictions_by_reference(model_id, reference_id))

    def model_predictions_by_index(self, model_id: str, index: int) -> list[AnyPrediction]:
        """Return the run-free predictions for the model's predicted item number *index*."""
        return self.send(predictions.model_predictions_by_index(model_id, index))
