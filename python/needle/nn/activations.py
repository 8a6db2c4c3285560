"""Elementwise functions as Modules."""

from .. import ops
from ..graph import Tensor
from ..ops.reductions import logsoftmax, softmax
from .module import Module


class Identity(Module):
    """y = x."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class ReLU(Module):
    """y = max(x, 0), with derivative 0 at 0.  Any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class Tanh(Module):
    """y = tanh x.  Any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Sigmoid(Module):
    """y = 1 / (1 + e⁻ˣ).  Any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class GELU(Module):
    """y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the tanh form of Hendrycks & Gimpel 2016 (arXiv:1606.08415).

    Any shape.  It is PyTorch's `GELU(approximate="tanh")`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x)


class SiLU(Module):
    """y = x·σ(x), also called swish (Ramachandran et al. 2017, arXiv:1710.05941).  Any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class Softplus(Module):
    """y = ln(1 + eˣ), stable at both ends.  Any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x)


class Softmax(Module):
    """y = eˣ / Σ eˣ along axis `dim`.  Any shape with that axis."""

    def __init__(self, dim: int = -1, device=None, dtype="float32"):
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """y = x - ln Σ eˣ along axis `dim`.  Any shape with that axis."""

    def forward(self, x: Tensor) -> Tensor:
        return logsoftmax(x, self.dim)
