"""Ops that are constant but for steps: comparisons, signs, rounding, logic.  Their derivative is zero."""

import numpy as np

from ..graph import Tensor
from .kinds import Broadcasting, PiecewiseConstant

__all__ = [
    "Step", "ceil", "equal", "floor", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_not",
    "logical_or", "logical_xor", "not_equal", "sign",
]  # fmt: skip


def weak_number(scalar, name="scalar"):
    """`scalar` as a Python number, which never changes the dtype of what it meets within its kind."""
    if isinstance(scalar, (np.generic, np.ndarray)) and scalar.size == 1 and scalar.dtype.kind in "biufc":
        return scalar.item()
    if isinstance(scalar, (bool, int, float, complex)):
        return scalar
    shape = getattr(scalar, "shape", None)
    came = f"of shape {shape}" if shape is not None else f"{scalar!r:.40}"
    raise TypeError(f"{name} must be a number or an array of one element, got {type(scalar).__name__} {came}")


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


def _named(name: str, op):
    """The function of that name that calls `op`, documented by the op."""

    def function(a: Tensor) -> Tensor:
        return op(a)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{type(op).__doc__.strip()}, elementwise."
    return function


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
