"""The iteration space of a fused group: which axes its loops run over, and where in them each array belongs.

A group's axes are ordered, outermost first.  An array of the group lies along some of them, named here by its axes
longer than 1; axes of length 1 say nothing.  What a group computes lies along all axes, or along the first few of them
(one number for each row: a row's maximum, its sum), and its loops are nested accordingly.
"""

from __future__ import annotations

from .functions import BroadcastTo, Full, Index, Reduce, Reshape
from .ir import Constant, Instruction, Var

LONGEST_ROW = 16384  # a sum over everything is one row, that the rest of the group may use, up to this many elements


class Axis:
    """One loop."""

    __slots__ = ("extent",)

    def __init__(self, extent: int):
        self.extent = extent

    def __repr__(self) -> str:
        return f"Axis({self.extent})"


class _Repeated:
    """Along a dimension that BroadcastTo has made: it belongs to whatever axis it meets."""


REPEATED = _Repeated()


def long_axes(shape: tuple[int, ...]) -> list[int]:
    return [i for i, n in enumerate(shape) if n != 1]


def is_free(instruction: Instruction | None) -> bool:
    """Whether the instruction costs nothing within a group: constants, and views that repeat elements or that only
    insert or remove axes of length 1."""
    if instruction is None:
        return False
    function = instruction.function
    if isinstance(function, (Full, BroadcastTo)):
        return True
    if isinstance(function, (Reshape, Index)):
        a, b = instruction.inputs[0].shape, instruction.output.shape
        if [a[i] for i in long_axes(a)] != [b[i] for i in long_axes(b)]:
            return False
        return isinstance(function, Reshape) or _keeps_all(function.key_)
    return False


def _keeps_all(key) -> bool:
    """Whether a key of the right result shape takes every element where it is: no slice goes backwards."""
    keys = key if isinstance(key, tuple) else (key,)
    return all(not isinstance(each, slice) or each.step is None or each.step > 0 for each in keys)


def base_of(var: Var) -> Var:
    """The array under the free views; a constant's own array, if it is one."""
    while is_free(var.source) and var.source.inputs:  # type: ignore[union-attr]
        var = var.source.inputs[0]  # type: ignore[union-attr]
    return var


def is_number(var: Var) -> bool:
    """Whether it is one constant number, however often repeated."""
    if isinstance(var, Constant):
        return var.ndim == 0
    return var.source is not None and isinstance(var.source.function, Full)


def number_of(var: Var):
    """That number."""
    base = base_of(var)
    return base.scalar if isinstance(base, Constant) else base.source.function().reshape(-1)[0].item()  # type: ignore


class Space:
    """The loops of a group, as far as its instructions are known.

    Attributes:
        axes: the loops, outermost first.
        lies: for each array that the group computes, the axes that it lies along.
        reads: the arrays from outside, each with the axes that it lies along (one may come in two ways).
        split: the number of axes over which rows are counted, where rows are reduced: what is reduced over all other
            axes is known when the row has been gone through, and the row may be gone through again.
        late: the arrays that are known only when all loops have ended: one number each.
        ended: the arrays that are known only then and have more than one element; the group cannot use them itself.
    """

    def __init__(self) -> None:
        self.axes: list[Axis] = []
        self.lies: dict[Var, tuple[Axis, ...]] = {}
        self.reads: dict[tuple[Var, tuple[Axis, ...]], None] = {}
        self.split: int | None = None
        self.late: set[Var] = set()
        self.ended: set[Var] = set()
        self.taken: dict[tuple[Instruction, Var], tuple[Var, tuple[Axis, ...]]] = {}  # for an operand: what is read
        self._reduced = False

    def admit(self, instruction: Instruction) -> bool:
        """Take the instruction into the group, if it fits."""
        if isinstance(instruction.function, Reduce):
            return self._admit_reduction(instruction)
        return self._admit_elementwise(instruction)

    # Where arrays lie

    def along(self, var: Var) -> list[Axis | _Repeated | None] | None:
        """For each dimension of an array made in the group, the axis it belongs to; None for length 1."""
        chain = []
        while var not in self.lies:
            if not is_free(var.source) or not var.source.inputs:  # type: ignore[union-attr]
                return None
            chain.append(var)
            var = var.source.inputs[0]  # type: ignore[union-attr]
        found: list = [None] * var.ndim
        for i, axis in zip(long_axes(var.shape), self.lies[var]):
            found[i] = axis
        for view in reversed(chain):
            found = _through(view, found)
        return found

    def _hint(self, var: Var) -> list | None:
        """As `along`, for an array from outside that the group reads already."""
        base = base_of(var)
        for read, axes in self.reads:
            if read is base:
                found: list = [None] * base.ndim
                for i, axis in zip(long_axes(base.shape), axes):
                    found[i] = axis
                chain = []
                while var is not base:
                    chain.append(var)
                    var = var.source.inputs[0]  # type: ignore[union-attr]
                for view in reversed(chain):
                    found = _through(view, found)
                return found
        return None

    def _read(self, var: Var, along: list) -> tuple[Var, tuple[Axis, ...]]:
        """What is read for `var`, whose dimensions belong to the axes `along`: the array below the views."""
        while is_free(var.source) and var.source.inputs:  # type: ignore[union-attr]
            below = var.source.inputs[0]  # type: ignore[union-attr]
            if isinstance(var.source.function, BroadcastTo):  # type: ignore[union-attr]
                along = along[len(along) - below.ndim :] if below.ndim else []
                along = [None if n == 1 else axis for n, axis in zip(below.shape, along)]
            else:
                axes = iter([along[i] for i in long_axes(var.shape)])
                along = [None if n == 1 else next(axes) for n in below.shape]
            var = below
        return var, tuple([axis for axis in along if axis is not None])

    def _placed(self, shape: tuple[int, ...], operands: list[Var]) -> list[Axis | None] | None:
        """The axis of each dimension of a result of this shape, from where the operands lie; None: they disagree."""
        known = [(var.ndim, self.along(var)) for var in operands]
        hints: list | None = None
        placed: list[Axis | None] = [None] * len(shape)
        for i in long_axes(shape):
            axes = {
                axis
                for ndim, along in known
                if along is not None and i - len(shape) >= -ndim
                for axis in [along[i - len(shape)]]
                if isinstance(axis, Axis)
            }
            if len(axes) > 1:
                return None
            if axes:
                (placed[i],) = axes
                continue
            if hints is None:
                hints = [(var.ndim, self._hint(var)) for var in operands if self.along(var) is None]
            for ndim, along in hints:
                if along is not None and i - len(shape) >= -ndim and isinstance(along[i - len(shape)], Axis):
                    placed[i] = along[i - len(shape)]
                    break
        if all(axis is None for axis in placed):
            extents = [shape[i] for i in long_axes(shape)]
            if extents == [axis.extent for axis in self.axes]:
                for i, axis in zip(long_axes(shape), self.axes):
                    placed[i] = axis
        return placed

    def _grown(self, shape: tuple[int, ...], placed: list[Axis | None]) -> list[Axis] | None:
        """The axes of the group with those that this result brings; None if they do not fit."""
        result = [placed[i] or Axis(shape[i]) for i in long_axes(shape)]
        for i, axis in zip(long_axes(shape), result):
            placed[i] = axis
        fresh = [axis for axis in result if axis not in self.axes]
        if not fresh:
            order = [self.axes.index(axis) for axis in result]
            return self.axes if order == sorted(set(order)) else None
        if self.axes and (self._reduced or result[: len(self.axes)] != self.axes):
            return None
        return result

    # Instructions

    def _admit_elementwise(self, instruction: Instruction) -> bool:
        operands = [var for var in instruction.inputs if not is_number(base_of(var))]
        bases = [base_of(var) for var in operands]
        if any(base in self.ended for base in bases):
            return False
        shape = instruction.output.shape
        if late := any(base in self.late for base in bases):
            if long_axes(shape) or any(self.lies.get(base) for base in bases):
                return False
        placed = self._placed(shape, operands)
        axes = None if placed is None else self._grown(shape, placed)
        if axes is None or placed is None:
            return False
        lies = tuple([axis for axis in placed if axis is not None])
        if lies != tuple(axes[: len(lies)]):
            return False
        self.axes = axes
        self._take_reads(instruction, operands, placed)
        self.lies[instruction.output] = lies
        if late:
            self.late.add(instruction.output)
        return True

    def _take_reads(self, instruction: Instruction, operands: list[Var], placed: list) -> None:
        for var in operands:
            if base_of(var) not in self.lies:
                along = placed[len(placed) - var.ndim :] if var.ndim else []
                read = self._read(var, [None if n == 1 else a for n, a in zip(var.shape, along)])
                self.reads[read] = None
                self.taken[instruction, var] = read

    def _admit_reduction(self, instruction: Instruction) -> bool:
        (a,) = instruction.inputs
        base = base_of(a)
        if base in self.ended or base in self.late or is_number(base):
            return False
        along = self.along(a)
        if along is not None and any(axis is REPEATED for axis in along):
            return False
        placed = self._placed(a.shape, [a])
        axes = None if placed is None else self._grown(a.shape, placed)
        if axes is None or placed is None:
            return False
        function = instruction.function
        over = {placed[i] for i in function.axis if placed[i] is not None}
        kept = tuple([axis for i, axis in enumerate(placed) if axis is not None and axis not in over])
        rows = len(kept)
        size = a.size
        within_rows = (
            kept == tuple(axes[:rows])
            and over == set(axes[rows:])
            and (self.split is None or self.split == rows)
            and (rows > 0 or size <= LONGEST_ROW)
        )
        self.axes = axes
        self._take_reads(instruction, [a], placed)
        self._reduced = True
        made = instruction.output
        self.lies[made] = kept
        if not over and kept == tuple(axes[:rows]):
            pass  # over axes of length 1: nothing to wait for
        elif within_rows:
            self.split = rows
        elif kept:
            self.ended.add(made)
        else:
            self.late.add(made)
        return True


def _through(view: Var, along: list) -> list:
    """Where the dimensions of a free view lie, given those of what it shows."""
    below = view.source.inputs[0]  # type: ignore[union-attr]
    if isinstance(view.source.function, BroadcastTo):  # type: ignore[union-attr]
        ahead = view.ndim - below.ndim
        return [
            None if n == 1 else REPEATED if i < ahead or below.shape[i - ahead] == 1 else along[i - ahead]
            for i, n in enumerate(view.shape)
        ]
    axes = iter([along[i] for i in long_axes(below.shape)])
    return [None if n == 1 else next(axes) for n in view.shape]
