"""Identities of arithmetic that hold for every number that the dtype has.

What replaces an expression here gives the same bits, for NaN and infinities, too, except for the payload and sign of a
NaN.  So `0·x` stays (x may be infinite), `(x·c)·d` stays where a rounding would be saved, and `x + 0` goes only where
x cannot be −0.0, which it would have turned into 0.0: a reciprocal, `arctan2` or `signbit` tells the two apart, and
`x + 0.0` is how one writes that they should not.  Powers are an exception: `x**2` and the like become what `**` makes
of them on NumPy's arrays, and `x**3` and `x**4` become products, which differ from the C library's `pow` by a rounding
or two and take a tenth of its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..functions import Cast, Ufunc, Where
from ..ir import Constant, Function, Instruction, Var
from .rewriting import Rule, Walk, number, source, uniform

# --------------------------------------------------------------------------------------------------------------------
# What is asked about arrays


def _of(var: Var, ufunc: np.ufunc) -> Instruction | None:
    """The instruction that gives `var`, if it applies `ufunc`."""
    found = source(var, Ufunc)
    return found if found is not None and found.function.ufunc is ufunc and found.function.dtype is None else None


def _value(var: Var):
    """The number that `var` is, if it is one and known."""
    found = number(var)
    return None if found is None else found[()]


def _is_negative_zero(value) -> bool:
    return value == 0 and bool(np.signbit(value)) if value.dtype.kind == "f" else False


_NEVER_NEGATIVE = frozenset([np.exp, np.exp2, np.absolute, np.square, np.cosh, np.hypot, np.logaddexp])


def is_never_negative_zero(var: Var, depth: int = 4) -> bool:
    """Whether no element of `var` can be −0.0, as far as its sources say."""
    if var.dtype.kind in "biu":
        return True
    if var.dtype.kind != "f" or not depth:
        return False
    value = uniform(var)
    if value is not None:
        return not _is_negative_zero(value[()])
    made = source(var, Ufunc)
    if made is None:
        return False
    ufunc, inputs = made.function.ufunc, made.inputs
    if ufunc in _NEVER_NEGATIVE:
        return True
    if ufunc is np.add:  # of two numbers of either sign the sum is −0.0 only if both are
        return any(is_never_negative_zero(x, depth - 1) for x in inputs)
    if ufunc is np.sqrt:
        return is_never_negative_zero(inputs[0], depth - 1)
    return False


def _as(walk: Walk, var: Var, output: Var) -> Var | None:
    """`var` in place of `output`, repeated to its shape; None if the dtypes differ."""
    return walk.broadcast(var, output.shape) if var.dtype == output.dtype else None


def _applied(walk: Walk, ufunc: np.ufunc, inputs: tuple[Var, ...], output: Var) -> Var:
    """An instruction that gives what `output` is."""
    return walk.emit(Ufunc(ufunc), inputs, output.shape, output.dtype)


def _negated(var: Var, output: Var) -> Var | None:
    """What `var` is the negative of, at the same shape, in something that gives `output`: whole numbers of fewer bits
    have turned over before."""
    made = _of(var, np.negative)
    return made.inputs[0] if made is not None and (var.dtype.kind in "fc" or var.dtype == output.dtype) else None


def _constant(value, like: Var) -> Constant:
    return Constant(np.asarray(value, like.dtype))


# --------------------------------------------------------------------------------------------------------------------
# Rules for each ufunc


def _add(walk: Walk, inputs, output: Var) -> Var | None:
    for x, zero in (inputs, inputs[::-1]):
        value = _value(zero)
        if value is not None and value == 0 and (_is_negative_zero(value) or is_never_negative_zero(x)):
            return _as(walk, x, output)
    if output.dtype.kind not in "fiu":
        return None
    for x, y in (inputs, inputs[::-1]):
        if (opposite := _negated(y, output)) is not None and walk.is_single(y):
            return _applied(walk, np.subtract, (x, opposite), output)
    return None


def _subtract(walk: Walk, inputs, output: Var) -> Var | None:
    a, b = inputs
    value = _value(b)
    if value is not None and value == 0 and not _is_negative_zero(value):
        return _as(walk, a, output)
    if output.dtype.kind in "fiu" and (opposite := _negated(b, output)) is not None and walk.is_single(b):
        return _applied(walk, np.add, (a, opposite), output)
    return None


def _multiply(walk: Walk, inputs, output: Var) -> Var | None:
    for x, factor in (inputs, inputs[::-1]):
        value = _value(factor)
        if value is None:
            continue
        if value == 1:
            return _as(walk, x, output)
        if value == 0 and output.dtype.kind in "biu":
            return _as(walk, factor, output)
        if output.dtype.kind != "f" or factor.dtype.kind != "f":
            continue
        if value == -1 and x.shape == output.shape and x.dtype == output.dtype:
            return _applied(walk, np.negative, (x,), output)
        if (opposite := _negated(x, output)) is not None:
            return _applied(walk, np.multiply, (opposite, _constant(-value, factor)), output)
    a, b = inputs
    if output.dtype.kind not in "fiu":
        return None
    if a is b:
        return _applied(walk, np.square, (a,), output)
    first, second = _negated(a, output), _negated(b, output)
    if first is not None and second is not None:
        return _applied(walk, np.multiply, (first, second), output)
    for x, opposite, y in ((a, first, b), (b, second, a)):  # outwards, where a sum may take it in
        if opposite is not None and walk.is_single(x) and x.shape == output.shape:
            return _applied(walk, np.negative, (_applied(walk, np.multiply, (opposite, y), output),), output)
    return None


def _divide(walk: Walk, inputs, output: Var) -> Var | None:
    a, b = inputs
    value = _value(b)
    if value is not None and a.dtype == b.dtype == output.dtype and output.dtype.kind == "f":
        if value == 1:
            return _as(walk, a, output)
        if math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5:  # a power of two, whose reciprocal is exact
            with np.errstate(all="ignore"):
                inverse = np.reciprocal(value)
            if np.isfinite(inverse) and abs(inverse) >= np.finfo(inverse.dtype).tiny:
                return _applied(walk, np.multiply, (a, _constant(inverse, b)), output)
    numerator = _value(a)
    if numerator is not None and numerator == 1 and a.dtype == b.dtype == output.dtype and output.dtype.kind == "f":
        return _applied(walk, np.reciprocal, (b,), output) if b.shape == output.shape else None
    return None


def _negative(walk: Walk, inputs, output: Var) -> Var | None:
    (a,) = inputs
    if (original := _negated(a, output)) is not None:
        return original
    if output.dtype.kind == "f" and (product := _of(a, np.multiply)) and walk.is_single(a):
        for x, factor in (product.inputs, product.inputs[::-1]):
            value = _value(factor)
            if value is not None and factor.dtype.kind == "f":
                return _applied(walk, np.multiply, (x, _constant(-value, factor)), output)
    return None


def _even(ufunc: np.ufunc) -> Callable:
    def rule(walk: Walk, inputs, output: Var) -> Var | None:
        if output.dtype.kind in "fi" and (opposite := _negated(inputs[0], output)) is not None:
            return _applied(walk, ufunc, (opposite,), output)
        return None

    return rule


def _power(walk: Walk, inputs, output: Var) -> Var | None:
    a, exponent = inputs
    value = _value(exponent)
    if value is None or output.dtype.kind != "f" or a.dtype != output.dtype or a.shape != output.shape:
        return None
    if value == 1:
        return a
    known = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}.get(float(value))
    if known is not None:
        return _applied(walk, known, (a,), output)
    if value in (3, 4):
        square = _applied(walk, np.square, (a,), output)
        return _applied(walk, np.multiply, (square, a if value == 3 else square), output)
    return None


def _same_twice(walk: Walk, inputs, output: Var) -> Var | None:
    a, b = inputs
    return _as(walk, a, output) if a is b else None


def _nothing(walk: Walk, inputs, output: Var) -> Var | None:
    return _as(walk, inputs[0], output)


def _conjugate(walk: Walk, inputs, output: Var) -> Var | None:
    return _as(walk, inputs[0], output) if output.dtype.kind != "c" else None


UFUNCS: dict[np.ufunc, Callable] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.divide: _divide,
    np.negative: _negative,
    np.square: _even(np.square),
    np.absolute: _even(np.absolute),
    np.cosh: _even(np.cosh),
    np.cos: _even(np.cos),
    np.power: _power,
    np.float_power: _power,
    np.maximum: _same_twice,
    np.minimum: _same_twice,
    np.fmax: _same_twice,
    np.fmin: _same_twice,
    np.logical_and: _same_twice,
    np.logical_or: _same_twice,
    np.bitwise_and: _same_twice,
    np.bitwise_or: _same_twice,
    np.positive: _nothing,
    np.conjugate: _conjugate,
}

# --------------------------------------------------------------------------------------------------------------------
# Rules for the walk


def natural(walk: Walk, instruction: Instruction) -> Var | None:
    """A loop's dtype goes unsaid where the operands' dtypes choose it anyway."""
    function, output = instruction.function, instruction.output
    if function.dtype is None:
        return None
    chosen = function.ufunc.resolve_dtypes((*[var.dtype for var in instruction.inputs], None))
    asked = function.ufunc.resolve_dtypes(
        (*[var.dtype for var in instruction.inputs], None), signature=(None,) * function.ufunc.nin + (function.dtype,)
    )
    if chosen != asked or chosen[-1] != output.dtype:
        return None
    return _applied(walk, function.ufunc, instruction.inputs, output)


def ufunc(walk: Walk, instruction: Instruction) -> Var | None:
    """The identities of the instruction's ufunc."""
    function = instruction.function
    rule = UFUNCS.get(function.ufunc) if function.dtype is None else None
    return None if rule is None else rule(walk, instruction.inputs, instruction.output)


def where(walk: Walk, instruction: Instruction) -> Var | None:
    """A choice that is none."""
    (condition, a, b), output = instruction.inputs, instruction.output
    if a is b:
        return _as(walk, a, output)
    value = uniform(condition)
    return None if value is None else _as(walk, a if value else b, output)


def cast(walk: Walk, instruction: Instruction) -> Var | None:
    """There and back is nowhere, where nothing was lost on the way."""
    (a,), output = instruction.inputs, instruction.output
    if a.dtype == output.dtype:
        return a
    inner = source(a, Cast)
    if inner is None:
        return None
    (base,) = inner.inputs
    if not _is_exact(base.dtype, a.dtype) or (base.dtype.kind in "fc" and output.dtype.kind not in "fc"):
        return None
    return base if base.dtype == output.dtype else walk.emit(Cast(output.dtype), [base], output.shape, output.dtype)


def _is_exact(narrow: np.dtype, wide: np.dtype) -> bool:
    """Whether every number of one dtype is one of the other's."""
    if narrow.kind in "iu" and wide.kind in "fc":
        bits = np.finfo(wide).nmant + 1
        return np.iinfo(narrow).bits - (narrow.kind == "i") <= bits
    return np.can_cast(narrow, wide, "safe")


RULES: dict[type[Function], list[Rule]] = {Ufunc: [natural, ufunc], Where: [where], Cast: [cast]}
