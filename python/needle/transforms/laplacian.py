"""The Laplacian in one forward pass: Taylor mode of order 2 in all directions at once, with one second-order term.

Along each axis of space a value has a tangent.  Of second-order terms only the sum over all axes is asked for, and an
op takes such sums to such sums: Δf(u) = f'(u)·Δu + Σᵢ f''(u)·(∂ᵢu)².  So d + 2 numbers travel with each value, where a
Hessian has d², and nested derivatives in d directions 2d + 1.  (Li et al. 2023, "Forward Laplacian", arXiv:2307.08214.)
"""

import functools
from collections.abc import Callable

import numpy as np

from ..graph import (
    Box,
    Frame,
    Node,
    Op,
    Tensor,
    TensorTuple,
    WeakNode,
    call,
    carrying,
    frame,
    is_carrying,
    lazy_mode,
    new_handle,
    tracing,
)
from ..ops.arithmetic import add
from ..ops.functions import square
from ..ops.kinds import Elementwise
from ..ops.reductions import summation
from ..ops.series import Unit, times, total
from ..ops.tuples import make_tuple
from ..structural_zeros import Lanes, pushed
from .batch import Batched
from .curvature import PushCurvature
from .forward import primal_of, tangent_and_lanes, zeros_like
from .taylor import fitted, terms_and_lanes
from .trees import Arguments, Tree, hand_back, tensor_of


class Directions:
    """The axes of space: a batch, with a frame of its own."""

    def __init__(self, frame: Frame, count: int):
        self.frame, self.count = frame, count

    def sum(self, node: Node) -> Tensor:
        """The sum over all directions."""
        mine = node.level == self.frame.level
        value = new_handle(node.payload if mine else node)
        return _each(lambda item: summation(item, 0) if mine else item * self.count, value)


class Curved(Box):
    """A value, its tangent in each direction, and half the sum over directions of its second derivatives (None for
    zero); both are structurally zero outside of `lanes`, if there are any (see structural_zeros.py)."""

    __slots__ = ("directions", "primal", "tangent", "curvature", "lanes")

    def __init__(
        self,
        frame: Frame,
        directions: Directions,
        primal: Node,
        tangent: Node | None,
        curvature: Node | None,
        lanes: Lanes | None = None,
    ):
        Box.__init__(self, frame)
        self.directions, self.primal, self.tangent, self.curvature = directions, primal, tangent, curvature
        self.lanes = lanes

    @property
    def data(self):
        self.check()
        return self.primal.data

    def copy(self) -> "Curved":
        return Curved(self.frame, self.directions, self.primal, self.tangent, self.curvature, self.lanes)

    def beneath(self) -> Node:
        return self.primal

    def detached(self) -> Node:
        return self.primal.detached()

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        if self._is_plain(op, inputs):
            return self._fused(op)
        mine = [node.level == self.frame.level for node in inputs]
        primals = tuple([node.primal if m else node for node, m in zip(inputs, mine)])
        out = call(op, primals)
        if not op.differentiable or not is_carrying():
            return out
        tangents = [node.tangent if m else None for node, m in zip(inputs, mine)]
        curvatures = [node.curvature if m else None for node, m in zip(inputs, mine)]
        carrying_ones = [i for i, t in enumerate(tangents) if t is not None]
        lanes = [node.lanes if m else None for node, m in zip(inputs, mine)]
        alone = len(carrying_ones) == 1 and getattr(op, "lanes", None) == "held" and hasattr(op, "taylor")
        push = self._one_variable if alone else self._many_variables
        return Curved(self.frame, self.directions, out, *push(op, primals, out, tangents, curvatures, lanes))

    def _many_variables(self, op: Op, primals, out: Node, tangents, curvatures, lanes):
        (tangent, mixed), after = terms_and_lanes(op, primals, out, [[t, None] for t in tangents], lanes, 2)
        along, _ = tangent_and_lanes(op, primals, out, curvatures, lanes)
        if mixed is None:
            return tangent, along, after
        summed = self.directions.sum(mixed)
        return tangent, (summed if along is None else _each(add, new_handle(along), summed)).node, after

    def _is_plain(self, op: Op, inputs: tuple) -> bool:
        """Whether this is a function of one variable, and no other transform looks on: then one op does it all."""
        tangent = self.tangent
        if len(inputs) > 1 or getattr(op, "lanes", None) != "held" or self.lanes is not None:
            return False
        if not hasattr(op, "taylor") or not is_carrying() or lazy_mode() or tracing() is not None or tangent is None:
            return False
        if tangent.level != self.directions.frame.level:
            return False
        nodes = [self.primal, tangent.payload, *([] if self.curvature is None else [self.curvature])]
        return self.data.dtype.kind == "f" and all(type(node) is not WeakNode and node.level == 0 for node in nodes)

    def _fused(self, op: Elementwise) -> Node:
        rest = [] if self.curvature is None else [new_handle(self.curvature)]
        pushed = PushCurvature(op)(new_handle(self.primal), new_handle(self.tangent.payload), *rest)
        y, tangent, curvature = [item.node for item in pushed]
        return Curved(self.frame, self.directions, y, Batched(self.directions.frame, tangent), curvature)

    def _one_variable(self, op: Elementwise, primals, out: Node, tangents, curvatures, lanes):
        """f' and f''/2 are the same in all directions: they are the series of f along the line x + 1·t."""
        (i,) = [i for i, t in enumerate(tangents) if t is not None]
        x, tangent, curvature = primals[i], new_handle(tangents[i]), curvatures[i]
        one = Unit(x.data.dtype)
        line = [[new_handle(p), one if j == i else None, None] for j, p in enumerate(primals)]
        node = primal_of(op, primals, out, {x})
        _, slope, bend = op.taylor(node, *line)
        along = None if curvature is None else times(slope, new_handle(curvature))
        across = None if bend is None else bend * self.directions.sum(square(tangent).node)
        pair = [None if t is None else fitted(t, out) for t in (times(slope, tangent), total(along, across))]
        pair, after = pushed(op, node, lanes, [t is not None for t in tangents], pair)
        return *[None if term is None else term.node for term in pair], after


def _each(function: Callable, *values):
    """`function` of Tensors, or of the items of TensorTuples, one by one."""
    if not isinstance(values[0], TensorTuple):
        return function(*values)
    return make_tuple(*[function(*items) for items in zip(*values, strict=True)])


def laplacian(fun: Callable) -> Callable:
    """Δf = Σᵢ ∂²f/∂xᵢ², the trace of the Hessian, at each point; no Hessian is made.

    Args:
        fun: takes one point of shape (d,), or many of shape (..., d) at once, and returns a value (or several) for
            each: an array whose shape begins with (...).  A point's value depends on that point only.  Or `fun` takes
            an array of any shape and returns one number.  Further arguments are constants.

    Returns:
        A function with `fun`'s signature and the shapes of its results.  What it returns can be differentiated, also
        with respect to the weights of a model.

    Raises:
        ValueError: results that do not belong to the points, one by one.
        TypeError: integer points.

    >>> import numpy as np
    >>> laplacian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    np.float64(18.0)
    >>> laplacian(lambda x: (x**3).sum(axis=-1))(np.array([[1.0, 2.0], [0.0, 1.0]]))
    array([18.,  6.])
    """

    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        arguments = Arguments(args, kwargs, 0, "laplacian")
        arguments.require_real_kind()
        if len(arguments.nodes) != 1:
            raise TypeError(f"laplacian takes points as one array of shape (..., d), got {arguments.trees[0]}")
        x = arguments.nodes[0].data
        points = x.shape[:-1]
        tree, values, curvatures = _push(fun, arguments, _basis(x.shape[-1:], x))
        if points and [value.shape for value in values] == [()]:  # one function of all these numbers
            tree, values, curvatures = _push(fun, arguments, _basis(x.shape, x))
        for value in values:
            if value.shape != () and value.shape[: len(points)] != points:
                raise ValueError(
                    f"laplacian takes a function that returns one value a point: for points of shape {x.shape} a "
                    f"result of shape {points}, or {(*points, 'm')} for several; this one returned shape {value.shape}"
                )
        results = [zeros_like(v) if c is None else c * 2.0 for v, c in zip(values, curvatures, strict=True)]
        return hand_back(Tree(tree.build(results)), arguments.tensors_came)

    return wrapped


def _basis(axes: tuple[int, ...], x) -> np.ndarray:
    """The unit vectors of the last axes of x, one in each direction, at all points: (directions, *x.shape)."""
    count = int(np.prod(axes, dtype=np.int64))
    units = np.eye(count, dtype=x.dtype).reshape((count, *(1,) * (len(x.shape) - len(axes)), *axes))
    return np.broadcast_to(units, (count, *x.shape))


def _push(fun: Callable, arguments: Arguments, basis: np.ndarray):
    """Run `fun`.  Returns the tree of what came out, its values and their curvatures (None for zero)."""
    with carrying(), frame("laplacian") as outer, frame("laplacian") as inner:
        directions = Directions(outer, len(basis))
        tangent = Batched(outer, Node(None, (), basis, False))
        out = arguments.call(fun, [Curved(inner, directions, arguments.nodes[0], tangent, None)])
        tree = Tree(out)
        outputs = [tensor_of(v, "what the function given to laplacian returns").node for v in tree.leaves]
        pairs = [(n.primal, n.curvature) if n.level == inner.level else (n, None) for n in outputs]
    return tree, [new_handle(p) for p, _ in pairs], [None if c is None else new_handle(c) for _, c in pairs]
