"""Fused ops: a whole formula as one op, with its value and its adjoint written by hand in NumPy.

Most of an eager step's time goes to the many small ops that a layer consists of, and most of its memory to what lies
between them.  A `Fused` op says its mathematics twice: `formula`, in ordinary needle ops, is the definition; `compute`
and `adjoint` are the same in few passes over memory.  First derivatives run the NumPy.  Second and higher ones come
from differentiating the formula, with the walk that differentiates everything else, so they need no third version.
"""

from collections.abc import Iterable

from ..adjoint import adjoints
from ..graph import Node, Tensor, TensorTuple, TensorTupleOp, enable_grad, handle, is_recording, leaf
from ..ops.elementwise import add
from ..ops.movement import Identity


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

        An array in `out_grads` may be None: nothing depends on that value.
        """
        raise NotImplementedError

    def gradient(self, out_grad: TensorTuple, node):
        inputs = node.inputs
        needs = tuple([node.needs(i) and x.dtype.kind in "fc" for i, x in enumerate(inputs)])
        # The node that a rule receives is a Tensor; `handle` gives the TensorTuple that stands for the same node.
        outputs = handle(node.node)
        grads = [out_grad[i] for i in range(self.values)]
        found = iter(FusedAdjoint(self, needs)(*grads, *outputs, *inputs))
        return tuple([next(found) if need else None for need in needs])


class FusedAdjoint(TensorTupleOp):
    """The adjoints of those inputs of a `Fused` op that need one, from the adjoints of its values.

    Inputs: the adjoints of the values, all that the op's `compute` returned, and the op's inputs.
    """

    __slots__ = ("op", "needs")

    def __init__(self, op: Fused, needs: tuple[bool, ...]):
        self.op, self.needs = op, needs

    def compute(self, *arrays):
        values, count = self.op.values, len(self.needs)
        grads = tuple([None if is_zero(array) else array for array in arrays[:values]])
        inputs = arrays[-count:]
        found = self.op.adjoint(grads, arrays[values:-count], inputs, self.needs)
        return tuple([array for array, need in zip(found, self.needs) if need])

    def gradient(self, out_grad: TensorTuple, node):
        """Differentiates the formula twice: v -> <adjoints(grads, inputs), v> with respect to grads and inputs."""
        values, count = self.op.values, len(self.needs)
        arguments = node.inputs
        grads, kept, inputs = arguments[:values], arguments[values:-count], arguments[-count:]
        directions = list(out_grad)
        origin = {tensor.node for tensor in (*grads, *inputs, *directions)}
        record = is_recording() and any(node.requires_grad for node in origin)

        def needed(node: Node) -> bool:
            """The walks below end where they began, at stand-ins for the inputs of this op."""
            return node.requires_grad and node not in origin

        with enable_grad():
            grads, inputs, directions = (list(map(stand_in, group)) for group in (grads, inputs, directions))
            result = self.op.formula(*inputs)
            outputs = (result,) if isinstance(result, Tensor) else tuple(result)
            wanted = [x for x, need in zip(inputs, self.needs) if need]
            first = derivatives(zip(outputs, grads), wanted, True, needed)
        with enable_grad():
            pairs = [(adjoint, v) for adjoint, v in zip(first, directions) if adjoint is not None]
            second = derivatives(pairs, [*grads, *inputs], record, needed)
        return (*second[:values], *[None] * len(kept), *second[values:])


def is_zero(array) -> bool:
    """Whether these are the zeros that the adjoint walk puts in for a value on which nothing depends."""
    return not any(array.strides) and array.size > 1 and not array.flags.writeable


def stand_in(tensor: Tensor) -> Tensor:
    """A new value to differentiate with respect to, whose derivatives are connected to those of `tensor`."""
    if tensor.requires_grad:
        return Identity()(tensor)
    return leaf(tensor.node.data, tensor.dtype.kind in "fc")


def derivatives(pairs, wanted: list[Tensor], record: bool, needed) -> list[Tensor | None]:
    """The adjoints of `wanted` from (output, its adjoint) pairs; None for what no output depends on."""
    seeds: dict[Node, Tensor] = {}
    for output, adjoint in pairs:
        if output.node.requires_grad:
            before = seeds.get(output.node)
            seeds[output.node] = adjoint if before is None else add(before, adjoint)
    found: dict[Node, Tensor] = {}

    def receive(node: Node, adjoint: Tensor) -> Tensor:
        found[node] = adjoint
        return adjoint

    adjoints(seeds, record, receive, needed)
    return [found.get(tensor.node) for tensor in wanted]
