"""Rows of functions that make arrays: of Tensors and numbers, or like another one."""

import numpy as np
from numpy_table import case, complex_, constant, plain, real, row, whole


def from_array(name: str, *more, **about):
    """A function of one array or nested list."""
    return row(
        name,
        case(real(2, 3)),
        case(real()),
        case(real(0, 2)),
        case([real(), real(), 1.5]),
        case([[real(), 2.0], (real(), real())]),
        case([real(3), plain(real(3))]),
        case(complex_(2)),
        case([complex_(), real()]),
        case(real(3), "complex128"),
        *more,
        only_needle=True,
        **about,
    )


ROWS = [
    from_array(
        "array", case(real(3), ndmin=2), case(real(3), copy=False), case([real(2), real(2)], dtype="complex128")
    ),
    *[from_array(name) for name in ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require")],
    row(
        "bmat",
        case([[real(2, 2), real(2, 1)], [real(1, 2), real(1, 1)]]),
        case([real(2, 2), real(2, 1)]),
        case([[real(2, 2), plain(real(2, 3))]]),
        only_needle=True,
        value=lambda result: np.asarray(result) if isinstance(result, np.matrix) else result,
    ),
    row(
        "full",
        case((2, 3), real()),
        case((2, 3), real(3)),
        case((2, 3), real(2, 1)),
        case(3, real()),
        case((0, 2), real()),
        case((2,), real(), "complex128"),
        only_needle=True,
    ),
    row(
        "full_like",
        case(plain(real(2, 3)), real()),
        case(plain(real(2, 3)), real(3)),
        case(real(2, 3), real(2, 1)),
        case(real(2, 3), 1.5),
        case(real(2), real(), shape=(3, 2)),
        case(real(2), real(), dtype="complex128"),
        only_needle=True,
    ),
    *[
        constant(
            name,
            case(real(2, 3)),
            case(whole(3)),
            case(real(2), dtype="int32"),
            case(real(2), shape=(2, 2)),
            case(real(0, 2)),
        )
        for name in ("zeros_like", "ones_like")
    ],
    constant(
        "empty_like",
        case(real(2, 3)),
        case(whole(3)),
        case(real(2), shape=(2, 2)),
        value=lambda x: (x.shape, str(x.dtype)),
    ),
]
