"""Padding an array on all sides, in every way that NumPy knows."""

import numpy as np

from .. import ops
from ..graph import Tensor, leaf
from .dispatch import as_tensor, implements, plain
from .joining import concatenate
from .selection import along
from .shapes import moved

_MOVED = ("edge", "reflect", "symmetric", "wrap")  # each new element is one of the old ones
_OPTIONS = {
    "constant": {"constant_values": 0},
    "linear_ramp": {"end_values": 0},
    "reflect": {"reflect_type": "even"},
    "symmetric": {"reflect_type": "even"},
    "maximum": {"stat_length": None},
    "mean": {"stat_length": None},
    "median": {"stat_length": None},
    "minimum": {"stat_length": None},
    "edge": {}, "wrap": {}, "empty": {},
}  # fmt: skip


@implements(np.pad)
def pad(array, pad_width, mode="constant", **kwargs) -> Tensor:
    """`array` with `pad_width` new elements before and after it along each axis, of the kind that `mode` says."""
    a = as_tensor(array)
    widths = _widths(pad_width, a.ndim)
    if callable(mode):
        return _by_function(a, widths, mode, kwargs)
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    option = next(iter({**_OPTIONS[mode], **kwargs}.values()), None)
    if mode in _MOVED and option != "odd":
        return moved(lambda numbers: np.pad(numbers, widths, mode), a)
    if mode in ("constant", "empty") and not _holds_other_than_zero(option):
        return ops.Pad(widths)(a)
    if a.size == 0 and mode != "constant" and any(n == 0 and sum(w) for n, w in zip(a.shape, widths)):
        raise ValueError(f"can't extend empty axis using modes other than 'constant' or 'empty', got '{mode}'")
    if a.dtype.kind not in "fc":
        return leaf(np.pad(plain(a), widths, mode, **{name: plain(value) for name, value in kwargs.items()}))
    options = option if mode in ("reflect", "symmetric") else _pairs(option, a.ndim)
    sides = _SIDES[mode]
    for axis, (before, after) in enumerate(widths):
        if mode in ("reflect", "symmetric"):
            a = _odd(a, axis, before, after, mode == "symmetric")
        elif before or after:
            left, right = sides(a, axis, (before, after), options[axis])
            a = concatenate([x for x in (left, a, right) if x is not None], axis)
    return a


def _widths(pad_width, ndim: int) -> list[tuple[int, int]]:
    """A (before, after) pair for each axis."""
    if isinstance(pad_width, dict):
        each = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            each[axis] = width if hasattr(width, "__len__") else (width, width)
        pad_width = each
    widths = np.asarray(plain(pad_width))
    if widths.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if widths.size and widths.min() < 0:
        raise ValueError("index can't contain negative values")
    return [(int(before), int(after)) for before, after in np.broadcast_to(widths, (ndim, 2))]


def _holds_other_than_zero(value) -> bool:
    return isinstance(value, Tensor) or (value is not None and np.any(np.asarray(value, object) != 0))


def _pairs(value, ndim: int) -> list:
    """An option as a (before, after) pair for each axis."""
    if value is None:
        return [(None, None)] * ndim
    value = as_tensor(value) if not isinstance(value, (int, float, complex)) else leaf(np.asarray(value))
    spread = ops.broadcast_to(value, (ndim, 2)) if ndim else value
    return [(spread[i, 0], spread[i, 1]) for i in range(ndim)]


def _like(a: Tensor, axis: int, n: int, value: Tensor) -> Tensor | None:
    """`value` in the shape and dtype of n slices of a along an axis; None for no slices."""
    if n == 0:
        return None
    value = value if value.dtype == a.dtype else value.astype(a.dtype)
    return ops.broadcast_to(value, (*a.shape[:axis], n, *a.shape[axis + 1 :]))


def _constant(a: Tensor, axis: int, widths, values):
    return [_like(a, axis, n, value) for n, value in zip(widths, values)]


def _ramp(a: Tensor, axis: int, widths, ends):
    """From an end value in a straight line to the edge."""
    sides = []
    for n, end, edge in zip(widths, ends, (a[along(axis, slice(0, 1))], a[along(axis, slice(-1, None))])):
        steps = np.arange(n) / n if n else np.zeros(0)
        steps = steps if not sides else steps[::-1]
        steps = steps.reshape([-1 if i == axis else 1 for i in range(a.ndim)]).astype(a.dtype)
        end = end if end.dtype == a.dtype else end.astype(a.dtype)
        sides.append(end + (edge - end) * leaf(steps) if n else None)
    return sides


def _statistic(function):
    """The maximum, mean, … of the outermost elements, of all if `stat_length` is None."""

    def sides(a: Tensor, axis: int, widths, lengths):
        n, made = a.shape[axis], []
        for width, length, at_end in zip(widths, lengths, (False, True)):
            length = n if length is None else min(int(plain(length)), n)
            if length == 0:
                if function in (np.amax, np.amin):
                    raise ValueError("stat_length of 0 yields no value for padding")
                length = n
            part = a[along(axis, slice(n - length, None) if at_end else slice(0, length))]
            made.append(_like(a, axis, width, function(part, axis=axis, keepdims=True)))
        return made

    return sides


_SIDES = {
    "constant": _constant, "linear_ramp": _ramp, "maximum": _statistic(np.amax), "minimum": _statistic(np.amin),
    "mean": _statistic(np.mean), "median": _statistic(np.median), "reflect": None, "symmetric": None,
}  # fmt: skip


def _odd(a: Tensor, axis: int, before: int, after: int, with_edge: bool) -> Tensor:
    """Reflected at the edges, in position and in value: 2·edge - reflection, again and again if that is too short."""
    while before or after:
        n = a.shape[axis]
        if n == 1 and not with_edge:  # nothing to reflect: the edge is repeated
            edges = [a[along(axis, slice(0, 1))]] * (before + after + 1)
            return concatenate(edges, axis)
        reach = n if with_edge else n - 1
        skipped = 0 if with_edge else 1
        parts = [a]
        first, last = a[along(axis, slice(0, 1))], a[along(axis, slice(-1, None))]
        left, right = min(before, reach), min(after, reach)
        if left:
            reflected = ops.flip(a[along(axis, slice(skipped, skipped + left))], axis)
            parts.insert(0, 2 * first - reflected)
        if right:
            reflected = ops.flip(a[along(axis, slice(n - skipped - right, n - skipped))], axis)
            parts.append(2 * last - reflected)
        a = concatenate(parts, axis)
        before, after = before - left, after - right
    return a


def _by_function(a: Tensor, widths, function, kwargs) -> Tensor:
    """Padded with zeros, then each vector along each axis handed to a function that fills in its ends in place."""
    a = ops.Pad(widths)(a)
    for axis in range(a.ndim):
        vectors = ops.reshape(ops.moveaxis(a, axis, a.ndim - 1), (-1, a.shape[axis]))
        filled = []
        for vector in vectors:
            vector = vector.copy()
            result = function(vector, widths[axis], axis, kwargs)
            filled.append(vector if result is None else as_tensor(result))
        moved_shape = (*a.shape[:axis], *a.shape[axis + 1 :], a.shape[axis])
        a = ops.moveaxis(ops.reshape(ops.stack(filled, 0), moved_shape), a.ndim - 1, axis)
    return a
