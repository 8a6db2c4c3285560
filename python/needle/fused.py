"""Fused ops: a whole formula as one op, with its value and its adjoint written by hand in NumPy.

Most of an eager step's time goes to the many small ops that a layer consists of, and most of its memory to what lies
between them.  A `Fused` op says its mathematics twice: `formula`, in ordinary needle ops, is the definition; `compute`
and `adjoint` are the same in few passes over memory.  First derivatives run the NumPy.  Second and higher ones come
from differentiating the formula, with the walk that differentiates everything else, so they need no third version.
"""

from collections.abc import Iterable
from itertools import zip_longest

import numpy as np

from .adjoint import adjoints, among, differentiable, recording
from .graph import Node, Tensor, TensorTuple, TensorTupleOp, handle, is_recording, new_handle, topological_order
from .ops.arithmetic import add
from .ops.kinds import Cast, zeros_like
from .ops.movement import Identity
from .ops.selection import selected
from .ops.tuples import TupleGetItem, make_tuple
from .structural_zeros import Lanes, enter_seed


class Fused(TensorTupleOp):
    """A formula as one op.  Of what `compute` returns, the first `values` arrays are its values.  Those after are kept
    for the adjoint, and nobody else may use them."""

    __slots__ = ()

    values: int = 1

    def compute(self, *arrays) -> tuple:
        """The values, and what the adjoint will want to know: arrays in, arrays out."""
        raise NotImplementedError

    def formula(self, *inputs: Tensor):
        """The values in ordinary ops: the definition of what `compute` computes.  A Tensor, or a tuple of `values`."""
        raise NotImplementedError

    def adjoint(self, out_grads: tuple, outputs: tuple, inputs: tuple, needs: tuple[bool, ...]) -> Iterable:
        """The adjoints of the inputs, from those of the values: arrays in, arrays out; anything where `needs` is False.

        An array in `out_grads` is None if it is zero, because nothing depends on that value; not all are None.
        """
        raise NotImplementedError

    def array_gradient(self, out_grads, outputs, inputs, needs):
        needs = tuple([need and array.dtype.kind in "fc" for array, need in zip(inputs, needs)])
        found = self.adjoint(out_grads[: self.values], outputs, inputs, needs)
        return [array if need else None for array, need in zip(found, needs)]

    def gradient(self, out_grad: TensorTuple, node):
        inputs = node.inputs
        needs = tuple([node.needs(i) and x.node.data.dtype.kind in "fc" for i, x in enumerate(inputs)])
        # The node that a rule receives is a Tensor; `handle` gives the TensorTuple that stands for the same node.
        found = FusedAdjoint(self, needs)(out_grad, handle(node.node), *inputs)
        items = iter(items_of(found, sum(needs)))
        return tuple([next(items) if need else None for need in needs])

    def inner_gradient(self, out_grad, node, mask):
        """The adjoints, by the formula, for an op whose `lanes` are "inner" (see structural_zeros.py)."""
        inputs = node.inputs
        record = is_recording() and any(x.node.requires_grad for x in (*out_grad, *inputs))
        with recording():
            inputs = [stand_in(x) for x in inputs]
            results = self.unfused(*inputs)
        return tuple(derivatives(zip(results, map(selected, out_grad, mask)), inputs, record))

    def unfused(self, *inputs):
        """The formula instead of the op, inside transforms that carry more than values (`jvp`, `vmap`)."""
        result = self.formula(*inputs)
        return make_tuple(*((result,) if isinstance(result, Tensor) else result))


class FusedAdjoint(TensorTupleOp):
    """The adjoints of those inputs of a `Fused` op that need one, from the adjoints of its values.

    Inputs: the adjoint of all that the op's `compute` returned, as a tuple; what it returned, as a tuple; its inputs.
    """

    __slots__ = ("needs", "op")

    def __init__(self, op: Fused, needs: tuple[bool, ...]):
        self.op, self.needs = op, needs

    def compute(self, out_grads, outputs, *inputs):
        grads = tuple([None if is_zero(array) else array for array in out_grads[: self.op.values]])
        if all(grad is None for grad in grads):
            return tuple([np.zeros_like(array) for array, need in zip(inputs, self.needs) if need])
        found = self.op.adjoint(grads, outputs, inputs, self.needs)
        return tuple([array for array, need in zip(found, self.needs) if need])

    def unfused(self, out_grad, outputs, *inputs):
        """The adjoints of the formula, inside transforms that carry more than values."""
        grads = items_of(out_grad, self.op.values)
        record = is_recording() and any(x.node.requires_grad for x in (*grads, *inputs))
        with recording():
            inputs = [stand_in(x) for x in inputs]
            pairs = zip(self.op.unfused(*inputs), grads)
        wanted = [x for x, need in zip(inputs, self.needs) if need]
        found = derivatives(pairs, wanted, record)
        return make_tuple(*[zeros_like(x) if t is None else t for t, x in zip(found, wanted)])

    def gradient(self, out_grad: TensorTuple, node):
        """Differentiates the formula twice: ⟨adjoints(grads, inputs), out_grad⟩ by grads and inputs.

        What was kept gets no adjoint: it is a function of the inputs, and the formula knows how they matter.
        """
        values = self.op.values
        first_grad, _, *inputs = node.inputs
        grads, directions = items_of(first_grad, len(first_grad)), list(out_grad)
        record = is_recording() and any(x.node.requires_grad for x in (*grads, *inputs, *directions))
        with recording():
            ends = [stand_in(x) for x in grads[:values]]
            inputs = [stand_in(x) for x in inputs]
            result = self.op.formula(*inputs)
            results = (result,) if isinstance(result, Tensor) else result
            wanted = [x for x, need in zip(inputs, self.needs) if need]
            first = derivatives(zip(results, ends), wanted, record=True)
            pairs = [(adjoint, v) for adjoint, v in zip(first, directions) if adjoint is not None]
            second = derivatives(pairs, [*ends, *inputs], record)
        by_grads = [zeros_like(x) if t is None else t for x, t in zip_longest(grads, second[:values])]
        return (make_tuple(*by_grads), None, *second[values:])


def items_of(values: TensorTuple, count: int) -> list[Tensor]:
    """The first `count` items of a TensorTuple."""
    return [TupleGetItem(i)(values) for i in range(count)]


def is_zero(array) -> bool:
    """Whether this is one zero, repeated without using memory."""
    return type(array) is np.ndarray and not any(array.strides) and array.size > 0 and array.item(0) == 0


_IDENTITY = Identity()


def stand_in(tensor: Tensor) -> Tensor:
    """A new value to differentiate with respect to, whose derivatives are connected to those of `tensor`."""
    return new_handle(tensor.node.followed(_IDENTITY)) if tensor.dtype.kind in "fc" else tensor


def derivatives(pairs: Iterable, wanted: list[Tensor], record: bool) -> list[Tensor | None]:
    """The adjoints of `wanted` from (output, its adjoint) pairs; None for what no output depends on.

    Where they are structurally zero, they say so.
    """
    ends = {tensor.node for tensor in wanted}
    seeds: dict[Node, Tensor] = {}
    lanes: dict[Node, Lanes] = {}
    for output, adjoint in pairs:
        adjoint = enter_seed(lanes, seeds, output.node, adjoint)
        seeds[output.node] = add(seeds[output.node], adjoint) if output.node in seeds else adjoint
    order = topological_order(seeds, into=differentiable, stop=ends)
    needed = set(ends)
    for node in order:
        if node not in ends and not needed.isdisjoint(node.inputs):
            needed.add(node)
    found: dict[Node, Tensor | None] = dict.fromkeys(ends)
    adjoints([node for node in order if node in needed], seeds, {}, record, needed, lanes, found)
    return [among(found, lanes, tensor.node) for tensor in wanted]


def alike(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The Tensors in the dtype to which NumPy would promote them together."""
    dtypes = [tensor.node.data.dtype for tensor in tensors]
    first = dtypes[0]
    if all(dtype is first for dtype in dtypes):
        return tensors
    common = np.result_type(*dtypes)
    return tuple([tensor if tensor.dtype == common else Cast(common)(tensor) for tensor in tensors])
