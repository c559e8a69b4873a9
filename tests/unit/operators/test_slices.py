"""Slices as batches: found or created by name, filled from any source, one of a name whatever happens."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_nucleus.client.slices import ensure_slice
from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusConnectionError
from airflow_provider_nucleus.operators.items import NucleusAppendItemsOperator
from airflow_provider_nucleus.operators.slices import NucleusCreateSliceOperator
from tests.airflow.batches import write_lines
from tests.unit.operators.fakes import context, run


def rows(names, **metadata):
    """Items as an upload has them."""
    return [{"reference_id": n, "image_url": f"s3://b/{n}.jpg", "metadata": metadata} for n in names]


@pytest.fixture
def dataset_id(hook, request):
    """A dataset with the items `a` to `f`; `d` to `f` were taken at night."""
    made = hook.create_dataset(request.node.name)
    append(made, rows("abc", time="day") + rows("def", time="night"))
    return made


def append(dataset_id, source, **options):
    """Append items as a task does; return what it left behind."""
    task = NucleusAppendItemsOperator(
        task_id="i",
        dataset_id=dataset_id,
        source=source,
        **{"deferrable": False, "poll_interval": 0.1} | options,
    )
    surroundings = context(task)
    return task.execute(surroundings), surroundings["ti"].xcoms


def create(dataset_id, **arguments):
    """Run the operator once."""
    task = NucleusCreateSliceOperator(task_id="s", **{"dataset_id": dataset_id, "name": "monday"} | arguments)
    return run(task)


def members(hook, slice_id):
    """Reference ids of the items of a slice."""
    return sorted(item.reference_id for item in hook.iter_slice_items(slice_id))


def test_a_second_run_finds_the_slice_and_adds_what_is_missing(hook, dataset_id):
    """Two runs of one name end with one slice."""
    first = create(dataset_id, reference_ids=["a", "b", "a"])
    again = create(dataset_id, reference_ids="['b', 'c']")

    assert first == {
        "slice_id": first["slice_id"], "slice_name": "monday", "dataset_id": dataset_id, "items": 2, "added": 2, "created": True,
    }  # fmt: skip
    assert again == first | {"items": 3, "added": 1, "created": False}
    assert members(hook, first["slice_id"]) == ["a", "b", "c"]
    assert len(hook.dataset_slices(dataset_id, name="monday")) == 1


@pytest.mark.parametrize("source", ["file", "rows", "query", "slice", "empty"])
def test_items_come_from_any_source(hook, dataset_id, tmp_path, source):
    """The file of an upload, rows, a query, another slice, an empty list."""
    other = create(dataset_id, name="other", reference_ids=["d", "e", "f"])["slice_id"]
    arguments = {
        "file": {"source": str(write_lines(tmp_path / "items.jsonl", rows("def")))},
        "rows": {"source": rows("def")},
        "query": {"query": "metadata.time = night"},
        "slice": {"from_slice_id": other},
        "empty": {"reference_ids": []},
    }[source]
    made = create(dataset_id, **arguments)

    assert made["items"] == (0 if source == "empty" else 3)
    assert members(hook, made["slice_id"]) == ([] if source == "empty" else ["d", "e", "f"])


@pytest.mark.parametrize(
    "arguments", [{}, {"reference_ids": ["a"], "query": "metadata.time = day"}, {"reference_ids": "None"}]
)
def test_exactly_one_source_is_given(dataset_id, arguments):
    """Neither none nor two; a template that found nothing is none."""
    with pytest.raises(NucleusConfigError, match="give exactly one of source, reference_ids, query and"):
        create(dataset_id, **arguments)


def test_unknown_items_are_named(hook, dataset_id):
    """The error says which, what was left behind and what to do."""
    with pytest.raises(
        NucleusConfigError, match=r"does not have 7 of the items .*'x0', .* and 2 more"
    ) as caught:
        create(dataset_id, reference_ids=["a", *(f"x{n}" for n in range(7))])

    (left,) = hook.dataset_slices(dataset_id, name="monday")
    assert left.id in str(caught.value)
    assert create(dataset_id, reference_ids=["a"])["slice_id"] == left.id


def test_more_items_than_a_request_takes(hook, request):
    """The server refuses more than 10,000 at once; 10,001 arrive."""
    dataset_id = hook.create_dataset(request.node.name)
    names = [f"n{n}" for n in range(10_001)]
    _, xcoms = append(dataset_id, rows(names), slice_name="big")
    again = create(dataset_id, name="big", reference_ids=names)

    assert again == {
        "slice_id": xcoms["slice_id"], "slice_name": "big", "dataset_id": dataset_id, "items": 10_001, "added": 0, "created": False,
    }  # fmt: skip


def test_an_answer_that_is_lost_makes_no_second_slice(hook, dataset_id, monkeypatch):
    """The server created the slice and the connection broke: it is looked for."""
    client = hook.get_conn()
    real = client.send

    def send(call, **options):
        answer = real(call, **options)
        if call.path.endswith("create_slice"):
            raise NucleusConnectionError("The connection was lost.")
        return answer

    monkeypatch.setattr(client, "send", send)
    made = ensure_slice(client, dataset_id, "lost", ["a"])

    assert members(hook, made.slice_id) == ["a"]
    assert len(hook.dataset_slices(dataset_id, name="lost")) == 1


def test_several_at_once_end_with_one_slice(hook, dataset_id):
    """Mapped tasks that begin together: the first wins, and holds the items of all."""
    gate, found = threading.Barrier(8), []
    client = hook.get_conn()

    def ask(name):
        gate.wait()
        found.append(ensure_slice(client, dataset_id, "rivals", [name]).slice_id)

    threads = [threading.Thread(target=ask, args=["abcdefab"[n]]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (left,) = hook.dataset_slices(dataset_id, name="rivals")
    assert set(found) == {left.id}
    assert len(found) == 8
    assert members(hook, left.id) == list("abcdef")


def test_two_slices_of_a_name_are_a_question(hook, dataset_id, monkeypatch):
    """Somebody made them by hand: which is the batch cannot be known, and taking the wrong one would be worse."""
    for _ in range(2):
        hook.create_slice(dataset_id, "twice", reference_ids=["a"])
    client = hook.get_conn()
    monkeypatch.setattr(client, "sleep", lambda _: None)

    with pytest.raises(NucleusConfigError, match=r"2 slices of dataset .* are called 'twice'"):
        ensure_slice(client, dataset_id, "twice", ["a"])


def test_an_upload_puts_its_items_into_a_slice(hook, dataset_id):
    """Items that existed before belong to the batch as well; bad rows do not."""
    source = [*rows("fgh"), {"reference_id": "bad", "image_url": 7, "metadata": {}}]
    result, xcoms = append(dataset_id, source, slice_name="tuesday", max_error_rate=0.5)

    assert result["rejected"] == 1
    assert (result["slice_items"], result["slice_added"], result["slice_name"]) == (3, 3, "tuesday")
    assert result["slice_id"] == xcoms["slice_id"]
    assert members(hook, result["slice_id"]) == ["f", "g", "h"]
    again, _ = append(dataset_id, rows("fgh"), slice_name="tuesday")
    assert (again["slice_id"], again["slice_added"]) == (result["slice_id"], 0)


def test_a_slice_of_nothing_that_was_sent_is_not_made(hook, dataset_id):
    """A validation leaves no trace; scenes have slices of their own."""
    append(dataset_id, rows("x"), slice_name="never", validate_only=True)

    assert hook.dataset_slices(dataset_id, name="never") == []
    with pytest.raises(NucleusConfigError, match="slice_name is for images"):
        append(dataset_id, [], kind="lidar_scenes", slice_name="x")
