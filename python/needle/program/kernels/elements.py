"""What an elementwise instruction computes for one element, in the code of kernels.

A table by the names of NumPy's ufuncs.  What is not in it is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..functions import Cast, Copy, Function, Reduce, Ufunc, Where
from ..ir import Instruction
from ..space import base_of, is_number, number_of
from .code import Value, select
from .mathematics import function

TYPES = {"b": {1: "i1"}, "f": {4: "float", 8: "double"}}
COST = {"multiply": 1, "divide": 4, "sqrt": 4, "reciprocal": 4}


def type_of(dtype: np.dtype) -> str:
    """The LLVM type of a number in a register."""
    return TYPES[dtype.kind][dtype.itemsize] if dtype.kind in TYPES else f"i{8 * dtype.itemsize}"


def stored_type(dtype: np.dtype) -> str:
    return "i8" if dtype.kind == "b" else type_of(dtype)


def cast(value: Value, old: np.dtype, new: np.dtype) -> Value:
    """The number in another dtype, as C converts it."""
    if old == new:
        return value
    if value.number is not None:
        return value.code.constant(type_of(new), new.type(old.type(value.number)).item())
    if new.kind == "b":
        return value.differs(0)
    type = type_of(new)
    if new.kind == "f":
        if old.kind == "f":
            return value.convert("fptrunc" if new.itemsize < old.itemsize else "fpext", type)
        return value.convert("sitofp" if old.kind == "i" else "uitofp", type)
    if old.kind == "f":
        raise NotImplementedError("a float as a whole number is left to NumPy")
    if old.kind != "b" and new.itemsize == old.itemsize:
        return value
    if old.kind != "b" and new.itemsize < old.itemsize:
        return value.convert("trunc", type)
    return value.convert("sext" if old.kind == "i" else "zext", type)


def can_compile(instruction: Instruction) -> bool:
    """Whether a kernel can carry the instruction out."""
    function = instruction.function
    if isinstance(function, Reduce):
        return all(var.dtype.kind != "f" or instruction.output.dtype.kind in "fb" for var in instruction.inputs)
    if isinstance(function, Cast):
        return not (instruction.inputs[0].dtype.kind == "f" and function.dtype.kind in "iu")
    if isinstance(function, (Copy, Where)):
        return True
    if not isinstance(function, Ufunc):
        return False
    try:
        loop = loop_dtypes(function, instruction)
    except TypeError:
        return False
    name = function.ufunc.__name__
    if getattr(np, name, None) is not function.ufunc:
        return False
    kind = loop[0].kind
    if name == "power":
        return _power(instruction, kind) is not None
    if any(dtype.itemsize > 8 or dtype.char == "e" for dtype in loop):
        return False
    return kind in _TABLE.get(name, {}) or (kind == "u" and "i" in _TABLE.get(name, {}) and name in _UNSIGNED)


def loop_dtypes(function: Ufunc, instruction: Instruction) -> tuple[np.dtype, ...]:
    """The dtypes in which NumPy would compute: of each operand, then of the result."""
    dtypes = [var.dtype for var in instruction.inputs]
    if function.dtype is None:
        return function.ufunc.resolve_dtypes((*dtypes, None))
    return function.ufunc.resolve_dtypes((*dtypes, None), signature=(None,) * len(dtypes) + (function.dtype,))


def element(instruction: Instruction, operands: list[Value]) -> Value:
    """The result, for one element."""
    made: Function = instruction.function
    dtypes = [var.dtype for var in instruction.inputs]
    new = instruction.output.dtype
    if isinstance(made, Copy):
        return operands[0]
    if isinstance(made, Cast):
        return cast(operands[0], dtypes[0], new)
    if isinstance(made, Where):
        condition, a, b = operands
        return select(cast(condition, dtypes[0], np.dtype(bool)), cast(a, dtypes[1], new), cast(b, dtypes[2], new))
    assert isinstance(made, Ufunc)
    *loop, result = loop_dtypes(made, instruction)
    values = [cast(value, dtype, to) for value, dtype, to in zip(operands, dtypes, loop)]
    name = made.ufunc.__name__
    kind = loop[0].kind
    if name == "power":
        return cast(raised(values[0], _power(instruction, kind)), result, new)
    rules = _TABLE[name]
    if kind == "u" and name in _UNSIGNED:
        return cast(_UNSIGNED[name](*values), result, new)
    return cast(rules[kind](*values), result, new)


def cost_of(instruction: Instruction) -> int:
    """About how many additions it is worth."""
    function = instruction.function
    return COST.get(function.ufunc.__name__, 1 if _is_plain(function) else 20) if isinstance(function, Ufunc) else 1


def _is_plain(function: Ufunc) -> bool:
    return function.ufunc.__name__ not in ("exp", "expm1", "exp2", "log", "log2", "log1p", "tanh", "logaddexp")


def _power(instruction: Instruction, kind: str) -> float | None:
    """The exponent, if it is a constant for which multiplications or a root do."""
    exponent = instruction.inputs[1]
    if not is_number(base_of(exponent)):
        return None
    n = number_of(exponent)
    return n if n in ((0, 1, 2, 3, 4) if kind in "iu" else (0, 0.5, 1, 2, 3, 4, -1, -2)) and kind in "iuf" else None


def raised(x: Value, exponent: float | None) -> Value:
    if exponent == 0:
        return x.like(1)
    if exponent == 0.5:
        root = x.intrinsic("sqrt")  # pow(-inf, 0.5) is inf, pow(-0.0, 0.5) is 0
        return select(x.equals(-np.inf), np.inf, select(x.equals(0), 0.0, root))
    if exponent in (-1, -2):
        return 1 / raised(x, -exponent)
    square = x if exponent == 1 else x * x
    return square if exponent in (1, 2) else square * (x if exponent == 3 else square)


# The ufuncs, for each kind of dtype


def maximum(a: Value, b: Value) -> Value:
    """The larger; nan if one is nan."""
    if b.number is not None and b.number == b.number:
        return select(a.compare("uge", b), a, b)
    return select((a >= b) | a.is_nan(), a, b)


def minimum(a: Value, b: Value) -> Value:
    if b.number is not None and b.number == b.number:
        return select(a.compare("ule", b), a, b)
    return select((a <= b) | a.is_nan(), a, b)


def sign(x: Value) -> Value:
    if not x.is_float:
        return select(x > 0, x.like(1), select(x < 0, x.like(-1), x.like(0)))
    return select(x > 0, 1.0, select(x < 0, -1.0, select(x.equals(0), 0.0, x)))


def heaviside(x: Value, at_zero: Value) -> Value:
    step = select(x < 0, x.like(0), x.like(1))
    return select(x.is_nan(), x, select(x.equals(0), at_zero, step))


def logaddexp(a: Value, b: Value) -> Value:
    """log(exp(a) + exp(b)), from the larger; equal ones need no difference, which would be nan at infinity."""
    d = a - b
    rest = function("log1p", function("exp", -abs(d)))
    return select(a.equals(b), a + np.log(2), select(d > 0, a + rest, select(d.is_nan(), d, b + rest)))


def _truth(x: Value) -> Value:
    return x.differs(0)


def _through(name: str) -> Callable[..., Value]:
    return lambda *values: function(name, *values)


def _intrinsic(name: str) -> Callable[..., Value]:
    return lambda x, *others: x.intrinsic(name, *others)


def _all(rule: Callable[..., Value], kinds: str = "bif") -> dict[str, Callable[..., Value]]:
    return dict.fromkeys(kinds, rule)


def _compared(real: str, signed: str) -> dict[str, Callable[..., Value]]:
    return {
        "f": lambda a, b: a.compare(real, b),
        "i": lambda a, b: a.compare(signed, b),
        "b": lambda a, b: a.compare(signed.replace("s", "u", 1) if signed[0] == "s" else signed, b),
    }


_and, _or, _xor = (lambda a, b: a & b), (lambda a, b: a | b), (lambda a, b: a ^ b)
_both = lambda rule: lambda a, b: rule(_truth(a), _truth(b))

_TABLE: dict[str, dict[str, Callable[..., Value]]] = {
    "add": {**_all(lambda a, b: a + b, "if"), "b": _or},
    "subtract": _all(lambda a, b: a - b, "if"),
    "multiply": {**_all(lambda a, b: a * b, "if"), "b": _and},
    "divide": {"f": lambda a, b: a / b},
    "negative": _all(lambda a: -a, "if"),
    "positive": _all(lambda a: a, "if"),
    "absolute": {**_all(abs, "if"), "b": lambda a: a},
    "fabs": {"f": abs},
    "square": _all(lambda a: a * a, "if"),
    "reciprocal": {"f": lambda a: 1 / a},
    "sqrt": {"f": _intrinsic("sqrt")},
    "maximum": {"f": maximum, "i": lambda a, b: select(a > b, a, b), "b": _or},
    "minimum": {"f": minimum, "i": lambda a, b: select(a < b, a, b), "b": _and},
    "fmax": {"f": lambda a, b: select((a >= b) | b.is_nan(), a, b)},
    "fmin": {"f": lambda a, b: select((a <= b) | b.is_nan(), a, b)},
    "sign": _all(sign, "if"),
    "copysign": {"f": _intrinsic("copysign")},
    "heaviside": {"f": heaviside},
    "signbit": {"f": lambda a: a.bits() < 0},
    "isnan": {"f": lambda a: a.is_nan()},
    "isinf": {"f": lambda a: abs(a).equals(np.inf)},
    "isfinite": {"f": lambda a: abs(a) < np.inf},
    "floor": {"f": _intrinsic("floor")},
    "ceil": {"f": _intrinsic("ceil")},
    "trunc": {"f": _intrinsic("trunc")},
    "rint": {"f": _intrinsic("rint")},
    "exp": {"f": _through("exp")},
    "exp2": {"f": _through("exp2")},
    "expm1": {"f": _through("expm1")},
    "log": {"f": _through("log")},
    "log2": {"f": _through("log2")},
    "log1p": {"f": _through("log1p")},
    "tanh": {"f": _through("tanh")},
    "logaddexp": {"f": logaddexp},
    "equal": _compared("oeq", "eq"),
    "not_equal": _compared("une", "ne"),
    "less": _compared("olt", "slt"),
    "less_equal": _compared("ole", "sle"),
    "greater": _compared("ogt", "sgt"),
    "greater_equal": _compared("oge", "sge"),
    "logical_and": _all(_both(_and)),
    "logical_or": _all(_both(_or)),
    "logical_xor": _all(_both(_xor)),
    "logical_not": _all(lambda a: ~_truth(a)),
    "bitwise_and": _all(_and, "bi"),
    "bitwise_or": _all(_or, "bi"),
    "bitwise_xor": _all(_xor, "bi"),
    "invert": _all(lambda a: ~a, "bi"),
}
_SAME = "add subtract multiply negative positive square equal not_equal logical_and logical_or logical_xor logical_not "
_SAME += "bitwise_and bitwise_or bitwise_xor invert"
_UNSIGNED: dict[str, Callable[..., Value]] = {
    **{name: _TABLE[name]["i"] for name in _SAME.split()},
    "absolute": lambda a: a,
    "sign": lambda a: select(a.differs(0), a.like(1), a.like(0)),
    "maximum": lambda a, b: select(a.compare("ugt", b), a, b),
    "minimum": lambda a, b: select(a.compare("ult", b), a, b),
    "less": lambda a, b: a.compare("ult", b),
    "less_equal": lambda a, b: a.compare("ule", b),
    "greater": lambda a, b: a.compare("ugt", b),
    "greater_equal": lambda a, b: a.compare("uge", b),
}
