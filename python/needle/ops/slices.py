"""A batch taken apart into its examples: for ops that have no rule for a whole batch, a user's own."""

from collections.abc import Callable

import numpy as np

from ..graph import Node, Op, Tensor, TensorTuple, TensorTupleOp, call, new_handle, no_grad
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


class BySlices(TensorTupleOp):
    """A rule of an op that looks at values, which inside `vmap` there are only of one example at a time.

    `rule(*inputs)`, of Tensors to a tuple of Tensors, is computed for each example.
    """

    __slots__ = ("op", "rule")

    def __init__(self, op: Op, rule: Callable):
        self.op, self.rule = op, rule

    def compute(self, *arrays):
        with no_grad():
            return tuple([x.node.data for x in self.rule(*[new_handle(Node(None, (), a, False)) for a in arrays])])

    def gradient(self, out_grad, node):
        raise TypeError(
            f"a rule of {type(self.op).__name__} asks for values: inside vmap it can be used but not differentiated; "
            "build it from Tensor ops, e.g. node.inputs[0] > 0 instead of node.inputs[0].numpy() > 0"
        )


def gradient_by_slices(op: Op, out_grad, node) -> tuple:
    """What `op.gradient(out_grad, node)` would return, example by example."""
    wanted = [i for i, x in enumerate(node.inputs) if node.needs(i)]

    def rule(out_grad, out, *inputs):
        source = new_handle(Node(op, tuple([x.node for x in inputs]), out.node.data, True))
        partials = op.gradient_as_tuple(out_grad, source)
        return [Tensor(np.zeros(inputs[i].shape)) if partials[i] is None else partials[i] for i in wanted]

    found = iter(BySlices(op, rule)(out_grad, new_handle(node.node), *node.inputs))
    return tuple([next(found) if i in wanted else None for i in range(len(node.inputs))])
