"""Where each array of a program lies: which memory is used again, which is new at each call, what is a view of what.

Scratch, the memory of what is not handed back, is one block of bytes for all of a call, and two arrays that are never
needed at the same time may lie in the same place.  An elementwise result takes the place of an operand that is used
there for the last time.  What is handed back lies in memory of its own.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

import numpy as np

from .blocks import Blocks, in_blocks
from .functions import Assign, Cast, Copy, Full, Function, Fused, Index, Matmul, Reduce, Ufunc, Where
from .ir import Constant, Input, Instruction, Program, Var
from .kernels import Native
from .parts import in_parts
from .passes import sums_as_products

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
FEW = 256  # elements: fewer are done as fast by NumPy's own `where`
GROUPS = (Blocks, Native)  # several instructions in one, with several results
WRITES = (Ufunc, Cast, Where, Copy, Reduce, Matmul, Assign, Full, *GROUPS)  # what can be told where to write its result


@dataclass(frozen=True)
class Buffer:
    """A place in scratch memory, as an array: `axes` are its axes from the one with the longest stride down."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    axes: tuple[int, ...]

    def array(self, memory: np.ndarray) -> np.ndarray:
        """The array that lies here in `memory`, a vector of bytes."""
        count = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        flat = memory[self.offset : self.offset + count].view(self.dtype)
        return flat.reshape([self.shape[i] for i in self.axes]).transpose(np.argsort(self.axes).tolist())


@dataclass
class Plan:
    """A program, and where its arrays lie.

    Attributes:
        program: with its groups written out, and with copies where memory would be shared that must not be.
        buffers: of each array that an instruction writes into scratch, its place there.
        views: arrays that are views of scratch, each with the array that it is a view of.  They are made once.
        constants: arrays that no call changes, views of such included; one number may be repeated by strides of zero.
        targets: arrays that are written into the memory of an input straight away.
        copied: for outputs that go into the memory of an input at the end, that input.
        in_new: results that lie in memory which is new at each call.
        onto: results of assignments that lie in the new memory of their base, with that.
        work: for instructions that need memory to work in, its place.
        strides: of the arrays that lie in scratch, their strides in bytes.
        last: for each array, the number of the last instruction that reads its memory.
        nbytes: the size of scratch.
        unshared: what scratch would take if no two arrays lay in the same place.
    """

    program: Program
    buffers: dict[Var, Buffer] = field(default_factory=dict)
    views: dict[Var, Var] = field(default_factory=dict)
    constants: dict[Var, np.ndarray] = field(default_factory=dict)
    targets: dict[Var, Input] = field(default_factory=dict)
    copied: dict[int, Input] = field(default_factory=dict)
    in_new: set[Var] = field(default_factory=set)
    onto: dict[Var, Var] = field(default_factory=dict)
    work: dict[Instruction, Buffer] = field(default_factory=dict)
    strides: dict[Var, tuple[int, ...]] = field(default_factory=dict)
    last: dict[Var, int] = field(default_factory=dict)
    nbytes: int = 0
    unshared: int = 0

    @property
    def allocated(self) -> int:
        """The bytes that each call allocates."""
        made = [var for instruction in self.program if not instruction.function.view for var in instruction.outputs]
        return sum(v.nbytes for v in made if not (v in self.buffers or v in self.constants or v in self.targets))


def expanded(program: Program) -> Program:
    """A program of new instructions, with those of its fused groups in the place of the groups, and with those that
    write parts in the place of what puts them together."""
    now: dict[Var, Var] = {}
    instructions: list[Instruction] = []

    def write(instruction: Instruction) -> None:
        inputs = [now.get(var, var) for var in instruction.inputs]
        if isinstance(instruction.function, Fused):
            body = instruction.function.body
            now.update(zip(body.inputs, inputs))
            for each in body:
                write(each)
            now.update((outer, now.get(inner, inner)) for outer, inner in zip(instruction.outputs, body.outputs))
            return
        outputs = [(var.shape, var.dtype) for var in instruction.outputs]
        made = Instruction(instruction.function, inputs, outputs, instruction.line)
        instructions.extend(in_parts(made) or [made])
        now.update(zip(instruction.outputs, instructions[-1].outputs))

    for instruction in program:
        write(instruction)
    return Program(program.inputs, instructions, [now.get(var, var) for var in program.outputs], program.in_place)


def plan(program: Program, alone: bool = True) -> Plan:
    """Decide where each array of a program lies.  `alone`: no other thread runs it at the same time for the same call,
    so sums may be left to BLAS, which has threads of its own."""
    program = expanded(in_blocks(program))
    program = _kept_apart(sums_as_products(program) if alone else program)
    made = Plan(program)
    memory = memories(program)
    last = last_reads(program, memory)
    _choose_targets(made, memory, last)
    made.in_new = {_shown_by(var) for i, var in enumerate(program.outputs) if i not in program.in_place}
    _write_on(made, last)
    layouts = _layouts(made)
    made.strides = {var: array.strides for var, array in layouts.items()}
    memory = memories(program, made.buffers)
    made.last = last_reads(program, memory)
    _place(made, layouts, memory)
    return made


# --------------------------------------------------------------------------------------------------------------------
# What lies in whose memory


def memories(program: Program, made: Container[Var] = ()) -> dict[Var, frozenset[Var]]:
    """For each array, the arrays in whose memory it lies or may lie: its own, or that of what it is a view of.

    `made` are results of functions that otherwise give views, but have to copy here.
    """
    memory: dict[Var, frozenset[Var]] = {var: frozenset([var]) for var in program.inputs}
    for var in (*[var for instruction in program for var in instruction.inputs], *program.outputs):
        if isinstance(var, Constant):
            memory[var] = frozenset([var])
    for instruction in program:
        shared: frozenset[Var] = frozenset()
        if instruction.function.may_alias:
            shared = shared.union(*[memory[var] for var in instruction.inputs])
        for var in instruction.outputs:
            memory[var] = shared | {var}
        if instruction.function.view and instruction.output not in made:
            memory[instruction.output] = memory[instruction.inputs[0]]
    return memory


def _shown_by(var: Var) -> Var:
    """What an array is a view of."""
    while var.source is not None and var.source.function.view:
        var = var.source.inputs[0]
    return var


def last_reads(program: Program, memory: dict[Var, frozenset[Var]]) -> dict[Var, int]:
    """For each array, the number of the last instruction that reads its memory (its own, if none does)."""
    last: dict[Var, int] = {}
    for i, instruction in enumerate(program):
        for var in (*instruction.inputs, *instruction.outputs):
            for root in memory[var]:
                last[root] = i
    for var in program.outputs:
        for root in memory[var]:
            last[root] = len(program)
    return last


def _kept_apart(program: Program) -> Program:
    """With copies of outputs that lie in the memory of an input which the program writes into."""
    if not program.in_place:
        return program
    memory = memories(program)
    written = set(program.in_place.values())
    copies: dict[Var, Instruction] = {}
    outputs = list(program.outputs)
    for i, var in enumerate(outputs):
        if program.in_place.get(i) is var or not memory[var] & written:
            continue
        if var not in copies:
            copies[var] = Instruction(Copy(), [var], [(var.shape, var.dtype)])
        outputs[i] = copies[var].output
    first = [copies[var] for var in program.inputs if var in copies]
    instructions = first + [
        each
        for instruction in program
        for each in (instruction, *[copies[var] for var in instruction.outputs if var in copies])
    ]
    return Program(program.inputs, instructions, outputs, program.in_place)


# --------------------------------------------------------------------------------------------------------------------
# Where results are written


def is_of_bits(instruction: Instruction) -> bool:
    """Whether a `Where` is computed from bits: a mask of all ones or zeros cuts out the bits of either side.

    NumPy's own way branches at each element, which takes ten times as long where the condition is hard to foresee.
    """
    if not isinstance(instruction.function, Where):
        return False
    out = instruction.output
    if out.size < FEW or out.dtype.itemsize not in (2, 4, 8):
        return False
    condition, a, b = instruction.inputs
    return condition.dtype == bool and a.dtype == b.dtype == out.dtype and out.dtype.isnative


def is_zero(var: Var) -> bool:
    """Whether an array is the constant of which no bit is set."""
    return isinstance(var, Constant) and var.ndim == 0 and not any(var.array.tobytes())


def overwritable(instruction: Instruction, var: Var) -> tuple[Var, ...]:
    """The operands in whose memory the result `var` may be written while it is computed."""
    if isinstance(instruction.function, GROUPS):
        numbers = instruction.function.overwritable(instruction.outputs.index(var))
        return tuple([instruction.inputs[j] for j in numbers])
    if isinstance(instruction.function, Where):
        return () if is_of_bits(instruction) else instruction.inputs[2:]
    if isinstance(instruction.function, Assign):
        return instruction.inputs[:1]
    return instruction.inputs if instruction.function.elementwise else ()


def _choose_targets(made: Plan, memory, last: dict[Var, int]) -> None:
    """Write an output into the memory of its input straight away, if nobody reads any more what was there."""
    program = made.program
    places = {instruction: i for i, instruction in enumerate(program)}
    # What may raise an error comes first: a call that ends in one has changed nothing
    free = [i for i, each in enumerate(program) if not (each.function.view or isinstance(each.function, WRITES))]
    first = free[-1] + 1 if free else 0
    for i, target in program.in_place.items():
        var = program.outputs[i]
        if var is target:
            continue
        sharing = sum(bool(memory[each] & memory[var]) for each in program.outputs)
        if var.source is not None and sharing == 1 and (var.shape, var.dtype) == (target.shape, target.dtype):
            at, read = places[var.source], last.get(target, -1)
            reading = [each for each in var.source.inputs if target in memory[each]]
            over = overwritable(var.source, var)
            may_overlap = all(each is target for each in reading) and (len(reading) == 1 or var.source.inputs == over)
            if (
                at >= first
                and isinstance(var.source.function, WRITES)
                and (read < at or (read == at and target in over and may_overlap))
            ):
                made.targets[var] = target
                continue
        made.copied[i] = target


def _write_on(made: Plan, last: dict[Var, int]) -> None:
    """Let assignments into something that is handed back in the end work in one memory."""
    for i, instruction in reversed(list(enumerate(made.program))):
        if not isinstance(instruction.function, Assign) or instruction.output not in made.in_new:
            continue
        base, value = instruction.inputs
        writes = base.source is not None and isinstance(base.source.function, (Ufunc, Cast, Matmul, Assign))
        if writes and base not in made.in_new and base not in made.targets and last[base] == i and value is not base:
            made.in_new.add(base)
            made.onto[instruction.output] = base


def _layouts(made: Plan) -> dict[Var, np.ndarray]:
    """The arrays that lie in scratch, as they lie there: unused memory with their strides.  Fills `made.buffers`, with
    no place yet, `made.views` and `made.constants`."""
    layouts: dict[Var, np.ndarray] = {}
    constants = made.constants
    for instruction in made.program:
        function = instruction.function
        constants.update((var, var.array) for var in instruction.inputs if isinstance(var, Constant))
        if not (function.view or isinstance(function, WRITES)):
            continue  # it gives memory of its own
        if isinstance(function, GROUPS):
            for var in instruction.outputs:
                if var not in made.in_new and var not in made.targets:
                    _lay(made, layouts, var, tuple(range(var.ndim)))
            continue
        var = instruction.output
        base = instruction.inputs[0] if instruction.inputs else None
        if function.view and base in constants:
            constants[var] = np.asarray(function(constants[base]))
        elif function.view and base in layouts:
            view = np.asarray(shown(function, var, layouts[base]))
            if not var.size or np.may_share_memory(view, layouts[base]):
                layouts[var], made.views[var] = view, base
            else:
                _lay(made, layouts, var, tuple(range(var.ndim)))
        elif isinstance(function, Full) and var not in made.in_new and var not in made.targets:
            constants[var] = np.broadcast_to(np.asarray(function.value, function.dtype), function.shape)
        elif not function.view and var not in made.in_new and var not in made.targets:
            _lay(made, layouts, var, _axes(instruction, layouts))
    constants.update((var, var.array) for var in made.program.outputs if isinstance(var, Constant))
    return layouts


def shown(function: Function, var: Var, array: np.ndarray) -> np.ndarray:
    """A view, as an array even if it has no axes."""
    if isinstance(function, Index) and not var.ndim:
        key = function.key_ if isinstance(function.key_, tuple) else (function.key_,)
        return array[key if ... in key else (*key, ...)]
    return function(array)


def _lay(made: Plan, layouts: dict[Var, np.ndarray], var: Var, axes: tuple[int, ...]) -> None:
    made.buffers[var] = Buffer(-1, var.shape, var.dtype, axes)
    if axes == tuple(range(var.ndim)):
        layouts[var] = np.empty(var.shape, var.dtype)
        return
    layouts[var] = np.empty([var.shape[i] for i in axes], var.dtype).transpose(np.argsort(axes).tolist())


def _axes(instruction: Instruction, layouts: dict[Var, np.ndarray]) -> tuple[int, ...]:
    """The order of axes of a result: that of its operands, where they agree."""
    var = instruction.output
    straight = tuple(range(var.ndim))
    if var.ndim < 2 or not instruction.function.elementwise or isinstance(instruction.function, Copy):
        return straight
    found = set()
    for operand in instruction.inputs:
        if operand.shape == var.shape:
            strides = layouts[operand].strides if operand in layouts else None
            found.add(straight if strides is None else tuple(sorted(straight, key=lambda axis: -strides[axis])))
    return found.pop() if len(found) == 1 else straight


def _place(made: Plan, layouts: dict[Var, np.ndarray], memory: dict[Var, frozenset[Var]]) -> None:
    """Give each buffer its place, first come first served."""
    dying: dict[int, list[Var]] = {}
    for root, i in made.last.items():
        dying.setdefault(i, []).append(root)
    scratch, slots = _Memory(), dict[Var, tuple[int, int]]()
    for i, instruction in enumerate(made.program):
        for var in instruction.outputs:
            if var in made.buffers:
                over = _overwritten(instruction, var, i, made, memory, slots)
                slots[var] = scratch.take(var.nbytes) if over is None else slots.pop(over)
                made.buffers[var] = replace(made.buffers[var], offset=slots[var][0])
                made.unshared += var.nbytes
        if is_of_bits(instruction) and not any(map(is_zero, instruction.inputs)):
            out = instruction.output
            place = scratch.take(out.nbytes)
            scratch.give(place)
            made.work[instruction] = Buffer(place[0], out.shape, bits_of(out.dtype), _axes(instruction, layouts))
        for root in dying.get(i, ()):
            if root in slots:
                scratch.give(slots.pop(root))
    made.nbytes = scratch.size


def bits_of(dtype: np.dtype) -> np.dtype:
    """The whole numbers of the same size."""
    return np.dtype(f"i{dtype.itemsize}")


def _overwritten(instruction: Instruction, var: Var, i: int, made: Plan, memory, slots) -> Var | None:
    """The operand whose place the result can take."""
    buffer = made.buffers[var]
    for operand in overwritable(instruction, var):
        beside = [each for each in instruction.inputs if operand in memory[each]]
        if (
            operand in slots
            and made.last[operand] == i
            and replace(made.buffers[operand], offset=-1) == buffer
            and all(each is operand for each in beside)
            and (len(beside) == 1 or instruction.inputs == overwritable(instruction, var))
        ):
            return operand
    return None


class _Memory:
    """Places in one block of bytes, given out and taken back."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []  # (start, end), in order
        self.size = 0

    def take(self, nbytes: int) -> tuple[int, int]:
        """The tightest gap that is large enough."""
        need = max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT
        best, at, end = None, len(self.taken), 0
        for i, (start, stop) in enumerate(self.taken):
            gap = start - end
            if gap >= need and (best is None or gap < best[0]):
                best, at = (gap, end), i
            end = stop
        start = end if best is None else best[1]
        place = (start, start + need)
        self.taken.insert(at, place)
        self.size = max(self.size, place[1])
        return place

    def give(self, place: tuple[int, int]) -> None:
        self.taken.remove(place)
