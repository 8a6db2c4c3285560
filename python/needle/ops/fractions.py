"""Functions that take numbers apart or put them together: remainders, signs, exponents, the smaller of two but nan.

Their derivatives are those of the piece on which a number lies.  This file is loaded with `needle.numpy`.
"""

import numpy as np

from .arithmetic import divide, multiply, negate
from .choices import Extremum, where
from .kinds import Elementwise
from .steps import Step, equal, sign

__all__ = ["Copysign", "Exponent", "Fmax", "Fmin", "Fmod", "FractionalPart", "Frexp", "Heaviside", "Ldexp", "Remainder"]


class Remainder(Elementwise):
    """a - b·⌊a / b⌋, of the sign of b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.remainder(a, b)

    def gradient(self, out_grad, node):
        if not node.needs(1):
            return out_grad, None
        return out_grad, negate(multiply(out_grad, Step(np.floor_divide)(*node.inputs)))


class Fmod(Elementwise):
    """a - b·trunc(a / b), of the sign of a"""

    __slots__ = ()

    def compute(self, a, b):
        return np.fmod(a, b)

    def gradient(self, out_grad, node):
        if not node.needs(1):
            return out_grad, None
        a, b = node.inputs
        return out_grad, negate(multiply(out_grad, Step(np.rint)(divide(a - node, b))))


class Copysign(Elementwise):
    """|a| with the sign of b; its derivative in a is 0 at a = 0, as that of |a|"""

    __slots__ = ()

    def compute(self, a, b):
        return np.copysign(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        upright = multiply(out_grad, sign(a))
        return where(Step(np.signbit)(b), negate(upright), upright), None


class Heaviside(Elementwise):
    """0 for a < 0, 1 for a > 0, b at 0"""

    __slots__ = ()

    def compute(self, a, b):
        return np.heaviside(a, b)

    def gradient(self, out_grad, node):
        return None, where(equal(node.inputs[0], 0), out_grad, 0) if node.needs(1) else None


class Ldexp(Elementwise):
    """a·2ᵇ for whole b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.ldexp(a, b)

    def gradient(self, out_grad, node):
        return self(out_grad, node.inputs[1]), None


class Fmax(Extremum):
    """max(a, b), the other one where one is nan"""

    __slots__ = ()

    def compute(self, a, b):
        return np.fmax(a, b)


class Fmin(Extremum):
    """min(a, b), the other one where one is nan"""

    __slots__ = ()

    def compute(self, a, b):
        return np.fmin(a, b)


class FractionalPart(Elementwise):
    """The part of a behind the point, with the sign of a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.modf(a)[0]

    def gradient(self, out_grad, node):
        return out_grad


class Frexp(Elementwise):
    """The mantissa m of a = m·2ᵉ with ½ ≤ |m| < 1"""

    __slots__ = ()

    def compute(self, a):
        return np.frexp(a)[0]

    def gradient(self, out_grad, node):
        return Ldexp()(out_grad, negate(Exponent()(node.inputs[0])))


class Exponent(Step):
    """The exponent e of a = m·2ᵉ with ½ ≤ |m| < 1, a whole number"""

    __slots__ = ()

    def __init__(self):
        super().__init__(np.frexp)

    def compute(self, a):
        return np.frexp(a)[1]
