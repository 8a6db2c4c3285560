"""Products, traces and diagonals."""

import numpy as np

from ... import ops
from ...graph import Tensor
from ...ops.linalg import conj
from ..dispatch import as_tensor, implements


@implements("linalg.matmul")
def matmul(x1, x2, /):
    """The matrix product."""
    return ops.matmul(as_tensor(x1), as_tensor(x2))


@implements("linalg.matrix_transpose")
def matrix_transpose(x, /):
    """The last two axes swapped."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return ops.transpose(x)


@implements("linalg.diagonal")
def diagonal(x, /, *, offset=0):
    """The diagonals of matrices in the last two axes, above the main one by `offset`."""
    x = as_tensor(x)
    rows, columns = x.shape[-2:]
    i = np.arange(max(0, -offset), max(max(0, -offset), min(rows, columns - offset)))
    return x[(..., i, i + offset)]


@implements("linalg.trace")
def trace(x, /, *, offset=0, dtype=None):
    """The sums of the diagonals."""
    entries = diagonal(x, offset=offset)
    if dtype is not None and np.dtype(dtype) != entries.dtype:
        entries = entries.astype(dtype)
    return ops.summation(entries, (-1,))


@implements("linalg.outer")
def outer(x1, x2, /):
    """The products of every element of a vector with every element of another."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x1.ndim} and x2.ndim={x2.ndim}.")
    return ops.multiply(ops.reshape(x1, (-1, 1)), x2)


@implements("linalg.vecdot")
def vecdot(x1, x2, /, *, axis=-1):
    """Σ conj(x1)·x2 over an axis."""
    return ops.summation(ops.multiply(conj(as_tensor(x1)), as_tensor(x2)), (axis,))


@implements("linalg.cross")
def cross(x1, x2, /, *, axis=-1):
    """The cross product of vectors of three elements along `axis`."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, "
            f"but they are {x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    a, b = ops.split(x1, axis), ops.split(x2, axis)
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return ops.stack(parts, axis)


@implements("linalg.tensordot")
def tensordot(x1, x2, /, *, axes=2):
    """Σ over pairs of axes of the products: `axes` last ones of x1 and first ones of x2, or two lists of axes."""
    a, b = as_tensor(x1), as_tensor(x2)
    if hasattr(axes, "__iter__"):
        of_a, of_b = (list(part) if hasattr(part, "__iter__") else [part] for part in axes)
    else:
        of_a, of_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    of_a, of_b = [i % a.ndim for i in of_a], [i % b.ndim for i in of_b]
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ValueError("shape-mismatch for sum")
    free_a, free_b = ([i for i in range(x.ndim) if i not in of] for x, of in ((a, of_a), (b, of_b)))
    shape = [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b]
    size = int(np.prod([a.shape[i] for i in of_a]))
    a = ops.reshape(ops.permute(a, free_a + of_a), (int(np.prod([a.shape[i] for i in free_a])), size))
    b = ops.reshape(ops.permute(b, of_b + free_b), (size, int(np.prod([b.shape[i] for i in free_b]))))
    return ops.reshape(ops.matmul(a, b), shape)


@implements(np.linalg.multi_dot)
def multi_dot(arrays, *, out=None):
    """The product of several matrices, in the order that takes the fewest multiplications; the first and the last may
    be vectors."""
    arrays = [as_tensor(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    row, column = arrays[0].ndim == 1, arrays[-1].ndim == 1
    if row:
        arrays[0] = ops.reshape(arrays[0], (1, -1))
    if column:
        arrays[-1] = ops.reshape(arrays[-1], (-1, 1))
    for a in arrays:
        if a.ndim != 2:
            raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    result = _in_order(arrays, _best_cuts([arrays[0].shape[0], *[a.shape[1] for a in arrays]]), 0, len(arrays) - 1)
    if row or column:
        result = ops.reshape(result, result.shape[int(row) : 2 - int(column)])
    return result


def _best_cuts(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Behind which factor to cut each run of factors (Cormen et al., "Introduction to Algorithms", 14.2)."""
    n = len(lengths) - 1
    cost = {(i, i): 0 for i in range(n)}
    cuts = {}
    for span in range(1, n):
        for i in range(n - span):
            j = i + span
            cost[i, j], cuts[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + lengths[i] * lengths[k + 1] * lengths[j + 1], k) for k in range(i, j)
            )
    return cuts


def _in_order(arrays: list[Tensor], cuts: dict, i: int, j: int) -> Tensor:
    if i == j:
        return arrays[i]
    k = cuts[i, j]
    return ops.matmul(_in_order(arrays, cuts, i, k), _in_order(arrays, cuts, k + 1, j))
