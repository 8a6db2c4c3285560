"""Every op of the table, and every function of NumPy's, under `jit` against eager: values and derivatives.

Both compute the same formulas, perhaps in another order of summation: 1e-9 in float64 is a million rounding units.  Of
each row all cases are computed forward and one or two in each other mode, to keep the run short.
"""

import numpy as np
import numpy_table
import ops_table
import pytest
from test_modes import Scalar
from test_numpy import on_tensors, parts, tensors_of

import needle as ndl
from needle.program import jit
from needle.transforms import grad, hessian, jet, jvp, vmap

BACKENDS = ["numpy"]
CLOSE = {"rtol": 1e-9, "atol": 1e-10}

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
    ),
    pytest.mark.parametrize("backend", BACKENDS),
]

every_op = pytest.mark.parametrize("row", ops_table.ROWS, ids=str)
every_function = pytest.mark.parametrize("row", numpy_table.rows(), ids=str)

# What jit cannot know: shapes that follow from values, and questions that only values answer (design.md)
OF_UNKNOWN_SHAPE = {
    "argwhere", "flatnonzero", "intersect1d", "ndarray.nonzero", "nonzero", "roots", "setdiff1d", "setxor1d",
    "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values",
}  # fmt: skip
ASKS_FOR_VALUES = {
    "array2string", "array_repr", "array_str", "histogram", "histogram2d", "histogramdd", "ndarray.item",
    "ndarray.tolist",
}  # fmt: skip


def assert_same(ours, expected) -> None:
    ours, expected = parts(ours), parts(expected)
    assert len(ours) == len(expected)
    for mine, theirs in zip(ours, expected):
        if theirs is None or isinstance(theirs, (str, type, np.dtype)):
            assert mine == theirs
            continue
        mine, theirs = [x.numpy() if isinstance(x, ndl.Tensor) else np.asarray(x) for x in (mine, theirs)]
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(mine, theirs, **CLOSE)


def check(fun, backend, *args, shown=lambda result: result) -> None:
    """`fun` compiled gives what it gives as it is, at the call that traces it and at the next, which does not."""
    expected = shown(fun(*args))
    compiled = jit(fun, backend=backend)
    assert_same(shown(compiled(*args)), expected)
    assert_same(shown(compiled(*args)), expected)
    assert compiled.cache_size() == 1


# --------------------------------------------------------------------------------------------------------------------
# The ops of needle


@every_op
def test_the_value_of_an_op(row, backend):
    for case in row.cases:
        tensors = [ndl.Tensor(array, requires_grad=False) for array in case.draw(np.random.default_rng(0))]
        f = lambda *tensors, case=case: row.call(case, *tensors)
        if row.makes == "GetItem" and any(tensor.dtype == bool for tensor in tensors[1:]):
            with pytest.raises(TypeError, match=r"x\[mask\], whose shape follows from values"):
                jit(f, backend=backend)(*tensors)
        else:
            check(f, backend, *tensors)


def some(row, count: int) -> list[Scalar]:
    """The first and some of the other cases of a row, as functions of what can be differentiated."""
    if row.constant:
        return []
    cases = [case for case in row.cases if not case.empty]
    return [Scalar(row, case) for case in cases[:: max(1, -(-len(cases) // count))]]


@every_op
def test_the_gradient_of_an_op(row, backend):
    for f in some(row, 3):
        check(grad(f, tuple(range(len(f.moving)))), backend, *f.draw(0))


@every_op
def test_the_gradient_of_a_compiled_op(row, backend):
    for f in some(row, 1):
        places, point = tuple(range(len(f.moving))), f.draw(0)
        assert_same(grad(jit(f, backend=backend), places)(*point), grad(f, places)(*point))


@every_op
def test_the_tangent_of_an_op(row, backend):
    for f in some(row, 1):
        check(lambda *x, f=f: jvp(f, x, [ndl.sin(each) for each in x]), backend, *f.draw(0))


@every_op
def test_an_op_and_its_gradient_in_a_batch(row, backend):
    for f in some(row, 1):
        batch = [np.stack(both) for both in zip(f.draw(0), f.draw(1))]
        check(vmap(grad(f, tuple(range(len(f.moving))))), backend, *batch)


@every_op
def test_the_second_derivatives_of_an_op(row, backend):
    for f in some(row, 1):
        point = f.draw(0)
        if sum(x.size for x in point) <= 12:
            check(lambda *x, f=f: hessian(f)(*x), backend, *point)
        if row.elementwise:
            check(lambda *x, f=f: jet(f, x, [[each * 0 + 1, each * 0] for each in x])[1], backend, *point)


# --------------------------------------------------------------------------------------------------------------------
# NumPy's functions


def is_refused(row, case) -> bool:
    if row.name == "real_if_close":
        return any(drawn.domain == "complex" for drawn in case.drawn)
    return row.name in OF_UNKNOWN_SHAPE | ASKS_FOR_VALUES


@every_function
def test_the_value_of_a_function_of_numpy(row, backend):
    for case in [case for case in row.cases if case.drawn][:6]:
        f = lambda values, case=case: on_tensors(row, case, values)
        values = tensors_of(case, case.draw())
        if is_refused(row, case):
            with pytest.raises(TypeError, match=r"of a traced value was asked for, in\n  .*\.py:\d+"):
                jit(f, backend=backend)(values)
        else:
            check(f, backend, values, shown=row.value or (lambda result: result))


@every_function
def test_the_gradient_of_a_function_of_numpy(row, backend):
    cases = [case for case in row.cases if case.differentiable and not case.empty and not is_refused(row, case)]
    for case in cases[:2] if not row.constant else []:
        arrays = case.draw()

        def number(*moved, case=case, arrays=arrays):
            values = list(arrays)
            for place, value in zip(case.differentiable, moved):
                values[place] = value
            result = on_tensors(row, case, values)
            rng = np.random.default_rng(5)
            total = 0.0
            for part in parts(row.value(result) if row.value else result):
                if part.dtype.kind in "fc":
                    total = total + np.real(part * rng.normal(size=part.shape)).sum()
            return total

        moving = [arrays[place] for place in case.differentiable]
        check(grad(number, tuple(range(len(moving)))), backend, *moving)
