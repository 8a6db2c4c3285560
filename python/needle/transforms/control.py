"""Control flow with JAX's signatures: cond, scan, fori_loop, while_loop, map.

Eagerly these are plain Python, and every transform goes through them as through any Python code.  They are worth
writing where a value decides that `vmap` makes a different one for each example, and for programs that are traced.
"""

from collections.abc import Callable

import numpy as np

from ..graph import Tensor
from ..ops.choices import where
from ..ops.movement import stack
from .batch import Batched
from .functions import FunctionOp, call_as_op
from .trees import Tree, tensor_of


def cond(pred, true_fun: Callable, false_fun: Callable, *operands):
    """`true_fun(*operands)` if `pred` holds, else `false_fun(*operands)`; both must return the same structure.

    Inside `vmap`, where `pred` differs between examples, both are computed and the right one is chosen for each.

    >>> cond(2.0 > 1.0, lambda x: x + 1, lambda x: x - 1, 5.0)
    6.0
    """
    if not _is_batched(pred):
        return true_fun(*operands) if _truth(pred, "pred of cond") else false_fun(*operands)
    return _choose(pred, true_fun(*operands), false_fun(*operands), "the branches of cond")


def scan(f: Callable, init, xs=None, length: int | None = None, reverse: bool = False, unroll: int = 1):
    """Carry a value along a sequence: `carry, y = f(carry, x)` for each x of xs, the ys stacked.

    Args:
        f: takes (carry, x) and returns (new carry, y); the carry keeps its structure and shapes.
        init: the first carry.
        xs: a tree of arrays or Tensors of one length along axis 0; None with `length`.
        length: the number of steps, where xs is None.
        reverse: go from the last x to the first; y's stay beside their x's.
        unroll: accepted for JAX's sake; there is nothing to unroll.

    Returns:
        (last carry, ys): ys has the structure of y with a new axis 0.

    >>> import numpy as np
    >>> scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    tree = Tree(xs)
    count = _length(tree, length)
    columns = [_steps(leaf) for leaf in tree.leaves]
    start = Tree(init)
    carry, outputs = init, []
    steps = range(count - 1, -1, -1) if reverse else range(count)
    for i in steps:
        carry, y = _pair(f(carry, tree.build([column[i] for column in columns])))
        _require_same(start, Tree(carry), "the carry of scan")
        outputs.append(y)
    if not outputs:
        _, y = _pair(f(init, tree.build([_zero_step(leaf) for leaf in tree.leaves])))
        like = Tree(y)
        return init, like.build([_empty(leaf) for leaf in like.leaves])
    trees = [Tree(y) for y in (outputs[::-1] if reverse else outputs)]
    return carry, trees[0].build([_stack(parts) for parts in zip(*[t.leaves for t in trees], strict=True)])


def fori_loop(lower: int, upper: int, body_fun: Callable, init_val):
    """`val = body_fun(i, val)` for i from `lower` up to, and without, `upper`.

    >>> fori_loop(0, 4, lambda i, x: x + i, 0.0)
    6.0
    """
    val, start = init_val, Tree(init_val)
    for i in range(_whole(lower, "lower"), _whole(upper, "upper")):
        val = body_fun(i, val)
        _require_same(start, Tree(val), "the value of fori_loop")
    return val


def _whole(bound, name: str) -> int:
    number = int(bound)
    if number != bound:
        raise ValueError(f"{name} of fori_loop must be a whole number, got {bound!r:.40}")
    return number


class _WhileLoop(FunctionOp):
    """A while loop: it is not known beforehand how many steps there will be"""

    __slots__ = ()

    def gradient(self, out_grad, node):
        raise TypeError(
            "while_loop has no reverse mode, since its number of steps is known only at the end; "
            "use scan or fori_loop, or forward mode (jvp, jacfwd)"
        )


def while_loop(cond_fun: Callable, body_fun: Callable, init_val):
    """`val = body_fun(val)` as long as `cond_fun(val)` holds.  Forward mode only; reverse mode is an error.

    Inside `vmap` each example stops for itself.

    >>> while_loop(lambda x: x < 10, lambda x: 2 * x, 1.0)
    np.float64(16.0)
    """

    def loop(val):
        start = Tree(val)
        while True:
            pred = cond_fun(val)
            if not (_any(pred) if _is_batched(pred) else _truth(pred, "what cond_fun of while_loop returns")):
                return val
            new = body_fun(val)
            _require_same(start, Tree(new), "the value of while_loop")
            val = _choose(pred, new, val, "the value of while_loop") if _is_batched(pred) else new

    return call_as_op(_WhileLoop, loop, (init_val,), as_it_is_on_boxes=True)


def map(f: Callable, xs):
    """`f` of each element of xs along axis 0, one after the other, the results stacked; `vmap` does them at once.

    >>> import numpy as np
    >>> map(lambda x: x * x, np.array([1.0, 2.0]))
    array([1., 4.])
    """
    return scan(lambda _, x: ((), f(x)), (), xs)[1]


# --------------------------------------------------------------------------------------------------------------------


def _is_batched(value) -> bool:
    return isinstance(value, Tensor) and isinstance(value.node, Batched)


def _truth(value, name: str) -> bool:
    if _shape(value) not in ((), (1,)):
        raise TypeError(f"{name} must be one truth value, got shape {_shape(value)}")
    return bool(value)


def _any(pred: Tensor) -> bool:
    """Whether the condition holds for an example of the batch (of the batches, when they are nested)."""
    node = pred.node
    while isinstance(node, Batched):
        node = node.payload
    return bool(np.any(node.data))


def _choose(pred: Tensor, chosen, other, name: str):
    a, b = Tree(chosen), Tree(other)
    _require_same(a, b, name)
    pairs = zip(a.leaves, b.leaves, strict=True)
    return a.build([where(pred, tensor_of(x, name), tensor_of(y, name)) for x, y in pairs])


def _require_same(a: Tree, b: Tree, name: str) -> None:
    if not a.matches(b):
        raise TypeError(f"{name} must keep its structure, {a}, got {b}")
    for x, y in zip(a.leaves, b.leaves, strict=True):
        came, expected = _shape(y), _shape(x)
        if came != expected:
            raise TypeError(f"{name} must keep its shape, {expected}, got {came}")


def _shape(value) -> tuple[int, ...]:
    return value.shape if hasattr(value, "shape") else np.shape(value)


def _pair(result):
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"the function given to scan must return a pair (carry, y), got {type(result).__name__}")
    return result


def _length(tree: Tree, length: int | None) -> int:
    lengths = set()
    for leaf in tree.leaves:
        shape = _shape(leaf)
        if not shape:
            raise ValueError("xs of scan must have an axis to go along, got a number")
        lengths.add(shape[0])
    if length is not None:
        lengths.add(int(length))
    if len(lengths) != 1:
        raise ValueError(
            f"xs of scan must have one length along axis 0, got {sorted(lengths)}"
            if lengths
            else "scan needs xs or length"
        )
    return lengths.pop()


def _steps(leaf):
    return list(leaf) if isinstance(leaf, Tensor) else leaf


def _zero_step(leaf):
    return np.zeros(leaf.shape[1:], leaf.dtype)


def _empty(y):
    array = np.zeros((0, *_shape(y)), getattr(y, "dtype", None))
    return Tensor(array, requires_grad=False) if isinstance(y, Tensor) else array


def _stack(parts):
    return (
        stack([tensor_of(part, "y") for part in parts], 0)
        if any(isinstance(p, Tensor) for p in parts)
        else np.stack(parts)
    )
