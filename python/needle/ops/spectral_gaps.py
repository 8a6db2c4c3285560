"""Differences of eigenvalues and singular values, by which the derivatives of eigenvectors divide, and what is to be
done where they are zero.

Eigenvectors of a repeated eigenvalue are any basis of their space.  A function may depend on the space and on the
eigenvalue, but not on the basis: what LAPACK picks there jumps.  In reverse mode the adjoint tells whether a function
does, and then it is an error.  In forward mode nobody knows what becomes of a tangent, and it is a warning.
Repeated eigenvalues share their derivative equally, as the tied do in `maximum`.
"""

import warnings

import numpy as np

from .arithmetic import multiply, negate
from .kinds import Linear, PiecewiseConstant
from .linalg import OfMatrices
from .reductions import summation

__all__ = [
    "Differences", "InverseGaps", "InverseSums", "LargestEntry", "Regular", "SettledBasis", "Shared", "UnsettledBasis",
]  # fmt: skip


def repeated(w):
    """Which pairs of the numbers are equal to within rounding; a number makes no pair with itself."""
    size = np.abs(w)
    n = w.shape[-1]
    tolerance = 8 * n * np.finfo(w.dtype).eps * size.max(-1, initial=0.0)[..., None, None]
    pairs = np.abs(w[..., :, None] - w[..., None, :]) <= tolerance
    pairs[..., np.arange(n), np.arange(n)] = False
    return pairs


def vanishing(s):
    """Which singular values are 0 to within rounding."""
    return s <= 8 * s.shape[-1] * np.finfo(s.dtype).eps * s.max(-1, initial=0.0, keepdims=True)


def _counts(part, whole):
    """Where `part` is more than rounding beside the largest number of `whole`."""
    largest = np.abs(whole).max((-2, -1), initial=0.0, keepdims=True)
    return np.abs(part) > 64 * whole.shape[-1] * np.finfo(whole.dtype).eps * largest


class InverseGaps(OfMatrices):
    """1 / (wⱼ - wᵢ), and 0 where the two are equal"""

    __slots__ = ()

    def compute(self, w):
        pairs = repeated(w)
        i = np.arange(w.shape[-1])
        pairs[..., i, i] = True
        gaps = np.where(pairs, 1, w[..., None, :] - w[..., :, None])
        return np.where(pairs, 0, 1 / gaps).astype(w.dtype)

    def gradient(self, out_grad, node):
        by_gap = multiply(multiply(node, node), out_grad)
        return summation(by_gap, -1) - summation(by_gap, -2)

    def tangent(self, node, dw):
        return negate(multiply(multiply(node, node), Differences()(dw)))


class Differences(OfMatrices, Linear):
    """wⱼ - wᵢ"""

    __slots__ = ()

    def compute(self, w):
        return w[..., None, :] - w[..., :, None]

    def gradient(self, out_grad, node):
        return summation(out_grad, -2) - summation(out_grad, -1)


class InverseSums(OfMatrices):
    """1 / (sᵢ + sⱼ), and 0 where both are 0"""

    __slots__ = ()

    def compute(self, s):
        zero = vanishing(s)
        both = zero[..., None, :] & zero[..., :, None]
        return np.where(both, 0, 1 / np.where(both, 1, s[..., None, :] + s[..., :, None])).astype(s.dtype)

    def gradient(self, out_grad, node):
        by_sum = negate(multiply(multiply(node, node), out_grad))
        return summation(by_sum, -1) + summation(by_sum, -2)


class Regular(OfMatrices):
    """M, whose columns are to be divided by the s (with `pairs`, its anti-Hermitian part by their sums), if there is
    nothing to be divided by 0"""

    __slots__ = ("pairs",)

    checks = True

    def __init__(self, pairs: bool = False):
        self.pairs = pairs

    def compute(self, m, s):
        zero = vanishing(s)[..., None, :]
        if not zero.any():
            return m
        part = m
        if self.pairs:
            zero, part = zero & np.swapaxes(zero, -1, -2), m - np.swapaxes(m.conj(), -1, -2)
        if (zero & _counts(part, m)).any():
            raise np.linalg.LinAlgError(
                "the function depends on singular vectors that belong to the singular value 0: "
                "it has no derivative here"
            )
        return m

    def gradient(self, out_grad, node):
        return out_grad, None

    def tangent(self, node, dm, ds):
        return dm


class Shared(OfMatrices):
    """g with the entries of equal w replaced by their mean.

    Where there are equal ones, its derivative would need to know how they come apart: an error.
    """

    __slots__ = ("what",)

    def __init__(self, what: str = "eigenvalues"):
        self.what = what

    def compute(self, g, w):
        same = repeated(w)
        if not same.any():
            return g
        i = np.arange(w.shape[-1])
        same[..., i, i] = True
        return (same / same.sum(-1, keepdims=True) @ g[..., None])[..., 0].astype(g.dtype)

    def gradient(self, out_grad, node):
        return _OnceOnly(self.what)(out_grad, node.inputs[1]) if node.needs(0) else None, None

    def tangent(self, node, dg, dw):
        return None if dg is None else _OnceOnly(self.what)(dg, node.inputs[1])


class _OnceOnly(OfMatrices):
    """What belongs to distinct w, as it is"""

    __slots__ = ("what",)

    checks = True

    def __init__(self, what: str):
        self.what = what

    def compute(self, g, w):
        if repeated(w).any():
            raise np.linalg.LinAlgError(
                f"the second derivative of a function of {self.what} does not follow from theirs where some are equal; "
                "write the function without them (a trace, a determinant, a norm), or perturb the matrix"
            )
        return g

    def gradient(self, out_grad, node):
        return _OnceOnly(self.what)(out_grad, node.inputs[1]), None


class SettledBasis(OfMatrices):
    """M, the adjoint of a change of basis among the vectors that belong to w, if it has no part among equal w.

    With `values` the function depends on equal w too: then even a symmetric part tells of something that neither the
    adjoint of w nor that of the vectors contains.
    """

    __slots__ = ("values", "what")

    checks = True

    def __init__(self, values: bool = False, what: str = "eigenvectors"):
        self.values, self.what = values, what

    def compute(self, m, w):
        pairs = repeated(w)
        if not pairs.any():
            return m
        turned = np.swapaxes(m.conj(), -1, -2)
        if (pairs & _counts(m - turned, m)).any():
            raise np.linalg.LinAlgError(
                f"the function depends on the choice of {self.what} that belong to one repeated value (or to none), "
                "which is arbitrary: it has no derivative here"
            )
        if self.values and (pairs & _counts(m + turned, m)).any():
            raise np.linalg.LinAlgError(
                f"a function of repeated values together with their {self.what} is not differentiated; "
                "write it without the decomposition, or perturb the matrix"
            )
        return m

    def gradient(self, out_grad, node):
        return out_grad, None

    def tangent(self, node, dm, dw):
        return dm


class UnsettledBasis(OfMatrices):
    """P, the change of a matrix seen from its own vectors, with a warning where it mixes those of equal w"""

    __slots__ = ()

    def compute(self, p, w):
        pairs = repeated(w)
        if pairs.any() and (pairs & _counts(p, p)).any():
            warnings.warn(
                "vectors of a repeated eigenvalue or singular value have no derivative of their own: the tangent is "
                "right only for functions that do not depend on their choice",
                RuntimeWarning,
                stacklevel=2,
            )
        return p

    def gradient(self, out_grad, node):
        return out_grad, None

    def tangent(self, node, dp, dw):
        return dp


class LargestEntry(OfMatrices, PiecewiseConstant):
    """1 at the entry of largest modulus in each column, 0 elsewhere"""

    __slots__ = ()

    def compute(self, a):
        out = np.zeros(a.shape, np.abs(a).dtype)
        np.put_along_axis(out, np.abs(a).argmax(-2, keepdims=True), 1, -2)
        return out
