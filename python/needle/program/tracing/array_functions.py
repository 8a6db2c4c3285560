"""NumPy's functions on traced arrays: those that ask for no numbers, that are made of simpler ones, or that write into
an argument.  All others are recorded as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..functions import BroadcastTo, Empty, Full, Where, Windows
from .recording import OUT_OF_NUMPY, ShapeAsked, Traced, deepest, plain, traced_in

FUNCTIONS: dict[Callable, Callable] = {}  # those that have a rule
MAKERS: dict[Callable, Callable] = {}  # those that make an array like= a given one


def _array_function(self, function, types, args, kwargs):
    """`Traced.__array_function__`"""
    rule = FUNCTIONS.get(function)
    if rule is not None:
        return rule(*args, **kwargs)
    if function in MAKERS:
        return MAKERS[function](self.recorder, *args, **kwargs)
    kwargs = dict(kwargs)
    out = kwargs.pop("out", None)
    recorder = deepest((args, kwargs, out)).recorder
    result = recorder.call(function, args, kwargs)
    if out is None:
        return result
    if not isinstance(out, Traced):
        raise recorder.asked(OUT_OF_NUMPY)
    out._write(result, "unsafe")
    return out


Traced.__array_function__ = _array_function


def _rule(*functions):
    def register(rule):
        for function in functions:
            FUNCTIONS[function] = rule
        return rule

    return register


def _new(recorder, value, shape, dtype=float, order="C"):
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    function = Empty(shape, dtype) if value is None else Full(shape, dtype, value)
    return recorder.record(function, [], function())


def _like(number):
    def like(a, dtype=None, order="K", subok=True, shape=None, device=None):
        return _new(a.recorder, number, a.shape if shape is None else shape, a.dtype if dtype is None else dtype)

    return like


FUNCTIONS[np.empty_like], FUNCTIONS[np.zeros_like], FUNCTIONS[np.ones_like] = map(_like, (None, 0, 1))


@_rule(np.full_like)
def _full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, device=None):
    recorder = deepest((a, fill_value)).recorder
    shape, dtype = a.shape if shape is None else shape, a.dtype if dtype is None else dtype
    if not isinstance(fill_value, (Traced, np.ndarray)):
        return _new(recorder, fill_value, shape, dtype)
    target = _new(recorder, None, shape, dtype)
    target[...] = fill_value
    return target


MAKERS.update(
    {
        np.empty: lambda recorder, *args, **kwargs: _new(recorder, None, *args, **kwargs),
        np.zeros: lambda recorder, *args, **kwargs: _new(recorder, 0, *args, **kwargs),
        np.ones: lambda recorder, *args, **kwargs: _new(recorder, 1, *args, **kwargs),
    }
)


@_rule(np.shape)
def _shape(a):
    return a.shape


@_rule(np.ndim)
def _ndim(a):
    return a.ndim


@_rule(np.size)
def _size(a, axis=None):
    return a.size if axis is None else a.shape[axis]


@_rule(np.iscomplexobj)
def _iscomplexobj(x):
    return x.dtype.kind == "c"


@_rule(np.isrealobj)
def _isrealobj(x):
    return x.dtype.kind != "c"


@_rule(np.result_type)
def _result_type(*args):
    return np.result_type(*[plain(x) for x in args])


@_rule(np.can_cast)
def _can_cast(from_, to, casting="safe"):
    return np.can_cast(from_.dtype, to, casting)


@_rule(np.common_type)
def _common_type(*arrays):
    return np.common_type(*[plain(a) for a in arrays])


@_rule(np.min_scalar_type)
def _of_dtypes(*args, **kwargs):
    raise next(traced_in(args)).recorder.asked("a dtype, which follows from the value,")


@_rule(np.may_share_memory, np.shares_memory)
def _share(a, b, max_work=None):
    return np.may_share_memory(plain(a), plain(b))


@_rule(np.where)
def _where(condition, *values):
    if len(values) != 2:
        raise condition.recorder.asked(
            "where(condition), whose shape follows from values (use where(condition, a, b)),"
        )
    if np.asarray(plain(condition)).dtype.kind != "b":
        condition = np.not_equal(condition, 0)
    args = (condition, *values)
    recorder = deepest(args).recorder
    with np.errstate(all="ignore"):
        value = np.where(*[plain(x) for x in args])
    if isinstance(condition, (Traced, np.ndarray)) and condition.dtype != np.bool_:
        condition = condition != 0
    alike = [x.astype(value.dtype, copy=False) if hasattr(x, "astype") else np.asarray(x, value.dtype) for x in values]
    return recorder.record(Where(), [recorder.var(x) for x in (condition, *alike)], value)


@_rule(np.reshape)
def _reshape(a, /, shape, order="C", *, copy=None):
    return a.reshape(shape, order=order)


@_rule(np.ravel)
def _ravel(a, order="C"):
    return a.ravel(order)


@_rule(np.transpose)
def _transpose(a, axes=None):
    return a.transpose() if axes is None else a.transpose(axes)


@_rule(np.swapaxes)
def _swapaxes(a, axis1, axis2):
    return a.swapaxes(axis1, axis2)


@_rule(np.permute_dims) if hasattr(np, "permute_dims") else lambda rule: rule
def _permute_dims(a, axes=None):
    return a.transpose() if axes is None else a.transpose(axes)


@_rule(np.moveaxis)
def _moveaxis(a, source, destination):
    source, destination = normalize_axis_tuple(source, a.ndim), normalize_axis_tuple(destination, a.ndim)
    axes = [i for i in range(a.ndim) if i not in source]
    for to, axis in sorted(zip(destination, source)):
        axes.insert(to, axis)
    return a.transpose(axes)


@_rule(np.rollaxis)
def _rollaxis(a, axis, start=0):
    axis = normalize_axis_index(axis, a.ndim)
    start = normalize_axis_index(start, a.ndim + 1)
    return _moveaxis(a, axis, start - (axis < start))


@_rule(np.flip)
def _flip(m, axis=None):
    axes = range(m.ndim) if axis is None else normalize_axis_tuple(axis, m.ndim)
    return m[tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(m.ndim)])]


@_rule(np.real)
def _real(val):
    return val.real


@_rule(np.imag)
def _imag(val):
    return val.imag


@_rule(np.clip)
def _clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None, **kwargs):
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if out is None and not kwargs and isinstance(a, Traced) and not (low is None and high is None):
        value = np.clip(plain(a), plain(low), plain(high))
        result = a if low is None else np.maximum(a, low)
        result = result if high is None else np.minimum(result, high)
        if result.dtype == value.dtype:
            return result
    recorder = deepest((a, low, high, out)).recorder
    result = recorder.call(np.clip, (a, low, high), kwargs)
    if out is None:
        return result
    _copyto(out, result)
    return out


@_rule(np.squeeze)
def _squeeze(a, axis=None):
    return a.squeeze(axis)


@_rule(np.expand_dims)
def _expand_dims(a, axis):
    return a.reshape(np.expand_dims(np.broadcast_to(np.int8(0), a.shape), axis).shape)


@_rule(np.broadcast_to)
def _broadcast_to(array, shape, subok=False):
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return array._view(BroadcastTo(shape))


@_rule(np.copy)
def _copy(a, order="K", subok=False):
    return a.copy()


@_rule(np.copyto)
def _copyto(dst, src, casting="same_kind", where=True):
    if not isinstance(dst, Traced):
        raise next(traced_in((src, where))).recorder.asked("a write into an array of NumPy's own")
    if where is not True:
        src = np.where(where, src, dst)
    dst._write(src, casting)


@_rule(np.sum)
def _sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True):
    return _reduced(np.add, a, axis, dtype, out, keepdims, initial, where)


@_rule(np.prod)
def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    return _reduced(np.multiply, a, axis, dtype, out, keepdims, initial, where)


@_rule(np.max, np.amax)
def _max(a, axis=None, out=None, keepdims=False, initial=np._NoValue, where=True):
    return _reduced(np.maximum, a, axis, None, out, keepdims, initial, where)


@_rule(np.min, np.amin)
def _min(a, axis=None, out=None, keepdims=False, initial=np._NoValue, where=True):
    return _reduced(np.minimum, a, axis, None, out, keepdims, initial, where)


@_rule(np.all)
def _all(a, axis=None, out=None, keepdims=False, *, where=True):
    return _reduced(np.logical_and, a, axis, None, out, keepdims, np._NoValue, where)


@_rule(np.any)
def _any(a, axis=None, out=None, keepdims=False, *, where=True):
    return _reduced(np.logical_or, a, axis, None, out, keepdims, np._NoValue, where)


def _reduced(ufunc, a, axis, dtype, out, keepdims, initial, where):
    identity = {np.add: 0, np.multiply: 1}.get(ufunc)
    given = {} if initial is np._NoValue or initial is None or initial == identity else {"initial": initial}
    if where is not True:
        given["where"] = where
    return ufunc.reduce(a, axis, dtype=dtype, out=out, keepdims=bool(keepdims), **given)


def _of_unknown_shape(function):
    def refuse(*args, **kwargs):
        raise next(traced_in((args, kwargs))).recorder.asked(
            f"{function.__name__}, whose shape follows from values (where(mask, x, 0) keeps the shape),", ShapeAsked
        )

    return refuse


for _function in (np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.trim_zeros, np.roots):
    FUNCTIONS[_function] = _of_unknown_shape(_function)


@_rule(np.lib.stride_tricks.sliding_window_view)
def _sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    lengths = window_shape if isinstance(window_shape, tuple) else (window_shape,)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return x._view(Windows(lengths, tuple([i % x.ndim for i in axes])))
