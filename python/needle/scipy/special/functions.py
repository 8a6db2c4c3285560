"""Functions of `scipy.special` that are no ufuncs."""

import math

import numpy as np
import scipy.special as sp

from ... import ops
from ...numpy.dispatch import as_tensor, holds_tensor
from ...numpy.ufuncs import inexact
from ..plainly import plainly
from .gamma_functions import hurwitz_zeta


@plainly(sp.polygamma)
def polygamma(n, x):
    """The n-th derivative of ψ: (-1)^(n+1)·n!·ζ(n + 1, x); n is a whole number."""
    if holds_tensor((n,)):
        raise TypeError("polygamma takes whole numbers n as a number or an array, not as a Tensor")
    n, x = np.asarray(n), inexact(as_tensor(x))
    factor = ((-1.0) ** (n + 1) * sp.gamma(n + 1.0)).astype(x.dtype)
    higher = hurwitz_zeta(np.where(n == 0, 2, n + 1.0).astype(x.dtype), x) * factor
    return ops.where(n == 0, sp.psi(x), higher) if np.any(n == 0) else higher


@plainly(sp.multigammaln)
def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d."""
    a = inexact(as_tensor(a))
    total = sum(sp.gammaln(a - j / 2) for j in range(d))
    return total + d * (d - 1) * 0.25 * math.log(math.pi)


@plainly(sp.logsumexp)
def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """ln Σ b·exp(a) over axes (all), stable; with `return_sign`, of the modulus of the sum, and its sign."""
    a = inexact(as_tensor(a))
    if b is None and not return_sign:
        return ops.LogSumExp(axis, keepdims)(a)
    b = inexact(as_tensor(1.0 if b is None else b))
    highest = ops.Max(axis, True)(ops.where(ops.equal(b, 0), -math.inf, a) if b.ndim else a).detach()
    highest = ops.where(np.isfinite(highest), highest, 0)
    total = ops.Summation(axis, True)(ops.multiply(b, ops.exp(a - highest)))
    sign = ops.sign(total)
    size = ops.multiply(total, sign) if return_sign else total
    result, shape = ops.log(size) + highest, None
    if not keepdims:
        shape = ops.Summation(axis, False)(total).shape
        result = ops.reshape(result, shape)
    if not return_sign:
        return result
    return result, sign if shape is None else ops.reshape(sign, shape)


@plainly(sp.softmax)
def softmax(x, axis=None):
    """exp(x) / Σ exp(x) over axes (all)."""
    return ops.Softmax(axis)(inexact(as_tensor(x)))


@plainly(sp.log_softmax)
def log_softmax(x, axis=None):
    """ln softmax(x)."""
    x = inexact(as_tensor(x))
    return x - ops.LogSumExp(axis, True)(x)


def softplus(x, **kwargs):
    """ln(1 + exp(x))."""
    return np.logaddexp(0, x, **kwargs)


def sinc(x):
    """sin(πx) / πx."""
    return np.sinc(x)
