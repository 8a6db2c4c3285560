"""grad, value_and_grad, vjp and jvp: values, kinds, structures, nesting, and what they refuse."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import minimize

import needle as ndl

W = np.random.default_rng(0).normal(size=(3, 3))


def net(x):
    return ndl.tanh(x @ W).sum()


def net_gradient(x):
    return (1 - np.tanh(x @ W) ** 2) @ W.T


X = np.random.default_rng(1).normal(size=(2, 3))
V = np.random.default_rng(2).normal(size=(2, 3))


# Values

CLOSED_FORMS = {
    "cube": (lambda x: x**3, [lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6.0]),
    "sin": (ndl.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)]),
    "exp of square": (
        lambda x: ndl.exp(x * x),
        [
            lambda x: 2 * x * np.exp(x * x),
            lambda x: (2 + 4 * x**2) * np.exp(x * x),
            lambda x: (12 * x + 8 * x**3) * np.exp(x * x),
        ],
    ),
}


@pytest.mark.parametrize("f, derivatives", CLOSED_FORMS.values(), ids=CLOSED_FORMS)
@pytest.mark.parametrize("x", [0.7, -1.2])
def test_nested_gradients_are_the_closed_forms(f, derivatives, x):
    for derivative in derivatives:
        f = ndl.grad(f)
        assert f(x) == pytest.approx(derivative(x), rel=1e-12)


@pytest.mark.parametrize("f, derivatives", CLOSED_FORMS.values(), ids=CLOSED_FORMS)
@pytest.mark.parametrize("modes", ["ff", "fr", "rf", "rr", "frf", "rfr", "ffr", "rrf"])
def test_modes_nest_in_any_order(f, derivatives, modes):
    for mode in modes:
        f = ndl.grad(f) if mode == "r" else (lambda g: lambda x: ndl.jvp(g, (x,), (np.ones(()),))[1])(f)
    assert f(0.7) == pytest.approx(derivatives[len(modes) - 1](0.7), rel=1e-12)


@pytest.mark.parametrize(
    "f, expected",
    [
        (lambda x: x * ndl.grad(lambda y: x + y)(x), 1.0),
        (lambda x: ndl.grad(lambda y: x * y**2)(3.0), 6.0),
        (lambda x: x * ndl.jvp(lambda y: x + y, (1.0,), (1.0,))[1], 1.0),
        (lambda x: ndl.jvp(lambda y: x * y**2, (3.0,), (1.0,))[1], 6.0),
        (lambda x: ndl.grad(lambda y: ndl.grad(lambda z: x * y * z)(y))(x), 1.0),
    ],
)
@pytest.mark.parametrize("outer", ["grad", "jvp"])
def test_nested_derivatives_do_not_mix_up_their_perturbations(f, expected, outer):
    derivative = ndl.grad(f) if outer == "grad" else lambda x: ndl.jvp(f, (x,), (1.0,))[1]
    assert derivative(2.0) == pytest.approx(expected)


def test_the_gradient_is_that_of_numpy():
    np.testing.assert_allclose(ndl.grad(net)(X), net_gradient(X), rtol=1e-12)


def test_forward_and_reverse_agree_by_the_dot_product():
    _, pull_back = ndl.vjp(lambda x: ndl.tanh(x @ W), X)
    tangent = ndl.jvp(lambda x: ndl.tanh(x @ W), (X,), (V,))[1]
    assert (tangent * V).sum() == pytest.approx((pull_back(V)[0] * V).sum(), rel=1e-12)


def test_a_pullback_may_be_called_many_times():
    out, pull_back = ndl.vjp(lambda x, y: x * y, X, V)
    for cotangent in (np.ones_like(X), V):
        np.testing.assert_array_equal(pull_back(cotangent)[0], cotangent * V)
        np.testing.assert_array_equal(pull_back(cotangent)[1], cotangent * X)
    np.testing.assert_array_equal(out, X * V)


def test_a_users_op_works_in_every_mode():
    class Cube(ndl.TensorOp):
        def compute(self, x):
            return x**3

        def gradient(self, out_grad, node):
            return out_grad * 3 * node.inputs[0] ** 2

    f = lambda x: Cube()(x).sum()
    np.testing.assert_allclose(ndl.grad(f)(X), 3 * X**2)
    np.testing.assert_allclose(ndl.jvp(f, (X,), (V,))[1], (3 * X**2 * V).sum())
    np.testing.assert_allclose(ndl.jvp(ndl.grad(f), (X,), (V,))[1], 6 * X * V)
    np.testing.assert_allclose(ndl.vmap(ndl.grad(f))(X), 3 * X**2)


# Kinds


@pytest.mark.parametrize(
    "x, kind",
    [(2.0, np.float64), (np.float32(2), np.float32), (np.array(2.0), np.ndarray), (ndl.Tensor(2.0), ndl.Tensor)],
)
@pytest.mark.parametrize("transform", [ndl.grad, lambda f: ndl.grad(ndl.grad(f)), lambda f: ndl.value_and_grad(f)])
def test_the_same_kind_comes_out_as_went_in(x, kind, transform):
    result = transform(lambda x: x * x * x)(x)
    assert type(result[1] if isinstance(result, tuple) else result) is kind


INNER = {
    "grad": lambda x: ndl.grad(lambda y: x * y**3)(3.0),
    "grad of checkpoint": lambda x: ndl.grad(ndl.checkpoint(lambda y, c: x * c * y**3))(3.0, 2.0),
    "vjp": lambda x: ndl.vjp(lambda y: x * y**3, 3.0)[1](1.0)[0],
    "hessian": lambda x: ndl.hessian(lambda y: x * y**3)(3.0),
    "jacobian": lambda x: ndl.jacobian(lambda y: x * y**3)(np.array([3.0])).sum(),
    "linearize": lambda x: ndl.linearize(lambda y: x * y**3, 3.0)[1](1.0),
    "root": lambda x: ndl.root(lambda y, a: a * y**3 - x, 3.0, 2.0),
}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_a_number_comes_out_also_where_an_inner_transform_closes_over_an_outer_variable(inner):
    found = ndl.grad(inner)(2.0)
    assert type(found) is np.float64
    assert found == pytest.approx(ndl.numeric.central_difference(inner, 2.0))
    weight = ndl.Tensor(1.5)
    followed = ndl.grad(lambda x: inner(x) * weight)(2.0)  # but not where something outside is followed
    assert type(followed) is ndl.Tensor and followed.requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_the_dtype_is_kept(dtype):
    x = np.ones(3, dtype)
    value, gradient = ndl.value_and_grad(lambda x: (x * x * 0.5).sum())(x)
    assert value.dtype == gradient.dtype == dtype
    assert all(part.dtype == dtype for part in ndl.jvp(lambda x: x * 2, (x,), (x,)))


def test_scipy_minimizes_with_value_and_grad_as_it_stands():
    target = np.array([1.0, -2.0, 3.0])
    found = minimize(ndl.value_and_grad(lambda x: ((x - target) ** 2).sum()), np.zeros(3), jac=True)
    np.testing.assert_allclose(found.x, target, atol=1e-6)


Point = namedtuple("Point", "x y")


@dataclass
class Line:
    slope: object
    shift: object


@pytest.mark.parametrize(
    "tree, f, read",
    [
        ({"a": 2.0, "b": [3.0]}, lambda t: t["a"] * t["b"][0], lambda g: (g["a"], g["b"][0])),
        (Point(2.0, 3.0), lambda p: p.x * p.y, lambda g: (g.x, g.y)),
        ((2.0, (3.0,)), lambda t: t[0] * t[1][0], lambda g: (g[0], g[1][0])),
        (Line(2.0, 3.0), lambda line: line.slope * line.shift, lambda g: (g.slope, g.shift)),
    ],
)
def test_trees_come_back_in_their_structure(tree, f, read):
    gradient = ndl.grad(f)(tree)
    assert type(gradient) is type(tree) and read(gradient) == (3.0, 2.0)


def test_several_argnums_give_a_tuple_and_keywords_pass_through():
    f = lambda x, y, scale: scale * x * y
    assert ndl.grad(f, argnums=(0, 1))(2.0, 3.0, scale=10.0) == (30.0, 20.0)
    assert ndl.grad(f, argnums=-1)(2.0, 3.0, 1.0) == 6.0


def test_auxiliary_results_are_handed_on():
    gradient, aux = ndl.grad(lambda x: (x * x, {"double": 2 * x}), has_aux=True)(3.0)
    assert (gradient, aux["double"]) == (6.0, 6.0)
    (value, aux), gradient = ndl.value_and_grad(lambda x: (x * x, "note"), has_aux=True)(3.0)
    assert (value, aux, gradient) == (9.0, "note", 6.0)
    assert ndl.vjp(lambda x: (x, x + 1), 1.0, has_aux=True)[2] == 2.0


def test_an_argument_that_is_not_used_has_a_zero_gradient():
    gradient = ndl.grad(lambda x, y: x.sum(), argnums=1)(X, np.ones(4, np.float32))
    assert gradient.dtype == np.float32 and not gradient.any() and gradient.shape == (4,)


# Modules


def test_a_module_is_differentiated_in_its_parameters():
    model = ndl.nn.Sequential(ndl.nn.Linear(3, 2), ndl.nn.ReLU(), ndl.nn.Linear(2, 1))
    x = ndl.init.randn(5, 3)
    before = [p.numpy() for p in model.parameters()]
    gradient = ndl.grad(lambda m: (m(x) ** 2).sum())(model)
    (model(x) ** 2).sum().backward()
    assert type(gradient) is type(model) and gradient is not model
    for p, g, old in zip(
        model.parameters(), [g for m in (0, 2) for g in vars_of(gradient.modules[m])], before, strict=True
    ):
        np.testing.assert_allclose(g.numpy(), p.grad.numpy(), rtol=1e-5)
        np.testing.assert_array_equal(p.numpy(), old)


def vars_of(linear):
    return [linear.weight, linear.bias]


def test_the_parameters_are_put_back_after_an_error():
    model = ndl.nn.Linear(3, 2)
    nodes = [p.node for p in model.parameters()]

    def fails(m):
        raise KeyError("from inside")

    with pytest.raises(KeyError, match="from inside"):
        ndl.grad(fails)(model)
    assert [p.node for p in model.parameters()] == nodes


def test_running_statistics_land_in_the_module_itself():
    model = ndl.nn.BatchNorm1d(3)
    ndl.grad(lambda m: m(ndl.Tensor(X.astype("float32"))).sum())(model)
    assert model.running_mean.numpy().any()


# Closures and recording


def test_an_outer_derivative_flows_through_a_closed_over_tensor():
    w = ndl.Tensor([2.0])
    gradient = ndl.grad(lambda x: (x * x * w).sum())(np.array([3.0]))
    gradient.backward()
    assert isinstance(gradient, ndl.Tensor) and w.grad.numpy() == [6.0]


def test_no_grad_gives_plain_results_and_transforms_still_differentiate():
    w = ndl.Tensor([2.0])
    with ndl.no_grad():
        gradient = ndl.grad(lambda x: (x * x * w).sum())(np.array([3.0]))
        tangent = ndl.jvp(lambda x: x * w, (np.array([3.0]),), (np.ones(1),))[1]
    assert isinstance(gradient, np.ndarray) and gradient == [12.0]
    assert isinstance(tangent, np.ndarray) and tangent == [2.0]


@pytest.mark.parametrize("stop", [ndl.stop_gradient, lambda x: x.detach(), lambda x: x.data])
def test_what_is_held_back_has_no_derivative_in_either_mode(stop):
    f = lambda x: x * stop(x)
    assert ndl.grad(f)(3.0) == 3.0 and ndl.jvp(f, (3.0,), (1.0,))[1] == 3.0


def test_no_grad_inside_means_zero_in_either_mode():
    def f(x):
        with ndl.no_grad():
            y = x * x
        return x * y

    assert ndl.grad(f)(3.0) == 9.0 and ndl.jvp(f, (3.0,), (1.0,))[1] == 9.0


def test_values_may_be_asked_for_in_forward_and_reverse_mode():
    f = lambda x: x * 2 if x > 0 else -x
    assert [ndl.grad(f)(x) for x in (1.0, -1.0)] == [2.0, -1.0]
    assert [ndl.jvp(f, (x,), (1.0,))[1] for x in (1.0, -1.0)] == [2.0, -1.0]


def test_backward_inside_a_transform_fills_grad():
    def f(x):
        (x * x * x).backward()
        return x.grad

    assert ndl.grad(f)(2.0) == 12.0


def test_forward_mode_keeps_nothing_of_what_went_before():
    import gc
    import tracemalloc

    def chain(x):
        for _ in range(300):
            x = ndl.sin(x) * 1.01
        return x.sum()

    x = np.zeros(10_000)
    ndl.jvp(chain, (x,), (x,))
    gc.disable()
    tracemalloc.start()
    ndl.jvp(chain, (x,), (x,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.enable()
    assert peak < 20 * x.nbytes  # 600 steps would take 600 times as much


def test_linearize_is_the_tangent_of_jvp():
    out, push = ndl.linearize(net, X)
    value, tangent = ndl.jvp(net, (X,), (V,))
    assert (out, push(V)) == (pytest.approx(value), pytest.approx(tangent))


# Errors


@pytest.mark.parametrize(
    "wrong, kind, message",
    [
        (lambda: ndl.grad(net)(3), TypeError, "floating-point numbers, got 3"),
        (lambda: ndl.grad(net)(np.arange(3)), TypeError, "got dtype int64"),
        (lambda: ndl.grad(lambda x: x)(X), TypeError, r"returned shape \(2, 3\); use jacrev or vjp"),
        (lambda: ndl.grad(lambda x: (x.sum(), x.sum()))(X), TypeError, "returned 2 values"),
        (lambda: ndl.grad(lambda x: None)(X), TypeError, "returned 0 values"),
        (lambda: ndl.grad(lambda x: "text")(X), TypeError, "got str 'text'"),
        (lambda: ndl.grad(net)("text"), TypeError, "argument 0 .* got str 'text'"),
        (lambda: ndl.grad(net, argnums=1)(X), ValueError, "argument 1, but the function was called with 1"),
        (lambda: ndl.grad(net, argnums="0")(X), TypeError, "argnums of grad must be an int"),
        (lambda: ndl.grad(net, has_aux=True)(X), TypeError, "pair"),
        (lambda: ndl.jvp(net, (X,), (V[0],)), ValueError, r"shape \(2, 3\) must have that shape, got \(3,\)"),
        (lambda: ndl.jvp(net, (X,), (V, V)), ValueError, "structure of its primals"),
        (lambda: ndl.jvp(net, X, V), TypeError, "primals of jvp must be a tuple"),
        (lambda: ndl.vjp(lambda x: x * 2, X)[1](V[0]), ValueError, r"shape \(2, 3\) must have that shape, got \(3,\)"),
        (lambda: ndl.vjp(lambda x: (x, x), X)[1](V), ValueError, "structure of the output"),
        (lambda: ndl.vjp(net), TypeError, "at least one primal"),
        (lambda: ndl.jvp(net, (), ()), TypeError, "primals of jvp must be a tuple .* got none"),
        (lambda: ndl.jvp(lambda x: x * 2, (3,), (1.0,)), TypeError, "jvp differentiates .* dtype int64 .* not zero"),
        (
            lambda: ndl.vmap(lambda i, t: ndl.jvp(lambda x: x * 2, (i,), (t,))[1])(np.arange(3), np.ones(3)),
            TypeError,
            "jvp differentiates .* dtype int64 .* not zero",
        ),
    ],
)
def test_mistakes_are_named(wrong, kind, message):
    with pytest.raises(kind, match=message):
        wrong()


def test_a_value_that_leaks_out_of_its_transform_is_an_error():
    leaked = []
    ndl.jvp(lambda x: leaked.append(x) or x, (1.0,), (1.0,))
    with pytest.raises(RuntimeError, match="inside jvp was used after"):
        leaked[0] * 2


def test_arrays_are_tensors_inside_whether_followed_or_not_and_numbers_stay_numbers():
    def f(x, y, n, options):
        assert type(y) is type(options["z"]) is ndl.Tensor and type(n) is int
        return (x * y * options["z"]).sum() * n

    np.testing.assert_allclose(ndl.grad(f)(X, V, 3, {"z": X}), 3 * V * X)
    np.testing.assert_allclose(ndl.grad(f)(X, V, 3, options={"z": X}), 3 * V * X)


def test_functional_call_swaps_parameters_for_the_call():
    model = ndl.nn.Sequential(ndl.nn.Linear(3, 2), ndl.nn.Linear(2, 1))
    x = ndl.init.randn(5, 3)
    params = {name: p.detach() for name, p in model.named_parameters()}
    own = [p.numpy() for p in model.parameters()]
    (model(x) ** 2).sum().backward()
    gradient = ndl.grad(lambda params: (ndl.functional_call(model, params, x) ** 2).sum())(params)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(gradient[name].numpy(), p.grad.numpy(), rtol=1e-6)
    stacked = {name: np.stack([p.numpy(), 2 * p.numpy()]) for name, p in model.named_parameters()}
    outputs = ndl.vmap(lambda params: ndl.functional_call(model, params, x))(stacked)
    np.testing.assert_allclose(outputs[0], model(x).numpy(), rtol=1e-6)
    assert all(np.array_equal(p.numpy(), o) for p, o in zip(model.parameters(), own, strict=True))


@pytest.mark.parametrize(
    "params, kind, message",
    [
        ({"wieght": np.ones((3, 2))}, KeyError, "no parameter 'wieght'"),
        ({"weight": np.ones(3)}, ValueError, "has shape"),
    ],
)
def test_functional_call_refuses_what_does_not_fit_and_keeps_the_module(params, kind, message):
    linear = ndl.nn.Linear(3, 2)
    before = [p.node for p in linear.parameters()]
    with pytest.raises(kind, match=message):
        ndl.functional_call(linear, {"bias": np.ones((1, 2)), **params}, ndl.ones(1, 3))
    assert [p.node for p in linear.parameters()] == before


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_a_python_number_takes_the_dtype_of_what_it_meets(dtype):
    x = np.full(3, 0.5, dtype)
    f = lambda a, x: ndl.sin(a * a * x + a).sum()
    value, (by_number, by_array) = ndl.value_and_grad(f, (0, 1))(0.5, x)
    assert value.dtype == by_array.dtype == dtype and by_number.dtype == np.float64
    assert all(part.dtype == dtype for part in ndl.jvp(f, (0.5, x), (1.0, x)))


def test_a_python_float_meets_whole_numbers_as_in_numpy():
    value, gradient = ndl.value_and_grad(lambda a: (a * np.arange(3)).sum())(2.0)
    assert value.dtype == np.float64 and (value, gradient) == (6.0, 3.0)
