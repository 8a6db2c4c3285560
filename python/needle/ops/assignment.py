"""Index assignment as an op: the old value, an index and what is put there make a new value.

Nothing is written into memory that another value has.
"""

from functools import partial

import numpy as np

from ..graph import Tensor, leaf
from .choices import where
from .indexing import GetItem, Indexed, behind_examples, numbers_of_examples, parsed
from .kinds import BroadcastTo, Movement, PiecewiseConstant, SumTo, all_batched, zeros_like
from .movement import moveaxis, permute, reshape
from .selection import selected

__all__ = [
    "SetItem", "set_item",
]  # fmt: skip


class SetItem(Indexed):
    """a with v at `index`; v broadcasts, and where an element is named twice the last one stays"""

    __slots__ = ()

    def compute(self, a, v, *tensors):
        out = a.copy()
        out[self.filled(tensors)] = v
        return out

    def gradient(self, out_grad, node):
        _, v, *tensors = node.inputs
        kept = given = None
        if node.needs(0):
            kept = selected(self(out_grad, _zero(out_grad), *tensors), partial(self.kept, node.shape, tensors))
        if node.needs(1):
            given = self.lasting(GetItem(self.index)(out_grad, *tensors), node.shape, tensors)
            if v.ndim > given.ndim:  # NumPy lets v have more axes, of length 1
                given = reshape(given, (*(1,) * (v.ndim - given.ndim), *given.shape))
            given = given if given.shape == v.shape else SumTo(v.shape)(given)
        return (kept, given, *[None] * len(tensors))

    def kept(self, shape, tensors) -> Tensor:
        """Where nothing is assigned."""
        return self(leaf(np.ones(shape, bool)), leaf(np.zeros((), bool)), *tensors)

    def lasting(self, grad: Tensor, shape, tensors) -> Tensor:
        """The adjoints of what was assigned, 0 where another element was assigned to the same place later."""
        if self.is_basic() or not _may_name_twice(self.filled(tensors)):
            return grad
        return where(Lasting(self.index, shape)(*tensors), grad, _zero(grad))

    lanes = Movement.lanes

    def tangent(self, node, of_a, of_v, *_):
        a, _, *tensors = node.inputs
        return self(zeros_like(a) if of_a is None else of_a, _zero(node) if of_v is None else of_v, *tensors)

    def taylor(self, node, a, v, *_):
        later = zip(a[1:], v[1:])
        return [node, *[None if x is None and y is None else self.tangent(node, x, y) for x, y in later]]

    def batch(self, size, inputs, batched):
        (a, v, *tensors), (in_a, in_v, *batched) = inputs, batched
        if len(self.index) == 1 and any(batched) and tensors[0].dtype == bool and v.ndim == in_v:
            (mask,) = tensors  # another one for each example, and one number for all that it names
            ndim = 1 + a.ndim - in_a
            v = reshape(v, (size, *(1,) * (ndim - 1))) if in_v else v
            return where(reshape(mask, (*mask.shape, *(1,) * (ndim - mask.ndim))), v, *all_batched(size, [a], [in_a]))
        (a,) = all_batched(size, [a], [in_a])
        v = self.beside_examples(size, v, in_v, self.shape_of(a.shape[1:], tensors, batched))
        if self.is_view():
            return SetItem((slice(None), *self.index))(a, v)
        place, count = self.placed(a.ndim - 1, tensors, batched)
        if not any(batched):
            v = moveaxis(v, 0, count) if place is None else v
            return SetItem((slice(None), *self.index))(a, v, *tensors)
        if place:
            v = permute(v, behind_examples(place, count, v.ndim, inverse=True))
        tensors = self.each_by_its_own(size, count, tensors, batched)
        return SetItem((numbers_of_examples(size, count), *self.index))(a, v, *tensors)

    def shape_of(self, shape, tensors, batched) -> tuple[int, ...]:
        """The shape of what is assigned to in an example of `shape`."""
        examples = [np.zeros(x.shape[1:], x.dtype) if b else _known(x) for x, b in zip(tensors, batched)]
        return np.broadcast_to(False, shape)[self.filled(examples)].shape

    def beside_examples(self, size, v, batched, shape) -> Tensor:
        """What is assigned, of the full shape, with the batch in front."""
        own = v.shape[1:] if batched else v.shape
        own = own[max(len(own) - len(shape), 0) :]
        v = reshape(v, (size if batched else 1, *(1,) * (len(shape) - len(own)), *own))
        return BroadcastTo((size, *shape))(v)


class Lasting(Indexed, PiecewiseConstant):
    """For each element that an index into `shape` names: whether none that names the same place comes later"""

    __slots__ = ("shape",)

    def __init__(self, index: tuple, shape):
        self.index, self.shape = index, tuple(shape)

    def compute(self, *tensors):
        index = self.filled(tensors)
        last = np.empty(self.shape, np.intp)
        named = last[index]
        named[...] = np.arange(named.size).reshape(named.shape)
        last[index] = named
        return last[index] == named

    def batch(self, size, inputs, batched):
        place, count = self.placed(len(self.shape), inputs, batched)
        tensors = self.each_by_its_own(size, count, inputs, batched)
        out = Lasting((numbers_of_examples(size, count), *self.index), (size, *self.shape))(*tensors)
        return permute(out, behind_examples(place, count, out.ndim)) if place else out


def _zero(like) -> Tensor:
    return leaf(np.zeros((), like.dtype))


def _known(x: Tensor):
    """The array of an index Tensor; inside another vmap, where only its shape is known, one like it."""
    data = x.node.data
    return data if isinstance(data, np.ndarray) or data.dtype == bool else np.zeros(data.shape, data.dtype)


def _may_name_twice(index) -> bool:
    """Whether there are index arrays of whole numbers: slices, ints and masks name each element once."""
    return any(hasattr(entry, "dtype") and entry.dtype != bool and entry.ndim > 0 for entry in index)


def set_item(a: Tensor, index, value: Tensor) -> Tensor:
    """A new Tensor like a, with `value` (which broadcasts) at `index`, as `a[index] = value` makes it."""
    index, tensors = parsed(index)
    return SetItem(index)(a, value, *tensors)
