"""The methods, attributes and operators of NumPy's arrays that are functions of this package, attached to Tensor.

`operators.py` announces them; the first that is called loads this file, which puts the real ones in their places.
What writes into the array is attached in assignment.py and sorting.py.
"""

from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Tensor
from . import elementwise
from .dispatch import TABLE


def _attach(name: str, function: Callable) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`numpy.{name}` of this Tensor."
    setattr(Tensor, name, function)


def _method(plain: Callable) -> Callable:
    """A method that does what the function `plain` of NumPy does; its rule may be put into the table later."""

    def method(self, *args, **kwargs):
        return TABLE[plain](self, *args, **kwargs)

    return method


for _name in (
    "all", "any", "argpartition", "argsort", "choose", "conj", "conjugate", "cumprod", "cumsum", "diagonal", "dot",
    "nonzero", "prod", "ptp", "ravel", "repeat", "round", "searchsorted", "squeeze", "std", "swapaxes", "take", "trace",
):  # fmt: skip
    _attach(_name, _method(getattr(np, _name)))


def compress(self, condition, axis=None, out=None) -> Tensor:
    """`numpy.compress`, whose condition comes first."""
    return TABLE[np.compress](condition, self, axis, out)


def partition(self, kth, axis=-1, kind="introselect", order=None) -> None:
    """`numpy.partition`, in place: this Tensor takes the new value."""
    self[...] = TABLE[np.partition](self, kth, axis, kind, order)


def rounded(self, digits: int | None = None) -> Tensor:
    """`round(x)`: a constant."""
    return TABLE[np.round](self, digits or 0)


def contains(self, value) -> bool:
    """Whether some element equals `value`."""
    return bool(ops.equal(self, value).node.data.any())


Tensor.compress, Tensor.partition = compress, partition
Tensor.__contains__, Tensor.__round__ = contains, rounded
Tensor.real = property(elementwise.real, doc="The real part.")
Tensor.imag = property(elementwise.imag, doc="The imaginary part.")


class Flat:
    """The elements in one row, as `numpy.ndarray.flat`: to iterate over, to index, and to assign into."""

    def __init__(self, tensor: Tensor):
        self.base = tensor

    def __len__(self) -> int:
        return self.base.size

    def __getitem__(self, index) -> Tensor:
        return ops.reshape(self.base, -1)[index]

    def __setitem__(self, index, value) -> None:
        row = ops.reshape(self.base, -1).copy()
        row[index] = value
        self.base[...] = ops.reshape(row, self.base.shape)

    def __iter__(self):
        return iter(ops.reshape(self.base, -1))

    def __array__(self, dtype=None, copy=None):
        return self.base.__array__(dtype, copy).reshape(-1)

    def copy(self) -> Tensor:
        """The elements as a 1-d Tensor."""
        return ops.reshape(self.base, -1)


def _set_flat(self, value) -> None:
    Flat(self)[:] = value


Tensor.flat = property(Flat, _set_flat, doc=Flat.__doc__)


# --------------------------------------------------------------------------------------------------------------------
# Operators


_OPERANDS = (Tensor, np.ndarray, np.generic, int, float, complex)


def _operators(name: str, ufunc: np.ufunc) -> None:
    """The operator `name` and its reflection."""

    def forward(self, other):
        return TABLE[ufunc](self, other) if isinstance(other, _OPERANDS) else NotImplemented

    def reflected(self, other):
        return TABLE[ufunc](other, self) if isinstance(other, _OPERANDS) else NotImplemented

    _attach(f"__{name}__", forward)
    _attach(f"__r{name}__", reflected)


_operators("mod", np.remainder)
_operators("floordiv", np.floor_divide)
_operators("divmod", np.divmod)
_operators("and", np.bitwise_and)
_operators("or", np.bitwise_or)
_operators("xor", np.bitwise_xor)
_operators("lshift", np.left_shift)
_operators("rshift", np.right_shift)
