"""vmap: one pass for a whole batch.

Inside `vmap` values are `Batched` boxes: the function sees one example's shape, while the payload has the batch as its
first axis.  Calling an op runs its batching rule: the same op, or a related one, on the payloads.
"""

import functools
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import numpy as np

from .. import init
from ..graph import Box, Frame, Node, Op, Tensor, ValueUnknown, frame, linked_handle, new_handle, put_back, special
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
        return math.prod(self.shape)

    def unknown(self, *args, **kwargs):
        raise ValueUnknown(
            "the value of a batched Tensor was asked for inside vmap, where it is a different one for each example; "
            "choose with needle.where(condition, a, b), or take what is shared out of the function"
        )

    __array__ = __array_ufunc__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __sub__ = __mul__ = unknown
    __radd__ = __rsub__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __neg__ = __abs__ = __getitem__ = unknown
    item = tolist = copy = astype = unknown

    def __array_function__(self, function, types, args, kwargs):
        if function in (np.zeros_like, np.ones_like, np.empty_like, np.full_like):  # these ask for no numbers
            return function(np.broadcast_to(np.zeros((), self.dtype), self.shape), *args[1:], **kwargs)
        return self.unknown()

    def __repr__(self) -> str:
        return f"<{self.dtype}{list(self.shape)}, another for each example>"


class Batched(Box):
    """One value for each example: `payload` has the batch as axis 0."""

    __slots__ = ("payload", "_example")

    def __init__(self, frame: Frame, payload: Node):
        Box.__init__(self, frame)
        self.payload, self._example = payload, None

    @property
    def data(self):
        self.check()
        example = self._example
        if example is None:
            data = self.payload.data
            if type(data) is tuple:
                example = tuple(Example(item.shape[1:], item.dtype) for item in data)
            else:
                example = Example(data.shape[1:], data.dtype)
            self._example = example
        return example

    def holds_tuple(self) -> bool:
        return self.payload.holds_tuple()

    def copy(self) -> "Batched":
        return Batched(self.frame, self.payload)

    def beneath(self) -> Node:
        return self.payload

    def detached(self) -> Node:
        return Batched(self.frame, self.payload.detached())

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        level = self.level
        batched = [node.level == level for node in inputs]
        handles = [new_handle(node.payload if b else node) for node, b in zip(inputs, batched)]
        data = self.payload.data
        size = (data[0] if type(data) is tuple else data).shape[0]
        rule = getattr(op, "batch", None)
        out = rule(size, handles, batched) if rule is not None else one_by_one(op, size, handles, batched)
        return Batched(self.frame, out.node)


def vmap(fun: Callable, in_axes=0, out_axes=0, randomness: str = "different") -> Callable:
    """Map `fun` over an axis of its arguments, in one pass.

    Args:
        fun: takes and returns Tensors, arrays, numbers, and trees of these; it sees one example.
        in_axes: the axis to map over: an int (for every leaf of every argument), None (shared by all examples), or a
            tuple or list with one entry an argument, each an int, None, or a tree of them that begins like the
            argument.  Of a Module it is the axis of every parameter (an ensemble of stacked weights).
        out_axes: where the batch goes in the result: an int, or a tree of ints that begins like the output.
        randomness: "different" draws random numbers (`needle.init.rand` and its like, Dropout) for each example,
            "same" once for all.  Each call of `rand` draws for all examples together, so a function that draws once
            gets what a loop over the examples would get.  What NumPy draws by itself is always shared.

    Returns:
        A function with `fun`'s signature on batched arguments.  Keyword arguments are mapped over axis 0.

    Raises:
        ValueError: axes out of range, lengths that differ, or nothing to map over.
        TypeError: the value of what differs between examples is asked for (`if x > 0`, `float(x)`).

    >>> import numpy as np
    >>> vmap(lambda x, y: (x * y).sum())(np.ones((3, 2)), np.ones((3, 2)))
    array([2., 2., 2.])
    """

    if randomness not in ("different", "same"):
        raise ValueError(f'randomness of vmap must be "different" or "same", got {randomness!r}')

    @functools.wraps(fun)
    def mapped(*args, **kwargs):
        tree = Tree((args, kwargs))
        axes = _axes_of(args, kwargs, in_axes)
        nodes = [node_of(value, "an argument of the function given to vmap") for value in tree.leaves]
        size = _batch_size(nodes, axes, _names_of(args, kwargs))
        swapped: list = []
        with special(), frame("vmap") as mine, init.drawing(_draws(mine, size, randomness)):
            inside = []
            for node, axis in zip(nodes, axes, strict=True):
                if axis is not None:
                    node = Batched(mine, moveaxis(new_handle(node), axis, 0).node)
                inside.append(new_handle(node))
            try:
                inner_args, inner_kwargs = tree.inside(inside, swapped)
                out = fun(*inner_args, **inner_kwargs)
            finally:
                put_back(swapped)
            out_tree = Tree(out)
            results = []
            for value, axis in zip(out_tree.leaves, _spread(out_axes, out, "out_axes"), strict=True):
                node = tensor_of(value, "what the function given to vmap returns").node
                results.append(_out(node, mine, size, axis))
        came = any(isinstance(value, Tensor) for value in tree.leaves)
        return hand_back(Tree(out_tree.build(results)), came)

    return mapped


def _draws(mine: Frame, size: int, randomness: str) -> Callable:
    """How random numbers are drawn inside: for all examples in one draw, or once."""

    def draw(outer, make, shape):
        if randomness == "same":
            return outer(make, shape)
        return linked_handle(Batched(mine, outer(make, (size, *shape)).node))

    return draw


def _axes_of(args: tuple, kwargs: dict, in_axes) -> list:
    """One axis (or None) for each leaf of (args, kwargs)."""
    if isinstance(in_axes, (tuple, list)):
        if len(in_axes) != len(args):
            raise ValueError(f"in_axes of vmap has {len(in_axes)} entries for {len(args)} arguments")
    else:
        in_axes = [in_axes] * len(args)
    axes = []
    for i, (arg, axis) in enumerate(zip(args, in_axes, strict=True)):
        axes += _spread(axis, arg, f"in_axes[{i}]")
    return axes + [0] * len(Tree(kwargs).leaves)


def _names_of(args: tuple, kwargs: dict) -> list[str]:
    """What to call each leaf of (args, kwargs) in an error."""
    named = [(f"argument {i}", arg) for i, arg in enumerate(args)]
    named += [(f"keyword argument {key!r}", kwargs[key]) for key in sorted(kwargs)]
    return [name for name, arg in named for _ in Tree(arg).leaves]


def _spread(axes, tree, name: str) -> list:
    """`axes`, a tree that begins like `tree`, as one entry for each leaf of `tree`."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return [axes] * len(Tree(tree).leaves)
    if isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        keys = tree if isinstance(tree, OrderedDict) else sorted(tree)  # the order in which `optree` goes
        return [axis for key in keys for axis in _spread(axes[key], tree[key], f"{name}[{key!r}]")]
    if isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        return [
            axis
            for i, (part, inner) in enumerate(zip(axes, tree, strict=True))
            for axis in _spread(part, inner, f"{name}[{i}]")
        ]
    if is_dataclass(axes) and type(axes) is type(tree):
        names = [field.name for field in fields(tree) if field.init]
        return [a for one in names for a in _spread(getattr(axes, one), getattr(tree, one), f"{name}.{one}")]
    raise ValueError(
        f"{name} of vmap must be an int, None, or a tree that begins like what it belongs to, "
        f"{Tree(tree)}; got {axes!r}"
    )


def _batch_size(nodes: list[Node], axes: list, names: list[str]) -> int:
    sizes = {}
    for node, axis, name in zip(nodes, axes, names, strict=True):
        if axis is not None:
            shape = node.data.shape
            if not -len(shape) <= axis < len(shape):
                raise ValueError(
                    f"in_axes of vmap asks for axis {axis} of {name}, which has shape {shape}; "
                    "None in in_axes shares an argument among all examples"
                )
            sizes.setdefault(shape[axis], f"{shape[axis]} (axis {axis} of {name}, of shape {shape})")
    if not sizes:
        raise ValueError("vmap needs at least one argument to map over, but in_axes is None for all there are")
    if len(sizes) > 1:
        raise ValueError(f"vmap needs one length along all mapped axes, got {' and '.join(sizes.values())}")
    return next(iter(sizes))


def batch_first(node: Node, mine: Frame, size: int) -> Tensor:
    """A value from inside the frame `mine` with the batch as axis 0; what all examples share is repeated."""
    if node.level == mine.level:
        return new_handle(node.payload)
    return broadcast_to(new_handle(node), (size, *node.data.shape))


def _out(node: Node, mine: Frame, size: int, axis) -> Tensor:
    """A result of the function, with the batch brought to `axis`."""
    if axis is None:
        if node.level == mine.level:
            raise ValueError("out_axes of vmap is None for a result that differs between examples")
        return new_handle(node)
    out = batch_first(node, mine, size)
    if not -out.ndim <= axis < out.ndim:
        raise ValueError(f"out_axes of vmap asks for axis {axis} of a result of shape {out.shape}")
    return moveaxis(out, 0, axis)
