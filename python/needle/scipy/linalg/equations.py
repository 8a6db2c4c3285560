"""Linear equations, inverses and determinants; Sylvester's and Lyapunov's equation."""

import numpy as np
import scipy.linalg as sp

from ... import ops
from ...graph import Tensor
from ...numpy.diagonals import tril, triu
from ...numpy.dispatch import as_tensor
from ...ops.contraction import matmul
from ...ops.determinants import Determinant
from ...ops.kinds import Broadcasting, SumTo
from ...ops.linalg import Cholesky, OfMatrices, adjoint, diagonal_entries, diagonal_matrix, hermitian_from, inverse
from ...ops.linalg import solve as solve_matrices
from ..plainly import plainly
from .arguments import finite, of_one_dtype, on_columns, over_batch, square
from .triangular import SolveTriangular, solve_by_factor

# --------------------------------------------------------------------------------------------------------------------
# A·X = B

_STRUCTURES = {"general": "gen", "symmetric": "sym", "hermitian": "her", "positive definite": "pos"}


@plainly(sp.solve)
def solve(
    a,
    b,
    lower=False,
    overwrite_a=False,
    overwrite_b=False,
    check_finite=True,
    assume_a=None,
    transposed=False,
) -> Tensor:
    """The x with a @ x = b; a 1-d b is a vector.

    Args:
        assume_a: what a is known to be, in SciPy's words.  What such a solver does not look at (the other triangle of
            a "sym", "her" or "pos" matrix, what is off the diagonal of a "diagonal" one) has the derivative 0.
        lower: which triangle of a "sym", "her" or "pos" matrix is read.
        transposed: solve aᵀ @ x = b; for real matrices.

    Raises:
        numpy.linalg.LinAlgError: a is singular, or "pos" and not positive definite.
    """
    a, b = as_tensor(a), as_tensor(b)
    a, b = ops.reshape(a, (1, 1)) if a.ndim == 0 else a, ops.reshape(b, (1,)) if b.ndim == 0 else b
    a, b = of_one_dtype(square(a, "solve", check_finite), finite(b, check_finite))
    if transposed and a.dtype.kind == "c":
        raise NotImplementedError("solve with transposed=True is for real matrices; give a.mT instead")
    if a.size == 1 and b.shape[-2 if b.ndim > 1 else 0] != 1:
        return b / ops.reshape(a, ())
    structure = _STRUCTURES.get(assume_a, assume_a)
    if structure == "pos":
        factor = Cholesky()(hermitian_from(a, bool(lower)))
        return on_columns(lambda c, b: solve_by_factor(c, b, True), factor, b, "solve")
    if structure in ("upper triangular", "lower triangular"):
        is_lower = (structure == "lower triangular") != bool(transposed)
        solver = SolveTriangular(is_lower)
    else:
        solver = solve_matrices
        a = _as_assumed(a, structure, bool(lower))
    return on_columns(solver, ops.transpose(a) if transposed else a, b, "solve")


def _as_assumed(a: Tensor, structure: str | None, lower: bool) -> Tensor:
    """The matrix that a solver for `structure` sees in a."""
    if structure in (None, "gen", "banded"):
        return a
    if structure in ("her", "pos") or (structure == "sym" and a.dtype.kind != "c"):
        return hermitian_from(a, lower)
    if structure == "sym":
        strict = tril(a, -1) if lower else triu(a, 1)
        return strict + ops.transpose(strict) + diagonal_matrix(diagonal_entries(a))
    if structure == "diagonal":
        return diagonal_matrix(diagonal_entries(a))
    if structure == "tridiagonal":
        return triu(tril(a, 1), -1)
    if structure in ("upper triangular", "lower triangular"):
        return tril(a) if structure == "lower triangular" else triu(a)
    raise ValueError(f"{structure} is not a recognized matrix structure")


@plainly(sp.inv)
def inv(a, overwrite_a=False, check_finite=True, *, assume_a=None, lower=False) -> Tensor:
    """The inverse; `assume_a` and `lower` as in `solve`."""
    a = square(a, "inv", check_finite)
    return inverse(_as_assumed(a, _STRUCTURES.get(assume_a, assume_a), bool(lower)))


@plainly(sp.det)
def det(a, overwrite_a=False, check_finite=True) -> Tensor:
    """The determinant, with derivatives also where it is 0."""
    return Determinant()(square(a, "det", check_finite))


# --------------------------------------------------------------------------------------------------------------------
# A·X + X·B = Q


class SolveSylvester(OfMatrices):
    """The X with A·X + X·B = Q, leading axes broadcast.  dX solves A·dX + dX·B = dQ - dA·X - X·dB; the adjoint W of Q
    solves Aᵀ·W + W·Bᵀ = G (Bartels & Stewart 1972 for the solution; Kao & Hennequin 2020, arXiv:2011.11430, section 3)
    """

    __slots__ = ()

    def compute(self, a, b, q):
        return over_batch(_sylvester, a, b, q)

    def gradient(self, out_grad, node):
        a, b, _ = node.inputs
        by_q = self(ops.transpose(a), ops.transpose(b), out_grad)
        turned = ops.transpose(node)
        return (
            -matmul(by_q, turned) if node.needs(0) else None,
            -matmul(turned, by_q) if node.needs(1) else None,
            by_q,
        )

    def tangent(self, node, da, db, dq):
        terms = [dq, None if da is None else -matmul(da, node), None if db is None else -matmul(node, db)]
        terms = [term for term in terms if term is not None]
        return self(*node.inputs[:2], sum(terms[1:], terms[0]))

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    batch = Broadcasting.batch


def _sylvester(a, b, q):
    dtype = np.result_type(a, b, q)
    if not q.size:
        return np.zeros(q.shape, dtype)
    x = sp.solve_sylvester(*[part.astype(dtype, copy=False) for part in (a, b, q)])
    # Where A and -B share an eigenvalue LAPACK perturbs them and says so, but SciPy does not hand that on.
    misfit = np.linalg.norm(a @ x + x @ b - q)
    if not misfit <= 1e-3 * np.linalg.norm(q):
        raise np.linalg.LinAlgError(
            "A·X + X·B = Q has no unique solution (and a square root of such matrices no derivative): "
            "A and -B have an eigenvalue in common, or nearly"
        )
    return x.astype(dtype, copy=False)


@plainly(sp.solve_sylvester)
def solve_sylvester(a, b, q) -> Tensor:
    """The x with a @ x + x @ b = q.

    Raises:
        numpy.linalg.LinAlgError: a and -b have an eigenvalue in common, so that there is no unique solution.
    """
    a, b = square(a, "solve_sylvester"), square(b, "solve_sylvester")
    a, b, q = of_one_dtype(a, b, finite(q, False))
    if q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ValueError(f"q of solve_sylvester must have shape {(a.shape[-1], b.shape[-1])}, got {q.shape}")
    return SolveSylvester()(a, b, q)


@plainly(sp.solve_continuous_lyapunov)
def solve_continuous_lyapunov(a, q) -> Tensor:
    """The x with a @ x + x @ aᴴ = q."""
    a = square(a, "solve_continuous_lyapunov", True)
    return solve_sylvester(a, adjoint(a), square(q, "solve_continuous_lyapunov", True))


solve_lyapunov = solve_continuous_lyapunov
