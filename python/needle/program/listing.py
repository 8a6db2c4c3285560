"""Programs as lines of text, for people: what each instruction computes, of what shape, and for which line."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from .control import Control
from .functions import (
    BroadcastTo,
    Call,
    Cast,
    Copy,
    Draw,
    Empty,
    Full,
    Fused,
    Group,
    Hole,
    Matmul,
    Reduce,
    Reshape,
    Transpose,
    Ufunc,
)
from .ir import Constant, Instruction, Program, Var
from .spelling import kind

_SHORT = 6  # elements of a constant that is spelled out


def listing(program: Program, indent: str = "") -> str:
    """The instructions of a program, a line each: `name = function(inputs)`, dtypes and shapes, and the user's line."""
    names = _Names(program)
    lines = [f"{indent}{names(var)}: {kind(var)}" for var in program.inputs]
    rows, inside = [], []
    for instruction in program:
        left = ", ".join(map(names, instruction.outputs))
        text = f"{left} = {_spelled(instruction, names)}" if left else _spelled(instruction, names)
        kinds = ", ".join(kind(var) for var in instruction.outputs)
        rows.append((text, kinds, re.sub(r"^(?:[A-Za-z]:)?[^:]*[/\\]", "", instruction.line)))
        inside.append([listing(body, indent + "    ") for body in _bodies(instruction)])
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    for (text, kinds, line), bodies in zip(rows, inside):
        lines.append(f"{indent}{text:{widths[0]}}  {kinds:{widths[1]}}  {line}".rstrip())
        lines += bodies
    outputs = list(enumerate(program.outputs))
    given = [names(var) for i, var in outputs if i not in program.in_place]
    written = [f"{names(var)} into {names(program.in_place[i])}" for i, var in outputs if i in program.in_place]
    return "\n".join([*lines, f"{indent}return {', '.join([*given, *written])}"])


def _bodies(instruction: Instruction) -> list[Program]:
    function = instruction.function
    return [function.body] if isinstance(function, Group) else list(getattr(function, "programs", ()))


class _Names:
    """The names of a program's arrays: inputs by their own, results by their number, small constants as they are."""

    def __init__(self, program: Program):
        self._names: dict[Var, str] = {}
        taken: dict[str, int] = {}
        for given in program.inputs:
            name = given.name if given.name.isidentifier() else "x"
            taken[name] = taken.get(name, 0) + 1
            self._names[given] = name if taken[name] == 1 else f"{name}_{taken[name]}"
        for instruction in program:
            for var in instruction.outputs:
                self._names[var] = f"h{len(self._names) - len(program.inputs) + 1}"

    def __call__(self, var: Var) -> str:
        if isinstance(var, Constant):
            if var.size <= _SHORT:
                return str(var.array.tolist())
            return f"<{kind(var)}>"
        return self._names.get(var, "?")


def _spelled(instruction: Instruction, names) -> str:
    function, inputs = instruction.function, [names(var) for var in instruction.inputs]
    if isinstance(function, Ufunc):
        return _call(function.ufunc.__name__, inputs, dtype=function.dtype)
    if isinstance(function, Reduce):
        options: dict[str, Any] = {"dtype": function.dtype, "initial": function.initial}
        return _call(
            f"{function.ufunc.__name__}.reduce", [*inputs, str(function.axis)], keepdims=function.keepdims, **options
        )
    if isinstance(function, Call):
        args = _filled(function.args, inputs)
        keywords = {key: _Text(_filled(value, inputs)) for key, value in function.kwargs.items()}
        return _call(_name(function.function), [args[1:-1].removesuffix(",")] if args != "()" else [], **keywords)
    if isinstance(function, (Reshape, BroadcastTo)):
        return _call(type(function).__name__.lower().replace("to", "_to"), [*inputs, str(function.shape)])
    if isinstance(function, Transpose):
        return _call("transpose", [*inputs, str(function.axes)])
    if isinstance(function, Full):
        filled = {} if isinstance(function, Empty) else {"value": function.value}
        return _call(type(function).__name__.lower(), [str(function.shape)], dtype=function.dtype, **filled)
    if isinstance(function, Cast):
        return _call("astype", [*inputs, str(function.dtype)])
    if isinstance(function, (Matmul, Copy, Draw, Fused, Control)):
        return _call(type(function).__name__.lower(), inputs)
    slots = {name.rstrip("_"): getattr(function, name) for name in function.parameters()}
    return _call(type(function).__name__.lower(), inputs, **{k: v for k, v in slots.items() if not callable(v)})


class _Text(str):
    __repr__ = str.__str__


def _call(name: str, inputs: list[str], **options) -> str:
    shown = [
        f"{key}={value if isinstance(value, np.dtype) else repr(value)}"
        for key, value in options.items()
        if value is not None and value is not False
    ]
    return f"{name}({', '.join([*inputs, *shown])})"


def _name(function) -> str:
    if isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__name__


def _filled(template, inputs: list[str]) -> str:
    """The arguments of a call as text, with the names of arrays in place of holes."""
    if isinstance(template, Hole):
        return inputs[template.index]
    if isinstance(template, (tuple, list)):
        open_, close = ("(", ")") if isinstance(template, tuple) else ("[", "]")
        comma = "," if isinstance(template, tuple) and len(template) == 1 else ""
        return f"{open_}{', '.join(_filled(item, inputs) for item in template)}{comma}{close}"
    if isinstance(template, dict):
        return f"{{{', '.join(f'{key!r}: {_filled(item, inputs)}' for key, item in template.items())}}}"
    return repr(template) if not isinstance(template, np.ndarray) else f"<{template.dtype}{list(template.shape)}>"
