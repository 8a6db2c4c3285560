"""Loops and branches under jit: one instruction each, with the values and derivatives of plain Python."""

import contextlib
import io

import numpy as np
import pytest

import needle as ndl
from needle.transforms.trees import Tree

W = np.array([[0.5, -0.3], [0.2, 0.4]])
X = np.array([[0.3, -1.2], [0.7, 0.1], [-0.4, 0.9], [1.1, -0.6]])


def scanned(x):
    carry, ys = ndl.scan(lambda c, row: (ndl.tanh(c @ W) + row * x, ndl.sin(c) * row), x, X)
    return (carry * ys.sum(axis=0)).sum()


def backwards(x):
    carry, ys = ndl.scan(lambda c, row: (c * row.sum() + x, c), x * 0.1, X, reverse=True)
    return (carry**2 * ys).sum()


def weakly_begun(x):
    total, squares = ndl.scan(lambda c, row: (c + (row * x).sum(), c * c), 0.0, X)
    return total + squares.sum()


def in_a_tree(x):
    def step(carry, row):
        return {"a": carry["a"] * row, "b": (carry["b"][0] + carry["a"], carry["b"][1] + 1)}, (carry["b"][0], None)

    carry, (ys, _) = ndl.scan(step, {"a": x, "b": (x * 0, 0)}, X)
    return (carry["b"][0] * ys).sum() + (carry["a"] ** 2).sum()


def counted(x):
    return ndl.fori_loop(0, 4, lambda i, y: ndl.sin(y) * (i + 1) + ndl.Tensor(X)[i] * x, x).sum()


def nested(x):
    def outer(c, row):
        inner, ys = ndl.scan(lambda d, e: (ndl.tanh(d) + e * x, d * e), c, row)
        return inner, ys.sum() + (c * x).sum()

    carry, ys = ndl.scan(outer, x, X)
    return carry.sum() * ys.sum()


def mapped(x):
    return ndl.map(lambda row: ndl.exp(row @ W) @ x, X).sum()


def chosen(x):
    y = x * 2
    return ndl.cond(x.sum() > 0, lambda a: (a * y).sum(), lambda a: ndl.sin(a + y).sum(), x)


def scanned_or_not(x):
    return ndl.cond(x.sum() > 0, scanned, lambda x: (x**3).sum(), x)


def chosen_at_each_step(x):
    def step(c, row):
        return ndl.cond(c.sum() > row.sum(), lambda c: c * row, lambda c: c + x * row, c), c

    carry, ys = ndl.scan(step, x, X)
    return (carry * ys).sum()


def differentiated_inside(x):
    energy = lambda q: (ndl.cos(q) * x).sum()
    step = lambda c, _: (c - 0.1 * ndl.grad(energy)(c), ndl.jvp(energy, (c,), (x,))[1])
    carry, ys = ndl.scan(step, x, length=4)
    return carry.sum() + ys.sum()


LOOPS = {
    f.__name__: f
    for f in (
        scanned, backwards, weakly_begun, in_a_tree, counted, nested, mapped, chosen, scanned_or_not,
        chosen_at_each_step, differentiated_inside,
    )
}  # fmt: skip
AT = {"one": np.array([0.3, 0.8]), "other": np.array([-0.7, 0.2])}
BATCH = np.array([[0.3, 0.8], [-0.7, 0.2], [1.1, -0.4]])
WALKS = {
    "value": lambda f: f,
    "grad": ndl.grad,
    "jvp": lambda f: lambda x: ndl.jvp(f, (x,), (np.array([1.0, -2.0]),)),
    "hessian": ndl.hessian,
    "forward over reverse": lambda f: lambda x: ndl.hvp(f, (x,), (np.array([1.0, -2.0]),)),
    "reverse over forward": lambda f: ndl.grad(lambda x: ndl.jvp(f, (x,), (np.array([1.0, -2.0]),))[1]),
    "jacfwd": ndl.jacfwd,
    "jet": lambda f: lambda x: ndl.jet(f, (x,), ([np.array([1.0, -2.0]), np.ones(2), np.zeros(2)],)),
}


def same(a, b, rtol=1e-12):
    a, b = Tree(a), Tree(b)
    assert len(a.leaves) == len(b.leaves)
    for x, y in zip(a.leaves, b.leaves):
        x, y = [v.numpy() if isinstance(v, ndl.Tensor) else np.asarray(v) for v in (x, y)]
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-12)


def instructions(program) -> int:
    """How many there are, those of the bodies included."""
    inside = [inner for instruction in program for inner in getattr(instruction.function, "programs", ())]
    return len(program) + sum(map(instructions, inside))


def program_of(step):
    return step._last().captured.program


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
@pytest.mark.parametrize("f", LOOPS.values(), ids=LOOPS)
def test_compiled_loops_give_what_python_gives(f, walk):
    compiled = ndl.jit(walk(f))
    for x in AT.values():
        same(compiled(x), walk(f)(x))
    assert compiled.cache_size() == 1


@pytest.mark.parametrize("walk", ["value", "grad", "jvp", "hessian"])
@pytest.mark.parametrize("f", LOOPS.values(), ids=LOOPS)
def test_compiled_batches_of_loops(f, walk):
    mapped = ndl.vmap(WALKS[walk](f))
    same(ndl.jit(mapped)(BATCH), mapped(BATCH))
    same(ndl.vmap(ndl.jit(WALKS[walk](f)))(BATCH), mapped(BATCH))


@pytest.mark.parametrize("f", LOOPS.values(), ids=LOOPS)
def test_gradients_through_batches_and_from_outside(f):
    total = lambda xs: (ndl.vmap(f)(xs) ** 2).sum()
    same(ndl.jit(ndl.grad(total))(BATCH), ndl.grad(total)(BATCH))
    same(ndl.grad(ndl.jit(f))(AT["one"]), ndl.grad(f)(AT["one"]))
    same(
        ndl.grad(lambda x: ndl.jit(ndl.grad(f))(x).sum())(AT["one"]),
        ndl.grad(lambda x: ndl.grad(f)(x).sum())(AT["one"]),
    )


# What a body may do

KEPT = ndl.Tensor(np.array([[0.3, -0.1], [0.4, 0.6]]))
FLOATS = X.astype("float32")


def checkpointed(x):
    step = lambda c, row: (ndl.checkpoint(lambda c: ndl.tanh(c @ KEPT) * row * x)(c), c)
    return ndl.scan(step, x, X)[0].sum()


def with_a_gradient_by_hand(x):
    sine = ndl.custom_gradient(lambda a: (ndl.sin(a @ KEPT), lambda g: g * KEPT.sum() * a))
    return ndl.scan(lambda c, row: (sine(c) * x, c), x, X)[0].sum()


def with_constants(x):
    stop = ndl.stop_gradient
    return ndl.scan(lambda c, row: (c * stop(x) * row + stop(c), c), x, X)[0].sum()


def over_parts_of_a_tuple(x):
    first, second = ndl.split(x, 0)
    return ndl.scan(lambda c, row: (c * first + second * row[0], c), x[0], X)[0]


def pulled_back_at_each_step(x):
    _, back = ndl.vjp(lambda x: ndl.sin(x) * x, x)
    return (ndl.map(lambda row: back(row)[0], X) ** 2).sum()


def with_a_tensor_of_its_own(x):
    return ndl.scan(lambda c, row: (c * ndl.Tensor([2.0, 3.0]) * x, None), ndl.Tensor([1.0, 1.0]), X)[0].sum()


def over_nothing(x):
    carry, ys = ndl.scan(lambda c, row: (c * row * x, c), x, X[:0])
    return carry.sum() + ys.sum()


BODIES = {
    f.__name__: f
    for f in (
        checkpointed, with_a_gradient_by_hand, with_constants, over_parts_of_a_tuple, pulled_back_at_each_step,
        with_a_tensor_of_its_own, over_nothing,
    )
}  # fmt: skip


@pytest.mark.parametrize("f", BODIES.values(), ids=BODIES)
def test_bodies_are_differentiated_and_mapped(f):
    for walk in ("value", "grad", "jvp", "forward over reverse"):
        same(ndl.jit(WALKS[walk](f))(AT["one"]), WALKS[walk](f)(AT["one"]))
    mapped = ndl.vmap(ndl.grad(f))
    same(ndl.jit(mapped)(BATCH), mapped(BATCH))


@pytest.mark.parametrize(
    "f, at",
    [
        (lambda x: ndl.scan(lambda c, row: (c * 0.5, c * x * row), 1.0, FLOATS), np.float32([0.3, 0.8])),
        (lambda x: ndl.scan(lambda c, row: (c + (row * x).sum(), c * x), 0, FLOATS), np.float32([0.3, 0.8])),
        (lambda x: ndl.scan(lambda c, row: (c * row, c), x, X), np.float32([0.3, 0.8])),
        (lambda x: ndl.scan(lambda c, _: (c + 1, x[c]), 0, length=2), AT["one"]),
        (lambda x: ndl.fori_loop(0, 3, lambda i, y: y * i, x), np.float32([0.3, 0.8])),
        (lambda x: ndl.cond(x.sum() > 0, lambda: x.sum(), lambda: 1.0), np.float32([0.3, 0.8])),
    ],
    ids=["number", "whole number", "wider", "index", "index of fori_loop", "branches"],
)
def test_numbers_in_a_carry_take_the_dtypes_that_they_take_in_python(f, at):
    same(ndl.jit(f)(at), f(at), rtol=1e-6)


def test_complex_carries():
    f = ndl.grad(lambda x: ndl.abs(ndl.scan(lambda c, row: (c * (x + 1j * row) * 0.5, c), x * (1 + 0j), X)[0]).sum())
    same(ndl.jit(f)(AT["one"]), f(AT["one"]))


def test_closed_over_parameters_get_gradients():
    cell, x = ndl.nn.RNNCell(2, 3), ndl.Tensor(FLOATS.reshape(4, 1, 2))
    params = list(cell.parameters())

    def loss():
        h, hs = ndl.scan(lambda h, row: (cell(row, h), h), ndl.zeros(1, 3), x)
        return (h * hs.sum(axis=0)).sum()

    def step():
        loss().backward()

    step()
    eager = [p.grad.numpy() for p in params]
    ndl.jit(step)()
    for p, expected in zip(params, eager):
        np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-5, atol=1e-6)
    found = ndl.jit(ndl.grad(lambda cell: loss()))(cell)
    for p, expected in zip(found.parameters(), eager):
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_training_step_around_a_scan():
    def trained(compiled):
        np.random.seed(0)
        cell = ndl.nn.RNNCell(2, 3)
        optimizer = ndl.optim.Adam(cell.parameters(), lr=0.1)

        def step(x):
            optimizer.reset_grad()
            loss = (ndl.scan(lambda h, row: (cell(row, h), None), ndl.zeros(1, 3), x)[0] ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = ndl.jit(step) if compiled else step
        return [float(step(ndl.Tensor(FLOATS.reshape(4, 1, 2) * k)).numpy()) for k in (1, 2, 3)]

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-5)


# What is not selected has a derivative of zero, whatever the slope

SELECTIONS = {
    "after": lambda x: ndl.where(x > 0, ndl.scan(lambda c, _: (ndl.sqrt(c), None), x, length=3)[0], 0.0).sum(),
    "after, of rows": lambda x: ndl.where(x > 0, ndl.scan(lambda c, _: (c, ndl.sqrt(c)), x, length=3)[1], 0.0).sum(),
    "after, of what is closed over": lambda x: ndl.where(
        x > 0, ndl.scan(lambda c, row: (c * 0.5 + ndl.sqrt(x) * row, None), x * 0, X)[0], 0.0
    ).sum(),
    "before": lambda x: ndl.scan(lambda c, _: (ndl.sqrt(c), c), ndl.where(x > 0, x, 0.0), length=3)[1].sum(),
    "in a step": lambda x: ndl.scan(
        lambda c, _: (ndl.where(c > 0, ndl.sqrt(ndl.where(c > 0, c, 0.0)), 0.0), c), x, length=3
    )[1].sum(),
    "from step to step": lambda x: ndl.scan(
        lambda c, _: (ndl.sqrt(ndl.where(c > 0, c, 0.0)), ndl.where(c > 0, c, 1.0)), x, length=3
    )[1].sum(),
    "after a branch": lambda x: ndl.where(x > 0, ndl.cond(x.sum() > 9, lambda: x, lambda: ndl.sqrt(x)), 0.0).sum(),
    "in a branch": lambda x: ndl.sqrt(ndl.cond(x.sum() > 9, lambda: x, lambda: ndl.where(x > 0, x, 0.0))).sum(),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("walk", ["grad", "jvp", "jacfwd", "jet", "forward over reverse"])
@pytest.mark.parametrize("f", SELECTIONS.values(), ids=SELECTIONS)
def test_no_nan_comes_from_what_is_not_selected(f, walk):
    x = np.array([0.3, 0.0])
    same(ndl.jit(WALKS[walk](f))(x), WALKS[walk](f)(x))


# Random numbers

DROP = ndl.nn.Dropout(0.5)


def dropped(x):
    carry, ys = ndl.scan(lambda c, row: (DROP(c) * c + ndl.init.rand(2, dtype="float64") * row * x, DROP(c)), x, X)
    return (carry * ys).sum()


def dropped_in_reverse(x):
    return (ndl.scan(lambda c, row: (DROP(c) + row * x, DROP(c)), x, X, reverse=True)[1] ** 2).sum()


def dropped_inside_of_another(x):
    inner = lambda c: ndl.fori_loop(0, 3, lambda i, c: DROP(c) + c * DROP(x), c)
    return (ndl.scan(lambda c, row: (inner(c), DROP(c)), x, X)[1] ** 2).sum()


def dropped_for_each_of_a_batch(x):
    both = lambda c: ndl.vmap(lambda e: e * DROP(x))(ndl.stack([c, c], 0)).sum(axis=0)
    return (ndl.scan(lambda c, row: (both(c), DROP(c)), x, X)[1] ** 2).sum()


def dropped_in_a_checkpoint(x):
    return (ndl.scan(lambda c, row: (ndl.checkpoint(lambda c: DROP(c) * c)(c), DROP(c)), x, X)[1] ** 2).sum()


@pytest.mark.parametrize("walk", ["value", "grad", "forward over reverse", "vmap", "vmap of grad"])
@pytest.mark.parametrize(
    "f", [dropped, dropped_in_reverse, dropped_inside_of_another, dropped_for_each_of_a_batch, dropped_in_a_checkpoint]
)
def test_random_numbers_are_drawn_at_each_step_as_in_python(f, walk):
    if walk == "vmap" and f is dropped_in_a_checkpoint:
        pytest.skip("eager vmap of checkpoint draws twice")
    g = {"vmap": ndl.vmap(f), "vmap of grad": ndl.vmap(ndl.grad(f))}.get(walk) or WALKS[walk](f)
    x = ndl.Tensor(BATCH if "vmap" in walk else AT["one"])
    compiled = ndl.jit(g)
    np.random.seed(1)
    expected = [g(x) for _ in range(3)]
    np.random.seed(1)
    for one in expected:
        same(compiled(x), one, rtol=1e-10)
    assert compiled.cache_size() == 1


# Loops stay loops


def pendulum(angle):
    def step(state, _):
        angle, speed = state
        speed = speed - 0.01 * 9.81 * ndl.sin(angle)
        return (angle + 0.01 * speed, speed), angle

    (angle, speed), angles = ndl.scan(step, (angle, angle * 0.0), length=1000)
    return (angles**2).mean() + angle * speed


def wave(u):
    def step(state, _):
        u, v = state
        bend = ndl.concatenate([u[1:], u[:1]]) - 2 * u + ndl.concatenate([u[-1:], u[:-1]])
        v = v + 0.4 * bend
        return (u + 0.4 * v, v), (u * u).sum()

    (u, _), energies = ndl.scan(step, (u, u * 0), length=1000)
    return (u * u).sum() + energies.mean()


@pytest.mark.parametrize("f, at", [(pendulum, 0.7), (wave, np.exp(-(np.linspace(-3, 3, 32) ** 2)))])
def test_a_thousand_steps_are_one_loop(f, at):
    for walk in (f, ndl.grad(f)):
        compiled = ndl.jit(walk)
        same(compiled(at), walk(at), rtol=1e-9)
        assert instructions(program_of(compiled)) < 100


def test_one_branch_runs():
    def f(x):
        def heavy(x):
            ndl.debug_print("heavy")
            return x * 2

        return ndl.cond(x > 0, heavy, lambda x: -x, x)

    compiled = ndl.jit(f)
    for at, printed in ((1.0, "heavy\n"), (-1.0, "")):
        compiled(at)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            compiled(at)
        assert out.getvalue() == printed


# While loops


@pytest.mark.parametrize("walk", [lambda f: f, WALKS["jvp"], lambda f: ndl.jacfwd(f), WALKS["jet"]])
def test_while_loops_compile_in_forward_modes(walk):
    f = lambda x: ndl.while_loop(lambda y: (y * y).sum() < 50, lambda y: y * (1 + x * x) + 1, x)
    same(ndl.jit(walk(f))(AT["one"]), walk(f)(AT["one"]))


@pytest.mark.parametrize("f", [
    lambda x: ndl.while_loop(lambda y: (y * y).sum() < 50, lambda y: y * 2 + 1, x),
    lambda x: ndl.while_loop(lambda y: y[0] < 4, lambda y: (y[0] + 1, y[1] * x), (0, x))[1],
    lambda x: ndl.fori_loop(
        0, 3, lambda i, y: ndl.while_loop(lambda y: (y * y).sum() < 5 * (i + 1), lambda y: y * 2 + x, y), x
    ),
])  # fmt: skip
def test_batches_of_while_loops(f):
    same(ndl.jit(ndl.vmap(f))(BATCH), ndl.vmap(f)(BATCH))
    tangent = ndl.vmap(WALKS["jvp"](f))
    same(ndl.jit(tangent)(BATCH), tangent(BATCH))


def test_fori_loop_with_a_bound_that_is_an_argument():
    f = lambda n, x: ndl.fori_loop(1, n, lambda i, y: y * 0.5 + i * x, x)
    compiled = ndl.jit(f)
    for n in (5, 1, 0, 9):
        same(compiled(n, AT["one"]), f(n, AT["one"]))
    assert compiled.cache_size() == 1
    slope = lambda n, x: ndl.jvp(lambda x: f(n, x), (x,), (x,))
    same(ndl.jit(slope)(4, AT["one"]), slope(4, AT["one"]))


# Fixed points


@pytest.mark.parametrize("walk", [lambda f: f, *[WALKS[name] for name in ("grad", "jvp", "hessian")]])
def test_fixed_points_are_loops(walk):
    f = lambda x: ndl.fixed_point(lambda y, x: ndl.cos(y @ KEPT) * 0.3 * x, np.zeros(2), x)
    g = walk(lambda x: (f(x) * x).sum())
    same(ndl.jit(g)(AT["one"]), g(AT["one"]), rtol=1e-9)
    same(ndl.jit(ndl.vmap(g))(BATCH), ndl.vmap(g)(BATCH), rtol=1e-9)


def test_fixed_points_in_a_scan():
    solved = lambda c, x: ndl.fixed_point(lambda y: ndl.cos(y) * 0.3 * x + c, c)
    g = ndl.grad(lambda x: ndl.scan(lambda c, row: (solved(c, x) * row, c), x, X)[1].sum())
    same(ndl.jit(g)(AT["one"]), g(AT["one"]), rtol=1e-9)


def test_fixed_points_that_are_not_reached_say_so():
    compiled = ndl.jit(lambda x, a: ndl.fixed_point(lambda y: a * y + 1, x, max_iter=50))
    with pytest.raises(RuntimeError, match="did not converge in 50 steps"):
        compiled(AT["one"], 2.0)
    np.testing.assert_allclose(compiled(AT["one"], 0.5 - 1e-3), 1 / (0.5 + 1e-3))


# Mistakes

STATE = ndl.Tensor([0.0, 0.0])


def assigns(c, row):
    STATE.data = c.detach()
    return c, row


def goes_back(c, row):
    (c * KEPT.sum()).sum().backward()
    return c, row


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda x: ndl.scan(lambda c, row: c, x, X), r"must return a pair \(carry, y\)"),
        (lambda x: ndl.scan(lambda c, row: ((c, c), row), x, X), "carry of scan must keep its structure"),
        (lambda x: ndl.scan(lambda c, row: (c + X, row), x, X), "carry of scan must keep its shape"),
        (lambda x: ndl.scan(lambda c, row: (ndl.argmax(c), row), x.sum(), X), "carry of scan must keep its dtype"),
        (lambda x: ndl.cond(x > 0, lambda: 1, lambda: 2), "one truth value"),
        (lambda x: ndl.cond(x.sum() > 0, lambda: (1, 2), lambda: 2), "branches of cond must keep its structure"),
        (lambda x: ndl.cond(x.sum() > 0, lambda: x, lambda: x.sum()), "branches of cond must keep its shape"),
        (lambda x: ndl.fori_loop(0, 2, lambda i, y: (y, y), x), "fori_loop must keep its structure"),
        (lambda x: ndl.fori_loop(0, x[0], lambda i, y: y, x), "upper of fori_loop must be a whole number"),
        (lambda x: ndl.fori_loop(0, 2, lambda i, y: y * X[i], x), "index of fori_loop is traced under jit"),
        (lambda x: ndl.while_loop(lambda y: y > 0, lambda y: y - 1, x), "one truth value"),
        (lambda x: ndl.scan(lambda c, row: (c if c.sum() > 0 else -c, row), x, X), "needle.cond"),
        (lambda x: ndl.scan(assigns, x, X), "assigns the value or the .grad of a Tensor from outside"),
        (lambda x: ndl.scan(goes_back, x, X), "assigns the value or the .grad of a Tensor from outside"),
        (lambda x: ndl.cond(x.sum() > 0, lambda: DROP(x), lambda: x), "draws random numbers"),
        (ndl.grad(lambda x: ndl.while_loop(lambda y: y.sum() < 9, lambda y: 2 * y, x).sum()), "no reverse mode"),
    ],
)
def test_loops_that_do_not_fit_are_named(wrong, message):
    before = STATE.numpy().tolist(), KEPT.grad
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        ndl.jit(wrong)(AT["one"])
    assert (STATE.numpy().tolist(), KEPT.grad) == before


def test_reverse_mode_of_a_loop_with_a_traced_bound_says_what_to_do():
    f = ndl.grad(lambda x, n: ndl.fori_loop(0, n, lambda i, y: y * x, x).sum())
    with pytest.raises(TypeError, match="static_argnums"):
        ndl.jit(f)(AT["one"], 3)
    same(ndl.jit(f, static_argnums=1)(AT["one"], 3), f(AT["one"], 3))


def test_gradient_of_rows_for_one_part_of_the_carry():
    def swing(state, _):
        angle, speed = state
        speed = speed - 0.01 * ndl.sin(angle)
        angle = angle + 0.01 * speed
        return (angle, speed), angle

    def total(angle, speed):
        return ndl.scan(swing, (angle, speed), None, length=10)[1].sum()

    point = ndl.Tensor(1.0), ndl.Tensor(0.0)
    gradient = ndl.jit(ndl.grad(total), backend="numpy")(*point)
    np.testing.assert_allclose(gradient.numpy(), ndl.grad(total)(*point).numpy(), rtol=1e-14)
