"""Every type against the installed official client: the same arguments give the same bytes."""

from __future__ import annotations

import inspect
import json

import nucleus
import pytest
from nucleus.dataset_item import DatasetItemEmbeddingInfo as OfficialEmbedding

from airflow_provider_nucleus import schema

VERTICES = [{"x": 1, "y": 2.5}, {"x": 3, "y": 4}, {"x": 5e-7, "y": 6}]
METADATA = {"color": "red", "speed": 1.5, "nested": {"list": [1, None, True]}, "é": "ü"}
PDF = {"car": 0.25, "bus": 0.75}


def cases(source):
    """Build every type with the classes of either library, required arguments only and all of them."""
    point, point3, keypoint, segment = source.Point, source.Point3D, source.Keypoint, source.Segment
    points = [keypoint(1, 2.5), keypoint(3, 4, True), keypoint(visible=False), keypoint(5, 6, visible=False)]
    names = ["a", "b", "c", "d"]
    skeleton = [[0, 1], [1, 2]]
    segments = [
        segment("grass", "1"),
        segment("road", 2, {"wet": True}),
        segment("sky", index="3"),
        segment("none"),
    ]
    common = {"annotation_id": "own", "metadata": METADATA, "track_reference_id": "track"}
    predicted = {"confidence": 0.25, "class_pdf": PDF}
    target = {"dataset_item_id": "di_1", "dataset_id": "ds_1"}
    return {
        "box": source.BoxAnnotation("car", 0, 0.5, 10, 10.0, "image_1"),
        "box by keyword": source.BoxAnnotation(
            label="car",
            x=0,
            y=0,
            width=10,
            height=10,
            reference_id="image_1",
            embedding_vector=[0.5, 1, -2e-9],
            **common,
        ),
        "box with falsy metadata": source.BoxAnnotation("car", -1, -2.25, 0, 0, "image/1", None, {}),
        "line": source.LineAnnotation("lane", [point(1, 2), point(3, 4.5)], "image_1"),
        "line with all": source.LineAnnotation("lane", VERTICES, "image_1", **common),
        "polygon": source.PolygonAnnotation("bus", [point(1, 2), point(3, 4), point(5, 6)], "image_1"),
        "polygon with dicts": source.PolygonAnnotation(
            "bus", VERTICES, "image_1", embedding_vector=[1.0], **common
        ),
        "keypoints": source.KeypointsAnnotation("face", points, names, "image_1"),
        "keypoints with all": source.KeypointsAnnotation(
            "face", points, names, "image_1", skeleton, **common
        ),
        "cuboid": source.CuboidAnnotation("car", point3(100, 100, 10), point3(5, 10, 5), 0, "cloud_1"),
        "cuboid with all": source.CuboidAnnotation(
            "car", point3(1.5, 2, 3), point3(4, 5, 6), -1.5, "cloud_1", **common
        ),
        "mask": source.SegmentationAnnotation("s3://b/m.png", segments, "image_1"),
        "mask with id": source.SegmentationAnnotation("s3://b/m.png", [], "image_1", "own"),
        "category": source.CategoryAnnotation("dress", "image_1"),
        "category with all": source.CategoryAnnotation("dress", "image_1", "clothes", METADATA, "track"),
        "multicategory": source.MultiCategoryAnnotation(["a", "b"], "image_1"),
        "multicategory with all": source.MultiCategoryAnnotation(["a"], "image_1", "t", METADATA, "track"),
        "scene category": source.SceneCategoryAnnotation("running", "scene_1"),
        "scene category with all": source.SceneCategoryAnnotation("running", "scene_1", "action", METADATA),
        "scene category with null metadata": source.SceneCategoryAnnotation("running", "scene_1", None, None),
        "box prediction": source.BoxPrediction("car", 0, 0, 10, 10, "image_1"),
        "box prediction with all": source.BoxPrediction(
            "car", 0, 0.5, 10, 10, "image_1", **predicted, embedding_vector=[1, 2], **common, **target
        ),
        "box prediction by position": source.BoxPrediction(
            "car", 0, 0, 1, 1, "i", 0.5, "own", {"a": 1}, {"car": 1}
        ),
        "box prediction at an item": source.BoxPrediction(
            "car", 0, 0, 1, 1, dataset_item_id="di_1", confidence=0
        ),
        "line prediction": source.LinePrediction("lane", VERTICES, "image_1"),
        "line prediction with all": source.LinePrediction(
            "lane", VERTICES, "image_1", **predicted, **common, **target
        ),
        "polygon prediction": source.PolygonPrediction("bus", VERTICES, "image_1", 1),
        "polygon prediction with all": source.PolygonPrediction(
            "bus", VERTICES, "image_1", **predicted, **common, **target, embedding_vector=[3.5]
        ),
        "keypoints prediction": source.KeypointsPrediction("face", points, names, skeleton, "image_1"),
        "keypoints prediction with all": source.KeypointsPrediction(
            "face", points, names, skeleton, "image_1", **predicted, **common, **target
        ),
        "cuboid prediction": source.CuboidPrediction("car", point3(1, 2, 3), point3(4, 5, 6), 0.5, "cloud_1"),
        "cuboid prediction with all": source.CuboidPrediction(
            "car", point3(1, 2, 3), point3(4, 5, 6), 0.5, "cloud_1", **predicted, **common, **target
        ),
        "mask prediction": source.SegmentationPrediction("s3://b/m.png", segments, "image_1"),
        "mask prediction with all": source.SegmentationPrediction(
            "s3://b/m.png", segments, "image_1", "own", "di_1", dataset_id="ds_1"
        ),
        "category prediction": source.CategoryPrediction("dress", "image_1"),
        "category prediction with all": source.CategoryPrediction(
            "dress", "image_1", "clothes", 0.5, METADATA, PDF, "track", **target
        ),
        "scene category prediction": source.SceneCategoryPrediction("running", "scene_1"),
        "scene category prediction with all": source.SceneCategoryPrediction(
            "running", "scene_1", "action", 0.5, METADATA, **target
        ),
    }


OFFICIAL = cases(nucleus)
OURS = cases(schema)


@pytest.mark.parametrize("name", OURS)
def test_the_same_arguments_give_the_same_bytes(name):
    """Keys, order, nulls, omissions, numbers and automatic ids."""
    assert json.dumps(OFFICIAL[name].to_payload()) == json.dumps(OURS[name].to_wire())


@pytest.mark.parametrize("name", OURS)
def test_what_was_sent_can_be_parsed_and_read_back(name):
    """Both ways give the object that was built."""
    built = OURS[name]
    wire = json.loads(json.dumps(built.to_wire()))

    assert built == type(built).parse(wire)
    assert built == type(built).from_wire(wire)
    assert json.dumps(built.to_wire()) == json.dumps(type(built).from_wire(wire).to_wire())


@pytest.mark.parametrize("name", [name for name in OURS if "scene" not in name])
def test_the_type_on_the_wire_leads_to_the_class(name):
    """Rows carry nothing but their type."""
    built = OURS[name]
    parse, read = (
        (schema.parse_prediction, schema.read_prediction)
        if "prediction" in name
        else (schema.parse_annotation, schema.read_annotation)
    )

    assert built == parse(built.to_wire())
    assert built == read(built.to_wire())


@pytest.mark.parametrize("name", OURS)
def test_the_official_client_reads_what_we_send(name):
    """The other direction: servers built on our schema serve official clients."""
    official = OFFICIAL[name]

    read = type(official).from_json(
        json.loads(json.dumps(OURS[name].to_wire() | {"dataset_item_id": "di_1"}))
    )

    assert type(official) is type(read)
    assert official.reference_id == read.reference_id


CLASSES = sorted(
    {type(each).__name__ for each in OURS.values()}
    | {"DatasetItem", "Point", "Point3D", "Keypoint", "Segment"}
)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_have_the_names_and_the_order_of_the_official_client(name):
    """Code written for the official classes works with ours, by position and by keyword."""
    official = _arguments(getattr(nucleus, name))
    ours = _arguments(getattr(schema, name))

    assert official == ours


def _arguments(cls):
    # The one private argument of the official client is public here, under the name of its key.
    return [
        (parameter.name.lstrip("_"), parameter.kind)
        for parameter in inspect.signature(cls).parameters.values()
    ]


ITEMS = {
    "image": ("DatasetItem", {"image_location": "s3://b/1.png", "reference_id": "1"}),
    "image with all": (
        "DatasetItem",
        {"image_location": "a b.jpg", "reference_id": "1", "metadata": METADATA, "width": 640, "height": 480},
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_gives_the_same_bytes(name):
    """Alone."""
    _, arguments = ITEMS[name]

    assert json.dumps(nucleus.DatasetItem(**arguments).to_payload()) == json.dumps(
        schema.DatasetItem(**arguments).to_wire()
    )


def test_an_item_with_an_embedding_gives_the_same_bytes():
    """For custom indexes."""
    official = nucleus.DatasetItem("s3://b/1.png", "1", embedding_info=OfficialEmbedding("idx", [1.5, 2]))
    ours = schema.DatasetItem(
        "s3://b/1.png", "1", embedding_info=schema.DatasetItemEmbeddingInfo("idx", [1.5, 2])
    )

    assert json.dumps(official.to_payload()) == json.dumps(ours.to_wire())


CAMERA = {
    "position": {"x": 1, "y": 2, "z": 3},
    "heading": {"x": 0, "y": 0, "z": 0, "w": 1},
    "fx": 1.5,
    "fy": 2,
    "cx": 3,
    "cy": 4,
    "k1": 0.1,
    "k2": 0.0,
    "camera_model": "fisheye",
}


def lidar(source):
    item, frame = source.DatasetItem, source.Frame
    frames = [
        frame(
            lidar=item(pointcloud_location=f"s3://b/{n}.json", reference_id=f"cloud_{n}", metadata={"n": n}),
            front=item(f"s3://b/{n}.jpg", f"front_{n}", {"camera_params": CAMERA}, width=10, height=20),
        )
        for n in range(2)
    ]
    return source.LidarScene("scene_1", frames, {"weather": "clear"})


def video(source):
    return source.VideoScene(
        "scene_1", frame_rate=5, items=[source.DatasetItem(f"s3://b/{n}.jpg", f"f_{n}") for n in range(2)]
    )


def video_file(source):
    return source.VideoScene(
        "scene_1", video_location="s3://b/v.mp4", metadata={"a": 1}, use_privacy_mode=True
    )


@pytest.mark.parametrize("build", [lidar, video, video_file])
def test_a_scene_gives_the_same_bytes(build):
    """Frames, cameras, metadata."""
    assert json.dumps(build(nucleus).to_payload()) == json.dumps(build(schema).to_wire())


def test_a_lidar_scene_can_be_read_back():
    """From what was sent."""
    built = lidar(schema)

    assert built.to_wire() == schema.LidarScene.from_wire(built.to_wire()).to_wire()


def test_the_snippets_of_the_product_guide_run_unchanged():
    """Names, positions and spellings as printed there."""
    from airflow_provider_nucleus.schema import (
        BoxAnnotation,
        BoxPrediction,
        CategoryAnnotation,
        CuboidAnnotation,
        Point,
        Point3D,
        PolygonAnnotation,
        Segment,
        SegmentationAnnotation,
    )

    box = BoxAnnotation(
        label="car",
        x=0,
        y=0,
        width=10,
        height=10,
        reference_id="image_1",
        annotation_id="image_1_car_box_1",
        metadata={"vehicle_color": "red"},
    )
    polygon = PolygonAnnotation(
        label="bus",
        vertices=[Point(100, 100), Point(150, 200), Point(200, 100)],
        reference_id="image_2",
        annotation_id="image_2_bus_polygon_1",
        metadata={"vehicle_color": "yellow"},
    )
    with_dicts = PolygonAnnotation(
        label="bus",
        vertices=[{"x": 100, "y": 100}, {"x": 150, "y": 200}, {"x": 200, "y": 100}],
        reference_id="image_2",
        annotation_id="image_2_bus_polygon_1",
        metadata={"vehicle_color": "yellow"},
    )
    cuboid = CuboidAnnotation(
        label="car",
        position=Point3D(100, 100, 10),
        dimensions=Point3D(5, 10, 5),
        yaw=0,
        reference_id="pointcloud_1",
        annotation_id="pointcloud_1_car_cuboid_1",
        metadata={"vehicle_color": "green"},
    )
    mask = SegmentationAnnotation(
        mask_url="s3://your-bucket-name/segmentation-masks/image_2_mask_id_1.png",
        annotations=[
            Segment(label="grass", index="1"),
            Segment(label="road", index="2"),
            Segment(label="bus", index="3", metadata={"vehicle_color": "yellow"}),
            Segment(label="tree", index="4"),
        ],
        reference_id="image_2",
        annotation_id="image_2_mask_1",
    )
    category = CategoryAnnotation(label="dress", reference_id="image_1", taxonomy_name="clothing_type")
    prediction = BoxPrediction(
        label="car",
        x=0,
        y=0,
        width=10,
        height=10,
        reference_id="image_1",
        confidence=0.9,
        annotation_id="image_1_car_box_1",
        metadata={"vehicle_color": "red"},
        class_pdf={"car": 0.9, "bus": 0.1},
    )

    assert polygon == with_dicts
    assert mask.to_wire()["annotations"][0]["index"] == "1"
    assert cuboid.to_wire()["geometry"]["position"]["z"] == 10
    assert category.to_wire()["taxonomy_name"] == "clothing_type"
    assert prediction.to_wire()["confidence"] == 0.9
    assert box.to_wire()["metadata"] == {"vehicle_color": "red"}
