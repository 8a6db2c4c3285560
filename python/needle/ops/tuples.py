"""Tuples of Tensors as values: making one, taking an item out."""

import numpy as np

from ..graph import Tensor, TensorOp, TensorTuple, TensorTupleOp, leaf

__all__ = [
    "FusedAddScalars", "MakeTensorTuple", "TupleGetItem", "fused_add_scalars", "make_tuple", "tuple_get_item",
]  # fmt: skip


class MakeTensorTuple(TensorTupleOp):
    """(x₁, …, xₙ) as one value."""

    __slots__ = ()

    def compute(self, *arrays):
        return arrays

    def gradient(self, out_grad, node):
        return tuple(out_grad)


class TupleGetItem(TensorOp):
    """Entry `index` of a TensorTuple."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index

    def __call__(self, value: TensorTuple) -> Tensor:
        if not isinstance(value, TensorTuple):
            raise TypeError(f"TupleGetItem takes a TensorTuple, got {type(value).__name__}")
        return super().__call__(value)

    def compute(self, arrays):
        return arrays[self.index]

    def gradient(self, out_grad, node):
        arrays = node.inputs[0].node.data
        zero = [leaf(np.zeros_like(array)) for array in arrays]
        zero[self.index] = out_grad
        return MakeTensorTuple()(*zero)


class FusedAddScalars(TensorTupleOp):
    """(x + c0, x + c1)"""

    __slots__ = ("c0", "c1")

    def __init__(self, c0, c1):
        self.c0, self.c1 = c0, c1

    def compute(self, x):
        return x + self.c0, x + self.c1

    def gradient(self, out_grad, node):
        return out_grad[0] + out_grad[1]

    def tangent(self, node, tangent):
        return make_tuple(tangent, tangent)


# --------------------------------------------------------------------------------------------------------------------
# Functions


def make_tuple(*args: Tensor) -> TensorTuple:
    """The Tensors as one TensorTuple."""
    return MakeTensorTuple()(*args)


def tuple_get_item(value: TensorTuple, index: int) -> Tensor:
    """Entry `index` of a TensorTuple."""
    return value[index]


def fused_add_scalars(x: Tensor, c0, c1) -> TensorTuple:
    """The TensorTuple (x + c0, x + c1), made by one op."""
    return FusedAddScalars(c0, c1)(x)
