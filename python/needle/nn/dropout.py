"""Dropout."""

from .. import init
from ..graph import Tensor
from ..init import Generator
from ..ops.arithmetic import divide_scalar, multiply
from .arguments import require_probability, require_tensor
from .module import Module


class Dropout(Module):
    """Training: y = x·mask / (1 - p), each mask element 0 with probability p.  Evaluation: y = x.

    (Srivastava et al. 2014, JMLR 15.)  Any shape.  One draw a call, from NumPy's global state or from `generator`.
    Raises ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.5, device=None, dtype="float32", *, generator: Generator | None = None):
        require_probability(p, "Dropout's p")
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        require_tensor(self, x)
        keep = 1 - self.p
        mask = init.randb(*x.shape, p=keep, device=x.device, dtype=x.dtype, generator=self.generator)
        return multiply(x, divide_scalar(mask, keep)) if self.p else x

    def extra_repr(self) -> str:
        return f"{self.p}"
