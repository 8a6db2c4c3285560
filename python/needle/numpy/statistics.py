"""Covariances, and histograms: how much of what lies where."""

import warnings

import numpy as np

from .. import ops
from ..graph import Tensor, leaf
from ..ops.indexing import PLACE, Scatter
from .dispatch import as_tensor, holds_tensor, implements, plain
from .joining import concatenate
from .ranges import linspace
from .shapes import atleast_2d, ravel


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None) -> Tensor:
    """The covariance matrix of variables, each a row of m (or a column) of observations."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m = as_tensor(m)
    if m.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    both = [m] if y is None else [m, as_tensor(y)]
    if both[-1].ndim > 2:
        raise ValueError("y has more than 2 dimensions")
    kind = np.result_type(*[x.dtype for x in both], np.float64) if dtype is None else np.dtype(dtype)
    both = [atleast_2d(x if x.dtype == kind else x.astype(kind)) for x in both]
    x = both[0].T if not rowvar and m.ndim != 1 else both[0]
    if x.shape[0] == 0:
        return leaf(np.zeros((0, 0)))
    if y is not None:
        x = concatenate((x, both[1].T if not rowvar and both[1].shape[0] != 1 else both[1]), 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = _weights_of_observations(fweights, aweights, x.shape[1])
    if weights is None:
        norm, deviation = x.shape[1] - ddof, x - np.mean(x, 1, keepdims=True)
    else:
        total = np.sum(weights)
        deviation = x - np.sum(x * weights, 1, keepdims=True) / total
        norm = total
        if ddof != 0:
            norm = total - (ddof if aweights is None else ddof * np.sum(weights * as_tensor(aweights)) / total)
    weighted = deviation if weights is None else deviation * weights
    c = ops.matmul(deviation, (ops.conjugate(weighted) if kind.kind == "c" else weighted).T)
    if weights is None and norm <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=3)
        norm = np.float64(0)
    return np.squeeze(c / norm)


def _weights_of_observations(fweights, aweights, n: int):
    """The product of how often each observation counts and how much it is worth; None if all count alike."""
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        given = as_tensor(given)
        values = given.node.data
        known = isinstance(values, np.ndarray)
        if given.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if given.shape[0] != n:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        if known and name == "fweights" and not np.all(values == np.around(values)):
            raise TypeError("fweights must be integer")
        if known and np.any(values < 0):
            raise ValueError(f"{name} cannot be negative")
        given = given if given.dtype.kind in "fc" else given.astype(float)
        weights = given if weights is None else weights * given
    return weights


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, bias=np._NoValue, ddof=np._NoValue, *, dtype=None) -> Tensor:
    """The covariances divided by both standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diag(c)))
    c = c / ops.reshape(deviation, (-1, 1)) / deviation
    if c.dtype.kind != "c":
        return np.clip(c, -1, 1)
    return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)


# --------------------------------------------------------------------------------------------------------------------
# Histograms


@implements(np.bincount)
def bincount(x, /, weights=None, minlength=0) -> Tensor:
    """How often each whole number comes in x, or the sum of the weights where it does."""
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(
            "object too deep for desired array" if x.ndim else "object of too small depth for desired array"
        )
    if minlength < 0:
        raise ValueError("'minlength' must not be negative")
    values = x.node.data
    if isinstance(values, np.ndarray):
        if weights is None:
            return leaf(np.bincount(values, minlength=minlength))
        n = len(np.bincount(values, minlength=minlength))
    elif minlength == 0:
        np.bincount(plain(x))  # says that the value is not known
    else:
        n = minlength
    weights = leaf(np.ones(x.shape, int)) if weights is None else as_tensor(weights)
    if weights.shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    weights = weights if weights.dtype in (int, float) else weights.astype(float)
    return Scatter((PLACE,), (n,))(weights, x)


def _edges(a: Tensor, bins, range_) -> tuple[Tensor, np.ndarray]:
    """The edges of bins, and their values: as they are given, or from the smallest to the largest element, with which
    they move."""
    values = np.histogram_bin_edges(plain(a), plain(bins), plain(range_))
    if isinstance(bins, (Tensor, list, tuple, np.ndarray)) and as_tensor(bins).ndim:
        return as_tensor(bins), values
    if range_ is not None:
        return (_evenly(*map(as_tensor, range_), values) if holds_tensor((range_,)) else leaf(values)), values
    if a.size == 0 or a.dtype.kind != "f" or np.min(plain(a)) == np.max(plain(a)):
        return leaf(values), values
    return _evenly(np.min(a), np.max(a), values), values


def _evenly(start: Tensor, stop: Tensor, values) -> Tensor:
    return linspace(start, stop, len(values), dtype=values.dtype)


def _bins_of(values, edges) -> tuple[np.ndarray, np.ndarray]:
    """The number of the bin that each value lies in (the last one holds its right edge), and whether there is one."""
    places = np.searchsorted(edges, values, "right") - 1
    places[values == edges[-1]] = len(edges) - 2
    return places, (values >= edges[0]) & (values <= edges[-1])


@implements(np.histogram)
def histogram(a, bins=10, range=None, density=None, weights=None) -> tuple[Tensor, Tensor]:
    """How many elements (or how much weight) each bin holds, and the edges of the bins.

    The counts are constants.  Sums of weights, densities and edges differentiate.
    """
    a = ravel(as_tensor(a))
    edges, values = _edges(a, bins, range)
    if weights is None:
        held = leaf(np.histogram(plain(a), values)[0])
    else:
        weights = ravel(as_tensor(weights))
        if weights.shape != a.shape:
            raise ValueError("weights should have the same shape as a.")
        places, inside = _bins_of(plain(a), values)
        held = Scatter((places[inside],), (len(values) - 1,))(ops.get_item(weights, np.flatnonzero(inside)))
    if density:
        held = held / np.diff(edges) / np.sum(held)
    return held, edges


@implements(np.histogramdd)
def histogramdd(sample, bins=10, range=None, density=None, weights=None) -> tuple[Tensor, tuple]:
    """As `histogram`, of points of several coordinates: the columns of a matrix, or vectors in a list."""
    if isinstance(sample, (Tensor, np.ndarray)):
        sample = as_tensor(sample)
        coordinates = list(sample.T if sample.ndim == 2 else ops.reshape(sample, (1, -1)))
    else:
        coordinates = [as_tensor(x) for x in sample]
    n = len(coordinates)
    each = list(bins) if not isinstance(bins, (int, np.integer)) else [bins] * n
    if len(each) != n:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    ranges = [None] * n if range is None else list(range)
    if len(ranges) != n:
        raise ValueError("range argument must have one entry per dimension")
    edges, places, inside, lengths = [], [], True, []
    for x, one, limits in zip(coordinates, each, ranges):
        edge, values = _edges(x if limits is None else x.astype(float), one, limits)
        place, within = _bins_of(plain(x), values)
        edges.append(edge)
        places.append(place)
        inside = inside & within
        lengths.append(len(values) - 1)
    weights = leaf(np.ones(coordinates[0].shape)) if weights is None else as_tensor(weights)
    weights = weights if weights.dtype == float else weights.astype(float)
    chosen = np.flatnonzero(inside)
    held = Scatter(tuple([place[chosen] for place in places]), tuple(lengths))(ops.get_item(weights, chosen))
    if density:
        total = np.sum(held)
        for i, edge in enumerate(edges):
            held = held / ops.reshape(np.diff(edge), [-1 if j == i else 1 for j in np.arange(n)])
        held = held / total
    return held, tuple(edges)


@implements(np.histogram2d)
def histogram2d(x, y, bins=10, range=None, density=None, weights=None) -> tuple[Tensor, Tensor, Tensor]:
    """As `histogram`, of points (x, y)."""
    x, y = as_tensor(x), as_tensor(y)
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    several = len(bins) if hasattr(bins, "__len__") and not (isinstance(bins, Tensor) and bins.ndim == 0) else 1
    if several not in (1, 2):
        edges = as_tensor(bins)
        bins = [edges, edges]
    held, edges = histogramdd([x, y], bins, range, density, weights)
    return held, edges[0], edges[1]
