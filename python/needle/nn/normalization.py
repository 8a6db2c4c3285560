"""Normalisation: inputs brought to mean 0 and variance 1, and then to a learned scale and shift."""

from .. import init
from ..graph import Tensor
from ..ops.arithmetic import add, mul_scalar, multiply
from ..ops.functions import sqrt
from ..ops.movement import reshape
from .arguments import require_channels, require_features, require_sizes, require_tensor
from .fused_normalization import batch_norm, layer_norm
from .module import Module, Parameter, signature


class LayerNorm1d(Module):
    """y = (x - mean) / √(var + eps)·w + b, with mean and biased variance over the last axis (Ba et al. 2016,
    arXiv:1607.06450).

    Shapes: x (..., dim) to the same; `weight` (ones) and `bias` (zeros) of shape (dim,).  ValueError for another dim.
    """

    def __init__(self, dim: int, eps: float = 1e-5, device=None, dtype="float32"):
        require_sizes(self, dim=dim)
        self.dim, self.eps = dim, eps
        self.weight = Parameter(init.ones(dim, device=device, dtype=dtype))
        self.bias = Parameter(init.zeros(dim, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        require_features(self, x, self.dim)
        return layer_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.dim}"


class BatchNorm(Module):
    """y = (x - mean) / √(var + eps)·w + b for each channel (axis 1), over all other axes (Ioffe & Szegedy 2015,
    arXiv:1502.03167).

    Training: mean and biased variance are the batch's, and move the running ones:
    running = (1 - momentum)·running + momentum·batch.  Evaluation: mean and variance are the running ones.
    `weight` (ones), `bias` (zeros), `running_mean` (zeros) and `running_var` (ones) have shape (dim,).
    Raises ValueError for another number of axes or channels.
    """

    axes: str  # what the inputs' axes are called

    def __init__(self, dim: int, eps: float = 1e-5, momentum: float = 0.1, device=None, dtype="float32"):
        require_sizes(self, dim=dim)
        options = {"device": device, "dtype": dtype}
        self.dim, self.eps, self.momentum = dim, eps, momentum
        self.weight = Parameter(init.ones(dim, **options))
        self.bias = Parameter(init.zeros(dim, **options))
        self.running_mean = init.zeros(dim, **options)
        self.running_var = init.ones(dim, **options)

    def forward(self, x: Tensor) -> Tensor:
        require_channels(self, x, self.dim, self.axes)
        if not self.training:
            scale = self.weight / sqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            wide = (self.dim, *[1] * (x.ndim - 2))
            return add(multiply(x, reshape(scale, wide)), reshape(shift, wide))
        if x.size == 0:
            raise ValueError(f"{signature(self)} needs at least one sample in training, got shape {x.shape}")
        y, average, variance = batch_norm(x, self.weight, self.bias, self.eps)
        self.move(self.running_mean, average)
        self.move(self.running_var, variance)
        return y

    def move(self, running: Tensor, batch: Tensor) -> None:
        """Take a running value a step towards that of the batch.  No graph is kept."""
        moved = add(mul_scalar(running.detach(), 1 - self.momentum), mul_scalar(batch.detach(), self.momentum))
        running.data = moved if moved.dtype == running.dtype else moved.astype(running.dtype)

    def extra_repr(self) -> str:
        return f"{self.dim}"


class BatchNorm1d(BatchNorm):
    """y = (x - mean) / √(var + eps)·w + b for each feature of x (N, dim); all else as in `BatchNorm`."""

    axes = "N, C"


class BatchNorm2d(BatchNorm):
    """y = (x - mean) / √(var + eps)·w + b for each channel of images x (N, dim, H, W), over N, H and W; all else as in
    `BatchNorm`."""

    axes = "N, C, H, W"


class GroupNorm(Module):
    """y = (x - mean) / √(var + eps)·w + b, with mean and biased variance over each sample's groups of channels (Wu &
    He 2018, arXiv:1803.08494).

    Shapes: x (N, num_channels, ...) to the same; `weight` (ones) and `bias` (zeros) of shape (num_channels,).
    Raises ValueError if num_groups does not divide num_channels, and for inputs with other channels.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, device=None, dtype="float32"):
        require_sizes(self, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"num_groups must divide num_channels, got {num_groups} groups for {num_channels} channels"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(init.ones(num_channels, device=device, dtype=dtype))
        self.bias = Parameter(init.zeros(num_channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        require_tensor(self, x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"{signature(self)} takes inputs (N, C, ...) with {self.num_channels} channels in axis 1, "
                f"got shape {x.shape}"
            )
        groups = reshape(x, (x.shape[0], self.num_groups, -1))
        normalised = reshape(layer_norm(groups, None, None, self.eps), x.shape)
        wide = (self.num_channels, *[1] * (x.ndim - 2))
        return add(multiply(normalised, reshape(self.weight, wide)), reshape(self.bias, wide))

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}"
