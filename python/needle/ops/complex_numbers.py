"""Parts of complex numbers.

Rules are plain transposes under the pairing Re(a·b): a real adjoint g of Re z goes back as g, that of Im z as -i·g.
This file is loaded with `needle.numpy`.
"""

import numpy as np

from .arithmetic import divide, mul_scalar
from .kinds import Elementwise

__all__ = ["Angle", "Imag", "Real"]


class Real(Elementwise):
    """The real part of a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.real(a)

    def gradient(self, out_grad, node):
        return out_grad


class Imag(Elementwise):
    """The imaginary part of a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.imag(a)

    def gradient(self, out_grad, node):
        return mul_scalar(out_grad, -1j) if node.inputs[0].dtype.kind == "c" else (None,)


class Angle(Elementwise):
    """The argument of a complex number, between -π and π"""

    __slots__ = ()

    def compute(self, a):
        return np.angle(a)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        return divide(mul_scalar(out_grad, -1j), a) if a.dtype.kind == "c" else (None,)
