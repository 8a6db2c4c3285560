"""Taylor mode: `jet`, `nth_derivative` and `laplacian` against nested derivatives, SymPy and mpmath.

A jet and nested derivatives compute the same numbers by other formulas in float64.  Of order k they are sums of some k!
products of size 1 to 10, so they may differ by a few thousand roundings: 1e-9 relative leaves room for that.
"""

import importlib
import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy
from ops_table import Case, Row, cases

import needle as ndl
from needle.transforms import grad, jacfwd, jet, jvp, laplacian, nth_derivative, vmap

CLOSE = {"rtol": 1e-9, "atol": 1e-9}

every_case = pytest.mark.parametrize(
    "row, case", [pytest.param(r, c, id=f"{r}: {c}") for r, c in cases() if not r.constant]
)


def flat(out) -> list:
    """The results of an op: a tuple's items, or the one."""
    return list(out) if isinstance(out, (tuple, list, ndl.TensorTuple)) else [out]


def nested(f, order: int) -> list:
    """The derivatives of order 0 … `order` of a function of a number at 0, by `jvp` within `jvp`."""
    derivatives = [f]
    for _ in range(order):
        derivatives.append(lambda t, g=derivatives[-1]: jvp(g, (t,), (1.0,))[1])
    return [g(0.0) for g in derivatives]


class Curve:
    """Arguments of a case, and random derivatives of a curve through them."""

    def __init__(self, case: Case, order: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.arrays = case.draw(rng)
        self.moving = [i for i, argument in enumerate(case.arguments) if argument.differentiable]
        self.primals = tuple(self.arrays[i] for i in self.moving)
        # Small, so that the curve stays where the function is analytic, and none of its derivatives is huge.
        self.series = tuple([0.5 * rng.normal(size=x.shape) for _ in range(order)] for x in self.primals)

    def at(self, t):
        """The point of the curve at t."""
        return [
            sum((d * (t**k / math.factorial(k)) for k, d in enumerate(ds, 1)), ndl.Tensor(x, requires_grad=False))
            for x, ds in zip(self.primals, self.series)
        ]

    def filled(self, moving) -> list:
        """All arguments of the case, with `moving` in the places of those that move."""
        arguments = [ndl.Tensor(a, requires_grad=False) for a in self.arrays]
        for i, x in zip(self.moving, moving):
            arguments[i] = x
        return arguments


def tuples(out):
    return tuple(out) if isinstance(out, ndl.TensorTuple) else out


@every_case
def test_jet_is_what_nested_derivatives_say(row: Row, case: Case):
    order = 5 if case is row.cases[0] else 2  # the other cases differ in shapes and keywords
    curve = Curve(case, order)

    def call(*moving):
        return tuples(row.call(case, *curve.filled(moving)))

    value, series = jet(call, curve.primals, curve.series)
    expected = nested(lambda t: call(*curve.at(t)), order)
    ours = [value, *([[mine[k] for mine in series] for k in range(order)] if isinstance(value, tuple) else series)]
    for k, (mine, theirs) in enumerate(zip(ours, expected, strict=True)):
        for a, b in zip(flat(mine), flat(theirs), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), **CLOSE, err_msg=f"order {k}")


@every_case
def test_jet_of_a_case_in_a_batch_is_the_jet_of_each(row: Row, case: Case):
    curves = [Curve(case, 2, seed) for seed in (0, 1)]
    for curve in curves:  # what does not move is shared
        curve.arrays = [a if i in curve.moving else b for i, (a, b) in enumerate(zip(curve.arrays, curves[0].arrays))]

    def second(curve, *moving_and_series):
        n = len(curve.moving)
        primals, first, second = (moving_and_series[i * n : (i + 1) * n] for i in range(3))
        series = tuple([a, b] for a, b in zip(first, second))
        out = jet(lambda *m: tuples(row.call(case, *curve.filled(m))), tuple(primals), series)[1]
        return tuple(mine[1] for mine in out) if isinstance(out, tuple) else out[1]

    def parts(curve):
        return [*curve.primals, *[ds[0] for ds in curve.series], *[ds[1] for ds in curve.series]]

    batched = vmap(lambda *a: second(curves[0], *a))(*[np.stack(pair) for pair in zip(*map(parts, curves))])
    for i, curve in enumerate(curves):
        for mine, alone in zip(flat(batched), flat(second(curve, *parts(curve)))):
            np.testing.assert_allclose(np.asarray(mine)[i], np.asarray(alone), **CLOSE)


# --------------------------------------------------------------------------------------------------------------------
# Functions of one variable, against SymPy and mpmath

x_ = sympy.Symbol("x")
FUNCTIONS = {
    "tanh": (ndl.tanh, sympy.tanh),
    "sin": (ndl.sin, sympy.sin),
    "tan": (ndl.tan, sympy.tan),
    "exp(sin)": (lambda x: ndl.exp(ndl.sin(x)), lambda x: sympy.exp(sympy.sin(x))),
    "log(1 + x²)": (lambda x: ndl.log(1 + x**2), lambda x: sympy.log(1 + x**2)),
    "1 / (1 + x²)": (lambda x: 1 / (1 + x * x), lambda x: 1 / (1 + x**2)),
    "x⁷": (lambda x: x**7, lambda x: x**7),
    "(2 + x)^-2.5": (lambda x: (2 + x) ** -2.5, lambda x: (2 + x) ** sympy.Rational(-5, 2)),
    "√(2 + x)": (lambda x: ndl.sqrt(2 + x), lambda x: sympy.sqrt(2 + x)),
    "arctan": (ndl.arctan, sympy.atan),
    "sigmoid": (ndl.sigmoid, lambda x: 1 / (1 + sympy.exp(-x))),
    "softplus": (ndl.softplus, lambda x: sympy.log(1 + sympy.exp(x))),
    "(2 + x)ˣ": (lambda x: (2 + x) ** x, lambda x: (2 + x) ** x),
    "2ˣ": (lambda x: 2**x, lambda x: 2**x),
    "expm1·log1p": (lambda x: ndl.expm1(x) * ndl.log1p(x**2), lambda x: (sympy.exp(x) - 1) * sympy.log(1 + x**2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", [1, 3, 8])
def test_nth_derivative_is_sympys(name, order):
    ours, theirs = FUNCTIONS[name]
    points = np.array([-1.3, -0.2, 0.4, 1.7])
    derivative = sympy.diff(theirs(x_), x_, order)
    expected = [float(derivative.subs(x_, sympy.Float(float(p), 40)).evalf(30)) for p in points]
    np.testing.assert_allclose(nth_derivative(ours, order)(points), expected, rtol=1e-11, atol=1e-11)


# Also where tanh is so near to 1 that 1 - tanh² has lost its digits, and near 0, where it is nearly odd.
EXTREME = [15.0, -18.0, 1e-6]


def test_the_twentieth_derivative_of_tanh_keeps_nine_digits_at_a_thousand_points():
    points = np.concatenate([np.random.default_rng(0).normal(0, 2, 997), EXTREME])
    polynomial = [0, 1]  # of y = tanh x, whose derivative is 1 - y²; ascending whole coefficients, hence exact
    for _ in range(20):
        slope = [k * c for k, c in enumerate(polynomial)][1:]
        polynomial = [a - b for a, b in zip([*slope, 0, 0], [0, 0, *slope])]
    with mpmath.workdps(100):
        expected = [float(mpmath.polyval(polynomial[::-1], mpmath.tanh(mpmath.mpf(float(p))))) for p in points]
    np.testing.assert_allclose(nth_derivative(ndl.tanh, 20)(points), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "arctan"])
def test_the_twentieth_derivative_keeps_nine_digits(name):
    theirs = {
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
        "arctan": mpmath.atan,
    }[name]
    points = np.concatenate([np.random.default_rng(0).normal(0, 2, 7), EXTREME])
    with mpmath.workdps(100):  # mpmath takes differences, and needs digits to lose
        expected = [float(mpmath.diff(theirs, mpmath.mpf(float(p)), 20)) for p in points]
    np.testing.assert_allclose(nth_derivative(getattr(ndl, name), 20)(points), expected, rtol=1e-9)


def test_nth_derivative_of_powers_at_zero():
    at_zero = [float(nth_derivative(lambda x: x**4, n)(0.0)) for n in range(7)]
    assert at_zero == [0, 0, 0, 0, 24, 0, 0]
    exponent = np.array([0.0, 1.0, 2.0, 3.0])
    power = lambda n: nth_derivative(lambda x: x ** ndl.Tensor(exponent), n)(np.zeros(4))
    assert [power(n).tolist() for n in (1, 2, 3, 4)] == [[0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 6], [0, 0, 0, 0]]
    assert [float(nth_derivative(lambda x: x**2.5, n)(0.0)) for n in (1, 2)] == [0, 0]
    assert np.isinf(nth_derivative(lambda x: x**2.5, 3)(0.0))


def test_a_series_that_starts_late_is_right_at_zero():
    # x(t) = t²: x², x³ and x^Tensor(2) begin with t⁴ and t⁶
    for f, expected in [(lambda x: x**2, 24), (lambda x: x ** ndl.Tensor(2.0), 24), (lambda x: x**3, 0)]:
        _, series = jet(f, (0.0,), ([0.0, 2.0, 0.0, 0.0],))
        assert [float(d) for d in series] == [0, 0, 0, expected]


def test_kinks_follow_the_table_of_choices():
    at_zero = lambda f: [float(d) for d in jet(f, (0.0,), ([1.0, 1.0],))[1]]
    assert at_zero(ndl.relu) == at_zero(ndl.abs) == [0, 0]
    assert at_zero(lambda x: ndl.clip(x, 0, 1)) == [1, 1]
    assert at_zero(lambda x: ndl.maximum(x, 0.0)) == [0.5, 0.5]
    assert at_zero(lambda x: ndl.floor(x) + ndl.sign(x)) == [0, 0]


def test_what_where_does_not_choose_never_makes_nan():
    f = lambda x: ndl.where(x > 0, ndl.sqrt(x), x**3)
    assert [float(d) for d in jet(f, (0.0,), ([1.0, 0.0, 0.0],))[1]] == [0, 0, 6]


# --------------------------------------------------------------------------------------------------------------------
# jet's conventions, and how it composes


def test_jet_follows_the_conventions_of_jax():
    # The curve x(t) = 1 + 2t + 3t²/2 in f(x) = x²: f'= 2·1·2, f'' = 2·2² + 2·1·3
    value, series = jet(lambda x: x**2, (1.0,), ([2.0, 3.0],))
    assert (float(value), [float(d) for d in series]) == (1, [4, 14])


def test_jet_gives_numpy_for_numpy_and_tensors_for_tensors():
    value, series = jet(ndl.sin, (np.ones(3, "float32"),), ([np.ones(3, "float32")] * 2,))
    assert {type(x) for x in [value, *series]} == {np.ndarray}
    assert {x.dtype for x in [value, *series]} == {np.dtype("float32")}
    value, series = jet(ndl.sin, (ndl.Tensor([1.0]),), ([np.ones(1)] * 2,))
    assert {type(x) for x in [value, *series]} == {ndl.Tensor}
    assert type(nth_derivative(ndl.sin, 2)(1.0)) is np.float64


def test_jet_takes_and_returns_trees():
    f = lambda p: {"product": p["a"] * p["b"], "sum": p["a"] + p["b"]}
    value, series = jet(f, ({"a": 2.0, "b": 3.0},), ([{"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 0.0}],))
    assert value == {"product": 6, "sum": 5}
    assert series == {"product": [5, 2], "sum": [2, 0]}


def test_the_value_may_be_asked_for_inside_a_jet():
    f = lambda x: x**2 if x > 0 else -x
    assert float(nth_derivative(f, 2)(3.0)) == 2
    assert float(nth_derivative(f, 1)(-3.0)) == -1


def test_what_is_held_back_has_no_derivative():
    for held in (lambda x: x.detach(), lambda x: ndl.stop_gradient(x), lambda x: x.data):
        assert [float(d) for d in jet(lambda x, held=held: x * held(x), (3.0,), ([1.0, 0.0],))[1]] == [3, 0]

    def inside(x):
        with ndl.no_grad():
            y = x * x
        return x * y

    assert [float(d) for d in jet(inside, (3.0,), ([1.0, 0.0],))[1]] == [9, 0]
    with ndl.no_grad():
        assert float(nth_derivative(lambda x: x**3, 2)(2.0)) == 12


def test_perturbations_of_nested_jets_are_not_confused():
    inner = lambda x: nth_derivative(lambda y: x * y**3, 2)(x)  # 6x²
    assert float(nth_derivative(inner, 1)(2.0)) == 24
    assert float(grad(lambda x: x * nth_derivative(lambda y: x + y, 1)(x))(2.0)) == 1
    assert float(nth_derivative(lambda x: nth_derivative(lambda y: x * y**2, 1)(3.0), 1)(2.0)) == 6


def test_reverse_over_jet_jet_over_reverse_and_jet_agree():
    f = lambda x: ndl.exp(ndl.sin(x)) * ndl.tanh(x) / (2 + x**2)
    reverse = f
    for _ in range(5):
        reverse = grad(reverse)
    ways = [nth_derivative(f, 5), grad(nth_derivative(f, 4)), nth_derivative(grad(f), 4), reverse]
    ways += [nth_derivative(nth_derivative(f, 2), 3), grad(nth_derivative(grad(f), 3))]
    np.testing.assert_allclose([float(way(0.7)) for way in ways], float(ways[0](0.7)), rtol=1e-11)


def test_vmap_of_jet_and_jet_of_vmap_agree():
    f = lambda x: ndl.softmax(x * ndl.tanh(x))
    x, v = np.random.default_rng(0).normal(size=(2, 4, 3))
    third = lambda x, v: jet(f, (x,), ([v, v, v],))[1][2]
    np.testing.assert_allclose(vmap(third)(x, v), jet(vmap(f), (x,), ([v, v, v],))[1][2], rtol=1e-12)


def test_jets_reach_closed_over_tensors():
    w = ndl.Tensor(2.0)
    nth_derivative(lambda x: w**2 * x**3, 2)(5.0).backward()  # 6·w²·x
    assert float(w.grad) == 6 * 2 * 2 * 5


class Mish(ndl.TensorOp):
    """A user's op that has nothing but the contract: x·tanh(softplus(x))."""

    def compute(self, x):
        return x * np.tanh(np.logaddexp(x, 0))

    def gradient(self, out_grad, node):
        x = node.inputs[0]
        t = ndl.tanh(ndl.softplus(x))
        return out_grad * (t + x * (1 - t**2) * ndl.sigmoid(x))


class Exponential(ndl.TensorOp):
    """A user's op whose rule uses its own result."""

    def compute(self, x):
        return np.exp(x)

    def gradient(self, out_grad, node):
        return out_grad * node


class Hypotenuse(ndl.TensorOp):
    """A user's op of two variables, whose rule calls itself."""

    def compute(self, x, y):
        return np.hypot(x, y)

    def gradient(self, out_grad, node):
        x, y = node.inputs
        return out_grad * x / Hypotenuse()(x, y), out_grad * y / node


@pytest.mark.parametrize(
    "ours, theirs, arity",
    [
        (Mish(), lambda x: x * ndl.tanh(ndl.softplus(x)), 1),
        (Exponential(), ndl.exp, 1),
        (Hypotenuse(), lambda x, y: ndl.sqrt(x**2 + y**2), 2),
    ],
)
def test_a_users_op_without_a_taylor_rule_is_exact(ours, theirs, arity):
    rng = np.random.default_rng(0)
    primals = tuple(rng.normal(size=(arity, 3)))
    series = tuple([*rows] for rows in rng.normal(size=(arity, 6, 3)))
    (_, mine), (_, expected) = jet(ours, primals, series), jet(theirs, primals, series)
    np.testing.assert_allclose(mine, expected, rtol=1e-10)


def test_cost_grows_with_the_square_of_the_order(monkeypatch):
    calls = []
    monkeypatch.setattr(ndl.ops.EWiseMul, "compute", lambda self, a, b: calls.append(1) or a * b)
    counts = []
    for order in (10, 20, 40):
        calls.clear()
        nth_derivative(ndl.tanh, order)(0.5)
        counts.append(len(calls))
    assert counts[1] <= 4 * counts[0] and counts[2] <= 4 * counts[1]


# --------------------------------------------------------------------------------------------------------------------
# laplacian


def trace_of_hessian(f, x) -> float:
    return float(np.trace(jacfwd(grad(f))(x)))


LAPLACIANS = {
    "polynomial": lambda x: (x**3).sum() * x[0],
    "quotient": lambda x: ndl.sin(x[0] * x[1]) / (2 + x[2] ** 2),
    "softmax": lambda x: (ndl.softmax(x) * x).sum(),
    "logsumexp": lambda x: ndl.logsumexp(x * x),
    "powers": lambda x: ((x**2 + 1) ** x).sum(),
    "einsum": lambda x: ndl.einsum("i,i,j->", x, ndl.tanh(x), x),
    "user's op": lambda x: Hypotenuse()(x[0] + 2, Mish()(x[1])) * x[2],
    "joined": lambda x: (ndl.stack([x[0] * x[1], x[2], ndl.exp(x[0])], 0) ** 2).sum(),
    "linear": lambda x: x.sum() * 3,
    "constant": lambda x: ndl.Tensor(2.0),
}


@pytest.mark.parametrize("name", LAPLACIANS)
def test_laplacian_is_the_trace_of_the_hessian(name):
    f, x = LAPLACIANS[name], np.array([0.3, -0.8, 1.2])
    expected = 0.0 if name == "constant" else trace_of_hessian(f, x)
    np.testing.assert_allclose(laplacian(f)(x), expected, rtol=1e-11, atol=1e-12)


def net(widths=(2, 8, 8, 1)):
    layers = []
    for m, n in itertools.pairwise(widths):
        layers += [ndl.nn.Linear(m, n, dtype="float64"), ndl.nn.Tanh()]
    return ndl.nn.Sequential(*layers[:-1])


def test_laplacian_of_a_model_is_that_of_each_point():
    model, points = net(), np.random.default_rng(0).normal(size=(5, 2))
    each = [trace_of_hessian(lambda p: model(p.reshape((1, 2))).sum(), p) for p in points]
    ours = laplacian(model)(points)
    assert ours.shape == (5, 1)
    np.testing.assert_allclose(ours.numpy()[:, 0], each, rtol=1e-11)
    flat_ = laplacian(lambda p: model(p).reshape((-1,)))(points)
    np.testing.assert_allclose(flat_.numpy(), each, rtol=1e-11)
    np.testing.assert_allclose(
        vmap(laplacian(lambda p: model(p.reshape((1, 2))).sum()))(points).numpy(), each, rtol=1e-11
    )


def test_laplacian_in_a_loss_reaches_the_weights():
    model, points = net(), np.random.default_rng(0).normal(size=(5, 2))
    loss = lambda: (laplacian(model)(points) ** 2).mean()
    loss().backward()
    weight = model.parameters()[0]
    gradient, step = weight.grad.numpy(), 1e-6
    with ndl.no_grad():
        for index in [(0, 0), (1, 3)]:
            values = []
            for sign in (1, -1):
                weight.cached_data[index] += sign * step
                values.append(float(loss()))
                weight.cached_data[index] -= sign * step
            # central differences: step² truncation, 1e-16/step rounding
            assert gradient[index] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(3, 2), (20_000, 2)])  # less than a block of memory, and several
def test_the_fast_way_through_elementwise_functions_is_the_plain_one(shape, monkeypatch):
    points = np.asfortranarray(np.random.default_rng(0).normal(size=shape))
    weight = ndl.Tensor(np.random.default_rng(1).normal(size=(2, 1)))
    model = lambda p: ndl.tanh(ndl.sin(ndl.tanh(p) @ weight) * 2)

    def derivatives():
        weight.grad = None
        value = laplacian(model)(points)
        (value**2).mean().backward()
        first = weight.grad
        (first**2).sum().backward()
        return value.numpy(), first.numpy(), weight.grad.numpy()

    fast = derivatives()
    curved = importlib.import_module("needle.transforms.laplacian").Curved
    monkeypatch.setattr(curved, "_is_plain", lambda *args: False)
    for mine, plain in zip(fast, derivatives()):
        np.testing.assert_allclose(mine, plain, rtol=1e-10)


def test_laplacian_of_one_function_of_a_matrix():
    x = np.arange(6.0).reshape(3, 2)
    assert float(laplacian(lambda x: (x**3).sum() + x[0, 0] * x[1, 1])(x)) == 6 * 15


def test_laplacian_composes():
    f = lambda x: (x**4).sum()  # Δ = 12 Σ x², ΔΔ = 24 d
    x = np.array([1.0, 2.0])
    assert float(laplacian(laplacian(f))(x)) == 48
    np.testing.assert_allclose(grad(laplacian(f))(x), 24 * x)
    np.testing.assert_allclose(jvp(laplacian(f), (x,), (x,))[1], 24 * 5)
    assert laplacian(lambda x: x**3)(2.0) == 12


# --------------------------------------------------------------------------------------------------------------------
# Mistakes

MISTAKES = [
    (lambda: jet(ndl.sin, 1.0, ([1.0],)), TypeError, "primals of jet must be a tuple"),
    (lambda: jet(ndl.sin, (1.0,), ([1.0], [1.0])), ValueError, "1 primals and 2 series"),
    (lambda: jet(ndl.sin, (1.0,), (1.0,)), TypeError, r"series\[0\] of jet must be a list"),
    (lambda: jet(ndl.add, (1.0, 2.0), ([1.0], [1.0, 2.0])), ValueError, "one length, got"),
    (lambda: jet(ndl.sin, (np.ones(3),), ([np.ones(2)],)), ValueError, r"series\[0\]\[0\] of jet must have the shape"),
    (lambda: jet(ndl.sin, (1.0,), ([(1.0, 2.0)],)), ValueError, "must have the structure of its primal"),
    (lambda: jet(ndl.sin, (1,), ([1.0],)), TypeError, "floating-point"),
    (lambda: nth_derivative(ndl.sin, -1), ValueError, "at least 0, got -1"),
    (lambda: nth_derivative(ndl.sin, 1.5), ValueError, "whole number"),
    (lambda: nth_derivative(ndl.sin, 171), ValueError, "170"),
    (lambda: nth_derivative(ndl.sin, 2)(3), TypeError, "floating-point"),
    (lambda: nth_derivative(lambda x: x.sum(), 2)(np.ones(3)), ValueError, "element by element"),
    (lambda: nth_derivative(lambda x: x[0], 2)((1.0, 2.0)), TypeError, "one number or array"),
    (lambda: laplacian(lambda x: x.sum(axis=0))(np.ones((4, 2))), ValueError, "one value a point"),
    (lambda: laplacian(lambda x: x.sum())(np.ones(3, int)), TypeError, "floating-point"),
]


@pytest.mark.parametrize("mistake, kind, words", MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_a_mistake_is_named(mistake, kind, words):
    with pytest.raises(kind, match=words):
        mistake()


def test_a_series_that_leaks_is_refused():
    leaked = []
    nth_derivative(lambda x: leaked.append(x) or x * x, 2)(1.0)
    with pytest.raises(RuntimeError, match="from inside nth_derivative"):
        leaked[0] * 2
