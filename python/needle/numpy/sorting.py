"""Sorting and partitioning; the derivative is that of the permutation."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..graph import Tensor
from ..ops.sorting import Order, PartitionOrder, Reorder
from .assignment import assign
from .dispatch import as_tensor, implements
from .shapes import ravel


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None) -> Tensor:
    """Sorted along `axis` (flattened for None); which way of sorting is asked for makes no difference to the result."""
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    return _by_permutation(as_tensor(a), axis, Order)


@implements(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None) -> Tensor:
    """With the elements that have the numbers `kth` in the sorted order in these places, smaller ones before them."""
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    return _by_permutation(as_tensor(a), axis, lambda axis: PartitionOrder(kth, axis))


def _by_permutation(a: Tensor, axis, permutation) -> Tensor:
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis_index(axis, a.ndim)
    return Reorder(axis)(a, permutation(axis)(a))


@implements(np.sort_complex)
def sort_complex(a) -> Tensor:
    """Sorted by real part, then imaginary part; complex."""
    a = sort(as_tensor(a))
    if a.dtype.kind == "c":
        return a
    return a.astype("F" if a.dtype.char in "bhBH" else "G" if a.dtype.char == "g" else "D")


def sort_in_place(a: Tensor, axis=-1, kind=None, order=None, *, stable=None) -> None:
    """`a.sort()`: sorts the array itself, as an assignment to all of it."""
    assign(a, ..., sort(a, axis, kind, order))


def partition_in_place(a: Tensor, kth, axis=-1, kind="introselect", order=None) -> None:
    """`a.partition(kth)`: partitions the array itself, as an assignment to all of it."""
    assign(a, ..., partition(a, kth, axis, kind, order))


Tensor.sort = sort_in_place
Tensor.partition = partition_in_place
