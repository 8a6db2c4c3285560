"""Ufuncs of SciPy as ops, from their derivatives.

    differentiate(sp.erf, lambda y, x: 2 / √π · exp(-x²))

One expression an argument, of the output y and the inputs, written with NumPy's and SciPy's functions: called on
Tensors, so that they are differentiated again.
"""

from collections.abc import Callable

import numpy as np

from ...graph import Tensor, leaf
from ...numpy.dispatch import TABLE, as_tensor
from ...ops.arithmetic import multiply
from ...ops.kinds import Elementwise

WHOLE = "whole"  # an argument that is a whole number: there is no derivative, nor is one missed
NO_FORMULA = None  # an argument in which the derivative has no closed form: asking for it is an error

SLOPES: dict[tuple[np.ufunc, int], tuple] = {}  # (ufunc, which of its results) -> one expression an argument


class SpecialFunction(Elementwise):
    """One result of a ufunc of SciPy"""

    __slots__ = ("ufunc", "index")

    def __init__(self, ufunc: np.ufunc, index: int = 0):
        self.ufunc, self.index = ufunc, index

    def title(self) -> str:
        return f"scipy.special.{self.ufunc.__name__}"

    def compute(self, *arrays):
        result = self.ufunc(*arrays)
        return result[self.index] if self.ufunc.nout > 1 else result

    def gradient(self, out_grad, node):
        inputs = node.inputs
        return tuple([self._partial(i, out_grad, node, inputs) for i in range(len(inputs))])

    def _partial(self, i: int, out_grad, node, inputs):
        if not node.needs(i):
            return None
        slope = SLOPES[self.ufunc, self.index][i]
        if slope is NO_FORMULA:
            raise TypeError(
                f"{self.title()} has no derivative in closed form in its argument {i + 1}; "
                "hand that over as a constant (needle.stop_gradient), or give a rule (needle.custom_jvp)"
            )
        return None if slope is WHOLE else multiply(out_grad, slope(node, *inputs))


def differentiate(ufunc: np.ufunc, *slopes) -> None:
    """Let `ufunc`, of one result, be called on Tensors: ∂y/∂xᵢ = slopes[i](y, x₁, x₂, …)."""
    SLOPES[ufunc, 0] = slopes
    TABLE[ufunc] = _calling(SpecialFunction(ufunc), slopes)


def differentiate_all(ufunc: np.ufunc, *results: tuple) -> None:
    """The same for a ufunc of several results: one tuple of slopes for each."""
    rules = []
    for index, slopes in enumerate(results):
        SLOPES[ufunc, index] = slopes
        rules.append(_calling(SpecialFunction(ufunc, index), slopes))
    TABLE[ufunc] = lambda *args: tuple([rule(*args) for rule in rules])


def _calling(op: SpecialFunction, slopes: tuple) -> Callable:
    """The function that calls `op` with numbers in the dtype of the Tensors, but for whole numbers."""

    def function(*args):
        if all(type(arg) is Tensor for arg in args):
            return op(*args)
        like = next(arg.dtype for arg in args if isinstance(arg, Tensor))
        return op(*[_operand(arg, like, slope is WHOLE) for arg, slope in zip(args, slopes)])

    return function


def _operand(value, like: np.dtype, whole: bool) -> Tensor:
    """An argument as a Tensor.  A number is as precise as the Tensors, and real even beside complex ones."""
    if isinstance(value, (bool, int, float, np.number)) and not whole and not isinstance(value, np.complexfloating):
        return leaf(np.asarray(value, np.finfo(like).dtype if like.kind in "fc" else float))
    return as_tensor(value)
