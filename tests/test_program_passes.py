"""The passes over programs: each rewrite by name, and random programs that must compute what they did."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needle.program.functions import (
    Assign,
    BroadcastTo,
    Call,
    Cast,
    Copy,
    Draw,
    Full,
    Hole,
    Index,
    Matmul,
    Reduce,
    Reshape,
    Transpose,
    Ufunc,
    Where,
)
from needle.program.ir import Constant, Input, Instruction, Program, Var, interpret
from needle.program.passes import aliases, simplify, sums_as_products
from needle.program.passes.selection import Selection

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, np.inf, -np.inf, np.nan, 1e-45, 1e-38, -3e38, 7.25]


class Writer:
    """Writes a program down: each call of a function adds an instruction, its result found by computing it once."""

    def __init__(self):
        self.inputs, self.instructions, self.values = [], [], {}

    def input(self, array):
        var = Input(array.shape, array.dtype, f"x{len(self.inputs)}")
        self.inputs.append(var)
        self.values[var] = np.asarray(array)
        return var

    def constant(self, value, dtype="f4"):
        var = Constant(np.asarray(value, dtype))
        self.values[var] = var.array
        return var

    def __call__(self, function, *inputs):
        inputs = [var if isinstance(var, Var) else self.constant(var) for var in inputs]
        with np.errstate(all="ignore"):
            value = np.asarray(function(*[self.values[var] for var in inputs]))
        instruction = Instruction(function, inputs, [(value.shape, value.dtype)])
        self.instructions.append(instruction)
        self.values[instruction.output] = value
        return instruction.output

    def program(self, *outputs):
        return Program(self.inputs, self.instructions, list(outputs))


def special(shape, dtype="f4"):
    """Numbers of all kinds, zeros of both signs, NaN and infinities among them."""
    return np.resize(np.array(SPECIAL), shape).astype(dtype)


def bits(array):
    array = np.asarray(array)
    array = np.where(np.isnan(array), np.nan, array) if array.dtype.kind in "fc" else array  # any NaN is as good
    return array.shape, array.dtype, array.astype(array.dtype, order="C").tobytes()


def checked(program, arrays, exact=True):
    """The simplified program, which gives the same."""
    after = simplify(program)
    with np.errstate(all="ignore"):
        before = interpret(program, arrays)
        now = interpret(after, arrays)
    for var, was, old, new in zip(after.outputs, program.outputs, before, now):
        assert (var.shape, var.dtype) == (was.shape, was.dtype)
        if exact:
            assert bits(old) == bits(new)
        else:
            np.testing.assert_allclose(new, old, rtol=1e-6)
    return after


X, Y = special((2, 13)), special((2, 13))[:, ::-1].copy()
V = special((13,))


def u(ufunc, dtype=None):
    return Ufunc(ufunc, dtype)


# What is written with w on x, y (2 by 13) and v (13), how many instructions are left of it, and whether to the bit
REWRITES = {
    "x·1": (lambda w, x, y, v: w(u(np.multiply), x, 1), 0),
    "1·x": (lambda w, x, y, v: w(u(np.multiply), 1, x), 0),
    "x·ones": (lambda w, x, y, v: w(u(np.multiply), x, w(Full((2, 13), "f4", 1))), 0),
    "x·(-1)": (lambda w, x, y, v: w(u(np.multiply), x, -1), 1),
    "x + -0.0": (lambda w, x, y, v: w(u(np.add), x, -0.0), 0),
    "x + 0.0 stays": (lambda w, x, y, v: w(u(np.add), x, 0.0), 1),
    "exp(x) + 0.0": (lambda w, x, y, v: w(u(np.add), w(u(np.exp), x), 0.0), 1),
    "x - 0.0": (lambda w, x, y, v: w(u(np.subtract), x, 0.0), 0),
    "x - -0.0 stays": (lambda w, x, y, v: w(u(np.subtract), x, -0.0), 1),
    "0·x stays": (lambda w, x, y, v: w(u(np.multiply), x, 0.0), 1),
    "x/1": (lambda w, x, y, v: w(u(np.divide), x, 1), 0),
    "x/4 is x·0.25": (lambda w, x, y, v: w(u(np.multiply), w(u(np.divide), x, 4), w(u(np.multiply), x, 0.25)), 2),
    "x/3 stays": (lambda w, x, y, v: w(u(np.divide), x, 3), 1),
    "-(-x)": (lambda w, x, y, v: w(u(np.negative), w(u(np.negative), x)), 0),
    "x + -y": (lambda w, x, y, v: w(u(np.add), x, w(u(np.negative), y)), 1),
    "-x + y": (lambda w, x, y, v: w(u(np.add), w(u(np.negative), x), y), 1),
    "x - -y": (lambda w, x, y, v: w(u(np.subtract), x, w(u(np.negative), y)), 1),
    "-x·-y": (lambda w, x, y, v: w(u(np.multiply), w(u(np.negative), x), w(u(np.negative), y)), 1),
    "-x·3": (lambda w, x, y, v: w(u(np.multiply), w(u(np.negative), x), 3), 1),
    "-(x·3)": (lambda w, x, y, v: w(u(np.negative), w(u(np.multiply), x, 3)), 1),
    "x + -y·v": (lambda w, x, y, v: w(u(np.add), x, w(u(np.multiply), w(u(np.negative), y), v)), 2),
    "(-x)²": (lambda w, x, y, v: w(u(np.square), w(u(np.negative), x)), 1),
    "x·x + x²": (lambda w, x, y, v: w(u(np.add), w(u(np.multiply), x, x), w(u(np.square), x)), 2),
    "x + y and y + x": (lambda w, x, y, v: w(u(np.hypot), w(u(np.add), x, y), w(u(np.add), y, x)), 2),
    "x**1": (lambda w, x, y, v: w(u(np.power), x, 1), 0),
    "max(x, x)": (lambda w, x, y, v: w(u(np.maximum), x, x), 0),
    "where(c, x, x)": (lambda w, x, y, v: w(Where(), w(u(np.greater), y, 0), x, x), 0),
    "where(True, x, y)": (lambda w, x, y, v: w(Where(), w.constant(True, "?"), x, y), 0),
    "float to double and back": (lambda w, x, y, v: w(Cast("f4"), w(Cast("f8"), x)), 0),
    "float to half and back stays": (lambda w, x, y, v: w(Cast("f4"), w(Cast("f2"), x)), 2),
    "a loop's own dtype": (lambda w, x, y, v: w(u(np.add), w(u(np.add, "f4"), x, y), w(u(np.add), x, y)), 2),
    "two transposes": (lambda w, x, y, v: w(Transpose((1, 0)), w(Transpose((1, 0)), x)), 0),
    "two shapes": (lambda w, x, y, v: w(Reshape((2, 13)), w(Reshape((26,)), x)), 0),
    "x[...]": (lambda w, x, y, v: w(Index(...), x), 0),
    "x[:, None] is a shape": (lambda w, x, y, v: w(Reshape((2, 13)), w(Index((slice(None), None)), x)), 0),
    "x[1][2:5]": (lambda w, x, y, v: w(Index(slice(2, 5)), w(Index(1), x)), 1),
    "x[:, ::-1][:, ::-1]": (
        lambda w, x, y, v: w(
            Index((slice(None), slice(None, None, -1))), w(Index((slice(None), slice(None, None, -1))), x)
        ),
        0,
    ),
    "x + broadcast v": (lambda w, x, y, v: w(u(np.add), x, w(BroadcastTo((2, 13)), v)), 1),
    "exp(broadcast v)": (lambda w, x, y, v: w(u(np.add), x, w(u(np.exp), w(BroadcastTo((2, 13)), v))), 2),
    "a copy": (lambda w, x, y, v: w(u(np.exp), w(Copy(), x)), 1),
    "a copy before a product": (lambda w, x, y, v: w(Matmul(), w(Copy(), x), w(Transpose((1, 0)), y)), 2),
    "write all": (lambda w, x, y, v: w(Assign(...), w(Full((2, 13), "f4", 0)), x), 0),
    "write and read": (lambda w, x, y, v: w(Index(0), w(Assign(0), x, v)), 0),
    "write and read apart": (lambda w, x, y, v: w(Index(1), w(Assign(0), w(Full((2, 13), "f4", 2)), v)), 1),
    "write and read a part": (lambda w, x, y, v: w(Index((0, slice(1, 3))), w(Assign(0), x, v)), 1),
    "write twice": (lambda w, x, y, v: w(Assign(0), w(Assign((0, slice(2, 4))), x, w(Index(slice(2, 4)), v)), v), 1),
    "write back": (lambda w, x, y, v: w(Assign(1), x, w(Index(1), x)), 0),
    "sum of nothing repeated": (lambda w, x, y, v: w(Reduce(np.maximum, (0,)), w(BroadcastTo((2, 13)), v)), 0),
    "write, write apart, write again": (
        lambda w, x, y, v: w(Assign(0), w(Assign(1), w(Assign(0), w(Full((2, 13), "f4", 0)), w(Index(0), x)), v), v),
        3,
    ),
    "write twice into zeros": (
        lambda w, x, y, v: w(
            u(np.add), *[w(Reshape((13, 2)), w(Assign(1), w(Full((2, 13), "f4", 0)), v)) for _ in range(2)]
        ),
        4,
    ),
    "zeros in another shape": (lambda w, x, y, v: w(Assign(1), w(Reshape((2, 13)), w(Full((26,), "f4", 0))), v), 2),
    "f(xᵀ)ᵀ": (lambda w, x, y, v: w(Transpose((1, 0)), w(u(np.exp), w(Transpose((1, 0)), x))), 1),
    "f(xᵀ, y)ᵀ": (
        lambda w, x, y, v: w(
            Transpose((1, 0)), w(u(np.add), w(Transpose((1, 0)), x), w(u(np.exp), w(Reshape((13, 2)), y)))
        ),
        4,
    ),
    "f(xᵀ, vᵀ)ᵀ": (
        lambda w, x, y, v: w(Transpose((1, 0)), w(u(np.add), w(Transpose((1, 0)), x), w(Reshape((13, 1)), v))),
        1,
    ),
    "f of two shapes in a third": (
        lambda w, x, y, v: w(Reshape((13, 2)), w(u(np.add), w(Reshape((26,)), x), w(Reshape((26,)), y))),
        2,
    ),
    "f of a shape and one in order": (
        lambda w, x, y, v: w(
            Reshape((2, 13)), w(u(np.add), w(Reshape((13, 2, 1)), x), w(u(np.exp), w(Reshape((13, 2, 1)), y)))
        ),
        2,
    ),
    "maximum of a transpose": (lambda w, x, y, v: w(Reduce(np.maximum, (0,)), w(Transpose((1, 0)), x)), 1),
    "maximum of another shape": (lambda w, x, y, v: w(Reduce(np.maximum, (0, 1)), w(Reshape((13, 2)), x)), 1),
    "constants": (lambda w, x, y, v: w(u(np.add), x, w(u(np.exp), 2)), 1),
}


@pytest.mark.parametrize("name", REWRITES)
def test_a_rewrite_is_exact(name):
    write, length = REWRITES[name]
    w = Writer()
    program = w.program(write(w, w.input(X), w.input(Y), w.input(V)))
    after = checked(program, [X, Y, V])
    assert sum(type(each.function) is not Copy for each in after) == length


ROUNDED = {
    "x**2": (lambda w, x: w(u(np.power), x, 2), 1),
    "x**3": (lambda w, x: w(u(np.power), x, 3), 2),
    "x**4": (lambda w, x: w(u(np.power), x, 4), 2),
    "x**-1": (lambda w, x: w(u(np.power), x, -1), 1),
    "x**0.5": (lambda w, x: w(u(np.power), x, 0.5), 1),
    "sum along another axis": (lambda w, x: w(Reduce(np.add, (1,)), w(BroadcastTo((7, 3, 5)), x)), 2),
    "sum of a transpose": (lambda w, x: w(Reduce(np.add, (1,)), w(Transpose((1, 0)), x)), 1),
    "product with repeated rows": (lambda w, x: w(Matmul(), np.arange(6.0).reshape(2, 3).repeat(4, 0), x), 4),
    "sum of a repeated array": (lambda w, x: w(Reduce(np.add, (0,)), w(BroadcastTo((7, 3, 5)), x)), 1),
    "sum of a repeated array over all": (lambda w, x: w(Reduce(np.add, (0, 1, 2)), w(BroadcastTo((7, 3, 5)), x)), 2),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_rewrite_is_right_to_rounding(name):
    write, length = ROUNDED[name]
    w, x = Writer(), np.random.default_rng(0).uniform(0.1, 3, (3, 5)).astype("f4")
    after = checked(w.program(write(w, w.input(x))), [x], exact=False)
    assert len(after) == length


def test_a_draw_stays():
    w = Writer()
    x = w.input(X)
    w(Draw(lambda: np.zeros(3)))
    assert [type(each.function) for each in simplify(w.program(x))] == [Draw]


def test_two_draws_are_two():
    w = Writer()
    draw = Draw(lambda: np.ones(3))
    total = w(u(np.add), w(draw), w(draw))
    assert len(simplify(w.program(total))) == 3


def test_an_unknown_call_is_made_once():
    w = Writer()
    x = w.input(X)
    first, second = w(Call(np.sort, (Hole(0),)), x), w(Call(np.sort, (Hole(0),)), x)
    assert len(checked(w.program(w(u(np.add), first, second)), [X])) == 2


def test_outputs_that_were_two_arrays_stay_two():
    w = Writer()
    x = w.input(X)
    program = w.program(w(u(np.exp), x), w(u(np.exp), x), w(u(np.multiply), x, 1), w(Copy(), x))
    results = interpret(checked(program, [X]), [X])
    assert not any(np.may_share_memory(a, b) for i, a in enumerate([*results, X]) for b in results[:i])


def test_outputs_that_became_one_constant_are_two_arrays():
    w = Writer()
    results = interpret(checked(w.program(w(u(np.exp), 2), w(u(np.exp), 2)), []), [])
    assert not np.may_share_memory(*results)


def test_the_program_given_is_left_as_it_was():
    w = Writer()
    x = w.input(X)
    program = w.program(w(u(np.multiply), w(u(np.negative), x), 3))
    shown = list(map(repr, program)), [each.inputs for each in program]
    simplify(program)
    assert (list(map(repr, program)), [each.inputs for each in program]) == shown


def test_the_report_adds_up():
    w = Writer()
    x = w.input(X)
    program = w.program(w(u(np.multiply), w(u(np.exp), x), 1), w(Reshape((26,)), w(Reshape((13, 2)), x)))
    told = []
    after = simplify(program, lambda *what: told.append(what))
    assert told[0][1] == len(program) and told[-1][2] == len(after)
    assert all(left[2] == right[1] for left, right in itertools.pairwise(told))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_sum_of_a_matrix_is_a_product_with_ones(axis, keepdims):
    w, x = Writer(), np.random.default_rng(0).normal(size=(64, 32)).astype("f4")
    total = w(Reduce(np.add, (axis,), keepdims), w.input(x))
    after = sums_as_products(w.program(total, w(u(np.exp), total)))
    assert not any(isinstance(each.function, Reduce) for each in after)
    result, exponential = interpret(after, [x])
    np.testing.assert_allclose(result, x.sum(axis, keepdims=keepdims), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(exponential, np.exp(result))


@pytest.mark.parametrize(
    "shape, dtype, axis",
    [((64, 32), "i4", 0), ((4, 4), "f4", 0), ((4, 3000), "f4", 1), ((4, 32, 8), "f4", 0), ((64, 32), "f4", (0, 1))],
)
def test_other_sums_stay(shape, dtype, axis):
    w = Writer()
    program = w.program(w(Reduce(np.add, axis if isinstance(axis, tuple) else (axis,)), w.input(np.ones(shape, dtype))))
    assert sums_as_products(program) is program


def test_aliases_follow_views_and_doubt():
    w = Writer()
    x, y = w.input(X), w.input(Y)
    view = w(Index(0), w(Transpose((1, 0)), x))
    fresh = w(u(np.exp), view)
    unknown = w(Call(lambda a, b: a, (Hole(0), Hole(1))), fresh, y)
    stacked = w(Call(np.concatenate, ((Hole(0), Hole(1)),)), x, y)
    roots = aliases(w.program(view, fresh, unknown, stacked))
    assert roots[view] is roots[x]
    assert roots[fresh] is roots[unknown] is roots[y]
    assert len({roots[x], roots[y], roots[stacked]}) == 3


# --------------------------------------------------------------------------------------------------------------------
# Selections

keys = st.one_of(
    st.integers(-3, 2),
    st.builds(
        slice,
        st.none() | st.integers(-4, 4),
        st.none() | st.integers(-4, 4),
        st.none() | st.sampled_from([1, 2, 3, -1, -2]),
    ),
    st.none(),
)


@st.composite
def key_for(draw, ndim):
    """A key of whole numbers, slices, None and perhaps an Ellipsis, for an array of `ndim` axes of 3 and more."""
    found = []
    for _ in range(draw(st.integers(0, ndim))):
        while (each := draw(keys)) is None:
            found.append(None)
        found.append(each)
    found.insert(draw(st.integers(0, len(found))), ...)
    return tuple(found)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_selections_compose(data):
    a = np.arange(60).reshape(3, 4, 5)
    outer = data.draw(key_for(3))
    part = a[outer]
    first = Selection.of(outer, a.shape)
    assert first.shape == part.shape
    np.testing.assert_array_equal(a[first.key()], part)
    assert Selection.of(first.key(), a.shape).key() == first.key()
    if all(n >= 3 for n in part.shape):
        inner = data.draw(key_for(part.ndim))
        second = Selection.of(inner, part.shape)
        composed = first.then(second)
        if composed is not None:
            np.testing.assert_array_equal(a[composed.key()], part[inner])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_selections_that_say_they_are_apart_are(data):
    a = np.arange(60).reshape(3, 4, 5)
    first, second = (Selection.of(data.draw(key_for(3)), a.shape) for _ in range(2))
    mine, yours = set(a[first.key()].ravel()), set(a[second.key()].ravel())
    if first.is_apart(second):
        assert mine.isdisjoint(yours)
    if first.within(second) is not None:
        assert mine <= yours


# --------------------------------------------------------------------------------------------------------------------
# Random programs

SHAPES = [(), (1,), (3,), (2, 3), (1, 3), (2, 1), (3, 2), (2, 2, 3), (0, 3)]
SCALARS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.25, 3.0, np.inf]


@st.composite
def programs(draw, ufuncs, sums):
    """A program of up to a dozen instructions, and arrays to run it on."""
    w = Writer()
    dtype = draw(st.sampled_from(["f4", "f8", "i4"] if not sums else ["f8"]))
    for shape in draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3)):
        seed = draw(st.integers(0, 20))
        values = special((int(np.prod(shape)) + 20,), "f8")[seed : seed + int(np.prod(shape))].reshape(shape)
        if sums or dtype == "i4":
            values = np.random.default_rng(seed).integers(-3, 4, shape)
        w.input(values.astype(dtype))
    kinds = ["ufunc", "number", "cast", "where", "copy", "reshape", "transpose", "index", "repeat", "full", "assign"]
    kinds += ["twice", "reduce", "matmul", "call"] if sums else ["twice", "call", "max"]
    for _ in range(draw(st.integers(1, 12))):
        known = [each for each in w.values if not isinstance(each, Constant)]
        a = draw(st.sampled_from(known[-3:]))
        kind = draw(st.sampled_from(kinds))
        scalar = draw(st.sampled_from(SCALARS if a.dtype.kind == "f" and not sums else SCALARS[:-1]))
        ufunc = draw(st.sampled_from(ufuncs))
        others = [b for b in known if b.dtype == a.dtype and _broadcast(a, b) is not None]
        b = draw(st.sampled_from(others))
        match kind:
            case "ufunc" if a.dtype.kind != "b":
                w(u(ufunc), *((a, b) if ufunc.nin == 2 else (a,)))
            case "number" if a.dtype.kind != "b":
                number = w.constant(scalar, a.dtype)
                first = draw(st.booleans())
                simple = [np.add, np.subtract, np.multiply] + ([np.divide] if a.dtype.kind == "f" and not sums else [])
                w(u(draw(st.sampled_from(simple))), *((a, number)[:: 1 if first else -1]))
            case "cast":
                w(Cast(draw(st.sampled_from(["f4", "f8", "f2"] if a.dtype.kind == "f" else ["i4", "i8", "f8"]))), a)
            case "where":
                w(Where(), w(u(np.greater), a, w.constant(0, a.dtype)), a, b)
            case "copy":
                w(Copy(), a)
            case "reshape":
                w(Reshape(draw(st.sampled_from([(a.size,), (1, a.size), (a.size, 1), (*a.shape, 1)]))), a)
            case "transpose":
                w(Transpose(tuple(draw(st.permutations(range(a.ndim))))), a)
            case "index" if a.size:
                w(Index(draw(_key_of(a.shape))), a)
            case "repeat":
                w(BroadcastTo(draw(st.sampled_from([(2, *a.shape), (2, 3, *a.shape), _broadcast(a, b)]))), a)
            case "full":
                w(Full(a.shape, a.dtype, scalar), *())
            case "assign" if a.size and a.dtype.kind != "b":
                key = draw(_key_of(a.shape))
                part = w(Index(key), a)
                new = w(u(np.add), part, w.constant(1, a.dtype)) if draw(st.booleans()) else part
                w(Assign(key), draw(st.sampled_from([each for each in w.values if _alike(each, a)])), new)
            case "twice":
                w(u(np.hypot if a.dtype.kind == "f" else np.add), a, b) if a.dtype.kind != "b" else None
            case "reduce" if a.ndim and a.size:
                axes = draw(st.sets(st.integers(0, a.ndim - 1), min_size=1))
                w(Reduce(draw(st.sampled_from([np.add, np.maximum])), tuple(sorted(axes)), draw(st.booleans())), a)
            case "max" if a.ndim and a.size:
                axes = draw(st.sets(st.integers(0, a.ndim - 1), min_size=1))
                w(Reduce(np.maximum, tuple(sorted(axes)), draw(st.booleans())), a)
            case "matmul" if a.ndim == 2 and a.dtype.kind == "f":
                w(Matmul(), w(Transpose((1, 0)), a), a)
            case "call":
                w(Call(np.flip, (Hole(0),)), a)
    arrays = [w.values[var] for var in w.inputs]
    made = [each for each in w.values if not isinstance(each, Constant)]
    outputs = draw(st.lists(st.sampled_from(made), max_size=3))
    return w.program(made[-1], *outputs), arrays


def _broadcast(a, b):
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return None


def _alike(a, b):
    return a.shape == b.shape and a.dtype == b.dtype


@st.composite
def _key_of(draw, shape):
    found = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.integers(0, 4)) == 0:
            found.append(None)
        found.append(
            draw(
                st.one_of(
                    st.integers(-n, n - 1),
                    st.sampled_from([slice(None), slice(1, None), slice(None, None, -1), slice(None, None, 2)]),
                )
            )
        )
    return (*found, ...)


ANY = [np.add, np.subtract, np.multiply, np.negative, np.maximum, np.square, np.absolute, np.positive]


def run_both(program, arrays):
    after = simplify(program)
    assert [(var.shape, var.dtype) for var in after.outputs] == [(var.shape, var.dtype) for var in program.outputs]
    with np.errstate(all="ignore"):
        return interpret(program, [array.copy() for array in arrays]), interpret(after, arrays)


@given(programs(ANY, sums=False))
@settings(max_examples=400, deadline=None)
def test_random_programs_give_the_same_bits(case):
    program, arrays = case
    for before, after in zip(*run_both(program, arrays)):
        assert bits(before) == bits(after)


@given(programs([np.add, np.subtract, np.negative, np.maximum], sums=True))
@settings(max_examples=400, deadline=None)
def test_random_programs_with_sums_give_the_same(case):
    program, arrays = case
    for before, after in zip(*run_both(program, arrays)):
        np.testing.assert_allclose(after, before, rtol=1e-9)


@given(programs(ANY, sums=False))
@settings(max_examples=100, deadline=None)
def test_a_simplified_program_is_as_simple_as_it_gets(case):
    once = simplify(case[0])
    assert len(simplify(once)) == len(once)


@given(programs(ANY, sums=False))
@settings(max_examples=200, deadline=None)
def test_random_programs_part_what_was_apart(case):
    program, arrays = case
    before, after = aliases(program), run_both(program, arrays)[1]
    roots = [before[var] for var in program.outputs]
    for i, a in enumerate(after):
        for j in range(i):
            assert roots[i] is roots[j] or not np.shares_memory(a, after[j])
