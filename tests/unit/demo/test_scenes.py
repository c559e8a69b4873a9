from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_nucleus.demo.scenes import LABELS, render_scene
from airflow_provider_nucleus.demo.scenes import scene as scene_module
from airflow_provider_nucleus.demo.scenes.camera import Camera
from airflow_provider_nucleus.demo.scenes.geometry import block, extrusion, wheel
from airflow_provider_nucleus.demo.scenes.raster import Buffer, draw


def test_same_seed_gives_the_same_pictures_and_boxes(scenes):
    """A scene depends on its number, the size of the batch and the seed alone."""
    again = render_scene(5, of=8, seed=3)

    assert np.array_equal(scenes[5].pixels, again.pixels)
    assert scenes[5].boxes == again.boxes


def test_another_seed_gives_another_scene(scenes):
    """The seed moves the objects."""
    assert render_scene(0, of=8, seed=4).boxes != scenes[0].boxes


def test_a_batch_shows_every_weather_and_both_cameras(scenes):
    """Weather comes in equal blocks, cameras take turns."""
    assert [scene.weather for scene in scenes] == [
        "day",
        "day",
        "dusk",
        "dusk",
        "night",
        "night",
        "fog",
        "fog",
    ]
    assert [scene.camera for scene in scenes] == ["dock-east", "yard-north"] * 4
    assert all(scene.pixels.shape == (400, 640, 3) and scene.pixels.dtype == np.uint8 for scene in scenes)


def test_every_kind_of_object_occurs(scenes):
    """Eight scenes hold all labels and no other."""
    assert {box.label for scene in scenes for box in scene.boxes} == set(LABELS)


def test_boxes_lie_inside_the_picture_and_are_seen(scenes):
    """No box leaves the picture; what is too hidden or too small is not in the scene."""
    for scene in scenes:
        for box in scene.boxes:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= 640
            assert box.y + box.height <= 400
            assert scene_module.LEAST_VISIBLE <= box.visible <= 1
            assert min(box.width, box.height) >= scene_module.LEAST_SIDE


@pytest.mark.parametrize("frame", [0, 1, 5, 7])
def test_boxes_are_tight_around_the_pixels_the_object_changes(frame):
    """Taking one object away changes pixels at all four sides of its box, in shape and not only in shadow."""
    view = scene_module._views()[frame % 2]
    rng = np.random.default_rng([3, frame])
    movers = scene_module._populate(view.place, scene_module.WEATHERS[frame // 2], rng)
    full, boxes = scene_module._draw_movers(view, movers)
    for number, box in enumerate(boxes):
        if box is None:
            continue
        rest, _ = scene_module._draw_movers(view, movers[:number] + movers[number + 1 :])
        # Everything that can tell two surfaces apart, per sample: the distance.
        rows, columns = np.nonzero(full.inverse_depth != rest.inverse_depth)
        seen = (columns.min() / 2, rows.min() / 2, (columns.max() + 1) / 2, (rows.max() + 1) / 2)

        assert (box.x, box.y, box.x + box.width, box.y + box.height) == seen


def test_pictures_differ_where_the_boxes_are(scenes):
    """The picture really shows something at the place of every daylight box: its colours vary more than bare ground."""
    for scene in scenes[:2]:
        bare = scene.pixels[380:398, 20:620].astype(float).std()
        for box in scene.boxes:
            rows = slice(int(box.y), int(box.y + box.height))
            columns = slice(int(box.x), int(box.x + box.width))
            assert scene.pixels[rows, columns].astype(float).std() > 2 * bare


def test_an_object_behind_another_is_cut_to_what_can_be_seen():
    """Occlusion shortens the box and lowers the visible share."""
    camera = Camera(100, 100, focal=100.0, height=2.0, pitch=0.1)
    near = block((-3.0, 0.0), (4.5, 4.8), (0.0, 3.0), albedo=(1, 0, 0))
    far = block((-1.0, 1.0), (6.0, 6.5), (0.0, 1.5), albedo=(0, 1, 0))
    buffer = Buffer.of_ground(camera)
    draw(buffer, far, camera, first=1)
    alone = np.flatnonzero(((buffer.face >= 1) & (buffer.face <= 6)).any(axis=0))
    draw(buffer, near, camera, first=7)
    behind = np.flatnonzero(((buffer.face >= 1) & (buffer.face <= 6)).any(axis=0))

    assert alone[0] < 50 <= behind[0]
    assert behind[-1] == alone[-1]


@pytest.mark.parametrize(
    "faces",
    [
        block((-1, 1), (-1, 1), (0, 2), albedo=(1, 1, 1)),
        extrusion([(-1, 0), (1, 0), (1, 1), (0, 0.4), (-1, 1)], width=2, albedo=(1, 1, 1)),
        wheel(0.0, 0.0, radius=0.5, width=0.2),
    ],
    ids=["block", "concave extrusion", "wheel"],
)
def test_bodies_are_closed_and_look_outwards(faces):
    """The flux of a constant field through a closed body is zero, that of a radial field three times its volume."""
    areas = []
    for face in faces:
        points = face.points
        total = sum(
            np.cross(points[i] - points[0], points[i + 1] - points[0]) for i in range(1, len(points) - 1)
        )
        areas.append(total / 2)
    volume = sum(area @ face.points[0] for area, face in zip(areas, faces, strict=True)) / 3

    assert np.allclose(sum(areas), 0, atol=1e-9)
    assert volume > 0


def test_a_camera_sees_the_ground_where_it_projects_it():
    """The ray of a pixel, followed to the ground, projects back to the centre of the pixel."""
    camera = Camera(64, 48, focal=50.0, height=3.0, pitch=0.4, yaw=0.2)
    row, column = 40, 10
    ground = camera.position + camera.rays[row, column] / camera.ground_inverse_depth[row, column]
    point, depth = camera.project(ground)

    assert ground[2] == pytest.approx(0, abs=1e-5)
    assert point[0] == pytest.approx([column + 0.5, row + 0.5], abs=1e-3)
    assert depth[0] == pytest.approx(1 / camera.ground_inverse_depth[row, column], rel=1e-5)
