"""Running sums and products."""

import numpy as np

from .. import ops
from ..graph import Tensor
from ..ops.cumulative import CumProd, CumSum
from ..ops.steps import Step
from .dispatch import as_tensor, implements
from .ufunc_calls import ACCUMULATE


def _laid(a, axis, dtype) -> tuple[Tensor, int]:
    """The array and the axis along which to go: all elements in one row for None."""
    a = as_tensor(a)
    if dtype is not None and a.dtype != dtype:
        a = a.astype(dtype)
    if axis is None:
        return (a if a.ndim == 1 else ops.reshape(a, -1)), 0
    return (a, *ops.kinds.normalize_axes(axis, a.ndim))


@implements(np.cumsum)
def cumsum(a, axis=None, dtype=None, out=None) -> Tensor:
    """yₖ = a₀ + … + aₖ."""
    a, axis = _laid(a, axis, dtype)
    return CumSum(axis)(a)


@implements(np.cumprod)
def cumprod(a, axis=None, dtype=None, out=None) -> Tensor:
    """yₖ = a₀·a₁⋯aₖ; the derivative is right where there are zeros."""
    a, axis = _laid(a, axis, dtype)
    return CumProd(axis)(a)


def _cumulative(of, start: int):
    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False) -> Tensor:
        x = as_tensor(x)
        if axis is None:
            if x.ndim > 1:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = 0
        result = of(x, axis, dtype)
        if not include_initial:
            return result
        shape = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        return ops.concatenate([as_tensor(np.full(shape, start, result.dtype)), result], axis)

    return cumulative


cumulative_sum = implements("cumulative_sum")(_cumulative(cumsum, 0))
cumulative_prod = implements("cumulative_prod")(_cumulative(cumprod, 1))


@implements(np.nancumsum)
def nancumsum(a, axis=None, dtype=None, out=None) -> Tensor:
    """The running sum, nan counting as 0."""
    a = as_tensor(a)
    return cumsum(ops.where(Step(np.isnan)(a), 0, a), axis, dtype)


@implements(np.nancumprod)
def nancumprod(a, axis=None, dtype=None, out=None) -> Tensor:
    """The running product, nan counting as 1."""
    a = as_tensor(a)
    return cumprod(ops.where(Step(np.isnan)(a), 1, a), axis, dtype)


ACCUMULATE.update({np.add: cumsum, np.multiply: cumprod})
