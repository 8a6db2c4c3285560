"""Forward mode: a tangent travels with each value as the ops are called.

Inside `jvp` values are `Dual` boxes.  Calling an op computes the primal result as ever, and the tangent of the result
from those of the inputs; nothing is kept of what went before, so memory does not grow with depth.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

from ..adjoint import Primal, Pullback, follow, recording, retire
from ..graph import (
    Box,
    Frame,
    Node,
    Op,
    Tensor,
    ValueUnknown,
    call,
    carrying,
    explain,
    frame,
    handle,
    is_carrying,
    is_watched,
    new_handle,
    plain_array,
)
from ..ops.arithmetic import add, multiply
from ..ops.reductions import summation
from ..ops.selection import Selected
from ..ops.slices import BySlices
from ..ops.tuples import make_tuple
from ..structural_zeros import Lanes, pushed
from .reverse import outcome, pull, split_aux
from .trees import Arguments, Tree, hand_back, tensor_of

_new = object.__new__


class Dual(Box):
    """A value and its tangent (None for zero).  What is asked of it as a value, its primal answers.

    The tangent is structurally zero outside of `lanes`, if there are any (see structural_zeros.py).
    """

    __slots__ = ("primal", "tangent", "lanes", "_data")

    def __init__(self, frame: Frame, primal: Node, tangent: Node | None, lanes: Lanes | None = None):
        self.op, self.inputs, self.requires_grad, self._handle = None, (), False, None
        self.frame, self.level = frame, frame.level
        self.primal, self.tangent, self.lanes = primal, tangent, lanes

    @classmethod
    def of_terms(cls, frame: Frame, primal: Node, terms: list[Node | None], lanes: Lanes | None) -> "Dual":
        """The value whose Taylor series has these terms beyond the first: one."""
        return cls(frame, primal, terms[0], lanes)

    @property
    def terms(self) -> list[Node | None]:
        """The terms of the Taylor series beyond the first."""
        return [self.tangent]

    @property
    def data(self):
        self.check()
        return self.primal.data

    def holds_tuple(self) -> bool:
        return self.primal.holds_tuple()

    def copy(self) -> "Dual":
        return Dual(self.frame, self.primal, self.tangent, self.lanes)

    def beneath(self) -> Node:
        return self.primal

    def detached(self) -> Node:
        return self.primal.detached()

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        carries = op.differentiable and is_carrying()
        if carries and op.array_tangent is not None and not is_watched():
            found = self._by_arrays(op, inputs)
            if found is not None:
                return found
        level = self.level
        mine = [node.level == level for node in inputs]
        primals = tuple([node.primal if m else node for node, m in zip(inputs, mine)])
        if carries and hasattr(op, "with_terms"):
            terms = [[node.tangent if m else None] for node, m in zip(inputs, mine)]
            lanes = [node.lanes if m else None for node, m in zip(inputs, mine)]
            out, (tangent,), lanes = op.with_terms(primals, terms, lanes, Dual.of_terms)
            return Dual(self.frame, out, tangent, lanes)
        out = call(op, primals)
        if not carries:
            return out
        tangents = [node.tangent if m else None for node, m in zip(inputs, mine)]
        lanes = [node.lanes if m else None for node, m in zip(inputs, mine)]
        return Dual(self.frame, out, *tangent_and_lanes(op, primals, out, tangents, lanes))

    def _by_arrays(self, op: Op, inputs: tuple) -> "Dual | None":
        """The same in few steps, where values and tangents are no more than arrays; None if they are more."""
        level, arrays, tangents, moves = self.level, [], [], False
        for node in inputs:
            tangent = None
            if node.level == level:
                if node.lanes is not None:
                    return None
                node, tangent = node.primal, node.tangent
            if type(node) is not Node or node.requires_grad:
                return None
            if tangent is not None:
                if type(tangent) is not Node or tangent.requires_grad:
                    return None
                tangent, moves = tangent.data, True
            arrays.append(node.data)
            tangents.append(tangent)
        if not moves:
            return None
        try:
            out = op.compute(*arrays)
        except Exception as error:
            raise explain(op, inputs, error) from error
        tangent = _number(op.array_tangent(out, arrays, tangents), out)
        return Dual(self.frame, Node(None, (), plain_array(out), False), tangent)


def tangent_of(op: Op, primals: tuple[Node, ...], out: Node, tangents: list[Node | None]) -> Node | None:
    """The tangent of `out` = op(primals), by the op's own rule, or by transposing its `gradient`."""
    return tangent_and_lanes(op, primals, out, tangents, [None] * len(tangents))[0]


def tangent_and_lanes(op: Op, primals: tuple[Node, ...], out: Node, tangents: list[Node | None], lanes: list):
    """`tangent_of`, with the lanes outside of which it is structurally zero, from those of `tangents` (or None)."""
    needed = {p for p, tangent in zip(primals, tangents) if tangent is not None}
    if not needed:
        return None, None
    node = primal_of(op, primals, out, needed)
    return _pushed(op, node, lanes, tangents, _by_rule(op, node, out, tangents))


def _pushed(op: Op, node: Primal, lanes: list, tangents: list[Node | None], tangent: Tensor | None):
    if tangent is None:
        return None, None
    if type(tangent) is not Selected and not any(lanes):
        return tangent.node, None
    (tangent,), lanes = pushed(op, node, lanes, [t is not None for t in tangents], [tangent])
    return tangent.node, lanes


def _by_rule(op: Op, node: Primal, out: Node, tangents: list[Node | None]) -> Tensor | None:
    handles = [None if tangent is None else new_handle(tangent) for tangent in tangents]
    rule = getattr(op, "tangent", None)
    try:
        result = rule(node, *handles) if rule is not None else transposed_gradient(op, node, handles)
    except ValueUnknown:  # inside vmap: there are values only for one example at a time
        result = _by_slices(op, node, handles)
    if result is None:
        return None
    data, like = result.node.data, out.data
    if type(data) is not tuple and data.dtype is not like.dtype and like.dtype.kind in "fc":
        result = result.astype(like.dtype)
    return result


def primal_of(op: Op, inputs: tuple[Node, ...], out: Node, needed: set[Node]) -> Primal:
    """The `node` that a rule receives, for an op that was called outside of the recorded graph."""
    node = _new(Primal)
    node._source, node._needed, node._recorded, node._node = Node(op, inputs, None, True), needed, True, out
    return node


def _by_slices(op: Op, node: Primal, tangents: list[Tensor | None]) -> Tensor:
    """The tangent of an op whose rule looks at values, example by example."""
    count = len(tangents)

    def rule(out, *arguments):
        given = iter(arguments[count:])
        parts = [None if t is None else next(given).node for t in tangents]
        found = tangent_of(op, tuple([x.node for x in arguments[:count]]), out.node, parts)
        return (zeros_like(out) if found is None else new_handle(found),)

    return BySlices(op, rule)(new_handle(node.node), *node.inputs, *[t for t in tangents if t is not None])[0]


def transposed_gradient(op: Op, node: Primal, tangents: list[Tensor | None]) -> Tensor | None:
    """The tangent of an op that has only `gradient`.

    `gradient(w)` is Jᵀw, linear in w, so J·t is the derivative of ⟨gradient(w), t⟩ with respect to w.
    """
    data = node.node.data
    several = node.node.holds_tuple()
    ones = [Node(None, (), np.ones(array.shape, array.dtype), False) for array in (data if several else (data,))]
    leaves = [follow(one) for one in ones]
    with recording():
        w = make_tuple(*map(handle, leaves)) if several else handle(leaves[0])
        partials = op.gradient_as_tuple(w, node)
        retire(leaves)
        products = [
            summation(multiply(partial, tangent))
            for partial, tangent in zip(partials, tangents, strict=True)
            if partial is not None and tangent is not None and partial.node.requires_grad
        ]
        if not products:
            return None
        total = functools.reduce(add, products)
        one = new_handle(Node(None, (), np.ones((), total.dtype), False))
        found = Pullback([total.node], leaves)([one])
    if not any(x.node.requires_grad for x in node.inputs):  # then all that was recorded is of our own making
        found = [None if t is None else new_handle(t.node.constant()) for t in found]
    if not several:
        return found[0]
    return make_tuple(*[zeros_like(handle(x)) if t is None else t for x, t in zip(leaves, found, strict=True)])


# --------------------------------------------------------------------------------------------------------------------
# jvp


def push(fun: Callable, arguments: Arguments, tangents: list[Node | None], has_aux: bool = False):
    """Run `fun` on duals.  Returns the tree of what came out, its primal Tensors and their tangents (None for zero),
    and the auxiliary result."""
    with carrying(), frame(arguments.name) as mine:
        out = arguments.call(fun, [Dual(mine, p, t) for p, t in zip(arguments.nodes, tangents, strict=True)])
        out, aux = split_aux(out, arguments.name) if has_aux else (out, None)
        aux = Tree(aux)
        aux = aux.build([_primal(value, mine) if isinstance(value, Tensor) else value for value in aux.leaves])
        tree = Tree(out)
        outputs = [tensor_of(v, f"what the function given to {arguments.name} returns").node for v in tree.leaves]
        duals = [(n.primal, n.tangent) if n.level == mine.level else (n, None) for n in outputs]
    return tree, [new_handle(p) for p, _ in duals], [None if t is None else new_handle(t) for _, t in duals], aux


def _primal(value: Tensor, mine: Frame) -> Tensor:
    return new_handle(value.node.primal) if value.node.level == mine.level else value


def jvp(fun: Callable, primals, tangents, has_aux: bool = False):
    """The value of `fun` at `primals`, and its derivative in the direction `tangents`: forward mode.

    Args:
        fun: a function of Tensors, arrays, numbers, and trees of these.
        primals: a tuple or list of its arguments.
        tangents: one for each primal, of the same structure and shapes.
        has_aux: whether `fun` returns a pair (output, auxiliary).

    Returns:
        (out, tangent_out), or (out, tangent_out, auxiliary).  Memory does not grow with the depth of `fun`.

    >>> jvp(lambda x: x**3, (2.0,), (1.0,))
    (np.float64(8.0), np.float64(12.0))
    """
    return push_forward(fun, primals, tangents, "jvp", has_aux)


def push_forward(fun: Callable, primals, tangents, name: str, has_aux: bool = False):
    """`jvp` on behalf of the transform `name`, which errors are to speak of."""
    arguments = _checked(primals, tangents, name)
    tree, values, derivatives, aux = push(fun, arguments, arguments.tangents, has_aux)
    values, derivatives = _hand_back(tree, values, derivatives, arguments)
    return (values, derivatives, hand_back(Tree(aux), arguments.tensors_came)) if has_aux else (values, derivatives)


def _hand_back(tree: Tree, values: list[Tensor], derivatives: list[Tensor | None], arguments: Arguments):
    filled = [zeros_like(v) if t is None else t for v, t in zip(values, derivatives, strict=True)]
    came = arguments.tensors_came
    return hand_back(Tree(tree.build(values)), came), hand_back(Tree(tree.build(filled)), came)


def zeros_like(tensor: Tensor) -> Tensor:
    dtype = tensor.dtype if tensor.dtype.kind in "fc" else np.dtype(float)
    return new_handle(Node(None, (), np.zeros(tensor.shape, dtype), False))


def _checked(primals, tangents, name: str) -> Arguments:
    """The arguments of a forward-mode transform, with the nodes of the tangents that match them."""
    for value, what in ((primals, "primals"), (tangents, "tangents")):
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"{what} of {name} must be a tuple with one entry an argument, got {type(value).__name__}")
    if not primals:
        raise TypeError(f"primals of {name} must be a tuple with one entry an argument, got none")
    arguments = Arguments(tuple(primals), {}, tuple(range(len(primals))), name)
    ours, theirs = Tree(tuple(primals)), Tree(tuple(tangents))
    if not ours.matches(theirs):
        raise ValueError(f"tangents of {name} must have the structure of its primals, {ours}, got {theirs}")
    arguments.tangents = []
    for value, primal in zip(theirs.leaves, arguments.nodes, strict=True):
        tangent = tensor_of(value, f"tangents of {name}")
        if tangent.shape != primal.data.shape:
            raise ValueError(
                f"the tangent given to {name} for a primal of shape {primal.data.shape} must have that shape, "
                f"got {tangent.shape}"
            )
        kind = primal.data.dtype
        if kind.kind not in "fc" and _is_moved(tangent.node):
            raise TypeError(
                f"{name} differentiates with respect to floating-point numbers, but a primal of dtype {kind} has a "
                "tangent that is not zero; convert the primal first, e.g. float(x) or x.astype(float)"
            )
        if kind.kind in "fc" and tangent.dtype != kind:
            tangent = tangent.astype(kind)
        arguments.tangents.append(tangent.node if kind.kind in "fc" else None)
    arguments.tensors_came |= any(isinstance(value, Tensor) for value in theirs.leaves)
    return arguments


def _is_moved(tangent: Node) -> bool:
    """Whether a tangent is other than zero, inside of `vmap` for any of the examples."""
    while tangent.level:
        tangent = tangent.payload if hasattr(tangent, "payload") else tangent.primal
    return bool(np.any(tangent.data))


def linearize(fun: Callable, *primals):
    """The value of `fun` at `primals`, and its derivative there as a linear function of the tangents.

    Returns (out, jvp_fun): `jvp_fun(*tangents)` is what `jvp(fun, primals, tangents)` gives as its second result.

    >>> out, tangent = linearize(lambda x: x**3, 2.0)
    >>> tangent(1.0), tangent(2.0)
    (np.float64(12.0), np.float64(24.0))
    """
    if not primals:
        raise TypeError("linearize needs at least one primal: linearize(fun, x, ...)")
    arguments = Arguments(primals, {}, tuple(range(len(primals))), "linearize")
    tree, tensors, _, pullback = pull(fun, arguments, has_aux=False)

    def jvp_fun(*tangents):
        given = _checked(primals, tangents, "linearize")
        found = push_along(pullback, given.tangents)
        derivatives = [zeros_like(v) if t is None else new_handle(t) for v, t in zip(tensors, found, strict=True)]
        return hand_back(Tree(tree.build(derivatives)), given.tensors_came)

    return outcome(arguments, tree, None, pullback)[0], jvp_fun


def push_along(pullback: Pullback, tangents: list[Node | None]) -> list[Node | None]:
    """The tangents of the outputs of a recorded graph, from those of its inputs (None for zero): each op's forward
    rule, in the order in which the ops were called."""
    tangent_at = dict(zip(pullback.inputs, tangents, strict=True))
    lanes_at: dict[Node, Lanes | None] = {}
    record = pullback.is_open or any(tangent is not None and tangent.requires_grad for tangent in tangents)
    only_numbers = not (record or is_watched() or any(node.level for node in (*pullback.order, *tangents) if node))
    for node in pullback.order:
        if node in tangent_at:
            continue
        before = [tangent_at.get(source) for source in node.inputs]
        if only_numbers and node.op.array_tangent is not None and not any(map(lanes_at.get, node.inputs)):
            tangent_at[node] = _array_along(node, before)
            continue
        needed = {source for source, tangent in zip(node.inputs, before) if tangent is not None}
        if needed:
            primal = _new(Primal)
            primal._source, primal._needed, primal._recorded, primal._node = node, needed, record, None
            with recording() if record else nullcontext():
                lanes = [lanes_at.get(source) for source in node.inputs]
                tangent = _by_rule(node.op, primal, node, before)
                tangent_at[node], lanes_at[node] = _pushed(node.op, primal, lanes, before, tangent)
    return [tangent_at.get(node) for node in pullback.outputs]


def _array_along(node: Node, before: list[Node | None]) -> Node | None:
    """The tangent of a recorded node, by the op's rule for arrays."""
    tangents = [None if tangent is None else tangent.data for tangent in before]
    if all(tangent is None for tangent in tangents):
        return None
    return _number(node.op.array_tangent(node.data, [source.data for source in node.inputs], tangents), node.data)


def _number(tangent, out) -> Node:
    """A tangent that a rule for arrays gave for the array `out`."""
    if tangent.dtype is not out.dtype and out.dtype.kind in "fc":
        tangent = tangent.astype(out.dtype, copy=False)
    return Node(None, (), plain_array(tangent), False)
