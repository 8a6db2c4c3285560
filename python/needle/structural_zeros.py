"""What the walks do about structural zeros (see `ops/selection.py`).

The lanes in which a node's adjoint may be other than zero travel from output to inputs.  An elementwise rule is held
to them: each partial adjoint r becomes where(lanes, r, 0).  Movement carries them to where the elements go, a product
to all that has a say in them.  Where partial adjoints add up, the lanes unite.  What knows nothing of lanes loses them,
and all upstream is as ever.  Tangents, and the terms of Taylor series, do the same on their way from inputs to outputs.

An op says by its attribute `lanes` how they pass it:

    "held"              elementwise, with coefficients that may be infinite
    "own"               elementwise, with bounded ones: zeros stay zeros by themselves
    lanes(mask, node)   the elements of each input that go to those of the output that the mask names; `tangent` takes
                        masks the other way
    "inner"             it has a graph of its own, which `inner_gradient(out_grad, node, mask)` takes them through

`lanes_after(node, *masks)` (None for an input that does not move) takes them forward if that is not the way to do so.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, reduce
from typing import Any

import numpy as np

from .graph import Node, Op, Tensor, TensorTuple, leaf, new_handle, substituting, traced_by, tracing
from .ops.choices import where
from .ops.kinds import BroadcastTo, Multilinear, SumTo
from .ops.selection import Selected, selected
from .ops.steps import logical_and, logical_or, not_equal
from .ops.tuples import make_tuple

Mask = Any  # a Tensor (or TensorTuple of them) that is true within the lanes, or a function that makes one
Lanes = list[Mask]  # their union is meant


class Later:
    """A mask that is made when it is first asked for: most never are.

    It is made in the trace in which it came up, since it is there for all that is in this: also if it is asked for in
    the body of a loop.
    """

    __slots__ = ("_make", "_mask", "_trace", "depth", "is_dear")

    def __init__(self, make: Callable, depth: int = 0, is_dear: bool = False):
        self._make, self._mask, self._trace, self.depth, self.is_dear = make, None, tracing(), depth, is_dear

    def __call__(self):
        if self._make is not None:
            if self._trace is None:
                self._mask = self._make()
            else:
                with traced_by(self._trace), substituting(None):
                    self._mask = self._make()
            self._make = self._trace = None
        return self._mask


def later(make: Callable, *sources: Lanes, is_dear: bool = False) -> Lanes | None:
    """The lanes that `make` will make out of `sources`.

    A long chain of such would recur too deep, and keep too much alive.  It is gone along at once; or if it is dear, as
    a product of masks is, it is forgotten: from there on all is as ever.
    """
    depth = 1
    for lanes in sources:
        for mask in lanes:
            if isinstance(mask, Later):
                depth, is_dear = max(depth, mask.depth + 1), is_dear or mask.is_dear
    if depth < 16:
        return [Later(make, depth, is_dear)]
    return None if is_dear else [make()]


def union(lanes: Lanes, data):
    """One mask of the shape of `data` (an array, or a tuple of them, for which lanes are one TensorTuple of masks).

    It takes the place of the parts in the list, so that it is made once (but in a trace, since it may be the body of a
    loop within that of the list).
    """
    masks = _distinct([mask if isinstance(mask, (Tensor, TensorTuple)) else mask() for mask in lanes])
    if type(data) is tuple:
        (mask,) = masks
    else:
        mask = _together(masks)
        mask = mask if mask.shape == data.shape else BroadcastTo(data.shape)(mask)
    if tracing() is None:
        lanes[:] = [mask]
    return mask


def _together(masks: list[Tensor]) -> Tensor:
    return reduce(logical_or, [_as_bools(mask) for mask in masks])


def _as_bools(mask: Tensor) -> Tensor:
    return mask if mask.dtype == bool else not_equal(mask, 0)


def _distinct(masks: list) -> list:
    """The masks, each once: one `where` sends the same to all that depends on it."""
    kept: list = []
    for mask in masks:
        if not any(_same(mask.node, other.node) for other in kept):
            kept.append(mask)
    return kept


def _same(a: Node, b: Node) -> bool:
    return a is b or (a.level == b.level == 0 and a.data is b.data)


def _both(coming: Lanes, own: Lanes, data) -> Lanes:
    return later(lambda: logical_and(union(coming, data), union(own, data)), coming, own) or own


def _everywhere(data, inside: bool = True) -> Tensor:
    return leaf(_like(data.shape, inside))


def _like(shape, inside: bool = True):
    """An array of that shape, which takes no memory."""
    return np.broadcast_to(inside, shape)


# --------------------------------------------------------------------------------------------------------------------
# Reverse: adjoints


def quietly(op: Op, adjoint: Tensor, node: Tensor, lanes: Lanes):
    """The rule of `op`, without NumPy's warnings of what it may divide by outside of the lanes."""
    if getattr(op, "lanes", None) == "own":
        return op.gradient(adjoint, node)
    token = _quiet.set(True)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            if getattr(op, "lanes", None) == "inner":
                return op.inner_gradient(adjoint, node, union(lanes, node.node.data))
            return op.gradient(adjoint, node)
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether a rule is running whose result will be held to its lanes: what is outside of them may be nan."""
    return _quiet.get()


_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def within(lanes: Lanes, op: Op, node: Tensor, partials, asked: list[bool], only_numbers: bool) -> tuple:
    """The partial adjoints that the rule of `op` gave for an adjoint that is zero outside of `lanes`.

    It says where they are zero if that is `asked`.  Where there are `only_numbers`, which nothing will differentiate,
    finite ones are 0 there already.
    """
    rule = getattr(op, "lanes", None)
    if rule is None or rule == "inner":
        return partials
    data = node.node.data
    if rule == "own" or rule == "held":
        return tuple([_narrowed(lanes, p, data, rule == "held", only_numbers) for p in partials])
    wanted = [i for i, p in enumerate(partials) if p is not None and asked[i]]
    if not wanted:
        return partials
    every: Callable = partial(_before, rule, lanes, node)
    if len(wanted) > 1:
        every = Later(every)  # they come together
    partials = list(partials)
    for i in wanted:
        mine = later(partial(_item, every, i), lanes, is_dear=isinstance(op, Multilinear))
        if mine is not None:
            partials[i] = selected(partials[i], *mine)
    return tuple(partials)


def _before(rule: Callable, lanes: Lanes, node: Tensor) -> tuple:
    """The masks of the inputs, from that of the output."""
    masks = rule(union(lanes, node.node.data), node)
    return masks if isinstance(masks, tuple) else (masks,)


def _item(masks: Callable, i: int) -> Mask:
    return masks()[i]


def _narrowed(lanes: Lanes, adjoint: Tensor | None, data, hold: bool, only_numbers: bool) -> Tensor | None:
    """A partial adjoint of an elementwise rule within the lanes, and within its own if it selects."""
    if adjoint is None or adjoint.shape != data.shape:
        return adjoint
    own = adjoint.lanes if isinstance(adjoint, Selected) else None
    if hold and not (only_numbers and np.isfinite(adjoint.node.data.sum())):
        adjoint = where(union(lanes, data), adjoint, 0)
    return selected(adjoint, *(lanes if own is None else _both(lanes, own, data)))


def enter(masks: dict, sums: dict, source: Node, adjoint: Selected) -> Tensor:
    """Note the lanes of a partial adjoint of `source`, beside those of what came before; returns it as any other."""
    lanes, shape = adjoint.lanes, source.data.shape
    if adjoint.shape != shape:  # a broadcast input gets the sum: a lane is any of those added up
        lanes = later(partial(_summed, lanes, _like(adjoint.shape), shape), lanes)
    if lanes is None:
        masks.pop(source, None)
    elif source not in sums:
        masks[source] = list(lanes)
    elif source in masks:
        masks[source] += lanes
    return new_handle(adjoint.node)


def _summed(lanes: Lanes, data, shape) -> Tensor:
    return SumTo(shape)(union(lanes, data))


def enter_seed(masks: dict, sums: dict, source: Node, adjoint: Tensor) -> Tensor:
    """`enter` for an adjoint that may be a selected one."""
    if isinstance(adjoint, Selected):
        return enter(masks, sums, source, adjoint)
    masks.pop(source, None)
    return adjoint


def enter_item(masks: dict, items: list, source: Node, index: int, lanes: Lanes | None) -> None:
    """Note the lanes of a partial adjoint of item `index` of the tuple `source`, before it is added to `items`."""
    if lanes is None and source not in masks:
        return
    noted = masks.setdefault(source, [None] * len(items))
    if lanes is None:
        noted[index] = None
    elif items[index] is None:
        noted[index] = list(lanes)
    elif noted[index] is not None:
        noted[index] += lanes


def of_tuple(noted: list[Lanes | None], items: list, arrays: tuple) -> Lanes | None:
    """The lanes of a tuple, from those noted of its items (None for all): an item to which nothing came has none."""
    if all(lanes is None for lanes in noted):
        return None
    absent = [item is None for item in items]

    def make():
        return make_tuple(
            *[
                _everywhere(data, not nothing) if lanes is None else union(lanes, data)
                for lanes, nothing, data in zip(noted, absent, arrays)
            ]
        )

    return later(make, *[lanes for lanes in noted if lanes is not None])


# --------------------------------------------------------------------------------------------------------------------
# Forward: tangents, and the terms of series


def pushed(op: Op, node: Tensor, lanes: list[Lanes | None], moved: list[bool], terms: list[Tensor | None]):
    """The terms (None for zero) that the rule of `op` gave, and their lanes.

    Those of input i, if it has `moved` at all, are zero outside of lanes[i].
    """
    own = _own(terms)
    if not any(lanes):
        return terms, own
    coming = _coming(op, node, lanes, moved)
    if coming is None:
        return terms, own
    data = node.node.data
    if op.lanes == "held":
        mask = union(coming, data)
        terms = [None if term is None else where(mask, term, 0) for term in terms]
    return terms, coming if own is None else _both(coming, own, data)


def _own(terms: list[Tensor | None]) -> Lanes | None:
    """The lanes of terms that a rule selects, which are those of all or of none."""
    lanes: Lanes = []
    for term in terms:
        if term is not None:
            if not isinstance(term, Selected):
                return None
            lanes += term.lanes
    return lanes or None


def _coming(op: Op, node: Tensor, lanes: list[Lanes | None], moved: list[bool]) -> Lanes | None:
    """The lanes of the output, from those of the inputs."""
    rule = getattr(op, "lanes", None)
    if callable(rule) or hasattr(op, "lanes_after"):
        after = partial(_after, op, node, lanes, moved)
        return later(after, *[mine for mine in lanes if mine is not None], is_dear=isinstance(op, Multilinear))
    coming = [(mine, x.data) for mine, x, m in zip(lanes, node._source.inputs, moved) if m and mine is not None]
    if rule not in ("own", "held") or len(coming) < sum(moved):
        return None
    if len(coming) == 1 and coming[0][1].shape == node.node.data.shape:
        return coming[0][0]
    return later(lambda: _together([union(*each) for each in coming]), *[mine for mine, _ in coming])


def _after(op: Op, node: Tensor, lanes: list[Lanes | None], moved: list[bool]):
    """The mask that masks of the inputs become."""
    masks = [
        None if not m else _everywhere(x.node.data) if mine is None else union(mine, x.node.data)
        for x, mine, m in zip(node.inputs, lanes, moved)
    ]
    after = getattr(op, "lanes_after", None) or op.tangent
    return after(node, *masks)
