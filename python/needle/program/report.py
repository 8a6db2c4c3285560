"""What a compiled function does and where its time goes, as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from ..init import random_state, restored
from .compile import Compiled
from .entry import Entry

REPEATS = 10
SHOWN = 20  # statements


@dataclass(frozen=True)
class Report:
    """What is known of one program.

    Attributes:
        name: that of the function.
        passes: (name, instructions before, instructions after) of each pass that changed something, in order.
        groups: how many instructions each fused group has.
        allocated: bytes that each call allocates.
        scratch: bytes of memory that is used again by each call.
        unshared: bytes that this would be if no two arrays ever lay in the same place.
        times: (seconds, statement, the user's line) of each statement, the longest first; empty if nothing was run.
    """

    name: str
    passes: list[tuple[str, int, int]]
    groups: list[int]
    allocated: int
    scratch: int
    unshared: int
    times: list[tuple[float, str, str]]

    def __str__(self) -> str:
        lines = [f"jit({self.name})", ""]
        width = max(len(name) for name, _, _ in self.passes) if self.passes else 0
        lines += [f"  {name:{width}}  {before:6} → {after} instructions" for name, before, after in self.passes]
        if self.groups:
            lines.append(f"  {len(self.groups)} fused groups, of {', '.join(map(str, self.groups))} instructions")
        lines += [
            "",
            f"  {_bytes(self.allocated)} allocated at each call, {_bytes(self.scratch)} used again by each call "
            f"({_bytes(self.unshared)} if no two arrays shared a place)",
            "",
        ]
        total = sum(seconds for seconds, _, _ in self.times)
        if not self.times:
            lines.append("  Times: hand report() the arguments of a call.")
        for seconds, statement, line in self.times[:SHOWN]:
            lines.append(f"  {seconds * 1e6:9.1f} µs {seconds / total:4.0%}  {statement}")
            lines.append(f"{'':20}{line}" if line else "")
        if len(self.times) > SHOWN:
            rest = sum(seconds for seconds, _, _ in self.times[SHOWN:])
            lines.append(f"  {rest * 1e6:9.1f} µs {rest / total:4.0%}  {len(self.times) - SHOWN} more statements")
        if self.times:
            lines.append(f"  {total * 1e6:9.1f} µs       all {len(self.times)} statements")
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def _bytes(n: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"


def report(name: str, entry: Entry, arrays: tuple | None) -> Report:
    """The report on an entry; `arrays` are what a call would give the program, which is run on copies of them."""
    compiled = entry.compiled
    figures = compiled.figures
    return Report(
        name,
        [each for each in figures.passes if each[1] != each[2]],
        figures.groups,
        figures.allocated,
        figures.scratch,
        figures.unshared,
        [] if arrays is None else times(compiled, arrays),
    )


def times(compiled: Compiled, arrays: tuple) -> list[tuple[float, str, str]]:
    """The seconds that each statement takes, at best, with its text and the user's line; the longest first."""
    best: list[tuple[float, str, str]] | None = None
    for _ in range(REPEATS):
        with restored(random_state()):
            found = compiled.profile(*[np.array(array) for array in arrays])
        best = found if best is None else [min(pair) for pair in zip(best, found)]
    return sorted(best or [], key=lambda each: -each[0])


class _Brought(Exception):
    """Ends a call where its program would begin."""


def arrays_of(entry: Entry, args: tuple, kwargs: dict) -> tuple | None:
    """What a call would give its program; None if the entry is not for these arguments."""
    brought: list[tuple] = []

    def bring(*arrays):
        brought.append(arrays)
        raise _Brought

    call: Any = entry.call
    space = {**call.__globals__, "program": bring}
    looks = tuple([FunctionType(look.__code__, space) for look in call.__defaults__ or ()])
    instead: Callable = FunctionType(call.__code__, space, call.__name__, looks)
    try:
        instead(args, kwargs)
    except _Brought:
        return brought[0]
    return None
