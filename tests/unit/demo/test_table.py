from __future__ import annotations

from airflow_provider_nucleus.demo.table import batch_table, comparison
from airflow_provider_nucleus.pair_counts import MatchCounts


def tally(tp: int, fp: int, fn: int) -> dict:
    return MatchCounts(tp, fp, fn, 0, tp * 0.75).to_dict()


def metrics(overall: dict, labels: int | None = None, **per_label: dict) -> dict:
    return {
        "iou_threshold": 0.5,
        "overall": overall,
        "labels": len(per_label) if labels is None else labels,
        "per_label": per_label,
    }


def test_two_models_are_compared_overall_and_by_class():
    """The whole table, with the better F1 marked and undefined numbers as n/a."""
    text = comparison({
        "simple": metrics(tally(8, 2, 12), cup=tally(8, 1, 2), vase=tally(0, 0, 10)),
        "clever": metrics(tally(12, 4, 8), cup=tally(7, 2, 3), vase=tally(5, 2, 5)),
    })

    assert text.splitlines() == [
        "All classes, one-to-one matches of equal label, IoU >= 0.5",
        "",
        "  model   TP  FP  FN  precision  recall     F1   mean IoU",
        "  -------------------------------------------------------",
        "  simple   8   2  12      0.800   0.400  0.533      0.750",
        "  clever  12   4   8      0.750   0.600  0.667*     0.750",
        "",
        "By class",
        "",
        "  class  model   TP  FP  FN  precision  recall     F1   mean IoU",
        "  --------------------------------------------------------------",
        "  cup    simple   8   1   2      0.889   0.800  0.842*     0.750",
        "         clever   7   2   3      0.778   0.700  0.737      0.750",
        "  vase   simple   0   0  10        n/a   0.000  0.000        n/a",
        "         clever   5   2   5      0.714   0.500  0.588*     0.750",
        "",
        "* best F1   TP, FP, FN: true positives, false positives, false negatives",
        "n/a: nothing to divide by   -: not reported for this model",
    ]


def test_one_model_has_no_best():
    """A mark needs a rival."""
    assert "*" not in comparison({"only": metrics(tally(1, 0, 0), cup=tally(1, 0, 0))})


def test_equal_scores_have_no_best():
    """Where all models score the same, nobody is marked."""
    text = comparison({"a": metrics(tally(1, 0, 0)), "b": metrics(tally(1, 0, 0))})

    assert "1.000*" not in text


def test_many_classes_are_cut_and_counted():
    """The classes with the most ground truth stay; how many are left out is said."""
    labels = {f"class-{n:02}": tally(n, 0, 0) for n in range(1, 31)}
    text = comparison({"a": metrics(tally(465, 0, 0), labels=40, **labels)}, most_classes=5)

    assert "class-30" in text
    assert "class-25" not in text
    assert "35 more classes" in text


def test_a_class_one_model_does_not_report_is_shown_as_such():
    """Not reported is not zero."""
    text = comparison({
        "a": metrics(tally(2, 0, 0), cup=tally(2, 0, 0)),
        "b": metrics(tally(0, 0, 2), labels=30),
    })
    line = next(line for line in text.splitlines() if line.startswith("         b"))

    assert line.split() == ["b", *["-"] * 7]


def test_coco_numbers_stand_below_the_counts():
    """AP and AR, whatever else the report has; what there is no number for is n/a."""
    coco = {"only": {"AP": 0.5, "AP50": None, "AR100": 0.25, "nucleus": {}}}
    lines = comparison({"only": metrics(tally(1, 0, 0))}, coco=coco).splitlines()
    start = lines.index("COCO numbers: matched by confidence, AP and AR are means over IoU 0.50 to 0.95")

    assert lines[start + 2].split() == ["model", "AP", "AP50", "AR100"]
    assert lines[start + 4].split() == ["only", "0.500", "n/a", "0.250"]


def test_average_precision_stands_beside_f1():
    """In the first table, where the models are compared; what there is no number for is n/a."""
    coco = {"one": {"AP": 0.5, "AP50": None}, "two": {"AP": 0.25, "AP50": 0.75}}
    lines = comparison(
        {"one": metrics(tally(1, 0, 0)), "two": metrics(tally(1, 1, 0))}, coco=coco
    ).splitlines()

    assert lines[2].split()[4:9] == ["precision", "recall", "F1", "AP", "AP50"]
    assert lines[4].split()[-4:-1] == ["1.000*", "0.500", "n/a"]
    assert lines[5].split()[-4:-1] == ["0.667", "0.250", "0.750"]


def test_each_batch_has_its_numbers_and_what_became_of_the_model():
    """A block for each batch, the better F1 marked within it."""
    lines = batch_table(
        {
            "Monday": {"a": tally(8, 2, 12), "b": tally(12, 4, 8)},
            "Tuesday": {"a": tally(1, 0, 0), "b": tally(0, 1, 1)},
        },
        verdicts={
            "Monday": {"a": "stopped (fail)", "b": "passed"},
            "Tuesday": {"a": "passed", "b": "stopped (fail)"},
        },
    )

    assert lines == [
        "  batch    model  TP  FP  FN  precision  recall     F1   gate",
        "  -----------------------------------------------------------",
        "  Monday   a       8   2  12      0.800   0.400  0.533   stopped (fail)",
        "           b      12   4   8      0.750   0.600  0.667*  passed",
        "  Tuesday  a       1   0   0      1.000   1.000  1.000*  passed",
        "           b       0   1   1      0.000   0.000  0.000   stopped (fail)",
    ]
