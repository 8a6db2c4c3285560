"""Determinants: of any square matrix, singular ones included, and their logarithms.  Loaded with `needle.numpy`."""

import numpy as np

from ..graph import TensorTupleOp, handle
from .arithmetic import multiply
from .contraction import matmul
from .linalg import OfMatrices, conj, diagonal_entries, inverse, transpose
from .movement import reshape
from .reductions import summation
from .tuples import make_tuple

__all__ = ["Cofactors", "CofactorSlope", "Determinant", "LogDeterminant", "trace_of_product"]


def beside_matrix(a):
    """One number a matrix, so that it broadcasts with the matrices."""
    return reshape(a, (*a.shape, 1, 1))


def trace_of_product(a, b):
    """tr(Aᵀ·B)."""
    return summation(multiply(a, b), (-2, -1))


class Determinant(OfMatrices):
    """det A.  d det A = tr(Cᵀ·dA) with the cofactors C, which for a regular A are det A·A⁻ᵀ (Giles 2008, 2.2.4)"""

    __slots__ = ()

    def compute(self, a):
        return np.linalg.det(a)

    def gradient(self, out_grad, node):
        return multiply(beside_matrix(out_grad), Cofactors()(node.inputs[0]))

    def tangent(self, node, da):
        return trace_of_product(Cofactors()(node.inputs[0]), da)


class Cofactors(OfMatrices):
    """∂ det A / ∂A, without division: A = U·S·Vᴴ has the cofactors det(U)·det(Vᴴ)·conj(U)·cof(S)·conj(Vᴴ)"""

    __slots__ = ()

    def compute(self, a):
        u, s, vh = np.linalg.svd(a)
        product, zeros, filled = _nonzero_product(s)
        rest = np.where(zeros[..., None] - (s == 0) == 0, product[..., None] / filled, 0)
        sign = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
        return (sign * (u.conj() * rest[..., None, :])) @ vh.conj()

    def gradient(self, out_grad, node):
        return CofactorSlope()(node.inputs[0], out_grad)

    def tangent(self, node, da):
        return CofactorSlope()(node.inputs[0], da)


class CofactorSlope(OfMatrices):
    """The derivative of the cofactors of A in the direction E; as a second derivative it is its own transpose.

    In the bases of A's singular vectors the quadratic part of det(S + E) is
    Σ_{i<j} (E_ii·E_jj - E_ij·E_ji)·Π_{k≠i,j} s_k.
    """

    __slots__ = ()

    def compute(self, a, e):
        u, s, vh = np.linalg.svd(a)
        product, zeros, filled = _nonzero_product(s)
        zero = s == 0
        others = zeros[..., None, None] - zero[..., :, None] - zero[..., None, :]
        pairs = np.where(others == 0, product[..., None, None] / (filled[..., :, None] * filled[..., None, :]), 0)
        i = np.arange(a.shape[-1])
        pairs[..., i, i] = 0
        inner = np.swapaxes(u.conj(), -1, -2) @ e @ np.swapaxes(vh.conj(), -1, -2)
        out = -pairs * np.swapaxes(inner, -1, -2)
        out[..., i, i] = (pairs @ np.diagonal(inner, axis1=-2, axis2=-1)[..., None])[..., 0]
        sign = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
        return sign * (u.conj() @ out @ vh.conj())

    def gradient(self, out_grad, node):
        a, e = node.inputs
        return (
            self._third(a, e, out_grad) if node.needs(0) else None,
            CofactorSlope()(a, out_grad) if node.needs(1) else None,
        )

    def tangent(self, node, da, de):
        a, e = node.inputs
        total = None if da is None else self._third(a, e, da)
        if de is not None:
            along = CofactorSlope()(a, de)
            total = along if total is None else total + along
        return total

    def _third(self, a, e, g):
        """∂/∂A of d·(tr(XE)·tr(XG) - tr(XEXG)), where d = det A and X = A⁻¹."""
        x = inverse(a)
        xe, xg = matmul(x, e), matmul(x, g)
        by_e, by_g = (beside_matrix(summation(diagonal_entries(y), -1)) for y in (xe, xg))
        both, turned = matmul(xe, xg), matmul(xg, xe)
        value = by_e * by_g - beside_matrix(summation(diagonal_entries(both), -1))
        inner = matmul(both + turned - by_g * xe - by_e * xg, x)
        return beside_matrix(Determinant()(a)) * transpose(value * x + inner)


def _nonzero_product(s):
    """The product of the nonzero singular values, how many are zero, and the values with 1 in place of these."""
    filled = np.where(s == 0, 1, s)
    return np.prod(filled, -1), np.sum(s == 0, -1), filled


class LogDeterminant(TensorTupleOp):
    """(sign, ln |det A|), where sign = det A / |det A|.  d ln |det A| = Re tr(A⁻¹·dA) (Giles 2008, 2.2.4)"""

    __slots__ = ()

    batch = OfMatrices.batch

    def compute(self, a):
        return tuple(np.linalg.slogdet(a))

    def gradient(self, out_grad, node):
        by_sign, by_log = out_grad
        (a,) = node.inputs
        if a.dtype.kind == "c":  # d sign = i·Im tr(A⁻¹·dA)·sign
            turning = multiply(by_sign, handle(node.node)[0])
            by_log = by_log + (turning - conj(turning)) * 0.5
        return multiply(beside_matrix(by_log), transpose(_inverse(a)))

    def tangent(self, node, da):
        (a,) = node.inputs
        change = trace_of_product(transpose(_inverse(a)), da)
        sign = handle(node.node)[0]
        if a.dtype.kind != "c":
            return make_tuple(sign * 0, change)
        imaginary = (change - conj(change)) * 0.5
        return make_tuple(multiply(sign, imaginary), (change - imaginary).astype(node.node.data[1].dtype))


def _inverse(a):
    try:
        return inverse(a)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(
            f"the logarithm of the determinant of a singular matrix is -inf and has no derivative ({error})"
        ) from None
