"""Sums over rows or columns as products with ones, which BLAS takes a third to a thirtieth of the time for.

NumPy adds the rows of a matrix one by one, as many numbers at a time as a row has.  BLAS keeps several sums at once, so
its rounding errors are smaller, too.  Only along long rows NumPy adds in pairs, and is left to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functions import Matmul, Reduce, Reshape, Transpose
from ..ir import Constant, Instruction, Program, Var

LEAST = 256  # elements of the matrix: with fewer there is nothing to gain
LONG = 1024  # elements of a row, from which on adding in pairs tells


def sums_as_products(program: Program) -> Program:
    """The program with ones @ a for a sum over axis 0 of a matrix, and a @ ones for one over axis 1.

    For a backend that calls NumPy for each instruction, after fusion: a sum in a group costs next to nothing.
    """
    ones: dict[tuple[int, np.dtype], Constant] = {}
    replaced: dict[Var, Var] = {}
    instructions: list[Instruction] = []
    for instruction in program:
        if not replaced.keys().isdisjoint(instruction.inputs):
            instruction.inputs = tuple([replaced.get(var, var) for var in instruction.inputs])
        if not _is_for_blas(instruction):
            instructions.append(instruction)
            continue
        (a,), output = instruction.inputs, instruction.output
        function: Any = instruction.function
        (axis,) = function.axis
        key = a.shape[axis], a.dtype
        if key not in ones:
            ones[key] = Constant(np.ones(*key))
        operands = (a, ones[key]) if axis else (ones[key], a)
        product = Instruction(Matmul(), operands, [((a.shape[1 - axis],), a.dtype)], instruction.line)
        instructions.append(product)
        if function.keepdims:
            shape = output.shape
            instructions.append(Instruction(Reshape(shape), product.outputs, [(shape, a.dtype)], instruction.line))
        replaced[output] = instructions[-1].output
    if not replaced:
        return program
    outputs = [replaced.get(var, var) for var in program.outputs]
    return Program(program.inputs, instructions, outputs, program.in_place)


def _is_for_blas(instruction: Instruction) -> bool:
    function = instruction.function
    if not isinstance(function, Reduce) or function.ufunc is not np.add or function.initial is not None:
        return False
    (a,), output = instruction.inputs, instruction.output
    if a.ndim != 2 or len(function.axis) != 1 or a.dtype.char not in "fd" or a.dtype != output.dtype:
        return False
    if a.source is not None and a.source.function.view and not isinstance(a.source.function, (Reshape, Transpose)):
        return False  # BLAS may not be able to read it
    long = a.shape[function.axis[0]]
    return a.size >= LEAST and long > 1 and (function.axis == (0,) or (a.size >= 4 * LEAST and long < LONG))
