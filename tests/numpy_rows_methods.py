"""Rows of methods and attributes of the array."""

from numpy_table import (
    boolean,
    case,
    complex_,
    constant,
    distinct,
    plain,
    positive,
    real,
    row,
    with_zeros,
)

ROWS = [
    # Attributes
    *[row(f"ndarray.{name}", case(real(2, 3)), case(complex_(2, 2))) for name in ("T", "mT")],
    row("ndarray.real", case(real(2, 3)), case(complex_(2))),
    row("ndarray.imag", case(real(2, 3)), case(complex_(2))),
    *[
        constant(f"ndarray.{name}", case(real(2, 3)), case(real()))
        for name in ("dtype", "itemsize", "nbytes", "ndim", "shape", "size")
    ],
    row("ndarray.flat", case(real(2, 3)), case(real()), value=list),
    # Numbers
    constant("ndarray.item", case(real()), case(real(3), 1), case(real(2, 3), 1, 2), batched=False),
    constant("ndarray.tolist", case(real(2, 3)), case(real()), batched=False),
    # Reductions
    *[
        row(f"ndarray.{name}", case(draw(2, 3)), case(draw(2, 3), axis=0), case(draw(2, 3), axis=-1, keepdims=True))
        for name, draw in (
            ("max", distinct),
            ("min", distinct),
            ("mean", real),
            ("prod", real),
            ("std", real),
            ("sum", real),
            ("var", real),
        )
    ],
    *[row(f"ndarray.{name}", case(real(2, 3), axis=0, ddof=1)) for name in ("std", "var")],
    row("ndarray.sum", case(real(2, 3), dtype="complex128"), case(real(2, 3), axis=(0, 1), initial=2.0)),
    *[row(f"ndarray.{name}", case(distinct(2, 3), axis=0, initial=0.1)) for name in ("max", "min")],
    *[row(f"ndarray.{name}", case(positive(2, 3)), case(positive(2, 3), axis=1)) for name in ("cumprod", "cumsum")],
    *[constant(f"ndarray.{name}", case(boolean(2, 3)), case(boolean(2, 3), axis=0)) for name in ("all", "any")],
    *[constant(f"ndarray.{name}", case(distinct(2, 3)), case(distinct(2, 3), axis=1)) for name in ("argmax", "argmin")],
    # Order
    *[constant(f"ndarray.{name}", case(distinct(2, 3)), case(distinct(2, 3), axis=0)) for name in ("argsort",)],
    constant("ndarray.argpartition", case(distinct(5), 2), value=lambda order: order[2:3]),
    constant("ndarray.nonzero", case(with_zeros(2, 3)), batched=False),
    constant("ndarray.searchsorted", case(distinct(3), plain(distinct(2, 3))), case(distinct(3), 0.1)),
    row("ndarray.sort", case(distinct(2, 3)), case(distinct(2, 3), axis=0)),
    row("ndarray.partition", case(distinct(2, 5), 2)),
    # Elements
    row("ndarray.choose", case(boolean(3), [real(3), real(3)]), case(boolean(2, 3), [real(3), 1.5])),
    row("ndarray.compress", case(real(3, 2), [True, False, True], axis=0), case(real(4), [True, False, True, True])),
    row("ndarray.take", case(real(4), [0, 2, 2]), case(real(2, 3), 1, axis=1)),
    row("ndarray.repeat", case(real(2, 3), 2), case(real(2, 3), [1, 0, 2], axis=1)),
    row("ndarray.diagonal", case(real(3, 4)), case(real(3, 4), offset=1)),
    row("ndarray.trace", case(real(3, 4)), case(real(3, 4), offset=-1)),
    row("ndarray.fill", case(real(2, 3), 1.5), case(real(2, 3), real())),
    row("ndarray.put", case(real(4), [0, 2], real(2)), case(real(2, 3), [1, 5], 2.0)),
    # Values
    row("ndarray.astype", case(real(2, 3), "complex128"), case(real(2), "float64"), float32=False),
    constant("ndarray.astype", case(distinct(2, 3), "int64"), case(distinct(3), bool)),
    row(
        "ndarray.clip",
        case(distinct(2, 3), -0.4, 0.4),
        case(distinct(2, 3), min=-0.4),
        case(distinct(3), None, positive(3)),
    ),
    *[row(f"ndarray.{name}", case(real(2, 3)), case(complex_(2))) for name in ("conj", "conjugate", "copy")],
    constant("ndarray.round", case(distinct(2, 3)), case(distinct(3), 1)),
    # Shapes
    row("ndarray.flatten", case(real(2, 3)), case(real(2, 3), "F")),
    row("ndarray.ravel", case(real(2, 3)), case(real())),
    row("ndarray.reshape", case(real(2, 3), 3, 2), case(real(2, 3), (3, -1)), case(real(2, 3), (3, 2), order="F")),
    row("ndarray.squeeze", case(real(2, 1, 3)), case(real(1, 2, 1), axis=0)),
    row("ndarray.swapaxes", case(real(2, 3, 4), 0, 2)),
    row("ndarray.transpose", case(real(2, 3, 4), 1, 2, 0), case(real(2, 3, 4), (2, 0, 1))),
    row("ndarray.dot", case(real(2, 3), real(3)), case(real(3), plain(real(3, 2)))),
]
