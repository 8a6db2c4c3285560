"""Elementwise functions that are no ufuncs: parts of complex numbers, bounds, what is not finite, sinc and i0."""

import numpy as np

from .. import ops
from ..graph import Tensor
from ..ops.complex_numbers import Angle, Imag, Real
from ..ops.logarithmic import BesselI
from ..ops.steps import Step
from ..ops.trigonometric import Sinc
from .dispatch import as_tensor, implements


@implements(np.real)
def real(val) -> Tensor:
    """The real part; a real Tensor as it is."""
    return Real()(val) if val.dtype.kind == "c" else val


@implements(np.imag)
def imag(val) -> Tensor:
    """The imaginary part, of a real Tensor 0."""
    return Imag()(val)


@implements(np.angle)
def angle(z, deg=False) -> Tensor:
    """The argument of a complex number, of a real one 0 or π; in degrees on request."""
    z = as_tensor(z)
    result = Angle()(z)
    return result * (180 / np.pi) if deg else result


@implements(np.real_if_close)
def real_if_close(a, tol=100) -> Tensor:
    """The real part, if all imaginary parts are smaller than `tol` (in units of the dtype's eps if above 1)."""
    a = as_tensor(a)
    if a.dtype.kind != "c":
        return a
    if tol > 1:
        tol = tol * np.finfo(a.dtype).eps
    near = np.all(np.absolute(a.detach().numpy().imag) < tol)
    return real(a) if near else a


@implements(np.clip)
def clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None, dtype=None) -> Tensor:
    """a held within bounds, which broadcast and may be Tensors; on a bound the derivative belongs to a."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    a = as_tensor(a) if dtype is None else as_tensor(a).astype(dtype)
    if all(bound is None or isinstance(bound, (bool, int, float)) for bound in (low, high)):
        return ops.clip(a, low, high)
    if low is not None:
        low = ops.arithmetic.operand(low, a)
        a = ops.where(ops.less(a, as_tensor(low)), as_tensor(low), a)
    if high is not None:
        high = ops.arithmetic.operand(high, a)
        a = ops.where(ops.greater(a, as_tensor(high)), as_tensor(high), a)
    return a


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """x with numbers in place of nan (0) and of infinities (the largest there are); there the derivative is 0."""
    x = as_tensor(x)
    if x.dtype.kind == "c":
        first, second = (nan_to_num(part, copy, nan, posinf, neginf) for part in (real(x), imag(x)))
        return first + second * 1j
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    infinite = Step(np.isinf)(x)
    positive = ops.greater(x, 0)
    x = ops.where(Step(np.isnan)(x), nan, x)
    x = ops.where(ops.logical_and(infinite, positive), limits.max if posinf is None else posinf, x)
    below = ops.logical_and(infinite, ops.logical_not(positive))
    return ops.where(below, limits.min if neginf is None else neginf, x)


def _floating(x) -> Tensor:
    """Whole numbers as float64; others as they are."""
    x = as_tensor(x)
    return x if x.dtype.kind in "fc" else ops.Cast(float)(x)


@implements(np.sinc)
def sinc(x) -> Tensor:
    """sin(πx) / (πx), 1 at 0."""
    return Sinc()(_floating(x))


@implements(np.i0)
def i0(x) -> Tensor:
    """The modified Bessel function of the first kind of order 0."""
    return BesselI(0)(_floating(x))
