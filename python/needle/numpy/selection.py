"""Elements picked: by index, by a condition, or one of several choices."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .. import ops
from ..graph import Tensor, leaf
from ..ops.assignment import set_item
from .dispatch import as_tensor, as_tensors, implements, plain, tensor_or_number
from .joining import parts
from .shapes import moved, ravel


def along(axis: int, index) -> tuple:
    """The index that has `index` for one axis, and all of the others."""
    return (*(slice(None),) * axis, index)


@implements(np.take)
def take(a, indices, axis=None, out=None, mode="raise") -> Tensor:
    """The elements (or slices along `axis`) with the numbers `indices`; too large ones raise, or "clip" or "wrap"."""
    a, indices = as_tensor(a), as_tensor(indices)
    if indices.dtype.kind not in "iu":
        indices = indices.astype(np.intp) if indices.size == 0 or indices.dtype == bool else _refused(indices)
    if axis is None:
        a, axis = ops.reshape(a, -1 if a.size else 0), 0
    axis = normalize_axis_index(axis, a.ndim)
    n = a.shape[axis]
    if mode != "raise":
        indices = np.clip(indices, 0, n - 1) if mode == "clip" else np.mod(indices, n)
    return ops.get_item(a, along(axis, indices))


def _refused(indices):
    raise TypeError(
        f"Cannot cast array data from {indices.dtype!r} to dtype('int64') according to the rule 'safe': indices are "
        "whole numbers"
    )


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1) -> Tensor:
    """The elements along `axis` at `indices`, which broadcast along the other axes."""
    arr, indices = as_tensor(arr), as_tensor(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        arr, axis = ops.reshape(arr, -1 if arr.size else 0), 0
    if indices.ndim != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return ops.take_along_axis(arr, indices, normalize_axis_index(axis, arr.ndim))


@implements(np.choose)
def choose(a, choices, out=None, mode="raise") -> Tensor:
    """For each element of a, the number of a choice, that choice's element."""
    if isinstance(a, Tensor) and not isinstance(a.node.data, np.ndarray):  # inside `vmap`: other numbers an example
        return _choose_by_comparison(a, _operands(choices), mode)
    numbers = plain(a)
    return moved(lambda *places: np.choose(numbers, places, mode=mode), *_operands(choices))


def _choose_by_comparison(a: Tensor, choices: list[Tensor], mode: str) -> Tensor:
    """The choice of each number among them.  (Whether a number is too large, nobody sees: it is clipped.)"""
    n = len(choices)
    a = np.mod(a, n) if mode == "wrap" else np.clip(a.astype(np.intp), 0, n - 1)
    result = choices[0]
    for k in range(n):
        result = ops.where(ops.equal(a, k), choices[k], result)
    return result


def _operands(values) -> list[Tensor]:
    """Choices as Tensors; numbers take the dtype of Tensors, where there are any, within its kind."""
    return as_tensors(values) if any(isinstance(value, Tensor) for value in values) else parts(values)


@implements(np.compress)
def compress(condition, a, axis=None, out=None) -> Tensor:
    """The slices along `axis` (elements of the flattened array for None) where the condition holds."""
    a, condition = as_tensor(a), np.asarray(plain(condition))
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    if axis is None:
        a, axis = ravel(a), 0
    return ops.get_item(a, along(normalize_axis_index(axis, a.ndim), np.flatnonzero(condition)))


@implements(np.extract)
def extract(condition, arr) -> Tensor:
    """The elements where the condition holds, in flat order."""
    return ops.get_item(ravel(as_tensor(arr)), np.flatnonzero(plain(condition)))


@implements(np.where)
def where(condition, x=None, y=None, /):
    """x where the condition holds, else y; without x and y, where that is."""
    if x is None and y is None:
        return tuple([leaf(places) for places in np.nonzero(plain(condition))])
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    condition = as_tensor(condition)
    condition = condition if condition.dtype == bool else condition.astype(bool)
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        return ops.where(condition, as_tensor(x), as_tensor(y))
    return ops.where(condition, tensor_or_number(x), tensor_or_number(y))


@implements(np.select)
def select(condlist, choicelist, default=0) -> Tensor:
    """The element of the first choice whose condition holds; the default where none does."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions = parts(condlist)
    for i, condition in enumerate(conditions):
        if condition.dtype != bool:
            raise TypeError(f"invalid entry {i} in condlist: should be boolean ndarray")
    *choices, result = _operands([*choicelist, default])
    shape = np.broadcast_shapes(*[x.shape for x in (*conditions, *choices)])
    for condition, choice in zip(conditions[::-1], choices[::-1]):
        result = ops.where(condition, choice, result)
    return result if result.shape == shape else ops.broadcast_to(result, shape)


@implements(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw) -> Tensor:
    """f(x) with the function (or number) of the last condition that holds; one more is for where none does, else 0."""
    x = as_tensor(x)
    n = len(funclist)
    if not isinstance(condlist, (list, tuple)) or (
        len(condlist) and not isinstance(condlist[0], (list, Tensor, np.ndarray)) and x.ndim
    ):
        condlist = [condlist] if as_tensor(condlist).ndim == x.ndim else list(condlist)
    conditions = [as_tensor(condition).astype(bool) for condition in condlist]
    if n == len(conditions) + 1:
        conditions.append(ops.logical_not(_any(conditions)))
    elif n != len(conditions):
        n_conditions = len(conditions)
        raise ValueError(f"piecewise takes {n_conditions} or {n_conditions + 1} functions, got {n}")
    result = leaf(np.zeros(x.shape, x.dtype))
    for condition, function in zip(conditions, funclist):
        condition = ops.broadcast_to(condition, x.shape)
        result = _piece(x, condition, function, result, args, kw)
    return result


def _any(conditions) -> Tensor:
    total = conditions[0]
    for condition in conditions[1:]:
        total = ops.logical_or(total, condition)
    return total


def _piece(x: Tensor, condition: Tensor, function, result: Tensor, args, kw) -> Tensor:
    """`result`, with f(x) where the condition holds; f is given those elements only, as NumPy does, where they are
    known (inside `vmap` they are not)."""
    if not callable(function):
        return ops.where(condition, as_tensor(function).astype(result.dtype), result)
    if not isinstance(condition.node.data, np.ndarray):
        return ops.where(condition, as_tensor(function(x, *args, **kw)).astype(result.dtype), result)
    if not condition.node.data.any():
        return result
    from_there = as_tensor(function(ops.get_item(x, condition), *args, **kw))
    return set_item(result, condition, from_there)


@implements(np.unique)
def unique(
    ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True, sorted=True
):
    """The different elements (or slices along `axis`) in order: picked from where each comes first."""
    ar = as_tensor(ar)
    found = np.unique(plain(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values = take(ar, found[1], axis)
    others = [leaf(array) for array in found[1 if return_index else 2 :]]
    return (values, *others) if others else values


@implements(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None) -> Tensor:
    """Without the zeros at the front ("f") and back ("b") along `axis`, all axes by default."""
    if set(trim.lower()) - {"f", "b"}:
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    if not isinstance(filt, Tensor):
        filt = as_tensor(filt)
    places = np.argwhere(plain(filt))
    if len(places):
        start, stop = places.min(0), places.max(0) + 1
    else:
        start = stop = np.array(filt.shape if "f" in trim.lower() else (0,) * filt.ndim)
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    index = [
        slice(start[i] if "f" in trim.lower() else None, stop[i] if "b" in trim.lower() else None)
        if i in axes
        else slice(None)
        for i in range(filt.ndim)
    ]
    return ops.get_item(filt, tuple(index))
