"""Class labels and indices: whole numbers, whatever the dtype that they come in."""

import numpy as np

from ..graph import Tensor
from ..ops.kinds import Broadcasting, PiecewiseConstant

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class WholeNumbers(Broadcasting, PiecewiseConstant):
    """The numbers as integers, all of them checked to be whole and within [0, limit)."""

    __slots__ = ("limit", "name", "layer")

    checks = True

    def __init__(self, limit: int, name: str, layer: str):
        self.limit, self.name, self.layer = limit, name, layer

    def title(self) -> str:
        return self.layer

    def compute(self, a):
        whole = a
        if a.dtype.kind not in "iu":
            with np.errstate(invalid="ignore"):  # nan has no integer: it is found just below
                whole = a.astype(np.int64)
            wrong = whole != a
            if wrong.any():
                where = np.argwhere(wrong)[0].tolist()
                raise ValueError(f"every {self.name} must be a whole number, got {a[wrong][0]} at {where}")
        # Seen as unsigned, a negative number is larger than any limit: one pass finds both.
        bits = whole.view(_UNSIGNED[whole.dtype.itemsize]) if whole.dtype.kind == "i" else whole
        if bits.size and np.maximum.reduce(bits, None) >= self.limit:
            wrong = (whole < 0) | (whole >= self.limit)
            where = np.argwhere(wrong)[0].tolist()
            raise ValueError(f"every {self.name} must lie in [0, {self.limit}), got {whole[wrong][0]} at {where}")
        return whole


def whole_numbers(a: Tensor, limit: int, name: str, layer: str) -> Tensor:
    """a as an integer Tensor; ValueError if one is not whole or not in [0, limit), which names it and the layer (`name`
    says what one is: a label, an index)."""
    return WholeNumbers(limit, name, layer)(a)
