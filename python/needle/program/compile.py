"""From a program to something that runs: simplified, its elementwise parts fused, written as source for a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from .control import compile_inside
from .emit import Emitter
from .functions import Fused
from .fuse import fuse
from .ir import Program
from .passes import simplify
from .plan import plan

BACKENDS = ("auto", "numpy", "numba")


@dataclass
class Compiled:
    """A program that runs: `run(*arrays)` gives its outputs, as a sequence.  Several threads may call it at once."""

    run: Callable
    source: str
    emitter: Emitter
    figures: Figures

    @cached_property
    def _timed(self) -> Callable:
        return self.emitter.function(timed=True)

    def profile(self, *arrays) -> list[tuple[float, str, str]]:
        """Run once, and give for each statement the seconds that it took, its text and the user's line."""
        times: list[float] = []
        self._timed(*arrays, times)
        seconds = [after - before for before, after in pairwise(times)]
        return [(time, text, line) for time, (text, line) in zip(seconds, self.emitter.statements, strict=True)]


@dataclass
class Figures:
    """What is known of a program without running it.

    Attributes:
        passes: (name, number of instructions before it, and after) of each pass, in order.
        groups: how many instructions each fused group has.
        allocated: bytes that each call allocates: what it hands back.
        scratch: bytes that calls share.
        unshared: bytes that scratch would take if no two arrays lay in the same place.
    """

    passes: list[tuple[str, int, int]]
    groups: list[int]
    allocated: int
    scratch: int
    unshared: int


def compile_program(program: Program, backend: str) -> Compiled:
    """A program, optimised, as a function of its inputs."""
    passes: list[tuple[str, int, int]] = []
    program = simplify(program, lambda *figures: passes.append(figures))
    compile_inside(program, lambda inner: compile_program(inner, backend).run)
    before = len(program)
    program = fuse(program, alone=True)
    passes.append(("fusion", before, len(program)))
    made = plan(program)
    emitter = Emitter(made)
    groups = [len(each.function.body) for each in program if isinstance(each.function, Fused)]
    figures = Figures(passes, groups, made.allocated, made.nbytes, made.unshared)
    return Compiled(emitter.function(), emitter.source, emitter, figures)
