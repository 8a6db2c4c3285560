"""Joining arrays, taking them apart, and putting elements in or leaving them out."""

import operator
from itertools import pairwise

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..graph import Tensor
from .dispatch import as_tensor, implements, plain
from .shapes import atleast_1d, atleast_2d, atleast_3d, moved, ravel


def parts(arrays) -> list[Tensor]:
    """The arrays of a sequence (or the slices of one array along its first axis) as Tensors."""
    if isinstance(arrays, Tensor):
        return list(arrays)
    return [as_tensor(array) for array in arrays]


def _of_one_dtype(arrays, dtype=None, casting="same_kind") -> list[Tensor]:
    """Arrays in the dtype that they have together, or in the one that is asked for."""
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    first = arrays[0].node.data.dtype
    if dtype is None and all(x.node.data.dtype is first for x in arrays):
        return arrays
    if dtype is None:
        dtype = np.result_type(*[x.dtype for x in arrays])
    dtype = np.dtype(dtype)
    for x in arrays:
        if not np.can_cast(x.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {x.dtype!r} to {dtype!r} according to the rule {casting!r}")
    return [x if x.dtype == dtype else x.astype(dtype) for x in arrays]


@implements(np.concatenate)
def concatenate(arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind") -> Tensor:
    """Joined along an axis that they have; flattened first for None."""
    tensors = _of_one_dtype(parts(arrays), dtype, casting)
    if axis is None:
        tensors, axis = [ravel(x) for x in tensors], 0
    if any(x.ndim == 0 for x in tensors):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis_index(axis, tensors[0].ndim)
    return tensors[0].copy() if len(tensors) == 1 else ops.concatenate(tensors, axis)


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind") -> Tensor:
    """Joined along a new axis."""
    tensors = parts(arrays)
    if not tensors:
        raise ValueError("need at least one array to stack")
    if len({x.shape for x in tensors}) > 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis_index(axis, tensors[0].ndim + 1)
    return ops.stack(_of_one_dtype(tensors, dtype, casting), axis)


@implements(np.vstack, "row_stack")
def vstack(tup, *, dtype=None, casting="same_kind") -> Tensor:
    """Rows below each other."""
    return concatenate([atleast_2d(x) for x in parts(tup)], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind") -> Tensor:
    """Side by side: joined along axis 1, vectors along their only axis."""
    tensors = [atleast_1d(x) for x in parts(tup)]
    return concatenate(tensors, 0 if tensors and tensors[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup) -> Tensor:
    """Behind each other: joined along axis 2."""
    return concatenate([atleast_3d(x) for x in parts(tup)], 2)


@implements(np.column_stack)
def column_stack(tup) -> Tensor:
    """Vectors as columns, and matrices, side by side."""
    tensors = [ops.reshape(x, (-1 if x.size else 0, 1)) if x.ndim < 2 else x for x in parts(tup)]
    return concatenate(tensors, 1)


@implements(np.block)
def block(arrays) -> Tensor:
    """An array of blocks, in lists as deep as it has axes."""
    tensors: list[Tensor] = []

    def numbered(value):
        """The same nesting, with functions that find an array in place of the array."""
        if isinstance(value, list):
            return [numbered(item) for item in value]
        if isinstance(value, tuple):
            raise TypeError("numpy.block takes lists of blocks, got a tuple")
        tensors.append(as_tensor(value))
        return len(tensors) - 1

    tree = numbered(arrays)

    def laid(node, numbers):
        return [laid(item, numbers) for item in node] if isinstance(node, list) else numbers[node]

    return moved(lambda *numbers: np.block(laid(tree, numbers)), *tensors)


@implements(np.append)
def append(arr, values, axis=None) -> Tensor:
    """Values joined to the end of an array along `axis`; both flattened for None."""
    arr, values = as_tensor(arr), as_tensor(values)
    if axis is None:
        arr, values, axis = ravel(arr), ravel(values), 0
    return concatenate((arr, values), axis)


@implements(np.insert)
def insert(arr, obj, values, axis=None) -> Tensor:
    """Values put in before the places `obj` along `axis` (of the flattened array for None)."""
    arr, obj, values = as_tensor(arr), plain(obj), as_tensor(values)
    return moved(lambda numbers, new: np.insert(numbers, obj, new, axis), arr, values, dtype=arr.dtype)


@implements(np.delete)
def delete(arr, obj, axis=None) -> Tensor:
    """Without the places `obj` along `axis` (of the flattened array for None)."""
    obj = plain(obj)
    return moved(lambda numbers: np.delete(numbers, obj, axis), as_tensor(arr))


# --------------------------------------------------------------------------------------------------------------------
# Taking apart


@implements(np.array_split)
def array_split(ary, indices_or_sections, axis=0) -> list[Tensor]:
    """Parts along `axis`: so many of nearly equal length, or cut at the places given."""
    ary = as_tensor(ary)
    axis = normalize_axis_index(axis, ary.ndim)
    n = ary.shape[axis]
    cuts = plain(indices_or_sections)
    if hasattr(cuts, "__len__"):
        ends = [0, *map(int, cuts), n]
    else:
        sections = operator.index(cuts)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, extra = divmod(n, sections)
        ends = [i * each + min(i, extra) for i in range(sections + 1)]
    before = (slice(None),) * axis
    return [ops.get_item(ary, (*before, slice(start, stop))) for start, stop in pairwise(ends)]


@implements(np.split)
def split(ary, indices_or_sections, axis=0) -> list[Tensor]:
    """As `array_split`, with parts of equal length."""
    ary = as_tensor(ary)
    if not hasattr(indices_or_sections, "__len__") and ary.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary, indices_or_sections) -> list[Tensor]:
    """Parts along axis 1, of a vector along its only axis."""
    ary = as_tensor(ary)
    if ary.ndim == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@implements(np.vsplit)
def vsplit(ary, indices_or_sections) -> list[Tensor]:
    """Parts along axis 0."""
    ary = as_tensor(ary)
    if ary.ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary, indices_or_sections) -> list[Tensor]:
    """Parts along axis 2."""
    ary = as_tensor(ary)
    if ary.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


@implements("unstack")
def unstack(x, /, *, axis=0) -> tuple[Tensor, ...]:
    """The slices along `axis`."""
    x = as_tensor(x)
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(ops.split(x, axis))
