"""Every route of the REST contract, whether we have it or not: what 501 answers and the coverage table are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from airflow_provider_nucleus.local.http.path_templates import template_pattern

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.routes.routing import Route, RouteTable

__all__ = ["ContractRoute", "contract_route", "contract_routes", "coverage_page"]

# Tiers: T1 core pipeline, T2 evaluation pipelines, T3 outside the core. The upload URL is ours to choose.
_ROUTES: Final = """
# 2.1 Datasets
T1 GET    dataset/details
T2 GET    dataset/
T1 POST   dataset/create
T3 POST   dataset/create_from_project
T1 DELETE dataset/{ds}
T1 GET    dataset/{ds}/name
T1 GET    dataset/{ds}/is_scene
T1 GET    dataset/{ds}/use_privacy_mode
T1 GET    dataset/{ds}/info
T1 GET    dataset/{ds}/size
T1 GET    dataset/{ds}/model_runs
T2 GET    dataset/{ds}/slices
T2 GET    dataset/{ds}/labelSchema
T2 GET    dataset/{ds}/tags
T2 POST   dataset/{ds}/tags
T2 DELETE dataset/{ds}/tags
T2 GET    dataset/{ds}/class_labels
T3 POST   dataset/{ds}/ingest_tasks
# 2.2 Items
T1 GET    dataset/{ds}/signedUrl/{request_id}
T1 PUT    uploads/{token}
T1 POST   dataset/{ds}/append
T1 GET    dataset/{ds}/datasetItems
T1 POST   dataset/{ds}/itemsPage
T1 GET    dataset/{ds}/iloc/{index}
T1 GET    dataset/{ds}/refloc/{ref}
T1 GET    dataset/{ds}/loc/{item}
T2 DELETE dataset/{ds}/refloc/{ref}
T2 POST   dataset/{ds}/metadata
# 2.3 Annotations and taxonomies
T1 POST   dataset/{ds}/annotate
T1 GET    dataset/{ds}/groundTruth/loc/{ref}/{annotation_id}
T2 DELETE annotation/{ds}
T2 POST   dataset/{ds}/add_taxonomy
T2 DELETE dataset/{ds}/taxonomy/{name}
# 2.4 Predictions
T1 POST   dataset/{ds}/model/{m}/uploadPredictions
T1 GET    dataset/{ds}/model/{m}/iloc/{index}
T1 GET    dataset/{ds}/model/{m}/referenceId/{ref}
T1 GET    dataset/{ds}/model/{m}/loc/{ref}/{annotation_id}
T1 GET    dataset/{ds}/model/{m}/export
T1 POST   model/{m}/predictions
T1 GET    model/{m}/predictions/loc/{item}
T1 GET    model/{m}/predictions/refloc/{ref}
T1 GET    model/{m}/predictions/iloc/{index}
T2 POST   model/{m}/predictions/copyFromRun
T2 POST   dataset/{ds}/modelRun/{r}/uploadPredictions
T2 POST   modelRun/{r}/uploadPredictions
T2 POST   modelRun/{r}/predict
T3 POST   dataset/{ds}/model/{m}/pointcloud/{ref}/uploadLSSPrediction
# 2.5 Models
T1 GET    models/
T1 POST   models/add
T1 GET    model/{m}
T1 DELETE model/{m}
T2 POST   model/{m}/tag
T2 DELETE model/{m}/tag
T2 POST   model/{m}/trainedSliceId
T2 DELETE model/{m}/trainedSliceId
T2 GET    model/{m}/modelRun
T2 POST   model/{m}/modelRun/create
T3 POST   model/run/{m}/
T3 POST   model/{m}/weights/presign
T3 POST   model/{m}/weights/finalize
T3 GET    model/{m}/weights
T3 GET    model/{m}/weights/download
T3 DELETE model/{m}/weights
# 2.6 Model runs
T2 POST   dataset/{ds}/modelRun/create
T2 DELETE modelRun/{r}
T2 POST   modelRun/merge
T2 GET    modelRun/{r}/info
T2 POST   modelRun/{r}/commit
T2 GET    modelRun/{r}/iloc/{index}
T2 GET    modelRun/{r}/refloc/{ref}
T2 GET    modelRun/{r}/loc/{item}
T2 GET    modelRun/{r}/prediction/loc/{ref}/{annotation_id}
T2 GET    modelRun/{r}/ungrouped
# 2.7 Jobs
T1 POST   jobs/
T1 GET    job/{job}
T1 GET    job/{job}/info
T1 GET    job/{job}/errors
# 2.8 Metrics and Evaluations V2
T1 POST   dataset/{ds}/model/{m}/calculateEvaluationMetrics
T2 POST   benchmarks/{bm}/evaluationsV2
T2 GET    evaluationsV2/{ev}
T2 DELETE evaluationsV2/{ev}
T2 POST   evaluationsV2/{ev}/cancel
T2 POST   evaluationsV2/{ev}/retry
T2 POST   evaluationsV2/{ev}/charts
T2 POST   evaluationsV2/{ev}/examples
T2 GET    evaluationsV2/{ev}/filterSchema
T2 GET    model/{m}/evaluationsV2
T2 GET    modelRun/{r}/evaluationsV2
T2 GET    evaluationV2Presets
T2 POST   evaluationV2Presets
T2 PATCH  evaluationV2Presets/{p}
T2 DELETE evaluationV2Presets/{p}
T2 POST   benchmarks
T2 GET    benchmarks
T2 GET    benchmarks/{bm}
T2 PATCH  benchmarks/{bm}
T2 DELETE benchmarks/{bm}
T2 GET    benchmarks/{bm}/items
T2 POST   benchmarks/{bm}/items
T2 DELETE benchmarks/{bm}/items
T2 POST   benchmarks/{bm}/finalize
T2 POST   leaderboard/ranking
T2 POST   leaderboard/f1Curve
# 2.9 Slices
T2 GET    slice/
T2 POST   dataset/{ds}/create_slice
T2 POST   dataset/{ds}/build_slice
T2 GET    slice/{s}
T2 GET    slice/{s}/info
T2 DELETE slice/{s}
T2 POST   slice/{s}/append
T2 POST   slice/{s}/tag
T2 POST   slice/{s}/itemsPage
T2 GET    slice/{s}/exportForTraining
T2 POST   slice/{s}/exportForTrainingPage
T2 GET    slice/{s}/{m}/exportForTraining
T2 POST   slice/{s}/{m}/exportForTrainingPage
T2 GET    slice/{s}/export_raw_json
T2 GET    slice/{s}/exportRawItems
T2 GET    slice/{s}/class_labels
T3 GET    slice/{s}/exportScaleTaskInfo
T3 GET    slice/{s}/embeddings
T3 POST   dataset/{slc_id}/async_export_embeddings
T3 POST   slice/{s}/{project}/send_to_labeling
# 2.10 Query and export
T2 POST   dataset/{ds}/queryItemsPage
T2 POST   dataset/{ds}/queryObjectsPage
T3 POST   dataset/{ds}/queryScenesPage
T2 GET    dataset/{ds}/exportForTraining
T2 POST   dataset/{ds}/exportForTrainingPage
T3 POST   dataset/{ds}/exportForTrainingByScene
T3 GET    dataset/{ds}/exportScaleTaskInfo
# 2.11 Validate
T2 GET    validate/eval_fn
T2 POST   validate/eval_fn
T2 POST   validate/scenario_test
T2 GET    validate/scenario_test/details
T2 GET    validate/scenario_test/{st}
T2 GET    validate/scenario_test/{st}/info
T2 DELETE validate/scenario_test/{st}
T2 GET    validate/scenario_test/{st}/metrics
T2 GET    validate/scenario_test/{st}/eval_history/details
T2 GET    validate/scenario_test/{st}/items
T2 POST   validate/scenario_test/{st}/set_baseline_model/{m}
T2 POST   validate/scenario_test_eval_function
T2 POST   validate/metric/set_threshold/{st}/{ef}
T2 POST   validate/scenario_test/upload_results
T2 GET    validate/eval/{evaluation}/info
T2 POST   validate/{m}/evaluate
T2 POST   validate/{m}/metrics
# 2.12 Scenes, tracks
T3 POST   {ds}/upload_scenes
T3 POST   {ds}/upload_video_scenes
T3 GET    dataset/{ds}/scenes_list
T3 GET    dataset/{ds}/scene/{ref}
T3 DELETE dataset/{ds}/scene/{ref}
T3 GET    dataset/{ds}/tracks
T3 POST   dataset/{ds}/tracks
T3 DELETE dataset/{ds}/tracks
# 2.13 Autotag, indexing, embeddings
T3 GET    {ds}/list_autotags
T3 POST   dataset/{ds}/autotag/{name}/taggedItems
T3 GET    dataset/{ds}/autotag/{name}/trainingItems
T3 POST   autotag/{tag}
T3 DELETE autotag/{tag}
T3 GET    autotag/{tag}/refinementMetrics
T3 GET    dataset/{ds}/embeddingIndexes
T3 POST   indexing/{ds}
T3 DELETE indexing/{ds}
T3 POST   indexing/{ds}/setPrimary
T3 POST   indexing/{ds}/setContinuous
T3 POST   indexing/{ds}/internal/image
T3 POST   indexing/{ds}/internal/object
T3 POST   dataset/{ds}/indexingStatus
T3 GET    dataset/{ds}/embeddings
T3 POST   dataset/{ds}/async_export_embeddings
# 2.14 Other
T3 POST   dataset/{ds}/deduplicate_async
T3 GET    task/{task}/frame/{n}
T3 POST   autocurate/{ds}/single_model_entropy/{name}
# 2.15 Older clients
T3 POST   modelRun/{r}/evaluationsV2
T3 GET    evaluationsV2/{ev}/charts
"""

_PARAMETER: Final = re.compile(r"\{\w+(\*?)\}")


@dataclass(frozen=True, slots=True)
class ContractRoute:
    """One route of the contract and the section that describes it."""

    section: str
    tier: str
    method: str
    template: str


@cache
def contract_routes() -> tuple[ContractRoute, ...]:
    """Return the routes in order of the contract."""
    found, section = [], ""
    for line in _ROUTES.strip().splitlines():
        if line.startswith("# "):
            section = line[2:]
        else:
            tier, method, template = line.split()
            found.append(ContractRoute(section, tier, method, template))
    return tuple(found)


def contract_route(method: str, path: str) -> ContractRoute | None:
    """Return the route of the contract that a request means, or None if it means none."""
    for route in contract_routes():
        if route.method == method and template_pattern(route.template).fullmatch(path):
            return route
    return None


def coverage_page(routes: RouteTable) -> str:
    """Return `docs/coverage.md`: every route of the contract with a tick if the server has it, then our own."""
    own_routes = [route for route in routes if not any(_answers(route, known) for known in contract_routes())]
    lines = [
        "# Coverage of the REST contract",
        "",
        "Generated by `nucleus-local coverage`; a test compares this page with the server.",
        "Routes without a tick answer 501 and say so. Tiers: T1 core pipeline, T2 evaluation pipelines, T3 outside the core.",
        "",
    ]
    section = ""
    for known in contract_routes():
        if known.section != section:
            section = known.section
            lines += ["", f"## {section}", "", "| | Tier | Method | Route |", "|---|---|---|---|"]
        tick = "\u2713" if any(_answers(route, known) for route in routes) else ""
        lines.append(f"| {tick} | {known.tier} | {known.method} | `{known.template}` |")
    lines += ["", "## Extensions of the embedded server", "", "Scale's cloud does not have these.", ""]
    lines += ["| Method | Route |", "|---|---|"]
    lines += sorted(f"| {route.method} | `{route.template.replace('*', '')}` |" for route in own_routes)
    done = sum(any(_answers(route, known) for route in routes) for known in contract_routes())
    lines[4] = f"\n{done} of {len(contract_routes())} routes."
    return "\n".join(lines) + "\n"


def _answers(route: Route, known: ContractRoute) -> bool:
    if route.method != known.method:
        return False
    # A greedy parameter of ours may stand for several of the contract's, which cannot be told apart by slashes.
    pattern, last = "", 0
    for found in _PARAMETER.finditer(route.template):
        pattern += re.escape(route.template[last : found.start()]) + (
            r"\{\}(/\{\})*" if found[1] else r"\{\}"
        )
        last = found.end()
    pattern += re.escape(route.template[last:])
    return re.fullmatch(pattern, _PARAMETER.sub("{}", known.template)) is not None
