"""Calls of the client as methods: of the hook, and of the asynchronous client that it gives.

A line like `create_dataset = CallMethod(datasets.create_dataset)` in a class body makes a method that takes the arguments of the
call, sends it and returns the result; the method of an asynchronous client is a coroutine function. Arguments, types and docstring
are those of the call, for type checkers and editors as well as at run time: there is no second signature that could differ.
"""

from __future__ import annotations

import functools
import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from airflow_provider_nucleus.client.aio import AsyncNucleusClient
from airflow_provider_nucleus.client.cancellation import cancel, cancel_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from airflow_provider_nucleus.client.call import Call
    from airflow_provider_nucleus.client.cancellation import Cancellation
    from airflow_provider_nucleus.client.paging import Page
    from airflow_provider_nucleus.client.sync import NucleusClient

__all__ = ["CallDescriptor", "CallMethod", "CancelMethod", "HasClient", "ListingMethod", "client_method"]

P = ParamSpec("P")
T = TypeVar("T")


class HasClient(Protocol):
    """A hook, as far as its methods need it."""

    def get_conn(self) -> NucleusClient:
        """Return the client that sends."""
        ...

    def send(self, call: Call[T]) -> T:
        """Send a call and return its result."""
        ...


class CallDescriptor(Generic[P]):
    """Descriptor of a method that sends `call`, a function of `airflow_provider_nucleus.client.calls`."""

    wrapping: ClassVar[str] = "Call["
    """Beginning of the annotation of the call, before the type of the result."""
    results: ClassVar[tuple[str, str]] = ("{}", "{}")
    """Annotations of what both methods return; braces stand for the type of the result."""

    def __init__(self, call: Callable[P, Call[Any]]) -> None:
        self.call = call

    def __set_name__(self, owner: type, name: str) -> None:
        read = (
            self.call
            .__annotations__["return"]
            .removeprefix(self.wrapping)
            .removesuffix("]" * self.wrapping.count("["))
        )
        self._method, self._async_method = (
            _described(method, self.call, name=f"{owner.__qualname__}.{name}", result=result.format(read))
            for method, result in zip(self.methods(), self.results, strict=True)
        )

    def function(self, owner: type) -> Callable[..., Any]:
        """Return the method that this is in a class: a coroutine function in asynchronous clients."""
        return self._async_method if issubclass(owner, AsyncNucleusClient) else self._method

    def __get__(self, sender: Any, owner: type) -> Any:
        method = self.function(owner)
        return method if sender is None else MethodType(method, sender)

    def methods(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the method of hooks and that of asynchronous clients."""
        raise NotImplementedError


class CallMethod(CallDescriptor[P], Generic[P, T]):
    """Descriptor of a method that sends a call and returns its result."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        super().__init__(call)

    if TYPE_CHECKING:

        @overload
        def __get__(self, sender: None, owner: Any) -> Callable[Concatenate[Any, P], Any]: ...
        @overload
        def __get__(self, sender: AsyncNucleusClient, owner: Any) -> Callable[P, Coroutine[Any, Any, T]]: ...
        @overload
        def __get__(self, sender: HasClient, owner: Any) -> Callable[P, T]: ...
        def __get__(self, sender: Any, owner: Any) -> Any: ...

    def methods(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the method of hooks and that of asynchronous clients."""

        def method(hook: HasClient, *args: P.args, **kwargs: P.kwargs) -> Any:
            return hook.send(self.call(*args, **kwargs))

        async def async_method(client: AsyncNucleusClient, *args: P.args, **kwargs: P.kwargs) -> Any:
            return await client.send(self.call(*args, **kwargs))

        return method, async_method


class ListingMethod(CallDescriptor[P], Generic[P, T]):
    """Descriptor of a method that yields the members of a listing, fetching each page when it is needed."""

    wrapping = "Call[Page["
    results = ("Iterator[{}]", "AsyncIterator[{}]")

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        super().__init__(call)

    if TYPE_CHECKING:

        @overload
        def __get__(self, sender: None, owner: Any) -> Callable[Concatenate[Any, P], Any]: ...
        @overload
        def __get__(self, sender: AsyncNucleusClient, owner: Any) -> Callable[P, AsyncIterator[T]]: ...
        @overload
        def __get__(self, sender: HasClient, owner: Any) -> Callable[P, Iterator[T]]: ...
        def __get__(self, sender: Any, owner: Any) -> Any: ...

    def methods(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the method of hooks and that of asynchronous clients."""

        def method(hook: HasClient, *args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            return hook.get_conn().pages(self.call(*args, **kwargs))

        def async_method(client: AsyncNucleusClient, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Any]:
            return client.pages(self.call(*args, **kwargs))

        return method, async_method


class CancelMethod(CallDescriptor[P]):
    """Descriptor of a method that requests a cancellation once, and returns its outcome."""

    results = ("Cancellation", "Cancellation")

    if TYPE_CHECKING:

        @overload
        def __get__(self, sender: None, owner: Any) -> Callable[Concatenate[Any, P], Any]: ...
        @overload
        def __get__(
            self, sender: AsyncNucleusClient, owner: Any
        ) -> Callable[P, Coroutine[Any, Any, Cancellation]]: ...
        @overload
        def __get__(self, sender: HasClient, owner: Any) -> Callable[P, Cancellation]: ...
        def __get__(self, sender: Any, owner: Any) -> Any: ...

    def methods(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the method of hooks and that of asynchronous clients."""

        def method(hook: HasClient, *args: P.args, **kwargs: P.kwargs) -> Cancellation:
            return cancel(hook.get_conn(), self.call(*args, **kwargs))

        async def async_method(client: AsyncNucleusClient, *args: P.args, **kwargs: P.kwargs) -> Cancellation:
            return await cancel_async(client, self.call(*args, **kwargs))

        return method, async_method


def client_method(
    function: Callable[Concatenate[NucleusClient, P], T],
) -> Callable[Concatenate[HasClient, P], T]:
    """Make a method of a function that takes a client first: the hook's client is put in its place."""

    def method(hook: HasClient, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(hook.get_conn(), *args, **kwargs)

    return _described(
        method, function, name=function.__name__, result=function.__annotations__["return"], leaving_out=1
    )


def _described(
    method: Callable[..., Any], model: Callable[..., Any], *, name: str, result: str, leaving_out: int = 0
) -> Callable[..., Any]:
    """Give a method name, docstring and signature of the function it stands for, but for the first parameters and the result."""
    functools.update_wrapper(method, model)
    method.__name__, method.__qualname__ = name.rpartition(".")[2], name
    signature = inspect.signature(model)
    parameters = list(signature.parameters.values())[leaving_out:]
    sender = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = {each.name for each in parameters}
    method.__annotations__ = {
        **{each: hint for each, hint in model.__annotations__.items() if each in names},
        "return": result,
    }
    vars(method)["__signature__"] = signature.replace(
        parameters=[sender, *parameters], return_annotation=result
    )
    return method
