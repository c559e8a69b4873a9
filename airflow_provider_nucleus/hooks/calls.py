"""All calls of the client as methods, one line each: those of `NucleusHook`, and of the asynchronous client that it gives.

A call that is added to `airflow_provider_nucleus.client.calls` gets its line here; a test misses it otherwise.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_nucleus.client.calls import annotations as ground_truth
from airflow_provider_nucleus.client.calls import (
    benchmarks,
    comparisons,
    datasets,
    evaluations,
    items,
    jobs,
    metrics,
    models,
    predictions,
    query,
    scenes,
    slices,
)
from airflow_provider_nucleus.hooks.methods import CallDescriptor, CallMethod, CancelMethod, ListingMethod

__all__ = ["NucleusCalls"]


class NucleusCalls:
    """Every route of Nucleus as a method, by what it is about."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if NucleusCalls not in cls.__bases__:
            return
        # Plain functions: what imitates a class (`create_autospec`) does not see that others are methods.
        for name, line in vars(NucleusCalls).items():
            if isinstance(line, CallDescriptor) and name not in vars(cls):
                setattr(cls, name, line.function(cls))

    # Datasets
    list_datasets = CallMethod(datasets.list_datasets)
    create_dataset = CallMethod(datasets.create_dataset)
    delete_dataset = CallMethod(datasets.delete_dataset)
    dataset_name = CallMethod(datasets.dataset_name)
    dataset_is_scene = CallMethod(datasets.dataset_is_scene)
    dataset_uses_privacy_mode = CallMethod(datasets.dataset_uses_privacy_mode)
    dataset_info = CallMethod(datasets.dataset_info)
    dataset_size = CallMethod(datasets.dataset_size)
    dataset_model_runs = CallMethod(datasets.dataset_model_runs)
    dataset_slices = CallMethod(datasets.dataset_slices)
    dataset_label_schema = CallMethod(datasets.dataset_label_schema)
    dataset_class_labels = CallMethod(datasets.dataset_class_labels)
    dataset_tags = CallMethod(datasets.dataset_tags)
    tag_dataset = CallMethod(datasets.tag_dataset)
    untag_dataset = CallMethod(datasets.untag_dataset)
    add_taxonomy = CallMethod(datasets.add_taxonomy)
    delete_taxonomy = CallMethod(datasets.delete_taxonomy)

    # Items, and the files they are handed over in
    signed_url = CallMethod(items.signed_url)
    put_signed = CallMethod(items.put_signed)
    start_append = CallMethod(items.start_append)
    append_local_images = CallMethod(items.append_local_images)
    list_items = CallMethod(items.list_items)
    iter_items = ListingMethod(items.items_page)
    item_by_index = CallMethod(items.item_by_index)
    item_by_reference = CallMethod(items.item_by_reference)
    item_by_id = CallMethod(items.item_by_id)
    delete_item = CallMethod(items.delete_item)
    update_item_metadata = CallMethod(items.update_item_metadata)
    iter_export = ListingMethod(items.export_page)

    # Scenes
    start_append_lidar_scenes = CallMethod(scenes.start_append_lidar_scenes)
    start_append_video_scenes = CallMethod(scenes.start_append_video_scenes)
    list_scenes = CallMethod(scenes.list_scenes)
    lidar_scene = CallMethod(scenes.lidar_scene)
    delete_scene = CallMethod(scenes.delete_scene)

    # Slices
    list_slices = CallMethod(slices.list_slices)
    create_slice = CallMethod(slices.create_slice)
    append_to_slice = CallMethod(slices.append_to_slice)
    slice_info = CallMethod(slices.slice_info)
    delete_slice = CallMethod(slices.delete_slice)
    tag_slice = CallMethod(slices.tag_slice)
    iter_slice_items = ListingMethod(slices.slice_items_page)
    iter_slice_export = ListingMethod(slices.slice_export_page)
    iter_slice_predictions_export = ListingMethod(slices.slice_predictions_export_page)

    # Items and objects by query
    iter_queried_items = ListingMethod(query.query_items_page)
    iter_queried_objects = ListingMethod(query.query_objects_page)
    iter_matches = ListingMethod(query.query_matches_page)
    iter_ground_truth = ListingMethod(query.query_ground_truth_page)
    iter_predicted = ListingMethod(query.query_predicted_page)

    # Ground truth
    annotate = CallMethod(ground_truth.annotate)
    annotate_local_masks = CallMethod(ground_truth.annotate_local_masks)
    start_annotate = CallMethod(ground_truth.start_annotate)
    annotation = CallMethod(ground_truth.annotation)
    delete_annotations = CallMethod(ground_truth.delete_annotations)

    # Models and their runs
    list_models = CallMethod(models.list_models)
    create_model = CallMethod(models.create_model)
    get_model = CallMethod(models.get_model)
    delete_model = CallMethod(models.delete_model)
    tag_model = CallMethod(models.tag_model)
    untag_model = CallMethod(models.untag_model)
    set_trained_slices = CallMethod(models.set_trained_slices)
    unset_trained_slices = CallMethod(models.unset_trained_slices)
    model_runs = CallMethod(models.model_runs)
    create_model_run = CallMethod(models.create_model_run)
    create_dataset_model_run = CallMethod(models.create_dataset_model_run)
    model_run = CallMethod(models.model_run)
    delete_model_run = CallMethod(models.delete_model_run)
    commit_model_run = CallMethod(models.commit_model_run)

    # Predictions
    upload_predictions = CallMethod(predictions.upload_predictions)
    upload_local_prediction_masks = CallMethod(predictions.upload_local_prediction_masks)
    start_upload_predictions = CallMethod(predictions.start_upload_predictions)
    upload_run_predictions = CallMethod(predictions.upload_run_predictions)
    start_upload_run_predictions = CallMethod(predictions.start_upload_run_predictions)
    upload_model_predictions = CallMethod(predictions.upload_model_predictions)
    copy_predictions_from_run = CallMethod(predictions.copy_predictions_from_run)
    item_predictions_by_index = CallMethod(predictions.item_predictions_by_index)
    item_predictions_by_reference = CallMethod(predictions.item_predictions_by_reference)
    prediction = CallMethod(predictions.prediction)
    predictions_export = CallMethod(predictions.predictions_export)
    model_predictions_by_item = CallMethod(predictions.model_predictions_by_item)
    model_predictions_by_reference = CallMethod(predictions.model_predictions_by_reference)
    model_predictions_by_index = CallMethod(predictions.model_predictions_by_index)

    # Metrics
    calculate_metrics = CallMethod(metrics.calculate_metrics)

    # Benchmarks and leaderboards
    create_benchmark = CallMethod(benchmarks.create_benchmark)
    list_benchmarks = CallMethod(benchmarks.list_benchmarks)
    get_benchmark = CallMethod(benchmarks.get_benchmark)
    update_benchmark = CallMethod(benchmarks.update_benchmark)
    delete_benchmark = CallMethod(benchmarks.delete_benchmark)
    benchmark_items = CallMethod(benchmarks.benchmark_items)
    add_benchmark_items = CallMethod(benchmarks.add_benchmark_items)
    remove_benchmark_items = CallMethod(benchmarks.remove_benchmark_items)
    finalize_benchmark = CallMethod(benchmarks.finalize_benchmark)
    leaderboard_ranking = CallMethod(benchmarks.leaderboard_ranking)
    leaderboard_f1_curves = CallMethod(benchmarks.leaderboard_f1_curves)

    # Evaluations on benchmarks, and their presets
    create_evaluation = CallMethod(evaluations.create_evaluation)
    get_evaluation = CallMethod(evaluations.get_evaluation)
    delete_evaluation = CallMethod(evaluations.delete_evaluation)
    cancel_evaluation = CancelMethod(evaluations.cancel_evaluation)
    retry_evaluation = CallMethod(evaluations.retry_evaluation)
    evaluation_charts = CallMethod(evaluations.evaluation_charts)
    evaluation_examples = CallMethod(evaluations.evaluation_examples)
    evaluation_filter_schema = CallMethod(evaluations.evaluation_filter_schema)
    evaluation_operating_points = CallMethod(evaluations.evaluation_operating_points)
    list_model_evaluations = CallMethod(evaluations.list_model_evaluations)
    list_run_evaluations = CallMethod(evaluations.list_run_evaluations)
    compare_evaluations = CallMethod(comparisons.compare_evaluations)
    list_presets = CallMethod(evaluations.list_presets)
    create_preset = CallMethod(evaluations.create_preset)
    update_preset = CallMethod(evaluations.update_preset)
    delete_preset = CallMethod(evaluations.delete_preset)

    # Jobs of the server
    list_jobs = CallMethod(jobs.list_jobs)
    running_jobs = CallMethod(jobs.running_jobs)
    job_status = CallMethod(jobs.job_status)
    get_job = CallMethod(jobs.get_job)
    job_errors = CallMethod(jobs.job_errors)
    cancel_job = CancelMethod(jobs.cancel_job)
