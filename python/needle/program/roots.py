"""What a function can reach: its arguments, what it closes over, the globals that it names, and all inside of these.

Tensors there are inputs of the program, read afresh at each call, whatever array or node they hold by then.  Numbers,
flags and structures are guards: a call that finds others than the trace did is traced again.  The walk finds each
object once, by the way that leads to it; the guards are written as the source of one Python function.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..graph import Node, Tensor, TensorTuple

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic, np.dtype, range, slice)
_FOREIGN = frozenset(sys.stdlib_module_names) | {"numpy", "scipy", "optree", "tqdm", "pytest", "hypothesis", "numba"}
_MISSING = object()
_NEEDLE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
LONG = 256  # elements: a longer list of nothing but constants is compared as a whole


class Roots:
    """Everything that one call of a function can reach.

    Attributes:
        tensors: the Tensors, each with the Python expression that finds it.
        arrays: NumPy arrays outside of the arguments, by id, with their expressions.
        numbers: numbers and arrays among the arguments: (path, expression, value), in order.
        lines: the guards, as lines of source within a function of `args` and `kwargs`.
        names: the objects that the source refers to.
    """

    def __init__(self, fun: Callable, args: tuple, kwargs: dict, static: Callable[[Any], bool], held=()):
        self.tensors: dict[Tensor, str] = {}
        self.arrays: dict[int, tuple[np.ndarray, str]] = {}
        self.numbers: list[tuple[tuple, str, Any]] = []
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"MISSING": _MISSING, "Tensor": Tensor, "Node": Node, "ndarray": np.ndarray}
        self.optimizers: list[Any] = []
        self._seen: dict[int, Any] = {}
        self._constants: dict[int, str] = {}
        self._argument(args, "args", static, ())
        self._argument(kwargs, "kwargs", static, ())
        for tensor in held:
            self._tensor(tensor, self._name(tensor))
        self._function(fun)

    def _name(self, value) -> str:
        """The name of an object in the source of the guards."""
        name = self._constants.get(id(value))
        if name is None:
            name = self._constants[id(value)] = f"o{len(self.names)}"
            self.names[name] = value
        return name

    def _require(self, condition: str) -> None:
        self.lines.append(f"if not ({condition}): return None")

    # ----------------------------------------------------------------------------------------------------------------
    # Arguments: they may be other objects at each call

    def _argument(self, value, at: str, static: Callable[[Any], bool], path: tuple) -> None:
        if path and static(path):
            self._static(value, at, path)
            return
        kind = type(value)
        if isinstance(value, Tensor):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}")
            self._tensor(value, local)
        elif kind in (float, int, complex) or isinstance(value, (np.ndarray, np.generic)):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}")
            if isinstance(value, (np.ndarray, np.generic)):
                if value.dtype.kind not in "biufc":
                    raise TypeError(f"{spelled(path)} of a jitted function must hold numbers, got dtype {value.dtype}")
                self._require(f"{local}.dtype is {self._name(value.dtype)} and {local}.shape == {value.shape!r}")
            self.numbers.append((path, local, value))
        elif kind in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)} and len({local}) == {len(value)}")
            for i, item in enumerate(value):
                self._argument(item, f"{local}[{i}]", static, (*path, i))
        elif kind in (dict, OrderedDict, defaultdict):
            local = self._local(at)
            if path or value:
                self._require(f"type({local}) is {self._name(kind)} and len({local}) == {len(value)}")
            else:
                self._require(f"not {local}")
            for key, item in value.items():
                self._argument(item, f"{local}.get({self._spell(key)}, MISSING)", static, (*path, key))
        elif is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "parameters"):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}")
            for field in fields(value):
                self._argument(getattr(value, field.name), f"{local}.{field.name}", static, (*path, field.name))
        elif isinstance(value, _CONSTANTS):
            self._equal(value, at)
        else:  # a Module, an optimizer, a function: the same one, and what is in it as it was
            self._require(f"{at} is {self._name(value)}")
            self._walk(value)

    def _local(self, at: str) -> str:
        if at.isidentifier():
            return at
        local = f"a{len(self.lines)}"
        self.lines.append(f"{local} = {at}")
        return local

    def _spell(self, key) -> str:
        return repr(key) if type(key) in (str, int) else self._name(key)

    def _static(self, value, at: str, path: tuple) -> None:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{spelled(path)} is static, so it must be hashable, got {type(value).__name__}; "
                "make it a tuple, or leave it out of static_argnums"
            ) from None
        self._equal(value, at)

    def _equal(self, value, at: str) -> None:
        if value is None or value is True or value is False:
            self._require(f"{at} is {value}")
        else:
            name = self._name(value)
            local = self._local(at)
            same = f"{local} == {name}" if value == value else f"{local} != {local}"  # nan is not equal to itself
            self._require(f"type({local}) is {self._name(type(value))} and {same}")

    def require_gradient(self, at: str, grad) -> None:
        """Guard whether a Tensor has a `.grad`, and of what kind."""
        if grad is None:
            self._require(f"{at}.grad is None")
        else:
            self._require(
                f"type({at}.grad) is Tensor and {at}.grad.shape == {grad.shape!r} "
                f"and {at}.grad.dtype is {self._name(grad.dtype)}"
            )

    # ----------------------------------------------------------------------------------------------------------------
    # What is held: the same objects at each call, or it is another trace

    def _tensor(self, tensor: Tensor, at: str) -> None:
        if tensor not in self.tensors:
            self.tensors[tensor] = at
        else:
            self._require(f"{at} is {self.tensors[tensor]}")

    def _walk(self, first) -> None:
        """Guard all that can be reached from an object; without recursion, for lists may be nested deep."""
        stack = [first]
        while stack:
            value = stack.pop()
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            stack += reversed(self._within(value))

    def _within(self, value) -> list:
        """Guard what is in an object, and give the objects in it that are to be looked into."""
        kind = type(value)
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType):
            return [value.__self__, value.__func__]
        if isinstance(value, functools.partial):
            return [value.func, *self._items(value.args, range(len(value.args))), *self._entries(value.keywords)]
        if isinstance(value, dict):
            return self._entries(value)
        if isinstance(value, (list, tuple)):
            return self._sequence(value)
        if isinstance(value, Tensor):
            self._tensor(value, self._name(value))
            return []
        if _is_foreign(kind) or isinstance(value, (type, types.ModuleType, *_CONSTANTS, TensorTuple)):
            return []
        if hasattr(value, "trace_roots"):  # an object that tells what in it a program depends on
            return list(value.trace_roots())
        if not hasattr(value, "__dict__"):
            inside: list = []
            for name in [name for base in kind.__mro__ for name in _slots(base)]:
                at = f"getattr({self._name(value)}, {name!r}, MISSING)"
                inside += self._item(value, name, at, getattr(value, name, _MISSING))
            return inside
        methods = [f for base in kind.__mro__ if not _is_ours(base) for f in vars(base).values()]
        return [*self._entries(vars(value)), *[f for f in methods if isinstance(f, types.FunctionType)]]

    def _sequence(self, value) -> list:
        name = self._name(value)
        if isinstance(value, list):
            self._require(f"len({name}) == {len(value)}")
        if len(value) > LONG and all(isinstance(item, _CONSTANTS) for item in value):
            if isinstance(value, list):
                self._require(f"{name} == {self._name(list(value))}")
            return []
        return self._items(value, range(len(value)), isinstance(value, list))

    def _items(self, value, keys, guarded: bool = True) -> list:
        name = self._name(value)
        return [item for key in keys for item in self._item(value, key, f"{name}[{key!r}]", value[key], guarded)]

    def _entries(self, value: dict) -> list:
        name = self._name(value)
        self._require(f"len({name}) == {len(value)}")
        return [
            item
            for key, inner in list(value.items())
            for item in self._item(value, key, f"{name}.get({self._spell(key)}, MISSING)", inner)
        ]

    def _item(self, holder, key, at: str, value, guarded: bool = True) -> list:
        """Guard one thing that an object holds; gives it if it is to be looked into."""
        if isinstance(value, Tensor):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(type(value))}")
            self._tensor(value, local)
            return []
        if isinstance(value, np.ndarray):
            local = self._local(at)
            self._require(
                f"type({local}) is {self._name(type(value))} and {local}.dtype is {self._name(value.dtype)} "
                f"and {local}.shape == {value.shape!r}"
            )
            self.arrays.setdefault(id(value), (value, local))
            return []
        if isinstance(value, _CONSTANTS):
            if guarded:
                self._equal(value, at)
            return []
        if guarded:
            self._require(f"{at} is {self._name(value)}")
        return [value]

    def _function(self, fun: Callable) -> None:
        self._walk(fun)

    def _of_function(self, fun: types.FunctionType) -> list:
        """What a function closes over, its defaults, and the globals that it names."""
        if _is_ours(fun) or _is_foreign(fun):
            wrapped = getattr(fun, "__wrapped__", None)  # a transformed function: what it transforms is in its closure
            if wrapped is None and fun.__closure__ is None:
                return []
        inside: list = []
        for i, cell in enumerate(fun.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            inside += self._item(cell, i, f"{self._name(cell)}.cell_contents", value)
        if _is_ours(fun) or _is_foreign(fun):
            return inside
        inside += fun.__defaults__ or ()
        inside += (fun.__kwdefaults__ or {}).values()
        space = fun.__globals__
        for name in _names_in(fun.__code__):
            if name in space:
                at = f"{self._name(space)}.get({name!r}, MISSING)"
                if isinstance(space[name], (types.ModuleType, type)):
                    self._module(space[name], fun.__code__)
                else:
                    inside += self._item(space, name, at, space[name])
        return inside

    def _module(self, module, code) -> None:
        """A module of the user's (`config.rate`): those of its attributes that the code names."""
        if isinstance(module, type) or _is_foreign(module) or _is_ours(module):
            return
        space = vars(module)
        for name in _names_in(code):
            if name in space and isinstance(space[name], (Tensor, np.ndarray, *_CONSTANTS)):
                for item in self._item(space, name, f"{self._name(space)}.get({name!r}, MISSING)", space[name]):
                    self._walk(item)


def rebuilt(value, numbers: dict[tuple, Any], path: tuple = ()):
    """Arguments with the given values in place of their numbers and arrays."""
    if path in numbers:
        return numbers[path]
    kind = type(value)
    if kind in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        items = [rebuilt(item, numbers, (*path, i)) for i, item in enumerate(value)]
        return kind(*items) if hasattr(value, "_fields") else kind(items)
    if kind in (dict, OrderedDict, defaultdict):
        entries = {key: rebuilt(item, numbers, (*path, key)) for key, item in value.items()}
        return OrderedDict(entries) if kind is OrderedDict else entries
    if is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "parameters"):
        names = [field.name for field in fields(value) if field.init]
        return replace(value, **{name: rebuilt(getattr(value, name), numbers, (*path, name)) for name in names})
    return value


def _names_in(code: types.CodeType) -> list[str]:
    """The names that a function's code looks up, functions within it included."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= dict.fromkeys(_names_in(constant))
    return list(names)


def _package(value) -> str:
    module = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return str(module).partition(".")[0]


def _is_ours(value) -> bool:
    if isinstance(value, types.FunctionType):  # its module may be that of a function that it wraps
        return value.__code__.co_filename.startswith(_NEEDLE)
    return _package(value) == __name__.partition(".")[0]


def _is_foreign(value) -> bool:
    return _package(value) in _FOREIGN and _package(value) != "__main__"


def _slots(kind) -> tuple:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def spelled(path: tuple) -> str:
    """How an error names an argument."""
    first, *rest = path
    name = f"argument {first}" if isinstance(first, int) else f"argument {first!r}"
    return name + "".join(f"[{key!r}]" for key in rest)
