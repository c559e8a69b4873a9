"""Every set of real data reproduces its expected.json through the server: uploaded, evaluated, read back over HTTP.

A set yields (path into expected.json, number the server answers) for all it can. What it does not yield is listed in
`LEFT_OUT` with the reason; a number of expected.json that is neither fails the test.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.local.conftest import Api
from tests.local.reference_sets import Upload, category_upload, coco_upload, cuboid_upload, mask_upload, send
from tests.shared_data import shared_data
from tests.unit.evaluation import oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_nucleus.local.testing import LocalNucleus

Yielded = tuple[tuple[str, ...], Any]

DIGITS = 6
"""Decimals of expected.json, whose numbers are rounded."""
TOLERANCE = 0.5000001 * 10**-DIGITS
PUBLISHED = 0.0005000001
"""COCO publishes three decimals."""

TEXT = ("tool", "note", "classifier", "where", "published/where", "image_licences")
NUCLEUS_METRICS = "scale_nucleus"
"""Numbers of the official client's `nucleus.metrics`: that library's definitions and defects, see docs/evaluation.md."""

LEFT_OUT: dict[str, dict[str, str]] = {
    "home-objects": {
        "counts/categories": "categories without any object are not uploaded",
        "coco_shared_categories/categories": "is the filter",
        "matching_iou_0.5/method": "text",
        "published": "VOC's matching and its all-point AP are neither COCO's nor Nucleus'",
    },
    "coco-val2014-100": {
        "coco/fakesegm/segm": "Nucleus has no run-length mask per object with a confidence; the command line reads them",
        "published/fakesegm/segm": "as above",
        "counts/polygon_parts": "crowds and objects of several rings are uploaded as boxes",
        "counts/categories": "categories without any object are not uploaded",
    },
    "shapes-polygons": {},
    "spacenet-buildings": {
        "published/per_area/AOI_5_Khartoum/fn": "the published evaluation dropped two truth polygons",
        "published/per_area/AOI_5_Khartoum/recall": "as above",
        "published/per_area/AOI_5_Khartoum/f1": "as above",
    },
    "davis-masks": {"counts/models": "is the number of uploads"},
    "ade20k-sample": {},
    "coco-keypoints-4": {},
    "kitti-cuboids": {"counts/sequences": "text", "scale_nucleus": "nucleus.metrics"},
    "digits-categories": {
        "counts/models": "is the number of uploads",
        "models/naive_bayes/top3_accuracy": "the file rounds its probabilities: on 11 images the true label and others have 0",
    },
}

NAMES = {
    "AP": "AP", "AP50": "AP50", "AP75": "AP75", "AP_small": "APs", "AP_medium": "APm", "AP_large": "APl", "AR": "AR",
    "AR50": "AR50", "AR75": "AR75", "AR_1": "AR1", "AR_10": "AR10", "AR_100": "AR100", "AR_small": "ARs",
    "AR_medium": "ARm", "AR_large": "ARl",
}  # fmt: skip


class Server:
    """Uploads sets once per module and asks for numbers."""

    def __init__(self, nucleus: LocalNucleus) -> None:
        self.api = Api(nucleus)
        self._own = f"{nucleus.base_url}/ui/api/evaluations"
        self._key = nucleus.api_key

    def evaluate(self, upload: Upload) -> str:
        return send(self.api, upload)

    def own(self, evaluation: str, name: str, **query: Any) -> Any:
        """Ask one of our own routes; filters are given as an object."""
        if "filters" in query:
            query["filters"] = json.dumps(query["filters"])
        answer = requests.get(
            f"{self._own}/{evaluation}/{name}", params=query, auth=(self._key, ""), timeout=60
        )
        assert answer.ok, answer.text
        return answer.json()

    def coco(self, evaluation: str, **query: Any) -> dict[str, Any]:
        """Return COCO's numbers of the only family there is."""
        (family,) = self.own(evaluation, "coco", **query)["families"].values()
        return dict(family)

    def charts(self, evaluation: str, **body: Any) -> dict[str, Any]:
        return dict(self.api.ok("POST", f"evaluationsV2/{evaluation}/charts", json=body))


def value_of(metric: dict[str, Any]) -> float | None:
    """Return a metric's value; null comes with a reason."""
    assert (metric["value"] is None) == bool(metric.get("reason")), metric
    return metric["value"]


def coco_numbers(
    found: dict[str, Any], *path: str, charts: dict[str, Any] | None = None, per_category: bool = False
) -> Iterator[Yielded]:
    """Yield the named numbers, from charts too where they have them."""
    for expected, ours in NAMES.items():
        if ours in found["numbers"]:
            yield (*path, expected), value_of(found["numbers"][ours])
    if per_category:
        for entry in found["per_class"]:
            if entry["ground_truths"]:
                yield (*path, "per_category", entry["label"], "AP"), value_of(entry["AP"])
                yield (*path, "per_category", entry["label"], "AP50"), value_of(entry["AP50"])
    if charts is not None:
        yield from (
            ((*path, name), charts["mapSummary"][ours])
            for name, ours in (("AP", "mapAt5095"), ("AP50", "mapAt50"), ("AP75", "mapAt75"))
        )
        for size in ("small", "medium", "large"):
            if f"AR{size[0]}" in found["numbers"]:
                yield (*path, f"AP_{size}"), charts["apBySize"][size]
        if per_category:
            for entry in charts["perClassAp"]:
                yield (*path, "per_category", entry["classLabel"], "AP"), entry["ap"]


def counts_at(found: dict[str, Any], *path: str) -> Iterator[Yielded]:
    """Yield the counts of the confidence-first match with precision and recall."""
    for name in ("tp", "fp", "fn"):
        yield (*path, name), found[name]
    for name in ("precision", "recall"):
        yield (*path, name), value_of(found[name])


def home_objects(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    shared = expected["coco_shared_categories"]["categories"]
    for model in ("yolo", "centernet"):
        upload = coco_upload(folder, f"predictions_{model}.json")
        evaluation = server.evaluate(upload)
        found = server.coco(evaluation)
        charts = server.charts(evaluation)
        yield ("counts", "images"), server.own(evaluation, "provenance")["items"]
        yield ("counts", "ground_truth"), found["ground_truths"]
        yield (
            ("counts", "ground_truth_categories"),
            sum(entry["ground_truths"] > 0 for entry in found["per_class"]),
        )
        yield ("counts", f"predictions_{model}"), found["predictions"]
        yield from coco_numbers(found, "coco", model, charts=charts, per_category=True)
        both = {"predLabels": shared, "gtLabels": shared}
        yield from coco_numbers(
            server.coco(evaluation, filters=both), "coco_shared_categories", model,
            charts=server.charts(evaluation, filters=both),
        )  # fmt: skip
        for key in expected["matching_iou_0.5"][model]:
            above = {"confidenceRange": {"min": float(key.removeprefix("score>="))}}
            chosen = server.coco(evaluation, filters=above)
            yield from counts_at(chosen["at_threshold"], "matching_iou_0.5", model, key)


def coco_val2014(server: Server, folder: Path, _: dict[str, Any]) -> Iterator[Yielded]:
    for model in ("fakebbox", "fakesegm"):
        evaluation = server.evaluate(coco_upload(folder, f"predictions_{model}.json"))
        found, charts = server.coco(evaluation), server.charts(evaluation)
        origin = server.own(evaluation, "provenance")
        yield ("counts", "images"), origin["items"]
        yield ("counts", "ground_truth"), origin["families"]["area"]["ground_truths"]
        yield (
            ("counts", "ground_truth_crowd"),
            (origin["families"]["area"]["ground_truths"] - found["ground_truths"]),
        )
        yield ("counts", f"predictions_{model}"), found["predictions"]
        boxes = model == "fakebbox"
        yield from coco_numbers(found, "coco", f"{model}/bbox", charts=charts, per_category=boxes)
        if boxes:
            yield from coco_numbers(found, "published", "fakebbox/bbox")


def shapes(server: Server, folder: Path, _: dict[str, Any]) -> Iterator[Yielded]:
    boxes = server.evaluate(coco_upload(folder, "predictions.json"))
    found = server.coco(boxes)
    yield ("counts", "images"), server.own(boxes, "provenance")["items"]
    yield ("counts", "ground_truth"), found["ground_truths"]
    yield ("counts", "predictions"), found["predictions"]
    yield ("counts", "categories"), len(found["per_class"])
    yield from coco_numbers(found, "coco", "bbox", charts=server.charts(boxes), per_category=True)
    polygons = server.evaluate(coco_upload(folder, "predictions.json", shape="polygon"))
    yield from coco_numbers(server.coco(polygons, iou="raster"), "coco", "segm", per_category=True)


def spacenet(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    boxes = server.evaluate(coco_upload(folder, "predictions.json"))
    yield from coco_numbers(server.coco(boxes), "coco", "bbox", charts=server.charts(boxes))
    polygons = server.evaluate(coco_upload(folder, "predictions.json", shape="polygon"))
    drawn = server.coco(polygons, iou="raster")
    yield ("counts", "images"), server.own(polygons, "provenance")["items"]
    yield ("counts", "ground_truth"), drawn["ground_truths"]
    yield ("counts", "predictions"), drawn["predictions"]
    yield from coco_numbers(drawn, "coco", "segm")
    matching = expected["polygon_matching_iou_0.5"]
    images = {image: (f"{image}.tif",) for image in matching["per_image"]}
    areas = {
        area: tuple(f"{image}.tif" for image in images if image.startswith(area))
        for area in matching["per_area"]
    }
    for kind, groups in (("per_image", images), ("per_area", areas)):
        for name, members in groups.items():
            chosen = " OR ".join(f'reference_id = "{member}"' for member in members)
            found = server.coco(polygons, query=chosen)["at_threshold"]
            total = server.charts(polygons, query=chosen)["totalCounts"]
            for count in ("tp", "fp", "fn"):
                yield ("polygon_matching_iou_0.5", kind, name, count), found[count]
                yield ("polygon_matching_iou_0.5", kind, name, count), total[count]
            if kind == "per_area":
                yield from _published(found, name, f1=name == "AOI_2_Vegas")


def _published(found: dict[str, Any], area: str, *, f1: bool) -> Iterator[Yielded]:
    path = ("published", "per_area", area)
    yield (*path, "tp"), found["tp"]
    yield (*path, "fp"), found["fp"]
    yield (*path, "precision"), value_of(found["precision"])
    if f1:
        yield (*path, "fn"), found["fn"]
        yield (*path, "recall"), value_of(found["recall"])
        yield (*path, "f1"), 2 * found["tp"] / (2 * found["tp"] + found["fp"] + found["fn"])


def davis(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    for model in ("osvos", "rvos"):
        evaluation = server.evaluate(mask_upload(folder, model))
        found = server.own(evaluation, "masks", groupBy="sequence")
        classes = {entry["label"]: entry for entry in found["per_class"]}
        front, back = classes["foreground"], classes["background"]
        path = ("models", model)
        yield ("counts", "frames"), found["items"]
        yield ("counts", "sequences"), len(found["groups"])
        for name, pixels in (
            ("tp", front["intersection"]), ("fp", front["predicted_pixels"] - front["intersection"]),
            ("fn", front["truth_pixels"] - front["intersection"]), ("tn", back["intersection"]),
        ):  # fmt: skip
            yield (*path, "pixels", name), pixels
        yield (*path, "dataset_iou_foreground"), value_of(front["iou"])
        yield (*path, "dataset_iou_background"), value_of(back["iou"])
        for name in ("mean_iou", "frequency_weighted_iou", "pixel_accuracy"):
            yield (*path, name), value_of(found[name])
        yield (*path, "precision_foreground"), value_of(front["precision"])
        yield (*path, "recall_foreground"), value_of(front["recall"])
        yield (*path, "mean_over_frames_iou_foreground"), value_of(front["item_mean_iou"])
        for group in found["groups"]:
            (entry,) = [entry for entry in group["per_class"] if entry["label"] == "foreground"]
            key = (*path, "mean_iou_foreground_by_sequence", group["value"])
            yield key, value_of(entry["item_mean_iou"])
            if group["value"] != "dog":
                continue
            chosen = {"itemMetadata": [{"key": "sequence", "op": "EQ", "value": group["value"]}]}
            (filtered,) = [
                entry
                for entry in server.own(evaluation, "masks", filters=chosen)["per_class"]
                if entry["label"] == "foreground"
            ]
            yield key, value_of(filtered["item_mean_iou"])
        # Segments count in charts as well: one foreground and one background a frame, none with a confidence.
        assert sum(server.charts(evaluation)["totalCounts"][name] for name in ("tp", "fn")) == 96


def ade20k(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    evaluation = server.evaluate(mask_upload(folder, "copy", without=("unlabelled",)))
    found = server.own(evaluation, "masks")
    yield ("counts", "images"), found["items"]
    yield ("counts", "classes"), found["classes"]
    yield ("counts", "classes_present"), len(found["per_class"])
    yield ("counts", "pixels"), found["pixels"] + found["pixels_not_labelled"]
    yield ("counts", "labelled_pixels"), found["pixels"]
    yield ("mean_iou_over_present_classes",), value_of(found["mean_iou"])
    for path in ((), ("published",)):
        yield (*path, "pixel_accuracy"), value_of(found["pixel_accuracy"])
        yield (*path, "mean_iou_over_150_classes"), value_of(found["mean_iou_all_classes"])
    assert value_of(found["panoptic"]["pq"]) == 1.0


def keypoints(server: Server, folder: Path, _: dict[str, Any]) -> Iterator[Yielded]:
    for model in ("pose", "wholebody"):
        evaluation = server.evaluate(coco_upload(folder, f"predictions_{model}.json", shape="keypoints"))
        found = server.coco(evaluation)
        origin = server.own(evaluation, "provenance")
        yield ("counts", "images"), origin["items"]
        yield ("counts", "ground_truth_persons"), origin["families"]["keypoints"]["ground_truths"]
        yield ("counts", "with_keypoints"), found["ground_truths"]
        yield ("counts", f"predictions_{model}"), found["predictions"]
        yield from coco_numbers(found, "coco", f"{model}/keypoints")
        charts = server.charts(evaluation)
        yield ("coco", f"{model}/keypoints", "AP"), charts["mapSummary"]["mapAt5095"]
        yield ("coco", f"{model}/keypoints", "AP_medium"), charts["apBySize"]["medium"]
        yield ("coco", f"{model}/keypoints", "AP_large"), charts["apBySize"]["large"]
    boxes = server.evaluate(coco_upload(folder, "detections_person.json"))
    found = server.coco(boxes)
    yield ("counts", "detections_person"), found["predictions"]
    yield from coco_numbers(found, "coco", "detections_person/bbox", charts=server.charts(boxes))


def kitti(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    for model in ("pointrcnn", "tracker"):
        evaluation = server.evaluate(cuboid_upload(folder, f"predictions_{model}.json"))
        found = server.coco(evaluation)
        classes = {entry["label"]: entry for entry in found["per_class"]}
        yield ("counts", "frames"), server.own(evaluation, "provenance")["items"]
        yield ("counts", "ground_truth"), found["ground_truths"]
        for label, entry in classes.items():
            yield ("counts", "ground_truth_labels", label), entry["ground_truths"]
        yield ("counts", f"predictions_{model}"), found["predictions"]
        for label, results in expected["cuboids"][model].items():
            only = {"predLabels": [label], "gtLabels": [label]}
            yield ("counts", f"{model}_labels", label), server.coco(evaluation, filters=only)["predictions"]
            for key in results:
                view, _, threshold = key.split("_")
                asked = {"iou": {"3d": "exact", "bev": "bev"}[view], "iouThreshold": float(threshold)}
                (entry,) = [
                    entry
                    for entry in server.coco(evaluation, **asked)["per_class"]
                    if entry["label"] == label
                ]
                path = ("cuboids", model, label, key)
                yield (*path, "AP"), value_of(entry["at_threshold"]["AP"])
                yield from counts_at(entry["at_threshold"], *path)
    for model in ("rrc", "pointrcnn"):
        upload = coco_upload(folder, f"boxes2d_{model}.json", truth="boxes2d_ground_truth.json")
        evaluation = server.evaluate(upload)
        found = server.coco(evaluation)
        yield ("counts", "boxes2d_ground_truth"), found["ground_truths"]
        yield ("counts", f"boxes2d_{model}"), found["predictions"]
        yield from coco_numbers(
            found, "boxes2d", model, charts=server.charts(evaluation), per_category=True
        )  # fmt: skip


def digits(server: Server, folder: Path, expected: dict[str, Any]) -> Iterator[Yielded]:
    for model in ("naive_bayes", "logistic"):
        evaluation = server.evaluate(category_upload(folder, f"predictions_{model}.json"))
        (found,) = server.own(evaluation, "categories", topK=3)["taxonomies"]
        charts = server.charts(evaluation)
        path = ("models", model)
        yield ("counts", "images"), found["items"]
        yield ("counts", "classes"), len(found["per_class"])
        yield (*path, "accuracy"), value_of(found["accuracy"])
        total = charts["totalCounts"]
        yield (*path, "accuracy"), total["tp"] / (total["tp"] + total["fn"])
        yield (*path, "macro_f1"), value_of(found["macro"]["f1"])
        yield (*path, "weighted_f1"), value_of(found["weighted"]["f1"])
        if model == "logistic":
            yield (*path, "top3_accuracy"), value_of(found["top_k"]["accuracy"])
        else:
            # scikit-learn had the unrounded probabilities; six digits of the file are 0 where the model was nearly sure, and
            # a label of probability 0 is no hit here.
            assert value_of(found["top_k"]["accuracy"]) == pytest.approx(279 / 300)
        for entry in found["per_class"]:
            label = (*path, "per_class", entry["label"])
            for name in ("precision", "recall", "f1"):
                yield (*label, name), value_of(entry[name])
            yield (*label, "support"), entry["support"]
        cells = Counter({
            (cell["gtLabel"], cell["predLabel"]): cell["count"] for cell in charts["confusionMatrix"]
        })
        for row in range(10):
            for column in range(10):
                yield (
                    (*path, "confusion_matrix_rows_truth", str(row), str(column)),
                    cells[str(row), str(column)],
                )


SETS: dict[str, Callable[[Server, Path, dict[str, Any]], Iterator[Yielded]]] = {
    "home-objects": home_objects,
    "coco-val2014-100": coco_val2014,
    "shapes-polygons": shapes,
    "spacenet-buildings": spacenet,
    "davis-masks": davis,
    "ade20k-sample": ade20k,
    "coco-keypoints-4": keypoints,
    "kitti-cuboids": kitti,
    "digits-categories": digits,
}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[Yielded]:
    """Walk a document to its numbers and texts."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from leaves(entry, (*path, str(key)))
    else:
        yield path, value


@pytest.mark.parametrize("name", SETS)
def test_the_server_reproduces_expected_json(nucleus: LocalNucleus, name: str):
    """Every number, to the decimals given there; -1 of COCO is null with a reason here."""
    folder = shared_data(name)
    document = json.loads((folder / "expected.json").read_text())
    expected = dict(leaves(document))
    server = Server(nucleus)

    compared: set[tuple[str, ...]] = set()
    wrong: dict[str, Any] = {}
    for path, actual in SETS[name](server, folder, document):
        wanted = None if expected[path] == -1 else expected[path]
        tolerance = PUBLISHED if path[0] == "published" and "coco" in name else TOLERANCE
        if actual != wanted and (None in {actual, wanted} or actual != pytest.approx(wanted, abs=tolerance)):
            wrong["/".join(path)] = (wanted, actual)
        compared.add(path)
    server.api.close()

    assert wrong == {}
    left = ["/".join(path) for path in expected if path not in compared]
    excused = (*LEFT_OUT[name], *TEXT, NUCLEUS_METRICS)
    assert [path for path in left if not path.startswith(excused) and not path.endswith(TEXT)] == []
    assert [prefix for prefix in LEFT_OUT[name] if not any(path.startswith(prefix) for path in left)] == []


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("shapes-polygons", {"AP": 0.694719, "APm": 0.792079, "APl": 0.0}),
        ("spacenet-buildings", {"AP": 0.120064, "APs": 0.048121, "APm": 0.163049, "APl": 0.242574}),
    ],
)
def test_polygons_by_pixels_equal_pycocotools_and_by_area_nearly(
    nucleus: LocalNucleus, name: str, exact: dict[str, float]
):
    """Drawn on pixels all twelve numbers agree to 1e-9; the exact area, which charts use, gives the pinned ones."""
    folder = shared_data(name)
    server = Server(nucleus)
    upload = coco_upload(folder, "predictions.json", shape="polygon")
    evaluation = server.evaluate(upload)
    document, results = (
        json.loads((folder / file).read_text()) for file in ("ground_truth.json", "predictions.json")
    )

    drawn, charts = server.coco(evaluation, iou="raster")["numbers"], server.charts(evaluation)
    numbers = server.coco(evaluation)["numbers"]
    server.api.close()

    wanted = oracle.numbers(oracle.reference(document, results, "segm"), "segm")
    assert {key: value_of(metric) for key, metric in drawn.items()} == {
        key: value if value is None else pytest.approx(value, abs=1e-9) for key, value in wanted.items()
    }
    assert {key: value_of(numbers[key]) for key in exact} == pytest.approx(exact, abs=TOLERANCE)
    assert charts["mapSummary"]["mapAt5095"] == pytest.approx(exact["AP"], abs=TOLERANCE)
