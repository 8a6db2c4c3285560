"""Dead code, and what is computed twice."""

from __future__ import annotations

import numpy as np

from ..functions import Draw, Full, Ufunc
from ..ir import Constant, Program, Var

# Exactly symmetric, also in the sign of zero
_SYMMETRIC = frozenset(
    [np.add, np.multiply, np.equal, np.not_equal, np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and]
    + [np.bitwise_or, np.bitwise_xor]
)


def without_dead_code(program: Program) -> Program:
    """The instructions that an output needs, and those that do more than compute."""
    needed = set(program.outputs)
    kept = []
    for instruction in reversed(program.instructions):
        if not instruction.function.pure or not needed.isdisjoint(instruction.outputs):
            kept.append(instruction)
            needed.update(instruction.inputs)
    if len(kept) == len(program):
        return program
    return Program(program.inputs, kept[::-1], program.outputs, program.in_place)


def without_repetition(program: Program) -> Program:
    """Each array once: of two pure instructions of one function and the same inputs, the first stays.

    Arrays of one number are left alone, since they are made to be written into, but two count as the same input.
    """
    seen: dict[tuple, tuple[Var, ...]] = {}
    replaced: dict[Var, Var] = {}
    constants: dict[tuple, Var] = {}
    kept = []
    for instruction in program:
        function = instruction.function
        for var in instruction.inputs:
            if isinstance(var, Constant) and var not in replaced:
                first = constants.setdefault(_same(var), var)
                if first is not var:
                    replaced[var] = first
        inputs = [replaced.get(var, var) for var in instruction.inputs]
        instruction.inputs = tuple(inputs)
        key = function.key() if function.pure and not isinstance(function, (Full, Draw)) else None
        if key is not None:
            if type(function) is Ufunc and function.ufunc in _SYMMETRIC:
                inputs.sort(key=id)
            outputs = seen.setdefault((key, *map(_made_anew, inputs)), instruction.outputs)
            if outputs is not instruction.outputs:
                replaced.update(zip(instruction.outputs, outputs))
                continue
        kept.append(instruction)
    if not replaced:
        return program
    results = [replaced.get(var, var) for var in program.outputs]
    return Program(program.inputs, kept, results, program.in_place)


def _made_anew(var: Var):
    """Something equal for arrays of one number, of one shape and dtype."""
    return var.source.function.key() if var.source is not None and isinstance(var.source.function, Full) else var


def _same(constant: Constant) -> tuple:
    """Something equal for constants of the same numbers: of few numbers, or in the same memory."""
    array = constant.array
    if array.nbytes <= 4096:
        return array.dtype, array.shape, array.tobytes()
    return array.dtype, array.shape, array.strides, array.__array_interface__["data"][0]
