"""debug_print: what a function computes, shown while it runs, compiled or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .graph import Node, Tensor, TensorTuple, tracing

_NOWHERE: list[str] = []
_sink: ContextVar[list[str] | None] = ContextVar("sink", default=None)


def debug_print(fmt: str, *args: Any, **kwargs: Any) -> None:
    """Print `fmt.format(*args, **kwargs)`, with the numbers that Tensors and arrays hold at that moment.

    In a function that `jit` compiled it prints at each call, where `print` would do so once, during the trace, and show
    no numbers.  Inside `grad` and forward mode it shows values, not derivatives; inside `vmap` it prints once, with the
    values of all examples, the batch as the first axis.  What is computed a second time, for a derivative, is not
    printed again.

    Args:
        fmt: a format string, as of `str.format`: "{}", "{loss:.3f}".
        args, kwargs: what fills it: Tensors, arrays, numbers, and tuples, lists and dicts of these; all else as it is.

    >>> import needle as ndl
    >>> @ndl.jit
    ... def halved(x):
    ...     ndl.debug_print("the sum is {:.1f}", x.sum())
    ...     return x / 2
    >>> y = halved(ndl.Tensor([1.0, 2.0]))
    the sum is 3.0
    >>> y = halved(ndl.Tensor([3.0, 4.0]))
    the sum is 7.0
    """
    if not isinstance(fmt, str):
        raise TypeError(f'debug_print takes a format string first, such as "loss {{}}"; got {type(fmt).__name__}')
    sink = _sink.get()
    if sink is _NOWHERE:
        return
    arrays: list = []
    template = _hollow((args, kwargs), arrays)

    def text(*arrays) -> str:
        filled_args, filled_kwargs = _filled(template, arrays)
        return fmt.format(*filled_args, **filled_kwargs)

    trace = tracing()
    if trace is None:
        print(text(*arrays)) if sink is None else sink.append(text(*arrays))
    else:
        text(*[np.zeros(array.shape, array.dtype) for array in arrays])  # a mistake in `fmt` shows here, at its line
        trace.effect(lambda *arrays: print(text(*arrays)), arrays)


@contextmanager
def silent() -> Iterator[None]:
    """A block in which something is computed again: `debug_print` has shown it the first time."""
    with _to(_NOWHERE):
        yield


@contextmanager
def held_back() -> Iterator[list[str]]:
    """A block in which what `debug_print` has to say is appended to a list instead."""
    with _to([]) as texts:
        yield texts


@contextmanager
def _to(sink: list[str]) -> Iterator[list[str]]:
    token = _sink.set(sink)
    try:
        yield sink
    finally:
        _sink.reset(token)


class _Place:
    """Where array `index` belongs."""

    def __init__(self, index: int):
        self.index = index


def _hollow(value: Any, arrays: list) -> Any:
    """`value` with a place for each array in it; the arrays themselves are appended to `arrays`."""
    if isinstance(value, (Tensor, TensorTuple)):
        value = _known(value.node)  # type: ignore[union-attr]
        if isinstance(value, tuple):
            return tuple([_hollow(item, arrays) for item in value])
        arrays.append(value)
        return _Place(len(arrays) - 1)
    if hasattr(value, "__array_function__"):
        arrays.append(value)
        return _Place(len(arrays) - 1)
    if type(value) in (tuple, list):
        return type(value)([_hollow(item, arrays) for item in value])
    if type(value) is dict:
        return {key: _hollow(item, arrays) for key, item in value.items()}
    return value


def _known(node: Node):
    """The array (or tuple of arrays) of a node, beneath what transforms have it carry."""
    while node.level:
        node = node.beneath()
    return node.data


def _filled(template: Any, arrays) -> Any:
    if isinstance(template, _Place):
        array = arrays[template.index]
        return array if array.ndim else array[()]
    if type(template) in (tuple, list):
        return type(template)([_filled(item, arrays) for item in template])
    if type(template) is dict:
        return {key: _filled(item, arrays) for key, item in template.items()}
    return template
