"""Which statements of a program one native call does: neighbours that are kernels, small products and copies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .functions import Assign, Copy, Empty, Matmul, Reshape, Ufunc
from .ir import Instruction, Var
from .kernels import Native, Place, Sequence, copy_operation, kernel_operation, product_operation, ufunc_operation
from .kernels.kernel import CompiledKernel
from .plan import Plan, shown


@dataclass
class Step:
    """An instruction as statements.  `operations`: what a native call does for it; None if it cannot."""

    instruction: Instruction | None
    texts: list[str]
    line: str = ""
    operations: list | None = None


@dataclass
class Run:
    """Steps that one native call does.

    Attributes:
        fresh: results in memory that is new at each call; it must be there before.
        left: results that lie elsewhere and that later statements name.
    """

    steps: list[Step]
    sequence: Sequence = field(default_factory=Sequence)
    fresh: list[Var] = field(default_factory=list)
    left: list[Var] = field(default_factory=list)

    def __post_init__(self) -> None:
        for step in self.steps:
            self.sequence.add(step.operations or [])

    @property
    def results(self) -> list[Var]:
        return [var for step in self.steps if step.instruction for var in step.instruction.outputs]


def in_runs(steps: list[Step], places: Places) -> list[Step | Run]:
    """The steps, with neighbours that native calls can do put together."""
    found: list[Step | Run] = []
    run: list[Step] = []

    def close() -> None:
        rest = []
        while run and not run[-1].operations:  # views that only what follows may need
            rest.append(run.pop())
        first = next((i for i, step in enumerate(run) if step.operations), len(run))
        found.extend(run[:first])
        if sum(len(step.operations or ()) for step in run) > 1:
            made = Run(run[first:])
            made.fresh = [var for var in made.results if places.is_fresh(var)]
            found.append(made)
        else:
            found.extend(run[first:])
        found.extend(reversed(rest))
        run.clear()

    for step in steps:
        if step.operations is None:
            close()
            found.append(step)
        else:
            run.append(step)
    close()
    return found


def words(texts: list[str]) -> set[str]:
    """The names that statements mention."""
    return set(re.findall(r"[A-Za-z_]\w*", "\n".join(texts)))


def home(plan: Plan, var: Var) -> Var:
    """The input, or the result, whose memory a result is written into."""
    while var in plan.onto:
        var = plan.onto[var]
    return plan.targets.get(var, var)


class Places:
    """Where the arrays of a plan lie, as far as that is known before a call.

    Args:
        constant: gives the array that statements use for a constant.
    """

    def __init__(self, plan: Plan, constant: Callable[[Var], np.ndarray]):
        self.plan, self._constant = plan, constant
        self._memory = np.empty(plan.nbytes, np.uint8)  # never touched
        self._arrays: dict[Var, np.ndarray] = {}
        self._roots: dict[Var, Var | None] = {}  # the array that a call brings in whose memory one lies; None: scratch

    def place(self, var: Var) -> Place:
        if var in self.plan.constants:
            array = self._constant(var)
            return Place(array.shape, array.strides, array.dtype, array=array)
        array, root = self._array(var), self._root(var)
        start = self._memory if root is None else self._array(root)
        offset = array.__array_interface__["data"][0] - start.__array_interface__["data"][0]
        return Place(array.shape, array.strides, array.dtype, offset, root)

    def is_fresh(self, var: Var) -> bool:
        """Whether a result lies in memory that is new at each call, at its beginning."""
        return var not in self.plan.constants and self._root(var) is var

    def _is_view(self, var: Var) -> bool:
        return var.source is not None and var.source.function.view and var not in self.plan.buffers

    def _root(self, var: Var) -> Var | None:
        if var not in self._roots:
            if var in self.plan.buffers:
                self._roots[var] = None
            elif self._is_view(var):
                self._roots[var] = self._root(var.source.inputs[0])  # type: ignore[union-attr]
            else:
                there = home(self.plan, var)
                self._roots[var] = None if there in self.plan.buffers else there
        return self._roots[var]

    def _array(self, var: Var) -> np.ndarray:
        """Unused memory that lies as the array does, if arrays that a call brings lie in C order."""
        array = self._arrays.get(var)
        if array is None:
            there = home(self.plan, var)
            if there is not var:
                array = self._array(there)
            elif var in self.plan.buffers:
                array = self.plan.buffers[var].array(self._memory)
            elif self._is_view(var):
                source = var.source
                base = self._array(source.inputs[0])  # type: ignore[union-attr]
                array = np.asarray(shown(source.function, var, base))  # type: ignore[union-attr]
                if var.size and not np.may_share_memory(array, base):
                    raise LookupError("a view that has to be copied")
            else:
                array = np.empty(var.shape, var.dtype)
            self._arrays[var] = array
        return array

    # Operations

    def operations(self, instruction: Instruction, kernel: CompiledKernel | None) -> list | None:
        """What a native call does for an instruction: nothing for a view; None if it cannot do it."""
        try:
            found = self._operations(instruction, kernel)
        except LookupError:
            return None
        return None if found is None or None in found else found

    def _operations(self, instruction: Instruction, kernel: CompiledKernel | None) -> list | None:
        function = instruction.function
        if isinstance(function, Native):
            if kernel is None:
                return None
            places = [self.place(var) for var in (*instruction.inputs, *instruction.outputs)]
            if any(step % place.dtype.itemsize for place in places for step in place.strides):
                return None
            return [kernel_operation(kernel, places)]
        if isinstance(function, Matmul):
            return [product_operation(*map(self.place, (*instruction.inputs, instruction.output)))]
        if isinstance(function, Ufunc):
            inputs = [self.place(var) for var in instruction.inputs]
            return [ufunc_operation(function.ufunc, inputs, self.place(instruction.output))]
        if isinstance(function, Copy):
            return [copy_operation(self.place(instruction.output), self.place(instruction.inputs[0]))]
        if isinstance(function, Assign):
            return self._assigned(instruction)
        if not function.view:
            return None
        var = instruction.output
        if var not in self.plan.buffers:
            self._array(var)
            return []
        if not isinstance(function, Reshape) or not self._array(var).flags.c_contiguous:
            return None
        value, into = self.place(instruction.inputs[0]), self.place(var)
        strides = np.empty(value.shape, value.dtype).strides
        return [copy_operation(Place(value.shape, strides, into.dtype, into.offset, into.root), value)]

    def _assigned(self, instruction: Instruction) -> list:
        base, value = instruction.inputs
        into = self.place(instruction.output)
        part = copy_operation(into[instruction.function.key_], self.place(value))
        if base.source is not None and isinstance(base.source.function, Empty):
            return [part]
        if base in self.plan.constants:
            array = self.plan.constants[base]
            before = Place(array.shape, array.strides, array.dtype, array=array)
        else:
            before = self.place(base)
        return [part] if before == into else [copy_operation(into, before), part]
