"""The product over axes, and the standard deviation: reductions with a trap, zeros here and constant data there.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from .arithmetic import conjugate, divide, multiply
from .choices import where
from .cumulative import CumProd, CumProdAdjoint, Shift, before
from .kinds import PiecewiseConstant, normalize_axes
from .movement import flip, permute, reshape
from .reductions import Mean, Reduction, Summation, count

__all__ = ["IsFlat", "Prod", "ProductOfOthers", "Std"]


class Prod(Reduction):
    """Π a over axes; the derivative is right with zeros too"""

    __slots__ = ()

    def compute(self, a):
        return np.multiply.reduce(a, self.axis(a), keepdims=self.keepdims)

    def gradient(self, out_grad, node):
        return multiply(self.spread(out_grad, node), ProductOfOthers(self.axes)(node.inputs[0]))

    def tangent(self, node, tangent):
        return Summation(self.axes, self.keepdims)(multiply(tangent, ProductOfOthers(self.axes)(node.inputs[0])))


class ProductOfOthers(Reduction):
    """In place of each element the product, over axes, of all elements but this one"""

    __slots__ = ()

    def order(self, ndim: int) -> tuple[int, ...]:
        """The axes in the order that has those of the product last."""
        axes = normalize_axes(self.axes, ndim)
        return (*[i for i in range(ndim) if i not in axes], *axes)

    def compute(self, a):
        order = self.order(a.ndim)
        laid = a.transpose(order)
        count_kept = a.ndim - len(normalize_axes(self.axes, a.ndim))
        rows = laid.reshape(
            (*laid.shape[:count_kept], -1 if laid.size else count(laid.shape, range(count_kept, a.ndim)))
        )
        left, right = np.ones_like(rows), np.ones_like(rows)
        left[..., 1:] = np.cumprod(rows[..., :-1], -1)
        right[..., :-1] = np.cumprod(rows[..., :0:-1], -1)[..., ::-1]
        return (left * right).reshape(laid.shape).transpose(np.argsort(order))

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        order = self.order(a.ndim)
        laid, shape = permute(a, order), [a.shape[i] for i in order]
        kept = a.ndim - len(normalize_axes(self.axes, a.ndim))
        rows_shape = (*shape[:kept], count(shape, range(kept, a.ndim)))
        rows, g = reshape(laid, rows_shape), reshape(permute(out_grad, order), rows_shape)
        back = flip(rows, -1)
        forward, backward = CumProd(-1)(rows), CumProd(-1)(back)
        left, right = before(forward, -1), flip(before(backward, -1), -1)
        shift = Shift(-1, back=True)
        by_left = CumProdAdjoint(-1)(rows, forward, shift(multiply(g, right)))
        by_right = flip(CumProdAdjoint(-1)(back, backward, shift(flip(multiply(g, left), -1))), -1)
        inverse = tuple(int(i) for i in np.argsort(order))
        return permute(reshape(by_left + by_right, shape), inverse)


class Std(Reduction):
    """√(Σ |a - mean|² / (n - ddof)) over axes, with derivative 0 where all elements are the same"""

    __slots__ = ("ddof",)

    def __init__(self, axes=None, keepdims: bool = False, ddof: float = 0):
        super().__init__(axes, keepdims)
        self.ddof = ddof

    def compute(self, a):
        return np.std(a, self.axis(a), ddof=self.ddof, keepdims=self.keepdims)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        deviation = a - Mean(self.axes, keepdims=True)(a)
        if a.dtype.kind == "c":
            deviation = conjugate(deviation)
        n = count(a.shape, self.axis(a)) - self.ddof
        # Rounding may leave a deviation of the size of a rounding error, and a quotient of two such of the size of 1.
        divisor = where(IsFlat(self.axes, keepdims=True)(a), np.inf, self.spread(node, node) * n)
        return multiply(deviation, divide(self.spread(out_grad, node), divisor))

    def batch(self, size, inputs, batched):
        (a,) = inputs
        axes = tuple([axis + 1 for axis in normalize_axes(self.axes, a.ndim - 1)])
        return Std(axes, self.keepdims, self.ddof)(a)


class IsFlat(Reduction, PiecewiseConstant):
    """Whether all elements along axes are the same"""

    __slots__ = ()

    def compute(self, a):
        if a.size == 0:
            return np.ones(np.add.reduce(a, self.axis(a), keepdims=self.keepdims).shape, bool)
        first = a[tuple([slice(0, 1) if kept == 1 else slice(None) for kept in self.kept(a.shape)])]
        return np.logical_and.reduce(a == first, self.axis(a), keepdims=self.keepdims)
