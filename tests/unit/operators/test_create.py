"""Datasets and models: found or created, never doubled, never mixed up."""

from __future__ import annotations

import pytest

from airflow_provider_nucleus.exceptions import NucleusConfigError, NucleusNotFoundError
from airflow_provider_nucleus.operators.datasets import (
    NucleusCreateDatasetOperator,
    NucleusDeleteDatasetOperator,
)
from airflow_provider_nucleus.operators.models import NucleusCreateModelOperator
from tests.unit.operators.fakes import context


def run(task):
    """Execute a task once."""
    return task.execute(context(task))


def create(name: str, **arguments):
    """Run a create-dataset task."""
    return run(NucleusCreateDatasetOperator(task_id="create", name=name, **arguments))


def test_dataset_is_created_once(hook):
    """The second run finds what the first one created."""
    first, second = create("once"), create("once")

    assert (first["created"], second["created"]) == (True, False)
    assert first["dataset_id"] == second["dataset_id"]
    assert hook.dataset_name(first["dataset_id"]) == "once"


def test_several_datasets_of_one_name_are_an_error_that_lists_them(hook):
    """Uploading to the wrong one would be worse than failing."""
    ids = [hook.create_dataset("twins") for _ in range(2)]

    with pytest.raises(NucleusConfigError, match="2 datasets are named 'twins'") as caught:
        create("twins")
    assert all(dataset_id in str(caught.value) for dataset_id in ids)


@pytest.mark.parametrize(("policy", "position"), [("oldest", 0), ("newest", -1)])
def test_several_datasets_of_one_name_with_a_policy(hook, policy, position):
    """Whoever says which one is meant gets it."""
    ids = [hook.create_dataset(f"twins {policy}") for _ in range(3)]

    assert ids[position] == create(f"twins {policy}", on_duplicate=policy)["dataset_id"]


def test_dataset_of_the_other_kind_is_refused(hook):
    """Scenes and items do not share a dataset, and its kind cannot be changed."""
    create("kind", is_scene="True")

    with pytest.raises(NucleusConfigError, match="holds scenes, not items"):
        create("kind")
    assert create("kind", is_scene=True)["is_scene"]


@pytest.mark.parametrize("blank", ["", "  ", "None", None])
def test_blank_name_is_refused(hook, blank):
    """A template that found nothing does not create a dataset named "None"."""
    with pytest.raises(NucleusConfigError, match="name is empty"):
        create(blank)


def test_unknown_policy_is_an_error_of_the_dag_file():
    """A wrong constant is noticed when the DAG is parsed."""
    with pytest.raises(ValueError, match="on_duplicate"):
        NucleusCreateDatasetOperator(task_id="create", name="x", on_duplicate="any")


def test_deleting_is_for_teardown(hook):
    """A dataset that is gone is fine, unless told otherwise."""
    dataset_id = create("to delete")["dataset_id"]

    assert run(NucleusDeleteDatasetOperator(task_id="delete", dataset_id=dataset_id))["deleted"]
    assert not run(NucleusDeleteDatasetOperator(task_id="delete", dataset_id="ds_nope"))["deleted"]
    with pytest.raises(NucleusNotFoundError):
        run(NucleusDeleteDatasetOperator(task_id="delete", dataset_id="ds_nope", missing_ok=False))


def test_model_is_created_once_by_reference_id(hook):
    """The second run finds the model, whatever its name."""
    first = run(NucleusCreateModelOperator(task_id="m", reference_id="once-1", name="A", metadata={"v": 1}))
    second = run(NucleusCreateModelOperator(task_id="m", reference_id="once-1", name="B"))

    assert (first["created"], second["created"]) == (True, False)
    assert first["model_id"] == second["model_id"]
    assert (second["name"], hook.get_model(first["model_id"]).metadata) == ("A", {"v": 1})


def test_model_created_by_another_task_meanwhile_is_used(hook, monkeypatch):
    """Two tasks that create the same model at once end with one model."""
    task = NucleusCreateModelOperator(task_id="m", reference_id="race-1")
    other: list[str] = []
    listed = task.hook.list_models

    def list_then_lose_the_race():
        found = listed()
        if not other:
            other.append(hook.create_model("other", reference_id="race-1"))
        return found

    monkeypatch.setattr(task.hook, "list_models", list_then_lose_the_race)
    result = run(task)

    assert (other[0], False, "other") == (result["model_id"], result["created"], result["name"])


def test_links_are_stored_while_the_task_runs(hook, nucleus):
    """The address is in the link's XCom as soon as the id is known."""
    task = NucleusCreateDatasetOperator(task_id="create", name="linked")
    surroundings = context(task)
    dataset_id = task.execute(surroundings)["dataset_id"]

    assert {"_link_NucleusDatasetLink": f"{nucleus.base_url}/dataset/{dataset_id}"} == surroundings[
        "ti"
    ].xcoms


def test_silence_is_kept(hook):
    """`do_xcom_push=False` is for the side XComs too."""
    task = NucleusCreateDatasetOperator(task_id="create", name="silent", do_xcom_push=False)
    surroundings = context(task)
    task.execute(surroundings)

    assert surroundings["ti"].xcoms == {}


def test_metadata_that_an_existing_model_does_not_have_is_named(hook, request):
    """The contract cannot change it: the log says which members differ."""

    def warnings(metadata):
        task = NucleusCreateModelOperator(task_id="m", reference_id=request.node.name, metadata=metadata)
        found = []
        task.log.warning = lambda text, *values: found.append(text % values)
        task.execute(context(task))
        return [text for text in found if "existing model" in text]

    assert warnings({"epochs": 3, "site": "a"}) == []
    (warning,) = warnings({"epochs": 4, "site": "a", "new": 1})

    assert "epochs, new differ" in warning
    assert "site" not in warning
