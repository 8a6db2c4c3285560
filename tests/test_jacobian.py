"""Jacobians, Hessians and their products: against formulas, against each other, and against SciPy's Rosenbrock.

All modes compute the same sums of float64 products: they agree to 1e-12 relative.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from ops_table import cases
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod

import needle as ndl
from needle import nn
from needle.transforms import grad, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, vmap

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
MODES = [jacfwd, jacrev, jacobian]
every_mode = pytest.mark.parametrize("mode", MODES)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def point(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


# --------------------------------------------------------------------------------------------------------------------
# Jacobians


@every_mode
def test_a_jacobian_has_the_outputs_axes_before_the_inputs(mode):
    a, x = point((4, 3)), point((3, 2))
    found = mode(lambda x: a @ x)(x)
    assert found.shape == (4, 2, 3, 2)
    np.testing.assert_allclose(found, np.einsum("ik,jl->ijkl", a, np.eye(2)), **CLOSE)


@every_mode
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (3,)])
def test_any_shape_of_input_and_output(mode, shape):
    x = np.asarray(point(shape))
    size = x.size
    np.testing.assert_allclose(mode(ndl.sin)(x), np.diag(np.cos(x).ravel()).reshape(shape + shape), **CLOSE)
    np.testing.assert_allclose(mode(lambda x: ndl.stack([x, x * 2], 0))(x).shape, (2, *shape, *shape))
    assert mode(lambda x: x.sum())(x).shape == shape
    assert size == 0 or mode(lambda x: x.sum())(x).sum() == size


@pytest.mark.parametrize(
    "row, case",
    [pytest.param(r, c, id=f"{r}: {c}") for r, c in cases() if not r.constant and not c.empty and r.name != "Cast"],
)
def test_forward_and_reverse_agree_on_every_op(row, case):
    arrays = case.draw(np.random.default_rng(0))
    asked = tuple(i for i, argument in enumerate(case.arguments) if argument.differentiable)

    def function(*tensors):
        tensors = [t if isinstance(t, ndl.Tensor) else ndl.Tensor(t, requires_grad=False) for t in tensors]
        out = row.call(case, *tensors)
        return tuple(out) if isinstance(out, ndl.TensorTuple) else out

    blocks = [flat(mode(function, asked)(*arrays)) for mode in MODES]
    for forward, reverse, chosen in zip(*blocks, strict=True):
        np.testing.assert_allclose(forward, reverse, **CLOSE)
        np.testing.assert_allclose(chosen, reverse, **CLOSE)


def flat(tree):
    return [leaf for part in tree for leaf in flat(part)] if isinstance(tree, tuple) else [tree]


@every_mode
def test_trees_in_give_trees_of_blocks_out(mode):
    class Pair(NamedTuple):
        a: object
        b: object

    def function(p, scale):
        return {"sum": p.a.sum() + p.b * scale, "outer": p.a * p.b}

    found = mode(function)(Pair(np.array([1.0, 2.0]), 3.0), 2.0)
    assert type(found["sum"]) is Pair
    np.testing.assert_array_equal(found["sum"].a, [1.0, 1.0])
    assert found["sum"].b == 2.0
    np.testing.assert_array_equal(found["outer"].a, 3 * np.eye(2))
    np.testing.assert_array_equal(found["outer"].b, [1.0, 2.0])


@every_mode
def test_several_argnums_give_a_tuple(mode):
    x, y = point(2), point(3)
    by_y, by_x = mode(lambda x, y: ndl.reshape(x, (2, 1)) * y, (1, 0))(x, y)
    np.testing.assert_allclose(by_x, np.einsum("ik,j->ijk", np.eye(2), y), **CLOSE)
    np.testing.assert_allclose(by_y, np.einsum("jk,i->ijk", np.eye(3), x), **CLOSE)


@every_mode
def test_an_auxiliary_result_is_handed_on(mode):
    found, aux = mode(lambda x: (x**2, {"twice": x * 2}), has_aux=True)(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(found, [[2.0, 0.0], [0.0, 6.0]])
    np.testing.assert_array_equal(aux["twice"], [2.0, 6.0])
    assert type(aux["twice"]) is np.ndarray


@every_mode
def test_kind_and_dtype_are_those_of_the_argument(mode):
    assert type(mode(ndl.sin)(1.0)) is np.float64
    assert mode(ndl.sin)(np.ones(2, np.float32)).dtype == np.float32
    assert type(mode(ndl.sin)(ndl.Tensor([1.0]))) is ndl.Tensor


@every_mode
def test_what_nothing_depends_on_has_zeros(mode):
    zero, whole = mode(lambda x, y: (x * 2, ndl.floor(x)), 1)(np.ones(2), np.ones(3))
    assert zero.shape == whole.shape == (2, 3) and not zero.any() and not whole.any()


@every_mode
def test_a_closed_over_weight_keeps_its_derivative(mode):
    w = ndl.Tensor([2.0, 3.0])
    found = mode(lambda x: w**2 * x)(np.array([1.0, 1.0]))
    found.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [4.0, 6.0])
    assert type(mode(lambda x: x**2)(np.ones(2))) is np.ndarray


@every_mode
def test_the_function_runs_once(mode):
    calls = []
    mode(lambda x: calls.append(1) or x * 2)(np.ones(3))
    assert calls == [1]


@every_mode
def test_holomorphic_functions_have_their_complex_derivative(mode):
    z = np.array([1 + 2j, 0.5 - 1j])
    np.testing.assert_allclose(mode(lambda z: z**3)(z), np.diag(3 * z**2), **CLOSE)


def test_complex_outputs_of_real_arguments_go_forward_and_the_others_back():
    x, c = np.array([1.0, 2.0]), 1 + 2j
    for mode in (jacfwd, jacobian):
        np.testing.assert_allclose(mode(lambda x: x * x * c)(x), np.diag(2 * x * c), **CLOSE)
    with pytest.raises(TypeError, match="use jacfwd"):
        jacrev(lambda x: x * c)(x)
    for mode in (jacrev, jacobian):
        np.testing.assert_allclose(
            mode(lambda z: (z * ndl.conjugate(z)).astype("float64"))(x + 1j), np.diag(2 * (x + 1j)), **CLOSE
        )
    with pytest.raises(TypeError, match="use jacrev"):
        jacfwd(lambda z: (z * ndl.conjugate(z)).astype("float64"))(x + 1j)


def test_fused_ops_have_jacobians_in_every_mode():
    x = point((2, 5))
    for function in (lambda x: nn.LayerNorm1d(5).to("float64")(x), lambda x: nn.SoftmaxLoss()(x, ndl.Tensor([1, 4]))):
        np.testing.assert_allclose(jacfwd(function)(x), jacrev(function)(x), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(jacobian(function)(x), jacrev(function)(x), rtol=1e-10, atol=1e-12)


# --------------------------------------------------------------------------------------------------------------------
# Hessians


def test_hessian_of_rosenbrock_is_scipys():
    x = point(30)
    np.testing.assert_allclose(hessian(rosenbrock)(x), rosen_hess(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("outer, inner", list(itertools.product(MODES, [*MODES, grad])))
def test_every_composition_of_modes_gives_the_hessian(outer, inner):
    x = point(6)
    np.testing.assert_allclose(outer(inner(rosenbrock))(x), rosen_hess(x), rtol=1e-10, atol=1e-10)


def test_a_hessian_has_the_outputs_axes_and_the_inputs_twice():
    x = point((2, 2))
    found = hessian(lambda x: ndl.stack([(x**3).sum(), (x**2).sum()], 0))(x)
    assert found.shape == (2, 2, 2, 2, 2)
    np.testing.assert_allclose(found[0].reshape(4, 4), np.diag(6 * x.ravel()), **CLOSE)
    np.testing.assert_allclose(found[1].reshape(4, 4), 2 * np.eye(4), **CLOSE)


def test_blocks_of_a_hessian_stand_in_trees_of_trees():
    found = hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 3.0, "b": 5.0})
    assert found == {"a": {"a": 10.0, "b": 6.0}, "b": {"a": 6.0, "b": 0.0}}
    (aa, ab), (ba, bb) = hessian(lambda a, b: a**2 * b, (0, 1))(3.0, 5.0)
    assert (aa, ab, ba, bb) == (10.0, 6.0, 6.0, 0.0)


def test_third_derivatives_by_one_more_jacobian():
    for mode in MODES:
        np.testing.assert_allclose(
            mode(hessian(lambda x: (x**4).sum()))(np.array([2.0, 3.0]))[[0, 1], [0, 1], [0, 1]], [48, 72]
        )


def test_a_batch_of_hessians():
    x = point((4, 5))
    found = vmap(hessian(rosenbrock))(x)
    np.testing.assert_allclose(found, [rosen_hess(one) for one in x], rtol=1e-10, atol=1e-10)


def test_the_hessian_by_the_weights_of_a_module():
    model = nn.Linear(2, 1, bias=False).to("float64")
    x = np.array([[1.0, 2.0]])
    found = hessian(lambda model: (model(ndl.Tensor(x)) ** 2).sum())(model)
    np.testing.assert_allclose(found.weight.weight.numpy().reshape(2, 2), 2 * x.T @ x)


def test_a_gradient_flows_through_a_hessian():
    found = grad(lambda a: hessian(lambda x: (a * x**3).sum())(np.array([1.0, 2.0])).sum())(2.0)
    np.testing.assert_allclose(found, 18.0)


# --------------------------------------------------------------------------------------------------------------------
# Products


def test_hvp_gives_the_gradient_and_the_hessians_product():
    x, v = point(30), point(30, 1)
    gradient, product = hvp(rosenbrock, (x,), (v,))
    np.testing.assert_allclose(gradient, rosen_der(x), rtol=1e-10)
    np.testing.assert_allclose(product, rosen_hess_prod(x, v), rtol=1e-10)
    assert rosenbrock(x) == pytest.approx(rosen(x))


def test_hvp_of_several_arguments_gives_tuples():
    gradient, product = hvp(lambda a, b: (a**2 * b).sum(), (3.0, 5.0), (1.0, 10.0))
    assert gradient == (30.0, 9.0) and product == (70.0, 6.0)


def test_linearize_runs_the_function_once():
    calls = []
    out, tangent = linearize(lambda x: calls.append(1) or ndl.sin(x) * x, 2.0)
    assert out == np.sin(2.0) * 2
    for t in (1.0, -3.0):
        np.testing.assert_allclose(tangent(t), t * (np.cos(2.0) * 2 + np.sin(2.0)), **CLOSE)
    assert calls == [1] and type(tangent(1.0)) is np.float64


def test_linearize_is_jvp_on_trees_tuples_and_fused_ops():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm1d(4), nn.LSTM(4, 2)).to("float64")

    def function(p):
        out, (h, c) = model(p["x"])
        return {"out": out * p["s"], "state": (h, ndl.split(c, 0)[0])}

    p, t = ({"x": point((5, 1, 3), seed), "s": float(seed + 1)} for seed in (0, 1))
    out, tangent = linearize(function, p)
    expected, pushed = jvp(function, (p,), (t,))
    for a, b in ((out, expected), (tangent(t), pushed)):
        np.testing.assert_allclose(a["out"].numpy(), b["out"].numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(a["state"][1].numpy(), b["state"][1].numpy(), rtol=1e-10, atol=1e-12)


def test_derivatives_flow_through_linearize():
    assert grad(lambda x: linearize(lambda y: y**3, x)[1](1.0))(2.0) == 12.0
    assert grad(lambda w: linearize(lambda y: y**3 * w, 2.0)[1](1.0))(5.0) == 12.0


# --------------------------------------------------------------------------------------------------------------------
# Mistakes


@pytest.mark.parametrize(
    "mistake, error, message",
    [
        (lambda: jacrev(ndl.sin)(1), TypeError, "jacrev differentiates .* floating-point.*float"),
        (lambda: jacfwd(ndl.sin)(np.arange(3)), TypeError, "jacfwd differentiates .* floating-point"),
        (lambda: jacobian(ndl.sin, 1)(1.0), ValueError, "argnums of jacobian names argument 1.*called with 1"),
        (lambda: jacrev(lambda x: "text")(1.0), TypeError, "jacrev returns must be made of Tensors.*str"),
        (lambda: jacrev(lambda x: x, has_aux=True)(1.0), TypeError, r"jacrev must return a pair \(output, auxiliary\)"),
        (lambda: jacfwd(lambda x: x, has_aux=True)(1.0), TypeError, r"jacfwd must return a pair \(output, auxiliary\)"),
        (lambda: hvp(ndl.sin, (np.ones(2),), (np.ones(2),)), TypeError, r"^hvp .* one number.*shape \(2,\).*hessian"),
        (lambda: hvp(rosenbrock, np.ones(2), np.ones(2)), TypeError, "primals of hvp must be a tuple"),
        (lambda: hvp(rosenbrock, (), ()), TypeError, "primals of hvp must be a tuple .* got none"),
        (lambda: hvp(rosenbrock, (np.arange(2),), (np.ones(2),)), TypeError, "hvp differentiates .* dtype int64"),
        (lambda: hessian(rosenbrock)(np.arange(2)), TypeError, "hessian differentiates .* floating-point"),
        (lambda: hessian(rosenbrock, 1)(np.ones(2)), ValueError, "argnums of hessian names argument 1"),
        (lambda: hessian(lambda x: "text")(1.0), TypeError, "the function given to hessian returns"),
        (lambda: linearize(ndl.sin), TypeError, "linearize needs at least one primal"),
        (lambda: linearize(ndl.sin, 1)[1](1.0), TypeError, "linearize differentiates .* floating-point"),
        (lambda: hvp(rosenbrock, (np.ones(2),), (np.ones(3),)), ValueError, r"shape \(2,\).*got \(3,\)"),
        (lambda: linearize(ndl.sin, 1.0)[1](1.0, 2.0), ValueError, "tangents of linearize must have the structure"),
    ],
)  # fmt: skip
def test_mistakes_are_named(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()
