"""Recording: arrays that stand in for NumPy's, compute as they do, and write down what was computed.

A trace hands a function `Traced` arrays in place of its own.  NumPy's protocols bring every call on them here (ufuncs,
array_functions), so ops, adjoints, transforms and optimizers run as they always do, and what they ask of NumPy
becomes a program.  Each call is also carried out, on values of the trace's own, which is how shapes and dtypes are
known.  The values are given to nobody: to ask for one is an error, for a program must serve all values.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ...graph import Tensor, ValueUnknown
from ..functions import (
    Assign,
    BroadcastTo,
    Call,
    Draw,
    Full,
    Hole,
    Index,
    View,
    filled,
)
from ..ir import Constant, Function, Input, Instruction, Var
from .array_methods import ArrayMethods


class ValueAsked(ValueUnknown):
    """The value of a traced array was asked for."""


class ShapeAsked(ValueAsked):
    """A shape was asked for that follows from values."""


class Recorder:
    """The instructions of one trace, in the order in which they were called.

    `moves` counts how often an array that was there already came to hold another Var.
    """

    depth = 0  # how many recorders this one lies within
    question = ""  # the last one that only values could have answered

    def __init__(self, line: Callable[[], str] = lambda: ""):
        self.instructions: list[Instruction] = []
        self.inputs: list[Input] = []
        self.line = line
        self.active = True
        self.moves = 0
        self._thread = threading.get_ident()
        self._constants: dict[int, tuple[Var, Any]] = {}  # by the id of an array, which is kept alive
        self._stand_ins: dict[int, tuple[np.ndarray, Callable[[], Traced]]] = {}
        self._met: dict[int, Traced] = {}  # what took the place of those of these arrays that were met

    @property
    def root(self) -> Any:
        """The recorder of the whole trace."""
        return self

    def input(self, value: np.ndarray, name: str) -> Traced:
        """A traced array that each call brings, of the shape and dtype of `value`."""
        var = Input(value.shape, value.dtype, name)
        self.inputs.append(var)
        return Traced(self, var, np.array(value))

    def constant(self, value) -> Var:
        """The Var of an array that no call changes: the same number everywhere is said to be so."""
        array = np.asarray(value)
        if id(array) in self._stand_ins:
            return self._stand_in(array).current
        found = self._constants.get(id(array))
        if found is not None:
            return found[0]
        owner = self._stand_ins[id(array.base)][0] if id(array.base) in self._stand_ins else None
        if owner is not None and owner.flags.forc:
            return self.call(Window(owner, array), (self._stand_in(owner),)).current
        var: Var
        if array.ndim and array.size and (number := everywhere(array)) is not None:
            (var,) = self.emit(Full(array.shape, array.dtype, number), [], [array])
        else:
            var = Constant(array)
        self._constants[id(array)] = var, array
        return var

    def stand_in(self, array: np.ndarray, bring: Callable[[], Traced]) -> None:
        """From now on, where `array` or a view of it is met, what `bring()` gives is meant."""
        self._stand_ins[id(array)] = array, bring

    def _stand_in(self, array: np.ndarray) -> Traced:
        if id(array) not in self._met:
            self._met[id(array)] = self._stand_ins[id(array)][1]()
        return self._met[id(array)]

    def close(self) -> None:
        """The end of the trace.  What refers to its arrays is let go, since these refer to it."""
        self.active = False
        self._stand_ins, self._met = {}, {}

    def has_met(self, array: np.ndarray) -> bool:
        """Whether something else was put in the place of `array`."""
        return id(array) in self._met

    def emit(self, function: Function, inputs: list[Var], results: list[np.ndarray]) -> tuple[Var, ...]:
        """Write an instruction down; `results` are what it gave just now."""
        if not self.active:
            raise RuntimeError(
                f"a value from inside a jitted function was used after the trace had ended, in\n  {self.line()}\n"
                "Return it from the function instead of storing it"
            )
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "a Tensor was used in one thread while another was tracing a jitted function that reaches it; call "
                "the jitted function once before the threads begin"
            )
        made = Instruction(function, inputs, [(array.shape, array.dtype) for array in results], self.line())
        self.instructions.append(made)
        return made.outputs

    def record(self, function: Function, inputs: list[Var], value) -> Traced:
        """An instruction with one result, which is `value` now."""
        value = np.asarray(value)
        (var,) = self.emit(function, inputs, [value])
        return Traced(self, var, value)

    def asked(self, what: str, kind: type[ValueAsked] = ValueAsked, way: str = "") -> ValueAsked:
        """The error for a question that only values can answer.  `way` is a way out that fits this question best."""
        self.root.question = question = (
            f"{what} of a traced value was asked for, in\n  {self.line()}\nUnder jit there is none yet: {way}choose "
            "with needle.where or needle.cond, make the argument that it follows from static (static_argnums), or "
            "return it from the jitted function and ask outside"
        )
        return kind(question)

    def call(self, function: Callable, args: tuple, kwargs: dict | None = None, kind: type[Call] = Call):
        """Call any function of arrays, as one instruction of which nothing more is known."""
        inputs: list[Var] = []
        values: list[np.ndarray] = []

        def hollow(item):
            if isinstance(item, (Traced, np.ndarray)):
                inputs.append(self.var(item))
                values.append(plain(item))
                return Hole(len(inputs) - 1)
            if isinstance(item, tuple):
                items = [hollow(each) for each in item]
                return type(item)(*items) if hasattr(item, "_fields") else tuple(items)
            if isinstance(item, list):
                return [hollow(each) for each in item]
            if isinstance(item, dict):
                return {key: hollow(each) for key, each in item.items()}
            return item

        given_args, given_kwargs = args, kwargs
        args, kwargs = hollow(args), hollow(kwargs or {})
        made = kind(function, args, kwargs)
        with np.errstate(all="ignore"):
            result = function(*filled(args, values), **filled(kwargs, values))
        if isinstance(result, (tuple, list)):
            made.several = True
            arrays = [np.asarray(item) for item in result]
            if any(array.dtype.kind not in "biufc" for array in arrays):
                raise self.asked(f"{_name(function)}, which is no array of numbers,")
            outputs = [Traced(self, var, array) for var, array in zip(self.emit(made, inputs, arrays), arrays)]
            return type(result)(*outputs) if hasattr(result, "_fields") else type(result)(outputs)
        array = np.asarray(result)
        if array.dtype.kind not in "biufc":
            raise self.asked(f"{_name(function)}, which is no array of numbers,")
        (var,) = self.emit(made, inputs, [array])
        sources = [item for item in traced_in((given_args, given_kwargs)) if np.may_share_memory(item.value, array)]
        if not sources:
            return Traced(self, var, array)
        return Traced(self, var, array, sources[0], made if len(inputs) == 1 else None)  # a view, of some kind

    def draw(self, make: Callable[[], np.ndarray]) -> Traced:
        """Random numbers, made anew at each call of the program."""
        return self.record(Draw(make), [], make())

    def var(self, array) -> Var:
        """The Var that an array or number has now."""
        if isinstance(array, Traced):
            if array.recorder is not self:
                raise RuntimeError("a value of one trace was used in another; pass it as an argument")
            return array.current
        return self.constant(array)


def plain(item):
    """`item` with the trace's own values in place of traced arrays, at any depth of tuples, lists and dicts."""
    if isinstance(item, Traced):
        return item.value
    if isinstance(item, tuple):
        items = [plain(each) for each in item]
        return type(item)(*items) if hasattr(item, "_fields") else tuple(items)
    if isinstance(item, list):
        return [plain(each) for each in item]
    if isinstance(item, dict):
        return {key: plain(each) for key, each in item.items()}
    return item


def everywhere(array: np.ndarray):
    """The one number that an array consists of; None if there are several."""
    first, last = array.flat[0].tobytes(), array.flat[-1].tobytes()
    same = not any(array.strides) or (first == last and first * array.size == array.tobytes())
    return array.flat[0].item() if same else None


def _name(function) -> str:
    return getattr(function, "__name__", repr(function))


class Window:
    """A view of an array whose elements lie without gaps, made again of another that stands in for it."""

    def __init__(self, owner: np.ndarray, view: np.ndarray):
        first, here = owner.__array_interface__["data"][0], view.__array_interface__["data"][0]
        self.start, self.shape, self.strides, self.dtype = here - first, view.shape, view.strides, view.dtype
        self.order = "C" if owner.flags.c_contiguous else "F"

    def __call__(self, array):
        memory = np.asarray(array, order=self.order).ravel("K")
        return np.ndarray(self.shape, self.dtype, memory, self.start, self.strides)


def _asked(what: str, way: str = ""):
    def ask(self, *args, **kwargs):
        raise self.recorder.asked(what, way=way)

    return ask


def _asked_unless_known(what: str, convert: Callable):
    def ask(self, *args):
        source = self.current
        if isinstance(source, Constant):
            return convert(source.array)
        if source.source is not None and isinstance(source.source.function, Full):
            return convert(self.value)
        raise self.recorder.asked(what)

    return ask


OUT_OF_NUMPY = "out=, an array of NumPy's own (numpy.empty_like(x) makes one that can take it),"


class Traced(ArrayMethods, NDArrayOperatorsMixin):
    """An array under trace: shape and dtype are known, the numbers are not given.

    It can be written into: `current` is the Var that it holds now.  A view follows what is written into its base, and
    what is written into the view goes on to there.
    """

    __slots__ = ("_base", "_seen", "_stamp", "_var", "_via", "recorder", "value")

    __array_ufunc__: Any  # attached by ufuncs.py
    __array_function__: Any  # attached by array_functions.py

    def __init__(self, recorder: Recorder, var: Var, value: np.ndarray, base: Traced | None = None, via=None):
        self.recorder, self._var, self.value = recorder, var, value
        self._base, self._via = base, via
        self._stamp = 0  # how often this array was written into
        self._seen = base._root()._stamp if base is not None else 0

    # What it holds

    def _root(self) -> Traced:
        array = self
        while array._base is not None:
            array = array._base
        return array

    @property
    def current(self) -> Var:
        base = self._base
        if base is not None and self._seen != (stamp := self._root()._stamp):
            if self._via is None:
                raise self.recorder.asked("a view, by some function of NumPy, of what was written into since,")
            (self._var,) = self.recorder.emit(self._via, [base.current], [self.value])
            self._seen = stamp
            self.recorder.moves += 1
        return self._var

    def _store(self, var: Var) -> None:
        """Let the whole array hold `var`, of its shape and dtype (the value has been written already)."""
        self.recorder.moves += 1
        if self._base is None:
            self._var = var
            self._stamp += 1
            return
        if not isinstance(self._via, View):
            raise self.recorder.asked("a view, by some function of NumPy, that is written into,")
        inputs = [var] if self._via.whole else [self._base.current, var]
        (made,) = self.recorder.emit(self._via.put_back(self._base.shape), inputs, [self._base.value])
        self._base._store(made)
        self._var, self._seen = var, self._root()._stamp

    def _write(self, array, casting: Any = "same_kind") -> None:
        """`self[...] = array`"""
        np.copyto(self.value, plain(array), casting=casting)
        self._store(self._fitted(array).current)

    def _fitted(self, array) -> Traced:
        """`array` in this array's dtype and shape."""
        recorder = self.recorder
        if not isinstance(array, Traced):
            array = np.asarray(array)
            if array.size == 1 and self.size:
                array = np.broadcast_to(array.reshape(()), self.shape)
            array = array.astype(self.dtype, copy=False)
            return Traced(recorder, recorder.constant(array), array)._fitted_shape(self.shape)
        fitted = array
        if fitted.dtype != self.dtype:
            fitted = fitted.astype(self.dtype)
        return fitted._fitted_shape(self.shape)

    def _fitted_shape(self, shape) -> Traced:
        if self.shape == shape:
            return self
        extra = self.ndim - len(shape)
        return (self.reshape(self.shape[extra:]) if extra > 0 else self)._view(BroadcastTo(shape))

    def _view(self, function: Function) -> Traced:
        value = function(self.value)
        (var,) = self.recorder.emit(function, [self.current], [value])
        if np.may_share_memory(value, self.value):
            return Traced(self.recorder, var, value, self, function)
        return Traced(self.recorder, var, value)

    # What may be asked

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    nbytes = property(lambda self: self.value.nbytes)
    itemsize = property(lambda self: self.value.itemsize)
    strides = property(lambda self: self.value.strides)
    flags = property(lambda self: self.value.flags)
    base = property(lambda self: self._base)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self) -> str:
        return f"<traced {self.dtype}{list(self.shape)}>"

    def __format__(self, spec: str) -> str:
        if spec:
            raise self.recorder.asked("the text")
        return repr(self)

    __bool__ = _asked_unless_known("the truth", bool)
    __int__ = _asked_unless_known("the number", int)
    __float__ = _asked_unless_known("the number", float)
    __complex__ = _asked_unless_known("the number", complex)
    __index__ = _asked_unless_known("the whole number", operator.index)
    item = _asked_unless_known("the number", lambda array, *index: array.item(*index))
    __array__ = _asked("the value", "join numbers with needle.numpy.array([...]) or needle.stack, ")
    __contains__ = tolist = tobytes = dump = dumps = tofile = _asked("the value")
    __hash__ = object.__hash__

    @property  # what asks for it asks for memory
    def data(self):
        raise self.recorder.asked("the memory")

    @property
    def ctypes(self):
        raise self.recorder.asked("the memory")

    # Indexing

    def __getitem__(self, key) -> Traced:
        if _is_basic(key):
            return self._view(Index(key))
        if any(item.dtype == bool for item in traced_in((key,))):
            raise self.recorder.asked("x[mask], whose shape follows from values (use where(mask, x, 0)),", ShapeAsked)
        return deepest((self, key)).recorder.call(operator.getitem, (self, key))

    def __setitem__(self, key, value) -> None:
        recorder = self.recorder
        value = value.node.data if isinstance(value, Tensor) else value
        if key is ... or (isinstance(key, slice) and key == slice(None)):
            self._write(value, "unsafe")
            return
        if _is_basic(key):
            part = self._view(Index(key))
            if part._base is None:  # a single element, or nothing: no view
                self.value[key] = plain(value)
                made = recorder.emit(Assign(key), [self.current, part._fitted(value).current], [self.value])
                self._store(made[0])
            else:
                part._write(value, "unsafe")
            return
        made = recorder.call(_assigned, (self, key, value))
        np.copyto(self.value, made.value)
        self._store(made.current)


def traced_in(item) -> Iterator[Traced]:
    """The traced arrays in `item`, at any depth of tuples, lists and dicts."""
    if isinstance(item, Traced):
        yield item
    elif isinstance(item, (tuple, list)):
        for each in item:
            yield from traced_in(each)
    elif isinstance(item, dict):
        yield from traced_in(list(item.values()))


def deepest(item) -> Traced:
    """Of the traced arrays in `item` one that belongs to the innermost recorder; the first one, if they are equal."""
    return max(traced_in(item), key=lambda traced: traced.recorder.depth)


def _is_basic(key) -> bool:
    keys = key if isinstance(key, tuple) else (key,)
    return all(
        each is None
        or each is ...
        or (isinstance(each, (int, np.integer)) and not isinstance(each, (bool, np.bool_)))
        or (isinstance(each, slice) and not any(isinstance(x, Traced) for x in (each.start, each.stop, each.step)))
        for each in keys
    )


def _assigned(base, key, value):
    new = np.array(base)
    new[key] = value
    return new
