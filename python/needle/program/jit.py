"""`jit`: a function as a compiled program."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..graph import is_special, is_watched, lazy_mode, tracing
from .checking import checked
from .compile import BACKENDS, compile_program
from .entry import MISS, Entry
from .linked import Linked, PastCall, Spent, link, pull
from .report import Report, arrays_of, report
from .stages import stages
from .tracing import Followed, capture
from .tracing.arguments import named

LIMIT = 64  # programs that one function keeps; the one that was not used for longest goes
TRIES = 3  # traces for one call: the first may make something that later ones find there


class JitFunction:
    """What `jit(fun)` gives: called like `fun`, it runs the program that fits the arguments."""

    def __init__(self, fun: Callable, static_argnums, static_argnames, backend: str, check: bool, wait: bool):
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun
        self.__name__ = named(fun)
        self.backend, self.check, self.wait = backend, check, wait
        self._options = (static_argnums, static_argnames, backend, check, wait)
        self._static = _static_of(fun, static_argnums, static_argnames)
        self._entries: list[Entry] = []
        self._lock = threading.RLock()
        self._traces = 0
        self._told = False  # that it is traced again and again
        self.known: set = set()

    def __call__(self, *args, **kwargs):
        if is_special() and (tracing() is not None or is_watched() or lazy_mode()):
            return self.fun(*args, **kwargs)
        for entry in self._entries:
            result = entry.call(args, kwargs)
            if result is not MISS:
                return result
        return self._first(args, kwargs)

    def _first(self, args: tuple, kwargs: dict):
        """A call that no program fits."""
        with self._lock:
            for entry in self._entries:  # another thread may have traced it meanwhile
                result = entry.call(args, kwargs)
                if result is not MISS:
                    return result
            for _ in range(TRIES):
                try:
                    entry = self._traced(args, kwargs)
                except Followed:
                    return self.fun(*args, **kwargs)
                result = self._run_first(entry, args, kwargs)
                if result is not MISS:
                    return result
                self._entries = [each for each in self._entries if each is not entry]
            raise RuntimeError(entry.explain(args, kwargs))

    def _traced(self, args, kwargs) -> Entry:
        found = capture(self.fun, args, kwargs, self._is_static)
        linked = functools.partial(_linked, self.fun, self.__name__, self.backend, self.wait)
        entry = Entry(found, compile_program(found.program, self.backend, self.wait), self.__name__, linked)
        if len(self._entries) == LIMIT and not self._told:
            self._told = True
            self._tell(args, kwargs)
        self._entries = [entry, *self._entries[: LIMIT - 1]]
        self._traces += 1
        return entry

    def _tell(self, args, kwargs) -> None:
        changed = self._entries[0].difference(args, kwargs)
        warnings.warn(
            f"{self.__name__} was traced {self._traces + 1} times, now since {changed} is not what it was at the last "
            f"trace, and keeps {LIMIT} programs: pass numbers that change as arguments, bring arrays to a few shapes",
            RuntimeWarning,
            stacklevel=5,
        )

    def _run_first(self, entry: Entry, args, kwargs):
        """The first call of a program; with `check=True`, beside eager."""
        if not self.check:
            return entry.call(args, kwargs)
        try:
            run = functools.partial(entry.call, args, kwargs)
            return checked(self.fun, args, kwargs, self._is_static, entry.captured, run)
        except BaseException:
            self._entries = [each for each in self._entries if each is not entry]
            raise

    def _is_static(self, path: tuple) -> bool:
        return len(path) == 1 and path[0] in self._static

    # Looking at it

    @property
    def source(self) -> str:
        """The program of the last signature that was traced, as Python."""
        return self._last().compiled.source

    def report(self, *args, **kwargs) -> Report:
        """What became of the function: how many instructions each pass left, fused groups, memory, and, given the
        arguments of a call, the time of each statement, the longest first.

        The program is run a few times for that, on copies: nothing is changed.  Print what is returned.
        """
        self._last()
        for entry in self._entries:
            arrays = arrays_of(entry, args, kwargs)
            if arrays is not None:
                return report(self.__name__, entry, arrays)
        return report(self.__name__, self._entries[0], None)

    def stages(self, *args, **kwargs) -> list[tuple[str, str]]:
        """What becomes of the program of a call with these arguments: (name, text) of the program as it is recorded,
        after each pass that changes it, and of the source in the end.  It is traced for that, and not run."""
        found = capture(self.fun, args, kwargs, self._is_static)
        return stages(found.program, self.backend)

    def _last(self) -> Entry:
        if not self._entries:
            raise RuntimeError(f"{self.__name__} has not been called yet, so there is no program to show")
        return self._entries[0]

    @property
    def traces(self) -> int:
        """How often the function was traced."""
        return self._traces

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

    def __reduce__(self):
        """A copy, also one that is read from a file, has the function and no programs yet.  The one and only function
        of its name, `@jit def step(...)`, is saved by that name."""
        found = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in getattr(self, "__qualname__", "").split("."):
            found = getattr(found, part, None)
        return self.__qualname__ if found is self else (JitFunction, (self.fun, *self._options))

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"jit({self.__name__}), {len(self._entries)} programs"


def _linked(fun, name, backend, wait, entry: Entry, args, kwargs, tensors, arrays, nodes, results, random):
    """Results that have a history: `fun`, of all the Tensors that it reaches."""
    if entry.is_spent():
        return link(Spent(name), (), results)
    if entry.pullback is None:
        entry.pullback = JitFunction(pull, (4,), (), backend, False, wait)
    paths = [path for path, _, _ in entry.captured.roots.numbers]
    wanted = [i for i, result in enumerate(entry.captured.results) if getattr(result, "requires_grad", False)]
    call = PastCall(fun, args, kwargs, tensors, arrays, paths, wanted, random, entry.pullback, entry.fits)
    return link(Linked(call), nodes, results)


def jit(
    fun: Callable | None = None,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
    backend: str = "auto",
    check: bool = False,
    wait: bool = False,
) -> Any:
    """Compile `fun`: record once what it does with arrays, and replay that as one program.

    `fun` is ordinary code: a function of arrays, or a whole training step with `backward()`, an optimizer, running
    statistics and random draws.  Its first call runs it once under a trace, in which arrays have shapes and no numbers,
    and undoes whatever that run changed.  From then on a call runs the program: the same instructions, merged, fused
    and planned, with no graph between them.  What the function does to Tensors, parameters, gradients and optimizers
    happens at each call, in order; so do `needle.debug_print` and the draws of `needle.init` and of Dropout.

    What a program depends on is found at each call: arguments, what `fun` closes over, the globals that it names, and
    all inside of these.  Tensors, arrays and the numbers of an optimizer (learning rate, step count) are inputs, read
    afresh, and so are numbers among the arguments.  Another shape, dtype, structure, training flag or closed-over
    number is another signature, and traces again.  docs/jit.md has the whole story.

    Args:
        fun: the function.  Left out, `jit(check=True)` and the like are decorators.
        static_argnums, static_argnames: arguments, by position and by name, that are not traced but compared: their
            values can be asked for, and another value traces again.  They must be hashable.
        backend: "numpy" (always there), "numba" (compiled kernels; needs the extra `jit`), or "auto": Numba where it is
            installed and pays.
        check: whether to run `fun` itself beside the program at the first call of each signature, and compare.
        wait: whether a call waits for kernels that are compiled in the background; without it the NumPy program serves
            until they are there.

    Returns:
        A function with the arguments and results of `fun`.  Results are Tensors, or arrays where no argument holds a
        Tensor and no derivative would be lost.  `grad`, `vmap` and every other transform take it as they take `fun`,
        and it can be called within other jitted functions.

    Raises:
        TypeError: `fun` cannot be called; at a call, a static argument that cannot be hashed; `ValueUnknown`, a
            TypeError too: the value of a traced array was asked for (`if loss > 3`, `float(loss)`, `.numpy()`).
        RuntimeError: at a call: random numbers that the program could not draw again, or a value that was kept beyond
            its trace.
        ValueError: an unknown backend.
        ImportError: the backend "numba" without Numba.

    >>> import numpy as np
    >>> import needle as ndl
    >>> weight = ndl.Tensor([1.0, -1.0])
    >>> adam = ndl.optim.Adam([weight], lr=0.1)
    >>> @ndl.jit
    ... def step(x, y):
    ...     loss = ((x @ weight - y) ** 2).mean()
    ...     adam.reset_grad()
    ...     loss.backward()
    ...     adam.step()
    ...     return loss
    >>> x, y = np.eye(2), np.array([0.0, 3.0])
    >>> [round(float(step(x, y)), 3) for _ in range(4)]
    [8.5, 8.01, 7.541, 7.092]
    >>> adam.lr = 0.5  # an input: nothing is traced again
    >>> float(step(x, y)) < 7 and step.cache_size() == 1
    True
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, backend=backend, check=check, wait=wait
        )
    _require_function(fun)
    if backend not in BACKENDS:
        raise ValueError(f"backend of jit must be one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    for name, value in (("check", check), ("wait", wait)):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} of jit must be True or False, got {value!r}")
    argnums = (static_argnums,) if isinstance(static_argnums, int) else _several("static_argnums", static_argnums)
    argnames = (static_argnames,) if isinstance(static_argnames, str) else _several("static_argnames", static_argnames)
    return JitFunction(fun, argnums, argnames, backend, bool(check), bool(wait))


def _require_function(fun) -> None:
    """Refuse what is no function, and what returns before it has computed anything."""
    if not callable(fun):
        raise TypeError(f"jit takes a function, got {type(fun).__name__}")
    for kind, is_kind in (
        ("a generator function", inspect.isgeneratorfunction),
        ("an async function", inspect.iscoroutinefunction),
        ("an async generator function", inspect.isasyncgenfunction),
    ):
        if is_kind(fun):
            raise TypeError(
                f"jit cannot compile {named(fun)}, {kind}: it computes only when something outside goes on with it; "
                "compile a function that it calls, or return a list"
            )


def _several(name: str, value) -> tuple:
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} of jit must be one argument or a tuple of them, () for none, got {value!r}")
    return tuple(value)


def _static_of(fun: Callable, argnums: tuple, argnames: tuple) -> frozenset:
    """The positions and names of the arguments that are static: each of these however it is passed."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # written in C
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variable = not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    takes_any_name = not parameters or any(p.kind is p.VAR_KEYWORD for p in parameters)
    static: set = set()
    for i in argnums:
        if not isinstance(i, int) or isinstance(i, bool):
            raise TypeError(f"static_argnums of jit must be an int or ints, got {i!r}")
        if i < 0 and not variable:
            i += len(positional)
        if i < 0 or (i >= len(positional) and not variable):
            raise ValueError(
                f"static_argnums of jit names argument {i}, but {named(fun)} takes {len(positional)} by position"
            )
        static |= {i, *positional[i : i + 1]}
    for name in argnames:
        if not isinstance(name, str):
            raise TypeError(f"static_argnames of jit must be a name or names, got {name!r}")
        if name in positional:
            static.add(positional.index(name))
        elif not takes_any_name and all(p.name != name for p in parameters):
            raise ValueError(f"static_argnames of jit names {name!r}, which {named(fun)} does not take")
        static.add(name)
    return frozenset(static)
