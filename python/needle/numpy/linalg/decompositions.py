"""Factors of matrices, eigenvalues and singular values."""

import numpy as np

from ... import ops
from ...graph import Tensor
from ...ops.linalg import Cholesky, adjoint, conj, hermitian_from
from ...ops.orthogonal import QR, SVD, Svdvals
from ...ops.reductions import summation
from ...ops.spectral import Eig, Eigh, Eigvalsh, real_part
from ...ops.spectral_gaps import LargestEntry
from ..dispatch import implements
from .equations import matrices

EighResult = type(np.linalg.eigh(np.eye(1)))
EigResult = type(np.linalg.eig(np.eye(1)))
QRResult = type(np.linalg.qr(np.eye(1)))
SVDResult = type(np.linalg.svd(np.eye(1)))


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """The lower triangular L with L @ Lᴴ = a, or with `upper` its conjugate transpose.

    NumPy reads one triangle of a; the derivative in the other is 0.
    """
    factor = Cholesky()(hermitian_from(matrices(a, square=True), not upper))
    return adjoint(factor) if upper else factor


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    """(Q, R), or R alone for mode "r"."""
    a = matrices(a)
    if mode == "raw":
        raise ValueError('qr of a Tensor has no mode "raw"; use "reduced", "complete" or "r"')
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"Unrecognized mode '{mode}'")
    rows, columns = a.shape[-2:]
    if columns > rows:  # the first columns determine Q; the others only enter into R
        q, r = QR()(a[..., :rows])
        r = ops.concatenate([r, ops.matmul(adjoint(q), a[..., rows:])], axis=a.ndim - 1)
    else:
        q, r = QR(mode == "complete")(a)
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """(U, s, Vᴴ), or s alone."""
    a = matrices(a)
    if hermitian:
        a = hermitian_from(a)
    if not compute_uv:
        return Svdvals()(a)
    rows, columns = a.shape[-2:]
    u, s, vh = SVD(bool(full_matrices) and rows != columns)(a)
    if a.dtype.kind == "c":  # LAPACK makes the first row of V real, or of U where that is the smaller
        k = min(rows, columns)
        turn = _turn(u[..., :1, :k] if rows < columns else conj(ops.transpose(vh[..., :k, :1])))
        u, vh = _turned(u, turn, k), adjoint(_turned(adjoint(vh), turn, k))
    return SVDResult(u, s, vh)


@implements("linalg.svdvals")
def svdvals(x, /):
    """The singular values, descending."""
    return Svdvals()(matrices(x))


@implements(np.linalg.eigh)
def eigh(a, UPLO="L"):
    """(w, V) of Hermitian matrices, of which the triangle `UPLO` is read: the derivative in the other is 0."""
    triangle = _triangle(UPLO)
    w, v = Eigh(triangle)(hermitian_from(matrices(a, square=True), triangle == "L"))
    if v.dtype.kind == "c":  # LAPACK makes the first row real, or the last
        v = ops.multiply(v, _turn(v[..., :1, :] if triangle == "L" else v[..., -1:, :]))
    return EighResult(w, v)


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    """The eigenvalues of Hermitian matrices, of which the triangle `UPLO` is read, ascending."""
    triangle = _triangle(UPLO)
    return Eigvalsh(triangle)(hermitian_from(matrices(a, square=True), triangle == "L"))


def _triangle(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return UPLO.upper()


@implements(np.linalg.eig)
def eig(a):
    """(w, V) of square matrices; the vectors have length 1, and their largest entry is real."""
    w, v = Eig()(matrices(a, square=True))
    length = ops.sqrt(summation(real_part(ops.multiply(v, conj(v))), -2))
    v = ops.divide(v, ops.reshape(length, (*length.shape[:-1], 1, length.shape[-1])))
    if v.dtype.kind == "c":
        v = ops.multiply(v, _turn(ops.Summation((-2,), True)(ops.multiply(v, LargestEntry()(v)))))
    return EigResult(w, v)


@implements(np.linalg.eigvals)
def eigvals(a):
    """The eigenvalues of square matrices."""
    return Eig()(matrices(a, square=True))[0]


def _turn(entries: Tensor) -> Tensor:
    """What to multiply vectors by so that these entries of theirs stay real: 1, which knows how it changes."""
    size = ops.sqrt(real_part(ops.multiply(entries, conj(entries))))
    zero = ops.equal(size, 0)
    side = ops.sign(real_part(entries))
    return ops.where(zero, 1, ops.multiply(ops.divide(conj(entries), ops.where(zero, 1, size)), side))


def _turned(vectors: Tensor, turn: Tensor, k: int) -> Tensor:
    """The first k columns, each times its number; the others as they are."""
    if vectors.shape[-1] == k:
        return ops.multiply(vectors, turn)
    first = ops.multiply(vectors[..., :k], turn)
    return ops.concatenate([first, vectors[..., k:]], axis=vectors.ndim - 1)
