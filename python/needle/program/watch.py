"""What a call does beside computing: things that a program, which replays only what happens to arrays, would not do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ..debugging import held_back
from ..transforms.nan import user_line
from .tracing.guards import first_failing
from .tracing.roots import Roots
from .tracing.snapshot import Draws, Held

_LOUD = {print: "print", input: "input", open: "open"}


def watched(fun: Callable, args: tuple, undo: bool = False) -> tuple[Any, str]:
    """`fun(*args)`, and what it did that a program of it would not do: "" if it did nothing of the kind.

    Found are changes of numbers, lists and dicts that lead to another program, iterators and random generators within
    reach, and what is printed.  Changes of Tensors and the draws of `needle.init` do not count, since a program does
    the same: with `undo` they are undone if nothing was found, and left to the program.
    """
    try:
        roots = Roots(fun, args, {}, lambda path: False)
    except Exception as error:
        return fun(*args), str(error)
    held, draws = Held(roots.tensors), Draws([])
    with _listening() as heard, held_back() if undo else nullcontext([]) as shown:
        result = fun(*args)
    why = heard[0] if heard else _drawn(roots, draws) or _changed(roots, args)
    if undo and not why:
        draws.restore()
        held.restore()
    else:
        for text in shown:
            print(text)
    return result, why


def _drawn(roots: Roots, draws: Draws) -> str:
    if draws.are_others_used():
        return "it draws from Python's random, and a program would draw once"
    for generator in roots.generators:
        return (
            f"it holds a random generator ({type(generator).__name__}), and a program cannot draw from it at each call"
        )
    return ""


def _changed(roots: Roots, args: tuple) -> str:
    """The first guard that does not hold any more."""
    guards = roots.guards
    at = first_failing(guards.lines, guards.names, args, {})
    return "" if at is None else f"it changes what it depends on ({guards.reasons.get(at, 'something outside')})"


@contextmanager
def _listening() -> Iterator[list[str]]:
    """A block that is told of prints, unless a profiler listens already."""
    heard: list[str] = []
    if sys.getprofile() is not None:
        yield heard
        return

    def listen(frame, event, called) -> None:
        if event == "c_call" and not heard:
            name = _LOUD.get(called) if called.__hash__ is not None else None
            if name is not None:
                advice = "; needle.debug_print prints at each call" if name == "print" else ""
                heard.append(f"it calls {name}, in {user_line()}{advice}")

    sys.setprofile(listen)
    try:
        yield heard
    finally:
        sys.setprofile(None)
