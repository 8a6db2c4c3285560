"""What is known beforehand is computed beforehand."""

from __future__ import annotations

import numpy as np

from ..functions import Call, Full, Matmul, Reduce
from ..ir import Constant, Function, Instruction, Var
from .rewriting import Rule, Walk, uniform

KEPT_BYTES = 1 << 16  # what a result known beforehand may hold for as long as the program lives, unless it is a view


def folded(walk: Walk, instruction: Instruction) -> Var | None:
    """A function of constants: its result, as a constant."""
    for var in instruction.inputs:
        if type(var) is not Constant:
            return None
    function = instruction.function
    if not instruction.inputs or not function.pure or function.several:
        return None
    output = instruction.output
    if not function.view and output.nbytes > KEPT_BYTES:
        return None
    try:
        with np.errstate(all="ignore"):
            array = np.asarray(function(*[var.array for var in instruction.inputs if isinstance(var, Constant)]))
    except Exception:  # it belongs to the call
        return None
    return Constant(array) if array.shape == output.shape and array.dtype == output.dtype else None


def known(walk: Walk, instruction: Instruction) -> Var | None:
    """A number that stands alone, as a constant."""
    function = instruction.function
    return Constant(np.full((), function.value, function.dtype)) if function.shape == () else None


def gathered(walk: Walk, instruction: Instruction) -> Var | None:
    """An array of one number everywhere that is multiplied or summed: one in memory, made beforehand."""
    inputs, outputs = [_in_memory(var) for var in instruction.inputs], instruction.outputs
    if len(outputs) != 1 or all(new is old for new, old in zip(inputs, instruction.inputs)):
        return None
    return walk.emit(instruction.function, inputs, outputs[0].shape, outputs[0].dtype)


def _in_memory(var: Var) -> Var:
    value = uniform(var)
    if value is None or not 1 < var.size or var.nbytes > KEPT_BYTES:
        return var
    if isinstance(var, Constant) and var.array.flags.c_contiguous:
        return var
    return Constant(np.full(var.shape, value, var.dtype))


RULES: dict[type[Function], list[Rule]] = {
    Function: [folded],
    Full: [known],
    Matmul: [gathered],
    Reduce: [gathered],
    Call: [gathered],
}
