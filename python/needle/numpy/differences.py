"""Differences, slopes and areas of what is given at points."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .. import ops
from ..graph import Tensor, leaf
from ..ops.cumulative import Difference
from ..ops.kinds import Cast
from .dispatch import as_tensor, implements, plain
from .joining import concatenate
from .selection import along
from .shapes import ravel


@implements(np.diff)
def diff(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue) -> Tensor:
    """aᵢ₊₁ - aᵢ along `axis`, n times."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_tensor(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, a.ndim)
    if prepend is not np._NoValue or append is not np._NoValue:
        ends = [as_tensor(end) if end is not np._NoValue else None for end in (prepend, append)]
        shape = (*a.shape[:axis], 1, *a.shape[axis + 1 :])
        before, after = (end if end is None or end.ndim else ops.broadcast_to(end, shape) for end in ends)
        a = concatenate([x for x in (before, a, after) if x is not None], axis)
    for _ in range(n):
        if a.dtype == bool:
            a = ops.not_equal(a[along(axis, slice(1, None))], a[along(axis, slice(None, -1))])
        else:
            a = Difference(axis)(a)
    return a


@implements(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None) -> Tensor:
    """The differences of all elements in flat order, between what is put before and behind."""
    ary = ravel(as_tensor(ary))
    differences = ary[1:] - ary[:-1]
    ends = [None if end is None else ravel(as_tensor(end)) for end in (to_begin, to_end)]
    for name, end in zip(("to_begin", "to_end"), ends):
        if end is not None and not np.can_cast(end.dtype, ary.dtype, "same_kind"):
            raise TypeError(f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.")
    joined = [x.astype(ary.dtype) for x in (ends[0], differences, ends[1]) if x is not None]
    return joined[0] if len(joined) == 1 else concatenate(joined)


def _spacings(varargs, shape, axes) -> list:
    """For each axis a number, or the differences between its points."""
    n = len(varargs)
    if n not in (0, 1, len(axes)):
        raise TypeError("invalid number of arguments")
    if n == 0:
        return [1.0] * len(axes)
    if n == 1 and _ndim(varargs[0]) == 0:
        return list(varargs) * len(axes)
    if n != len(axes):
        raise TypeError("invalid number of arguments")
    spacings = []
    for given, axis in zip(varargs, axes):
        if _ndim(given) == 0:
            spacings.append(given)
            continue
        points = as_tensor(given)
        if points.ndim != 1:
            raise ValueError("distances must be either scalars or 1d")
        if points.size != shape[axis]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        spacings.append(diff(points if points.dtype.kind in "fc" else points.astype(float)))
    return spacings


def _ndim(value) -> int:
    return value.ndim if isinstance(value, Tensor) else np.ndim(value)


@implements(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """The slopes along each axis: central differences inside, one-sided ones of order `edge_order` at the ends.

    For points that are not evenly spaced, the formula that is exact for parabolas.
    """
    f = as_tensor(f)
    if f.dtype.kind not in "fc":
        f = f.astype(float)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    spacings = _spacings(varargs, f.shape, axes)
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    slopes = []
    for i, h in zip(axes, spacings):
        if f.shape[i] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
                "required."
            )
        slopes.append(_slope(ops.moveaxis(f, i, f.ndim - 1), h, edge_order, i))
    return slopes[0] if len(axes) == 1 else tuple(slopes)


def _slope(f: Tensor, h, edge_order: int, axis: int) -> Tensor:
    """The slope along the last axis of f, with this axis back in its place."""
    even = _ndim(h) == 0
    if even:
        inside = (f[..., 2:] - f[..., :-2]) / (2.0 * h)
        h0 = h1 = h2 = h3 = h
    else:
        left, right = h[:-1], h[1:]
        inside = (
            f[..., :-2] * (-right / (left * (left + right)))
            + f[..., 1:-1] * ((right - left) / (left * right))
            + f[..., 2:] * (left / (right * (left + right)))
        )
        h0, h3 = h[0], h[-1]
        h1, h2 = (h[1], h[-2]) if edge_order == 2 else (None, None)
    if edge_order == 1:
        first = (f[..., 1:2] - f[..., 0:1]) / h0
        last = (f[..., -1:] - f[..., -2:-1]) / h3
    elif even:
        first = (-1.5 * f[..., 0:1] + 2.0 * f[..., 1:2] - 0.5 * f[..., 2:3]) / h
        last = (0.5 * f[..., -3:-2] - 2.0 * f[..., -2:-1] + 1.5 * f[..., -1:]) / h
    else:
        first = (
            f[..., 0:1] * (-(2.0 * h0 + h1) / (h0 * (h0 + h1)))
            + f[..., 1:2] * ((h0 + h1) / (h0 * h1))
            + f[..., 2:3] * (-h0 / (h1 * (h0 + h1)))
        )
        last = (
            f[..., -3:-2] * (h3 / (h2 * (h2 + h3)))
            + f[..., -2:-1] * (-(h3 + h2) / (h2 * h3))
            + f[..., -1:] * ((2.0 * h3 + h2) / (h3 * (h2 + h3)))
        )
    slope = concatenate((first, inside, last), f.ndim - 1)
    slope = slope if slope.dtype == f.dtype else slope.astype(f.dtype)
    return ops.moveaxis(slope, f.ndim - 1, axis)


@implements("trapezoid", "trapz")
def trapezoid(y, x=None, dx=1.0, axis=-1) -> Tensor:
    """Σ (xᵢ₊₁ - xᵢ)·(yᵢ + yᵢ₊₁)/2 along `axis`."""
    y = as_tensor(y)
    axis = normalize_axis_index(axis, y.ndim)
    if x is not None:
        x = as_tensor(x)
        if x.ndim == 1:
            dx = diff(x)
            dx = ops.reshape(dx, (*(1,) * axis, dx.size, *(1,) * (y.ndim - axis - 1)))
        else:
            dx = diff(x, axis=axis)
    later, earlier = y[along(axis, slice(1, None))], y[along(axis, slice(None, -1))]
    return np.sum(dx * (later + earlier) / 2.0, axis)


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None) -> Tensor:
    """The straight line between the points (xp, fp), at x; outside of them `left` and `right`, by default the ends.

    At a point the derivative in x is that of the piece on its right.
    """
    x, xp, fp = as_tensor(x), as_tensor(xp), as_tensor(fp)
    x, xp = _double(x), _double(xp)
    fp = fp if fp.dtype == complex else Cast(complex)(fp) if fp.dtype.kind == "c" else _double(fp)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if xp.size == 0:
        raise ValueError("array of sample points is empty")
    if period is not None:
        x, xp, fp = _wrapped(x, xp, fp, period)
        left = right = None
    left, right = (fp[0] if left is None else left), (fp[-1] if right is None else right)
    if xp.size == 1:
        return ops.where(ops.less(x, xp[0]), left, ops.where(ops.greater(x, xp[0]), right, fp[0]))
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, xp.size - 2)
    x0, f0 = xp[i], fp[i]
    inside = f0 + (fp[i + 1] - f0) / (xp[i + 1] - x0) * (x - x0)
    inside = ops.where(ops.equal(x, xp[-1]), fp[-1], inside)
    return ops.where(ops.less(x, xp[0]), left, ops.where(ops.greater(x, xp[-1]), right, inside))


def _double(x: Tensor) -> Tensor:
    return x if x.dtype == float else x.astype(float)


def _wrapped(x, xp, fp, period):
    """Points within one period, in order, with one more on either side."""
    if plain(period) == 0:
        raise ValueError("period must be a non-zero value")
    period = abs(period)
    x, xp = np.mod(x, period), np.mod(xp, period)
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    return x, concatenate((xp[-1:] - period, xp, xp[:1] + period)), concatenate((fp[-1:], fp, fp[:1]))


@implements(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * np.pi) -> Tensor:
    """With multiples of `period` added, so that no step along `axis` is larger than half of one (or `discont`)."""
    p = as_tensor(p)
    axis = normalize_axis_index(axis, p.ndim)
    if p.dtype.kind not in "fc":
        if np.asarray(plain(period)).dtype.kind in "iu":
            return leaf(np.unwrap(plain(p), discont, axis, period=plain(period)))
        p = p.astype(float)
    half = period / 2
    steps = diff(p, axis=axis)
    wrapped = np.mod(steps + half, period) - half
    wrapped = ops.where(ops.logical_and(ops.equal(wrapped, -half), ops.greater(steps, 0)), half, wrapped)
    turns = np.rint((wrapped - steps) / period)
    turns = ops.where(ops.less(np.abs(steps), half if discont is None else discont), 0.0, turns)
    first, later = p[along(axis, slice(0, 1))], p[along(axis, slice(1, None))]
    return concatenate((first, later + np.cumsum(turns, axis) * period), axis)
