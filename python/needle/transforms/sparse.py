"""Sparse Jacobians and Hessians: find the pattern, colour the columns, and make one pass for each colour.

Columns of a Jacobian that share no row can be had from one pass together, in the sum of their directions (Curtis,
Powell & Reid 1974).  The function runs once and leaves its graph.  Along it go first the sets of input elements that
each element of a value depends on, then the directions.

Such sets, the *rows* of a value, are kept as `NarrowRows` while they are small, else as a sparse matrix.
"""

import importlib
from collections.abc import Callable
from itertools import zip_longest

import numpy as np

from .. import ops
from ..adjoint import Pullback, follow, recording
from ..graph import Node, Op, frame, new_handle, special
from .batch import Batched, batch_first
from .forward import push_along
from .reverse import gradient_of, pull
from .trees import Arguments, node_of


def _scipy_sparse():
    try:
        return importlib.import_module("scipy.sparse")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("sparse derivatives need SciPy: pip install needle-autodiff[scipy]") from None


class NarrowRows:
    """The rows of a value, of few elements each: arrays like the value, in which the number i + 1 means that this
    element depends on element i of the input, and 0 nothing.  Ops that move elements move these numbers as well."""

    MANY = 64  # from here on a sparse matrix is smaller and faster

    def __init__(self, columns: list, width: int):
        self.columns, self.width = columns, width

    def matrix(self):
        """The rows of a SciPy CSR array."""
        flat = [np.concatenate([item.ravel() for item in x]) if type(x) is tuple else x.ravel() for x in self.columns]
        size = flat[0].size
        flat.sort(
            key=lambda column: column.item(size // 2) if size else 0
        )  # so that the columns of a band are in order
        numbers = np.stack(flat, axis=1)
        there = numbers != 0
        indices = numbers[there] - 1
        pointer = np.zeros(size + 1, indices.dtype)
        counts = np.zeros(size, np.int8)
        for column in flat:
            counts += column != 0
        np.cumsum(counts, out=pointer[1:])
        return _scipy_sparse().csr_array((np.ones(len(indices), bool), indices, pointer), shape=(size, self.width))


def _rows_along(pullback: Pullback, starts: list) -> list:
    """The rows of the outputs of a recorded graph, from those of its inputs; None where nothing is depended on."""
    rows_at = dict(zip(pullback.inputs, starts, strict=True))
    for node in pullback.order:
        if node not in rows_at:
            rows = [rows_at.get(source) for source in node.inputs]
            if any(r is not None for r in rows):
                rows_at[node] = _rows_of(node.op, node.inputs, rows, node.data)
    return [rows_at.get(node) for node in pullback.outputs]


def _rows_of(op: Op, inputs: tuple, rows: list, out):
    """The dependence of the output's elements, from that of the inputs'; all on all where nothing better is known."""
    if hasattr(op, "unfused"):
        return _rows_of_formula(op, inputs, rows)
    if all(r is None or type(r) is NarrowRows for r in rows):
        columns = _narrow_rows_of(op, inputs, [None if r is None else r.columns for r in rows], out)
        if columns is not None and len(columns) < NarrowRows.MANY:
            return NarrowRows(columns, next(r.width for r in rows if r is not None))
    rows = [r.matrix() if type(r) is NarrowRows else r for r in rows]
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


def _rows_of_formula(op: Op, inputs: tuple, rows: list):
    """For a fused op: along the graph of its formula."""
    with recording():
        inputs = [x if r is None else follow(x) for x, r in zip(inputs, rows)]
        out = op.unfused(*map(new_handle, inputs)).node
    moving = [(x, r) for x, r in zip(inputs, rows) if r is not None]
    return _rows_along(Pullback([out], [x for x, _ in moving]), [r for _, r in moving])[0]


def _narrow_rows_of(op: Op, inputs: tuple, columns: list, out) -> list | None:
    """`_rows_of` for narrow rows, as such arrays; None where they would not be narrow."""
    if isinstance(op, ops.Elementwise):
        coming = [mine for mine in columns if mine is not None]
        if len(coming) == 1 and coming[0][0].shape == out.shape:
            return coming[0]
        return _merged([np.broadcast_to(column, out.shape) for mine in coming for column in mine])
    if isinstance(op, (ops.Summation, ops.Mean, ops.SumTo)):
        shape = inputs[0].data.shape
        summed = tuple([i for i, n in enumerate(_kept(op, shape, out.shape)) if n != shape[i]])
        count = int(np.prod([shape[i] for i in summed], dtype=np.int64))
        if count * len(columns[0]) >= NarrowRows.MANY:
            return None
        front = [np.moveaxis(column, summed, range(len(summed))).reshape((count, *out.shape)) for column in columns[0]]
        return _merged([column for group in front for column in group] or [np.zeros(out.shape, int)])
    if isinstance(op, ops.Scatter):
        return [op.compute(column) for column in columns[0]] if op.is_basic() else None
    if not isinstance(op, _MOVEMENT):
        return None
    if isinstance(op, (ops.Cast, ops.Identity)):
        return columns[0]
    indices = [x.data for x in inputs[1:]] if isinstance(op, _INDEXED) else []
    nothing = [_nothing(x.data) for x in inputs]
    results = []
    for moving in zip_longest(*[mine or [] for mine in columns[: len(columns) - len(indices)]]):
        moving = [zero if column is None else column for column, zero in zip(moving, nothing)]
        results.append(op.compute(*moving, *indices))
    return results


def _nothing(data):
    return tuple(map(_nothing, data)) if isinstance(data, tuple) else np.broadcast_to(np.int32(0), data.shape)


def _merged(columns: list) -> list:
    """The arrays, those joined to one that nowhere name different elements."""
    merged: list = []
    for column in columns:
        for i, other in enumerate(merged):
            joined = _joined(other, column)
            if joined is not None:
                merged[i] = joined
                break
        else:
            merged.append(column)
    return merged


def _joined(a, b):
    """One array for what two say, if no element has two different numbers."""
    if a is b or a.size == 0:
        return a
    one, other = a.item(a.size // 2), b.item(a.size // 2)
    if one and other and one != other:  # most pairs are told apart by a single look
        return None
    clash = a != b
    if not clash.any():
        return a
    clash &= a != 0
    clash &= b != 0
    return None if clash.any() else np.maximum(a, b)


# Ops that copy elements: where each goes is seen by giving the op the elements' numbers.
_MOVEMENT = (
    ops.Identity, ops.Cast, ops.Reshape, ops.BroadcastTo, ops.Transpose, ops.Permute, ops.Flip, ops.Dilate, ops.Pad,
    ops.Stack, ops.Split, ops.Concatenate, ops.GetItem, ops.TakeAlongAxis, ops.MakeTensorTuple, ops.TupleGetItem,
)  # fmt: skip
_INDEXED = (ops.GetItem, ops.TakeAlongAxis)  # of these the later inputs say where


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
    for i, (node, r) in enumerate(zip(inputs, rows, strict=True)):
        if i and isinstance(op, _INDEXED):
            numbered.append(node.data)
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
    count = int(np.prod(out_shape, dtype=np.int64))
    groups = np.broadcast_to(np.arange(count).reshape(_kept(op, shape, out_shape)), shape).ravel()
    gather = sparse.csr_array(
        (np.ones(len(groups), bool), (groups, np.arange(len(groups)))), shape=(count, len(groups))
    )
    return (gather @ rows).astype(bool)


def _kept(op, shape, out_shape) -> tuple[int, ...]:
    """The shape of a sum's result, laid beside what is summed."""
    if isinstance(op, ops.SumTo):
        return (1,) * (len(shape) - len(out_shape)) + tuple(out_shape)
    return op.kept(shape)


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
    return _pattern(_recorded(fun, _point(x, "sparsity"), "sparsity"))


def _point(x, name: str) -> Node:
    """The node of x, an array of numbers that have derivatives."""
    node = node_of(x, f"x of {name}").detached()
    if node.data.dtype.kind not in "fc":
        raise TypeError(
            f"{name} differentiates with respect to floating-point numbers, got dtype {node.data.dtype}; convert x "
            "first, e.g. x.astype(float)"
        )
    return node


def _recorded(fun: Callable, x: Node, name: str) -> Pullback:
    """The graph of `fun` at x, which leads to one array."""
    _scipy_sparse()  # where it is missing, say so before the work
    tree, tensors, _, pullback = pull(fun, Arguments((new_handle(x),), {}, 0, name), has_aux=False)
    if len(tensors) != 1:
        raise TypeError(f"the function given to {name} must return one array, this one returned {tree}")
    return pullback


def _pattern(pullback: Pullback):
    (start,), (out,) = pullback.inputs, pullback.outputs
    size = start.data.size
    numbers = np.arange(1, size + 1, dtype=_whole(size))
    (rows,) = _rows_along(pullback, [NarrowRows([numbers.reshape(start.data.shape)], size)])
    if rows is None:
        return _scipy_sparse().csr_array((out.data.size, size), dtype=bool)
    pattern = rows.matrix() if type(rows) is NarrowRows else rows
    pattern.sum_duplicates()
    return pattern


def color_columns(pattern) -> np.ndarray:
    """A colour (0, 1, …) for each column, so that no row has two columns of one colour.

    Counting round and round with as many colours as the fullest row has entries is the best there is, and right for
    bands; where it fails the columns are coloured greedily, the fullest first.
    """
    return _colored(pattern)[0]


def _colored(pattern) -> tuple[np.ndarray, np.ndarray]:
    """The colours of the columns, and the `_places` of the entries."""
    n = pattern.shape[1]
    least = int(np.diff(pattern.indptr).max(initial=0))
    for count in range(max(least, 1), max(least, 1) + 3):
        colors = np.tile(np.arange(count), n // count + 1)[:n]
        places = _places(pattern, colors)
        met = np.zeros(pattern.shape[0] * count, bool)
        met[places] = True
        if np.count_nonzero(met) == pattern.nnz:
            return colors, places
    colors = _greedy(pattern)
    return colors, _places(pattern, colors)


def _whole(largest: int) -> type:
    """The type for whole numbers up to the largest: the short one is twice as fast."""
    return np.int32 if largest < 2**31 else np.int64


def _places(pattern, colors: np.ndarray) -> np.ndarray:
    """Where the entries of the pattern lie in an array of shape (colours, rows), each in the row of its colour."""
    height = pattern.shape[0]
    places = np.repeat(np.arange(height), np.diff(pattern.indptr))
    places += (colors * height).take(pattern.indices)
    return places


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
        pattern: what `sparsity(fun, x)` gives, if it is known from before.  Finding it takes about a fifth of the time.

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
    pullback = _recorded(fun, node, name)
    pattern = _pattern(pullback) if pattern is None else pattern
    colors, places = _colored(pattern)
    count = int(colors.max(initial=-1)) + 1
    directions = (colors == np.arange(count)[:, None]).astype(node.data.dtype).reshape((count, *node.data.shape))
    columns = _pushed(pullback, directions, name)
    values = np.zeros(pattern.nnz, node.data.dtype) if columns is None else columns.reshape(-1).take(places)
    return _scipy_sparse().csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)


def _pushed(pullback: Pullback, directions: np.ndarray, name: str) -> np.ndarray | None:
    """The tangents of the output in several directions, which are axis 0; None for zeros."""
    count = len(directions)
    if count and directions[0].size >= _LARGE:
        tangents = [push_along(pullback, [Node(None, (), direction, False)])[0] for direction in directions]
        return np.stack([t.data for t in tangents]) if None not in tangents else None
    with special(), frame(name) as mine:
        (found,) = push_along(pullback, [Batched(mine, Node(None, (), directions, False))]) if count else [None]
        return None if found is None else batch_first(found, mine, count).node.data


_LARGE = 4096  # elements, from which on a direction is a pass of its own: that stays in cache, and a batch would not
