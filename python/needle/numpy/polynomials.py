"""Polynomials as NumPy's oldest functions have them: vectors of coefficients, the highest power first."""

import numpy as np

from .. import ops
from ..graph import Tensor, leaf
from ..ops.polynomial_roots import Roots
from .contraction import convolve
from .dispatch import as_tensor, implements, plain
from .joining import concatenate


def _coefficients(p) -> Tensor:
    """The coefficients of a polynomial, of a `numpy.poly1d` too."""
    p = as_tensor(p.coeffs if isinstance(p, np.poly1d) else p)
    return ops.reshape(p, 1) if p.ndim == 0 else p


@implements(np.polyval)
def polyval(p, x) -> Tensor:
    """p₀xⁿ + … + pₙ at each element of x (Horner's scheme)."""
    x, p = as_tensor(x), _coefficients(p)
    value = leaf(np.zeros(x.shape, x.dtype))
    for coefficient in p:
        value = value * x + coefficient
    return value


def _aligned(a1, a2) -> tuple[Tensor, Tensor]:
    """Two polynomials with leading zeros, so that they have one length."""
    a1, a2 = _coefficients(a1), _coefficients(a2)
    n = max(a1.size, a2.size)
    return tuple([ops.pad(a, ((n - a.size, 0),)) if a.size < n else a for a in (a1, a2)])


@implements(np.polyadd)
def polyadd(a1, a2) -> Tensor:
    """The sum."""
    a1, a2 = _aligned(a1, a2)
    return a1 + a2


@implements(np.polysub)
def polysub(a1, a2) -> Tensor:
    """The difference."""
    a1, a2 = _aligned(a1, a2)
    return a1 - a2


@implements(np.polymul)
def polymul(a1, a2) -> Tensor:
    """The product."""
    return convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


def _without_leading_zeros(p) -> Tensor:
    """As `numpy.poly1d` has it: at least one coefficient stays."""
    p = _coefficients(p)
    values = p.node.data
    if not isinstance(values, np.ndarray) or (values.size and values[0] != 0):
        return p
    places = np.flatnonzero(values)
    return p[places[0] :] if places.size else p[-1:]


@implements(np.polydiv)
def polydiv(u, v) -> tuple[Tensor, Tensor]:
    """Quotient and remainder."""
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    m, n = u.size - 1, v.size - 1
    rest, quotient = u, []
    for k in range(m - n + 1):
        d = rest[k] / v[0]
        quotient.append(d)
        rest = rest - ops.pad(d * v, ((k, m - n - k),))
    remainder = rest if m < n else rest[m - n + 1 :] if n else rest[-1:] * 0
    q = ops.stack(quotient, 0) if quotient else leaf(np.zeros(1, u.dtype))
    values = remainder.node.data
    if isinstance(values, np.ndarray):  # what rounding has left in front of the remainder is cut off
        start = 0
        while start < values.size - 1 and np.allclose(values[start], 0, rtol=1e-14):
            start += 1
        remainder = remainder[start:] if start else remainder
    return q, remainder


@implements(np.polyder)
def polyder(p, m=1) -> Tensor:
    """The m-th derivative."""
    if int(m) < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(int(m)):
        p = p[:-1] * np.arange(p.size - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p, m=1, k=None) -> Tensor:
    """The m-th antiderivative, with the constants of integration k (0 by default)."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    k = leaf(np.zeros(m)) if k is None else _coefficients(k)
    if k.size == 1 and m > 1:
        k = k * np.ones(m)
    if k.size < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    p = _coefficients(p)
    for i in range(m):
        p = concatenate((p / np.arange(p.size, 0, -1), ops.reshape(k[i], 1)))
    return p


@implements(np.poly)
def poly(seq_of_zeros) -> Tensor:
    """The polynomial with leading coefficient 1 that has these zeros; of a square matrix, its characteristic one."""
    zeros = as_tensor(seq_of_zeros)
    if zeros.ndim == 0:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] != 0:
        zeros = np.linalg.eigvals(zeros)
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if zeros.size == 0:
        return 1.0
    if zeros.dtype.kind not in "fc":
        zeros = zeros.astype(float)
    p = leaf(np.ones(1, zeros.dtype))
    for zero in zeros:
        shifted = p * zero
        p = ops.pad(p, ((0, 1),)) - ops.pad(shifted, ((1, 0),))
    if p.dtype.kind == "c" and isinstance(zeros.node.data, np.ndarray):
        values = zeros.node.data
        if np.all(np.sort(values) == np.sort(values.conjugate())):  # they come in pairs: the polynomial is real
            p = np.real(p)
    return p


@implements(np.roots)
def roots(p) -> Tensor:
    """The roots, each with the derivative of an implicit function; a multiple root has none."""
    p = _coefficients(p)
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    if p.dtype.kind not in "fc":
        p = p.astype(float)
    plain_roots = np.roots(plain(p))
    if not plain_roots.size:
        return leaf(plain_roots)
    found = Roots()(p)
    return found if plain_roots.dtype.kind == "c" else np.real(found)


@implements(np.vander)
def vander(x, N=None, increasing=False) -> Tensor:
    """The powers of each element as columns, the highest first."""
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.size if N is None else int(N)
    dtype = np.promote_types(x.dtype, int)
    x = x if x.dtype == dtype else x.astype(dtype)
    powers = [leaf(np.ones(x.shape, dtype))]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    if n == 0:
        return leaf(np.empty((x.size, 0), dtype))
    return ops.stack(powers if increasing else powers[::-1], 1)


@implements(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial of degree `deg` that comes closest to the points in the least-squares sense."""
    order = int(deg) + 1
    x, y = as_tensor(x) + 0.0, as_tensor(y) + 0.0
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    rcond = x.size * np.finfo(x.dtype).eps if rcond is None else rcond
    left, right = vander(x, order), y
    if w is not None:
        w = as_tensor(w) + 0.0
        if w.ndim != 1:
            raise TypeError("expected a 1-d array for weights")
        if w.shape[0] != y.shape[0]:
            raise TypeError("expected w and y to have the same length")
        left = left * ops.reshape(w, (-1, 1))
        right = right * (ops.reshape(w, (-1, 1)) if right.ndim == 2 else w)
    scale = np.sqrt(np.sum(left * left, 0))
    c, residuals, rank, s = np.linalg.lstsq(left / scale, right, rcond)
    c = c / (ops.reshape(scale, (-1, 1)) if c.ndim == 2 else scale)
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    base = np.linalg.inv(np.dot(left.T, left) / ops.reshape(scale, (-1, 1)) / scale)
    base = base / ops.reshape(scale, (-1, 1)) / scale
    if cov == "unscaled":
        factor = 1
    else:
        if len(x) <= order:
            raise ValueError("the number of data points must exceed order to scale the covariance matrix")
        factor = residuals / (len(x) - order)
    return c, base * factor if y.ndim == 1 else ops.reshape(base, (*base.shape, 1)) * factor
