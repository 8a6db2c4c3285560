"""Inverses, linear equations, powers and determinants."""

import numpy as np

from ... import ops
from ...graph import Tensor, ValueUnknown, leaf
from ...ops.determinants import Determinant, LogDeterminant
from ...ops.linalg import PseudoInverse, conj, hermitian_from, inverse
from ...ops.linalg import solve as solve_matrices
from ...ops.orthogonal import Svdvals
from ...ops.reductions import summation
from ...ops.spectral import real_part
from ..dispatch import as_tensor, implements, plain
from ..ufuncs import inexact

SlogdetResult = type(np.linalg.slogdet(np.eye(1)))


def matrices(a, square: bool = False) -> Tensor:
    """An argument as a Tensor of matrices, in floating point; NumPy's errors for what is none."""
    a = inexact(as_tensor(a))
    if a.ndim < 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return a


@implements(np.linalg.solve)
def solve(a, b):
    """The x with a @ x = b; a 1-d b is a vector, as in NumPy ≥ 2."""
    a, b = matrices(a, square=True), inexact(as_tensor(b))
    if b.ndim != 1:
        return solve_matrices(a, b)
    return solve_matrices(a, ops.reshape(b, (-1, 1)))[..., 0]


@implements(np.linalg.inv)
def inv(a):
    """The inverse."""
    return inverse(matrices(a, square=True))


@implements(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, *, rtol=getattr(np, "_NoValue", None)):
    """The Moore-Penrose inverse; a derivative where the rank drops is an error."""
    a = matrices(a)
    if rcond is None:
        rcond = 1e-15 if rtol is getattr(np, "_NoValue", None) else rtol
    if rcond is None:
        rcond = max(a.shape[-2:]) * np.finfo(a.dtype).eps
    rcond = plain(rcond) if isinstance(rcond, Tensor) else rcond
    return PseudoInverse(rcond)(hermitian_from(a) if hermitian else a)


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """(x, residuals, rank, singular values) of the least-squares problem a @ x ≈ b.

    A derivative of x where the rank of a drops is an error.
    """
    a, b = inexact(as_tensor(a)), inexact(as_tensor(b))
    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    rows, columns = a.shape
    if rcond is None:
        rcond = np.finfo(a.dtype).eps * max(rows, columns)
    x = ops.matmul(PseudoInverse(rcond)(a), b)
    s = Svdvals()(a)
    try:
        rank = np.int32(np.sum(s.node.data > rcond * s.node.data[:1]))
    except ValueUnknown:  # inside vmap, where a rank that drops is an error when a derivative is asked for
        rank = np.int32(min(rows, columns))
    if rank == columns and rows > columns:
        misfit = b - ops.matmul(a, x)
        residuals = summation(real_part(ops.multiply(misfit, conj(misfit))), 0)
        if b.ndim == 1:
            residuals = ops.reshape(residuals, (1,))
    else:
        residuals = leaf(np.zeros(0, np.finfo(x.dtype).dtype))
    return x, residuals, rank, s


@implements(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    """The inverse of a as a linear map from its axes behind `ind` to those before."""
    a = as_tensor(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    before, behind = a.shape[:ind], a.shape[ind:]
    size = int(np.prod(behind))
    return ops.reshape(inv(ops.reshape(a, (-1, size))), (*behind, *before))


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """The x with tensordot(a, x, x.ndim) = b."""
    a, b = as_tensor(a), as_tensor(b)
    if axes is not None:
        moved = [axis % a.ndim for axis in np.atleast_1d(axes)]
        a = ops.permute(a, [axis for axis in range(a.ndim) if axis not in moved] + moved)
    shape = a.shape[b.ndim - a.ndim :] if a.ndim != b.ndim else ()
    size = int(np.prod(shape))
    if a.size != size**2:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return ops.reshape(solve(ops.reshape(a, (size, size)), ops.reshape(b, (-1,))), shape)


@implements(np.linalg.matrix_power)
def matrix_power(a, n):
    """a times itself n times, by repeated squaring; of the inverse for negative n."""
    a = as_tensor(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        matrices(a, square=True)
    if not hasattr(n, "__index__"):
        raise TypeError("exponent must be an integer")
    n = n.__index__()
    if n == 0:
        return leaf(np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy())
    square, result = (inv(a), None) if n < 0 else (a, None)
    n = abs(n)
    while n:
        n, odd = divmod(n, 2)
        if odd:
            result = square if result is None else ops.matmul(result, square)
        if n:
            square = ops.matmul(square, square)
    return result


# --------------------------------------------------------------------------------------------------------------------
# Determinants


@implements(np.linalg.det)
def det(a):
    """The determinant."""
    return Determinant()(matrices(a, square=True))


@implements(np.linalg.slogdet)
def slogdet(a):
    """(sign, ln |det a|)."""
    return SlogdetResult(*LogDeterminant()(matrices(a, square=True)))


@implements(np.linalg.matrix_rank)
def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
    """The rank: a constant."""
    return leaf(np.asarray(np.linalg.matrix_rank(plain(A), plain(tol), hermitian, rtol=plain(rtol))))
