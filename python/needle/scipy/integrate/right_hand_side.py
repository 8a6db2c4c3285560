"""The function that a user gives to a solver, as one of Tensors."""

from collections.abc import Callable

import numpy as np

from ... import ops
from ...graph import Tensor, no_grad, put_back
from ...numpy.dispatch import as_tensor, holds_tensor
from ...numpy.ufuncs import inexact
from ...ops.kinds import Cast
from ...transforms.trees import Tree, tensor_of


class Arguments:
    """`args` of a solver.  Those in which there are Tensors are parameters of the problem, whose leaves are `leaves`;
    numbers, arrays and everything else reach the function as they are."""

    def __init__(self, args, name: str):
        if not isinstance(args, (tuple, list)):
            if name != "odeint":
                raise TypeError(f"args of {name} must be a tuple, e.g. args=(k,), got {type(args).__name__}")
            args = (args,)
        self.args = tuple(args)
        trees = [Tree(arg) for arg in self.args]
        self.places = [i for i, tree in enumerate(trees) if any(isinstance(leaf, Tensor) for leaf in tree.leaves)]
        self.tree = Tree(tuple([self.args[i] for i in self.places]))
        self.leaves = [tensor_of(leaf, f"args of {name}") for leaf in self.tree.leaves]

    def calling(self, function: Callable, ps: list[Tensor], *first):
        """`function(*first, *args)` with the Tensors `ps` in the place of the leaves."""
        swapped: list = []
        args = list(self.args)
        try:
            for i, arg in zip(self.places, self.tree.inside(ps, swapped), strict=True):
                args[i] = arg
            return function(*first, *args)
        finally:
            put_back(swapped)


def right_hand_side(fun: Callable, arguments: Arguments, name: str) -> Callable:
    """`fun(t, y, *args)` as a function of lists: of the state, which is the one vector y, and of the parameters."""

    def rhs(t, ys, ps):
        (y,) = ys
        slope = as_tensor(arguments.calling(fun, ps, t, y))
        if slope.size != y.size:
            raise ValueError(
                f"the function given to {name} must return {y.size} derivatives, one for each element of y0, "
                f"got shape {slope.shape}"
            )
        if slope.dtype.kind == "c" and y.dtype.kind != "c":
            raise ValueError(f"the function given to {name} returns complex numbers; give a complex y0 then")
        slope = slope if slope.shape == y.shape else ops.reshape(slope, y.shape)
        return [slope if slope.dtype == y.dtype else _in_dtype(slope, y.dtype)]

    return rhs


def _in_dtype(a: Tensor, dtype) -> Tensor:
    return Cast(dtype)(a) if a.dtype.kind in "fc" else a.astype(dtype)


def initial(y0, name: str) -> Tensor:
    """y0 as a vector."""
    y0 = inexact(as_tensor(y0))
    if y0.ndim == 0 and name == "odeint":
        y0 = ops.reshape(y0, (1,))
    if y0.ndim != 1:
        raise ValueError(f"y0 of {name} must be 1-dimensional, got shape {y0.shape}")
    return y0


def times(t, name: str) -> Tensor:
    """Times as a vector, in floating point."""
    t = inexact(as_tensor(t))
    if t.ndim != 1:
        raise ValueError(f"{name} must be 1-dimensional, got shape {t.shape}")
    return t


def is_plain(fun: Callable, arguments: Arguments, t, y0) -> bool:
    """Whether there is no Tensor: among the arguments, nor in what `fun(t, y, *args)` makes of the first of them."""
    if arguments.places or holds_tensor((t, y0)):
        return False
    t = np.ravel(t)
    if not t.size:
        return True
    with no_grad():
        return not holds_tensor((fun(float(t[0]), np.array(y0, ndmin=1), *arguments.args),))


def least(tolerance) -> float:
    """A tolerance that can be had for all components, of one for each."""
    return float(np.min(tolerance))
