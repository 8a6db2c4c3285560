"""Rows of piecewise constant functions that are no ufuncs: order, search, sets, questions and text."""

import numpy as np
from numpy_table import boolean, case, complex_, constant, distinct, distinct_too, plain, real, whole, with_zeros

_EDGES = np.array([-1.0, 0.0, 1.0])
_text = {"float32": False}


def comparison(name: str):
    """A function that compares two arrays."""
    return constant(
        name,
        case(distinct(2, 3), distinct_too(2, 3)),
        case(distinct(2, 3), distinct(2, 3)),
        case(with_zeros(3), 0.0),
        case(plain(distinct(3)), distinct(3)),
        case(distinct(2), distinct(3)) if name.startswith("array_") else case(distinct(1), distinct(3)),
    )


def of_values(name: str, *cases, **about):
    """A function whose result has a shape that depends on values."""
    return constant(name, *cases, batched=False, **about)


ROWS = [
    # Rounding
    *[
        constant(name, case(distinct(2, 3)), case(distinct(4), 1), case(distinct()), case(complex_(3), decimals=2))
        for name in ("around", "round")
    ],
    # Order
    constant(
        "argsort",
        case(distinct(2, 3)),
        case(distinct(2, 3), axis=0),
        case(distinct(4), kind="stable"),
        case(distinct(2, 3), None),
    ),
    constant("argpartition", case(distinct(5), 2), case(distinct(5, 2), 1, axis=0), value=lambda order: order[2:3]),
    constant("lexsort", case([distinct(4), distinct_too(4)]), case(distinct(2, 5))),
    constant(
        "searchsorted", case(_EDGES, distinct(2, 3)), case(_EDGES, distinct(3), side="right"), case(_EDGES, distinct())
    ),
    constant("digitize", case(distinct(2, 3), _EDGES), case(distinct(4), _EDGES, right=True)),
    constant("histogram_bin_edges", case(distinct(8)), case(distinct(8), 3), case(distinct(8), bins=4, range=(-1, 1))),
    # Comparison
    *[comparison(name) for name in ("allclose", "array_equal", "array_equiv", "isclose")],
    constant(
        "isclose", case(distinct(2, 3), distinct_too(3), rtol=0.5), case(distinct(3), distinct(3), equal_nan=True)
    ),
    constant(
        "isin",
        case(whole(2, 3), whole(4)),
        case(distinct(3), distinct(5)),
        case(distinct(3), [0.075, 1.0], invert=True),
    ),
    # Places
    of_values("argwhere", case(with_zeros(2, 3)), case(boolean(4))),
    of_values("flatnonzero", case(with_zeros(2, 3)), case(boolean(4))),
    of_values("nonzero", case(with_zeros(2, 3)), case(boolean(4))),
    # Sets
    *[
        of_values(name, case(whole(5), whole(6)), case(distinct(3), distinct(5)))
        for name in ("intersect1d", "setdiff1d", "setxor1d", "union1d")
    ],
    *[
        of_values(name, case(whole(6)), case(distinct(2, 3)))
        for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")
    ],
    # Questions that need no numbers
    *[constant(name, case(real(2, 3)), case(real()), case(real(0, 2))) for name in ("shape", "ndim", "size")],
    constant("size", case(real(2, 3), 1)),
    constant(
        "result_type", case(real(2), "float32"), case(real(2, dtype="float32"), whole(2)), case(real(), 1.0), **_text
    ),
    # Text
    *[of_values(name, case(real(2, 3)), case(real())) for name in ("array2string", "array_str")],
    of_values("array_repr", case(real(2, 3)), case(real(2), precision=3)),
]
