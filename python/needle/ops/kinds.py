"""Kinds of ops: what a class of ops has in common is said here once; each op then says only its own mathematics.

`Elementwise` ops broadcast as NumPy does: their rules are written at the shape of the output, and the partial adjoints
are summed back over the axes that were stretched.  Their tangents follow from the same rules, since the Jacobian is
diagonal.  `Linear` ops are their own tangent; `Multilinear` ones are the sum of themselves with one input exchanged.

The rule for a batch, `batch(size, inputs, batched)`, gets Tensors that have the batch as axis 0 where `batched` says
so, and returns one that has: mostly the same op, with its axes counted behind the batch.
"""

import itertools
import math

import numpy as np

from ..graph import TensorOp, WeakNode, call, leaf

__all__ = [
    "BroadcastTo", "Cast", "Elementwise", "Linear", "Movement", "Multilinear", "PiecewiseConstant", "Reshape", "SumTo",
]  # fmt: skip

add_reduce = np.add.reduce


class Linear(TensorOp):
    """f(x + c·y) = f(x) + c·f(y)."""

    __slots__ = ()

    def tangent(self, node, *tangents):
        return self(*[zeros_like(x) if t is None else t for x, t in zip(node.inputs, tangents)])

    def array_tangent(self, output, inputs, tangents):
        return self.compute(*[np.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents)])

    def taylor(self, node, *series):
        later = [series_[1:] for series_ in series]
        return [node, *[None if _all_zero(terms) else self.tangent(node, *terms) for terms in zip(*later)]]


class Movement(Linear):
    """Each element of the result is an element of an input, a sum of some, or 0: the transpose of one is another.

    `lanes(mask, node)` says which elements of the inputs go to those that the mask names.  (The sum of bools is `or`.)
    """

    __slots__ = ()

    def lanes(self, mask, node):
        return self.gradient(mask, node)


class Multilinear(TensorOp):
    """Linear in each input by itself, like a product.

    Of structural zeros, lanes of one input go wherever the others let them: where they are constants, the zeros of
    these stop them (a product with an identity selects, as an index does), what has derivatives stops nothing.
    """

    __slots__ = ()

    def lanes(self, mask, node):
        return self.gradient(Cast(float)(mask), _Passing(node))

    def lanes_after(self, node, *masks):
        passing = _Passing(node).inputs
        total = None
        for i, mask in enumerate(masks):
            if mask is not None:
                term = self(*passing[:i], Cast(float)(mask), *passing[i + 1 :])
                total = term if total is None else total + term
        return total

    def tangent(self, node, *tangents):
        inputs = node.inputs
        total = None
        for i, tangent in enumerate(tangents):
            if tangent is not None:
                term = self(*inputs[:i], tangent, *inputs[i + 1 :])
                total = term if total is None else total + term
        return total

    def array_tangent(self, output, inputs, tangents):
        total = None
        for i, tangent in enumerate(tangents):
            if tangent is not None:
                term = self.compute(*inputs[:i], tangent, *inputs[i + 1 :])
                total = term if total is None else np.add(total, term)
        return total

    def taylor(self, node, *series):
        return [node, *[self._coefficient(k, series) for k in range(1, len(series[0]))]]

    def _coefficient(self, k: int, series):
        """Coefficient k: the sum over all ways to take coefficients of the inputs whose indices add up to k."""
        total = None
        for indices in itertools.product(range(k + 1), repeat=len(series)):
            terms = [x[i] for x, i in zip(series, indices)]
            if sum(indices) == k and not any(term is None for term in terms):
                total = self(*terms) if total is None else total + self(*terms)
        return total


class _Passing:
    """Stands for a node of a multilinear op whose inputs are 1 where they pass on what they meet, 0 where not"""

    def __init__(self, node):
        self.node = node
        self.inputs = [self._passing(i, x) for i, x in enumerate(node.inputs)]
        self.shape, self.needs = node.shape, node.needs

    def _passing(self, i: int, x):
        if self.node.is_constant(i):
            return leaf((x.node.data != 0).astype(float))
        return leaf(np.broadcast_to(1.0, x.shape))


class Broadcasting(TensorOp):
    """Works element by element, after its inputs were broadcast as NumPy does."""

    __slots__ = ()

    def batch(self, size, inputs, batched):
        if len(inputs) > 1:
            ndim = max([x.node.data.ndim - b for x, b in zip(inputs, batched)])
            inputs = [beside(x, ndim) if b else x for x, b in zip(inputs, batched)]
        return self(*inputs)

    def strengthened(self, inputs, weak):
        strong = [node.data.dtype for node, is_weak in zip(inputs, weak) if not is_weak]
        if not strong:
            return inputs
        return tuple(  # of a weak number only the kind counts: a zero of Python's stands for it
            call(Cast(np.result_type(*strong, node.data.dtype.type().item())), (node,)) if is_weak else node
            for node, is_weak in zip(inputs, weak)
        )


class PiecewiseConstant(TensorOp):
    """The derivative is zero wherever it exists: the result is a constant, whatever goes in."""

    __slots__ = ()

    differentiable = False

    def gradient(self, out_grad, node):
        return (None,) * len(node.inputs)


class SumTo(Movement):
    """Sum over the axes along which `shape` was broadcast: the transpose of `BroadcastTo`."""

    __slots__ = ("shape",)

    def __init__(self, shape):
        self.shape = shape

    def compute(self, a):
        return sum_to(a, self.shape)

    def gradient(self, out_grad, node):
        return BroadcastTo(node.inputs[0].shape)(out_grad)

    def batch(self, size, inputs, batched):
        (a,) = inputs
        missing = a.ndim - 1 - len(self.shape)
        out = SumTo((size, *(1,) * missing, *self.shape))(a)
        return Reshape((size, *self.shape))(out) if missing else out


class BroadcastTo(Movement):
    """Repeat along new leading axes and axes of length 1 until the shape is `shape`."""

    __slots__ = ("shape",)

    def __init__(self, shape):
        self.shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)

    def compute(self, a):
        return broadcast(a, self.shape)

    def gradient(self, out_grad, node):
        return SumTo(node.inputs[0].shape)(out_grad)

    def batch(self, size, inputs, batched):
        return BroadcastTo((size, *self.shape))(beside(inputs[0], len(self.shape)))


class Reshape(Movement):
    """The same elements in the same order under another shape; one length may be -1"""

    __slots__ = ("shape",)

    def __init__(self, shape):
        self.shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)

    def compute(self, a):
        return a.reshape(self.shape)

    def array_gradient(self, out_grad, output, inputs, needs):
        (a,) = inputs
        if a.flags.c_contiguous:
            return (out_grad.reshape(a.shape),)
        by_a = np.empty_like(a, out_grad.dtype)  # in the memory order of the input, which meets it further up
        by_a[...] = out_grad.reshape(a.shape)
        return (by_a,)

    def gradient(self, out_grad, node):
        return Reshape(node.inputs[0].node.data.shape)(out_grad)

    def batch(self, size, inputs, batched):
        (a,) = inputs
        shape = self.shape
        if -1 in shape:  # NumPy would not know the length in a batch of 0
            known = -math.prod(shape)
            shape = tuple([math.prod(a.shape[1:]) // known if known and n == -1 else n for n in shape])
        return Reshape((size, *shape))(a)


class Cast(Broadcasting, Linear):
    """The same numbers in another floating or complex dtype; to a real dtype, the real part."""

    __slots__ = ("dtype",)

    lanes = "own"

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)

    def compute(self, a):
        if a.dtype.kind == "c" and self.dtype.kind != "c":
            a = a.real
        return a.astype(self.dtype)

    def gradient(self, out_grad, node):
        dtype = node.inputs[0].dtype
        return Cast(dtype)(out_grad) if dtype.kind in "fc" else out_grad  # the adjoint of an integer is no integer


class ToWhole(Broadcasting, PiecewiseConstant):
    """The numbers in a dtype that has no derivatives: whole numbers or bools"""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)

    def compute(self, a):
        return a.astype(self.dtype)


class Elementwise(Broadcasting):
    """yᵢ = f(x₁ᵢ, x₂ᵢ, …) after broadcasting.

    `gradient` returns out_grad·∂f/∂xₖ at the output's shape.  The walk sums it back to the input's, by `fit`.
    """

    __slots__ = ()

    # What becomes of structural zeros of the adjoint (see structural_zeros.py).  "held": ∂f/∂xₖ may be infinite, 0·∞ is
    # to be 0.  "own": by themselves zeros stay zeros.
    lanes = "held"

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    def weakened(self, node):
        return WeakNode(node.op, node.inputs, node.data, node.requires_grad)

    def tangent(self, node, *tangents):
        total = None
        for i, tangent in enumerate(tangents):
            if tangent is not None:
                if tangent.shape != node.shape:
                    tangent = BroadcastTo(node.shape)(tangent)
                rule = self.gradient(tangent, node)
                term = rule[i] if isinstance(rule, tuple) else rule
                if term is not None:
                    total = term if total is None else total + term
        return total


def _all_zero(terms) -> bool:
    return all(term is None for term in terms)


def beside(x, ndim: int):
    """A batched payload with axes of length 1 behind the batch, so that its examples broadcast as `ndim`-d ones."""
    missing = ndim - (x.node.data.ndim - 1)
    return x if missing <= 0 else Reshape((x.shape[0], *(1,) * missing, *x.shape[1:]))(x)


def all_batched(size: int, inputs, batched) -> list:
    """The inputs of a `batch` rule, those that all examples share repeated for each."""
    return [x if b else BroadcastTo((size, *x.shape))(x) for x, b in zip(inputs, batched)]


def zeros_like(x):
    """Zeros of the shape and dtype of a Tensor: a constant."""
    return leaf(np.zeros_like(x.node.data))


def broadcast(array, shape: tuple[int, ...]):
    """The raw array repeated to `shape`, by NumPy's rules: not to be written into."""
    try:
        if isinstance(array, np.generic):
            array = np.asarray(array)
        if array.size == 1 and type(array) is np.ndarray and array.ndim <= len(shape):
            # One number everywhere.  NumPy's own function says the same in eight times as long; and to write out a few
            # numbers takes half as long as to make a view.
            if math.prod(shape) <= 256:
                out = np.empty(shape, array.dtype)
                out[...] = array
                return out
            view = np.ndarray(shape, array.dtype, array, 0, (0,) * len(shape))
            view.flags.writeable = False
            return view
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"shape {array.shape} does not broadcast to {shape}") from None


def sum_to(array, shape):
    """The raw array summed over the axes along which `shape` would be broadcast to its own."""
    extra = array.ndim - len(shape)
    stretched = [extra + i for i, n in enumerate(shape) if n == 1 and array.shape[extra + i] != 1]
    if extra and not stretched and shape and array.size > 1000 and _is_in_rows(array):
        columns = math.prod(shape)  # BLAS adds rows in a third of the time
        array = np.ones_like(array, shape=array.size // columns) @ array.reshape(-1, columns)
    elif extra or stretched:
        array = add_reduce(array, axis=(*range(extra), *stretched), dtype=array.dtype)
    return array if array.shape == shape else array.reshape(shape)


def in_order(array):
    """The raw array in C order, without gaps: itself, if it lies so already."""
    return array if array.flags.c_contiguous else array.copy()


def _is_in_rows(array) -> bool:
    """Whether these are numbers that BLAS knows, in the order in which it takes a matrix."""
    return isinstance(array, np.ndarray) and array.dtype.char in "fd" and array.flags.c_contiguous


def normalize_axes(axes, ndim: int) -> tuple[int, ...]:
    """`axes` (None, an int or a sequence; negative allowed) as a tuple of distinct numbers in [0, ndim)."""
    if axes is None:
        return tuple(range(ndim))
    axes = tuple(axes) if hasattr(axes, "__iter__") and not isinstance(axes, str) else (axes,)
    result = []
    for axis in axes:
        if not hasattr(axis, "__index__"):
            raise TypeError(f"an axis is an int, got {axis!r}")
        if not -ndim <= axis < ndim:
            raise np.exceptions.AxisError(f"axis {axis} is out of bounds for a Tensor of {ndim} dimensions")
        result.append(int(axis) % ndim)
    if len(set(result)) != len(result):
        raise ValueError(f"axes {axes} name an axis twice")
    return tuple(result)


def behind_batch(axes, ndim: int) -> tuple[int, ...]:
    """`axes` of an example of `ndim` dimensions (as in `normalize_axes`), counted with a batch in front."""
    return tuple([axis + 1 for axis in normalize_axes(axes, ndim)])
