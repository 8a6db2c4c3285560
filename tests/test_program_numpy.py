"""Programs as NumPy functions: they agree with the interpreter, whatever lies in whose memory."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import needle as ndl
from needle.program import blocks, jit, pool
from needle.program.compile import compile_program
from needle.program.functions import (
    Assign,
    BroadcastTo,
    Call,
    Cast,
    Copy,
    Empty,
    Full,
    Fused,
    Hole,
    Index,
    Matmul,
    Reduce,
    Reshape,
    Transpose,
    Ufunc,
    Where,
)
from needle.program.ir import Constant, Input, Instruction, Program, interpret

F4, F8, I8 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")


class Builder:
    """Writes a program, one instruction after the other."""

    def __init__(self, **inputs):
        self.inputs = [Input(a.shape, a.dtype, name) for name, a in inputs.items()]
        self.arrays = list(inputs.values())
        self.values = dict(zip(self.inputs, self.arrays))
        self.instructions = []

    def __getitem__(self, i):
        return self.inputs[i]

    def constant(self, array):
        var = Constant(np.asarray(array))
        self.values[var] = var.array
        return var

    def __call__(self, function, *inputs):
        """The result of one more instruction; its shape and dtype are found by computing it."""
        with np.errstate(all="ignore"):
            value = function(*[self.values[var] for var in inputs])
        values = value if function.several else (value,)
        made = Instruction(function, inputs, [(np.shape(v), np.asarray(v).dtype) for v in values], "model.py:1: y = x")
        self.instructions.append(made)
        self.values.update(zip(made.outputs, values))
        return made.outputs if function.several else made.output

    def program(self, *outputs, in_place=None):
        return Program(self.inputs, self.instructions, list(outputs), in_place)


def fresh(arrays):
    """Copies of arrays in the same layout, the ones that are the same object staying so."""
    copies = {}
    for array in arrays:
        if id(array) not in copies:
            base = array if array.base is None else array.base
            if id(base) not in copies:
                copies[id(base)] = base.copy()
            new = copies[id(base)]
            if array is not base:
                new = np.ndarray(array.shape, array.dtype, new, _offset(array, base), array.strides)
            copies[id(array)] = new
    return [copies[id(array)] for array in arrays]


def _offset(array, base):
    return array.__array_interface__["data"][0] - base.__array_interface__["data"][0]


def check(program, arrays, calls=3):
    """The compiled program gives what the interpreter gives, the same bits at each call, and disturbs nothing."""
    with np.errstate(all="ignore"):
        compiled = compile_program(program, "numpy")
        expected_inputs = fresh(arrays)
        expected = [np.array(a) for a in interpret(program, expected_inputs)]
        handed_back = []
        for _ in range(calls):
            given_arrays = fresh(arrays)
            results = compiled.run(*given_arrays)
            for result, value in zip(results, expected, strict=True):
                assert isinstance(result, np.ndarray)
                assert result.dtype == value.dtype and result.shape == value.shape
                np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-5)
            for mine, theirs in zip(given_arrays, expected_inputs):
                np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
            for i, target in program.in_place.items():
                assert results[i] is given_arrays[program.inputs.index(target)]
            handed_back.append((results, [np.array(a) for a in results]))
        for results, copies in handed_back:
            for result, copy, first in zip(results, copies, handed_back[0][1]):
                np.testing.assert_array_equal(result, copy)  # not overwritten by a later call
                np.testing.assert_array_equal(copy, first)  # a replay is bit-equal
    return compiled


# --------------------------------------------------------------------------------------------------------------------
# Random programs


def _returned_itself(a):
    return a


def _first_row_and_sum(a):
    return a[:1], np.sum(a)


UFUNCS = [np.add, np.multiply, np.subtract, np.maximum]
SINGLE = [np.negative, np.tanh, np.abs, np.square]
SHAPES = [(), (3,), (2, 3), (1, 3), (3, 2), (0, 3), (2, 1, 3)]


@st.composite
def programs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    arrays = {}
    for i in range(draw(st.integers(1, 4))):
        shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from([F4, F8, I8]))
        array = np.asarray(3 * rng.standard_normal(shape)).astype(dtype)
        kind = draw(st.sampled_from(["new", "turned", "stepped", "again"]))
        if kind == "turned":
            array = array.T
        elif kind == "stepped":
            array = np.repeat(array, 2, -1)[..., ::2] if array.ndim else array
        elif kind == "again" and arrays:
            array = draw(st.sampled_from(list(arrays.values())))
        arrays[f"x{i}"] = array
    b = Builder(**arrays)
    made = [*b.inputs, b.constant(np.float32(1.5)), b.constant(np.arange(3.0))]
    for _ in range(draw(st.integers(1, 14))):
        a = draw(st.sampled_from(made))
        value = b.values[a]
        kind = draw(
            st.sampled_from("one two two where cast copy reshape turn index to sum matmul assign call full".split())
        )
        try:
            if kind == "one":
                made.append(b(Ufunc(draw(st.sampled_from(SINGLE))), a))
            elif kind == "two":
                made.append(b(Ufunc(draw(st.sampled_from(UFUNCS))), a, draw(st.sampled_from(made))))
            elif kind == "where":
                other = draw(st.sampled_from([v for v in made if v.dtype == a.dtype]))
                made.append(b(Where(), b(Ufunc(np.greater), a, made[0]), a, other))
            elif kind == "cast":
                made.append(b(Cast(draw(st.sampled_from([F4, F8, np.dtype("i4")]))), a))
            elif kind == "copy":
                made.append(b(Copy(), a))
            elif kind == "reshape":
                made.append(b(Reshape(draw(st.sampled_from([(a.size,), a.shape[::-1], (1, *a.shape)]))), a))
            elif kind == "turn":
                made.append(b(Transpose(tuple(draw(st.permutations(range(a.ndim))))), a))
            elif kind == "index":
                made.append(
                    b(Index(draw(st.sampled_from([..., 0, slice(None, None, -1), (0, ...), (slice(1), None)]))), a)
                )
            elif kind == "to":
                made.append(b(BroadcastTo((2, *a.shape)), a))
            elif kind == "sum":
                axes = draw(st.sampled_from([(0,), (a.ndim - 1,), tuple(range(a.ndim))]))
                made.append(b(Reduce(np.add, axes, draw(st.booleans())), a))
            elif kind == "matmul":
                made.append(b(Matmul(), a, draw(st.sampled_from(made))))
            elif kind == "assign":
                part = b(Index(0), a)
                made.append(b(Assign(0), a, part))
            elif kind == "call":
                function, several = draw(
                    st.sampled_from([(_returned_itself, False), (np.sort, False), (_first_row_and_sum, True)])
                )
                results = b(Call(function, (Hole(0),), {}, several), a)
                made += results if several else [results]
            elif kind == "full":
                made.append(b(Full(a.shape, a.dtype, 2), *[]))
        except (ValueError, IndexError, TypeError, np.exceptions.AxisError):
            pass
        assert np.shape(value) == a.shape
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=4))
    in_place = {}
    for target in b.inputs:
        if sum(np.shares_memory(b.values[target], array) for array in b.arrays) > 1 or not draw(st.booleans()):
            continue
        fitting = [v for v in made if (v.shape, v.dtype) == (target.shape, target.dtype)]
        in_place[len(outputs)] = target
        outputs.append(draw(st.sampled_from(fitting)))
    return b.program(*outputs, in_place=in_place), b.arrays


@settings(max_examples=400, deadline=None)
@given(programs())
def test_a_random_program_gives_what_the_interpreter_gives(drawn):
    check(*drawn)


# --------------------------------------------------------------------------------------------------------------------
# Traps by name


def test_an_elementwise_result_takes_the_place_of_an_operand_that_is_not_read_again():
    b = Builder(x=np.ones(8))
    y = b(Ufunc(np.tanh), b[0])
    for _ in range(10):
        y = b(Ufunc(np.tanh), y)
    compiled = check(b.program(b(Reduce(np.add, (0,)), y)), b.arrays)
    assert compiled.figures.scratch == 64 and compiled.figures.unshared == 11 * 64


def test_the_memory_behind_a_view_is_not_overwritten_while_the_view_is_read():
    b = Builder(x=np.arange(6.0).reshape(2, 3))
    y = b(Ufunc(np.negative), b[0])
    turned = b(Transpose((1, 0)), y)
    z = b(Ufunc(np.square), y)  # must not lie where y lies
    check(b.program(b(Matmul(), z, turned)), b.arrays)


def test_a_result_is_not_written_over_an_operand_that_is_read_turned_beside_it():
    b = Builder(x=np.arange(9.0).reshape(3, 3))
    y = b(Ufunc(np.negative), b[0])
    check(b.program(b(Reduce(np.add, (0,)), b(Ufunc(np.add), y, b(Transpose((1, 0)), y)))), b.arrays)


def test_what_a_call_gives_may_lie_in_the_memory_of_what_it_was_given():
    b = Builder(x=np.arange(6.0))
    y = b(Ufunc(np.negative), b[0])
    same = b(Call(_returned_itself, (Hole(0),)), y)
    z = b(Ufunc(np.square), b(Ufunc(np.exp), b[0]))
    check(b.program(b(Ufunc(np.add), z, same), same), b.arrays)


def test_a_state_is_written_in_place_where_nothing_reads_it_any_more():
    b = Builder(m=np.arange(4.0), g=np.ones(4), w=np.zeros(4))
    m = b(Ufunc(np.add), b(Ufunc(np.multiply), b[0], b.constant(np.float64(0.9))), b[1])
    w = b(Ufunc(np.subtract), b[2], m)
    compiled = check(b.program(w, m, in_place={1: b[0]}), b.arrays)
    assert "m[...]" not in compiled.source


def test_a_state_that_is_read_later_is_written_at_the_end():
    b = Builder(m=np.arange(4.0), w=np.zeros(4))
    new = b(Ufunc(np.negative), b[0])
    w = b(Ufunc(np.add), b(Ufunc(np.add), b[1], new), b[0])
    check(b.program(w, new, in_place={1: b[0]}), b.arrays)


def test_states_that_swap_their_values():
    b = Builder(m=np.arange(4.0), v=np.ones(4))
    check(b.program(b[1], b[0], b[0], in_place={0: b[0], 1: b[1]}), b.arrays)


def test_results_that_are_inputs_constants_and_views():
    b = Builder(x=np.arange(6.0).reshape(2, 3))
    c = b.constant(np.arange(3.0))
    y = b(Ufunc(np.exp), b[0])
    program = b.program(b[0], c, c, b(Transpose((1, 0)), b[0]), b(Index((0,)), y), y, b(Full((2,), F4, 1)))
    compiled = check(program, b.arrays)
    results = compiled.run(*b.arrays)
    assert results[0] is b.arrays[0]
    assert not np.shares_memory(results[1], c.array)


def test_two_threads_at_once_and_a_call_within_a_call():
    b = Builder(x=np.ones(1000))
    y = b[0]
    inner = None

    def again(a):
        return compiled.run(np.full(1000, 2.0))[0] * 0 + a if inner is None and a[0] < 1.9 else a

    for _ in range(5):
        y = b(Ufunc(np.sqrt), b(Ufunc(np.add), y, b[0]))
    y = b(Call(_returned_itself, (Hole(0),)), y)
    y.source.function.function = again
    y = b(Ufunc(np.multiply), y, b[0])
    program = b.program(y)
    compiled = compile_program(program, "numpy")
    expected = {}
    for value in range(1, 5):
        a = np.full(1000, float(value))
        for _ in range(5):
            a = np.sqrt(a + value) if _ else np.sqrt(np.full(1000, 2.0 * value))
        expected[value] = a * value
    wrong = []

    def work(value):
        for _ in range(300):
            (found,) = compiled.run(np.full(1000, float(value)))
            if not np.allclose(found, expected[value]):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3)])
def test_arrays_without_axes_and_without_elements(shape):
    b = Builder(x=np.ones(shape, F4))
    y = b(Ufunc(np.add), b[0], b.constant(np.float32(2)))
    z = b(Reshape((-1,) if 0 not in shape else (0,)), y)
    check(b.program(y, z, b(Ufunc(np.multiply), y, y), b(Cast(F8), y)), b.arrays)


def test_the_source_tells_shapes_and_where_each_statement_came_from():
    b = Builder(weight=np.ones((2, 3), F4))
    compiled = check(b.program(b(Ufunc(np.exp), b[0])), b.arrays)
    assert "# weight: float32[2, 3]" in compiled.source
    assert "# model.py:1: y = x" in compiled.source
    assert "h1 = exp(weight)  # float32[2, 3]" in compiled.source


def test_the_groups_of_a_fused_program_are_written_out():
    inside = Builder(a=np.arange(6.0).reshape(2, 3), c=np.ones((2, 1)))
    d = inside(Ufunc(np.add), inside[0], inside[1])
    body = inside.program(inside(Ufunc(np.exp), d), inside(Reduce(np.add, (1,)), d))
    b = Builder(x=np.arange(6.0).reshape(2, 3), y=np.ones((2, 1)))
    e, s = b(Fused(body), b[0], b[1])
    check(b.program(b(Ufunc(np.negative), e), s), b.arrays)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "c8", "u4"])
@pytest.mark.parametrize("handed_back", [False, True])
def test_where_by_bits(dtype, handed_back):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20, 30)).astype(dtype)
    a[0] = 0
    a[1] = -a[1]
    if a.dtype.kind == "f":
        a[2], a[3], a[4] = np.nan, np.inf, -0.0
    b = Builder(a=a, c=np.ones((30, 20), dtype).T, row=rng.random(30) > 0.5, full=rng.random((20, 30)) > 0.5)
    zero, two = b.constant(np.zeros((), dtype)), b.constant(np.full((), 2, dtype))
    twice = b(Ufunc(np.add), b[0], b[0])
    results = [
        b(Where(), condition, *sides)
        for condition in (b[2], b[3])
        for sides in [(b[0], b[1]), (twice, zero), (zero, b[1]), (twice, two), (b[0], twice), (zero, two)]
    ]
    if not handed_back:
        results = [b(Ufunc(np.add), each, each) for each in results]
    compiled = check(b.program(*results), b.arrays)
    for found, expected in zip(compiled.run(*b.arrays), interpret(b.program(*results), b.arrays)):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found.real), np.signbit(expected.real))


# --------------------------------------------------------------------------------------------------------------------
# Groups in blocks of rows


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks and threads for groups of any size."""
    monkeypatch.setattr(blocks, "CACHE", 3000)
    monkeypatch.setattr(blocks, "LEAST", 0)
    monkeypatch.setattr(blocks, "WORTH_THREADS", 0)
    monkeypatch.setattr(pool, "WORKERS", 3)


def _softmax(b):
    top = b(Reduce(np.maximum, (1,), True), b[0])
    e = b(Ufunc(np.exp), b(Ufunc(np.subtract), b[0], top))
    return [b(Ufunc(np.divide), e, b(Reduce(np.add, (1,), True), e)), top]


def _sums(b):
    y = b(Ufunc(np.tanh), b[0])
    total = b(Reduce(np.add, (0, 1)), y)
    mean = b(Ufunc(np.divide), total, b.constant(np.float64(37 * 23)))
    return [y, b(Reduce(np.add, (0,)), y), b(Reduce(np.add, (0,), True), y), mean, b(Reduce(np.maximum, (0, 1)), y)]


def _broadcast(b):
    row = b(Ufunc(np.exp), b[1])  # not along the rows: before the loop
    column = b(BroadcastTo((37, 23)), b(Reshape((37, 1)), b(Reduce(np.add, (1,)), b[0])))
    big = b(Ufunc(np.greater), b(Ufunc(np.add), b[0], row), column)
    filled = b(Full((37, 23), F8, 3))
    return [b(Where(), big, filled, b[0]), big, b(Cast(F4), b(Ufunc(np.multiply), b[0], b.constant(np.ones((37, 1)))))]


def _nothing_between(b):
    return [b(Ufunc(np.negative), b[0])]


@pytest.mark.parametrize("write", [_softmax, _sums, _broadcast, _nothing_between])
@pytest.mark.parametrize("handed_back", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_group_in_blocks(small_blocks, write, handed_back, turned):
    x = np.random.default_rng(0).standard_normal((37, 23))
    inner = Builder(x=x, row=np.arange(23.0) / 50)
    body = inner.program(*write(inner))
    b = Builder(x=x.T if turned else x, row=inner.arrays[1])
    results = b(Fused(body), b(Transpose((1, 0)), b[0]) if turned else b[0], b[1])
    if not handed_back:
        results = [b(Reduce(np.logical_and, (0,)), y) if y.dtype == bool else b(Ufunc(np.negative), y) for y in results]
    compiled = check(b.program(*results), b.arrays, calls=8)
    assert "rows(" in compiled.source


@pytest.mark.parametrize("shape", [(1, 700), (1, 5, 100), (700,), (2, 350)])
def test_the_first_axis_longer_than_one_is_cut(small_blocks, shape):
    inner = Builder(x=np.random.default_rng(0).standard_normal(shape))
    y = inner(Ufunc(np.tanh), inner(Ufunc(np.exp), inner[0]))
    b = Builder(x=inner.arrays[0])
    compiled = check(b.program(*b(Fused(inner.program(y)), b[0])), b.arrays)
    assert "rows(" in compiled.source


def test_states_are_written_in_place_block_by_block(small_blocks):
    kinds = {"m": np.ones((40, 9)), "v": np.arange(360.0).reshape(40, 9), "g": np.full((40, 9), 2.0)}
    inner = Builder(**kinds)
    m = inner(Ufunc(np.add), inner(Ufunc(np.multiply), inner[0], inner.constant(np.float64(0.9))), inner[2])
    v = inner(Ufunc(np.add), inner[1], inner(Ufunc(np.square), inner[2]))
    step = inner(Ufunc(np.divide), m, inner(Ufunc(np.add), inner(Ufunc(np.sqrt), v), inner[0]))
    b = Builder(**kinds)
    results = b(Fused(inner.program(m, v, step)), *b.inputs)
    compiled = check(b.program(*results, in_place={0: b[0], 1: b[1]}), b.arrays)
    assert "m[...]" not in compiled.source


def test_a_group_takes_the_place_of_what_is_not_read_again(small_blocks):
    inner = Builder(x=np.ones((40, 9)))
    body = inner.program(inner(Ufunc(np.exp), inner(Ufunc(np.negative), inner[0])))
    b = Builder(x=np.ones((40, 9)))
    y = b(Ufunc(np.tanh), b[0])
    (z,) = b(Fused(body), y)
    compiled = check(b.program(b(Reduce(np.add, (0, 1)), z)), b.arrays)
    assert compiled.figures.scratch < 2 * 40 * 9 * 8


def test_an_error_in_a_block_reaches_the_caller_in_the_callers_errstate(small_blocks):
    inner = Builder(x=np.ones((40, 9)))
    body = inner.program(inner(Ufunc(np.sqrt), inner(Ufunc(np.negative), inner[0])))
    b = Builder(x=np.ones((40, 9)))
    compiled = compile_program(b.program(*b(Fused(body), b[0])), "numpy")
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        compiled.run(*b.arrays)
    with np.errstate(invalid="ignore"):
        assert np.isnan(compiled.run(*b.arrays)[0]).all()


# --------------------------------------------------------------------------------------------------------------------
# The report


def test_the_report_tells_passes_memory_and_times_and_changes_nothing():
    model = ndl.nn.Sequential(ndl.nn.Linear(5, 4), ndl.nn.ReLU(), ndl.nn.Linear(4, 1))
    adam = ndl.optim.Adam(model.parameters(), lr=0.1)

    @jit
    def step(x):
        adam.reset_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        adam.step()
        return loss

    x = ndl.Tensor(np.ones((3, 5), F4), requires_grad=False)
    with pytest.raises(RuntimeError, match="not been called"):
        step.report(x)
    step(x)
    before = [p.numpy().copy() for p in model.parameters()]
    text = str(step.report(x))
    assert "dead code" in text and "allocated at each call" in text and "matmul(" in text and "model(x)" in text
    assert "hand report() the arguments" in str(step.report())
    for p, was in zip(model.parameters(), before):
        np.testing.assert_array_equal(p.numpy(), was)
    report = step.report(x)
    assert report.times == sorted(report.times, key=lambda each: -each[0])
    assert len(report.times) == len(step._entries[0].compiled.emitter.statements)


@pytest.mark.parametrize("shape", [(40, 9), (9, 40), (5, 8, 3), (200, 3)])
@pytest.mark.parametrize("turned", [False, True])
def test_sums_by_blas(shape, turned):
    x = np.random.default_rng(0).standard_normal(shape).astype(F4)
    b = Builder(x=x.T if turned else x)
    a = b(Transpose(tuple(range(x.ndim))[::-1]), b[0]) if turned else b[0]
    y = b(Ufunc(np.exp), a)
    axes = [(0,), (0, 1)[: x.ndim - 1], (x.ndim - 1,)]
    sums = [b(Reduce(np.add, each, keepdims), var) for each in axes for keepdims in (False, True) for var in (a, y)]
    doubled = [b(Ufunc(np.add), each, each) for each in sums]
    check(b.program(*sums, *doubled), b.arrays)


def test_memory_that_is_written_before_it_is_read_is_not_filled():
    b = Builder(x=np.ones((2, 3)))
    for handed_back in (False, True):
        y = b(Assign(0), b(Empty((3, 3), F8)), b(Index(0), b[0]))
        y = b(Assign(slice(1, None)), y, b[0])
        compiled = check(b.program(y if handed_back else b(Ufunc(np.negative), y)), b.arrays)
        assert "[...] =" not in compiled.source and "zeros" not in compiled.source


@pytest.mark.parametrize("function", [np.stack, np.concatenate])
@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": -1}])
@pytest.mark.parametrize("handed_back", [False, True])
def test_stacked_and_joined_arrays(function, options, handed_back):
    b = Builder(x=np.arange(6.0).reshape(2, 3), y=np.ones((3, 2)).T)
    holes = [Hole(0), Hole(1), Hole(0), Hole(2)]
    z = b(Call(function, (holes,), options), b[0], b(Ufunc(np.exp), b[1]), b[1])
    compiled = check(b.program(z if handed_back else b(Ufunc(np.negative), z)), b.arrays)
    assert function.__name__ not in compiled.source
