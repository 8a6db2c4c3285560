"""The roots of a polynomial, whose derivative is that of an implicit function.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from ..graph import TensorOp
from .arithmetic import divide, multiply
from .kinds import Cast
from .movement import reshape, stack
from .reductions import Summation

__all__ = ["Roots"]


class Roots(TensorOp):
    """The roots r of p₀xⁿ + … + pₙ, complex, at most n of them.  From p(r) = 0:  dr/dpₖ = -rⁿ⁻ᵏ / p'(r)

    At a multiple root p' is 0, and there is no derivative.
    """

    __slots__ = ()

    def compute(self, p):
        return np.roots(p).astype(np.result_type(p.dtype, np.complex64), copy=False)

    def slopes(self, node):
        """-rⁿ⁻ᵏ / p'(r): a row for each root, a column for each coefficient."""
        (p,) = node.inputs
        n = p.size - 1
        powers = [node * 0 + 1]
        for _ in range(n):
            powers.append(powers[-1] * node)
        complex_p = p if p.dtype.kind == "c" else Cast(node.dtype)(p)
        steepness = sum(powers[n - k - 1] * complex_p[k] * (n - k) for k in range(n))
        return divide(-stack(powers[::-1], 1), reshape(steepness, (-1, 1)))

    def gradient(self, out_grad, node):
        return Summation(0)(multiply(self.slopes(node), reshape(out_grad, (-1, 1))))

    def tangent(self, node, tangent):
        return Summation(1)(multiply(self.slopes(node), tangent))
