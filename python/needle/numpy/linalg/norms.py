"""Norms and condition numbers."""

import numpy as np

from ... import ops
from ...graph import Tensor
from ...ops.kinds import normalize_axes
from ...ops.linalg import inverse
from ...ops.norms import EuclideanNorm
from ...ops.orthogonal import Svdvals
from ..dispatch import as_tensor, implements
from ..ufuncs import inexact


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors or matrices, of every order that NumPy has.  Its derivative at 0 is 0."""
    x = inexact(as_tensor(x))
    if axis is None:
        if ord is None or (ord in ("fro", "f") and x.ndim == 2) or (ord == 2 and x.ndim == 1):
            return EuclideanNorm(None, bool(keepdims))(x)
        axis = tuple(range(x.ndim))
    elif not isinstance(axis, tuple):
        try:
            axis = (int(axis),)
        except Exception as error:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from error
    if len(axis) == 1:
        return _of_vectors(x, 2 if ord is None else ord, normalize_axes(axis, x.ndim)[0], keepdims)
    if len(axis) == 2:
        rows, columns = (normalize_axes(a, x.ndim)[0] for a in axis)
        if rows == columns:
            raise ValueError("Duplicate axes given.")
        return _of_matrices(x, "fro" if ord is None else ord, rows, columns, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@implements("linalg.vector_norm")
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm of vectors along one axis or several."""
    x = inexact(as_tensor(x))
    axes = normalize_axes(axis, x.ndim)
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    kept = [i for i in range(x.ndim) if i not in axes]
    if len(axes) != 1:
        x = ops.reshape(ops.permute(x, kept + list(axes)), (*[x.shape[i] for i in kept], -1))
        axes = (len(kept),)
    result = _of_vectors(x, ord, axes[0], False)
    return ops.reshape(result, shape) if keepdims else result


@implements("linalg.matrix_norm")
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of matrices in the last two axes."""
    return norm(as_tensor(x), ord, (-2, -1), keepdims)


def _of_vectors(x: Tensor, order, axis: int, keepdims) -> Tensor:
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order == 2:
        return EuclideanNorm((axis,), bool(keepdims))(x)
    if order == 0:
        return ops.Summation((axis,), bool(keepdims))(ops.not_equal(x, 0).astype(np.finfo(x.dtype).dtype))
    size = _modulus(x)
    if order in (np.inf, -np.inf):
        return (ops.Max if order > 0 else ops.Min)((axis,), bool(keepdims))(size)
    if order == 1:
        return ops.Summation((axis,), bool(keepdims))(size)
    return _of_order(size, order, axis, bool(keepdims))


def _of_order(size: Tensor, order, axis: int, keepdims: bool) -> Tensor:
    """(Σ |x|ᵖ)^(1/p).  For p > 0 elements that are 0, and a sum that is 0, have derivative 0."""
    if order < 0:
        return ops.power_scalar(ops.Summation((axis,), keepdims)(ops.power_scalar(size, order)), 1 / order)
    zero = ops.equal(size, 0)
    powers = ops.where(zero, 0, ops.power_scalar(ops.where(zero, 1, size), order))
    total = ops.Summation((axis,), keepdims)(powers)
    zero = ops.equal(total, 0)
    return ops.where(zero, 0, ops.power_scalar(ops.where(zero, 1, total), 1 / order))


def _modulus(x: Tensor) -> Tensor:
    """|x|, with derivative 0 at 0; of complex numbers by way of the Euclidean norm of (real, imaginary)."""
    if x.dtype.kind != "c":
        return ops.abs(x)
    return EuclideanNorm((x.ndim,))(ops.reshape(x, (*x.shape, 1)))


def _of_matrices(x: Tensor, order, rows: int, columns: int, keepdims) -> Tensor:
    if order in ("fro", "f"):
        return EuclideanNorm((rows, columns), bool(keepdims))(x)
    if order in (1, -1, np.inf, -np.inf):
        inner, outer = (rows, columns) if abs(order) == 1 else (columns, rows)
        sums = ops.Summation((inner,), True)(_modulus(x))
        result = (ops.Max if order > 0 else ops.Min)((outer,), True)(sums)
    elif order in (2, -2, "nuc"):
        kept = [i for i in range(x.ndim) if i not in (rows, columns)]
        s = ops.abs(Svdvals()(ops.permute(x, [*kept, rows, columns])))  # of a value 0 the derivative is 0
        found = ops.Summation if order == "nuc" else ops.Max if order == 2 else ops.Min
        result = found((-1,), False)(s)
        shape = [1 if i in (rows, columns) else n for i, n in enumerate(x.shape)]
        return ops.reshape(result, shape) if keepdims else result
    else:
        raise ValueError("Invalid norm order for matrices.")
    kept = [n for i, n in enumerate(result.shape) if i not in (rows, columns)]
    return result if keepdims else ops.reshape(result, kept)


@implements(np.linalg.cond)
def cond(x, p=None):
    """The condition number: the norm of x times that of its inverse."""
    x = inexact(as_tensor(x))
    if x.size == 0 and 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p in (None, 2, -2):
        s = Svdvals()(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(inverse(x), p, (-2, -1))
