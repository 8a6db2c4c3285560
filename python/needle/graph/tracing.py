"""Whether a function is being traced, for the floors below the one that traces.

A trace puts recording arrays in place of NumPy's, and ops compute with them as with any array.  What a computation
draws, counts and keeps beside arrays it must be told of: `tracing()` is the trace that wants to know, or None.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Trace(Protocol):
    """What floors below may ask of a trace.  `watched` are the Tensors that the function reaches."""

    watched: Mapping

    def compute(self, op, arrays: list) -> Any:
        """What `op.compute(*arrays)` gives, some of the arrays being recorded."""

    def numbers(self, make: Callable[[], tuple]) -> tuple:
        """Numbers that each call of the program makes anew: `make()` gives a tuple of 0-d arrays and Nones."""

    def state(self, holder: dict, name: str, zeros: Callable[[], Any]) -> Any:
        """The array `holder[name]` (`zeros()` if there is none), to be written into, for good when the call is over."""

    def change(self, holder: dict, effect: Callable[[], None]) -> None:
        """`effect()` changes entries of `holder` that are no arrays: now, and at each call of the program."""

    def effect(self, function: Callable[..., None], arrays: list) -> None:
        """`function(*arrays)` does something that the program must do at each call, in its turn among other effects."""

    def stand_in(self, array: Any, bring: Callable[[], Any]) -> None:
        """Where NumPy's `array` or a view of it is met, what `bring()` gives is meant."""

    def aside(self) -> AbstractContextManager:
        """A block of which nothing is written down; `captured` of what it gives is what it used of the trace."""

    def scan(self, body, carry: list, xs: list, closed: list, length: int, reverse: bool) -> tuple:
        """The last carry and the ys of a scan, of arrays, of which `body` is one step, of Tensors."""

    def branch(self, on_true, on_false, pred, arrays: list) -> tuple:
        """What one of two functions of Tensors gives, of arrays."""

    def while_loop(self, condition, body, carry: list, of_condition: list, of_body: list) -> tuple:
        """The last carry of a loop, of arrays; `condition` and `body` take the carry and what is theirs, as Tensors."""

    def check(self, function: Callable[[], Any]) -> None:
        """A call for which `function()` gives something else than now is to be traced again."""


class ValueUnknown(TypeError):
    """The value of something that has no single one was asked for."""


class Unrecorded(Exception):
    """An op's `compute` raises this under a trace where it is to be one instruction, as an `opaque` op always is."""


_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)


def tracing() -> Trace | None:
    """The trace that is going on in this thread, if any."""
    return _trace.get()


@contextmanager
def traced_by(trace: Trace | None) -> Iterator[None]:
    """A block that `trace` records; with None, one that nothing does."""
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)
