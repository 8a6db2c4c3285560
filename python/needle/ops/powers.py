"""Powers, with true derivatives where base or exponent is 0."""

import numpy as np

from ..graph import Tensor
from . import series
from .arithmetic import ScalarOp, mul_scalar, multiply
from .choices import chosen, where
from .functions import log
from .kinds import Elementwise, zeros_like
from .steps import equal, logical_and

__all__ = [
    "EWisePow", "PowerScalar", "ScalarPower", "power", "power_scalar",
]  # fmt: skip


class EWisePow(Elementwise):
    """aᵇ.  At a = 0 the derivative in a is the true one (0 for b = 0), and that in b is 0 for b > 0."""

    __slots__ = ()

    def compute(self, a, b):
        return np.power(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        by_a = by_b = None
        if node.needs(0):
            # 0·0⁻¹ would be nan: where both are 0 the exponent b - 1 is exchanged for 1, and 0·0¹ is the derivative.
            # (Whole numbers have no power -1 at all, so for them it is exchanged wherever b is 0.)
            flat = equal(b, 0) if node.dtype.kind in "biu" else logical_and(equal(a, 0), equal(b, 0))
            by_a = out_grad * b * power(a, where(flat, 1, b - 1))
        if node.needs(1):
            by_b = out_grad * node * log(where(equal(a, 0), 1, a))
        return by_a, by_b

    def taylor(self, node, a, b):
        if all(coefficient is None for coefficient in b[1:]):
            return self._constant_exponent(node, a, b[0])
        # aᵇ = e^(b·ln a).  At a = 0, where the logarithm ends, the derivatives of b count for nothing.
        zero = equal(a[0], 0)
        safe = [where(zero, 1, a[0]), *a[1:]]
        logarithm = series.integral(log(safe[0]), series.quotient(series.slope(safe), safe))
        y = series.exponential(node, series.product(b, logarithm))
        return [chosen(zero, *pair) for pair in zip(self._constant_exponent(node, a, b[0]), y)]

    def _constant_exponent(self, node, a, b):
        derivatives, factor = [node], b
        for m in range(1, len(a)):
            # b(b - 1)⋯·aᵇ⁻ᵐ: where a and the factor are both 0 it is 0, as in `gradient`
            flat = logical_and(equal(a[0], 0), equal(factor, 0))
            derivatives.append(factor * power(a[0], where(flat, 1, b - m)))
            factor = factor * (b - m)
        return series.composition(derivatives, a)


class PowerScalar(ScalarOp):
    """aⁿ for a number n"""

    __slots__ = ()

    def compute(self, a):
        n = self.number
        if n == 3 and a.dtype.char in "fd":  # NumPy calls the C library's pow, which takes up to a hundred times longer
            return a * a * a
        return a**n

    def gradient(self, out_grad, node):
        n = self.number
        if n == 0:
            return zeros_like(out_grad)
        if n == 1:
            return out_grad
        (a,) = node.inputs
        return multiply(out_grad, (a if n == 2 else a ** (n - 1)) * n)

    def array_tangent(self, output, inputs, tangents):
        n, (a,), (tangent,) = self.number, inputs, tangents
        if n == 0:
            return np.zeros_like(tangent)
        if n == 1:
            return tangent
        slope = np.multiply(a if n == 2 else PowerScalar(n - 1).compute(a), n)
        slope *= tangent
        return slope

    def taylor(self, node, a):
        n = self.number
        if n == 0:
            return [node, *[None] * (len(a) - 1)]
        if not isinstance(n, complex) and float(n).is_integer():
            power = series.power(a, int(n if n > 0 else -n))
            return power if n > 0 else series.reciprocal(node, power)
        # a·y' = n·y·a'.  At a = 0, where this says nothing, every coefficient is 0 or infinite.
        zero = equal(a[0], 0)
        safe, y = where(zero, 1, a[0]), [node]
        for k in range(1, len(a)):
            terms = [(n * j - (k - j), a[j], y[k - j]) for j in range(1, k + 1)]
            rest = series.total(*[c * x * y for c, x, y in terms if x is not None and y is not None])
            limit = None if rest is None else power_scalar(a[0], n - k) * series.binomial(n, k)
            y.append(None if rest is None else where(zero, limit, rest / (safe * k)))
        return y


class ScalarPower(ScalarOp):
    """nᵃ for a number n"""

    __slots__ = ()

    def compute(self, a):
        return np.power(self.number, a)

    def gradient(self, out_grad, node):
        # ln 0 = -inf would make 0·inf of the derivative 0 that 0ᵃ has for a > 0.
        slope = np.log(self.number) if self.number else 0.0
        return mul_scalar(multiply(out_grad, node), slope)

    def taylor(self, node, a):
        slope = float(np.log(self.number)) if self.number else 0.0
        return series.exponential(node, series.each(a[0] * slope, lambda x: x * slope, a))


_POWER = EWisePow()


def power(a: Tensor, b: Tensor) -> Tensor:
    """aᵇ, elementwise, broadcasting."""
    return _POWER(a, b)


def power_scalar(a: Tensor, scalar) -> Tensor:
    """aⁿ for a number n."""
    return PowerScalar(scalar)(a)
