"""Exponential, trigonometric and elliptic integrals (DLMF, chapters 6, 19 and 25.12).

Where a formula divides 0 by 0 a hypergeometric function takes its place, whose derivatives of every order are known.
"""

import math

import numpy as np
import scipy.special as sp

from .ufuncs import WHOLE, differentiate, differentiate_all

differentiate(sp.expi, lambda y, x: np.exp(x) / x)
differentiate(sp.exp1, lambda y, x: -np.exp(-x) / x)


def _expn(y, n, x):
    low = n < 1
    return np.where(low, -y * (1 + 1 / x), -sp.expn(np.where(low, 0, n - 1), x))


differentiate(sp.expn, WHOLE, _expn)
differentiate(sp.exprel, lambda y, x: sp.hyp1f1(2.0, 3.0, x) / 2)


def _sinh_over(x):
    """sinh(x)/x = 0F1(3/2, x²/4)."""
    return sp.hyp0f1(1.5, x * x / 4)


def _sin_over(x):
    return np.sinc(x / math.pi) if x.dtype.kind == "f" else np.sin(x) / x


differentiate_all(sp.sici, (lambda y, x: _sin_over(x),), (lambda y, x: np.cos(x) / x,))
differentiate_all(sp.shichi, (lambda y, x: _sinh_over(x),), (lambda y, x: np.cosh(x) / x,))


def _spence(y, x):
    """ln x / (1 - x)."""
    if x.dtype.kind == "c":
        return np.log(x) / (1 - x)
    near = np.abs(x - 1) < 0.25
    close, far = np.where(near, x, 1.0), np.where(near, 2.0, x)
    return np.where(near, -sp.hyp2f1(1.0, 1.0, 2.0, 1 - close), np.log(far) / (1 - far))


differentiate(sp.spence, _spence)


# Elliptic integrals, of the parameter m.


def _by_parameter(near_zero, elsewhere):
    """An expression in m with a removable singularity at 0."""

    def slope(y, m):
        near = np.abs(m) < 0.1
        close, far = np.where(near, m, 0.0), np.where(near, 0.5, m)
        return np.where(near, near_zero(close), elsewhere(far))

    return slope


differentiate(
    sp.ellipk,
    _by_parameter(
        lambda m: math.pi / 8 * sp.hyp2f1(1.5, 1.5, 2.0, m),
        lambda m: (sp.ellipe(m) - (1 - m) * sp.ellipk(m)) / (2 * m * (1 - m)),
    ),
)
differentiate(
    sp.ellipe,
    _by_parameter(
        lambda m: -math.pi / 8 * sp.hyp2f1(0.5, 1.5, 2.0, m),
        lambda m: (sp.ellipe(m) - sp.ellipk(m)) / (2 * m),
    ),
)
differentiate(sp.ellipkm1, lambda y, p: (p * y - sp.ellipe(1 - p)) / (2 * p * (1 - p)))


def _root(phi, m):
    return np.sqrt(1 - m * np.sin(phi) ** 2)


def _first_kind_by_m(y, phi, m):
    root = _root(phi, m)
    return (sp.ellipeinc(phi, m) / (1 - m) - y) / (2 * m) - np.sin(2 * phi) / (4 * (1 - m) * root)


differentiate(sp.ellipkinc, lambda y, phi, m: 1 / _root(phi, m), _first_kind_by_m)
differentiate(sp.ellipeinc, lambda y, phi, m: _root(phi, m), lambda y, phi, m: (y - sp.ellipkinc(phi, m)) / (2 * m))
