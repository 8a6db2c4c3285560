"""What the walks do about structural zeros (see `ops/selection.py`).

The lanes in which a node's adjoint may be other than zero travel from output to inputs.  An elementwise rule is held
to them: each partial adjoint r becomes where(lanes, r, 0).  Movement carries them to where the elements go.  Where
partial adjoints add up, the lanes unite.  What knows nothing of lanes loses them, and all upstream is as ever.
Tangents do the same on their way from inputs to outputs.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import reduce

import numpy as np

from .graph import Node, Op, Tensor, new_handle
from .ops.choices import where
from .ops.kinds import BroadcastTo, SumTo
from .ops.selection import Selected, selected
from .ops.steps import logical_and, logical_or, not_equal

Lanes = list[Tensor | Callable[[], Tensor]]  # bool Tensors, or functions that make one: their union is meant


def union(lanes: Lanes, shape: tuple[int, ...]) -> Tensor:
    """One bool Tensor of `shape`.  It takes the place of the parts in the list, so that it is made once."""
    masks = _distinct([mask if isinstance(mask, Tensor) else mask() for mask in lanes])
    mask = reduce(logical_or, [mask if mask.dtype == bool else not_equal(mask, 0) for mask in masks])
    mask = mask if mask.shape == shape else BroadcastTo(shape)(mask)
    lanes[:] = [mask]
    return mask


def _distinct(masks: list[Tensor]) -> list[Tensor]:
    """The masks, each once: one `where` sends the same to all that depends on it."""
    kept: list[Tensor] = []
    for mask in masks:
        if not any(_same(mask.node, other.node) for other in kept):
            kept.append(mask)
    return kept


def _same(a: Node, b: Node) -> bool:
    return a is b or (a.level == b.level == 0 and a.data is b.data)


def quietly(op: Op, adjoint: Tensor, node: Tensor):
    """The rule of `op`, without NumPy's warnings of what it may divide by outside of the lanes."""
    token = _quiet.set(True)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            return op.gradient(adjoint, node)
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether a rule is running whose result will be held to its lanes: what is outside of them may be nan."""
    return _quiet.get()


_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def within(lanes: Lanes, op: Op, node: Tensor, partials: tuple) -> tuple:
    """The partial adjoints that the rule of `op` gave for an adjoint that is zero outside of `lanes`."""
    rule = getattr(op, "lanes", None)
    if rule is None:
        return partials
    if rule == "own":  # linear with bounded coefficients: zeros stay zeros
        return tuple([_narrowed(lanes, partial, node.shape) for partial in partials])
    if rule == "held":
        mask = union(lanes, node.shape)
        return tuple([_held(mask, lanes, partial, node.shape) for partial in partials])
    masks = rule(union(lanes, node.shape), node)
    masks = masks if isinstance(masks, tuple) else (masks,)
    return tuple([p if p is None or mask is None else selected(p, mask) for p, mask in zip(partials, masks)])


def _narrowed(lanes: Lanes, partial: Tensor | None, shape) -> Tensor | None:
    """A partial adjoint of a rule that keeps zeros: within the lanes, and within its own if it selects."""
    if partial is None or partial.shape != shape:
        return partial
    if isinstance(partial, Selected):
        return selected(partial, logical_and(union(lanes, shape), union(partial.lanes, shape)))
    return selected(partial, *lanes)


def _held(mask: Tensor, lanes: Lanes, partial: Tensor | None, shape) -> Tensor | None:
    """A partial adjoint that may be nan outside of the lanes, with zeros there."""
    if partial is None or partial.shape != shape:
        return partial
    return _narrowed(lanes, where(mask, partial, 0), shape)


def enter(masks: dict[Node, Lanes], sums: dict, source: Node, partial: Selected) -> Tensor:
    """Note the lanes of a partial adjoint of `source`, beside those of what came before; returns it as any other."""
    if source.op is not None:
        lanes = partial.lanes
        if partial.shape != source.data.shape:  # a broadcast input gets the sum: a lane is any of those added up
            lanes = [SumTo(source.data.shape)(union(lanes, partial.shape))]
        if source not in sums:
            masks[source] = list(lanes)
        elif source in masks:
            masks[source] += lanes
    return new_handle(partial.node)


def pushed(op: Op, lanes: list[Lanes | None], tangents: list[Node | None], tangent: Tensor | None):
    """Forward mode: the tangent (a node, or None for zero) that the rule of `op` gave for `tangents` that are zero
    outside of their `lanes`, and its own lanes."""
    if tangent is None:
        return None, None
    own = tangent.lanes if isinstance(tangent, Selected) else None
    if not any(lanes):
        return tangent.node, own
    coming = [(mine, t) for mine, t in zip(lanes, tangents) if t is not None and mine is not None]
    if len(coming) < sum(t is not None for t in tangents) or getattr(op, "lanes", None) not in ("own", "held"):
        return tangent.node, own
    shape = tangent.shape
    mask = union([union(mine, t.data.shape) for mine, t in coming], shape)
    if own is not None:
        mask = logical_and(mask, union(own, shape))
    return (where(mask, tangent, 0) if op.lanes == "held" else tangent).node, [mask]
