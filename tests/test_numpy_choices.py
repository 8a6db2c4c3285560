"""Where the derivative of an array function is a matter of choice: ties, bounds, what was not selected."""

import numpy as np
import pytest

from needle.transforms import grad, jacrev, jvp, vjp

X = np.array([2.0, 1.0, 2.0, 1.0, 0.5])


def test_a_tie_in_a_sort_is_that_of_the_stable_permutation():
    order = np.argsort(X, kind="stable")
    np.testing.assert_array_equal(jacrev(np.sort)(X), np.eye(5)[order])
    np.testing.assert_array_equal(grad(lambda x: np.median(x))(X), np.eye(5)[order[2]])
    np.testing.assert_array_equal(grad(lambda x: np.quantile(x, 0.75))(X), np.eye(5)[order[3]])


def test_a_long_sort_is_stable_too():
    x = np.random.default_rng(0).integers(0, 40, 5000) / 7
    weights = np.arange(5000.0)
    expected = np.empty(5000)
    expected[np.argsort(x, kind="stable")] = weights
    for dtype in ("float64", "float32"):
        found = grad(lambda x: (np.sort(x) * weights.astype(x.dtype)).sum())(x.astype(dtype))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_long_sort_tells_numbers_apart_by_their_last_bits(dtype):
    rng = np.random.default_rng(1)
    near = np.array(1, dtype) + np.finfo(dtype).eps * rng.integers(0, 9, 300).astype(dtype)
    x = np.concatenate([near, -near, rng.normal(size=5000), np.zeros(50), -np.zeros(50)]).astype(dtype)
    x = rng.permutation(x)
    order = np.argsort(x, kind="stable")
    sorted_, pull = vjp(np.sort, x)
    np.testing.assert_array_equal(sorted_, x[order])
    np.testing.assert_array_equal(pull(np.arange(x.size, dtype=dtype))[0][order], np.arange(x.size))


def test_on_a_bound_of_clip_the_derivative_is_one():
    np.testing.assert_array_equal(grad(lambda x: np.clip(x, 1.0, 2.0).sum())(X), [1, 1, 1, 1, 0])
    bounds = np.full(5, 1.0)
    np.testing.assert_array_equal(grad(lambda x: np.clip(x, bounds, None).sum())(X), [1, 1, 1, 1, 0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "chosen",
    [
        lambda x: np.where(x > 0, np.log(x), x),
        lambda x: np.select([x > 0], [np.log(x)], x),
        lambda x: np.piecewise(x, [x > 0], [np.log, lambda x: x]),
    ],
    ids=["where", "select", "piecewise"],
)
def test_what_was_not_selected_sends_no_nan(chosen):
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: chosen(x).sum())(x), [1, 1, 0.5])
    np.testing.assert_array_equal(jvp(chosen, (x,), (np.ones(3),))[1], [1, 1, 0.5])


def test_what_takes_the_place_of_nan_has_no_derivative():
    np.testing.assert_array_equal(grad(lambda x: np.nan_to_num(x).sum())(np.array([np.nan, 1.0, np.inf])), [0, 1, 0])


def test_at_a_point_of_interp_the_piece_on_the_right_counts():
    slope = grad(lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]))
    assert [slope(x) for x in (0.5, 1.0, 1.5, 2.0, 3.0)] == [1, 4, 4, 0, 0]


def test_an_index_that_comes_twice_adds_up():
    np.testing.assert_array_equal(grad(lambda x: x[np.array([0, 0, 3])].sum())(X), [2, 0, 0, 1, 0])
    np.testing.assert_array_equal(grad(lambda x: np.take(x, [[0, 0], [3, 0]]).sum())(X), [3, 0, 0, 1, 0])


def test_zeros_at_the_ends_are_trimmed():
    x = np.array([0.0, 1.0, 0.0, 3.0, 0.0])
    np.testing.assert_array_equal(
        grad(lambda x: (np.trim_zeros(x) * np.array([1.0, 2.0, 3.0])).sum())(x), [0, 1, 2, 3, 0]
    )


def test_quantiles_differentiate_in_the_quantile():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert grad(lambda q: np.quantile(x, q))(0.5) == 6  # (4 - 2)·(n - 1)
    assert grad(lambda q: np.percentile(x, q))(90.0) == pytest.approx(0.12)


def test_edges_of_bins_move_with_the_data():
    x = np.array([0.0, 0.3, 1.0, 2.0])
    density = grad(lambda x: np.histogram(x, 2, density=True)[0][0])(x)
    # the first of two bins holds 2 of 4 elements: density 2/4 / ((max - min)/2)
    np.testing.assert_allclose(density, [0.25, 0, 0, -0.25])
