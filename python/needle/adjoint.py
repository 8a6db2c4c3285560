"""Reverse mode: from outputs back to inputs over a recorded graph, as the lecture writes it.

    node_to_grad = {output: out_grad}
    for node in reversed(topological_order(output)):
        adjoint = the sum of the node's partial adjoints
        for each input, its partial adjoint = the op's rule(adjoint, node)

Rules are built from Tensor ops, so the adjoints can be part of a new graph, and be differentiated again.  That graph
costs time and memory that a first derivative has no use for.  So `backward` computes the values only, and hands out
adjoints that *grow* their graph, by walking again with recording on, when something first asks for it.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from operator import attrgetter
from sys import getrefcount
from weakref import ref

import numpy as np

from .graph import (
    Node,
    Op,
    Tensor,
    TensorTuple,
    ValueUnknown,
    announce,
    as_tuple,
    constant,
    enable_grad,
    handle,
    is_recording,
    is_special,
    leaf,
    new_handle,
    plain_array,
    substitute,
    topological_order,
)
from .graph.values import _kind
from .ops.arithmetic import add
from .ops.kinds import Cast
from .ops.movement import Identity
from .ops.selection import Selected, selected
from .ops.slices import gradient_by_slices
from .ops.tuples import TupleGetItem, make_tuple
from .structural_zeros import Lanes, enter, enter_item, enter_seed, of_tuple, quietly, within

_new = object.__new__


class Primal(Tensor):
    """The `node` that a rule receives: the output of the op, with its inputs.

    When the adjoints are to be recorded it stands for the nodes themselves, otherwise for constants of the same value,
    so that nothing the rule computes is recorded.
    """

    __slots__ = ("_source", "_needed", "_recorded", "_node")

    @property
    def node(self) -> Node:
        node = self._node
        if node is None:
            node = self._node = self._source if self._recorded else self._source.constant()
        return node

    @property
    def op(self):
        return self._source.op

    @property
    def inputs(self) -> list[Tensor]:
        if self._recorded:
            return [handle(node) for node in self._source.inputs]
        return [_constant(node) for node in self._source.inputs]

    def needs(self, index: int) -> bool:
        source = self._source.inputs[index]
        return source.requires_grad if self._needed is None else source in self._needed

    def is_constant(self, index: int) -> bool:
        """Whether this input is the same for all who look on: no derivative, outer ones included, asks for it."""
        source = self._source.inputs[index]
        return not (source.requires_grad or source.level or self.needs(index))

    # Of an op with several results it answers as their TensorTuple does

    def _results(self) -> "TensorTuple | Tensor":
        return handle(self.node) if self.node.holds_tuple() else super()

    def __len__(self) -> int:
        return self._results().__len__()

    def __iter__(self):
        return self._results().__iter__()

    def __getitem__(self, index):
        return self._results().__getitem__(index)

    def tuple(self) -> tuple:
        """The results of an op that has several."""
        return tuple(self)


def adjoints(
    order: list[Node],
    seeds: dict[Node, Tensor],
    receive: dict[Node, Callable[[Tensor], Tensor]],
    record: bool,
    needed: set[Node] | None = None,
    lanes_at: dict[Node, Lanes] | None = None,
    found: dict[Node, Tensor | None] | None = None,
) -> None:
    """Walk back along the topological `order` from `seeds` (outputs and their adjoints).

    Args:
        receive: for nodes that somebody asked about, what to call with the adjoint; it returns the adjoint to go on
            with (a hook may have changed it).
        found: its keys are nodes whose adjoints are asked for; where there is one, it becomes the value.
        record: whether the adjoints are part of a graph of their own.
        needed: the nodes whose adjoints are asked for; by default all that require grad.
        lanes_at: the lanes of seeds that have some; those of the nodes in `receive` and `found` are added.
    """
    sums: dict[Node, Tensor | list] = dict(seeds)
    masks: dict = {}  # where the sum so far is structurally zero: outside of these lanes (of each item, if a tuple)
    if lanes_at:
        masks |= {node: list(lanes) for node, lanes in lanes_at.items()}
        lanes_at.clear()
    owned: set[Node] = set()  # nodes whose sum so far lies in an array that nobody else has seen
    primal = None
    only_numbers = not record and not is_special()
    if found is None:
        found = {}
    for node in reversed(order):
        adjoint = sums.pop(node, None)
        if adjoint is None:
            continue
        op, inputs = node.op, node.inputs
        lanes = masks.pop(node, None) if masks else None
        if lanes is not None and type(adjoint) is list:
            lanes = of_tuple(lanes, adjoint, node.data)
            if lanes is not None and getattr(op, "lanes", None) == "inner":
                adjoint = _complete(adjoint, node)
        asked = node in found or (receive and node in receive)
        if type(adjoint) is list and (asked or not only_numbers or op.array_gradient is None):
            adjoint = _complete(adjoint, node)
        if asked:
            before = adjoint
            if receive and node in receive:
                adjoint = receive[node](adjoint)
            if node in found:
                found[node] = adjoint
            if _hooks_exist and adjoint is not before:
                lanes = None
            elif lanes_at is not None and lanes is not None:
                lanes_at[node] = lanes
            if needed is not None and needed.isdisjoint(inputs):  # the way ends here
                continue
        if op is None:
            continue
        if type(op) is TupleGetItem:  # its rule, without making a tuple of zeros for each item taken
            _add_item(sums, masks, inputs[0], op.index, adjoint, lanes)
            continue
        if only_numbers and op.array_gradient is not None and type(adjoint) is not TensorTuple:
            partials = _by_arrays(op, adjoint, node, needed)
        else:
            if primal is None or getrefcount(primal) > 2:  # the last rule kept it, for something that it left to later
                primal = _primal_of(node, needed, record)
            else:
                primal._source, primal._node = node, None
            try:
                partials = op.gradient(adjoint, primal) if lanes is None else quietly(op, adjoint, primal, lanes)
            except ValueUnknown:  # inside vmap: there are values only for one example at a time
                partials = gradient_by_slices(op, adjoint, primal)
            if type(partials) is not tuple:
                partials = as_tuple(partials, op)
            if len(partials) != len(inputs):
                raise op.wrong_count(partials, inputs)
        if lanes is not None:
            if primal is None or primal._source is not node:
                primal = _primal_of(node, needed, record)
            asked = [source.op is not None or lanes_at is not None for source in inputs]
            partials = within(lanes, op, primal, partials, asked, only_numbers)
        for source, partial in zip(inputs, partials):
            if partial is None or not (source.requires_grad if needed is None else source in needed):
                continue
            if type(partial) is Selected:
                if source.op is not None or lanes_at is not None:
                    partial = enter(masks, sums, source, partial)
                else:
                    partial = new_handle(partial.node)
            else:
                if masks and source in masks:
                    del masks[source]
                if type(partial) is not Tensor:
                    partial = _checked(partial, op, source)
                    if type(partial) is TensorTuple:
                        for index, item in enumerate(partial):
                            _add_item(sums, masks, source, index, item, None)
                        continue
            made = partial.node
            if made.requires_grad and not record:  # a rule made a Tensor that requires grad
                partial = new_handle(made.constant())
            array, data = made.data, source.data
            if array.shape != data.shape:
                partial = op.fit(partial, data.shape)
            if array.dtype is not data.dtype and array.dtype != data.dtype:
                partial = _cast(partial, data.dtype)
            before = sums.get(source)
            if before is None:
                sums[source] = partial
            elif source in owned and partial.node.level == 0 and type(partial.node.data) is type(before.node.data):
                total = before.node.data
                np.add(total, partial.node.data, out=total)
            else:
                total = sums[source] = add(before, partial)
                if not record and total.node.level == 0:
                    owned.add(source)


def among(found: dict[Node, Tensor | None], lanes: dict[Node, Lanes] | None, node: Node) -> Tensor | None:
    """The adjoint that was found for a node, if any; where it is structurally zero, it says so."""
    return selected(found[node], *lanes[node]) if lanes and node in lanes else found[node]


def _constant(node: Node) -> Tensor:
    """A Tensor of the node's value with no history: on a new node, unless this one has none."""
    if type(node) is Node:  # written out, since every rule asks for some
        if not node.requires_grad and node.op is None:
            if type(node.data) is not tuple:
                tensor = _new(Tensor)
                tensor.node, tensor.grad = node, None
                return tensor
        elif type(node.data) is not tuple:
            return constant(node.data)
    return new_handle(node.constant())


def _primal_of(node: Node, needed: set[Node] | None, record: bool) -> Primal:
    primal = _new(Primal)
    primal._source, primal._node, primal._needed, primal._recorded = node, None, needed, record
    return primal


def _by_arrays(op: Op, adjoint: Tensor | list, node: Node, needed: set[Node] | None) -> Sequence[Tensor | None]:
    """The partial adjoints by the op's rule for arrays.  Of several outputs the adjoint is a list, None for zero."""
    inputs = node.inputs
    if len(inputs) == 1 and type(adjoint) is not list:  # most are, and short
        array = op.array_gradient(adjoint.node.data, node.data, (inputs[0].data,), (True,))[0]
        return (constant(array if type(array) is np.ndarray else plain_array(array)),)
    needs = tuple([source.requires_grad if needed is None else source in needed for source in inputs])
    if type(adjoint) is list:
        out_grad = tuple([None if item is None else item.node.data for item in adjoint])
    else:
        out_grad = adjoint.node.data
    found = op.array_gradient(out_grad, node.data, [source.data for source in inputs], needs)
    return [constant(plain_array(array)) if need and array is not None else None for array, need in zip(found, needs)]


def _checked(partial, op, source: Node):
    if isinstance(partial, TensorTuple) and type(source.data) is tuple:
        return partial
    if isinstance(partial, Tensor):
        return partial
    raise TypeError(
        f"{type(op).__name__}.gradient must return Tensors, got {type(partial).__name__}; "
        "build it from Tensor ops, so that it can be differentiated again"
    )


def _cast(partial: Tensor, dtype) -> Tensor:
    """The adjoint of a float32 input is float32, that of a real input is real; integers keep the float that came."""
    return Cast(dtype)(partial) if dtype.kind in "fc" and partial.dtype.kind in "fc" else partial


def _complete(items: list, node: Node) -> TensorTuple:
    """The adjoint of a TensorTuple, with zeros for the items that nothing depended on."""
    return make_tuple(
        *[_no_adjoint(array) if item is None else item for item, array in zip(items, node.data, strict=True)]
    )


def _no_adjoint(array) -> Tensor:
    """Zeros like `array`: a single one, repeated, which takes no memory and can be told from others by its strides."""
    return leaf(np.ndarray(array.shape, array.dtype, _ZERO, 0, (0,) * array.ndim))


_ZERO = bytes(32)


def _add_item(sums: dict, masks: dict, source: Node, index: int, partial: Tensor, lanes: Lanes | None) -> None:
    """Add to one item of the adjoint of a TensorTuple, which is structurally zero outside of `lanes`, if given."""
    items = sums.get(source)
    if items is None:
        items = sums[source] = [None] * len(source.data)
    elif type(items) is not list:
        items = sums[source] = list(items)
    enter_item(masks, items, source, index, lanes)
    items[index] = partial if items[index] is None else add(items[index], partial)


differentiable = attrgetter("requires_grad")


def recording():
    """A block in which ops are recorded."""
    return _AS_IT_IS if is_recording() else enable_grad()


_AS_IT_IS = nullcontext()


# --------------------------------------------------------------------------------------------------------------------
# Adjoints that grow


class AdjointNode(Node):
    """An adjoint whose value is known, and whose graph is grown when `op` or `inputs` is first asked for."""

    __slots__ = ("_grown", "_growth", "_source", "__weakref__")

    _grown: tuple | None  # op and inputs
    _growth: "Growth | None"  # until grown
    _source: Node | None

    def _grow(self):
        if self._grown is None:
            self._growth.grow()
        return self._grown

    @property
    def op(self):
        return self._grow()[0]

    @property
    def inputs(self):
        return self._grow()[1]

    def is_differentiable(self) -> bool:
        self._grow()
        return self.requires_grad

    def become(self, adjoint: Tensor) -> Tensor:
        """Take over the history of `adjoint`, the same value computed with recording on."""
        made = adjoint.node
        if made.requires_grad and made.op is None:  # the seed itself, given by the caller as something to differentiate
            made = _identity(adjoint).node
        self._grown, self.requires_grad = (made.op, made.inputs), made.requires_grad
        self._growth = self._source = None
        return handle(self)


class Growth:
    """A reverse walk that may be repeated with recording on, and the adjoints that it has handed out.

    `walk(receive)` does it: it hands the recorded adjoints to `receive`.
    """

    __slots__ = ("walk", "adjoints")

    def __init__(self, walk: Callable[[dict], None]):
        self.walk = walk
        self.adjoints: list[ref] = []

    def hand_out(self, node: Node, adjoint: Tensor) -> Tensor:
        """A Tensor with the adjoint's value that grows its graph on demand."""
        grows = _new(AdjointNode)
        grows.data, grows._growth, grows._source, grows._grown = adjoint.node.data, self, node, None
        grows.requires_grad = True  # until grown: it may turn out to be a constant
        self.adjoints.append(ref(grows))
        tensor = _new(Tensor)
        tensor.node, tensor.grad = grows, None
        grows._handle = ref(tensor)
        return tensor

    def grow(self) -> None:
        receive = {}
        for link in self.adjoints:
            adjoint = link()
            if adjoint is not None:
                receive[adjoint._source] = adjoint.become
        with recording():
            self.walk(receive)


# --------------------------------------------------------------------------------------------------------------------
# From outputs to chosen inputs


_identity = Identity()


def follow(node: Node) -> Node:
    """A node of the same value to differentiate with respect to, through which outer derivatives flow on to `node`."""
    node = substitute(node)
    followed = node.followed(_identity)
    announce(_identity, (node,), followed)
    return followed


class _Retired(tuple):
    """The inputs of a leaf that some transform followed, and that nobody can ask about any more."""


_RETIRED = _Retired()


def retire(nodes: Iterable[Node]) -> None:
    """Say of nodes that were followed that the function that was given them has ended: what is computed from them from
    now on depends on them in name only, unless an outer derivative flows through them."""
    for node in nodes:
        if node.op is None:
            node.inputs = _RETIRED


class Pullback:
    """The way back from `outputs` to `inputs`, which can be gone for any adjoints of the outputs, many times."""

    def __init__(self, outputs: list[Node], inputs: list[Node]):
        self.outputs, self.inputs = outputs, inputs
        mine = set(inputs)
        needed = set(mine)
        order: list[Node] = []
        is_open = False
        for node in topological_order(outputs, into=differentiable, stop=mine):
            if node in mine:
                if node.inputs:
                    is_open = True
            elif node.op is None:
                if node.requires_grad and node.inputs is not _RETIRED:
                    is_open = True
                continue
            elif needed.isdisjoint(node.inputs):
                continue
            else:
                needed.add(node)
            order.append(node)
        self.order, self.needed = order, needed
        self.is_open = is_open  # whether the adjoints can depend on something else to differentiate: an outer variable

    def __call__(
        self, cotangents: list[Tensor | None], grow: bool = False, with_lanes: bool = False
    ) -> list[Tensor | None]:
        """The adjoint of each input; None where no output depends on it.

        The result can be differentiated again if there is anything to differentiate it with respect to.

        Args:
            cotangents: the adjoint of each output; None for zero.
            grow: compute the values only, and let the graph of the result grow when it is asked for.
            with_lanes: say of the result where it is structurally zero, as rules of ops do (see ops/selection.py).
        """
        seeds: dict[Node, Tensor] = {}
        lanes: dict[Node, Lanes] | None = {} if with_lanes else None
        keep_graph = self.is_open
        for node, cotangent in zip(self.outputs, cotangents, strict=True):
            if cotangent is not None and node in self.needed:
                if lanes is not None:
                    cotangent = enter_seed(lanes, seeds, node, cotangent)
                seeds[node] = add(seeds[node], cotangent) if node in seeds else cotangent
                keep_graph = keep_graph or cotangent.node.requires_grad
        found: dict[Node, Tensor | None] = dict.fromkeys(self.inputs)

        if keep_graph and not (grow and self._is_flat(seeds)):
            with recording():
                adjoints(self.order, seeds, {}, True, self.needed, lanes, found)
            return [among(found, lanes, node) for node in self.inputs]
        if not keep_graph:
            adjoints(self.order, seeds, _NOBODY, False, self.needed, lanes, found)
            if not lanes:
                return [found[node] for node in self.inputs]
            return [among(found, lanes, node) for node in self.inputs]
        constants = {node: _constant(seed.node) for node, seed in seeds.items()}
        adjoints(self.order, constants, _NOBODY, False, self.needed, lanes, found)

        def walk_again(receive):
            adjoints(self.order, seeds, receive, True, self.needed, lanes)

        growth = Growth(walk_again)
        return [None if found[node] is None else growth.hand_out(node, found[node]) for node in self.inputs]

    def _is_flat(self, seeds: dict[Node, Tensor]) -> bool:
        """Whether no node here is a box of some transform."""
        return all(node.level == 0 for node in [*seeds, *self.inputs, *[seed.node for seed in seeds.values()]])


# --------------------------------------------------------------------------------------------------------------------
# backward


_hooks_exist = False
_NOBODY: dict[Node, Callable[[Tensor], Tensor]] = {}


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
    """Call `hook(grad)` whenever `backward` has the adjoint of `tensor`; what it returns (if anything) takes its place.

    Returns a function that removes the hook again.
    """
    global _hooks_exist
    if not callable(hook):
        raise TypeError(f"a gradient hook must be a function of the gradient, got {type(hook).__name__}")
    _hooks_exist = True
    hooks = getattr(tensor, "_hooks", None)
    if hooks is None:
        hooks = tensor._hooks = []
    hooks.append(hook)
    return lambda: hooks.remove(hook) if hook in hooks else None


def _run_hooks(tensor: Tensor, grad: Tensor) -> Tensor:
    for hook in list(getattr(tensor, "_hooks", ())):
        changed = hook(grad)
        if changed is not None:
            if not isinstance(changed, Tensor) or changed.shape != grad.shape:
                raise TypeError(
                    f"a gradient hook must return None or a Tensor of the gradient's shape {grad.shape}, "
                    f"got {getattr(changed, 'shape', type(changed).__name__)}"
                )
            grad = changed
    return grad


def backward(
    output: Tensor, out_grad: Tensor | None = None, *, accumulate: bool = False, create_graph: bool | None = None
) -> None:
    """Fill `.grad` of every Tensor that `output` depends on, and that requires grad, with ∂output/∂Tensor · out_grad.

    Args:
        output: what to differentiate.
        out_grad: the adjoint of `output`, of its shape; ones by default.
        accumulate: add to the `.grad` that is there; by default it is overwritten.
        create_graph: whether `.grad` can be differentiated again.  True by default; False by default inside
            `no_grad()`, and with `accumulate`, where sums over many batches would keep every batch's graph alive.

    >>> x = Tensor([3.0])
    >>> (x**3).backward()
    >>> x.grad.backward()
    >>> x.grad
    needle.Tensor([18.])
    """
    seed = seed_of(output, out_grad)
    if create_graph is None:
        create_graph = not accumulate and is_recording()
    root = output.node
    record = create_graph and (_hooks_exist or root.level > 0) and is_recording()

    def walk_again(receive):
        adjoints(topological_order((root,), into=differentiable), {root: seed}, receive, record=True)

    order = topological_order((root,), into=differentiable)
    held: dict[Node, Tensor] = {}
    moved: set[Tensor] = set()  # Tensors that were assigned new `.data` since: their versions' adjoints add up
    reached = False  # whether there is a leaf to differentiate with respect to
    for node in order:
        if not node.requires_grad:
            continue
        if node.op is None:
            reached = True
        link = node._handle
        if link is not None and (tensor := link()) is not None:
            held[node] = tensor
            if tensor.node is not node:
                moved.add(tensor)
    if not reached:  # all that seemed to require grad were gradients that have turned out to be constant
        raise _nothing_requires_grad("backward")
    found: dict[Node, Tensor | None] = dict.fromkeys(held)
    hooks = {node: functools.partial(_run_hooks, tensor) for node, tensor in held.items()} if _hooks_exist else _NOBODY
    # Recorded, the seed is handed out as a new Tensor: the `.grad` of a leaf is not the seed itself
    adjoints(order, {root: _identity(seed) if record else _constant(seed.node)}, hooks, record, found=found)
    growth = Growth(walk_again) if create_graph and not record else None
    met: set[Tensor] = set()  # those of them whose `.grad` is of this walk
    for node, grad in found.items():
        if grad is None:
            continue
        tensor = held[node]
        if growth is not None and type(grad) is Tensor:
            grad = growth.hand_out(node, grad)
        if (accumulate and tensor.grad is not None) or tensor in met:
            grad = add(tensor.grad, grad)
            if not create_graph:
                grad = grad.detach()
        tensor.grad = grad
        if moved and tensor in moved:
            met.add(tensor)


def _nothing_requires_grad(name: str) -> RuntimeError:
    return RuntimeError(
        f"{name}() needs a Tensor that requires grad, but nothing that this one was computed from does (nor does a "
        "gradient that is the same everywhere: its derivative is zero); make the inputs with requires_grad=True, "
        "outside of no_grad()"
    )


def require_tensor(value, name: str) -> None:
    """TypeError unless the argument of the function `name` is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} takes a Tensor, got {_kind(value)}")


def seed_of(output: Tensor, out_grad, name: str = "backward") -> Tensor:
    """The adjoint with which the walk of the function `name` begins, `out_grad` or ones."""
    require_tensor(output, name)
    if not output.node.is_differentiable():
        raise _nothing_requires_grad(name)
    data = output.node.data
    if out_grad is None:
        ones = np.empty_like(data)  # numpy.ones_like takes three times as long
        ones.fill(1)
        return constant(ones)
    if not isinstance(out_grad, Tensor):
        array = np.array(out_grad)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"out_grad must be a Tensor or an array of numbers, got {type(out_grad).__name__}")
        out_grad = leaf(array.astype(data.dtype) if data.dtype.kind in "fc" else array)
    if out_grad.shape != data.shape:
        raise ValueError(f"out_grad must have the output's shape {data.shape}, got {out_grad.shape}")
    return out_grad if out_grad.dtype == data.dtype else _cast(out_grad, data.dtype)
