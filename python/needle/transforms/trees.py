"""Arguments as trees: tuples, lists, dicts, named tuples, dataclasses and Modules of Tensors, arrays and numbers.

A transform follows the leaves.  What it gives back has the structure of what came in, and each leaf's own kind: NumPy
for NumPy and numbers, Tensors for Tensors, but a Tensor wherever an outer derivative would otherwise be lost.
"""

import copy
import dataclasses
import functools
import importlib
from collections.abc import Callable, Container
from contextlib import nullcontext

import numpy as np

from ..graph import (
    Node,
    Tensor,
    TensorTuple,
    WeakNode,
    handle,
    is_recording,
    move,
    new_handle,
    plain_array,
    put_back,
    special,
)

_PLAIN = {Tensor, np.ndarray, float}  # what most leaves are


class Tree:
    """The leaves of a tree, and the structure around them."""

    def __init__(self, tree):
        self.alone = type(tree) in _PLAIN
        if self.alone:  # most trees are a single leaf: no need to look for more
            self.leaves: list = [tree]
            return
        tops, self._treedef = _optree().tree_flatten(tree, is_leaf=_is_opaque)
        self._parts = [_part(top) for top in tops]
        self.leaves = [value for part in self._parts for value in part.leaves]

    def build(self, values: list):
        """The same structure around as many new values; Modules are copied."""
        if self.alone and len(values) == 1:
            return values[0]
        return self._around(values, lambda part, mine: part.build(mine))

    def forget(self, known: Container[Tensor] = ()) -> None:
        """Let go of the leaves, and of the values of parameters that are not known; what is left is the structure."""
        self.leaves = [None] * len(self.leaves)
        if not self.alone:
            for part in self._parts:
                if isinstance(part, _Module):  # which is copied with other parameters: these are there to be known by
                    for leaf in part.leaves:
                        if leaf not in known:
                            leaf.node = Node(None, (), np.zeros(0), False)
                else:
                    part.leaves = [None] * len(part.leaves)

    def let_go(self) -> None:
        """Let go of the leaves, but for the parameters of Modules; `inside` works as before."""
        self.leaves = [None] * len(self.leaves)
        if not self.alone:
            for part in self._parts:
                if isinstance(part, _Leaf):
                    part.leaves = [None]

    def inside(self, tensors: list[Tensor], swapped: list[tuple[Tensor, Node]]):
        """The same structure around `tensors`, for a function to compute with.  Modules are the same objects: their
        parameters take the nodes of `tensors`, and `swapped` receives each parameter with the node that it had."""
        if self.alone and len(tensors) == 1:
            return tensors[0]
        return self._around(tensors, lambda part, mine: part.inside(mine, swapped))

    def _around(self, values: list, build: Callable):
        if len(values) != len(self.leaves):
            raise ValueError(f"expected {len(self.leaves)} leaves, got {len(values)}")
        built, start = [], 0
        for part in self._parts:
            stop = start + len(part.leaves)
            built.append(build(part, values[start:stop]))
            start = stop
        return self._treedef.unflatten(built)

    def _structure(self) -> tuple:
        """What optree says of the tree, and how many leaves each part has."""
        return (_leaf_alone(), [1]) if self.alone else (self._treedef, [len(part.leaves) for part in self._parts])

    def matches(self, other: "Tree") -> bool:
        """Whether the other tree has this one's structure."""
        return (self.alone and other.alone) or self._structure() == other._structure()

    def __repr__(self) -> str:
        return str(self._structure()[0]).removeprefix("PyTreeSpec(").removesuffix(")").replace(", NoneIsLeaf", "")


@functools.cache
def _optree():
    """`optree`, imported when it is first used: `import needle` costs little more than NumPy."""
    return importlib.import_module("optree")


@functools.cache
def _leaf_alone():
    """The structure of a tree that is one leaf."""
    return _optree().tree_structure(0.0)


class _Leaf:
    def __init__(self, value):
        self.leaves = [value]

    def build(self, values):
        return values[0]

    def inside(self, tensors, swapped):
        return tensors[0]


class _Dataclass:
    def __init__(self, value):
        self.value = value
        self.names = [field.name for field in dataclasses.fields(value) if field.init]
        self.tree = Tree([getattr(value, name) for name in self.names])
        self.leaves = self.tree.leaves

    def _replace(self, fields):
        return dataclasses.replace(self.value, **dict(zip(self.names, fields, strict=True)))

    def build(self, values):
        return self._replace(self.tree.build(values))

    def inside(self, tensors, swapped):
        return self._replace(self.tree.inside(tensors, swapped))


class _Module:
    def __init__(self, module):
        self.module = module
        self.leaves = list(dict.fromkeys(module.parameters()))  # shared ones once

    def build(self, values):
        memo = {id(leaf): _in_place_of(leaf, value) for leaf, value in zip(self.leaves, values, strict=True)}
        return copy.deepcopy(self.module, memo)

    def inside(self, tensors, swapped):
        for parameter, tensor in zip(self.leaves, tensors, strict=True):
            if tensor.node is not parameter.node:
                move(parameter, tensor.node, swapped)
                tensor.node._handle = None
        return self.module


def _in_place_of(leaf: Tensor, value):
    """A Tensor of the leaf's class (a Parameter), so that the Module that gets it still finds it."""
    if not isinstance(value, Tensor) or type(value) is type(leaf):
        return value
    parameter = object.__new__(type(leaf))
    parameter.node, parameter.grad = value.node, None
    return parameter


def whole_modules(tree: Tree, known: Container[Tensor]) -> Tree:
    """The same tree, of which a Module is one leaf if all of its parameters are known."""
    if not tree.alone:
        tree._parts = [
            _Leaf(part.module) if isinstance(part, _Module) and all(leaf in known for leaf in part.leaves) else part
            for part in tree._parts
        ]
        tree.leaves = [value for part in tree._parts for value in part.leaves]
    return tree


def is_module(value) -> bool:
    """Whether `value` is an `nn.Module`: something that has parameters and a `forward`."""
    return hasattr(value, "parameters") and hasattr(value, "forward")


def _is_dataclass(value) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is_opaque(value) -> bool:
    """What optree is not to look into."""
    if type(value) in _PLAIN:
        return True
    return isinstance(value, (Tensor, TensorTuple)) or is_module(value) or _is_dataclass(value)


def _part(top):
    if type(top) in _PLAIN:
        return _Leaf(top)
    if is_module(top):
        return _Module(top)
    return _Dataclass(top) if _is_dataclass(top) else _Leaf(top)


# --------------------------------------------------------------------------------------------------------------------
# Leaves in, leaves out


_NUMBERS = (np.ndarray, np.generic, int, float, complex)


def node_of(value, name: str) -> Node:
    """The node that stands for a leaf inside a transform; arrays and numbers become constants."""
    if isinstance(value, Tensor):
        return value.node
    if isinstance(value, _NUMBERS):
        array = np.array(value)
        if array.dtype.kind in "biufc":
            kind = Node if isinstance(value, (np.ndarray, np.generic)) else WeakNode
            return kind(None, (), plain_array(array), False)
    elif hasattr(value, "__array_function__") and hasattr(value, "dtype"):  # an array of another device, or of a trace
        return Node(None, (), value, False)
    raise TypeError(f"{name} must be made of Tensors, arrays and numbers, got {type(value).__name__} {value!r:.60}")


def tensor_of(value, name: str) -> Tensor:
    """The Tensor that a function returned: itself, or a constant for an array or a number."""
    return value if isinstance(value, Tensor) else new_handle(node_of(value, name))


def is_followed(node: Node) -> bool:
    """Whether an enclosing transform or, while recording is on, a Tensor that requires grad hangs on this value."""
    return bool(node.level) or (is_recording() and node.is_differentiable())


def of_kind(result: Tensor, like):
    """`result` in the kind of the leaf `like`, unless a derivative would be lost by leaving the graph."""
    if is_followed(result.node):
        return result
    if isinstance(like, Tensor):
        return result.detach() if result.node.requires_grad else result
    array = result.node.data
    return array if isinstance(like, np.ndarray) else array[()]


def hand_back(tree: Tree, tensors_came: bool):
    """What a function returned: as NumPy where no argument held a Tensor and no derivative is lost by it."""
    return tree.build([of_kind(v, v if tensors_came else 0.0) if isinstance(v, Tensor) else v for v in tree.leaves])


class Arguments:
    """The arguments of one call of a transformed function, some of which (`argnums`) the transform follows."""

    def __init__(self, args: tuple, kwargs: dict, argnums, name: str):
        self.args, self.name = list(args), name
        self.single = not isinstance(argnums, (tuple, list))
        if self.single and len(args) == 1 and not kwargs and type(args[0]) in _PLAIN:  # nothing to be looked for
            self.argnums, self.trees, self.kwargs = [_position(argnums, 1, name)], [Tree(args[0])], kwargs
            self.leaves = self.trees[0].leaves
            self.nodes = [node_of(args[0], f"argument 0 of the function given to {name}")]
            self.tensors_came = isinstance(args[0], Tensor)
            return
        self.argnums = [_position(argnum, len(args), name) for argnum in ([argnums] if self.single else argnums)]
        trees = [Tree(arg) for arg in [*self.args, *kwargs.values()]]
        self.trees = [trees[i] for i in self.argnums]
        # Inside the function arrays are Tensors, whether they are followed or not; numbers may be counts and stay.
        for i, tree in enumerate(trees[: len(args)]):
            if i not in self.argnums:
                self.args[i] = _with_tensors(tree, self.args[i])
        self.kwargs = {
            key: _with_tensors(tree, value)
            for tree, (key, value) in zip(trees[len(args) :], kwargs.items(), strict=True)
        }
        self.leaves = [value for tree in self.trees for value in tree.leaves]
        self.nodes = [
            node_of(value, f"argument {i} of the function given to {name}")
            for i, tree in zip(self.argnums, self.trees, strict=True)
            for value in tree.leaves
        ]
        self.tensors_came = any(isinstance(value, Tensor) for tree in trees for value in tree.leaves)

    def call(self, fun: Callable, nodes: list[Node]):
        """`fun` with `nodes` in place of the followed leaves; parameters of Modules are put back afterwards."""
        tensors = [handle(node) for node in nodes]  # linked, so that backward() inside finds them
        if len(self.args) == len(nodes) == 1 and not self.kwargs and self.trees[0].alone and type(nodes[0]) is Node:
            return fun(*tensors)
        args = list(self.args)
        swapped: list[tuple[Tensor, Node]] = []
        weak = any(isinstance(node, WeakNode) for node in self.nodes)
        try:
            for i, tree in zip(self.argnums, self.trees, strict=True):
                mine, tensors = tensors[: len(tree.leaves)], tensors[len(tree.leaves) :]
                args[i] = tree.inside(mine, swapped)
            with special() if weak else nullcontext():  # on the special road weak numbers meet the dtypes of others
                return fun(*args, **self.kwargs)
        finally:
            put_back(swapped)

    def structure(self, values: list):
        """One value a leaf, in the structure of the followed argument (a tuple of them for several argnums)."""
        if self.single and self.trees[0].alone:
            return values[0]
        results = []
        for tree in self.trees:
            mine, values = values[: len(tree.leaves)], values[len(tree.leaves) :]
            results.append(tree.build(mine))
        return results[0] if self.single else tuple(results)

    def require_real_kind(self) -> None:
        """Refuse integers: the derivative with respect to one is not defined."""
        for value, node in zip(self.leaves, self.nodes, strict=True):
            if node.data.dtype.kind not in "fc":
                came = f"{value!r:.40}" if isinstance(value, (int, bool)) else f"dtype {node.data.dtype}"
                raise TypeError(
                    f"{self.name} differentiates with respect to floating-point numbers, got {came}; "
                    "convert it first, e.g. float(x) or x.astype(float)"
                )


def _with_tensors(tree: Tree, value):
    """`value`, whose tree is given, with arrays of numbers as constant Tensors."""
    if not any(isinstance(leaf, np.ndarray) for leaf in tree.leaves):
        return value
    swapped: list[tuple[Tensor, Node]] = []
    leaves = [
        new_handle(Node(None, (), plain_array(leaf), False))
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc"
        else leaf
        for leaf in tree.leaves
    ]
    return tree.inside(leaves, swapped)


def _position(argnum, count: int, name: str) -> int:
    if not isinstance(argnum, (int, np.integer)) or isinstance(argnum, bool):
        raise TypeError(f"argnums of {name} must be an int or a tuple of ints, got {argnum!r}")
    if not -count <= argnum < count:
        raise ValueError(f"argnums of {name} names argument {argnum}, but the function was called with {count}")
    return int(argnum) % count
