"""What joins a compiled function to the graph around it: its results, where a derivative may be asked of them.

A result that depends on Tensors that require grad is a node whose op is the whole function.  Its rule is the function's
pullback, compiled in turn, and so on for every order.
"""

from __future__ import annotations

import functools
from contextlib import nullcontext

from .. import init
from ..debugging import silent
from ..graph import Moves, Node, Tensor, TensorTupleOp, linked_handle, move, new_handle, no_grad, put_back, tracing
from ..ops.tuples import TupleGetItem
from ..transforms.reverse import vjp
from ..transforms.trees import Tree
from .tracing.arguments import Unseen, named, rebuilt


class Linked(TensorTupleOp):
    """A compiled function of Tensors: the values are known already, `call` is the call that gave them."""

    __slots__ = ("call",)

    def __init__(self, call: PastCall):
        self.call = call

    def title(self):
        return f"jit({self.call.name})"

    def compute(self, *arrays):
        with no_grad(), self.call.again(), silent():
            results = self.call.flat([new_handle(Node(None, (), array, False)) for array in arrays])
        return tuple([result.node.data for result in results])

    def gradient(self, out_grad, node):
        needs = tuple([node.needs(i) and x.node.data.dtype.kind in "fc" for i, x in enumerate(node.inputs)])
        call = self.call
        call.require_unchanged(needs)
        with call.again():
            found = iter(call.pullback(call, list(node.inputs), list(out_grad), call.arrays, needs))
        return tuple([next(found) if need else None for need in needs])


class PastCall(Unseen):
    """One call of a compiled function, which can be made again with other Tensors in place of those that it reached.

    Args:
        fun, args, kwargs: the call.
        tensors: the Tensors that it reached.
        arrays: the NumPy arrays that it closes over.
        paths: the paths of the numbers among its arguments.
        wanted: which of the results require grad.
        random: the state of the random generators at the call, if it draws.
        pullback: the compiled function of this class's `pull`.
        fits: whether what the call depends on is as it was.
    """

    def __init__(self, fun, args, kwargs, tensors, arrays, paths, wanted, random, pullback, fits):
        self.fun, self.args, self.kwargs = fun, args, kwargs
        self.tensors, self.arrays, self.paths, self.wanted = tensors, arrays, paths, wanted
        self.random, self.pullback, self.fits = random, pullback, fits
        self.name = named(fun)

    def again(self):
        """A block that draws the random numbers of the call again."""
        return nullcontext() if self.random is None else init.restored(self.random)

    def require_unchanged(self, needs: tuple) -> None:
        """Refuse to trace the way back once what the call depended on is another."""
        if needs not in self.pullback.known and not self.fits(self.args, self.kwargs):
            raise RuntimeError(
                f"{self.name} is compiled, and what it depends on (a number or flag that it closes over, a module that "
                "it calls) was changed between the call and the first backward through its result; go back first"
            )
        self.pullback.known.add(needs)

    def flat(self, values: list[Tensor]) -> list[Tensor]:
        """The call as a function of a list of Tensors, those that it reaches and the numbers among its arguments, to
        the list of its results that require grad.  It leaves everything as it was."""
        before = [(tensor, tensor.grad) for tensor in self.tensors]
        moves: Moves = []
        numbers = dict(zip(self.paths, values[len(self.tensors) :]))
        try:
            for tensor, value in zip(self.tensors, values):
                move(tensor, value.node, moves)
            leaves = Tree(self.fun(*rebuilt(self.args, numbers), **rebuilt(self.kwargs, numbers))).leaves
        finally:
            put_back(moves)
            for tensor, grad in before:
                tensor.grad = grad
        return [leaves[i] for i in self.wanted]


def pull(call: PastCall, values: list, out_grads: list, arrays: list, needs: tuple) -> list:
    """From Tensors and the adjoints of the results to the adjoints of those Tensors that need one."""
    wanted = [i for i, need in enumerate(needs) if need]
    trace = tracing()
    if trace is not None:
        for array, given in zip(call.arrays, arrays):
            if isinstance(given, Tensor):
                trace.stand_in(array, functools.partial(_data_of, given))

    def of_wanted(*given):
        inside = dict(zip(wanted, given))
        return tuple(call.flat([inside.get(i, value) for i, value in enumerate(values)]))

    with silent():
        _, back = vjp(of_wanted, *[values[i] for i in wanted])
        return list(back(tuple(out_grads)))


def _data_of(tensor: Tensor):
    return tensor.node.data


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


def link(op: TensorTupleOp, nodes: tuple, arrays: tuple) -> list[Tensor]:
    """Tensors on `arrays`, the results of `op` on `nodes`."""
    node = linked_handle(Node(op, nodes, arrays, True))
    return [linked_handle(Node(TupleGetItem(i), (node.node,), array, True)) for i, array in enumerate(arrays)]
