"""Sparse Jacobians and Hessians: find the pattern, colour the columns, and make one pass for each colour.

Columns of a Jacobian that share no row can be had from one pass together, in the sum of their directions (Curtis,
Powell & Reid 1974).  The pattern is found by running the function once on boxes that carry, for every element of a
value, the set of input elements that it depends on, as the rows of a sparse matrix.
"""

import importlib
from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Box, Node, Op, Tensor, call, frame, new_handle, special
from .batch import vmap
from .forward import jvp
from .reverse import gradient_of
from .trees import node_of, tensor_of


def _scipy_sparse():
    try:
        return importlib.import_module("scipy.sparse")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("sparse derivatives need SciPy: pip install needle-autodiff[scipy]") from None


class Depends(Box):
    """A value and, for each of its elements (a row), the elements of the input that it depends on."""

    __slots__ = ("primal", "rows")

    def __init__(self, frame, primal: Node, rows):
        Box.__init__(self, frame)
        self.primal, self.rows = primal, rows

    @property
    def data(self):
        self.check()
        return self.primal.data

    def copy(self) -> "Depends":
        return Depends(self.frame, self.primal, self.rows)

    def detached(self) -> Node:
        return self.primal.detached()

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        level = self.level
        out = call(op, tuple([node.primal if node.level == level else node for node in inputs]))
        if not op.differentiable:
            return out
        rows = [node.rows if node.level == level else None for node in inputs]
        return Depends(self.frame, out, _rows_of(op, inputs, rows, out.data))


def _rows_of(op: Op, inputs: tuple, rows: list, out):
    """The dependence of the output's elements, from that of the inputs'; all on all where nothing better is known."""
    if isinstance(op, ops.Elementwise):
        return _union([_through(_broadcast_ids(x, out.shape), r) for x, r in zip(inputs, rows) if r is not None])
    if isinstance(op, (ops.Summation, ops.Mean, ops.SumTo)):
        return _grouped(op, inputs[0].data.shape, out.shape, rows[0])
    if isinstance(op, ops.Scatter):
        return _transposed_ids(op, inputs, rows[0], out)
    if isinstance(op, _MOVEMENT):
        return _moved(op, inputs, rows, out)
    if isinstance(op, ops.MatMul) and all(x.data.ndim == 2 for x in inputs) and None in rows:
        return _product(inputs, rows)
    return _all_on_all(rows, out)


# Ops that copy elements: where each goes is seen by giving the op the elements' numbers.
_MOVEMENT = (
    ops.Identity, ops.Cast, ops.Reshape, ops.BroadcastTo, ops.Transpose, ops.Permute, ops.Flip, ops.Dilate, ops.Pad,
    ops.Stack, ops.Split, ops.Concatenate, ops.GetItem, ops.TakeAlongAxis, ops.MakeTensorTuple, ops.TupleGetItem,
)  # fmt: skip


def _size(data) -> int:
    return sum(item.size for item in data) if isinstance(data, tuple) else data.size


def _ids(data, start: int):
    """The numbers start, start + 1, … in the place of the elements of `data`."""
    if isinstance(data, tuple):
        made = []
        for item in data:
            made.append(_ids(item, start))
            start += item.size
        return tuple(made)
    return np.arange(start, start + data.size).reshape(data.shape)


def _moved(op: Op, inputs: tuple, rows: list, out):
    """For an op that copies elements: number them from 1, let it work on the numbers (it fills in with 0), look."""
    sparse = _scipy_sparse()
    numbered, stacked, start = [], [], 1
    for node, r in zip(inputs, rows, strict=True):
        if r is None and node.data is not None and not isinstance(node.data, tuple) and node.data.dtype.kind in "iub":
            numbered.append(node.data)  # an index
            continue
        numbered.append(_ids(node.data, start))
        size = _size(node.data)
        width = next(r.shape[1] for r in rows if r is not None)
        stacked.append(sparse.csr_array((size, width), dtype=bool) if r is None else r)
        start += size
    if isinstance(op, ops.Cast):
        moved = numbered[0]
    else:
        moved = op.compute(*numbered)
    moved = np.concatenate([np.ravel(item) for item in moved]) if isinstance(moved, tuple) else np.ravel(moved)
    return _through(moved - 1, sparse.vstack(stacked, format="csr") if len(stacked) > 1 else stacked[0])


def _broadcast_ids(node: Node, shape) -> np.ndarray:
    data = node.data
    return np.broadcast_to(np.arange(data.size).reshape(data.shape), shape).ravel()


def _through(ids: np.ndarray, rows):
    """Row i of the result is row ids[i] of `rows`; empty for -1."""
    if len(ids) == rows.shape[0] and (ids == np.arange(len(ids))).all():
        return rows
    taken = rows[np.maximum(ids, 0)]
    if (ids < 0).any():
        taken = _scipy_sparse().diags_array((ids >= 0).astype(bool), dtype=bool) @ taken
    return taken.tocsr()


def _union(rows: list):
    total = rows[0]
    for more in rows[1:]:
        total = total + more
    return total


def _grouped(op, shape, out_shape, rows):
    """For a sum: an element of the result depends on what the elements summed into it do."""
    sparse = _scipy_sparse()
    if isinstance(op, ops.SumTo):
        kept = (1,) * (len(shape) - len(out_shape)) + tuple(out_shape)
    else:
        kept = op.kept(shape)
    count = int(np.prod(out_shape, dtype=np.int64))
    groups = np.broadcast_to(np.arange(count).reshape(kept), shape).ravel()
    gather = sparse.csr_array(
        (np.ones(len(groups), bool), (groups, np.arange(len(groups)))), shape=(count, len(groups))
    )
    return (gather @ rows).astype(bool)


def _transposed_ids(op, inputs, rows, out):
    """For Scatter: element k of the output gets all that is added there."""
    sparse = _scipy_sparse()
    indices = [node.data for node in inputs[1:]]
    places = ops.GetItem(op.index).compute(np.arange(out.size).reshape(out.shape), *indices).ravel()
    gather = sparse.csr_array(
        (np.ones(len(places), bool), (places, np.arange(len(places)))), shape=(out.size, len(places))
    )
    return (gather @ rows).astype(bool)


def _product(inputs: tuple, rows: list):
    """A matrix product in which one factor is constant: its zeros stay zeros."""
    sparse = _scipy_sparse()
    (a, b), (r, s) = inputs, rows
    if s is None:  # out[i, j] depends on a[i, k] where b[k, j] is not 0: (I ⊗ bᵀ) in row-major order
        factor = sparse.kron(
            sparse.eye_array(a.data.shape[0], dtype=bool), sparse.csr_array(b.data.T != 0), format="csr"
        )
        return (factor @ r).astype(bool)
    factor = sparse.kron(sparse.csr_array(a.data != 0), sparse.eye_array(b.data.shape[1], dtype=bool), format="csr")
    return (factor @ s).astype(bool)


def _all_on_all(rows: list, out):
    sparse = _scipy_sparse()
    columns = np.unique(np.concatenate([r.indices for r in rows if r is not None]))
    width, size = next(r.shape[1] for r in rows if r is not None), _size(out)
    pointer = np.arange(size + 1) * len(columns)
    return sparse.csr_array((np.ones(size * len(columns), bool), np.tile(columns, size), pointer), shape=(size, width))


def sparsity(fun: Callable, x):
    """Which elements of fun(x) depend on which elements of x: a boolean SciPy CSR array of shape (out.size, x.size)."""
    return _sparsity(fun, x, "sparsity")


def _point(x, name: str) -> Node:
    """The node of x, an array of numbers that have derivatives."""
    node = node_of(x, f"x of {name}").detached()
    if node.data.dtype.kind not in "fc":
        raise TypeError(
            f"{name} differentiates with respect to floating-point numbers, got dtype {node.data.dtype}; convert x "
            "first, e.g. x.astype(float)"
        )
    return node


def _sparsity(fun: Callable, x, name: str):
    sparse = _scipy_sparse()
    node = _point(x, name)
    with special(), frame(name) as mine:
        box = Depends(mine, node, sparse.eye_array(node.data.size, dtype=bool, format="csr"))
        out = tensor_of(fun(new_handle(box)), f"what the function given to {name} returns").node
        size = out.data.size
        rows = out.rows if out.level == mine.level else sparse.csr_array((size, node.data.size), dtype=bool)
    rows.sum_duplicates()
    return rows


def color_columns(pattern) -> np.ndarray:
    """A colour (0, 1, …) for each column, so that no row has two columns of one colour.

    Counting round and round with as many colours as the fullest row has entries is the best there is, and right for
    bands; where it fails the columns are coloured greedily, the fullest first.
    """
    n = pattern.shape[1]
    least = int(np.diff(pattern.indptr).max(initial=0))
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    for count in range(max(least, 1), max(least, 1) + 3):
        colors = np.arange(n) % count
        met = np.zeros(pattern.shape[0] * count, bool)
        met[rows * count + colors[pattern.indices]] = True
        if np.count_nonzero(met) == len(rows):
            return colors
    return _greedy(pattern)


def _greedy(pattern) -> np.ndarray:
    by_column = pattern.tocsc()
    colors = np.full(pattern.shape[1], -1)
    for column in np.argsort(-np.diff(by_column.indptr), kind="stable"):
        rows = by_column.indices[by_column.indptr[column] : by_column.indptr[column + 1]]
        taken = set()
        for row in rows:
            taken.update(colors[pattern.indices[pattern.indptr[row] : pattern.indptr[row + 1]]].tolist())
        color = 0
        while color in taken:
            color += 1
        colors[column] = color
    return colors


def sparse_jacobian(fun: Callable, x, pattern=None):
    """The Jacobian of `fun` at x as a SciPy CSR array of shape (out.size, x.size), elements counted in row-major order.

    Args:
        fun: a function of one array or Tensor.
        x: where.
        pattern: what `sparsity(fun, x)` gives, if it is known from before: finding it costs more than the passes.

    Raises:
        ModuleNotFoundError: SciPy is missing (extra `scipy`).

    >>> import numpy as np
    >>> sparse_jacobian(lambda x: x[1:] * x[:-1], np.array([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    return _compressed(fun, x, pattern, "sparse_jacobian")


def sparse_hessian(fun: Callable, x, pattern=None):
    """The Hessian of `fun`, which returns one number, at x: a SciPy CSR array of shape (x.size, x.size).

    `pattern` may be given if it is known from before: it is `sparsity(grad(fun), x)`.

    >>> import numpy as np
    >>> sparse_hessian(lambda x: (x**3).sum(), np.array([1.0, 2.0])).toarray()
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return _compressed(gradient_of(fun, 0, "sparse_hessian"), x, pattern, "sparse_hessian")


def _compressed(fun: Callable, x, pattern, name: str):
    """The Jacobian with that pattern (found here if it is None), from one batched pass with a direction a colour."""
    node = _point(x, name)
    pattern = _sparsity(fun, x, name) if pattern is None else pattern
    colors = color_columns(pattern)
    count = int(colors.max(initial=-1)) + 1
    directions = np.zeros((count, node.data.size), node.data.dtype)
    directions[colors, np.arange(node.data.size)] = 1
    primal = new_handle(node)

    def push(direction):
        return jvp(fun, (primal,), (direction,))[1]

    columns = vmap(push)(directions.reshape((count, *node.data.shape)))
    columns = np.asarray(columns.node.data if isinstance(columns, Tensor) else columns)
    columns = columns.reshape(count, pattern.shape[0])
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    values = columns[colors[pattern.indices], rows] if count else np.zeros(0, node.data.dtype)
    return _scipy_sparse().csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)
