"""Distributions of vectors."""

import functools
import math

import numpy as np
import scipy.special as sp
import scipy.stats as stats

from ... import ops
from ...graph import Tensor, ValueUnknown
from ...numpy.dispatch import as_tensor, holds_tensor, plain
from ...numpy.ufuncs import inexact
from ...ops.linalg import Cholesky, diagonal_entries, diagonal_matrix, hermitian_from
from ..linalg.arguments import of_one_dtype
from ..linalg.triangular import SolveTriangular
from ..plainly import handed_through
from .distribution import Frozen, power_law


class OfVectors:
    """A distribution whose `logpdf` and `pdf` take Tensors; the rest is SciPy's own."""

    METHODS = ("pdf", "logpdf")

    def __init__(self, scipys):
        self.scipys = scipys

    def __call__(self, *args, **kwds) -> Frozen:
        """The distribution with these parameters."""
        return Frozen(self, args, kwds)

    def __getattr__(self, name: str):
        if name == "scipys":  # while it is being unpickled
            raise AttributeError(name)
        if name in self.METHODS:
            return functools.partial(self._evaluate, name)
        return handed_through(getattr(self.scipys, name))

    def _evaluate(self, method: str, x, *args, **kwds):
        if not (holds_tensor((x, *args)) or holds_tensor(kwds.values())):
            return getattr(self.scipys, method)(x, *args, **kwds)
        result = self._logpdf(x, *args, **kwds)
        shape = [n for n in result.shape if n != 1]  # as SciPy does
        result = result if len(shape) == result.ndim else ops.reshape(result, shape)
        return np.exp(result) if method == "pdf" else result


class Dirichlet(OfVectors):
    """Π xᵢ^(αᵢ - 1) / B(α) on the simplex: x has the k components, or all but the last, along axis 0"""

    def _logpdf(self, x, alpha):
        x, alpha = of_one_dtype(inexact(as_tensor(x)), inexact(as_tensor(alpha)))
        if alpha.ndim != 1:
            raise ValueError(f"Parameter vector 'a' must be one dimensional, got alpha of shape {alpha.shape}")
        k = alpha.shape[0]
        if x.ndim == 0 or x.shape[0] not in (k - 1, k):
            raise ValueError(f"x of dirichlet must have {k} or {k - 1} entries along axis 0, got shape {x.shape}")
        if x.shape[0] != k:
            x = ops.concatenate([x, 1 - ops.Summation((0,), True)(x)], 0)
        _check_simplex(x, alpha)
        powers = power_law(ops.reshape(alpha - 1, (k,) + (1,) * (x.ndim - 1)), x)
        log_beta = ops.summation(sp.gammaln(alpha)) - sp.gammaln(ops.summation(alpha))
        return ops.Summation((0,), False)(powers) - log_beta


def _check_simplex(x: Tensor, alpha: Tensor) -> None:
    try:
        x, alpha = plain(x), plain(alpha)
    except ValueUnknown:  # inside vmap
        return
    if np.min(alpha) <= 0:
        raise ValueError("All parameters must be greater than 0")
    if np.min(x) < 0:
        raise ValueError("Each entry in 'x' must be greater than or equal to zero.")
    if np.any((x == 0) & (alpha.reshape(-1, *[1] * (x.ndim - 1)) < 1)):
        raise ValueError("Each entry in 'x' must be greater than zero if its alpha is less than one.")
    if np.any(np.abs(np.sum(x, 0) - 1) > 10e-10):
        raise ValueError(f"The input vector 'x' must lie within the normal simplex. but np.sum(x, 0) = {np.sum(x, 0)}.")


class MultivariateNormal(OfVectors):
    """exp(-(x - μ)ᵀ·Σ⁻¹·(x - μ)/2) / √|2π·Σ|: the components of x lie along its last axis.

    Of the covariance Σ the lower triangle is read, as SciPy does; the derivative in the other is 0.
    """

    def _logpdf(self, x, mean=None, cov=1, allow_singular=False):
        cov = 1 if cov is None else cov.covariance if isinstance(cov, stats.Covariance) else cov
        x, cov = inexact(as_tensor(x)), inexact(as_tensor(cov))
        if mean is None:
            mean = np.zeros(1 if cov.ndim < 2 else cov.shape[0], x.dtype)
        x, mean, cov = of_one_dtype(x, inexact(as_tensor(mean)), cov)
        factor = self._factor(cov, mean.size)
        mean = ops.reshape(mean, (1,)) if mean.size == 1 else mean
        if mean.ndim != 1:
            raise ValueError(f"Array 'mean' must be a vector of length {factor.shape[0]}, got shape {mean.shape}")
        (d,) = mean.shape
        if x.ndim < 2:
            x = ops.reshape(x, (-1, 1) if d == 1 else (1, -1))
        if x.shape[-1] != d:
            raise ValueError(f"x of multivariate_normal must have {d} components along its last axis, got {x.shape}")
        deviation = ops.reshape(x - mean, (-1, d))
        white = SolveTriangular(True)(factor, ops.transpose(deviation))
        distance = ops.Summation((0,), False)(ops.square(white))
        log_det = ops.summation(np.log(diagonal_entries(factor)))
        return ops.reshape(distance * -0.5 - (log_det + d * math.log(2 * math.pi) / 2), x.shape[:-1])

    def _factor(self, cov: Tensor, d: int) -> Tensor:
        """The lower Cholesky factor of a covariance given as a number, as variances, or as a matrix."""
        if d == 1 and cov.size == 1:
            cov = ops.reshape(cov, (1, 1))
        if cov.ndim == 0:
            cov = cov * np.eye(d, dtype=cov.dtype)
        elif cov.ndim == 1:
            cov = diagonal_matrix(cov)
        if cov.shape != (d, d):
            raise ValueError(
                f"Array 'cov' must be square if it is two dimensional, and fit a mean of length {d}; "
                f"got shape {cov.shape}"
            )
        try:
            return Cholesky()(hermitian_from(cov))
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(
                "the covariance of multivariate_normal must be positive definite: "
                "there is no derivative where it is singular, with allow_singular neither"
            ) from None


dirichlet = Dirichlet(stats.dirichlet)
multivariate_normal = MultivariateNormal(stats.multivariate_normal)
