"""`needle.scipy.stats` beyond its rows in the table: ends of the support, tails, parameters that are not valid."""

import numpy as np
import pytest
import scipy.stats

import needle as ndl
from needle.scipy import stats

inf, nan = np.inf, np.nan


def t(array):
    return ndl.Tensor(np.asarray(array, float))


@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "logcdf"])
@pytest.mark.parametrize(
    "name, parameters",
    [
        ("norm", ()),
        ("t", (3.0,)),
        ("t", (inf,)),
        ("gamma", (2.0,)),
        ("gamma", (1.0,)),
        ("gamma", (0.5,)),
        ("gamma", (-1.0,)),
        ("beta", (2.0, 3.0)),
        ("beta", (1.0, 1.0)),
        ("beta", (0.5, 0.5)),
        ("chi2", (2.0,)),
        ("expon", (0.5, 2.0)),
        ("expon", (0.0, -1.0)),
        ("laplace", (0.0, 2.0)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_value_is_scipys_outside_of_the_support_and_on_its_ends(name, parameters, method):
    x = np.array([-inf, -3.0, 0.0, 0.5, 1.0, 40.0, inf, nan])
    expected = getattr(getattr(scipy.stats, name), method)(x, *parameters)
    if name == "gamma" and parameters == (2.0,) and "pdf" in method:
        expected[x == inf] = -inf if method == "logpdf" else 0.0  # SciPy's formula gives inf - inf there
    found = getattr(getattr(stats, name), method)(t(x), *parameters)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name, parameters", [("gamma", (2.0,)), ("beta", (2.0, 3.0)), ("expon", ()), ("chi2", (3.0,))])
@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "logcdf"])
def test_outside_of_the_support_the_derivative_is_zero(name, parameters, method):
    function = getattr(getattr(stats, name), method)
    assert ndl.grad(lambda x: function(x, *parameters))(-1.0) == 0
    assert ndl.grad(lambda loc: function(0.0, *parameters, loc))(1.0) == 0
    assert ndl.grad(ndl.grad(lambda x: function(x, *parameters)))(-1.0) == 0


def test_at_the_end_of_the_support_the_other_derivatives_are_right():
    assert ndl.grad(lambda a: stats.gamma.pdf(0.0, a))(2.0) == 0
    np.testing.assert_allclose(ndl.grad(lambda s: stats.gamma.pdf(0.0, 1.0, scale=s))(2.0), -0.25)
    np.testing.assert_allclose(ndl.grad(lambda s: stats.expon.logpdf(0.0, scale=s))(2.0), -0.5)


@pytest.mark.parametrize(
    "function, x, slope",
    [
        (stats.norm.logcdf, -40.0, 40.02493775),  # x + 1/x to the left, by Mills' ratio
        (stats.norm.logpdf, 1e4, -1e4),
        (stats.laplace.logcdf, -800.0, 1.0),
        (stats.laplace.logcdf, 50.0, np.exp(-50) / 2),
        (stats.expon.logcdf, 50.0, np.exp(-50)),
        (stats.expon.logcdf, 1e-12, 1e12),
        (lambda x: stats.t.logpdf(x, 1e8), 2.0, -2.0),
        (lambda x: stats.laplace.pdf(x), 0.0, 0.0),
        (lambda x: stats.laplace.cdf(x), 0.0, 0.5),
        (lambda x: stats.poisson.logpmf(0, x), 0.0, -1.0),
    ],
)
def test_derivatives_in_the_tails_and_at_kinks(function, x, slope):
    np.testing.assert_allclose(ndl.grad(function)(x), slope, rtol=1e-6)
    np.testing.assert_allclose(ndl.jvp(function, (x,), (1.0,))[1], slope, rtol=1e-6)


def test_a_maximum_of_the_likelihood_is_where_the_gradient_vanishes():
    x = np.array([0.3, 1.9, -0.6, 2.2])
    slopes = ndl.grad(lambda loc, scale: stats.norm.logpdf(x, loc, scale).sum(), (0, 1))(x.mean(), x.std())
    np.testing.assert_allclose(slopes, 0, atol=1e-12)


def test_a_distribution_with_its_parameters():
    x, loc = t([0.5, 1.0]), t(0.3)
    frozen = stats.norm(loc, scale=2.0)
    np.testing.assert_array_equal(frozen.logpdf(x).numpy(), stats.norm.logpdf(x, loc, 2.0).numpy())
    assert isinstance(frozen.pdf(x), ndl.Tensor)
    assert stats.norm(0.3, 2.0).mean() == 0.3
    assert isinstance(stats.norm.pdf(0.5), float)
    with pytest.raises(TypeError, match="no derivative"):
        frozen.mean()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: stats.norm.ppf(t([0.5])), TypeError, "no derivative"),
        (lambda: stats.gamma.pdf(t([0.5])), TypeError, r"gamma.pdf.*'a'"),
        (lambda: ndl.grad(lambda a: stats.gamma.cdf(1.0, a))(2.0), TypeError, "no derivative in closed form"),
        (lambda: stats.dirichlet.logpdf(t([0.5, 0.6]), [1.0, 2.0]), ValueError, "simplex"),
        (lambda: stats.dirichlet.logpdf(t([0.5, 0.5]), [1.0, -2.0]), ValueError, "greater than 0"),
        (lambda: stats.dirichlet.logpdf(t([0.5]), np.ones(4)), ValueError, r"4 or 3 entries.*\(1,\)"),
        (
            lambda: stats.multivariate_normal.logpdf(t([1, 2]), [0, 0], np.ones((2, 2))),
            np.linalg.LinAlgError,
            "definite",
        ),
        (lambda: stats.multivariate_normal.logpdf(t([1, 2]), [0, 0], np.eye(3)), ValueError, r"\(3, 3\)"),
        (lambda: stats.multivariate_normal.logpdf(t([1, 2, 3]), [0, 0]), ValueError, r"2 components.*3"),
    ],
)
def test_a_mistake_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_float32_stays_float32():
    assert stats.norm.logpdf(ndl.Tensor([0.5], dtype="float32"), 0.0, 2.0).dtype == np.float32
