"""A function of one variable pushes values, tangents and curvatures on, in few passes over memory.

Most of a Laplacian's time goes to passes over large arrays, not to arithmetic.  So what `laplacian` does at every
elementwise function is one op, with its value and its adjoint written in NumPy, in blocks that stay in cache.
"""

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
        for x_, y_, ts, out, us, *c in _blocks(x, y, tangents, *results, *curvature):
            slope, bend = slopes(self.op, x_, y_, 2)
            squares, spare = np.zeros_like(y_), np.empty_like(y_)
            for t, u in zip(ts, us):
                squares += np.multiply(t, t, out=spare)
                np.multiply(slope, t, out=u)
            squares *= 0.5
            np.multiply(bend, squares, out=out)
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
        for x_, y_, ts, *more in _blocks(x, outputs[0], tangents, *results, *given, *curvature):
            by_x, by_ts, *more = more
            by_c = more.pop(0) if curvature else None
            g = None if by_y is None else more.pop(0)
            us = None if by_us is None else more.pop(0)
            k = None if by_out is None else more.pop(0)
            slope, bend, twist = slopes(self.op, x_, y_, 3)
            spare = np.empty_like(y_)
            by_slope = np.zeros_like(y_)
            if k is None:
                by_ts.fill(0)
                by_x.fill(0)
            else:
                bent, squares = bend * k, np.zeros_like(y_)
                for t, by_t in zip(ts, by_ts):
                    squares += np.multiply(t, t, out=spare)
                    np.multiply(bent, t, out=by_t)
                squares *= 0.5
                squares *= k
                np.multiply(twist, squares, out=by_x)
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


def slopes(op: Elementwise, x, y, count: int) -> list:
    """The first `count` derivatives of y = op(x), arrays that broadcast to x's shape: by the op's own rule, or from its
    Taylor series."""
    rule = getattr(op, "slopes", None)
    if rule is not None:
        return rule(x, y, count)
    with no_grad():
        _, *terms = op.taylor(leaf(y), [leaf(x), Unit(x.dtype), *[None] * (count - 1)])
    zero = np.zeros((), x.dtype)
    return [zero if t is None else t.node.data * factor for t, factor in zip(terms, (1, 2, 6))]


def _new(like):
    """An array to be filled, whose rows lie one after the other, so that blocks of it are views."""
    return np.empty_like(like, order="C")


_BLOCK = 16384  # elements: what one block works on stays in a core's cache


def _blocks(first, *arrays):
    """The arrays in pieces of one size, as views; those with directions as axis 0 have it in every piece."""
    n = first.size
    flat = [x.reshape(n) if x.ndim == first.ndim else x.reshape(len(x), n) for x in (first, *arrays)]
    for start in range(0, n, _BLOCK):
        yield [x[..., start : start + _BLOCK] for x in flat]
