"""Sorting: a permutation, found by looking at the values, and the linear op that carries it out.

The permutation is a constant: the derivative of a sorted element is that of the element which came there.  It is the
stable one, so that among equal elements the first stays first.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from ..graph import Tensor
from .indexing import TakeAlongAxis
from .kinds import PiecewiseConstant, all_batched, behind_batch

__all__ = [
    "Order", "PartitionOrder", "Reorder", "partition", "sort",
]  # fmt: skip


class Order(PiecewiseConstant):
    """The stable permutation that sorts along `axis`"""

    __slots__ = ("axis",)

    def __init__(self, axis: int = -1):
        self.axis = axis

    def compute(self, a):
        return stable_order(a, self.axis)

    def batch(self, size, inputs, batched):
        return Order(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


class PartitionOrder(PiecewiseConstant):
    """The permutation by which `numpy.partition` puts the elements with the numbers `kth` in their sorted places"""

    __slots__ = ("kth", "axis")

    def __init__(self, kth, axis: int = -1):
        self.kth, self.axis = kth, axis

    def compute(self, a):
        # numpy.argpartition may leave another order among the others than numpy.partition, whose values are wanted.
        # So each element of the result is matched with the element of `a` that has the same rank.
        order = np.empty(a.shape, np.intp)
        places = stable_order(np.partition(a, self.kth, self.axis), self.axis)
        np.put_along_axis(order, places, stable_order(a, self.axis), self.axis)
        return order

    def batch(self, size, inputs, batched):
        return PartitionOrder(self.kth, *behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


class Reorder(TakeAlongAxis):
    """Elements of a along `axis` in the order that a permutation says; or, if `inverse`, back from there"""

    __slots__ = ("inverse",)

    def __init__(self, axis: int, inverse: bool = False):
        self.axis, self.inverse = axis, inverse

    def compute(self, a, order):
        if a.ndim == 1:
            if not self.inverse:
                return a[order]
            out = np.empty_like(a)
            out[order] = a
            return out
        if not self.inverse:
            return np.take_along_axis(a, order, self.axis)
        out = np.empty_like(a)
        np.put_along_axis(out, order, a, self.axis)
        return out

    def gradient(self, out_grad, node):
        return Reorder(self.axis, not self.inverse)(out_grad, node.inputs[1]), None

    def batch(self, size, inputs, batched):
        inputs = all_batched(size, inputs, batched)
        return Reorder(*behind_batch(self.axis, inputs[0].ndim - 1), self.inverse)(*inputs)


# --------------------------------------------------------------------------------------------------------------------
# Stable permutations


def stable_order(a, axis: int):
    """`numpy.argsort(a, axis, kind="stable")`; long vectors of floats in a fifth of the time."""
    if a.ndim == 1 and a.size > 2_000 and a.dtype.char in "fd" and a.dtype.isnative:
        order = _order_by_packing(a)
        if order is not None:
            return order
    return np.argsort(a, axis, kind="stable")


def _order_by_packing(a):
    """The stable permutation that sorts a vector of floats, or None where this way does not lead there.

    The bits of a float, read as a whole number, have the float's order (those of negative ones reversed).  With the
    element's number in the lowest bits they are all different, and NumPy's fast sort of whole numbers, which is not
    stable, gives value and permutation at once.  A float64 loses some of its own bits to the number; the few elements
    that cannot be told apart without these are put in order afterwards.
    """
    a = a + np.zeros((), a.dtype)  # -0.0 equals 0.0, but has other bits
    width = int(a.size - 1).bit_length()
    if a.dtype.char == "f":
        keys = a.view(np.int32).astype(np.int64)
        keys ^= (keys >> 63) & 0x7FFFFFFF
        keys <<= 32
        lost = 0
    else:
        keys = a.view(np.int64).copy()
        keys ^= (keys >> 63) & np.int64(0x7FFFFFFFFFFFFFFF)
        keys &= np.int64(-1) << width
        lost = width
    keys |= np.arange(a.size)
    keys.sort()
    order = keys & ((1 << (32 if a.dtype.char == "f" else width)) - 1)
    return _repaired(order, keys, lost, a)


def _repaired(order, keys, width: int, a):
    """The order by keys that have lost their lowest `width` bits, put right where these would have decided."""
    values = a[order]
    if np.isnan(values[0]) or np.isnan(values[-1]):
        return None
    wrong = np.flatnonzero(values[1:] < values[:-1])
    if len(wrong) > _MOST_REPAIRS:
        return None
    end = 0
    for place in wrong:
        if place < end:  # in the run that was repaired last
            continue
        key, start, end = keys[place] >> width, place, place + 2
        while start > 0 and keys[start - 1] >> width == key:
            start -= 1
        while end < len(keys) and keys[end] >> width == key:
            end += 1
        order[start:end] = order[start:end][np.argsort(values[start:end], kind="stable")]
    return order


_MOST_REPAIRS = 2_000


# --------------------------------------------------------------------------------------------------------------------
# Functions


def sort(a: Tensor, axis: int = -1) -> Tensor:
    """a sorted along `axis`; the derivative is that of the stable permutation."""
    return Reorder(axis)(a, Order(axis)(a))


def partition(a: Tensor, kth, axis: int = -1) -> Tensor:
    """a with the elements that have the numbers `kth` in their sorted places along `axis`, as `numpy.partition`."""
    return Reorder(axis)(a, PartitionOrder(kth, axis)(a))
