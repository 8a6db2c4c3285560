"""Matrices: triangles, diagonals, inverses, linear equations, Cholesky factors, pseudoinverses.

Ops of matrices work on the last two axes; leading axes are a batch.  Rules are plain transposes under the pairing
Re(Σ g·t), so `transpose` appears where textbooks on complex matrices write a conjugate transpose; a function of
Hermitian matrices is differentiated along Hermitian directions.  This file is loaded with `needle.numpy`.

Giles 2008: "Collected matrix derivative results for forward and reverse mode algorithmic differentiation".
"""

import numpy as np

from ..graph import Tensor, TensorOp
from .arithmetic import conjugate, mul_scalar, negate
from .contraction import matmul
from .kinds import Broadcasting, Linear, Movement, SumTo, all_batched
from .movement import transpose

__all__ = [
    "Cholesky", "DiagonalEntries", "DiagonalMatrix", "FoldTriangle", "FullRank", "HermitianFrom", "Inverse",
    "LowerHalf", "OfMatrices", "PseudoInverse", "Solve", "adjoint", "conj", "diagonal_entries", "diagonal_matrix",
    "hermitian_from", "inverse", "lower_half", "solve",
]  # fmt: skip


def conj(a: Tensor) -> Tensor:
    """The complex conjugate; what is real stays as it is, without a node."""
    return conjugate(a) if a.dtype.kind == "c" else a


def adjoint(a: Tensor) -> Tensor:
    """The conjugate transpose of matrices."""
    return conj(transpose(a))


class OfMatrices(TensorOp):
    """An op of matrices: a batch is one more leading axis."""

    __slots__ = ()

    def batch(self, size, inputs, batched):
        return self(*(inputs if all(batched) else all_batched(size, inputs, batched)))


# --------------------------------------------------------------------------------------------------------------------
# Diagonals and triangles


class DiagonalEntries(OfMatrices, Movement):
    """The diagonals of square matrices, as vectors"""

    __slots__ = ()

    def compute(self, a):
        return np.diagonal(a, axis1=-2, axis2=-1)

    def gradient(self, out_grad, node):
        return diagonal_matrix(out_grad)


class DiagonalMatrix(OfMatrices, Movement):
    """Square matrices with given diagonals, zero elsewhere: the transpose of `DiagonalEntries`"""

    __slots__ = ()

    def compute(self, a):
        n = a.shape[-1]
        out = np.zeros((*a.shape, n), a.dtype)
        i = np.arange(n)
        out[..., i, i] = a
        return out

    def gradient(self, out_grad, node):
        return diagonal_entries(out_grad)


class HermitianFrom(OfMatrices, Linear):
    """The Hermitian matrix that has the lower (or upper) triangle of a; of the diagonal only the real part counts.

    LAPACK reads no more than that of the matrices given to it as Hermitian.
    """

    __slots__ = ("lower",)

    def __init__(self, lower: bool = True):
        self.lower = lower

    def compute(self, a):
        strict = np.tril(a, -1) if self.lower else np.triu(a, 1)
        out = strict + np.swapaxes(strict.conj(), -1, -2)
        i = np.arange(a.shape[-1])
        out[..., i, i] = a[..., i, i].real
        return out

    def gradient(self, out_grad, node):
        return FoldTriangle(self.lower)(out_grad)


class FoldTriangle(OfMatrices, Linear):
    """One triangle of a, with the conjugate of the other added to it: the transpose of `HermitianFrom`"""

    __slots__ = ("lower",)

    def __init__(self, lower: bool = True):
        self.lower = lower

    def compute(self, a):
        both = a + np.swapaxes(a.conj(), -1, -2)
        out = np.tril(both, -1) if self.lower else np.triu(both, 1)
        i = np.arange(a.shape[-1])
        out[..., i, i] = a[..., i, i].real
        return out

    def gradient(self, out_grad, node):
        return HermitianFrom(self.lower)(out_grad)


class LowerHalf(OfMatrices, Linear):
    """The lower triangle with half the diagonal: M = Φ(M) + Φ(Mᴴ)ᴴ.  It is its own transpose"""

    __slots__ = ()

    def compute(self, a):
        out = np.tril(a)
        i = np.arange(a.shape[-1])
        out[..., i, i] /= 2
        return out

    def gradient(self, out_grad, node):
        return self(out_grad)


# --------------------------------------------------------------------------------------------------------------------
# Inverses and linear equations


class Inverse(OfMatrices):
    """A⁻¹.  dA⁻¹ = -A⁻¹·dA·A⁻¹ (Giles 2008, 2.2.3)"""

    __slots__ = ()

    def compute(self, a):
        return np.linalg.inv(a)

    def gradient(self, out_grad, node):
        turned = transpose(node)
        return negate(matmul(matmul(turned, out_grad), turned))

    def tangent(self, node, da):
        return negate(matmul(matmul(node, da), node))


class Solve(OfMatrices):
    """The X with A·X = B, leading axes broadcast.  dX = A⁻¹·(dB - dA·X) (Giles 2008, 2.3.1)"""

    __slots__ = ()

    def compute(self, a, b):
        return np.linalg.solve(a, b)

    def gradient(self, out_grad, node):
        by_b = solve(transpose(node.inputs[0]), out_grad)
        return negate(matmul(by_b, transpose(node))) if node.needs(0) else None, by_b

    def tangent(self, node, da, db):
        change = None if da is None else negate(matmul(da, node))
        if db is not None:
            change = db if change is None else change + db
        return solve(node.inputs[0], change)

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    batch = Broadcasting.batch


class Cholesky(OfMatrices):
    """The lower triangular L with L·Lᴴ = A for a Hermitian, positive definite A, both of whose triangles count.

    dL = L·Φ(L⁻¹·dA·L⁻ᴴ) with Φ as in `LowerHalf` (Giles 2008, 2.7; Murray 2016, arXiv:1602.07527, section 3).
    """

    __slots__ = ()

    def compute(self, a):
        return np.linalg.cholesky(a)

    def gradient(self, out_grad, node):
        turned = transpose(node)
        inner = lower_half(matmul(turned, out_grad))
        left = solve(turned, inner)  # L⁻ᵀ·Φ(Lᵀ·g)
        return transpose(solve(adjoint(node), transpose(left)))  # …·(conj L)⁻¹

    def tangent(self, node, da):
        left = solve(node, da)
        return matmul(node, lower_half(adjoint(solve(node, adjoint(left)))))


class FullRank(OfMatrices, Linear):
    """The matrices as they are, if none is short of full rank: then the derivative of its pseudoinverse is infinite.

    A singular value counts as 0 where it is at most `rcond` times the largest.
    """

    __slots__ = ("rcond",)

    checks = True

    def __init__(self, rcond):
        self.rcond = rcond

    def compute(self, a):
        s = np.linalg.svd(a, compute_uv=False)
        if s.size and np.any(s[..., -1] <= self.rcond * s[..., 0]):
            raise np.linalg.LinAlgError(
                f"the rank of a matrix of shape {a.shape[-2:]} drops below {min(a.shape[-2:])}: there its inverse, "
                "and a least-squares solution, jumps and has no derivative; regularise, or give a smaller rcond"
            )
        return a

    def gradient(self, out_grad, node):
        return out_grad

    def tangent(self, node, tangent):
        return tangent  # whose rank is not asked for


class PseudoInverse(OfMatrices):
    """A⁺ (Moore-Penrose), differentiable at full rank.

    dX = -X·dA·X + X·Xᴴ·dAᴴ·(1 - A·X) + (1 - X·A)·dAᴴ·Xᴴ·X (Golub & Pereyra 1973, SIAM J. Numer. Anal. 10:413, 4.12).
    At full rank one of the two projections is 0.
    """

    __slots__ = ("rcond",)

    def __init__(self, rcond):
        self.rcond = rcond

    def compute(self, a):
        return np.linalg.pinv(a, self.rcond)

    def gradient(self, out_grad, node):
        a, x = FullRank(self.rcond)(node.inputs[0]), node
        g, turned = transpose(out_grad), transpose(node)
        total = negate(matmul(matmul(turned, out_grad), turned))
        m, n = a.shape[-2:]
        if m > n:
            right = matmul(matmul(g, x), adjoint(x))
            total = total + conj(right - matmul(a, matmul(x, right)))
        elif m < n:
            left = matmul(matmul(adjoint(x), x), g)
            total = total + conj(left - matmul(matmul(left, x), a))
        return total

    def tangent(self, node, da):
        a, x = FullRank(self.rcond)(node.inputs[0]), node
        total = negate(matmul(matmul(x, da), x))
        turned = adjoint(da)
        m, n = a.shape[-2:]
        if m > n:
            left = matmul(matmul(x, adjoint(x)), turned)
            total = total + left - matmul(matmul(left, a), x)
        elif m < n:
            right = matmul(turned, matmul(adjoint(x), x))
            total = total + right - matmul(x, matmul(a, right))
        return total


# --------------------------------------------------------------------------------------------------------------------
# Functions


def diagonal_entries(a: Tensor) -> Tensor:
    """The diagonals of square matrices."""
    return DiagonalEntries()(a)


def diagonal_matrix(a: Tensor) -> Tensor:
    """Square matrices with the diagonals `a`."""
    return DiagonalMatrix()(a)


def hermitian_from(a: Tensor, lower: bool = True) -> Tensor:
    """The Hermitian matrix of which `a` gives one triangle."""
    return HermitianFrom(lower)(a)


def lower_half(a: Tensor) -> Tensor:
    """The lower triangle of a, with half the diagonal."""
    return LowerHalf()(a)


def inverse(a: Tensor) -> Tensor:
    """A⁻¹."""
    return Inverse()(a)


def solve(a: Tensor, b: Tensor) -> Tensor:
    """The X with A·X = B, for matrices B."""
    return Solve()(a, b)


def hermitian_part(a: Tensor) -> Tensor:
    """(A + Aᴴ) / 2."""
    return mul_scalar(a + adjoint(a), 0.5)


def antihermitian_part(a: Tensor) -> Tensor:
    """(A - Aᴴ) / 2."""
    return mul_scalar(a - adjoint(a), 0.5)
