"""Numerical derivatives: as near to the true ones as the theory of rounding says, for every kind and dtype."""

import sys

import numpy as np
import pytest

import needle as ndl
from needle import numeric

DIFFERENCES = [numeric.forward_difference, numeric.central_difference]
# √ε and ε^⅔ with ten times that for the constants |f''|, |f'''|
ERRORS = {
    ("forward_difference", "float64"): 2e-7,
    ("central_difference", "float64"): 4e-10,
    ("forward_difference", "float32"): 4e-3,
    ("central_difference", "float32"): 3e-4,
}


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_step_suits_dtype_and_scale(difference, dtype, scale):
    x = (np.array([0.3, -1.2, 2.0]) * scale).astype(dtype)
    found = difference(lambda x: np.sin(x / scale if scale > 1 else x), x)
    s = max(scale, 1)
    expected = np.diag(np.cos(x.astype(float) / s) / s)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=ERRORS[difference.__name__, dtype] / s)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_the_default_step_is_near_the_best(difference):
    """No step of a wide choice makes the error ten times smaller (exp at 1: f = f'' = f''')."""
    error = lambda eps: np.median([abs(difference(np.exp, 1.0, eps=eps * (1 + 0.07 * k)) - np.e) for k in range(9)])
    assert abs(difference(np.exp, 1.0) - np.e) < 10 * min(error(10.0**-e) for e in np.arange(1, 14, 0.5))


@pytest.mark.parametrize("difference", [*DIFFERENCES, numeric.jacobian])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_jacobians_have_the_shape_of_out_and_in(difference, shape):
    x = np.random.default_rng(0).normal(size=shape)
    found = difference(lambda x: np.stack([np.sin(x), x**2]), x)
    assert found.shape == (2, *shape, *shape)
    expected = ndl.jacobian(lambda x: ndl.stack([ndl.sin(x), x**2], 0))(x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_functions_are_called_with_the_kind_of_x(difference):
    seen = []

    def f(x):
        seen.append(type(x))
        return ndl.exp(x) if isinstance(x, ndl.Tensor) else np.exp(x)

    assert isinstance(difference(f, ndl.Tensor([1.0])), ndl.Tensor)
    assert set(seen) == {ndl.Tensor}
    seen.clear()
    assert type(difference(f, np.array([1.0]))) is np.ndarray
    assert set(seen) == {np.ndarray}
    seen.clear()
    assert isinstance(difference(f, 1.0), np.float64)
    assert all(issubclass(kind, float) for kind in seen)


@pytest.mark.parametrize("f", [lambda x: ndl.sin(x) * np.e, lambda x: np.sin(x) * np.e], ids=["needle", "numpy"])
def test_needle_and_numpy_functions_of_arrays(f):
    x = np.array([0.5, 1.0])
    found = numeric.central_difference(f, x)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, np.diag(np.e * np.cos(x)), atol=1e-9)


def test_a_function_that_changes_its_argument_in_place_does_no_harm():
    def f(x):
        x *= 2
        return x

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(numeric.central_difference(f, x), 2 * np.eye(2), atol=1e-9)
    np.testing.assert_array_equal(x, [1, 2])


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_no_inputs_make_an_empty_jacobian(difference):
    assert difference(lambda x: np.ones(2), np.zeros((0, 3))).shape == (2, 0, 3)


def test_complex_functions():
    np.testing.assert_allclose(numeric.central_difference(lambda x: np.exp(1j * x), 0.5), 1j * np.exp(0.5j), atol=1e-9)
    np.testing.assert_allclose(numeric.central_difference(np.exp, 1j), np.exp(1j), atol=1e-9)


def test_directional_takes_trees():
    x = {"a": np.array([1.0, 2.0]), "b": (np.array(3.0),)}
    delta = {"a": np.array([1.0, -1.0]), "b": (np.array(2.0),)}
    found = numeric.directional(lambda x: (x["a"] ** 2).sum() * x["b"][0], x, delta)
    np.testing.assert_allclose(found, (2 * 1 - 4) * 3 + 5 * 2, rtol=1e-9)


def test_directional_of_tensors_and_long_directions():
    out = numeric.directional(ndl.exp, ndl.Tensor([1.0]), ndl.Tensor([1e6]))
    assert isinstance(out, ndl.Tensor)
    np.testing.assert_allclose(out.numpy(), [1e6 * np.e], rtol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, ndl.Tensor])
def test_adaptive_derivatives(kind):
    x = np.array([0.5, 1.5])
    rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    close = lambda found, expected: np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-9)
    close(numeric.derivative(lambda x: x**4, kind(x)), 4 * x**3)
    close(numeric.derivative(lambda x: x**4, kind(x), n=2), 12 * x**2)
    close(numeric.gradient(rosenbrock, kind(x)), ndl.grad(rosenbrock)(x))
    close(numeric.jacobian(lambda x: x**2, kind(x)), np.diag(2 * x))
    close(numeric.hessian(rosenbrock, kind(x)), ndl.hessian(rosenbrock)(x))
    assert isinstance(numeric.gradient(rosenbrock, kind(x)), type(kind(x)))


def test_adaptive_derivatives_of_matrices():
    x = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(numeric.gradient(lambda x: (x**3).sum(), x), 3 * x**2, rtol=1e-9)
    assert numeric.hessian(lambda x: (x**3).sum(), x).shape == (2, 3, 2, 3)


def test_a_missing_numdifftools_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "numdifftools", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install needle-autodiff\[numeric\]"):
        numeric.derivative(np.exp, 0.0)


BAD = [
    (lambda: numeric.central_difference(np.exp, 0.0, eps=0), ValueError, "eps must be positive"),
    (lambda: numeric.central_difference(np.exp, 0.0, eps=-1e-3), ValueError, "eps must be positive"),
    (lambda: numeric.central_difference(np.exp, 1.0, eps=1e-20), ValueError, "too small for float64"),
    (lambda: numeric.forward_difference(np.exp, np.ones(2), eps=np.ones(3)), ValueError, "does not broadcast"),
    (lambda: numeric.forward_difference(np.exp, "x"), TypeError, "x must be made of Tensors, arrays and numbers"),
    (lambda: numeric.forward_difference(lambda x: None, 1.0), TypeError, "what the function returns"),
    (lambda: numeric.directional(np.exp, 1.0, (1.0,)), ValueError, "structure of x"),
    (lambda: numeric.directional(np.exp, np.ones(2), np.ones(3)), ValueError, "shapes of x"),
    (lambda: numeric.derivative(np.exp, 1.0, n=0), ValueError, "1 to 10"),
    (lambda: numeric.hessian(np.exp, np.ones(2)), TypeError, "returns one number.*use jacobian"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_mistakes_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
