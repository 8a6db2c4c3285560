"""The error function, the normal distribution, and their kin (Abramowitz & Stegun, chapter 7; DLMF, chapter 7)."""

import math

import numpy as np
import scipy.special as sp

from .ufuncs import NO_FORMULA, differentiate, differentiate_all

ROOT_PI = math.sqrt(math.pi)
ROOT_2PI = math.sqrt(2 * math.pi)

differentiate(sp.erf, lambda y, x: 2 / ROOT_PI * np.exp(-x * x))
differentiate(sp.erfc, lambda y, x: -2 / ROOT_PI * np.exp(-x * x))
differentiate(sp.erfi, lambda y, x: 2 / ROOT_PI * np.exp(x * x))
differentiate(sp.erfcx, lambda y, x: 2 * x * y - 2 / ROOT_PI)
differentiate(sp.erfinv, lambda y, p: ROOT_PI / 2 * np.exp(y * y))
differentiate(sp.erfcinv, lambda y, p: -ROOT_PI / 2 * np.exp(y * y))
differentiate(sp.dawsn, lambda y, x: 1 - 2 * x * y)
differentiate(sp.wofz, lambda w, z: -2 * z * w + 2j / ROOT_PI)

differentiate(sp.ndtr, lambda y, x: np.exp(-x * x / 2) / ROOT_2PI)
differentiate(sp.ndtri, lambda y, p: ROOT_2PI * np.exp(y * y / 2))
# φ(x)/Φ(x) without the quotient of two numbers that both vanish.
differentiate(sp.log_ndtr, lambda y, x: math.sqrt(2 / math.pi) / sp.erfcx(x * -math.sqrt(0.5)))
differentiate(sp.ndtri_exp, lambda y, p: ROOT_2PI * np.exp(p + y * y / 2))

differentiate_all(
    sp.fresnel,
    (lambda y, x: np.sin(x * x * (math.pi / 2)),),
    (lambda y, x: np.cos(x * x * (math.pi / 2)),),
)

differentiate(
    sp.owens_t,
    lambda y, h, a: np.exp(-h * h / 2) * sp.erf(a * h * math.sqrt(0.5)) * (-0.5 / ROOT_2PI),
    lambda y, h, a: np.exp(-h * h * (1 + a * a) / 2) / (2 * math.pi * (1 + a * a)),
)


def _faddeeva(x, sigma, gamma):
    """z, w'(z) and what divides: V = Re w(z) / (σ·√2π) with z = (x + iγ) / (σ·√2)."""
    z = (x + 1j * gamma) / (sigma * math.sqrt(2))
    return z, -2 * z * sp.wofz(z) + 2j / ROOT_PI, sigma * sigma * (2 * ROOT_PI)


def _by_x(y, x, sigma, gamma):
    _, slope, below = _faddeeva(x, sigma, gamma)
    return np.real(slope) / below


def _by_sigma(y, x, sigma, gamma):
    z, slope, below = _faddeeva(x, sigma, gamma)
    return -y / sigma - np.real(slope * z) * math.sqrt(2) / below


def _by_gamma(y, x, sigma, gamma):
    _, slope, below = _faddeeva(x, sigma, gamma)
    return -np.imag(slope) / below


differentiate(sp.voigt_profile, _by_x, _by_sigma, _by_gamma)

# Student's t: its distribution function in t.
differentiate(
    sp.stdtr,
    NO_FORMULA,
    lambda y, df, t: np.exp(-sp.xlog1py((df + 1) / 2, t * t / df) - sp.betaln(df / 2, 0.5) - np.log(df) / 2),
)
