"""Backpropagation as the first generation of frameworks does it: adjoints written onto the forward graph itself.

`backward` extends the graph by the adjoints, which can therefore be differentiated again.  `backprop` walks the same
forward graph with plain arrays and leaves numbers behind: the same first derivatives, and no second ones.
"""

from collections.abc import Callable

from .adjoint import adjoints, differentiable, seed_of
from .graph import Node, Tensor, TensorOp, new_handle, topological_order


class _NumbersOnly(TensorOp):
    """What stands where the graph of an adjoint would be: asking for its derivative is an error"""

    __slots__ = ()

    def gradient(self, out_grad, node):
        raise RuntimeError(
            "this gradient was made by backprop(), which leaves numbers and no graph behind; "
            "use backward() to differentiate a gradient again"
        )

    tangent = gradient


_numbers_only = _NumbersOnly()


def backprop(output: Tensor, out_grad: Tensor | None = None) -> None:
    """Fill `.grad` of every Tensor that `output` depends on with ∂output/∂Tensor · out_grad, as numbers.

    The values are those of `output.backward(out_grad)`.  They have no graph: differentiating one is an error.

    >>> x = Tensor([3.0])
    >>> backprop(x * x)
    >>> x.grad
    needle.Tensor([6.])
    """
    seed, root = seed_of(output, out_grad, "backprop"), output.node
    order = topological_order([root], into=differentiable)

    def receiver(tensor: Tensor):
        def receive(adjoint):
            if isinstance(adjoint, Tensor):
                tensor.grad = new_handle(Node(_numbers_only, (root,), adjoint.node.data, True))
            return adjoint

        return receive

    held: dict[Node, Callable[[Tensor], Tensor]] = {}
    for node in order:
        link = node._handle
        if link is not None and (tensor := link()) is not None and node.requires_grad:
            held[node] = receiver(tensor)
    adjoints(order, {root: seed.detach()}, held, record=False)
