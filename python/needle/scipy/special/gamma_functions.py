"""Gamma, beta and their kin (DLMF, chapters 5, 8 and 25).  The derivative of an incomplete function in its parameters
has no closed form."""

import math

import numpy as np
import scipy.special as sp

from .ufuncs import NO_FORMULA, WHOLE, differentiate

differentiate(sp.gamma, lambda y, x: y * sp.psi(x))
differentiate(sp.gammaln, lambda y, x: sp.psi(x))
differentiate(sp.loggamma, lambda y, x: sp.psi(x))


def _reciprocal_gamma(y, x):
    """Of real x < ½ by reflection, 1/Γ(x) = sin(πx)·Γ(1 - x)/π: ψ has poles at the zeros of 1/Γ."""
    if x.dtype.kind == "c":
        return -y * sp.psi(x)
    left = x < 0.5
    low, high = np.where(left, x, 0.25), np.where(left, 1.0, x)
    other = sp.gamma(1 - low)
    turned = np.cos(math.pi * low) - np.sin(math.pi * low) * (sp.psi(1 - low) / math.pi)
    return np.where(left, turned * other, -sp.rgamma(high) * sp.psi(high))


differentiate(sp.rgamma, _reciprocal_gamma)


def _trigamma(y, x):
    if x.dtype.kind == "c":
        raise TypeError("the derivative of psi is not known to SciPy for complex numbers")
    return hurwitz_zeta(2.0, x)


differentiate(sp.psi, _trigamma)

# ζ(s, q) = Σ (k + q)^(-s), the ufunc behind `zeta` and `polygamma`.
hurwitz_zeta = sp._ufuncs._zeta
differentiate(hurwitz_zeta, NO_FORMULA, lambda y, s, q: -s * hurwitz_zeta(s + 1, q))
differentiate(sp._ufuncs._riemann_zeta, NO_FORMULA)

differentiate(
    sp.beta,
    lambda y, a, b: y * (sp.psi(a) - sp.psi(a + b)),
    lambda y, a, b: y * (sp.psi(b) - sp.psi(a + b)),
)
differentiate(sp.betaln, lambda y, a, b: sp.psi(a) - sp.psi(a + b), lambda y, a, b: sp.psi(b) - sp.psi(a + b))
differentiate(
    sp.binom,
    lambda y, n, k: y * (sp.psi(n + 1) - sp.psi(n - k + 1)),
    lambda y, n, k: y * (sp.psi(n - k + 1) - sp.psi(k + 1)),
)
differentiate(
    sp.poch,
    lambda y, z, m: y * (sp.psi(z + m) - sp.psi(z)),
    lambda y, z, m: y * sp.psi(z + m),
)


def _gamma_density(a, x):
    return np.exp(sp.xlogy(a - 1, x) - x - sp.gammaln(a))


def _beta_density(a, b, x):
    return np.exp(sp.xlogy(a - 1, x) + sp.xlog1py(b - 1, -x) - sp.betaln(a, b))


differentiate(sp.gammainc, NO_FORMULA, lambda y, a, x: _gamma_density(a, x))
differentiate(sp.gammaincc, NO_FORMULA, lambda y, a, x: -_gamma_density(a, x))
differentiate(sp.gammaincinv, NO_FORMULA, lambda y, a, p: 1 / _gamma_density(a, y))
differentiate(sp.gammainccinv, NO_FORMULA, lambda y, a, p: -1 / _gamma_density(a, y))
differentiate(sp.betainc, NO_FORMULA, NO_FORMULA, lambda y, a, b, x: _beta_density(a, b, x))
differentiate(sp.betaincinv, NO_FORMULA, NO_FORMULA, lambda y, a, b, p: 1 / _beta_density(a, b, y))
if hasattr(sp, "betaincc"):  # SciPy ≥ 1.11
    differentiate(sp.betaincc, NO_FORMULA, NO_FORMULA, lambda y, a, b, x: -_beta_density(a, b, x))
    differentiate(sp.betainccinv, NO_FORMULA, NO_FORMULA, lambda y, a, b, p: -1 / _beta_density(a, b, y))

differentiate(sp._ufuncs._lambertw, lambda w, z, k, tol: np.exp(-w) / (1 + w), WHOLE, WHOLE)
differentiate(sp.wrightomega, lambda w, z: w / (1 + w))
