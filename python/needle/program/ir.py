"""The program as data: arrays that have names, instructions between them.

A program is a list of instructions in the order in which they run.  Each applies one function (functions.py has the
kinds of them) to arrays and gives arrays, and no array is given twice (static single assignment).  What was written
into in place is, here, a new array; the planner finds out where memory may be used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


class Var:
    """One array of a program: its shape and dtype are known, its numbers are not."""

    __slots__ = ("dtype", "shape", "source")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, source: Instruction | None = None):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.source = source  # the instruction that gives it; None for an input

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}{list(self.shape)})"


class Input(Var):
    """An array that each call brings: an argument, a parameter, a number of the optimizer's."""

    __slots__ = ("name",)

    def __init__(self, shape, dtype, name: str):
        super().__init__(shape, dtype)
        self.name = name


class Constant(Var):
    """An array that is the same at each call, held by reference.  `scalar` is its one number, if it is 0-d."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray):
        super().__init__(array.shape, array.dtype)
        self.array = array

    @property
    def scalar(self):
        return self.array.item() if self.array.ndim == 0 else None


class Function:
    """One function of arrays.  Called, it computes, in new memory or in that of its inputs."""

    # Whether each element of the result is a function of those elements of the inputs that broadcasting puts beside it,
    # and the result has exactly the broadcast shape
    elementwise = False
    view = False  # whether the result lies in the memory of the first input, whose elements it shows in another way
    several = False  # whether the result is a tuple of arrays
    pure = True  # whether two calls on the same arrays give the same, and nothing else happens
    may_alias = False  # whether the result may lie in the memory of an input, for all that is known

    __slots__ = ()

    def __call__(self, *arrays):
        raise NotImplementedError

    def key(self) -> Any:
        """Something hashable that is equal for functions that compute the same; None if there is no telling."""
        return (type(self), *[hashable(getattr(self, name)) for name in self.parameters()])

    @classmethod
    def parameters(cls) -> list[str]:
        """The names of the attributes that tell one function of this kind from another."""
        return [name for base in reversed(cls.__mro__) for name in getattr(base, "__slots__", ())]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.parameters())
        return f"{type(self).__name__}({shown})"


def hashable(value):
    """A key in place of a value that has no hash, or whose equality is not that of computing the same."""
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, tuple):
        return tuple([hashable(item) for item in value])
    if isinstance(value, float):
        return ("float", value.hex())  # -0.0 is not 0.0, and nan is nan
    return value if value.__hash__ is not None else ("id", id(value))


class Instruction:
    """One step: `function` of `inputs` gives `outputs`.  `line` is the user's line that it came from."""

    __slots__ = ("function", "inputs", "line", "outputs")

    def __init__(self, function: Function, inputs: Iterable[Var], outputs: Iterable[tuple], line: str = ""):
        self.function, self.inputs, self.line = function, tuple(inputs), line
        self.outputs = tuple([Var(shape, dtype, self) for shape, dtype in outputs])

    @property
    def output(self) -> Var:
        """The one array that it gives."""
        (output,) = self.outputs
        return output

    def __repr__(self) -> str:
        return f"{list(self.outputs)} = {self.function}{list(self.inputs)}"


class Program:
    """Inputs, instructions, and what is to be handed back.

    Attributes:
        inputs: what a call brings, in order.
        instructions: in the order in which they run.
        outputs: what a call hands back, in order: results and new values for what the effects change.  One array may
            come several times; an input or constant may come, too.
        in_place: for some outputs, by their index, an input whose memory the output is to be written into (an
            optimizer's slots).

    However a program is run, each other output lies in memory of its own: no input's, no constant's, no other output's,
    and none that a later call writes into.
    """

    def __init__(self, inputs: list[Input], instructions: list[Instruction], outputs: list[Var], in_place=None):
        self.inputs, self.instructions, self.outputs = inputs, instructions, outputs
        self.in_place: dict[int, Input] = in_place or {}

    def uses(self) -> dict[Var, int]:
        """How often each array is used, as an input of an instruction or as an output of the program."""
        uses: dict[Var, int] = {}
        for instruction in self.instructions:
            for var in instruction.inputs:
                uses[var] = uses.get(var, 0) + 1
        for var in self.outputs:
            uses[var] = uses.get(var, 0) + 1
        return uses

    def rebuilt(self, replaced: dict[Var, Var], kept: Iterable[Instruction]) -> Program:
        """The program of the instructions `kept`, with each array replaced as the mapping says, chains followed."""

        def now(var: Var) -> Var:
            while var in replaced:
                var = replaced[var]
            return var

        instructions = list(kept)
        for instruction in instructions:
            instruction.inputs = tuple([now(var) for var in instruction.inputs])
        return Program(self.inputs, instructions, [now(var) for var in self.outputs], self.in_place)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)


def interpret(program: Program, arrays: Iterable[Any]) -> list[Any]:
    """Run a program one instruction after the other: what every backend must agree with."""
    values: dict[Var, Any] = dict(zip(program.inputs, arrays, strict=True))

    def value(var: Var):
        return var.array if isinstance(var, Constant) else values[var]

    for instruction in program:
        made = instruction.function(*[value(var) for var in instruction.inputs])
        values.update(zip(instruction.outputs, made if instruction.function.several else (made,), strict=True))
    given = [*values.values()][: len(program.inputs)]
    results: list[Any] = []
    for var in program.outputs:
        result = np.asarray(value(var))
        if isinstance(var, Constant) or any(np.may_share_memory(result, other) for other in [*given, *results]):
            result = result.copy()
        results.append(result)
    kept = [results[i].copy() for i in program.in_place]  # before one of them is overwritten
    for (i, target), result in zip(program.in_place.items(), kept):
        np.copyto(values[target], result)
        results[i] = values[target]
    return results
