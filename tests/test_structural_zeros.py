"""Structural zeros: what was not selected has no say in a derivative, however singular it is, in any mode and order."""

import functools
import itertools
import tracemalloc

import numpy as np
import pytest

import needle as ndl
from needle import ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the values not selected are nan and inf

where, sqrt, log, sin, exp, tanh = ops.where, ops.sqrt, ops.log, ops.sin, ops.exp, ops.tanh


def forward(f):
    return lambda x: ndl.jvp(f, (x,), (1.0,))[1]


MODES = {
    "reverse": ndl.grad,
    "forward": forward,
    "taylor": lambda f: ndl.nth_derivative(f, 1),
}

WEIGHTS = np.array([[1.0, -2.0], [0.0, 3.0]])

# A function, a point, the value there and the derivatives of order 1, 2, 3 (those of the branch that is selected).
CASES = {
    "sqrt at 0": (lambda x: where(x > 0, sqrt(x), 0.0), 0.0, [0, 0, 0, 0]),
    "sqrt below 0": (lambda x: where(x > 0, sqrt(x), x**3), -1.0, [-1, 3, -6, 6]),
    "sqrt where it is selected": (lambda x: where(x > 0, sqrt(x), 0.0), 4.0, [2, 1 / 4, -1 / 32, 3 / 256]),
    "sin(x) / x at 0": (lambda x: where(x != 0, sin(x) / x, 1.0), 0.0, [1, 0, 0, 0]),
    "log at 0": (lambda x: where(x > 0, log(x), 0.0), 0.0, [0, 0, 0, 0]),
    "x log x at 0": (lambda x: where(x > 0, x * log(x), 0.0), 0.0, [0, 0, 0, 0]),
    "exp(-1 / x) at 0": (lambda x: where(x > 0, exp(-1 / x), 0.0), 0.0, [0, 0, 0, 0]),
    "singular in the other branch": (lambda x: where(x <= 0, exp(x), 1 / x), 0.0, [1, 1, 1, 1]),
    "elementwise ops in between": (lambda x: where(x > 0, tanh(sqrt(x) * 2 + 1) ** 2, x), 0.0, [0, 1, 0, 0]),
    "singular twice": (lambda x: where(x > 0, log(sqrt(x)), x * x), 0.0, [0, 0, 2, 0]),
    "an unused power": (lambda x: where(x > 0, x**-1.5 + x**0.5, 2 * x), 0.0, [0, 2, 0, 0]),
    "a power of two variables": (lambda x: where(x > 0, x ** (x - 1), x), 0.0, [0, 1, 0, 0]),
    "nested": (lambda x: where(x > 0, where(x < 1, log(x), x), 5 * x), 0.0, [0, 5, 0, 0]),
    "nested the other way": (lambda x: where(x < 5, where(x > 0, log(x), 0.0) + x, 1 / x), 0.0, [0, 1, 0, 0]),
    "used twice, both masked": (
        lambda x: (lambda y: where(x > 0, y, 0.0) + where(x > 0, y * y, x))(sqrt(x)), 0.0, [0, 1, 0, 0],
    ),
    "a condition that is no bool": (lambda x: where(np.array(0.0), sqrt(x), x**2), 0.0, [0, 0, 2, 0]),
    "through a broadcast": (lambda x: where(np.arange(3) > 5, sqrt(x), x).sum(), 0.0, [0, 3, 0, 0]),
    "through movement": (
        lambda x: where(x > 0, ops.reshape(sqrt(ops.stack([x, x], 0)), (2, 1)).T.sum(), x), 0.0, [0, 1, 0, 0],
    ),
    "through a mean": (lambda x: where(x > 0, ops.mean(sqrt(ops.stack([x, x], 0))), x), 0.0, [0, 1, 0, 0]),
    "through a variance": (lambda x: where(x > 0, ops.var(sqrt(ops.stack([x, 2 * x], 0))), x), 0.0, [0, 1, 0, 0]),
    "through a difference": (
        lambda x: where(x > 0, np.diff(sqrt(ops.stack([x, 2 * x], 0))).sum(), x), 0.0, [0, 1, 0, 0],
    ),
    "a norm": (lambda x: where(x > 0, sqrt(ops.stack([x, 2 * x], 0) ** 2).sum(), 0.0), 0.0, [0, 0, 0, 0]),
    "maximum": (lambda x: ops.maximum(sqrt(x), 1.0), 0.0, [1, 0, 0, 0]),
    "minimum": (lambda x: ops.minimum(log(x) * -1, x * x), 0.0, [0, 0, 2, 0]),
    "relu": (lambda x: ops.relu(sqrt(x) - 1) + x, 0.0, [0, 1, 0, 0]),
    "clip": (lambda x: ops.clip(sqrt(x), 1, 2) * 3, 0.0, [3, 0, 0, 0]),
    "behind relu": (lambda x: sqrt(ops.relu(x - 1)), 0.0, [0, 0, 0, 0]),
    "behind maximum": (lambda x: sqrt(ops.maximum(x, 0.0)) + x, -1.0, [-1, 1, 0, 0]),
    "behind clip": (lambda x: sqrt(ops.clip(x, 0, 1)) + x, -1.0, [-1, 1, 0, 0]),
    "behind where": (lambda x: sqrt(where(x > 0, x, 0.0)), -1.0, [0, 0, 0, 0]),
    "basic indexing": (lambda x: sqrt(ops.stack([x, x + 1], 0))[1], 0.0, [1, 1 / 2, -1 / 4, 3 / 8]),
    "a mask as index": (
        lambda x: sqrt(ops.stack([x, x + 1], 0))[np.array([False, True])].sum(), 0.0, [1, 1 / 2, -1 / 4, 3 / 8],
    ),
    "an index array": (lambda x: sqrt(ops.stack([x, x + 1], 0))[np.array([1, 1])].sum(), 0.0, [2, 1, -1 / 2, 3 / 4]),
    "take_along_axis": (
        lambda x: ops.take_along_axis(sqrt(ops.stack([x, x + 1], 0)), np.array([1]), 0).sum(),
        0.0, [1, 1 / 2, -1 / 4, 3 / 8],
    ),
    "max": (lambda x: ops.max(sqrt(ops.stack([x, x + 1], 0))), 0.0, [1, 1 / 2, -1 / 4, 3 / 8]),
    "checkpoint": (lambda x: where(x > 0, ndl.checkpoint(sqrt)(x), x), 0.0, [0, 1, 0, 0]),
    "through checkpoint": (lambda x: where(x > 0, ndl.checkpoint(sin)(sqrt(x)), x * x), 0.0, [0, 0, 2, 0]),
    "a selection in checkpoint": (
        lambda x: ndl.checkpoint(lambda y: where(y > 0, y, 0.0))(sqrt(x)) + x, 0.0, [0, 1, 0, 0],
    ),
    "an item of a tuple": (
        lambda x: where(x > 0, ops.split(ops.stack([sqrt(x), x], 0), 0)[0], x), 0.0, [0, 1, 0, 0],
    ),
    "an item taken twice": (
        lambda x: (lambda y: where(x > 0, y[0], x) + where(x > 0, y[0] * y[1], x))(ops.make_tuple(sqrt(x), x)),
        0.0, [0, 2, 0, 0],
    ),
    "behind a tuple": (
        lambda x: sqrt(ops.split(ops.stack([ops.relu(x), x], 0), 0)[0]) + x, -1.0, [-1, 1, 0, 0],
    ),
    "a product": (lambda x: where(x > 0, (sqrt(ops.stack([x, x], 0)) @ WEIGHTS).sum(), x), 0.0, [0, 1, 0, 0]),
    "a product of two that vary": (
        lambda x: where(x > 0, sqrt(ops.stack([x, x], 0)) @ sqrt(ops.stack([x, x], 0)), x), 0.0, [0, 1, 0, 0],
    ),
    "einsum": (
        lambda x: where(x > 0, ops.einsum("i,ij->j", sqrt(ops.stack([x, x], 0)), WEIGHTS).sum(), x), 0.0, [0, 1, 0, 0],
    ),
    "behind a product": (lambda x: sqrt(ops.relu(ops.stack([x, x], 0)) @ WEIGHTS).sum() + x, -1.0, [-1, 1, 0, 0]),
    "behind einsum": (
        lambda x: sqrt(ops.einsum("i,ij->j", ops.relu(ops.stack([x, x], 0)), WEIGHTS)).sum() + x, -1.0, [-1, 1, 0, 0],
    ),
    "behind movement": (
        lambda x: sqrt(ops.reshape(ops.relu(ops.stack([x, x], 0)), (2, 1)).T).sum() + x, -1.0, [-1, 1, 0, 0],
    ),
    "behind a sum": (lambda x: sqrt(ops.relu(ops.stack([x, x - 1], 0)).sum()) + x, -1.0, [-1, 1, 0, 0]),
    "behind a mean": (lambda x: sqrt(ops.mean(ops.relu(ops.stack([x, x - 1], 0)))) + x, -1.0, [-1, 1, 0, 0]),
    "behind a variance": (lambda x: sqrt(ops.var(ops.relu(ops.stack([x, x - 1], 0)))) + x, -1.0, [-1, 1, 0, 0]),
    "behind a difference": (lambda x: sqrt(np.diff(ops.relu(ops.stack([x, x], 0)))).sum() + x, -1.0, [-1, 1, 0, 0]),
    "behind a running sum": (lambda x: sqrt(np.cumsum(ops.relu(ops.stack([x, x], 0)))).sum() + x, -1.0, [-1, 1, 0, 0]),
    "behind an index": (lambda x: sqrt(ops.relu(ops.stack([x, x + 3], 0))[0]) + x, -1.0, [-1, 1, 0, 0]),
    "behind a choice of two": (lambda x: sqrt(where(x > 0, x, ops.relu(x) * 2)) + x, -1.0, [-1, 1, 0, 0]),
}  # fmt: skip
FACTS = [
    pytest.param(name, modes, id=f"{name}: {' over '.join(modes) or 'value'}")
    for name in CASES
    for order in range(4)
    for modes in itertools.product(MODES, repeat=order)
]


@pytest.mark.parametrize(("name", "modes"), FACTS)
def test_only_what_is_selected_counts(name, modes):
    f, x, expected = CASES[name]
    if not modes:
        return np.testing.assert_allclose(f(ndl.Tensor(x)).numpy(), expected[0], rtol=1e-13)
    derivative = functools.reduce(lambda g, mode: MODES[mode](g), modes[::-1], f)
    # Closed forms; a third derivative loses a few digits of 16.
    np.testing.assert_allclose(derivative(x), expected[len(modes)], rtol=1e-13, atol=1e-13)


def piecewise(x):
    return where(x > 0, sqrt(x), x**3).sum()


POINTS = np.array([-2.0, 0.0, 4.0])
SLOPES, CURVATURES = np.array([12.0, 0.0, 1 / 4]), np.array([-12.0, 0.0, -1 / 32])


def test_backward_and_backward_of_grad():
    x = ndl.Tensor(POINTS)
    piecewise(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), SLOPES)
    x.grad.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), CURVATURES)


Z = np.array([0.0, 1.0])
SELECTED = {  # functions of two numbers that are √x₁ near Z, though a derivative at 0 is infinite on the way
    "an elementwise op": lambda x: where(x > 0, sqrt(x), 0.0).sum(),
    "a checkpoint": lambda x: where(x > 0, ndl.checkpoint(sqrt)(x), 0.0).sum(),
    "through a checkpoint": lambda x: where(x > 0, ndl.checkpoint(lambda y: y * y)(x**0.25), 0.0).sum(),
    "a tuple": lambda x: where(x > 0, ops.split(ops.stack([sqrt(x), x], 0), 0)[0], 0.0).sum(),
    "rows of a product": lambda x: where(
        (x > 0)[:, None], sqrt(x).reshape((2, 1)) @ np.array([[3.0, -2.0]]), 0.0
    ).sum(),
    "behind a selection": lambda x: sqrt(ops.relu(x - Z + Z)).sum(),
    "behind movement": lambda x: sqrt(where(x > 0, x, 0.0).reshape((1, 2)).T).sum(),
}
FORWARDS = {  # in reverse mode ∞·0 is what it is: that nothing moves there, is known only before it
    "behind a product": lambda x: sqrt(where(x > 0, x, 0.0) @ np.eye(2)).sum(),
    "behind einsum": lambda x: sqrt(ops.einsum("i,ij->j", where(x > 0, x, 0.0), np.eye(2))).sum(),
}
BACKWARDS = {  # and in forward mode, that nobody will look at it, is known only behind it
    "a product with an identity": lambda x: where(x > 0, sqrt(x) @ np.eye(2), 0.0).sum(),
    "an Einstein sum with an identity": lambda x: where(x > 0, ops.einsum("i,ij->j", sqrt(x), np.eye(2)), 0.0).sum(),
    "a running sum from the end": lambda x: where(x > 0, np.cumsum(sqrt(x)[::-1])[::-1], 0.0).sum(),
}


@pytest.mark.parametrize("name", SELECTED)
def test_laplacians_and_hessians(name):
    f, lap = SELECTED[name], ndl.laplacian
    np.testing.assert_allclose(ndl.grad(f)(Z), [0, 1 / 2])
    np.testing.assert_allclose(ndl.jacfwd(f)(Z), [0, 1 / 2])
    np.testing.assert_allclose(ndl.hessian(f)(Z), [[0, 0], [0, -1 / 4]])
    np.testing.assert_allclose(lap(f)(Z), -1 / 4)
    np.testing.assert_allclose(ndl.grad(lap(f))(Z), [0, 3 / 8])
    np.testing.assert_allclose(ndl.jacfwd(lap(f))(Z), [0, 3 / 8])
    np.testing.assert_allclose(lap(lambda x: ndl.grad(f)(x).sum())(Z), 3 / 8)
    np.testing.assert_allclose(ndl.grad(lambda x: ndl.grad(lap(f))(x).sum())(Z), [0, -15 / 16])
    np.testing.assert_allclose(lap(lap(f))(Z), -15 / 16)


@pytest.mark.parametrize("name", FORWARDS)
def test_zeros_of_a_constant_select_what_moves(name):
    f = FORWARDS[name]
    np.testing.assert_allclose(ndl.jacfwd(f)(Z), [0, 1 / 2])
    np.testing.assert_allclose(ndl.jacfwd(ndl.jacfwd(f))(Z), [[0, 0], [0, -1 / 4]])
    np.testing.assert_allclose(ndl.laplacian(f)(Z), -1 / 4)
    np.testing.assert_allclose(ndl.jacfwd(ndl.laplacian(f))(Z), [0, 3 / 8])


@pytest.mark.parametrize("name", BACKWARDS)
def test_zeros_of_a_constant_select_what_is_looked_at(name):
    f = BACKWARDS[name]
    slope = lambda g: ndl.grad(lambda x: g(x).sum())
    np.testing.assert_allclose(ndl.grad(f)(Z), [0, 1 / 2])
    np.testing.assert_allclose(slope(ndl.grad(f))(Z), [0, -1 / 4])
    np.testing.assert_allclose(slope(slope(ndl.grad(f)))(Z), [0, 3 / 8])


def test_zeros_of_what_varies_do_not_select():
    f = lambda x, w: where(x > 0, sqrt(x) @ w, 0.0).sum()
    assert np.isnan(ndl.grad(f)(Z, ndl.Tensor(np.eye(2))).numpy()[0])  # somebody may differentiate by w
    mixed = ndl.grad(lambda w: ndl.grad(f)(np.array([4.0, 1.0]), w).sum())(np.eye(2))
    np.testing.assert_allclose(mixed, [[1 / 4, 1 / 4], [1 / 2, 1 / 2]])


def test_series_select_too():
    _, terms = ndl.jet(lambda x: sqrt(ops.relu(x)).sum(), (np.array([-1.0, 4.0]),), ([np.ones(2), np.zeros(2)],))
    np.testing.assert_allclose(terms, [1 / 4, -1 / 32])


def test_a_long_way_back_does_not_recur():
    def f(x):
        y = ops.stack([sqrt(x), x], 0)
        for _ in range(2000):
            y = ops.reshape(y, (2, 1)).T[0]
        return where(x > 0, y[0], x)

    assert ndl.grad(f)(0.0) == 1.0


def test_hessians_and_batches():
    np.testing.assert_allclose(ndl.transforms.hessian(piecewise)(POINTS), np.diag(CURVATURES))
    np.testing.assert_allclose(ndl.vmap(ndl.grad(piecewise))(POINTS[:, None])[:, 0], SLOPES)
    np.testing.assert_allclose(ndl.vmap(ndl.grad(ndl.grad(piecewise)))(POINTS), CURVATURES)


def test_lanes_of_one_input_that_others_share():
    """x is broadcast against y: its adjoint is masked only where no lane of the broadcast is selected."""
    mask = np.array([[True, False], [False, False], [True, True]])
    x, y = np.array([[1.0], [0.0], [2.0]]), np.array([3.0, 4.0])
    dx, dy = ndl.grad(lambda x, y: where(mask, y * sqrt(x), 0.0).sum(), argnums=(0, 1))(x, y)
    np.testing.assert_allclose(dx, [[3 / 2], [0], [7 / 2 / np.sqrt(2)]])
    np.testing.assert_allclose(dy, [1 + np.sqrt(2), np.sqrt(2)])


def test_an_unmasked_use_is_not_held_to_the_mask_of_another():
    f = lambda x: (lambda y: where(x > 1, y, 0.0) + y)(x * x)
    assert ndl.grad(f)(0.5) == 1.0
    assert ndl.grad(lambda x: (lambda y: y + where(x > 1, y, 0.0))(x * x))(0.5) == 1.0
    assert ndl.grad(lambda x: (lambda y: where(x > 1, y, 0.0) + where(x < 1, y, 0.0))(x * x))(0.5) == 1.0


def test_an_adjoint_that_merely_happens_to_be_zero_has_a_derivative():
    # d/dx (x - a)·x at x = a: the adjoint of the second factor is 0, its derivative is not
    f = lambda x: where(x > 0, (x - 2.0) ** 2 * x, 0.0)
    assert ndl.grad(ndl.grad(f))(2.0) == 4.0
    assert ndl.grad(ndl.grad(lambda x: (x * 0.0) * where(x > 0, x, 1.0) + x * x))(3.0) == 2.0


def test_an_infinite_derivative_that_is_selected_stays_infinite():
    assert ndl.grad(lambda x: where(x >= 0, sqrt(x), 0.0))(0.0) == np.inf


def test_a_hook_may_put_something_where_there_was_nothing():
    x = ndl.Tensor([-1.0, 2.0])
    y = x * 3
    remove = y.register_hook(lambda g: g + 1)
    (where(x > 0, exp(y), 0.0)).sum().backward()
    remove()
    np.testing.assert_allclose(x.grad.numpy(), [3.0, 3 * (np.exp(6) + 1)])


def test_float32_stays_float32():
    g = ndl.grad(piecewise)(POINTS.astype(np.float32))
    assert g.dtype == np.float32
    np.testing.assert_allclose(g, SLOPES, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int64"])
def test_where_with_a_zero_makes_zeros_of_nan(dtype):
    a = np.array([1, 2, 3, 4]).astype(dtype)
    mask = np.array([True, False, True, False])
    if a.dtype.kind in "fc":
        a[1], a[3] = np.nan, np.inf
    zero = np.zeros((), dtype)
    np.testing.assert_array_equal(where(mask, ndl.Tensor(a), 0).numpy(), np.where(mask, a, zero))
    np.testing.assert_array_equal(where(~mask, 0, ndl.Tensor(a)).numpy(), np.where(mask, a, zero))
    assert where(mask, ndl.Tensor(a), 0).dtype == dtype


def test_backward_through_where_is_silent(recwarn):
    x = ndl.Tensor(POINTS)
    y = where(x > 0, sqrt(x.clip(0, None)), 0.0).sum()
    recwarn.clear()
    y.backward()
    assert not recwarn.list


def test_linearize_selects_too():
    for f, x, slope in [(lambda x: sqrt(ops.relu(x)) + x, -1.0, 1.0), (lambda x: where(x > 0, sqrt(x), x), 0.0, 1.0)]:
        assert ndl.linearize(f, x)[1](1.0) == slope


def test_tangents_of_two_variables_unite_their_lanes():
    f = lambda x, y: sqrt(ops.relu(x) + ops.relu(y))
    for x, y, expected in [(-1.0, -1.0, 0.0), (4.0, -1.0, 1 / 4), (-1.0, 4.0, 1 / 4)]:
        assert ndl.jvp(f, (x, y), (1.0, 1.0))[1] == expected
        assert sum(ndl.grad(f, argnums=(0, 1))(x, y)) == expected


def test_a_seed_is_not_the_gradient_itself_when_there_are_hooks():
    x, v = ndl.Tensor([0.5]), ndl.Tensor([2.0])
    ndl.Tensor([1.0]).register_hook(lambda g: None)
    x.backward(v)
    assert x.grad is not v
    x.grad.backward()
    assert v.grad.item() == 1.0


def test_a_deep_net_keeps_few_masks_alive():
    """Lanes through many products are forgotten at last: those of all layers would take memory without end."""
    peaks = []
    for depth in (40, 80):
        weights = np.eye(50)

        def net(x, depth=depth, weights=weights):
            for _ in range(depth):
                x = ops.relu(x @ weights)
            return x.sum()

        x = np.ones((50, 50))
        ndl.jvp(net, (x,), (x,))
        tracemalloc.start()
        assert ndl.jvp(net, (x,), (x,))[1] == 2500
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
