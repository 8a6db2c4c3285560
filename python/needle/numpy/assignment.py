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
    # Nothing was recorded, so nobody but a holder of the memory counts as one.  The references to an array that only
    # this value has: the node's, `array` here, and the argument; to one below it: the view's, and the argument.
    del inner
    if not isinstance(array.base, np.ndarray):
        return sys.getrefcount(array) > 3
    return sys.getrefcount(array.base) > 2
