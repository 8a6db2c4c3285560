"""What an instruction of a program can do: one class for each kind of function, arrays in, arrays out.

The passes read off a function what they need to know: whether it works element by element, whether its result lies in
the memory of its input, whether two calls give the same.  Whatever has no kind of its own is a `Call`, of which nothing
is known and nothing assumed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .ir import Function, Program, hashable, interpret

# --------------------------------------------------------------------------------------------------------------------
# Element by element


class Ufunc(Function):
    """A NumPy ufunc with one result.  `dtype` is that of its loop where the call asked for one."""

    elementwise = True
    __slots__ = ("ufunc", "dtype")

    def __init__(self, ufunc: np.ufunc, dtype=None):
        self.ufunc, self.dtype = ufunc, None if dtype is None else np.dtype(dtype)

    def __call__(self, *arrays, out=None):
        if self.dtype is None:
            return self.ufunc(*arrays, out=out)
        return self.ufunc(*arrays, out=out, dtype=self.dtype)


class Cast(Function):
    """`a.astype(dtype)`"""

    elementwise = True
    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)

    def __call__(self, a):
        return a.astype(self.dtype)


class Where(Function):
    """`numpy.where(condition, a, b)`"""

    elementwise = True
    __slots__ = ()

    def __call__(self, condition, a, b):
        return np.where(condition, a, b)


class Copy(Function):
    """The same numbers in memory of their own, in C order."""

    elementwise = True
    __slots__ = ()

    def __call__(self, a):
        return np.array(a, order="C")


# --------------------------------------------------------------------------------------------------------------------
# Views


class View(Function):
    """Elements of the first input, shown in another way: the result lies in its memory."""

    view = True
    whole = False  # whether each element of the input is shown, once
    __slots__ = ()

    def put_back(self, base: tuple[int, ...]) -> Function:
        """What gives the input's new value, of shape `base`, when the view is written into: a function of the input and
        the view's new value, or, of a view of the whole, of that value alone."""
        raise ValueError("assignment destination is read-only")


class Reshape(View):
    """The same elements in another shape.  A view where the memory allows it."""

    whole = True
    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]):
        self.shape = tuple(shape)

    def __call__(self, a):
        return a.reshape(self.shape)

    def put_back(self, base):
        return Reshape(base)


class Transpose(View):
    """Axes in another order."""

    whole = True
    __slots__ = ("axes",)

    def __init__(self, axes: tuple[int, ...]):
        self.axes = tuple(axes)

    def __call__(self, a):
        return a.transpose(self.axes)

    def put_back(self, base):
        return Transpose(tuple(np.argsort(self.axes).tolist()))


class Index(View):
    """`a[key]`, with a key of whole numbers, slices, None and Ellipsis."""

    __slots__ = ("key_",)

    def __init__(self, key):
        self.key_ = key

    def __call__(self, a):
        return a[self.key_ if type(self.key_) is not tuple or self.key_ else ...]

    def put_back(self, base):
        return Assign(self.key_)


class BroadcastTo(View):
    """The same elements, repeated."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]):
        self.shape = tuple(shape)

    def __call__(self, a):
        return np.broadcast_to(a, self.shape)


class Part(View):
    """The real or imaginary part (`name`) of a complex array."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __call__(self, a):
        return getattr(a, self.name)

    def put_back(self, base):
        return Call(_with_part, (self.name, Hole(0), Hole(1)))


def _with_part(name: str, base, value):
    new = np.array(base, order="C")
    setattr(new, name, value)
    return new


class Windows(View):
    """`numpy.lib.stride_tricks.sliding_window_view(a, lengths, axes)`"""

    __slots__ = ("lengths", "axes")

    def __init__(self, lengths: tuple[int, ...], axes: tuple[int, ...]):
        self.lengths, self.axes = tuple(lengths), tuple(axes)

    def __call__(self, a):
        return np.lib.stride_tricks.sliding_window_view(a, self.lengths, self.axes)


# --------------------------------------------------------------------------------------------------------------------
# The others


class Reduce(Function):
    """`ufunc.reduce` over `axis`, a tuple of axes ≥ 0."""

    __slots__ = ("ufunc", "axis", "keepdims", "dtype", "initial")

    def __init__(self, ufunc: np.ufunc, axis: tuple[int, ...], keepdims: bool = False, dtype=None, initial=None):
        self.ufunc, self.axis, self.keepdims = ufunc, axis, keepdims
        self.dtype, self.initial = None if dtype is None else np.dtype(dtype), initial

    def __call__(self, a, out=None):
        options = {} if self.initial is None else {"initial": self.initial}
        return self.ufunc.reduce(a, self.axis, dtype=self.dtype, out=out, keepdims=self.keepdims, **options)


class Matmul(Function):
    """`numpy.matmul`"""

    __slots__ = ()

    def __call__(self, a, b, out=None):
        return np.matmul(a, b, out=out)


class Full(Function):
    """One number everywhere."""

    __slots__ = ("shape", "dtype", "value")

    def __init__(self, shape, dtype, value):
        self.shape, self.dtype, self.value = tuple(shape), np.dtype(dtype), value

    def __call__(self):
        return np.full(self.shape, self.value, self.dtype)


class Empty(Full):
    """Memory to be written into, before anybody reads it: what it holds at first does not matter."""

    __slots__ = ()

    def __init__(self, shape, dtype):
        super().__init__(shape, dtype, 0)


class Assign(Function):
    """The first input with `base[key] = value`, as a new array; the base may be overwritten by the planner."""

    __slots__ = ("key_",)

    def __init__(self, key):
        self.key_ = key

    def __call__(self, base, value):
        new = np.array(base, order="C")
        new[self.key_] = value
        return new


class Call(Function):
    """Any function of NumPy or of an op, with its other arguments: `function(*args, **kwargs)`, arrays put in place.

    `args` and `kwargs` hold `Hole(i)` where input i belongs, at any depth of tuples, lists and dicts.
    """

    may_alias = True
    __slots__ = ("function", "args", "kwargs", "several")

    def __init__(self, function: Callable, args: tuple, kwargs: dict | None = None, several: bool = False):
        self.function, self.args, self.kwargs, self.several = function, args, kwargs or {}, several

    def __call__(self, *arrays):
        args = filled(self.args, arrays)
        result = self.function(*args, **filled(self.kwargs, arrays))
        return tuple(map(np.asarray, result)) if self.several else np.asarray(result)

    def key(self):
        try:
            hash(
                key := (
                    type(self),
                    self.function,
                    hashable(self.args),
                    tuple(sorted(self.kwargs.items())),
                    self.several,
                )
            )
        except TypeError:
            return None
        return key

    def __repr__(self) -> str:
        return f"Call({getattr(self.function, '__qualname__', self.function)}, {self.args}, {self.kwargs})"


class Check(Call):
    """A Call that looks at values and raises where they will not do: it runs even where nothing comes of its result."""

    pure = False
    __slots__ = ()


class Hole:
    """Where input `index` belongs among the arguments of a `Call`."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index

    def __eq__(self, other):
        return isinstance(other, Hole) and other.index == self.index

    def __hash__(self):
        return hash((Hole, self.index))

    def __repr__(self):
        return f"#{self.index}"


def filled(template, arrays):
    """`template` with arrays in place of its holes."""
    if isinstance(template, Hole):
        return arrays[template.index]
    if isinstance(template, tuple):
        items = [filled(item, arrays) for item in template]
        return type(template)(*items) if hasattr(template, "_fields") else tuple(items)
    if isinstance(template, list):
        return [filled(item, arrays) for item in template]
    if isinstance(template, dict):
        return {key: filled(item, arrays) for key, item in template.items()}
    return template


class Group(Function):
    """Several instructions as one: `body` is a program of its own, whose inputs are this instruction's inputs.

    Its instructions work element by element, or reduce what such have made.
    """

    several = True
    __slots__ = ("body",)

    def __init__(self, body: Program):
        self.body = body

    def __call__(self, *arrays):
        return tuple(interpret(self.body, arrays))

    def key(self):
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.body)} instructions)"


class Fused(Group):
    """A group, before it is settled how it runs: in blocks (blocks.py), or as a kernel (kernels/)."""

    __slots__ = ()


class Effect(Function):
    """`function(*arrays)`, for what it does: it gives nothing.  Runs at each call, in its turn."""

    several = True
    pure = False
    __slots__ = ("function",)

    def __init__(self, function: Callable[..., None]):
        self.function = function

    def __call__(self, *arrays):
        self.function(*arrays)
        return ()

    def key(self):
        return None


class Draw(Function):
    """Random numbers: `make()` draws them.  Runs at each call, in its turn."""

    pure = False
    __slots__ = ("make",)

    def __init__(self, make: Callable):
        self.make = make

    def __call__(self):
        return self.make()
