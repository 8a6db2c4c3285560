"""Differences: derivatives from nothing but values."""

import math
from collections.abc import Callable

import numpy as np

from ..graph import Tensor, new_handle, no_grad
from .trees import Tree, node_of

__all__ = []


def forward_difference(f: Callable, x, eps=None):
    """The Jacobian by its definition, (f(x + h·eᵢ) - f(x)) / h for each element i of x.

    Args:
        f: a function of one Tensor, array or number, written with needle, with NumPy or with both.  It is called with
            the kind that x is of, and returns an array, a Tensor or a number of any shape.
        x: where; a float array or number, or a Tensor.  Integers are taken for float64.
        eps: the step h, a number or an array that broadcasts to x.  By default √ε·max(1, |xᵢ|), with the ε of x's dtype
            (2.2e-16 for float64): the error is h/2·|f''| for the curve and 2ε·|f|/h for rounding, and their sum is
            least at h = 2·√(ε·|f/f''|), where about √ε remains.  How large f/f'' is cannot be known without
            derivatives; it is taken for x² where x is large, and for 1 where it is not.

    Returns:
        An array (a Tensor for a Tensor) of shape out.shape + x.shape.

    Raises:
        ValueError: an eps that is not positive and finite, or so small that x + eps is x.
        TypeError: x or f(x) is not made of numbers.

    >>> forward_difference(np.square, np.array([1.0, 3.0])).round(6)
    array([[2., 0.], [0., 6.]])
    """
    point = _Point(f, x)
    here = point.value(point.array)
    steps = point.steps(eps, _spacing(point.array.dtype) ** (1 / 2))
    return point.collect([(point.value(above) - here) / h for _, above, h in point.shifted(steps)], here)


def central_difference(f: Callable, x, eps=None):
    """The Jacobian by (f(x + h·eᵢ) - f(x - h·eᵢ)) / 2h for each element i of x, with a smaller error.

    Args, result and errors are those of `forward_difference`, but for the step: by default h = ∛ε·max(1, |xᵢ|).  The
    error is h²/6·|f'''| for the curve (the terms with f'' cancel) and ε·|f|/h for rounding; their sum is least at
    h = ∛(3ε·|f/f'''|), where about ε^⅔ remains: 4e-11 in float64, 2e-5 in float32.

    >>> central_difference(np.exp, 0.0).round(9)
    np.float64(1.0)
    """
    point = _Point(f, x)
    steps = point.steps(eps, _spacing(point.array.dtype) ** (1 / 3))
    differences, here = [], None
    for below, above, _ in point.shifted(steps):
        here = point.value(above)
        differences.append((here - point.value(below)) / _distance(above, below))
    return point.collect(differences, point.value(point.array) if here is None else here)


def directional(f: Callable, x, delta, eps=None):
    """The derivative of f at x in the direction delta, (f(x + h·delta) - f(x - h·delta)) / 2h: two calls in all.

    Args:
        f: a function of one argument, as in `forward_difference`.
        x: where: an array, number or Tensor, or a tree (tuple, list, dict, …) of them.
        delta: the direction, of the structure and shapes of x.
        eps: the step h.  By default as in `central_difference`: ∛ε·max(1, |x|) / max|delta|, with the ε of the coarsest
            dtype in x.

    Returns:
        An array, or a Tensor if x holds one, of f's output shape.

    >>> directional(lambda x: np.sum(x**2), np.array([1.0, 2.0]), np.array([0.0, 1.0])).round(9)
    np.float64(4.0)
    """
    tree, along = Tree(x), Tree(delta)
    if not tree.matches(along):
        raise ValueError(f"delta must have the structure of x, {tree}, got {along}")
    arrays = [floating(value, "x") for value in tree.leaves]
    directions = [floating(value, "delta") for value in along.leaves]
    for array, direction in zip(arrays, directions, strict=True):
        if array.shape != direction.shape:
            raise ValueError(f"delta must have the shapes of x: for {array.shape} it has {direction.shape}")
    if eps is None:
        spacing = max(_spacing(array.dtype) for array in arrays)
        scale = max([1.0, *[float(np.abs(array).max(initial=0)) for array in arrays]])
        length = max([float(np.abs(direction).max(initial=0)) for direction in directions]) or 1.0
        # A power of 2, so that h·delta is exact
        eps = 2.0 ** round(math.log2(spacing ** (1 / 3) * scale / length))
    h = float(_positive(eps))

    def value(sign: int):
        moved = [(a + sign * h * d).astype(a.dtype) for a, d in zip(arrays, directions, strict=True)]
        return value_at(f, tree.build([as_kind(array, like) for array, like in zip(moved, tree.leaves, strict=True)]))

    result = ((value(1) - value(-1)) / (2 * h)).astype(max(array.dtype for array in arrays), copy=False)
    return new_handle(node_of(result, "f")) if any(isinstance(v, Tensor) for v in tree.leaves) else result[()]


# --------------------------------------------------------------------------------------------------------------------
# Values at shifted points


class _Point:
    """A function and where its Jacobian is wanted."""

    def __init__(self, f: Callable, x):
        self.f, self.x = f, x
        self.array = floating(x, "x")

    def value(self, array) -> np.ndarray:
        """f at `array`, handed to it in the kind of x."""
        return value_at(self.f, as_kind(array.copy(), self.x))

    def steps(self, eps, relative: float) -> np.ndarray:
        """The step for each element of x."""
        if eps is None:
            return relative * np.maximum(1, np.abs(self.array))
        eps = _positive(eps)
        try:
            return np.broadcast_to(eps, self.array.shape)
        except ValueError:
            raise ValueError(f"eps has shape {np.shape(eps)}, which does not broadcast to {self.array.shape}") from None

    def shifted(self, steps):
        """For each element of x: x with the element decreased and increased by its step, and the step as it came out.

        x + h is rounded to a number of the dtype, so the step to divide by is (x + h) - x.
        """
        for index in np.ndindex(self.array.shape):
            below, above = self.array.copy(), self.array.copy()
            above[index] += steps[index]
            below[index] -= steps[index]
            h = abs(float((above[index] - self.array[index]).real))
            if h == 0:
                raise ValueError(
                    f"eps = {float(steps[index]):.3g} is too small for {self.array.dtype}: added to {self.array[index]}"
                    " it is lost"
                )
            yield below, above, h

    def collect(self, columns: list, like: np.ndarray):
        """The Jacobian from its columns, one for each element of x, in the kind and precision of x."""
        dtype = np.result_type(self.array.dtype, np.complex64) if like.dtype.kind == "c" else self.array.dtype
        if self.array.dtype.kind == "f" and self.array.dtype.itemsize > 4 and dtype.kind == "c":
            dtype = np.dtype(complex)
        out = np.stack(columns, -1) if columns else np.zeros((*like.shape, 0))
        return as_kind(out.reshape((*like.shape, *self.array.shape)).astype(dtype), self.x)


def _distance(above, below) -> float:
    return float(np.abs(above - below).max())


def _spacing(dtype) -> float:
    return float(np.finfo(dtype).eps)


def _positive(eps):
    array = np.asarray(eps, float)
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"eps must be positive and finite, got {eps!r}")
    return array


def floating(value, name: str) -> np.ndarray:
    """A leaf as a floating-point array of its own."""
    array = np.array(node_of(value, name).data)
    return array if array.dtype.kind in "fc" else array.astype(float)


def as_kind(array, like):
    """`array` in the kind of `like`: a Tensor, an array or a number."""
    if isinstance(like, Tensor):
        return new_handle(node_of(array, "x"))
    return array if isinstance(like, np.ndarray) else np.asarray(array)[()]


def value_at(f: Callable, argument) -> np.ndarray:
    """f(argument) as an array of at least float64, in which differences lose nothing more."""
    with no_grad():
        out = f(argument)
    array = np.asarray(node_of(out, "what the function returns").data)
    return array.astype(np.result_type(array.dtype, float))
