"""`scipy.integrate.solve_ivp`: Runge-Kutta and implicit methods, at the solver's own steps or at given times."""

from collections.abc import Callable

import numpy as np
import scipy.integrate as sp
from scipy.optimize import OptimizeResult

from ... import ops
from ...graph import Tensor, ValueUnknown, is_recording
from ...numpy.dispatch import holds_tensor, plain
from .flow import Problem, Watch, flow, on_vectors, unravel_rows
from .right_hand_side import Arguments, initial, is_plain, least, right_hand_side, times


class RungeKutta:
    """SciPy's `solve_ivp` as a solver for `Flow`."""

    GENERAL = ("max_step", "min_step")  # options that make sense for derivatives, too

    def __init__(self, method, rtol, atol, **options):
        self.method, self.rtol, self.atol, self.options = method, rtol, atol, options

    def __call__(self, function: Callable, y0: np.ndarray, times: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = self.solve(function, y0, (times[0], times[-1]), times, weights)
        if not found.success:
            raise RuntimeError(f"solve_ivp did not get from t = {times[0]:g} to {times[-1]:g}: {found.message}")
        return found.y.T

    def solve(self, function, y0, span, t_eval, weights=1.0):
        atol = np.asarray(self.atol) * weights
        return sp.solve_ivp(function, span, y0, self.method, t_eval, rtol=self.rtol, atol=atol, **self.options)

    def of_derivatives(self) -> "RungeKutta":
        general = {key: self.options[key] for key in self.GENERAL if key in self.options}
        return RungeKutta(self.method, least(self.rtol), least(self.atol), **general)


def solve_ivp(
    fun,
    t_span,
    y0,
    method="RK45",
    t_eval=None,
    dense_output=False,
    events=None,
    vectorized=False,
    args=None,
    **options,
):
    """dy/dt = fun(t, y, *args) from t_span[0], where y = y0, to t_span[1]; SciPy's result, with t and y.

    Differentiable in y0, in `args`, in t_span and t_eval, and in Tensors that `fun` closes over, by the adjoint method
    (reverse mode) or the tangent equation (forward mode): not through the steps of the solver.  Derivatives are as
    exact as the tolerances say: SciPy's default, rtol=1e-3, is a coarse one.

    Args:
        fun: takes the time (a number), y (a Tensor) and `args`, and returns the derivatives: a Tensor, or a list.
        t_span, t_eval: as Tensors that are followed they reach `fun` as Tensors, too.
        args: of these, trees of Tensors are differentiated; all else is handed to `fun` as it is.
        method, rtol, atol, max_step, min_step: for the solution and for its derivatives.
        other options: for the solution only.

    Raises:
        TypeError: `dense_output` or `events` with Tensors; inside `vmap`, no t_eval.
        RuntimeError: the solver does not get through the equation of a derivative.

    >>> import needle as ndl
    >>> decay = lambda k: solve_ivp(lambda t, y, k: -k * y, (0, 1), [1.0], args=(k,), rtol=1e-8, atol=1e-10).y[0, -1]
    >>> round(decay(0.5), 6), round(ndl.grad(decay)(0.5), 6)
    (np.float64(0.606531), np.float64(-0.606531))
    """
    arguments = Arguments(() if args is None else args, "solve_ivp")
    function = (lambda t, y, *args: fun(t, y[:, None], *args)) if vectorized else fun
    if is_plain(function, arguments, t_span, y0) and not holds_tensor((t_eval,)):
        return sp.solve_ivp(
            fun, t_span, y0, method, t_eval, dense_output, events, vectorized, arguments.args or None, **options
        )
    if dense_output or events is not None:
        raise TypeError(
            "solve_ivp of Tensors has no dense_output and no events, in which a derivative would be lost; ask for y at "
            "certain times by t_eval"
        )
    y0, span = initial(y0, "solve_ivp"), times(t_span, "t_span of solve_ivp")
    if span.shape != (2,):
        raise ValueError(f"t_span of solve_ivp must be two times, got shape {span.shape}")
    asked = None if t_eval is None else times(t_eval, "t_eval of solve_ivp")
    problem = Problem(
        right_hand_side(function, arguments, "solve_ivp"),
        _solver(method, arguments, **options),
        1,
        (0,) * (1 + len(arguments.leaves)),
    )
    start = span[:1]
    try:
        values = [plain(x) for x in (y0, span, *arguments.leaves)]
        points = None if asked is None else plain(asked)
    except ValueUnknown:
        if asked is None:
            raise TypeError(
                "inside vmap the steps of solve_ivp are others for each example; give t_eval, the times at which y is "
                "wanted"
            ) from None
        (rows,) = flow(problem, [y0], ops.concatenate([start, asked], 0), arguments.leaves)
        y = ops.transpose(rows[1:])
        return OptimizeResult(t=asked, y=y, sol=None, t_events=None, y_events=None, status=0, success=True)
    watch = Watch() if is_recording() else None
    dtype = np.result_type(float, y0.dtype)
    y_start = values[0].astype(dtype)
    found = problem.solver.solve(
        on_vectors(problem, values[:1], values[2:], dtype, watch), y_start, tuple(values[1].tolist()), points
    )
    rows = np.asarray(found.y).T.reshape(-1, y0.size)
    if asked is None:  # the solver's own steps: of them only the first and the last can be moved
        inner = found.t[1:-1] if found.success else found.t[1:]
        instants = ops.concatenate([start, _times_like(span, inner), *([span[1:]] if found.success else [])], 0)
        found.t = instants if isinstance(t_span, Tensor) or holds_tensor(t_span) else found.t
    else:
        reached = asked[: len(found.t)]
        instants = ops.concatenate([start, reached], 0)
        rows = np.concatenate([y_start[None], rows])
        found.t = reached if holds_tensor((t_eval,)) else found.t
    (y,) = flow(problem, [y0], instants, arguments.leaves, (unravel_rows(rows, values[:1]), watch and watch.found))
    found.y = ops.transpose(y if asked is None else y[1:])
    return found


def _times_like(span: Tensor, instants: np.ndarray) -> Tensor:
    return Tensor(instants, dtype=span.dtype, requires_grad=False)


def _solver(method, arguments: Arguments, rtol=1e-3, atol=1e-6, jac=None, **options) -> RungeKutta:
    if jac is not None:
        options["jac"] = jac
    if callable(jac):

        def slopes(t, y):
            leaves = [Tensor(plain(leaf), requires_grad=False) for leaf in arguments.leaves]
            return plain(arguments.calling(jac, leaves, t, Tensor(y, requires_grad=False)))

        options["jac"] = slopes
    return RungeKutta(method, plain(rtol), plain(atol), **options)
