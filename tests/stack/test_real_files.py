"""Annotation files that packages of the index ship, downloaded for the test: each is read, or refused with the way out.

The table is `docs/real-files.md`. Nothing of it is kept in the repository.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from airflow_provider_nucleus.client.uploads.check.encoding import Encoder
from airflow_provider_nucleus.exceptions import NucleusError
from airflow_provider_nucleus.sources import open_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

LABELME = "labelme==6.3.1"
DEEPFOREST = "deepforest==2.1.0"
LABELBOX = "labelbox==7.17.0"
FIFTYONE = "fiftyone==1.22.1"

READ = [
    # package, files, rows that are good, rows that are refused
    (LABELME, "examples/bbox_detection/data_annotated/*.json", 9, 0),
    (LABELME, "examples/bbox_detection/data_dataset_voc/Annotations/*.xml", 9, 0),
    (LABELME, "examples/instance_segmentation/data_annotated/*.json", 18, 0),
    (LABELME, "examples/instance_segmentation/data_dataset_coco/annotations.json", 12, 0),
    (LABELME, "examples/primitives/primitives.json", 4, 4),
    (LABELME, "examples/video_annotation/data_annotated/*.json", 15, 0),
    (LABELME, "tests/data/annotated_with_data/apc2016_obj3.json", 4, 0),
    (DEEPFOREST, "src/deepforest/data/*.xml", 951, 0),
    ("sahi==0.12.8", "demo/demo_data/terrain2_coco.json", 5, 0),
    ("pycocowriter==0.5.6", "tests/example_coco.json", 929, 0),
    (LABELBOX, "tests/data/assets/coco/instances.json", 62, 0),
    (LABELBOX, "tests/data/assets/coco/rle.json", 231, 0),
    (LABELBOX, "tests/data/assets/coco/panoptic.json", 0, 20),
]

REFUSED = [
    # package, file, what the refusal says
    (LABELME, "examples/bbox_detection/labels.txt", "labels= of a mapping"),
    (LABELBOX, "tests/data/assets/labelbox_v1/image_export.json", "COCO"),
    (LABELBOX, "tests/data/assets/labelbox_v1/tiled_image_export.json", "mapping="),
    (LABELBOX, "tests/data/assets/ndjson/rectangle_import.json", "mapping="),
    (LABELBOX, "tests/assets/conversation-1.json", "COCO"),
    (LABELBOX, "tests/data/assets/sample_text.txt", "neither rows nor labels"),
    (FIFTYONE, "fiftyone/resources/voc_annotation_template.xml", "is no XML"),
    (FIFTYONE, "fiftyone/zoo/models/manifest-torch.json", "COCO"),
]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the unpacked source distribution of a package; skips where the index is out of reach."""
    root = tmp_path_factory.mktemp("packages")
    unpacked: dict[str, Path | str] = {}

    def folder(package: str) -> Path:
        if package not in unpacked:
            unpacked[package] = _download(package, root / package.partition("=")[0])
        found = unpacked[package]
        if isinstance(found, str):
            pytest.skip(f"{package} cannot be downloaded: {found}")
        return found

    return folder


def _download(package: str, place: Path) -> Path | str:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(place), package]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        return "it took longer than 240 s"
    archives = list(place.glob("*.tar.gz")) if place.is_dir() else []
    if done.returncode or not archives:
        return (done.stderr.strip().splitlines() or ["nothing came"])[-1]
    with tarfile.open(archives[0]) as archive:
        archive.extractall(place, filter="data")
    return next(path for path in place.iterdir() if path.is_dir())


@pytest.mark.parametrize(("package", "files", "good", "refused"), READ)
def test_a_file_is_read(folder_of, package: str, files: str, good: int, refused: int):
    """With as many rows as it has objects, each of which would be sent or has its reason."""
    encoder = Encoder("annotations")
    sent = bad = 0
    for batch in open_rows(str(folder_of(package) / files), kind="annotations").batches():
        encoded = encoder.encode_batch(batch.rows)
        sent += len(batch.rows) - len(encoded.bad)
        bad += len(encoded.bad) + len(batch.problems)
        assert all(problem.problem for problem in batch.problems)

    assert (sent, bad) == (good, refused)


@pytest.mark.parametrize(("package", "file", "said"), REFUSED)
def test_a_file_is_refused_with_the_way_out(folder_of, package: str, file: str, said: str):
    """Never an empty success, nor an error that is not ours."""
    path = folder_of(package) / file
    with pytest.raises(NucleusError, match=r"(?s)" + said) as caught:
        list(open_rows(str(path), kind="annotations"))

    assert path.name in str(caught.value)
