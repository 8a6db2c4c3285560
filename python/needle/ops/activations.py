"""Activations of nets: softplus, relu, silu, gelu."""

import numpy as np

from . import series
from .arithmetic import multiply, operand
from .choices import _WHERE, clip, where
from .functions import Sigmoid, Tanh, sigmoid, sigmoid_series, square, tanh
from .kinds import Elementwise
from .selection import selected
from .steps import Step, _named, greater

__all__ = [
    "GELU", "ReLU", "SiLU", "Softplus", "gelu", "relu", "silu", "softplus",
]  # fmt: skip


class Softplus(Elementwise):
    """ln(1 + eᵃ), stable at both ends.  d/da = σ(a)"""

    __slots__ = ()

    def compute(self, a):
        return np.logaddexp(a, np.zeros((), a.dtype if a.dtype.kind == "f" else float))

    def gradient(self, out_grad, node):
        return multiply(out_grad, sigmoid(node.inputs[0]))

    def taylor(self, node, a):
        return series.integral(node, series.product(sigmoid_series(sigmoid(a[0]), a), series.slope(a)))


class ReLU(Elementwise):
    """max(a, 0), with derivative 0 at 0"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.maximum(a, np.zeros((), a.dtype))

    def gradient(self, out_grad, node):
        positive = _IS_POSITIVE(node.inputs[0])
        return selected(_WHERE(positive, out_grad, operand(0, out_grad)), positive)

    def taylor(self, node, a):
        positive = greater(a[0], 0)
        return series.each(node, lambda x: selected(where(positive, x, 0), positive), a)


class SiLU(Elementwise):
    """a·σ(a), "swish" (Ramachandran et al. 2017, arXiv:1710.05941)"""

    __slots__ = ()

    def compute(self, a):
        return a * Sigmoid.compute(self, a)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        s = sigmoid(a)
        return multiply(out_grad, s + a * s * (1 - s))

    def taylor(self, node, a):
        return series.product(a, sigmoid_series(sigmoid(a[0]), a), first=node)


_GELU_SCALE = float(np.sqrt(2 / np.pi))
_GELU_CUBIC = 0.044715


class GELU(Elementwise):
    """a/2 · (1 + tanh(√(2/π)·(a + 0.044715·a³))), the tanh form of Hendrycks & Gimpel 2016 (arXiv:1606.08415)"""

    __slots__ = ()

    def compute(self, a):
        out = a * a
        out = a + _GELU_CUBIC * (out * a)
        out = np.tanh(_GELU_SCALE * out)
        return 0.5 * a * (out + 1)

    def gradient(self, out_grad, node):
        # Beyond ±12 tanh is ±1 in every dtype and the slope is 0 or 1; there a² may overflow, and 0·∞ would be nan.
        a = clip(node.inputs[0], -12, 12)
        squared = square(a)
        t = tanh(a * (squared * _GELU_CUBIC + 1) * _GELU_SCALE)
        inner = (squared * (3 * _GELU_CUBIC) + 1) * _GELU_SCALE
        return multiply(out_grad, (t + 1 + a * (1 - square(t)) * inner) * 0.5)

    def taylor(self, node, a):
        near = [clip(a[0], -12, 12), *a[1:]]  # as in `gradient`
        cube = series.product(series.product(near, near), near)
        inner = [series.total(x, None if c is None else c * _GELU_CUBIC) for x, c in zip(near, cube)]
        inner = series.each(inner[0] * _GELU_SCALE, lambda x: x * _GELU_SCALE, inner)
        t = Tanh().taylor(tanh(inner[0]), inner)
        return series.product(series.each(a[0] * 0.5, lambda x: x * 0.5, a), [t[0] + 1, *t[1:]], first=node)


_IS_POSITIVE = Step(np.greater, 0)
softplus = _named("softplus", Softplus())
relu = _named("relu", ReLU())
silu = _named("silu", SiLU())
gelu = _named("gelu", GELU())
