"""The arguments of a call: how they are named, and the same with other values in place of their numbers."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np


class Unseen:
    """An argument of a jitted function into which no trace looks: whoever passes it answers for it."""


def parameters_of(fun: Callable) -> list[str]:
    """The names of a function's positional parameters, in order."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):  # a function of C's, say
        return []
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in by_place]


def require_numeric(value, called: str) -> None:
    """Refuse what the arrays of a program cannot stand for."""
    dtype = value.dtype if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value).dtype
    if isinstance(value, int) and dtype.kind not in "iu":
        raise TypeError(f"{called} of a jitted function is {value}, too large for int64; pass it as a float")
    if dtype.kind not in "biufc":
        raise TypeError(f"{called} of a jitted function must hold numbers, got dtype {dtype}")
    if isinstance(value, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(
            f"{called} of a jitted function is a {type(value).__name__}, whose rules a program does not follow; "
            "pass plain arrays, np.asarray(matrix), and of a masked array data and mask"
        )


def has_parameters(value) -> bool:
    """Whether it is a Module, or something like one.  Its class is asked: an object may answer to any name."""
    return callable(getattr(type(value), "parameters", None)) and hasattr(value, "__dict__")


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
    if is_dataclass(value) and not isinstance(value, type) and not has_parameters(value):
        names = [field.name for field in fields(value) if field.init]
        return replace(value, **{name: rebuilt(getattr(value, name), numbers, (*path, name)) for name in names})
    return value


def named(fun) -> str:
    """The name of a function; of a partial one, that of what it calls."""
    while isinstance(fun, functools.partial):
        fun = fun.func
    return getattr(fun, "__name__", type(fun).__name__)


def spelled(path: tuple) -> str:
    """How an error names an argument."""
    if not path:
        return "the arguments"
    first, *rest = path
    name = f"argument {first}" if isinstance(first, int) else f"argument {first!r}"
    return name + "".join(f"[{key!r}]" for key in rest)
