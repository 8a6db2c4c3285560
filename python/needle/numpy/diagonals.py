"""Diagonals, and what lies above and below them."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..graph import Tensor
from ..ops.indexing import Scatter
from .dispatch import as_tensor, implements
from .shapes import ravel


def _places(rows: int, columns: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the elements on a diagonal."""
    first_row, first_column = max(-offset, 0), max(offset, 0)
    n = max(min(rows - first_row, columns - first_column), 0)
    return np.arange(first_row, first_row + n), np.arange(first_column, first_column + n)


@implements(np.diagonal)
def diagonal(a, offset=0, axis1=0, axis2=1) -> Tensor:
    """The elements a[i, i + offset] of two axes, which one at the end replaces."""
    a = as_tensor(a)
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    axis1, axis2 = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    if axis1 == axis2:
        raise ValueError("axis1 and axis2 cannot be the same")
    others = [axis for axis in range(a.ndim) if axis not in (axis1, axis2)]
    a = ops.permute(a, (*others, axis1, axis2)) if others or axis1 > axis2 else a
    return ops.get_item(a, (..., *_places(*a.shape[-2:], offset)))


@implements(np.diag)
def diag(v, k=0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix that has a vector on its k-th diagonal."""
    v = as_tensor(v)
    if v.ndim == 1:
        return diagflat(v, k)
    if v.ndim == 2:
        return diagonal(v, k)
    raise ValueError("Input must be 1- or 2-d.")


@implements(np.diagflat)
def diagflat(v, k=0) -> Tensor:
    """The matrix that has all elements of v on its k-th diagonal, and zeros."""
    v = ravel(as_tensor(v))
    n = v.size + abs(k)
    return Scatter(_places(n, n, k), (n, n))(v)


@implements(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None) -> Tensor:
    """The sum along a diagonal."""
    return np.sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def _triangle(m, mask) -> Tensor:
    m = as_tensor(m)
    m = ops.broadcast_to(m, (m.shape[0], m.shape[0])) if m.ndim == 1 else m  # as NumPy has it
    return ops.where(mask(*m.shape[-2:]), m, np.zeros((), m.dtype)[()])


@implements(np.tril)
def tril(m, k=0) -> Tensor:
    """With zeros above the k-th diagonal of the last two axes."""
    return _triangle(m, lambda rows, columns: np.tri(rows, columns, k, bool))


@implements(np.triu)
def triu(m, k=0) -> Tensor:
    """With zeros below the k-th diagonal of the last two axes."""
    return _triangle(m, lambda rows, columns: ~np.tri(rows, columns, k - 1, bool))
