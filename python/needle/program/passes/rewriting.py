"""What the passes are written in: rules that look at one instruction and name another array for its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np

from ..functions import Assign, BroadcastTo, Call, Full, Matmul, Reshape
from ..ir import Constant, Function, Instruction, Program, Var
from .dead import without_dead_code

Rule = Callable[["Walk", Instruction], Var | None]


class Walk:
    """One pass over a program, from its first instruction to its last.

    `rules` lists, for each class of function, what may be asked about an instruction of that kind (`Function`: about
    all).  A rule gives None, or the array that stands for the instruction's result from here on: an older one, or one
    that it emits.  That array must have the result's shape and dtype.
    """

    def __init__(self, program: Program, rules: dict[type[Function], list[Rule]]):
        self.program, self.rules, self.always = program, rules, rules.get(Function, [])
        self.made: list[Instruction] = []
        self._replaced: dict[Var, Var] = {}
        self._line = ""

    def run(self) -> Program:
        """The program after the pass: the same one, if no rule found anything."""
        program, replaced = self.program, self._replaced
        for instruction in program:
            if not replaced.keys().isdisjoint(instruction.inputs):
                instruction.inputs = tuple([replaced.get(var, var) for var in instruction.inputs])
            self._line = instruction.line
            found = self._asked(instruction)
            if found is not None:
                replaced[instruction.output] = found
                self.uses[found] = self.uses.get(found, 0) + self.uses.get(instruction.output, 0)
        if not replaced:
            return program
        outputs = [replaced.get(var, var) for var in program.outputs]
        return without_dead_code(Program(program.inputs, self.made, outputs, program.in_place))

    def _asked(self, instruction: Instruction) -> Var | None:
        function = instruction.function
        for rule in self.always:
            if (found := rule(self, instruction)) is not None:
                return found
        for rule in self.rules.get(type(function), ()):
            if (found := rule(self, instruction)) is not None:
                return found
        self.made.append(instruction)
        return None

    def emit(self, function: Function, inputs: Iterable[Var], shape: tuple[int, ...], dtype) -> Var:
        """The result of an instruction that is new, or of what the rules make of that."""
        instruction = Instruction(function, inputs, [(shape, dtype)], self._line)
        found = self._asked(instruction)
        return instruction.output if found is None else found

    def reshaped(self, var: Var, shape: tuple[int, ...]) -> Var:
        """The elements of `var` in another shape."""
        return var if var.shape == shape else self.emit(Reshape(shape), [var], shape, var.dtype)

    def broadcast(self, var: Var, shape: tuple[int, ...]) -> Var:
        """`var`, repeated."""
        return var if var.shape == shape else self.emit(BroadcastTo(shape), [var], shape, var.dtype)

    @cached_property
    def uses(self) -> dict[Var, int]:
        """How often each array is used; for those that came up since, about how often."""
        return self.program.uses()

    @cached_property
    def users(self) -> dict[Var, list[Instruction]]:
        """The instructions that use an array, of those that were there before the walk."""
        users: dict[Var, list[Instruction]] = {}
        for instruction in self.program:
            for var in instruction.inputs:
                users.setdefault(var, []).append(instruction)
        return users

    @cached_property
    def outputs(self) -> set[Var]:
        """The arrays that the program hands back."""
        return set(self.program.outputs)

    @cached_property
    def bases(self) -> set[Var]:
        """The arrays that are written into."""
        return {instruction.inputs[0] for instruction in self.program if isinstance(instruction.function, Assign)}

    @cached_property
    def reshaped_ones(self) -> set[Var]:
        """The arrays that are given another shape, not only by axes of length 1."""
        return {
            instruction.inputs[0]
            for instruction in self.program
            if isinstance(instruction.function, Reshape)
            and squeezed(instruction.inputs[0].shape) != squeezed(instruction.output.shape)
        }

    @cached_property
    def laid_out(self) -> set[Var]:
        """The arrays that go, as they are or as views, to a function that is slow on memory in disorder."""
        found: set[Var] = set()
        for instruction in reversed(self.program.instructions):
            function = instruction.function
            if isinstance(function, (Matmul, Call)) or (function.view and instruction.output in found):
                found.update(instruction.inputs)
        return found

    def is_single(self, var: Var) -> bool:
        """Whether nothing else uses `var`."""
        return self.uses.get(var, 0) <= 1


def squeezed(shape: tuple[int, ...]) -> list[int]:
    """A shape without its axes of length 1."""
    return [n for n in shape if n != 1]


def source(var: Var, kind: type[Function]) -> Any:
    """The instruction that gives `var`, if its function is of a kind."""
    return var.source if var.source is not None and type(var.source.function) is kind else None


def number(var: Var) -> np.ndarray | None:
    """The number that a 0-d constant is, as a 0-d array."""
    return var.array if isinstance(var, Constant) and var.array.ndim == 0 else None


def uniform(var: Var) -> np.ndarray | None:
    """The one number that an array holds everywhere, as a 0-d array, where that is known at once."""
    if isinstance(var, Constant):
        array = var.array
        if array.size and not any(array.strides[i] for i in range(array.ndim) if array.shape[i] > 1):
            return array[(0,) * array.ndim + (...,)]
        return None
    full = source(var, Full)
    return np.asarray(full.function.value).astype(full.function.dtype) if full is not None else None


def copied(program: Program) -> Program:
    """The same program in instructions of its own."""
    now: dict[Var, Var] = {}
    instructions = []
    for old in program:
        inputs = [now.get(var, var) for var in old.inputs]
        new = Instruction(old.function, inputs, [(var.shape, var.dtype) for var in old.outputs], old.line)
        now.update(zip(old.outputs, new.outputs))
        instructions.append(new)
    return Program(program.inputs, instructions, [now.get(var, var) for var in program.outputs], program.in_place)
