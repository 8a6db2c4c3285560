"""`needle.scipy.integrate`: solutions of differential equations, and their derivatives by the adjoint method.

Tolerances of the solvers are set so that derivatives are right to about 1e-7; the comparisons leave room for ten times
that.
"""

import numpy as np
import pytest
import scipy.integrate
from scipy.linalg import expm

import needle as ndl
from needle import nn
from needle.scipy.integrate import odeint, solve_ivp

CLOSE = {"rtol": 2e-6, "atol": 2e-7}
TIMES = np.array([0.0, 0.4, 1.0, 1.3])
Y0 = np.array([1.0, -0.4])
FINE = {"rtol": 1e-9, "atol": 1e-10}


def pendulum(y, t, stiffness, friction):
    return [y[1], -stiffness * np.sin(y[0]) - friction * y[1] * np.cos(t)]


def by_odeint(y0, stiffness, friction, times):
    return odeint(pendulum, y0, times, args=(stiffness, friction), **FINE)


def by_solve_ivp(method):
    def solve(y0, stiffness, friction, times):
        span = (times[0], times[-1])
        turned = lambda t, y, *args: pendulum(y, t, *args)
        return solve_ivp(turned, span, y0, method, times, args=(stiffness, friction), **FINE).y.T

    return solve


SOLVERS = [by_odeint, *map(by_solve_ivp, ("RK45", "DOP853", "LSODA", "Radau"))]
solvers = pytest.mark.parametrize("solve", SOLVERS, ids=["odeint", "RK45", "DOP853", "LSODA", "Radau"])
POINT = (Y0, 1.7, 0.3, TIMES)
WEIGHTS = np.random.default_rng(2).normal(size=(4, 2))


def number(solve):
    """A function of all arguments in which every element of the solution counts."""
    return lambda *arguments: (solve(*arguments) * WEIGHTS).sum()


def difference(function, at, along, step=1e-4):
    ahead = function(*[x + step * d for x, d in zip(at, along)])
    behind = function(*[x - step * d for x, d in zip(at, along)])
    return (ahead - behind) / (2 * step)


DIRECTION = (np.array([0.3, -0.7]), 0.5, -1.1, np.array([0.2, 0.1, -0.3, 0.4]))


@solvers
def test_reverse_and_forward_mode_agree_with_central_differences_in_everything(solve):
    expected = difference(number(solve), POINT, DIRECTION)
    gradients = ndl.grad(number(solve), (0, 1, 2, 3))(*POINT)
    np.testing.assert_allclose(sum(np.sum(g * d) for g, d in zip(gradients, DIRECTION)), expected, **CLOSE)
    value, tangent = ndl.jvp(number(solve), POINT, DIRECTION)
    np.testing.assert_allclose(tangent, expected, **CLOSE)
    np.testing.assert_allclose(value, number(solve)(*POINT), rtol=1e-12)


@pytest.mark.parametrize(
    "second", [ndl.hessian, lambda f: ndl.jacrev(ndl.grad(f)), lambda f: ndl.jacrev(ndl.jacfwd(f))]
)
def test_second_derivatives_in_every_order_of_modes(second):
    def of_stiffness(k):
        return number(by_odeint)(Y0, k, 0.3, TIMES)

    expected = difference(ndl.grad(of_stiffness), (1.7,), (1.0,))
    np.testing.assert_allclose(second(of_stiffness)(1.7), expected, rtol=1e-5)


def test_a_second_derivative_in_the_times_and_the_state():
    def of_both(y0, times):
        return number(by_odeint)(y0, 1.7, 0.3, times)

    first = lambda *at: ndl.grad(of_both, (0, 1))(*at)
    along = (DIRECTION[0], DIRECTION[3])
    expected = [difference(lambda *at, i=i: first(*at)[i], (Y0, TIMES), along) for i in range(2)]
    _, found = ndl.jvp(first, (Y0, TIMES), along)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_linear_system_has_the_derivatives_of_the_matrix_exponential():
    a = np.array([[-0.2, 1.0], [-1.3, -0.1]])

    def last(a, y0):
        return odeint(lambda y, t, a: a @ y, y0, [0.0, 0.8], args=(a,), **FINE)[-1]

    by_a, by_y0 = ndl.jacrev(last, (0, 1))(a, Y0)
    np.testing.assert_allclose(by_y0, expm(0.8 * a), **CLOSE)
    expected = ndl.jacfwd(lambda a: ndl.scipy.linalg.expm(0.8 * a) @ Y0)(a)
    np.testing.assert_allclose(by_a, expected, **CLOSE)


def test_a_batch_is_the_loop_over_its_examples():
    y0s, ks = np.stack([Y0, 2 * Y0, -Y0]), np.array([1.0, 1.5, 2.0])

    def one(y0, k):
        return number(by_odeint)(y0, k, 0.3, TIMES)

    np.testing.assert_allclose(ndl.vmap(one)(y0s, ks), [one(y, k) for y, k in zip(y0s, ks)], rtol=1e-12)
    slopes = ndl.vmap(ndl.grad(one, 1))(y0s, ks)
    np.testing.assert_allclose(slopes, [ndl.grad(one, 1)(y, k) for y, k in zip(y0s, ks)], rtol=1e-9)

    def ended(y0):
        return solve_ivp(lambda t, y: -y, (0.0, 1.0), y0, t_eval=[0.5, 1.0]).y

    np.testing.assert_allclose(ndl.vmap(ended)(y0s), np.stack([ended(y) for y in y0s]), rtol=1e-12)


# --------------------------------------------------------------------------------------------------------------------
# Arguments and results are SciPy's


def test_values_and_reports_are_scipys():
    expected, report = scipy.integrate.odeint(pendulum, Y0, TIMES, (1.7, 0.3), full_output=True)
    found, ours = odeint(pendulum, ndl.Tensor(Y0), TIMES, (1.7, 0.3), full_output=True)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert ours["message"] == report["message"] and (ours["nfe"] == report["nfe"]).all()
    turned = lambda t, y: pendulum(y, t, 1.7, 0.3)
    expected = scipy.integrate.solve_ivp(turned, (0, 2), Y0)
    found = solve_ivp(turned, (0, 2), ndl.Tensor(Y0))
    assert found.keys() == expected.keys() and found.nfev == expected.nfev and found.success
    np.testing.assert_array_equal(found.t, expected.t)
    np.testing.assert_array_equal(found.y.numpy(), expected.y)


def test_without_a_tensor_the_function_sees_arrays_and_scipy_answers():
    seen = []

    def decay(y, t):
        seen.append(type(y))
        return -y

    assert isinstance(odeint(decay, 1.0, TIMES), np.ndarray)
    assert set(seen) == {np.ndarray}
    assert isinstance(solve_ivp(lambda t, y: -y, (0, 1), [1.0], dense_output=True).sol(0.5), np.ndarray)


def test_options_reach_the_solver():
    k = ndl.Tensor(2.0)
    rows = odeint(lambda t, y, k: -k * y, [1.0], TIMES, (k,), tfirst=True, Dfun=lambda t, y, k: [[-k]], mxstep=600)
    np.testing.assert_allclose(rows.numpy()[:, 0], np.exp(-2 * TIMES), rtol=1e-6)
    found = solve_ivp(lambda t, y, k: -k * y, (0, 1), [1.0], "Radau", vectorized=True, args=(k,), jac=[[-2.0]])
    assert found.njev == 0
    found.y[0, -1].backward()
    np.testing.assert_allclose(k.grad.numpy(), -np.exp(-2), rtol=1e-2)  # as coarse as rtol=1e-3


def test_tensors_that_the_function_closes_over_count():
    k = ndl.Tensor(0.5)
    odeint(lambda y, t: -k * y, [2.0], [0.0, 1.0], **FINE)[-1, 0].backward()
    np.testing.assert_allclose(k.grad.numpy(), -2 * np.exp(-0.5), rtol=1e-6)
    with ndl.no_grad():
        assert not odeint(lambda y, t: -k * y, [2.0], [0.0, 1.0]).requires_grad


def test_a_module_as_an_argument_is_trained_through_the_equation():
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))

    def field(t, y, net):
        return net(y.reshape((1, 2)))

    y = solve_ivp(field, (0.0, 1.0), ndl.Tensor(Y0, dtype="float32"), args=(net,), rtol=1e-6, atol=1e-8).y
    assert y.dtype == np.float32
    (y**2).sum().backward()
    assert all(p.grad is not None and np.any(p.grad.numpy()) for p in net.parameters()[:3])


def test_a_span_and_times_that_are_followed():
    def last(span):
        return solve_ivp(lambda t, y: -y * t, span, [1.0], **FINE).y[0, -1]

    a, b = 0.3, 1.2
    exact = np.exp((a**2 - b**2) / 2)
    np.testing.assert_allclose(ndl.grad(last)(np.array([a, b])), [a * exact, -b * exact], rtol=1e-6)
    backwards = ndl.grad(last)(np.array([b, a]))
    np.testing.assert_allclose(backwards, [b / exact, -a / exact], rtol=1e-6)


def test_complex_states():
    def last(k):
        y = solve_ivp(lambda t, y, k: 1j * k * y, (0, 1), np.array([1.0 + 0j]), args=(k,), **FINE).y
        return y[0, -1].real

    np.testing.assert_allclose(ndl.grad(last)(0.7), -np.sin(0.7), rtol=1e-6)
    np.testing.assert_allclose(ndl.jvp(last, (0.7,), (1.0,))[1], -np.sin(0.7), rtol=1e-6)


# --------------------------------------------------------------------------------------------------------------------
# Traps


@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_a_derivative_is_as_exact_when_it_is_tiny_or_huge(size):
    one = ndl.grad(number(by_odeint), 1)(*POINT)
    other = ndl.grad(lambda *at: number(by_odeint)(*at) * size, 1)(*POINT)
    np.testing.assert_allclose(other, one * size, rtol=1e-6)
    _, forward = ndl.jvp(lambda k: number(by_odeint)(Y0, k, 0.3, TIMES), (1.7,), (size,))
    np.testing.assert_allclose(forward, one * size, rtol=1e-6)


def test_what_decays_fast_is_differentiated_backwards_all_the_same():
    times = np.linspace(0, 1, 21)  # y falls by exp(-1) from one to the next, by exp(-20) in all

    def sum_of(k):
        return odeint(lambda y, t, k: -k * (y - np.cos(t)), [2.0], times, args=(k,), **FINE).sum()

    np.testing.assert_allclose(ndl.grad(sum_of)(20.0), difference(sum_of, (20.0,), (1.0,), 1e-2), rtol=1e-5)


def test_times_that_coincide_and_a_single_time():
    twice = np.array([0.0, 0.0, 0.5, 0.5])
    np.testing.assert_allclose(
        ndl.grad(lambda y0: odeint(lambda y, t: -y, y0, twice, **FINE).sum())(1.0), 2 + 2 * np.exp(-0.5), rtol=1e-6
    )
    assert ndl.grad(lambda y0: odeint(lambda y, t: -y, y0, [0.3]).sum())(1.0) == 1


def test_an_equation_that_changes_in_between_finds_what_it_closes_over_later():
    early, late = ndl.Tensor(1.0), ndl.Tensor(2.0)
    rows = odeint(lambda y, t: -(early if t < 0.5 else late) * y, [1.0], [0.0, 0.5, 1.0], **FINE)
    rows[-1, 0].backward()
    expected = -0.5 * np.exp(-1.5)
    np.testing.assert_allclose([early.grad.numpy(), late.grad.numpy()], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda t: odeint(lambda y, s: y[:1], t, TIMES), ValueError, r"odeint must return 2 derivatives.*\(1,\)"),
        (lambda t: odeint(lambda y, s: y, t.reshape((1, 2)), TIMES), ValueError, r"y0 of odeint.*\(1, 2\)"),
        (lambda t: odeint(lambda y, s: 1j * y, t, TIMES), ValueError, "complex y0"),
        (lambda t: solve_ivp(lambda s, y: -y, (0, 1, 2), t), ValueError, r"two times, got shape \(3,\)"),
        (lambda t: solve_ivp(lambda s, y: -y, (0, 1), t, args=3.0), TypeError, r"args=\(k,\)"),
        (lambda t: solve_ivp(lambda s, y: -y, (0, 1), t, dense_output=True), TypeError, "t_eval"),
        (lambda t: solve_ivp(lambda s, y: -y, (0, 1), t, events=lambda s, y: y[0]), TypeError, "t_eval"),
        (lambda t: ndl.vmap(lambda y: solve_ivp(lambda s, y: -y, (0, 1), y).y)(t.reshape((2, 1))), TypeError, "t_eval"),
        (
            lambda t: ndl.jvp(lambda k: odeint(lambda y, s: -k * y, Y0, TIMES), (2.0,), (1.0,)),
            RuntimeError,
            "pass it through args",
        ),
    ],
)
def test_a_mistake_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(ndl.Tensor(Y0))
