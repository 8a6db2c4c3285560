"""Elementwise functions of one variable: exponentials and logarithms, roots, trigonometric and hyperbolic functions."""

import numpy as np

from . import series
from .arithmetic import conjugate, divide, multiply, negate
from .choices import where
from .kinds import Elementwise
from .steps import _named, equal, sign

__all__ = [
    "Abs", "Arctan", "Cos", "Exp", "Expm1", "Log", "Log1p", "Sigmoid", "Sin", "Sqrt", "Square", "Tan", "Tanh", "abs",
    "arctan", "cos", "exp", "expm1", "log", "log1p", "sigmoid", "sin", "sqrt", "square", "tan", "tanh",
]  # fmt: skip


class Log(Elementwise):
    """ln a"""

    __slots__ = ()

    def compute(self, a):
        return np.log(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, node.inputs[0])

    def taylor(self, node, a):
        return series.integral(node, series.quotient(series.slope(a), a))


class Log1p(Elementwise):
    """ln(1 + a)"""

    __slots__ = ()

    def compute(self, a):
        return np.log1p(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, node.inputs[0] + 1)

    def taylor(self, node, a):
        return series.integral(node, series.quotient(series.slope(a), [a[0] + 1, *a[1:]]))


class Exp(Elementwise):
    """eᵃ"""

    __slots__ = ()

    def compute(self, a):
        return np.exp(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, node)

    def taylor(self, node, a):
        return series.exponential(node, a)


class Expm1(Elementwise):
    """eᵃ - 1"""

    __slots__ = ()

    def compute(self, a):
        return np.expm1(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, node + 1)

    def taylor(self, node, a):
        return series.exponential(exp(a[0]), a)


class Sqrt(Elementwise):
    """√a"""

    __slots__ = ()

    def compute(self, a):
        return np.sqrt(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, node * 2)

    def taylor(self, node, a):
        return series.square_root(node, a)


class Square(Elementwise):
    """a²"""

    __slots__ = ()

    def compute(self, a):
        return np.square(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, node.inputs[0] * 2)

    def taylor(self, node, a):
        return series.product(a, a, first=node)


class Abs(Elementwise):
    """|a|, with derivative 0 at 0"""

    __slots__ = ()

    def compute(self, a):
        return np.abs(a)

    def gradient(self, out_grad, node):
        (a,) = node.inputs
        if a.dtype.kind == "c":
            return multiply(out_grad, divide(conjugate(a), where(equal(node, 0), 1, node)))
        return multiply(out_grad, sign(a))

    def taylor(self, node, a):
        if a[0].dtype.kind == "c":  # |a|² = a·ā
            return series.square_root(node, series.product(a, series.each(conjugate(a[0]), conjugate, a)))
        side = sign(a[0])
        return series.each(node, lambda x: multiply(x, side), a)


class Sin(Elementwise):
    """sin a"""

    __slots__ = ()

    def compute(self, a):
        return np.sin(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, cos(node.inputs[0]))

    def taylor(self, node, a):
        return series.sine_and_cosine(node, cos(a[0]), a)[0]


class Cos(Elementwise):
    """cos a"""

    __slots__ = ()

    def compute(self, a):
        return np.cos(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, negate(sin(node.inputs[0])))

    def taylor(self, node, a):
        return series.sine_and_cosine(sin(a[0]), node, a)[1]


class Tan(Elementwise):
    """tan a.  d/da = 1 + tan²a"""

    __slots__ = ()

    def compute(self, a):
        return np.tan(a)

    def gradient(self, out_grad, node):
        return multiply(out_grad, square(node) + 1)

    def taylor(self, node, a):
        return series.tangent(node, square(node) + 1, 1, a)


class Arctan(Elementwise):
    """arctan a"""

    __slots__ = ()

    def compute(self, a):
        return np.arctan(a)

    def gradient(self, out_grad, node):
        return divide(out_grad, square(node.inputs[0]) + 1)

    def taylor(self, node, a):
        squared = series.product(a, a)
        return series.integral(node, series.quotient(series.slope(a), [squared[0] + 1, *squared[1:]]))


class Tanh(Elementwise):
    """tanh a.  d/da = 1 - tanh²a"""

    __slots__ = ()

    def compute(self, a):
        return np.tanh(a)

    def gradient(self, out_grad, node):
        return TimesTanhSlope()(out_grad, node)

    def array_tangent(self, output, inputs, tangents):
        return TimesTanhSlope().compute(*tangents, output)

    def slopes(self, a, y, out):
        """Fills the arrays in `out` with the first derivatives, as many as there are, up to three."""
        slope, bend, *twist = out
        np.square(y, out=slope)
        np.subtract(1, slope, out=slope)
        np.multiply(y, slope, out=bend)
        bend *= -2
        for third in twist:
            np.multiply(slope, -6, out=third)
            third += 4
            third *= slope

    def taylor(self, node, a):
        if len(a) <= 3:
            slope = TanhSlope()(node)  # as in `gradient`, and fast: second order is what Laplacians take
        else:
            slope = sigmoid(a[0] * 2) * sigmoid(a[0] * -2) * 4  # the same, with all digits where tanh a is near ±1
        return series.tangent(node, slope, -1, a)


class TanhSlope(Elementwise):
    """1 - y², as one op: higher derivatives of nets take many"""

    __slots__ = ()

    def compute(self, y):
        out = np.square(y)
        return np.subtract(1, out, out=out) if out.ndim else 1 - out

    def gradient(self, out_grad, node):
        return multiply(out_grad, node.inputs[0] * -2)

    def taylor(self, node, y):
        return series.each(node, negate, series.product(y, y, first=node))


class TimesTanhSlope(Elementwise):
    """g·(1 - y²)"""

    __slots__ = ()

    def compute(self, g, y):
        return _times(TanhSlope.compute(self, y), g)

    def gradient(self, out_grad, node):
        g, y = node.inputs
        by_g = self(out_grad, y) if node.needs(0) else None
        return by_g, multiply(multiply(out_grad, g), y * -2) if node.needs(1) else None

    def array_tangent(self, output, inputs, tangents):
        (g, y), (dg, dy) = inputs, tangents
        along = None if dg is None else self.compute(dg, y)
        if dy is None:
            return along
        across = _times(_times(y * -2, dy), g)
        return across if along is None else np.add(across, along)

    def taylor(self, node, g, y):
        return series.product(g, TanhSlope().taylor(TanhSlope()(y[0]), y), first=node)


def _times(a, b):
    """a·b, in the memory of the array a, which nobody else knows, if it fits in there."""
    fits = a.ndim and a.shape == b.shape and a.dtype == b.dtype
    return np.multiply(a, b, out=a if fits else None)


class Sigmoid(Elementwise):
    """1 / (1 + e⁻ᵃ).  d/da = σ·(1 - σ)"""

    __slots__ = ()

    def compute(self, a):
        # Where e⁻ᵃ overflows, 1/∞ is the right answer.  (1 + tanh(a/2)) / 2 would lose all digits: ln σ(-50) = -50.
        with np.errstate(over="ignore"):
            out = np.exp(np.negative(a) if a.dtype.kind in "fc" else a * -1.0)
        out += 1
        return np.reciprocal(out)

    def gradient(self, out_grad, node):
        return multiply(out_grad, node * (1 - node))

    def taylor(self, node, a):
        return sigmoid_series(node, a)


def sigmoid_series(y0, a) -> list:
    """The series of σ(a), which begins with y0, as that of (1 + tanh(a/2)) / 2: near a = 0, where every second one of
    the derivatives is small, none is the difference of large numbers."""
    half = series.each(a[0] / 2, lambda x: x / 2, a)
    t = series.tangent(tanh(half[0]), y0 * sigmoid(negate(a[0])) * 4, -1, half)
    return series.each(y0, lambda x: x / 2, t)


log = _named("log", Log())
log1p = _named("log1p", Log1p())
exp = _named("exp", Exp())
expm1 = _named("expm1", Expm1())
sqrt = _named("sqrt", Sqrt())
square = _named("square", Square())
abs = _named("abs", Abs())
sin = _named("sin", Sin())
cos = _named("cos", Cos())
tan = _named("tan", Tan())
arctan = _named("arctan", Arctan())
tanh = _named("tanh", Tanh())
sigmoid = _named("sigmoid", Sigmoid())
