"""Convolution and pooling over images of shape (N, H, W, C).

Σ x·w·g over all positions is linear in the image x, the kernel w and the adjoint g alike.  `Conv`, `ConvTranspose` and
`ConvKernel` are the derivatives of that one form with respect to g, x and w, so the three are closed under
differentiation: each one's rule is the other two.
"""

import copy
import math

import numpy as np

from ..graph import Tensor, Unrecorded, tracing
from .indexing import TakeAlongAxis
from .kinds import Linear, Multilinear, in_order
from .movement import moveaxis, reshape
from .reductions import argmax, mean
from .slices import one_by_one

__all__ = [
    "Conv", "ConvKernel", "ConvTranspose", "Fold", "Unfold", "avg_pool", "conv", "conv_transpose", "max_pool",
]  # fmt: skip

_PAIR = "an int or a pair of ints"

# Where a batch may be folded in: an axis, and whether it goes within each of its groups of channels
_IMAGES, _KERNEL_IN, _CHANNELS, _CHANNELS_IN_GROUPS = (0, False), (2, False), (3, False), (3, True)


def _pair(value, name: str, least: int = 1) -> tuple[int, int]:
    if type(value) is int and value >= least:
        return value, value
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(number, (int, np.integer)) and number >= least for number in pair):
        raise ValueError(f"{name} must be {_PAIR}, at least {least}, got {value!r}")
    return pair


class _Geometry(Multilinear):
    """How a kernel moves over an image: stride, padding, dilation (pairs for height and width), and channel groups."""

    __slots__ = ("stride", "padding", "dilation", "groups")

    def __init__(self, stride=1, padding=0, dilation=1, groups: int = 1):
        self.stride = _pair(stride, "stride")
        self.padding = _pair(padding, "padding", 0)
        self.dilation = _pair(dilation, "dilation")
        if groups < 1:
            raise ValueError(f"groups must be at least 1, got {groups}")
        self.groups = groups

    @property
    def geometry(self) -> tuple:
        return self.stride, self.padding, self.dilation, self.groups

    # For a batch of the first or the second operand: the axis of that operand into which it is folded, and that of the
    # result which then holds it
    first: tuple[tuple[int, bool], tuple[int, bool]]
    second: tuple[tuple[int, bool], tuple[int, bool]]

    def batch(self, size, inputs, batched):
        """One call for all examples: each is made an image, or a channel, or (where both operands are batched) a group
        of channels of its own."""
        if size == 0:
            return one_by_one(self, size, inputs, batched)
        if all(batched):
            op = copy.copy(self)
            op.groups = self.groups * size
            return unfold_batch(op(*[fold_batch(x, 3) for x in inputs]), size, 3)
        into, out_of = self.first if batched[0] else self.second
        (axis, within), groups = into, self.groups
        inputs = [fold_batch(x, axis, groups if within else 1) if b else x for x, b in zip(inputs, batched)]
        axis, within = out_of
        return unfold_batch(self(*inputs), size, axis, groups if within else 1)

    def taps(self, size, kernel, out) -> tuple[slice, slice]:
        """The part of the kernel that ever meets an image of `size`: around a small one, the rest sees padding only."""
        taps = []
        for i in (0, 1):
            padding, dilation = self.padding[i], self.dilation[i]
            first = max(0, (padding - self.stride[i] * (out[i] - 1)) // dilation)
            last = min(kernel[i], (size[i] + padding - 1) // dilation + 1)
            taps.append(slice(first, last) if first < last else slice(0, kernel[i]))
        return tuple(taps)

    def offset(self, taps) -> tuple[int, int]:
        """How far above and left of the image the first window of these taps begins."""
        return tuple([self.padding[i] - taps[i].start * self.dilation[i] for i in (0, 1)])

    def windows(self, x, taps, out):
        """The windows of x, as far as the taps see, as a view (N, H', W', K, K, C) of the padded image."""
        kernel = [tap.stop - tap.start for tap in taps]
        return windows(x, kernel, out, self.stride, self.offset(taps), self.dilation)


def fold_batch(x: Tensor, axis: int, groups: int = 1) -> Tensor:
    """The batch in front of x as part of its `axis` (counted without the batch), first within each of the groups."""
    size, *shape = x.shape
    if groups > 1:
        x = reshape(x, (size, *shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    x = moveaxis(x, 0, axis + (groups > 1))
    return reshape(x, (*shape[:axis], size * shape[axis], *shape[axis + 1 :]))


def unfold_batch(x: Tensor, size: int, axis: int, groups: int = 1) -> Tensor:
    """The inverse of `fold_batch`."""
    shape = list(x.shape)
    shape[axis] //= size
    if groups > 1:
        x = reshape(x, (*shape[:axis], groups, size, shape[axis] // groups, *shape[axis + 1 :]))
    else:
        x = reshape(x, (*shape[:axis], size, *shape[axis:]))
    return reshape(moveaxis(x, axis + (groups > 1), 0), (size, *shape))


def positions(size, kernel, stride, padding, dilation) -> tuple[int, int]:
    """At how many positions, down and across, a window fits into an image of `size`, padding included."""
    out = tuple([(size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)])
    if min(out) <= 0:
        h, w = (size[i] + 2 * padding[i] for i in (0, 1))
        raise ValueError(
            f"a window of {kernel[0]}x{kernel[1]} (dilation {dilation}) does not fit into an image of {h}x{w} "
            "(padding included)"
        )
    return out


def windows(x, kernel, out, stride, offset, dilation, fill=0):
    """`out` positions of a moving window over x (N, H, W, C), as a view (N, H', W', K, K, C) of the padded image.

    The first window begins `offset` above and left of the image; what it sees there is `fill`.
    """
    n, h, w, c = x.shape
    (sh, sw), (dh, dw), (kh, kw), (top, left) = stride, dilation, kernel, offset
    height, width = sh * (out[0] - 1) + dh * (kh - 1) + 1, sw * (out[1] - 1) + dw * (kw - 1) + 1
    if top or left or height > h or width > w:
        # In C order, whatever that of x, the rows of a window have no gaps.
        padded = np.full_like(x, fill, order="C", shape=(n, height, width, c))
        padded[:, top : top + h, left : left + w] = x[:, : height - top, : width - left]
        x = padded
    if not isinstance(x, np.ndarray):
        seen = np.lib.stride_tricks.sliding_window_view(x, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), (1, 2))
        seen = seen[:, : sh * (out[0] - 1) + 1 : sh, : sw * (out[1] - 1) + 1 : sw, :, ::dh, ::dw]
        return seen.transpose(0, 1, 2, 4, 5, 3)
    s0, s1, s2, s3 = x.strides
    shape, strides = (n, *out, kh, kw, c), (s0, s1 * sh, s2 * sw, s1 * dh, s2 * dw, s3)
    if x.flags.c_contiguous and type(x) is np.ndarray:
        view = np.ndarray(shape, x.dtype, x, 0, strides)  # what as_strided does, in a tenth of its time
        view.flags.writeable = False
        return view
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


SHORT = 8  # numbers: a run up to which copying costs NumPy more for the run than for what is in it


def columns(view):
    """`windows` laid out as the rows of a matrix (N·H'·W', K·K·C)."""
    n, h, w, kh, kw, c = view.shape
    if kw * c <= SHORT:  # NumPy copies run by run, and the runs across the image are longer
        return in_order(view.transpose(3, 4, 5, 0, 1, 2)).reshape(kh * kw * c, n * h * w).T
    return view.reshape(n * h * w, kh * kw * c)


def image_blocks(images: int, size: int) -> list[slice]:
    """Images a few at a time: the windows of one are `size` numbers (K² times the image), those of a few stay in
    cache, and need little memory.

    A program has all in one: it keeps the windows for the derivative by the kernel, unless they are too many.
    """
    if tracing() is not None:
        if images * size > RECORDED:
            raise Unrecorded
        return [slice(None)]
    step = max(1, 2**17 // max(1, size))
    return [slice(start, start + step) for start in range(0, images, step)]


def part(images, block: slice):
    """`images[block]`, without another view of all."""
    return images if block == slice(None) else images[block]


RECORDED = 2**22  # numbers in the windows of all images


def add_windows(parts, image, stride, offset, dilation):
    """The transpose of `windows`: windows (N, H', W', K, K, C) added up in `image` (N, H, W, C)."""
    (top, left), (sh, sw), (dh, dw) = offset, stride, dilation
    n, h, w, c = image.shape
    _, out_h, out_w, kh, kw, _ = parts.shape
    if dilation == (1, 1):
        # As many neighbouring taps as the stride is wide tile the image without overlap: they are added in one go.
        rows = max(out_h - 1 + -(-kh // sh), -(-(top + h) // sh))
        across = max(out_w - 1 + -(-kw // sw), -(-(left + w) // sw))
        padded = np.zeros_like(parts, order="C", shape=(n, rows * sh, across * sw, c))
        tiles = padded.reshape(n, rows, sh, across, sw, c).transpose(0, 1, 3, 2, 4, 5)
        for i in range(0, kh, sh):
            for j in range(0, kw, sw):
                block = parts[:, :, :, i : i + sh, j : j + sw]
                row, column, height, width = i // sh, j // sw, *block.shape[3:5]
                place = tiles[:, row : row + out_h, column : column + out_w, :height, :width]
                np.add(place, block, out=place)
    else:
        height, width = sh * (out_h - 1) + 1, sw * (out_w - 1) + 1
        shape = n, max(height + dh * (kh - 1), top + h), max(width + dw * (kw - 1), left + w), c
        padded = np.zeros_like(parts, order="C", shape=shape)
        for i in range(kh):
            for j in range(kw):
                place = padded[:, i * dh : i * dh + height : sh, j * dw : j * dw + width : sw]
                np.add(place, parts[:, :, :, i, j], out=place)
    image[...] = padded[:, top : top + h, left : left + w]


def gathered(g, w, size, stride, offset):
    """The transpose of a convolution with w as a convolution of g, which writes each pixel once; or None where adding
    up windows is less work.

    The image (N, H, W, C) is seen as blocks, as large as the stride.  What adds to pixel r of block u comes from
    g[u + first - m] by way of tap m·stride + r, once so many taps of zeros are put in front of the kernel that blocks
    begin where a window does.  So all pixels of a block see the same few neighbours in g.
    """
    (sh, sw), (kh, kw, c, o) = stride, w.shape
    ahead = [-offset[i] % stride[i] for i in (0, 1)]
    first = [(offset[i] + ahead[i]) // stride[i] for i in (0, 1)]
    seen_h, seen_w = seen = [-(-(w.shape[i] + ahead[i]) // stride[i]) for i in (0, 1)]
    above, before = (seen[i] - 1 - first[i] for i in (0, 1))
    if above < 0 or before < 0 or seen_h * seen_w * o > 3 * kh * kw * c:
        return None
    n, rows, across = len(g), -(-size[0] // sh), -(-size[1] // sw)
    view = windows(g, seen, (rows, across), (1, 1), (above, before), (1, 1))
    if (kh, kw) != (seen_h * sh, seen_w * sw):
        taps = np.zeros_like(w, order="C", shape=(seen_h * sh, seen_w * sw, c, o))
        taps[ahead[0] : ahead[0] + kh, ahead[1] : ahead[1] + kw] = w
        w = taps
    kernels = w.reshape(seen_h, sh, seen_w, sw, c, o)[::-1, :, ::-1].transpose(1, 0, 2, 5, 3, 4)
    kernels = kernels.reshape(sh, seen_h * seen_w * o, sw * c)  # one for each row of pixels in a block
    image = np.empty_like(g, np.result_type(g, w), "C", shape=(n, rows * sh, across * sw, c))
    for block in image_blocks(n, math.prod(view.shape[1:])):
        neighbours = columns(part(view, block))
        if sh == 1:
            np.matmul(neighbours, kernels[0], out=part(image, block).reshape(-1, sw * c))
            continue
        pixels = part(image, block).reshape(-1, rows, sh, across * sw * c)
        for r in range(sh):
            # Of the rows of neighbours, those from which a tap leads here, and not one of the zeros
            low, high = -((r - ahead[0]) // sh), (kh - 1 + ahead[0] - r) // sh
            here = slice((seen_h - 1 - high) * seen_w * o, (seen_h - max(low, 0)) * seen_w * o)
            pixels[:, :, r] = (neighbours[:, here] @ kernels[r, here]).reshape(-1, rows, across * sw * c)
    return image if image.shape[1:3] == tuple(size) else in_order(image[:, : size[0], : size[1]])


class Conv(_Geometry):
    """y[n, p, q, o] = Σ x[n, p·s + i·d - pad, q·s + j·d - pad, c] · w[i, j, c, o]: cross-correlation, as in all nets

    x is (N, H, W, C_in), w is (K, K, C_in / groups, C_out).
    """

    __slots__ = ()

    first, second = (_IMAGES, _IMAGES), (_CHANNELS_IN_GROUPS, _CHANNELS_IN_GROUPS)

    def compute(self, x, w):
        if x.ndim != 4 or w.ndim != 4:
            raise ValueError(
                f"needs an image (N, H, W, C) and a kernel (K, K, C_in, C_out), got {x.ndim}-D and {w.ndim}-D"
            )
        c, o = w.shape[2:]
        if x.shape[3] != c * self.groups or o % self.groups:
            raise ValueError(
                f"the image has {x.shape[3]} channels, the kernel takes {c} in each of "
                f"{self.groups} groups and makes {o}"
            )
        n, size = x.shape[0], x.shape[1:3]
        out_size = positions(size, w.shape, self.stride, self.padding, self.dilation)
        taps = self.taps(size, w.shape, out_size)
        view, w = self.windows(x, taps, out_size), w[taps]
        length = w.shape[0] * w.shape[1] * c
        if self.groups == 1:
            kernel, blocks = w.reshape(length, o), image_blocks(n, math.prod(view.shape[1:]))
            if len(blocks) == 1:
                return np.matmul(columns(view), kernel).reshape(n, *out_size, o)
            out = np.empty_like(x, np.result_type(x, w), "C", shape=(n, *out_size, o))
            for block in blocks:
                np.matmul(columns(view[block]), kernel, out=out[block].reshape(-1, o))
            return out
        g = self.groups
        rows = view.reshape(n * out_size[0] * out_size[1], length // c, g, c)
        rows = rows.transpose(2, 0, 1, 3).reshape(g, -1, length)
        kernels = w.reshape(length, g, o // g).transpose(1, 0, 2)
        return (rows @ kernels).transpose(1, 0, 2).reshape(n, *out_size, o)

    def gradient(self, out_grad, node):
        x, w = node.inputs
        return (
            ConvTranspose(x.shape[1:3], *self.geometry)(out_grad, w) if node.needs(0) else None,
            ConvKernel(w.shape[:2], *self.geometry)(x, out_grad) if node.needs(1) else None,
        )


class ConvTranspose(_Geometry):
    """The transpose of `Conv` in the image: from g (N, H', W', C_out) and w to an image of `size`"""

    __slots__ = ("size",)

    first, second = (_IMAGES, _IMAGES), (_KERNEL_IN, _CHANNELS_IN_GROUPS)

    def __init__(self, size, stride=1, padding=0, dilation=1, groups: int = 1):
        super().__init__(stride, padding, dilation, groups)
        self.size = tuple(size)

    def compute(self, g, w):
        c, o = w.shape[2:]
        n, *out_size = g.shape[:3]
        groups = self.groups
        if g.shape[3] != o:
            raise ValueError(f"the input has {g.shape[3]} channels, the kernel {o}")
        taps = self.taps(self.size, w.shape, out_size)
        offset = self.offset(taps)
        w = w[taps]
        kh, kw = w.shape[:2]
        if groups == 1 and self.dilation == (1, 1):
            image = gathered(g, w, self.size, self.stride, offset)
            if image is not None:
                return image
        image = np.empty_like(g, np.result_type(g, w), "C", shape=(n, *self.size, c * groups))
        geometry = self.stride, offset, self.dilation
        if groups == 1:
            kernel = w.reshape(-1, o).T
            for block in image_blocks(n, math.prod(out_size) * kh * kw * c):
                parts = g[block].reshape(-1, o) @ kernel
                add_windows(parts.reshape(-1, *out_size, kh, kw, c), image[block], *geometry)
            return image
        split = g.reshape(-1, groups, o // groups).transpose(1, 0, 2)
        kernels = w.reshape(kh * kw * c, groups, o // groups).transpose(1, 2, 0)
        parts = (split @ kernels).reshape(groups, -1, kh * kw, c).transpose(1, 2, 0, 3)
        add_windows(parts.reshape(n, *out_size, kh, kw, c * groups), image, *geometry)
        return image

    def gradient(self, out_grad, node):
        g, w = node.inputs
        return (
            Conv(*self.geometry)(out_grad, w) if node.needs(0) else None,
            ConvKernel(w.shape[:2], *self.geometry)(out_grad, g) if node.needs(1) else None,
        )


class ConvKernel(_Geometry):
    """The transpose of `Conv` in the kernel: from x (N, H, W, C_in) and g (N, H', W', C_out) to (K, K, C_in, C_out)"""

    __slots__ = ("kernel",)

    first, second = (_CHANNELS_IN_GROUPS, _KERNEL_IN), (_CHANNELS_IN_GROUPS, _CHANNELS_IN_GROUPS)

    def __init__(self, kernel, stride=1, padding=0, dilation=1, groups: int = 1):
        super().__init__(stride, padding, dilation, groups)
        self.kernel = tuple(kernel)

    def compute(self, x, g):
        groups, out_size = self.groups, g.shape[1:3]
        o, c = g.shape[3], x.shape[3] // groups
        taps = self.taps(x.shape[1:3], self.kernel, out_size)
        view = self.windows(x, taps, out_size)
        kh, kw = view.shape[3:5]
        if groups == 1:
            found = None
            for block in image_blocks(len(view), math.prod(view.shape[1:])):
                here = columns(part(view, block)).T @ part(g, block).reshape(-1, o)
                found = here if found is None else np.add(found, here, out=found)
            if found is None:  # no image at all
                found = np.zeros_like(x, np.result_type(x, g), "C", shape=(kh * kw * c, o))
            found = found.reshape(kh, kw, c, o)
        else:
            rows = view.reshape(-1, kh * kw, groups, c).transpose(2, 1, 3, 0).reshape(groups, kh * kw * c, -1)
            split = g.reshape(-1, groups, o // groups).transpose(1, 0, 2)
            found = (rows @ split).transpose(1, 0, 2).reshape(kh, kw, c, o)
        if (kh, kw) == self.kernel:
            return found
        kernel = np.zeros_like(found, order="C", shape=(*self.kernel, c, o))
        kernel[taps] = found
        return kernel

    def gradient(self, out_grad, node):
        x, g = node.inputs
        return (
            ConvTranspose(x.shape[1:3], *self.geometry)(g, out_grad) if node.needs(0) else None,
            Conv(*self.geometry)(x, out_grad) if node.needs(1) else None,
        )


class Unfold(Linear):
    """The windows of an image as one axis: (N, H, W, C) to (N, H', W', K·K, C); `fill` pads (0 leaves it linear)"""

    __slots__ = ("kernel", "stride", "padding", "fill")

    def __init__(self, kernel, stride, padding, fill=0):
        self.kernel, self.stride, self.padding, self.fill = kernel, stride, padding, fill

    def compute(self, x):
        out = positions(x.shape[1:3], self.kernel, self.stride, self.padding, (1, 1))
        view = windows(x, self.kernel, out, self.stride, self.padding, (1, 1), self.fill)
        n, h, w, kh, kw, c = view.shape
        return view.reshape(n, h, w, kh * kw, c)

    def gradient(self, out_grad, node):
        return Fold(node.inputs[0].shape, self.kernel, self.stride, self.padding)(out_grad)

    def tangent(self, node, tangent):
        return Unfold(self.kernel, self.stride, self.padding)(tangent)

    def batch(self, size, inputs, batched):
        (x,) = inputs
        out = self(fold_batch(x, 0))
        return reshape(out, (*x.shape[:2], *out.shape[1:]))


class Fold(Linear):
    """The transpose of `Unfold`: windows added up into an image of `shape`"""

    __slots__ = ("shape", "kernel", "stride", "padding")

    def __init__(self, shape, kernel, stride, padding):
        self.shape, self.kernel, self.stride, self.padding = shape, kernel, stride, padding

    def compute(self, parts):
        n, h, w, _, c = parts.shape
        parts = parts.reshape(n, h, w, *self.kernel, c)
        image = np.empty_like(parts, order="C", shape=self.shape)
        add_windows(parts, image, self.stride, self.padding, (1, 1))
        return image

    def gradient(self, out_grad, node):
        return Unfold(self.kernel, self.stride, self.padding)(out_grad)

    def batch(self, size, inputs, batched):
        (parts,) = inputs
        n, *image = self.shape
        out = Fold((size * n, *image), self.kernel, self.stride, self.padding)(fold_batch(parts, 0))
        return reshape(out, (size, *self.shape))


# --------------------------------------------------------------------------------------------------------------------
# Functions


def conv(a: Tensor, b: Tensor, stride=1, padding=1, dilation=1, groups: int = 1) -> Tensor:
    """Cross-correlation of images a (N, H, W, C_in) with a kernel b (K, K, C_in / groups, C_out).

    stride, padding and dilation are ints or (height, width) pairs.  Note the course's default padding of 1.
    The result is (N, H', W', C_out) with H' = (H + 2·padding - dilation·(K - 1) - 1) // stride + 1.
    """
    return Conv(stride, padding, dilation, groups)(a, b)


def conv_transpose(a: Tensor, b: Tensor, stride=1, padding=0, output_padding=0, dilation=1, groups: int = 1) -> Tensor:
    """The transpose of `conv` in its image ("deconvolution"): a (N, H, W, C_out), b (K, K, C_in / groups, C_out).

    The result is (N, H', W', C_in) with H' = (H - 1)·stride - 2·padding + dilation·(K - 1) + output_padding + 1.
    """
    s, p, d = _pair(stride, "stride"), _pair(padding, "padding", 0), _pair(dilation, "dilation")
    extra = _pair(output_padding, "output_padding", 0)
    if extra[0] >= s[0] or extra[1] >= s[1]:
        raise ValueError(f"output_padding must be smaller than stride, got {output_padding} for stride {stride}")
    size = [(a.shape[1 + i] - 1) * s[i] - 2 * p[i] + d[i] * (b.shape[i] - 1) + extra[i] + 1 for i in (0, 1)]
    return ConvTranspose(size, s, p, d, groups)(a, b)


def max_pool(a: Tensor, kernel, stride=None, padding=0) -> Tensor:
    """The largest element of each window of a (N, H, W, C); `stride` is the kernel's size by default.

    At ties the derivative goes to the first element of the window.  Padding never wins: it is below every number.
    """
    lowest = -np.inf if a.dtype.kind == "f" else np.iinfo(a.dtype).min
    parts = _unfold(a, kernel, stride, padding, fill=lowest)
    first = argmax(parts, axis=3, keepdims=True)
    out = TakeAlongAxis(3)(parts, first)
    n, h, w, _, c = out.shape
    return reshape(out, (n, h, w, c))


def avg_pool(a: Tensor, kernel, stride=None, padding=0) -> Tensor:
    """The mean of each window of a (N, H, W, C), padding counted as zeros; `stride` is the kernel's size by default."""
    return mean(_unfold(a, kernel, stride, padding, fill=0), axis=3)


def _unfold(a, kernel, stride, padding, fill):
    kernel = _pair(kernel, "kernel")
    stride = kernel if stride is None else _pair(stride, "stride")
    padding = _pair(padding, "padding", 0)
    if 2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]:
        raise ValueError(f"pooling padding may be at most half the kernel, got padding {padding} for a kernel {kernel}")
    if a.ndim != 4:
        raise ValueError(f"pooling takes images of shape (N, H, W, C), got shape {a.shape}")
    return Unfold(kernel, stride, padding, fill)(a)
