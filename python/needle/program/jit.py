"""`jit`: a function as a compiled program."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ..graph import Tensor, is_special, is_watched, lazy_mode, tracing
from .capture import Followed, capture
from .compile import compile_program
from .entry import Entry
from .linked import Linked, Spent, flattened, link, pullback_of

LIMIT = 64  # programs that one function keeps; the one that was not used for longest goes


class JitFunction:
    """What `jit(fun)` gives: called like `fun`, it runs the program that fits the arguments."""

    def __init__(self, fun: Callable, static_argnums, static_argnames, backend: str, check: bool, wait: bool):
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.backend, self.check, self.wait = backend, check, wait
        self._static = frozenset([*static_argnums, *static_argnames])
        self._entries: list[Entry] = []
        self._lock = threading.RLock()
        self._traces = 0

    def __call__(self, *args, **kwargs):
        if is_special() and (tracing() is not None or is_watched() or lazy_mode()):
            return self.fun(*args, **kwargs)
        for entry in self._entries:
            result = entry.call(args, kwargs)
            if result is not entry:
                return result
        return self._first(args, kwargs)

    def _first(self, args: tuple, kwargs: dict):
        """A call that no program fits."""
        try:
            with self._lock:
                entry = self._traced(args, kwargs)
        except Followed:
            return self.fun(*args, **kwargs)
        result = entry.call(args, kwargs)
        if result is entry:
            raise RuntimeError(entry.explain(args, kwargs))
        return result

    def _traced(self, args, kwargs) -> Entry:
        found = capture(self.fun, args, kwargs, self._is_static, self.__name__)
        entry = Entry(found, compile_program(found.program, self.backend), self.__name__, self._linked)
        self._entries = [entry, *self._entries[: LIMIT - 1]]
        self._traces += 1
        return entry

    def _is_static(self, path: tuple) -> bool:
        return len(path) == 1 and path[0] in self._static

    def _linked(self, entry: Entry, args, kwargs, nodes: tuple, arrays: tuple, random) -> list[Tensor]:
        """Results that have a history: this function, of all the Tensors that it reaches."""
        if entry.is_spent():
            return link(Spent(self.__name__), (), arrays)
        flat = flattened(self.fun, args, kwargs, entry.captured.roots, entry.captured.results)
        pullback = JitFunction(pullback_of(flat), (2,), (), self.backend, False, self.wait)
        return link(Linked(flat, pullback, random), nodes, arrays)

    # Looking at it

    @property
    def source(self) -> str:
        """The program of the last signature that was traced, as Python."""
        return self._last().compiled.source

    def _last(self) -> Entry:
        if not self._entries:
            raise RuntimeError(f"{self.__name__} has not been called yet, so there is no program to show")
        return self._entries[0]

    def cache_size(self) -> int:
        """How many programs are kept."""
        return len(self._entries)

    def clear_cache(self) -> None:
        """Forget all programs."""
        with self._lock:
            self._entries = []

    def trace_roots(self):
        """What a program that calls this function depends on."""
        return [self.fun]

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"jit({self.__name__}), {len(self._entries)} programs"


def jit(
    fun: Callable | None = None,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
    backend: str = "auto",
    check: bool = False,
    wait: bool = False,
) -> Any:
    """Compile `fun`: record what it does with arrays, and replay that as one program, without Python objects between.

    See docs/jit.md.
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, backend=backend, check=check, wait=wait
        )
    if not callable(fun):
        raise TypeError(f"jit takes a function, got {type(fun).__name__}")
    argnums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    argnames = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    return JitFunction(fun, argnums, argnames, backend, check, wait)
