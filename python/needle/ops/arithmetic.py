"""Sums, products and quotients, of Tensors and of a Tensor and a number.

Rules are written at the output's shape; `Elementwise` does the rest.  Numbers are weak: an op with a `scalar` keeps the
dtype of its Tensor within its kind, as Python numbers do in NumPy.
"""

import numpy as np

from ..graph import Tensor, constant
from . import series
from .kinds import BroadcastTo, Cast, Elementwise, Linear, Multilinear, ToWhole
from .steps import _named, weak_number

__all__ = [
    "AddScalar", "Conjugate", "DivScalar", "EWiseAdd", "EWiseDiv", "EWiseMul", "MulScalar", "Negate", "ScalarDiv",
    "ScalarOp", "add", "add_scalar", "conjugate", "divide", "divide_scalar", "mul_scalar", "multiply", "negate",
    "subtract",
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
            if type(self.number) not in (float, int) or a.dtype.char not in "fd" or type(a) is not np.ndarray:
                return self.number
            array = self._array = np.array(self.number, a.dtype)
        return array


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

    def array_tangent(self, output, inputs, tangents):
        a, b = tangents
        total = a if b is None else b if a is None else np.add(a, b)
        return total if total.shape == output.shape else np.broadcast_to(total, output.shape)

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

    def array_tangent(self, output, inputs, tangents):
        return tangents[0]

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
    array_tangent = Multilinear.array_tangent

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

    array_tangent = Linear.array_tangent

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

    array_tangent = Linear.array_tangent

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


class Conjugate(Elementwise):
    """The complex conjugate of a"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return np.conjugate(a)

    def gradient(self, out_grad, node):
        return conjugate(out_grad)

    array_tangent = Linear.array_tangent

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

    array_tangent = Linear.array_tangent

    def taylor(self, node, a):
        return series.each(node, self, a)


NUMBERS = (float, int, complex, np.generic)


def operand(value, like: Tensor) -> Tensor:
    """`value` as a Tensor beside `like`: a number takes its dtype within its kind, an array becomes a constant."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, NUMBERS):
        number, dtype = value if type(value) in (float, int) else weak_number(value), like.node.data.dtype
        if dtype.kind not in "fc" or type(number) is complex:
            dtype = np.result_type(dtype, number)
        return constant(np.array(number, dtype))
    return value


_ADD = EWiseAdd()
_MULTIPLY = EWiseMul()
_DIVIDE = EWiseDiv()
_NEGATE = Negate()


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b, broadcasting."""
    return _ADD(a, b)


def add_scalar(a: Tensor, scalar) -> Tensor:
    """a + scalar."""
    return AddScalar(scalar)(a)


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """a - b, broadcasting: two nodes, `add(a, negate(b))`."""
    return _ADD(a, _NEGATE(widened(b, a.dtype) if b.dtype.kind in "iu" else b))


def widened(whole: Tensor, dtype) -> Tensor:
    """Whole numbers that are to be subtracted from `dtype`, in the dtype of the difference: in fewer bits, or without
    a sign, their negatives would be other numbers."""
    wide = np.result_type(whole.dtype, dtype)
    if wide == whole.dtype:
        return whole
    return Cast(wide)(whole) if wide.kind in "fc" else ToWhole(wide)(whole)


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


def negate(a: Tensor) -> Tensor:
    """-a."""
    return _NEGATE(a)


conjugate = _named("conjugate", Conjugate())
