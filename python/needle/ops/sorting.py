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
                return a.take(order, mode="wrap")  # which looks at no index whether there is such an element
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
    narrow = a.dtype.char == "f"
    width = 32 if narrow else int(a.size - 1).bit_length()
    keys, starts = np.empty(a.size, np.int64), range(0, a.size, _BLOCK)
    for start in starts:  # block by block, so that a block's numbers stay in cache from one pass to the next
        key = keys[start : start + _BLOCK]
        part = a[start : start + _BLOCK] + np.zeros((), a.dtype)  # -0.0 equals 0.0, but has other bits
        key[...] = part.view(np.int32 if narrow else np.int64)
        negative = key >> 63
        negative &= 0x7FFFFFFF if narrow else 0x7FFFFFFFFFFFFFFF
        key ^= negative
        if narrow:
            key <<= width
        else:
            key &= np.int64(-1) << width
        key |= np.arange(start, start + key.size)
    keys.sort()
    alike = [] if narrow else np.concatenate([_alike(keys[n : n + _BLOCK + 1], width) + n + 1 for n in starts])
    keys &= (1 << width) - 1
    order = keys
    if np.isnan(a[order[0]]) or np.isnan(a[order[-1]]):
        return None
    return _repaired(order, alike, a)


def _alike(keys, width: int):
    """The places, counted from the second key, of those that differ from the one before in the lowest bits only."""
    return np.flatnonzero(keys[1:] ^ keys[:-1] < (1 << width))


def _repaired(order, alike, a):
    """The order by keys that have lost some bits, put right where these would have decided: among the elements at the
    places `alike`, and before them, whose keys are the same but for the element's number."""
    if len(alike) == 0:
        return order
    wrong = alike[a[order[alike]] < a[order[alike - 1]]]
    if len(wrong) > _MOST_REPAIRS:
        return None
    together = np.zeros(len(order) + 1, bool)
    together[alike] = True
    end = 0
    for place in wrong.tolist():
        if place < end:  # in the run that was repaired last
            continue
        start, end = place - 1, place + 1
        while together[start]:
            start -= 1
        while together[end]:
            end += 1
        run = order[start:end]
        order[start:end] = run[np.argsort(a[run], kind="stable")]
    return order


_MOST_REPAIRS = 2_000
_BLOCK = 1 << 14


# --------------------------------------------------------------------------------------------------------------------
# Functions


def sort(a: Tensor, axis: int = -1) -> Tensor:
    """a sorted along `axis`; the derivative is that of the stable permutation."""
    return Reorder(axis)(a, Order(axis)(a))


def partition(a: Tensor, kth, axis: int = -1) -> Tensor:
    """a with the elements that have the numbers `kth` in their sorted places along `axis`, as `numpy.partition`."""
    return Reorder(axis)(a, PartitionOrder(kth, axis)(a))
