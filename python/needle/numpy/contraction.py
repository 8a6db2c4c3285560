"""Products of vectors, matrices and arrays of more axes: sums over pairs of axes, outer products, convolutions."""

import math
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..graph import Tensor
from ..ops.convolving import ConvolveVectors
from .dispatch import as_tensor, implements
from .shapes import moveaxis, ravel


def _together(a, b) -> tuple[Tensor, Tensor]:
    """Two operands as Tensors of one dtype."""
    a, b = as_tensor(a), as_tensor(b)
    if a.dtype == b.dtype:
        return a, b
    dtype = np.result_type(a.dtype, b.dtype)
    return tuple([x if x.dtype == dtype else x.astype(dtype) for x in (a, b)])


@implements(np.dot)
def dot(a, b, out=None) -> Tensor:
    """The product of matrices and vectors; over the last axis of a and the last but one of b if there are more."""
    a, b = _together(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return ops.multiply(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return ops.matmul(a, b)
    return tensordot(a, b, (-1, -2 if b.ndim > 1 else -1))


@implements(np.inner)
def inner(a, b, /) -> Tensor:
    """The sum of products over the last axes."""
    a, b = _together(a, b)
    return ops.multiply(a, b) if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, (-1, -1))


@implements(np.outer)
def outer(a, b, out=None) -> Tensor:
    """All products of an element of a with one of b: a row for each of a."""
    a, b = _together(a, b)
    return ops.matmul(ops.reshape(a, (a.size, 1)), ops.reshape(b, (1, b.size)))


@implements(np.vdot)
def vdot(a, b, /) -> Tensor:
    """Σ conj(a)·b over all elements."""
    a, b = _together(a, b)
    return ops.matmul(ops.conjugate(ravel(a)) if a.dtype.kind == "c" else ravel(a), ravel(b))


@implements(np.tensordot)
def tensordot(a, b, axes=2) -> Tensor:
    """The sum of products over pairs of axes: the last `axes` of a with the first of b, or those in two sequences."""
    a, b = _together(a, b)
    if hasattr(axes, "__iter__"):
        of_a, of_b = (list(side) if hasattr(side, "__iter__") else [side] for side in axes)
    else:
        axes = operator.index(axes)
        of_a, of_b = list(range(-axes, 0)), list(range(axes))
    if len(of_a) != len(of_b) or len(of_a) > min(a.ndim, b.ndim):
        raise ValueError("shape-mismatch for sum")
    of_a = [normalize_axis_index(axis, a.ndim) for axis in of_a]
    of_b = [normalize_axis_index(axis, b.ndim) for axis in of_b]
    if any(a.shape[i] != b.shape[j] for i, j in zip(of_a, of_b)):
        raise ValueError("shape-mismatch for sum")
    kept_a = [axis for axis in range(a.ndim) if axis not in of_a]
    kept_b = [axis for axis in range(b.ndim) if axis not in of_b]
    rows, columns = [a.shape[i] for i in kept_a], [b.shape[j] for j in kept_b]
    n = math.prod([a.shape[i] for i in of_a])
    left = ops.reshape(_permuted(a, [*kept_a, *of_a]), (math.prod(rows), n))
    right = ops.reshape(_permuted(b, [*of_b, *kept_b]), (n, math.prod(columns)))
    return ops.reshape(ops.matmul(left, right), (*rows, *columns))


def _permuted(a: Tensor, order: list[int]) -> Tensor:
    return a if order == list(range(a.ndim)) else ops.permute(a, order)


@implements(np.einsum)
def einsum(*operands, out=None, dtype=None, order="K", casting="safe", optimize=False) -> Tensor:
    """The Einstein sum; subscripts as a string first, or as lists behind their operands."""
    if not isinstance(operands[0], str):
        operands = _in_letters(operands)
    subscripts, *arrays = operands
    tensors = [as_tensor(array) for array in arrays]
    dtype = np.result_type(*[x.dtype for x in tensors]) if dtype is None else np.dtype(dtype)
    return ops.einsum(subscripts, *[x if x.dtype == dtype else x.astype(dtype) for x in tensors])


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # in the order in which numbers stand for them


def _in_letters(operands) -> list:
    """`op0, sublist0, op1, sublist1, …, [output]` with the sublists as one string in front."""

    def term(sublist) -> str:
        return "".join(["..." if entry is ... else _LETTERS[operator.index(entry)] for entry in sublist])

    pairs = len(operands) // 2
    arrays, terms = operands[: 2 * pairs : 2], [term(sublist) for sublist in operands[1 : 2 * pairs : 2]]
    output = "->" + term(operands[-1]) if len(operands) % 2 else ""
    return [",".join(terms) + output, *arrays]


@implements(np.einsum_path)
def einsum_path(*operands, optimize="greedy", einsum_call=False):
    """The order in which to contract, which depends on shapes only."""
    shown = [np.broadcast_to(0.0, x.shape) if isinstance(x, Tensor) else x for x in operands]
    return np.einsum_path(*shown, optimize=optimize, einsum_call=einsum_call)


@implements(np.kron)
def kron(a, b) -> Tensor:
    """The Kronecker product: b times each element of a, laid out as blocks."""
    a, b = _together(a, b)
    ndim = max(a.ndim, b.ndim)
    of_a, of_b = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    apart_a = ops.reshape(a, [n for length in of_a for n in (length, 1)])
    apart_b = ops.reshape(b, [n for length in of_b for n in (1, length)])
    return ops.reshape(ops.multiply(apart_a, apart_b), [m * n for m, n in zip(of_a, of_b)])


@implements(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None) -> Tensor:
    """The vector product a × b of vectors of 3 (or 2) components along an axis."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _together(a, b)
    if a.ndim < 1 or b.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    a = moveaxis(a, normalize_axis_index(axisa, a.ndim), -1)
    b = moveaxis(b, normalize_axis_index(axisb, b.ndim), -1)
    lengths = a.shape[-1], b.shape[-1]
    if not set(lengths) <= {2, 3}:
        raise ValueError(f"cross takes vectors of 3 (or 2) components, got {lengths[0]} and {lengths[1]}")
    x, y = ([v[..., i] for i in range(v.shape[-1])] for v in (a, b))
    last = x[0] * y[1] - x[1] * y[0]
    if lengths == (2, 2):
        return last
    x2, y2 = (v[2] if len(v) == 3 else None for v in (x, y))
    first = _difference(x[1], y2, x2, y[1])
    second = _difference(x2, y[0], x[0], y2)
    return moveaxis(ops.stack([first, second, last], -1), -1, axisc)


def _difference(a, b, c, d) -> Tensor:
    """a·b - c·d, where None is a component that is not there, of value 0."""
    if a is None or b is None:
        return -(c * d)
    return a * b if c is None or d is None else a * b - c * d


# --------------------------------------------------------------------------------------------------------------------
# Convolutions


def _vectors(a, v) -> tuple[Tensor, Tensor]:
    a, v = _together(a, v)
    a, v = (x if x.ndim else ops.reshape(x, 1) for x in (a, v))
    if a.size == 0 or v.size == 0:
        raise ValueError(f"{'a' if a.size == 0 else 'v'} cannot be empty")
    if a.ndim > 1 or v.ndim > 1:
        raise ValueError("object too deep for desired array")
    return a, v


def _part(full: Tensor, longer: int, shorter: int, mode, start: int) -> Tensor:
    """The part of a full convolution that a mode asks for."""
    mode = {0: "valid", 1: "same", 2: "full"}.get(mode, mode)
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"mode must be 'valid', 'same' or 'full', got {mode!r}")
    if mode == "full":
        return full
    return full[start : start + longer] if mode == "same" else full[shorter - 1 : longer]


@implements(np.convolve)
def convolve(a, v, mode="full") -> Tensor:
    """Σᵢ aᵢ·vₖ₋ᵢ of two vectors."""
    a, v = _vectors(a, v)
    shorter, longer = sorted((a.size, v.size))
    return _part(ConvolveVectors()(a, v), longer, shorter, mode, (shorter - 1) // 2)


@implements(np.correlate)
def correlate(a, v, mode="valid") -> Tensor:
    """Σᵢ aᵢ₊ₖ·conj(vᵢ) of two vectors."""
    a, v = _vectors(a, v)
    shorter, longer = sorted((a.size, v.size))
    v = ops.flip(ops.conjugate(v) if v.dtype.kind == "c" else v, 0)
    start = (shorter - 1) // 2 if a.size >= v.size else shorter // 2
    return _part(ConvolveVectors()(a, v), longer, shorter, mode, start)
