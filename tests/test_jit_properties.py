"""Random small programs with effects, views, aliasing and repeated inputs: `jit` against eager, call after call.

A program is a list of statements on named values; names that come up again make chains, views and sharing.  All is in
float64 with numbers of size 1, so that 1e-9 leaves room for what some dozen operations lose.
"""

import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import needle as ndl
from needle import init
from needle.program import jit
from needle.transforms import grad

compiled = functools.partial(jit, backend="numpy")
NAMES = ["a", "b", "w", "v", "t", "u"]  # two arguments, two Tensors that are closed over, two more
name = st.sampled_from(NAMES)

UNARY = {
    "sin": ndl.sin,
    "tanh": ndl.tanh,
    "half": lambda x: x * 0.5,
    "negative": lambda x: -x,
    "reversed": lambda x: x[::-1],
    "transposed there and back": lambda x: x.reshape((2, 2)).T.reshape(4),
    "first, for all": lambda x: ndl.broadcast_to(x[:1], (4,)),
    "mean, for all": lambda x: x * 0 + x.sum() / 4,
    "copied": lambda x: x + 0.0,
    "detached": lambda x: x.detach(),
    "drawn": lambda x: x + init.rand(4, dtype="float64"),
    "positive part": lambda x: ndl.where(x > 0, x, 0.0),
    "sorted": lambda x: np.sort(x),
}
BINARY = {
    "+": lambda x, y: x + y,
    "·": lambda x, y: x * y,
    "-": lambda x, y: x - y,
    "max": np.maximum,
    "joined": lambda x, y: np.concatenate([x[:2], y[2:]]),
    "where": lambda x, y: ndl.where(x > y, x, y * 0.5),
}
statements = st.one_of(
    st.tuples(st.just("unary"), name, st.sampled_from(sorted(UNARY)), name),
    st.tuples(st.just("binary"), name, st.sampled_from(sorted(BINARY)), name, name),
    st.tuples(st.just("data"), st.sampled_from(["w", "v"]), name),
    st.tuples(st.just("item"), st.sampled_from(["w", "v"]), st.integers(0, 3), name),
    st.tuples(st.just("backward"), name, st.booleans()),
    st.tuples(st.just("forget"), st.sampled_from(["w", "v"])),
    st.tuples(st.just("gradient"), name, st.sampled_from(["w", "v"])),
)
programs = st.tuples(st.lists(statements, min_size=1, max_size=7), st.lists(name, min_size=1, max_size=3))


class World:
    """Two Tensors, and a program that uses and changes them."""

    def __init__(self, program):
        self.lines, self.returned = program
        self.w, self.v = ndl.Tensor([0.1, -0.2, 0.3, 0.4]), ndl.Tensor([0.5, 0.6, -0.7, 0.8])

    def __call__(self, a, b):
        names = {"a": a, "b": b, "w": self.w, "v": self.v, "t": a, "u": b}
        for kind, target, *rest in self.lines:
            if kind == "unary":
                value = UNARY[rest[0]](names[rest[1]])
            elif kind == "binary":
                value = BINARY[rest[0]](names[rest[1]], names[rest[2]])
            elif kind == "data":
                names[target].data = names[rest[0]]
                continue
            elif kind == "item":
                names[target][rest[0]] = names[rest[1]][0]
                continue
            elif kind == "backward":
                if names[target].requires_grad:
                    names[target].sum().backward(accumulate=rest[0])
                continue
            elif kind == "forget":
                names[target].grad = None
                continue
            else:
                found = names[rest[0]].grad
                value = names[target] * 0 if found is None else found.detach()  # after a compiled call it has no graph
            names["t" if target in ("w", "v") else target] = value
        return [names[each] for each in self.returned]

    def look(self, results, given=()) -> list:
        grads = [x.grad for x in (self.w, self.v, *given)]
        tensors = [*results, self.w, self.v, *[grad for grad in grads if grad is not None]]
        flags = [grad is None for grad in grads] + [x is y for x in results for y in (self.w, self.v, *given)]
        return [flags, *[x.numpy() for x in tensors]]


def run(program, is_compiled: bool, pairs) -> list:
    np.random.seed(0)
    world = World(program)
    call = compiled(world) if is_compiled else world
    seen = []
    for i, same in enumerate(pairs):
        a = ndl.Tensor(np.array([0.3, -0.1, 0.2, 0.9]) + 0.1 * i)
        b = a if same else ndl.Tensor(np.array([-0.5, 0.4, 0.7, 0.1]) - 0.1 * i)
        try:
            seen += world.look(call(a, b), (a, b))
        except (ValueError, TypeError, RuntimeError) as error:  # an assignment into a view, for one
            return [*seen, type(error).__name__]
        world.w.data = ndl.Tensor(np.clip(world.w.numpy(), -1, 1))
        world.v.data = ndl.Tensor(np.clip(world.v.numpy(), -1, 1))
    return [*seen, np.random.rand()]


@settings(max_examples=1500)
@given(programs, st.lists(st.booleans(), min_size=1, max_size=3))
def test_random_programs_with_effects_are_those_of_eager(program, pairs):
    ours, theirs = run(program, True, pairs), run(program, False, pairs)
    assert len(ours) == len(theirs)
    for mine, expected in zip(ours, theirs):
        if isinstance(expected, np.ndarray):
            np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)
        else:
            assert mine == expected


pure = [name for name in UNARY if name != "drawn"]
pure_statements = st.one_of(
    st.tuples(st.just("unary"), name, st.sampled_from(sorted(pure)), name),
    st.tuples(st.just("binary"), name, st.sampled_from(sorted(BINARY)), name, name),
)


@settings(max_examples=500)
@given(st.tuples(st.lists(pure_statements, min_size=1, max_size=6), st.lists(name, min_size=1, max_size=1)))
def test_gradients_of_random_programs_compiled_inside_and_outside(program):
    world = World(program)
    f = lambda a, b: (world(a, b)[0] ** 2).sum()
    a, b = np.array([0.3, -0.1, 0.2, 0.9]), np.array([-0.5, 0.4, 0.7, 0.1])
    with ndl.no_grad():
        expected = grad(f, (0, 1))(a, b)
        for g in (compiled(grad(f, (0, 1))), grad(compiled(f), (0, 1))):
            for mine, theirs in zip(g(a, b), expected):
                np.testing.assert_allclose(np.asarray(mine), theirs, rtol=1e-9, atol=1e-9)
