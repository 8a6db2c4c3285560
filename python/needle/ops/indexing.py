"""Indexing: `a[index]` for every kind of index that NumPy knows, and its transpose, which adds into zeros.

The static parts of an index (ints, slices, None, ..., arrays) are an attribute of the op.  Index Tensors are inputs, so
that a program that is traced sees them.
"""

from functools import partial

import numpy as np

from ..graph import Tensor, TensorOp
from .kinds import Broadcasting, Linear, Movement, PiecewiseConstant, all_batched, behind_batch
from .movement import moveaxis, permute, reshape
from .selection import selected

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
        return all(_is_plain(entry) or isinstance(entry, int) for entry in self.index)

    def is_view(self) -> bool:
        """Whether there are slices, None, `...` and ints only, whose axes lie where they stand."""
        return all(_is_plain(entry) or type(entry) is int for entry in self.index)

    def placed(self, ndim: int, tensors, batched) -> tuple[int | None, int]:
        """Where the axes of the advanced indices come in the result for an example of `ndim` dimensions, and how many
        they are.

        NumPy broadcasts the advanced indices (arrays, and the ints beside them) with each other.  Their axes come where
        they stand, if they stand side by side; otherwise in front, for which the place is None.
        """
        tensors = iter([_Shape(x.ndim - b, x.dtype) for x, b in zip(tensors, batched)])
        index = [next(tensors) if entry is PLACE else entry for entry in self.index]
        advanced = [i for i, entry in enumerate(index) if not _is_plain(entry)]
        arrays = [index[i] if isinstance(index[i], _Shape) else np.asarray(index[i]) for i in advanced]
        count = max([1 if array.dtype == bool else array.ndim for array in arrays], default=0)
        if not advanced or advanced[-1] - advanced[0] >= len(advanced):
            return None, count
        used = sum(array.ndim if array.dtype == bool else 1 for array in arrays)
        used += sum(isinstance(entry, slice) for entry in index)
        return sum(ndim - used if entry is ... else 1 for entry in index[: advanced[0]]), count

    def each_by_its_own(self, size: int, count: int, tensors, batched) -> list:
        """Index Tensors with the batch in front of the `count` axes that the advanced indices broadcast to."""
        for x, b in zip(tensors, batched):
            if b and x.dtype == bool:
                raise ValueError(
                    "a boolean mask that differs between the examples of vmap takes another number of elements from "
                    "each; choose with needle.where(mask, a, b) instead of a[mask]"
                )
        return [
            reshape(x, (size, *(1,) * (count + 1 - x.ndim), *x.shape[1:])) if b else x for x, b in zip(tensors, batched)
        ]


class _Shape:
    """What is known of an index array without looking at it."""

    def __init__(self, ndim: int, dtype):
        self.ndim, self.dtype = ndim, dtype


def _is_plain(entry) -> bool:
    """Whether an entry of an index is a slice, None or `...`."""
    return entry is None or entry is ... or isinstance(entry, slice)


def numbers_of_examples(size: int, count: int):
    """0 … size-1, to stand before index arrays that broadcast to `count` axes."""
    return np.arange(size).reshape(size, *(1,) * count)


def behind_examples(place: int, count: int, ndim: int, inverse: bool = False) -> tuple[int, ...]:
    """The order of axes in which the `count` axes of advanced indices, which came to the front with the batch, go
    `place` axes further back, where an example has them; or, if `inverse`, to the front from there."""
    first, second = (place, count) if inverse else (count, place)
    middle = (*range(1 + first, 1 + first + second), *range(1, 1 + first))
    return (0, *middle, *range(1 + first + second, ndim))


class GetItem(Indexed):
    """a[index]"""

    __slots__ = ()

    shape_follows_values = True

    def compute(self, a, *tensors):
        index = self.filled(tensors) if tensors else self.index
        if a.ndim == 1 and len(index) == 1 and isinstance(index[0], np.ndarray) and index[0].dtype.kind == "i":
            return a.take(index[0])  # a third faster than a[index]
        return a[index]

    def gradient(self, out_grad, node):
        a, *tensors = node.inputs
        if self.takes_all(a, node.size):
            return reshape(out_grad, a.shape)
        scatter = Scatter(self.index, a.shape)
        chosen = partial(_all_of, scatter, out_grad.shape, tensors)
        return (selected(scatter(out_grad, *tensors), chosen), *[None] * len(tensors))

    def takes_all(self, a, size: int) -> bool:
        """Whether a result of that `size` is all of a in the same order, as `column[:, 0]` is."""
        if size != a.size or not self.is_view():
            return False
        return not any(isinstance(entry, slice) and (entry.step or 1) < 0 for entry in self.index)

    lanes = Movement.lanes

    def tangent(self, node, tangent, *_):
        return self(tangent, *node.inputs[1:])

    def array_tangent(self, output, inputs, tangents):
        return self.compute(tangents[0], *inputs[1:])

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        (a, *tensors), (in_a, *batched) = inputs, batched
        if self.is_view():
            return GetItem((slice(None), *self.index))(a)
        place, count = self.placed(a.ndim - in_a, tensors, batched)
        if not any(batched):
            out = GetItem((slice(None), *self.index))(a, *tensors)
            return moveaxis(out, count, 0) if place is None else out
        tensors = self.each_by_its_own(size, count, tensors, batched)
        if not in_a:
            return moveaxis(GetItem(self.index)(a, *tensors), place or 0, 0)
        out = GetItem((numbers_of_examples(size, count), *self.index))(a, *tensors)
        return permute(out, behind_examples(place, count, out.ndim)) if place else out


class Scatter(Indexed):
    """Zeros of `shape` to which g is added at `index`; what is named twice adds up"""

    __slots__ = ("shape",)

    def __init__(self, index: tuple, shape):
        self.index, self.shape = index, tuple(shape)

    def compute(self, g, *tensors):
        index = self.filled(tensors)
        if _counts(index, self.shape, g):
            return np.bincount(index[0].ravel(), g.ravel(), self.shape[0])
        out = np.zeros(self.shape, g.dtype, like=g)
        if self.is_basic():
            out[index] = g
        else:
            _add_at(out, index, g)
        return out

    def gradient(self, out_grad, node):
        tensors = node.inputs[1:]
        return (GetItem(self.index)(out_grad, *tensors), *[None] * len(tensors))

    lanes = Movement.lanes

    def tangent(self, node, tangent, *_):
        return self(tangent, *node.inputs[1:])

    def array_tangent(self, output, inputs, tangents):
        return self.compute(tangents[0], *inputs[1:])

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        tensors, shape = inputs[1:], (size, *self.shape)
        if self.is_view():
            return Scatter((slice(None), *self.index), shape)(*inputs)
        place, count = self.placed(len(self.shape), tensors, batched[1:])
        (g,) = all_batched(size, inputs[:1], batched[:1])
        if not any(batched[1:]):
            return Scatter((slice(None), *self.index), shape)(moveaxis(g, 0, count) if place is None else g, *tensors)
        if place:
            g = permute(g, behind_examples(place, count, g.ndim, inverse=True))
        tensors = self.each_by_its_own(size, count, tensors, batched[1:])
        return Scatter((numbers_of_examples(size, count), *self.index), shape)(g, *tensors)


def _all_of(put, shape, indices) -> Tensor:
    """Where `put` (a Scatter or PutAlongAxis) puts something."""
    return put(np.ones(shape, bool), *indices)


def _counts(index, shape, g) -> bool:
    """Whether adding g at `index` to zeros is what `numpy.bincount` does, which is faster than `numpy.add.at`."""
    if len(index) != 1 or len(shape) != 1 or g.dtype != float or g.size == 0:
        return False
    (places,) = index
    return isinstance(places, np.ndarray) and places.dtype.kind == "i" and places.shape == g.shape and places.min() >= 0


def _add_at(out, index, g) -> None:
    """out[index] += g, with what is named twice adding up."""
    arrays = [entry for entry in index if hasattr(entry, "dtype")]
    if all(array.dtype == bool for array in arrays):  # masks name each element once
        out[index] = g
    elif len(index) == 1 and out.ndim > 1 and g.size:
        _add_rows(out, index[0], g)
    elif out.ndim == 1 or g.size * 4 < out.size:
        np.add.at(out, index, g)
    else:  # numpy.add.at is several times faster with one index array
        places = np.arange(out.size).reshape(out.shape)[index]
        np.add.at(out.reshape(-1), places.ravel(), np.broadcast_to(g, places.shape).ravel())


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
        put = PutAlongAxis(self.axis, a.shape)
        return selected(put(out_grad, indices), partial(_all_of, put, out_grad.shape, [indices])), None

    lanes = Movement.lanes

    def tangent(self, node, tangent, _):
        return self(tangent, node.inputs[1])

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        inputs = [x if b else reshape(x, (1, *x.shape)) for x, b in zip(inputs, batched)]
        return TakeAlongAxis(*behind_batch(self.axis, inputs[0].ndim - 1))(*inputs)


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

    lanes = Movement.lanes

    def tangent(self, node, tangent, _):
        return self(tangent, node.inputs[1])

    taylor = Linear.taylor

    def batch(self, size, inputs, batched):
        (g,), indices = all_batched(size, inputs[:1], batched[:1]), inputs[1]
        if not batched[1]:
            indices = reshape(indices, (1, *indices.shape))
        return PutAlongAxis(*behind_batch(self.axis, len(self.shape)), (size, *self.shape))(g, indices)


# --------------------------------------------------------------------------------------------------------------------
# Functions


def get_item(a: Tensor, index) -> Tensor:
    """a[index], for ints, slices with steps, None, `...`, integer and boolean arrays and Tensors, and mixes of them."""
    index, tensors = parsed(index)
    return GetItem(index)(a, *tensors)


def parsed(index) -> tuple[tuple, list[Tensor]]:
    """The static part of an index, with `PLACE` where an index Tensor stood, and the index Tensors."""
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
    return tuple(static), tensors


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
    op = WholeNumbers(name)
    return op(values) if isinstance(values, Tensor) else op.compute(values)


class WholeNumbers(Broadcasting, PiecewiseConstant):
    """The numbers as integers; ValueError for one that is not whole"""

    __slots__ = ("name",)

    checks = True

    def __init__(self, name: str):
        self.name = name

    def compute(self, a):
        wrong = ~(np.floor(a) == a)
        if wrong.any():
            raise ValueError(f"{self.name} needs whole numbers as indices, got {a[wrong].flat[0]}")
        return a.astype(np.int64)
