"""Singular values and vectors, and QR.  Loaded with `needle.numpy`.

Sources: Seeger et al. 2017, "Auto-differentiating linear algebra" (arXiv:1710.08717); Walter & Lehmann 2010,
"Algorithmic differentiation of linear algebra functions with application in optimum experimental design"
(arXiv:1001.1654), for QR; Townsend 2016, "Differentiating the singular value decomposition", for rectangular matrices.
"""

import numpy as np

from ..graph import TensorTupleOp, handle, leaf
from .arithmetic import multiply
from .contraction import matmul
from .kinds import zeros_like
from .linalg import (
    OfMatrices,
    adjoint,
    antihermitian_part,
    conj,
    diagonal_entries,
    diagonal_matrix,
    hermitian_part,
    lower_half,
    solve,
)
from .movement import concatenate, transpose
from .spectral import _row, is_absent, real_part
from .spectral_gaps import InverseGaps, InverseSums, Regular, SettledBasis, Shared, UnsettledBasis
from .tuples import make_tuple

__all__ = ["QR", "SVD", "Svdvals"]


def _without_complement(by_whole, whole, k: int):
    """The adjoint of the first k columns of an orthonormal basis, when the others are the rest of the space.

    They turn with the first: dU₂ = -U₁·(dU₁ᴴ·U₂).  How they turn among themselves is arbitrary.
    """
    first, rest = whole[..., :k], whole[..., k:]
    if is_absent(by_whole) or rest.shape[-1] == 0:
        return by_whole if is_absent(by_whole) else by_whole[..., :k], first
    by_first, by_rest = by_whole[..., :k], by_whole[..., k:]
    nothing = leaf(np.zeros((*rest.shape[:-2], rest.shape[-1]), np.finfo(rest.dtype).dtype))
    SettledBasis(what="vectors")(matmul(transpose(rest), by_rest), nothing)
    return by_first - matmul(conj(rest), adjoint(matmul(transpose(first), by_rest))), first


def _with_complement(first, d_first, whole, k: int):
    """The tangent of a basis, of which d_first is that of the first k columns."""
    rest = whole[..., k:]
    if rest.shape[-1] == 0:
        return d_first
    return concatenate([d_first, -matmul(first, matmul(adjoint(d_first), rest))], axis=first.ndim - 1)


class Svdvals(OfMatrices):
    """The singular values, descending.  dS = Re diag(Uᴴ·dA·V)"""

    __slots__ = ()

    def compute(self, a):
        return np.linalg.svd(a, compute_uv=False)

    def gradient(self, out_grad, node):
        u, s, vh = SVD()(node.inputs[0])
        return matmul(multiply(conj(u), _row(Shared("singular values")(out_grad, s))), conj(vh))

    def tangent(self, node, da):
        u, s, vh = SVD()(node.inputs[0])
        p = diagonal_entries(matmul(matmul(adjoint(u), da), adjoint(vh)))
        return Shared("singular values")(real_part(p), s)


class SVD(TensorTupleOp):
    """(U, s, Vᴴ) with A = U·diag(s)·Vᴴ; with `full`, square U and V.

    With P = Uᴴ·dA·V = H + K (Hermitian and anti-Hermitian parts): ds = Re diag P,
    dU = U·(H/(sⱼ - sᵢ) + K/(sⱼ + sᵢ)) and dV = V·(H/(sⱼ - sᵢ) - K/(sⱼ + sᵢ)),
    with what dA takes out of the spaces of U and V, divided by s, added.
    """

    __slots__ = ("full",)

    def __init__(self, full: bool = False):
        self.full = full

    batch = OfMatrices.batch

    def compute(self, a):
        return tuple(np.linalg.svd(a, self.full))

    def gradient(self, out_grad, node):
        by_u, by_s, by_vh = out_grad
        u, s, vh = handle(node.node)
        m, n = node.inputs[0].shape[-2:]
        k = min(m, n)
        by_u, u = _without_complement(by_u, u, k)
        v = adjoint(vh)
        by_v, v = _without_complement(by_vh if is_absent(by_vh) else adjoint(by_vh), v, k)
        values = not is_absent(by_s)
        inner = diagonal_matrix(Shared("singular values")(by_s, s)) if values else None
        outside = None
        if not (is_absent(by_u) and is_absent(by_v)):
            of_u = None if is_absent(by_u) else matmul(transpose(u), by_u)
            of_v = None if is_absent(by_v) else matmul(transpose(v), by_v)
            both = of_v if of_u is None else of_u if of_v is None else of_u + of_v
            apart = -of_v if of_u is None else of_u if of_v is None else of_u - of_v
            both = SettledBasis(values, "singular vectors")(both, s)
            apart = Regular(pairs=True)(apart, s)
            turned = hermitian_part(multiply(InverseGaps()(s), both))
            turned = turned + antihermitian_part(multiply(InverseSums()(s), apart))
            inner = turned if inner is None else inner + turned
            if of_u is not None and m > k:
                moved = _over(Regular()(by_u - matmul(conj(u), of_u), s), s)
                outside = matmul(moved, transpose(v))
            if of_v is not None and n > k:
                moved = matmul(conj(u), adjoint(_over(Regular()(by_v - matmul(conj(v), of_v), s), s)))
                outside = moved if outside is None else outside + moved
        if inner is None:
            return zeros_like(node.inputs[0])
        whole = matmul(matmul(conj(u), inner), transpose(v))
        return whole if outside is None else whole + outside

    def tangent(self, node, da):
        all_u, s, all_vh = handle(node.node)
        m, n = da.shape[-2:]
        k = min(m, n)
        u, all_v = all_u[..., :k], adjoint(all_vh)
        v = all_v[..., :k]
        right = matmul(da, v)
        p = matmul(adjoint(u), right)
        even = multiply(InverseGaps()(s), hermitian_part(UnsettledBasis()(p, s)))
        odd = multiply(InverseSums()(s), antihermitian_part(p))
        du, dv = matmul(u, even + odd), matmul(v, even - odd)
        if m > k:
            du = du + _over(right - matmul(u, p), s)
        if n > k:
            left = matmul(adjoint(da), u)
            dv = dv + _over(left - matmul(v, adjoint(p)), s)
        ds = Shared("singular values")(real_part(diagonal_entries(p)), s)
        return make_tuple(
            _with_complement(u, du, all_u, k) if self.full else du,
            ds,
            adjoint(_with_complement(v, dv, all_v, k) if self.full else dv),
        )


def _over(columns, s):
    """Each column divided by its singular value; where that is 0, by nothing: what `Regular` let pass is 0 there."""
    return multiply(columns, _row(diagonal_entries(InverseSums()(s)) * 2))


class QR(TensorTupleOp):
    """(Q, R) with A = Q·R, Q with orthonormal columns and R upper triangular, for matrices with no more columns than
    rows; with `complete`, a square Q.

    With M = Qᴴ·dA·R⁻¹ = Ω + T, Ω anti-Hermitian and T upper triangular with a real diagonal: dR = T·R and
    dQ = Q·Ω + (1 - Q·Qᴴ)·dA·R⁻¹ (Walter & Lehmann 2010, section 3.2).
    """

    __slots__ = ("complete",)

    def __init__(self, complete: bool = False):
        self.complete = complete

    batch = OfMatrices.batch

    def compute(self, a):
        return tuple(np.linalg.qr(a, "complete" if self.complete else "reduced"))

    def gradient(self, out_grad, node):
        by_q, by_r = out_grad
        q, r = handle(node.node)
        n = r.shape[-1]
        by_q, q = _without_complement(by_q, q, n)
        if self.complete and r.shape[-2] > n:
            r = r[..., :n, :]
            by_r = by_r if is_absent(by_r) else by_r[..., :n, :]
        of_q = None if is_absent(by_q) else matmul(transpose(q), by_q)
        of_r = None if is_absent(by_r) else matmul(by_r, transpose(r))
        if of_q is None and of_r is None:
            return zeros_like(node.inputs[0])
        apart = -of_r if of_q is None else of_q if of_r is None else of_q - of_r
        inner = lower_half(apart - adjoint(apart)) - apart  # M̄ - QᵀQ̄
        moved = matmul(conj(q), inner)
        return _divided(moved if of_q is None else moved + by_q, transpose(r))

    def tangent(self, node, da):
        whole, r = handle(node.node)
        n = r.shape[-1]
        q, upper = whole[..., :n], r[..., :n, :]
        right = _divided(da, upper)
        m = matmul(adjoint(q), right)
        lower = lower_half(m)
        turned = lower - adjoint(lower)
        dq = matmul(q, turned - m) + right
        dr = matmul(m - turned, upper)
        if self.complete and r.shape[-2] > n:
            dq = _with_complement(q, dq, whole, n)
            dr = concatenate([dr, zeros_like(r[..., n:, :])], axis=r.ndim - 2)
        return make_tuple(dq, dr)


def _divided(a, r):
    """A·R⁻¹."""
    try:
        return transpose(solve(transpose(r), transpose(a)))
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"qr of a matrix short of full rank has no derivative ({error})") from None
