"""Rows of `numpy.linalg`.

Matrices are drawn well apart from where a derivative ends: regular ones with a condition number near 10, Hermitian ones
with gaps between their eigenvalues.  Directions of differences are any: of a Hermitian argument NumPy reads one
triangle, and the derivative in the other is 0.
"""

import numpy as np
from numpy_table import DOMAINS, Drawn, case, complex_, distinct, plain, real, row, with_zeros


def _orthonormal(rng, shape, dtype):
    a = rng.normal(size=shape)
    if dtype is complex:
        a = a + 1j * rng.normal(size=shape)
    return np.linalg.qr(a)[0]


def _with_singular_values(dtype=float):
    """Matrices whose singular values lie between 0.5 and 3, well apart."""

    def draw(rng, shape):
        *batch, m, n = shape
        k = min(m, n)
        u, v = (_orthonormal(rng, (*batch, size, k), dtype) for size in (m, n))
        s = 0.5 + 2.5 * (np.arange(k) + rng.uniform(0.2, 0.8, (*batch, k))) / max(k, 1)
        return u * s[..., None, :] @ np.swapaxes(v.conj(), -1, -2)

    return draw


def _hermitian(low, dtype=float):
    """Hermitian matrices with eigenvalues from `low` up, well apart."""

    def draw(rng, shape):
        v = _orthonormal(rng, shape, dtype)
        n = shape[-1]
        w = low + np.arange(n) + rng.uniform(0.2, 0.8, shape[:-1])
        return v * w[..., None, :] @ np.swapaxes(v.conj(), -1, -2)

    return draw


def _diagonalizable(dtype=float):
    """Square matrices, real or complex, whose eigenvalues lie well apart; those of real ones may be complex."""

    def draw(rng, shape):
        n = shape[-1]
        a = np.diag(1.5 * np.arange(n)) + 0.4 * rng.normal(size=shape)
        if dtype is complex:
            a = a + 0.4j * rng.normal(size=shape)
        elif n > 2:  # a rotation of the last two axes
            a[..., -1, -2] += 2
            a[..., -2, -1] -= 2
        return a

    return draw


def _singular(rng, shape):
    u, s, vh = np.linalg.svd(rng.normal(size=shape))
    s[..., -1] = 0
    return u * s[..., None, :] @ vh


DOMAINS.update({
    "regular": _with_singular_values(),
    "regular complex": _with_singular_values(complex),
    "hermitian": _hermitian(-1.0),
    "hermitian complex": _hermitian(-1.0, complex),
    "definite": _hermitian(0.5),
    "definite complex": _hermitian(0.5, complex),
    "diagonalizable": _diagonalizable(),
    "diagonalizable complex": _diagonalizable(complex),
    "singular": _singular,
})  # fmt: skip


def regular(*shape):
    return Drawn(shape, "regular")


def regular_complex(*shape):
    return Drawn(shape, "regular complex")


def hermitian(*shape):
    return Drawn(shape, "hermitian")


def hermitian_complex(*shape):
    return Drawn(shape, "hermitian complex")


def definite(*shape):
    return Drawn(shape, "definite")


def definite_complex(*shape):
    return Drawn(shape, "definite complex")


def diagonalizable(*shape):
    return Drawn(shape, "diagonalizable")


def diagonalizable_complex(*shape):
    return Drawn(shape, "diagonalizable complex")


def singular(*shape):
    return Drawn(shape, "singular")


def _squares(**keywords):
    return case(regular(3, 3), **keywords), case(regular(2, 3, 3), **keywords), case(regular_complex(3, 3), **keywords)


def _shapes(**keywords):
    return (
        *_squares(**keywords),
        case(regular(4, 2), **keywords),
        case(regular(2, 2, 4), **keywords),
        case(regular_complex(4, 2), **keywords),
        case(regular_complex(2, 4), **keywords),
    )


def _vector_norms():
    for order in (None, 1, 2, 3, 2.5, 0.5, -1, -2.5, np.inf, -np.inf):
        yield case(distinct(4), order)
        yield case(distinct(2, 3), order, axis=0)
    for order in (None, 1, 2, 3, np.inf):
        yield case(complex_(4), order)
    yield case(real(2, 3), 2, axis=-1, keepdims=True)
    yield case(with_zeros(5), 3)


def _matrix_norms():
    for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        yield case(regular(3, 4), order)
        yield case(regular_complex(3, 2), order)
        yield case(real(3, 2, 3), order, axis=(2, 0), keepdims=order in (2, 1))


ROWS = [
    row(
        "linalg.norm",
        case(real(2, 3)),
        case(real()),
        case(real(2, 3, 2)),
        case(real(2, 3), keepdims=True),
        case(real(0)),
        case(real(2, 3), None, 1),
        *_vector_norms(),
        *_matrix_norms(),
    ),
    row(
        "linalg.vector_norm",
        case(real(2, 3)),
        case(real(2, 3), axis=0, keepdims=True),
        case(real(2, 3, 2), axis=(0, 2)),
        case(complex_(4)),
        case(distinct(2, 3), ord=3, axis=1),
        case(distinct(2, 3), ord=np.inf, keepdims=True),
    ),
    row(
        "linalg.matrix_norm",
        case(regular(3, 4)),
        case(regular(2, 3, 3), ord="nuc"),
        case(regular(2, 3, 4), ord=2, keepdims=True),
        case(regular_complex(3, 3), ord=1),
    ),
    row(
        "linalg.cond",
        *_squares(),
        case(regular(4, 2)),
        *_squares(p=2),
        *_squares(p=-2),
        *_squares(p="fro"),
        case(regular(3, 3), "nuc"),
        *_squares(p=1),
        case(regular(3, 3), -1),
        case(regular(3, 3), np.inf),
        case(regular(3, 3), -np.inf),
    ),
    # Products
    row(
        "linalg.matmul",
        case(real(2, 3), real(3, 2)),
        case(real(4, 2, 3), real(3)),
        case(complex_(2, 3), complex_(3, 2)),
        case(plain(real(2, 3)), real(3, 2)),
    ),
    row(
        "linalg.multi_dot",
        case([real(2, 3), real(3, 4), real(4, 2)]),
        case([real(3), real(3, 4), plain(real(4, 2)), real(2)]),
        case([real(2, 3), real(3)]),
        case([complex_(2, 5), complex_(5, 1), complex_(1, 4)]),
    ),
    row("linalg.outer", case(real(3), real(2)), case(complex_(3), real(2)), case(real(0), real(2))),
    row(
        "linalg.vecdot",
        case(real(2, 3), real(3)),
        case(real(2, 3), real(2, 3), axis=0),
        case(complex_(2, 3), complex_(2, 3)),
    ),
    row(
        "linalg.cross",
        case(real(3), real(3)),
        case(real(2, 3), real(3)),
        case(real(3, 2), real(3, 2), axis=0),
        case(complex_(2, 3), complex_(2, 3)),
    ),
    row(
        "linalg.tensordot",
        case(real(2, 3, 4), real(3, 4, 2)),
        case(real(2, 3), real(3, 2), axes=1),
        case(real(2, 3), real(4, 2), axes=(0, 1)),
        case(real(2, 3), real(2, 3), axes=([0, 1], [0, 1])),
        case(real(2), real(3), axes=0),
        case(complex_(2, 3), complex_(3, 2), axes=1),
    ),
    row(
        "linalg.trace",
        case(real(3, 3)),
        case(real(2, 3, 4)),
        case(real(3, 4), offset=1),
        case(real(3, 4), offset=-2),
        case(complex_(3, 3)),
        case(real(3, 3), dtype=np.float64),
    ),
    row(
        "linalg.diagonal",
        case(real(3, 3)),
        case(real(2, 3, 4)),
        case(real(3, 4), offset=2),
        case(real(3, 4), offset=-1),
    ),
    row("linalg.matrix_transpose", case(real(2, 3)), case(real(4, 2, 3)), case(complex_(2, 3))),
    row(
        "linalg.matrix_power",
        *_squares(n=3),
        *_squares(n=-2),
        case(real(3, 3), 1),
        case(real(3, 3), 5),
        case(real(2, 2), 0),
    ),
    # Equations and inverses
    row("linalg.inv", *_squares()),
    row(
        "linalg.solve",
        case(regular(3, 3), real(3)),
        case(regular(3, 3), real(3, 2)),
        case(regular(2, 3, 3), real(3)),
        case(regular(2, 3, 3), real(2, 3, 1)),
        case(regular(3, 3), real(2, 3, 2)),
        case(plain(regular(3, 3)), real(3)),
        case(regular(3, 3), plain(real(3))),
        case(regular_complex(3, 3), complex_(3)),
        case(regular(3, 3), complex_(3, 2)),
    ),
    row("linalg.pinv", *_shapes(), case(hermitian(3, 3), hermitian=True), case(regular(4, 3), 1e-10)),
    row(
        "linalg.lstsq",
        case(regular(5, 3), real(5)),
        case(regular(5, 3), real(5, 2)),
        case(regular(2, 4), real(2)),
        case(regular(3, 3), real(3, 2)),
        case(regular_complex(5, 3), complex_(5)),
        case(regular(5, 3), real(5), rcond=1e-10),
    ),
    row("linalg.tensorinv", case(real(2, 3, 6), ind=2), case(real(4, 2, 2), ind=1)),
    row(
        "linalg.tensorsolve",
        case(real(2, 3, 6), real(2, 3)),
        case(real(4, 2, 2), real(4)),
        case(real(2, 4, 2), real(4), axes=(0, 2)),
    ),
    # Determinants
    row("linalg.det", *_squares(), case(real(1, 1)), case(singular(3, 3)), case(singular(2, 2, 2))),
    row("linalg.slogdet", *_squares(), case(regular(2, 2))),
    # Decompositions
    row(
        "linalg.cholesky",
        case(definite(3, 3)),
        case(definite(2, 3, 3)),
        case(definite_complex(3, 3)),
        case(definite(3, 3), upper=True),
        case(definite_complex(3, 3), upper=True),
        case(definite(1, 1)),
    ),
    row(
        "linalg.qr",
        *_shapes(),
        *_shapes(mode="r"),
        *_squares(mode="complete"),
        case(regular(2, 4), mode="complete"),
        case(regular(1, 1)),
    ),
    row("linalg.svd", *_shapes(full_matrices=False), *_squares(), *_shapes(compute_uv=False)),
    row("linalg.svdvals", *_shapes()),
    row(
        "linalg.eigh",
        case(hermitian(3, 3)),
        case(hermitian(2, 4, 4)),
        case(hermitian(3, 3), "U"),
        case(hermitian_complex(3, 3)),
        case(hermitian_complex(3, 3), UPLO="U"),
    ),
    row(
        "linalg.eigvalsh",
        case(hermitian(3, 3)),
        case(hermitian(2, 4, 4)),
        case(hermitian(3, 3), "U"),
        case(hermitian_complex(3, 3)),
    ),
    row(
        "linalg.eig",
        case(diagonalizable(2, 2)),
        case(diagonalizable(4, 4)),
        case(diagonalizable(2, 3, 3)),
        case(diagonalizable_complex(3, 3)),
    ),
    row(
        "linalg.eigvals",
        case(diagonalizable(2, 2)),
        case(diagonalizable(4, 4)),
        case(diagonalizable(2, 3, 3)),
        case(diagonalizable_complex(3, 3)),
    ),
]
