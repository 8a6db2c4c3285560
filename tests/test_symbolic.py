"""Functions as SymPy expressions, their derivatives by SymPy's rules, and expressions as functions."""

import numpy as np
import pytest
import sympy

import needle as ndl
from needle import symbolic

x, y = sympy.symbols("x y", real=True)

# (function of needle, the expression that a person would write)
FUNCTIONS = {
    "lecture": (lambda x: ndl.log(x) + 5 * x - ndl.sin(x), sympy.log(x) + 5 * x - sympy.sin(x)),
    "quotient": (lambda x: (x**2 + 1) / (2 - x), (x**2 + 1) / (2 - x)),
    "powers": (lambda x: x**3 + 2.0**x + x**x, x**3 + 2**x + x**x),
    "tanh": (lambda x: ndl.tanh(x) * ndl.exp(-x), sympy.tanh(x) * sympy.exp(-x)),
    "logistic": (lambda x: ndl.sigmoid(x) + ndl.softplus(x), 1 / (1 + sympy.exp(-x)) + sympy.log(1 + sympy.exp(x))),
    "silu": (lambda x: ndl.silu(x), x / (1 + sympy.exp(-x))),
    "roots": (lambda x: ndl.sqrt(x) + ndl.square(x) - ndl.abs(x), sympy.sqrt(x) + x**2 - sympy.Abs(x)),
    "trigonometric": (lambda x: ndl.cos(x) * ndl.tan(x) + ndl.arctan(x), sympy.cos(x) * sympy.tan(x) + sympy.atan(x)),
    "logarithms": (lambda x: ndl.log1p(x) + ndl.expm1(x), sympy.log(1 + x) + sympy.exp(x) - 1),
    "choice": (lambda x: ndl.where(x > 1, x, x**2), sympy.Piecewise((x, x > 1), (x**2, True))),
    "extrema": (lambda x: ndl.maximum(x, 1.0) + ndl.clip(x, None, 2.0), sympy.Max(x, 1) + sympy.Min(x, 2)),
}


@pytest.mark.parametrize("f, expected", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_becomes_its_expression(f, expected):
    assert sympy.simplify(symbolic.expression(f, x) - expected) == 0


@pytest.mark.parametrize("f, expected", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("at", [0.7, 1.3])
def test_sympys_derivative_is_the_automatic_one(f, expected, at):
    # rtol: both are float64 evaluations of formulas of a few terms
    by_sympy = float(symbolic.derivative(f, x).subs(x, at))
    np.testing.assert_allclose(ndl.grad(f)(at), by_sympy, rtol=1e-12)


@pytest.mark.parametrize("f, expression", FUNCTIONS.values(), ids=FUNCTIONS)
def test_an_expression_becomes_a_function_that_can_be_differentiated(f, expression):
    g = symbolic.from_sympy(expression, [x])
    points = np.array([0.4, 0.9, 1.7])
    np.testing.assert_allclose(ndl.vmap(ndl.grad(g))(points), ndl.vmap(ndl.grad(f))(points), rtol=1e-12)
    second = [float(sympy.diff(expression, x, 2).subs(x, at)) for at in points]
    np.testing.assert_allclose(ndl.vmap(ndl.grad(ndl.grad(g)))(points), second, rtol=1e-11, atol=1e-12)


def test_arrays_get_a_symbol_an_element():
    W = np.array([[1.0, 2.0], [3.0, 4.0]])
    x0, x1 = sympy.symbols("x0_0 x0_1", real=True)
    out = symbolic.expression(lambda x: x @ W, (2,))
    assert out.tolist() == [x0 + 3 * x1, 2 * x0 + 4 * x1]
    assert symbolic.derivative(lambda x: (x * x).sum(), (2,)).tolist() == [2 * x0, 2 * x1]
    assert (symbolic.derivative(lambda x: x @ W, (2,)).astype(float) == W.T).all()


def test_several_arguments_give_a_tuple_of_derivatives():
    assert symbolic.derivative(lambda a, b: a * b + ndl.sin(b), x, y) == (y, x + sympy.cos(y))


@pytest.mark.parametrize("f", [ndl.softmax, ndl.logsoftmax, lambda x: x - x.mean(), lambda x: x / x.max()])
def test_reductions_have_a_symbolic_form(f):
    point = np.array([0.3, -0.2, 0.5])
    expressions = symbolic.expression(f, (3,))
    symbols = sympy.symbols("x0_0 x0_1 x0_2", real=True)
    values = [float(e.subs(dict(zip(symbols, point, strict=True)))) for e in np.ravel(expressions)]
    np.testing.assert_allclose(values, f(ndl.Tensor(point)).numpy(), rtol=1e-12)


def test_a_needle_derivative_can_be_turned_into_an_expression():
    assert sympy.expand(symbolic.expression(ndl.grad(lambda x: x**3 + ndl.sin(x)), x)) == 3 * x**2 + sympy.cos(x)


def test_a_constant_function_is_a_constant_expression():
    assert symbolic.expression(lambda x: 3, x) == 3 and symbolic.derivative(lambda x: 3, x) == 0


def test_functions_without_a_counterpart_are_written_by_others():
    g = symbolic.from_sympy(sympy.sec(x) + sympy.cosh(x), x)
    np.testing.assert_allclose(ndl.grad(g)(0.4), float(sympy.diff(sympy.sec(x) + sympy.cosh(x), x).subs(x, 0.4)))


def test_a_piecewise_without_a_last_resort_is_nan_there():
    g = symbolic.from_sympy(sympy.Piecewise((x, x > 0)), x)
    assert g(2.0) == 2.0 and np.isnan(g(-2.0))


def test_variables_may_be_named():
    g = symbolic.derivative(lambda x1, x2: ndl.log(x1) + x1 * x2, "x1", "x2")
    assert symbolic.from_sympy(g[0], ["x1", "x2"])(2.0, 3.0) == 3.5
    assert symbolic.from_sympy(g[1], ("x1", "x2"))(2.0, 3.0) == 2.0
    assert symbolic.from_sympy(sympy.Symbol("t", positive=True) ** 2, "t")(3.0) == 9.0


@pytest.mark.parametrize(
    "wrong, kind, message",
    [
        (lambda: symbolic.expression(lambda x: x if x > 0 else -x, x), TypeError, "where"),
        (lambda: symbolic.expression(lambda x: x, 3.5), TypeError, "a shape, a name or SymPy symbols"),
        (lambda: symbolic.expression(lambda x: ndl.relu(x).numpy(), x), TypeError, "value"),
        (lambda: symbolic.from_sympy(x * y, [x]), ValueError, "variables that symbols does not name: y"),
        (lambda: symbolic.from_sympy(sympy.zeta(x), [x]), TypeError, "zeta has no counterpart"),
        (lambda: symbolic.from_sympy(x, [x])(1.0, 2.0), TypeError, "takes 1 arguments"),
    ],
)
def test_what_has_no_symbolic_form_is_an_error(wrong, kind, message):
    with pytest.raises(kind, match=message):
        wrong()


def test_a_missing_sympy_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sympy", None)
    with pytest.raises(ModuleNotFoundError, match=r"needle-autodiff\[symbolic\]"):
        symbolic.expression(lambda x: x, "x")
