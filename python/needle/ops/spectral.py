"""Eigenvalues and eigenvectors.  Loaded with `needle.numpy`.

With A = V·diag(w)·V⁻¹ and P = V⁻¹·dA·V: dw = diag P, and dV = V·(F∘P) with Fᵢⱼ = 1/(wⱼ - wᵢ), up to the length and
phase of each vector (Giles 2008, 3.1; Magnus 1985, Econometric Theory 1:179; Boeddeker et al. 2017, arXiv:1701.00392,
for complex ones).  LAPACK's choice of phase is put in by `numpy/linalg.py`, as a function of the vectors.
"""

import numpy as np

from ..graph import Node, Tensor, TensorTupleOp, handle
from .arithmetic import multiply
from .contraction import matmul
from .kinds import Cast, zeros_like
from .linalg import OfMatrices, adjoint, conj, diagonal_entries, diagonal_matrix, solve
from .movement import transpose
from .spectral_gaps import InverseGaps, SettledBasis, Shared, UnsettledBasis
from .tuples import make_tuple

__all__ = ["Eig", "Eigh", "Eigvalsh", "is_absent", "real_part"]


def is_absent(grad: Tensor) -> bool:
    """Whether the adjoint of an item of a tuple is the zero that stands for "nothing depends on it".

    It is a single zero, repeated; transforms wrap it like any value.
    """
    return _is_absent(grad.node)


def _is_absent(node: Node) -> bool:
    if node.requires_grad:
        return False
    if node.level == 0:
        array = node.data
        return array.size == 0 or (not any(array.strides) and array.flat[0] == 0)
    if hasattr(node, "payload"):
        return _is_absent(node.payload)
    return hasattr(node, "tangent") and _is_absent(node.primal) and _is_zero(node.tangent)


def _is_zero(node: Node | None) -> bool:
    if node is None or node.level == 0:
        return node is None or not np.any(node.data)
    if hasattr(node, "payload"):
        return _is_zero(node.payload)
    return hasattr(node, "tangent") and _is_zero(node.primal) and _is_zero(node.tangent)


def real_part(a: Tensor) -> Tensor:
    """The real part; what is real stays as it is, without a node."""
    return Cast(np.finfo(a.dtype).dtype)(a) if a.dtype.kind == "c" else a


class Eigvalsh(OfMatrices):
    """The eigenvalues of Hermitian matrices, ascending"""

    __slots__ = ("triangle",)

    def __init__(self, triangle: str = "L"):
        self.triangle = triangle

    def compute(self, a):
        return np.linalg.eigvalsh(a, self.triangle)

    def gradient(self, out_grad, node):
        w, v = Eigh(self.triangle)(node.inputs[0])
        return matmul(multiply(conj(v), _row(Shared()(out_grad, w))), transpose(v))

    def tangent(self, node, da):
        w, v = Eigh(self.triangle)(node.inputs[0])
        return Shared()(real_part(diagonal_entries(matmul(matmul(adjoint(v), da), v))), w)


class Eigh(TensorTupleOp):
    """The eigenvalues (ascending) and eigenvectors (columns, orthonormal) of Hermitian matrices"""

    __slots__ = ("triangle",)

    def __init__(self, triangle: str = "L"):
        self.triangle = triangle

    batch = OfMatrices.batch

    def compute(self, a):
        return tuple(np.linalg.eigh(a, self.triangle))

    def gradient(self, out_grad, node):
        by_w, by_v = out_grad
        w, v = handle(node.node)
        has_values = not is_absent(by_w)
        if is_absent(by_v):
            return matmul(multiply(conj(v), _row(Shared()(by_w, w))), transpose(v))
        inner = multiply(InverseGaps()(w), SettledBasis(has_values)(matmul(transpose(v), by_v), w))
        if has_values:
            inner = inner + diagonal_matrix(Shared()(by_w, w))
        return matmul(matmul(conj(v), inner), transpose(v))

    def tangent(self, node, da):
        w, v = handle(node.node)
        p = matmul(matmul(adjoint(v), da), v)
        dw = Shared()(real_part(diagonal_entries(p)), w)
        return make_tuple(dw, matmul(v, multiply(InverseGaps()(w), UnsettledBasis()(p, w))))


def _row(w):
    """One number a column of a matrix, so that it broadcasts with the matrix."""
    return w.reshape((*w.shape[:-1], 1, w.shape[-1]))


class Eig(TensorTupleOp):
    """The eigenvalues and eigenvectors (columns) of square matrices, complex where need be"""

    __slots__ = ()

    batch = OfMatrices.batch

    def compute(self, a):
        return tuple(np.linalg.eig(a))

    def gradient(self, out_grad, node):
        by_w, by_v = out_grad
        w, v = handle(node.node)
        inner = None
        if not is_absent(by_w):
            inner = diagonal_matrix(Shared()(by_w, w))
        if not is_absent(by_v):
            m = SettledBasis(inner is not None)(matmul(transpose(v), by_v), w)
            turned = multiply(InverseGaps()(w), m)
            inner = turned if inner is None else inner + turned
        if inner is None:
            return zeros_like(node.inputs[0])
        return solve(transpose(v), matmul(inner, transpose(v)))

    def tangent(self, node, da):
        w, v = handle(node.node)
        p = solve(v, matmul(Cast(v.dtype)(da) if da.dtype != v.dtype else da, v))
        return make_tuple(
            Shared()(diagonal_entries(p), w), matmul(v, multiply(InverseGaps()(w), UnsettledBasis()(p, w)))
        )
