"""Grouping: a fused program gives what the program gives, and groups hold what they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needle.program.functions import Fused, Reduce, Ufunc
from needle.program.fuse import fuse
from needle.program.ir import Program, interpret
from needle.program.tracing.recording import Recorder


def recorded(function, *arrays):
    """The program of a function of arrays."""
    recorder = Recorder()
    results = function(*[recorder.input(array, f"a{i}") for i, array in enumerate(arrays)])
    results = results if isinstance(results, tuple) else (results,)
    return Program(recorder.inputs, recorder.instructions, [recorder.var(x) for x in results])


def groups(program):
    return [step for step in program if isinstance(step.function, Fused)]


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def same(function, *arrays, **options):
    """The fused program, which gives what the program gives, bit by bit."""
    expected = interpret(recorded(function, *arrays), arrays)
    program = fuse(recorded(function, *arrays), **options)
    for a, b in zip(interpret(program, arrays), expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == b.shape and a.dtype == b.dtype
    return program


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, w, b):
    centred = x - x.sum(-1, keepdims=True) / x.shape[-1]
    return centred / np.sqrt((centred * centred).sum(-1, keepdims=True) / x.shape[-1] + np.float32(1e-5)) * w + b


def batch_norm(x):
    n = x.size // x.shape[1]
    centred = x - x.sum((0, 2, 3), keepdims=True) / n
    return centred / np.sqrt((centred**2).sum((0, 2, 3), keepdims=True) / n + np.float32(1e-5))


@pytest.mark.parametrize(
    "function, shapes, expected",
    [
        (lambda x: np.tanh(x) * 2 + 1, [(50,)], 1),
        (lambda x, b: np.maximum(x + b, 0), [(8, 5), (5,)], 1),
        (lambda x, b: (x + b).sum(0), [(8, 5), (1, 5)], 1),
        (lambda x: (x * x).sum() / 3, [(8, 5)], 1),
        (softmax, [(8, 5)], 1),
        (softmax, [(8,)], 1),
        (layer_norm, [(8, 5), (5,), (5,)], 1),
        (lambda x: softmax(x) @ np.ones((5, 2), "f4") * 2 + 1, [(8, 5)], 2),
        (batch_norm, [(4, 3, 5, 5)], 2),
        (lambda x, y: (x[:, None] - y[None]) ** 2 * 2, [(6,), (7,)], 1),
        (lambda x, r: (np.exp(r)[:, None] * x).sum(1), [(6, 7), (6,)], 1),
    ],
)
def test_groups(function, shapes, expected):
    arrays = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    assert len(groups(same(function, *arrays))) == expected


def test_nothing_waits_for_itself():
    def around(x, w):
        y = np.tanh(x)
        return y + (y @ w)  # the sum cannot be in one group with the tanh

    program = same(around, array(4, 4), array(4, 4, seed=1), alone=True)
    assert len(groups(program)) == 2


def test_an_optimizer_step_is_one_group():
    def adam(w, g, m, v, rate):
        m = m * np.float32(0.9) + g * np.float32(0.1)
        v = v * np.float32(0.99) + g * g * np.float32(0.01)
        return w - m / (np.sqrt(v) + np.float32(1e-8)) * rate, m, v

    program = same(adam, *[np.abs(array(6, 5, seed=i)) for i in range(4)], np.array(0.1, "f4"))
    assert len(program) == 1


def test_outputs_that_are_views_stay():
    def views(x):
        y = x * 2 + 1
        return y[:, None], y.reshape(2, 1, 3), np.broadcast_to(y.sum(), (3,)), y

    same(lambda x: views(x), array(2, 3))


def test_empty_arrays_and_complex_numbers_stay_outside():
    assert not groups(same(lambda x: x * 2 + 1, array(0, 3)))
    assert not groups(same(lambda x: x * 2 + 1, array(3).astype("c16")))


SHAPES = [(4, 5), (4, 1), (5,), (1, 5), (), (4,), (2, 4, 5)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_programs(data):
    def build(*xs):
        values = list(xs)
        for _ in range(data.draw(st.integers(1, 14))):
            kind = data.draw(st.sampled_from(["binary", "unary", "reduce", "view", "matmul", "where"]))
            a = data.draw(st.sampled_from(range(len(values))))
            b = data.draw(st.sampled_from(range(len(values))))
            a, b = values[a], values[b]
            try:
                if kind == "binary":
                    made = data.draw(st.sampled_from([np.add, np.multiply, np.maximum]))(a, b)
                elif kind == "unary":
                    made = data.draw(st.sampled_from([np.tanh, np.negative, np.abs]))(a)
                elif kind == "where":
                    made = np.where(a > 0, b, np.float32(0.5))
                elif kind == "reduce" and a.ndim:
                    axis = data.draw(st.sampled_from([None, *range(a.ndim)]))
                    made = data.draw(st.sampled_from([np.sum, np.max]))(a, axis, keepdims=data.draw(st.booleans()))
                elif kind == "view" and a.ndim:
                    made = data.draw(st.sampled_from([a.T, a[..., None], a[None], a.reshape(-1)]))
                elif kind == "matmul" and a.ndim > 1:
                    made = a @ np.ones((a.shape[-1], 5), "f4")
                else:
                    continue
            except ValueError:
                continue
            if made.ndim < 5 and made.size < 5000:
                values.append(made)
        wanted = data.draw(st.lists(st.sampled_from(range(len(values))), min_size=1, max_size=4))
        return tuple([values[i] for i in wanted])

    arrays = [array(*shape, seed=i) for i, shape in enumerate(SHAPES)]
    program = recorded(build, *arrays)
    expected = interpret(program, arrays)
    for a, b in zip(interpret(fuse(program, alone=True), arrays), expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == b.shape and a.dtype == b.dtype


def test_reductions_and_elementwise_are_what_groups_hold():
    program = fuse(recorded(softmax, array(8, 5)))
    (step,) = program
    assert {type(each.function) for each in step.function.body} == {Ufunc, Reduce}
