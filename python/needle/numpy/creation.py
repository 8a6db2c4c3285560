"""Making arrays: of Tensors and numbers, and to be filled.

`zeros`, `ones`, `empty`, `full`, `eye`, `identity` and `tri` give Tensors while something is being differentiated, so
that what is assigned into them keeps its derivative; otherwise they are NumPy's.
"""

import functools

import numpy as np

from .. import ops
from ..graph import Tensor, is_transforming, leaf
from .dispatch import as_tensor, holds_tensor, implements


def _numpy_without_tensors(plain):
    """A decorator: without a Tensor among the arguments the function is NumPy's."""

    def decorate(function):
        @functools.wraps(function)
        def shown(*args, **kwargs):
            if holds_tensor(args) or (kwargs and holds_tensor(kwargs.values())):
                return function(*args, **kwargs)
            return plain(*args, **kwargs)

        return shown

    return decorate


@_numpy_without_tensors(np.array)
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, ndmax=0, like=None) -> Tensor:
    """A new array of Tensors and numbers, nested as `numpy.array` takes them; derivatives flow through."""
    tensor = as_tensor(object)
    if dtype is not None and np.dtype(dtype) != tensor.dtype:
        tensor = tensor.astype(dtype)
    if tensor is object and copy:
        tensor = tensor.copy()
    missing = ndmin - tensor.ndim
    return ops.reshape(tensor, (1,) * missing + tensor.shape) if missing > 0 else tensor


@_numpy_without_tensors(np.asarray)
def asarray(a, dtype=None, order=None, *, device=None, copy=None, like=None) -> Tensor:
    """A Tensor as it is, or in another dtype; a list that holds Tensors joined to one."""
    return array(a, dtype, copy=bool(copy))


@_numpy_without_tensors(np.asanyarray)
def asanyarray(a, dtype=None, order=None, *, device=None, copy=None, like=None) -> Tensor:
    """As `asarray`: there are no subclasses to be kept."""
    return array(a, dtype, copy=bool(copy))


@_numpy_without_tensors(np.ascontiguousarray)
def ascontiguousarray(a, dtype=None, *, like=None) -> Tensor:
    """As `asarray`, at least 1-d: how a Tensor lies in memory is not the caller's business."""
    return array(a, dtype, copy=False, ndmin=1)


@_numpy_without_tensors(np.asfortranarray)
def asfortranarray(a, dtype=None, *, like=None) -> Tensor:
    """As `asarray`, at least 1-d: how a Tensor lies in memory is not the caller's business."""
    return array(a, dtype, copy=False, ndmin=1)


@_numpy_without_tensors(np.require)
def require(a, dtype=None, requirements=None, *, like=None) -> Tensor:
    """As `asarray`: how a Tensor lies in memory is not the caller's business."""
    return array(a, dtype, copy=False)


@_numpy_without_tensors(np.bmat)
def bmat(obj, ldict=None, gdict=None) -> Tensor:
    """A 2-d Tensor of blocks, given as rows of them (names in a string are NumPy's business: they name arrays)."""
    if isinstance(obj, Tensor):
        return array(obj, ndmin=2)
    rows = obj if isinstance(obj[0], (list, tuple)) else [obj]
    return ops.concatenate(
        [ops.concatenate([array(block, copy=False, ndmin=2) for block in row], 1) for row in rows], 0
    )


def full(shape, fill_value, dtype=None, order="C", *, device=None, like=None):
    """An array of `shape` with `fill_value`, which broadcasts, everywhere."""
    if not isinstance(fill_value, Tensor) and not holds_tensor((fill_value,)):
        return _to_be_filled(np.full(shape, fill_value, dtype, order))
    value = as_tensor(fill_value)
    value = ops.broadcast_to(value, shape)
    return value if dtype is None or np.dtype(dtype) == value.dtype else value.astype(dtype)


def _to_be_filled(made: np.ndarray):
    """The array that NumPy has made, as a Tensor while something is being differentiated."""
    return leaf(made) if is_transforming() and made.dtype.kind in "biufc" else made


def _maker(plain):
    @functools.wraps(plain)
    def make(*args, **kwargs):
        return _to_be_filled(plain(*args, **kwargs))

    return make


zeros, ones, empty = _maker(np.zeros), _maker(np.ones), _maker(np.empty)
eye, identity, tri = _maker(np.eye), _maker(np.identity), _maker(np.tri)


def _like(a, dtype, shape) -> tuple:
    """The shape and dtype that are asked for: those of `a` unless said otherwise."""
    if shape is None:
        shape = a.shape if isinstance(a, Tensor) else np.shape(a)
    if dtype is None:
        dtype = a.dtype if isinstance(a, Tensor) else np.asarray(a).dtype
    return shape, dtype


@implements(np.zeros_like, otherwise=_maker(np.zeros_like))
def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None) -> Tensor:
    """Zeros of the shape and dtype of `a`: a constant."""
    return leaf(np.zeros(*_like(a, dtype, shape)))


@implements(np.ones_like, otherwise=_maker(np.ones_like))
def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None) -> Tensor:
    """Ones of the shape and dtype of `a`: a constant."""
    return leaf(np.ones(*_like(a, dtype, shape)))


@implements(np.empty_like, otherwise=_maker(np.empty_like))
def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None) -> Tensor:
    """An array of the shape and dtype of `prototype`, to be filled: a constant."""
    return leaf(np.empty(*_like(prototype, dtype, shape)))


@implements(np.full_like, otherwise=_maker(np.full_like))
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None) -> Tensor:
    """`fill_value`, which broadcasts, in the shape and dtype of `a`."""
    shape, dtype = _like(a, dtype, shape)
    value = ops.broadcast_to(as_tensor(fill_value), shape)
    return value if value.dtype == dtype else value.astype(dtype)
