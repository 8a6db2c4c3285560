"""Views: chains of them as one, those that change nothing gone, repetition put off to where it costs least."""

from __future__ import annotations

import copy
import math

import numpy as np

from ..functions import BroadcastTo, Cast, Copy, Full, Index, Reshape, Transpose, Ufunc, Where
from ..ir import Constant, Function, Instruction, Var
from .rewriting import Rule, Walk, source, squeezed, uniform
from .selection import Selection


def copied_for_nothing(walk: Walk, instruction: Instruction) -> Var | None:
    """A copy is its original: nobody writes here.  (Outputs that must not share memory are parted at the end.)

    A copy stays if it is to be written into, or if it lays out in order what a view shows in disorder, for a shape that
    needs it, for BLAS, or for a function of which nothing is known.
    """
    (a,), output = instruction.inputs, instruction.output
    if output in walk.bases:
        return None
    if (
        a.source is None
        or not a.source.function.view
        or (output not in walk.reshaped_ones and output not in walk.laid_out)
    ):
        return a
    shown = source(a, Transpose)  # BLAS takes a matrix either way round
    is_matrix = shown is not None and shown.function.axes[:-2] == tuple(range(a.ndim - 2))
    return a if is_matrix and output not in walk.reshaped_ones else None


def reshape(walk: Walk, instruction: Instruction) -> Var | None:
    """The last of several shapes; none at all if it is the first."""
    (a,), shape = instruction.inputs, instruction.output.shape
    while inner := source(a, Reshape):
        (a,) = inner.inputs
    if a.shape == shape:
        return a
    if a is not instruction.inputs[0]:
        return walk.reshaped(a, shape)
    if a.source is not None and isinstance(a.source.function, Full) and walk.is_single(a):
        full = copy.copy(a.source.function)
        full.shape = shape
        return walk.emit(full, [], shape, a.dtype)
    if (inner := source(a, BroadcastTo)) and squeezed(a.shape) == squeezed(shape):
        return _reshape_below(walk, inner.inputs[0], a.shape, shape)
    return None


def _reshape_below(walk: Walk, a: Var, before: tuple[int, ...], shape: tuple[int, ...]) -> Var:
    """`a` repeated to the shape `before` and given another, which differs in axes of length 1: the other way round."""
    lengths = iter([n for n, whole in zip((1,) * (len(before) - a.ndim) + a.shape, before) if whole != 1])
    small = tuple([1 if n == 1 else next(lengths) for n in shape])
    return walk.broadcast(walk.reshaped(a, small), shape)


def transpose(walk: Walk, instruction: Instruction) -> Var | None:
    """One order of the axes, and none if it is the old one."""
    (a,), axes = instruction.inputs, instruction.function.axes
    if axes == tuple(range(a.ndim)):
        return a
    if inner := source(a, Transpose):
        axes = tuple([inner.function.axes[i] for i in axes])
        return walk.emit(Transpose(axes), inner.inputs, instruction.output.shape, a.dtype)
    moved = [i for i in axes if a.shape[i] != 1]
    return walk.reshaped(a, instruction.output.shape) if moved == sorted(moved) else None


def index(walk: Walk, instruction: Instruction) -> Var | None:
    """One key for a chain of them, in one form; a shape, if it takes everything."""
    (a,), output = instruction.inputs, instruction.output
    selection = Selection.of(instruction.function.key_, a.shape)
    if selection.is_all():
        return walk.reshaped(a, output.shape)
    if inner := source(a, Index):
        (base,) = inner.inputs
        composed = Selection.of(inner.function.key_, base.shape).then(selection)
        if composed is not None:
            return walk.emit(Index(composed.key()), [base], output.shape, output.dtype)
    if full := source(a, Full):
        return walk.emit(Full(output.shape, output.dtype, full.function.value), [], output.shape, output.dtype)
    key = selection.key()
    if not _spelled_alike(instruction.function.key_, key):
        return walk.emit(Index(key), [a], output.shape, output.dtype)
    return None


def _spelled_alike(a, b) -> bool:
    return type(a) is type(b) and len(a) == len(b) and all(type(x) is type(y) and x == y for x, y in zip(a, b))


def broadcast_to(walk: Walk, instruction: Instruction) -> Var | None:
    """Repeated once; a shape, if nothing is repeated."""
    (a,), shape = instruction.inputs, instruction.output.shape
    if a.size == math.prod(shape):
        return walk.reshaped(a, shape)
    if inner := source(a, BroadcastTo):
        return walk.broadcast(inner.inputs[0], shape)
    base = _without_axes_in_front(a)
    return None if base is None else walk.broadcast(base, shape)


def operands(walk: Walk, instruction: Instruction) -> Var | None:
    """Operands of an elementwise function as they were before they were repeated.  Where all of them were, the function
    comes first and its result is repeated."""
    inputs, output = instruction.inputs, instruction.output
    found = [_unrepeated(var) for var in inputs]
    if any(new is not old for new, old in zip(found, inputs)):
        shape = np.broadcast_shapes(*[var.shape for var in found])
        if math.prod(shape) < output.size:
            return walk.broadcast(walk.emit(instruction.function, found, shape, output.dtype), output.shape)
        for i, var in enumerate(inputs):  # a repeated axis of length 1 may have to stay
            if not _fit(found, output):
                found[i] = var
        if not _fit(found, output):
            return None
    for i, var in enumerate(found):
        shorter = _without_axes_in_front(var)
        if shorter is not None and _fit([*found[:i], shorter, *found[i + 1 :]], output):
            found[i] = shorter
    if all(new is old for new, old in zip(found, inputs)):
        return None
    return walk.emit(instruction.function, found, output.shape, output.dtype)


def _fit(operands: list[Var], output: Var) -> bool:
    """Whether an elementwise function of these gives the shape of `output`."""
    return np.broadcast_shapes(*[var.shape for var in operands]) == output.shape


def _without_axes_in_front(var: Var) -> Var | None:
    """What `var` is but for axes of length 1 put in front, which broadcasting puts there anyway."""
    inner = source(var, Reshape)
    if inner is None:
        return None
    (base,) = inner.inputs
    return base if var.shape == (1,) * (var.ndim - base.ndim) + base.shape else None


def _unrepeated(var: Var) -> Var:
    if not var.ndim:
        return var
    value = uniform(var)
    if value is not None:
        return Constant(value)
    inner = source(var, BroadcastTo)
    return var if inner is None else inner.inputs[0]


RULES: dict[type[Function], list[Rule]] = {
    Copy: [copied_for_nothing],
    Reshape: [reshape],
    Transpose: [transpose],
    Index: [index],
    BroadcastTo: [broadcast_to],
    Ufunc: [operands],
    Cast: [operands],
    Where: [operands],
}
