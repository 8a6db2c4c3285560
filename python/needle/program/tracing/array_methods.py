"""The methods of NumPy's arrays, on traced ones: views, copies, and NumPy's functions under another name."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from inspect import isclass
from typing import Any

import numpy as np

from ..functions import Cast, Copy, Index, Part, Reshape, Transpose

_POWERS = {-1: np.reciprocal, 0.5: np.sqrt, 1: np.positive, 2: np.square}  # what NumPy's `**` computes instead


class ArrayMethods:
    """The methods that follow from what an array holds, from views of it (`_view`) and writes into it (`_write`)."""

    __slots__ = ()

    # What the array itself gives
    recorder: Any
    value: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype
    ndim: int
    size: int
    current: Any
    _view: Callable[..., Any]
    _write: Callable[..., None]

    @property
    def T(self) -> Any:
        return self.transpose()

    @property
    def mT(self) -> Any:
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        return self if self.dtype.kind != "c" else self._view(Part("real"))

    @real.setter
    def real(self, value) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Any:
        return np.zeros_like(self) if self.dtype.kind != "c" else self._view(Part("imag"))

    @imag.setter
    def imag(self, value) -> None:
        self.imag[...] = value

    @property
    def flat(self) -> Any:
        return self.ravel()

    def reshape(self, *shape, order="C", copy=None) -> Any:
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape
        if order not in ("C", "K"):
            return self.recorder.call(np.reshape, (self, tuple(shape)), {"order": order})
        shape = _lengths(self, shape)
        if shape == self.shape or np.may_share_memory(self.value.reshape(shape), self.value):
            return self._view(Reshape(shape))
        return self.copy()._view(Reshape(shape))  # a copy that is seen as one, into memory that is planned

    def ravel(self, order="C") -> Any:
        return self.reshape(-1, order="C" if order == "K" else order)

    def flatten(self, order="C") -> Any:
        return self.ravel(order).copy()

    def transpose(self, *axes) -> Any:
        if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)):
            axes = axes[0]
        if not axes:
            axes = tuple(range(self.ndim)[::-1])
        if len(axes) != self.ndim:
            raise ValueError("axes don't match array")
        return self._view(Transpose(tuple([operator.index(i) % self.ndim for i in axes])))

    def swapaxes(self, a, b) -> Any:
        axes = list(range(self.ndim))
        axes[a], axes[b] = axes[b], axes[a]
        return self.transpose(axes)

    def squeeze(self, axis=None) -> Any:
        return self.reshape(np.squeeze(self.value, axis).shape)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True) -> Any:
        with np.errstate(all="ignore"):
            value = self.value.astype(dtype, casting=casting)
        if value.dtype == self.dtype:
            return self.copy() if copy else self
        return self.recorder.record(Cast(value.dtype), [self.current], value)

    def copy(self, order="C") -> Any:
        return self.recorder.record(Copy(), [self.current], self.value.copy(order))

    def __deepcopy__(self, memo) -> Any:
        return self.copy()

    def view(self, dtype=None, type=None) -> Any:
        if dtype is None or (isclass(dtype) and issubclass(dtype, np.ndarray)):
            return self._view(Index(...))
        return self.recorder.call(np.ndarray.view, (self, dtype))

    def __copy__(self) -> Any:
        return self.copy()

    def fill(self, value) -> None:
        self._write(value, "unsafe")

    def sort(self, axis=-1, **kwargs):
        self[...] = np.sort(self, axis, **kwargs)

    def partition(self, kth, axis=-1, **kwargs):
        self[...] = np.partition(self, kth, axis, **kwargs)

    def __pow__(self, other):
        quick = _POWERS.get(other) if type(other) in (int, float) and self.dtype.kind in "fc" else None
        return np.power(self, other) if quick is None else quick(self)

    def sum(self, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True):
        return np.sum(self, axis, dtype, out, keepdims, initial, where)

    def conj(self):
        return np.conjugate(self)

    conjugate = conj


def _method(name: str):
    function = getattr(np, name)

    def method(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    method.__name__ = name
    return method


for _each in (
    "all any argmax argmin argpartition argsort choose clip compress cumprod cumsum diagonal dot max mean min nonzero "
    "prod ptp put repeat round searchsorted std take trace var"
).split():
    setattr(ArrayMethods, _each, _method(_each))


def _lengths(a: ArrayMethods, shape) -> tuple[int, ...]:
    """The shape that is asked for, with the length that -1 stands for."""
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not a.size or -1 in shape:
        return np.broadcast_to(np.int8(0), a.shape).reshape(shape).shape
    shape = tuple([operator.index(n) for n in shape])
    if math.prod(shape) != a.size:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {shape}")
    return shape
