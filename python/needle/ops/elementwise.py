"""Elementwise arithmetic and functions.  Rules are written at the output's shape; `Elementwise` does the rest.

Numbers are weak: an op with a `scalar` keeps the dtype of its Tensor within its kind, as Python numbers do in NumPy.
"""

from functools import partial

import numpy as np

from ..graph import Tensor, leaf
from . import series
from .kinds import Broadcasting, BroadcastTo, Elementwise, Multilinear, PiecewiseConstant, zeros_like
from .selection import selected

__all__ = [
    "Abs", "AddScalar", "Arctan", "Clip", "Conjugate", "Cos", "DivScalar", "EWiseAdd", "EWiseDiv", "EWiseMul",
    "EWisePow", "Exp", "Expm1", "Extremum", "GELU", "Log", "Log1p", "Maximum", "Minimum", "MulScalar", "Negate",
    "PowerScalar", "ReLU", "ScalarDiv", "ScalarOp", "ScalarPower", "SiLU", "Sigmoid", "Sin", "Softplus", "Sqrt",
    "Square", "Step", "Tan", "Tanh", "TieShare", "Where", "abs", "add", "add_scalar", "arctan", "ceil",
    "clip", "conjugate", "cos", "divide", "divide_scalar", "equal", "exp", "expm1", "floor", "gelu", "greater",
    "greater_equal", "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or", "logical_xor",
    "maximum", "minimum", "mul_scalar", "multiply", "negate", "not_equal", "power", "power_scalar", "relu", "sigmoid",
    "sign", "silu", "sin", "softplus", "sqrt", "square", "subtract", "tan", "tanh", "where",
]  # fmt: skip


class ScalarOp(Elementwise):
    """An op on a Tensor and a number, which is an attribute: `scalar` may be a Python or NumPy number or an array of
    one element."""

    __slots__ = ("scalar", "number", "_array")

    def __init__(self, scalar):
        self.scalar = scalar
        self.number = scalar if type(scalar) in (float, int) else weak_number(scalar)
        self._array = None

    def operand(self, a):
        """The number as it stands beside `a`: as an array of the same dtype, which NumPy takes in half the time."""
        array = self._array
        if array is None or array.dtype is not a.dtype:
            if type(self.number) is not float or a.dtype.char not in "fd" or type(a) is not np.ndarray:
                return self.number
            array = self._array = np.array(self.number, a.dtype)
        return array


def weak_number(scalar, name="scalar"):
    """`scalar` as a Python number, which never changes the dtype of what it meets within its kind."""
    if isinstance(scalar, (np.generic, np.ndarray)) and scalar.size == 1 and scalar.dtype.kind in "biufc":
        return scalar.item()
    if isinstance(scalar, (bool, int, float, complex)):
        return scalar
    raise TypeError(f"{name} must be a number or an array of one element, got {type(scalar).__name__} {scalar!r}")


# --------------------------------------------------------------------------------------------------------------------
# Arithmetic


class EWiseAdd(Elementwise):
    """a + b"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a, b):
        return np.add(a, b)

    def gradient(self, out_grad, node):
        return out_grad, out_grad

    def tangent(self, node, a, b):
        total = series.total(a, b)
        return total if total.shape == node.shape else BroadcastTo(node.shape)(total)

    def taylor(self, node, a, b):
        return [node, *[series.total(*pair) for pair in zip(a[1:], b[1:])]]


class AddScalar(ScalarOp):
    """a + scalar"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        try:
            return np.add(a, self.operand(a))
        except OverflowError:  # unsigned numbers minus a number: NumPy subtracts, but will not add a negative one
            return np.subtract(a, -self.number)

    def gradient(self, out_grad, node):
        return out_grad

    def taylor(self, node, a):
        return [node, *a[1:]]


class EWiseMul(Elementwise):
    """a · b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.multiply(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return (
            multiply(out_grad, b) if node.needs(0) else None,
            multiply(out_grad, a) if node.needs(1) else None,
        )

    tangent = Multilinear.tangent

    def taylor(self, node, a, b):
        return series.product(a, b, first=node)


class MulScalar(ScalarOp):
    """a · scalar"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.multiply(a, self.operand(a))

    def gradient(self, out_grad, node):
        return self(out_grad)

    def taylor(self, node, a):
        return series.each(node, self, a)


class EWiseDiv(Elementwise):
    """a / b"""

    __slots__ = ()

    def compute(self, a, b):
        return np.true_divide(a, b)

    def gradient(self, out_grad, node):
        b = node.inputs[1]
        by_b = divide(out_grad, b)
        return by_b, negate(multiply(by_b, node)) if node.needs(1) else None

    def taylor(self, node, a, b):
        return series.quotient(a, b, first=node)


class DivScalar(ScalarOp):
    """a / scalar"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.true_divide(a, self.operand(a))

    def gradient(self, out_grad, node):
        return self(out_grad)

    def taylor(self, node, a):
        return series.each(node, self, a)


class ScalarDiv(ScalarOp):
    """scalar / a"""

    __slots__ = ()

    def compute(self, a):
        return np.true_divide(self.operand(a), a)

    def gradient(self, out_grad, node):
        return negate(multiply(out_grad, divide(node, node.inputs[0])))

    def taylor(self, node, a):
        return series.reciprocal(node, a)


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
        return a**self.number

    def gradient(self, out_grad, node):
        n = self.number
        if n == 0:
            return zeros_like(out_grad)
        if n == 1:
            return out_grad
        (a,) = node.inputs
        return multiply(out_grad, mul_scalar(a if n == 2 else power_scalar(a, n - 1), n))

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


class Conjugate(Elementwise):
    """The complex conjugate of a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.conjugate(a)

    def gradient(self, out_grad, node):
        return conjugate(out_grad)

    def taylor(self, node, a):
        return series.each(node, self, a)


class Negate(Elementwise):
    """-a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.negative(a)

    def gradient(self, out_grad, node):
        return negate(out_grad)

    def taylor(self, node, a):
        return series.each(node, self, a)


# --------------------------------------------------------------------------------------------------------------------
# Functions of one variable


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
        return multiply(out_grad, TanhSlope()(node))

    def slopes(self, a, y, count):
        """The first `count` ≤ 3 derivatives, as arrays."""
        slope = np.square(y)
        np.subtract(1, slope, out=slope)
        bend = y * slope
        bend *= -2
        if count == 2:
            return [slope, bend]
        twist = slope * -6
        twist += 4
        twist *= slope
        return [slope, bend, twist]

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


class Sigmoid(Elementwise):
    """1 / (1 + e⁻ᵃ).  d/da = σ·(1 - σ)"""

    __slots__ = ()

    def compute(self, a):
        # Where e⁻ᵃ overflows, 1/∞ is the right answer.  (1 + tanh(a/2)) / 2 would lose all digits: ln σ(-50) = -50.
        with np.errstate(over="ignore"):
            out = np.exp(a * -1.0)
        out += 1
        return 1 / out

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
        return series.each(node, lambda x: where(positive, x, 0), a)


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


# --------------------------------------------------------------------------------------------------------------------
# Choices


class Extremum(Elementwise):
    """The larger or smaller of two; at ties the derivative is shared equally."""

    __slots__ = ()

    lanes = "own"

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return (
            taken(out_grad, TieShare()(a, b, node)) if node.needs(0) else None,
            taken(out_grad, TieShare()(b, a, node)) if node.needs(1) else None,
        )

    def taylor(self, node, a, b):
        shares = TieShare()(a[0], b[0], node), TieShare()(b[0], a[0], node)

        return [node, *[series.total(taken(x, shares[0]), taken(y, shares[1])) for x, y in zip(a[1:], b[1:])]]


def taken(x, share):
    """share·x for an op that selects; not the product alone, in which 0·∞ would be nan.  None stands for 0."""
    if x is None:
        return None
    some = not_equal(share, 0)
    return selected(where(some, multiply(share, x), 0), some)


class Maximum(Extremum):
    """max(a, b)"""

    __slots__ = ()

    def compute(self, a, b):
        return np.maximum(a, b)


class Minimum(Extremum):
    """min(a, b)"""

    __slots__ = ()

    def compute(self, a, b):
        return np.minimum(a, b)


class TieShare(Broadcasting, PiecewiseConstant):
    """The part of `chosen` = max(a, b) (or min) that came from a: 1, 0, or ½ at a tie"""

    __slots__ = ()

    def compute(self, a, b, chosen):
        dtype = chosen.dtype if chosen.dtype.kind == "f" else float
        return np.where(a == b, 0.5, a == chosen).astype(dtype)


def chosen(condition, x, y):
    """x where the condition holds, else y; None stands for 0."""
    return None if x is None and y is None else where(condition, 0 if x is None else x, 0 if y is None else y)


class Where(Elementwise):
    """a where the condition holds, else b"""

    __slots__ = ()

    lanes = "own"

    def compute(self, condition, a, b):
        if b.ndim == 0 and b.dtype == a.dtype and b == 0:
            return _within(condition, a)
        if a.ndim == 0 and b.dtype == a.dtype and a == 0:
            return _within(np.logical_not(condition), b)
        return np.where(condition, a, b)

    def gradient(self, out_grad, node):
        condition = node.inputs[0]
        zero = leaf(np.zeros((), out_grad.dtype))
        return (
            None,
            selected(where(condition, out_grad, zero), condition) if node.needs(1) else None,
            selected(where(condition, zero, out_grad), partial(logical_not, condition)) if node.needs(2) else None,
        )

    def taylor(self, node, condition, a, b):
        return [node, *[chosen(condition[0], *pair) for pair in zip(a[1:], b[1:])]]


_WHOLE = {"e": np.int16, "f": np.int32, "d": np.int64}  # whole numbers of as many bits as a floating-point one


def _within(mask, a):
    """np.where(mask, a, 0), in a fifth of the time: the bits of `a` times 0 or 1, which makes 0 of nan and inf too."""
    whole = _WHOLE.get(a.dtype.char)
    if whole is None or mask.dtype != bool or type(a) is not np.ndarray or not a.dtype.isnative:
        return np.where(mask, a, np.zeros((), a.dtype))
    return np.asarray(np.multiply(a.view(whole), mask)).view(a.dtype)


class Clip(Elementwise):
    """a held within [low, high] (None: no bound); the derivative on a bound is 1"""

    __slots__ = ("low", "high")

    lanes = "own"

    def __init__(self, low, high):
        self.low = low if low is None else weak_number(low, "low")
        self.high = high if high is None else weak_number(high, "high")

    def compute(self, a):
        return np.clip(a, self.low, self.high)

    def gradient(self, out_grad, node):
        inside = equal(node.inputs[0], node)
        return selected(where(inside, out_grad, 0), inside)

    def taylor(self, node, a):
        inside = equal(a[0], node)
        return series.each(node, lambda x: where(inside, x, 0), a)


# --------------------------------------------------------------------------------------------------------------------
# Piecewise constant


class Step(Broadcasting, PiecewiseConstant):
    """A NumPy ufunc whose derivative is zero (a comparison, `sign`, `floor`, a logical function), maybe with a number
    as its second argument."""

    __slots__ = ("ufunc", "scalar")

    def __init__(self, ufunc, scalar=None):
        self.ufunc = ufunc
        self.scalar = scalar if scalar is None else weak_number(scalar)

    def title(self):
        return self.ufunc.__name__

    def compute(self, *arrays):
        return self.ufunc(*arrays) if self.scalar is None else self.ufunc(*arrays, self.scalar)


# --------------------------------------------------------------------------------------------------------------------
# Functions


def operand(value, like: Tensor) -> Tensor:
    """`value` as a Tensor beside `like`: a number takes its dtype within its kind, an array becomes a constant."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float, complex, np.generic)):
        number, dtype = weak_number(value), like.dtype
        if dtype.kind not in "fc" or type(number) is complex:
            dtype = np.result_type(dtype, number)
        return leaf(np.asarray(number, dtype))
    return value


_IS_POSITIVE, _WHERE = Step(np.greater, 0), Where()
_ADD, _MULTIPLY, _DIVIDE, _POWER, _NEGATE = EWiseAdd(), EWiseMul(), EWiseDiv(), EWisePow(), Negate()


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b, broadcasting."""
    return _ADD(a, b)


def add_scalar(a: Tensor, scalar) -> Tensor:
    """a + scalar."""
    return AddScalar(scalar)(a)


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """a - b, broadcasting: two nodes, `add(a, negate(b))`."""
    return _ADD(a, _NEGATE(b))


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """a · b, elementwise, broadcasting."""
    return _MULTIPLY(a, b)


def mul_scalar(a: Tensor, scalar) -> Tensor:
    """a · scalar."""
    return MulScalar(scalar)(a)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b, elementwise, broadcasting."""
    return _DIVIDE(a, b)


def divide_scalar(a: Tensor, scalar) -> Tensor:
    """a / scalar."""
    return DivScalar(scalar)(a)


def power(a: Tensor, b: Tensor) -> Tensor:
    """aᵇ, elementwise, broadcasting."""
    return _POWER(a, b)


def power_scalar(a: Tensor, scalar) -> Tensor:
    """aⁿ for a number n."""
    return PowerScalar(scalar)(a)


def negate(a: Tensor) -> Tensor:
    """-a."""
    return _NEGATE(a)


def _named(name: str, op):
    """The function of that name that calls `op`, documented by the op."""

    def function(a: Tensor) -> Tensor:
        return op(a)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{type(op).__doc__.strip()}, elementwise."
    return function


conjugate = _named("conjugate", Conjugate())
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
softplus = _named("softplus", Softplus())
relu = _named("relu", ReLU())
silu = _named("silu", SiLU())
gelu = _named("gelu", GELU())


def maximum(a: Tensor, b) -> Tensor:
    """The larger of a and b (a Tensor or number), elementwise; a tie shares the derivative equally."""
    return Maximum()(a, operand(b, a))


def minimum(a: Tensor, b) -> Tensor:
    """The smaller of a and b (a Tensor or number), elementwise; a tie shares the derivative equally."""
    return Minimum()(a, operand(b, a))


def where(condition, a, b) -> Tensor:
    """a where `condition` holds, else b, broadcasting; a or b may be a number, the condition a Tensor or bool array."""
    if not isinstance(a, Tensor):
        if not isinstance(b, Tensor):
            a, b = (leaf(np.asarray(x)) for x in (a, b))
        else:
            a = operand(a, b)
    return _WHERE(condition, a, operand(b, a))


def clip(a: Tensor, low=None, high=None) -> Tensor:
    """a held within [low, high]; None leaves a side open.  The derivative is 1 within and on the bounds, else 0."""
    return Clip(low, high)(a)


def _comparison(ufunc):
    def compare(a: Tensor, b) -> Tensor:
        if isinstance(b, (bool, int, float, complex, np.generic)):
            return Step(ufunc, b)(a)
        return Step(ufunc)(a, b)

    compare.__name__ = compare.__qualname__ = ufunc.__name__
    compare.__doc__ = f"`numpy.{ufunc.__name__}`: a bool Tensor, a constant; b may be a number."
    return compare


greater, greater_equal = _comparison(np.greater), _comparison(np.greater_equal)
less, less_equal = _comparison(np.less), _comparison(np.less_equal)
equal, not_equal = _comparison(np.equal), _comparison(np.not_equal)
logical_and, logical_or = _comparison(np.logical_and), _comparison(np.logical_or)
logical_xor = _comparison(np.logical_xor)

logical_not, sign = _named("logical_not", Step(np.logical_not)), _named("sign", Step(np.sign))
floor, ceil = _named("floor", Step(np.floor)), _named("ceil", Step(np.ceil))
