"""Loops and branches as instructions: functions that hold programs of their own.

Called, they run these: interpreted, until `compile_inside` has given them something better.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .functions import Function
from .ir import Constant, Program, interpret
from .passes.aliases import aliases


class Control(Function):
    """A function that runs programs.

    Attributes:
        programs: they may be exchanged for others with the same inputs and outputs.
        compiler: what makes a function of arrays of one of them.
        looped: what makes the function of a loop, if not `compiler` and Python's own loop do.
    """

    several = True
    __slots__ = ("programs", "compiler", "looped", "_run")

    def __init__(self, *programs: Program):
        self.programs = programs
        self.compiler: Callable[[Program], Callable] = lambda program: functools.partial(_interpreted, program)
        self.looped: Callable[[Any], Callable] | None = None
        self._run: Callable | None = None  # made when it is first called

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether all that happens inside is."""
        return all(instruction.function.pure for program in self.programs for instruction in program)

    def key(self):
        return None

    def __call__(self, *arrays):
        return (self._run or self.prepared())(*arrays)

    def prepared(self) -> Callable:
        """What a call runs, its programs compiled now if they are not yet."""
        if self._run is None:
            self._run = self.made()
        return self._run

    def made(self) -> Callable:
        """The function itself, of arrays, with its programs compiled."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{len(program)} instructions' for program in self.programs)})"


def _interpreted(program: Program, *arrays):
    return interpret(program, arrays)


def compile_inside(
    program: Program, compiler: Callable[[Program], Callable], looped: Callable[[Any], Callable] | None = None
) -> None:
    """Let the loops and branches of a program run theirs as `compiler` makes them, or whole loops as `looped` does."""
    for instruction in program:
        function = instruction.function
        if isinstance(function, Control):
            function.compiler, function.looped, function._run = compiler, looped, None


def _lent(programs: tuple[Program, ...], count: int) -> list[int]:
    """The places of those among the first `count` results that may lie in the memory of an input or of another."""
    found = set()
    for program in programs:
        memory = aliases(program)
        taken = {memory[var] for var in program.inputs}
        for i, var in enumerate(program.outputs[:count]):
            if isinstance(var, Constant) or memory[var] in taken:
                found.add(i)
            else:
                taken.add(memory[var])
    return sorted(found)


class Loop(Control):
    """A scan.  The inputs are the carry (`carried` arrays), arrays that are gone along (`scanned`), and others; the
    body's inputs are the carry, one row of each, and the others; its outputs are the next carry, and rows of results.
    """

    __slots__ = ("carried", "scanned", "length", "reverse")

    def __init__(self, body: Program, carried: int, scanned: int, length: int, reverse: bool):
        super().__init__(body)
        self.carried, self.scanned, self.length, self.reverse = carried, scanned, length, reverse

    @property
    def body(self) -> Program:
        return self.programs[0]

    def made(self) -> Callable:
        """The loop as a function of arrays."""
        return self.around(*map(self.compiler, self.programs)) if self.looped is None else self.looped(self)

    def around(self, run: Callable) -> Callable:
        """The loop of Python's, around what does one step."""
        space: dict = {"run": run, "empty": np.empty, "copy": np.array}
        exec(self.text(), space)
        return space["loop"]

    def text(self) -> str:
        """The loop as Python source, around `run`, which is one step."""
        carry = [f"c{i}" for i in range(self.carried)]
        xs = [f"x{i}" for i in range(self.scanned)]
        others = [f"k{i}" for i in range(len(self.body.inputs) - len(carry) - len(xs))]
        ys = self.body.outputs[self.carried :]
        steps = f"range({self.length - 1}, -1, -1)" if self.reverse else f"range({self.length})"
        step = f"run({', '.join([*carry, *[f'{x}[i, ...]' for x in xs], *others])})"
        results = "".join(f"{name}, " for name in [*carry, *[f"y{i}[i, ...]" for i in range(len(ys))]])
        return "\n    ".join(
            [
                f"def loop({', '.join([*carry, *xs, *others])}):",
                *[f"y{i} = empty({(self.length, *y.shape)}, {y.dtype.name!r})" for i, y in enumerate(ys)],
                f"for i in {steps}:",
                f"    {results}= {step}" if results else f"    {step}",
                *[f"c{i} = copy(c{i})" for i in _lent(self.programs, self.carried)],
                f"return ({''.join(f'{name}, ' for name in [*carry, *[f'y{i}' for i in range(len(ys))]])})",
            ]
        )


class Branch(Control):
    """The first program if the first input holds, else the second, of the other inputs."""

    __slots__ = ()

    def made(self) -> Callable:
        on_true, on_false = map(self.compiler, self.programs)
        lent = _lent(self.programs, len(self.programs[0].outputs))

        def branch(pred, *arrays):
            return _own(on_true(*arrays) if pred else on_false(*arrays), lent)

        return branch


class While(Control):
    """The carry (`carried` arrays) that the second program gives, as long as the first one holds.  Both programs take
    the carry and all other inputs."""

    __slots__ = ("carried",)

    def __init__(self, condition: Program, body: Program, carried: int):
        super().__init__(condition, body)
        self.carried = carried

    def made(self) -> Callable:
        """The loop as a function of arrays."""
        return self.around(*map(self.compiler, self.programs)) if self.looped is None else self.looped(self)

    def around(self, condition: Callable, body: Callable) -> Callable:
        """The loop of Python's, around what does one step."""
        carried = self.carried

        def loop(*arrays):
            carry, others = arrays[:carried], arrays[carried:]
            while condition(*carry, *others)[0]:
                carry = body(*carry, *others)
            return _own(carry, range(carried))  # after no step at all it is what came

        return loop


def _own(results, lent) -> tuple:
    """The results, those in memory of others copied."""
    results = list(results)
    for i in lent:
        results[i] = np.array(results[i])
    return tuple(results)
