"""Continuous distributions of one variable.

Where a distribution function has no derivative in closed form in a parameter (t in df, gamma in a, chi2 in df, beta
in a and b), asking for it is an error; the densities have them all.
"""

import math

import numpy as np
import scipy.special as sp
import scipy.stats as stats

from ... import ops
from .distribution import Continuous, power_law

LOG_ROOT_2PI = math.log(2 * math.pi) / 2
LOG_2 = math.log(2)


class Normal(Continuous):
    """exp(-z²/2) / √2π"""

    def _pdf(self, z):
        return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def _logpdf(self, z):
        return -z * z / 2 - LOG_ROOT_2PI

    def _cdf(self, z):
        return sp.ndtr(z)

    def _logcdf(self, z):
        return sp.log_ndtr(z)


class StudentT(Continuous):
    """(1 + z²/df)^(-(df + 1)/2) / (√df·B(df/2, ½))"""

    def valid(self, df):
        return df > 0

    def _logpdf(self, z, df):
        normal = np.isinf(df)
        finite = ops.where(normal, 1.0, df)
        result = -sp.betaln(finite / 2, 0.5) - np.log(finite) / 2 - (finite + 1) / 2 * np.log1p(z * z / finite)
        return ops.where(normal, norm._logpdf(z), result)

    def _cdf(self, z, df):
        return sp.stdtr(df, z)


class Gamma(Continuous):
    """zᵃ⁻¹·exp(-z) / Γ(a) for z ≥ 0"""

    low = 0.0

    def valid(self, a):
        return a > 0

    def _logpdf(self, z, a):
        return power_law(a - 1, z) - z - sp.gammaln(a)

    def _cdf(self, z, a):
        return sp.gammainc(a, z)


class Beta(Continuous):
    """zᵃ⁻¹·(1 - z)ᵇ⁻¹ / B(a, b) for 0 ≤ z ≤ 1"""

    low, high, somewhere = 0.0, 1.0, 0.5

    def valid(self, a, b):
        return np.logical_and(a > 0, b > 0)

    def _logpdf(self, z, a, b):
        return power_law(a - 1, z) + power_law(b - 1, 1 - z) - sp.betaln(a, b)

    def _cdf(self, z, a, b):
        return sp.betainc(a, b, z)


class ChiSquared(Continuous):
    """(z/2)^(df/2 - 1)·exp(-z/2) / (2·Γ(df/2)) for z ≥ 0"""

    low = 0.0

    def valid(self, df):
        return df > 0

    def _logpdf(self, z, df):
        return gamma._logpdf(z / 2, df / 2) - LOG_2

    def _cdf(self, z, df):
        return sp.gammainc(df / 2, z / 2)


class Exponential(Continuous):
    """exp(-z) for z ≥ 0"""

    low = 0.0

    def _logpdf(self, z):
        return -z

    def _cdf(self, z):
        return -np.expm1(-z)

    def _logcdf(self, z):
        """ln(1 - exp(-z)), by whichever of the two formulas does not cancel (Mächler 2012, "Accurately computing
        log(1 - exp(-|a|))")."""
        near = z < LOG_2
        return ops.where(
            near, np.log(-np.expm1(-ops.where(near, z, LOG_2))), np.log1p(-np.exp(-ops.where(near, LOG_2, z)))
        )


class Laplace(Continuous):
    """exp(-|z|) / 2"""

    def _logpdf(self, z):
        return -ops.abs(z) - LOG_2

    def _cdf(self, z):
        right = z > 0  # two formulas, so that at 0 the derivative is the density, and not that of |z|
        return ops.where(right, 1 - np.exp(-ops.where(right, z, 0.0)) / 2, np.exp(ops.where(right, 0.0, z)) / 2)

    def _logcdf(self, z):
        right = z > 0
        return ops.where(right, np.log1p(np.exp(-ops.where(right, z, 0.0)) / -2), z - LOG_2)


norm = Normal(stats.norm)
t = StudentT(stats.t)
gamma = Gamma(stats.gamma)
beta = Beta(stats.beta)
chi2 = ChiSquared(stats.chi2)
expon = Exponential(stats.expon)
laplace = Laplace(stats.laplace)
