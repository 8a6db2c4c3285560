"""Reductions: sums, means, extrema, and the stable logarithms of sums of exponentials."""

import math

import numpy as np

from ..graph import Tensor, TensorOp
from . import series
from .arithmetic import multiply
from .choices import taken
from .functions import exp
from .kinds import (
    BroadcastTo,
    Linear,
    Movement,
    PiecewiseConstant,
    add_reduce,
    behind_batch,
    beside,
    broadcast,
    normalize_axes,
)
from .movement import reshape
from .steps import equal, logical_and

__all__ = [
    "ArgExtremum", "LogSoftmax", "LogSumExp", "Max", "Mean", "Min", "OfDeviations", "ReduceExtremum", "ReduceTieShare",
    "Reduction", "Softmax", "Summation", "Variance", "argmax", "argmin", "logsoftmax", "logsumexp", "max", "mean",
    "min", "softmax", "sum", "summation", "var",
]  # fmt: skip


class Reduction(TensorOp):
    """An op that reduces `axes` (all of them for None) to one element each, kept as length 1 if `keepdims`."""

    __slots__ = ("axes", "keepdims")

    def __init__(self, axes=None, keepdims: bool = False):
        self.axes = tuple(axes) if isinstance(axes, (tuple, list)) else axes
        self.keepdims = keepdims

    def axis(self, a):
        """The axes in the form that NumPy's reductions take."""
        axes = self.axes
        if axes is None:
            return None
        return normalize_axes(axes, a.ndim)

    def kept(self, shape) -> tuple[int, ...]:
        """`shape` with the reduced axes at length 1: how the result is laid beside the input."""
        reduced = normalize_axes(self.axes, len(shape))
        return tuple([1 if i in reduced else n for i, n in enumerate(shape)])

    def spread(self, reduced: Tensor, node: Tensor) -> Tensor:
        """`reduced`, of the output's shape, laid beside the input so that it broadcasts."""
        if self.axes is None and not reduced.node.data.shape:
            return reduced
        shape = self.kept(node.inputs[0].shape)
        return reduced if reduced.shape == shape else reshape(reduced, shape)

    def laid(self, reduced, shape):
        """An array of the output's shape laid beside the input, of shape `shape`, so that it broadcasts."""
        return reduced if self.axes is None or self.keepdims else reduced.reshape(self.kept(shape))

    def broadcast_back(self, reduced, shape):
        """An array of the output's shape repeated to `shape`, that of the input."""
        return broadcast(self.laid(reduced, shape), shape)

    def batch(self, size, inputs, batched):
        inputs = [x if b else reshape(x, (1, *x.shape)) for x, b in zip(inputs, batched)]
        return type(self)(behind_batch(self.axes, inputs[0].ndim - 1), self.keepdims)(*inputs)


class Summation(Reduction, Movement):
    """Σ a over axes"""

    __slots__ = ()

    def compute(self, a):
        if self.axes is not None and not self.keepdims and type(self.axes) is int:
            return add_reduce(a, self.axes)
        return add_reduce(a, self.axis(a), keepdims=self.keepdims)

    def array_gradient(self, out_grad, output, inputs, needs):
        return (self.broadcast_back(out_grad, inputs[0].shape),)

    def gradient(self, out_grad, node):
        return BroadcastTo(node.inputs[0].shape)(self.spread(out_grad, node))


class Mean(Reduction, Linear):
    """Σ a / n over axes"""

    __slots__ = ()

    def compute(self, a):
        axis = self.axis(a)
        if a.dtype.char == "e":  # a sum of float16 overflows soon; NumPy's mean adds in float32
            return np.mean(a, axis, keepdims=self.keepdims)
        total = add_reduce(a, axis, keepdims=self.keepdims)
        return total / count(a.shape, axis)

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        n = count(a.shape, self.axis(a))
        return (self.broadcast_back(out_grad / np.array(n, out_grad.real.dtype), a.shape),)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        n = count(a.shape, self.axis(a))
        return BroadcastTo(a.shape)(self.spread(out_grad / n, node))

    def lanes(self, mask, node):
        return Summation.gradient(self, mask, node)


class OfDeviations(Reduction):
    """A function of the deviations from the mean over axes, which have n - ddof degrees of freedom"""

    __slots__ = ("ddof",)

    def __init__(self, axes=None, keepdims: bool = False, ddof: float = 0):
        super().__init__(axes, keepdims)
        self.ddof = ddof

    def freedom(self, a) -> float:
        """n - ddof."""
        return count(a.shape, self.axis(a)) - self.ddof

    def deviation(self, a: Tensor) -> Tensor:
        """a - mean."""
        return a - Mean(self.axes, keepdims=True)(a)

    def array_deviation(self, a):
        """a - mean, of an array."""
        axis = self.axis(a)
        return a - add_reduce(a, axis, keepdims=True) / count(a.shape, axis)

    def mean_square(self, a):
        """Σ (a - mean)² / (n - ddof), of an array."""
        total = add_reduce(np.square(self.array_deviation(a)), self.axis(a), keepdims=self.keepdims)
        return np.true_divide(total, self.freedom(a), dtype=a.dtype)

    def batch(self, size, inputs, batched):
        (a,) = inputs
        return type(self)(behind_batch(self.axes, a.ndim - 1), self.keepdims, self.ddof)(a)


class Variance(OfDeviations):
    """Σ (a - mean)² / (n - ddof) over axes.  d/da = 2·(a - mean) / (n - ddof), since the deviations add up to 0"""

    __slots__ = ()

    lanes = Mean.lanes

    def compute(self, a):
        if a.dtype.char in "fdFD":  # numpy.var takes three times as long for a few numbers, and of complex ones |a|²
            return self.mean_square(a)
        return np.var(a, self.axis(a), ddof=self.ddof, keepdims=self.keepdims)

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        scale = np.true_divide(out_grad * 2, self.freedom(a), dtype=out_grad.dtype)
        return (self.array_deviation(a) * self.laid(scale, a.shape),)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        return multiply(self.deviation(a), self.spread(out_grad * 2 / self.freedom(a), node))

    def tangent(self, node, tangent):
        (a,) = node.inputs
        return Summation(self.axes, self.keepdims)(multiply(self.deviation(a), tangent)) * 2 / self.freedom(a)

    def lanes_after(self, node, mask):
        return Summation(self.axes, self.keepdims)(mask)

    def taylor(self, node, a):
        deviations = [None if term is None else self.deviation(term) for term in a]
        squares, op = series.product(deviations, deviations), Summation(self.axes, self.keepdims)
        return [node, *[None if term is None else op(term) / self.freedom(a[0]) for term in squares[1:]]]


def count(shape, axis) -> int:
    """How many elements one reduced element stands for."""
    return math.prod(shape if axis is None else [shape[i] for i in axis])


class ReduceExtremum(Reduction):
    """The largest or smallest element; the derivative is shared equally among the tied."""

    __slots__ = ()

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        return taken(self.spread(out_grad, node), ReduceTieShare(self.axes)(a, self.spread(node, node)))

    def lanes(self, mask, node):
        extreme = equal(node.inputs[0], self.spread(node, node))
        return logical_and(extreme, self.spread(mask, node))

    def tangent(self, node, tangent):
        share = ReduceTieShare(self.axes)(node.inputs[0], self.spread(node, node))
        return Summation(self.axes, self.keepdims)(taken(tangent, share))

    taylor = Linear.taylor  # the shares are constants


class Max(ReduceExtremum):
    """max a over axes"""

    __slots__ = ()

    def compute(self, a):
        return np.maximum.reduce(a, self.axis(a), keepdims=self.keepdims)


class Min(ReduceExtremum):
    """min a over axes"""

    __slots__ = ()

    def compute(self, a):
        return np.minimum.reduce(a, self.axis(a), keepdims=self.keepdims)


class ReduceTieShare(Reduction, PiecewiseConstant):
    """1/k at each of the k elements that equal the extremum along `axes`, else 0"""

    __slots__ = ()

    def compute(self, a, extremum):
        tied = (a == extremum).astype(a.dtype if a.dtype.kind == "f" else float)
        return tied / add_reduce(tied, self.axis(a), keepdims=True)

    def batch(self, size, inputs, batched):
        a, extremum = inputs
        if batched[1]:  # one number for each example, where all axes were reduced
            extremum = beside(extremum, a.ndim - batched[0])
        return Reduction.batch(self, size, [a, extremum], batched)


class ArgExtremum(PiecewiseConstant):
    """The index of the first largest (or smallest) element along an axis, or of the flattened array"""

    __slots__ = ("function", "axis", "keepdims")

    def __init__(self, function, axis=None, keepdims=False):
        self.function, self.axis, self.keepdims = function, axis, keepdims

    def title(self):
        return self.function.__name__

    def compute(self, a):
        return self.function(a, axis=self.axis, keepdims=self.keepdims)

    def batch(self, size, inputs, batched):
        (a,) = inputs
        if self.axis is not None:
            return ArgExtremum(self.function, *behind_batch(self.axis, a.ndim - 1), self.keepdims)(a)
        out = ArgExtremum(self.function, 1)(reshape(a, (size, math.prod(a.shape[1:]))))
        return reshape(out, (size, *(1,) * (a.ndim - 1))) if self.keepdims else out


class LogSumExp(Reduction):
    """ln Σ eᵃ over axes, with the largest element taken out first so that nothing overflows"""

    __slots__ = ()

    def compute(self, a):
        axis = self.axis(a)
        a = _inexact(a)
        top = _finite_top(a, axis)
        out = np.log(add_reduce(np.exp(a - top), axis, keepdims=True)) + top
        return out if self.keepdims else np.squeeze(out, axis)

    def gradient(self, out_grad, node):
        # softmax(a), not exp(a - node): the difference of two large numbers has lost what softmax keeps
        return multiply(Softmax(self.axes)(node.inputs[0]), self.spread(out_grad, node))

    def taylor(self, node, a):
        _, slopes = softmax_series(Softmax(self.axes)(a[0]), a, self.axes)
        return series.integral(node, [None if z is None else reshape(z, node.shape) for z in slopes])


def _inexact(a):
    """Whole numbers as float64, as NumPy's exp takes them: they have no infinity, and bools no difference."""
    return a.astype(float) if a.dtype.kind in "biu" else a


def _finite_top(a, axis):
    """The largest element along axis, 0 where it is infinite (∞ - ∞ would be nan)."""
    top = np.maximum.reduce(a, axis, keepdims=True, initial=None if a.size else -np.inf)
    return np.where(np.isfinite(top), top, 0)


class LogSoftmax(TensorOp):
    """a - ln Σ eᵃ along `axis`, the last one by default"""

    __slots__ = ("axis",)

    def __init__(self, axis: int = -1):
        self.axis = axis

    def compute(self, a):
        a = _inexact(a)
        shifted = a - np.maximum.reduce(a, self.axis, keepdims=True)
        return shifted - np.log(add_reduce(np.exp(shifted), self.axis, keepdims=True))

    def gradient(self, out_grad, node):
        return out_grad - multiply(exp(node), Summation(self.axis, keepdims=True)(out_grad))

    def batch(self, size, inputs, batched):
        return LogSoftmax(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)

    def taylor(self, node, a):
        _, slopes = softmax_series(exp(node), a, self.axis)
        normalizer = series.integral(None, slopes)
        return [node, *[series.total(x, series.negated(z)) for x, z in zip(a[1:], normalizer[1:])]]


class Softmax(TensorOp):
    """eᵃ / Σ eᵃ along `axis` (an int, a tuple, or None for all), the last one by default"""

    __slots__ = ("axis",)

    def __init__(self, axis=-1):
        self.axis = axis

    def compute(self, a):
        a = _inexact(a)
        out = np.exp(a - _finite_top(a, self.axis))
        out /= add_reduce(out, self.axis, keepdims=True)
        return out

    def gradient(self, out_grad, node):
        weighted = multiply(out_grad, node)
        return weighted - multiply(node, Summation(self.axis, keepdims=True)(weighted))

    def batch(self, size, inputs, batched):
        return Softmax(behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)

    def taylor(self, node, a):
        return softmax_series(node, a, self.axis)[0]


def softmax_series(s0, a, axes) -> tuple[list, list]:
    """The series of s = softmax a, which begins with s0, and of z' for z = ln Σ eᵃ:  z' = Σ s·a',  s' = s·(a' - z')."""
    s, slopes, inner, da = [s0], [], [], series.slope(a)
    for k in range(len(da)):
        weighted = series.coefficient(s, da, k)
        slopes.append(None if weighted is None else Summation(axes, keepdims=True)(weighted))
        inner.append(series.negated(slopes[k]))
        s.append(series.divided(series.total(weighted, series.coefficient(s, inner, k)), k + 1))
    return s, slopes


# --------------------------------------------------------------------------------------------------------------------
# Functions


def summation(a: Tensor, axes=None) -> Tensor:
    """Σ a over `axes` (None: all; an int or tuple, negative allowed), which are removed."""
    return Summation(axes)(a)


def sum(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """Σ a over `axis`, as `numpy.sum`."""
    return Summation(axis, keepdims)(a)


def mean(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, as `numpy.mean`."""
    return Mean(axis, keepdims)(a)


def var(a: Tensor, axis=None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """Σ (a - mean)² / (n - ddof) over `axis`, as `numpy.var`."""
    return Variance(axis, keepdims, ddof)(a)


def max(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`, as `numpy.max`; the derivative is shared equally among the tied."""
    return Max(axis, keepdims)(a)


def min(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`, as `numpy.min`; the derivative is shared equally among the tied."""
    return Min(axis, keepdims)(a)


def argmax(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element, as `numpy.argmax`: a constant."""
    return ArgExtremum(np.argmax, axis, keepdims)(a)


def argmin(a: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element, as `numpy.argmin`: a constant."""
    return ArgExtremum(np.argmin, axis, keepdims)(a)


def logsumexp(a: Tensor, axes=None) -> Tensor:
    """ln Σ eᵃ over `axes` (None: all; an int or tuple), which are removed; stable for any a."""
    return LogSumExp(axes)(a)


def logsoftmax(a: Tensor, axis: int = -1) -> Tensor:
    """a - ln Σ eᵃ along the last axis (or `axis`); stable for any a."""
    return LogSoftmax(axis)(a)


def softmax(a: Tensor, axis: int = -1) -> Tensor:
    """eᵃ / Σ eᵃ along the last axis (or `axis`); stable for any a."""
    return Softmax(axis)(a)
