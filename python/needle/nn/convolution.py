"""Convolution of images (N, C, H, W), and its transpose.

Inside, channels come last, as the products want them.  The images outside are views of that memory, so nothing is
moved between one convolution and the next.
"""

import math

import numpy as np

from .. import init
from ..graph import Tensor, TensorOp
from ..ops import convolution
from ..ops.arithmetic import add
from ..ops.kinds import in_order
from ..ops.movement import permute, reshape
from .arguments import require_channels, require_sizes
from .linear import column_sums
from .module import Module, Parameter
from .rows import over_rows, sum_of_rows

_CHANNELS_LAST, _CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class ConvWithBias(TensorOp):
    """`ops.Conv` of an image x (N, C_in, H, W), with a bias (C_out,) added in place, to (N, C_out, H', W')"""

    __slots__ = ("conv",)

    def __init__(self, *geometry):
        self.conv = convolution.Conv(*geometry)

    def compute(self, x, weight, bias):
        out = self.conv.compute(x.transpose(_CHANNELS_LAST), weight)
        if bias.dtype == out.dtype:
            rows = out.reshape(-1, out.shape[3])
            over_rows(np.add, rows, bias, rows)
        else:
            out = out + bias
        return out.transpose(_CHANNELS_FIRST)

    def array_gradient(self, out_grad, output, inputs, needs):
        x, weight, _ = inputs
        geometry = self.conv.geometry
        grad = in_order(out_grad.transpose(_CHANNELS_LAST))  # once, and not in each of the three
        by_x = by_weight = by_bias = None
        if needs[0]:
            by_x = convolution.ConvTranspose(x.shape[2:], *geometry).compute(grad, weight).transpose(_CHANNELS_FIRST)
        if needs[1]:
            by_weight = convolution.ConvKernel(weight.shape[:2], *geometry).compute(x.transpose(_CHANNELS_LAST), grad)
        if needs[2]:
            by_bias = sum_of_rows(grad.reshape(-1, grad.shape[3]))
        return by_x, by_weight, by_bias

    def gradient(self, out_grad, node):
        x, weight, bias = node.inputs
        geometry = self.conv.geometry
        grad = permute(out_grad, _CHANNELS_LAST)
        by_x = by_weight = by_bias = None
        if node.needs(0):
            by_x = permute(convolution.ConvTranspose(x.shape[2:], *geometry)(grad, weight), _CHANNELS_FIRST)
        if node.needs(1):
            by_weight = convolution.ConvKernel(weight.shape[:2], *geometry)(permute(x, _CHANNELS_LAST), grad)
        if node.needs(2):
            by_bias = column_sums(reshape(grad, (-1, grad.shape[3])), bias.shape)
        return by_x, by_weight, by_bias

    def unfused(self, x, weight, bias):
        return permute(add(self.conv(permute(x, _CHANNELS_LAST), weight), bias), _CHANNELS_FIRST)


class Conv(Module):
    """y[n, o, p, q] = b[o] + Σ x[n, c, p·stride + i·dilation - padding, q·stride + j·dilation - padding]·w[i, j, c, o]:
    cross-correlation, which nets call convolution.

    Args:
        in_channels, out_channels, kernel_size: the kernel is square.
        stride: steps of the kernel; bias: whether b is there.
        padding: zeros around the image, kernel_size // 2 by default (at stride 1 an odd kernel keeps the size).
        dilation: steps between the kernel's elements; groups: channels are convolved in that many separate groups.

    Shapes: x (N, in_channels, H, W) to (N, out_channels, H', W') with
    H' = (H + 2·padding - dilation·(kernel_size - 1) - 1) // stride + 1.
    `weight` (k, k, in_channels / groups, out_channels) is drawn first, by `kaiming_uniform` with fans k²·in and k²·out,
    then `bias` (out,) from U(±1/√(in·k²)).
    Raises ValueError for other shapes, and if groups does not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = True,
        device=None,
        dtype="float32",
        *,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
    ):
        require_sizes(self, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, groups=groups)
        _check_groups(in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = kernel_size // 2 if padding is None else padding
        convolution.Conv(stride, self.padding, dilation, groups)  # an error here rather than at the first call
        shape = (kernel_size, kernel_size, in_channels // groups, out_channels)
        self.weight, self.bias = _draw(shape, in_channels // groups, out_channels, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        require_channels(self, x, self.in_channels, "N, C, H, W")
        geometry = self.stride, self.padding, self.dilation, self.groups
        if self.bias is not None:
            return ConvWithBias(*geometry)(x, self.weight, self.bias)
        return permute(convolution.Conv(*geometry)(permute(x, _CHANNELS_LAST), self.weight), _CHANNELS_FIRST)

    def extra_repr(self) -> str:
        return _shown(self, padding=self.kernel_size // 2)


class ConvTranspose(Module):
    """The transpose of `Conv` in its image, "deconvolution" (Dumoulin & Visin 2016, arXiv:1603.07285, §4).

    Args:
        in_channels, out_channels, kernel_size, stride, padding, output_padding, bias, dilation, groups: as PyTorch's
            `ConvTranspose2d`; the kernel is square.

    Shapes: x (N, in_channels, H, W) to (N, out_channels, H', W') with
    H' = (H - 1)·stride - 2·padding + dilation·(kernel_size - 1) + output_padding + 1.
    `weight` (k, k, out_channels / groups, in_channels) is drawn first, by `kaiming_uniform` with fans k²·in and k²·out,
    then `bias` (out,) from U(±1/√(in·k²)).
    Raises ValueError for other shapes, and if groups does not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias: bool = True,
        dilation: int = 1,
        groups: int = 1,
        device=None,
        dtype="float32",
    ):
        require_sizes(self, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, groups=groups)
        _check_groups(in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.dilation, self.groups = dilation, groups
        shape = (kernel_size, kernel_size, out_channels // groups, in_channels)
        self.weight, self.bias = _draw(shape, in_channels // groups, out_channels, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        require_channels(self, x, self.in_channels, "N, C, H, W")
        out = convolution.conv_transpose(
            permute(x, _CHANNELS_LAST),
            self.weight,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )
        if self.bias is not None:
            out = add(out, self.bias)
        return permute(out, _CHANNELS_FIRST)

    def extra_repr(self) -> str:
        return _shown(self, padding=0, output_padding=0)


def _shown(layer: Conv | ConvTranspose, **usual) -> str:
    """The arguments for `repr`: the first four, and what is not as usual."""
    usual |= {"dilation": 1, "groups": 1}
    shown = [f"{layer.in_channels}, {layer.out_channels}, {layer.kernel_size}, stride={layer.stride}"]
    shown += [f"{name}={getattr(layer, name)}" for name, value in usual.items() if getattr(layer, name) != value]
    return ", ".join(shown + ["bias=False"] * (layer.bias is None))


def _check_groups(in_channels: int, out_channels: int, groups: int) -> None:
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide the channels, got {groups} groups for {in_channels} channels in and {out_channels} out"
        )


def _draw(shape, fan_in: int, out_channels: int, bias: bool, device, dtype) -> tuple[Parameter, Parameter | None]:
    """The weight of `shape`, of whose channels `fan_in` make one output element, and the bias, drawn in this order."""
    taps = shape[0] * shape[1]
    options = {"device": device, "dtype": dtype}
    weight = Parameter(init.kaiming_uniform(taps * fan_in, taps * out_channels, shape=shape, **options))
    if not bias:
        return weight, None
    bound = 1 / math.sqrt(fan_in * taps)
    return weight, Parameter(init.rand(out_channels, low=-bound, high=bound, **options))
