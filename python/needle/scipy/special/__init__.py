"""`scipy.special` on Tensors: ufuncs from a table of derivatives, and the functions that are no ufuncs."""

import scipy.special as _special

from . import bessel, elementary, error_functions, gamma_functions, integrals
from .functions import (
    log_softmax,
    logsumexp,
    multigammaln,
    polygamma,
    sinc,
    softmax,
    softplus,
)


def __getattr__(name: str):
    return getattr(_special, name)


def __dir__():
    return dir(_special)
