"""Loops and branches as instructions: functions that hold programs of their own.

Called, they run these: interpreted, until `compile_inside` has given them something better.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from .functions import Function
from .ir import Program, interpret


class Control(Function):
    """A function that runs programs.

    Attributes:
        programs: they may be exchanged for others with the same inputs and outputs.
        compiler: what makes a function of arrays of one of them.
    """

    several = True
    __slots__ = ("programs", "compiler", "_runs")

    def __init__(self, *programs: Program):
        self.programs = programs
        self.compiler: Callable[[Program], Callable] = lambda program: functools.partial(_interpreted, program)
        self._runs: tuple[Callable, ...] | None = None

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether all that happens inside is."""
        return all(instruction.function.pure for program in self.programs for instruction in program)

    def key(self):
        return None

    def runs(self) -> tuple[Callable, ...]:
        """The programs as functions of arrays, compiled when they are first asked for."""
        runs = self._runs
        if runs is None:
            runs = self._runs = tuple([self.compiler(program) for program in self.programs])
        return runs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{len(program)} instructions' for program in self.programs)})"


def _interpreted(program: Program, *arrays):
    return interpret(program, arrays)


def _own(results, inputs) -> tuple:
    """The results, each in memory of its own: copied where one lies in that of an input or of another."""
    own: list[np.ndarray] = []
    for result in results:
        shared = any(np.may_share_memory(result, other) for other in (*inputs, *own))
        own.append(np.array(result) if shared else result)
    return tuple(own)


def compile_inside(program: Program, compiler: Callable[[Program], Callable]) -> None:
    """Let the loops and branches of a program run theirs as `compiler` makes them."""
    for instruction in program:
        function = instruction.function
        if isinstance(function, Control):
            function.compiler, function._runs = compiler, None


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

    def __call__(self, *arrays):
        (run,) = self.runs()
        carried, length = self.carried, self.length
        carry = arrays[:carried]
        rows, others = arrays[carried : carried + self.scanned], arrays[carried + self.scanned :]
        stacks = [np.empty((length, *var.shape), var.dtype) for var in self.body.outputs[carried:]]
        for i in range(length - 1, -1, -1) if self.reverse else range(length):
            found = run(*carry, *[row[i, ...] for row in rows], *others)
            carry = found[:carried]
            for stack, y in zip(stacks, found[carried:]):
                stack[i] = y
        return (*_own(carry, arrays), *stacks)


class Branch(Control):
    """The first program if the first input holds, else the second, of the other inputs."""

    __slots__ = ()

    def __call__(self, pred, *arrays):
        on_true, on_false = self.runs()
        return _own((on_true if pred else on_false)(*arrays), arrays)


class While(Control):
    """The carry (`carried` arrays) that the second program gives, as long as the first one holds.  Both programs take
    the carry and all other inputs."""

    __slots__ = ("carried",)

    def __init__(self, condition: Program, body: Program, carried: int):
        super().__init__(condition, body)
        self.carried = carried

    def __call__(self, *arrays):
        condition, body = self.runs()
        carry, others = arrays[: self.carried], arrays[self.carried :]
        while condition(*carry, *others)[0]:
            carry = body(*carry, *others)
        return _own(carry, arrays)
