"""A fused group as a function of arrays, shared among threads where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .. import pool
from ..ir import Program
from .calling import HEADER
from .elements import cost_of
from .library import LINE, bound, library
from .loops import Kernel, kernel
from .schedule import Schedule
from .team import is_possible, team

LONG = 10e-6  # seconds above which a kernel lets other threads of Python's run
WORTH_TEAM = 12e-6  # seconds below which handing half of it to a team is not won back
WORTH_THREADS = 100e-6  # the same for threads of Python's
_ADDITION, _BYTE = 0.015e-9, 0.03e-9  # seconds, for one of many elements


class CompiledKernel:
    """A compiled body.

    `call(*inputs, *results)` computes, and gives True.  All arrays must have the shapes and dtypes of the body's, and
    the strides that were given, or lie in C order.

    Args:
        body: the program of a `Fused`.
        strides: for each input its strides in elements, None for C order.
        shared: results, by their number, that lie in the memory of an input, by its number (see `overwritable`).
        unknown: arguments that are to be looked at: if one does not have these strides, nothing is done and the call
            gives False; `arranged` does it then.

    Attributes:
        sizes: what the kernel is bound to; None if several threads share its work.
    """

    def __init__(
        self,
        body: Program,
        strides: list[tuple[int, ...] | None] | None = None,
        shared: dict[int, int] | None = None,
        unknown: Iterable[int] = (),
    ):
        self.body, self.shared = body, shared or {}
        self.schedule = schedule = Schedule(body, strides)
        self.seconds = seconds(schedule)
        self.kernel: Kernel = kernel(schedule, self.shared, unknown)
        self.key = self.kernel.text, *self.kernel.sizes  # two with the same compute the same
        length = self.kernel.length
        together = is_possible()
        least = WORTH_TEAM if together else WORTH_THREADS
        parts = min(pool.WORKERS, length // 2, int(2 * self.seconds / least))
        if parts < 2:
            self.sizes: np.ndarray | None = np.array(self._sizes(0, length, 0, 1), np.int64)
            self.call: Callable[..., bool] = bound(library().address(self.kernel.text), self.sizes)
            return
        self.sizes = None
        self.kernel = kernel(schedule, self.shared, unknown, divided=True, team=together)
        cuts = [length * i // parts for i in range(parts + 1)]
        if together:
            rows = [self._sizes(cuts[i], cuts[i + 1], i, 0) for i in range(parts)]
            rows.append(self._sizes(0, 0, parts, parts))
            self.call = by_team(self.kernel.text, rows, parts, 8 * self.kernel.slots * (parts + 1))
            return
        last = self._part(0, 0, parts, parts)
        each = [self._part(cuts[i], cuts[i + 1], i, 0) for i in range(parts)]
        self.call = _divided(each, last, self.kernel.slots)

    def _sizes(self, start: int, stop: int, part: int, parts: int) -> list[int]:
        return [start, stop, part, parts, int(self.seconds > LONG), *self.kernel.sizes]

    def _part(self, *part: int) -> Callable[..., bool]:
        return bound(library().address(self.kernel.text), np.array(self._sizes(*part), np.int64))

    def arranged(self, *arrays: np.ndarray) -> None:
        """The call for arrays in any order in memory."""
        n = len(self.body.inputs)
        strides = [self.schedule.given(var) for var in self.body.inputs] + [None] * (len(arrays) - n)
        straight = [arranged(array, steps) for array, steps in zip(arrays, strides)]
        self.call(*straight)
        for i, result in enumerate(arrays[n:]):
            made = straight[self.shared.get(i, n + i)]
            if made is not result:
                result[...] = made


def by_team(
    text: str, rows: list[list[int]], parts: int, nbytes: int, around: tuple[int, int, int] = (0, 0, 0)
) -> Callable[..., bool]:
    """The call of a kernel that a team does.

    Args:
        rows: the sizes for each part, and for the call that combines them.
        nbytes: of the memory that the parts work in.
        around: the addresses of functions to be called before and after, and of what they are given.
    """
    helpers = team()
    table = np.zeros((len(rows) + 1, max(HEADER, len(rows[0]))), np.int64)
    table[0, :HEADER] = [helpers.memory, helpers.run, parts, table.strides[0], nbytes + LINE, *around]
    for i, row in enumerate(rows):
        table[i + 1, : len(row)] = row
    return bound(library().address(text), table)


def _divided(parts: list[Callable[..., bool]], last: Callable[..., bool], slots: int) -> Callable[..., bool]:
    """The call of a kernel whose parts are done by several threads."""

    def call(*arrays: np.ndarray) -> bool:
        if slots:
            arrays = (*arrays, np.empty(slots * (len(parts) + 1)))
        done: list[bool] = []
        pool.share(lambda i: done.append(parts[i](*arrays)), len(parts))
        return all(done) and (not slots or last(*arrays))

    return call


def arranged(array: np.ndarray, strides: tuple[int, ...] | None) -> np.ndarray:
    """The array, or a copy, with these strides in elements; None for C order."""
    if strides is None:
        return np.require(array, requirements=["C", "A"])
    if array.flags.aligned and all(
        n == 1 or a == b * array.itemsize for n, a, b in zip(array.shape, array.strides, strides)
    ):
        return array
    below = sum(min((n - 1) * step, 0) for n, step in zip(array.shape, strides))
    above = sum(max((n - 1) * step, 0) for n, step in zip(array.shape, strides))
    memory = np.empty(above - below + 1, array.dtype)
    steps = [step * array.itemsize for step in strides]
    made = np.lib.stride_tricks.as_strided(memory[-below:], array.shape, steps)
    made[...] = array
    return made


def seconds(schedule: Schedule) -> float:
    """About how long a kernel takes, on one core."""
    sizes = [1]
    for extent in schedule.extents:
        sizes.append(sizes[-1] * extent)
    work = sum(sizes[schedule.depth(step)] * cost_of(step) for step in schedule.steps)
    memory = sum(var.nbytes for var in (*schedule.body.inputs, *schedule.body.outputs))
    return max(work * _ADDITION, memory * _BYTE)


def overwritable(schedule: Schedule, i: int) -> list[int]:
    """The inputs, by their numbers, in whose memory result i may be written: an element is read, if at all, right
    before it is written."""
    body, space = schedule.body, schedule.space
    result = body.outputs[i]
    if space.split is not None or result in space.ended or space.lies[result] != tuple(space.axes):
        return []
    kind = result.shape, result.dtype
    found = []
    for j, var in enumerate(body.inputs):
        ways = [lies for read, lies in space.reads if read is var]
        if (var.shape, var.dtype) == kind and ways == [tuple(space.axes)]:
            found.append(j)
    return found
