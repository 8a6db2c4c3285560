"""Discrete distributions: differentiable in their parameters, not in the whole numbers that they are functions of."""

import math

import numpy as np
import scipy.special as sp
import scipy.stats as stats

from ... import ops
from .distribution import Distribution, constant, only_where


class Poisson(Distribution):
    """μᵏ·exp(-μ) / k! for k = 0, 1, 2, …"""

    METHODS = ("pmf", "logpmf", "cdf", "logcdf")
    DEFAULTS = (("loc", 0),)

    def _at(self, method, k, mu, loc):
        k = constant(k) - constant(loc)
        if method in ("cdf", "logcdf"):
            inside = k >= 0
            result = sp.gammaincc(np.floor(ops.where(inside, k, 0.0)) + 1, mu)
            result = np.log(result) if method == "logcdf" else result
        else:
            inside = np.logical_and(k >= 0, k == np.floor(k))
            k_inside = ops.where(inside, k, 0.0)
            none = k_inside == 0  # then the power is 1, with derivative 0, for μ = 0 too
            result = ops.where(none, 0.0, sp.xlogy(k_inside, ops.where(none, 1.0, mu)))
            result = result - sp.gammaln(k_inside + 1) - mu
            result = np.exp(result) if method == "pmf" else result
        result = ops.where(inside, result, -math.inf if method.startswith("log") else 0.0)
        return only_where(np.logical_and(mu >= 0, k == k), result)


poisson = Poisson(stats.poisson)
