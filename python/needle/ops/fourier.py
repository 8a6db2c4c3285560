"""Discrete Fourier transforms.  Loaded with `needle.numpy`.

The matrix e^(-2πi·jk/n) is symmetric, so the transform is its own transpose, and so is its inverse.  The transforms of
real numbers keep half of the result; each is, up to weights, the transpose of the other.  Axes are negative: counted
from the end, a batch in front does not move them.
"""

import numpy as np

from ..graph import leaf
from .arithmetic import conjugate, multiply
from .kinds import Linear

__all__ = ["Fourier", "HalfFourier", "InverseHalfFourier"]

_OPPOSITE = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


class OfLines(Linear):
    """A linear op along negative axes"""

    __slots__ = ()

    def batch(self, size, inputs, batched):
        return self(*inputs)


class Fourier(OfLines):
    """The transform along `axes`, or its inverse; `norm` says which of the two is divided by n, as in `numpy.fft`"""

    __slots__ = ("axes", "inverse", "norm")

    def __init__(self, axes: tuple[int, ...], inverse: bool = False, norm: str | None = None):
        self.axes, self.inverse, self.norm = axes, inverse, norm

    def compute(self, a):
        if len(self.axes) == 1:
            return (np.fft.ifft if self.inverse else np.fft.fft)(a, axis=self.axes[0], norm=self.norm)
        return (np.fft.ifftn if self.inverse else np.fft.fftn)(a, axes=self.axes, norm=self.norm)

    def gradient(self, out_grad, node):
        return self(out_grad)


class HalfFourier(OfLines):
    """The first n//2 + 1 elements of the transform of n real numbers along `axis`"""

    __slots__ = ("axis", "norm")

    def __init__(self, axis: int, norm: str | None = None):
        self.axis, self.norm = axis, norm

    def compute(self, a):
        return np.fft.rfft(a, axis=self.axis, norm=self.norm)

    def gradient(self, out_grad, node):
        n = node.inputs[0].shape[self.axis]
        weighed = multiply(conjugate(out_grad), _weights(n, self.axis, out_grad, 0.5))
        return InverseHalfFourier(self.axis, n, _OPPOSITE[self.norm])(weighed)


class InverseHalfFourier(OfLines):
    """n real numbers along `axis` from the first n//2 + 1 elements of their transform"""

    __slots__ = ("axis", "n", "norm")

    def __init__(self, axis: int, n: int, norm: str | None = None):
        self.axis, self.n, self.norm = axis, n, norm

    def compute(self, a):
        return np.fft.irfft(a, self.n, self.axis, self.norm)

    def gradient(self, out_grad, node):
        half = conjugate(HalfFourier(self.axis, _OPPOSITE[self.norm])(out_grad))
        return multiply(half, _weights(self.n, self.axis, half, 2.0))


def _weights(n: int, axis: int, like, inner: float):
    """1 for the elements that the whole transform has once, `inner` for those that stand for two, along `axis`."""
    weights = np.full(n // 2 + 1, inner, np.finfo(like.dtype).dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return leaf(weights.reshape(-1, *(1,) * (-axis - 1)))
