"""Index assignment, `y[i] = v`, and NumPy's functions that write into an array.

A Tensor is a handle on a node.  Assigning moves the handle to a new node, which an op makes from the old value, the
index and what is assigned; whatever was recorded before keeps the version that it used.
"""

import sys

import numpy as np

from .. import ops
from ..graph import Node, Tensor, is_followed, is_recording, leaf
from ..ops.assignment import set_item
from .dispatch import as_tensor, holds_tensor, implements, plain


def assign(tensor: Tensor, index, value) -> None:
    """`tensor[index] = value`, for an index as in `tensor[index]`; the value broadcasts and takes the Tensor's dtype.

    Raises:
        RuntimeError: the Tensor is a leaf that requires grad: its derivative would be that of another value.
        ValueError: the Tensor is a view of another one, which would not change with it.
    """
    _move(tensor, lambda old: set_item(old, index, _fitting(value, old)))


def _move(tensor: Tensor, change) -> None:
    """Give the handle `tensor` the value that `change` makes of the old one."""
    node = tensor.node
    if node.op is None and node.requires_grad:
        if is_recording():
            raise RuntimeError(
                "assigning into a leaf that requires grad would change what its derivative belongs to; write "
                "y = x.copy() and assign into y, or, to change the leaf itself, assign inside needle.no_grad()"
            )
        tensor.data = change(tensor.detach())
        return
    if is_view(node):
        raise ValueError(
            "this Tensor is a view, which shares its memory with another one, and assigning into it would leave that "
            "one as it is; write a[i, j] = v in place of a[i][j] = v, or take a copy first, b = a[i].copy()"
        )
    moved = change(tensor).node
    if node._handle is not None and node._handle() is tensor:
        node._handle = None  # what was recorded with the old value has a `.grad` of its own, which nobody holds
    tensor._move(moved)


def _fitting(value, like: Tensor) -> Tensor:
    """What is assigned, as a Tensor: in whole numbers, where those of `like` are, it is a constant."""
    if not isinstance(value, Tensor) and not holds_tensor((value,)):
        return leaf(np.asarray(value, None if isinstance(value, np.ndarray) else like.dtype))
    value = as_tensor(value)
    return value if like.dtype.kind in "fc" or value.dtype.kind in "biu" else value.astype(like.dtype)


# --------------------------------------------------------------------------------------------------------------------
# Views


def is_view(node: Node) -> bool:
    """Whether the value lies in memory that another value, which the program can still see, has too."""
    inner = node
    while inner.level > 0:
        inner = getattr(inner, "payload", None) or inner.primal
    array = inner.data
    if not isinstance(array, np.ndarray):
        return False
    if node.op is not None:
        return _comes_from_visible(node, _owner(array))
    if inner.op is not None:
        return any(_owner(source.data) is array.base for source in inner.inputs if isinstance(array.base, np.ndarray))
    # Nothing was recorded, so nobody but a holder of the memory counts as one.  An array that has its own is seen by
    # views of it, if by anyone.  The references to one below it that nobody else sees: the view's, and the argument.
    return isinstance(array.base, np.ndarray) and sys.getrefcount(array.base) > 2


def _owner(array):
    """The array whose memory a view lies in; the array itself if it has its own."""
    return array.base if isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray) else array


def _comes_from_visible(node: Node, owner) -> bool:
    """Whether something in the same memory that `node` was computed from has a handle.  (The steps within a function,
    like the reshape that ends a product, have none.)"""
    stack = list(node.inputs)
    while stack:
        source = stack.pop()
        inner = source
        while inner.level > 0:
            inner = getattr(inner, "payload", None) or inner.primal
        if any(_owner(array) is owner for array in (inner.data if type(inner.data) is tuple else [inner.data])):
            if source.op is None or (source._handle is not None and isinstance(source._handle(), Tensor)):
                return True
            stack += source.inputs
    return False


# --------------------------------------------------------------------------------------------------------------------
# Functions


def _into(target, function, *values) -> bool:
    """Whether `target` is a Tensor; if not, `function` has to write plain values into an array of NumPy."""
    if isinstance(target, Tensor):
        return True
    if any(isinstance(value, Tensor) and is_followed(value.node) for value in values):
        raise TypeError(
            f"numpy.{function.__name__} into an array of NumPy would keep the numbers of a Tensor and lose its "
            "derivative; write into a Tensor, e.g. needle.numpy.zeros(...) or x.copy()"
        )
    return False


@implements(np.copyto)
def copyto(dst, src, casting="same_kind", where=True) -> None:
    """`dst[where] = src`, which broadcasts."""
    if not _into(dst, np.copyto, src):
        return np.copyto(dst, plain(src), casting, where=plain(where))
    src = _fitting(src, dst)
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the rule {casting!r}")
    return _move(dst, lambda old: _selected(old, where, src))


def _selected(old: Tensor, mask, values: Tensor) -> Tensor:
    """`values` where the mask holds, else the old value, in its shape and dtype."""
    values = values if values.dtype == old.dtype else values.astype(old.dtype)
    values = ops.broadcast_to(values, old.shape)
    return values.copy() if mask is True else ops.where(ops.broadcast_to(as_tensor(mask), old.shape), values, old)


@implements(np.putmask)
def putmask(a, mask, values) -> None:
    """`a[i] = values[i]` where the mask holds, in flat order; the values are repeated as often as it takes."""
    if not _into(a, np.putmask, values):
        return np.putmask(a, plain(mask), plain(values))
    values = np.resize(_fitting(values, a), a.shape)
    return _move(a, lambda old: _selected(old, np.reshape(as_tensor(mask).astype(bool), old.shape), values))


@implements(np.place)
def place(arr, mask, vals) -> None:
    """The elements where the mask holds become those of `vals`, one after the other, repeated as often as it takes."""
    if not _into(arr, np.place, vals):
        return np.place(arr, plain(mask), plain(vals))
    mask = plain(mask).astype(bool)
    count = np.count_nonzero(mask)
    vals = np.ravel(_fitting(vals, arr))
    if count == 0:
        return None
    if vals.size == 0:
        raise ValueError("Cannot insert from an empty array!")
    return assign(arr, np.reshape(mask, arr.shape), np.resize(vals, count))


@implements(np.put)
def put(a, ind, v, mode="raise") -> None:
    """`a.flat[ind] = v`; the values are repeated as often as it takes."""
    if not _into(a, np.put, v):
        return np.put(a, plain(ind), plain(v), mode)
    ind = as_tensor(ind)
    ind = np.ravel(ind if ind.dtype.kind in "iu" else ind.astype(int))
    if ind.size == 0:
        return None
    if mode != "raise":
        ind = np.clip(ind, 0, a.size - 1) if mode == "clip" else np.mod(ind, a.size)
    v = np.resize(_fitting(v, a), ind.shape)
    return _move(a, lambda old: ops.reshape(set_item(ops.reshape(old, -1), ind, v), old.shape))


@implements(np.put_along_axis)
def put_along_axis(arr, indices, values, axis=-1) -> None:
    """`arr` at `indices` along `axis` becomes `values`, which broadcast against the indices."""
    if not _into(arr, np.put_along_axis, values):
        return np.put_along_axis(arr, plain(indices), plain(values), axis)
    indices = as_tensor(indices)
    if axis is None:
        values = _fitting(values, arr)
        return _move(arr, lambda old: ops.reshape(set_item(ops.reshape(old, -1), indices, values), old.shape))
    return assign(arr, _along(arr, indices, axis), values)


def _along(arr: Tensor, indices: Tensor, axis: int) -> tuple:
    """The index of the elements at `indices` along an axis."""
    if indices.ndim != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    places = list(np.ogrid[tuple([slice(n) for n in arr.shape])])
    places[axis] = indices
    return tuple(places)


@implements(np.fill_diagonal)
def fill_diagonal(a, val, wrap=False) -> None:
    """The main diagonal becomes `val`, whose elements are repeated as often as it takes."""
    if not _into(a, np.fill_diagonal, val):
        return np.fill_diagonal(a, plain(val), wrap)
    places = np.arange(a.size).reshape(a.shape)
    marked = np.zeros(a.shape, bool)
    np.fill_diagonal(marked, True, wrap)
    places = places[marked]
    val = np.resize(_fitting(val, a), places.shape)
    return _move(a, lambda old: ops.reshape(set_item(ops.reshape(old, -1), places, val), old.shape))


def fill(a: Tensor, value) -> None:
    """All elements become `value`."""
    assign(a, ..., value)


Tensor.__setitem__ = assign
Tensor.fill = fill
Tensor.put = put
