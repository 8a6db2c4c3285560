"""NumPy's ufuncs on traced arrays: which instruction each call becomes."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from ..functions import Full, Matmul, Reduce, Ufunc
from .recording import OUT_OF_NUMPY, Recorder, Traced, deepest, everywhere, plain

_OPERANDS = (Traced, np.ndarray, np.generic, int, float, complex)
RULES: dict[np.ufunc, Callable] = {}  # ufuncs in terms of simpler ones; a rule may give None


def _array_ufunc(self, ufunc, method, *inputs, out=None, **kwargs):
    """`Traced.__array_ufunc__`"""
    outs = out or ()
    recorder = deepest((self, *inputs, *outs)).recorder
    if method == "at":
        return _at(recorder, ufunc, *inputs)
    if any(not isinstance(x, _OPERANDS) for x in inputs):
        inputs = tuple([np.asarray(x) if isinstance(x, (list, tuple)) else x for x in inputs])
        if any(not isinstance(x, _OPERANDS) for x in inputs):
            return NotImplemented
    if any(each is not None and not isinstance(each, Traced) for each in outs):
        raise recorder.asked(OUT_OF_NUMPY)
    where = kwargs.get("where", True)
    rule = RULES.get(ufunc) if method == "__call__" and not kwargs else None
    if rule is not None and (lowered := rule(*inputs)) is not None:
        if out is None:
            return lowered
        outs[0]._write(lowered)
        return outs[0]
    simple = method == "__call__" and ufunc.nout == 1 and kwargs.keys() <= {"dtype", "casting"}
    if simple and ufunc is not np.matmul and ufunc.signature is None:
        result = _elementwise(recorder, ufunc, inputs, kwargs)
    elif simple and ufunc is np.matmul and not kwargs and all(not isinstance(x, (int, float)) for x in inputs):
        with np.errstate(all="ignore"):
            value = np.matmul(*[plain(x) for x in inputs])
        result = recorder.record(Matmul(), [recorder.var(x) for x in inputs], value)
    elif method == "reduce" and where is True:
        result = _reduce(recorder, ufunc, *inputs, **kwargs)
    elif outs and where is not True:
        return _masked(recorder, ufunc, inputs, outs, **kwargs)
    else:
        result = recorder.call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)
    if not outs:
        return result
    results = result if isinstance(result, tuple) else (result,)
    for target, made in zip(outs, results):
        if target is not None:
            target._write(made)
    given = tuple([made if target is None else target for target, made in zip(outs, results)])
    return given if ufunc.nout > 1 else given[0]


Traced.__array_ufunc__ = _array_ufunc


def _elementwise(recorder: Recorder, ufunc, inputs, kwargs) -> Traced:
    values = [plain(x) for x in inputs]
    with np.errstate(all="ignore"):
        value = np.asarray(ufunc(*values, **kwargs))
    operands = [*inputs]
    if any(not isinstance(x, (Traced, np.ndarray)) for x in inputs):  # numbers: constants in the loop's own dtype
        dtypes = [type(v) if type(v) in (int, float, complex) else np.asarray(v).dtype for v in values]
        try:
            loop = ufunc.resolve_dtypes((*dtypes, None)) if "dtype" not in kwargs else (value.dtype,) * len(inputs)
            for i, (x, v) in enumerate(zip(inputs, values)):
                if not isinstance(x, (Traced, np.ndarray)):
                    operands[i] = np.asarray(v, loop[i])
        except (OverflowError, TypeError):  # uint8 < 300, say
            return recorder.call(ufunc, inputs, kwargs)
    function = Ufunc(ufunc, kwargs.get("dtype"))
    return recorder.record(function, [recorder.var(x) for x in operands], value)


def _reduce(
    recorder: Recorder, ufunc, a, axis=0, dtype=None, keepdims=False, initial=np._NoValue, where=True
) -> Traced:
    given = {} if initial is np._NoValue or initial is None else {"initial": initial}
    with np.errstate(all="ignore"):
        value = np.asarray(ufunc.reduce(plain(a), axis, dtype=dtype, keepdims=keepdims, **given))
    axes = range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple([operator.index(i) % a.ndim for i in axes]) if a.ndim else ()
    function = Reduce(ufunc, axes, bool(keepdims), dtype, given.get("initial"))
    return recorder.record(function, [recorder.var(a)], value)


def _masked(recorder: Recorder, ufunc, inputs, outs, where, **kwargs):
    """A call with `where=` and `out=`: what is not selected stays as it is in `outs`."""
    results = recorder.call(ufunc, inputs, kwargs)
    results = results if isinstance(results, tuple) else (results,)
    for target, made in zip(outs, results):
        target._write(np.where(where, made, target))
    return outs if ufunc.nout > 1 else outs[0]


def _at(recorder: Recorder, ufunc, a, *rest) -> None:
    def applied(a, *rest):
        new = np.array(a)
        ufunc.at(new, *rest)
        return new

    made = recorder.call(applied, (a, *rest))
    np.copyto(a.value, made.value)
    a._store(made.current)


# --------------------------------------------------------------------------------------------------------------------
# Ufuncs in terms of simpler ones, which passes and backends know


def _rule(ufunc):
    def register(rule):
        RULES[ufunc] = rule
        return rule

    return register


@_rule(np.power)
def _power(a, exponent):
    """Small exponents as products, and those that NumPy's `**` has functions of its own for."""
    if not isinstance(a, Traced) or a.dtype.kind != "f" or type(exponent) not in (int, float):
        return None
    if exponent in (2, 3, 4):
        square = np.square(a)
        return square if exponent == 2 else square * a if exponent == 3 else np.square(square)
    return {1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}.get(exponent, lambda a: None)(a)


@_rule(np.vecdot)
def _vecdot(a, b):
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        return None
    return np.add.reduce(np.conjugate(a) * b if a.dtype.kind == "c" else a * b, -1)


@_rule(np.matmul)
def _matmul(a, b):
    """A product with a row or column of equal numbers adds up columns or rows."""
    for array, other, axis, wide in ((b, a, -1, False), (a, b, -2, True)):
        number = _number_everywhere(array)
        if number is None or array.dtype != other.dtype or not isinstance(other, Traced) or other.ndim < 2:
            continue
        if array.ndim == 1 or (array.ndim == 2 and wide and array.shape[0] == 1):
            total = np.add.reduce(other, axis, keepdims=array.ndim == 2)
            return total if number == 1 else total * other.dtype.type(number)
    return None


def _number_everywhere(array):
    """The number of which a traced array is known to consist."""
    if not isinstance(array, Traced):
        return everywhere(array) if isinstance(array, np.ndarray) and array.size else None
    source = array.current.source
    return source.function.value if source is not None and type(source.function) is Full else None
