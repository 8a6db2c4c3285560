"""Functions of matrices: exponential, logarithm, square root.

The derivative of f at A in the direction E, the Fréchet derivative L(A, E), is a block of f at a larger matrix:

    f([A E]) = [f(A) L(A, E)]
     ([0 A])   [ 0     f(A) ]

(Mathias 1996, SIAM J. Matrix Anal. Appl. 17:610; Higham 2008, "Functions of Matrices", theorem 3.6).  The transpose of
E ↦ L(A, E) is G ↦ L(Aᵀ, G), and the derivative of L in A is again a block of an L, so these two ops are closed under
differentiation: every order is there.
"""

import numpy as np
import scipy.linalg as sp

from ... import ops
from ...graph import Tensor
from ...ops.kinds import Cast
from ...ops.linalg import OfMatrices
from ..plainly import plainly
from .arguments import over_batch, square
from .equations import SolveSylvester


class MatrixFunction(OfMatrices):
    """exp or log of square matrices, in the sense of power series"""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def compute(self, a):
        return over_batch(_VALUES[self.name], a)

    def gradient(self, out_grad, node):
        return FrechetDerivative(self.name)(ops.transpose(node.inputs[0]), out_grad)

    def tangent(self, node, da):
        return _in_dtype(FrechetDerivative(self.name)(node.inputs[0], da), node.dtype)


class FrechetDerivative(OfMatrices):
    """L(A, E), the derivative of a function of matrices at A in the direction E; linear in E.

    In A its derivative in the direction D is the corner block of L([A E; 0 A], [D 0; 0 D]).  After `depth` such steps
    the A of this op has 2^depth times the same block on its diagonal.
    """

    __slots__ = ("name", "depth")

    def __init__(self, name: str, depth: int = 0):
        self.name, self.depth = name, depth

    def compute(self, a, e):
        slope = _SLOPES[self.name]
        return over_batch(lambda a, e: slope(a, e, len(a) >> self.depth), a, e)

    def gradient(self, out_grad, node):
        a, e = node.inputs
        by_a = None
        if node.needs(0):
            n = a.shape[-1]
            zero = out_grad * 0
            both = self._deeper()(ops.transpose(_blocks(a, e, a)), _blocks(zero, out_grad, zero))
            by_a = both[..., :n, :n] + both[..., n:, n:]
        return by_a, self(ops.transpose(a), out_grad) if node.needs(1) else None

    def tangent(self, node, da, de):
        a, e = node.inputs
        total = None if de is None else self(a, de)
        if da is not None:
            n = a.shape[-1]
            along = self._deeper()(_blocks(a, e, a), _blocks(da, da * 0, da))[..., :n, n:]
            total = along if total is None else total + along
        return _in_dtype(total, node.dtype)

    def _deeper(self):
        return FrechetDerivative(self.name, self.depth + 1)


def _blocks(a, e, b):
    """[a e; 0 b]"""
    last = a.ndim - 1
    dtype = np.result_type(a.dtype, e.dtype, b.dtype)
    a, e, b = (_in_dtype(x, dtype) for x in (a, e, b))
    return ops.concatenate([ops.concatenate([a, e], last), ops.concatenate([a * 0, b], last)], last - 1)


def _in_dtype(a, dtype):
    return a if a.dtype == dtype else Cast(dtype)(a)


def _exponential_slope(a, e, block: int):
    """By scaling and squaring, of the derivative along with the value (Al-Mohy & Higham 2009, SIAM J. Matrix Anal.
    Appl. 30:1639)."""
    dtype = np.result_type(a, e)
    if not e.any():
        return np.zeros(e.shape, dtype)
    return sp.expm_frechet(a, e, compute_expm=False, check_finite=False).astype(dtype, copy=False)


def _logarithm(a):
    return sp.logm(a) if a.size else a.copy()


def _logarithm_slope(a, e, block: int):
    """From the logarithm of the block matrix, in which e is made as large as a; `block` is the length of the blocks on
    the diagonal of a that are alike."""
    dtype = np.result_type(a, e)
    size = np.linalg.norm(e)
    if not size:
        return np.zeros(e.shape, dtype)
    # Rounding splits the eigenvalues of the block matrix, which are all there twice.  Those that are negative must not
    # come to lie on both sides of the cut, so that they are turned away from it: L(c·A, c·E) = L(A, E).
    base = a[:block, :block]
    angles = np.angle(np.linalg.eigvals(base if base.imag.any() else base.real))
    on_cut = angles == np.pi
    turn = np.exp(-0.5j * (np.pi + np.min(angles[~on_cut], initial=0.0))) if on_cut.any() else 1
    scale = np.linalg.norm(a) / size
    n = len(a)
    slope = sp.logm(turn * np.block([[a, e * scale], [np.zeros_like(a), a]]))[:n, n:] / scale
    return slope.real if dtype.kind != "c" and not on_cut.any() else slope


_VALUES = {"expm": sp.expm, "logm": _logarithm}
_SLOPES = {"expm": _exponential_slope, "logm": _logarithm_slope}


class SquareRoot(OfMatrices):
    """The principal square root S of matrices, S·S = A.  dS solves S·dS + dS·S = dA (Higham 2008, 6.1)"""

    __slots__ = ()

    def compute(self, a):
        return over_batch(sp.sqrtm, a)

    def gradient(self, out_grad, node):
        turned = ops.transpose(node)
        return SolveSylvester()(turned, turned, out_grad)

    def tangent(self, node, da):
        return SolveSylvester()(node, node, _in_dtype(da, node.dtype))


@plainly(sp.expm)
def expm(A) -> Tensor:
    """exp(A) = Σ Aᵏ/k! of square matrices."""
    return MatrixFunction("expm")(square(A, "expm", error=np.linalg.LinAlgError))


@plainly(sp.logm)
def logm(A) -> Tensor:
    """The principal logarithm of square matrices, complex where an eigenvalue is negative."""
    return MatrixFunction("logm")(square(A, "logm"))


@plainly(sp.sqrtm)
def sqrtm(A) -> Tensor:
    """The principal square root of square matrices, complex where an eigenvalue is negative.

    A derivative at a singular matrix, where it is infinite, is an error.
    """
    return SquareRoot()(square(A, "sqrtm", error=np.linalg.LinAlgError))
