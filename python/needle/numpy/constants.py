"""NumPy's piecewise constant functions: the value is right, the derivative zero, and the result a constant."""

import numpy as np

from .. import ops
from ..graph import Tensor, leaf
from ..ops.constants import Constant
from ..ops.indexing import PLACE
from .dispatch import TABLE, as_tensor, holds_tensor, implements, plain


def constant(function):
    """The rule of a function whose result is one array, of a shape that does not depend on values: an op."""

    def rule(*args, out=None, **kwargs):
        tensors: list[Tensor] = []

        def placed(value):
            if isinstance(value, (list, tuple)) and holds_tensor((value,)):
                value = as_tensor(value)
            if not isinstance(value, Tensor):
                return value
            tensors.append(value)
            return PLACE

        arguments = tuple(map(placed, args))
        keywords = {name: placed(value) for name, value in kwargs.items()}
        return Constant(function, arguments, keywords)(*tensors)

    return rule


for _name in (
    "all", "any", "argpartition", "argsort", "around", "count_nonzero", "digitize", "fix", "histogram_bin_edges",
    "isclose", "iscomplex", "isin", "isneginf", "isposinf", "isreal", "lexsort", "nanargmax", "nanargmin", "round",
    "searchsorted",
):  # fmt: skip
    implements(_name)(constant(getattr(np, _name)))


@implements(np.argmax)
def argmax(a, axis=None, out=None, *, keepdims=False) -> Tensor:
    """The index of the first largest element."""
    return ops.argmax(as_tensor(a), axis, keepdims)


@implements(np.argmin)
def argmin(a, axis=None, out=None, *, keepdims=False) -> Tensor:
    """The index of the first smallest element."""
    return ops.argmin(as_tensor(a), axis, keepdims)


def _truth(function):
    """The rule of a function that answers True or False: a bool, or inside `vmap`, where there is one for each example,
    a Tensor."""
    op = constant(function)

    def rule(*args, **kwargs):
        out = op(*args, **kwargs)
        return bool(out) if isinstance(out.node.data, np.ndarray) else out

    return rule


for _name in ("allclose", "array_equal", "array_equiv"):
    implements(_name)(_truth(getattr(np, _name)))


def _constants(result):
    """Arrays as constant Tensors, also in tuples; all else as it is."""
    if isinstance(result, np.ndarray):
        return leaf(result.view(np.ndarray)) if result.dtype.kind in "biufc" else result
    if isinstance(result, tuple):
        items = map(_constants, result)
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    return result


def _of_values(function):
    """The rule of a function whose result has a shape that depends on values, or is no array: that of the values."""

    def rule(*args, **kwargs):
        return _constants(function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()}))

    return rule


for _name in (
    "argwhere", "array2string", "array_repr", "array_str", "flatnonzero", "intersect1d", "nonzero", "setdiff1d",
    "setxor1d", "union1d", "unique_all", "unique_counts", "unique_inverse", "unique_values",
):  # fmt: skip
    if hasattr(np, _name):
        implements(_name)(_of_values(getattr(np, _name)))


# What is known without the numbers

TABLE[np.shape] = lambda a: a.shape
TABLE[np.ndim] = lambda a: a.ndim
TABLE[np.iscomplexobj] = lambda x: x.dtype.kind == "c"
TABLE[np.isrealobj] = lambda x: x.dtype.kind != "c"


@implements(np.size)
def size(a, axis=None):
    """The number of elements, or the length of an axis (or the product of several)."""
    if axis is None:
        return a.size
    return int(np.prod([a.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,))], dtype=int))


@implements(np.result_type)
def result_type(*arrays_and_dtypes):
    """The dtype of what these would be together."""
    return np.result_type(*[x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes])
