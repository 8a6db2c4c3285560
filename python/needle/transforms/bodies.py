"""Functions as the bodies of loops and branches: flat, with all that a derivative may be asked for as arguments.

A body is run several times, each time on other Tensors: once to look what it uses, then by each transform that goes
through the loop, and by the trace that writes it down.
"""

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import init
from ..adjoint import Pullback, follow, recording, retire
from ..debugging import silent
from ..graph import (
    Node,
    Tensor,
    WeakNode,
    carrying,
    frame,
    new_handle,
    no_grad,
    put_back,
    special,
    standing_at,
    substituting,
    substitution,
    tracing,
)
from ..ops.indexing import get_item
from ..ops.kinds import Cast
from ..ops.movement import Identity, reshape
from ..ops.tuples import make_tuple
from .batch import Batched, batch_first
from .functions import Flat, places_now, run_and_look
from .trees import Tree, node_of, tensor_of

_identity = Identity()


class Body:
    """A function of trees as a function of a list of Tensors: the leaves of its arguments, the random numbers that it
    draws, as one array (if it draws any), and what it closes over.

    Attributes:
        tree: the arguments that say how many leaves there are, and in what structure.
        weak: which leaves are Python numbers, that take the dtype of what they meet.
        dtypes: what the first results are cast to, once that is settled.
        out: the structure of the result.
        closed: the Tensors that it closes over, for a call to bring.
        draws: the random numbers that it draws, in order.
        is_traced: whether it closes over what a trace follows.
    """

    def __init__(self, fun: Callable, args: tuple, name: str):
        self.fun, self.name = fun, name
        self.tree = Tree(args)
        self.arguments = [new_handle(node_of(leaf, f"an argument of {name}")) for leaf in self.tree.leaves]
        self.tree.let_go()
        self.weak = [is_weak(x.node) for x in self.arguments]
        self.dtypes: list[np.dtype] = []
        self.out: Tree | None = None
        self.draws: list[_Drawn] = []
        self.closed: list[Tensor] = []
        self.is_traced = False
        self._closed: tuple[Node, ...] = ()
        self._copies: dict[Any, tuple[Node, str]] = {}
        self._outer, self._places = substitution(), places_now()

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        count = len(self.weak)
        closed = list(tensors[len(tensors) - len(self.closed) :])
        own = {}
        for node in self._closed:
            if node.holds_tuple():
                items, closed = closed[: len(node.data)], closed[len(node.data) :]
                own[node] = make_tuple(*items).node
            else:
                own[node] = closed.pop(0).node

        def replace(node: Node) -> Node:
            if self._outer is not None:
                node = self._outer(node)
            found = own.get(node)
            if found is None and node.level and (copy := self._copies.get(_key(node))):
                closed_over, copied = copy
                return getattr(own[closed_over], copied)()
            return node if found is None else found

        draw = _given(self.draws, tensors[count]) if self.draws else _refused(self.name)
        with substituting(replace), init.drawing(draw), _reopened(self._closed), standing_at(self._places):
            results = self._run(tensors[:count])
        return [new_handle(replace(x.node)) for x in results]

    def _run(self, leaves: list[Tensor]) -> list[Tensor]:
        swapped: list[tuple[Tensor, Node]] = []
        leaves = [as_weak(x, weak) for x, weak in zip(leaves, self.weak, strict=True)]
        try:
            self.out = Tree(self.fun(*self.tree.inside(leaves, swapped)))
        finally:
            put_back(swapped)
        results = [tensor_of(value, f"what the function given to {self.name} returns") for value in self.out.leaves]
        self.out.let_go()
        return [cast(x, dtype) for x, dtype in zip(results, self.dtypes)] + results[len(self.dtypes) :]

    def look(self, leaves: list[Tensor]) -> list[Tensor]:
        """Run it on `leaves` without writing anything down, and see what it uses.  Returns the results."""
        self.draws = []

        def draw(outer, make, shape):
            with init.restored(init.random_state()):  # nobody is to know of this one
                out = make(shape)
            self.draws.append(_Drawn(make, shape, out.dtype))
            return out

        with aside() as trace, init.drawing(draw):
            results, self._closed = run_and_look(self._run, [x.node for x in leaves], record=True)
            self.is_traced = bool(trace is not None and trace.captured)
        for node in self._closed:
            if node.level:
                self._copies[_key(node.detached())] = node, "detached"
                self._copies[_key(node)] = node, "constant"
        handles = map(new_handle, self._closed)
        self.closed = [x for value in handles for x in (value if value.node.holds_tuple() else [value])]
        self.is_traced |= any(is_traced(x.node) for x in self.closed)
        return results

    def settle(self, leaves: list[Tensor], count: int, example: Callable[[list[Tensor]], list[Tensor]]) -> list[Tensor]:
        """The first `count` leaves, which the first results replace at each step, in the dtypes that these keep.

        `example(leaves)` gives what the function is called with.
        """
        self.dtypes = []
        for _ in range(4):
            results = self.look(example(leaves))
            settled = [self._kept(i, leaves[i], results[i]) for i in range(count)]
            if all(new is old for new, old in zip(settled, leaves)):
                self.dtypes = [x.dtype for x in settled]
                return settled
            leaves = [*settled, *leaves[count:]]
        raise TypeError(f"{self.name} must keep its dtype under jit")

    def _kept(self, i: int, x: Tensor, result: Tensor) -> Tensor:
        """`x` in a dtype and kind that the result can have as well."""
        was, now, weak = x.dtype, result.dtype, is_weak(result.node)
        if (weak and not self.weak[i] and _rank(now) <= _rank(was)) or (now == was and weak == self.weak[i]):
            return x
        if _rank(now) < _rank(was):
            raise TypeError(f"{self.name} must keep its dtype under jit, {was}, got {now}; convert it with astype")
        self.weak[i] = self.weak[i] and weak
        return as_weak(cast(as_weak(x, False), now), self.weak[i])

    def out_with(self, results: list[Tensor]) -> Tree:
        """The structure of the result, around `results`."""
        return Tree(self.out.build(results))

    def require_no_draws(self) -> None:
        """Refuse random numbers, where it is not known beforehand how many will be drawn."""
        if self.draws:
            _refused(self.name)(None, None, ())

    def drawn(self, length: int, reverse: bool) -> list[Tensor]:
        """What `length` steps draw, in the order of the steps: one array, or none if nothing is drawn."""
        if not self.draws:
            return []
        draws = self.draws
        total = sum(draw.size for draw in draws)
        dtype = np.result_type(*[draw.dtype for draw in draws])

        def make(shape):
            before = shape[:-2]  # of transforms around

            def step():
                parts = [draw.make((*before, *draw.shape)).node.data for draw in draws]
                return np.concatenate([np.reshape(part, (*before, -1)).astype(dtype) for part in parts], -1)

            steps = [step() for _ in range(length)]
            return new_handle(Node(None, (), np.stack(steps[::-1] if reverse else steps, -2), False))

        return [init.draw(make, (length, total))]


class _Drawn:
    """One draw that a body makes: `make(shape)`."""

    def __init__(self, make: Callable, shape: tuple[int, ...], dtype: np.dtype):
        self.make, self.shape, self.dtype = make, tuple(shape), dtype
        self.size = int(np.prod(shape, dtype=int))


def _given(draws: list[_Drawn], numbers: Tensor) -> Callable:
    """How a body draws whose random numbers were drawn beforehand."""
    ends = np.cumsum([draw.size for draw in draws]).tolist()
    left = [(draw, end) for draw, end in zip(draws, ends)][::-1]

    def draw(outer, make, shape):
        if not left:
            raise RuntimeError("the body of a loop draws more random numbers than before")
        mine, end = left.pop()
        return cast(reshape(get_item(numbers, slice(end - mine.size, end)), mine.shape), mine.dtype)

    return draw


def _refused(name: str) -> Callable:
    def draw(outer, make, shape):
        raise RuntimeError(
            f"{name} draws random numbers, which jit cannot do in turn there; draw them before and pass them in"
        )

    return draw


def _key(node: Node):
    """Something equal for a box and for copies of it."""
    if not node.level:
        return id(node.data), node.requires_grad
    names = [name for cls in type(node).__mro__ if cls is not Node for name in getattr(cls, "__slots__", ())]
    parts = []
    for name in names:
        value = getattr(node, name, None)
        for each in value if isinstance(value, list) and name != "lanes" else [value]:
            if isinstance(each, Node):
                parts.append(_key(each))
    return type(node), node.level, *parts


@contextmanager
def _reopened(nodes: Iterable[Node]):
    """A block in which shape and dtype of `nodes` may be asked for, though the transforms may be over that made them:
    the function looks at them before an op takes what stands in their place."""
    frames = []
    for node in nodes:
        while node.level:
            if not node.frame.active:
                node.frame.active = True
                frames.append(node.frame)
            node = node.beneath()
    try:
        yield
    finally:
        for each in frames:
            each.active = False


# --------------------------------------------------------------------------------------------------------------------
# Kinds of values


def _rank(dtype: np.dtype) -> int:
    return "biufc".index(dtype.kind.replace("u", "i"))


def cast(x: Tensor, dtype: np.dtype) -> Tensor:
    return x if x.dtype == dtype else Cast(dtype)(x)


def _ground(node: Node) -> Node:
    """What a box carries the value of."""
    while node.level:
        node = node.beneath()
    return node


def is_weak(node: Node) -> bool:
    """Whether a value is a Python number."""
    return isinstance(_ground(node), WeakNode)


def is_traced(node: Node) -> bool:
    """Whether nobody knows the value yet."""
    data = _ground(node).data
    return not all(isinstance(array, np.ndarray) for array in (data if isinstance(data, tuple) else (data,)))


def as_weak(x: Tensor, weak: bool) -> Tensor:
    """The same value as a Python number, or as an array."""
    return x if is_weak(x.node) == weak else new_handle(_as_weak(x.node, weak))


def _as_weak(node: Node, weak: bool) -> Node:
    if node.level:
        new = node.copy()
        name = "payload" if isinstance(node, Batched) else "primal"
        setattr(new, name, _as_weak(getattr(node, name), weak))
    else:
        new = (WeakNode if weak else Node)(None, (), node.data, False)
    if node.requires_grad:
        new.op, new.inputs, new.requires_grad = _identity, (node,), True
    return new


# --------------------------------------------------------------------------------------------------------------------
# Running a body


@contextmanager
def aside():
    """A block of which a trace that is going on writes nothing down."""
    trace = tracing()
    if trace is None:
        yield None
    else:
        with trace.aside() as inner:
            yield inner


def example_of(body: Flat, tensors: list[Tensor]) -> list[Tensor]:
    """What `body` gives, run to see its kind only."""
    with aside(), no_grad(), carrying():
        return body(tensors)


def pulled(body: Flat, inputs: list[Tensor], which: Iterable[int], cotangents: list[Tensor | None]):
    """The adjoints of those of the inputs that are asked for (None for zero), from those of the results.  Where they
    are structurally zero, they say so."""
    with recording(), silent():
        stand_ins = {i: follow(inputs[i].node) for i in which}
        results = body([new_handle(stand_ins[i]) if i in stand_ins else x for i, x in enumerate(inputs)])
    retire(stand_ins.values())
    given = [g if x.dtype.kind in "fc" else None for x, g in zip(results, cotangents, strict=True)]
    return Pullback([x.node for x in results], list(stand_ins.values()))(given, with_lanes=True)


def loose(tensors) -> list[Tensor]:
    """Handles on the same nodes that these do not know of: what holds them does not keep the program's own alive."""
    return [new_handle(x.node) for x in tensors]


def cut(values: list, *counts: int) -> list[list]:
    """The first so many values, the next so many, …, and the rest."""
    parts = []
    for count in counts:
        parts.append(values[:count])
        values = values[count:]
    return [*parts, values]


def first_of(x: Tensor) -> Tensor:
    """The first element along axis 0."""
    return get_item(x, 0)


def zeros(like: Tensor) -> Tensor:
    return new_handle(Node(None, (), np.zeros(like.shape, like.dtype), False))


class Mapped:
    """A body on batches, along axis 0 of those of its inputs that are `batched`."""

    def __init__(self, body: Flat, size: int, batched: list[bool]):
        self.body, self.size, self.batched = body, size, batched
        self.results: list[bool] | None = None  # which results are to be batches; by default those that are

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        with special(), frame("vmap") as mine:
            inside = [new_handle(Batched(mine, x.node)) if b else x for x, b in zip(tensors, self.batched, strict=True)]
            nodes = [x.node for x in self.body(inside)]
            if self.results is None:
                self.results = [node.level == mine.level for node in nodes]
            return [
                batch_first(node, mine, self.size) if b else new_handle(node)
                for node, b in zip(nodes, self.results, strict=True)
            ]
