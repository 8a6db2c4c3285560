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
        total = bend * _sum_of_products(tangents, tangents)
        if curvature:
            total += slope * curvature[0]
        return slope * tangents, total

    def gradient(self, out_grad, node):
        return tuple(CurvatureAdjoint()(*out_grad, *node.inputs))


class CurvatureAdjoint(TensorTupleOp):
    """The adjoints of the inputs of `PushCurvature`, from those of its results and the inputs."""

    __slots__ = ()

    def compute(self, g, h, slope, bend, tangents, *curvature):
        by_slope, by_bend = _sum_of_products(tangents, g), _sum_of_products(tangents, tangents)
        by_bend *= h
        by_tangents, twice, spare = slope * g, 2 * bend * h, np.empty_like(slope)
        for mine, tangent in zip(by_tangents, tangents):
            mine[...] += np.multiply(twice, tangent, out=spare)
        if not curvature:
            return by_slope, by_bend, by_tangents
        by_slope += np.multiply(curvature[0], h, out=spare)
        return by_slope, by_bend, by_tangents, slope * h

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


def _sum_of_products(a, b):
    """Σᵢ aᵢ·bᵢ over axis 0, without an array for all products."""
    out = np.zeros_like(a, shape=a.shape[1:])
    spare = np.empty_like(out)
    for x, y in zip(a, b):
        out += np.multiply(x, y, out=spare)
    return out
