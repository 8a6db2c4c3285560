"""Linear, the affine map with which nets begin and end, and Flatten, which leads to it."""

import numpy as np

from .. import init
from ..graph import Tensor, TensorOp, leaf
from ..ops.arithmetic import add
from ..ops.contraction import matmul
from ..ops.movement import reshape, transpose
from .arguments import require_features, require_sizes, require_tensor
from .module import Module, Parameter
from .rows import sum_of_rows


class Affine(TensorOp):
    """x·W + b over the last axis of x, with b added in place: one pass over the result instead of two"""

    __slots__ = ()

    def compute(self, x, weight, bias):
        if x.ndim > 2:
            out = np.matmul(x.reshape(-1, x.shape[-1]), weight).reshape(x.shape[:-1] + weight.shape[-1:])
        else:
            out = np.matmul(x, weight)
        if out.dtype != np.result_type(out, bias):
            return out + bias.reshape(-1)
        out += bias if bias.ndim <= out.ndim else bias.reshape(-1)
        return out

    def array_gradient(self, out_grad, output, inputs, needs):
        x, weight, bias = inputs
        rows = out_grad.reshape(-1, weight.shape[1])
        by_x = by_weight = by_bias = None
        if needs[0]:
            by_x = np.matmul(rows, weight.T).reshape(x.shape)
        if needs[1]:
            by_weight = np.matmul(x.reshape(-1, weight.shape[0]).T, rows)
        if needs[2]:
            by_bias = sum_of_rows(rows).reshape(bias.shape)
        return by_x, by_weight, by_bias

    def gradient(self, out_grad, node):
        x, weight, bias = node.inputs
        rows = out_grad if out_grad.ndim == 2 else reshape(out_grad, (-1, weight.shape[1]))
        by_x = by_weight = by_bias = None
        if node.needs(0):
            by_x = matmul(rows, transpose(weight))
            if x.ndim != 2:
                by_x = reshape(by_x, x.shape)
        if node.needs(1):
            by_weight = matmul(transpose(x if x.ndim == 2 else reshape(x, (-1, weight.shape[0]))), rows)
        if node.needs(2):
            by_bias = column_sums(rows, bias.shape)
        return by_x, by_weight, by_bias

    def unfused(self, x, weight, bias):
        return add(matmul(x, weight), bias if bias.ndim <= x.ndim else reshape(bias, (-1,)))


def column_sums(rows: Tensor, shape) -> Tensor:
    """The sum of the rows (n, d), under `shape`: as a product with ones, for which BLAS adds many numbers at a time."""
    ones = np.ones_like(rows.node.data, shape=(1, rows.shape[0]))
    total = matmul(leaf(ones), rows)
    return total if total.shape == shape else reshape(total, shape)


_AFFINE = Affine()


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x·W + b over the last axis of x (..., in), with W (in, out) and b (out,), (1, out) or None."""
    return matmul(x, weight) if bias is None else _AFFINE(x, weight, bias)


class Linear(Module):
    """y = x·W + b over the last axis of x.

    Args:
        in_features, out_features: lengths of the last axis of x and y.
        bias: whether b is there.

    Shapes: x (..., in_features) to y (..., out_features); `weight` (in, out) drawn by `kaiming_uniform`, then `bias`
    (1, out) by `kaiming_uniform(out, 1)` (He et al. 2015, arXiv:1502.01852).  A bias of shape (out,) may be assigned.
    Raises ValueError if the last axis of x has another length.

    >>> Linear(784, 10)(init.zeros(32, 784)).shape
    (32, 10)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype="float32"):
        require_sizes(self, in_features=in_features, out_features=out_features)
        options = {"device": device, "dtype": dtype}
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(init.kaiming_uniform(in_features, out_features, **options))
        self.bias = None
        if bias:
            self.bias = Parameter(init.kaiming_uniform(out_features, 1, **options).reshape((1, out_features)))

    def forward(self, x: Tensor) -> Tensor:
        require_features(self, x, self.in_features)
        return affine(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Flatten(Module):
    """All axes after the first as one: (N, ...) to (N, the product of the rest)."""

    def forward(self, x: Tensor) -> Tensor:
        require_tensor(self, x)
        shape = x.shape
        if not shape:
            raise ValueError("Flatten() takes inputs with a batch axis, got a 0-d Tensor")
        return reshape(x, (shape[0], int(np.prod(shape[1:], dtype=np.int64))))
