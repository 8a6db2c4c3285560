"""Control flow with JAX's signatures: cond, scan, fori_loop, while_loop, map.

Eagerly these are plain Python, and every transform goes through them as through any Python code.  They are worth
writing where a value decides that `vmap` makes a different one for each example, and for programs that are traced:
there each becomes one op (loops.py, branches.py), and a loop stays a loop.
"""

from collections.abc import Callable

import numpy as np

from ..graph import Tensor, ValueUnknown, tracing
from ..ops.choices import where
from ..ops.movement import stack
from .batch import Batched
from .bodies import Body, as_weak, is_traced, is_weak
from .branches import Cond
from .functions import FunctionOp, call_as_op
from .loops import While, first_of, scanned
from .trees import Tree, tensor_of


def cond(pred, true_fun: Callable, false_fun: Callable, *operands):
    """`true_fun(*operands)` if `pred` holds, else `false_fun(*operands)`; both must return the same structure.

    Inside `vmap`, where `pred` differs between examples, both are computed and the right one is chosen for each.

    >>> cond(2.0 > 1.0, lambda x: x + 1, lambda x: x - 1, 5.0)
    6.0
    """
    if _is_unknown(pred):
        return _traced_cond(pred, true_fun, false_fun, operands)
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
    if count > 1 and tracing() is not None:
        found = _traced_scan(f, init, tree, count, bool(reverse), "scan")
        if found is not None:
            return found
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
    if _is_unknown(lower) or _is_unknown(upper):
        return _traced_fori(lower, upper, body_fun, init_val)
    val, start = init_val, Tree(init_val)
    steps = range(_whole(lower, "lower"), _whole(upper, "upper"))
    if len(steps) > 1 and tracing() is not None:
        numbers = Tree(np.arange(steps.start, steps.stop))
        found = _traced_scan(lambda val, i: (body_fun(i, val), None), init_val, numbers, len(steps), False, "fori_loop")
        if found is not None:
            return found[0]
    for i in steps:
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
        raise TypeError(_NO_REVERSE)


_NO_REVERSE = (
    "while_loop has no reverse mode, since its number of steps is known only at the end; "
    "use scan or fori_loop, or forward mode (jvp, jacfwd)"
)


def while_loop(cond_fun: Callable, body_fun: Callable, init_val):
    """`val = body_fun(val)` as long as `cond_fun(val)` holds.  Forward mode only; reverse mode is an error.

    Inside `vmap` each example stops for itself.

    >>> while_loop(lambda x: x < 10, lambda x: 2 * x, 1.0)
    np.float64(16.0)
    """

    if tracing() is not None:
        found = _traced_while(cond_fun, body_fun, init_val, "while_loop", _NO_REVERSE)
        if found is not None:
            return found[0]

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
# Under a trace


def _is_unknown(value) -> bool:
    """Whether a trace that is going on knows no value for this."""
    return tracing() is not None and isinstance(value, Tensor) and not _is_batched(value) and is_traced(value.node)


def _traced_scan(f: Callable, init, xs: Tree, count: int, reverse: bool, name: str):
    """`scan` as one op; None if nothing in it is traced."""
    start = _kind_of(init)
    what = "the carry of scan" if name == "scan" else f"the value of {name}"

    def step(carry, x):
        carry, y = _pair(f(carry, x))
        _require_same(start, Tree(carry), what)
        return carry, y

    body = Body(step, (init, xs.build(xs.leaves)), what)
    carried = len(start.leaves)
    if name == "fori_loop":
        body.weak[carried:] = [True]
    columns = body.arguments[carried:]
    try:
        carry = body.settle(body.arguments, carried, lambda leaves: _with_first(leaves, carried))
        if not (body.is_traced or any(is_traced(x.node) for x in body.arguments)):
            return None
        weak = body.weak[:carried]
        xs_and_draws = [*columns, *body.drawn(count, reverse)]
        found = scanned(body, carry, xs_and_draws, body.closed, count, reverse)
    except ValueUnknown as error:
        raise _explained(error, name) from error
    found[:carried] = [as_weak(x, w) for x, w in zip(found, weak)]
    return body.out.build(found)


def _kind_of(tree) -> Tree:
    """The structure and the shapes of a tree, without holding what is in it."""
    kind = Tree(tree)
    shapes = [_shape(leaf) for leaf in kind.leaves]
    kind.let_go()
    kind.leaves = [np.broadcast_to(np.False_, shape) for shape in shapes]
    return kind


def _with_first(leaves: list[Tensor], carried: int) -> list[Tensor]:
    return [*leaves[:carried], *[first_of(x) for x in leaves[carried:]]]


def _explained(error: Exception, name: str) -> Exception:
    hint = (
        "; the index of fori_loop is traced under jit: take elements of a Tensor with it, or write a Python loop, "
        "which is unrolled"
        if name == "fori_loop"
        else ""
    )
    return type(error)(f"{error}{hint}")


def _traced_while(cond_fun: Callable, body_fun: Callable, init_val, name: str, instead: str):
    """`while_loop` as one op, in a tuple; None if nothing in it is traced."""
    start = _kind_of(init_val)

    def step(val):
        val = body_fun(val)
        _require_same(start, Tree(val), f"the value of {name}")
        return val

    def goes_on(val):
        pred = cond_fun(val)
        if _shape(pred) not in ((), (1,)):
            raise TypeError(f"what cond_fun of {name} returns must be one truth value, got shape {_shape(pred)}")
        return pred

    body, condition = Body(step, (init_val,), f"the value of {name}"), Body(goes_on, (init_val,), f"cond_fun of {name}")
    carry = body.settle(body.arguments, len(body.arguments), lambda leaves: leaves)
    condition.weak = body.weak
    condition.look(carry)
    for each in (body, condition):
        each.require_no_draws()
    if not (body.is_traced or condition.is_traced or any(is_traced(x.node) for x in carry)):
        return None
    op = While(condition, body, len(carry), len(condition.closed), instead)
    found = list(op(*carry, *condition.closed, *body.closed))
    return (body.out.build([as_weak(x, w) for x, w in zip(found, body.weak)]),)


def _traced_fori(lower, upper, body_fun: Callable, init_val):
    """`fori_loop` with bounds that are known when the program runs."""
    for bound, name in ((lower, "lower"), (upper, "upper")):
        if isinstance(bound, Tensor) and (bound.shape != () or bound.dtype.kind not in "iu"):
            raise ValueError(
                f"{name} of fori_loop must be a whole number, got dtype {bound.dtype} and shape {bound.shape}"
            )
        if not isinstance(bound, Tensor):
            _whole(bound, name)
    instead = (
        "fori_loop whose bounds are traced has no reverse mode, since its number of steps is known only when the "
        "program runs; make the argument that they follow from static (static_argnums), or use forward mode"
    )
    first = as_weak(tensor_of(lower, "lower of fori_loop"), True)
    found = _traced_while(
        lambda pair: pair[0] < upper,
        lambda pair: (pair[0] + 1, body_fun(*pair)),
        (first, init_val),
        "fori_loop",
        instead,
    )
    return found[0][1]


def _traced_cond(pred: Tensor, true_fun: Callable, false_fun: Callable, operands: tuple):
    """`cond` as one op."""
    if pred.shape not in ((), (1,)):
        raise TypeError(f"pred of cond must be one truth value, got shape {pred.shape}")
    on_true, on_false = [Body(lambda f=f: f(*operands), (), "a branch of cond") for f in (true_fun, false_fun)]
    chosen, other = on_true.look([]), on_false.look([])
    for each in (on_true, on_false):
        each.require_no_draws()
    _require_same(on_true.out_with(chosen), on_false.out_with(other), "the branches of cond")
    weak = [is_weak(a.node) and is_weak(b.node) for a, b in zip(chosen, other)]
    on_true.dtypes = on_false.dtypes = [_common(a, b) for a, b in zip(chosen, other)]
    count = len(on_true.closed)
    op = Cond(lambda tensors: on_true(tensors[:count]), lambda tensors: on_false(tensors[count:]))
    found = list(op(pred, *on_true.closed, *on_false.closed))
    return on_true.out.build([as_weak(x, w) for x, w in zip(found, weak)])


def _common(a: Tensor, b: Tensor) -> np.dtype:
    """The dtype of a choice between two values, of which one or both may be Python numbers."""
    if is_weak(a.node) == is_weak(b.node):
        return np.result_type(a.dtype, b.dtype)
    number, other = (a, b) if is_weak(a.node) else (b, a)
    return np.result_type(other.dtype, {"b": False, "i": 0, "f": 0.0, "c": 0j}[number.dtype.kind])


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
