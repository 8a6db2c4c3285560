"""Movement: ops that lay the same numbers out in another way.  All are linear, and each one's transpose is another."""

import numpy as np

from ..graph import Tensor, TensorTuple, TensorTupleOp
from .kinds import (
    Broadcasting,
    BroadcastTo,
    Linear,
    Movement,
    Reshape,
    SumTo,
    all_batched,
    behind_batch,
    normalize_axes,
)

__all__ = [
    "Concatenate", "Copy", "Dilate", "Flip", "Identity", "Pad", "Permute", "Split",
    "Stack", "Transpose", "UnDilate", "broadcast_to", "concatenate", "dilate", "flip", "moveaxis",
    "pad", "permute", "reshape", "split", "stack", "sum_to", "transpose", "undilate",
]  # fmt: skip


class Identity(Broadcasting, Movement):
    """a, as a new value"""

    __slots__ = ()

    lanes = "own"

    def compute(self, a):
        return a

    def gradient(self, out_grad, node):
        return out_grad


class Copy(Identity):
    """a, in memory of its own"""

    __slots__ = ()

    def compute(self, a):
        return a.copy()


class Transpose(Movement):
    """Swap a pair of axes, the last two by default"""

    __slots__ = ("axes",)

    def __init__(self, axes=None):
        if axes is not None:
            axes = tuple(axes)
            if len(axes) != 2:
                raise ValueError(f"Transpose swaps a pair of axes, got axes={axes}; for a permutation use permute")
        self.axes = axes

    def compute(self, a):
        if self.axes is None:
            if a.ndim < 2:
                raise ValueError("swapping the last two axes needs at least 2 dimensions")
            return a.swapaxes(-1, -2)
        return a.swapaxes(*self.axes)

    def gradient(self, out_grad, node):
        return self(out_grad)

    def batch(self, size, inputs, batched):
        i, j = (-2, -1) if self.axes is None else self.axes
        ndim = inputs[0].ndim - 1
        return Transpose(behind_batch(i, ndim) + behind_batch(j, ndim))(*inputs)


class Permute(Movement):
    """Axis i of the result is axis `axes[i]` of a, as `numpy.transpose`; None reverses all axes"""

    __slots__ = ("axes",)

    def __init__(self, axes=None):
        self.axes = None if axes is None else tuple(axes)

    def compute(self, a):
        if self.axes is not None and len(self.axes) != a.ndim:
            raise ValueError(f"axes must name each of the {a.ndim} axes once, got {self.axes}")
        return a.transpose(self.axes)

    def gradient(self, out_grad, node):
        if self.axes is None:
            return self(out_grad)
        axes = normalize_axes(self.axes, out_grad.ndim)
        return Permute(tuple([axes.index(i) for i in range(len(axes))]))(out_grad)

    def batch(self, size, inputs, batched):
        ndim = inputs[0].ndim - 1
        return Permute((0, *behind_batch(range(ndim)[::-1] if self.axes is None else self.axes, ndim)))(*inputs)


class Flip(Movement):
    """Reverse the order of elements along `axes` (None: all)"""

    __slots__ = ("axes",)

    def __init__(self, axes):
        self.axes = axes

    def compute(self, a):
        return np.flip(a, self.axes)

    def gradient(self, out_grad, node):
        return self(out_grad)

    def batch(self, size, inputs, batched):
        return Flip(behind_batch(self.axes, inputs[0].ndim - 1))(*inputs)


class Dilate(Movement):
    """`dilation` zeros after each element along `axes`: a length n becomes n·(dilation + 1).  Axes out of range are
    ignored"""

    __slots__ = ("axes", "dilation")

    def __init__(self, axes, dilation: int):
        self.axes = tuple(axes) if hasattr(axes, "__iter__") else (axes,)
        if dilation < 0:
            raise ValueError(f"dilation must be at least 0, got {dilation}")
        self.dilation = dilation

    def strides(self, ndim: int) -> tuple[slice, ...]:
        """The index of the elements that are not padding."""
        chosen = {axis % ndim for axis in self.axes if -ndim <= axis < ndim}
        return tuple([slice(None, None, self.dilation + 1 if i in chosen else 1) for i in range(ndim)])

    def compute(self, a):
        places = self.strides(a.ndim)
        shape = [n * place.step for n, place in zip(a.shape, places)]
        out = np.zeros_like(a, shape=shape)
        out[places] = a
        return out

    def gradient(self, out_grad, node):
        return UnDilate(self.axes, self.dilation)(out_grad)

    def batch(self, size, inputs, batched):
        ndim = inputs[0].ndim - 1
        axes = behind_batch([axis for axis in self.axes if -ndim <= axis < ndim], ndim)
        return type(self)(axes, self.dilation)(*inputs)


class UnDilate(Dilate):
    """The elements that `Dilate` did not fill in: the transpose of `Dilate`"""

    __slots__ = ()

    def compute(self, a):
        return a[self.strides(a.ndim)]

    def gradient(self, out_grad, node):
        out = Dilate(self.axes, self.dilation)(out_grad)
        shape = node.inputs[0].shape
        if out.shape == shape:
            return out
        # a length that dilation + 1 does not divide: its tail was never looked at by compute
        return out[tuple([slice(n) for n in shape])]


class Pad(Movement):
    """Zeros around a: `widths` is a (before, after) pair an axis; negative widths crop"""

    __slots__ = ("widths",)

    def __init__(self, widths):
        self.widths = tuple([tuple(pair) for pair in widths])

    def compute(self, a):
        if len(self.widths) != a.ndim:
            raise ValueError(f"widths has {len(self.widths)} pairs for {a.ndim} axes")
        a = a[tuple([slice(max(-before, 0), n + min(after, 0)) for n, (before, after) in zip(a.shape, self.widths)])]
        grow = [(max(before, 0), max(after, 0)) for before, after in self.widths]
        out = np.zeros_like(a, shape=[before + n + after for n, (before, after) in zip(a.shape, grow)])
        out[tuple([slice(before, before + n) for n, (before, _) in zip(a.shape, grow)])] = a
        return out

    def gradient(self, out_grad, node):
        return Pad([(-before, -after) for before, after in self.widths])(out_grad)

    def batch(self, size, inputs, batched):
        return Pad([(0, 0), *self.widths])(*inputs)


class Stack(Movement):
    """Join Tensors of one shape along a new axis"""

    __slots__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def __call__(self, *args):
        return super().__call__(*_several("stack", args))

    def compute(self, *arrays):
        return np.stack(arrays, self.axis)

    def array_gradient(self, out_grad, output, inputs, needs):
        before = (slice(None),) * (self.axis % output.ndim)
        return [out_grad[(*before, i)] for i in range(len(inputs))]

    def gradient(self, out_grad, node):
        return tuple(Split(self.axis)(out_grad))

    def batch(self, size, inputs, batched):
        inputs = all_batched(size, inputs, batched)
        return Stack(*behind_batch(self.axis, inputs[0].ndim))(*inputs)


class Split(TensorTupleOp):
    """The slices along `axis`, which is removed: the inverse of `Stack`"""

    __slots__ = ("axis",)

    lanes = Movement.lanes

    def __init__(self, axis: int):
        self.axis = axis

    def compute(self, a):
        (axis,) = normalize_axes(self.axis, a.ndim)
        return tuple(np.moveaxis(a, axis, 0))

    def gradient(self, out_grad, node):
        return Stack(self.axis)(out_grad)

    def tangent(self, node, tangent):
        return self(tangent)

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        return Split(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


class Concatenate(Movement):
    """Join Tensors along an axis that they have"""

    __slots__ = ("axis",)

    def __init__(self, axis: int = 0):
        self.axis = axis

    def __call__(self, *args):
        return super().__call__(*_several("concatenate", args))

    def compute(self, *arrays):
        return np.concatenate(arrays, self.axis)

    def array_gradient(self, out_grad, output, inputs, needs):
        axis = self.axis % output.ndim
        before, parts, start = (slice(None),) * axis, [], 0
        for array in inputs:
            stop = start + array.shape[axis]
            parts.append(out_grad[(*before, slice(start, stop))])
            start = stop
        return parts

    def gradient(self, out_grad, node):
        axis = self.axis % out_grad.ndim
        grads, start = [], 0
        for i, x in enumerate(node.inputs):
            stop = start + x.shape[axis]
            grads.append(out_grad[(slice(None),) * axis + (slice(start, stop),)] if node.needs(i) else None)
            start = stop
        return tuple(grads)

    def batch(self, size, inputs, batched):
        inputs = all_batched(size, inputs, batched)
        return Concatenate(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


def _several(name: str, args) -> tuple:
    """The Tensors that `name` joins, given one by one, as a list or tuple, or as a TensorTuple."""
    if len(args) == 1 and isinstance(args[0], (list, tuple, TensorTuple)):
        args = tuple(args[0])
    elif len(args) == 1 and not isinstance(args[0], Tensor):
        raise TypeError(f"{name} takes a list of Tensors, got {type(args[0]).__name__}")
    if not args:
        raise ValueError(f"{name} needs at least one Tensor, got none")
    return args


# --------------------------------------------------------------------------------------------------------------------
# Functions


def broadcast_to(a: Tensor, shape) -> Tensor:
    """a repeated to `shape` by NumPy's broadcasting rules."""
    return BroadcastTo(shape)(a)


def sum_to(a: Tensor, shape) -> Tensor:
    """a summed over the axes along which `shape` would be broadcast to its own: the transpose of `broadcast_to`."""
    return SumTo(tuple(shape))(a)


def reshape(a: Tensor, shape) -> Tensor:
    """a under another shape; one length may be -1."""
    return Reshape(shape)(a)


def transpose(a: Tensor, axes=None) -> Tensor:
    """a with the pair `axes` of axes swapped, the last two by default."""
    return Transpose(axes)(a)


def permute(a: Tensor, axes=None) -> Tensor:
    """a with its axes in the order `axes` (reversed for None), as `numpy.transpose`."""
    return Permute(axes)(a)


def moveaxis(a: Tensor, source: int, destination: int) -> Tensor:
    """a with axis `source` moved to where `destination` says, the others in their order."""
    (source,), (destination,) = normalize_axes(source, a.ndim), normalize_axes(destination, a.ndim)
    if source == destination:
        return a
    order = [axis for axis in range(a.ndim) if axis != source]
    order.insert(destination, source)
    return Permute(order)(a)


def flip(a: Tensor, axes) -> Tensor:
    """a with the order of its elements reversed along `axes` (None: all)."""
    return Flip(axes)(a)


def dilate(a: Tensor, axes, dilation: int) -> Tensor:
    """a with `dilation` zeros after each element along `axes`: n becomes n·(dilation + 1)."""
    return Dilate(axes, dilation)(a)


def undilate(a: Tensor, axes, dilation: int) -> Tensor:
    """Every (dilation + 1)-th element along `axes`: what `dilate` was given."""
    return UnDilate(axes, dilation)(a)


def pad(a: Tensor, widths) -> Tensor:
    """Zeros around a; `widths` is one number, one (before, after) pair, or a pair an axis."""
    if not hasattr(widths, "__iter__"):
        widths = (widths, widths)
    if not any(hasattr(width, "__iter__") for width in widths):
        widths = [widths] * a.ndim
    return Pad(widths)(a)


def stack(args, axis: int) -> Tensor:
    """The Tensors of a list, tuple or TensorTuple, all of one shape, joined along a new axis."""
    return Stack(axis)(*_several("stack", (args,)))


def split(a: Tensor, axis: int) -> TensorTuple:
    """A TensorTuple of the `a.shape[axis]` slices of a along `axis`, which is removed."""
    return Split(axis)(a)


def concatenate(args, axis: int = 0) -> Tensor:
    """The Tensors of a list, tuple or TensorTuple joined along an axis that they have."""
    return Concatenate(axis)(*_several("concatenate", (args,)))
