"""Differences, running sums and products along an axis, and the linear recurrence that derivatives are made of.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from ..graph import Tensor, TensorOp
from .arithmetic import multiply
from .kinds import Linear, Movement, all_batched, behind_batch, normalize_axes
from .movement import Pad
from .steps import logical_or

__all__ = ["CumProd", "CumProdAdjoint", "CumSum", "Difference", "Recurrence", "Shift"]


class AlongAxis(TensorOp):
    """An op that works along one axis"""

    __slots__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def like(self, axis: int) -> TensorOp:
        """The same op along another axis."""
        return type(self)(axis)

    def batch(self, size, inputs, batched):
        inputs = all_batched(size, inputs, batched)
        return self.like(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


class CumSum(AlongAxis, Movement):
    """yₖ = a₀ + … + aₖ along an axis; from the other end if `reverse`"""

    __slots__ = ("reverse",)

    def __init__(self, axis: int, reverse: bool = False):
        self.axis, self.reverse = axis, reverse

    def like(self, axis):
        return CumSum(axis, self.reverse)

    def compute(self, a):
        if not self.reverse:
            return a.cumsum(self.axis)
        backwards = (slice(None),) * (self.axis % a.ndim) + (slice(None, None, -1),)
        return a[backwards].cumsum(self.axis)[backwards]

    def gradient(self, out_grad, node):
        return CumSum(self.axis, not self.reverse)(out_grad)


class Difference(AlongAxis, Linear):
    """yₖ = aₖ₊₁ - aₖ along an axis; or, if `transposed`, yₖ = aₖ₋₁ - aₖ with 0 beyond the ends"""

    __slots__ = ("transposed",)

    def __init__(self, axis: int, transposed: bool = False):
        self.axis, self.transposed = axis, transposed

    def like(self, axis):
        return Difference(axis, self.transposed)

    def ends(self, ndim: int) -> tuple[tuple, tuple]:
        """The indices of all elements but the first, and of all but the last."""
        before = (slice(None),) * (self.axis % ndim)
        return (*before, slice(1, None)), (*before, slice(None, -1))

    def compute(self, a):
        later, earlier = self.ends(a.ndim)
        if not self.transposed:
            return np.subtract(a[later], a[earlier])
        out = np.zeros_like(a, shape=[n + (i == self.axis % a.ndim) for i, n in enumerate(a.shape)])
        out[later] = a
        out[earlier] -= a
        return out

    def gradient(self, out_grad, node):
        return Difference(self.axis, not self.transposed)(out_grad)

    def lanes(self, mask, node):
        return self.reached(mask, not self.transposed)

    def lanes_after(self, node, mask):
        return self.reached(mask, self.transposed)

    def reached(self, mask: Tensor, transposed: bool) -> Tensor:
        """Where there are elements of a mask, or their neighbours, in the result of a difference."""
        if not transposed:
            later, earlier = self.ends(mask.ndim)
            return logical_or(mask[later], mask[earlier])
        at = self.axis % mask.ndim
        shifted = [Pad([pair if i == at else (0, 0) for i in range(mask.ndim)])(mask) for pair in ((1, 0), (0, 1))]
        return logical_or(*shifted)


class Shift(AlongAxis, Movement):
    """yₖ = aₖ₋₁ along an axis (aₖ₊₁ if `back`), 0 where there is none"""

    __slots__ = ("back",)

    def __init__(self, axis: int, back: bool = False):
        self.axis, self.back = axis, back

    def like(self, axis):
        return Shift(axis, self.back)

    def compute(self, a):
        return shifted(a, self.axis, self.back, 0)

    def gradient(self, out_grad, node):
        return Shift(self.axis, not self.back)(out_grad)


def shifted(a, axis: int, back: bool, fill):
    """The array moved by one along an axis, with `fill` where nothing came."""
    out = np.empty_like(a)
    source, target = np.moveaxis(a, axis, 0), np.moveaxis(out, axis, 0)
    if back:
        target[:-1], target[-1:] = source[1:], fill
    else:
        target[1:], target[:1] = source[:-1], fill
    return out


class Recurrence(AlongAxis):
    """yₖ = aₖ·yₖ₋₁ + bₖ along an axis, from 0; yₖ = aₖ·yₖ₊₁ + bₖ if `reverse`"""

    __slots__ = ("reverse",)

    def __init__(self, axis: int, reverse: bool = False):
        self.axis, self.reverse = axis, reverse

    def like(self, axis):
        return Recurrence(axis, self.reverse)

    def compute(self, a, b):
        return recurrence(a, b, self.axis, self.reverse)

    def gradient(self, out_grad, node):
        a, _ = node.inputs
        by_b = Recurrence(self.axis, not self.reverse)(Shift(self.axis, not self.reverse)(a), out_grad)
        return multiply(by_b, Shift(self.axis, self.reverse)(node)) if node.needs(0) else None, by_b


def recurrence(a, b, axis: int, reverse: bool):
    """The recurrence on arrays: step by step, or where that were many steps of few numbers each, by doubling: with
    yₖ in terms of yₖ₋₁ known, that in terms of yₖ₋₂, yₖ₋₄, … follows (Kogge & Stone 1973)."""
    out = np.array(b, dtype=np.result_type(a, b))
    if out.size == 0:
        return out
    y, a = np.moveaxis(out, axis, 0), np.moveaxis(a, axis, 0)
    if reverse:
        y, a = y[::-1], a[::-1]
    if len(y) <= 64 or y[0].size > 2000:
        for k in range(1, len(y)):
            y[k] += a[k] * y[k - 1]
        return out
    a, step = a.copy(), 1
    while step < len(y):
        y[step:] += a[step:] * y[:-step]
        a[step:] = a[step:] * a[:-step]
        step *= 2
    return out


class CumProd(AlongAxis):
    """yₖ = a₀·a₁⋯aₖ along an axis; the derivative is right with zeros too"""

    __slots__ = ()

    def compute(self, a):
        return np.cumprod(a, self.axis)

    def gradient(self, out_grad, node):
        return CumProdAdjoint(self.axis)(node.inputs[0], node, out_grad)

    def tangent(self, node, tangent):
        (a,) = node.inputs
        return Recurrence(self.axis)(a, multiply(tangent, before(node, self.axis)))


class CumProdAdjoint(AlongAxis):
    """The adjoint of a, from y = cumprod a and g, the adjoint of y:  sₖ·yₖ₋₁ with sₖ = gₖ + aₖ₊₁·sₖ₊₁

    Without zeros that is (gₖyₖ + gₖ₊₁yₖ₊₁ + …) / aₖ.  y is there to save work: its derivative is counted to a.
    """

    __slots__ = ()

    def compute(self, a, y, g):
        axis = self.axis
        last = np.take(y, [-1], axis) if y.size else y
        if last.all() and np.isfinite(last).all():  # then every yₖ is: from 0, ∞ and nan there is no way back
            sums = g * y
            backwards = np.flip(sums, axis)
            np.add.accumulate(backwards, axis, out=backwards)
            sums /= a
            return sums
        s = recurrence(shifted(a, axis, True, 0), g, axis, reverse=True)
        return s * shifted(y, axis, False, 1)

    def gradient(self, out_grad, node):
        (a, y, g), axis = node.inputs, self.axis
        by_g = Recurrence(axis)(a, multiply(out_grad, before(y, axis)))
        if not (node.needs(0) or node.needs(1)):
            return None, None, by_g
        s = Recurrence(axis, reverse=True)(Shift(axis, back=True)(a), g)
        through_y = CumProdAdjoint(axis)(a, y, Shift(axis, back=True)(multiply(out_grad, s)))
        return multiply(Shift(axis)(by_g), s) + through_y, None, by_g


def before(y: Tensor, axis: int) -> Tensor:
    """The running product without the last factor: yₖ₋₁, and 1 for the first."""
    (axis,) = normalize_axes(axis, y.ndim)
    first = np.zeros([n if i == axis else 1 for i, n in enumerate(y.shape)], y.dtype)
    first[(slice(None),) * axis + (slice(0, 1),)] = 1
    return Shift(axis)(y) + first
