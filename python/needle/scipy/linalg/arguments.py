"""Arguments of `scipy.linalg`: matrices and batches of them, refused as SciPy refuses them."""

from collections.abc import Callable

import numpy as np

from ... import ops
from ...graph import Tensor, ValueUnknown
from ...numpy.dispatch import as_tensor, plain
from ...numpy.ufuncs import inexact


def finite(a, check_finite: bool = True) -> Tensor:
    """An argument as a Tensor in floating point; with `check_finite` an error if it is known to hold nan or inf."""
    a = inexact(as_tensor(a))
    if check_finite:
        try:
            value = plain(a)
        except ValueUnknown:  # inside vmap
            return a
        if not np.isfinite(value).all():
            raise ValueError("array must not contain infs or NaNs")
    return a


def square(a, name: str, check_finite: bool = False, error: type[ValueError] = ValueError) -> Tensor:
    """An argument as a Tensor of square matrices."""
    a = finite(a, check_finite)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise error(f"{name} expects square matrices in the last two axes, got shape {a.shape}")
    return a


def of_one_dtype(*arrays: Tensor) -> list[Tensor]:
    """The Tensors in the dtype that they have in common."""
    dtype = np.result_type(*[a.dtype for a in arrays])
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


def on_columns(solve: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, name: str) -> Tensor:
    """`solve(a, b)` for right-hand sides b that are matrices or, where b is 1-d, one vector for all of a."""
    if b.ndim == 0 or b.shape[-2 if b.ndim > 1 else 0] != a.shape[-1]:
        raise ValueError(f"{name}: shapes {a.shape} of the matrix and {b.shape} of the right-hand side do not fit")
    return solve(a, b) if b.ndim > 1 else solve(a, ops.reshape(b, (-1, 1)))[..., 0]


def over_batch(function: Callable, *arrays: np.ndarray) -> np.ndarray:
    """`function`, of matrices, for each of a batch: leading axes broadcast.  (SciPy itself does so since 1.16.)"""
    shape = np.broadcast_shapes(*[a.shape[:-2] for a in arrays])
    if not shape:
        return function(*arrays)
    arrays = [np.broadcast_to(a, (*shape, *a.shape[-2:])) for a in arrays]
    if 0 in shape:
        one = function(*[np.eye(*a.shape[-2:], dtype=a.dtype) for a in arrays])
        return np.zeros((*shape, *one.shape), one.dtype)
    results = np.stack([function(*[a[i] for a in arrays]) for i in np.ndindex(shape)])
    return results.reshape(*shape, *results.shape[1:])
