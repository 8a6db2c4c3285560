"""A batch taken apart into its examples: for ops that have no rule for a whole batch, a user's own."""

import numpy as np

from ..graph import Node, Op, TensorTuple, call, new_handle
from .indexing import get_item
from .movement import stack
from .tuples import make_tuple

__all__ = []


def one_by_one(op: Op, size: int, inputs: list, batched: list[bool]):
    """`op` on one example after the other, the results stacked: right for every op, at the cost of a call for each."""
    if size == 0:  # what one example would give, of which there are none
        one = [_zeros(x.node, lambda shape: shape[1:]) if b else x.node for x, b in zip(inputs, batched)]
        return new_handle(_zeros(call(op, tuple(one)), lambda shape: (0, *shape)))
    results = [
        new_handle(call(op, tuple([example(x, i).node if b else x.node for x, b in zip(inputs, batched)])))
        for i in range(size)
    ]
    return stacked(results)


def _zeros(node: Node, shape_of) -> Node:
    """A constant like `node`, of the shape that `shape_of` makes of its shape."""
    data = node.data
    arrays = [np.zeros(shape_of(array.shape), array.dtype) for array in (data if node.holds_tuple() else [data])]
    return Node(None, (), tuple(arrays) if node.holds_tuple() else arrays[0], False)


def example(x, i: int):
    """Example i of a batched Tensor or TensorTuple."""
    return make_tuple(*[get_item(item, i) for item in x]) if isinstance(x, TensorTuple) else get_item(x, i)


def stacked(results: list):
    """The results for the examples (Tensors, or TensorTuples of one length) as one batch."""
    if isinstance(results[0], TensorTuple):
        return make_tuple(*[stack(items, 0) for items in zip(*results, strict=True)])
    return stack(results, 0)
