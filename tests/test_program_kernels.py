"""Compiled kernels: accurate functions, and loops that give what the instructions give one by one."""

import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needle.program import pool
from needle.program.functions import Fused
from needle.program.fuse import can_fuse, fuse
from needle.program.ir import Constant, Program, interpret
from needle.program.kernels import CompiledKernel, Native, can_compile
from needle.program.kernels.kernel import arranged
from needle.program.tracing.recording import Recorder

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))


def recorded(function, *arrays):
    """The program of a function of arrays."""
    recorder = Recorder()
    results = function(*[recorder.input(array, f"a{i}") for i, array in enumerate(arrays)])
    results = results if isinstance(results, tuple) else (results,)
    return Program(recorder.inputs, recorder.instructions, [recorder.var(x) for x in results])


def fused(function, *arrays):
    return fuse(recorded(function, *arrays), lambda step: can_fuse(step) and can_compile(step), alone=True)


def carried_out(program, arrays):
    """The results of a fused program, its groups run by kernels."""
    values = dict(zip(program.inputs, arrays, strict=True))

    def value(var):
        return var.array if isinstance(var, Constant) else values[var]

    for step in program:
        inputs = [value(var) for var in step.inputs]
        if isinstance(step.function, Fused):
            results = [np.empty(var.shape, var.dtype) for var in step.outputs]
            arguments = [*map(np.ascontiguousarray, inputs), *results]
            for i, var in enumerate(step.inputs):
                arguments[i] = arguments[i].reshape(var.shape)
            assert CompiledKernel(step.function.body).call(*arguments)
        else:
            results = step.function(*inputs)
            results = results if step.function.several else (results,)
        values.update(zip(step.outputs, results, strict=True))
    return [value(var) for var in program.outputs]


def agree(function, *arrays, groups=None, rtol=None):
    """Kernels give what NumPy gives; so many groups there are."""
    program = recorded(function, *arrays)
    with np.errstate(all="ignore"):
        expected = interpret(program, arrays)
        program = fuse(program, lambda step: can_fuse(step) and can_compile(step), alone=True)
        found = carried_out(program, arrays)
    if groups is not None:
        assert [type(step.function) for step in program] == [Fused] * groups
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if b.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
        else:
            eps = np.finfo(b.dtype).eps
            np.testing.assert_allclose(a, b, rtol=rtol or 20 * eps, atol=20 * eps)
    return program


def array(*shape, dtype="f4", seed=0):
    made = np.random.default_rng(seed).standard_normal(shape)
    return (made * 10 if np.dtype(dtype).kind in "iu" else made).astype(dtype)


# --------------------------------------------------------------------------------------------------------------------
# Functions

EXACT = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
}


def samples(name, dtype):
    """Numbers of all sizes, more where a function changes, and none where it is not real."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize) - 1, 900, f"u{np.dtype(dtype).itemsize}").view(dtype)
    ranges = [(-1, 1), (-110, 110), (-760, 760), (0.4, 1.6), (-1, -0.999), (-20, 20)]
    x = np.concatenate([bits[np.isfinite(bits)], *[rng.uniform(a, b, 300).astype(dtype) for a, b in ranges]])
    lowest = {"log": 0, "log2": 0, "log1p": -1}.get(name, -np.inf)
    return x[x > lowest]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", EXACT)
def test_functions_are_within_two_units_in_the_last_place(name, dtype):
    x = samples(name, dtype)
    with np.errstate(all="ignore"):
        (found,) = carried_out(fused(lambda x: getattr(np, name)(x), x), [x])
    info = np.finfo(dtype)
    with mpmath.workdps(40):
        for a, b in zip(x, found):
            exact = EXACT[name](mpmath.mpf(float(a)))
            if abs(exact) > float(info.max):
                assert np.isinf(b) or abs(exact) < 2.0 * float(info.max)
                continue
            unit = max(mpmath.mpf(2) ** (mpmath.frexp(exact)[1] - info.nmant - 1), float(info.smallest_subnormal))
            assert abs(float(b) - exact) <= 2 * unit, (a, b, exact)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", [*EXACT, "sqrt", "sign", "floor", "ceil", "trunc", "rint", "negative", "absolute"])
def test_functions_at_the_edges(name, dtype):
    info = np.finfo(dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, 2.5, info.max, -info.max, info.tiny], dtype)
    agree(lambda x: getattr(np, name)(x), x, groups=1, rtol=4 * info.eps)
    if name in ("exp", "expm1", "tanh", "sqrt"):
        (found,) = carried_out(fused(lambda x: getattr(np, name)(x), x), [x])
        assert np.signbit(found[1]) == (name != "exp")


UNARY = "negative positive absolute square sign isnan isinf isfinite signbit logical_not invert reciprocal fabs"
BINARY = (
    "add subtract multiply divide maximum minimum fmax fmin copysign heaviside logaddexp equal not_equal less "
    "less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor"
)


@pytest.mark.parametrize("dtype", ["?", "i1", "i4", "i8", "u1", "u2", "u8", "f4", "f8"])
@pytest.mark.parametrize("name", [*UNARY.split(), *BINARY.split()])
def test_ufuncs_of_every_dtype(name, dtype):
    ufunc = getattr(np, name)
    x, y = array(40, dtype=dtype), array(40, dtype=dtype, seed=1)
    if x.dtype.kind == "f":
        x[:4], y[:4] = [np.nan, 0, np.inf, 1], [1, np.nan, np.inf, 1]
    arguments = [x, y][: ufunc.nin]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ufunc(*arguments)
    except TypeError:
        pytest.skip("NumPy has no such loop")
    agree(lambda *arrays: ufunc(*arrays), *arguments)


@pytest.mark.parametrize("old", ["?", "i1", "u1", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("new", ["?", "i1", "u2", "i4", "i8", "f4", "f8"])
def test_casts(old, new):
    agree(lambda x: x.astype(new), array(20, dtype=old))


def test_numbers_keep_the_dtype_of_arrays():
    agree(lambda x: x * 2.5 + 1 - True, array(9), groups=1)
    agree(lambda x: x * 2 + np.float64(0.1), array(9), groups=1)
    agree(lambda x, n: x * n, array(9), array(9, dtype="i4"), groups=1)


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2, 3, 4, -1, -2])
def test_powers(exponent):
    agree(lambda x: x**exponent, np.array([-np.inf, -2, -0.0, 0, 0.3, 5, np.inf, np.nan], "f8"))


# --------------------------------------------------------------------------------------------------------------------
# Loops


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, w, b):
    centred = x - x.sum(-1, keepdims=True) / x.shape[-1]
    return centred / np.sqrt((centred * centred).sum(-1, keepdims=True) / x.shape[-1] + np.float32(1e-5)) * w + b


def cross_entropy(x, y):
    shifted = x - x.max(-1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(-1, keepdims=True)
    return ((np.log(total) - shifted) * y).sum() / x.shape[0], (e / total - y) / x.shape[0]


def standardized(x):
    centred = x - x.sum((-2, -1), keepdims=True) / 35
    return centred / np.sqrt((centred**2).sum((-2, -1), keepdims=True))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "function, shapes, groups",
    [
        (lambda x: np.tanh(x) * 2 + 1, [(1000,)], 1),
        (lambda x: np.tanh(x) * 2 + 1, [()], 1),
        (lambda x, y: x + y, [(3, 4, 5), (3, 4, 5)], 1),
        (lambda x, b: np.maximum(x + b, 0), [(8, 5), (5,)], 1),
        (lambda x, b: x * b + b, [(4, 3, 5), (3, 1)], 1),
        (lambda x, y: x[:, None] - y[None], [(6,), (7,)], 1),
        (lambda x, a: x * a + 1, [(6, 7), ()], 1),
        (lambda x, r: np.exp(r)[:, None] * x, [(6, 7), (6,)], 1),
        (lambda x: np.broadcast_to(x[:, None], (6, 9)) * 2, [(6,)], 1),
        (lambda x: x.sum(), [(30, 50)], 1),
        (lambda x: (x * x).sum() / 3 + 1, [(30, 50)], 1),
        (lambda x: x.sum(0), [(30, 50)], 1),
        (lambda x: x.sum(1), [(30, 50)], 1),
        (lambda x: x.sum(1, keepdims=True) * x, [(30, 50)], 1),
        (lambda x: (x.sum((0, 2)), x.max((0, 2)), x.prod(1)), [(4, 5, 6)], 1),
        (lambda x: x.sum((0, 1)), [(4, 5, 6)], 1),
        (lambda x: x.sum((1, 2)), [(4, 5, 6)], 1),
        (lambda x: (x.max(), x.min(), (x > 0).all(), (x > 0).any(), (x > 0).sum()), [(4, 5)], 1),
        (lambda x, b: ((x + b).sum(0), x + b, (x + b).sum(1)), [(30, 50), (50,)], 1),
        (softmax, [(8, 5)], 1),
        (softmax, [(8, 70)], 1),
        (softmax, [(8,)], 1),
        (softmax, [(3, 4, 5)], 1),
        (layer_norm, [(8, 50), (50,), (50,)], 1),
        (layer_norm, [(8, 1), (1,), (1,)], 1),
        (cross_entropy, [(9, 7), (9, 7)], 1),
        (standardized, [(4, 5, 7)], 1),
        (standardized, [(2, 4, 5, 7)], 1),
        (lambda x: x.sum(-1, keepdims=True).sum() + 1, [(5, 6)], 1),
        (lambda x: np.where(x > 0, x, np.exp(x) - 1), [(5, 6)], 1),
        (lambda x: x.sum(0, initial=3.0), [(5, 6)], 1),
        (lambda x: x / np.sqrt((x * x).sum()), [(5, 6)], 1),
    ],
)
def test_loops(function, shapes, groups, dtype):
    agree(function, *[array(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)], groups=groups, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sums_are_as_accurate_as_pairwise_ones(dtype):
    x = (np.random.default_rng(0).random(300_000) + 1).astype(dtype)
    for shape in [(300_000,), (3, 100_000), (100_000, 3)]:
        for axis in [None, 0, 1][: len(shape) + 1]:
            if axis == 1 and len(shape) == 1:
                continue
            (found,) = carried_out(fused(lambda x, axis=axis: x.sum(axis), x.reshape(shape)), [x.reshape(shape)])
            exact = x.reshape(shape).sum(axis, dtype="longdouble")
            by_numpy = np.max(np.abs(x.reshape(shape).sum(axis) - exact) / exact)
            # Down a column NumPy adds one by one, too: which of the two is nearer is luck
            assert np.max(np.abs(found - exact) / exact) <= max(4 * np.finfo(dtype).eps, 1.25 * by_numpy)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_reductions_of_what_is_not_finite(number, dtype):
    x = array(6, 3000, dtype=dtype)
    x[2, 1700] = number
    agree(lambda x: (x.sum(1), x.sum(), x.max(1), x.min(1), x.max(0), x.min(), x.sum(0)), x, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i4", "u8"])
def test_reductions_of_whole_numbers(dtype):
    x = array(7, 9, dtype=dtype)
    agree(lambda x: (x.sum(), x.max(0), x.min(1), x.prod(0), x.sum(1), np.all(x, 1), np.any(x)), x)


@pytest.mark.parametrize("shape, axes", [((40, 30), (1, 0)), ((5, 6, 7), (2, 0, 1)), ((5, 6, 7), (1, 0, 2))])
def test_strides(shape, axes):
    x = array(*shape).transpose(axes)
    y = array(*x.shape, seed=1)
    (step,) = fused(lambda x, y: np.tanh(x) + y * 2, x, y)
    result = np.empty(x.shape, "f4")
    strides = [tuple(n // 4 for n in x.strides), None]
    assert CompiledKernel(step.function.body, strides).call(x, y, result)
    np.testing.assert_allclose(result, np.tanh(x) + y * 2, rtol=1e-5, atol=1e-6)


def test_arrays_in_another_order_are_seen_and_arranged():
    x, y = array(5, 6), array(5, 6, seed=1)
    (step,) = fused(lambda x, y: x + y, x, y)
    kernel = CompiledKernel(step.function.body, unknown=(0, 2))
    result = np.zeros((6, 5), "f4").T
    assert kernel.call(np.asfortranarray(x), y, np.empty((5, 6), "f4")) is False
    assert kernel.call(x, y, result) is False and not result.any()
    kernel.arranged(np.asfortranarray(x), y, result)
    np.testing.assert_array_equal(result, x + y)


@pytest.mark.parametrize("strides", [(1, 5), (12, 2), (-6, 1), None])
def test_supposed_strides_are_looked_at(strides):
    x, y = array(5, 6), array(5, 6, seed=1)
    (step,) = fused(lambda x, y: x - y, x, y)
    kernel = CompiledKernel(step.function.body, [strides, None], unknown=(0,))
    as_supposed = arranged(x, strides)
    assert strides is None or as_supposed.strides == tuple(4 * n for n in strides)
    for lying, fits in [(as_supposed, True), (np.broadcast_to(x[:1], (5, 6)), False)]:
        result = np.zeros((5, 6), "f4")
        assert kernel.call(lying, y, result) is fits
        kernel.arranged(lying, y, result)
        np.testing.assert_array_equal(result, lying - y)


def test_a_result_in_the_memory_of_an_input():
    x, y = array(50), array(50, seed=1)
    (step,) = fused(lambda x, y: (np.tanh(x) * y, x + 1), x, y)
    body = step.function.body
    assert Native(body).overwritable(0) == [0, 1]
    expected = np.tanh(x) * y
    result = np.empty(50, "f4")
    assert CompiledKernel(body, shared={0: 1}).call(x, y, y, result)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_array_equal(result, x + 1)
    (step,) = fused(softmax, array(5, 6))
    assert Native(step.function.body).overwritable(0) == []  # x is gone through three times


def test_threads_give_the_same_bits_at_each_call(monkeypatch):
    monkeypatch.setattr(pool, "WORKERS", 3)
    x, b = array(700, 300), array(300)

    def function(x, b):
        y = np.tanh(x + b)
        return y, y.sum(), y.sum(0), y.sum(1), y.max(0), y.sum() / 3

    (step,) = fused(function, x, b)
    kernel = CompiledKernel(step.function.body)
    found = []
    for _ in range(3):
        results = [np.empty(var.shape, var.dtype) for var in step.outputs]
        assert kernel.call(x, b, *results)
        found.append(results)
    for result, again, expected in zip(found[0], found[2], interpret(step.function.body, [x, b])):
        np.testing.assert_array_equal(result, again)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-3)


def test_equal_code_is_compiled_once():
    texts = set()
    for n in (10, 20):
        (step,) = fused(lambda x, b: np.tanh(x * 2 + b), array(n, n), array(n))
        texts.add(CompiledKernel(step.function.body).kernel.text)
    assert len(texts) == 1


SHAPES = [(4, 5), (4, 1), (5,), (1, 5), (), (4,), (2, 4, 5)]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_programs(data):
    def build(*xs):
        values = list(xs)
        for _ in range(data.draw(st.integers(1, 14))):
            kind = data.draw(st.sampled_from(["binary", "unary", "reduce", "view", "where", "cast"]))
            a, b = [values[data.draw(st.integers(0, len(values) - 1))] for _ in range(2)]
            try:
                if kind == "binary":
                    made = data.draw(st.sampled_from([np.add, np.multiply, np.maximum, np.subtract]))(a, b)
                elif kind == "unary":
                    made = data.draw(st.sampled_from([np.tanh, np.negative, np.abs, np.square]))(a)
                elif kind == "where":
                    made = np.where(a > 0, b, np.float32(0.5))
                elif kind == "cast":
                    made = (a > 0.3).astype("f4")
                elif kind == "reduce" and a.ndim:
                    axis = data.draw(st.sampled_from([None, *range(a.ndim)]))
                    made = data.draw(st.sampled_from([np.sum, np.max]))(a, axis, keepdims=data.draw(st.booleans()))
                elif kind == "view" and a.ndim:
                    made = data.draw(st.sampled_from([a.T, a[..., None], a[None], a.reshape(-1), a[::-1]]))
                else:
                    continue
            except ValueError:
                continue
            if made.ndim < 5 and made.size < 5000:
                values.append(made)
        return tuple([values[i] for i in data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=4))])

    agree(build, *[array(*shape, seed=i) for i, shape in enumerate(SHAPES)], rtol=1e-3)
