"""Functions as ops: a function of Tensors that is one node of the graph, with a derivative of its own.

This is what `checkpoint`, `custom_gradient`, `custom_jvp`, `fixed_point` and `root` have in common.  Tensors that the
function closes over, and that a derivative may be asked for, become inputs of the node, so that an outer derivative
still flows through them.
"""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

from ..adjoint import Pullback, follow, recording, retire
from ..debugging import silent
from ..graph import (
    Moves,
    Node,
    Tensor,
    TensorTupleOp,
    announce,
    call,
    carrying,
    dispatching,
    innermost,
    is_recording,
    new_handle,
    no_grad,
    observing,
    put_back,
    standing,
    standing_at,
    substituting,
    substitution,
    tracing,
)
from ..ops.selection import selected
from .batch import vmap
from .trees import Tree, hand_back, node_of, tensor_of

Flat = Callable[[list[Tensor]], list[Tensor]]  # a function of the leaves of its arguments to the leaves of its results


class FunctionOp(TensorTupleOp):
    """`fun` as one op.  The node's first inputs are the function's arguments, the others are `closed`: the nodes that
    it closes over.

    By itself it is differentiated by running the function again, with recording on.
    """

    __slots__ = ("fun", "closed")

    def __init__(self, fun: Flat, closed: tuple[Node, ...] = ()):
        self.fun, self.closed = fun, closed

    def arguments(self, inputs):
        """Those of the node's inputs that are arguments of the function."""
        return list(inputs[: len(inputs) - len(self.closed)])

    def compute(self, *arrays):
        with no_grad(), carrying():
            results = self.fun([new_handle(Node(None, (), array, False)) for array in self.arguments(arrays)])
        if any(result.node.level for result in results):
            raise RuntimeError(
                "the function closes over a value that an enclosing transform follows; pass it as an argument instead"
            )
        return tuple([result.node.data for result in results])

    def gradient(self, out_grad, node):
        arguments, results = self.run_again(node)
        return tuple(self.pull(results, arguments, out_grad))

    def inner_gradient(self, out_grad, node, mask):
        """`gradient` of an op whose `lanes` are "inner", for an adjoint that is structurally zero outside of `mask`."""
        arguments, results = self.run_again(node)
        return tuple(self.pull(results, arguments, map(selected, out_grad, mask)))

    def run_again(self, node) -> tuple[list[Node], list[Tensor]]:
        """Run the function on stand-ins for its arguments, recorded; returns these and the results."""
        with recording(), silent():
            stand_ins = [follow(argument.node) for argument in self.arguments(node.inputs)]
            results = self.fun([new_handle(stand_in) for stand_in in stand_ins])
        retire(stand_ins)
        return stand_ins, results

    def pull(self, results: list[Tensor], arguments: list[Node], out_grad) -> list[Tensor | None]:
        """The adjoints of `arguments` and of what is closed over, from those of the results."""
        pullback = Pullback([result.node for result in results], [*arguments, *self.closed])
        return pullback(list(out_grad), with_lanes=True)

    def batch(self, size, inputs, batched):
        if any(batched[len(batched) - len(self.closed) :]):
            raise RuntimeError("the function closes over a value that vmap maps over; pass it as an argument instead")
        axes = [0 if b else None for b in self.arguments(batched)]
        return self.batched(axes)(*inputs)

    def batched(self, axes: list) -> "FunctionOp":
        """The op of the function mapped over `axes` of its arguments."""
        return type(self)(mapped(self.fun, axes), self.closed)


def here(fun: Callable) -> Callable:
    """`fun`, to be run again later as it would run now: on the parameters, and in the body of a loop on the stand-ins,
    that are in place now."""
    replace, places = substitution(), places_now()
    if replace is None and not places:
        return fun

    def placed(*args, **kwargs):
        with substituting(replace), standing_at(places):
            return fun(*args, **kwargs)

    return placed


def places_now() -> Moves:
    """Where the Tensors stand that a transform moves, or that a trace may find moved later."""
    trace = tracing()
    return standing() + ([] if trace is None else [(tensor, tensor.node) for tensor in trace.watched])


def mapped(fun: Flat, axes: list) -> Flat:
    """A flat function mapped over a batch."""
    inner = vmap(lambda *tensors: tuple(fun(list(tensors))), in_axes=axes)
    return lambda tensors: list(inner(*tensors))


def call_as_op(
    make: Callable[[Flat, tuple[Node, ...]], FunctionOp],
    fun: Callable,
    args: tuple,
    as_it_is_on_boxes: bool = False,
    look: Flat | None = None,
    options: bool = False,
    opaque: bool = False,
):
    """Call `fun`, a function of trees, as the one op that `make(flat function, closed)` gives.

    With `as_it_is_on_boxes` it is simply called where it meets what a forward transform follows.  `look`, a flat
    function that uses all that `fun` closes over, is run in its place to see what that is, on boxes.  With `options`,
    what has no derivative among the arguments (counts, names, objects) is handed on to `fun` as it is.  With `opaque`,
    `fun` asks for values, and under jit the op is called as one.
    """
    tree = Tree(args)
    is_option = [options and not _may_have_derivatives(value) for value in tree.leaves]
    arguments = [node_of(x, "an argument") for x, constant in zip(tree.leaves, is_option) if not constant]
    structure: list[Tree] = []
    fun = here(fun)

    def flat(tensors: list[Tensor]) -> list[Tensor]:
        swapped: list[tuple[Tensor, Node]] = []
        given = iter(tensors)
        leaves = [x if constant else next(given) for x, constant in zip(tree.leaves, is_option)]
        try:
            out = Tree(fun(*tree.inside(leaves, swapped)))
        finally:
            put_back(swapped)
        if not structure:  # of the first run only: a later one is recorded, and would be kept alive from here
            structure.append(out)
        return [tensor_of(value, "what the function returns") for value in out.leaves]

    boxed = any(node.level or (opaque and not isinstance(node.data, np.ndarray)) for node in arguments)
    results, closed = run_and_look(look if look is not None and boxed else flat, arguments)
    op, inputs = make(flat, closed), (*arguments, *closed)
    if boxed or any(node.level for node in inputs):
        if as_it_is_on_boxes:
            return fun(*args)
        node = call(op, inputs)
    else:  # at the ground level that one run has given the values
        record = is_recording() and any(node.requires_grad for node in inputs)
        data = tuple([result.node.data for result in results])
        node = Node(op, inputs, data, True) if record else Node(None, (), data, False)
        announce(op, inputs, node)
    outputs = list(new_handle(node))
    return hand_back(Tree(structure[0].build(outputs)), any(isinstance(value, Tensor) for value in tree.leaves))


def _may_have_derivatives(value) -> bool:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biufc"
    return isinstance(value, (Tensor, float, complex))


def run_and_look(flat: Flat, arguments: list[Node], record: bool = False) -> tuple[list[Tensor], tuple[Node, ...]]:
    """Run `flat`, without recording it by default.  Returns its results, and the nodes that it uses beside its
    arguments and that a derivative may be asked for."""
    made: set[Node] = set()
    stand_ins = [_stand_in(argument, made) for argument in arguments]
    here, depth = innermost(), dispatching()
    found: dict[Node, None] = {}

    def look(nodes) -> None:
        for node in nodes:
            if node not in made and (node.requires_grad or 0 < node.level < here):
                found[node] = None

    def observe(op, inputs, node) -> None:
        if dispatching() == depth:
            look(inputs)
        made.add(node)

    with nullcontext() if record else no_grad(), observing(observe):
        results = flat([new_handle(stand_in) for stand_in in stand_ins])
    look([result.node for result in results])
    return results, tuple(found)


def _stand_in(node: Node, made: set[Node]) -> Node:
    """A constant of the same value; of a box, all that it carries is new as well, since ops are called on that, too."""
    new = node.constant()
    made.add(new)
    if new.level:
        for name in [name for cls in type(new).__mro__ if cls is not Node for name in getattr(cls, "__slots__", ())]:
            value = getattr(new, name, None)
            if isinstance(value, Node):
                setattr(new, name, _stand_in(value, made))
            elif isinstance(value, list):  # the terms of a series; of lanes nobody asks here
                kept = [each if each is None else _stand_in(each, made) for each in value] if name != "lanes" else None
                setattr(new, name, kept)
    return new
