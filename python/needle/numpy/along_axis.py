"""Functions of vectors, called for each vector of an array."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..graph import Tensor
from .dispatch import as_tensor, implements


@implements(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs) -> Tensor:
    """func1d of each vector along `axis`; what it returns takes the place of the vector."""
    arr = as_tensor(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    shape = (*arr.shape[:axis], *arr.shape[axis + 1 :])
    if 0 in shape:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    vectors = ops.reshape(
        ops.moveaxis(arr, axis, arr.ndim - 1), (-1, arr.shape[axis]) if arr.size else (int(np.prod(shape)), 0)
    )
    results = [as_tensor(func1d(vector, *args, **kwargs)) for vector in vectors]
    out = ops.stack(results, 0)
    each = out.shape[1:]
    out = ops.reshape(out, (*shape, *each))
    behind = range(len(shape), len(shape) + len(each))
    return ops.permute(out, (*range(axis), *behind, *range(axis, len(shape))))


@implements(np.apply_over_axes)
def apply_over_axes(func, a, axes) -> Tensor:
    """func(a, axis) for one axis after the other, with reduced axes kept at length 1."""
    value = as_tensor(a)
    ndim = value.ndim
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + ndim if axis < 0 else axis
        result = as_tensor(func(value, axis))
        if result.ndim != ndim:
            result = np.expand_dims(result, axis)
            if result.ndim != ndim:
                raise ValueError("function is not returning an array of the correct shape")
        value = result
    return value
