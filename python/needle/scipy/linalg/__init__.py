"""`scipy.linalg` on Tensors, under SciPy's names: matrices in the last two axes, leading axes a batch."""

import scipy.linalg as _linalg

from ..plainly import handed_through as _handed_through
from .equations import det, inv, solve, solve_continuous_lyapunov, solve_lyapunov, solve_sylvester
from .matrix_functions import expm, logm, sqrtm
from .structured import block_diag, toeplitz
from .triangular import cho_factor, cho_solve, cholesky, solve_triangular


def __getattr__(name: str):
    return _handed_through(getattr(_linalg, name))


def __dir__():
    return dir(_linalg)
