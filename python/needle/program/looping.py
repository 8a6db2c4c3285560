"""Loops whose steps are kernels, small products and copies: native code goes from one step to the next.

The carry lies in two memories that change their roles: a step reads what the last one wrote and writes into the other.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequence_
from dataclasses import replace

import numpy as np

from .control import Loop, While
from .emit import Emitter, aligned
from .ir import Var
from .kernels import Move, Place, Sequence, copy_operation, run_table
from .kernels.kernel import LONG
from .kernels.sequence import ENDED, LONG_WORK, START, STOP, Operation
from .plan import ALIGNMENT

AT_ONCE = 5e-3  # seconds after which a loop comes back to Python, which may have been interrupted
_CALL = 20e-9  # seconds that an operation takes at least


def in_one_call(loop: Loop | While, *emitters: Emitter) -> Callable | None:
    """The loop as a function of arrays, without Python between the steps; None if a step needs Python.  `emitters` are
    those of the loop's programs."""
    for emitter in emitters:
        if any(step.operations is None for step in emitter.steps):
            return None
    ends = _Ends(loop, *emitters)
    if not ends.found() or not ends.sequence.operations:
        return None
    sequence, moves, made, carried = ends.sequence, ends.moves, ends.made, loop.carried
    length = loop.length if isinstance(loop, Loop) else None
    sources = [ends.sources[root] for root in sequence.roots]
    inputs, ys = ends.program.inputs, ends.program.outputs[carried:]
    pairs = [((2, *var.shape), var.dtype) for var in inputs[:carried]]
    rows = [((length or 0, *var.shape), var.dtype) for var in ys]
    seconds = sequence.seconds + _CALL * len(sequence.operations)
    between = max(int(AT_ONCE / seconds), 1)
    run, empty = run_table(), np.empty
    free: list[tuple] = []  # tables, their scratch, and room for results of a step that leave the loop in another form

    def call(*arrays: np.ndarray) -> tuple:
        carry = [empty(shape, dtype) for shape, dtype in pairs]
        for pair, first in zip(carry, arrays):
            pair[1] = first
        results = [empty(shape, dtype) for shape, dtype in rows]
        try:
            held = free.pop()
        except IndexError:
            memory = aligned(ends.nbytes)
            held = sequence.table(memory, moves), memory, [empty(var.shape, var.dtype) for var in made]
        table, _, room = held
        groups = carry, [straight(array) for array in arrays[carried:]], results, room
        brought = [groups[kind][i] for kind, i in sources]
        done, table[ENDED] = 0, 0
        while done != length and not table[ENDED]:
            stop = done + between if length is None else min(done + between, length)
            table[START], table[STOP], table[LONG_WORK] = done, stop, seconds * (stop - done) > LONG
            run(table, *brought)
            done = stop
        if length is None:
            done = int(table[START])
        free.append(held)
        return (*[pair[(done - 1) & 1, ...] for pair in carry], *results)

    return call


def straight(array: np.ndarray) -> np.ndarray:
    """The array, or a copy, in C order."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else np.require(array, requirements=["C", "A"])


_CARRY, _REST, _RESULTS, _ROOM = range(4)


class _Ends:
    """What goes into a step and what comes out of it.

    Attributes:
        sequence: the operations of a step, with those that bring its results where they belong.
        sources: for each array that a step is handed, which one it is among carry, other arguments, results, or room.
        moves: how those move on from step to step.
        made: results of a step that are new memory and do not leave the loop as they are.
    """

    def __init__(self, loop: Loop | While, *emitters: Emitter):
        self.loop = loop
        *conditions, emitter = emitters
        self.program = emitter.plan.program
        self.places = emitter.places()
        self.steps = emitter.steps
        self.nbytes = -(-emitter.plan.nbytes // ALIGNMENT) * ALIGNMENT
        self.sequence = Sequence()
        self.sources: dict[object, tuple[int, int]] = {}
        self.moves: dict[object, Move] = {}
        self.made: list[Var] = []
        for condition in conditions:
            self._ends_unless(condition)
            self.nbytes += condition.plan.nbytes

    def found(self) -> bool:
        """Whether all of it has its place."""
        loop = self.loop
        self._begin(self.program.inputs)
        operations = [each for step in self.steps for each in step.operations or ()]
        copies = []
        for i, var in enumerate(self.program.outputs):
            straightaway = self.places.is_fresh(var) and var not in self.sources
            root: object = var if straightaway else (i, var)
            if i < loop.carried:
                given = self.program.inputs[i]
                if (given.shape, given.dtype) != (var.shape, var.dtype):
                    return False
                self.sources[root], self.moves[root] = (_CARRY, i), Move(0, 0, var.nbytes)
            else:
                self.sources[root], self.moves[root] = (_RESULTS, i - loop.carried), self._along(var)
            if not straightaway:
                strides = np.empty(var.shape, var.dtype).strides
                copy = copy_operation(Place(var.shape, strides, var.dtype, 0, root), self.places.place(var))
                if copy is None:
                    return False
                copies.append(copy)
        self.sequence.add([*operations, *copies])
        for root in self.sequence.roots:
            if root not in self.sources:
                if not isinstance(root, Var):
                    return False
                self.sources[root] = _ROOM, len(self.made)
                self.made.append(root)
        return True

    def _begin(self, inputs: Sequence_[Var]) -> None:
        """Where a step finds the inputs of a program."""
        loop = self.loop
        scanned = loop.scanned if isinstance(loop, Loop) else 0
        for i, var in enumerate(inputs):
            if i < loop.carried:
                self.sources[var], self.moves[var] = (_CARRY, i), Move(var.nbytes, 0, -var.nbytes)
                continue
            self.sources[var] = _REST, i - loop.carried
            if i < loop.carried + scanned:
                self.moves[var] = self._along(var)

    def _ends_unless(self, condition: Emitter) -> None:
        """The operations that say whether there is another step.  Their scratch lies behind that of the step."""
        self._begin(condition.plan.program.inputs)
        (holds,) = condition.plan.program.outputs
        test = Operation(0, [condition.places().place(holds)])
        for operation in [*[each for step in condition.steps for each in step.operations or ()], test]:
            record = [
                replace(item, offset=item.offset + self.nbytes)
                if isinstance(item, Place) and item.root is None and item.array is None
                else item
                for item in operation.record
            ]
            self.sequence.add([replace(operation, record=record)])

    def _along(self, var: Var) -> Move:
        """How a loop goes along the rows of an array."""
        assert isinstance(self.loop, Loop)
        return Move((self.loop.length - 1) * var.nbytes, -var.nbytes) if self.loop.reverse else Move(0, var.nbytes)
