"""Which names a function's code mentions, and whose code something is."""

from __future__ import annotations

import dis
import functools
import sys
import types

from ...transforms.nan import NEEDLE

_FOREIGN = frozenset(sys.stdlib_module_names) | {"numpy", "scipy", "optree", "tqdm", "pytest", "hypothesis", "numba"}


@functools.lru_cache(4096)
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """The names of globals and attributes that a function's code looks up, functions within it included."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= dict.fromkeys(names_in(constant))
    return tuple(names)


@functools.lru_cache(4096)
def globals_in(code: types.CodeType) -> tuple[str, ...]:
    """The names of globals alone."""
    names = {step.argval: None for step in dis.get_instructions(code) if step.opname in _LOOKS_UP}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= dict.fromkeys(globals_in(constant))
    return tuple(names)


_LOOKS_UP = {"LOAD_GLOBAL", "LOAD_NAME"}


def _package(value) -> str:
    module = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return str(module).partition(".")[0]


def is_ours(value) -> bool:
    if isinstance(value, types.FunctionType):  # its module may be that of a function that it wraps
        return value.__code__.co_filename.startswith(NEEDLE)
    return _package(value) == __name__.partition(".")[0]


def is_foreign(value) -> bool:
    return _package(value) in _FOREIGN and _package(value) != "__main__"


def is_namespace(kind: type) -> bool:
    """Whether objects of a foreign class hold what the user put there, and nothing else."""
    return issubclass(kind, types.SimpleNamespace) or (kind.__module__, kind.__name__) == ("argparse", "Namespace")
