"""Names and objects in emitted source: how each is spelled."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .functions import Hole
from .ir import Var


class Names:
    """The names of one source, none given twice, and the objects that they stand for.

    Attributes:
        names: the objects that the source refers to.
    """

    def __init__(self, taken: Sequence[str]):
        self.names: dict[str, Any] = {}
        self._objects: dict[int, str] = {}
        self._scalars: dict[tuple[np.dtype, bytes], str] = {}
        self._taken = {*keyword.kwlist, *taken}

    def _unused(self, name: str) -> str:
        if name in self._taken or not name:
            i = 1
            while f"{name}_{i}" in self._taken:
                i += 1
            name = f"{name}_{i}"
        self._taken.add(name)
        return name

    def constant(self, value, name: str = "") -> str:
        """The name of an object that the source needs and cannot spell."""
        found = self._objects.get(id(value))
        if found is None:
            found = self._objects[id(value)] = self._unused(name or f"c{len(self._objects)}")
            self.names[found] = value
        return found

    def _number(self, array: np.ndarray) -> str:
        """The name of an array that no call changes; equal numbers have one name."""
        if array.ndim:
            return self.constant(np.ascontiguousarray(array) if not any(array.strides) else array)
        array = np.asarray(array)
        key = array.dtype, array.tobytes()
        if key not in self._scalars:
            self._scalars[key] = self.constant(array)
        return self._scalars[key]

    def _ufunc(self, ufunc: np.ufunc) -> str:
        return self.constant(ufunc, identifier(ufunc.__name__))

    def _empty(self) -> str:
        return self.constant(np.empty, "empty")

    def _dtype(self, dtype: np.dtype) -> str:
        return self.constant(dtype, dtype_name(dtype))

    def _spelled(self, item, inputs: Sequence[str] = ()) -> str:
        """An argument of a call as source; `inputs` are the names that fill its holes."""
        if isinstance(item, Hole):
            return inputs[item.index]
        if type(item) in (tuple, list):
            inside = ", ".join([self._spelled(each, inputs) for each in item])
            if type(item) is list:
                return f"[{inside}]"
            return f"({inside},)" if len(item) == 1 else f"({inside})"
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            inside = ", ".join([self._spelled(each, inputs) for each in item])
            return f"{self.constant(type(item))}({inside})"
        if type(item) is dict:
            return "{" + ", ".join([f"{key!r}: {self._spelled(each, inputs)}" for key, each in item.items()]) + "}"
        if item is None or item is ... or type(item) in (bool, int, str):
            return "..." if item is ... else repr(item)
        if type(item) is float and item == item and abs(item) != float("inf"):
            return repr(item)
        if type(item) is slice and all(type(each) in (int, type(None)) for each in (item.start, item.stop, item.step)):
            return repr(item)
        return self.constant(item)


dtype_name = cache(str)


def kind(var: Var) -> str:
    return f"{dtype_name(var.dtype)}{list(var.shape)}"


def key_text(key) -> str:
    """A key of whole numbers, slices, None and Ellipsis as it stands between brackets."""
    keys = key if isinstance(key, tuple) else (key,)
    if not keys:
        return "()"

    def part(each) -> str:
        if each is ...:
            return "..."
        if each is None:
            return "None"
        if isinstance(each, slice):
            start, stop, step = ["" if x is None else str(int(x)) for x in (each.start, each.stop, each.step)]
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return str(int(each))

    return ", ".join(map(part, keys)) + ("," if isinstance(key, tuple) and len(keys) == 1 else "")


def title(function) -> str:
    """A name for a function: that of its op, if it is the `compute` of one."""
    name = getattr(function, "__name__", type(function).__name__)
    return identifier(type(function.__self__).__name__ if name == "compute" else name.replace("<lambda>", "drawn"))


def identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", str(text)).strip("_")
    return f"_{name}" if name[:1].isdigit() else name or "f"
