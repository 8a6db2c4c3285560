"""Triangular equations and Cholesky factors."""

import numpy as np
import scipy.linalg as sp

from ... import ops
from ...graph import Tensor
from ...numpy.diagonals import tril, triu
from ...ops.contraction import matmul
from ...ops.kinds import Broadcasting, SumTo
from ...ops.linalg import Cholesky, OfMatrices, adjoint, hermitian_from
from ..plainly import plainly
from .arguments import finite, of_one_dtype, on_columns, over_batch, square


class SolveTriangular(OfMatrices):
    """The X with T·X = B, where T is one triangle of A, perhaps with ones for a diagonal; leading axes broadcast.

    dX = T⁻¹·(dB - dT·X), as for any matrix (Giles 2008, 2.3.1), with dT the same triangle of dA.
    """

    __slots__ = ("lower", "unit")

    def __init__(self, lower: bool, unit: bool = False):
        self.lower, self.unit = lower, unit

    def compute(self, a, b):
        return over_batch(self._solve, a, b)

    def _solve(self, a, b):
        if not b.size:
            return np.zeros(b.shape, np.result_type(a, b))
        return sp.solve_triangular(a, b, lower=self.lower, unit_diagonal=self.unit, check_finite=False)

    def gradient(self, out_grad, node):
        by_b = SolveTriangular(not self.lower, self.unit)(ops.transpose(node.inputs[0]), out_grad)
        by_a = self._triangle(-matmul(by_b, ops.transpose(node))) if node.needs(0) else None
        return by_a, by_b

    def tangent(self, node, da, db):
        change = None if da is None else -matmul(self._triangle(da), node)
        if db is not None:
            change = db if change is None else change + db
        return self(node.inputs[0], change)

    def _triangle(self, a):
        return tril(a, -int(self.unit)) if self.lower else triu(a, int(self.unit))

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    batch = Broadcasting.batch


@plainly(sp.solve_triangular)
def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True) -> Tensor:
    """The x with a @ x = b, of whose matrix a only one triangle counts: the upper one, or the lower.

    Args:
        trans: 1 or "T" solves aᵀ @ x = b, 2 or "C" aᴴ @ x = b.
        unit_diagonal: the diagonal of a is taken for ones, and not looked at.
    """
    a, b = of_one_dtype(square(a, "solve_triangular", check_finite), finite(b, check_finite))
    try:
        trans = {"N": 0, "T": 1, "C": 2}.get(trans, trans)
        turned = [lambda a: a, ops.transpose, adjoint][trans]
    except (TypeError, IndexError):
        raise ValueError(f"trans of solve_triangular must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}") from None
    solve = SolveTriangular(bool(lower) != bool(trans), bool(unit_diagonal))
    return on_columns(solve, turned(a), b, "solve_triangular")


@plainly(sp.cholesky)
def cholesky(a, lower=False, overwrite_a=False, check_finite=True) -> Tensor:
    """The upper triangular U with Uᴴ @ U = a, or with `lower` the L with L @ Lᴴ = a.

    One triangle of a is read, the upper or the lower; the derivative in the other is 0.

    Raises:
        numpy.linalg.LinAlgError: a is not positive definite.
    """
    factor = Cholesky()(hermitian_from(square(a, "cholesky", check_finite), bool(lower)))
    return factor if lower else adjoint(factor)


@plainly(sp.cho_factor)
def cho_factor(a, lower=False, overwrite_a=False, check_finite=True) -> tuple[Tensor, bool]:
    """(c, lower) for `cho_solve`: the factor of `cholesky` in one triangle of c, what a has there in the other."""
    a = square(a, "cho_factor", check_finite)
    rest = triu(a, 1) if lower else tril(a, -1)
    return cholesky(a, lower, check_finite=False) + rest, lower


@plainly(sp.cho_solve)
def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True) -> Tensor:
    """The x with a @ x = b, from the factor (c, lower) of a that `cho_factor` gives."""
    c, lower = c_and_lower
    c, b = of_one_dtype(square(c, "cho_solve", check_finite), finite(b, check_finite))
    return on_columns(lambda c, b: solve_by_factor(c, b, bool(lower)), c, b, "cho_solve")


def solve_by_factor(c: Tensor, b: Tensor, lower: bool) -> Tensor:
    """The X with L·Lᴴ·X = B, or Uᴴ·U·X = B, for matrices B."""
    inner = SolveTriangular(True)(c if lower else adjoint(c), b)
    return SolveTriangular(False)(adjoint(c) if lower else c, inner)
