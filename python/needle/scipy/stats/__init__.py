"""`scipy.stats` on Tensors: densities and distribution functions, in the points and in the parameters.

As everywhere a float32 Tensor gives float32, where SciPy would compute in float64.
"""

import scipy.stats as _stats

from ..plainly import handed_through as _handed_through
from .continuous import beta, chi2, expon, gamma, laplace, norm, t
from .discrete import poisson
from .multivariate import dirichlet, multivariate_normal


def __getattr__(name: str):
    return _handed_through(getattr(_stats, name))


def __dir__():
    return dir(_stats)
