"""Layer and batch normalisation as one op each."""

from ..graph import Tensor
from ..ops.elementwise import add, multiply, sqrt, square
from ..ops.movement import reshape
from ..ops.reductions import mean


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / √(var + eps)·weight + bias over the last axis of x."""
    deviation = x - mean(x, -1, keepdims=True)
    normalised = deviation / sqrt(mean(square(deviation), -1, keepdims=True) + eps)
    return normalised if weight is None else add(multiply(normalised, weight), bias)


def batch_norm(x, weight, bias, eps):
    axes = (0, *range(2, x.ndim))
    wide = (1, -1, *[1] * (x.ndim - 2))
    average = mean(x, axes)
    deviation = x - reshape(average, wide)
    variance = mean(square(deviation), axes)
    scale = weight / sqrt(variance + eps)
    return add(multiply(deviation, reshape(scale, wide)), reshape(bias, wide)), average, variance
