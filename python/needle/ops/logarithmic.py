"""Powers, roots, exponentials and logarithms to other bases, and the logarithm of a sum of two exponentials.

This file is loaded with `needle.numpy`.
"""

import math

import numpy as np

from . import series
from .arithmetic import divide, mul_scalar, multiply, negate
from .choices import where
from .functions import sigmoid, square
from .kinds import Elementwise
from .steps import Step, equal, logical_and

__all__ = ["BesselI", "Cbrt", "Exp2", "Log10", "Log2", "LogAddExp", "LogAddExp2", "Reciprocal", "SqrtOrZero"]

LN2, LN10 = math.log(2), math.log(10)


class Exp2(Elementwise):
    """2ᵃ"""

    __slots__ = ()

    def compute(self, a):
        return np.exp2(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, mul_scalar(node, LN2))

    def taylor(self, node, a):
        return series.exponential(node, series.each(a[0], lambda x: x * LN2, a))


class Log2(Elementwise):
    """The logarithm of a to the base 2"""

    __slots__ = ()

    def compute(self, a):
        return np.log2(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, mul_scalar(node.inputs[0], LN2))

    def taylor(self, node, a):
        return logarithm(node, a, LN2)


class Log10(Elementwise):
    """The logarithm of a to the base 10"""

    __slots__ = ()

    def compute(self, a):
        return np.log10(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, mul_scalar(node.inputs[0], LN10))

    def taylor(self, node, a):
        return logarithm(node, a, LN10)


def logarithm(node, a, of_base: float) -> list:
    """The series of ln a / of_base, which begins with `node`."""
    y = series.integral(node, series.quotient(series.slope(a), a))
    return [node, *[series.divided(term, of_base) for term in y[1:]]]


class Cbrt(Elementwise):
    """The real third root of a"""

    __slots__ = ()

    def compute(self, a):
        return np.cbrt(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, mul_scalar(square(node), 3))


class Reciprocal(Elementwise):
    """1 / a (of whole numbers the whole part, as NumPy's)"""

    __slots__ = ()

    def compute(self, a):
        return np.reciprocal(a)

    def gradient(self, out_grad, node):
        return negate(multiply(out_grad, square(node)))

    def taylor(self, node, a):
        return series.reciprocal(node, a)


class LogAddExp(Elementwise):
    """ln(eᵃ + eᵇ), stable for any a and b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.logaddexp(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        apart = _difference(a, b)
        return (
            multiply(out_grad, sigmoid(apart)) if node.needs(0) else None,
            multiply(out_grad, sigmoid(negate(apart))) if node.needs(1) else None,
        )


class LogAddExp2(Elementwise):
    """log₂(2ᵃ + 2ᵇ), stable for any a and b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.logaddexp2(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        apart = mul_scalar(_difference(a, b), LN2)
        return (
            multiply(out_grad, sigmoid(apart)) if node.needs(0) else None,
            multiply(out_grad, sigmoid(negate(apart))) if node.needs(1) else None,
        )


class Apart(Elementwise):
    """a - b, with 0 for ∞ - ∞"""

    __slots__ = ()

    def compute(self, a, b):
        infinite = np.isinf(a)
        if not infinite.any():
            return a - b
        same = infinite & (a == b)
        return np.where(same, 0, a - np.where(same, 0, b))

    def gradient(self, out_grad, node):
        a, b = node.inputs
        within = where(logical_and(equal(a, b), Step(np.isinf)(a)), 0, out_grad)
        return within, negate(within)


_difference = Apart()


class BesselI(Elementwise):
    """Iₙ(a), the modified Bessel function of the first kind of a whole order n.  2·Iₙ' = Iₙ₋₁ + Iₙ₊₁

    Values: the power series (Abramowitz & Stegun 9.6.10), whose terms are all of one sign, and for large a the integral
    of e^(a·cos t)·cos nt (9.6.19) by the trapezoidal rule, which for periodic functions converges exponentially.
    """

    __slots__ = ("order",)

    def __init__(self, order: int = 0):
        self.order = order

    def compute(self, a):
        if self.order == 0:
            return np.i0(a)
        a = np.asarray(a) if a.dtype.kind == "f" else np.asarray(a, float)
        return np.where(np.abs(a) < 30, self._by_series(a), self._by_integral(a)).astype(a.dtype)

    def _by_series(self, a):
        half = np.where(np.abs(a) < 30, a, 0).astype(float) / 2
        term = half**self.order / math.factorial(self.order)
        total = term.copy()
        for k in range(1, 80):
            term = term * half * half / (k * (self.order + k))
            total += term
        return total

    def _by_integral(self, a):
        size = np.abs(np.where(np.abs(a) < 30, 30, a).astype(float))
        points = 64 + int(10 * math.sqrt(min(size.max(initial=0.0), 1e4))) + self.order
        total = np.zeros_like(size)
        for i in range(points):
            angle = math.pi * (i + 0.5) / points
            total += np.exp(size * (math.cos(angle) - 1)) * math.cos(self.order * angle)
        value = np.exp(size) * (total / points)
        return np.where(a < 0, (-1.0) ** self.order * value, value)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        n = self.order
        if n == 0:
            return multiply(out_grad, BesselI(1)(a))
        return multiply(out_grad, mul_scalar(BesselI(n - 1)(a) + BesselI(n + 1)(a), 0.5))


class SqrtOrZero(Elementwise):
    """√a, with derivative 0 at 0: for norms and standard deviations"""

    __slots__ = ()

    def compute(self, a):
        return np.sqrt(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, where(equal(node, 0), np.inf, node * 2))
