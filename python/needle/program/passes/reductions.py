"""Sums, maxima and products of arrays that hold the same numbers several times, or in another order.

Results differ from what they were by rounding, for a sum is taken in another order, or not at all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..functions import BroadcastTo, Matmul, Reduce, Reshape, Transpose, Ufunc
from ..ir import Constant, Function, Instruction, Var
from .rewriting import Rule, Walk, source

LOOKED_AT = 1 << 16  # elements of a constant that are compared to find out


def natural(walk: Walk, instruction: Instruction) -> Var | None:
    """The dtype of a sum goes unsaid if it is that of what is summed anyway."""
    (a,), output = instruction.inputs, instruction.output
    function: Any = instruction.function
    if function.dtype is None or a.dtype != output.dtype or a.dtype.kind not in "fc":
        return None
    same = Reduce(function.ufunc, function.axis, function.keepdims, None, function.initial)
    return walk.emit(same, [a], output.shape, output.dtype)


def reduce(walk: Walk, instruction: Instruction) -> Var | None:
    """Over an axis of length 1 nothing happens, and the order of what is summed does not matter."""
    (a,), output = instruction.inputs, instruction.output
    function: Any = instruction.function
    if not _is_plain(function, a, output):
        return None
    if all(a.shape[i] == 1 for i in function.axis):
        return walk.reshaped(a, output.shape)
    if len(function.axis) == a.ndim and (inner := source(a, Reshape)):
        (base,) = inner.inputs
        return _reduced(walk, function, base, list(range(base.ndim)), output.shape)
    if inner := source(a, Transpose):
        axes = inner.function.axes
        left = [axes[i] for i in range(a.ndim) if i not in function.axis]
        if left == sorted(left):
            return _reduced(walk, function, inner.inputs[0], [axes[i] for i in function.axis], output.shape)
    return None


def of_repeated(walk: Walk, instruction: Instruction) -> Var | None:
    """Of an array repeated n times, the sum is n times its own and the maximum is its own; what is repeated along other
    axes is repeated after."""
    (a,), output = instruction.inputs, instruction.output
    function: Any = instruction.function
    inner = source(a, BroadcastTo)
    if inner is None or not _is_plain(function, a, output):
        return None
    (base,) = inner.inputs
    front = a.ndim - base.ndim
    axes = [i - front for i in function.axis if i >= front]
    axis = [i for i in axes if base.shape[i] != 1]
    times = math.prod(a.shape[i] for i in function.axis) // math.prod(base.shape[i] for i in axis)
    factor = Constant(np.asarray(times).astype(a.dtype))
    if not np.isfinite(factor.array):
        return None
    once = [1 if i in axes else n for i, n in enumerate(base.shape) if function.keepdims or i not in axes]
    value = _reduced(walk, function, base, axis, tuple(once))
    if function.ufunc is np.add and times != 1:
        value = walk.emit(Ufunc(np.multiply), [value, factor], value.shape, a.dtype)
    return walk.broadcast(value, output.shape)


def _is_plain(function: Reduce, a: Var, output: Var) -> bool:
    ufuncs = np.add, np.maximum, np.minimum
    return function.ufunc in ufuncs and function.initial is None and a.dtype == output.dtype and a.size > 0


def _reduced(walk: Walk, function: Reduce, a: Var, axis: list[int], shape: tuple[int, ...]) -> Var:
    """The reduction of `a` over `axis`, in the shape given."""
    if not axis:
        return walk.reshaped(a, shape)
    left = tuple([n for i, n in enumerate(a.shape) if i not in axis])
    same = Reduce(function.ufunc, tuple(sorted(axis)), False, function.dtype)
    return walk.reshaped(walk.emit(same, [a], left, a.dtype), shape)


def rows_repeated(walk: Walk, instruction: Instruction) -> Var | None:
    """A product with a constant of which each row comes several times, one after the other: its rows, repeated."""
    (a, b), output = instruction.inputs, instruction.output
    if not isinstance(a, Constant) or a.ndim != 2 or b.ndim != 2 or not 1 < a.size <= LOOKED_AT:
        return None
    rows = a.array
    starts = np.flatnonzero((rows[1:] != rows[:-1]).any(1)) + 1
    times = math.gcd(len(rows), *starts.tolist())
    if times == 1:
        return None
    few = Constant(np.ascontiguousarray(rows[::times]))
    n, m = len(few.array), b.shape[1]
    product = walk.emit(Matmul(), [few, b], (n, m), output.dtype)
    return walk.reshaped(walk.broadcast(walk.reshaped(product, (n, 1, m)), (n, times, m)), output.shape)


RULES: dict[type[Function], list[Rule]] = {Reduce: [natural, reduce, of_repeated], Matmul: [rows_repeated]}
