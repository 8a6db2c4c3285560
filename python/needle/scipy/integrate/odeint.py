"""`scipy.integrate.odeint`: LSODA, at given times."""

from collections.abc import Callable

import numpy as np
import scipy.integrate as sp

from ...graph import Tensor
from ...numpy.dispatch import plain
from .flow import Problem, flow
from .right_hand_side import Arguments, initial, is_plain, least, right_hand_side, times

DEFAULT_TOLERANCE = 1.49012e-8  # of SciPy


class Lsoda:
    """SciPy's `odeint` as a solver for `Flow`; `info` is what it reported last."""

    def __init__(self, rtol, atol, is_derivative: bool = False, **options):
        self.rtol = DEFAULT_TOLERANCE if rtol is None else rtol
        self.atol = DEFAULT_TOLERANCE if atol is None else atol
        self.is_derivative, self.options = is_derivative, options
        self.info: dict = {}

    def __call__(self, function: Callable, y0: np.ndarray, times: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rows, self.info = sp.odeint(
            function, y0, times, tfirst=True, full_output=1, rtol=self.rtol, atol=self.atol * weights, **self.options
        )
        if self.is_derivative and self.info["message"] != "Integration successful.":
            raise RuntimeError(
                f"odeint found no derivative between t = {times[0]:g} and {times[-1]:g}: {self.info['message']}"
            )
        return rows

    def of_derivatives(self) -> "Lsoda":
        general = {key: self.options[key] for key in ("hmax", "hmin", "mxstep", "mxordn", "mxords")}
        return Lsoda(least(self.rtol), least(self.atol), True, **general)


def odeint(
    func,
    y0,
    t,
    args=(),
    Dfun=None,
    col_deriv=0,
    full_output=0,
    ml=None,
    mu=None,
    rtol=None,
    atol=None,
    tcrit=None,
    h0=0.0,
    hmax=0.0,
    hmin=0.0,
    ixpr=0,
    mxstep=0,
    mxhnil=0,
    mxordn=12,
    mxords=5,
    printmessg=0,
    tfirst=False,
):
    """y at the times t, where dy/dt = func(y, t, *args) and y = y0 at t[0]: a row for each time.

    Differentiable in y0, in `args`, in t, and in Tensors that `func` closes over, by the adjoint method (reverse mode)
    or the tangent equation (forward mode): not through the steps of the solver.  Derivatives are as exact as the
    tolerances say.

    Args:
        func: takes y (a Tensor), the time (a number) and `args`, and returns the derivatives: a Tensor, or a list.
        y0: a vector, or a number.
        t: times in order; a Tensor that is followed reaches `func` as a Tensor, too.
        args: of these, trees of Tensors are differentiated; all else is handed to `func` as it is.
        rtol, atol: for the solution and for its derivatives; 1.49e-8 by default.
        Dfun, ml, mu, tcrit, h0: for the solution only.

    Returns:
        An array of shape (len(t), len(y0)), with `full_output` a pair with SciPy's report.

    Raises:
        RuntimeError: the solver does not get through the equation of a derivative.

    >>> import needle as ndl
    >>> decay = lambda k: odeint(lambda y, t, k: -k * y, 1.0, [0.0, 1.0], args=(k,))[-1, 0]
    >>> round(decay(0.5), 6), round(ndl.grad(decay)(0.5), 6)
    (np.float64(0.606531), np.float64(-0.606531))
    """
    arguments = Arguments(args, "odeint")

    def in_order(function):
        return function if tfirst else lambda t, y, *args: function(y, t, *args)

    if is_plain(in_order(func), arguments, t, y0):
        return sp.odeint(
            func, y0, t, arguments.args, Dfun, col_deriv, full_output, ml, mu, rtol, atol, tcrit, h0, hmax, hmin,
            ixpr, mxstep, mxhnil, mxordn, mxords, printmessg, tfirst,
        )  # fmt: skip
    y0, t = initial(y0, "odeint"), times(t, "t of odeint")
    rhs = right_hand_side(in_order(func), arguments, "odeint")
    slopes = None
    if Dfun is not None:

        def slopes(t, y):
            leaves = [Tensor(plain(leaf), requires_grad=False) for leaf in arguments.leaves]
            return plain(arguments.calling(in_order(Dfun), leaves, t, Tensor(y, requires_grad=False)))

    solver = Lsoda(
        plain(rtol), plain(atol), Dfun=slopes, col_deriv=col_deriv, ml=ml, mu=mu, tcrit=tcrit, h0=h0, hmax=hmax,
        hmin=hmin, ixpr=ixpr, mxstep=mxstep, mxhnil=mxhnil, mxordn=mxordn, mxords=mxords, printmessg=printmessg,
    )  # fmt: skip
    problem = Problem(rhs, solver, 1, (0,) * (1 + len(arguments.leaves)))
    (rows,) = flow(problem, [y0], t, arguments.leaves)
    return (rows, solver.info) if full_output else rows
