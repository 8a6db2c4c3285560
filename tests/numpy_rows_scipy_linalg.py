"""Rows of `scipy.linalg`, whose functions cannot see a Tensor: they stand under `needle.scipy.linalg`."""

import numpy as np
from numpy_rows_linalg import definite, definite_complex, hermitian, regular, regular_complex
from numpy_table import DOMAINS, Drawn, case, complex_, plain, real, row

# Upper triangular matrices that are far from singular, and matrices without negative or zero eigenvalues
DOMAINS["triangular"] = lambda rng, shape: np.triu(rng.normal(size=shape)) + 3 * np.eye(shape[-1])
DOMAINS["stable"] = lambda rng, shape: 0.4 * rng.normal(size=shape) + 2 * np.eye(shape[-1])
DOMAINS["rotations"] = lambda rng, shape: 0.3 * rng.normal(size=shape) - 2 * np.eye(shape[-1])
DOMAINS["mixed signs"] = lambda rng, shape: 0.3 * rng.normal(size=shape) + np.diag([-3.0, -1.0, 2.0])


def triangular(*shape):
    return Drawn(shape, "triangular")


def stable(*shape):
    return Drawn(shape, "stable")


def negative(*shape):
    """Matrices all of whose eigenvalues lie near -2."""
    return Drawn(shape, "rotations")


def mixed(*shape):
    """Matrices with negative and positive eigenvalues, well apart."""
    return Drawn(shape, "mixed signs")


def of(name, *cases, **about):
    return row(f"scipy.linalg.{name}", *cases, only_needle=True, **about)


ROWS = [
    of(
        "cholesky",
        case(definite(3, 3)),
        case(definite(3, 3), lower=True),
        case(definite(2, 3, 3)),
        case(definite_complex(3, 3)),
        case(definite_complex(3, 3), lower=True),
        case(definite(1, 1)),
    ),
    of(
        "cho_factor",
        case(definite(3, 3)),
        case(definite(3, 3), lower=True),
        case(definite_complex(3, 3)),
        value=lambda result: result[0],
    ),
    of(
        "cho_solve",
        case((stable(3, 3), True), real(3)),
        case((stable(3, 3), False), real(3, 2)),
        case((plain(stable(3, 3)), False), real(3, 2)),
        case((stable(2, 3, 3), True), real(3, 2)),
        case((regular_complex(3, 3), True), complex_(3)),
        case((stable(3, 3), False), real(3, 0)),
    ),
    of(
        "solve",
        case(regular(3, 3), real(3)),
        case(regular(3, 3), real(3, 2)),
        case(regular(2, 3, 3), real(3)),
        case(regular(3, 3), real(2, 3, 2)),
        case(plain(regular(3, 3)), real(3)),
        case(regular(3, 3), plain(real(3))),
        case(regular_complex(3, 3), complex_(3)),
        case(regular(3, 3), complex_(3, 2)),
        case(regular(3, 3), real(3), transposed=True),
        case(hermitian(3, 3), real(3), assume_a="sym"),
        case(hermitian(3, 3), real(3, 2), True, assume_a="her"),
        case(regular_complex(3, 3), complex_(3), assume_a="sym", lower=True),
        case(definite(3, 3), real(3), assume_a="pos"),
        case(definite_complex(3, 3), real(3), assume_a="pos", lower=True),
        case(triangular(3, 3), real(3), assume_a="upper triangular"),
        case(stable(3, 3), real(3), assume_a="lower triangular", transposed=True),
        case(stable(4, 4), real(4), assume_a="tridiagonal"),
        case(stable(3, 3), real(3), assume_a="diagonal"),
    ),
    of(
        "solve_triangular",
        case(triangular(3, 3), real(3)),
        case(stable(3, 3), real(3, 2), lower=True),
        case(stable(3, 3), real(3), trans=1),
        case(stable(3, 3), real(3), "T", True),
        case(regular_complex(3, 3), complex_(3), trans="C"),
        case(stable(3, 3), real(3), unit_diagonal=True),
        case(stable(3, 3), real(3), lower=True, unit_diagonal=True, trans=2),
        case(stable(2, 3, 3), real(3)),
        case(stable(2, 1, 3, 3), real(4, 3, 2)),
        case(plain(stable(3, 3)), real(3)),
        case(stable(3, 3), plain(real(3, 2))),
        case(stable(3, 3), real(3, 0)),
    ),
    of(
        "solve_sylvester",
        case(stable(3, 3), stable(2, 2), real(3, 2)),
        case(stable(2, 3, 3), stable(2, 2), real(3, 2)),
        case(regular_complex(3, 3), plain(regular_complex(2, 2)), complex_(3, 2)),
        case(stable(1, 1), stable(2, 2), real(1, 2)),
    ),
    of(
        "solve_continuous_lyapunov",
        case(stable(3, 3), real(3, 3)),
        case(stable(3, 3), plain(real(3, 3))),
        case(stable(2, 3, 3), real(3, 3)),
        case(regular_complex(3, 3), complex_(3, 3)),
    ),
    of(
        "expm",
        case(real(3, 3)),
        case(real(1, 1)),
        case(real(2, 3, 3)),
        case(complex_(3, 3)),
        case(hermitian(4, 4)),
        case(real(0, 0)),
    ),
    of(
        "logm",
        case(stable(3, 3)),
        case(definite(3, 3)),
        case(regular_complex(3, 3)),
        case(negative(3, 3)),
        case(mixed(3, 3)),
    ),
    of(
        "sqrtm",
        case(stable(3, 3)),
        case(stable(2, 3, 3)),
        case(definite(3, 3)),
        case(regular_complex(3, 3)),
        case(negative(2, 2)),
    ),
    of(
        "block_diag",
        case(real(2, 3)),
        case(real(2, 2), real(1, 3), real(), real(2)),
        case(real(2, 2), plain(real(1, 3)), complex_(2, 1)),
        case(real(2, 2, 2), real(1, 3)),
        case(real(2, 0), real(1, 1)),
    ),
    of(
        "toeplitz",
        case(real(3)),
        case(real(3), real(4)),
        case(plain(real(3)), real(2)),
        case(complex_(3)),
        case(complex_(2), real(3)),
        case(real(2, 3)),
        case(real()),
    ),
    of(
        "det",
        case(regular(3, 3)),
        case(real(2, 3, 3)),
        case(regular_complex(3, 3)),
        case(Drawn((3, 3), "singular")),
        float32=False,  # SciPy computes it in float64, needle in the dtype of the Tensor
    ),
    of("inv", case(regular(3, 3)), case(regular(2, 3, 3)), case(regular_complex(3, 3))),
]
