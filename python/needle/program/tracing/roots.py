"""What a function can reach: its arguments, what it closes over, the globals that it names, and all inside of these.

Tensors there are inputs of the program, read afresh at each call, whatever array or node they hold by then.  Numbers,
flags and structures are guarded (guards.py): a call that finds others than the trace did is traced again.  The walk
finds each object once, by the way that leads to it.
"""

from __future__ import annotations

import functools
import random
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ...graph import Tensor, TensorTuple
from ...init import Generator
from .arguments import Unseen, has_parameters, named, parameters_of, require_numeric, spelled
from .guards import MISSING, Guards
from .mentions import globals_in, is_foreign, is_namespace, is_ours, names_in
from .snapshot import Snapshot

# What is compared, and not looked into
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic, np.dtype, range, slice)
# What an attribute of a class may be to be compared
_NUMBERS = (bool, int, float, complex, str, bytes, tuple, np.generic, np.dtype)
# Methods that nothing calls while a program of theirs would run
_IDLE = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__reduce__", "__getstate__", "__setstate__"}
# Who mentions one of these may mean any name
_DYNAMIC = {"getattr", "vars", "__dict__", "attrgetter", "methodcaller", "__getattribute__", "eval", "exec"}
MOST = 20_000  # guards, of one function


class Roots:
    """Everything that one call of a function can reach.

    Attributes:
        guards: what must be there again at a call.
        tensors: the Tensors, each with the Python expression that finds it.
        arrays: NumPy arrays outside of the arguments, by id, with their expressions.
        numbers: numbers and arrays among the arguments: (path, expression, value), in order.
        owners: the objects that told themselves what in them a program depends on: optimizers, compiled functions.
        generators: random generators of NumPy's and Python's own, of which no guard can tell whether they moved on.
        snapshot: what lists, dicts, objects and variables hold now.
        parameters: the names of the function's parameters.
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
        self.guards = Guards()
        self.tensors: dict[Tensor, str] = {}
        self.arrays: dict[int, tuple[np.ndarray, str]] = {}
        self.numbers: list[tuple[tuple, str, Any]] = []
        self.owners: list[Any] = []
        self.generators: list[Any] = []
        self.snapshot = Snapshot()
        self.parameters = parameters_of(fun)
        self._seen: dict[int, Any] = {}  # objects that were looked into, by id
        self._stack: list[Any] = []  # objects that are still to be looked into
        self._mentioned: set[str] = _DYNAMIC if thorough else set()  # names in the code that was found so far
        self._waiting: dict[str, list[Callable[[], list]]] = {}  # what to look into once a name is mentioned
        self._modules: set[tuple] = set()  # modules and classes that were looked into, each with the code that names it
        self._paths: dict[int, str] = {}  # what the user calls an object
        self._came: set[Tensor] = set()  # the Tensors among the arguments, once these have been looked at
        self._argument(args, "args", static, ())
        self._argument(kwargs, "kwargs", static, ())
        self._came = set(self.tensors)
        self.guards.begin_held()
        for tensor in held:
            self._tensor(tensor, self.guards.name(tensor), "a Tensor")
        self._paths[id(fun)] = named(fun)
        self._walk(fun)
        self.guards.end_held()

    def release(self) -> None:
        """Forget the objects that only the trace needed."""
        self.tensors, self.arrays = {}, {}
        self.numbers = [(path, at, None) for path, at, _ in self.numbers]
        self.owners = []
        self._seen, self._came, self.snapshot, self.generators = {}, set(), Snapshot(), []

    # ----------------------------------------------------------------------------------------------------------------
    # Arguments: they may be other objects at each call

    def _argument(self, value, at: str, static: Callable[[Any], bool], path: tuple) -> None:
        guards, called, kind = self.guards, spelled(path), type(value)
        if path and static(path):
            self._static(value, at, path)
            return
        if isinstance(value, Tensor):
            local = guards.local(at)
            guards.kind(value, local, called)
            self._tensor(value, local, called)
        elif kind in (float, int, complex) or isinstance(value, (np.ndarray, np.generic)):
            local = guards.local(at)
            require_numeric(value, called)
            if isinstance(value, np.ndarray):
                guards.array(value, local, called)
            else:
                guards.kind(value, local, called)
            self.numbers.append((path, local, value))
        elif kind in (tuple, list) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            local = guards.local(at)
            if kind is tuple and not path:
                guards.require(f"len({local}) == {len(value)}", "the number of arguments")
            else:
                guards.kind(value, local, called, sized=True)
            for i, item in enumerate(value):
                self._argument(item, f"{local}[{i}]", static, (*path, i))
        elif kind in (dict, OrderedDict, defaultdict):
            local = guards.local(at)
            if path or value:
                guards.kind(value, local, called, sized=True)
            else:
                guards.require(f"not {local}", "the keyword arguments")
            for key, item in value.items():
                self._argument(item, f"{local}.get({guards.key(key)}, MISSING)", static, (*path, key))
        elif is_dataclass(value) and not isinstance(value, type) and not has_parameters(value):
            local = guards.local(at)
            guards.kind(value, local, called)
            for field in fields(value):
                self._argument(getattr(value, field.name), f"{local}.{field.name}", static, (*path, field.name))
        elif isinstance(value, _CONSTANTS):
            guards.equal(value, at, called)
        elif isinstance(value, Unseen):
            guards.kind(value, at, called)
        elif self._seen.get(id(value)) is value:  # the same object twice
            guards.same(value, at, called)
        elif has_parameters(value):  # a Module: any with the same inside
            self._bind(value, at, called)
            self._walk(value)
        else:  # an optimizer, a function: the same one, and what is in it as it was
            self._paths.setdefault(id(value), called)
            guards.same(value, at, called)
            self._walk(value)

    def _bind(self, value, at: str, path: str) -> None:
        self.guards.bind(value, at, path)
        self._paths[id(value)] = path

    def _static(self, value, at: str, path: tuple) -> None:
        if isinstance(value, Tensor):
            raise TypeError(f"{spelled(path)} is static, and a Tensor is compared with nothing: it is always an input")
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{spelled(path)} is static, so it must be hashable, got {type(value).__name__}; "
                "make it a tuple, or leave it out of static_argnums"
            ) from None
        self.guards.equal(value, at, spelled(path))

    def require_gradient(self, tensor: Tensor, grad: Tensor | None) -> None:
        """Guard whether a Tensor has a `.grad`, and of what kind."""
        self.guards.gradient(self.tensors[tensor], grad)

    def require_elements(self, array: np.ndarray, at: str) -> None:
        """Guard what a NumPy array holds, which the trace may have read unseen."""
        self.guards.elements(array, at, self._paths.get(id(array), "a NumPy array"))

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
            self.guards.mixed = self.guards.mixed or tensor in self._came
            if self._paths[id(tensor)].endswith("]") and not path.endswith("]"):
                self._paths[id(tensor)] = path  # model.weight says more than optimizer[0]
            self.guards.require(f"{at} is {self.tensors[tensor]}", path)

    def _walk(self, first) -> None:
        """Guard all that can be reached from an object; without recursion, for lists may be nested deep."""
        self._stack.append(first)
        while self._stack:
            value = self._stack.pop()
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            self._stack += reversed(self._within(value))
            if len(self.guards.lines) > MOST:
                raise RuntimeError(
                    f"the function reaches more than {len(self._seen)} objects, by way of {self._paths.get(id(value))} "
                    "among others, and all of these would be looked at before each call; pass what it needs as "
                    "arguments"
                )

    def _when_mentioned(self, name: str, look: Callable[[], list]) -> list:
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
        if isinstance(value, (list, tuple, deque)):
            return self._sequence(value)
        if isinstance(value, (set, frozenset)):
            return self._set(value)
        if isinstance(value, Tensor):
            self._tensor(value, self.guards.name(value), path or "a Tensor")
            return []
        if hasattr(kind, "__next__"):
            raise TypeError(
                f"{path or 'what the function reaches'} is an iterator: under jit its next item would be taken once, "
                "when the function is traced; take it outside of the jitted function and pass it as an argument"
            )
        if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
            self.generators.append(value)
        if isinstance(value, type) and not is_ours(value) and not is_foreign(value):
            return self._of_class(value, set())
        if is_foreign(kind) and not is_namespace(kind):
            return []
        if isinstance(value, (Generator, type, types.ModuleType, *_CONSTANTS, TensorTuple)):
            return []
        if hasattr(kind, "trace_roots"):  # an object that tells what in it a program depends on
            found = list(value.trace_roots())
            self.owners.append(value)
            for each in found:
                self._paths.setdefault(id(each), path)
            return found
        return self._of_object(value, path)

    def _of_object(self, value, path: str) -> list:
        """The attributes of an object, and the methods of its class."""
        inside: list = []
        kind = type(value)
        for name in [name for base in kind.__mro__ for name in _slots(base) if name not in ("__dict__", "__weakref__")]:
            at = f"getattr({self.guards.name(value)}, {name!r}, MISSING)"
            inside += self._item(value, at, getattr(value, name, MISSING), f"{path}.{name}")
        if not hasattr(value, "__dict__"):
            return inside
        space = vars(value)
        if self.guards.is_bound(value):
            self._bind(space, f"{self.guards.name(value)}.__dict__", path)
        self._paths[id(space)] = path
        ours = [base for base in kind.__mro__ if is_ours(base) or is_foreign(base)]
        theirs = [base for base in kind.__mro__ if base not in ours]
        inside += self._entries(space, is_object=True, as_mentioned=ours == [object])
        for base in theirs:
            inside += self._of_class(base, {name for one in ours for name in vars(one)})
        return inside

    def _of_class(self, kind: type, called: set[str]) -> list:
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
            elif isinstance(value, (Tensor, np.ndarray, list, dict, type, *_NUMBERS)) and not name.startswith("__"):
                at = f"vars({self.guards.name(kind)}).get({name!r}, MISSING)"
                inside += self._when_mentioned(
                    name, functools.partial(self._item, kind, at, value, f"{kind.__name__}.{name}")
                )
            elif hasattr(type(value), "trace_roots"):
                found = [value]
            if found and (name in called or name.startswith("__")) and name not in _IDLE:
                inside += found
            elif found:
                inside += self._when_mentioned(name, functools.partial(list, found))
        return inside

    def _sequence(self, value: list | tuple | deque) -> list:
        guards, name, path = self.guards, self.guards.name(value), self._paths.get(id(value), "a list")
        are_constants = all(isinstance(item, _CONSTANTS) for item in value)
        if not isinstance(value, tuple):
            self.snapshot.take(value, path)
            if not guards.is_bound(value):
                guards.require(f"len({name}) == {len(value)}", f"the length of {path}")
            guards.watch(name, True)
            if are_constants:
                items, kinds = guards.name([*value]), guards.name([*map(type, value)])
                as_list = name if isinstance(value, list) else f"[*{name}]"
                guards.require(f"{as_list} == {items} and [*map(type, {name})] == {kinds}", path)
        return [] if are_constants else self._items(value)

    def _set(self, value: set | frozenset) -> list:
        if isinstance(value, set):
            guards, name, path = self.guards, self.guards.name(value), self._paths.get(id(value), "a set")
            self.snapshot.take(value, path)
            guards.watch(name, True)
            guards.require(f"{name} == {guards.name(frozenset(value))}", path)
        return [item for item in value if not isinstance(item, _CONSTANTS)]

    def _items(self, value) -> list:
        name, path = self.guards.name(value), self._paths.get(id(value), "")
        guarded = isinstance(value, (list, deque)) or self.guards.is_bound(value)
        return [
            item
            for i, inner in enumerate(value)
            for item in self._item(value, f"{name}[{i}]", inner, f"{path}[{i}]", guarded, watched=True)
        ]

    def _entries(self, value: dict, is_object: bool = False, as_mentioned: bool = False) -> list:
        name, path = self.guards.name(value), self._paths.get(id(value), "a dict")
        self.snapshot.take(value, f"{path}." if is_object else path)
        if not self.guards.is_bound(value):
            what = f"the attributes of {path}" if is_object else f"the length of {path}"
            self.guards.require(f"len({name}) == {len(value)}", what)
        self.guards.watch(f"len({name})" if as_mentioned else f"{name}.values()", not as_mentioned)
        inside = []
        for key, inner in list(value.items()):
            at = f"{name}.get({self.guards.key(key)}, MISSING)"
            called = f"{path}.{key}" if is_object else f"{path}[{key!r}]"
            look = functools.partial(self._item, value, at, inner, called, watched=not as_mentioned)
            inside += self._when_mentioned(key, look) if as_mentioned else look()
        return inside

    def _item(self, holder, at: str, value, path: str, guarded: bool = True, watched: bool = False) -> list:
        """Guard one thing that an object holds; gives it if it is to be looked into.

        `watched` says that it has been seen to that a quick look at the holder tells whether it is another one.
        """
        if not watched:
            self.guards.watch(at)
        if isinstance(value, Tensor):
            local = self.guards.local(at)
            self.guards.kind(value, local, path)
            self._tensor(value, local, path)
            return []
        if isinstance(value, np.ndarray):
            local = self.guards.local(at)
            self.guards.array(value, local, path)
            self.arrays.setdefault(id(value), (value, local))
            self._paths.setdefault(id(value), path)
            return []
        if value is MISSING:
            self.guards.require(f"{at} is MISSING", path)
            return []
        if isinstance(value, _CONSTANTS):
            if guarded:
                self.guards.equal(value, at, path)
            return []
        if guarded:
            if self.guards.is_bound(holder) and id(value) not in self._seen and _has_parts(value):
                self._bind(value, at, path)
                return [value]
            self.guards.same(value, at, path)
        self._paths.setdefault(id(value), path)
        return [value]

    def _of_function(self, fun: types.FunctionType) -> list:
        """What a function closes over, its defaults, and the globals that it names."""
        if is_ours(fun) or is_foreign(fun):
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
            if isinstance(value, (types.ModuleType, type)):
                inside += self._module(value, fun.__code__)
            inside += self._item(cell, f"{self.guards.name(cell)}.cell_contents", value, name)
        if is_ours(fun) or is_foreign(fun):
            return inside
        self._paths[id(fun.__defaults__)] = f"the defaults of {fun.__name__}"
        if fun.__defaults__:
            inside += self._items(fun.__defaults__)
        inside += (fun.__kwdefaults__ or {}).values()
        space = fun.__globals__
        self._mention(names_in(fun.__code__))
        for name in globals_in(fun.__code__):
            if name in space:
                at = f"{self.guards.name(space)}.get({name!r}, MISSING)"
                if isinstance(space[name], (types.ModuleType, type)):
                    inside += self._module(space[name], fun.__code__)
                else:
                    self.snapshot.take_entry(space, name)
                    inside += self._item(space, at, space[name], name)
        return inside

    def _module(self, module, code) -> list:
        """A module or class of the user's (`config.rate`): those of its attributes that the code names, and how a class
        makes its instances."""
        if is_foreign(module) or is_ours(module) or (id(module), code) in self._modules:
            return []
        self._modules.add((id(module), code))
        space, inside = vars(module), []
        if isinstance(module, type):
            inside += self._of_class(module, set())
            inside += [
                space[name] for name in ("__init__", "__new__") if isinstance(space.get(name), types.FunctionType)
            ]
        for name in [name for name in names_in(code) if name in space]:
            value = space[name]
            if isinstance(value, (types.ModuleType, type)):
                inside += self._module(value, code)
            elif not isinstance(value, (staticmethod, classmethod, property)):
                at = f"vars({self.guards.name(module)}).get({name!r}, MISSING)"
                inside += self._item(module, at, value, f"{module.__name__}.{name}")
        return inside


def _slots(kind) -> tuple:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _has_parts(value) -> bool:
    """Whether one finds the same in another object of its kind: not in functions, classes, modules."""
    if isinstance(value, (list, dict, tuple)):
        return type(value) in (list, dict, OrderedDict, tuple)
    return has_parameters(value)
