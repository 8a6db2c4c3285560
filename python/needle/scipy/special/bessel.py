"""Bessel functions and hypergeometric ones, in their argument: in the order there is no closed form (DLMF 10.6, 10.29,
11.4, 13.3, 15.5)."""

import math

import numpy as np
import scipy.special as sp

from .ufuncs import NO_FORMULA, WHOLE, differentiate, differentiate_all


def _half_difference(function):
    return lambda y, v, x: (function(v - 1, x) - function(v + 1, x)) / 2


def _half_sum(function, sign: float = 1.0):
    return lambda y, v, x: (function(v - 1, x) + function(v + 1, x)) * (sign / 2)


differentiate(sp.j0, lambda y, x: -sp.j1(x))
differentiate(sp.j1, lambda y, x: (sp.j0(x) - sp.jv(2, x)) / 2)
differentiate(sp.jv, NO_FORMULA, _half_difference(sp.jv))
differentiate(sp.y0, lambda y, x: -sp.y1(x))
differentiate(sp.y1, lambda y, x: (sp.y0(x) - sp.yv(2, x)) / 2)
differentiate(sp.yn, WHOLE, _half_difference(sp.yv))
differentiate(sp.yv, NO_FORMULA, _half_difference(sp.yv))
differentiate(sp.hankel1, NO_FORMULA, _half_difference(sp.hankel1))
differentiate(sp.hankel2, NO_FORMULA, _half_difference(sp.hankel2))

differentiate(sp.i0, lambda y, x: sp.i1(x))
differentiate(sp.i1, lambda y, x: (sp.i0(x) + sp.iv(2, x)) / 2)
differentiate(sp.iv, NO_FORMULA, _half_sum(sp.iv))
differentiate(sp.k0, lambda y, x: -sp.k1(x))
differentiate(sp.k1, lambda y, x: (sp.k0(x) + sp.kv(2, x)) / -2)
differentiate(sp.kn, WHOLE, _half_sum(sp.kv, -1.0))
differentiate(sp.kv, NO_FORMULA, _half_sum(sp.kv, -1.0))


# Scaled by e^(-|x|) and e^x.


def _scaled(y, v, x):
    if x.dtype.kind == "c":
        raise TypeError(
            "scipy.special.ive of a complex number, which it scales by its real part, is not differentiated"
        )
    return (sp.ive(v - 1, x) + sp.ive(v + 1, x)) / 2 - np.sign(x) * y


differentiate(sp.i0e, lambda y, x: sp.i1e(x) - np.sign(x) * y)
differentiate(sp.i1e, lambda y, x: (sp.i0e(x) + sp.ive(2, x)) / 2 - np.sign(x) * y)
differentiate(sp.ive, NO_FORMULA, _scaled)
differentiate(sp.k0e, lambda y, x: y - sp.k1e(x))
differentiate(sp.k1e, lambda y, x: y - (sp.k0e(x) + sp.kve(2, x)) / 2)
differentiate(sp.kve, NO_FORMULA, lambda y, v, x: y - (sp.kve(v - 1, x) + sp.kve(v + 1, x)) / 2)


# Struve functions, and Airy's.


def _struve_term(v, x):
    return np.exp(sp.xlogy(v, x / 2) - sp.gammaln(v + 1.5)) / math.sqrt(math.pi)


differentiate(
    sp.struve, NO_FORMULA, lambda y, v, x: (sp.struve(v - 1, x) - sp.struve(v + 1, x) + _struve_term(v, x)) / 2
)
differentiate(
    sp.modstruve, NO_FORMULA, lambda y, v, x: (sp.modstruve(v - 1, x) + sp.modstruve(v + 1, x) + _struve_term(v, x)) / 2
)
differentiate_all(
    sp.airy,
    (lambda y, x: sp.airy(x)[1],),
    (lambda y, x: x * sp.airy(x)[0],),
    (lambda y, x: sp.airy(x)[3],),
    (lambda y, x: x * sp.airy(x)[2],),
)

# Hypergeometric functions.

differentiate(sp.hyp0f1, NO_FORMULA, lambda y, b, x: sp.hyp0f1(b + 1, x) / b)
differentiate(sp.hyp1f1, NO_FORMULA, NO_FORMULA, lambda y, a, b, x: a / b * sp.hyp1f1(a + 1, b + 1, x))
differentiate(sp.hyperu, NO_FORMULA, NO_FORMULA, lambda y, a, b, x: -a * sp.hyperu(a + 1, b + 1, x))
differentiate(
    sp.hyp2f1,
    NO_FORMULA,
    NO_FORMULA,
    NO_FORMULA,
    lambda y, a, b, c, x: a * b / c * sp.hyp2f1(a + 1, b + 1, c + 1, x),
)
