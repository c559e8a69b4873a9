"""Addresses of pages, on the cloud and on an embedded Nucleus."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.links.urls import page_urls


@pytest.mark.parametrize(
    ("endpoint", "root"),
    [
        ("http://127.0.0.1:8787/v1/nucleus", "http://127.0.0.1:8787"),
        ("https://ml.example.com/tools/nucleus/v1/nucleus/", "https://ml.example.com/tools/nucleus"),
    ],
)
def test_embedded_pages_live_beside_the_api(endpoint, root):
    """The pages of an embedded Nucleus share the API's root, under any mount prefix."""
    urls = page_urls(endpoint)

    assert f"{root}/dataset/ds_1" == urls.dataset("ds_1")
    assert f"{root}/model/prj_1" == urls.model("prj_1")
    assert f"{root}/job/job_1" == urls.job("job_1")
    assert f"{root}/dataset/ds_1/model/prj_1/evaluation" == urls.evaluation("ds_1", "prj_1")


def test_cloud_pages_are_on_the_dashboard():
    """The cloud's API host has no pages; its dashboard has."""
    urls = page_urls("https://api.scale.com/v1/nucleus")

    assert urls.dataset("ds_1") == "https://dashboard.scale.com/nucleus/ds_1"
    assert urls.model("prj_1") == "https://dashboard.scale.com/nucleus/prj_1"
    assert urls.job("job_1") == "https://dashboard.scale.com/nucleus/jobs"
    assert urls.evaluation("ds_1", "prj_1") == "https://dashboard.scale.com/nucleus/ds_1"


def test_ids_cannot_break_out_of_their_segment():
    """An id with a slash or a query stays one path segment."""
    assert page_urls("http://h/v1/nucleus").dataset("a/b?c").endswith("/dataset/a%2Fb%3Fc")


@pytest.mark.parametrize(
    "public_url", ["https://ml.example.com/nucleus", "https://ml.example.com/nucleus/v1/nucleus"]
)
def test_pages_are_where_browsers_reach_them(public_url):
    """The endpoint may be an address that only the cluster knows."""
    urls = page_urls("http://nucleus.ml.svc:8787/v1/nucleus", public_url)

    assert urls.job("job_1") == "https://ml.example.com/nucleus/job/job_1"
    assert page_urls("https://api.scale.com/v1/nucleus", "https://eu.example.com/n").dataset("ds_1") == (
        "https://eu.example.com/n/ds_1"
    )


def test_a_link_to_an_evaluation_carries_its_threshold():
    """Its page shows the numbers that the task returned."""
    urls = page_urls("http://h/v1/nucleus")

    assert urls.evaluation("ds_1", "prj_1", iou_threshold=0.75).endswith("/evaluation?iou=0.75")
    assert urls.evaluation("ds_1", "prj_1", iou_threshold=0.75, calculation="job_1").endswith(
        "/evaluation?iou=0.75&calculation=job_1"
    )
    assert (
        page_urls("https://api.scale.com/v1/nucleus")
        .evaluation("ds_1", "prj_1", iou_threshold=0.75, calculation="job_1")
        .endswith("/ds_1")
    )
