"""Taylor mode: truncated Taylor series travel with the values as the ops are called.

Inside `jet` a value is a `Series` box: x(t) = x₀ + x₁t + … + xₙtⁿ.  Calling an op makes the series of the result, by
the op's rule `taylor`, in a number of products that grows with n².  (n nested derivatives would grow with 2ⁿ.)
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from ..graph import Box, Frame, Node, Op, Tensor, call, carrying, frame, is_carrying, new_handle
from ..ops.kinds import BroadcastTo, Cast
from ..ops.selection import Selected, selected
from ..ops.series import divided
from ..ops.tuples import make_tuple
from ..structural_zeros import Lanes, pushed
from .forward import primal_of, tangent_of, zeros_like
from .trees import Arguments, Tree, hand_back, of_kind, tensor_of

MAX_ORDER = 170  # 171! is beyond the largest float64


class Series(Box):
    """A value and the `terms` x₁ … xₙ of its Taylor series, x⁽ᵏ⁾/k! (None for zero).

    They are structurally zero outside of `lanes`, if there are any (see structural_zeros.py).
    """

    __slots__ = ("primal", "terms", "lanes")

    def __init__(self, frame: Frame, primal: Node, terms: list[Node | None], lanes: Lanes | None = None):
        Box.__init__(self, frame)
        self.primal, self.terms, self.lanes = primal, terms, lanes

    @property
    def data(self):
        self.check()
        return self.primal.data

    def copy(self) -> "Series":
        return Series(self.frame, self.primal, self.terms, self.lanes)

    def beneath(self) -> Node:
        return self.primal

    def detached(self) -> Node:
        return self.primal.detached()

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        mine = self.frame
        primals = tuple([node.primal if node.level == mine.level else node for node in inputs])
        order = len(self.terms)
        carries = op.differentiable and is_carrying()
        if carries and hasattr(op, "with_terms"):
            given = [node.terms if node.level == mine.level else [None] * order for node in inputs]
            lanes = [node.lanes if node.level == mine.level else None for node in inputs]
            return Series(mine, *op.with_terms(primals, given, lanes, Series))
        out = call(op, primals)
        if not carries:
            return out
        terms = [node.terms if node.level == mine.level else [None] * order for node in inputs]
        lanes = [node.lanes if node.level == mine.level else None for node in inputs]
        return Series(mine, out, *terms_and_lanes(op, primals, out, terms, lanes, order))


def terms_and_lanes(op: Op, primals: tuple[Node, ...], out: Node, terms: list[list], lanes: list, order: int):
    """The terms of `out` = op(primals) from those of the inputs, by the op's own rule or by repeated tangents; and
    their lanes, from those of the inputs."""
    moved = [any(term is not None for term in mine) for mine in terms]
    if not any(moved):
        return [None] * order, None
    node = primal_of(op, primals, out, {p for p, m in zip(primals, moved, strict=True) if m})
    rule = getattr(op, "taylor", None)
    if rule is None:
        found = [_handle(term) for term in by_tangents(op, primals, out, terms, order)]
    else:
        handles = [[new_handle(p), *map(_handle, mine)] for p, mine in zip(primals, terms, strict=True)]
        found = [None if term is None else fitted(term, out) for term in rule(node, *handles)[1:]]
    after = None
    if any(lanes) or Selected in map(type, found):
        found, after = pushed(op, node, lanes, moved, found)
    return [None if term is None else term.node for term in found], after


def _handle(node: Node | None) -> Tensor | None:
    return None if node is None else new_handle(node)


def fitted(term: Tensor, out: Node) -> Tensor:
    """A term in the shape and dtype of the value: rules leave it unbroadcast where they can."""
    data, given = out.data, term
    if type(data) is tuple:
        return term
    if term.shape != data.shape:
        term = BroadcastTo(data.shape)(term)
    if term.dtype != data.dtype and data.dtype.kind in "fc":
        term = Cast(data.dtype)(term)
    return selected(term, *given.lanes) if term is not given and isinstance(given, Selected) else term


def by_tangents(op: Op, primals: tuple[Node, ...], out: Node, terms: list[list], order: int) -> list[Node | None]:
    """The terms for an op that has no Taylor rule, a user's own.

    The tangent of y = op(x) is y' = T(x, y, x').  Term k of y' needs the terms of x and y up to k only, so y comes out
    term by term, from running T on ever longer series.
    """
    slopes = [[_scaled(term, k) for k, term in enumerate(mine, 1)] for mine in terms]
    found: list[Node | None] = []
    for k in range(order):
        with carrying(), frame("jet") as inner:
            inputs = [_series(inner, p, mine[:k]) for p, mine in zip(primals, terms, strict=True)]
            tangents = [_slope(inner, mine[: k + 1], p) for p, mine in zip(primals, slopes, strict=True)]
            term = tangent_of(op, tuple(inputs), _series(inner, out, found[:k]), tangents)
            if k > 0 and term is not None:
                term = term.terms[k - 1] if term.level == inner.level else None
        found.append(_scaled(term, 1 / (k + 1)))
    return found


def _series(inner: Frame, primal: Node, terms: list) -> Node:
    return primal if all(term is None for term in terms) else Series(inner, primal, terms)


def _slope(inner: Frame, terms: list, like: Node) -> Node | None:
    """The series that begins with the first of the terms; None if all are zero."""
    if all(term is None for term in terms):
        return None
    first = _zeros(like) if terms[0] is None else terms[0]
    return _series(inner, first, terms[1:])


def _zeros(like: Node) -> Node:
    if like.holds_tuple():
        return make_tuple(*map(zeros_like, new_handle(like))).node
    return zeros_like(new_handle(like)).node


def _scaled(term: Node | None, number) -> Node | None:
    if term is None or number == 1:
        return term
    if term.holds_tuple():
        return make_tuple(*[item * number for item in new_handle(term)]).node
    return (new_handle(term) * number).node


# --------------------------------------------------------------------------------------------------------------------
# jet, nth_derivative


def expand(fun: Callable, arguments: Arguments, terms: list[list[Node | None]], order: int):
    """Run `fun` on series.  Returns the tree of what came out, its values, and the terms of each (None for zero)."""
    with carrying(), frame(arguments.name) as mine:
        out = arguments.call(fun, [Series(mine, p, t) for p, t in zip(arguments.nodes, terms, strict=True)])
        tree = Tree(out)
        outputs = [tensor_of(v, f"what the function given to {arguments.name} returns").node for v in tree.leaves]
        pairs = [(n.primal, n.terms) if n.level == mine.level else (n, [None] * order) for n in outputs]
    return tree, [new_handle(p) for p, _ in pairs], [[_handle(term) for term in mine] for _, mine in pairs]


def jet(fun: Callable, primals, series):
    """The value of `fun` along a curve, and the derivatives of that value: Taylor mode.

    The conventions are those of `jax.experimental.jet`.  With primals x₀ and series x₁ … xₙ the argument is the curve
    x(t) that has x₀ for its value and xₖ for its k-th derivative at t = 0.

    Args:
        fun: a function of Tensors, arrays, numbers, and trees of these.
        primals: a tuple or list of its arguments.
        series: one list for each primal, of the derivatives of order 1 … n, each of the primal's structure and shape;
            n is the same for all.

    Returns:
        (out, series_out): fun's value, and at each leaf the list of the derivatives of fun(x(t)) of order 1 … n.

    Raises:
        ValueError: series of other lengths, structures or shapes than the primals ask for.
        TypeError: integer primals.

    >>> jet(lambda x: x**3, (2.0,), ([1.0, 0.0, 0.0],))  # (2 + t)³
    (np.float64(8.0), [np.float64(12.0), np.float64(12.0), np.float64(6.0)])
    """
    arguments, terms, order = _checked(primals, series)
    tree, values, found = expand(fun, arguments, terms, order)
    came = arguments.tensors_came
    derivatives = [
        [of_kind(d, d if came else 0.0) for d in _derivatives(value, mine)]
        for value, mine in zip(values, found, strict=True)
    ]
    return hand_back(Tree(tree.build(values)), came), tree.build(derivatives)


def _derivatives(value: Tensor, terms: list[Tensor | None]) -> list[Tensor]:
    """The derivatives x⁽ᵏ⁾ from the terms x⁽ᵏ⁾/k!."""
    zero = zeros_like(value) if any(term is None for term in terms) else None
    return [
        zero if term is None else term if k == 1 else term * float(math.factorial(k)) for k, term in enumerate(terms, 1)
    ]


def _checked(primals, series):
    """The arguments of jet, the terms for each leaf, and the order; or an error that says what does not fit."""
    for value, what in ((primals, "primals"), (series, "series")):
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"{what} of jet must be a tuple with one entry an argument, got {type(value).__name__}")
    if len(primals) != len(series):
        raise ValueError(f"jet takes one series for each primal, got {len(primals)} primals and {len(series)} series")
    for i, mine in enumerate(series):
        if not isinstance(mine, (tuple, list)):
            raise TypeError(
                f"series[{i}] of jet must be a list of the derivatives of order 1, 2, …, got {type(mine).__name__}"
            )
    lengths = {len(mine) for mine in series}
    if len(lengths) > 1:
        raise ValueError(
            f"all series of jet must have one length, got {[len(mine) for mine in series]}; fill with zeros"
        )
    order = _order(lengths.pop() if lengths else 0, "jet")
    arguments = Arguments(tuple(primals), {}, tuple(range(len(primals))), "jet")
    arguments.require_real_kind()
    terms: list[list[Node | None]] = []
    for i, (tree, mine) in enumerate(zip(arguments.trees, series, strict=True)):
        given = [_like(tree, derivative, f"series[{i}][{k}]") for k, derivative in enumerate(mine)]
        arguments.tensors_came |= any(isinstance(leaf, Tensor) for leaves in given for leaf in leaves)
        for position in range(len(tree.leaves)):
            primal = arguments.nodes[len(terms)]
            terms.append(
                [_term(leaves[position], primal, k, f"series[{i}][{k - 1}]") for k, leaves in enumerate(given, 1)]
            )
    return arguments, terms, order


def _like(tree: Tree, derivative, name: str) -> list:
    """The leaves of one derivative, which must have the structure of its primal."""
    mine = Tree(derivative)
    if not tree.matches(mine):
        raise ValueError(f"{name} of jet must have the structure of its primal, {tree}, got {mine}")
    return mine.leaves


def _term(value, primal: Node, k: int, name: str) -> Node:
    """A derivative of order k that was given for `primal`, as a term of its series."""
    tensor, data = tensor_of(value, f"{name} of jet"), primal.data
    if tensor.shape != data.shape:
        raise ValueError(f"{name} of jet must have the shape of its primal, {data.shape}, got {tensor.shape}")
    if tensor.dtype != data.dtype:
        tensor = Cast(data.dtype)(tensor)
    return divided(tensor, float(math.factorial(k))).node


def _order(n, name: str) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
        raise ValueError(f"the order of {name} must be a whole number of at least 0, got {n!r}")
    if n > MAX_ORDER:
        raise ValueError(f"{name} goes up to order {MAX_ORDER}, where n! leaves the range of numbers; got {n}")
    return int(n)


def nth_derivative(fun: Callable, n: int) -> Callable:
    """The n-th derivative of an elementwise function of one variable, at a cost that grows with n².

    Args:
        fun: takes a number or an array and works element by element.  For a number it may return anything: its
            derivatives with respect to that number.  Further arguments are constants.
        n: the order; 0 is the function itself.

    Returns:
        A function with `fun`'s signature, whose result can be differentiated again.

    Raises:
        ValueError: an order that is negative, not whole or above 170; an array of which `fun` makes another shape.
        TypeError: an integer argument.

    >>> nth_derivative(lambda x: x**5, 3)(2.0)
    np.float64(240.0)
    """
    order = _order(n, "nth_derivative")

    @functools.wraps(fun)
    def derivative(*args, **kwargs):
        arguments = Arguments(args, kwargs, 0, "nth_derivative")
        arguments.require_real_kind()
        if len(arguments.nodes) != 1:
            raise TypeError(
                f"nth_derivative differentiates with respect to one number or array, got {arguments.trees[0]}; use jet"
            )
        (x,) = arguments.nodes
        one = Node(None, (), np.ones(x.data.shape, x.data.dtype), False)
        terms = [one, *[None] * (order - 1)] if order else []
        tree, values, found = expand(fun, arguments, [terms], order)
        for value in values:
            if x.data.shape not in ((), value.shape):
                raise ValueError(
                    f"nth_derivative takes a function that works element by element; for an array of shape "
                    f"{x.data.shape} this one returned shape {value.shape}; use jet, grad or jacobian"
                )
        results = [_derivatives(v, mine)[-1] if order else v for v, mine in zip(values, found, strict=True)]
        return hand_back(Tree(tree.build(results)), arguments.tensors_came)

    return derivative
