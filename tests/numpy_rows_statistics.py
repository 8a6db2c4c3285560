"""Rows of sorting, quantiles, covariances, histograms, and functions called for each vector."""

import numpy as np
from numpy_table import case, complex_, distinct, natural, plain, positive, real, row, whole

QUARTERS = np.array([0.25, 0.5, 0.9])
METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip
WEIGHTS = np.array([1.0, 2.0, 0.0, 1.5, 1.0])
EDGES = np.array([-1.0, -0.2, 0.6, 1.4])


def _quantiles(name: str, draw, most: float):
    return row(
        name,
        case(draw(5), 0.3 * most),
        case(draw(2, 3), QUARTERS * most),
        case(draw(2, 4), 0.5 * most, axis=1),
        case(draw(3, 4), QUARTERS * most, axis=0, keepdims=True),
        case(draw(2, 3, 2), 0.37 * most, axis=(0, 2)),
        case(draw(2, 3), 1.0 * most),
        case(draw(4), np.float64(0.3) * most),
        case(draw(1), 0.3 * most),
        case(whole(5), 0.3 * most),
        *[case(draw(4, 2), QUARTERS * most, axis=0, method=method) for method in METHODS],
    )


def _medians(name: str, draw):
    return row(
        name,
        case(draw(5)),
        case(draw(4)),
        case(draw(2, 3)),
        case(draw(2, 3), axis=0),
        case(draw(2, 3), axis=1, keepdims=True),
        case(draw(2, 3, 2), axis=(0, 2)),
        case(draw()),
        case(whole(4)),
    )


def _halves(vector):
    return vector[: len(vector) // 2] * vector.sum()


ROWS = [
    row(
        "sort",
        case(real(5)),
        case(real(2, 3)),
        case(real(3, 2), axis=0),
        case(real(2, 3), axis=None),
        case(real(0, 2)),
        case(complex_(3)),
        case(real(3, 2), 0, "stable"),
        case(whole(4)),
    ),
    row("sort_complex", case(real(4)), case(complex_(3)), case(real(2, 3))),
    row(
        "partition",
        case(distinct(6), 2),
        case(distinct(3, 4), (1, 2)),
        case(distinct(4, 3), 1, axis=0),
        case(distinct(2, 3), 3, axis=None),
    ),
    _medians("median", distinct),
    _medians("nanmedian", distinct),
    _quantiles("quantile", distinct, 1),
    _quantiles("percentile", distinct, 100),
    _quantiles("nanquantile", distinct, 1),
    _quantiles("nanpercentile", distinct, 100),
    row(
        "cov",
        case(real(2, 5)),
        case(real(4)),
        case(real(5, 2), rowvar=False),
        case(real(2, 4), real(4)),
        case(real(4), real(4), bias=True),
        case(real(2, 4), ddof=2),
        case(real(2, 3), fweights=np.array([1, 2, 3])),
        case(real(2, 3), aweights=positive(3)),
        case(real(2, 3), fweights=np.array([1, 2, 3]), aweights=positive(3), ddof=0),
        case(complex_(2, 3)),
    ),
    row(
        "corrcoef",
        case(real(2, 5)),
        case(real(5, 2), rowvar=False),
        case(real(4), real(4)),
        case(real(4)),
        case(complex_(2, 3)),
    ),
    row(
        "bincount",
        case(np.array([0, 2, 2, 1]), real(4)),
        case(natural(5), real(5), minlength=8),
        case(np.array([1, 1]), real(2), minlength=4),
    ),
    row(
        "histogram",
        case(plain(real(6)), 4, weights=real(6)),
        case(plain(real(6)), EDGES, weights=real(6)),
        case(plain(real(6)), EDGES, density=True, weights=positive(6)),
        case(plain(real(6)), 3, (-1.0, 1.0), None, real(6)),
    ),
    row(
        "histogram2d",
        case(plain(real(6)), plain(real(6)), 3, weights=real(6)),
        case(plain(real(6)), plain(real(6)), [2, EDGES], density=True, weights=positive(6)),
        case(plain(real(6)), plain(real(6)), EDGES, weights=real(6)),
    ),
    row(
        "histogramdd",
        case(plain(real(6, 2)), 3, weights=real(6)),
        case(plain(real(6, 2)), [2, EDGES], density=True, weights=positive(6)),
        case([plain(real(5)), plain(real(5))], 2, ((-1, 1), (-2, 2)), weights=real(5)),
    ),
    row(
        "apply_along_axis",
        case(_halves, 0, real(4, 3)),
        case(_halves, -1, real(2, 3, 4)),
        case(np.sum, 1, real(2, 3)),
        case(np.sort, 0, distinct(4)),
        case(np.outer, 0, real(2, 2), np.ones(2)),
    ),
    row(
        "apply_over_axes",
        case(np.sum, real(2, 3, 2), (0, 2)),
        case(np.sum, real(2, 3), -1),
        case(np.mean, real(2, 3), [0]),
    ),
]
