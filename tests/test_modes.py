"""Every mode of differentiation against the others: for every op, for random compositions, and to high orders.

The same second derivative is had by reverse over reverse, forward over reverse, reverse over forward and forward over
forward, each also in a batch.  They compute one number by other formulas in float64: 1e-9 relative leaves room for the
rounding of some thousand products.  Random compositions and high orders are compared with what knows nothing of needle:
the complex step, whose derivative loses no digits to subtraction (Squire & Trapp 1998), mpmath and SymPy.
"""

import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_table import cases

import needle as ndl
from needle.transforms import (
    checkpoint,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jet,
    jvp,
    linearize,
    nth_derivative,
    vjp,
    vmap,
)

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
SIZE = 2  # examples in a batch

every_case = pytest.mark.parametrize(
    "row, case", [pytest.param(row, case, id=f"{row}: {case}") for row, case in cases() if not row.constant]
)


# --------------------------------------------------------------------------------------------------------------------
# Every op: one second derivative, by all ways to take it


class Scalar:
    """A call of a row, reduced to a number, not linearly, so that second-order terms are seen: a function of those of
    its arguments that can be differentiated."""

    def __init__(self, row, case):
        self.row, self.case = row, case
        self.constants = case.draw(np.random.default_rng(0))
        self.moving = [i for i, argument in enumerate(case.arguments) if argument.differentiable]

    def __call__(self, *moving):
        arguments = [ndl.Tensor(array, requires_grad=False) for array in self.constants]
        for i, x in zip(self.moving, moving):
            arguments[i] = x
        out = self.row.call(self.case, *arguments)
        outs = list(out) if isinstance(out, ndl.TensorTuple) else [out]
        return sum(((item * item).sum() * 0.5 + item.sum() for item in outs[1:]), (outs[0] ** 2).sum() + outs[0].sum())

    def draw(self, seed: int) -> list[np.ndarray]:
        arrays = self.case.draw(np.random.default_rng(seed))
        return [arrays[i] for i in self.moving]


def inner(gradients, directions):
    return sum((g * d).sum() for g, d in zip(gradients, directions))


def second_derivatives(f, n: int) -> dict:
    """f''[u, v] of a function of n arguments as functions of (x, u, v), 3·n arrays."""
    places = tuple(range(n))
    parts = lambda args: (args[:n], args[n : 2 * n], args[2 * n :])

    def reverse_over_reverse(*args):
        x, u, v = parts(args)
        return inner(grad(lambda *x: inner(grad(f, places)(*x), u), places)(*x), v)

    def forward_over_reverse(*args):
        x, u, v = parts(args)
        return inner(jvp(grad(f, places), x, v)[1], u)

    def reverse_over_forward(*args):
        x, u, v = parts(args)
        return inner(grad(lambda *x: jvp(f, x, u)[1], places)(*x), v)

    def forward_over_forward(*args):
        x, u, v = parts(args)
        return jvp(lambda *x: jvp(f, x, u)[1], x, v)[1]

    def of_a_tangent_program(*args):
        x, u, v = parts(args)
        return jvp(lambda *x: linearize(f, *x)[1](*u), x, v)[1]

    return {
        way.__name__: way
        for way in (
            reverse_over_reverse,
            forward_over_reverse,
            reverse_over_forward,
            forward_over_forward,
            of_a_tangent_program,
        )
    }


@every_case
def test_second_derivatives_agree_in_all_modes_and_in_batches(row, case):
    f = Scalar(row, case)
    n = len(f.moving)
    rng = np.random.default_rng(1)
    points = [f.draw(seed) for seed in range(SIZE)]
    directions = [[rng.normal(size=x.shape) for x in [*point, *point]] for point in points]
    inputs = [[*point, *both] for point, both in zip(points, directions)]
    batch = [np.stack(parts) for parts in zip(*inputs)]
    ways = second_derivatives(f, n)
    expected = [float(ways["reverse_over_reverse"](*arrays)) for arrays in inputs]
    for name, way in ways.items():
        np.testing.assert_allclose(float(way(*inputs[0])), expected[0], **CLOSE, err_msg=name)
        np.testing.assert_allclose(vmap(way)(*batch), expected, **CLOSE, err_msg=f"vmap of {name}")


# --------------------------------------------------------------------------------------------------------------------
# Random compositions of ops and of transforms, against mpmath


UNARY = {
    "sin": (ndl.sin, mpmath.sin),
    "tanh": (ndl.tanh, mpmath.tanh),
    "exp(sin ·)": (lambda a: ndl.exp(ndl.sin(a)), lambda a: mpmath.exp(mpmath.sin(a))),
    "square": (ndl.square, lambda a: a * a),
    "cube": (lambda a: a**3, lambda a: a**3),
    "-·/2": (lambda a: -a / 2, lambda a: -a / 2),
    "1/(2+sin ·)": (lambda a: 1 / (2 + ndl.sin(a)), lambda a: 1 / (2 + mpmath.sin(a))),
    "log(2+cos ·)": (lambda a: ndl.log(2 + ndl.cos(a)), lambda a: mpmath.log(2 + mpmath.cos(a))),
    "√(1+·²)": (lambda a: ndl.sqrt(1 + a * a), lambda a: mpmath.sqrt(1 + a * a)),
    "arctan": (ndl.arctan, mpmath.atan),
    "with numpy": (lambda a: np.sin(a) + np.multiply(a, 0.5), lambda a: mpmath.sin(a) + a / 2),
}
BINARY = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "·": (lambda a, b: a * b, lambda a, b: a * b),
    "÷(3+cos)": (lambda a, b: a / (3 + ndl.cos(b)), lambda a, b: a / (3 + mpmath.cos(b))),
    "where": (lambda a, b: ndl.where(b > 100.0, ndl.sqrt(b), a), lambda a, b: a),  # √b is never chosen, and may be nan
}
functions = st.recursive(
    st.just("x"),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), inner), st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    ),
    max_leaves=5,
)


def evaluate(expression, x, side):
    """The expression at x, with needle's functions (side 0) or mpmath's (side 1)."""
    if isinstance(expression, str):
        return x
    name, *operands = expression
    return (UNARY | BINARY)[name][side](*[evaluate(operand, x, side) for operand in operands])


def by_hand(f):
    """f with its derivative given by hand."""
    ours = ndl.custom_jvp(f)
    ours.defjvp(lambda primals, tangents: (f(*primals), derivative(f)(*primals) * tangents[0]))
    return ours


def derivative(f):
    return lambda x: jvp(f, (x,), (ndl.ones_like(x),))[1]


# What makes of a function of a number that function again, or its n-th derivative; every one runs it another way.
TRANSFORMS = {
    "checkpoint": (0, checkpoint),
    "vmap": (0, lambda f: lambda x: vmap(f)(ndl.stack([x, x * 2], 0))[0]),
    "vmap of a closure": (0, lambda f: lambda x: vmap(lambda c: f(x) * c)(np.array([1.0, 2.0]))[0]),
    "scan": (0, lambda f: lambda x: ndl.scan(lambda carry, c: (carry, f(carry) * c), x, np.ones(2))[1][1]),
    "cond": (0, lambda f: lambda x: ndl.cond(x * 0.0 == 0.0, f, lambda x: x, x)),
    "custom_jvp": (0, by_hand),
    "grad": (1, grad),
    "derivative": (1, derivative),
    "vjp": (1, lambda f: lambda x: vjp(f, x)[1](1.0)[0]),
    "linearize": (1, lambda f: lambda x: linearize(f, x)[1](1.0)),
    "jacfwd": (1, jacfwd),
    "jacrev": (1, lambda f: lambda x: jacrev(lambda p: f(p[0]))(ndl.reshape(x, (1,)))[0]),
    "an outer variable": (1, lambda f: lambda x: grad(lambda y: f(y) * (x + 3.0))(x) / (x + 3.0)),
    "a confusable one": (1, lambda f: lambda x: derivative(lambda y: x * 0.5 + f(y))(x)),
    "vmap of grad": (1, lambda f: lambda x: vmap(grad(f))(ndl.stack([x, x * 2], 0))[0]),
    "jet": (2, lambda f: lambda x: jet(f, (x,), ([1.0, 0.0],))[1][1]),
    "nth_derivative": (2, lambda f: nth_derivative(f, 2)),
    "hessian": (2, hessian),
    "laplacian": (2, lambda f: lambda x: ndl.laplacian(lambda p: f(p[0]))(ndl.reshape(x, (1,)))),
}
towers = st.lists(st.sampled_from(sorted(TRANSFORMS)), min_size=1, max_size=4).filter(
    lambda names: 1 <= sum(TRANSFORMS[name][0] for name in names) <= 5
)


@settings(max_examples=150)
@given(functions, towers, st.floats(-0.9, 0.9).map(lambda x: round(x, 3)))
def test_random_compositions_of_ops_and_transforms_are_mpmaths(expression, names, x):
    f, order = lambda x: evaluate(expression, x, 0), 0
    for name in names:
        n, transform = TRANSFORMS[name]
        f, order = transform(f), order + n
    with mpmath.workdps(60):
        terms = mpmath.taylor(lambda x: evaluate(expression, x, 1), mpmath.mpf(x), order)
    expected, scale = float(terms[order] * math.factorial(order)), float(max(map(abs, terms)) * math.factorial(order))
    assert float(f(x)) == pytest.approx(expected, rel=1e-9, abs=1e-10 * scale + 1e-12)


# --------------------------------------------------------------------------------------------------------------------
# High orders against SymPy, and derivatives in batches in derivatives

x_ = sympy.Symbol("x")
HIGH = {
    "tanh(x)·sin(x)": (lambda x: ndl.tanh(x) * ndl.sin(x), sympy.tanh(x_) * sympy.sin(x_)),
    "exp(-x²)": (lambda x: ndl.exp(-(x**2)), sympy.exp(-(x_**2))),
    "log(2 + x)/(1 + x²)": (lambda x: ndl.log(2 + x) / (1 + x * x), sympy.log(2 + x_) / (1 + x_**2)),
    "√(2 + sin x)": (lambda x: ndl.sqrt(2 + ndl.sin(x)), sympy.sqrt(2 + sympy.sin(x_))),
}


def nested(transform, f, order: int):
    for _ in range(order):
        f = transform(f)
    return f


@pytest.mark.parametrize("order", [2, 4, 6, 8])
@pytest.mark.parametrize("f, expression", HIGH.values(), ids=HIGH)
def test_high_orders_are_sympys(f, expression, order):
    points = np.array([-0.7, 0.3])
    exact = sympy.diff(expression, x_, order)
    expected = [float(exact.subs(x_, sympy.Rational(str(p))).evalf(30)) for p in points]
    tolerance = {"rtol": 1e-9, "atol": 1e-9 * max(map(abs, expected))}
    np.testing.assert_allclose(nth_derivative(f, order)(points), expected, **tolerance)
    np.testing.assert_allclose(nth_derivative(nested(grad, f, 2), order - 2)(0.3), expected[1], **tolerance)
    if order <= 6:  # the graph of nested reverse mode grows with 2ⁿ
        np.testing.assert_allclose(vmap(nested(grad, f, order))(points), expected, **tolerance)
    if order <= 4:
        np.testing.assert_allclose(vmap(nested(derivative, f, order))(points), expected, **tolerance)


NESTED = {
    "vmap(grad(jvp))": lambda f: vmap(grad(derivative(f))),
    "vmap(jvp(grad))": lambda f: vmap(derivative(grad(f))),
    "grad(vmap(jvp))": lambda f: grad(lambda x: vmap(derivative(f))(x).sum()),
    "jvp(vmap(grad))": lambda f: derivative(vmap(grad(f))),
    "grad(jvp(vmap))": lambda f: grad(lambda x: derivative(vmap(f))(x).sum()),
    "jvp(grad(vmap))": lambda f: derivative(grad(lambda x: vmap(f)(x).sum())),
    "vmap(grad(jvp(checkpoint)))": lambda f: vmap(grad(derivative(checkpoint(f)))),
    "checkpoint(jvp(vmap(grad)))": lambda f: checkpoint(derivative(vmap(grad(f)))),
}


@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_batches_and_derivatives_nest_any_way_round(nest):
    x = np.linspace(-1, 1, 4)
    f = lambda x: ndl.sin(x) * ndl.exp(x)
    np.testing.assert_allclose(nest(f)(x), 2 * np.cos(x) * np.exp(x), rtol=1e-12, atol=1e-12)


def test_a_subclass_with_a_slope_of_its_own_is_differentiated_by_it():
    class Steep(ndl.ops.Tanh):
        def compute(self, a):
            return np.tanh(a * 3)

        def gradient(self, out_grad, node):
            return out_grad * (1 - node * node) * 3

    x = np.array([0.1, 0.2])
    _, tangent = ndl.jvp(Steep(), (ndl.Tensor(x),), (np.ones(2),))
    np.testing.assert_allclose(tangent.numpy(), 3 / np.cosh(3 * x) ** 2, rtol=1e-13)
