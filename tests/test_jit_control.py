"""Loops and branches under jit: one instruction each, with the values and derivatives of plain Python."""

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
