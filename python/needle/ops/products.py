"""The product over axes, and the standard deviation: reductions with a trap, zeros here and constant data there.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from .arithmetic import conjugate, divide, multiply
from .choices import where
from .cumulative import CumProd, CumProdAdjoint, Shift, before
from .kinds import PiecewiseConstant, normalize_axes
from .movement import flip, permute, reshape
from .reductions import OfDeviations, Reduction, Summation, count

__all__ = ["IsFlat", "Prod", "ProductOfOthers", "Std"]


class Prod(Reduction):
    """Π a over axes; the derivative is right with zeros too"""

    __slots__ = ()

    def compute(self, a):
        return np.multiply.reduce(a, self.axis(a), keepdims=self.keepdims)

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        return (self.laid(out_grad, a.shape) * ProductOfOthers(self.axes).compute(a),)

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
        left, right = np.empty_like(rows), np.empty_like(rows)
        left[..., :1] = right[..., -1:] = 1
        left[..., 1:] = rows[..., :-1].cumprod(-1)
        right[..., :-1] = rows[..., :0:-1].cumprod(-1)[..., ::-1]
        return (left * right).reshape(laid.shape).transpose([order.index(i) for i in range(a.ndim)])

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


class Std(OfDeviations):
    """√(Σ |a - mean|² / (n - ddof)) over axes, with derivative 0 where all elements are the same"""

    __slots__ = ()

    def compute(self, a):
        if a.dtype.char in "fd":  # numpy.std takes twice as long for a few numbers
            return np.sqrt(self.mean_square(a))
        return np.std(a, self.axis(a), ddof=self.ddof, keepdims=self.keepdims)

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        divisor = self.laid(output, a.shape) * np.array(self.freedom(a), output.dtype)
        flat = IsFlat(self.axes, keepdims=True).compute(a)
        if flat.any():
            divisor = np.where(flat, np.inf, divisor)
        deviation = self.array_deviation(a)
        if a.dtype.kind == "c":
            deviation = deviation.conj()
        return (deviation * (self.laid(out_grad, a.shape) / divisor),)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        deviation = self.deviation(a)
        if a.dtype.kind == "c":
            deviation = conjugate(deviation)
        n = self.freedom(a)
        # Rounding may leave a deviation of the size of a rounding error, and a quotient of two such of the size of 1.
        divisor = where(IsFlat(self.axes, keepdims=True)(a), np.inf, self.spread(node, node) * n)
        return multiply(deviation, divide(self.spread(out_grad, node), divisor))


class IsFlat(Reduction, PiecewiseConstant):
    """Whether all elements along axes are the same"""

    __slots__ = ()

    def compute(self, a):
        if a.size == 0:
            return np.ones(np.add.reduce(a, self.axis(a), keepdims=self.keepdims).shape, bool)
        places = [slice(0, 1) if kept == 1 else slice(None) for kept in self.kept(a.shape)]
        first = a[(0,) * a.ndim if self.axes is None else tuple(places)]
        return np.logical_and.reduce(a == first, self.axis(a), keepdims=self.keepdims)
