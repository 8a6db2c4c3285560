"""Rows of `scipy.stats`: densities and distribution functions, with parameters by position and by name."""

import numpy as np
from numpy_rows_linalg import definite
from numpy_table import DOMAINS, Drawn, above_one, case, nonzero, plain, positive, real, row

DOMAINS["probability"] = lambda rng, shape: rng.uniform(0.05, 0.95, shape)
DOMAINS["simplex"] = lambda rng, shape: rng.dirichlet(np.full(shape[0] + 1, 3.0), shape[1:]).T[:-1]
DOMAINS["on simplex"] = lambda rng, shape: rng.dirichlet(np.full(shape[0], 3.0), shape[1:]).T


def probability(*shape):
    return Drawn(shape, "probability")


def simplex(*shape):
    """All but the last component of points that add up to 1, along axis 0."""
    return Drawn(shape, "simplex")


def of(name, *cases, **about):
    return row(f"scipy.stats.{name}", *cases, only_needle=True, float32=False, **about)


def distribution(name, draw, *shapes, cdf_in_shapes=True):
    """Rows of the four functions of a continuous distribution with parameters drawn by `shapes`."""
    somewhere = [*[shape(3) for shape in shapes]]
    fixed = [1.5 + i for i in range(len(shapes))]
    standard = [case(draw(3), *somewhere), case(draw(2, 3), *fixed), case(draw(), *fixed), case(draw(0), *fixed)]
    moved = [
        case(draw(3), *fixed, real(3), above_one(3)),
        case(draw(2, 1), *fixed, loc=plain(real(3)), scale=positive()),
        case(plain(draw(3)), *fixed, scale=above_one(3)),
    ]
    for function in ("pdf", "logpdf", "cdf", "logcdf"):
        first = standard if cdf_in_shapes or "pdf" in function else standard[1:]
        yield of(f"{name}.{function}", *first, *moved)


ROWS = [
    *distribution("norm", real),
    *distribution("t", real, above_one, cdf_in_shapes=False),
    *distribution("gamma", positive, positive, cdf_in_shapes=False),
    *distribution("beta", probability, positive, positive, cdf_in_shapes=False),
    *distribution("chi2", positive, positive, cdf_in_shapes=False),
    *distribution("expon", positive),
    *distribution("laplace", nonzero),
    *[
        of(
            f"poisson.{function}",
            case(np.array([0, 1, 5]), positive(3)),
            case(2, positive(2, 3)),
            case(np.array([1.0, 2.0, 2.5]), positive(2, 1), 1),
        )
        for function in ("logpmf", "pmf", "cdf", "logcdf")
    ],
    *[
        of(
            f"dirichlet.{function}",
            case(simplex(2), positive(3)),
            case(simplex(2, 4), positive(3)),
            case(simplex(1), plain(positive(2))),
            case(plain(Drawn((3, 2), "on simplex")), positive(3)),
        )
        for function in ("logpdf", "pdf")
    ],
    *[
        of(
            f"multivariate_normal.{function}",
            case(real(3), real(3), definite(3, 3)),
            case(real(2, 3), real(3), definite(3, 3)),
            case(real(2, 2, 3), cov=definite(3, 3)),
            case(real(4), mean=real(), cov=positive()),
            case(real(3), real(3), positive(3)),
            case(real(2, 3), plain(real(3)), positive()),
            case(plain(real(3)), real(3)),
        )
        for function in ("logpdf", "pdf")
    ],
]
