"""Layer and batch normalisation as one op each.

Sums over rows and columns are products with a vector of ones: BLAS adds many numbers at a time, which NumPy's
reductions over short axes do not, and it is exact to the same number of digits.
"""

import numpy as np

from ..fused import Fused, alike, items_of
from ..graph import Tensor, tracing
from ..ops.arithmetic import add, multiply
from ..ops.functions import sqrt, square
from ..ops.kinds import add_reduce, in_order
from ..ops.movement import reshape
from ..ops.reductions import mean
from .rows import over_rows


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / √(var + eps)·weight + bias over the last axis of x (..., D); weight and bias (D,), or both None."""
    result = LayerNorm(eps)(*alike(*((x,) if weight is None else (x, weight, bias))))
    return items_of(result, 1)[0]


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean) / √(var + eps)·weight + bias for each channel of x (N, C, ...); weight and bias (C,).

    Also returns the mean and the biased variance of each channel (C,).
    """
    y, average, variance = items_of(BatchNorm(eps)(*alike(x, weight, bias)), 3)
    return y, average, variance


class LayerNorm(Fused):
    """(x - mean) / √(var + eps)·w + b over the last axis.  Kept: the mean and 1 / √(var + eps) of each row"""

    __slots__ = ("eps",)

    def __init__(self, eps: float):
        self.eps = eps

    def formula(self, x, weight=None, bias=None):
        deviation = x - mean(x, -1, keepdims=True)
        normalised = deviation / sqrt(mean(square(deviation), -1, keepdims=True) + self.eps)
        return normalised if weight is None else add(multiply(normalised, weight), bias)

    def compute(self, x, *affine):
        n = x.shape[-1]
        rows = x.reshape(-1, n)
        average = np.matmul(rows, np.full_like(rows, 1 / n, shape=n))[:, None]
        out = rows - average
        scale = np.vecdot(out, out)[:, None]
        scale /= n
        scale += self.eps
        np.sqrt(scale, out=scale)
        np.reciprocal(scale, out=scale)
        out *= scale
        if affine:
            out *= affine[0]
            out += affine[1]
        return out.reshape(x.shape), average, scale

    def adjoint(self, out_grads, outputs, inputs, needs):
        """dx = s·(g·w - mean(g·w) - d·s²·mean(g·w·d)), where d = x - mean and s = 1 / √(var + eps)."""
        x, affine, (_, average, scale) = inputs[0], inputs[1:], outputs
        n = x.shape[-1]
        grad = out_grads[0].reshape(-1, n)
        deviation = x.reshape(-1, n) - average
        if tracing() is not None:
            return self.recorded(grad, deviation * scale, scale, x.shape, *affine)
        weight = affine[0] if affine else np.ones_like(grad, shape=n)
        product = grad * deviation
        by_x = by_weight = by_bias = None
        if affine:
            by_weight = np.matmul(scale[:, 0], product)
            by_bias = np.matmul(np.ones_like(grad, shape=len(grad)), grad)
        if needs[0]:
            slope = np.matmul(product, weight)[:, None] * scale**3 / n
            shift = np.matmul(grad, weight)[:, None] * scale / n
            by_x = np.multiply(grad, weight, product)
            by_x *= scale
            deviation *= slope
            by_x -= deviation
            by_x -= shift
            by_x = by_x.reshape(x.shape)
        return (by_x, by_weight, by_bias)[: len(inputs)]

    def recorded(self, grad, normalised, scale, shape, weight=None, bias=None):
        """The adjoint in sums along rows, which a program makes as it goes through a row."""
        by_bias, by_weight = add_reduce(grad, 0), add_reduce(grad * normalised, 0)
        along = grad if weight is None else grad * weight
        means = [add_reduce(g, 1, keepdims=True) / shape[-1] for g in (along, along * normalised)]
        by_x = (along - means[0] - normalised * means[1]) * scale
        by_x = by_x.reshape(shape)
        return (by_x,) if weight is None else (by_x, by_weight, by_bias)


class BatchNorm(Fused):
    """(x - mean) / √(var + eps)·w + b for each channel (axis 1) of x.  Further values: mean and biased variance"""

    __slots__ = ("eps",)

    values = 3

    def __init__(self, eps: float):
        self.eps = eps

    def formula(self, x, weight, bias):
        axes, wide = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        average = mean(x, axes)
        deviation = x - reshape(average, wide)
        variance = mean(square(deviation), axes)
        scale = weight / sqrt(variance + self.eps)
        return add(multiply(deviation, reshape(scale, wide)), reshape(bias, wide)), average, variance

    def compute(self, x, weight, bias):
        rows = by_channel(x)
        n = len(rows)
        ones = np.full_like(rows, 1 / n, shape=n)
        average = np.matmul(ones, rows)
        deviation = over_rows(np.subtract, rows, average)
        # The rounding of a sum over many rows far from zero is seen in the mean of the deviations, and made good.
        missed = np.matmul(ones, deviation)
        out = np.square(deviation)
        variance = np.matmul(ones, out) - missed**2
        scale = weight / np.sqrt(variance + x.dtype.type(self.eps))
        over_rows(np.multiply, deviation, scale, out)
        over_rows(np.add, out, bias - missed * scale, out)
        return as_image(out, x.shape), average + missed, variance

    def adjoint(self, out_grads, outputs, inputs, needs):
        """dx = w·s·(g - mean(g) - d·s²·mean(g·d)), where d = x - mean and s = 1 / √(var + eps); mean and variance add
        their own adjoints' dmean/n + 2·d·dvar/n."""
        (x, weight, _), (_, average, variance) = inputs, outputs
        rows = by_channel(x)
        n = len(rows)
        scale = 1 / np.sqrt(variance + x.dtype.type(self.eps))
        deviation = over_rows(np.subtract, rows, average)
        by_weight = by_bias = np.zeros_like(weight)
        shift, slope = np.zeros_like(weight), np.zeros_like(weight)
        grad = None
        if out_grads[0] is not None:
            grad = by_channel(out_grads[0])
            ones = np.ones_like(grad, shape=n)
            product = grad * deviation
            by_bias, along = np.matmul(ones, grad), np.matmul(ones, product)
            by_weight = along * scale
            shift, slope = by_bias * (weight * scale / -n), along * (weight * scale**3 / -n)
        if out_grads[1] is not None:
            shift = shift + out_grads[1] / n
        if out_grads[2] is not None:
            slope = slope + out_grads[2] * (2 / n)
        by_x = None
        if needs[0]:
            by_x = over_rows(np.multiply, deviation, slope, deviation)
            if grad is not None:
                by_x += over_rows(np.multiply, grad, weight * scale, product)
            by_x = as_image(over_rows(np.add, by_x, shift, by_x), x.shape)
        return by_x, by_weight, by_bias


def by_channel(x):
    """x (N, C, ...) as rows (N·..., C) without gaps: a view if the channels come last in memory."""
    return in_order(x if x.ndim == 2 else np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def as_image(rows, shape):
    """The rows of `by_channel` as (N, C, ...) again, a view."""
    return rows if len(shape) == 2 else np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
