"""Elementwise functions in the order in which the elements lie: transposes and shapes come after them, not before.

Two views in a row cancel, and what is computed in between is read and written in one sweep.
"""

from __future__ import annotations

import numpy as np

from ..functions import Cast, Reduce, Reshape, Transpose, Ufunc, Where
from ..ir import Function, Instruction, Var
from .rewriting import Rule, Walk, source, squeezed


def shape_after(walk: Walk, instruction: Instruction) -> Var | None:
    """f(reshape(x), reshape(y), 1) = reshape(f(x, y, 1)), where somebody wants another shape still.

    Where x has fewer axes than it is given, y may be anything that lies in memory in order.
    """
    output = instruction.output
    users = walk.users.get(output, ())
    if output in walk.outputs or (users and not any(isinstance(user.function, Reshape) for user in users)):
        return None
    arrays = [var for var in instruction.inputs if var.ndim]
    if not arrays or any(var.shape != output.shape for var in arrays):
        return None
    shapes = {inner.inputs[0].shape if (inner := source(var, Reshape)) else None for var in arrays}
    shape = min((each for each in shapes if each is not None), key=len, default=None)
    if shape is None or squeezed(shape) == squeezed(output.shape):  # of no use, and in the way of broadcasting
        return None
    if len(shapes) > 1 and (len(shape) >= output.ndim or not all(map(_is_in_order, arrays))):
        return None
    found = [var if not var.ndim else walk.reshaped(_before(var), shape) for var in instruction.inputs]
    return walk.reshaped(walk.emit(instruction.function, found, shape, output.dtype), output.shape)


def _before(var: Var) -> Var:
    inner = source(var, Reshape)
    return var if inner is None else inner.inputs[0]


def _is_in_order(var: Var) -> bool:
    """Whether the elements of `var` lie one after the other, so that another shape costs nothing."""
    made = _before(var).source
    return made is None or not (made.function.view or made.function.may_alias)


def transpose_after(walk: Walk, instruction: Instruction) -> Var | None:
    """f(transpose(x), transpose(y), 1) = transpose(f(x, y, 1)), where nobody wants the result in order; and the other
    operands transposed back, where everybody transposes the result back."""
    output = instruction.output
    axes = next((inner.function.axes for var in instruction.inputs if (inner := source(var, Transpose))), None)
    if axes is None or len(axes) != output.ndim:
        return None
    back = tuple([int(i) for i in np.argsort(axes)])
    users = walk.users.get(output, ())
    if output in walk.outputs or not all(_takes_any_order(user) for user in users):
        return None
    is_undone = bool(users) and all(
        isinstance(user.function, Transpose) and user.function.axes == back for user in users
    )
    found = []
    for var in instruction.inputs:
        moved = _transposed_back(walk, var, axes, back, output, is_undone)
        if moved is None:
            return None
        found.append(moved)
    shape = tuple([output.shape[i] for i in back])
    made = walk.emit(instruction.function, found, shape, output.dtype)
    return walk.emit(Transpose(axes), [made], output.shape, output.dtype)


def _takes_any_order(instruction: Instruction) -> bool:
    function = instruction.function
    if isinstance(function, Transpose):
        return True
    return isinstance(function, (Ufunc, Where, Cast, Reduce)) and instruction.output.ndim <= instruction.inputs[0].ndim


def _transposed_back(walk: Walk, var: Var, axes, back, output: Var, is_undone: bool) -> Var | None:
    if not var.ndim:
        return var
    inner = source(var, Transpose)
    if inner is not None and inner.function.axes == axes:
        return inner.inputs[0]
    long = (1,) * (output.ndim - var.ndim) + var.shape
    shape = tuple([long[i] for i in back])
    if len(squeezed(shape)) < 2:
        return walk.reshaped(var, shape)
    return walk.emit(Transpose(back), [walk.reshaped(var, long)], shape, var.dtype) if is_undone else None


_BOTH: list[Rule] = [shape_after, transpose_after]
RULES: dict[type[Function], list[Rule]] = {Ufunc: _BOTH, Cast: _BOTH, Where: _BOTH}
