"""Indexing: `a[index]` for every kind of index that NumPy knows, and its transpose, which adds into zeros.

The static parts of an index (ints, slices, None, ..., arrays) are an attribute of the op.  Index Tensors are inputs, so
that a program that is traced sees them.
"""

import numpy as np

from ..graph import Tensor, TensorOp

__all__ = [
    "GetItem", "Indexed", "PLACE", "PutAlongAxis", "Scatter", "TakeAlongAxis", "embedding_lookup", "get_item",
    "take_along_axis",
]  # fmt: skip


class _Place:
    """Stands in an index for the next index Tensor."""

    def __repr__(self) -> str:
        return "Tensor"


PLACE = _Place()


class Indexed(TensorOp):
    """What GetItem and Scatter share: an index, with places for index Tensors"""

    __slots__ = ("index",)

    def __init__(self, index: tuple):
        self.index = index

    def filled(self, tensors) -> tuple:
        """The index with the arrays of index Tensors in their places."""
        tensors = iter(tensors)
        return tuple([next(tensors) if entry is PLACE else entry for entry in self.index])

    def is_basic(self) -> bool:
        """Whether NumPy answers with a view: no element can be named twice."""
        return all(entry is None or entry is ... or isinstance(entry, (int, slice)) for entry in self.index)


class GetItem(Indexed):
    """a[index]"""

    __slots__ = ()

    def compute(self, a, *tensors):
        return a[self.filled(tensors)] if tensors else a[self.index]

    def gradient(self, out_grad, node):
        a, *tensors = node.inputs
        return (Scatter(self.index, a.shape)(out_grad, *tensors), *[None] * len(tensors))

    def tangent(self, node, tangent, *_):
        return self(tangent, *node.inputs[1:])


class Scatter(Indexed):
    """Zeros of `shape` to which g is added at `index`; what is named twice adds up"""

    __slots__ = ("shape",)

    def __init__(self, index: tuple, shape):
        self.index, self.shape = index, tuple(shape)

    def compute(self, g, *tensors):
        out = np.zeros_like(g, shape=self.shape)
        index = self.filled(tensors)
        if self.is_basic():
            out[index] = g
        elif len(index) == 1 and index[0].dtype != bool and g.size:
            _add_rows(out, index[0], g)
        else:
            np.add.at(out, index, g)
        return out

    def gradient(self, out_grad, node):
        tensors = node.inputs[1:]
        return (GetItem(self.index)(out_grad, *tensors), *[None] * len(tensors))

    def tangent(self, node, tangent, *_):
        return self(tangent, *node.inputs[1:])


def _add_rows(out, rows, g) -> None:
    """out[rows] += g with repeated rows adding up; sorting and summing runs is much faster than `np.add.at`."""
    rows = rows.ravel().astype(np.intp) % out.shape[0]
    g = g.reshape((rows.size, *out.shape[1:]))
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    out[rows[starts]] = np.add.reduceat(g[order], starts, axis=0)


class TakeAlongAxis(TensorOp):
    """Elements of a along `axis` at the indices of an index Tensor, as `numpy.take_along_axis`"""

    __slots__ = ("axis",)

    def __init__(self, axis: int):
        self.axis = axis

    def compute(self, a, indices):
        return np.take_along_axis(a, indices, self.axis)

    def gradient(self, out_grad, node):
        a, indices = node.inputs
        return PutAlongAxis(self.axis, a.shape)(out_grad, indices), None

    def tangent(self, node, tangent, _):
        return self(tangent, node.inputs[1])


class PutAlongAxis(TensorOp):
    """Zeros of `shape` to which g is added along `axis` at the indices of an index Tensor"""

    __slots__ = ("axis", "shape")

    def __init__(self, axis: int, shape):
        self.axis, self.shape = axis, tuple(shape)

    def compute(self, g, indices):
        out = np.zeros_like(g, shape=self.shape)
        axis = self.axis % g.ndim
        if indices.shape == g.shape == (*self.shape[:axis], 1, *self.shape[axis + 1 :]):
            np.put_along_axis(out, indices, g, axis)
        else:  # an index may be named twice, along the axis or, where out's other axes are broadcast, across it
            places = list(np.ogrid[tuple([slice(n) for n in g.shape])])
            places = [0 if n == 1 else place for n, place in zip(self.shape, places)]
            places[axis] = indices
            np.add.at(out, tuple(places), g)
        return out

    def gradient(self, out_grad, node):
        return TakeAlongAxis(self.axis)(out_grad, node.inputs[1]), None

    def tangent(self, node, tangent, _):
        return self(tangent, node.inputs[1])


# --------------------------------------------------------------------------------------------------------------------
# Functions


def get_item(a: Tensor, index) -> Tensor:
    """a[index], for ints, slices with steps, None, `...`, integer and boolean arrays and Tensors, and mixes of them."""
    entries = index if isinstance(index, tuple) else (index,)
    static, tensors = [], []
    for entry in entries:
        if isinstance(entry, Tensor):
            static.append(PLACE)
            tensors.append(entry)
        elif isinstance(entry, (list, np.ndarray)):
            static.append(np.array(entry, dtype=int if isinstance(entry, list) and not entry else None))
        elif isinstance(entry, np.integer):
            static.append(int(entry))
        else:
            static.append(entry)
    return GetItem(tuple(static))(a, *tensors)


def take_along_axis(a: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Elements of a along `axis` at `indices` (an integer Tensor or array), as `numpy.take_along_axis`."""
    return TakeAlongAxis(axis)(a, indices)


def embedding_lookup(weight: Tensor, indices) -> Tensor:
    """Rows of `weight` (n, d) at `indices` (whole numbers of any dtype and shape): shape indices.shape + (d,)."""
    if not isinstance(indices, Tensor):
        indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        indices = whole_numbers(indices, "embedding_lookup")
    return get_item(weight, indices)


def whole_numbers(values, name: str):
    """`values` (a Tensor or array) as integers, or an error that names the first one that is not whole."""
    array = values.node.data if isinstance(values, Tensor) else values
    wrong = ~(np.floor(array) == array)
    if wrong.any():
        raise ValueError(f"{name} needs whole numbers as indices, got {array[wrong].flat[0]}")
    return values.astype(np.int64)
