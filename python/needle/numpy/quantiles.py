"""Medians and quantiles: elements of the sorted array, and straight lines between neighbours.

They differentiate in the array, by way of the permutation that sorts it, and in the quantile that is asked for.
"""

import math
import warnings

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import ops
from ..graph import Tensor, leaf
from ..ops.sorting import sort, stable_order
from .dispatch import as_tensor, implements, plain

# Where in the sorted array of n elements (0 to n - 1) the quantile q lies, by the methods of Hyndman & Fan, "Sample
# quantiles in statistical packages", The American Statistician 50 (1996).
_PLACES = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": lambda n, q: n * q - 1,
    "hazen": lambda n, q: n * q + 0.5 - 1,
    "weibull": lambda n, q: n * q + q - 1,
    "median_unbiased": lambda n, q: n * q + (1 / 3 + q * (1 - 1 / 3 - 1 / 3)) - 1,
    "normal_unbiased": lambda n, q: n * q + (3 / 8 + q * (1 - 3 / 8 - 3 / 8)) - 1,
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "midpoint": lambda n, q: (n - 1) * q,
}


def _boundary(place, stays):
    """The element at `place` where it `stays`, else the next one."""
    below = np.floor(place)
    return np.maximum(np.where(stays(place - below, below), below, below + 1), 0)


# The methods that take one element, and which one.
_ELEMENTS = {
    "inverted_cdf": lambda n, q: _boundary(n * q - 1, lambda rest, _: rest == 0),
    "closest_observation": lambda n, q: _boundary(
        n * q - 1 - 0.5, lambda rest, below: np.logical_and(rest == 0, np.mod(below, 2) == 1)
    ),
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.around((n - 1) * q),
}


def _between(method: str, place, below):
    """How far from the element below the result lies, towards the next one."""
    rest = place - below
    if method == "averaged_inverted_cdf":
        return np.where(rest == 0, 0.5, 1.0)
    if method == "midpoint":
        return np.where(rest == 0, 0.0, 0.5)
    return rest


def _axes_first(a: Tensor, axis) -> tuple[Tensor, list[int]]:
    """a with the axes that are reduced as one in front, and its shape with these at length 1."""
    axes = range(a.ndim) if axis is None else normalize_axis_tuple(axis, a.ndim)
    kept = [i for i in range(a.ndim) if i not in axes]
    first = ops.permute(a, (*axes, *kept)) if a.ndim > 1 else a
    n = math.prod([a.shape[i] for i in axes])
    shape = [1 if i in axes else length for i, length in enumerate(a.shape)]
    return ops.reshape(first, (n, *[a.shape[i] for i in kept])), shape


def _picked(ordered: Tensor, places, n) -> Tensor:
    """The elements of a sorted array at `places` along axis 0: the same everywhere, or others in each column."""
    places = places.astype(np.intp) if isinstance(places, Tensor) else np.asarray(places).astype(np.intp)
    if isinstance(n, int):
        return ops.get_item(ordered, places)
    columns = [grid[0] for grid in np.ogrid[(slice(1), *[slice(length) for length in ordered.shape[1:]])][1:]]
    return ops.get_item(ordered, (places, *columns))


def _quantiles(ordered: Tensor, n, q, method: str, weak: bool) -> Tensor:
    """The quantiles q of columns that are sorted, and of which the first n elements count."""
    if method in _ELEMENTS:
        if not isinstance(n, int):
            q = np.reshape(q, (*q.shape, *(1,) * (ordered.ndim - 1)))
        return _picked(ordered, np.minimum(_ELEMENTS[method](n, q), n - 1), n)
    if method not in _PLACES:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {[*_PLACES, *_ELEMENTS]}")
    if ordered.dtype.kind != "f":
        ordered = ordered.astype(float)
    if not isinstance(n, int):
        q = np.reshape(q, (*q.shape, *(1,) * (ordered.ndim - 1)))
    place = _PLACES[method](n, q)
    below = np.floor(place)
    lower = _picked(ordered, np.minimum(np.maximum(below, 0), n - 1), n)
    upper = _picked(ordered, np.minimum(np.maximum(below + (place >= 0), 0), n - 1), n)
    rest = _between(method, place, below)
    if isinstance(n, int):
        rest = np.reshape(rest, (*rest.shape, *(1,) * (ordered.ndim - 1)))
    rest = as_tensor(rest)
    if weak:
        rest = rest.astype(ordered.dtype)
    rise = upper - lower
    return ops.where(rest >= 0.5, upper - rise * (1 - rest), lower + rise * rest)


def _finished(result: Tensor, ordered: Tensor, q_ndim: int, kept, keepdims: bool) -> Tensor:
    """nan for columns that hold one (it is sorted to the end), and the axes that were reduced kept if asked for."""
    if ordered.dtype.kind in "fc" and ordered.shape[0]:
        last = ordered[-1]
        if not isinstance(last.node.data, np.ndarray) or np.isnan(last.node.data).any():
            result = ops.where(np.isnan(last), last, result)
    return ops.reshape(result, (*result.shape[:q_ndim], *kept)) if keepdims else result


def _valid(q, most: int):
    """Quantiles as an array or Tensor, or an error if one lies outside of [0, 1]."""
    q = q if isinstance(q, Tensor) else np.asarray(q)
    values = q.node.data if isinstance(q, Tensor) else q
    if isinstance(values, np.ndarray) and not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{'Quantiles' if most == 1 else 'Percentiles'} must be in the range [0, {most}]")
    return q


def _quantile_of(a, q, axis, method, keepdims, weights, weak) -> Tensor:
    a = as_tensor(a)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if weights is not None:
        return _weighted(a, q, axis, method, keepdims, weights)
    columns, kept = _axes_first(a, axis)
    ordered = sort(columns, 0)
    return _finished(_quantiles(ordered, ordered.shape[0], q, method, weak), ordered, q.ndim, kept, keepdims)


def _weighted(a: Tensor, q, axis, method, keepdims, weights, ignored=None) -> Tensor:
    """The quantiles of elements that count by their weights: NumPy says which element in the sorted order it is."""
    columns, kept = _axes_first(a, axis)
    values, weights = plain(columns), np.asarray(plain(weights))
    if method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axes = normalize_axis_tuple(axis, a.ndim)
        if weights.shape != tuple([a.shape[i] for i in axes]):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        weights = weights.reshape([n if i in axes else 1 for i, n in enumerate(a.shape)])
    weights = _axes_first(leaf(np.broadcast_to(weights, a.shape)), axis)[0].numpy()
    if ignored is not None:
        weights = np.where(ignored(values), 0, weights)
    ranks = np.empty(values.shape, int)
    np.put_along_axis(ranks, stable_order(values, 0), np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1)), 0)
    places = np.quantile(ranks, plain(q), 0, method="inverted_cdf", weights=weights)
    ordered = sort(columns, 0)
    result = _picked(ordered, places, None)
    return _finished(result, ordered[:0] if ignored else ordered, np.ndim(plain(q)), kept, keepdims)


@implements(np.quantile)
def quantile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
    interpolation=None,
) -> Tensor:
    """The elements below which the fraction q of all lies, by any of NumPy's methods."""
    return _quantile_of(a, _valid(q, 1), axis, interpolation or method, keepdims, weights, type(q) in (int, float))


@implements(np.percentile)
def percentile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
    interpolation=None,
) -> Tensor:
    """The elements below which q percent of all lie, by any of NumPy's methods."""
    share = _valid(np.true_divide(q if isinstance(q, Tensor) else np.asarray(q), 100), 100)
    return _quantile_of(a, share, axis, interpolation or method, keepdims, weights, type(q) in (int, float))


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False) -> Tensor:
    """The middle element, or the mean of the two in the middle."""
    columns, kept = _axes_first(as_tensor(a), axis)
    ordered, n = sort(columns, 0), columns.shape[0]
    middle = np.mean(ordered[(n - 1) // 2 : n // 2 + 1] if n else ordered, 0)
    return _finished(middle, ordered, 0, kept, keepdims)


def _without_nan(a, q, axis, method, keepdims, weights, weak) -> Tensor:
    """The quantiles of what is not nan (which is sorted to the end)."""
    a = as_tensor(a)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if a.dtype.kind != "f":
        return _quantile_of(a, q, axis, method, keepdims, weights, weak)
    if weights is not None:
        return _weighted(a, q, axis, method, keepdims, weights, ignored=np.isnan)
    columns, kept = _axes_first(a, axis)
    ordered = sort(columns, 0)
    n = np.sum(ops.logical_not(np.isnan(ordered)), 0)
    if isinstance(n.node.data, np.ndarray) and n.size and not n.node.data.all():
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=4)
    result = _quantiles(ordered, n, q, method, weak)
    return ops.reshape(result, (*result.shape[: q.ndim], *kept)) if keepdims else result


@implements(np.nanquantile)
def nanquantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=np._NoValue, *, weights=None,
    interpolation=None,
) -> Tensor:  # fmt: skip
    """As `quantile`, of what is not nan."""
    weak = type(q) in (int, float)
    return _without_nan(a, _valid(q, 1), axis, interpolation or method, keepdims is True, weights, weak)


@implements(np.nanpercentile)
def nanpercentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=np._NoValue, *, weights=None,
    interpolation=None,
) -> Tensor:  # fmt: skip
    """As `percentile`, of what is not nan."""
    share = _valid(np.true_divide(q if isinstance(q, Tensor) else np.asarray(q), 100), 100)
    return _without_nan(a, share, axis, interpolation or method, keepdims is True, weights, type(q) in (int, float))


@implements(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=np._NoValue) -> Tensor:
    """As `median`, of what is not nan."""
    if as_tensor(a).dtype.kind != "f":
        return median(a, axis, keepdims=keepdims is True)
    return _without_nan(a, np.asarray(0.5), axis, "linear", keepdims is True, None, True)
