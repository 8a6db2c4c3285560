"""The convolution of two vectors.  (Convolutions of images are in convolution.py.)

This file is loaded with `needle.numpy`.
"""

import numpy as np

from .kinds import Multilinear
from .movement import flip

__all__ = ["ConvolveVectors"]


class ConvolveVectors(Multilinear):
    """cₖ = Σᵢ aᵢ·vₖ₋ᵢ, wherever the two overlap"""

    __slots__ = ()

    def compute(self, a, v):
        return np.convolve(a, v)

    def gradient(self, out_grad, node):
        a, v = node.inputs
        return (
            _middle(self(out_grad, flip(v, 0)), v.size, a.size) if node.needs(0) else None,
            _middle(self(out_grad, flip(a, 0)), a.size, v.size) if node.needs(1) else None,
        )


def _middle(full, other: int, n: int):
    """The n elements of a convolution with `other` elements for which these were all there."""
    return full[other - 1 : other - 1 + n]
