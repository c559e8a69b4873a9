"""The three files of a report: the same numbers in all of them, of any size, whatever labels are called."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_provider_nucleus.gating.verdict import Judgement
from airflow_provider_nucleus.number_texts import (
    count_text,
    number_text,
    percent_text,
    share_text,
    short_text,
    signed_text,
)
from airflow_provider_nucleus.reporting.document import (
    metrics_json,
    missing_judgement,
    report_document,
    writable,
)
from airflow_provider_nucleus.reporting.extras import Extras
from airflow_provider_nucleus.reporting.files import make_report
from airflow_provider_nucleus.reporting.html import report_html
from airflow_provider_nucleus.reporting.limits import MOST_BYTES
from airflow_provider_nucleus.reporting.markdown import MOST_LINES, report_markdown
from tests.judgements import HOSTILE, extras, judgement

CASES = {
    "one label": (judgement(labels=1, with_baseline=False, status="inconclusive"), Extras()),
    "ten labels": (judgement(labels=10), extras()),
    "passed": (judgement(labels=10, status="pass"), extras(changed=0)),
    "300 labels": (judgement(labels=300), extras(changed=400, cuts=300, batches=90)),
    "hostile": (judgement(labels=12, hostile=True), extras(hostile=True)),
    "no judgement": (missing_judgement("The gate did not run: its state is upstream_failed."), Extras()),
}


class Page(HTMLParser):
    """Text and tags of a page; the style sheet is no text, and places to break a line are none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._skipped = 0
        self.feed(text.replace("<wbr>", ""))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skipped += tag == "style"
        self.texts += [value for name, value in attrs if name == "aria-label" and value]

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.texts.append(data)


NUMBER = re.compile(r"(?<![\w.,])[+−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?(?: %)?(?!\w)")


def numbers_of(value: Any) -> set[float]:
    """Return every number of a document."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int | float):
        return {float(value)}
    if isinstance(value, dict):
        return set().union(*map(numbers_of, value.values()))
    if isinstance(value, list):
        return set().union(*map(numbers_of, value))
    return set()


def texts_of(value: float) -> set[str]:
    """Return every way a number of the document may be written."""
    written = {
        short_text(value),
        share_text(value),
        signed_text(value, "tp"),
        number_text(value, "tp"),
        number_text(value, "x"),
    }
    for decimals in range(1, 7):
        written |= {percent_text(value, decimals=decimals)}
    for decimals in range(3, 7):
        written |= {
            f(value, name, decimals=decimals) for f in (number_text, signed_text) for name in ("", "x")
        }
    if float(value).is_integer():
        written.add(count_text(int(value)))
    return written


def differences_of(document: Any) -> set[float]:
    """Return what a reader may work out from the document: number of the candidate less that of the baseline, and shares."""
    candidate, baseline = document["candidate"], document["baseline"] or {}
    found = set()
    groups = [(candidate["overall"], baseline.get("overall"))]
    for key in ("per_label", *candidate["slices"]):
        own = candidate["per_label"] if key == "per_label" else candidate["slices"][key]
        other = (
            baseline.get("per_label", {}) if key == "per_label" else baseline.get("slices", {}).get(key, {})
        )
        groups += [(numbers, other.get(name)) for name, numbers in own.items()]
    for numbers, others in groups:
        for name, value in numbers["values"].items():
            if others and value is not None and others["values"].get(name) is not None:
                found.add(value - others["values"][name])
    found |= {value - baseline["supplied"][name] for name, value in candidate["supplied"].items() if baseline}
    for side in (candidate, baseline):
        coverage = side.get("coverage") or {}
        if coverage.get("items"):
            found.add(coverage["with_ground_truth"] / coverage["items"])
    return found


def sentences_of(document: Any) -> str:
    """Return every text of the document: numbers in them are the gate's."""
    if isinstance(document, dict):
        return "\n".join([*document, *map(sentences_of, document.values())])
    if isinstance(document, list):
        return "\n".join(map(sentences_of, document))
    return document if isinstance(document, str) else ""


def lengths_of(document: Any) -> set[int]:
    """Return how many rows anything of the document has, of which status, and how long its texts are: a page may count them."""
    found = {0}
    if isinstance(document, str):
        found |= {len(document)}
    elif isinstance(document, dict):
        found |= {len(document)}.union(*map(lengths_of, document), *map(lengths_of, document.values()))
    elif isinstance(document, list):
        found |= {len(document)}.union(*(lengths_of(each) for each in document))
        for key in ("status", "kind"):
            words = [each.get(key) for each in document if isinstance(each, dict)]
            found |= {words.count(word) for word in set(words)}
    return found


def unknown_numbers(texts: list[str], document: Any) -> list[str]:
    """Return the numbers in *texts* that the document does not hold."""
    known = set().union(*map(texts_of, numbers_of(document) | differences_of(document)))
    known |= set(NUMBER.findall(sentences_of(document)))
    known |= {count_text(length) for length in lengths_of(document)}
    found = [number for text in texts for number in NUMBER.findall(text)]
    return sorted({
        number for number in found if number not in known and number.removesuffix(" %") not in known
    })


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_the_page_is_in_the_document(case):
    """A reader who looks a number up in metrics.json finds it, to the digits of the page."""
    page, document = rendered(case)
    left_out = re.search(r'<section id="left-out">.*?</section>', page, re.DOTALL)[0]
    texts = Page(page.replace(left_out, "")).texts
    counted = {text for text in unknown_numbers(texts, document) if not is_count_of_rows(text, page)}

    assert len(NUMBER.findall(" ".join(texts))) > (2 if case == "no judgement" else 50)
    assert counted == set()


def is_count_of_rows(text: str, page: str) -> bool:
    """Return whether a number is how many rows a table of the page has, which it says above the table."""
    return any(
        f"{text} {word}" in page
        for word in ("objects</div>", "results that passed", "of 300 labels", "more, below")
    )


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_the_summary_is_in_the_document(case):
    """The same for report.md."""
    _, document = rendered(case)
    text = report_markdown(*CASES[case])
    outside = re.sub(r"(`+).*?\1(?!`)", "", text)

    rest = re.findall(r"^([\d,]+) more ", outside, re.MULTILINE)
    assert [number for number in unknown_numbers([outside], document) if number not in rest] == []


def rendered(case: str) -> tuple[str, Any]:
    document = report_document(*CASES[case])
    return report_html(document, CASES[case][1]), json.loads(metrics_json(document))


@pytest.mark.parametrize("case", CASES)
def test_the_document_is_a_judgement(case):
    """What a report leaves is read as a judgement, and loses nothing of it but the rows of the match."""
    given, more = CASES[case]
    read = Judgement.model_validate_json(metrics_json(report_document(given, more)))

    assert read.verdict.status == given.verdict.status
    assert read.candidate.model_dump() == writable(given.candidate.model_dump())
    assert (
        Extras.model_validate(read.extras).model_dump_json()
        == Extras.model_validate(writable(more.model_dump())).model_dump_json()
    )


@pytest.mark.parametrize("case", CASES)
def test_the_page_is_as_small_as_promised_and_asks_for_nothing(case):
    """No script, no style of an element, no address that is loaded, one style sheet within."""
    page, _ = rendered(case)
    parsed = Page(page)

    assert len(page.encode()) <= MOST_BYTES
    assert not [
        tag for tag, _ in parsed.tags if tag in {"script", "link", "iframe", "img", "object", "form", "base"}
    ]
    assert not [
        name
        for _, attributes in parsed.tags
        for name in attributes
        if name == "style" or name.startswith("on")
    ]
    assert not [
        value for _, attributes in parsed.tags if (value := attributes.get("src") or attributes.get("data"))
    ]
    assert {
        value.partition(":")[0] for _, attributes in parsed.tags if (value := attributes.get("href"))
    } <= {"https", "#left-out"}


@pytest.mark.parametrize("case", CASES)
def test_the_summary_fits_a_chat(case):
    """Fewer than sixty lines, and each row of a table has as many cells as its head."""
    text = report_markdown(*CASES[case], page_url="https://reports.example/report.html")
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]

    assert len(lines) <= MOST_LINES
    starts = [place for place, line in enumerate(lines) if re.fullmatch(r"\|( -+:? \|)+", line)]
    assert all(cells)
    for start in starts:
        width = len(re.findall(r"(?<!\\)\|", lines[start]))
        rows = lines[
            start - 1 : start
            - 1
            + next((n for n, line in enumerate(lines[start - 1 :]) if not line.startswith("|")), 99)
        ]
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {width}


def test_hostile_names_are_text():
    """Of the tags and attributes in a label's name none is one of the page."""
    page, _ = rendered("hostile")

    assert "<script" not in page
    assert "onerror=alert" not in page.replace("onerror=<wbr>alert", "").split("<body>")[0]
    assert all("onerror" not in attributes for _, attributes in Page(page).tags)
    assert "{{" in page
    assert "\u202e" not in page
    assert "javascript:" not in [attributes.get("href", "") for _, attributes in Page(page).tags]
    assert max(map(len, re.split(r"<[^>]*>|\s", page.split("</style>")[1]))) < 200


def test_what_is_left_out_is_said():
    """Rows that do not fit are counted, with their place."""
    page, _ = rendered("300 labels")
    section = re.search(r'<section id="left-out">(.*?)</section>', page, re.DOTALL)[1]
    said = re.sub(r"<[^>]*>", "", section)

    assert "400 changed objects: all are in metrics.json" in said
    assert re.search(r"[\d]+ of [\d]+ results", said)
    assert "Nothing:" in rendered("passed")[0]


def test_what_is_left_out_of_the_document_too_is_said():
    """It has the first of very many changed objects, and not all of them."""
    many = extras(changed=400).model_copy(update={"changed_total": 10_000})
    said = make_report(judgement(labels=1), many).page.left_out

    assert "of 10,000 changed objects: the first 400 are in metrics.json" in " ".join(said)


def test_a_smaller_page_leaves_more_out():
    """Whatever the limit, the page holds to it and says more of what is missing."""
    document, more = report_document(*CASES["300 labels"]), CASES["300 labels"][1]
    small = report_html(document, more, most_bytes=60_000)

    assert len(small.encode()) <= 60_000
    assert "Left out" in small


def test_a_gate_that_never_ran_is_no_pass():
    """The page says so at the top."""
    page, _ = rendered("no judgement")

    assert "Inconclusive" in page
    assert "upstream_failed" in page.replace("<wbr>", "")


@pytest.mark.parametrize("label", HOSTILE[:2])
def test_a_label_is_found_in_the_document_whole(label):
    """What the page cuts or writes out, metrics.json has as it is."""
    _, document = rendered("hostile")

    assert label in document["candidate"]["per_label"]
