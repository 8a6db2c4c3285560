"""The solution of an initial value problem as one op.

dy/dt = f(t, y, p), y(t₀) = y₀, at times t₀, t₁, …, found by a solver that knows nothing of derivatives.  These are
solutions of problems of the same kind, found by the same solver, so that they have derivatives in turn:

- the tangent s solves ds/dt = ∂f/∂y·s + ∂f/∂p·dp along with y, from s(t₀) = dy₀ - f(t₀)·dt₀; that of y(tᵢ) is
  s(tᵢ) + f(tᵢ)·dtᵢ;
- the adjoint a solves da/dt = -(∂f/∂y)ᵀ·a backwards in time, and jumps by the adjoint of y(tᵢ) at each tᵢ; on its way
  it gathers the adjoint of p, the integral of (∂f/∂p)ᵀ·a (Pontryagin et al. 1962; Chen et al. 2018, "Neural ordinary
  differential equations", arXiv:1806.07366, appendix B).  y is integrated along with it, since nothing between the
  times was kept, and taken up anew at each tᵢ, so that what a contracting y loses backwards stays small.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ... import ops
from ...adjoint import Pullback, follow, recording, retire
from ...graph import (
    Node,
    Tensor,
    TensorTuple,
    announce,
    call,
    carrying,
    handle,
    innermost,
    is_recording,
    new_handle,
    no_grad,
    observing,
)
from ...ops.tuples import make_tuple
from ...transforms.batch import one_by_one
from ...transforms.forward import jvp
from ...transforms.functions import FunctionOp, run_and_look

RightHandSide = Callable[[object, list, list], list]  # (t, ys, ps) to the derivatives of ys; t a number or a Tensor


@dataclass(frozen=True)
class Problem:
    """What is the same for all inputs.

    rhs: f, of the state as a list of arrays.
    solver: `solver(f, y0, times, weights)` solves for a vector y, and returns a row for each of at least two times;
        absolute tolerances are to be multiplied by the weights.  `solver.of_derivatives()` is one for those.
    size: of how many arrays the state consists.
    directions: for each array of the state and of the parameters in which directions it is a derivative, as bits.
    """

    rhs: RightHandSide
    solver: Callable
    size: int
    directions: tuple[int, ...]

    def derivative(self, rhs: RightHandSide, of_state: list[int], of_parameters: list[int]) -> "Problem":
        """A problem with more arrays, each the derivative in a new direction of what has these directions."""
        new = 1 << max(self.directions).bit_length()
        states, parameters = self.directions[: self.size], self.directions[self.size :]
        states += tuple([directions | new for directions in of_state])
        parameters += tuple([directions | new for directions in of_parameters])
        return Problem(rhs, self.solver.of_derivatives(), len(states), states + parameters)


class Flow(FunctionOp):
    """y(t₀), y(t₁), …; its inputs are the arrays of y₀, the times, the parameters, and what f closes over"""

    __slots__ = ("problem",)

    def __init__(self, problem: Problem, closed: tuple[Node, ...] = ()):
        super().__init__(None, closed)
        self.problem = problem

    def compute(self, *arrays):
        y0s, times, ps = self.split(self.arguments(arrays))
        return march(self.problem, y0s, times, ps)

    def split(self, arguments):
        n = self.problem.size
        return arguments[:n], arguments[n], arguments[n + 1 :]

    def batch(self, size, inputs, batched):
        return one_by_one(self, size, inputs, batched)

    def gradient(self, out_grad, node):
        problem = self.problem
        n, rhs = problem.size, problem.rhs
        arguments = self.arguments(node.inputs)
        y0s, times, ps = self.split(arguments)
        ys, grads = list(handle(node.node)), list(out_grad)
        wanted = [j for j in range(len(ps)) if node.needs(n + 1 + j)]
        closed = [c for j, c in enumerate(self.closed) if node.needs(len(arguments) + j)]

        def adjoint_rhs(t, state, ps):
            ys, adjoints = state[:n], state[n : 2 * n]
            with recording():
                nodes = [follow(y.node) for y in ys]
                ps = list(ps)
                followed = []
                for j in wanted:
                    followed.append(follow(ps[j].node))
                    ps[j] = new_handle(followed[-1])
                slopes = rhs(t, [new_handle(y) for y in nodes], ps)
            retire([*nodes, *followed])
            pulled = Pullback([slope.node for slope in slopes], [*nodes, *followed, *closed])(adjoints)
            return [*slopes, *[zeros(x) if g is None else -g for g, x in zip(pulled, state[n:], strict=True)]]

        backwards = problem.derivative(adjoint_rhs, [0] * (n + len(wanted) + len(closed)), [])
        needs_times = node.needs(n)
        by_times: list[Tensor] = []
        adjoints = [g[-1] for g in grads]
        sums = [zeros(x) for x in [*[ps[j] for j in wanted], *map(new_handle, closed)]]
        for i in range(times.shape[0] - 1, 0, -1):
            here = [y[i] for y in ys]
            if needs_times:
                by_times.append(pairing([g[i] for g in grads], rhs(times[i], here, ps)))
            span = ops.stack([times[i], times[i - 1]], 0)
            found = [rows[1] for rows in flow(backwards, [*here, *adjoints, *sums], span, ps)]
            adjoints, sums = found[n : 2 * n], found[2 * n :]
            if i == 1 and needs_times:
                by_times.append(-pairing(adjoints, rhs(times[0], y0s, ps)))
            adjoints = [a + g[i - 1] for a, g in zip(adjoints, grads, strict=True)]
        if not needs_times:
            by_time = None
        else:
            by_time = ops.stack(by_times[::-1], 0) if by_times else zeros(times)
        by_ps: list[Tensor | None] = [None] * len(ps)
        for j, total in zip(wanted, sums):
            by_ps[j] = total
        by_closed = dict(zip(closed, sums[len(wanted) :], strict=True))
        return (*adjoints, by_time, *by_ps, *[by_closed.get(c) for c in self.closed])

    def tangent(self, node, *tangents):
        problem = self.problem
        n, rhs = problem.size, problem.rhs
        y0s, times, ps = self.split(self.arguments(node.inputs))
        dy0s, dtimes, dps = self.split(self.arguments(tangents))
        moved = [j for j, dp in enumerate(dps) if dp is not None]

        def tangent_rhs(t, state, ps):
            ps, dps = list(ps[: len(ps) - len(moved)]), ps[len(ps) - len(moved) :]

            def along(ys, qs):
                for j, q in zip(moved, qs, strict=True):
                    ps[j] = q
                return tuple(rhs(t, list(ys), list(ps)))

            primals = tuple(state[:n]), tuple([ps[j] for j in moved])
            slopes, changes = jvp(along, primals, (tuple(state[n:]), tuple(dps)))
            return [*slopes, *changes]

        starts = [zeros(y) if dy is None else dy for y, dy in zip(y0s, dy0s, strict=True)]
        if dtimes is not None:
            starts = [s - f * dtimes[0] for s, f in zip(starts, rhs(times[0], y0s, ps), strict=True)]
        of_state, of_ps = problem.directions[:n], problem.directions[n:]
        forwards = problem.derivative(tangent_rhs, list(of_state), [of_ps[j] for j in moved])
        found = flow(forwards, [*y0s, *starts], times, [*ps, *[dps[j] for j in moved]])[n:]
        if dtimes is not None:
            ys = list(handle(node.node))
            slopes = [rhs(times[i], [y[i] for y in ys], ps) for i in range(times.shape[0])]
            moves = [ops.stack([f[k] * dtimes[i] for i, f in enumerate(slopes)], 0) for k in range(n)]
            found = [s + move for s, move in zip(found, moves, strict=True)]
        return make_tuple(*found)


def zeros(like: Tensor) -> Tensor:
    return new_handle(Node(None, (), np.zeros(like.shape, like.dtype), False))


def pairing(adjoints: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """Σ a·f over all arrays of the state"""
    terms = [ops.summation(ops.multiply(a, f)) for a, f in zip(adjoints, slopes, strict=True)]
    return sum(terms[1:], terms[0])


# --------------------------------------------------------------------------------------------------------------------
# Calling it


def flow(problem: Problem, y0s: list[Tensor], times: Tensor, ps: list[Tensor], known: tuple | None = None) -> list:
    """The arrays of the state at `times`, each with a new first axis for them.

    `known` is (what `march` would return, the nodes that f closes over), if that has been found out already.
    """
    arguments = [x.node for x in (*y0s, times, *ps)]
    if any(node.level for node in arguments):
        n = len(y0s)
        _, closed = run_and_look(lambda xs: list(problem.rhs(xs[n][0], xs[:n], xs[n + 1 :])), arguments)
        return list(new_handle(call(Flow(problem, closed), (*arguments, *closed))))
    if known is None:
        watch = Watch() if is_recording() else None
        known = march(problem, *Flow(problem).split([node.data for node in arguments]), watch), watch and watch.found
    data, closed = known[0], tuple(known[1] or ())
    op, inputs = Flow(problem, closed), (*arguments, *closed)
    record = is_recording() and any(node.requires_grad for node in inputs)
    node = Node(op, inputs, data, True) if record else Node(None, (), data, False)
    announce(op, inputs, node)
    return list(new_handle(node))


class Watch:
    """Finds the nodes that a function closes over and that a derivative may be asked for: those that it uses in two
    calls in a row.  (What it makes for itself is another node each time.)"""

    def __init__(self):
        self.found: dict[Node, None] = {}
        self.before: set[Node] = set()
        self.here = innermost()

    def call(self, function: Callable, *args):
        now: set[Node] = set()

        def look(nodes) -> None:
            now.update([node for node in nodes if node.requires_grad or 0 < node.level < self.here])

        with observing(lambda op, inputs, node: look(inputs)):
            results = function(*args)
        look([result.node for result in results])
        self.found.update(dict.fromkeys(now & self.before))
        self.before = now
        return results


# --------------------------------------------------------------------------------------------------------------------
# Numbers


def march(problem: Problem, y0s: list, times: np.ndarray, ps: list, watch: Watch | None = None) -> tuple:
    """The arrays of the state at all times, by the solver."""
    dtype = np.result_type(float, *[y.dtype for y in y0s])
    start = ravel(y0s, dtype)
    times = times.astype(float)
    new = np.concatenate([[True], times[1:] != times[:-1]])[: len(times)]
    if new.sum() > 1:
        rows = problem.solver(on_vectors(problem, y0s, ps, dtype, watch), start, times[new], weights(problem, y0s, ps))
    else:
        rows = start[None]
    return unravel_rows(rows[np.cumsum(new) - 1], y0s)


def on_vectors(problem: Problem, y0s: list, ps: list, dtype, watch: Watch | None = None) -> Callable:
    """f as a function of a number and a vector, without derivatives."""
    ps = [constant(p) for p in ps]

    def function(t, vector):
        ys = [constant(a) for a in unravel(vector, y0s)]
        with no_grad(), carrying():
            slopes = watch.call(problem.rhs, t, ys, ps) if watch else problem.rhs(t, ys, ps)
        return ravel([value(slope) for slope in slopes], dtype)

    return function


def weights(problem: Problem, y0s: list, ps: list) -> np.ndarray:
    """How large, for each number of the state, an error counts as one in y does.

    A derivative is as large as the direction in which it is taken, and that may be very small (a mean over a million
    examples): there an absolute tolerance has no meaning until it is multiplied by that size.
    """
    sizes: dict[int, float] = {0: 1.0}
    for directions, array in zip(problem.directions, [*y0s, *ps], strict=True):
        if directions:
            sizes[directions] = max(sizes.get(directions, 0.0), float(np.max(np.abs(array), initial=0.0)))
    for directions in sizes:
        bits = [1 << k for k in range(directions.bit_length()) if directions >> k & 1]
        if len(bits) > 1:
            product = float(np.prod([sizes.get(bit, 0.0) or 1.0 for bit in bits]))
            sizes[directions] = max(sizes[directions], product)
    return np.concatenate(
        [np.full(np.size(y), sizes[d] or 1.0) for d, y in zip(problem.directions[: problem.size], y0s, strict=True)]
    )


def constant(array) -> Tensor:
    return new_handle(Node(None, (), array, False))


def value(result: Tensor) -> np.ndarray:
    if isinstance(result, TensorTuple) or result.node.level:
        raise RuntimeError(
            "the right-hand side of a differential equation closes over a value that an enclosing transform follows; "
            "pass it through args instead"
        )
    return result.node.data


def ravel(arrays: list, dtype) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays]).astype(dtype, copy=False)


def unravel(vector: np.ndarray, like: list) -> list[np.ndarray]:
    parts = np.split(vector, np.cumsum([y.size for y in like])[:-1])
    return [_in_dtype(part, y.dtype).reshape(y.shape) for part, y in zip(parts, like, strict=True)]


def unravel_rows(rows: np.ndarray, like: list) -> tuple[np.ndarray, ...]:
    parts = np.split(rows, np.cumsum([y.size for y in like])[:-1], axis=1)
    return tuple([_in_dtype(p, y.dtype).reshape(len(rows), *y.shape) for p, y in zip(parts, like, strict=True)])


def _in_dtype(array: np.ndarray, dtype) -> np.ndarray:
    """A part of the state in its own dtype: real parts of it may stand beside complex ones."""
    return (array.real if dtype.kind != "c" else array).astype(dtype)
