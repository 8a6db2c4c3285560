"""Reverse mode as a transform of functions: grad, value_and_grad, vjp.

The function is run on nodes of the transform's own; from what it returns the adjoint walk goes back to them.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

from ..adjoint import Pullback, follow, recording, retire
from ..graph import Node, Tensor, constant, is_special, linked_handle, new_handle, transforming
from ..ops.arithmetic import conjugate
from .trees import Arguments, Tree, hand_back, of_kind, tensor_of

_nested: ContextVar[bool] = ContextVar("nested", default=False)  # whether a function given to a reverse transform runs


def pull(fun: Callable, arguments: Arguments, has_aux: bool):
    """Run `fun` on nodes of our own.  Returns (tree of what came out, auxiliary result, the way back)."""
    inputs = [follow(node) for node in arguments.nodes]
    token = _nested.set(True)
    try:
        with recording(), transforming():
            out = arguments.call(fun, inputs)
    finally:
        _nested.reset(token)
        retire(inputs)
    out, aux = split_aux(out, arguments.name) if has_aux else (out, None)
    tree = Tree(out)
    tensors = [tensor_of(value, f"what the function given to {arguments.name} returns") for value in tree.leaves]
    return tree, tensors, aux, Pullback([tensor.node for tensor in tensors], inputs)


def split_aux(out, name: str) -> tuple:
    """The (output, auxiliary) pair that a function returned."""
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(
            f"with has_aux=True the function given to {name} must return a pair (output, auxiliary), "
            f"got {type(out).__name__}"
        )
    return out


def _conjugated(tensor: Tensor | None) -> Tensor | None:
    """Rules are plain transposes; conjugating what goes in and comes out makes the adjoint of complex ones."""
    return conjugate(tensor) if tensor is not None and tensor.dtype.kind == "c" else tensor


def finish(arguments: Arguments, adjoints_: list[Tensor | None]):
    """Derivatives in the structure and the kind of the arguments, zeros where nothing depends on one."""
    results = []
    for value, node, adjoint in zip(arguments.leaves, arguments.nodes, adjoints_, strict=True):
        if adjoint is None:
            adjoint = new_handle(Node(None, (), np.zeros(node.data.shape, node.data.dtype), False))
        results.append(of_kind(_conjugated(adjoint), value))
    return arguments.structure(results)


def outcome(arguments: Arguments, tree: Tree, aux, pullback: Pullback):
    """What the function returned, to be handed on: cut off from our own nodes if nothing else hangs on it."""

    def handed_on(part: Tree):
        if not pullback.is_open:
            part = Tree(part.build([_cut(value) for value in part.leaves]))
        return hand_back(part, arguments.tensors_came)

    return handed_on(tree), None if aux is None else handed_on(Tree(aux))


def _cut(value):
    return new_handle(value.node.constant()) if isinstance(value, Tensor) else value


def value_and_grad(fun: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """A function that returns (fun(...), gradient), or ((value, auxiliary), gradient) with `has_aux`.

    The arguments are those of `grad`.

    >>> import numpy as np
    >>> value_and_grad(lambda x: np.float64(3.0) * x * x)(2.0)
    (np.float64(12.0), np.float64(12.0))
    """
    return _gradient_of(fun, argnums, has_aux, "value_and_grad", with_value=True)


def grad(fun: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """The gradient of a function that returns a number.

    Args:
        fun: takes Tensors, arrays, numbers, or trees and Modules of these, and returns one number (a 0-d Tensor);
            with `has_aux`, a pair of that and anything else.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
        has_aux: whether `fun` returns an auxiliary result, which is handed on: (gradient, auxiliary).

    Returns:
        A function with `fun`'s signature; its result has the structure of the argument (a tuple for several
        argnums): NumPy for NumPy arrays and numbers, Tensors for Tensors.

    Raises:
        TypeError: for integer arguments, or an output that is no real number (use `jacrev` or `vjp`).

    >>> grad(lambda x: x**3)(2.0)
    np.float64(12.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """

    return _gradient_of(fun, argnums, has_aux, "grad")


def gradient_of(fun: Callable, argnums, name: str) -> Callable:
    """`grad` on behalf of the transform `name`, which errors are to speak of."""
    return _gradient_of(fun, argnums, False, name)


def _gradient_of(fun: Callable, argnums, has_aux: bool, name: str, with_value: bool = False) -> Callable:
    is_first = type(argnums) is int and argnums in (0, -1) and not (has_aux or with_value)

    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        if is_first and len(args) == 1 and not kwargs and type(args[0]) is np.ndarray and not is_special():
            if args[0].dtype.kind == "f":
                return _gradient_at(args[0], fun, name)
        arguments = Arguments(args, kwargs, argnums, name)
        arguments.require_real_kind()
        tree, tensors, aux, pullback = pull(fun, arguments, has_aux)
        _require_number(tree, tensors, name)
        gradient = finish(arguments, pullback([_one(tensors[0])], grow=not _nested.get()))
        if not (with_value or has_aux):
            return gradient
        value, aux = outcome(arguments, tree, aux, pullback)
        if not has_aux:
            return value, gradient
        return ((value, aux), gradient) if with_value else (gradient, aux)

    return wrapped


def _gradient_at(x: np.ndarray, fun: Callable, name: str):
    """`grad` of a function of one array when nothing else is going on: the same, with less to be looked for."""
    node = Node(None, (), x.copy(), True)
    token = _nested.set(True)
    try:
        with transforming():
            out = fun(linked_handle(node))
    finally:
        _nested.reset(token)
        retire((node,))
    if type(out) is not Tensor or out.node.data.dtype.kind != "f" or out.node.data.shape:  # wrong, or to be converted
        tree = Tree(out)
        tensors = [tensor_of(value, f"what the function given to {name} returns") for value in tree.leaves]
        _require_number(tree, tensors, name)
        (out,) = tensors
    (adjoint,) = Pullback([out.node], [node])([_one(out)], grow=not _nested.get())
    return np.zeros_like(x) if adjoint is None else of_kind(adjoint, x)


def _one(like: Tensor) -> Tensor:
    return constant(np.array(1, like.node.data.dtype))


_INSTEAD = {"hvp": "hessian", "sparse_hessian": "hessian"}


def _require_number(tree: Tree, tensors: list[Tensor], name: str) -> None:
    instead = _INSTEAD.get(name, "jacrev or vjp")
    if len(tensors) != 1 or tree.leaves[0] is None:
        raise TypeError(
            f"{name} differentiates a function that returns one number, this one returned {len(tensors)} values "
            f"({tree}); use {instead}"
        )
    if tensors[0].shape != ():
        raise TypeError(
            f"{name} differentiates a function that returns one number, this one returned shape {tensors[0].shape}; "
            f"use {instead}, or return a sum"
        )
    if tensors[0].dtype.kind == "c":
        raise TypeError(f"{name} differentiates a real-valued function, this one returned a complex number; use vjp")


def vjp(fun: Callable, *primals, has_aux: bool = False):
    """The value of `fun` at `primals`, and the function that pulls an adjoint of it back to them.

    Returns:
        (out, vjp_fun), or (out, vjp_fun, auxiliary) with `has_aux`.  `vjp_fun(cotangent)` takes a cotangent of out's
        structure, shapes and dtypes and returns a tuple with one entry for each primal; it may be called many times.

    >>> import needle as ndl
    >>> out, pull_back = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> out, pull_back(1.0)
    (np.float64(6.0), (np.float64(3.0), np.float64(2.0)))
    """
    if not primals:
        raise TypeError("vjp needs at least one primal: vjp(fun, x, ...)")
    arguments = Arguments(primals, {}, tuple(range(len(primals))), "vjp")
    arguments.require_real_kind()
    tree, tensors, aux, pullback = pull(fun, arguments, has_aux)

    def vjp_fun(cotangent):
        return finish(arguments, pullback(cotangents_like(tree, tensors, cotangent), grow=not _nested.get()))

    out, aux = outcome(arguments, tree, aux, pullback)
    return (out, vjp_fun, aux) if has_aux else (out, vjp_fun)


def cotangents_like(tree: Tree, tensors: list[Tensor], cotangent) -> list[Tensor]:
    """The leaves of a cotangent that must match what the function returned."""
    came = Tree(cotangent)
    if not tree.matches(came):
        raise ValueError(f"the cotangent must have the structure of the output, {tree}, got {came}")
    result = []
    for value, out in zip(came.leaves, tensors, strict=True):
        tensor = tensor_of(value, "the cotangent")
        if tensor.shape != out.shape:
            raise ValueError(
                f"the cotangent of an output of shape {out.shape} must have that shape, got {tensor.shape}"
            )
        if tensor.dtype != out.dtype and out.dtype.kind in "fc":
            tensor = tensor.astype(out.dtype)
        result.append(_conjugated(tensor))
    return result
