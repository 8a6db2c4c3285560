"""The methods and attributes of NumPy's arrays that are functions of this package, attached to Tensor.

`operators.py` announces them; the first that is called loads this file, which puts the real ones in their places.
"""

from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Tensor
from . import constants, cumulative, elementwise, reductions
from .dispatch import TABLE

_FILLED = constants, cumulative, elementwise, reductions  # they have filled the table


def attach(name: str, function: Callable | None = None) -> None:
    """Make `name` a method of Tensor: a function of the array, by default what is called so in NumPy."""
    rule = TABLE[getattr(np, name)] if function is None else function

    def method(self, *args, **kwargs):
        return rule(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`numpy.{name}` of this Tensor."
    setattr(Tensor, name, method)


for _name in ("all", "any", "argpartition", "argsort", "cumprod", "cumsum", "nonzero", "prod", "ptp", "searchsorted"):
    attach(_name)
for _name in ("std", "round"):
    attach(_name)
attach("conj", ops.conjugate)
attach("conjugate", ops.conjugate)
Tensor.real = property(elementwise.real, doc="The real part.")
Tensor.imag = property(elementwise.imag, doc="The imaginary part.")
