"""A fused group as loops: the code of one kernel.

Where rows are reduced, the loops over a row are written several times, once for each set of reductions that wait for
others (softmax: the maximum, the sum of exponentials, the quotients).

Sums of float32 are kept in float64.  Those of float64 are summed in lanes over short blocks, and the blocks with what
rounding loses (Neumaier), so both are at least as accurate as NumPy's pairwise sums; the order follows from sizes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from ..ir import Instruction, Var
from ..space import base_of, is_number, long_axes, number_of
from .calling import entry
from .code import Code, Module, Value, select
from .elements import cast, element, stored_type, type_of
from .library import LINE, SIZES
from .schedule import Schedule, contiguous

ATTRIBUTES = 'noinline nounwind "prefer-vector-width"="512"'
APART = 16  # numbers between those of two threads, which must not share a line of the cache
BLOCK = 2048  # elements of a float64 sum between two careful additions


@dataclass
class Kernel:
    """The code of a kernel.

    Attributes:
        text: a module that defines @NAME.
        sizes: what the kernel is bound to, behind what says which part of the work it does.
        length: of the outermost loop, along which its work can be divided; 0: it cannot.
        slots: how many numbers each part then needs for what is reduced over parts; 0: nothing is.
    """

    text: str
    sizes: list[int]
    length: int
    slots: int


def kernel(
    schedule: Schedule,
    shared: dict[int, int],
    unknown: Iterable[int] = (),
    divided: bool = False,
    team: bool = False,
) -> Kernel:
    """The code for a schedule.

    Args:
        shared: results, by their number, that lie in the memory of an input, by its number.
        unknown: arguments of which the caller only supposes how they lie.  If one lies in another way, the kernel
            gives False and has done nothing.
        divided: whether several threads do it.  Then, if anything is reduced over rows, one more argument is an array
            of `slots` numbers for each part and for the last call, which combines them.
        team: whether a team does it.  Then @NAME is bound to a table (see calling.py) and sees to that argument.
    """
    return _Writer(schedule, shared, frozenset(unknown), divided and bool(schedule.terminal), team).written()


class _Writer:
    def __init__(self, schedule: Schedule, shared: dict[int, int], unknown: frozenset[int], divided: bool, team: bool):
        self.schedule, self.unknown, self.divided, self.team = schedule, unknown, divided, team
        self.module = Module()
        self.code = Code(self.module)
        body, space = schedule.body, schedule.space
        self.arguments = len(body.inputs) + len(body.outputs)
        self.sizes: list[int] = list(schedule.extents)
        self.known: dict[int, Value] = {}
        self.extent = [self._size(i) for i in range(SIZES, SIZES + len(self.sizes))]
        self.start, self.stop, self.part, self.parts = [self._size(i) for i in range(4)]
        self.places: dict[Var, list[tuple[int, list[int]]]] = {}  # where results go
        for i, var in enumerate(body.outputs):
            extents = [axis.extent for axis in space.lies[var]]
            steps = schedule.along(space.lies[var], contiguous(extents))
            argument = shared.get(i, len(body.inputs) + i)
            self.places.setdefault(var, []).append((argument, steps))
        self.values: dict[Var, Value] = {}
        self.loaded: dict = {}
        self.index: list[Value] = []
        self.memory: list[str] = []
        self.rows_memory: dict[Var, tuple[str, list[int]]] = {}
        self.totals: dict[Instruction, tuple[str, str]] = {}  # variables: a reduction so far, and its error
        self.blocks: dict[Instruction, str] = {}
        self.slot: dict[Instruction, int] = {}
        self.slots = 0

    def written(self) -> Kernel:
        schedule, code = self.schedule, self.code
        self._begin_terminals()
        early = [step for step in schedule.steps if step not in set(schedule.late)]
        self._levels(0, early)
        self._end_terminals()
        for pointer in self.memory:
            code.line(f"call void @PyMem_RawFree(ptr {pointer})")
        length = schedule.extents[0] if schedule.rows else 0
        return Kernel(self._text(), self.sizes, length, self.slots)

    # Sizes and memory

    def _size(self, i: int) -> Value:
        pointer = self.code.at_beginning("ptr", f"getelementptr inbounds i64, ptr %sizes, i64 {i}")
        return self.code.at_beginning("i64", f"load i64, ptr {pointer.name}")

    def _number(self, number: int) -> Value:
        """A stride or length, which the sizes hold: kernels for other lengths have the same code."""
        if number == 1:
            return self.code.constant("i64", 1)
        if number not in self.known:
            self.sizes.append(number)
            self.known[number] = self._size(SIZES + len(self.sizes) - 1)
        return self.known[number]

    def _allocated(self, nbytes: int) -> str:
        length = self._number(nbytes + LINE)
        self.module.declare("declare noalias ptr @PyMem_RawMalloc(i64)")
        self.module.declare("declare void @PyMem_RawFree(ptr)")
        beginning = self.code.at_beginning
        pointer = beginning("ptr", f"call ptr @PyMem_RawMalloc(i64 {length.name})").name
        self.memory.append(pointer)
        address = beginning("i64", f"ptrtoint ptr {pointer} to i64")
        back = beginning("i64", f"sub i64 0, {address.name}")
        skipped = beginning("i64", f"and i64 {back.name}, {LINE - 1}")
        return beginning("ptr", f"getelementptr i8, ptr {pointer}, i64 {skipped.name}").name

    def _address(self, pointer: str, type: str, steps: list[int]) -> str:
        """Where the element is, for the loops that are open."""
        for index, step in zip(self.index, steps):
            if step:
                pointer = self.code.address(type, pointer, index if step == 1 else index * self._number(step))
        return pointer

    def _load(self, dtype: np.dtype, pointer: str) -> Value:
        value = self.code.load(stored_type(dtype), pointer)
        return value.convert("trunc", "i1") if dtype.kind == "b" else value

    def _store(self, value: Value, pointer: str) -> None:
        self.code.store(value.convert("zext", "i8") if value.type == "i1" else value, pointer)

    def _place(self, var: Var) -> list[str]:
        """Where a result goes."""
        return [self._address(f"%p{i}", stored_type(var.dtype), steps) for i, steps in self.places[var]]

    def _place_in_row(self, var: Var) -> str:
        """Where it is kept from one stage to the next: in its own memory if it is a result, or in that of one row."""
        if var in self.places:
            return self._place(var)[0]
        if var not in self.rows_memory:
            schedule = self.schedule
            lies = [axis for axis in schedule.space.lies[var] if schedule.loop_of[axis] >= schedule.rows]
            extents = [axis.extent for axis in lies]
            pointer = self._allocated(prod(extents) * var.dtype.itemsize)
            self.rows_memory[var] = pointer, schedule.along(lies, contiguous(extents))
        pointer, steps = self.rows_memory[var]
        return self._address(pointer, stored_type(var.dtype), steps)

    # Instructions

    def _operand(self, step: Instruction, var: Var) -> Value:
        base = base_of(var)
        if is_number(base):
            return self.code.constant(type_of(var.dtype), number_of(var))
        if base in self.schedule.space.lies:
            return self.values[base]
        read = self.schedule.space.taken[step, var]
        if read not in self.loaded:
            steps = self.schedule.along(read[1], self.schedule.strides_of(base))
            pointer = f"%p{self.schedule.argument[base]}"
            self.loaded[read] = self._load(base.dtype, self._address(pointer, stored_type(base.dtype), steps))
        return self.loaded[read]

    def _carry_out(self, step: Instruction) -> None:
        if self.schedule.reduces(step):
            self._collect(step)
        elif hasattr(step.function, "axis"):
            total = self._summand(step)
            self.values[step.output] = self._finished(step, total)
        else:
            self.values[step.output] = element(step, [self._operand(step, var) for var in step.inputs])

    def _hand_over(self, step: Instruction) -> None:
        """Write a result to where it belongs."""
        if step.output in self.places and step.output in self.values:
            for pointer in self._place(step.output):
                self._store(self.values[step.output], pointer)

    # Loops

    def _levels(self, level: int, steps: list[Instruction]) -> None:
        """What is computed within the first `level` loops, and the loops further in."""
        schedule = self.schedule
        if level == schedule.rows < len(schedule.extents):
            self._stages([step for step in steps if schedule.depth(step) == level])
            return
        here = [step for step in steps if schedule.depth(step) == level]
        for step in here:
            self._carry_out(step)
        deeper = [step for step in steps if schedule.depth(step) > level]
        if deeper:
            self._loop(level, deeper, lambda: self._levels(level + 1, deeper))
        for step in here:
            self._hand_over(step)

    def _stages(self, row: list[Instruction]) -> None:
        """A row: what there is one number of, and the loops over its elements, stage by stage."""
        schedule, level = self.schedule, self.schedule.rows
        reductions = [step for step in schedule.steps if schedule.reduces_row(step)]
        for step in reductions:
            self._begin(step)
        for stage in range(max(schedule.stage.values()) + 1):
            finished = [step for step in reductions if schedule.stage[step.output] == stage]
            for step in finished:
                self.values[step.output] = self._finished(step, self._total(step))
            here = [step for step in row if schedule.stage_of(step) == stage]
            for step in here:
                self._carry_out(step)
            steps = schedule.in_stage(stage)
            if steps:
                self._loop(level, steps, lambda steps=steps, stage=stage: self._inner(level + 1, steps, stage))  # type: ignore[misc]
            for step in (*finished, *here):
                self._hand_over(step)

    def _inner(self, level: int, steps: list[Instruction], stage: int) -> None:
        """The loops over a row's elements, in one stage."""
        schedule = self.schedule
        here = [step for step in steps if schedule.depth(step) == level]
        for step in here:
            if schedule.is_recalled(step, stage):
                self.values[step.output] = self._load(step.output.dtype, self._place_in_row(step.output))
            else:
                self._carry_out(step)
        deeper = [step for step in steps if schedule.depth(step) > level]
        if deeper:
            self._loop(level, deeper, lambda: self._inner(level + 1, deeper, stage))
        for step in here:
            if schedule.stage_of(step) == stage and not schedule.reduces(step):
                self._hand_over(step)
                if step.output in schedule.kept and step.output not in self.places:
                    self._store(self.values[step.output], self._place_in_row(step.output))

    def _loop(self, axis: int, steps: list[Instruction], write: Callable[[], None]) -> None:
        """A loop, around the instructions given, that `write` fills."""
        schedule, code = self.schedule, self.code
        zero = code.constant("i64", 0)
        start, stop = (self.start, self.stop) if axis == 0 < schedule.rows else (zero, self.extent[axis])
        sums = [step for step in steps if schedule.depth(step) == axis + 1 and self._goes_along(step, axis)]
        before = dict(self.values), dict(self.loaded)

        def block(start: Value, stop: Value) -> None:
            for step in sums:
                type = self._sum_type(step)
                self.blocks[step] = self.blocks.get(step) or code.variable(type)
                code.store(code.constant(type, self._identity(step)), self.blocks[step])
            with code.loop(start, stop) as i:
                self.index.append(i)
                write()
                self.index.pop()
            self.values, self.loaded = dict(before[0]), dict(before[1])
            for step in sums:
                self._add(step, code.load(self._sum_type(step), self.blocks[step]))

        if any(self._is_careful(step) for step in sums) and schedule.extents[axis] > BLOCK:
            with code.loop(start, stop, BLOCK) as i:
                block(i, code.smaller(i + BLOCK, stop))
        else:
            block(start, stop)

    # Reductions

    def _goes_along(self, step: Instruction, axis: int) -> bool:
        """Whether a reduction reduces along a loop."""
        schedule = self.schedule
        kept = {schedule.loop_of[each] for each in schedule.space.lies[step.output]}
        return schedule.reduces(step) and axis not in kept

    def _is_careful(self, step: Instruction) -> bool:
        return step.function.ufunc.__name__ == "add" and step.output.dtype == np.float64

    def _sum_type(self, step: Instruction) -> str:
        """In what a reduction is accumulated."""
        dtype = step.output.dtype
        if dtype.kind == "f":
            small = step.function.ufunc.__name__ in ("maximum", "minimum") and step not in self.schedule.terminal
            return type_of(dtype) if small else "double"
        return "i64"

    def _identity(self, step: Instruction) -> float:
        name, dtype = step.function.ufunc.__name__, step.output.dtype
        if name == "add":
            return -0.0 if dtype.kind == "f" else 0
        if name in ("multiply", "logical_and", "logical_or"):
            return int(name != "logical_or")
        if dtype.kind == "f":
            return -np.inf if name == "maximum" else np.inf
        if dtype.kind == "b":
            return int(name == "minimum")
        limits = np.iinfo(dtype)
        return int(np.int64(np.array(limits.min if name == "maximum" else limits.max).astype("i8")))

    def _combined(self, step: Instruction, a: Value, b: Value, freely: bool = False) -> Value:
        name = step.function.ufunc.__name__
        if name in ("add", "multiply"):
            if freely and a.is_float:
                return a.reassociated("fadd" if name == "add" else "fmul", b)
            return a + b if name == "add" else a * b
        if name.startswith("logical"):
            return a & b if name == "logical_and" else a | b
        if a.is_float:
            return a.intrinsic(name, b)
        return a.intrinsic(("s" if step.output.dtype.kind == "i" else "u") + name[:3], b)

    def _summand(self, step: Instruction) -> Value:
        """The element that a reduction takes in, in the type in which it accumulates."""
        (a,) = step.inputs
        truth = step.function.ufunc.__name__.startswith("logical")
        dtype = np.dtype(bool) if truth else step.output.dtype
        value = cast(self._operand(step, a), a.dtype, dtype)
        type = self._sum_type(step)
        if value.type == type:
            return value
        return value.convert("fpext" if value.is_float else "sext" if dtype.kind == "i" else "zext", type)

    def _collect(self, step: Instruction) -> None:
        """Take in an element: into the block's sum, or, if the innermost loop goes along results, into each."""
        code, value = self.code, self._summand(step)
        if step in self.blocks and self._goes_along(step, self.schedule.depth(step) - 1):
            total = code.load(value.type, self.blocks[step])
            code.store(self._combined(step, total, value, freely=True), self.blocks[step])
        else:
            self._add(step, value)

    def _begin(self, step: Instruction) -> None:
        """Variables for a reduction whose result is one number, for each row or at the end."""
        type, code = self._sum_type(step), self.code
        if step not in self.totals:
            self.totals[step] = code.variable(type), code.variable(type)
        total, error = self.totals[step]
        code.store(code.constant(type, self._identity(step)), total)
        if self._is_careful(step):
            code.store(code.constant(type, 0.0), error)

    def _add(self, step: Instruction, value: Value) -> None:
        """Add a block's sum to the whole."""
        code, type = self.code, value.type
        if step not in self.totals:
            place = self._slot(step)
            code.store(self._combined(step, code.load(type, place), value), place)
            return
        total, error = self.totals[step]
        old = code.load(type, total)
        new = self._combined(step, old, value)
        code.store(new, total)
        if self._is_careful(step):
            part = new - old
            code.store(code.load(type, error) + ((old - (new - part)) + (value - part)), error)

    def _total(self, step: Instruction) -> Value:
        total, error = self.totals[step]
        type, code = self._sum_type(step), self.code
        result = code.load(type, total)
        if not self._is_careful(step):
            return result
        corrected = result + code.load(type, error)
        return select(corrected.is_nan(), result, corrected)  # of an infinite sum, rounding loses infinity - infinity

    def _finished(self, step: Instruction, total: Value) -> Value:
        """The result in its dtype."""
        dtype = step.output.dtype
        if step.function.initial is not None:
            first = self.code.constant(total.type, dtype.type(step.function.initial).item())
            total = self._combined(step, first, total)
        if dtype.kind == "b":
            return total.differs(0)
        type = type_of(dtype)
        return total if total.type == type else total.convert("fptrunc" if total.is_float else "trunc", type)

    # Reductions over rows

    def _count(self, step: Instruction) -> int:
        return prod([axis.extent for axis in self.schedule.space.lies[step.output]])

    def _begin_terminals(self) -> None:
        schedule, code = self.schedule, self.code
        terminal = [step for step in schedule.steps if step in schedule.terminal]
        in_memory = [step for step in terminal if self.divided or schedule.space.lies[step.output]]
        for step in in_memory:
            self.slot[step] = self.slots
            self.slots += self._count(step)
        if self.slots:
            if self.divided:
                self.slots = (self.slots // APART + 2) * APART
                offset = self.part * self._number(self.slots)
                self.own = code.address("i64", f"%p{self.arguments}", offset)
            else:
                self.own = self._allocated(8 * self.slots)
        for step in terminal:
            if not schedule.space.lies[step.output]:
                self._begin(step)
                continue
            place = code.address("i64", self.own, self._number(self.slot[step]))
            identity = code.constant(self._sum_type(step), self._identity(step))
            with code.loop(code.constant("i64", 0), self._number(self._count(step))) as i:
                code.store(identity, code.address("i64", place, i))

    def _slot(self, step: Instruction) -> str:
        """Where a reduction over rows has its number, for the loops that are open."""
        schedule = self.schedule
        lies = schedule.space.lies[step.output]
        steps = schedule.along(lies, contiguous([axis.extent for axis in lies]))
        place = self.code.address("i64", self.own, self._number(self.slot[step]))
        return self._address(place, "i64", steps)

    def _end_terminals(self) -> None:
        schedule, code = self.schedule, self.code
        terminal = [step for step in schedule.steps if step in schedule.terminal]
        if not terminal:
            return
        zero = code.constant("i64", 0)
        if self.divided:
            for step in terminal:
                if step in self.totals:
                    place = code.address("i64", self.own, self._number(self.slot[step]))
                    code.store(self._total(step), place)
            last = code.begin_if(self.parts > 0)
        for step in terminal:
            if step in self.totals:
                total = self._parts(step, zero) if self.divided else self._total(step)
                self.values[step.output] = self._finished(step, total)
                self._hand_over(step)
                continue
            with code.loop(zero, self._number(self._count(step))) as i:
                result = self._finished(step, self._parts(step, i))
                for argument, _ in self.places.get(step.output, ()):
                    self._store(result, code.address(stored_type(step.output.dtype), f"%p{argument}", i))
        for step in schedule.late:
            self._carry_out(step)
            self._hand_over(step)
        if self.divided:
            code.end_if(last)

    def _parts(self, step: Instruction, i: Value) -> Value:
        """One number of a reduction over rows, from all parts."""
        code, type = self.code, self._sum_type(step)
        offset = self._number(self.slot[step]) + i
        if not self.divided:
            return code.load(type, code.address("i64", self.own, offset))
        total = self.blocks.get(step) or code.variable(type)
        code.store(code.constant(type, self._identity(step)), total)
        with code.loop(code.constant("i64", 0), self.parts) as part:
            place = code.address("i64", f"%p{self.arguments}", part * self._number(self.slots) + offset)
            code.store(self._combined(step, code.load(type, total), code.load(type, place)), total)
        return code.load(type, total)

    # The module

    def _looked_at(self, i: int) -> list[tuple[int, int]]:
        """Which strides of an argument are to be compared, with which of the sizes; none for C order."""
        body = self.schedule.body
        if i >= len(body.inputs):
            return []
        var, found = body.inputs[i], []
        long, strides = long_axes(var.shape), self.schedule.strides_of(var)
        if strides == contiguous([var.shape[axis] for axis in long]):
            return []
        for axis, stride in zip(long, strides):
            found.append((axis, SIZES + len(self.sizes)))
            self.sizes.append(stride * var.dtype.itemsize)
        return found

    def _text(self) -> str:
        count = self.arguments + self.divided
        parameters = ", ".join([f"ptr noalias nocapture %p{i}" for i in range(count)])
        lines = [f"define internal void @loops({parameters}, ptr noalias nocapture readonly %sizes) {ATTRIBUTES} {{"]
        lines += ["start:", *self.code.header, "  br label %entry", "entry:", *self.code.lines, "  ret void", "}"]
        self.module.functions["@loops"] = "\n".join(lines)
        unknown = {i: self._looked_at(i) for i in self.unknown}
        arrays = self.arguments if self.team else count
        self.module.functions["@NAME"] = entry(self.module, arrays, unknown, self.team, self.team and self.divided)
        return self.module.text()
