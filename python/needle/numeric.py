"""Numerical differentiation: derivatives from nothing but values.

It is the oldest way and knows nothing of what is inside a function, so it is what the other ways are checked against.
It costs a call or two for each input, and half of the digits (forward difference) or a third (central).
"""

from collections.abc import Callable

import numpy as np

from .transforms.differences import (
    as_kind,
    central_difference,
    directional,
    floating,
    forward_difference,
    value_at,
)

__all__ = [
    "central_difference", "derivative", "directional", "forward_difference", "gradient", "hessian", "jacobian",
]  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Adaptive, by numdifftools: many steps, extrapolated to step 0 (Richardson), the best estimate taken


def derivative(f: Callable, x, n: int = 1):
    """The n-th derivative of an elementwise f, with steps and extrapolation chosen by numdifftools.

    Args:
        f: works element by element on a Tensor, array or number; called with float64 values of the kind that x is of.
        x: where.
        n: the order, 1 to 10; each one costs digits.

    Returns:
        An array (a Tensor for a Tensor) of x's shape.  For functions that are computed in float64 about 12 digits are
        right at order 1.

    Raises:
        ModuleNotFoundError: numdifftools is missing (extra `numeric`).

    >>> derivative(np.exp, 0.0, n=2).round(9)
    np.float64(1.0)
    """
    if not isinstance(n, int) or not 1 <= n <= 10:
        raise ValueError(f"n of derivative must be a whole number from 1 to 10, got {n!r}")
    return _adaptive("Derivative", f, x, lambda array: array, lambda out, shape: out.reshape(shape), n=n)


def gradient(f: Callable, x):
    """The gradient of an f that returns one number, as `derivative` computes it.  Shape x.shape.

    >>> gradient(lambda x: np.sum(x**2), np.array([1.0, 2.0])).round(9)
    array([2., 4.])
    """
    return _adaptive("Gradient", _scalar(f, "gradient"), x, np.ravel, lambda out, shape: out.reshape(shape))


def jacobian(f: Callable, x):
    """The Jacobian of f, as `derivative` computes it.  Shape out.shape + x.shape.

    >>> jacobian(np.square, np.array([1.0, 2.0])).round(9)
    array([[2., 0.], [0., 4.]])
    """
    shapes = []

    def flat(x):
        out = value_at(f, x)
        shapes.append(out.shape)
        return out.ravel()

    return _adaptive("Jacobian", flat, x, np.ravel, lambda out, shape: out.reshape((*shapes[-1], *shape)))


def hessian(f: Callable, x):
    """The Hessian of an f that returns one number, as `derivative` computes it.  Shape x.shape + x.shape.

    >>> hessian(lambda x: x[0] * x[1], np.array([1.0, 2.0])).round(9)
    array([[0., 1.], [1., 0.]])
    """
    return _adaptive("Hessian", _scalar(f, "hessian"), x, np.ravel, lambda out, shape: out.reshape((*shape, *shape)))


def _adaptive(name: str, f: Callable, x, flatten: Callable, shaped: Callable, **options):
    array = floating(x, "x").astype(float)

    def on_arrays(flat):
        return value_at(f, as_kind(np.asarray(flat, float).reshape(array.shape), x))

    found = np.asarray(getattr(_numdifftools(), name)(on_arrays, **options)(flatten(array)))
    return as_kind(shaped(found, array.shape), x)


def _numdifftools():
    try:
        import numdifftools
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "adaptive numerical derivatives need numdifftools: pip install needle-autodiff[numeric]; "
            "central_difference and directional do without"
        ) from None
    return numdifftools


def _scalar(f: Callable, name: str) -> Callable:
    def number(x):
        out = value_at(f, x)
        if out.size != 1:
            raise TypeError(f"{name} takes a function that returns one number, got shape {out.shape}; use jacobian")
        return out.reshape(())

    return number
