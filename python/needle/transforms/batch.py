"""vmap: one pass for a whole batch.

Inside `vmap` values are `Batched` boxes: the function sees one example's shape, while the payload has the batch as its
first axis.  Calling an op runs its batching rule: the same op, or a related one, on the payloads.
"""

import functools
from collections.abc import Callable

import numpy as np

from ..graph import Box, Frame, Node, Op, Tensor, frame, new_handle, special
from ..ops.movement import broadcast_to, moveaxis
from ..ops.slices import one_by_one
from .trees import Tree, hand_back, node_of, tensor_of


class Example:
    """What is known of one example's array inside `vmap`: everything but its numbers."""

    __slots__ = ("shape", "dtype")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "the value of a batched Tensor was asked for inside vmap, where it is a different one for each example; "
            "choose with needle.where(condition, a, b), or take what is shared out of the function"
        )

    item = tolist = copy = astype = __array__


class Batched(Box):
    """One value for each example: `payload` has the batch as axis 0."""

    __slots__ = ("payload",)

    def __init__(self, frame: Frame, payload: Node):
        Box.__init__(self, frame)
        self.payload = payload

    @property
    def data(self):
        self.check()
        data = self.payload.data
        if self.payload.holds_tuple():
            return tuple(Example(item.shape[1:], item.dtype) for item in data)
        return Example(data.shape[1:], data.dtype)

    def copy(self) -> "Batched":
        return Batched(self.frame, self.payload)

    def detached(self) -> Node:
        return Batched(self.frame, self.payload.detached())

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        batched = [node.level == self.frame.level for node in inputs]
        handles = [new_handle(node.payload if b else node) for node, b in zip(inputs, batched)]
        size = self.size
        rule = getattr(op, "batch", None)
        out = rule(size, handles, batched) if rule is not None else one_by_one(op, size, handles, batched)
        return Batched(self.frame, out.node)

    @property
    def size(self) -> int:
        data = self.payload.data
        return (data[0] if self.payload.holds_tuple() else data).shape[0]


def vmap(fun: Callable, in_axes=0, out_axes=0, randomness: str = "different") -> Callable:
    """Map `fun` over an axis of its arguments, in one pass.

    Args:
        fun: takes and returns Tensors, arrays, numbers, and trees of these; it sees one example.
        in_axes: the axis to map over: an int (for every leaf of every argument), None (shared by all examples), or a
            tuple or list with one entry an argument, each an int, None, or a tree of them that begins like the
            argument.
        out_axes: where the batch goes in the result: an int, or a tree of ints that begins like the output.
        randomness: "different" draws random numbers for each example, "same" once for all.

    Returns:
        A function with `fun`'s signature on batched arguments.  Keyword arguments are mapped over axis 0.

    Raises:
        ValueError: axes out of range, or lengths that differ.

    >>> import numpy as np
    >>> vmap(lambda x, y: (x * y).sum())(np.ones((3, 2)), np.ones((3, 2)))
    array([2., 2., 2.])
    """

    @functools.wraps(fun)
    def mapped(*args, **kwargs):
        tree = Tree((args, kwargs))
        axes = _axes_of(args, kwargs, in_axes)
        nodes = [node_of(value, "an argument of the function given to vmap") for value in tree.leaves]
        size = _batch_size(nodes, axes)
        swapped: list = []
        with special(), frame("vmap") as mine:
            inside = []
            for node, axis in zip(nodes, axes, strict=True):
                if axis is not None:
                    node = Batched(mine, moveaxis(new_handle(node), axis, 0).node)
                inside.append(new_handle(node))
            try:
                inner_args, inner_kwargs = tree.inside(inside, swapped)
                out = fun(*inner_args, **inner_kwargs)
            finally:
                for parameter, node in swapped:
                    parameter.node = node
            out_tree = Tree(out)
            results = []
            for value, axis in zip(out_tree.leaves, _spread(out_axes, out, "out_axes"), strict=True):
                node = tensor_of(value, "what the function given to vmap returns").node
                results.append(_out(node, mine, size, axis))
        came = any(isinstance(value, Tensor) for value in tree.leaves)
        return hand_back(Tree(out_tree.build(results)), came)

    return mapped


def _axes_of(args: tuple, kwargs: dict, in_axes) -> list:
    """One axis (or None) for each leaf of (args, kwargs)."""
    if isinstance(in_axes, (tuple, list)):
        if len(in_axes) != len(args):
            raise ValueError(f"in_axes has {len(in_axes)} entries for {len(args)} arguments")
    else:
        in_axes = [in_axes] * len(args)
    axes = []
    for i, (arg, axis) in enumerate(zip(args, in_axes, strict=True)):
        axes += _spread(axis, arg, f"in_axes[{i}]")
    return axes + [0] * len(Tree(kwargs).leaves)


def _spread(axes, tree, name: str) -> list:
    """`axes`, a tree that begins like `tree`, as one entry for each leaf of `tree`."""
    leaves = Tree(tree).leaves
    if axes is None or isinstance(axes, (int, np.integer)):
        return [axes] * len(leaves)
    if isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        return [axis for key in sorted(tree) for axis in _spread(axes[key], tree[key], f"{name}[{key!r}]")]
    if isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        return [
            axis
            for i, (part, inner) in enumerate(zip(axes, tree, strict=True))
            for axis in _spread(part, inner, f"{name}[{i}]")
        ]
    raise ValueError(f"{name} of vmap must be an int, None, or begin like what it belongs to; got {axes!r}")


def _batch_size(nodes: list[Node], axes: list) -> int:
    sizes = {}
    for i, (node, axis) in enumerate(zip(nodes, axes, strict=True)):
        if axis is not None:
            shape = node.data.shape
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"in_axes of vmap asks for axis {axis} of an argument of shape {shape} (leaf {i})")
            sizes.setdefault(shape[axis], (i, shape))
    if not sizes:
        raise ValueError("vmap needs at least one argument to map over; every entry of in_axes is None")
    if len(sizes) > 1:
        came = ", ".join(f"{size} (leaf {i}, shape {shape})" for size, (i, shape) in sizes.items())
        raise ValueError(f"vmap needs arguments of one length along the mapped axes, got {came}")
    return next(iter(sizes))


def _out(node: Node, mine: Frame, size: int, axis) -> Tensor:
    """A result of the function, with the batch brought to `axis`."""
    if node.level == mine.level:
        out = new_handle(node.payload)
    elif axis is None:
        return new_handle(node)
    else:
        data = node.data
        out = broadcast_to(new_handle(node), (size, *data.shape))
    if axis is None:
        raise ValueError("out_axes of vmap is None for a result that differs between examples")
    if not -out.ndim <= axis < out.ndim:
        raise ValueError(f"out_axes of vmap asks for axis {axis} of a result of shape {out.shape}")
    return moveaxis(out, 0, axis)
