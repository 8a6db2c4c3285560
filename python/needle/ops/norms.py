"""The Euclidean norm.  Loaded with `needle.numpy`."""

import numpy as np

from .arithmetic import multiply
from .choices import where
from .linalg import conj
from .reductions import Reduction
from .steps import equal

__all__ = ["EuclideanNorm"]


class EuclideanNorm(Reduction):
    """√(Σ |a|²) over axes, with derivative 0 at 0"""

    __slots__ = ()

    def compute(self, a):
        axis = self.axis(a)
        squares = np.square(a.real) + np.square(a.imag) if a.dtype.kind == "c" else np.square(a)
        return np.sqrt(np.add.reduce(squares, axis=axis, keepdims=self.keepdims))

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        norm, out_grad = self.laid(output, a.shape), self.laid(out_grad, a.shape)
        scale = np.divide(out_grad, norm, out=np.zeros_like(out_grad), where=norm != 0)
        return (scale * (a.conj() if a.dtype.kind == "c" else a),)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        norm = self.spread(node, node)
        zero = equal(norm, 0)
        scale = where(zero, 0, self.spread(out_grad, node) / where(zero, 1, norm))
        return multiply(scale, conj(a))
