"""Jacobians and Hessians: forward or reverse mode, for a whole basis of directions in one batched pass."""

import functools
import math
from collections.abc import Callable

import numpy as np

from ..adjoint import Pullback
from ..graph import Node, Tensor, frame, new_handle, special
from ..ops.arithmetic import conjugate
from ..ops.movement import moveaxis, reshape
from .batch import Batched, batch_first
from .forward import push, push_along, push_forward
from .reverse import gradient_of, outcome, pull
from .trees import Arguments, Tree, hand_back, of_kind

Block = Tensor | None  # of the Jacobian, of shape out.shape + in.shape; None for zeros


def jacrev(fun: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """The Jacobian by reverse mode: one batched walk back for each output.  The choice when fun has fewer outputs than
    inputs.

    Args:
        fun: a function of Tensors, arrays, numbers, and trees and Modules of these, that returns such a tree.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
        has_aux: whether `fun` returns a pair (output, auxiliary); then so does the result: (Jacobian, auxiliary).

    Returns:
        A function with `fun`'s signature.  Its result has the structure of the output, in which each leaf is a tree of
        blocks in the structure of the argument; a block has the shape out.shape + in.shape.
        For a complex output it is the complex derivative, of a function that has one; for a real output of a complex
        argument it is the gradient of each element.

    Raises:
        TypeError: for integer arguments, and for complex outputs of real arguments (use `jacfwd`).

    >>> import numpy as np
    >>> jacrev(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    return _jacrev(fun, argnums, has_aux, "jacrev")


def _jacrev(fun: Callable, argnums, has_aux: bool, name: str) -> Callable:
    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        arguments = Arguments(args, kwargs, argnums, name)
        arguments.require_real_kind()
        tree, tensors, aux, pullback = pull(fun, arguments, has_aux)
        result = _assemble(arguments, tree, tensors, rows(pullback, tensors, name))
        return (result, outcome(arguments, tree, aux, pullback)[1]) if has_aux else result

    return wrapped


def jacfwd(fun: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """The Jacobian by forward mode: one batched run of `fun`.  The choice when it has fewer inputs than outputs.

    Arguments and result are those of `jacrev`.

    Raises:
        TypeError: for integer arguments, and for real outputs of complex arguments (use `jacrev`).

    >>> import numpy as np
    >>> jacfwd(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        arguments = Arguments(args, kwargs, argnums, "jacfwd")
        arguments.require_real_kind()

        def forward(tangents):
            tree, values, derivatives, aux = push(fun, arguments, tangents, has_aux)
            return (tree, values, aux), [None if t is None else t.node for t in derivatives]

        (tree, values, aux), blocks = columns(forward, arguments.nodes, "jacfwd")
        _refuse_real_of_complex(arguments, values, "jacfwd")
        result = _assemble(arguments, tree, values, blocks)
        return (result, hand_back(Tree(aux), arguments.tensors_came)) if has_aux else result

    return wrapped


def jacobian(fun: Callable, argnums=0, has_aux: bool = False) -> Callable:
    """The Jacobian by the cheaper mode: reverse if the outputs have no more elements than the inputs, else forward.

    Arguments and result are those of `jacrev`.  `fun` runs once, whichever mode it is.

    >>> import numpy as np
    >>> jacobian(lambda x: x.sum() * x)(np.array([1.0, 2.0]))
    array([[4., 1.],
           [2., 5.]])
    """

    return _jacobian(fun, argnums, has_aux, "jacobian")


def _jacobian(fun: Callable, argnums, has_aux: bool, name: str) -> Callable:
    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        arguments = Arguments(args, kwargs, argnums, name)
        arguments.require_real_kind()
        tree, tensors, aux, pullback = pull(fun, arguments, has_aux)
        complex_in, complex_out = (
            any(x.dtype.kind == "c" for x in of) for of in (map(new_handle, arguments.nodes), tensors)
        )
        reverse = sum(x.size for x in tensors) <= sum(node.data.size for node in arguments.nodes)
        if complex_in or (reverse and not complex_out):
            blocks = rows(pullback, tensors, name)
        else:
            _, blocks = columns(lambda tangents: (None, push_along(pullback, tangents)), arguments.nodes, name)
        result = _assemble(arguments, tree, tensors, blocks)
        return (result, outcome(arguments, tree, aux, pullback)[1]) if has_aux else result

    return wrapped


def hessian(fun: Callable, argnums=0) -> Callable:
    """The second derivatives, in one batched pass over the recorded gradient: back again for a function that returns a
    number, forward for one that returns more.

    The result has the structure of the output, each leaf a tree of trees of blocks (one level for each
    differentiation) of shape out.shape + in.shape + in.shape.  `fun` returns a number, an array, or a tree.

    >>> import numpy as np
    >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return functools.wraps(fun)(_jacobian(_jacrev(fun, argnums, False, "hessian"), argnums, False, "hessian"))


def hvp(fun: Callable, primals, tangents):
    """The gradient of `fun`, and its Hessian times `tangents`, at the cost of a few gradients: no Hessian is made.

    Args:
        fun: a function that returns one number.
        primals: a tuple of its arguments.
        tangents: one for each primal, of the same structure and shapes.

    Returns:
        (gradient, Hessian times tangents), each in the structure of the argument, a tuple for several.

    >>> import numpy as np
    >>> hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (array([ 3., 12.]), array([6., 0.]))
    """
    several = isinstance(primals, (tuple, list)) and len(primals) > 1
    return push_forward(gradient_of(fun, tuple(range(len(primals))) if several else 0, "hvp"), primals, tangents, "hvp")


# --------------------------------------------------------------------------------------------------------------------
# A basis in one batch


def rows(pullback: Pullback, outputs: list[Tensor], name: str) -> list[list[Block]]:
    """For each output, the blocks of all inputs, by one walk back from a basis of the output."""
    return [_rows_of(pullback, i, out, name) for i, out in enumerate(outputs)]


def _rows_of(pullback: Pullback, i: int, out: Tensor, name: str) -> list[Block]:
    inputs = pullback.inputs
    if out.size == 0 or out.node not in pullback.needed:
        return [None] * len(inputs)
    if out.dtype.kind == "c" and any(node.data.dtype.kind != "c" for node in inputs):
        raise TypeError(f"{name} by reverse mode knows no complex output of real arguments; use jacfwd")
    seeds: list[Tensor | None] = [None] * len(pullback.outputs)
    if out.size == 1:
        seeds[i] = new_handle(Node(None, (), np.ones(out.shape, out.dtype), False))
        found = pullback(seeds)
    else:
        with special(), frame(name) as mine:
            seeds[i] = new_handle(Batched(mine, _basis(out.node, out.size)))
            found = [t if t is None else batch_first(t.node, mine, out.size) for t in pullback(seeds)]
    if out.dtype.kind != "c":
        found = [conjugate(t) if t is not None and t.dtype.kind == "c" else t for t in found]
    return [t if t is None else reshape(t, (*out.shape, *x.data.shape)) for t, x in zip(found, inputs, strict=True)]


def columns(forward: Callable, inputs: list[Node], name: str):
    """For each output, the blocks of all inputs, by one run from a basis of the inputs.

    `forward(tangents)` goes from a tangent for each input (None for zero) to (anything, a tangent for each output);
    returns that anything, and the blocks.
    """
    sizes = [node.data.size for node in inputs]
    size = sum(sizes)
    if size == 0:
        handed_on, found = forward([None] * len(inputs))
        return handed_on, [[None] * len(inputs)] * len(found)
    if size == 1:
        tangents = [
            Node(None, (), np.ones(node.data.shape, node.data.dtype), False) if node.data.size else None
            for node in inputs
        ]
        handed_on, found = forward(tangents)
        passed = [t if t is None else reshape(new_handle(t), (1, *t.data.shape)) for t in found]
    else:
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        with special(), frame(name) as mine:
            handed_on, found = forward(
                [Batched(mine, _basis(node, size, start)) for node, start in zip(inputs, starts, strict=True)]
            )
            passed = [t if t is None else batch_first(t, mine, size) for t in found]
    return handed_on, [[None] * len(inputs) if t is None else _columns_of(t, inputs, sizes) for t in passed]


def _columns_of(passed: Tensor, inputs: list[Node], sizes: list[int]) -> list[Block]:
    blocks, start = [], 0
    for node, size in zip(inputs, sizes, strict=True):
        mine = passed if size == passed.shape[0] else passed[start : start + size]
        blocks.append(reshape(moveaxis(mine, 0, -1), (*passed.shape[1:], *node.data.shape)))
        start += size
    return blocks


def _basis(node: Node, size: int, start: int = 0) -> Node:
    """`size` arrays like the node's, of which those from `start` on each have a one in another place."""
    shape, dtype = node.data.shape, node.data.dtype
    return Node(None, (), np.eye(size, math.prod(shape), -start, dtype).reshape(size, *shape), False)


# --------------------------------------------------------------------------------------------------------------------
# Blocks in their places


def _assemble(arguments: Arguments, tree: Tree, outputs: list[Tensor], blocks: list[list[Block]]):
    """The tree of the output with, in place of each leaf, its blocks in the structure of the arguments."""
    results = []
    for out, row in zip(outputs, blocks, strict=True):
        mine = []
        for value, node, block in zip(arguments.leaves, arguments.nodes, row, strict=True):
            if block is None:
                shape, dtype = (*out.shape, *node.data.shape), node.data.dtype
                block = new_handle(Node(None, (), np.zeros(shape, dtype), False))
            mine.append(of_kind(block, value))
        results.append(arguments.structure(mine))
    return tree.build(results)


def _refuse_real_of_complex(arguments: Arguments, outputs: list[Tensor], name: str) -> None:
    if any(node.data.dtype.kind == "c" for node in arguments.nodes) and any(x.dtype.kind != "c" for x in outputs):
        raise TypeError(
            f"{name} knows no real output of complex arguments, which has no complex derivative; use jacrev"
        )
