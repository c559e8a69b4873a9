from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airflow_provider_nucleus.demo.calibrations import calibrations
from airflow_provider_nucleus.demo.detectors import CameraCalibration, detect_fixed, detect_relative
from airflow_provider_nucleus.demo.detectors.classifier import PROTOTYPES, classify
from airflow_provider_nucleus.demo.detectors.features import FEATURES
from airflow_provider_nucleus.demo.rendered_batch import DAYS, DETECTORS, detect, render, write_batch
from airflow_provider_nucleus.demo.scenes import LABELS

CALIBRATION = CameraCalibration(horizon=20.0, per_metre=0.125, top=30, floor=40)

both = pytest.mark.parametrize("detector", [detect_fixed, detect_relative])


def ground(*, level: int = 128, seed: int = 0) -> np.ndarray:
    """A picture of bare asphalt with a little noise."""
    noise = np.random.default_rng(seed).normal(0, 1.5, (200, 320, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def with_object(
    picture: np.ndarray, left: int, top: int, width: int, height: int, colour=(200, 30, 30)
) -> np.ndarray:
    changed = picture.copy()
    changed[top : top + height, left : left + width] = colour
    return changed


@both
def test_a_blank_picture_gives_nothing(detector):
    """No pixels that differ, no detections."""
    blank = np.full((200, 320, 3), 128, dtype=np.uint8)

    assert detector([blank] * 3, CALIBRATION) == [[], [], []]


@both
def test_bare_ground_gives_nothing(detector):
    """Noise alone is no object."""
    assert detector([ground(seed=seed) for seed in range(4)], CALIBRATION) == [[]] * 4


@both
def test_an_object_is_found_where_its_pixels_are(detector):
    """The box follows the pixels, in each frame for itself; smoothing may widen it by two pixels on each side."""
    empty = [ground(seed=seed) for seed in range(4)]
    found = detector([*empty, with_object(ground(seed=9), 100, 90, 50, 24)], CALIBRATION)

    assert found[:4] == [[]] * 4
    (box,) = found[4]
    assert (box.x, box.y, box.width, box.height) == pytest.approx((100, 90, 50, 24), abs=4)


@both
def test_a_confident_detection_stands_out_more(detector):
    """Confidence falls with contrast."""
    frames = [ground(seed=seed) for seed in range(4)]
    strong = with_object(ground(seed=8), 100, 90, 50, 24, (235, 20, 20))
    weak = with_object(ground(seed=8), 100, 90, 50, 24, (162, 104, 104))
    strongly, weakly = (detector([*frames, picture], CALIBRATION)[4] for picture in (strong, weak))

    assert strongly[0].confidence > weakly[0].confidence


@both
def test_only_the_pixels_matter(detector, scenes):
    """The same pixels with all truth taken away, and as bytes of another array, give the same detections."""
    own = [scene for scene in scenes if scene.camera == "dock-east"]
    calibration = calibrations()["dock-east"]
    stripped = [replace(scene, boxes=(), weather="", frame=0) for scene in own]

    with_truth = detector([scene.pixels for scene in own], calibration)
    without = detector([scene.pixels.copy() for scene in stripped], calibration)

    assert with_truth == without
    assert any(with_truth)


def test_the_detectors_know_nothing_of_scenes():
    """No module a detector is made of imports the renderer, so no truth can reach it."""
    from pathlib import Path

    import airflow_provider_nucleus.demo.detectors as package

    for path in Path(package.__file__).parent.glob("*.py"):
        for renderer in ("demo.scenes", "demo.prototypes", "demo.calibrations"):
            assert renderer not in path.read_text()


@both
def test_distributions_sum_to_one_and_name_the_label(detector, scenes):
    """class_pdf covers all labels, sums to 1, and its mode is the label; confidence lies in 0-1."""
    for camera, calibration in calibrations().items():
        for found in detector([scene.pixels for scene in scenes if scene.camera == camera], calibration):
            for box in found:
                assert set(box.class_pdf) == set(LABELS)
                assert sum(box.class_pdf.values()) == pytest.approx(1, abs=1e-9)
                assert all(0 <= share <= 1 for share in box.class_pdf.values())
                assert box.label == max(box.class_pdf, key=box.class_pdf.__getitem__)
                assert 0 < box.confidence < 1


def test_a_prototype_is_classified_as_itself():
    """Features exactly at a prototype get its label and distance zero."""
    for label, (mean, spread) in PROTOTYPES.items():
        pdf, distance = classify(np.array(mean))

        assert len(mean) == len(spread) == len(FEATURES)
        assert max(pdf, key=pdf.__getitem__) == label
        assert distance == 0


def test_the_fixed_threshold_fails_in_the_dark_where_the_background_does_not():
    """What is told apart by difference from the background is lost when everything is dark."""
    frames = [ground(level=26, seed=seed) for seed in range(4)]
    night = with_object(ground(level=26, seed=9), 100, 90, 50, 24, (52, 40, 30))

    assert detect_fixed([*frames, night], CALIBRATION)[4] == []
    assert len(detect_relative([*frames, night], CALIBRATION)[4]) == 1


def test_the_background_detector_merges_neighbours():
    """Its wide closing joins two objects that a narrow gap separates."""
    frames = [ground(seed=seed) for seed in range(4)]
    pair = with_object(with_object(ground(seed=9), 100, 90, 30, 24), 134, 90, 30, 24)

    assert len(detect_relative([*frames, pair], CALIBRATION)[4]) == 1


def test_detectors_read_the_saved_files(tmp_path):
    """The batch's predictions come from the picture files, and the rows carry what Nucleus wants."""
    shots = render(tmp_path / "scenes", frames=4, seed=3)
    pictures = [(shot.scene.camera, shot.path) for shot in shots]
    found = {name: detect(pictures, detector) for name, detector in DETECTORS.items()}
    batch = write_batch(tmp_path / "batch", shots, found)

    assert [path.stat().st_size > 10_000 for _, path in pictures] == [True] * 4
    assert [model.name for model in batch.models] == ["fixed-threshold", "background-relative"]
    assert len(batch.items.read_text().splitlines()) == 4
    assert len(batch.ground_truth.read_text().splitlines()) == sum(len(shot.scene.boxes) for shot in shots)
    for model in batch.models:
        assert len(model.path.read_text().splitlines()) == sum(map(len, found[model.name]))


def test_days_differ_in_their_weather(tmp_path):
    """Equally many pictures of each, from fair to foul, and every picture under a name of its own."""
    shots = render(tmp_path, frames=9, seed=3, days=DAYS)

    assert [(shot.date, shot.scene.weather) for shot in shots] == [
        (day.date, weather) for day in DAYS for weather in day.weather
    ]
    assert len({shot.scene.reference_id for shot in shots}) == 9
