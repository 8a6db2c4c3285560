"""Operators and methods of Tensor: the one place where the mathematics is attached to the handle.

Course spellings and NumPy's are both understood where they differ (`sum(axes)` and `sum(axis=, keepdims=)`,
`transpose((i, j))` as the swap of a pair and `transpose(*permutation)`).
"""

import importlib
import sys
from functools import lru_cache

import numpy as np

from . import adjoint, ops
from .graph import Tensor, TensorTuple, is_followed, leaf, plain_array, require_unfollowed
from .ops.arithmetic import widened
from .ops.kinds import ToWhole
from .ops.steps import Step, weak_number

_NUMBERS = (int, float, np.generic, complex)
_EWISE_ADD, _EWISE_MUL, _EWISE_DIV, _EWISE_POW = ops.EWiseAdd(), ops.EWiseMul(), ops.EWiseDiv(), ops.EWisePow()
_MATMUL, _NEGATE, _INVERT = ops.MatMul(), ops.Negate(), Step(np.invert)


def _with_number(scalar_op):
    """`scalar_op`, of which each is made once: programs use the same few numbers again and again."""
    made = lru_cache(256, typed=True)(scalar_op)

    def make(number):
        if (type(number) is float and number) or type(number) is int:  # 0.0 and -0.0 would be the same key
            return made(number)
        return scalar_op(number)

    return make


def _binary(op, scalar_op):
    """tensor ∘ other: with a Tensor `op`, with a number `scalar_op`, with an array `op` and a constant."""
    with_number = _with_number(scalar_op)

    def operator(self, other):
        if isinstance(other, Tensor):
            return op(self, other)
        if isinstance(other, _NUMBERS):
            return with_number(other)(self)
        if isinstance(other, np.ndarray):
            return op(self, leaf(plain_array(other)))
        return NotImplemented

    return operator


def _reflected(op, scalar_op):
    """other ∘ tensor, where other is a number or an array."""
    with_number = _with_number(scalar_op)

    def operator(self, other):
        if isinstance(other, _NUMBERS):
            return with_number(other)(self)
        if isinstance(other, np.ndarray):
            return op(leaf(plain_array(other)), self)
        return NotImplemented

    return operator


_plus = _with_number(ops.AddScalar)


def _subtract(self, other):
    if not isinstance(other, Tensor):
        if isinstance(other, _NUMBERS):
            return _plus(-(other if type(other) in (float, int) else weak_number(other)))(self)
        if not isinstance(other, np.ndarray):
            return NotImplemented
        other = leaf(plain_array(other))
    if other.dtype.kind in "iu":
        other = widened(other, self.dtype)
    try:
        return _EWISE_ADD(self, _NEGATE(other))
    except TypeError:
        return _EWISE_ADD(self, _NEGATE(_counted(other, self)))


def _subtract_from(self, other):
    if isinstance(other, np.ndarray):
        return _subtract(leaf(plain_array(other)), self)
    if not isinstance(other, _NUMBERS):
        return NotImplemented
    if self.dtype.kind in "iu" and not isinstance(other, (int, np.integer)):
        self = widened(self, weak_number(other))
    try:
        return _plus(other)(_NEGATE(self))
    except TypeError:
        return ops.AddScalar(other)(_NEGATE(_counted(self, leaf(np.zeros((), int)))))


def _counted(bools, like):
    """Bools, which have no negative, as 0 and 1 of the dtype of what they are taken from."""
    return ToWhole(like.dtype)(bools) if bools.dtype == bool and like.dtype != bool else bools


def _matmul(self, other):
    if isinstance(other, Tensor):
        return _MATMUL(self, other)
    if isinstance(other, np.ndarray):
        return _MATMUL(self, leaf(plain_array(other)))
    return _sparse().matmul(self, other) if _is_sparse(other) else NotImplemented


def _rmatmul(self, other):
    if isinstance(other, np.ndarray):
        return _MATMUL(leaf(plain_array(other)), self)
    return _sparse().matmul(other, self) if _is_sparse(other) else NotImplemented


def _is_sparse(value) -> bool:
    """Whether this is a sparse matrix of SciPy's (which is imported then, as otherwise there would be none)."""
    scipy_sparse = sys.modules.get("scipy.sparse")
    return scipy_sparse is not None and scipy_sparse.issparse(value)


def _sparse():
    return importlib.import_module(f"{__package__}.scipy.sparse")


def _numbers(values):
    """Nested lists of numbers as an array, as NumPy takes them beside an array; anything else as it is."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        return values
    return array if array.dtype.kind in "biufc" else values


def _compare(function):
    def operator(self, other):
        if isinstance(other, (list, tuple)):
            other = _numbers(other)
        if isinstance(other, (Tensor, np.ndarray, *_NUMBERS)):
            return function(self, other)
        return NotImplemented

    return operator


Tensor.__add__ = _binary(_EWISE_ADD, ops.AddScalar)
Tensor.__radd__ = _reflected(_EWISE_ADD, ops.AddScalar)
Tensor.__sub__, Tensor.__rsub__ = _subtract, _subtract_from
Tensor.__mul__ = _binary(_EWISE_MUL, ops.MulScalar)
Tensor.__rmul__ = _reflected(_EWISE_MUL, ops.MulScalar)
Tensor.__truediv__ = _binary(_EWISE_DIV, ops.DivScalar)
Tensor.__rtruediv__ = _reflected(_EWISE_DIV, ops.ScalarDiv)
Tensor.__pow__ = _binary(_EWISE_POW, ops.PowerScalar)
Tensor.__rpow__ = _reflected(_EWISE_POW, ops.ScalarPower)
Tensor.__matmul__, Tensor.__rmatmul__ = _matmul, _rmatmul
Tensor.__neg__ = ops.negate
Tensor.__pos__ = lambda self: self
Tensor.__abs__ = ops.abs
Tensor.__lt__, Tensor.__le__ = _compare(ops.less), _compare(ops.less_equal)
Tensor.__gt__, Tensor.__ge__ = _compare(ops.greater), _compare(ops.greater_equal)
Tensor.__eq__, Tensor.__ne__ = _compare(ops.equal), _compare(ops.not_equal)
Tensor.__invert__ = lambda self: _INVERT(self)
Tensor.__getitem__ = ops.get_item

for _name in ("log", "exp", "tanh", "relu", "sigmoid", "sqrt", "square", "sin", "cos", "abs"):
    setattr(Tensor, _name, getattr(ops, _name))
for _name in ("matmul", "broadcast_to", "logsumexp"):
    setattr(Tensor, _name, getattr(ops, _name))


def _attach(function):
    setattr(Tensor, function.__name__, function)
    return function


def _numpy(name: str):
    """`needle.numpy`'s function of that name, which knows all the arguments that NumPy's has."""
    return getattr(importlib.import_module("needle.numpy"), name)


def _reduction(function):
    def reduction(self, axis=None, keepdims=False, **more):
        if more:
            return _numpy(function.__name__)(self, axis=axis, keepdims=keepdims, **more)
        return function(self, axis, keepdims)

    reduction.__name__ = reduction.__qualname__ = function.__name__
    reduction.__doc__ = function.__doc__
    return reduction


for _name in ("mean", "max", "min", "argmax", "argmin"):
    setattr(Tensor, _name, _reduction(getattr(ops, _name)))


@_attach
def var(self, axis=None, ddof=0, keepdims=False, **more):
    """Σ |a - mean|² / (n - ddof) over `axis`, as `numpy.var`."""
    if more or self.dtype.kind == "c":
        return _numpy("var")(self, axis=axis, ddof=ddof, keepdims=keepdims, **more)
    return ops.var(self, axis, ddof, keepdims)


@_attach
def sum(self, axes=None, *, axis=None, keepdims=False, **more):
    """Σ over `axes` (the course's name) or `axis` (NumPy's): None for all, an int or tuple; negative allowed."""
    axis = axes if axis is None else axis
    return _numpy("sum")(self, axis, keepdims=keepdims, **more) if more else ops.Summation(axis, keepdims)(self)


def _is_bound(value) -> bool:
    return value is None or isinstance(value, (int, float))


@_attach
def clip(self, low=None, high=None, **more):
    """The Tensor held within bounds, which may be numbers, arrays or Tensors; None leaves a side open."""
    if more or not (_is_bound(low) and _is_bound(high)):
        return _numpy("clip")(self, low, high, **more)
    return ops.clip(self, low, high)


@_attach
def reshape(self, *lengths, shape=None, order="C", copy=None):
    """The same elements under another shape, given as one tuple or as several ints; one length may be -1."""
    if shape is None:
        shape = lengths[0] if len(lengths) == 1 else lengths
    return ops.reshape(self, shape) if order == "C" else _numpy("reshape")(self, shape, order)


@_attach
def transpose(self, *order, axes=None):
    """A pair `(i, j)` swaps these axes, nothing swaps the last two; a permutation is NumPy's transpose."""
    if axes is None:
        axes = order[0] if len(order) == 1 else order
    if hasattr(axes, "__index__"):
        axes = (axes,)
    if axes is None or len(axes) == 0:
        return ops.transpose(self)
    return ops.transpose(self, axes) if len(axes) == 2 else ops.permute(self, axes)


@_attach
def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
    """The same numbers in another dtype; the derivative flows through floating and complex ones."""
    if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
        raise TypeError(f"cannot cast a Tensor from {self.dtype} to {np.dtype(dtype)} by the rule {casting!r}")
    if not copy and self.dtype == dtype:
        return self
    if np.dtype(dtype).kind in "fc":
        return ops.Cast(dtype)(self)
    return ToWhole(dtype)(self)


@_attach
def requires_grad_(self, requires_grad: bool = True):
    """Set `requires_grad` of this leaf, and return it."""
    self.requires_grad = requires_grad
    return self


@_attach
def flatten(self, order="C"):
    """All elements in one axis."""
    return ops.reshape(self, -1) if order == "C" else _numpy("ravel")(self, order)


@_attach
def copy(self, order="C"):
    """The same value in memory of its own; the derivative flows through."""
    return ops.Copy()(self)


# --------------------------------------------------------------------------------------------------------------------
# Handing on a value: in a function that a transform differentiates that would lose the derivative, and is an error


@_attach
def item(self, *args):
    """The one element, or that at an index, as a Python number."""
    if not args and self.size != 1:
        raise ValueError(f"only a Tensor of one element is a number, this one has shape {self.shape}")
    require_unfollowed(self.node, "item()", "compute with the Tensor itself, which works like a number")
    return self.node.data.item(*args)


@_attach
def tolist(self):
    """The value as nested Python lists."""
    require_unfollowed(self.node, "tolist()", "compute with the Tensor itself, or iterate over it")
    return self.node.data.tolist()


def _number(self):
    if self.size != 1:
        raise ValueError(f"only a Tensor of one element is a number, this one has shape {self.shape}")
    require_unfollowed(
        self.node,
        "the plain number",
        "call numpy's or needle's functions in place of math's (numpy.sin(x) for math.sin(x)), and assign into an "
        "array from needle.numpy.zeros in place of numpy.zeros",
    )
    return self.node.data.item()


@_attach
def __float__(self):
    if _in_a_list is not None and is_followed(self.node) and _in_a_list == _caller():
        raise _lost_in_a_list()
    return float(_number(self))


@_attach
def __int__(self):
    return int(_number(self))


@_attach
def __complex__(self):
    return complex(_number(self))


@_attach
def __array__(self, dtype=None, copy=None):
    """For NumPy's functions that want the value: a copy of it."""
    global _in_a_list
    frame = sys._getframe(1)
    if frame.f_globals.get("__name__", "").startswith("scipy.sparse._"):
        return _for_sparse(self, frame.f_code.co_name, dtype)
    require_unfollowed(
        self.node,
        "the plain array",
        "write needle.numpy.array([...]), needle.numpy.asarray(x) or needle.numpy.full for NumPy's, and assign into an "
        "array from needle.numpy.zeros in place of numpy.zeros",
    )
    if self.node.data.ndim == 0 and is_followed(self.node):
        _in_a_list = _caller()
    return np.array(self.node.data, dtype=dtype)


def _for_sparse(tensor: Tensor, asker: str, dtype) -> np.ndarray:
    """The array that a sparse matrix of SciPy asks for.

    `A @ x` would go on with the numbers.  What SciPy takes for no array at all it leaves to `Tensor.__rmatmul__`.
    """
    if asker == "_matmul_dispatch":
        nothing = np.empty((), object)
        nothing[()] = tensor
        return nothing
    if is_followed(tensor.node):
        raise TypeError(
            "this operation of a sparse matrix with a Tensor would lose the derivative; only products have one, "
            "A @ x and x @ A (needle.scipy.sparse.matmul); else take a constant first, x.detach()"
        )
    return np.array(tensor.node.data, dtype=dtype)


# Outside of transforms NumPy may have a Tensor's value.  But of numbers in a list, `numpy.array([x, y])`, it makes an
# array of which nobody can tell that derivatives were lost.  It asks each such x for an array and then for a number,
# in one call; `_in_a_list` is the place in the program where the first was asked for.
_in_a_list: tuple | None = None


def _caller() -> tuple:
    frame = sys._getframe(2)
    return frame.f_code, frame.f_lasti, id(frame)


def _lost_in_a_list() -> TypeError:
    return TypeError(
        "numpy.array of a list that holds Tensors would lose their derivatives; write needle.numpy.array([...]) or "
        "needle.stack([...], 0), or take constants first, x.detach().numpy()"
    )


@_attach
def __index__(self):
    if self.size != 1 or self.dtype.kind not in "iu":
        raise TypeError(f"only an integer Tensor of one element is an index, this one is {self.dtype} {self.shape}")
    return int(self.node.data.item())


@_attach
def __bool__(self):
    if self.size != 1:
        raise ValueError(
            f"the truth of a Tensor of shape {self.shape} is ambiguous; reduce it first, e.g. (x > 0).numpy().all()"
        )
    return bool(self.node.data.item())


@_attach
def __len__(self):
    if not self.shape:
        raise TypeError("a 0-d Tensor has no len()")
    return self.shape[0]


@_attach
def __iter__(self):
    if not self.shape:
        raise TypeError("a 0-d Tensor cannot be iterated")
    return iter(ops.split(self, 0))


@_attach
def __format__(self, spec):
    return format(self.node.data.item() if self.size == 1 and spec else str(self), spec)


Tensor.T = property(ops.permute, doc="The Tensor with its axes reversed.")
Tensor.mT = property(ops.transpose, doc="The Tensor with its last two axes swapped.")
Tensor.backward = adjoint.backward
Tensor.register_hook = adjoint.register_hook


# --------------------------------------------------------------------------------------------------------------------
# NumPy's protocols, and the methods of its arrays that `needle.numpy` has: it is loaded when one is first asked for,
# and puts its own in the place of what stands here.

_METHODS = (
    "__array_ufunc__", "__array_function__", "all", "any", "argpartition", "argsort", "choose", "compress", "conj",
    "conjugate", "cumprod", "cumsum", "diagonal", "dot", "fill", "nonzero", "partition", "prod", "ptp", "put", "ravel",
    "repeat", "round", "searchsorted", "sort", "squeeze", "std", "swapaxes", "take", "trace", "__setitem__",
    "__mod__", "__rmod__", "__floordiv__", "__rfloordiv__", "__divmod__", "__rdivmod__", "__and__", "__rand__",
    "__or__", "__ror__", "__xor__", "__rxor__", "__lshift__", "__rshift__", "__contains__", "__round__",
)  # fmt: skip
_ATTRIBUTES = ("flat", "imag", "real")


def _loaded(name: str):
    """What `needle.numpy` has put in the place of the attribute `name` of Tensor."""
    before = Tensor.__dict__[name]
    importlib.import_module("needle.numpy")
    if Tensor.__dict__[name] is before:
        raise AttributeError(f"a Tensor has no {name}")
    return Tensor.__dict__[name]


def _to_be_loaded(name: str):
    def method(self, *args, **kwargs):
        return _loaded(name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


for _name in _METHODS:
    setattr(Tensor, _name, _to_be_loaded(_name))
for _name in _ATTRIBUTES:
    setattr(Tensor, _name, property(lambda self, name=_name: _loaded(name).__get__(self)))
Tensor.itemsize = property(lambda self: self.dtype.itemsize, doc="The bytes that one element takes.")
Tensor.nbytes = property(lambda self: self.size * self.dtype.itemsize, doc="The bytes that all elements take.")


# --------------------------------------------------------------------------------------------------------------------
# TensorTuple


def _item(self, index):
    if isinstance(index, slice):
        return tuple(self[i] for i in range(*index.indices(len(self))))
    if not hasattr(index, "__index__"):
        raise TypeError(f"a TensorTuple is indexed by an int or a slice, got {index!r}")
    size = len(self)
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range for a TensorTuple of {size}")
    return ops.TupleGetItem(index % size)(self)


def _add_tuples(self, other):
    if not isinstance(other, TensorTuple) or len(self) != len(other):
        came = f"one of {len(other)}" if isinstance(other, TensorTuple) else f"{other!r:.40}"
        raise TypeError(f"a TensorTuple of {len(self)} can only be added to another of that length, got {came}")
    return ops.make_tuple(*(a + b for a, b in zip(self, other, strict=True)))


TensorTuple.__getitem__ = _item
TensorTuple.__add__ = _add_tuples
