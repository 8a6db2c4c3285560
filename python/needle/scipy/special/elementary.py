"""Logistic functions, entropies, losses, powers, and trigonometry in degrees: all but elementary."""

import math

import numpy as np
import scipy.special as sp

from .ufuncs import differentiate

differentiate(sp.expit, lambda y, x: y * sp.expit(-x))
differentiate(sp.logit, lambda y, p: 1 / (p * (1 - p)))
differentiate(sp.log_expit, lambda y, x: sp.expit(-x))
differentiate(sp.expm1, lambda y, x: y + 1)
differentiate(sp.log1p, lambda y, x: 1 / (x + 1))
differentiate(sp.cosm1, lambda y, x: -np.sin(x))
differentiate(sp.cbrt, lambda y, x: 1 / (3 * y * y))
differentiate(sp.exp2, lambda y, x: y * math.log(2))
differentiate(sp.exp10, lambda y, x: y * math.log(10))

# Products with logarithms: 0·ln 0 is 0.


def _quotient(x, y):
    """x/y, and 0 where both are 0."""
    both = np.logical_and(x == 0, y == 0)
    return np.where(both, 0.0, x / np.where(both, 1.0, y))


differentiate(sp.xlogy, lambda z, x, y: np.log(y), lambda z, x, y: _quotient(x, y))
differentiate(sp.xlog1py, lambda z, x, y: np.log1p(y), lambda z, x, y: _quotient(x, 1 + y))
differentiate(sp.entr, lambda y, x: -np.log(x) - 1)
differentiate(sp.rel_entr, lambda z, x, y: np.log(x / y) + 1, lambda z, x, y: -_quotient(x, y))
differentiate(sp.kl_div, lambda z, x, y: np.log(x / y), lambda z, x, y: 1 - _quotient(x, y))

# Losses.

differentiate(
    sp.huber,
    lambda y, delta, r: np.where(np.abs(r) <= delta, 0, np.abs(r) - delta),
    lambda y, delta, r: np.where(np.abs(r) <= delta, r, delta * np.sign(r)),
)
differentiate(
    sp.pseudo_huber,
    lambda y, delta, r: 2 * y / delta - r * r / delta / np.sqrt(1 + (r / delta) ** 2),
    lambda y, delta, r: r / np.sqrt(1 + (r / delta) ** 2),
)

# Box and Cox's powers: (x^λ - 1)/λ = ln x·exprel(λ·ln x), with exprel' = ₁F₁(2, 3)/2; smooth at λ = 0.


def _by_power(log, power):
    return log * log * sp.hyp1f1(2.0, 3.0, power * log) / 2


differentiate(
    sp.boxcox,
    lambda y, x, power: np.exp((power - 1) * np.log(x)),
    lambda y, x, power: _by_power(np.log(x), power),
)
differentiate(
    sp.boxcox1p,
    lambda y, x, power: np.exp((power - 1) * np.log1p(x)),
    lambda y, x, power: _by_power(np.log1p(x), power),
)


def _inverse_by_power(y, power):
    """d/dλ of ln(1 + λy)/λ = y·₂F₁(1, 1; 2; -λy)."""
    return sp.hyp2f1(2.0, 2.0, 3.0, -power * y) * (y * y / -2)


differentiate(
    sp.inv_boxcox, lambda x, y, power: x / (1 + power * y), lambda x, y, power: x * _inverse_by_power(y, power)
)
differentiate(
    sp.inv_boxcox1p,
    lambda x, y, power: (x + 1) / (1 + power * y),
    lambda x, y, power: (x + 1) * _inverse_by_power(y, power),
)

# Degrees.

DEGREE = math.pi / 180

differentiate(
    sp.radian,
    lambda y, degrees, minutes, seconds: 0 * degrees + DEGREE,
    lambda y, degrees, minutes, seconds: 0 * degrees + DEGREE / 60,
    lambda y, degrees, minutes, seconds: 0 * degrees + DEGREE / 3600,
)
differentiate(sp.sindg, lambda y, x: sp.cosdg(x) * DEGREE)
differentiate(sp.cosdg, lambda y, x: sp.sindg(x) * -DEGREE)
differentiate(sp.tandg, lambda y, x: (1 + y * y) * DEGREE)
differentiate(sp.cotdg, lambda y, x: (1 + y * y) * -DEGREE)
