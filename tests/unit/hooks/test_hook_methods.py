"""Every call of the client is a method of the hook and of its asynchronous client, described by the call itself."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
from typing import TYPE_CHECKING, Any
from unittest.mock import create_autospec

import pytest

from airflow_provider_nucleus.client import calls
from airflow_provider_nucleus.client.calls.items import new_request_id
from airflow_provider_nucleus.client.cancellation import Cancellation
from airflow_provider_nucleus.client.content import BytesContent
from airflow_provider_nucleus.client.jobs import wait_for_job
from airflow_provider_nucleus.hooks.calls import NucleusCalls
from airflow_provider_nucleus.hooks.nucleus import AsyncNucleus, NucleusHook
from airflow_provider_nucleus.schema.jobs import JobState
from tests.airflow.harness import connection_json

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = [
    importlib.import_module(f"{calls.__name__}.{module.name}")
    for module in pkgutil.iter_modules(calls.__path__)
    if not module.name.startswith("_")
]
CALLS = {
    function
    for module in MODULES
    for function in vars(module).values()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and not function.__name__.startswith("_")
    and function.__annotations__["return"].startswith("Call[")
}
METHODS = {name: line.call for name, line in vars(NucleusCalls).items() if not name.startswith("__")}


def test_every_call_is_one_method() -> None:
    """None is missing, none is offered twice, and none is offered that the client does not have."""
    assert len(CALLS) > 100
    assert {call.__name__ for call in CALLS - set(METHODS.values())} == set()
    assert {call.__name__ for call in set(METHODS.values()) - CALLS} == set()
    assert len(METHODS) == len(CALLS)


def test_every_call_is_exported() -> None:
    """`__all__` of a module of calls lists them all, so that nothing escapes the comparison."""
    unlisted = {
        call.__name__
        for call in CALLS
        if call.__name__ not in importlib.import_module(call.__module__).__all__
    }

    assert unlisted == set()


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_named_and_described_as_their_call(name: str) -> None:
    """Listings are called `iter_...`, all others like their call; arguments and docstring are those of the call."""
    call = METHODS[name]
    expected = inspect.signature(call)
    is_listing = expected.return_annotation.startswith("Call[Page[")

    assert name == call.__name__ if not is_listing else name.startswith("iter_")
    for owner in (NucleusHook, AsyncNucleus):
        method = getattr(owner, name)
        assert list(expected.parameters.values()) == list(inspect.signature(method).parameters.values())[1:]
        assert (call.__doc__, name) == (method.__doc__, method.__name__)


def read(name: str, owner: type = NucleusHook) -> str:
    """Return what a method is said to return."""
    return inspect.signature(getattr(owner, name)).return_annotation


def test_results_are_annotated_without_their_wrapping() -> None:
    """As sending the call returns them."""
    assert read("create_dataset") == read("create_dataset", AsyncNucleus) == "str"
    assert read("benchmark_items") == "BenchmarkItems"
    assert read("dataset_tags") == "list[str]"
    assert read("add_benchmark_items") == "str | None"
    assert read("iter_items") == "Iterator[DatasetItem]"
    assert read("iter_items", AsyncNucleus) == "AsyncIterator[DatasetItem]"
    assert read("cancel_job") == read("cancel_job", AsyncNucleus) == "Cancellation"


def test_editors_find_methods_and_their_arguments() -> None:
    """What completion at run time goes by: names of an instance, routines of the class, bound signatures."""
    hook = NucleusHook("probe")

    assert set(METHODS) <= set(dir(hook)) & set(dir(AsyncNucleus))
    assert all(inspect.isroutine(getattr(NucleusHook, name)) for name in METHODS)
    assert list(inspect.signature(hook.item_by_index).parameters) == ["dataset_id", "index"]
    assert inspect.iscoroutinefunction(AsyncNucleus.create_dataset)


def test_a_method_of_a_client_function_takes_what_is_left() -> None:
    """The client is the hook's own; all else is the function's."""
    function, method = inspect.signature(wait_for_job), inspect.signature(NucleusHook.wait_for_job)

    assert list(function.parameters)[1:] == list(method.parameters)[1:]
    assert next(iter(method.parameters)) == "self"
    assert wait_for_job.__doc__ == NucleusHook.wait_for_job.__doc__


@pytest.fixture(params=["hook", "asynchronous client"])
def run(request: pytest.FixtureRequest, nucleus: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Call a method on the embedded Nucleus, and return its result, of a listing all members."""
    monkeypatch.setenv("AIRFLOW_CONN_PROBE", connection_json(endpoint=nucleus.url, api_key=nucleus.api_key))

    def blocking(name: str, *args: Any, **kwargs: Any) -> Any:
        with NucleusHook("probe") as hook:
            result = getattr(hook, name)(*args, **kwargs)
            return list(result) if name.startswith("iter_") else result

    async def awaited(name: str, *args: Any, **kwargs: Any) -> Any:
        async with NucleusHook("probe").get_async_client() as client:
            result = getattr(client, name)(*args, **kwargs)
            return [each async for each in result] if name.startswith("iter_") else await result

    return (
        blocking if request.param == "hook" else lambda *args, **kwargs: asyncio.run(awaited(*args, **kwargs))
    )


def test_methods_send_their_calls(run: Callable[..., Any]) -> None:
    """Answers are read, listings followed over their pages, and asking to cancel says what it led to."""
    dataset_id = run("create_dataset", "methods")
    rows = [{"reference_id": f"r{n}", "image_url": f"s3://bucket/{n}.jpg"} for n in range(3)]
    request_id = new_request_id()
    url = run("signed_url", dataset_id, request_id)
    run("put_signed", url, BytesContent(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    job = run("start_append", dataset_id, request_id)

    assert run("wait_for_job", job.job_id, poll_interval=0.05).state is JobState.SUCCEEDED
    assert [item.reference_id for item in run("iter_items", dataset_id, page_size=1)] == ["r0", "r1", "r2"]
    assert run("item_by_index", dataset_id, 1).item.reference_id == "r1"
    assert run("cancel_job", job.job_id) is Cancellation.ENDED


def test_calls_of_a_hook_pass_its_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subclass, or a test, can stand in for the server in one place."""
    hook = NucleusHook("probe")
    monkeypatch.setattr(hook, "send", lambda call: call.name)

    assert hook.dataset_name("ds_1") == "read name of dataset ds_1"


@pytest.mark.parametrize("name", METHODS)
def test_imitations_of_the_hook_take_what_the_hook_takes(name: str) -> None:
    """Tests of users patch the hook with `autospec=True`: its methods are functions of the class, without a `self` to pass."""
    arguments = inspect.signature(METHODS[name]).parameters.values()
    given = {each.name: "x" for each in arguments if each.kind is not inspect.Parameter.VAR_KEYWORD}
    imitation = create_autospec(NucleusHook)()

    getattr(imitation, name)(**given)

    with pytest.raises(TypeError):
        getattr(imitation, name)(**given, no_such_argument=1)


def test_imitations_of_the_asynchronous_client_are_awaited() -> None:
    """Its methods are coroutine functions there, too."""
    imitation = create_autospec(AsyncNucleus, instance=True)
    imitation.create_dataset.return_value = "ds_1"

    assert asyncio.run(imitation.create_dataset("images")) == "ds_1"


def test_a_subclass_replaces_a_method() -> None:
    """And reaches the one it replaces."""

    class Named(NucleusHook):
        def create_dataset(self, name: str, **kwargs: Any) -> str:
            return f"named {super().create_dataset(name, **kwargs)}"

        def send(self, call: Any) -> Any:
            return call.path

    assert Named().create_dataset("images") == "named dataset/create"
    assert Named().delete_dataset("ds_1") == "dataset/ds_1"
