"""Pooling of images (N, C, H, W): one number for each window."""

from ..graph import Tensor
from ..ops.convolution import avg_pool, max_pool
from ..ops.movement import permute
from .arguments import require_tensor
from .module import Module, signature


class Pool(Module):
    """A number for each window of each channel; `stride` is the window's size by default.

    Shapes: x (N, C, H, W) to (N, C, H', W') with H' = (H + 2·padding - kernel_size) // stride + 1.
    Raises ValueError for other shapes, for a window that does not fit, and for a padding of more than half of it.
    """

    def __init__(self, kernel_size, stride=None, padding=0, device=None, dtype="float32"):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        require_tensor(self, x)
        if x.ndim != 4:
            raise ValueError(f"{signature(self)} takes inputs of shape (N, C, H, W), got shape {x.shape}")
        pooled = self.pool(permute(x, (0, 2, 3, 1)), self.kernel_size, self.stride, self.padding)
        return permute(pooled, (0, 3, 1, 2))

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool(Pool):
    """The largest element of each window of x (N, C, H, W); padding never is.  All else as in `Pool`."""

    pool = staticmethod(max_pool)


class AvgPool(Pool):
    """The mean of each window of x (N, C, H, W), padding counted as zeros.  All else as in `Pool`."""

    pool = staticmethod(avg_pool)
