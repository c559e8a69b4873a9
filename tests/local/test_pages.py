"""The pages: right numbers, right links, for those who have the key only, and nothing hostile gets through."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from jinja2 import nodes
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from airflow_provider_nucleus.local.pages.app import environment
from airflow_provider_nucleus.local.pages.dataset import DatasetPage
from airflow_provider_nucleus.local.pages.evaluation import EvaluationPage
from airflow_provider_nucleus.local.pages.home import HomePage
from airflow_provider_nucleus.local.pages.job import JobPage
from airflow_provider_nucleus.local.pages.model import ModelPage
from airflow_provider_nucleus.local.pages.problem import ProblemPage
from airflow_provider_nucleus.local.pages.urls import Urls
from airflow_provider_nucleus.local.server import API_PREFIX, create_app
from airflow_provider_nucleus.local.settings import Settings
from airflow_provider_nucleus.match_summary import summarize_matches
from airflow_provider_nucleus.schema import EvaluationMatch
from tests.local.conftest import Api
from tests.local.story import annotate, box, calculate, make_model, objects, predict

if TYPE_CHECKING:
    from airflow_provider_nucleus.local.testing import LocalNucleus

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}\u202e"


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A dataset with an evaluated model, and the addresses of its pages below the root."""

    dataset: str
    model: str
    run: str
    job: str

    @property
    def pages(self) -> dict[str, str]:
        return {
            "home": "/",
            "dataset": f"/dataset/{self.dataset}",
            "model": f"/model/{self.model}",
            "job": f"/job/{self.job}",
            "evaluation": f"/dataset/{self.dataset}/model/{self.model}/evaluation",
        }


@pytest.fixture(scope="module")
def evaluated(nucleus: LocalNucleus) -> Evaluated:
    """An evaluated model that no test changes."""
    api = Api(nucleus)
    made = evaluate(api)
    api.close()
    return made


def evaluate(api: Api) -> Evaluated:
    """Two labels: one true positive at IoU 0.82, one at 0.43, a false positive and a confusion of van and bus."""
    dataset, model = api.dataset("a", "b"), make_model(api, "detector")
    annotate(api, dataset, box("a", "car", 0), box("b", "car", 0), box("a", "bus", 100))
    run = predict(
        api, dataset, model,
        box("a", "car", 1, confidence=0.9), box("b", "car", 4, confidence=0.8), box("b", "car", 300, confidence=0.2),
        box("a", "van", 100, confidence=0.7),
    )  # fmt: skip
    answer = api.ok("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})
    api.wait(answer["job_id"])
    return Evaluated(dataset, model, run, answer["job_id"])


def read(api: Api, path: str, *, status: int = 200) -> str:
    """Open a page with the key."""
    answer = api.session.get(api.nucleus.base_url + path, timeout=60)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def text_of(page: str) -> str:
    """What a reader sees, tags removed."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def links_of(page: str) -> set[str]:
    return {html.unescape(address) for address in re.findall(r'href="([^"]+)"', page)}


def test_the_evaluation_page_shows_counts_and_ratios_at_the_threshold(api: Api, evaluated: Evaluated):
    """At 0.5 the pair of overlap 0.43 is a false positive and a false negative; at 0.4 it is a true positive."""
    strict = text_of(read(api, evaluated.pages["evaluation"]))
    loose = text_of(read(api, evaluated.pages["evaluation"] + "?iou=0.4"))

    assert "True positives (TP) 1 " in strict
    assert "False positives (FP) 3 " in strict
    assert "False negatives (FN) 2 " in strict
    assert "Precision 0.250" in strict
    assert "Recall 0.333" in strict
    assert "Mean IoU 0.818" in strict
    assert "True positives (TP) 2 " in loose


def test_the_page_agrees_with_the_summary_of_the_provider(api: Api, evaluated: Evaluated):
    """Overall and per label, the page shows what the metrics task leaves in XCom."""

    def rows(mode: str) -> list[EvaluationMatch]:
        return [
            EvaluationMatch.from_wire(row) for row in objects(api, evaluated.dataset, mode, evaluated.run)
        ]

    summary = summarize_matches(
        rows("iou"),
        false_positives=rows("false_positive"),
        false_negatives=rows("false_negative"),
        iou_threshold=0.5,
    ).to_dict()
    page = text_of(read(api, evaluated.pages["evaluation"]))

    for label, numbers in summary["per_label"].items():
        cells = [numbers[name] for name in ("ground_truth", "predictions", "tp", "fp", "fn")]
        ratios = [
            "n/a" if numbers[name] is None else f"{numbers[name]:.3f}"
            for name in ("precision", "recall", "f1", "mean_iou")
        ]
        expected = [label, *map(str, cells), *ratios]
        shown = re.sub(r" \([a-z ]+\)", "", page)
        assert " ".join(expected) in shown, (expected, shown)


def test_undefined_numbers_say_why(api: Api, evaluated: Evaluated):
    """A label that was never predicted has no precision: n/a with the reason, not 0."""
    assert "n/a (no predictions)" in text_of(read(api, evaluated.pages["evaluation"]))


def test_options_and_their_job_are_on_the_page(api: Api):
    """The page says under which rule its numbers came about, and leads to the job."""
    evaluated = evaluate(api)
    pairs = [{"ground_truth_label": "bus", "model_prediction_label": "van"}]

    assert "only equal labels (the default)" in text_of(read(api, evaluated.pages["evaluation"]))
    calculate(api, evaluated.dataset, evaluated.model, allowed_label_matches=pairs)
    page = read(api, evaluated.pages["evaluation"])

    assert "allowed_label_matches" in text_of(page)
    assert "Pairs that count as correct besides equal labels Ground truth Prediction bus van" in text_of(page)
    assert any(link.startswith("/job/") for link in links_of(page))


def test_the_tab_of_a_browser_names_the_page_once(api: Api, evaluated: Evaluated):
    """The home page is the server's; every other one says what it is about first."""
    titles = {
        name: re.findall(r"<title>(.*)</title>", read(api, path)) for name, path in evaluated.pages.items()
    }

    assert titles["home"] == ["Embedded Nucleus"]
    assert titles["job"] == [f"{evaluated.job} · Embedded Nucleus"]


def test_a_model_without_metrics_has_no_link_to_see_them(api: Api):
    """The row says that they are not calculated, and leads to the page that says how."""
    dataset, model = api.dataset("a"), make_model(api)
    predict(api, dataset, model, box("a", "car", 0))

    page = read(api, f"/dataset/{dataset}")

    assert "see metrics" not in page
    assert f'<a href="/dataset/{dataset}/model/{model}/evaluation"><bdi>not calculated yet</bdi></a>' in page


def test_the_job_of_an_evaluation_leads_to_its_numbers(api: Api, evaluated: Evaluated):
    """Evaluations V2 have no page: their job links charts, COCO's numbers and provenance, which a browser can open."""
    made = api.ok("POST", f"modelRun/{evaluated.run}/evaluationsV2", json={})
    api.wait(made["workflow_id"])

    page = read(api, f"/job/{made['workflow_id']}")

    name = made["evaluation_id"]
    expected = {f"/v1/nucleus/evaluationsV2/{name}/charts"} | {
        f"/ui/api/evaluations/{name}/{view}" for view in ("coco", "provenance")
    }
    assert expected <= links_of(page)
    for address in expected:
        answer = api.session.get(api.nucleus.base_url + address, timeout=60)
        assert answer.ok, answer.text
        assert answer.json()
    api.ok("DELETE", f"evaluationsV2/{name}")
    assert not expected & links_of(read(api, f"/job/{made['workflow_id']}"))


def test_numbers_that_are_out_of_date_say_so(api: Api):
    """New predictions change nothing until metrics are calculated again, and the page says that."""
    evaluated = evaluate(api)

    assert "Out of date" not in read(api, evaluated.pages["evaluation"])
    predict(api, evaluated.dataset, evaluated.model, box("a", "car", 500))
    assert "Out of date" in read(api, evaluated.pages["evaluation"])
    calculate(api, evaluated.dataset, evaluated.model)
    assert "Out of date" not in read(api, evaluated.pages["evaluation"])


def test_numbers_from_before_the_first_ground_truth_say_so(api: Api):
    """A precision of 0 stays on the page until metrics are calculated again; it is told why it is 0, and that it is out of date."""
    dataset, model = api.dataset("a"), make_model(api)
    predict(api, dataset, model, box("a", "car", 0))
    calculate(api, dataset, model)
    address = f"/dataset/{dataset}/model/{model}/evaluation"

    assert "there is no ground truth to compare with" in read(api, address)
    assert "Out of date" not in read(api, address)
    annotate(api, dataset, box("a", "car", 0))
    assert "Out of date" in read(api, address)
    calculate(api, dataset, model)
    page = read(api, address)
    assert "Out of date" not in page
    assert "no ground truth to compare with" not in page


def test_what_was_taken_for_what_is_shown(api: Api, evaluated: Evaluated):
    """The bus under a van is a confusion, listed once."""
    assert "bus van 1" in text_of(read(api, evaluated.pages["evaluation"]))


def test_types_nobody_matched_are_shown(api: Api):
    """Lines are stored, and the page says that no number counts them."""
    dataset, model = api.dataset("a"), make_model(api)
    line = {"type": "line", "label": "lane", "reference_id": "a", "annotation_id": "l"}
    line["geometry"] = {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}
    annotate(api, dataset, line)
    predict(api, dataset, model, box("a", "car", 0))
    calculate(api, dataset, model)

    page = text_of(read(api, f"/dataset/{dataset}/model/{model}/evaluation"))

    assert "Not matched" in page
    assert "line 1 0 line objects have no overlap to match by" in page


def test_regions_nobody_counts_are_shown_with_the_reason(api: Api):
    """Crowds and objects without a labelled keypoint: how many of which, and why."""
    dataset, model = api.dataset("a"), make_model(api)
    crowd = {"metadata": {"iscrowd": 1}}
    point = {"x": None, "y": None, "visible": False}
    nobody = {"type": "keypoints", "label": "person", "reference_id": "a"} | {
        "geometry": {"keypoints": [point], "names": ["nose"], "skeleton": []}
    }
    annotate(
        api, dataset, box("a", "car", 0), box("a", "car", 50, **crowd), nobody | {"annotation_id": "k1"},
        nobody | {"annotation_id": "k2"}, nobody | {"annotation_id": "k3"} | crowd,
    )  # fmt: skip
    predict(api, dataset, model, box("a", "car", 0))
    message = calculate(api, dataset, model)

    page = text_of(read(api, f"/dataset/{dataset}/model/{model}/evaluation"))

    assert message["not_matched_reasons"] == {
        "box": {"crowd region": 1},
        "keypoints": {"crowd region": 1, "no labelled keypoint": 2},
    }
    assert "box 1 0 crowd region" in page
    assert "keypoints 3 0 crowd region (1), no labelled keypoint (2)" in page


def test_labels_sort_by_any_column_and_the_address_is_the_state(api: Api, evaluated: Evaluated):
    """Every heading is a link; following it changes the order of the rows, and the threshold is kept."""
    page = read(api, evaluated.pages["evaluation"] + "?iou=0.4")
    by_count = next(link for link in links_of(page) if "sort=-ground_truth" in link)

    assert "iou=0.4" in by_count
    names = re.findall(r'<th scope="row"><bdi>(\w+)</bdi></th>\n', read(api, by_count))
    assert names[:3] == ["car", "bus", "van"]
    assert re.findall(r'<th scope="row"><bdi>(\w+)</bdi></th>\n', page)[:3] == ["bus", "car", "van"]


@pytest.mark.parametrize("state", ["iou=2", "iou=-0.1", "iou=nan", "iou=x", "sort=size"])
def test_an_impossible_state_is_a_bad_request(api: Api, evaluated: Evaluated, state: str):
    """Thresholds outside 0 to 1 and unknown columns get a page that says so."""
    page = text_of(read(api, f"{evaluated.pages['evaluation']}?{state}", status=400))

    assert "must be" in page


def test_a_model_nobody_evaluated_has_a_page_that_says_how(api: Api):
    """Predictions without a calculation are not an error; the page names the call to make."""
    dataset, model = api.dataset("a"), make_model(api)
    predict(api, dataset, model, box("a", "car", 0))

    page = text_of(read(api, f"/dataset/{dataset}/model/{model}/evaluation"))

    assert "No metrics yet" in page
    assert f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics" in page


def test_pages_lead_to_each_other(api: Api, evaluated: Evaluated):
    """Dataset, model, job and evaluation link each other."""
    pages = evaluated.pages

    assert {pages["evaluation"], pages["model"]} <= links_of(read(api, pages["dataset"]))
    assert {pages["evaluation"], pages["dataset"]} <= links_of(read(api, pages["model"]))
    assert f'<a href="{pages["evaluation"]}"><bdi>see metrics</bdi></a>' in read(api, pages["dataset"])
    assert pages["dataset"] in links_of(read(api, pages["job"]))
    assert {pages["dataset"], pages["model"], "/"} <= links_of(read(api, pages["evaluation"]))
    assert {pages["dataset"], pages["job"]} <= links_of(read(api, "/"))


@pytest.mark.parametrize("name", ["home", "dataset", "model", "job", "evaluation"])
@pytest.mark.parametrize("auth", [None, ("wrong", ""), ("", "test_key")])
def test_every_page_needs_the_key(nucleus: LocalNucleus, evaluated: Evaluated, name: str, auth: Any):
    """Without the key, with another, or with the key as password, a browser is asked and nothing is shown."""
    answer = requests.get(nucleus.base_url + evaluated.pages[name], auth=auth, timeout=60)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert evaluated.dataset not in answer.text
    assert nucleus.api_key not in answer.text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/dataset/ds_gone", "Dataset ds_gone does not exist."),
        ("/model/prj_gone", "Model prj_gone does not exist."),
        ("/job/job_gone", "Job job_gone does not exist."),
        ("/dataset/ds_gone/model/prj_gone/evaluation", "Dataset ds_gone does not exist."),
        ("/nowhere/at/all", "There is no page at /nowhere/at/all."),
        ("/dataset/", "There is no page at /dataset/."),
        ("/dataset/..%2f..%2fetc", "There is no page at /dataset/../../etc."),
    ],
)
def test_a_missing_page_says_what_is_missing(api: Api, path: str, text: str):
    """404 with the name of the thing, and a way back."""
    answer = requests.Request("GET", api.nucleus.base_url, auth=(api.nucleus.api_key, "")).prepare()
    answer.url = api.nucleus.base_url + path  # as it stands: requests would tidy the dots away
    found = api.session.send(answer, timeout=60)

    assert found.status_code == 404
    assert text in text_of(found.text)
    assert "/" in links_of(found.text)


def test_a_model_without_predictions_on_the_dataset_is_missing_too(api: Api):
    """Both exist, but there is nothing to evaluate."""
    page = read(api, f"/dataset/{api.dataset('a')}/model/{make_model(api)}/evaluation", status=404)

    assert "has no predictions on dataset" in text_of(page)


def test_hostile_names_stay_text(api: Api):
    """Names, labels, ids, tags, metadata and errors of any content never become markup or template code."""
    dataset = api.ok("POST", "dataset/create", json={"name": HOSTILE})["dataset_id"]
    item = {"reference_id": HOSTILE, "image_url": HOSTILE, "metadata": {HOSTILE: HOSTILE}}
    api.ok("POST", f"dataset/{dataset}/append", json={"items": [item], "update": False})
    api.ok("POST", f"dataset/{dataset}/tags", json={"tags": [HOSTILE]})
    api.ok("POST", f"dataset/{dataset}/create_slice", json={"name": HOSTILE, "reference_ids": [HOSTILE]})
    body = {"name": HOSTILE, "reference_id": HOSTILE, "metadata": {HOSTILE: HOSTILE}, "tags": [HOSTILE]}
    model = api.ok("POST", "models/add", json=body)["model_id"]
    annotate(
        api,
        dataset,
        box(HOSTILE, HOSTILE, 0),
        {"type": "category", "label": HOSTILE, "reference_id": HOSTILE},
    )
    predict(api, dataset, model, box(HOSTILE, HOSTILE, 1), box(HOSTILE, "other" + HOSTILE, 100))
    pairs = [{"ground_truth_label": HOSTILE, "model_prediction_label": HOSTILE}]
    calculate(api, dataset, model, allowed_label_matches=pairs)
    job = api.upload(
        dataset, f"dataset/{dataset}/annotate", b'{"type": "' + b"<script>alert('x')</script>" + b'"}\n'
    )
    api.wait(job)

    try:
        for path in (
            "/", f"/dataset/{dataset}", f"/model/{model}", f"/job/{job}", f"/dataset/{dataset}/model/{model}/evaluation",
        ):  # fmt: skip
            page = read(api, path)
            assert "<script" not in page, path
            assert "<img" not in page, path
            assert "&lt;script&gt;" in page, path
            assert HOSTILE in html.unescape(page) or "job_" in path, path
        missing = read(api, f"/dataset/{requests.utils.quote(HOSTILE, safe='')}", status=404)
        assert "<script" not in missing
    finally:
        api.ok("DELETE", f"dataset/{dataset}", json={})
        api.ok("DELETE", f"model/{model}", json={})


def test_pages_run_nothing_and_load_nothing_from_elsewhere(api: Api, evaluated: Evaluated):
    """The policy forbids scripts, other hosts and framing by others; the style sheet is ours and open."""
    answer = api.session.get(api.nucleus.base_url + evaluated.pages["evaluation"], timeout=60)
    policy = answer.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script" not in answer.text.lower()
    assert "http" not in answer.text.replace(r"<!doctype html>", "").replace("http-equiv", "")
    assert answer.headers["cache-control"] == "no-store"
    style = requests.get(f"{api.nucleus.base_url}/static/nucleus.css", timeout=60)
    assert style.status_code == 200
    assert "url(" not in style.text


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_pages_of_other_sites_cannot_use_the_key_a_browser_remembers(api: Api, headers: dict[str, str]):
    """A form on another site that posts to the API is refused although the browser adds the key."""
    answer = api("POST", "dataset/create", data='{"name": "forged"}', headers=headers)

    assert answer.status_code == 403


def test_pages_are_only_read(api: Api):
    """Anything but GET is refused with a page."""
    answer = api.session.post(api.nucleus.base_url + "/", timeout=60)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_pages_work_under_a_mount_prefix(tmp_path):
    """Mounted at /some/where, every link and the style sheet carry the prefix and can be followed."""
    app = create_app(tmp_path / "data", settings=Settings(api_key="k"))
    outer = Starlette(routes=[Mount("/some/where", app)])
    with TestClient(app), TestClient(outer) as browser:
        browser.auth = ("k", "")
        made = browser.post(f"/some/where{API_PREFIX}/dataset/create", json={"name": "d"}).json()[
            "dataset_id"
        ]

        page = browser.get("/some/where/")

        assert page.status_code == 200
        assert links_of(page.text) >= {f"/some/where/dataset/{made}", "/some/where/static/nucleus.css"}
        assert all(link.startswith("/some/where/") for link in links_of(page.text))
        assert all(browser.get(link).status_code == 200 for link in links_of(page.text))


@pytest.mark.parametrize(
    ("template", "page"),
    [
        ("home", HomePage), ("dataset", DatasetPage), ("model", ModelPage), ("job", JobPage),
        ("evaluation", EvaluationPage), ("problem", ProblemPage),
    ],
)  # fmt: skip
def test_a_template_uses_its_page_and_calculates_nothing(template: str, page: type):
    """Each template speaks of every field of its dataclass, and only places text: no arithmetic, no calls of its own."""
    engine = environment()
    source = engine.loader.get_source(engine, f"{template}.html")[0]
    base = engine.loader.get_source(engine, "_base.html")[0]
    tree = engine.parse(source)
    fields = {field.name for field in dataclasses.fields(page)}

    assert page.__doc__
    assert not list(
        tree.find_all((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow))
    )
    spoken = {name.name for part in (tree, engine.parse(base)) for name in part.find_all(nodes.Name)}
    assert fields <= spoken


def test_addresses_are_the_ones_that_clients_build():
    """The page addresses equal those of the provider's links, ids quoted."""
    from airflow_provider_nucleus.links.urls import page_urls

    ours, theirs = Urls("http://h:1"), page_urls("http://h:1/v1/nucleus")

    assert ours.dataset("a/b") == theirs.dataset("a/b")
    assert ours.model("m") == theirs.model("m")
    assert ours.job("j") == theirs.job("j")
    assert ours.evaluation("d", "m") == theirs.evaluation("d", "m")


def test_the_evaluation_page_shows_notes_and_what_crowds_are(api: Api):
    """The sentences of the result, and the option with its way out."""
    dataset, model = api.dataset("a"), make_model(api, "detector")
    annotate(api, dataset, box("a", "Car", 0, metadata={"iscrowd": 1, "area": 100}))
    predict(api, dataset, model, box("a", "car", 0, confidence=0.9))
    address = f"{api.nucleus.base_url}/dataset/{dataset}/model/{model}/evaluation"

    def page(**options: bool) -> str:
        notes = calculate(api, dataset, model, **options)["notes"]
        found = html.unescape(api.session.get(address, timeout=60).text)
        assert notes
        assert all(note["text"] in found for note in notes)
        return found

    plain, chosen = page(), page(crowd_as_objects=True)

    assert "all 1 annotations of the ground truth are crowds" in plain
    assert "regions in which nothing is counted (the default)" in plain
    assert "are crowds" not in chosen
    assert "objects to be found (crowd_as_objects)" in chosen
