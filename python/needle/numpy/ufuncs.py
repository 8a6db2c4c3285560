"""NumPy's ufuncs, each as what it does with Tensors: the functions of `needle` where there are any, and ops beside."""

from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Tensor
from ..ops.fractions import (
    Copysign,
    Exponent,
    Fmax,
    Fmin,
    Fmod,
    FractionalPart,
    Frexp,
    Heaviside,
    Ldexp,
    Remainder,
)
from ..ops.kinds import Cast
from ..ops.logarithmic import Cbrt, Exp2, Log2, Log10, LogAddExp, LogAddExp2, Reciprocal
from ..ops.steps import Step
from ..ops.trigonometric import Arccos, Arccosh, Arcsin, Arcsinh, Arctan2, Arctanh, Cosh, Hypot, Sinh
from .dispatch import TABLE, as_tensor, as_tensors, implements


def elementwise(op) -> Callable[..., Tensor]:
    """The function that calls `op` on operands of which at least one is a Tensor."""

    def function(*operands):
        for operand in operands:
            if type(operand) is not Tensor:
                return op(*as_tensors(operands))
        return op(*operands)

    return function


def _operator(forward: Callable, reflected: Callable):
    """A ufunc by way of Tensor's operators, which know best what to do with numbers: `2 * x` is one node.

    They are called as methods: NumPy's arrays and scalars would hand the operator back to their ufunc.
    """

    def function(a, b):
        a, b = _other(a), _other(b)
        result = forward(a, b) if isinstance(a, Tensor) else reflected(b, a)
        if result is NotImplemented:
            raise TypeError(f"operand must be a Tensor, an array or a number, got {type(a).__name__, type(b).__name__}")
        return result

    return function


def _other(value):
    if isinstance(value, (list, tuple)) or (hasattr(value, "__array_function__") and not isinstance(value, _KNOWN)):
        return as_tensor(value)
    return value


_KNOWN = (Tensor, np.ndarray)  # what operators of Tensors take themselves, of arrays


TABLE.update({
    np.add: _operator(Tensor.__add__, Tensor.__radd__),
    np.subtract: _operator(Tensor.__sub__, Tensor.__rsub__),
    np.multiply: _operator(Tensor.__mul__, Tensor.__rmul__),
    np.true_divide: _operator(Tensor.__truediv__, Tensor.__rtruediv__),
    np.power: _operator(Tensor.__pow__, Tensor.__rpow__),
    np.matmul: _operator(Tensor.__matmul__, Tensor.__rmatmul__),
    np.negative: ops.negate,
    np.absolute: ops.abs,
    np.conjugate: ops.conjugate,
    np.square: ops.square,
    np.sqrt: ops.sqrt,
    np.cbrt: Cbrt(),
    np.reciprocal: Reciprocal(),
    np.exp: ops.exp,
    np.exp2: Exp2(),
    np.expm1: ops.expm1,
    np.log: ops.log,
    np.log2: Log2(),
    np.log10: Log10(),
    np.log1p: ops.log1p,
    np.logaddexp: elementwise(LogAddExp()),
    np.logaddexp2: elementwise(LogAddExp2()),
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tan: ops.tan,
    np.arcsin: Arcsin(),
    np.arccos: Arccos(),
    np.arctan: ops.arctan,
    np.arctan2: elementwise(Arctan2()),
    np.hypot: elementwise(Hypot()),
    np.sinh: Sinh(),
    np.cosh: Cosh(),
    np.tanh: ops.tanh,
    np.arcsinh: Arcsinh(),
    np.arccosh: Arccosh(),
    np.arctanh: Arctanh(),
    np.maximum: elementwise(ops.Maximum()),
    np.minimum: elementwise(ops.Minimum()),
    np.fmax: elementwise(Fmax()),
    np.fmin: elementwise(Fmin()),
    np.remainder: elementwise(Remainder()),
    np.fmod: elementwise(Fmod()),
    np.copysign: elementwise(Copysign()),
    np.heaviside: elementwise(Heaviside()),
})  # fmt: skip


# Piecewise constant: what comes out is a constant.

for _ufunc in (
    np.floor, np.ceil, np.rint, np.trunc, np.isfinite, np.isinf, np.isnan, np.signbit, np.spacing, np.invert,
    np.logical_not, getattr(np, "bitwise_count", None),
):  # fmt: skip
    if _ufunc is not None:
        TABLE[_ufunc] = Step(_ufunc)

for _ufunc in (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
    np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift, np.gcd, np.lcm,
    np.floor_divide, np.nextafter,
):  # fmt: skip
    TABLE[_ufunc] = elementwise(Step(_ufunc))


# --------------------------------------------------------------------------------------------------------------------
# What takes more than one op


@implements(np.sign)
def sign(x):
    """-1, 0 or 1, a constant; of a complex number z the number z/|z|, which is none."""
    if x.dtype.kind != "c":
        return ops.sign(x)
    size = ops.abs(x)
    return ops.divide(x, ops.where(ops.equal(size, 0), 1, size))


def inexact(x: Tensor) -> Tensor:
    """Whole numbers and bools in the floating-point dtype that NumPy's ufuncs give for them; others as they are."""
    return x if x.dtype.kind in "fc" else Cast(np.sqrt(np.zeros((), x.dtype)).dtype)(x)


def _real(x: Tensor, ufunc: np.ufunc) -> Tensor:
    """x as a floating-point number, or NumPy's own error if it is complex."""
    if x.dtype.kind == "c":
        ufunc(np.zeros((), x.dtype))
    return inexact(x)


@implements(np.positive)
def positive(x):
    """+x, as a new Tensor; bools have no sign."""
    if x.dtype == bool:
        np.positive(np.zeros((), bool))  # NumPy's error
    return ops.Identity()(x)


@implements(np.fabs)
def fabs(x):
    """|x|, of whole numbers too as a floating-point number."""
    return ops.abs(_real(x, np.fabs))


@implements(np.deg2rad, np.radians)
def deg2rad(x):
    """x·π/180."""
    return _real(x, np.deg2rad) * (np.pi / 180)


@implements(np.rad2deg, np.degrees)
def rad2deg(x):
    """x·180/π."""
    return _real(x, np.rad2deg) * (180 / np.pi)


@implements(np.ldexp)
def ldexp(x1, x2):
    """x1·2 to the power x2, which is whole."""
    return Ldexp()(as_tensor(x1), as_tensor(x2))


@implements(np.float_power)
def float_power(x1, x2):
    """x1 to the power x2, in float64 at least."""
    dtype = np.float_power(*[np.zeros((), x.dtype) if isinstance(x, Tensor) else x for x in (x1, x2)]).dtype
    return ops.power(*[x if x.dtype == dtype else Cast(dtype)(x) for x in map(as_tensor, (x1, x2))])


@implements(np.divmod)
def divmod(x1, x2):
    """(⌊x1 / x2⌋, the remainder)."""
    return TABLE[np.floor_divide](x1, x2), TABLE[np.remainder](x1, x2)


@implements(np.modf)
def modf(x):
    """(the part behind the point, the whole part)."""
    return FractionalPart()(x), Step(np.trunc)(inexact(x))


@implements(np.frexp)
def frexp(x):
    """(mantissa m, exponent e) of x = m·2ᵉ with ½ ≤ |m| < 1."""
    return Frexp()(x), Exponent()(x)


@implements("vecdot")
def vecdot(x1, x2, *, axis=-1, keepdims=False):
    """Σ conj(x1)·x2 over an axis."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    product = ops.multiply(ops.conjugate(x1) if x1.dtype.kind == "c" else x1, x2)
    return ops.Summation(axis, keepdims)(product)


@implements("matvec")
def matvec(x1, x2):
    """Matrices times vectors, over the last axes; leading axes broadcast."""
    x2 = as_tensor(x2)
    return ops.matmul(as_tensor(x1), ops.reshape(x2, (*x2.shape, 1)))[..., 0]


@implements("vecmat")
def vecmat(x1, x2):
    """Conjugated vectors times matrices, over the last axes; leading axes broadcast."""
    x1 = as_tensor(x1)
    x1 = ops.conjugate(x1) if x1.dtype.kind == "c" else x1
    return ops.matmul(ops.reshape(x1, (*x1.shape[:-1], 1, x1.shape[-1])), as_tensor(x2))[..., 0, :]
