"""From a program to something that runs: simplified, its elementwise parts fused, written as source for a backend."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from weakref import ref

from .background import later
from .control import Control, Loop, While, compile_inside
from .emit import Emitter
from .functions import Fused
from .fuse import fuse
from .ir import Program
from .kernels import Native, in_kernels, is_installed, library
from .looping import in_one_call
from .passes import simplify
from .passes.rewriting import copied
from .plan import plan
from .shrink import shrink

BACKENDS = ("auto", "numpy", "numba")


@dataclass
class Compiled:
    """A program that runs: `run(*arrays)` gives its outputs, as a sequence.  Several threads may call it at once.

    With kernels still to be compiled, it runs without them.  That is set going at the second call: what is called once
    is not worth it.  When all kernels of the program are there, all of these attributes change.
    """

    run: Callable
    source: str
    emitter: Emitter
    figures: Figures
    error: Exception | None = None  # why its kernels could not be compiled
    _switches: list[Callable[[Callable], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def profile(self, *arrays) -> list[tuple[float, str, str]]:
        """Run once, and give for each statement the seconds that it took, its text and the user's line."""
        emitter = self.emitter
        times: list[float] = []
        emitter.function(timed=True)(*arrays, times)
        seconds = [after - before for before, after in pairwise(times)]
        return [(time, text, line) for time, (text, line) in zip(seconds, emitter.statements, strict=True)]

    def when_changed(self, switch: Callable[[Callable], None]) -> None:
        """Call `switch(run)` now, and each time that there is another `run`."""
        with self._lock:
            self._switches.append(switch)
            switch(self.run)

    def change(self, run: Callable) -> None:
        """Let `run` run from now on."""
        with self._lock:
            self.run = run
            for switch in self._switches:
                switch(run)

    def replace(self, other: Compiled) -> None:
        """Become another compiled program, with the same inputs and outputs."""
        self.source, self.emitter, self.figures = other.source, other.emitter, other.figures
        self.change(other.run)


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


def compile_program(program: Program, backend: str, wait: bool = True) -> Compiled:
    """A program, optimised, as a function of its inputs.

    Args:
        backend: one of BACKENDS.
        wait: whether kernels are compiled at once.
    """
    if backend == "numba":
        library()  # or an error that says what is missing
    passes: list[tuple[str, int, int]] = []
    program = simplify(shrink(program), lambda *figures: passes.append(figures))
    kernels = backend == "numba" or (backend == "auto" and is_installed())
    if kernels and wait:
        return _with_kernels(program, passes)
    made = _with_numpy(program, passes)
    if kernels:
        _start_at_second_call(made, program, passes)
    return made


def _with_numpy(program: Program, passes: list) -> Compiled:
    compile_inside(program, lambda inner: compile_program(inner, "numpy").run)
    fused = fuse(copied(program), alone=True)
    return _emitted(fused, [*passes, ("fusion", len(program), len(fused))])


def _emitted(program: Program, passes: list, native: bool = False) -> Compiled:
    made = plan(program)
    emitter = Emitter(made, native=native)
    sizes = [len(step.function.body) for step in program if isinstance(step.function, (Fused, Native))]
    figures = Figures(passes, sizes, made.allocated, made.nbytes, made.unshared)
    return Compiled(emitter.function(), emitter.source, emitter, figures)


def _with_kernels(program: Program, passes: list) -> Compiled:
    """The program with its groups as kernels, and so within its loops and branches."""
    before, program = program, copied(program)
    for step in program:
        if isinstance(step.function, Control):
            step.function = copy.copy(step.function)
    compile_inside(program, lambda inner: compile_program(inner, "numba").run, _looped)
    for step in program:
        if isinstance(step.function, Control):
            step.function.prepared()
    fused = in_kernels(program)
    return _emitted(fused, [*passes, ("fusion", len(before), len(fused))], native=True)


def _looped(loop: Loop | While) -> Callable:
    """A loop without Python between its steps where that can be, else with it."""
    made = [compile_program(program, "numba") for program in loop.programs]
    return in_one_call(loop, *[each.emitter for each in made]) or loop.around(*[each.run for each in made])


def _tell(error: Exception) -> None:
    """Say, once for each reason, that there are no kernels."""
    with suppress(Warning):  # which may be errors here, where there is nobody to catch them
        warnings.warn(
            f"jit could not compile kernels, so its NumPy programs go on ({type(error).__name__}: {error}); "
            'backend="numpy" asks for no kernels',
            RuntimeWarning,
            stacklevel=1,
        )


def _start_at_second_call(made: Compiled, program: Program, passes: list) -> None:
    """Let the second call set the compilation of kernels going, for as long as anybody has `made`."""
    run, known = made.run, ref(made)
    calls = iter((False, True))

    def compile_kernels() -> None:
        found: Any = None
        try:
            if known() is not None:
                found = _with_kernels(program, passes)
        except Exception as error:  # NumPy's program goes on
            found = error
        compiled = known()
        if compiled is not None and isinstance(found, Compiled):
            compiled.replace(found)
        elif compiled is not None:
            compiled.error = found
            _tell(found)

    def counted(*arrays):
        compiled = known()
        if next(calls, False) and compiled is not None:
            compiled.change(run)
            later(compile_kernels)
        return run(*arrays)

    made.run = counted
