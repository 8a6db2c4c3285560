"""Trigonometric and hyperbolic functions and their inverses, beside sin, cos, tan, tanh and arctan of functions.py.

All are analytic, so the rules hold for complex numbers as they stand.  This file is loaded with `needle.numpy`.
"""

import math

import numpy as np

from . import series
from .arithmetic import divide, multiply, negate
from .choices import where
from .functions import sqrt, square
from .kinds import Elementwise
from .steps import equal

__all__ = [
    "Arccos", "Arccosh", "Arcsin", "Arcsinh", "Arctan2", "Arctanh", "Cosh", "Hypot", "Sinc", "Sinh",
]  # fmt: skip


class Sinh(Elementwise):
    """sinh a"""

    __slots__ = ()

    def compute(self, a):
        return np.sinh(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, _COSH(node.inputs[0]))

    def taylor(self, node, a):
        return hyperbolic(node, _COSH(a[0]), a)[0]


class Cosh(Elementwise):
    """cosh a"""

    __slots__ = ()

    def compute(self, a):
        return np.cosh(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, _SINH(node.inputs[0]))

    def taylor(self, node, a):
        return hyperbolic(_SINH(a[0]), node, a)[1]


_SINH, _COSH = Sinh(), Cosh()


def hyperbolic(sine, cosine, x) -> tuple[list, list]:
    """The series of sinh x and cosh x, which begin with `sine` and `cosine`: s' = c·x', c' = s·x'."""
    s, c, dx = [sine], [cosine], series.slope(x)
    for k in range(len(dx)):
        s.append(series.divided(series.coefficient(c, dx, k), k + 1))
        c.append(series.divided(series.coefficient(s, dx, k), k + 1))
    return s, c


def integral_of_quotient(node, a, divisor) -> list:
    """The series of y, which begins with `node`, from y' = a' / divisor(a)."""
    return series.integral(node, series.quotient(series.slope(a), divisor))


def plus(number, x) -> list:
    """number + x, for a series x."""
    return [x[0] + number, *x[1:]]


class Arcsin(Elementwise):
    """arcsin a.  d/da = 1 / √(1 - a²)"""

    __slots__ = ()

    def compute(self, a):
        return np.arcsin(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, root_of_one_minus_square(node.inputs[0]))

    def taylor(self, node, a):
        return integral_of_quotient(node, a, series_of_root(a))


class Arccos(Elementwise):
    """arccos a.  d/da = -1 / √(1 - a²)"""

    __slots__ = ()

    def compute(self, a):
        return np.arccos(a)

    def gradient(self, out_grad, node):
        return negate(divide(out_grad, root_of_one_minus_square(node.inputs[0])))

    def taylor(self, node, a):
        return [node, *map(series.negated, integral_of_quotient(node, a, series_of_root(a))[1:])]


def root_of_one_minus_square(a):
    """√(1 - a²), as a product that keeps all digits where a is near ±1."""
    return sqrt(multiply(1 - a, 1 + a))


def series_of_root(a) -> list:
    """The series of √(1 - a²)."""
    under = series.product([1 - a[0], *map(series.negated, a[1:])], plus(1, a))
    return series.square_root(sqrt(under[0]), under)


class Arcsinh(Elementwise):
    """arsinh a.  d/da = 1 / √(a² + 1)"""

    __slots__ = ()

    def compute(self, a):
        return np.arcsinh(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, sqrt(square(node.inputs[0]) + 1))

    def taylor(self, node, a):
        under = plus(1, series.product(a, a))
        return integral_of_quotient(node, a, series.square_root(sqrt(under[0]), under))


class Arccosh(Elementwise):
    """arcosh a.  d/da = 1 / (√(a - 1)·√(a + 1)), the branch of complex numbers"""

    __slots__ = ()

    def compute(self, a):
        return np.arccosh(a)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        return divide(out_grad, multiply(sqrt(a - 1), sqrt(a + 1)))

    def taylor(self, node, a):
        below, above = plus(-1, a), plus(1, a)
        roots = series.square_root(sqrt(below[0]), below), series.square_root(sqrt(above[0]), above)
        return integral_of_quotient(node, a, series.product(*roots))


class Arctanh(Elementwise):
    """artanh a.  d/da = 1 / (1 - a²)"""

    __slots__ = ()

    def compute(self, a):
        return np.arctanh(a)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        return divide(out_grad, multiply(1 - a, 1 + a))

    def taylor(self, node, a):
        under = series.product([1 - a[0], *map(series.negated, a[1:])], plus(1, a))
        return integral_of_quotient(node, a, under)


class Arctan2(Elementwise):
    """The angle of the point (b, a).  At the origin, which has none, the derivative is 0"""

    __slots__ = ()

    def compute(self, a, b):
        return np.arctan2(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        distance = apart_from_zero(_HYPOT(a, b))
        # divided twice, since the square of the distance may overflow
        return (
            divide(divide(multiply(out_grad, b), distance), distance) if node.needs(0) else None,
            negate(divide(divide(multiply(out_grad, a), distance), distance)) if node.needs(1) else None,
        )


class Hypot(Elementwise):
    """√(a² + b²) without overflow, with derivative 0 at the origin"""

    __slots__ = ()

    def compute(self, a, b):
        return np.hypot(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        distance = apart_from_zero(node)
        return (
            multiply(out_grad, divide(a, distance)) if node.needs(0) else None,
            multiply(out_grad, divide(b, distance)) if node.needs(1) else None,
        )


_HYPOT = Hypot()


def apart_from_zero(a):
    """a, with 1 in place of 0: to divide by where the numerator is 0 as well."""
    return where(equal(a, 0), 1, a)


class Sinc(Elementwise):
    """The derivative of order n of sin(πa) / (πa), which is analytic at 0 too"""

    __slots__ = ("order",)

    def __init__(self, order: int = 0):
        self.order = order

    def compute(self, a):
        if self.order == 0:
            return np.sinc(a)
        z = np.pi * np.asarray(a, np.result_type(a.dtype, np.float32) if a.dtype.kind in "fc" else float)
        return (np.where(np.abs(z) < self.order + 2, self._by_series(z), self._by_quotient(z))).astype(z.dtype)

    def _by_series(self, z):
        """πⁿ·Σ (-1)ᵏ·z²ᵏ⁻ⁿ / ((2k + 1)·(2k - n)!): sinc is ∫ cos(zt) dt over [0, 1]."""
        n = self.order
        z = np.where(np.abs(z) < n + 2, z, 0)
        total = np.zeros_like(z)
        for k in range((n + 1) // 2, (n + 1) // 2 + 18 + 2 * n):
            total += (-1) ** k / (2 * k + 1) * z ** (2 * k - n) / math.factorial(2 * k - n)
        return np.pi**n * total

    def _by_quotient(self, z):
        """From z·f⁽ⁿ⁾ + n·f⁽ⁿ⁻¹⁾ = sin⁽ⁿ⁾ z, which is exact enough away from 0."""
        z = np.where(np.abs(z) < self.order + 2, self.order + 2, z)
        f = np.sin(z) / z
        for n in range(1, self.order + 1):
            f = (_derivative_of_sine(n, z) - n * f) / z
        return np.pi**self.order * f

    def gradient(self, out_grad, node):
        return multiply(out_grad, Sinc(self.order + 1)(node.inputs[0]))

    def taylor(self, node, a):
        return series.composition([node, *[Sinc(self.order + m)(a[0]) for m in range(1, len(a))]], a)


def _derivative_of_sine(n: int, z):
    """sin⁽ⁿ⁾ z"""
    return ((np.sin, np.cos)[n % 2])(z) * (-1 if n % 4 > 1 else 1)
