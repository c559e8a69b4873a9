"""Files for tests of `nucleus-local gate` and the commands around it: ground truth, two models on it, and a policy."""

from __future__ import annotations

import json
import pathlib

from airflow_provider_nucleus.cli.main import main

BOXES = [[10 * place, 0, 8, 8] for place in range(30)]
DROP = {"rules": [{"id": "recall", "metric": "recall", "max_drop": 0.05, "compare": "point"}]}
FILES = ("--ground-truth", "gt.json")


def write_files(folder):
    """Write ground truth of thirty cars on six images, a model that finds all of them, one that misses every third, and a policy."""
    truth = {
        "images": [{"id": image, "width": 400, "height": 50} for image in range(6)],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}],
        "annotations": [
            {"id": place, "image_id": place % 6, "category_id": 1, "bbox": box, "area": 64, "iscrowd": 0}
            for place, box in enumerate(BOXES)
        ],
    }
    good = [
        {"image_id": place % 6, "category_id": 1, "bbox": box, "score": 0.5 + place / 100}
        for place, box in enumerate(BOXES)
    ]
    (folder / "gt.json").write_text(json.dumps(truth))
    (folder / "good.json").write_text(json.dumps(good))
    (folder / "bad.json").write_text(json.dumps([row for place, row in enumerate(good) if place % 3]))
    policy(DROP, folder / "policy.json")


def write_measurements():
    """Measure both models into the folder `m` of the current one; return the status."""
    return main([
        "evaluate", "--ground-truth", "gt.json", "--predictions", "bad.json", "good.json", "--measurements", "m",
    ])  # fmt: skip


def policy(rules, name="policy.json"):
    """Write a policy into the current folder."""
    with pathlib.Path(name).open("w") as file:
        json.dump(rules, file)


def gate(*arguments):
    """Run the command in this process; wrong arguments end it, as they end the real one."""
    try:
        return main(["gate", "--policy", "policy.json", *arguments])
    except SystemExit as end:
        return end.code
