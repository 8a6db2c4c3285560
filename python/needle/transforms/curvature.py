"""Tangents and curvatures through an elementwise function, in few passes over memory.

Most of a Laplacian's time goes to passes over large arrays, not to arithmetic.  So what `laplacian` does at every
elementwise function is one op, with its value and its adjoint written in NumPy.  Derivatives of the adjoint, for
second derivatives of a Laplacian, come from its definition in ordinary ops.
"""

import numpy as np

from ..adjoint import Pullback, recording
from ..graph import Tensor, TensorTupleOp, handle
from ..ops.elementwise import square
from ..ops.movement import Identity
from ..ops.reductions import summation

_identity = Identity()


class PushCurvature(TensorTupleOp):
    """(s·tᵢ for each direction i,  s·c + b·Σᵢ tᵢ²)

    Inputs: the slope s = f'(x), half the second derivative b = f''(x)/2, the tangents t with the directions as axis 0,
    and the curvature c, which may be left out if it is zero.
    """

    __slots__ = ()

    def compute(self, slope, bend, tangents, *curvature):
        results = _new(tangents), _new(slope)
        for s, b, ts, us, out, *c in _blocks(slope, bend, tangents, *results, *curvature):
            squares, spare = np.zeros_like(s), np.empty_like(s)
            for t, u in zip(ts, us):
                squares += np.multiply(t, t, out=spare)
                np.multiply(s, t, out=u)
            np.multiply(b, squares, out=out)
            if c:
                out += np.multiply(s, c[0], out=spare)
        return results

    def gradient(self, out_grad, node):
        return tuple(CurvatureAdjoint()(*out_grad, *node.inputs))


class CurvatureAdjoint(TensorTupleOp):
    """The adjoints of the inputs of `PushCurvature`, from those of its results and the inputs."""

    __slots__ = ()

    def compute(self, g, h, slope, bend, tangents, *curvature):
        results = [_new(x) for x in (slope, bend, tangents, *curvature)]
        count = len(curvature)
        for s, b, ts, gs, k, by_s, by_b, by_ts, *more in _blocks(slope, bend, tangents, g, h, *results, *curvature):
            twice, squares, spare = 2 * b * k, np.zeros_like(s), np.empty_like(s)
            by_s.fill(0)
            for t, u, by_t in zip(ts, gs, by_ts):
                np.multiply(s, u, out=by_t)
                by_t += np.multiply(twice, t, out=spare)
                by_s += np.multiply(t, u, out=spare)
                squares += np.multiply(t, t, out=spare)
            np.multiply(squares, k, out=by_b)
            if count:
                by_c, c = more
                by_s += np.multiply(c, k, out=spare)
                np.multiply(s, k, out=by_c)
        return tuple(results)

    def formula(self, g, h, slope, bend, tangents, *curvature) -> list[Tensor]:
        """What `compute` computes, in ordinary ops."""
        by_slope, by_bend = summation(tangents * g, 0), h * summation(square(tangents), 0)
        by_tangents = slope * g + 2 * bend * h * tangents
        if not curvature:
            return [by_slope, by_bend, by_tangents]
        return [by_slope + curvature[0] * h, by_bend, by_tangents, slope * h]

    def gradient(self, out_grad, node):
        with recording():
            inputs = [x.node.followed(_identity) for x in node.inputs]
            results = self.formula(*map(handle, inputs))
            return tuple(Pullback([result.node for result in results], inputs)(list(out_grad)))


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
