"""Numbers at even steps between two ends, which may be Tensors."""

import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..graph import Tensor, leaf
from .dispatch import as_tensors, implements
from .joining import concatenate


@implements(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` numbers from start to stop, evenly spaced; the ends broadcast, `axis` is where the numbers go."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = _floating(start, stop)
    parts = num - 1 if endpoint else num
    span = stop - start
    shape = (num, *(1,) * span.ndim)
    fractions = (np.arange(num) / parts if parts > 0 else np.zeros(num)).reshape(shape).astype(span.dtype)
    points = start + span * leaf(fractions)
    if endpoint and num > 1:  # exactly
        last = ops.broadcast_to(stop if stop.dtype == points.dtype else stop.astype(points.dtype), points.shape[1:])
        points = concatenate((points[:-1], ops.reshape(last, (1, *last.shape))))
    points = _along(points, axis)
    points = _in_dtype(points, dtype)
    return (points, span / parts if parts > 0 else leaf(np.full(span.shape, np.nan))) if retstep else points


def _floating(*ends) -> list[Tensor]:
    """The ends as Tensors of one floating or complex dtype; numbers take that of the Tensors."""
    ends = as_tensors(ends)
    dtype = np.result_type(*[end.dtype for end in ends], 1.0)
    if dtype.kind not in "fc":
        dtype = np.dtype(float)
    return [end if end.dtype == dtype else end.astype(dtype) for end in ends]


def _along(points: Tensor, axis: int) -> Tensor:
    return ops.moveaxis(points, 0, normalize_axis_index(axis, points.ndim)) if axis != 0 else points


def _in_dtype(points: Tensor, dtype) -> Tensor:
    if dtype is None or points.dtype == dtype:
        return points
    return (np.floor(points) if np.issubdtype(dtype, np.integer) else points).astype(dtype)


@implements(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0) -> Tensor:
    """base to the powers that `linspace` gives."""
    start, stop, base = _floating(start, stop, base)
    if base.ndim:
        shape = np.broadcast_shapes(start.shape, stop.shape, base.shape)
        start, stop, base = (ops.broadcast_to(x, shape) for x in (start, stop, base))
        base = ops.reshape(base, (1, *shape))
    powers = np.power(base, linspace(start, stop, num, endpoint))
    return _in_dtype(_along(powers, axis), dtype)


@implements(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0) -> Tensor:
    """`num` numbers from start to stop, each a constant multiple of the one before."""
    start, stop = (end.astype(np.result_type(end.dtype, float)) for end in _floating(start, stop))
    for end in (start, stop):
        if isinstance(end.node.data, np.ndarray) and np.any(end.node.data == 0):
            raise ValueError("Geometric sequence cannot include zero")
    ratio = stop / start
    fractions = linspace(0 * ratio, 0 * ratio + 1, num, endpoint).detach()
    points = start * np.power(ratio, fractions)
    if num > 1 and endpoint:  # exactly
        ends = [ops.reshape(ops.broadcast_to(end, points.shape[1:]), (1, *points.shape[1:])) for end in (start, stop)]
        points = concatenate((ends[0], points[1:-1], ends[1]))
    return _in_dtype(_along(points, axis), dtype)
