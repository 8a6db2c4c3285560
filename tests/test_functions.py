"""Functions with a derivative of their own: checkpoint, derivatives by hand, loops, branches, implicit solutions."""

import gc
import tracemalloc

import numpy as np
import pytest

import needle as ndl

W = np.random.default_rng(0).normal(size=(4, 4)) / 2
X = np.random.default_rng(1).normal(size=4)
V = np.random.default_rng(2).normal(size=4)


def difference(f, x, h=1e-5):
    """Central difference: relative error about 1e-10 for the smooth functions of order 1 here."""
    return (f(x + h) - f(x - h)) / (2 * h)


# checkpoint


def block(x):
    return ndl.tanh(W @ x) * x


def deep(wrap):
    def f(x):
        for _ in range(3):
            x = wrap(block)(x)
        return (x * x).sum()

    return f


plain, checkpointed = deep(lambda f: f), deep(ndl.checkpoint)

DERIVATIVES = {
    "reverse": lambda f: ndl.grad(f)(X),
    "forward": lambda f: ndl.jvp(f, (X,), (V,))[1],
    "reverse over reverse": lambda f: ndl.grad(lambda x: (ndl.grad(f)(x) * V).sum())(X),
    "forward over reverse": lambda f: ndl.jvp(ndl.grad(f), (X,), (V,))[1],
    "reverse over forward": lambda f: ndl.grad(lambda x: ndl.jvp(f, (x,), (V,))[1])(X),
    "third order": lambda f: ndl.jvp(lambda x: ndl.jvp(ndl.grad(f), (x,), (V,))[1], (X,), (V,))[1],
    "a batch": lambda f: ndl.vmap(ndl.grad(f))(np.stack([X, V])),
    "through a batch": lambda f: ndl.grad(lambda x: ndl.vmap(f)(x).sum())(np.stack([X, V])),
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
def test_checkpoint_has_the_derivatives_of_the_plain_function(derivative):
    np.testing.assert_allclose(derivative(checkpointed), derivative(plain), rtol=1e-12)


def test_checkpoint_reaches_the_weights_that_it_closes_over():
    model = ndl.nn.Sequential(ndl.nn.Linear(4, 4), ndl.nn.Tanh())
    x = ndl.init.randn(3, 4)
    grads = []
    for wrap in (lambda f: f, ndl.checkpoint):
        (wrap(model)(wrap(model)(x)) ** 2).sum().backward()
        grads.append([p.grad.numpy() for p in model.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_checkpoint_draws_the_same_random_numbers_again():
    generator = ndl.Generator(3)
    f = lambda x: (x * ndl.init.rand(4, dtype="float64") * ndl.init.rand(4, dtype="float64", generator=generator)).sum()
    np.random.seed(0)
    gradient = ndl.grad(ndl.checkpoint(f))(X)
    after = np.random.rand()
    np.random.seed(0)
    np.testing.assert_array_equal(gradient, np.random.rand(4) * ndl.Generator(3).rand(4))
    assert np.random.rand() == after


def test_memory_of_a_chain_in_blocks_grows_with_the_square_root_of_its_depth():
    def steps(x, n):
        for _ in range(n):
            x = ndl.sin(x)
        return x

    def peak(f):
        x = ndl.Tensor(np.ones(20_000))
        f(x).sum().backward(create_graph=False)  # warm up
        gc.collect()
        tracemalloc.start()
        f(x).sum().backward(create_graph=False)
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result / x.numpy().nbytes

    def blocks(x):
        for _ in range(20):
            x = ndl.checkpoint(lambda x: steps(x, 20))(x)
        return x

    whole, in_blocks = peak(lambda x: steps(x, 400)), peak(blocks)
    assert whole > 390 and in_blocks < 80  # 400 arrays against about 20 + 20 and what a step needs


# custom_gradient, custom_jvp


@ndl.custom_gradient
def sine_times(x, y):
    return ndl.sin(x) * y, lambda g: (g * ndl.cos(x) * y, g * ndl.sin(x) * 2)  # twice the true one in y


@ndl.custom_jvp
def product(x, y):
    return x * y


@product.defjvp
def product_jvp(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return product(x, y), y * dx + 10 * x * dy  # ten times the true one in y


CUSTOM = {
    "custom_gradient": (sine_times, lambda x, y: (np.cos(x) * y, 2 * np.sin(x)), lambda x, y: -np.sin(x) * y),
    "custom_jvp": (product, lambda x, y: (y, 10 * x), lambda x, y: 0 * x),
}


@pytest.mark.parametrize("f, first, second", CUSTOM.values(), ids=CUSTOM)
def test_the_derivative_by_hand_is_used_in_every_mode(f, first, second):
    x, y = 0.7, 1.3
    assert ndl.grad(f, (0, 1))(x, y) == pytest.approx(first(x, y))
    assert ndl.jvp(f, (x, y), (1.0, 0.0))[1] == pytest.approx(first(x, y)[0])
    assert ndl.jvp(f, (x, y), (0.0, 1.0))[1] == pytest.approx(first(x, y)[1])
    assert ndl.grad(ndl.grad(f))(x, y) == pytest.approx(second(x, y))
    assert ndl.jvp(lambda x: ndl.grad(f)(x, y), (x,), (1.0,))[1] == pytest.approx(second(x, y))


@pytest.mark.parametrize("f, first, second", CUSTOM.values(), ids=CUSTOM)
def test_the_derivative_by_hand_is_used_in_series_and_laplacians(f, first, second):
    x, y = 0.7, 1.3
    series = ndl.jet(f, (x, y), ([1.0, 0.0, 0.0], [0.0, 0.0, 0.0]))[1]
    third = ndl.grad(ndl.grad(ndl.grad(f)))(x, y)
    assert series == pytest.approx([first(x, y)[0], second(x, y), third])
    assert ndl.laplacian(lambda x: f(x[0], y) * x[1])(np.array([x, 2.0])) == pytest.approx(2 * second(x, y))


@pytest.mark.parametrize("f, first, second", CUSTOM.values(), ids=CUSTOM)
def test_the_derivative_by_hand_is_used_in_batches(f, first, second):
    xs = np.array([0.1, 0.5, 0.9])
    for index in (0, 1):
        np.testing.assert_allclose(ndl.vmap(ndl.grad(f, index), (0, None))(xs, 2.0), first(xs, 2.0)[index] + 0 * xs)
    np.testing.assert_allclose(
        ndl.grad(lambda y: ndl.vmap(f, (0, None))(xs, y).sum())(2.0), np.sum(first(xs, 2.0)[1]), rtol=1e-12
    )


def test_outer_derivatives_flow_through_what_a_custom_gradient_closes_over():
    w = ndl.Tensor(3.0)
    f = ndl.custom_gradient(lambda x: (x * w, lambda g: g * 7))
    x = ndl.Tensor(2.0)
    f(x).backward()
    assert (x.grad.numpy(), w.grad.numpy()) == (7.0, 2.0)


def test_outer_derivatives_flow_through_what_a_custom_jvp_closes_over():
    w = ndl.Tensor(3.0)
    f = ndl.custom_jvp(lambda x: x * w * w)
    f.defjvp(lambda primals, tangents: (primals[0] * w * w, tangents[0] * 7))
    x = ndl.Tensor(2.0)
    f(x).backward()
    assert (x.grad.numpy(), w.grad.numpy()) == (7.0, 12.0)


def test_closing_over_what_a_forward_transform_follows_is_an_error_not_a_zero():
    def f(w):
        return ndl.custom_gradient(lambda x: (x * w, lambda g: g))(1.0)

    with pytest.raises(RuntimeError, match="pass it as an argument"):
        ndl.jvp(f, (2.0,), (1.0,))


def with_rule(rule):
    f = ndl.custom_jvp(lambda x: x)
    f.defjvp(rule)
    return f


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: ndl.custom_gradient(lambda x: x)(1.0), "must return a pair"),
        (lambda: ndl.grad(ndl.custom_gradient(lambda x, y: (x * y, lambda g: g)))(1.0, 2.0), "one adjoint for each"),
        (lambda: ndl.grad(lambda x: ndl.custom_gradient(lambda x: (x.sum(), lambda g: g))(x))(X), "adjoint of shape"),
        (lambda: ndl.custom_jvp(lambda x: x)(1.0), "without a rule"),
        (lambda: ndl.grad(with_rule(lambda x, t: t))(1.0), "must return a pair"),
        (lambda: ndl.grad(with_rule(lambda x, t: (x[0], np.ones(3))))(1.0), "tangent of shape .3,. for an output"),
        (lambda: ndl.grad(with_rule(lambda x, t: (x[0], (t[0], t[0]))))(1.0), "of the output's structure"),
    ],
)
def test_rules_that_do_not_fit_are_named(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


# Control flow


@pytest.mark.parametrize("transform", [lambda f: f, ndl.grad, lambda f: ndl.vmap(f)])
def test_cond_chooses_in_every_mode(transform):
    f = lambda x: ndl.cond(x > 0, lambda x: 3 * x, lambda x: x * x, x)
    at = np.array([-2.0, 2.0])
    expected = {0: [4.0, 6.0], 1: [-4.0, 3.0]}
    if transform is ndl.grad:
        assert [ndl.grad(f)(x) for x in at] == expected[1]
        np.testing.assert_array_equal(ndl.vmap(ndl.grad(f))(at), expected[1])
    else:
        values = transform(f)(at) if transform(f) is not f else [f(x) for x in at]
        np.testing.assert_array_equal(values, expected[0])


def test_scan_carries_and_stacks():
    xs = np.array([1.0, 2.0, 3.0])
    total, partial = ndl.scan(lambda c, x: (c + x, c), 0.0, xs)
    assert total == 6.0 and partial.tolist() == [0.0, 1.0, 3.0]
    total, partial = ndl.scan(lambda c, x: (c + x, c), 0.0, xs, reverse=True)
    assert total == 6.0 and partial.tolist() == [5.0, 3.0, 0.0]
    assert ndl.scan(lambda c, _: (2 * c, None), 1.0, length=5)[0] == 32.0


def test_scan_over_nothing_has_the_shapes_of_something():
    carry, ys = ndl.scan(lambda c, x: (c, {"y": x @ W}), 1.0, np.zeros((0, 4)))
    assert carry == 1.0 and ys["y"].shape == (0, 4)


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES)
def test_derivatives_go_through_loops(derivative):
    looped = lambda x: (ndl.fori_loop(0, 3, lambda i, x: block(x), x) ** 2).sum()
    scanned = lambda x: (ndl.scan(lambda x, _: (block(x), x), x, length=3)[0] ** 2).sum()
    for f in (looped, scanned):
        np.testing.assert_allclose(derivative(f), derivative(plain), rtol=1e-12)


def test_scan_is_differentiated_in_its_sequence():
    xs = np.array([1.0, 2.0, 4.0])
    gradient = ndl.grad(lambda xs: ndl.scan(lambda c, x: (c * x, c), 1.0, xs)[0])(xs)
    np.testing.assert_allclose(gradient, xs.prod() / xs)


def test_map_is_vmap_one_by_one():
    f = lambda x: ndl.sin(x) * x
    np.testing.assert_allclose(ndl.map(f, X), ndl.vmap(f)(X))
    np.testing.assert_allclose(ndl.grad(lambda x: ndl.map(f, x).sum())(X), ndl.vmap(ndl.grad(f))(X))


def doubled_until(x):
    return ndl.while_loop(lambda x: x < 10, lambda x: 2 * x, x)


def test_while_loop_goes_forward_in_every_forward_mode():
    assert doubled_until(3.0) == 12.0
    assert ndl.jvp(doubled_until, (3.0,), (1.0,)) == (12.0, 4.0)
    np.testing.assert_array_equal(ndl.vmap(doubled_until)(np.array([1.0, 3.0, 11.0])), [16.0, 12.0, 11.0])


def test_while_loop_says_that_it_has_no_reverse_mode():
    with pytest.raises(TypeError, match="while_loop has no reverse mode.*scan or fori_loop"):
        ndl.grad(doubled_until)(3.0)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: ndl.scan(lambda c, x: c, 0.0, X), r"must return a pair \(carry, y\)"),
        (lambda: ndl.scan(lambda c, x: ((c, c), x), 0.0, X), "carry of scan must keep its structure"),
        (lambda: ndl.scan(lambda c, x: (c + X, x), 0.0, X), "carry of scan must keep its shape"),
        (lambda: ndl.scan(lambda c, x: (c, x), 0.0, (X, X[:2])), "one length along axis 0"),
        (lambda: ndl.scan(lambda c, x: (c, x), 0.0), "xs or length"),
        (lambda: ndl.cond(X > 0, lambda: 1, lambda: 2), "one truth value"),
        (lambda: ndl.fori_loop(0, 2, lambda i, x: (x, x), 1.0), "fori_loop must keep its structure"),
        (lambda: ndl.fori_loop(0.5, 3, lambda i, x: x, 1.0), "lower of fori_loop must be a whole number, got 0.5"),
        (lambda: ndl.fori_loop(0, 2.5, lambda i, x: x, 1.0), "upper of fori_loop must be a whole number, got 2.5"),
    ],
)
def test_loops_that_do_not_fit_are_named(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


# fixed_point, root

A = np.random.default_rng(3).normal(size=(4, 4)) / 8 + np.eye(4)


def fixed(a):
    return ndl.fixed_point(lambda x, a: ndl.cos(x) * a, 0.5, a)


def solved(a):
    return ndl.root(lambda x, a: A @ x + 0.1 * x**3 - a * X, np.zeros(4), a).sum()


@pytest.mark.parametrize("f", [fixed, solved])
@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: ndl.grad(f),
        lambda f: lambda a: ndl.jvp(f, (a,), (1.0,))[1],
        lambda f: lambda a: ndl.vmap(ndl.grad(f))(np.array([a, 0.3]))[0],
    ],
    ids=["reverse", "forward", "batch"],
)
def test_implicit_derivatives_are_those_of_differences(f, derivative):
    assert derivative(f)(0.8) == pytest.approx(difference(f, 0.8), rel=1e-7)


@pytest.mark.parametrize("f", [fixed, solved])
@pytest.mark.parametrize(
    "second",
    [
        lambda f: ndl.grad(ndl.grad(f)),
        lambda f: lambda a: ndl.jvp(ndl.grad(f), (a,), (1.0,))[1],
        lambda f: ndl.grad(lambda a: ndl.jvp(f, (a,), (1.0,))[1]),
    ],
    ids=["rr", "fr", "rf"],
)
def test_implicit_second_derivatives_agree_with_differences_of_the_first(f, second):
    assert second(f)(0.8) == pytest.approx(difference(ndl.grad(f), 0.8), rel=1e-6, abs=1e-9)


def test_solutions_of_trees_are_differentiated_in_trees():
    def f(p):
        x = ndl.fixed_point(lambda x, p: {"a": ndl.cos(x["b"]) * p["k"], "b": x["a"] / 2}, {"a": 0.0, "b": 0.0}, p)
        return x["a"] + x["b"]

    gradient = ndl.grad(f)({"k": 0.9})
    assert gradient["k"] == pytest.approx(difference(lambda k: f({"k": k}), 0.9), rel=1e-7)


def test_what_the_equation_closes_over_is_differentiated_twice():
    w = ndl.Tensor(0.8)
    ndl.fixed_point(lambda x: ndl.cos(x) * w, 0.5).backward()
    first = w.grad
    assert first.numpy() == pytest.approx(ndl.grad(fixed)(0.8))
    first.backward()
    assert w.grad.numpy() == pytest.approx(ndl.grad(ndl.grad(fixed))(0.8))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: ndl.fixed_point(lambda x: 2 * x, 1.0), "did not converge"),
        (lambda: ndl.fixed_point(lambda x: x + 1, 1.0, max_iter=3), "in 3 steps"),
        (lambda: ndl.fixed_point(lambda x: (x, x), 1.0), "must return the structure of x0"),
        (lambda: ndl.root(lambda x: X * x, 1.0), "must return the shapes of x0"),
        (lambda: ndl.root(lambda x: x * x + 1, 1.0), "found no solution"),
    ],
)
def test_equations_that_cannot_be_solved_say_why(wrong, message):
    with pytest.raises((RuntimeError, TypeError), match=message):
        wrong()


def test_a_custom_jvp_of_what_comes_from_another():
    """A wrapped function's attributes are taken over: the rule of the inner one must not be."""

    def by_hand(f):
        wrapped = ndl.custom_jvp(f)
        wrapped.defjvp(lambda primals, tangents: (f(*primals), ndl.jvp(f, primals, tangents)[1]))
        return wrapped

    assert by_hand(ndl.grad(by_hand(lambda x: -x / 2)))(0.5) == -0.5


def test_a_custom_jvp_on_boxes_in_boxes():
    """What an argument carries for an outer transform is no value that the function closes over."""
    ours = ndl.custom_jvp(lambda x: x * x * x)
    ours.defjvp(lambda primals, tangents: (ours(*primals), 3 * primals[0] ** 2 * tangents[0]))
    slope = lambda x: ndl.jvp(ours, (x,), (1.0,))[1]
    np.testing.assert_array_equal(ndl.vmap(slope)(np.array([1.0, 2.0])), [3.0, 12.0])
    np.testing.assert_array_equal(ndl.vmap(ndl.jacfwd(slope))(np.array([1.0, 2.0])), [6.0, 12.0])


def test_a_custom_jvp_that_closes_over_what_an_outer_transform_follows_is_refused():
    def f(x):
        ours = ndl.custom_jvp(lambda u: u * x)
        ours.defjvp(lambda primals, tangents: (ours(*primals), tangents[0] * x))
        return ndl.jvp(ours, (x,), (1.0,))[1]

    with pytest.raises(RuntimeError, match="pass it as an argument instead"):
        ndl.jvp(f, (2.0,), (1.0,))


def test_checkpoint_hands_on_what_has_no_derivative():
    power = ndl.checkpoint(lambda x, mode, n=1: x**n if mode == "power" and type(n) is int else None)
    np.testing.assert_array_equal(ndl.grad(lambda x: power(x, "power", n=3).sum())(np.array([1.0, 2.0])), [3.0, 12.0])
    np.testing.assert_array_equal(ndl.jacfwd(lambda x: power(x, "power", n=3).sum())(np.array([1.0, 2.0])), [3.0, 12.0])


def test_checkpoint_that_closes_over_a_module_differentiates_it():
    linear, x = ndl.nn.Linear(2, 2), ndl.ones(1, 2)
    plain = ndl.grad(lambda m: (m(x) ** 2).sum())(linear)
    kept = ndl.grad(lambda m: ndl.checkpoint(lambda x: (m(x) ** 2).sum())(x))(linear)
    np.testing.assert_allclose(kept.weight.numpy(), plain.weight.numpy())
