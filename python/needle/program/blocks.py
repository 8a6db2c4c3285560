"""Fused groups in blocks of rows: each block's arrays stay in cache, and cores share the blocks.

What a group computes lies along the axis that is cut, or is a sum (a maximum, …) over it.  Such sums are made for each
block, and summed once more at the end in the order of the blocks: the same bits at each call.  What is computed from
them in turn, comes after the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import pool
from .functions import BroadcastTo, Cast, Copy, Full, Function, Fused, Index, Reduce, Reshape, Ufunc, Where
from .ir import Constant, Input, Instruction, Program, Var

CACHE = pool.CACHE // 2  # bytes that one block may take
LEAST = 2 * pool.CACHE  # bytes that a group must take for blocks to pay on one core
WORTH_THREADS = 150e-6  # seconds of work below which the threads' own time is not won back
_SECONDS = 0.25e-9  # for an element of four bytes, of a function that is one instruction of the processor
_SLOWER = {
    np.tanh: 2, np.exp: 2, np.log: 2, np.sin: 6, np.cos: 6, np.expm1: 8, np.log1p: 8, np.power: 10, np.arctan: 8,
    np.logaddexp: 20, np.arctan2: 20, np.sinh: 8, np.cosh: 8, np.tan: 8, np.remainder: 10,
}  # fmt: skip


class Blocks(Function):
    """A group that is run in blocks: `body` is the whole group, `count` times `rows` rows the axis that is cut.

    Attributes:
        dims: which dimension of each array of the body is cut; arrays that are not in it are taken whole.
        parts: the outputs that are made for each block, along a first axis, and are to be reduced over that.
        threads: whether several threads share the blocks.
    """

    several = True
    __slots__ = ("body", "dims", "extent", "parts", "rows", "threads")

    def __init__(self, body: Program, dims: dict[Var, int], extent: int, rows: int, parts: set[int], threads: bool):
        self.body, self.dims, self.extent, self.rows, self.parts = body, dims, extent, rows, parts
        self.threads = threads

    @property
    def count(self) -> int:
        return -(-self.extent // self.rows)

    def key(self):
        return None

    def __repr__(self) -> str:
        return f"Blocks({len(self.body)} instructions, {self.count} × {self.rows} rows)"

    def overwritable(self, i: int) -> list[int]:
        """The inputs, by their numbers, in whose memory output i may be written: rows that lie where its rows lie."""
        out = self.body.outputs[i]
        kind = out.shape, out.dtype, self.dims.get(out)
        if i in self.parts or kind[2] is None:
            return []
        return [j for j, x in enumerate(self.body.inputs) if (x.shape, x.dtype, self.dims.get(x)) == kind]

    def program(self, rows: int, over: dict[int, int]) -> Program:
        """What is done with one block of so many rows.  Each output goes into the memory of an input: that which
        `over` tells by its number, or one more."""
        now: dict[Var, Var] = {}

        def shape(var: Var) -> tuple[int, ...]:
            dim = self.dims.get(var)
            return var.shape if dim is None else (*var.shape[:dim], rows, *var.shape[dim + 1 :])

        inputs = [Input(shape(var), var.dtype, f"x{i + 1}") for i, var in enumerate(self.body.inputs)]
        now.update(zip(self.body.inputs, inputs))
        instructions = []
        for each in self.body:
            function = each.function
            if isinstance(function, Reshape | BroadcastTo):
                function = type(function)(shape(each.output))
            elif isinstance(function, Full):
                function = Full(shape(each.output), function.dtype, function.value)
            kinds = [(shape(var), var.dtype) for var in each.outputs]
            instructions.append(Instruction(function, [now.get(v, v) for v in each.inputs], kinds, each.line))
            now.update(zip(each.outputs, instructions[-1].outputs))
        outputs = [now.get(var, var) for var in self.body.outputs]
        in_place = {}
        for i, var in enumerate(outputs):
            if i not in over:
                inputs.append(Input(var.shape, var.dtype, f"out{i + 1}"))
            in_place[i] = inputs[over[i]] if i in over else inputs[-1]
        return Program(inputs, instructions, outputs, in_place)

    def taken(self, over: dict[int, int]) -> list[int | None]:
        """Along which dimension a block takes its part of each array that `program` takes."""
        outputs = [0 if i in self.parts else self.dims.get(v) for i, v in enumerate(self.body.outputs) if i not in over]
        return [*[self.dims.get(var) for var in self.body.inputs], *outputs]

    def runner(self, over: dict[int, int], compiled: Callable[[Program], Callable]) -> Callable:
        """What runs all blocks, given all arrays that `program` takes."""
        rows, extent = self.rows, self.extent
        whole = compiled(self.program(rows, over))
        rest = compiled(self.program(extent % rows, over)) if extent % rows else whole
        last = self.count - 1
        dims = self.taken(over)
        first_part = len(self.body.inputs)
        outputs = [i for i in range(len(self.body.outputs)) if i not in over]
        parts = {first_part + k for k, i in enumerate(outputs) if i in self.parts}
        keys: list[list] = [[] for _ in range(self.count)]
        for i, of_block in enumerate(keys):
            cut = slice(i * rows, min((i + 1) * rows, extent))
            for k, dim in enumerate(dims):
                whole_axes = (slice(None),) * (dim or 0)
                of_block.append((i, ...) if k in parts else ... if dim is None else (*whole_axes, cut))

        def run(*arrays) -> None:
            def block(i: int) -> None:
                (rest if i == last else whole)(*[array[key] for array, key in zip(arrays, keys[i])])

            if self.threads:
                pool.share(block, last + 1)
            else:
                for i in range(last + 1):
                    block(i)

        return run

    def __call__(self, *arrays):
        raise NotImplementedError("blocks are run by the function that is emitted for them")


def in_blocks(program: Program) -> Program:
    """The program with its large groups as `Blocks`, and all others as they were."""
    now: dict[Var, Var] = {}
    instructions: list[Instruction] = []
    for instruction in program:
        cut = _Cut(instruction.function.body) if isinstance(instruction.function, Fused) else None
        if cut is not None and cut.pays():
            found = cut.written([now.get(var, var) for var in instruction.inputs], instructions)
            now.update(zip(instruction.outputs, found))
            continue
        if any(var in now for var in instruction.inputs):
            inputs = [now.get(var, var) for var in instruction.inputs]
            again = Instruction(instruction.function, inputs, [(v.shape, v.dtype) for v in instruction.outputs])
            again.line = instruction.line
            now.update(zip(instruction.outputs, again.outputs))
            instruction = again
        instructions.append(instruction)
    return Program(program.inputs, instructions, [now.get(var, var) for var in program.outputs], program.in_place)


class _Cut:
    """A group's body, and the axis along which it is cut, if there is one."""

    def __init__(self, body: Program):
        self.body = body
        arrays = [*body.inputs, *[var for each in body for var in each.outputs]]
        largest = max(arrays, key=lambda var: var.size)
        long = [i for i, n in enumerate(largest.shape) if n != 1]
        self.extent = largest.shape[long[0]] if long and largest.size else 1
        self.dims: dict[Var, int] = {}
        self.partial: dict[Var, Instruction] = {}
        self.possible = self.extent > 1 and self._spread(largest, long[0]) and self._sorted()

    # Which dimension of each array is cut

    def _spread(self, largest: Var, dim: int) -> bool:
        self.dims[largest] = dim
        for _ in range(len(self.body.instructions) + 1):
            known = len(self.dims) + len(self.partial)
            for each in self.body:
                if not self._step(each):
                    return False
            if len(self.dims) + len(self.partial) == known:
                return True
        return True

    def _step(self, each: Instruction) -> bool:
        function, out = each.function, each.output
        if isinstance(function, Reduce):
            return self._over(function, each.inputs[0], out)
        if isinstance(function, Reshape | Index):
            (a,) = each.inputs
            long, long_out = ([i for i, n in enumerate(var.shape) if n != 1] for var in (a, out))
            if [a.shape[i] for i in long] != [out.shape[i] for i in long_out] or not isinstance(function, Reshape):
                return False
            pairs = list(zip(long, long_out))
            return all(
                (self.dims.get(a) != i or self._set(out, j)) and (self.dims.get(out) != j or self._set(a, i))
                for i, j in pairs
            )
        if not isinstance(function, Ufunc | Cast | Where | Copy | BroadcastTo | Full):
            return False
        arrays = (out, *each.inputs)
        found = {var.ndim - self.dims[var] for var in arrays if var in self.dims}
        if len(found) > 1:
            return False
        for back in found:
            for var in arrays:
                if var.ndim >= back and var.shape[-back] == self.extent and not self._set(var, var.ndim - back):
                    return False
        return True

    def _over(self, function: Reduce, a: Var, out: Var) -> bool:
        kept = [i for i in range(a.ndim) if function.keepdims or i not in function.axis]
        if a in self.dims:
            if self.dims[a] in function.axis:
                self.partial[out] = out.source  # type: ignore[assignment]
                return True
            return self._set(out, kept.index(self.dims[a]))
        return out not in self.dims or self._set(a, kept[self.dims[out]])

    def _set(self, var: Var, dim: int) -> bool:
        return self.dims.setdefault(var, dim) == dim and var not in self.partial

    # What comes before, in and after the loop

    def _sorted(self) -> bool:
        self.before: list[Instruction] = []
        self.inside: list[Instruction] = []
        self.after: list[Instruction] = []
        late = set()
        for each in self.body:
            cut = [var for var in (*each.inputs, *each.outputs) if var in self.dims]
            if any(var in late or var in self.partial for var in each.inputs):
                if cut:
                    return False
                late |= set(each.outputs)
                self.after.append(each)
            else:
                (self.inside if cut else self.before).append(each)
        return bool(self.inside)

    # Whether it pays

    @property
    def seconds(self) -> float:
        """About how long it takes on one core."""
        return sum(_weight(each) * max(var.size for var in (*each.inputs, *each.outputs)) for each in self.inside)

    @property
    def nbytes(self) -> int:
        """What the group's inputs, outputs and a few arrays between them take."""
        outside = [*dict.fromkeys([*self.body.inputs, *self.body.outputs])]
        between = [var.nbytes for each in self.inside for var in each.outputs if var not in self.body.outputs]
        return sum(var.nbytes for var in outside if var in self.dims) + sum(sorted(between)[-3:])

    def pays(self) -> bool:
        """Whether blocks are faster than one instruction after the other."""
        return self.possible and (
            (self.nbytes > LEAST and len(self.inside) > 1) or (pool.WORKERS > 1 and self.seconds > WORTH_THREADS)
        )

    # Writing it down

    def written(self, inputs: list[Var], instructions: list[Instruction]) -> list[Var]:
        """Write the group as instructions; gives its outputs."""
        now: dict[Var, Var] = dict(zip(self.body.inputs, inputs))

        def write(each: Instruction) -> None:
            outputs = [(var.shape, var.dtype) for var in each.outputs]
            made = Instruction(each.function, [now.get(var, var) for var in each.inputs], outputs, each.line)
            instructions.append(made)
            now.update(zip(each.outputs, made.outputs))

        for each in self.before:
            write(each)
        threads = pool.WORKERS > 1 and self.seconds > WORTH_THREADS
        count = max(-(-self.nbytes // CACHE), 1)
        if threads:
            count = -(-count // pool.WORKERS) * pool.WORKERS
        rows = -(-self.extent // min(count, self.extent))
        body, outer, wanted, parts = self._body(now)
        function = Blocks(body, self._dims, self.extent, rows, parts, threads)
        shapes = [
            ((function.count, *var.shape) if i in parts else var.shape, var.dtype) for i, var in enumerate(wanted)
        ]
        loop = Instruction(function, outer, shapes, self.inside[-1].line)
        instructions.append(loop)
        for i, (var, made) in enumerate(zip(wanted, loop.outputs)):
            if i in parts:
                reduce = self.partial[var].function
                assert isinstance(reduce, Reduce)
                total = Reduce(reduce.ufunc, (0,), False, None, reduce.initial)
                instructions.append(Instruction(total, [made], [(var.shape, var.dtype)], self.partial[var].line))
                made = instructions[-1].output
            now[var] = made
        for each in self.after:
            write(each)
        return [now.get(var, var) for var in self.body.outputs]

    def _body(self, now: dict[Var, Var]) -> tuple[Program, list[Var], list[Var], set[int]]:
        """The program of the loop, what it takes from outside, what it gives, and which of that is in parts."""
        inner: dict[Var, Var] = {}
        outer: list[Var] = []
        inputs: list[Input] = []
        instructions: list[Instruction] = []
        self._dims: dict[Var, int] = {}

        def within(var: Var) -> Var:
            if var not in inner:
                if isinstance(var, Constant) and var not in self.dims:
                    return var
                outer.append(now.get(var, var))
                inputs.append(Input(var.shape, var.dtype, f"x{len(inputs) + 1}"))
                inner[var] = inputs[-1]
                if var in self.dims:
                    self._dims[inner[var]] = self.dims[var]
            return inner[var]

        used = {var for each in self.after for var in each.inputs} | set(self.body.outputs)
        for each in self.inside:
            outputs = [(var.shape, var.dtype) for var in each.outputs]
            function = each.function
            if isinstance(function, Reduce) and each.output in self.partial:
                function = Reduce(function.ufunc, function.axis, function.keepdims, function.dtype)
            made = Instruction(function, [within(var) for var in each.inputs], outputs, each.line)
            instructions.append(made)
            inner.update(zip(each.outputs, made.outputs))
            self._dims.update((inner[var], self.dims[var]) for var in each.outputs if var in self.dims)
        wanted = [var for each in self.inside for var in each.outputs if var in used]
        parts = {i for i, var in enumerate(wanted) if var in self.partial}
        return Program(inputs, instructions, [inner[var] for var in wanted]), outer, wanted, parts


def _weight(instruction: Instruction) -> float:
    """About how many seconds it takes for an element."""
    ufunc: Any = getattr(instruction.function, "ufunc", None)
    return _SECONDS * _SLOWER.get(ufunc, 1) * instruction.output.dtype.itemsize / 4
