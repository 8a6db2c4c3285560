"""Stacked and joined arrays, written part by part into memory that is planned like any other."""

from __future__ import annotations

import numpy as np

from .functions import Assign, Call, Empty, Hole
from .ir import Instruction


def in_parts(instruction: Instruction) -> list[Instruction]:
    """The instructions in place of `numpy.stack` or `numpy.concatenate`; none if it stays what it is."""
    function = instruction.function
    if not isinstance(function, Call) or not (function.function is np.stack or function.function is np.concatenate):
        return []
    out = instruction.output
    arrays, *rest = function.args
    options = dict(zip(("axis",), rest)) | function.kwargs
    axis = options.pop("axis", 0)
    if options or len(rest) > 1 or type(axis) is not int or not isinstance(arrays, (tuple, list)):
        return []
    if not all(isinstance(each, Hole) for each in arrays):
        return []
    inputs = [instruction.inputs[each.index] for each in arrays]
    if any(var.dtype != out.dtype for var in inputs):
        return []
    axis %= out.ndim
    made = [Instruction(Empty(out.shape, out.dtype), [], [(out.shape, out.dtype)], instruction.line)]
    start = 0
    for var in inputs:
        stop = start + (1 if function.function is np.stack else var.shape[axis])
        part = start if function.function is np.stack else slice(start, stop)
        key = (*[slice(None)] * axis, part)
        described = [(out.shape, out.dtype)]
        made.append(Instruction(Assign(key), [made[-1].output, var], described, instruction.line))
        start = stop
    return made
