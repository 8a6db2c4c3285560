"""NumPy's functions on Tensors: every row of the table, through plain `numpy` and through `needle.numpy`.

Derivatives are compared with central differences along random directions.  In float64 with a step of 1e-5 a difference
quotient of a function of size 1 carries a truncation error near step² = 1e-10 and a rounding error near
1e-16/step = 1e-11; the tolerances leave room for a factor of a thousand.
"""

import numpy as np
import pytest
from numpy_coverage import PAGE, page
from numpy_pending import PENDING
from numpy_surface import SURFACE
from numpy_table import Case, Row, cases, rows

import needle as ndl
from needle.transforms import grad, jvp, vmap

STEP = 1e-5
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # the same formula, perhaps in another order of summation
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}

pytestmark = pytest.mark.filterwarnings(
    "ignore::RuntimeWarning",
    "ignore:`row_stack`:DeprecationWarning",
    "ignore:the matrix subclass:PendingDeprecationWarning",
)


def where(wanted):
    """The cases of the table that are wanted, as parameters of a test."""
    return pytest.mark.parametrize(
        "row, case", [pytest.param(row, case, id=f"{row}: {case}") for row, case in cases() if wanted(row, case)]
    )


every_case = where(lambda row, case: case.drawn)
differentiable = where(lambda row, case: not row.constant and case.differentiable and not case.empty)
empty = where(lambda row, case: not row.constant and case.differentiable and case.empty)
twice = where(lambda row, case: not row.constant and row.second and case.differentiable and not case.empty)
in_float32 = where(
    lambda row, case: (
        row.float32 and case.drawn and all(d.domain not in ("complex",) and d.dtype is None for d in case.drawn)
    )
)
in_batches = where(lambda row, case: row.batched and any(d.followed for d in case.drawn))
without_batches = where(lambda row, case: not row.batched and any(d.followed for d in case.drawn) and not case.empty)


# --------------------------------------------------------------------------------------------------------------------
# Calls


def on_arrays(row: Row, case: Case, arrays):
    """What NumPy says."""
    args, kwargs = case.filled([array.copy() for array in arrays])
    return row.numpy_function()(*args, **kwargs)


def on_tensors(row: Row, case: Case, values, function=None):
    """What needle says: `values` are put in place of what is drawn."""
    args, kwargs = case.filled(values)
    return (function or row.functions()[-1])(*args, **kwargs)


def tensors_of(case: Case, arrays) -> list:
    return [
        ndl.Tensor(array, requires_grad=drawn.differentiable) if drawn.followed else array
        for drawn, array in zip(case.drawn, arrays, strict=True)
    ]


def parts(result) -> list:
    """The arrays, numbers and Tensors of a result, in their order."""
    if isinstance(result, (tuple, list)) or type(result).__module__.startswith("numpy.linalg"):
        return [part for item in result for part in parts(item)]
    if isinstance(result, ndl.TensorTuple):
        return [part for item in result for part in parts(item)]
    return [result]


def number_of(row: Row, case: Case, module):
    """A function of the differentiable arrays alone: Σ Re(w·y) over all floating parts y, with random weights w."""
    arrays = case.draw()
    places = case.differentiable

    def number(*moved):
        values = list(arrays)
        for place, value in zip(places, moved, strict=True):
            values[place] = value
        result = module(values)
        return weighted_sum(row, result)

    return number, [arrays[place] for place in places]


def weighted_sum(row: Row, result):
    rng = np.random.default_rng(5)
    total = 0.0
    for part in parts(row.value(result) if row.value else result):
        dtype = getattr(part, "dtype", np.asarray(part).dtype if not isinstance(part, ndl.Tensor) else None)
        if dtype.kind not in "fc":
            continue
        shape = part.shape if isinstance(part, ndl.Tensor) else np.shape(part)
        weights = rng.normal(size=shape)
        if dtype.kind == "c":
            weights = weights + 1j * rng.normal(size=shape)
        # what is nan (of nan, or of a quotient by 0) has no difference quotient
        if isinstance(part, ndl.Tensor):
            part = ndl.where(np.isfinite(part.numpy()), part, 0.0)
        else:
            part = np.where(np.isfinite(part), part, 0.0)
        total = total + np.real(part * weights).sum()
    return total


def directions(arrays, seed=3):
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=a.shape) + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else rng.normal(size=a.shape))
        for a in arrays
    ]


def pairing(gradients, along) -> float:
    """Re Σ conj(g)·d"""
    return sum(float(np.sum(np.real(np.conj(g) * d))) for g, d in zip(gradients, along, strict=True))


def difference(number, arrays, along):
    """The central difference quotient of a function of arrays."""
    ahead = number(*[np.asarray(a + STEP * d) for a, d in zip(arrays, along)])
    behind = number(*[np.asarray(a - STEP * d) for a, d in zip(arrays, along)])
    return (
        [(x - y) / (2 * STEP) for x, y in zip(ahead, behind)]
        if isinstance(ahead, tuple)
        else (ahead - behind) / (2 * STEP)
    )


def both(row: Row, case: Case):
    """(the number as needle has it, the number as NumPy has it, the arrays to differentiate with respect to)"""
    ours, arrays = number_of(row, case, lambda values: on_tensors(row, case, values))
    theirs, _ = number_of(row, case, lambda values: on_arrays(row, case, values))
    return ours, theirs, arrays


def close(row: Row) -> dict:
    return {"rtol": row.tolerance, "atol": row.tolerance / 10}


# --------------------------------------------------------------------------------------------------------------------
# The table is complete


def test_every_function_of_the_surface_has_a_row():
    there = {row.name for row in rows()}
    lacking = {name for name in SURFACE if name not in there and exists(name)}
    assert lacking - set(PENDING) == set(), "functions without a row"
    assert set(PENDING) - lacking == set(), "functions that have a row now: take them from the list"


def exists(name: str) -> bool:
    return Row(name, ()).exists()


# --------------------------------------------------------------------------------------------------------------------
# Values


def assert_same(ours, theirs, tolerance) -> None:
    ours, theirs = parts(ours), parts(theirs)
    assert len(ours) == len(theirs)
    for mine, expected in zip(ours, theirs):
        if expected is None or (
            isinstance(expected, (str, bool, int, np.dtype, type)) and not isinstance(mine, ndl.Tensor)
        ):
            assert mine == expected
            continue
        value = mine.numpy() if isinstance(mine, ndl.Tensor) else np.asarray(mine)
        assert value.shape == np.shape(expected)
        assert value.dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(value, expected, **tolerance)


@every_case
def test_the_value_is_that_of_numpy(row, case):
    arrays = case.draw()
    expected = on_arrays(row, case, arrays)
    shown = row.value or (lambda result: result)
    for function in row.functions():
        result = on_tensors(row, case, tensors_of(case, arrays), function)
        assert_same(shown(result), shown(expected), EXACT)


@every_case
def test_the_value_does_not_hang_on_how_arrays_lie_in_memory(row, case):
    arrays = [np.asfortranarray(np.repeat(a, 2, -1))[..., ::2] if a.ndim else a for a in case.draw()]
    tensors = [
        ndl.ops.Identity()(ndl.Tensor.make_const(a)) if d.followed else a
        for d, a in zip(case.drawn, arrays, strict=True)
    ]
    shown = row.value or (lambda result: result)
    assert_same(shown(on_tensors(row, case, tensors)), shown(on_arrays(row, case, arrays)), EXACT)


@in_float32
def test_float32_is_kept_where_numpy_keeps_it(row, case):
    arrays = [a.astype("float32") if a.dtype == float else a for a in case.draw()]
    shown = row.value or (lambda result: result)
    assert_same(shown(on_tensors(row, case, tensors_of(case, arrays))), shown(on_arrays(row, case, arrays)), FLOAT32)


@where(lambda row, case: row.constant and case.drawn)
def test_what_is_piecewise_constant_is_a_constant(row, case):
    for part in parts(on_tensors(row, case, tensors_of(case, case.draw()))):
        assert not isinstance(part, ndl.Tensor) or (part.op is None and not part.requires_grad)


# --------------------------------------------------------------------------------------------------------------------
# Derivatives


@differentiable
def test_reverse_mode_agrees_with_central_differences(row, case):
    ours, theirs, arrays = both(row, case)
    gradients = grad(ours, argnums=tuple(range(len(arrays))))(*arrays)
    for gradient, array in zip(gradients, arrays):
        assert gradient.shape == array.shape and gradient.dtype == array.dtype
    along = directions(arrays)
    np.testing.assert_allclose(pairing(gradients, along), difference(theirs, arrays, along), **close(row))


@differentiable
def test_forward_mode_agrees_with_reverse_mode(row, case):
    ours, _, arrays = both(row, case)
    along = directions(arrays)
    _, tangent = jvp(ours, tuple(arrays), tuple(along))
    gradients = grad(ours, argnums=tuple(range(len(arrays))))(*arrays)
    np.testing.assert_allclose(tangent, pairing(gradients, along), rtol=1e-9, atol=1e-10)


@differentiable
def test_the_derivative_through_plain_numpy_is_the_same(row, case):
    ours, _, arrays = both(row, case)
    plain, _ = number_of(row, case, lambda values: on_tensors(row, case, values, row.functions()[0]))
    everything = tuple(range(len(arrays)))
    for one, other in zip(grad(plain, everything)(*arrays), grad(ours, everything)(*arrays)):
        np.testing.assert_array_equal(one, other)


@twice
def test_second_derivatives_agree_with_differences_of_first_ones(row, case):
    ours, _, arrays = both(row, case)
    everything = tuple(range(len(arrays)))
    first, along = grad(ours, everything), directions(arrays)
    expected = difference(lambda *x: first(*x), arrays, along)
    _, found = jvp(first, tuple(arrays), tuple(along))
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=10 * row.tolerance, atol=10 * row.tolerance)

    def slope(*x):
        inside = first(*x)
        return sum(np.real(np.conj(g) * ndl.Tensor(d, requires_grad=False)).sum() for g, d in zip(inside, along))

    for one, other in zip(grad(slope, everything)(*arrays), expected):
        np.testing.assert_allclose(one, other, rtol=10 * row.tolerance, atol=10 * row.tolerance)


@empty
def test_derivatives_with_respect_to_nothing_are_nothing(row, case):
    ours, _, arrays = both(row, case)
    for gradient, array in zip(grad(ours, tuple(range(len(arrays))))(*arrays), arrays):
        assert gradient.shape == array.shape and gradient.dtype == array.dtype
        assert not np.any(gradient) or array.size


# --------------------------------------------------------------------------------------------------------------------
# Batches


def batch_of(case: Case):
    """Three draws of what is followed, stacked, and one draw of the rest."""
    draws = [case.draw(seed) for seed in (0, 1, 2)]
    mapped = [i for i, drawn in enumerate(case.drawn) if drawn.followed]
    return draws, mapped, [np.stack([draw[i] for draw in draws]) for i in mapped]


@in_batches
def test_a_batch_is_the_loop_over_its_examples(row, case):
    draws, mapped, stacked = batch_of(case)

    def one(*moved):
        values = list(draws[0])
        for place, value in zip(mapped, moved, strict=True):
            values[place] = value
        result = on_tensors(row, case, values)
        return [part for part in parts(row.value(result) if row.value else result) if isinstance(part, ndl.Tensor)]

    found = vmap(one)(*stacked)
    for i in range(3):
        values = [draws[i if j in mapped else 0][j] for j in range(len(case.drawn))]
        result = on_tensors(row, case, tensors_of(case, values))
        expected = [p for p in parts(row.value(result) if row.value else result) if isinstance(p, ndl.Tensor)]
        for mine, other in zip(found, expected):
            np.testing.assert_allclose(mine[i], other.numpy(), rtol=1e-10, atol=1e-12)


@without_batches
def test_a_shape_that_depends_on_values_is_an_error_in_a_batch(row, case):
    _, mapped, stacked = batch_of(case)
    draws = case.draw()

    def one(*moved):
        values = list(draws)
        for place, value in zip(mapped, moved, strict=True):
            values[place] = value
        return on_tensors(row, case, values)

    with pytest.raises((TypeError, ValueError)):
        vmap(one)(*stacked)


def test_the_page_of_what_is_covered_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/numpy_coverage.py"
