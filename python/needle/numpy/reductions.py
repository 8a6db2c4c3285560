"""Sums, products, means, extremes and their nan-versions, over `axis`, where `where` holds."""

import builtins

import numpy as np

from .. import ops
from ..graph import Tensor, leaf
from ..ops.logarithmic import SqrtOrZero
from ..ops.products import Prod, Std
from ..ops.reductions import count
from .dispatch import TABLE, as_tensor, implements
from .ufunc_calls import REDUCE


def _masked(a, where, fill, dtype=None) -> Tensor:
    """a, in another dtype if one is asked for, with `fill` where `where` does not hold."""
    a = as_tensor(a)
    if dtype is not None and a.dtype != dtype:
        a = a.astype(dtype)
    return a if where is True else ops.where(as_tensor(where), a, fill)


@implements(np.sum)
def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True) -> Tensor:
    """initial + Σ a."""
    total = ops.Summation(axis, keepdims)(_masked(a, where, 0, dtype))
    return total if _is_number(initial, 0) else total + initial


def _is_number(value, number) -> bool:
    return isinstance(value, (int, float)) and value == number


@implements(np.prod)
def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True) -> Tensor:
    """initial · Π a; the derivative is right where there are zeros."""
    product = Prod(axis, keepdims)(_masked(a, where, 1, dtype))
    return product if _is_number(initial, 1) else product * initial


def _extreme(op, beyond: int, either):
    """max (beyond -1) or min (beyond 1)."""

    def extreme(a, axis=None, out=None, keepdims=False, initial=None, where=True) -> Tensor:
        if where is not True and initial is None:
            raise ValueError(
                f"reduction operation '{either.__name__}' does not have an identity, so to use a where mask one has to "
                "specify 'initial'"
            )
        a = as_tensor(a)
        if initial is None:
            return op(axis, keepdims)(a)
        lowest = _limit(a.dtype, beyond)
        a = _masked(a, where, lowest)
        if count(a.shape, op(axis).axis(a)) == 0:
            return ops.broadcast_to(ops.arithmetic.operand(initial, a), ops.sum(a, axis, keepdims).shape)
        return either(op(axis, keepdims)(a), initial)

    return extreme


def _limit(dtype, sign: int):
    """The largest (sign 1) or smallest number of a dtype."""
    if dtype.kind in "fc":
        return sign * np.inf
    if dtype.kind == "b":
        return sign > 0
    return np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min


max = implements(np.max, np.amax)(_extreme(ops.Max, -1, ops.maximum))
min = implements(np.min, np.amin)(_extreme(ops.Min, 1, ops.minimum))
max.__name__, min.__name__ = "max", "min"


@implements(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None) -> Tensor:
    """The sum along a diagonal of the matrices that two axes span."""
    a = _masked(a, True, 0, dtype)
    axes = ops.kinds.normalize_axes((axis1, axis2), a.ndim)
    a = ops.permute(a, [*[i for i in range(a.ndim) if i not in axes], *axes])
    places = np.arange(
        builtins.max(0, builtins.min(a.shape[-2] + builtins.min(offset, 0), a.shape[-1] - builtins.max(offset, 0)))
    )
    return ops.Summation(-1)(a[..., places - builtins.min(offset, 0), places + builtins.max(offset, 0)])


@implements(np.ptp)
def ptp(a, axis=None, out=None, keepdims=False) -> Tensor:
    """max a - min a."""
    a = as_tensor(a)
    return ops.Max(axis, keepdims)(a) - ops.Min(axis, keepdims)(a)


@implements(np.mean)
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True) -> Tensor:
    """Σ a / n."""
    a = as_tensor(a)
    if where is True:
        return ops.Mean(axis, keepdims)(a if dtype is None or a.dtype == dtype else a.astype(dtype))
    return ops.divide(sum(a, axis, dtype, None, keepdims, where=where), _number(a, where, axis, keepdims))


def _number(a: Tensor, where, axis, keepdims) -> Tensor:
    """How many elements there are along axes where `where` holds, in the dtype of a mean of a."""
    held = ops.broadcast_to(as_tensor(where), a.shape)
    n = ops.Summation(axis, keepdims)(held)
    return n.astype(a.dtype.type(0).real.dtype) if a.dtype.kind in "fc" else n


@implements(np.var)
def var(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None
) -> Tensor:
    """Σ |a - mean|² / (n - ddof)."""
    a, ddof = _masked(a, True, 0, dtype), _freedom(ddof, correction)
    if where is True and mean is None:
        if a.dtype.kind == "c":
            deviation = a - ops.Mean(axis, keepdims=True)(a)
            return ops.Summation(axis, keepdims)(_squared(deviation)) / (count(a.shape, ops.Mean(axis).axis(a)) - ddof)
        return ops.var(a, axis, ddof, keepdims)
    n = _number(a, where, axis, keepdims)
    if mean is None:
        mean = ops.divide(sum(a, axis, keepdims=True, where=where), _number(a, where, axis, True))
    squared = _masked(_squared(a - mean), where, 0)
    return ops.divide(ops.Summation(axis, keepdims)(squared), n if ddof == 0 else ops.maximum(n - ddof, 0))


def _freedom(ddof, correction):
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def _squared(a: Tensor) -> Tensor:
    """|a|², which is real."""
    return (
        ops.multiply(a, ops.conjugate(a)).astype(a.dtype.type(0).real.dtype) if a.dtype.kind == "c" else ops.square(a)
    )


@implements(np.std)
def std(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None
) -> Tensor:
    """√(Σ |a - mean|² / (n - ddof)); where all elements are the same, the derivative is 0."""
    a, ddof = _masked(a, True, 0, dtype), _freedom(ddof, correction)
    if where is True and mean is None:
        return Std(axis, keepdims, ddof)(a)
    return _root(var(a, axis, None, None, ddof, keepdims, where=where, mean=mean), a, axis, keepdims, where)


def _root(variance: Tensor, a: Tensor, axis, keepdims, where) -> Tensor:
    """The root of a variance, which is 0 with derivative 0 where all elements that count are the same."""
    if a.dtype.kind == "c":
        return SqrtOrZero()(variance)
    most, least = (f(a, axis, None, keepdims, start, where) for f, start in ((max, -np.inf), (min, np.inf)))
    return SqrtOrZero()(ops.where(ops.equal(most, least), 0, variance))


@implements(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """Σ weights·a / Σ weights; with `returned` a pair of that and Σ weights."""
    a = as_tensor(a)
    if weights is None:
        result = ops.Mean(axis, keepdims)(a)
        total = leaf(np.asarray(count(a.shape, ops.Mean(axis).axis(a)), result.dtype))
    else:
        weights = _weights(as_tensor(weights), a, axis)
        total = ops.Summation(axis, keepdims)(ops.broadcast_to(weights, a.shape))
        known = total.node.data
        if isinstance(known, np.ndarray) and (known == 0).any():
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        result = ops.divide(ops.Summation(axis, keepdims)(ops.multiply(a, weights)), total)
    return (result, ops.broadcast_to(total, result.shape)) if returned else result


def _weights(weights: Tensor, a: Tensor, axis) -> Tensor:
    """The weights, laid along the axes of a to which they belong."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = ops.kinds.normalize_axes(axis, a.ndim)
    if weights.shape != tuple([a.shape[i] for i in axes]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    weights = ops.permute(weights, [int(i) for i in np.argsort(axes)])
    return ops.reshape(weights, [n if i in axes else 1 for i, n in enumerate(a.shape)])


# --------------------------------------------------------------------------------------------------------------------
# Without what is nan


def _isnan(a: Tensor) -> Tensor:
    return ops.Step(np.isnan)(a)


def _is_number_there(a: Tensor, where) -> Tensor:
    there = ops.logical_not(_isnan(a))
    return there if where is True else ops.logical_and(there, as_tensor(where))


@implements(np.nansum)
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True) -> Tensor:
    """Σ a without what is nan."""
    a = as_tensor(a)
    return sum(a, axis, dtype, None, keepdims, initial, _is_number_there(a, where))


@implements(np.nanprod)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True) -> Tensor:
    """Π a without what is nan."""
    a = as_tensor(a)
    return prod(a, axis, dtype, None, keepdims, initial, _is_number_there(a, where))


def _nan_extreme(full, beyond: int):
    def extreme(a, axis=None, out=None, keepdims=False, initial=None, where=True) -> Tensor:
        a = as_tensor(a)
        if a.dtype.kind not in "fc":
            return full(a, axis, None, keepdims, initial, where)
        if where is not True and initial is None:
            return full(a, axis, None, keepdims, initial, where)  # NumPy's error
        there = _is_number_there(a, where)
        result = full(_masked(a, there, _limit(a.dtype, beyond)), axis, None, keepdims, initial)
        if initial is not None:
            return result
        some = constants_any(there, axis, keepdims)
        return ops.where(some, result, np.nan)

    return extreme


def constants_any(a: Tensor, axis, keepdims) -> Tensor:
    """Whether any element along axes is true."""
    return ops.greater(ops.Summation(axis, keepdims)(a), 0)


nanmax = implements(np.nanmax)(_nan_extreme(max, -1))
nanmin = implements(np.nanmin)(_nan_extreme(min, 1))
nanmax.__name__, nanmin.__name__ = "nanmax", "nanmin"


@implements(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True) -> Tensor:
    """The mean of what is not nan."""
    a = as_tensor(a)
    return mean(a, axis, dtype, None, keepdims, where=_is_number_there(a, where))


@implements(np.nanvar)
def nanvar(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None
) -> Tensor:
    """The variance of what is not nan."""
    a = as_tensor(a)
    ddof, there = _freedom(ddof, correction), _is_number_there(a, where)
    result = var(a, axis, dtype, None, ddof, keepdims, where=there, mean=mean)
    if ddof == 0:
        return result
    enough = ops.greater(ops.Summation(axis, keepdims)(there), ddof)
    return ops.where(enough, result, np.nan)


@implements(np.nanstd)
def nanstd(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=None, correction=None
) -> Tensor:
    """The standard deviation of what is not nan."""
    a = as_tensor(a)
    variance = nanvar(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    return _root(variance, a, axis, keepdims, _is_number_there(a, where))


REDUCE.update({
    np.add: sum, np.multiply: prod, np.maximum: max, np.minimum: min, np.fmax: nanmax, np.fmin: nanmin,
})  # fmt: skip


def _logsumexp(a, axis=0, keepdims=False, initial=None, where=True, dtype=None) -> Tensor:
    total = ops.LogSumExp(axis, keepdims)(_masked(a, where, -np.inf, dtype))
    return total if initial is None else TABLE[np.logaddexp](total, initial)


REDUCE[np.logaddexp] = _logsumexp
