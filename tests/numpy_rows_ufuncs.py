"""Rows of ufuncs, and of the elementwise functions that are none."""

from numpy_table import (
    Case,
    Row,
    above_one,
    boolean,
    case,
    complex_,
    constant,
    distinct,
    distinct_too,
    far,
    natural,
    nonzero,
    plain,
    positive,
    real,
    row,
    small,
    whole,
    with_nan,
)


def unary(name: str, draw=real, *more: Case, **about) -> Row:
    """Several shapes of one argument."""
    return row(name, case(draw(2, 3)), case(draw()), case(draw(0, 2)), case(draw(4)), *more, **about)


def binary(name: str, left=real, right=real, *more: Case, **about) -> Row:
    """Several shapes of two arguments that broadcast, numbers and arrays beside a Tensor."""
    return row(
        name,
        case(left(2, 3), right(2, 3)),
        case(left(3, 1), right(4)),
        case(left(), right(2)),
        case(left(0, 2), right(2)),
        case(left(3), 1.25),
        case(1.25, right(3)),
        case(left(2, 3), plain(right(3))),
        case(plain(left(2, 1)), right(3)),
        *more,
        **about,
    )


_complex = case(complex_(2, 3))
_complex_pair = case(complex_(2, 3), complex_(3))
_mixed = case(complex_(2, 3), real(3)), case(real(3), complex_(2, 1))

ROWS = [
    # Arithmetic
    binary("add", real, real, _complex_pair, *_mixed),
    binary("subtract", real, real, _complex_pair, *_mixed),
    binary("multiply", real, real, _complex_pair, *_mixed),
    binary("divide", real, nonzero, _complex_pair, *_mixed),
    binary("true_divide", real, nonzero),
    binary("power", positive, real, case(complex_(2, 2), 3), case(complex_(3), complex_(3))),
    binary("pow", positive, real),
    binary("float_power", positive, real),
    binary("mod", far, above_one),
    binary("remainder", far, above_one),
    binary("fmod", far, above_one),
    row("divmod", case(far(2, 3), above_one(3)), case(far(3), 1.7), case(7.3, above_one(3))),
    unary("negative", real, _complex),
    unary("positive", real, _complex),
    unary("square", real, _complex),
    unary("sqrt", positive, _complex),
    unary("cbrt", nonzero),
    unary("reciprocal", nonzero, _complex),
    unary("absolute", nonzero, _complex),
    unary("abs", nonzero, _complex),
    unary("fabs", nonzero),
    # Exponentials and logarithms
    unary("exp", real, _complex),
    unary("exp2", real, _complex),
    unary("expm1", real, _complex),
    unary("log", positive, _complex),
    unary("log2", positive, _complex),
    unary("log10", positive, _complex),
    unary("log1p", positive, _complex),
    binary("logaddexp", real, real, case(far(3), far(3))),
    binary("logaddexp2", real, real, case(far(3), far(3))),
    # Trigonometry
    unary("sin", real, _complex),
    unary("cos", real, _complex),
    unary("tan", small, _complex),
    *[unary(name, small, _complex) for name in ("arcsin", "asin", "arccos", "acos", "arctanh", "atanh")],
    *[unary(name, real, _complex) for name in ("arctan", "atan", "arcsinh", "asinh", "sinh", "cosh", "tanh")],
    *[unary(name, above_one, _complex) for name in ("arccosh", "acosh")],
    binary("arctan2", nonzero, nonzero),
    binary("atan2", nonzero, nonzero),
    binary("hypot", nonzero, nonzero),
    *[unary(name) for name in ("deg2rad", "radians", "rad2deg", "degrees")],
    unary("sinc", real, case(small(3))),
    unary("i0", real, case(far(3))),
    # The larger and the smaller
    *[binary(name, distinct, distinct_too) for name in ("maximum", "minimum", "fmax", "fmin")],
    # Parts
    binary("copysign", nonzero, nonzero),
    row("heaviside", case(nonzero(2, 3), real(3)), case(nonzero(3), 0.5), case(nonzero(3), plain(real(3)))),
    row("ldexp", case(real(2, 3), plain(whole(3))), case(real(3), 2), case(real(), plain(whole(2)))),
    row("frexp", case(nonzero(2, 3)), case(nonzero()), case(far(4)), case(nonzero(0, 2))),
    row("modf", case(distinct(2, 3)), case(distinct()), case(distinct(0, 2))),
    unary("conj", real, _complex),
    unary("conjugate", real, _complex),
    unary("real", real, _complex),
    unary("imag", real, _complex),
    unary("angle", nonzero, _complex, case(complex_(3), deg=True)),
    row("real_if_close", case(real(2, 3)), float32=False),
    row("real_if_close", case(complex_(3)), batched=False, float32=False),
    row(
        "nan_to_num",
        case(with_nan(2, 3)),
        case(with_nan(4), nan=2.5),
        case(real(3), copy=False),
        case(real()),
        batched=True,
    ),
    # Bounds
    row(
        "clip",
        case(distinct(2, 3), -0.45, 0.45),
        case(distinct(2, 3), None, 0.45),
        case(distinct(5), -0.45, None),
        case(distinct(2, 3), distinct_too(3), 1.0),
        case(distinct(3), plain(distinct_too(3)), above_one(2, 1)),
        case(distinct(), -1.0, 1.0),
        case(distinct(0, 2), 0, 1),
    ),
    # Piecewise constant
    *[
        constant(name, case(distinct(2, 3)), case(distinct()), case(distinct(0, 2)), case(with_nan(4)))
        for name in ("ceil", "floor", "rint", "trunc", "fix", "isfinite", "isinf", "isnan", "signbit", "sign")
    ],
    constant("spacing", case(distinct(2, 3)), case(distinct())),
    *[constant(name, case(distinct(2, 3)), case(distinct())) for name in ("isneginf", "isposinf")],
    *[constant(name, case(distinct(2, 3)), case(complex_(3))) for name in ("iscomplex", "isreal")],
    *[constant(name, case(distinct(2, 3)), case(complex_(3))) for name in ("iscomplexobj", "isrealobj")],
    *[
        constant(
            name,
            case(distinct(2, 3), distinct_too(3)),
            case(distinct(3), 0.3),
            case(0.3, distinct(3)),
            case(real(0), 1),
        )
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ],
    *[
        constant(name, case(distinct(2, 3), distinct_too(3)), case(boolean(3), boolean(2, 1)), case(distinct(3), 0))
        for name in ("logical_and", "logical_or", "logical_xor")
    ],
    constant("logical_not", case(distinct(2, 3)), case(boolean(3))),
    *[
        constant(name, case(whole(2, 3), whole(3)), case(whole(3), 2), case(boolean(3), boolean(3)))
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ],
    *[constant(name, case(whole(2, 3)), case(boolean(3))) for name in ("bitwise_not", "bitwise_invert", "invert")],
    constant("bitwise_count", case(whole(2, 3)), case(natural(3))),
    *[
        constant(name, case(whole(2, 3), natural(3)), case(whole(3), 2))
        for name in ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")
    ],
    *[constant(name, case(natural(2, 3), natural(3)), case(natural(3), 4)) for name in ("gcd", "lcm")],
    constant("floor_divide", case(distinct(2, 3), above_one(3)), case(distinct(3), 1.7), case(5.3, above_one(2))),
    constant("nextafter", case(distinct(2, 3), distinct_too(3)), case(distinct(3), 0.0)),
    # Products of vectors and matrices that are ufuncs
    row(
        "matmul",
        case(real(2, 3), real(3, 4)),
        case(real(3), real(3)),
        case(real(2, 3), real(3)),
        case(real(3), real(2, 3, 2)),
        case(real(2, 1, 2, 3), real(4, 3, 2)),
        case(plain(real(2, 3)), real(3, 2)),
        case(complex_(2, 3), complex_(3, 2)),
        case(real(0, 3), real(3, 2)),
    ),
    row(
        "vecdot",
        case(real(2, 3), real(3)),
        case(real(3, 2), real(3, 2), axis=0),
        case(complex_(2, 3), complex_(2, 3)),
        case(complex_(3), real(2, 3)),
    ),
    row("matvec", case(real(2, 3), real(3)), case(real(4, 2, 3), real(4, 3)), case(complex_(2, 3), complex_(3))),
    row("vecmat", case(real(2), real(2, 3)), case(real(4, 2), real(4, 2, 3)), case(complex_(2), complex_(2, 3))),
]
