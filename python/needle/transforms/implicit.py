"""Solutions of equations, differentiated by the implicit function theorem and not through the iterations.

A solution x of x = f(x, p) has dx = ∂f/∂x·dx + ∂f/∂p·dp, so its derivative is the solution of an equation of the same
kind.  That one is solved by the same function, and can be differentiated in turn: to every order, in every mode.
"""

import functools
import importlib
from collections.abc import Callable

import numpy as np

from ..adjoint import Pullback, follow, recording, retire
from ..graph import Node, Tensor, handle, new_handle, tracing
from ..ops.choices import maximum
from ..ops.steps import equal, logical_and, logical_or
from ..ops.tuples import make_tuple
from .batch import one_by_one
from .control import while_loop
from .forward import jvp
from .functions import FunctionOp, call_as_op, here
from .trees import Tree, node_of, tensor_of


class _Solution(FunctionOp):
    """The solution x of `equation(xs, ps)`, a function of lists of leaves; `again` solves another of the same kind"""

    __slots__ = ("equation", "again")

    def __init__(self, fun, closed, equation: Callable, again: Callable):
        super().__init__(fun, closed)
        self.equation, self.again = equation, again

    def batch(self, size, inputs, batched):
        return one_by_one(self, size, inputs, batched)

    def gradient(self, out_grad, node):
        xs, ps, vs = tuple(handle(node.node)), tuple(self.arguments(node.inputs)), tuple(out_grad)

        def adjoint_equation(ws, vs, xs, ps):
            stand_ins, _, ys = self.at(xs, ps)
            return tuple([v if g is None else v + g for v, g in zip(vs, Pullback(ys, stand_ins)(list(ws)))])

        ws = self.again(adjoint_equation, tuple(map(_zeros, vs)), vs, xs, ps)
        solution, stand_ins, ys = self.at(xs, ps)
        adjoints = Pullback(ys, [*solution, *stand_ins, *self.closed])(list(ws))
        return tuple(adjoints[len(solution) :])

    def tangent(self, node, *tangents):
        xs, ps = tuple(handle(node.node)), tuple(self.arguments(node.inputs))
        dps = tuple([_zeros(p) if t is None else t for p, t in zip(ps, self.arguments(tangents), strict=True)])

        def tangent_equation(ts, xs, ps, dps):
            return tuple(jvp(lambda xs, ps: self.equation(list(xs), list(ps)), (xs, ps), (ts, dps))[1])

        return make_tuple(*self.again(tangent_equation, tuple(map(_zeros, xs)), xs, ps, dps))

    def at(self, xs, ps) -> tuple[list[Node], list[Node], list[Node]]:
        """The equation, recorded at (xs, ps): stand-ins for these, and its value."""
        with recording():
            xs, ps = [follow(x.node) for x in xs], [follow(p.node) for p in ps]
            ys = self.equation([new_handle(x) for x in xs], [new_handle(p) for p in ps])
        retire([*xs, *ps])
        return xs, ps, [y.node for y in ys]


class FixedPoint(_Solution):
    """x = f(x, p).  The adjoint equation is w = v + (∂f/∂x)ᵀw, and (∂f/∂p)ᵀw the adjoint of p"""

    __slots__ = ()


class Root(_Solution):
    """f(x, p) = 0.  The adjoint equation is v + (∂f/∂x)ᵀw = 0, and (∂f/∂p)ᵀw the adjoint of p"""

    __slots__ = ()

    opaque = True


def _zeros(like: Tensor) -> Tensor:
    return new_handle(Node(None, (), np.zeros(like.shape, like.dtype), False))


def fixed_point(fun: Callable, x0, *params, tol: float | None = None, max_iter: int = 10_000):
    """The x with x = fun(x, *params), found by iteration from x0, differentiable in `params`.

    Args:
        fun: takes x (a tree) and the params, and returns a tree like x; it must contract near the solution.
        x0: where to start; the result does not depend on it.
        params: what the solution is a function of; what `fun` closes over counts too.
        tol: stop when no element moves by more than tol·max(1, |x|); 64 times the rounding unit of x by default.
        max_iter: give up after so many steps.

    Raises:
        RuntimeError: no convergence within max_iter steps.

    The derivative solves w = v + (∂f/∂x)ᵀw instead of going back through the iterations (Christianson 1994,
    "Reverse accumulation and attractive fixed points").

    >>> import needle as ndl
    >>> babylon = lambda a: fixed_point(lambda x, a: (x + a / x) / 2, 1.0, a)
    >>> round(babylon(4.0), 12), round(ndl.grad(babylon)(4.0), 12)
    (np.float64(2.0), np.float64(0.25))
    """

    def iterate(*params):
        trace = tracing()
        if trace is not None:
            return traced(trace, *params)
        x = start.build([new_handle(node) for node in nodes])
        steps = 0
        while steps < max_iter:
            steps += 1
            new = Tree(fun(x, *params))
            _require_like(start, nodes, new, "fixed_point")
            moved = [_distance(a, b) for a, b in zip(new.leaves, Tree(x).leaves, strict=True)]
            x = new.build(new.leaves)
            if all(distance <= limit for distance, limit in zip(moved, limits, strict=True)):
                return x
            if not np.isfinite(moved).all():
                break
        raise RuntimeError(
            f"fixed_point did not converge in {steps} steps: the last one moved x by {max(moved):.3g} "
            f"(relative), tol is {max(limits):.3g}; does fun contract?"
        )

    def traced(trace, *params):
        def step(state):
            x, steps, _ = state
            new = Tree(fun(x, *params))
            _require_like(start, nodes, new, "fixed_point")
            moved = [_moved(a, b) / limit for a, b, limit in zip(new.leaves, Tree(x).leaves, limits, strict=True)]
            return new.build(new.leaves), steps + 1, functools.reduce(maximum, moved)

        def goes_on(state):
            _, steps, moved = state
            is_open = logical_or(logical_and(moved > 1.0, moved < np.inf), equal(steps, 0))
            return logical_and(is_open, steps < max_iter)

        first = start.build([new_handle(node) for node in nodes])
        zero, far = (new_handle(Node(None, (), np.array(number), False)) for number in (0, np.inf))
        x, steps, moved = while_loop(goes_on, step, (first, zero, far))
        trace.effect(functools.partial(_require_converged, tol), [steps.node.data, moved.node.data])
        return x

    start, nodes = _start(x0, "fixed_point")
    limits = [64 * np.finfo(node.data.dtype).eps if tol is None else tol for node in nodes]

    def again(step, start, *params):
        return fixed_point(step, start, *params, tol=tol, max_iter=max_iter)

    return _solve(FixedPoint, fun, start, nodes, params, iterate, again)


def _moved(a, b) -> Tensor:
    """`_distance` as a Tensor, where there are no values yet."""
    a, b = tensor_of(a, "x"), tensor_of(b, "x")
    far = np.abs(a - b) / np.maximum(np.abs(a), 1.0)
    return np.max(far).astype("float64") if far.size else new_handle(Node(None, (), np.zeros(()), False))


def _require_converged(tol, steps, moved) -> None:
    if not moved <= 1:
        raise RuntimeError(
            f"fixed_point did not converge in {int(steps)} steps: the last one moved x by {float(moved):.3g} times tol"
            f" ({'64 rounding units' if tol is None else f'{tol:.3g}'}); does fun contract?"
        )


def _distance(a, b) -> float:
    a, b = _value(a), _value(b)
    with np.errstate(all="ignore"):  # where it diverges the answer is inf or nan
        return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0.0))


def root(fun: Callable, x0, *params, tol: float | None = None, method: str = "hybr"):
    """The x with fun(x, *params) = 0, found by `scipy.optimize.root` from x0, differentiable in `params`.

    Args:
        fun: takes x (a tree) and the params, and returns a tree like x: as many equations as unknowns.
        x0: where to start.
        params: what the solution is a function of; what `fun` closes over counts too.
        tol, method: SciPy's.  A step of Newton's method afterwards takes the solution to rounding.

    Raises:
        RuntimeError: SciPy finds no root, with its reason.
        ModuleNotFoundError: SciPy is missing (extra `scipy`).

    >>> import needle as ndl
    >>> square_root = lambda a: root(lambda x, a: x * x - a, 1.0, a)
    >>> round(square_root(4.0), 12), round(ndl.grad(square_root)(4.0), 12)
    (np.float64(2.0), np.float64(0.25))
    """

    def search(at, x):
        found = _scipy_optimize().root(at, x, jac=True, method=method, tol=tol)
        if not found.success:
            raise RuntimeError(f"root found no solution: {' '.join(found.message.split())}")
        return _newton_step(at, found.x)

    return _root(fun, x0, params, search)


def _root(fun: Callable, x0, params: tuple, search: Callable):
    """`root` with the solver `search(at, x)`, where at(x) gives the residual and its Jacobian at a vector x."""

    def solve(*params):
        def at(vector):
            xs = [follow(Node(None, (), a, False)) for a in _unravel(vector, nodes)]
            with recording():
                out = Tree(fun(start.build([new_handle(x) for x in xs]), *params))
            _require_like(start, nodes, out, "root")
            ys = [tensor_of(y, "what the function given to root returns") for y in out.leaves]
            if not all(isinstance(y.node.data, np.ndarray) for y in ys):
                raise RuntimeError(
                    "the function given to root closes over a value that jit follows; pass it as an argument, "
                    "root(fun, x0, value)"
                )
            return _ravel([_value(y) for y in ys]), _jacobian([y.node for y in ys], xs)

        x = search(at, _ravel([node.data for node in nodes]))
        return start.build([new_handle(Node(None, (), a, False)) for a in _unravel(x, nodes)])

    start, nodes = _start(x0, "root")

    def again(equation, start, *params):  # the equations of derivatives are linear: one step of Newton's method
        return _root(equation, start, params, _newton_step)

    return _solve(Root, fun, start, nodes, params, solve, again)


def _newton_step(at: Callable, x: np.ndarray) -> np.ndarray:
    residual, jacobian = at(x)
    return x - np.linalg.solve(jacobian, residual)


def _jacobian(ys: list[Node], xs: list[Node]) -> np.ndarray:
    """The square Jacobian of all of ys in all of xs, a row a pass."""
    pullback = Pullback(ys, xs)
    rows = []
    for k in range(sum(y.data.size for y in ys)):
        unit = np.zeros(sum(y.data.size for y in ys))
        unit[k] = 1
        adjoints = pullback([new_handle(Node(None, (), a, False)) for a in _unravel(unit, ys)])
        rows.append(_ravel([np.zeros(x.data.shape) if a is None else _value(a) for a, x in zip(adjoints, xs)]))
    return np.array(rows).reshape(len(rows), len(rows))


# --------------------------------------------------------------------------------------------------------------------


def _solve(
    kind: type[_Solution],
    fun: Callable,
    start: Tree,
    nodes: list[Node],
    params: tuple,
    solver: Callable,
    again: Callable,
):
    """Call `solver(*params)` as one op, differentiated as the solution of `fun`."""
    tree, fun = Tree(params), here(fun)

    def equation(xs, ps):
        out = Tree(fun(start.build(xs), *tree.build(ps)))
        return [tensor_of(y, "what the function returns") for y in out.leaves]

    def make(flat, closed):
        return kind(flat, closed, equation, again)

    def look(ps):
        return equation([new_handle(node) for node in nodes], ps)

    return call_as_op(make, solver, params, look=look, opaque=kind.opaque)


def _start(x0, name: str) -> tuple[Tree, list[Node]]:
    """The tree of x0, and its values as constants, in floating point."""
    tree = Tree(x0)
    nodes = [node_of(value, f"x0 of {name}").detached() for value in tree.leaves]
    return tree, [
        node if node.data.dtype.kind in "fc" else Node(None, (), node.data.astype(float), False) for node in nodes
    ]


def _require_like(start: Tree, nodes: list[Node], out: Tree, name: str) -> None:
    if not start.matches(out):
        raise TypeError(f"the function given to {name} must return the structure of x0, {start}, got {out}")
    for node, y in zip(nodes, out.leaves, strict=True):
        expected, came = node.data.shape, np.shape(_value(y))
        if came != expected:
            raise TypeError(f"the function given to {name} must return the shapes of x0, {expected}, got {came}")


def _value(tensor):
    return tensor.node.data if isinstance(tensor, Tensor) else np.asarray(tensor)


def _ravel(arrays) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.zeros(0)


def _unravel(vector: np.ndarray, like: list[Node]) -> list[np.ndarray]:
    cuts = np.cumsum([node.data.size for node in like])[:-1]
    parts = np.split(vector, cuts)
    return [part.reshape(node.data.shape).astype(node.data.dtype) for part, node in zip(parts, like, strict=True)]


def _scipy_optimize():
    try:
        return importlib.import_module("scipy.optimize")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("root needs SciPy: pip install needle-autodiff[scipy]") from None
