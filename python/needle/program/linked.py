"""What joins a compiled function to the graph around it: its results, where a derivative may be asked of them.

A result that depends on Tensors that require grad is a node whose op is the whole function.  Its rule is the function's
pullback, compiled in turn, and so on for every order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from .. import init
from ..debugging import silent
from ..graph import Node, Tensor, TensorTupleOp, linked_handle, new_handle, no_grad
from ..ops.tuples import TupleGetItem
from ..transforms.reverse import vjp
from ..transforms.trees import Tree
from .roots import Roots, rebuilt


class Linked(TensorTupleOp):
    """A compiled function of Tensors: the values are known already, `flat` is the function."""

    __slots__ = ("flat", "pullback", "random")

    def __init__(self, flat: Callable, pullback: Callable, random: list | None):
        self.flat, self.pullback, self.random = flat, pullback, random

    def title(self):
        return f"jit({self.pullback.__name__})"

    def again(self):
        """A block that draws the random numbers of the call again."""
        return nullcontext() if self.random is None else init.restored(self.random)

    def compute(self, *arrays):
        with no_grad(), self.again(), silent():
            results = self.flat([new_handle(Node(None, (), array, False)) for array in arrays])
        return tuple([result.node.data for result in results])

    def gradient(self, out_grad, node):
        needs = tuple([node.needs(i) and x.node.data.dtype.kind in "fc" for i, x in enumerate(node.inputs)])
        with self.again():
            found = iter(self.pullback(list(node.inputs), list(out_grad), needs))
        return tuple([next(found) if need else None for need in needs])


class Spent(TensorTupleOp):
    """The result of a compiled training step: what it was computed from has been replaced since"""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def compute(self, *arrays):
        raise RuntimeError("the values of a compiled step are known already")

    def gradient(self, out_grad, node):
        raise RuntimeError(
            f"{self.name} is compiled and calls backward() or an optimizer itself, so its result has no graph to go "
            "back through; call backward() inside, or return the result of a function without such effects"
        )


def flattened(fun: Callable, args: tuple, kwargs: dict, roots: Roots, results: list) -> Callable:
    """`fun` as a function of a list of Tensors, those that it reaches and the numbers among its arguments, to the list
    of its results that require grad.  It leaves everything as it was."""
    tensors = list(roots.tensors)
    paths = [path for path, _, _ in roots.numbers]
    wanted = [i for i, result in enumerate(results) if getattr(result, "requires_grad", False)]

    def flat(values: list[Tensor]) -> list[Tensor]:
        before = [(tensor, tensor.node, tensor.grad) for tensor in tensors]
        numbers = dict(zip(paths, values[len(tensors) :]))
        try:
            for tensor, value in zip(tensors, values):
                tensor.node = value.node
            leaves = Tree(fun(*rebuilt(args, numbers), **rebuilt(kwargs, numbers))).leaves
        finally:
            for tensor, node, grad in before:
                tensor.node, tensor.grad = node, grad
        return [leaves[i] for i in wanted]

    flat.__name__ = getattr(fun, "__name__", "a jitted function")
    return flat


def pullback_of(flat: Callable) -> Callable:
    """The function from Tensors and the adjoints of the results to the adjoints of those Tensors that need one."""

    def pull(values, out_grads, needs):
        wanted = [i for i, need in enumerate(needs) if need]

        def of_wanted(*given):
            inside = dict(zip(wanted, given))
            return tuple(flat([inside.get(i, value) for i, value in enumerate(values)]))

        with silent():
            _, back = vjp(of_wanted, *[values[i] for i in wanted])
            return list(back(tuple(out_grads)))

    pull.__name__ = flat.__name__
    return pull


def link(op: TensorTupleOp, nodes: tuple, arrays: tuple) -> list[Tensor]:
    """Tensors on `arrays`, the results of `op` on `nodes`."""
    node = linked_handle(Node(op, nodes, arrays, True))
    return [linked_handle(Node(TupleGetItem(i), (node.node,), array, True)) for i, array in enumerate(arrays)]
