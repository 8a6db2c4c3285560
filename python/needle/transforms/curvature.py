"""A function of one variable pushes values, tangents and curvatures on, in few passes over memory.

Most of a Laplacian's time goes to passes over large arrays, not to arithmetic.  So what `laplacian` does at every
elementwise function is one op, with its value and its adjoint written in NumPy, in blocks that stay in cache.
"""

import math

import numpy as np

from ..fused import Fused
from ..graph import leaf, no_grad
from ..ops.functions import square
from ..ops.kinds import Elementwise
from ..ops.reductions import summation
from ..ops.series import Unit


class PushCurvature(Fused):
    """(f(x),  f'(x)·tᵢ for each direction i,  f'(x)·c + ½·f''(x)·Σᵢ tᵢ²)

    Inputs: x, the tangents t with the directions as axis 0, and the curvature c, which may be left out if it is zero.
    `op` is f, a function of one variable.
    """

    __slots__ = ("op",)

    lanes = "inner"
    values = 3

    def __init__(self, op: Elementwise):
        self.op = op

    def compute(self, x, tangents, *curvature):
        y = self.op.compute(x)
        results = _new(x), _new(tangents)
        room = _new(x, (4, min(x.size, _BLOCK)))
        for x_, y_, ts, out, us, *c in _blocks(x, y, tangents, *results, *curvature):
            slope, bend, squares, spare = room[:, : x_.size]
            slopes(self.op, x_, y_, (slope, bend))
            _sum_of_squares(ts, squares, spare)
            squares *= 0.5
            np.multiply(bend, squares, out=out)
            for t, u in zip(ts, us):
                np.multiply(slope, t, out=u)
            if c:
                out += np.multiply(slope, c[0], out=spare)
        return y, results[1], results[0]

    def formula(self, x, tangents, *curvature):
        y = self.op(x)
        _, slope, bend = self.op.taylor(y, [x, Unit(x.dtype), None])
        across = bend * summation(square(tangents), 0)
        return y, slope * tangents, slope * curvature[0] + across if curvature else across

    def adjoint(self, out_grads, outputs, inputs, needs):
        x, tangents, *curvature = inputs
        by_y, by_us, by_out = out_grads  # None for zero: of the last layer only the curvature is asked for
        results = [_new(array) for array in inputs]
        given = [array for array in out_grads if array is not None]
        room = _new(x, (7, min(x.size, _BLOCK)))
        for x_, y_, ts, *more in _blocks(x, outputs[0], tangents, *results, *given, *curvature):
            by_x, by_ts, *more = more
            by_c = more.pop(0) if curvature else None
            g = None if by_y is None else more.pop(0)
            us = None if by_us is None else more.pop(0)
            k = None if by_out is None else more.pop(0)
            slope, bend, twist, bent, squares, by_slope, spare = room[:, : x_.size]
            slopes(self.op, x_, y_, (slope, bend, twist))
            by_slope.fill(0)
            if k is None:
                by_ts.fill(0)
                by_x.fill(0)
            else:
                _sum_of_squares(ts, squares, spare)
                squares *= 0.5
                squares *= k
                np.multiply(twist, squares, out=by_x)
                np.multiply(bend, k, out=bent)
                for t, by_t in zip(ts, by_ts):
                    np.multiply(bent, t, out=by_t)
                if curvature:
                    np.multiply(more[0], k, out=by_slope)
                    np.multiply(slope, k, out=by_c)
            if us is not None:
                for t, u, by_t in zip(ts, us, by_ts):
                    by_t += np.multiply(slope, u, out=spare)
                    by_slope += np.multiply(t, u, out=spare)
            by_slope *= bend
            by_x += by_slope
            if g is not None:
                by_x += np.multiply(slope, g, out=spare)
        return results


def slopes(op: Elementwise, x, y, out) -> None:
    """Fill the arrays in `out` with the first derivatives of y = op(x): by the op's own rule, or from its series."""
    rule = getattr(op, "slopes", None)
    if rule is not None:
        rule(x, y, out)
        return
    with no_grad():
        _, *terms = op.taylor(leaf(y), [leaf(x), Unit(x.dtype), *[None] * (len(out) - 1)])
    for derivative, term, factor in zip(out, terms, (1, 2, 6)):
        if term is None:
            derivative.fill(0)
        else:
            np.multiply(term.node.data, factor, out=derivative)


def _sum_of_squares(terms, out, spare) -> None:
    first, *others = terms
    np.square(first, out=out)
    for term in others:
        out += np.square(term, out=spare)


def _new(like, shape=None):
    """An array to be filled, whose rows lie one after the other, so that blocks of it are views.

    It begins where a line of the cache does: NumPy's passes take half the time if what they write is aligned.
    """
    shape = like.shape if shape is None else shape
    if type(like) is not np.ndarray:
        return np.empty_like(like, order="C", shape=shape)
    memory = np.empty(math.prod(shape) * like.itemsize + _LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % _LINE
    return np.ndarray(shape, like.dtype, memory, start)


_LINE = 64  # bytes
_BLOCK = 16384  # elements: what one block works on stays in a core's cache


def _blocks(first, *arrays):
    """The arrays in pieces of one size, as views; those with directions as axis 0 have it in every piece."""
    n = first.size
    flat = [x.reshape(n) if x.ndim == first.ndim else x.reshape(len(x), n) for x in (first, *arrays)]
    for start in range(0, n, _BLOCK):
        yield [x[..., start : start + _BLOCK] for x in flat]
