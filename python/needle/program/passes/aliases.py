"""Which arrays lie in the same memory."""

from __future__ import annotations

import operator

import numpy as np

from ..functions import Call
from ..ir import Program, Var

# Functions of NumPy whose result is always in new memory (getitem: recorded as a Call, it has arrays among its keys)
_FRESH = frozenset(
    [operator.getitem, np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.dot, np.tensordot, np.inner]
    + [np.outer, np.vdot, np.cumsum, np.cumprod, np.take, np.take_along_axis, np.repeat, np.tile, np.pad, np.roll]
    + [np.sort, np.argsort, np.argmax, np.argmin, np.searchsorted, np.mean, np.var, np.std, np.median, np.convolve]
    + [np.cross, np.kron, np.trace, np.linalg.inv, np.linalg.solve, np.linalg.det, np.linalg.cholesky, np.linalg.eigh]
)


def is_fresh(function: Call) -> bool:
    """Whether a call's results are known to lie in new memory."""
    called = function.function
    return isinstance(called, np.ufunc) or called in _FRESH


def aliases(program: Program) -> dict[Var, Var]:
    """For each array, the one that stands for its memory: equal for two arrays wherever they might share some.

    A view goes with what it shows.  A call of which nothing is known goes with all of its inputs, and so joins those.
    """
    parents: dict[Var, Var] = {}

    def root(var: Var) -> Var:
        parents.setdefault(var, var)
        while parents[var] is not var:
            parents[var] = parents[parents[var]]
            var = parents[var]
        return var

    for given in program.inputs:
        root(given)
    for instruction in program:
        function = instruction.function
        if function.view:
            shared = instruction.inputs[:1]
        elif function.may_alias and not (isinstance(function, Call) and is_fresh(function)):
            shared = instruction.inputs
        else:
            shared = ()
        for output in instruction.outputs:
            root(output)
            for var in shared:
                parents[root(output)] = root(var)
    for output in program.outputs:
        root(output)
    return {var: root(var) for var in list(parents)}
