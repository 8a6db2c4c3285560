"""Functions of floats that LLVM can carry out on many lanes at once: no branches, no tables, no calls.

Each is written once for float32 and float64, with coefficients for both.  Errors, measured against exact values over
the whole range, subnormal results among them, are below 2 units in the last place (tests/test_program_kernels.py).
The polynomials for exp and tanh are minimax (Remez); log and log1p follow FreeBSD's msun.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .code import WIDTHS, Code, Module, Value, fma, polynomial, select

MANTISSA = {"float": 23, "double": 52}
BIAS = {"float": 127, "double": 1023}
LOG2E = 1.4426950408889634
# ln 2 in two parts; with fma the first need not be short
LN2 = {"float": (0.693147182464599609375, -1.904654323148236017e-09), "double": (math.log(2), 2.3190468138462996e-17)}
# (exp(r) - 1 - r) / r² for |r| ≤ ln(2)/2
EXP = {
    "float": (
        0.5000000062058236,
        0.16666542793973965,
        0.04166628149544107,
        0.008366610607944993,
        0.0013946490963082645,
    ),
    "double": (
        0.5,
        0.16666666666666677,
        0.0416666666666667,
        0.00833333333332158,
        0.001388888888886675,
        0.00019841269886259927,
        2.4801587360748785e-05,
        2.7557244068571655e-06,
        2.7557242581096e-07,
        2.510908803483261e-08,
        2.0924502224022242e-09,
    ),
}
# (tanh(x) - x) / x³ in x², up to |x| = 0.26
TANH = {
    "float": (-0.3333331306295182, 0.1332792767932221, -0.05181717881678038),
    "double": (
        -0.3333333333333329,
        0.13333333333272057,
        -0.05396825382301544,
        0.02186947560834087,
        -0.008862686378733083,
        0.0035801046279189696,
        -0.001324002407572885,
    ),
}
# (log(1 + f) - f + f²/2 …) in (f / (2 + f))², msun's e_logf.c and e_log.c
LOG = {
    "float": (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841),
    "double": (
        6.666666666666735130e-01,
        3.999999999940941908e-01,
        2.857142874366239149e-01,
        2.222219843214978396e-01,
        1.818357216161805012e-01,
        1.531383769920937332e-01,
        1.479819860511658591e-01,
    ),
}
# ln 2 in two parts, of which the first times an exponent is exact
LN2_SHORT = {
    "float": (6.9313812256e-01, 9.0580006145e-06),
    "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}


def _bits(type: str, number: float) -> int:
    """The bits of a power of two times 1.5 or the like, by arithmetic."""
    fraction, exponent = math.frexp(number)
    return ((exponent - 1 + BIAS[type]) << MANTISSA[type]) + round((2 * fraction - 1) * 2 ** MANTISSA[type])


def power_of_two(k: Value) -> Value:
    """2ᵏ for a whole number k within the exponents of normal numbers."""
    type = "float" if k.type == "i32" else "double"
    return ((k + BIAS[type]) << MANTISSA[type]).from_bits()


def nearest(x: Value, factor: float) -> tuple[Value, Value]:
    """The whole number nearest to x·factor, as a float and as a whole number (Value types float and i32, double, i64).

    Adding 1.5·2²³ (or ⁵²) leaves the whole number in the last bits.
    """
    magic = 1.5 * 2.0 ** MANTISSA[x.type]
    shifted = fma(x, factor, magic)
    return shifted - magic, shifted.bits() - _bits(x.type, magic)


def clamped(x: Value, low: float, high: float) -> Value:
    """x within bounds; nan stays nan."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


def reduced(x: Value) -> tuple[Value, Value, Value]:
    """n, k and exp(r) - 1 for x = k·ln 2 + r with |r| ≤ ln(2)/2; n is k as a float."""
    n, k = nearest(x, LOG2E)
    high, low = LN2[x.type]
    r = fma(n, -low, fma(n, -high, x))
    return n, k, fma(r * r, polynomial(r, EXP[x.type]), r)


def scaled(x: Value, k: Value) -> Value:
    """x·2ᵏ in two steps, so that 2ᵏ itself may be too small or too large."""
    half = k >> 1
    return x * power_of_two(half) * power_of_two(k - half)


def exp(x: Value) -> Value:
    x = clamped(x, -104.0, 89.0) if x.type == "float" else clamped(x, -746.0, 710.0)
    _, k, p = reduced(x)
    return scaled(p + 1, k)


def expm1(x: Value) -> Value:
    bounded = clamped(x, -20.0, 89.0) if x.type == "float" else clamped(x, -45.0, 710.0)
    n, k, p = reduced(bounded)
    half = power_of_two(k - 1)
    return select(n.equals(0), p, 2 * fma(p, half, half - 0.5)).intrinsic("copysign", x)


def exp2(x: Value) -> Value:
    x = clamped(x, -151.0, 128.5) if x.type == "float" else clamped(x, -1076.0, 1024.5)
    n, k = nearest(x, 1.0)
    r = (x - n) * math.log(2)
    return scaled(fma(r * r, polynomial(r, EXP[x.type]), r) + 1, k)


def tanh(x: Value) -> Value:
    """t/(t + 2) for t = exp(2|x|) - 1, with the sign of x; near 0, where rounding t and t + 2 counts, a polynomial."""
    a = abs(x)
    _, k, p = reduced(select(a > 22.0, 22.0, a) * 2)
    power = power_of_two(k)
    t = fma(p, power, power - 1)
    z = x * x
    near = fma(a * z, polynomial(z, TANH[x.type]), a)
    return select(a < 0.26, near, t / (t + 2)).intrinsic("copysign", x)


def mantissa(x: Value) -> tuple[Value, Value]:
    """k and m, for a normal x = 2ᵏ·m with m between √½ and √2."""
    bits = x.bits()
    k = (bits - _bits(x.type, math.sqrt(0.5))) >> MANTISSA[x.type]
    return k, (bits - (k << MANTISSA[x.type])).from_bits()


def log1p_of_mantissa(f: Value) -> tuple[Value, Value]:
    """log(1 + f) as f - f²/2 + rest: f²/2, and the rest."""
    s = f / (f + 2)
    z = s * s
    half = f * f * 0.5
    return half, s * (half + z * polynomial(z, LOG[f.type]))


def normal(x: Value) -> tuple[Value, Value]:
    """x times a power of two that makes it normal, and minus that power."""
    small = x < 2.0 ** (1 - BIAS[x.type])
    steps = MANTISSA[x.type] + 2
    return select(small, x * 2.0**steps, x), select(small, x.bits().like(-steps), x.bits().like(0))


def of_logarithm(x: Value, result: Value) -> Value:
    """The value of a logarithm, and what it is at 0, below, and at infinity."""
    inside = select(x.equals(math.inf), math.inf, result)
    return select(x > 0, inside, select(x.equals(0), x.like(-math.inf), x.like(math.nan)))


def log(x: Value) -> Value:
    m, below = normal(x)
    k, m = mantissa(m)
    n = (k + below).convert("sitofp", x.type)
    f = m - 1
    half, rest = log1p_of_mantissa(f)
    high, low = LN2_SHORT[x.type]
    return of_logarithm(x, fma(n, high, (fma(n, low, rest) - half) + f))


def log2(x: Value) -> Value:
    m, below = normal(x)
    k, m = mantissa(m)
    f = m - 1
    half, rest = log1p_of_mantissa(f)
    return of_logarithm(x, fma(rest - half + f, LOG2E, (k + below).convert("sitofp", x.type)))


def log1p(x: Value) -> Value:
    u = x + 1
    k, m = mantissa(u)
    n = k.convert("sitofp", x.type)
    # what was lost in 1 + x, relative to u
    lost = select(k >= 2, 1 - (u - x), x - (u - 1)) / u
    near = k.equals(0)
    f = select(near, x, m - 1)
    lost = select(near, 0.0, select(k > MANTISSA[x.type] + 1, 0.0, lost))
    half, rest = log1p_of_mantissa(f)
    high, low = LN2_SHORT[x.type]
    result = fma(n, high, (fma(n, low, lost) + rest - half) + f)
    return select(abs(x) < 2.0 ** -(MANTISSA[x.type] + 3), x, of_logarithm(u, result))


def sqrt(x: Value) -> Value:
    return x.intrinsic("sqrt")


FUNCTIONS: dict[str, Callable[..., Value]] = {
    each.__name__: each for each in (exp, expm1, exp2, log, log2, log1p, sqrt, tanh)
}


def function(name: str, *values: Value) -> Value:
    """The code of a call to a function above, which is written into the module once and inlined by LLVM."""
    code, type = values[0].code, values[0].type
    full = f"@{name}.{type}"
    if full not in code.module.functions:
        code.module.functions[full] = ""
        code.module.functions[full] = _definition(code.module, full, name, type, len(values))
    given = ", ".join(f"{type} {value.name}" for value in values)
    return code.value(type, f"call {type} {full}({given})")


def _definition(module: Module, full: str, name: str, type: str, count: int) -> str:
    code = Code(module)
    result = FUNCTIONS[name](*[Value(code, type, f"%x{i}") for i in range(count)])
    parameters = ", ".join(f"{type} %x{i}" for i in range(count))
    lines = [f"define internal {type} {full}({parameters}) alwaysinline nounwind {{", "entry:", *code.lines]
    return "\n".join([*lines, f"  ret {type} {result.name}", "}"])


assert set(WIDTHS) >= set(MANTISSA)
