"""Rows of reductions, their nan-versions, and running sums and products."""

import numpy as np
from numpy_table import (
    Row,
    boolean,
    case,
    complex_,
    constant,
    distinct,
    plain,
    positive,
    real,
    row,
    with_nan,
    with_zeros,
)

_MASK = np.array([[True, False, True], [True, True, False]])


def reduction(name: str, draw=real, *more, empty=True, **about) -> Row:
    """Every way to name axes, and `keepdims`."""
    ways = [
        case(draw(2, 3)),
        case(draw(2, 3), axis=0),
        case(draw(2, 3, 2), axis=(0, 2)),
        case(draw(2, 3), axis=-1, keepdims=True),
        case(draw(2, 3), keepdims=True),
        case(draw(2, 3, 2), (1,)),
        case(draw(4)),
        case(draw()),
    ]
    ways += [case(draw(0, 3), axis=1), case(draw(0, 3), axis=0)] if empty else [case(draw(0, 3), axis=1)]
    return row(name, *ways, *more, **about)


def masked(draw=real, **about) -> list:
    """Where only some elements count."""
    return [
        case(draw(2, 3), where=_MASK, **about),
        case(draw(2, 3), axis=1, where=_MASK, **about),
        case(draw(2, 3), axis=0, keepdims=True, where=_MASK[:, :1] | _MASK[:, 1:2], **about),
    ]


_spread = [case(real(2, 3), ddof=1), case(real(2, 3), axis=1, ddof=1), case(real(4, 3), axis=0, ddof=2.5)]
_corrected = [case(real(2, 3), axis=1, correction=1), case(real(2, 3), axis=1, mean=np.array([[0.5], [0.25]]))]

ROWS = [
    reduction(
        "sum",
        real,
        case(complex_(2, 3), axis=0),
        case(real(2, 3), 0, None, None, True),
        case(real(2, 3), axis=0, initial=2.5),
        case(real(2, 3), dtype="complex128"),
        *masked(),
        *masked(initial=1.5),
    ),
    reduction(
        "prod",
        real,
        case(complex_(2, 3), axis=0),
        case(with_zeros(2, 3), axis=1),
        case(with_zeros(5)),
        case(with_zeros(3, 2, 2), axis=(2, 0)),
        case(with_zeros(4, 3), axis=0, keepdims=True),
        case(real(2, 3), axis=0, initial=2.5),
        *masked(),
    ),
    *[
        reduction(
            name,
            distinct,
            case(distinct(2, 3), axis=0, initial=0.1),
            case(distinct(0, 3), axis=0, initial=0.1),
            *masked(distinct, initial=0.1),
            empty=False,
        )
        for name in ("max", "min", "amax", "amin")
    ],
    reduction("ptp", distinct, empty=False),
    reduction("mean", real, case(complex_(2, 3), axis=0), case(real(2, 3), dtype="complex128"), *masked()),
    reduction("var", real, case(complex_(2, 3), axis=0), *_spread, *_corrected, *masked()),
    reduction(
        "std",
        real,
        case(complex_(2, 3), axis=0),
        *_spread,
        *_corrected,
        *masked(),
        case(real(2, 3), where=_MASK, ddof=1),
    ),
    row(
        "average",
        case(real(2, 3)),
        case(real(2, 3), axis=0),
        case(real(2, 3), axis=1, weights=positive(3)),
        case(real(2, 3), weights=positive(2, 3)),
        case(real(2, 3), 1, plain(positive(2, 3)), True),
        case(real(2, 3, 4), axis=(2, 0), weights=positive(4, 2)),
        case(real(2, 3), axis=1, weights=positive(3), keepdims=True, returned=True),
        case(complex_(2, 3), axis=1, weights=positive(3)),
    ),
    # Without what is nan
    reduction("nansum", with_nan, *masked(with_nan)),
    reduction("nanprod", with_nan, *masked(with_nan)),
    *[
        reduction(name, with_nan, case(distinct(2, 3), axis=1), case(with_nan(2, 3), axis=0, initial=0.1), empty=False)
        for name in ("nanmax", "nanmin")
    ],
    reduction("nanmean", with_nan, *masked(with_nan)),
    reduction("nanvar", with_nan, *_spread, case(with_nan(2, 4), axis=1, ddof=1), *masked(with_nan)),
    reduction("nanstd", with_nan, *_spread, case(with_nan(2, 4), axis=1, ddof=1), *masked(with_nan)),
    # Running
    *[
        row(
            name,
            case(draw(2, 3)),
            case(draw(2, 3), axis=0),
            case(draw(2, 3), -1),
            case(draw(7)),
            case(draw()),
            case(draw(0, 2), axis=0),
            case(complex_(2, 3), axis=1),
            case(draw(100), dtype="complex128"),
        )
        for name, draw in (("cumsum", real), ("cumprod", positive), ("nancumsum", with_nan), ("nancumprod", with_nan))
    ],
    row("cumprod", case(with_zeros(6)), case(with_zeros(4, 2), axis=0), case(with_zeros(2, 5), axis=1)),
    row("cumprod", case(with_zeros(90)), float32=False),
    *[
        row(
            name,
            case(real(4)),
            case(real(2, 3), axis=0),
            case(real(2, 3), axis=1, include_initial=True),
            case(real(3), include_initial=True),
        )
        for name in ("cumulative_sum", "cumulative_prod")
    ],
    # Piecewise constant
    *[
        constant(name, case(boolean(2, 3)), case(distinct(2, 3), axis=0), case(boolean(2, 3), axis=1, keepdims=True))
        for name in ("all", "any")
    ],
    *[
        constant(
            name,
            case(distinct(2, 3)),
            case(distinct(2, 3), axis=1),
            case(distinct(4), 0),
            case(distinct(2, 3), axis=0, keepdims=True),
        )
        for name in ("argmax", "argmin")
    ],
    *[constant(name, case(with_nan(4)), case(with_nan(2, 4), axis=1)) for name in ("nanargmax", "nanargmin")],
    constant(
        "count_nonzero",
        case(with_zeros(2, 3)),
        case(with_zeros(2, 3), axis=1),
        case(with_zeros(2, 3), axis=0, keepdims=True),
    ),
]
