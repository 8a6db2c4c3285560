"""What a function can reach: its arguments, what it closes over, the globals that it names, and all inside of these.

Tensors there are inputs of the program, read afresh at each call, whatever array or node they hold by then.  Numbers,
flags and structures are guards: a call that finds others than the trace did is traced again.  The walk finds each
object once, by the way that leads to it; the guards are written as the source of one Python function.
"""

from __future__ import annotations

import dis
import functools
import inspect
import random
import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ...graph import Node, Tensor, TensorTuple
from ...init import Generator
from ...transforms.nan import NEEDLE
from .snapshot import Snapshot

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic, np.dtype, range, slice)
_FOREIGN = frozenset(sys.stdlib_module_names) | {"numpy", "scipy", "optree", "tqdm", "pytest", "hypothesis", "numba"}
_MISSING = object()
_NUMBERS = (bool, int, float, complex, str, bytes, tuple, np.generic, np.dtype)
_IDLE = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__reduce__", "__getstate__", "__setstate__"}
_DYNAMIC = {"getattr", "vars", "__dict__", "attrgetter", "methodcaller", "__getattribute__", "eval", "exec"}
MOST = 20_000  # guards, of one function
SMALL = 65536  # bytes: up to here, what a closed-over array holds is compared where no op has met it


class Roots:
    """Everything that one call of a function can reach.

    Attributes:
        tensors: the Tensors, each with the Python expression that finds it.
        arrays: NumPy arrays outside of the arguments, by id, with their expressions.
        numbers: numbers and arrays among the arguments: (path, expression, value), in order.
        lines: the guards, as lines of source within a function of `args` and `kwargs`.
        reasons: what a guard looks at, as the user would write it, by the number of its line.
        names: the objects that the source refers to.
        owners: the objects that told themselves what in them a program depends on: optimizers, compiled functions.
        held: which of the lines are about what is held, and not about arguments.
        quick: expressions for what holds that, none of which gives another object (or, with True, other ids) unless
            something there changed.
        mixed: whether the lines about what is held need to know the arguments.
        generators: random generators of NumPy's and Python's own, of which no guard can tell whether they moved on.
    """

    def __init__(
        self,
        fun: Callable,
        args: tuple,
        kwargs: dict,
        static: Callable[[Any], bool],
        held=(),
        thorough: bool = False,
    ):
        self.tensors: dict[Tensor, str] = {}
        self.arrays: dict[int, tuple[np.ndarray, str]] = {}
        self.numbers: list[tuple[tuple, str, Any]] = []
        self.lines: list[str] = []
        self.reasons: dict[int, str] = {}
        self.names: dict[str, Any] = {"MISSING": _MISSING, "Tensor": Tensor, "Node": Node, "ndarray": np.ndarray}
        self._seen: dict[int, Any] = {}  # objects that were looked into, by id
        self._mentioned: set[str] = _DYNAMIC if thorough else set()  # names in the code that was found so far
        self.owners: list[Any] = []
        self._waiting: dict[str, list[Callable[[], list]]] = {}  # what to look into once a name is mentioned
        self._stack: list[Any] = []  # objects that are still to be looked into
        self._modules: set[tuple] = set()  # modules and classes that were looked into, each with the code that names it
        self._expressions: dict[int, str] = {}  # of objects, by id
        self.snapshot = Snapshot()
        self.generators: list[Any] = []
        self._bound: set[int] = set()  # objects that are found anew at each call, by way of the arguments
        self._paths: dict[int, str] = {}  # what the user calls an object
        self._came: set[Tensor] | None = None  # the Tensors among the arguments, once these have been looked at
        self.quick: list[tuple[str, bool]] = []
        self.mixed = False
        self.parameters = _parameters(fun)
        self._argument(args, "args", static, ())
        self._argument(kwargs, "kwargs", static, ())
        start = len(self.lines)
        self._came = set(self.tensors)
        for tensor in held:
            self._tensor(tensor, self._name(tensor), "a Tensor")
        self._paths[id(fun)] = named(fun)
        self._walk(fun)
        self.held = range(start, len(self.lines))

    def release(self) -> None:
        """Forget the objects that only the trace needed."""
        self.tensors, self.arrays = {}, {}
        self.numbers = [(path, at, None) for path, at, _ in self.numbers]
        self.owners = []
        self._seen, self._came, self.snapshot, self.generators = {}, set(), Snapshot(), []

    def _name(self, value) -> str:
        """The expression for an object in the source of the guards."""
        name = self._expressions.get(id(value))
        self.mixed = self.mixed or (id(value) in self._bound and self._came is not None)
        if name is None:
            name = self._expressions[id(value)] = f"o{len(self.names)}"
            self.names[name] = value
        return name

    def _require(self, condition: str, path: str) -> None:
        self.reasons[len(self.lines)] = path
        self.lines.append(f"if not ({condition}): return MISS")

    def _local(self, at: str) -> str:
        if at.isidentifier():
            return at
        local = f"a{len(self.lines)}"
        self.lines.append(f"{local} = {at}")
        return local

    def _spell(self, key) -> str:
        return repr(key) if type(key) in (str, int) else self._name(key)

    # ----------------------------------------------------------------------------------------------------------------
    # Arguments: they may be other objects at each call

    def _argument(self, value, at: str, static: Callable[[Any], bool], path: tuple) -> None:
        called = spelled(path)
        if path and static(path):
            self._static(value, at, path)
            return
        kind = type(value)
        if isinstance(value, Tensor):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}", called)
            self._tensor(value, local, called)
        elif kind in (float, int, complex) or isinstance(value, (np.ndarray, np.generic)):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}", called)
            if isinstance(value, (np.ndarray, np.generic)):
                if value.dtype.kind not in "biufc":
                    raise TypeError(f"{called} of a jitted function must hold numbers, got dtype {value.dtype}")
                if isinstance(value, np.ndarray):
                    same = f"{local}.dtype is {self._name(value.dtype)} and {local}.shape == {value.shape!r}"
                    self._require(same, called)
            self.numbers.append((path, local, value))
        elif kind in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            local = self._local(at)
            if kind is tuple and not path:
                self._require(f"len({local}) == {len(value)}", "the number of arguments")
            else:
                self._require(f"type({local}) is {self._name(kind)} and len({local}) == {len(value)}", called)
            for i, item in enumerate(value):
                self._argument(item, f"{local}[{i}]", static, (*path, i))
        elif kind in (dict, OrderedDict, defaultdict):
            local = self._local(at)
            if path or value:
                self._require(f"type({local}) is {self._name(kind)} and len({local}) == {len(value)}", called)
            else:
                self._require(f"not {local}", "the keyword arguments")
            for key, item in value.items():
                self._argument(item, f"{local}.get({self._spell(key)}, MISSING)", static, (*path, key))
        elif is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "parameters"):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(kind)}", called)
            for field in fields(value):
                self._argument(getattr(value, field.name), f"{local}.{field.name}", static, (*path, field.name))
        elif isinstance(value, _CONSTANTS):
            self._equal(value, at, called)
        elif isinstance(value, Unseen):
            self._require(f"type({at}) is {self._name(kind)}", called)
        elif self._seen.get(id(value)) is value:  # the same object twice
            self._require(f"{at} is {self._name(value)}", called)
        elif hasattr(value, "parameters") and hasattr(value, "__dict__"):  # a Module: any with the same inside
            self._bind(value, at, called)
            self._walk(value)
        else:  # an optimizer, a function: the same one, and what is in it as it was
            self._paths.setdefault(id(value), called)
            self._require(f"{at} is {self._name(value)}", called)
            self._walk(value)

    def _bind(self, value, at: str, path: str) -> None:
        """Find an object by its way from the arguments at each call, instead of by its identity."""
        local = self._local(at)
        kind = type(value)
        sized = f" and len({local}) == {len(value)}" if isinstance(value, (list, dict, tuple)) else ""
        self._require(f"type({local}) is {self._name(kind)}{sized}", path)
        self._expressions[id(value)] = local
        self._bound.add(id(value))
        self._paths[id(value)] = path

    def _static(self, value, at: str, path: tuple) -> None:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{spelled(path)} is static, so it must be hashable, got {type(value).__name__}; "
                "make it a tuple, or leave it out of static_argnums"
            ) from None
        self._equal(value, at, spelled(path))

    def _equal(self, value, at: str, path: str) -> None:
        if value is None or value is True or value is False or value is ...:
            self._require(f"{at} is {value!r}", path)
            return
        local = self._local(at)
        if type(value) is int and abs(value) < 2**30:
            self._require(f"{local} == {value} and type({local}) is int", path)
            return
        name = self._name(value)
        same = f"{local} == {name}" if value == value else f"{local} != {local}"  # nan is not equal to itself
        self._require(f"{local} is {name} or (type({local}) is {self._name(type(value))} and {same})", path)
        if type(value) is float and value == 0:  # -0.0 is not 0.0
            self._require(f"str({local}) == {str(value)!r}", path)

    def require_gradient(self, tensor: Tensor, grad) -> None:
        """Guard whether a Tensor has a `.grad`, and of what kind."""
        at = self.tensors[tensor]
        if grad is None:
            self._require(f"{at}.grad is None", "whether a .grad is there")
        else:
            self._require(
                f"isinstance({at}.grad, Tensor) and {at}.grad.shape == {grad.shape!r} "
                f"and {at}.grad.dtype is {self._name(grad.dtype)}",
                "whether a .grad is there",
            )

    def require_numbers(self, array: np.ndarray, at: str) -> None:
        """Guard what a NumPy array holds that the trace may have looked into behind our back."""
        path = self._paths.get(id(array), "a NumPy array")
        if array.nbytes <= SMALL and array.dtype.kind in "biufcSUmM":
            self._require(f"{at}.tobytes() == {self._name(array.tobytes())}", f"the numbers in {path}")
        else:
            self._require(f"{at} is {self._name(array)}", path)

    def called(self, tensor: Tensor) -> str:
        """What the user calls a Tensor."""
        return self._paths.get(id(tensor), "x")

    # ----------------------------------------------------------------------------------------------------------------
    # What is held: the same objects at each call, or it is another trace

    def _tensor(self, tensor: Tensor, at: str, path: str) -> None:
        if tensor not in self.tensors:
            self.tensors[tensor] = at
            self._paths[id(tensor)] = path
        else:
            self.mixed = self.mixed or (self._came is not None and tensor in self._came)
            if self._paths[id(tensor)].endswith("]") and not path.endswith("]"):
                self._paths[id(tensor)] = path  # model.weight says more than optimizer[0]
            self._require(f"{at} is {self.tensors[tensor]}", path)

    def _walk(self, first) -> None:
        """Guard all that can be reached from an object; without recursion, for lists may be nested deep."""
        self._stack.append(first)
        while self._stack:
            value = self._stack.pop()
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            self._stack += reversed(self._within(value))
            if len(self.lines) > MOST:
                raise RuntimeError(
                    f"the function reaches more than {len(self._seen)} objects, by way of {self._paths.get(id(value))} "
                    "among others, and all of these would be looked at before each call; pass what it needs as "
                    "arguments"
                )

    def _once(self, name: str, look: Callable[[], list]) -> list:
        """`look()`, now or as soon as the code that was found mentions `name`."""
        if name in self._mentioned or not self._mentioned.isdisjoint(_DYNAMIC):
            return look()
        self._waiting.setdefault(name, []).append(look)
        return []

    def _mention(self, names) -> None:
        new = set(names) - self._mentioned
        self._mentioned = self._mentioned | new
        for name in [*self._waiting] if not new.isdisjoint(_DYNAMIC) else new:
            for look in self._waiting.pop(name, ()):
                self._stack += look()

    def _within(self, value) -> list:
        """Guard what is in an object, and give the objects in it that are to be looked into."""
        kind = type(value)
        path = self._paths.get(id(value), "")
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType):
            return [value.__self__, value.__func__]
        if isinstance(value, functools.partial):
            self._paths[id(value.args)] = self._paths[id(value.keywords)] = f"partial({named(value.func)})"
            return [value.func, *self._items(value.args), *self._entries(value.keywords)]
        if isinstance(value, dict):
            return self._entries(value)
        if isinstance(value, (list, tuple)):
            return self._sequence(value)
        if isinstance(value, Tensor):
            self._tensor(value, self._name(value), path or "a Tensor")
            return []
        if hasattr(kind, "__next__"):
            raise TypeError(
                f"{path or 'what the function reaches'} is an iterator: under jit its next item would be taken once, "
                "when the function is traced; take it outside of the jitted function and pass it as an argument"
            )
        if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
            self.generators.append(value)
        if _is_foreign(kind) or isinstance(value, (Generator, type, types.ModuleType, *_CONSTANTS, TensorTuple)):
            return []
        if hasattr(value, "trace_roots"):  # an object that tells what in it a program depends on
            found = list(value.trace_roots())
            self.owners.append(value)
            for each in found:
                self._paths.setdefault(id(each), path)
            return found
        inside: list = []
        for name in [name for base in kind.__mro__ for name in _slots(base) if name not in ("__dict__", "__weakref__")]:
            at = f"getattr({self._name(value)}, {name!r}, MISSING)"
            inside += self._item(value, at, getattr(value, name, _MISSING), f"{path}.{name}")
        if not hasattr(value, "__dict__"):
            return inside
        space = vars(value)
        if id(value) in self._bound:
            self._bind(space, f"{self._name(value)}.__dict__", path)
        self._paths[id(space)] = path
        ours = [base for base in kind.__mro__ if _is_ours(base) or _is_foreign(base)]
        theirs = [base for base in kind.__mro__ if base not in ours]
        inside += self._entries(space, is_object=True, as_mentioned=ours == [object])
        for base in theirs:
            inside += self._of_class(base, path, {name for one in ours for name in vars(one)})
        return inside

    def _of_class(self, kind: type, path: str, called: set[str]) -> list:
        """The methods of a class of the user's that code mentions or that are `called` by needle and Python, and what
        else it holds that an instance may ask for."""
        inside: list[Any] = []
        for name, value in list(vars(kind).items()):
            found: list[Any] = []
            if isinstance(value, types.FunctionType):
                found = [value]
            elif isinstance(value, (staticmethod, classmethod)):
                found = [value.__func__]
            elif isinstance(value, property):
                found = [each for each in (value.fget, value.fset) if each is not None]
            elif isinstance(value, (Tensor, np.ndarray, *_NUMBERS)) and not name.startswith("__"):
                at = f"vars({self._name(kind)}).get({name!r}, MISSING)"
                inside += self._once(name, functools.partial(self._item, kind, at, value, f"{kind.__name__}.{name}"))
            elif hasattr(value, "trace_roots"):
                found = [value]
            if found and (name in called or name.startswith("__")) and name not in _IDLE:
                inside += found
            elif found:
                inside += self._once(name, functools.partial(list, found))
        return inside

    def _sequence(self, value) -> list:
        name = self._name(value)
        path = self._paths.get(id(value), "a list")
        if isinstance(value, list):
            self.snapshot.take(value, path)
        if isinstance(value, list) and id(value) not in self._bound:
            self._require(f"len({name}) == {len(value)}", f"the length of {path}")
        if isinstance(value, list):
            self._watch(name, True)
        if all(isinstance(item, _CONSTANTS) for item in value):
            if isinstance(value, list):
                kinds = self._name([*map(type, value)])
                self._require(f"{name} == {self._name([*value])} and [*map(type, {name})] == {kinds}", path)
            return []
        return self._items(value)

    def _items(self, value) -> list:
        name, path = self._name(value), self._paths.get(id(value), "")
        guarded = isinstance(value, list) or id(value) in self._bound
        return [
            item
            for i, inner in enumerate(value)
            for item in self._item(value, f"{name}[{i}]", inner, f"{path}[{i}]", guarded, watched=True)
        ]

    def _entries(self, value: dict, is_object: bool = False, as_mentioned: bool = False) -> list:
        name, path = self._name(value), self._paths.get(id(value), "a dict")
        self.snapshot.take(value, f"{path}." if is_object else path)
        if id(value) not in self._bound:
            what = f"the attributes of {path}" if is_object else f"the length of {path}"
            self._require(f"len({name}) == {len(value)}", what)
        self._watch(f"len({name})" if as_mentioned else f"{name}.values()", not as_mentioned)
        inside = []
        for key, inner in list(value.items()):
            at = f"{name}.get({self._spell(key)}, MISSING)"
            called = f"{path}.{key}" if is_object else f"{path}[{key!r}]"
            look = functools.partial(self._item, value, at, inner, called, watched=not as_mentioned)
            inside += self._once(key, look) if as_mentioned else look()
        return inside

    def _watch(self, at: str, several: bool = False) -> None:
        if self._came is not None:
            self.quick.append((at, several))

    def _item(self, holder, at: str, value, path: str, guarded: bool = True, watched: bool = False) -> list:
        """Guard one thing that an object holds; gives it if it is to be looked into.

        `watched` says that it has been seen to that a quick look at the holder tells whether it is another one.
        """
        if not watched:
            self._watch(at)
        if isinstance(value, Tensor):
            local = self._local(at)
            self._require(f"type({local}) is {self._name(type(value))}", path)
            self._tensor(value, local, path)
            return []
        if isinstance(value, np.ndarray):
            local = self._local(at)
            self._require(
                f"type({local}) is {self._name(type(value))} and {local}.dtype is {self._name(value.dtype)} "
                f"and {local}.shape == {value.shape!r}",
                path,
            )
            self.arrays.setdefault(id(value), (value, local))
            self._paths.setdefault(id(value), path)
            return []
        if value is _MISSING:
            self._require(f"{at} is MISSING", path)
            return []
        if isinstance(value, _CONSTANTS):
            if guarded:
                self._equal(value, at, path)
            return []
        if guarded:
            if id(holder) in self._bound and id(value) not in self._seen and _has_parts(value):
                self._bind(value, at, path)
                return [value]
            self._require(f"{at} is {self._name(value)}", path)
        self._paths.setdefault(id(value), path)
        return [value]

    def _of_function(self, fun: types.FunctionType) -> list:
        """What a function closes over, its defaults, and the globals that it names."""
        if _is_ours(fun) or _is_foreign(fun):
            wrapped = getattr(fun, "__wrapped__", None)  # a transformed function: what it transforms is in its closure
            if wrapped is None and fun.__closure__ is None:
                return []
        inside: list = []
        for name, cell in zip(fun.__code__.co_freevars, fun.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self.snapshot.take(cell, name)
            inside += self._item(cell, f"{self._name(cell)}.cell_contents", value, name)
        if _is_ours(fun) or _is_foreign(fun):
            return inside
        self._paths[id(fun.__defaults__)] = f"the defaults of {fun.__name__}"
        if fun.__defaults__:
            inside += self._items(fun.__defaults__)
        inside += (fun.__kwdefaults__ or {}).values()
        space = fun.__globals__
        self._mention(_names_in(fun.__code__))
        for name in _globals_in(fun.__code__):
            if name in space:
                at = f"{self._name(space)}.get({name!r}, MISSING)"
                if isinstance(space[name], (types.ModuleType, type)):
                    inside += self._module(space[name], fun.__code__)
                else:
                    self.snapshot.take_entry(space, name)
                    inside += self._item(space, at, space[name], name)
        return inside

    def _module(self, module, code) -> list:
        """A module or class of the user's (`config.rate`): those of its attributes that the code names, and how a class
        makes its instances."""
        if _is_foreign(module) or _is_ours(module) or (id(module), code) in self._modules:
            return []
        self._modules.add((id(module), code))
        space, inside = vars(module), []
        if isinstance(module, type):
            inside += self._of_class(module, module.__name__, set())
            inside += [
                space[name] for name in ("__init__", "__new__") if isinstance(space.get(name), types.FunctionType)
            ]
        for name in [name for name in _names_in(code) if name in space]:
            value = space[name]
            if isinstance(value, (types.ModuleType, type)):
                inside += self._module(value, code)
            elif not isinstance(value, (staticmethod, classmethod, property)):
                at = f"vars({self._name(module)}).get({name!r}, MISSING)"
                inside += self._item(module, at, value, f"{module.__name__}.{name}")
        return inside


class Unseen:
    """An argument of a jitted function into which no trace looks: whoever passes it answers for it."""


def _parameters(fun: Callable) -> list[str]:
    """The names of a function's positional parameters, in order."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):  # a function of C's, say
        return []
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in by_place]


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


@functools.lru_cache(4096)
def _names_in(code: types.CodeType) -> tuple[str, ...]:
    """The names of globals and attributes that a function's code looks up, functions within it included."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= dict.fromkeys(_names_in(constant))
    return tuple(names)


@functools.lru_cache(4096)
def _globals_in(code: types.CodeType) -> tuple[str, ...]:
    """The names of globals alone."""
    names = {step.argval: None for step in dis.get_instructions(code) if step.opname in _LOOKS_UP}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= dict.fromkeys(_globals_in(constant))
    return tuple(names)


_LOOKS_UP = {"LOAD_GLOBAL", "LOAD_NAME"}


def _package(value) -> str:
    module = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return str(module).partition(".")[0]


def _is_ours(value) -> bool:
    if isinstance(value, types.FunctionType):  # its module may be that of a function that it wraps
        return value.__code__.co_filename.startswith(NEEDLE)
    return _package(value) == __name__.partition(".")[0]


def _is_foreign(value) -> bool:
    return _package(value) in _FOREIGN and _package(value) != "__main__"


def _slots(kind) -> tuple:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _has_parts(value) -> bool:
    """Whether one finds the same in another object of its kind: not in functions, classes, modules."""
    if isinstance(value, (list, dict, tuple)):
        return type(value) in (list, dict, OrderedDict, tuple)
    return hasattr(value, "parameters") and hasattr(value, "__dict__")


def named(fun) -> str:
    return getattr(fun, "__name__", type(fun).__name__)


def spelled(path: tuple) -> str:
    """How an error names an argument."""
    if not path:
        return "the arguments"
    first, *rest = path
    name = f"argument {first}" if isinstance(first, int) else f"argument {first!r}"
    return name + "".join(f"[{key!r}]" for key in rest)
