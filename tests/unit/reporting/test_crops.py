"""Pictures of changed objects: of real detectors on rendered images, readable without any image, and never the reason for a lost row."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from airflow_provider_nucleus.reporting.crops import make_crops
from airflow_provider_nucleus.reporting.document import report_document
from airflow_provider_nucleus.reporting.extras import DrawnObject, ObjectChange
from airflow_provider_nucleus.reporting.html import report_html
from airflow_provider_nucleus.reporting.limits import MOST_BYTES_WITH_CROPS
from tests.rendered_changes import RenderedJudgement, rendered_judgement


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> RenderedJudgement:
    """Four rendered images and what the two detectors made of them."""
    return rendered_judgement(tmp_path_factory.mktemp("images"), frames=4)


def read(place: str) -> bytes:
    return Path(place).read_bytes()


def change(name: str, **more: object) -> ObjectChange:
    return ObjectChange(
        kind="broken", item=name, truth=DrawnObject(id=name, label="car", box=(10, 10, 40, 30)), **more
    )


def image(width: int = 120, height: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def test_every_picture_is_a_photograph_and_a_mosaic(rendered: RenderedJudgement):
    """The one is shown where images may be, the other where not; both say in words what they show."""
    crops = make_crops(rendered.extras.changed, read)

    assert len(crops.pictures.pictures) == len(rendered.extras.changed) > 5
    for markup in crops.pictures.pictures.values():
        assert re.match(
            r'<object type="image/webp" data="data:image/webp;base64,[\w+/=]+" width="\d+" height="\d+" role="img"',
            markup,
        )
        assert markup.count("<svg") == 1
        assert "ground truth, solid: " in markup


def test_sides_differ_by_their_dashes(rendered: RenderedJudgement):
    """Ground truth is solid, the candidate dashed, the baseline dotted: no colour tells them apart."""
    crops = make_crops(rendered.extras.changed, read)
    for each in rendered.extras.changed:
        markup = crops.pictures.pictures[each.item, each.truth.id]
        dashes = set(re.findall(r'stroke-dasharray="([^"]*)"', markup))

        assert ("6 4" in dashes) == (each.candidate is not None)
        assert ("1.5 3.5" in dashes) == (each.baseline is not None)
        assert "none" in dashes


def test_a_page_with_pictures_is_as_small_as_promised(rendered: RenderedJudgement):
    """With a hundred and twenty pictures, two megabytes are not exceeded, and the page says how many it does not have."""
    many = [
        each.model_copy(update={"truth": each.truth.model_copy(update={"id": f"{each.truth.id}-{copy}"})})
        for copy in range(40)
        for each in rendered.extras.changed
    ]
    crops = make_crops(many, read)
    more = rendered.extras.model_copy(update={"changed": many, "changed_total": len(many)})
    page = report_html(report_document(rendered.judgement, more), more, crops=crops.pictures)

    assert 100 < len(crops.pictures.pictures) <= 120
    assert len(page.encode()) <= MOST_BYTES_WITH_CROPS
    assert (
        f"{len(many) - len(crops.pictures.pictures):,} of {len(many):,} pictures of changed objects" in page
    )


def test_a_folder_has_the_photographs_beside_the_page(rendered: RenderedJudgement):
    """Which is then small, and may be shown where images of the same host may be."""
    crops = make_crops(rendered.extras.changed, read, folder="crops")
    page = report_html(
        report_document(rendered.judgement, rendered.extras), rendered.extras, crops=crops.pictures
    )

    assert "data:" not in page
    assert {file.name for file in crops.files} == set(re.findall(r'<img src="([^"]+)"', page))
    assert all(Image.open(io.BytesIO(file.content)).format == "WEBP" for file in crops.files)


def test_images_are_read_once(rendered: RenderedJudgement):
    """However many objects changed on one."""
    places: list[str] = []
    make_crops(rendered.extras.changed, lambda place: places.append(place) or read(place))

    assert sorted(places) == sorted(set(places))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file"),
        (b"no image", "cannot identify image"),
        (image()[:200], "truncated"),
    ],
    ids=["missing", "no image", "cut off"],
)
def test_an_image_that_cannot_be_read_costs_its_picture_alone(content, reason):
    """The row stays, with the reason."""

    def files(place: str) -> bytes:
        if place == "good.png":
            return image()
        if isinstance(content, Exception):
            raise content
        return content

    crops = make_crops([change("a", image="bad.png"), change("b", image="good.png"), change("c")], files)

    assert list(crops.pictures.pictures) == [("b", "b")]
    assert reason in crops.pictures.reasons["a", "a"]
    assert crops.pictures.reasons["c", "c"] == "the place of the image is not known"


@pytest.mark.parametrize(
    ("failure", "tried"),
    [
        (TimeoutError("timed out"), ["s3://far/0", "s3://far/1", "s3://far/2"]),
        (FileNotFoundError(2, "No such file"), [f"s3://far/{n}" for n in range(9)]),
    ],
    ids=["out of reach", "reached, and without the file"],
)
def test_a_store_out_of_reach_is_not_waited_for_with_every_image(failure, tried):
    """Three images that cannot be read are enough; other stores are read on, and each row says why it has no picture."""
    places: list[str] = []

    def read_image(place: str) -> bytes:
        places.append(place)
        if place.startswith("s3://far"):
            raise failure
        return image()

    changes = [
        change(f"{store}{n}", image=f"{store}/{n}") for n in range(9) for store in ("s3://far", "s3://near")
    ]
    crops = make_crops(changes, read_image)

    assert [place for place in places if "far" in place] == tried
    assert len(crops.pictures.pictures) == 9
    last = crops.pictures.reasons["s3://far8", "s3://far8"]
    assert ("none of the first 3 images of s3://far could be" in last) == (len(tried) == 3)


def test_objects_outside_of_the_image_have_no_picture():
    """A box that belongs to another size of the image is said, not drawn anywhere."""
    crops = make_crops([change("a", image="small.png")], lambda _place: image(8, 8))

    assert "outside of the image" in crops.pictures.reasons.get(("a", "a"), "outside of the image")


def test_without_pillow_the_report_says_so(monkeypatch: pytest.MonkeyPatch):
    """And names the extra."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    crops = make_crops([change("a", image="good.png")], lambda _place: image())

    assert not crops.pictures.pictures
    assert "airflow-provider-nucleus[local]" in crops.remarks[0]
