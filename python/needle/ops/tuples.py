"""Tuples of Tensors as values: making one, taking an item out."""

import numpy as np

from ..graph import Tensor, TensorOp, TensorTuple, TensorTupleOp, leaf
from .kinds import Linear, Movement, all_batched, zeros_like

__all__ = [
    "FusedAddScalars", "MakeTensorTuple", "TupleGetItem", "fused_add_scalars", "make_tuple", "tuple_get_item",
]  # fmt: skip


class MakeTensorTuple(TensorTupleOp):
    """(x₁, …, xₙ) as one value."""

    __slots__ = ()

    lanes = Movement.lanes

    def compute(self, *arrays):
        return arrays

    def gradient(self, out_grad, node):
        return tuple(out_grad)

    def tangent(self, node, *tangents):
        return self(*[zeros_like(x) if t is None else t for x, t in zip(node.inputs, tangents)])

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        return self(*all_batched(size, inputs, batched))


class TupleGetItem(TensorOp):
    """Entry `index` of a TensorTuple."""

    __slots__ = ("index",)

    lanes = Movement.lanes

    def __init__(self, index: int):
        self.index = index

    def __call__(self, value: TensorTuple) -> Tensor:
        if not isinstance(value, TensorTuple):
            raise TypeError(f"TupleGetItem takes a TensorTuple, got {type(value).__name__}")
        return super().__call__(value)

    def compute(self, arrays):
        return arrays[self.index]

    def gradient(self, out_grad, node):
        items = [leaf(np.zeros_like(array)) for array in node.inputs[0].node.data]
        items[self.index] = out_grad
        return MakeTensorTuple()(*items)

    def tangent(self, node, tangent):
        return self(tangent)

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        return self(*inputs)


class FusedAddScalars(TensorTupleOp):
    """(x + c0, x + c1)"""

    __slots__ = ("c0", "c1")

    lanes = Movement.lanes

    def __init__(self, c0, c1):
        self.c0, self.c1 = c0, c1

    def compute(self, x):
        return x + self.c0, x + self.c1

    def gradient(self, out_grad, node):
        return out_grad[0] + out_grad[1]

    def tangent(self, node, tangent):
        return make_tuple(tangent, tangent)

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        return self(*inputs)


# --------------------------------------------------------------------------------------------------------------------
# Functions


def make_tuple(*args: Tensor) -> TensorTuple:
    """The Tensors as one TensorTuple."""
    return MakeTensorTuple()(*args)


def tuple_get_item(value: TensorTuple, index: int) -> Tensor:
    """Entry `index` of a TensorTuple."""
    if not isinstance(value, TensorTuple):
        raise TypeError(f"tuple_get_item takes a TensorTuple, got {type(value).__name__}")
    return value[index]


def fused_add_scalars(x: Tensor, c0, c1) -> TensorTuple:
    """The TensorTuple (x + c0, x + c1), made by one op."""
    return FusedAddScalars(c0, c1)(x)
