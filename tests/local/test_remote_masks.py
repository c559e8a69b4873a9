"""Masks behind addresses: fetched where the server may, and where it may not, said so; and predictions in the other store."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from airflow_provider_nucleus.local.testing import LocalNucleus
from tests.local.conftest import Api
from tests.local.story import annotate, box, calculate, make_model, predict

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def png(*columns: int) -> bytes:
    """A mask of ten rows, with one value a column."""
    file = io.BytesIO()
    Image.fromarray(np.tile(np.array(columns, dtype=np.uint8), (10, 1))).save(file, "PNG")
    return file.getvalue()


TRUTH, GUESS = png(1, 1, 1, 1, 2, 2), png(1, 1, 1, 1, 1, 2)
SEGMENTS = [{"label": "road", "index": 1}, {"label": "car", "index": 2}]


@contextmanager
def serving(files: dict[str, bytes]) -> Generator[str]:
    """A web server with some files; asked is which were asked for."""

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def mask(address: str) -> dict[str, Any]:
    return {"type": "mask", "reference_id": "a", "mask_url": address, "annotations": SEGMENTS}


def uploaded(api: Api, truth: str, guess: str) -> tuple[str, str, str]:
    """A dataset with a mask of each side, both behind addresses; returns dataset, model, run."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, segmentations=[mask(truth)])
    run = predict(api, dataset, model, segmentations=[mask(guess)])
    return dataset, model, run


def evaluated(api: Api, run: str) -> tuple[dict[str, Any], dict[str, Any]]:
    made = api.ok("POST", f"modelRun/{run}/evaluationsV2", json={})
    status = api.wait(made["workflow_id"])
    return api.ok("GET", f"evaluationsV2/{made['evaluation_id']}"), status


def counts(api: Api, evaluation: dict[str, Any]) -> tuple[int, int, int]:
    charts = api.ok("POST", f"evaluationsV2/{evaluation['id']}/charts", json={})
    total = charts["totalCounts"]
    return total["tp"], total["fp"], total["fn"]


def test_masks_on_the_web_are_compared_where_that_is_switched_on(tmp_path: Path):
    """Both sides are fetched, once; the addresses stay what they are, and the files may go."""
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_MASKS": "1"}) as server:
        api = Api(server)
        with serving({"/t.png": TRUTH, "/g.png": GUESS}) as web:
            dataset, model, run = uploaded(api, f"{web}/t.png", f"{web}/g.png")
            message = calculate(api, dataset, model)

        evaluation, _ = evaluated(api, run)

        assert message["rows"] == {"matched": 2, "false_positive": 0, "false_negative": 0}
        assert evaluation["status"] == "succeeded"
        assert evaluation["error_message"] is None
        assert counts(api, evaluation) == (2, 0, 0)
        (found,) = api.ok("GET", f"dataset/{dataset}/refloc/a")["annotations"]["segmentation"]
        assert found["mask_url"] == f"{web}/t.png"
        api.close()


def test_masks_below_a_root_are_compared_and_no_other_file_is_read(tmp_path: Path):
    """A path is resolved: neither dots nor links lead out of the folders that the settings name."""
    root, elsewhere = tmp_path / "masks", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "t.png").write_bytes(TRUTH)
    (root / "g.png").write_bytes(GUESS)
    (elsewhere / "g.png").write_bytes(GUESS)
    (root / "link.png").symlink_to(elsewhere / "g.png")
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FILE_ROOTS": str(root)}) as server:
        api = Api(server)
        dataset, model, _ = uploaded(api, str(root / "t.png"), f"file://{root}/g.png")
        assert calculate(api, dataset, model)["rows"]["matched"] == 2
        for address in (elsewhere / "g.png", root / ".." / "elsewhere" / "g.png", root / "link.png"):
            dataset, model, _ = uploaded(api, str(root / "t.png"), str(address))
            message = calculate(api, dataset, model, ends="Errored_User")
            assert "NUCLEUS_LOCAL_FILE_ROOTS" in message["final_error"]
        api.close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://e/g.png", "does not fetch from the web (see NUCLEUS_LOCAL_FETCH_MASKS)"),
        ("s3://b/g.png", "does not fetch from object stores (see NUCLEUS_LOCAL_FETCH_MASKS)"),
        ("/etc/hostname", "reads no files of its own machine"),
        ("file:///etc/hostname", "reads no files of its own machine"),
        ("ftp://e/g.png", "reads no ftp addresses"),
    ],
)
def test_masks_that_may_not_be_fetched_fail_what_compares_nothing_else(api: Api, address: str, reason: str):
    """Neither metrics nor an evaluation ends well with zeros that nobody has counted."""
    dataset, model, run = uploaded(api, "s3://b/t.png", address)

    message = calculate(api, dataset, model, ends="Errored_User")
    evaluation, status = evaluated(api, run)

    assert "none of the masks could be compared" in message["final_error"]
    assert evaluation["status"] == "failed"
    assert status["status"] == "Errored_User"
    assert "None of the masks of 1 items could be compared" in evaluation["error_message"]
    other, model, _ = uploaded(api, address, "s3://b/t.png")
    assert reason in calculate(api, other, model, ends="Errored_User")["final_error"]


def test_masks_that_are_not_compared_are_told_beside_the_boxes(api: Api):
    """The boxes are counted; `error_message` of the evaluation, and the end of the job, are about the masks."""
    dataset, model, run = uploaded(api, "s3://b/t.png", "s3://b/g.png")
    annotate(api, dataset, box("a", "car", 0))
    predict(api, dataset, model, box("a", "car", 0, confidence=0.9))

    message = calculate(api, dataset, model, ends="Errored_Partial")
    evaluation, _ = evaluated(api, run)

    assert message["rows"]["matched"] == 1
    assert evaluation["status"] == "succeeded"
    assert "None of the masks" in evaluation["error_message"]
    assert counts(api, evaluation) == (1, 0, 0)


def test_an_address_without_a_mask_is_named(tmp_path: Path):
    """What does not come, and what is no PNG, is the reason."""
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_MASKS": "1"}) as server:
        api = Api(server)
        with serving({
            "/t.png": TRUTH,
            "/text.png": b"no mask",
            "/gif.png": b"GIF89a\x01\0\x01\0\0\0\0",
        }) as web:
            for path, reason in (("none", "404"), ("text", "no image format"), ("gif", "bytes of GIF")):
                dataset, model, _ = uploaded(api, f"{web}/t.png", f"{web}/{path}.png")
                message = calculate(api, dataset, model, ends="Errored_User")
                assert reason in message["final_error"]
                assert f"{web}/{path}.png" in message["final_error"]
        api.close()


def test_addresses_as_people_write_them(tmp_path: Path):
    """Blanks and letters beyond ASCII are escaped on the way; what is no address is the reason, not an unexpected error."""
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FETCH_MASKS": "1"}) as server:
        api = Api(server)
        with serving({"/t.png": TRUTH, "/a%20b.png?x=%C3%BC": GUESS, "/%C3%BC%2F.png": GUESS}) as web:
            for name in ("a b.png?x=\xfc", "a%20b.png?x=%C3%BC", "\xfc%2F.png"):
                dataset, model, _ = uploaded(api, f"{web}/t.png", f"{web}/{name}")
                assert calculate(api, dataset, model)["rows"]["matched"] == 2, name
            for address in ("http://[", "s3://[", "file://[/x", "http://[x]/a.png"):
                dataset, model, run = uploaded(api, f"{web}/t.png", address)
                message = calculate(api, dataset, model, ends="Errored_User")
                assert f"({address}): it is no address" in message["final_error"]
                assert "it is no address" in evaluated(api, run)[0]["error_message"]
        api.close()


def test_nothing_is_fetched_from_the_local_link(tmp_path: Path):
    """Where clouds keep the keys of their machines: neither by its address nor by way of a redirect."""
    links = {"/1.png": "http://169.254.169.254/latest", "/2.png": "http://[fe80::1]/x", "/3.png": "/t.png"}

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path in links else 200)
            self.send_header("Location", links.get(self.path, ""))
            self.end_headers()
            self.wfile.write(TRUTH)

        def log_message(self, *_: object) -> None:
            pass

    environment = {"NUCLEUS_LOCAL_FETCH_MASKS": "1"}
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Redirects) as web,
        LocalNucleus(tmp_path / "data", environment=environment) as server,
    ):
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            api, base = Api(server), f"http://127.0.0.1:{web.server_port}"
            for address in (
                f"{base}/1.png",
                f"{base}/2.png",
                "http://169.254.169.254/x",
                "http://2852039166/x",
            ):
                dataset, model, _ = uploaded(api, f"{base}/t.png", address)
                message = calculate(api, dataset, model, ends="Errored_User")
                assert "an address of the local link" in message["final_error"], address
            dataset, model, _ = uploaded(api, f"{base}/t.png", f"{base}/3.png")
            assert calculate(api, dataset, model)["rows"]["matched"] == 2
            api.close()
        finally:
            web.shutdown()
            thread.join()


@pytest.mark.parametrize("depth", [2, 4])
def test_the_indices_of_grey_of_few_bits_are_those_in_the_file(tmp_path: Path, depth: int):
    """A PNG may hold grey of less than a byte, which decoders spread over a byte: 1 of 4 bits would be 17."""
    paths = {}
    for name, columns in (("t", (1, 1, 1, 1, 2, 2)), ("g", (1, 1, 1, 1, 1, 2))):
        bits = "".join(f"{value:0{depth}b}" for value in columns)
        row = b"\0" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
        header = struct.pack(">IIBBBBB", len(columns), 10, depth, 0, 0, 0, 0)
        parts = ((b"IHDR", header), (b"IDAT", zlib.compress(row * 10)), (b"IEND", b""))
        paths[name] = tmp_path / f"{name}.png"
        paths[name].write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                for kind, data in parts
            )
        )
    with LocalNucleus(tmp_path / "data", environment={"NUCLEUS_LOCAL_FILE_ROOTS": str(tmp_path)}) as server:
        api = Api(server)
        dataset, model, run = uploaded(api, str(paths["t"]), str(paths["g"]))

        message = calculate(api, dataset, model)

        assert message["rows"] == {"matched": 2, "false_positive": 0, "false_negative": 0}
        assert message["notes"] == []
        assert counts(api, evaluated(api, run)[0]) == (2, 0, 0)
        api.close()


# ---- the two stores of predictions --------------------------------------------------------------


def benchmark(api: Api, dataset: str) -> str:
    made = api.ok("POST", "benchmarks", json={"name": "b", "dataset_id": dataset})
    api.wait(made["job_id"])
    return str(made["benchmark_id"])


def on_benchmark(api: Api, made: str, **anchor: str) -> dict[str, Any]:
    started = api.ok("POST", f"benchmarks/{made}/evaluationsV2", json=anchor)
    api.wait(started["workflow_id"])
    return dict(api.ok("GET", f"evaluationsV2/{started['evaluation_id']}"))


def test_an_evaluation_of_a_model_whose_predictions_are_in_a_run_says_how_to_copy_them(api: Api):
    """No silent zeros; once they are copied, the same evaluation succeeds."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))
    run = predict(api, dataset, model, box("a", "car", 0, confidence=0.9))
    made = benchmark(api, dataset)

    failed = on_benchmark(api, made, model_id=model)
    api.ok("POST", f"model/{model}/predictions/copyFromRun", json={"model_run_id": run})
    retried = api.ok("POST", f"evaluationsV2/{failed['id']}/retry", json={})
    api.wait(retried["workflow_id"])

    assert failed["status"] == "failed"
    assert f"1 are in its run {run}" in failed["error_message"]
    assert "copy_predictions_from_run" in failed["error_message"]
    assert counts(api, {"id": retried["evaluation_id"]}) == (1, 0, 0)


def test_an_evaluation_of_a_run_whose_predictions_belong_to_its_model_says_so(api: Api):
    """The other way round: the evaluation of the run, and the metrics, name the other store."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))
    item = api.ok("GET", f"dataset/{dataset}/refloc/a")["item"]["dataset_item_id"]
    row = box("a", "car", 0, confidence=0.9, item_id=item)
    api.ok("POST", f"model/{model}/predictions", json={"annotations": [row]})
    run = api.ok("POST", f"model/{model}/modelRun/create", json={"name": "r"})["model_run_id"]

    failed = on_benchmark(api, benchmark(api, dataset), model_run_id=run)
    refused = api("POST", f"dataset/{dataset}/model/{model}/calculateEvaluationMetrics", json={})

    assert failed["status"] == "failed"
    assert f"1 are stored for its model {model} without a run" in failed["error_message"]
    assert refused.status_code == 404
    assert "belong to no run" in refused.json()["error"]


def test_a_model_without_predictions_anywhere_misses_everything(api: Api):
    """That is a result, not an error."""
    dataset, model = api.dataset("a"), make_model(api)
    annotate(api, dataset, box("a", "car", 0))

    found = on_benchmark(api, benchmark(api, dataset), model_id=model)

    assert found["status"] == "succeeded"
    assert counts(api, found) == (0, 0, 1)
