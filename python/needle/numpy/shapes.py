"""Functions that lay the elements of an array out anew: shapes, axes, and repeating."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .. import ops
from ..graph import Tensor, leaf
from ..ops.rolling import Roll
from .dispatch import as_tensor, implements, plain


def moved(function, *tensors: Tensor, dtype=None) -> Tensor:
    """What `function` makes of arrays whose elements it only moves, drops and repeats: a result gathered from them.

    The function is shown the numbers of the elements, counted on from one array to the next, in the arrays' shapes.
    """
    starts = np.cumsum([0, *[x.size for x in tensors]])
    numbers = [np.arange(n, n + x.size).reshape(x.shape) for n, x in zip(starts, tensors)]
    if dtype is None:
        dtype = np.result_type(*[x.dtype for x in tensors])
    flat = [ops.reshape(x if x.dtype == dtype else x.astype(dtype), -1) for x in tensors]
    return ops.get_item(flat[0] if len(flat) == 1 else ops.concatenate(flat), function(*numbers))


# --------------------------------------------------------------------------------------------------------------------
# Shapes


@implements(np.reshape)
def reshape(a, /, shape, order="C", *, copy=None) -> Tensor:
    """The same elements in another shape, read and written in C or Fortran order."""
    a = as_tensor(a)
    shape = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    if order == "F" or (order == "A" and _lies_in_fortran_order(a)):
        return ops.permute(ops.reshape(ops.permute(a), shape[::-1]))
    out = ops.reshape(a, shape)
    return out.copy() if copy else out


def _lies_in_fortran_order(a: Tensor) -> bool:
    return isinstance(a.node.data, np.ndarray) and a.node.data.flags.fnc


@implements(np.ravel)
def ravel(a, order="C") -> Tensor:
    """All elements in one axis, in C or Fortran order, or ("K") as they lie in memory."""
    a = as_tensor(a)
    if order == "F" or (order == "A" and _lies_in_fortran_order(a)):
        a = ops.permute(a)
    elif order == "K" and isinstance(a.node.data, np.ndarray):
        strides = a.node.data.strides
        a = ops.permute(a, sorted(range(a.ndim), key=lambda axis: -abs(strides[axis])))
    return flat(a)


def flat(a: Tensor) -> Tensor:
    """All elements in one axis; a vector as it is."""
    return a if a.ndim == 1 else ops.reshape(a, -1 if a.size else 0)


@implements(np.squeeze)
def squeeze(a, axis=None) -> Tensor:
    """Without axes of length 1: all of them, or those in `axis`."""
    a = as_tensor(a)
    if axis is None:
        return ops.reshape(a, [n for n in a.shape if n != 1])
    axes = normalize_axis_tuple(axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return ops.reshape(a, [n for i, n in enumerate(a.shape) if i not in axes])


@implements(np.expand_dims)
def expand_dims(a, axis) -> Tensor:
    """With new axes of length 1 where `axis` says, counted in the result."""
    a = as_tensor(a)
    axes = normalize_axis_tuple(axis, a.ndim + len(np.atleast_1d(axis)))
    lengths = iter(a.shape)
    return ops.reshape(a, [1 if i in axes else next(lengths) for i in range(a.ndim + len(axes))])


def _at_least(ndim: int, widen):
    def at_least(*arys):
        wide = [x if x.ndim >= ndim else ops.reshape(x, widen(x.shape)) for x in map(as_tensor, arys)]
        return wide[0] if len(wide) == 1 else tuple(wide)

    at_least.__name__ = f"atleast_{ndim}d"
    return at_least


atleast_1d = implements(np.atleast_1d)(_at_least(1, lambda shape: (1,)))
atleast_2d = implements(np.atleast_2d)(_at_least(2, lambda shape: (1, *(shape or (1,)))))
atleast_3d = implements(np.atleast_3d)(
    _at_least(3, lambda shape: (*shape, 1) if len(shape) == 2 else (1, *(shape or (1,)), 1))
)


@implements(np.resize)
def resize(a, new_shape) -> Tensor:
    """The elements in C order, from the start again as often as it takes to fill `new_shape`."""
    a = as_tensor(a)
    shape = tuple(new_shape) if hasattr(new_shape, "__iter__") else (new_shape,)
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    if a.size == 0:
        return leaf(np.zeros(shape, a.dtype))
    return moved(lambda numbers: np.resize(numbers, shape), a)


@implements(np.broadcast_to)
def broadcast_to(array, shape, subok=False) -> Tensor:
    """Repeated along new axes and axes of length 1."""
    return ops.broadcast_to(as_tensor(array), shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False) -> tuple:
    """All of the shape that they broadcast to."""
    arrays = [as_tensor(array) for array in args]
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    return tuple([ops.broadcast_to(array, shape) for array in arrays])


@implements(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy") -> tuple:
    """Vectors as the coordinates of a grid, each along an axis of its own."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else range(n)
    grids = [ops.reshape(as_tensor(x), [-1 if i == axis else 1 for i in range(n)]) for x, axis in zip(xi, axes)]
    return tuple(grids) if sparse else tuple([grid.copy() if copy else grid for grid in broadcast_arrays(*grids)])


# --------------------------------------------------------------------------------------------------------------------
# Axes


@implements(np.transpose)
def transpose(a, axes=None) -> Tensor:
    """With the axes in the order of `axes`; reversed by default."""
    a = as_tensor(a)
    if axes is not None and len(axes) != a.ndim:
        raise ValueError("axes don't match array")
    return ops.permute(a, None if axes is None else normalize_axis_tuple(axes, a.ndim))


@implements("matrix_transpose")
def matrix_transpose(x, /) -> Tensor:
    """With the last two axes swapped."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return ops.transpose(x)


@implements(np.swapaxes)
def swapaxes(a, axis1, axis2) -> Tensor:
    """With two axes swapped."""
    return ops.transpose(as_tensor(a), (axis1, axis2))


@implements(np.moveaxis)
def moveaxis(a, source, destination) -> Tensor:
    """With the axes `source` where `destination` says, the others in their order."""
    a = as_tensor(a)
    source, destination = normalize_axis_tuple(source, a.ndim), normalize_axis_tuple(destination, a.ndim)
    if len(source) != len(destination):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(a.ndim) if axis not in source]
    for place, axis in sorted(zip(destination, source)):
        order.insert(place, axis)
    return ops.permute(a, order)


@implements(np.rollaxis)
def rollaxis(a, axis, start=0) -> Tensor:
    """With `axis` moved back until it lies before `start`."""
    a = as_tensor(a)
    axis = normalize_axis_index(axis, a.ndim)
    if not -a.ndim <= start <= a.ndim:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-a.ndim} <= start < {a.ndim + 1}, but {start} was passed in"
        )
    start += a.ndim if start < 0 else 0
    return ops.moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.flip)
def flip(m, axis=None) -> Tensor:
    """With the elements along `axis` (all axes by default) in reverse order."""
    m = as_tensor(m)
    return ops.flip(m, None if axis is None else normalize_axis_tuple(axis, m.ndim))


@implements(np.flipud)
def flipud(m) -> Tensor:
    """Reversed along axis 0."""
    m = as_tensor(m)
    if m.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return ops.flip(m, 0)


@implements(np.fliplr)
def fliplr(m) -> Tensor:
    """Reversed along axis 1."""
    m = as_tensor(m)
    if m.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return ops.flip(m, 1)


@implements(np.rot90)
def rot90(m, k=1, axes=(0, 1)) -> Tensor:
    """Turned k times by 90 degrees in the plane of two axes, from the first towards the second."""
    m, axes = as_tensor(m), tuple(axes)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    first, second = (axis % m.ndim if -m.ndim <= axis < m.ndim else None for axis in axes)
    if first is None or second is None:
        raise ValueError(f"Axes={axes} out of range for array of ndim={m.ndim}.")
    if first == second:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 1:
        return ops.transpose(ops.flip(m, second), (first, second))
    if k == 3:
        return ops.flip(ops.transpose(m, (first, second)), second)
    return ops.flip(m, (first, second)) if k == 2 else m


# --------------------------------------------------------------------------------------------------------------------
# Repeating and rolling


@implements(np.roll)
def roll(a, shift, axis=None) -> Tensor:
    """Each element `shift` places further along `axis`; what falls off the end comes in at the start."""
    a, shift = as_tensor(a), plain(shift)
    if axis is None:
        rolled = roll(flat(a), shift, 0)
        return rolled if a.ndim == 1 else ops.reshape(rolled, a.shape)
    if type(shift) is type(axis) is int:
        return Roll((shift,), (normalize_axis_index(axis, a.ndim),))(a)
    axes = normalize_axis_tuple(axis, a.ndim, allow_duplicate=True)
    shifts, axes = np.broadcast_arrays(shift, axes)
    if shifts.ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    return Roll([int(n) for n in shifts], [int(n) for n in axes])(a)


@implements(np.tile)
def tile(A, reps) -> Tensor:
    """A laid side by side `reps` times along each axis."""
    a = as_tensor(A)
    reps = tuple(reps) if hasattr(reps, "__iter__") else (reps,)
    if all(n == 1 for n in reps) and len(reps) <= a.ndim:
        return a.copy()
    ndim = max(len(reps), a.ndim)
    reps, shape = (1,) * (ndim - len(reps)) + reps, (1,) * (ndim - a.ndim) + a.shape
    apart = ops.reshape(a, [n for length in shape for n in (1, length)])
    spread = ops.broadcast_to(apart, [n for pair in zip(reps, shape) for n in pair])
    return ops.reshape(spread, [k * n for k, n in zip(reps, shape)])


@implements(np.repeat)
def repeat(a, repeats, axis=None) -> Tensor:
    """Each element (or each slice along `axis`) `repeats` times in a row; a number, or one for each."""
    a, repeats = as_tensor(a), plain(repeats)
    if axis is None:
        a, axis = ops.reshape(a, -1 if a.size else 0), 0
    axis = normalize_axis_index(axis, max(a.ndim, 1))
    if a.ndim == 0:
        a = ops.reshape(a, 1)
    if np.ndim(repeats) == 0 and int(repeats) >= 0:
        shape = a.shape
        apart = ops.reshape(a, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
        spread = ops.broadcast_to(apart, (*shape[: axis + 1], int(repeats), *shape[axis + 1 :]))
        return ops.reshape(spread, (*shape[:axis], shape[axis] * int(repeats), *shape[axis + 1 :]))
    places = np.repeat(np.arange(a.shape[axis]), repeats)
    return ops.get_item(a, (*(slice(None),) * axis, places))


@implements(np.copy)
def copy(a, order="K", subok=False) -> Tensor:
    """The same value in memory of its own."""
    return as_tensor(a).copy()


@implements("astype")
def astype(x, dtype, /, *, copy=True, device=None) -> Tensor:
    """In another dtype; complex numbers to real ones: the real part."""
    return x if not copy and x.dtype == dtype else x.astype(dtype)
