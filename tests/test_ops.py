"""Every op of the table: value, dtype, reverse and forward rule, second order, broadcasting, empty, strided, at kinks.

Derivatives are compared with central differences along random directions from the unit ball, as the lecture does it.
In float64 with a step of 1e-5 a difference quotient of a function of size 1 carries a truncation error near
step² = 1e-10 and a rounding error near 1e-16/step = 1e-11; the tolerances leave room for a factor of a thousand.
"""

import inspect

import mpmath
import numdifftools
import numpy as np
import pytest
from ops_table import CHOSEN, ROWS, Argument, Case, Row, cases

import needle as ndl
from needle.graph import Node, topological_order

STEP = 1e-5
CLOSE = {"rtol": 1e-6, "atol": 1e-7}
EXACT = {"rtol": 1e-12, "atol": 1e-13}  # the same formula in another order of summation
ROUNDING = {"float16": 4e-3, "float32": 2e-6}  # a few units in the last place, of numbers of size 1 to 10


def where(wanted):
    """The cases of the table that are wanted, as parameters of a test."""
    return pytest.mark.parametrize(
        "row, case", [pytest.param(row, case, id=f"{row}: {case}") for row, case in cases() if wanted(row, case)]
    )


def has_tangent(row: Row) -> bool:
    return not row.constant and all(hasattr(getattr(ndl.ops, name), "tangent") for name in row.makes.split())


every_case = where(lambda row, case: True)
with_elements = where(lambda row, case: not case.empty)
differentiable = where(lambda row, case: not row.constant)
twice_differentiable = where(lambda row, case: not (row.constant or case.empty))
with_tangent = where(lambda row, case: has_tangent(row) and not case.empty)


def arrays_of(case, seed=0):
    return case.draw(np.random.default_rng(seed))


def tensors_of(row, case, arrays, dtype=None):
    """Tensors on the arrays; those that can be differentiated in `dtype`."""
    return [
        ndl.Tensor(array, dtype=dtype if argument.differentiable else None, requires_grad=argument.differentiable)
        for argument, array in zip(case.arguments, arrays)
    ]


def flat(out) -> list:
    """The Tensors of a result: one, or those of a TensorTuple."""
    return list(out) if isinstance(out, ndl.TensorTuple) else [out]


def weighted_sum(out, seed=1):
    """⟨w, out⟩ with random weights: a plain sum would not see errors that cancel."""
    rng = np.random.default_rng(seed)
    total = None
    for item in flat(out):
        term = (item * ndl.Tensor(rng.normal(size=item.shape), requires_grad=False)).sum()
        total = term if total is None else total + term
    return total


def gradients(scalar, tensors):
    """∂scalar/∂tensor for each, as Tensors; zeros where nothing flows."""
    for tensor in tensors:
        tensor.grad = None
    if scalar is not None and scalar.requires_grad:
        scalar.backward()
    return [ndl.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in tensors]


def unit_ball(rng, arguments):
    """A random direction for each differentiable argument, all together from the unit ball; None for the others."""
    directions = [rng.normal(size=a.shape) if a.differentiable else None for a in arguments]
    size = sum(d.size for d in directions if d is not None)
    length = np.sqrt(sum((d**2).sum() for d in directions if d is not None)) or 1.0
    radius = rng.random() ** (1 / max(size, 1))
    return [None if d is None else d * (radius / length) for d in directions]


def moved(arrays, directions, step):
    return [a if d is None else a + step * d for a, d in zip(arrays, directions)]


def inner(grads, directions):
    return sum(float((g.numpy() * d).sum()) for g, d in zip(grads, directions))


# --------------------------------------------------------------------------------------------------------------------
# The table is complete


def public(kind):
    return {name for name, value in vars(ndl.ops).items() if not name.startswith("_") and kind(value)}


def test_every_function_has_a_row():
    assert public(inspect.isfunction) - {row.name for row in ROWS} == {"tuple_get_item"}  # tested in test_adjoint.py


def test_every_op_class_has_a_row():
    concrete = public(lambda value: inspect.isclass(value) and issubclass(value, ndl.Op)) - {
        name for name in dir(ndl.ops) if getattr(getattr(ndl.ops, name), "compute", None) is ndl.Op.compute
    }
    assert concrete - {made for row in ROWS for made in row.makes.split()} == {"TupleGetItem"}


@every_case
def test_a_call_records_the_ops_that_its_row_names(row, case):
    tensors = tensors_of(row, case, arrays_of(case))
    if row.constant:
        assert row.call(case, *tensors).op is None
    else:
        order = topological_order([row.call(case, *tensors).node])
        assert {type(node.op).__name__ for node in order if node.op} == set(row.makes.split())


# --------------------------------------------------------------------------------------------------------------------
# Values


@every_case
def test_value_is_numpys(row, case):
    arrays = arrays_of(case)
    expected = row.expect(case, *arrays)
    out = row.call(case, *tensors_of(row, case, arrays))
    for item, expect in zip(flat(out), expected if isinstance(expected, tuple) else (expected,), strict=True):
        assert item.shape == np.shape(expect)
        np.testing.assert_allclose(item.numpy(), expect, **EXACT)


@with_elements
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dtype_is_kept_by_value_and_gradient(row, case, dtype):
    if row.name == "Cast":
        return
    arrays = arrays_of(case)
    tensors = tensors_of(row, case, arrays, dtype)
    full = tensors_of(row, case, [t.numpy().astype("float64") if t.requires_grad else t.numpy() for t in tensors])
    out, expected = row.call(case, *tensors), row.call(case, *full)
    for item, expect in zip(flat(out), flat(expected)):
        assert item.dtype == (dtype if expect.dtype == "float64" else expect.dtype)
        if not row.constant:  # float32 may round over a jump
            np.testing.assert_allclose(item.numpy(), expect.numpy(), rtol=ROUNDING[dtype], atol=8 * ROUNDING[dtype])
    if not row.constant:
        backward_from_ones(out), backward_from_ones(expected)
        for tensor, reference in zip(tensors, full):
            if tensor.requires_grad:
                assert (tensor.grad.dtype, tensor.grad.shape) == (dtype, tensor.shape)
                np.testing.assert_allclose(
                    tensor.grad.numpy(), reference.grad.numpy(), rtol=4 * ROUNDING[dtype], atol=20 * ROUNDING[dtype]
                )


def backward_from_ones(out):
    total = None
    for item in flat(out):
        total = item.sum() if total is None else total + item.sum()
    total.backward()


@with_elements
def test_integers_promote_as_in_numpy(row, case):
    """Where the arguments are whole numbers, value and dtype are what NumPy makes of them."""
    rng = np.random.default_rng(2)
    arrays = [
        rng.integers(1, 4, argument.shape) if argument.differentiable else array
        for argument, array in zip(case.arguments, arrays_of(case))
    ]
    if row.name in ("max_pool", "TieShare", "ReduceTieShare", "Cast"):
        return  # no NumPy function to compare with
    try:
        expected = row.expect(case, *arrays)
    except ValueError as refused:  # whole numbers to negative powers
        with pytest.raises(ValueError, match=str(refused)):
            row.call(case, *[ndl.Tensor(array) for array in arrays])
        return
    out = row.call(case, *[ndl.Tensor(array) for array in arrays])
    for item, expect in zip(flat(out), expected if isinstance(expected, tuple) else (expected,)):
        assert item.dtype == np.asarray(expect).dtype
        np.testing.assert_allclose(item.numpy(), expect, **EXACT)


@with_elements
def test_arguments_are_left_alone(row, case):
    arrays = arrays_of(case)
    tensors = tensors_of(row, case, arrays)
    out = row.call(case, *tensors)
    if not row.constant:
        gradients(weighted_sum(out), [t for t in tensors if t.requires_grad])
    for tensor, array in zip(tensors, arrays):
        np.testing.assert_array_equal(tensor.numpy(), array)


def columns(array):
    return np.array(array, order="F")


def reversed_memory(array):
    return array[(slice(None, None, -1),) * array.ndim].copy()[(slice(None, None, -1),) * array.ndim]


def strided(array):
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    wide[(slice(None, None, 2),) * array.ndim] = array
    return wide[(slice(None, None, 2),) * array.ndim]


@with_elements
def test_the_layout_in_memory_does_not_matter(row, case):
    arrays = arrays_of(case)
    plain = tensors_of(row, case, arrays)
    expected = results(row, case, plain)
    for layout in (columns, reversed_memory, strided):
        laid = [ndl.Tensor.make_const(layout(a), t.requires_grad) for a, t in zip(arrays, plain)]
        for found, expect in zip(results(row, case, laid), expected, strict=True):
            np.testing.assert_allclose(found, expect, **EXACT)


def results(row, case, tensors):
    """Values and gradients of one call, as arrays."""
    out = row.call(case, *tensors)
    asked = [] if row.constant else [tensor for tensor in tensors if tensor.requires_grad]
    grads = gradients(weighted_sum(out), asked) if asked else []
    return [tensor.numpy() for tensor in (*flat(out), *grads)]


# --------------------------------------------------------------------------------------------------------------------
# Reverse mode


@differentiable
def test_gradient_is_the_slope(row, case):
    arrays = arrays_of(case)
    tensors = tensors_of(row, case, arrays)
    asked = [tensor for tensor in tensors if tensor.requires_grad]
    grads = gradients(weighted_sum(row.call(case, *tensors)), asked)
    assert [grad.shape for grad in grads] == [tensor.shape for tensor in asked]
    directions = unit_ball(np.random.default_rng(3), case.arguments)
    slope = difference(lambda step: value(row, case, moved(arrays, directions, step)))
    np.testing.assert_allclose(inner(grads, given(directions)), slope, **CLOSE)


def value(row, case, arrays):
    return weighted_sum(row.call(case, *tensors_of(row, case, arrays))).item()


def difference(function):
    return (function(STEP) - function(-STEP)) / (2 * STEP)


@twice_differentiable
def test_second_derivative_is_the_slope_of_the_first(row, case):
    arrays, rng = arrays_of(case), np.random.default_rng(4)
    along, across = unit_ball(rng, case.arguments), unit_ball(rng, case.arguments)

    def first(tensors):
        """⟨∇⟨w, f⟩, along⟩ as a Tensor that can be differentiated again."""
        asked = [tensor for tensor in tensors if tensor.requires_grad]
        total = None
        for grad, d in zip(gradients(weighted_sum(row.call(case, *tensors)), asked), given(along)):
            term = (grad * ndl.Tensor(d, requires_grad=False)).sum()
            total = term if total is None else total + term
        return total

    tensors = tensors_of(row, case, arrays)
    scalar = first(tensors)
    computed = inner(again(scalar, [tensor for tensor in tensors if tensor.requires_grad]), given(across))
    slope = difference(lambda step: first(tensors_of(row, case, moved(arrays, across, step))).item())
    np.testing.assert_allclose(computed, slope, **CLOSE)


def given(directions):
    return [d for d in directions if d is not None]


def again(scalar, tensors):
    """`gradients` of a sum of gradients, which may turn out to be constant."""
    try:
        return gradients(scalar, tensors)
    except RuntimeError as error:
        assert "requires grad" in str(error)
        return [ndl.zeros_like(tensor) for tensor in tensors]


@differentiable
def test_the_ops_own_rule_gives_a_gradient_of_the_shape_of_each_argument(row, case):
    tensors = tensors_of(row, case, arrays_of(case))
    out = row.call(case, *tensors)
    if len(row.makes.split()) == 1:
        ones = [ndl.Tensor(np.ones(item.shape)) for item in flat(out)]
        grads = out.op.gradient_as_tuple(
            ndl.ops.make_tuple(*ones) if isinstance(out, ndl.TensorTuple) else ones[0], out
        )
        assert type(grads) is tuple
        for grad, tensor in zip(grads, tensors, strict=True):
            if tensor.requires_grad:
                assert grad.shape == tensor.shape


@pytest.mark.parametrize("name", ["power", "divide", "gelu", "logsumexp", "softmax", "matmul", "einsum", "conv", "var"])
def test_jacobian_is_that_of_numdifftools(name):
    """Adaptive extrapolation is good to about 1e-9 of the value's size."""
    row = next(row for row in ROWS if row.name == name)
    case = row.cases[0] if name != "conv" else Case((Argument((1, 3, 3, 2)), Argument((3, 3, 2, 1))))
    arrays = arrays_of(case)

    def function(numbers):
        return row.expect(case, numbers.reshape(arrays[0].shape), *arrays[1:]).ravel()

    expected = numdifftools.Jacobian(function)(arrays[0].ravel())
    x, *others = tensors_of(row, case, arrays)
    out = row.call(case, x, *others)
    for index in range(out.size):
        seed = np.zeros(out.size)
        seed[index] = 1
        out.backward(ndl.Tensor(seed.reshape(out.shape)))
        np.testing.assert_allclose(x.grad.numpy().ravel(), np.atleast_2d(expected)[index], rtol=1e-8, atol=1e-9)


# --------------------------------------------------------------------------------------------------------------------
# Forward rules


def push(out, tangents: dict[Node, ndl.Tensor]):
    """The tangent of `out` by the ops' own forward rules, one node after the other."""
    for node in topological_order([out.node]):
        if node.op is not None:
            shown = out if node is out.node else ndl.graph.handle(node)
            before = [tangents.get(source) for source in node.inputs]
            if any(tangent is not None for tangent in before):
                tangents[node] = node.op.tangent(shown, *before)
    return tangents.get(out.node)


def tangents_along(tensors, directions):
    return {t.node: ndl.Tensor(d, requires_grad=False) for t, d in zip(tensors, directions) if d is not None}


@with_tangent
def test_forward_rule_is_the_transpose_of_the_reverse_rule(row, case):
    """⟨w, J·t⟩ = ⟨Jᵀ·w, t⟩: the dot-product test, to rounding."""
    arrays = arrays_of(case)
    tensors = tensors_of(row, case, arrays)
    out = row.call(case, *tensors)
    directions = unit_ball(np.random.default_rng(5), case.arguments)
    tangent = push(out, tangents_along(tensors, directions))
    assert [item.shape for item in flat(tangent)] == [item.shape for item in flat(out)]
    forward = weighted_sum(tangent).item()
    grads = gradients(weighted_sum(out), [tensor for tensor in tensors if tensor.requires_grad])
    np.testing.assert_allclose(forward, inner(grads, given(directions)), rtol=1e-10, atol=1e-12)


@with_tangent
def test_forward_rule_keeps_float32(row, case):
    if row.name == "Cast":
        return
    tensors = tensors_of(row, case, arrays_of(case), "float32")
    directions = unit_ball(np.random.default_rng(5), case.arguments)
    seeds = {t.node: ndl.Tensor(d, dtype="float32") for t, d in zip(tensors, directions) if d is not None}
    out = row.call(case, *tensors)
    assert {item.dtype.name for item in flat(push(out, seeds))} == {item.dtype.name for item in flat(out)}


@with_tangent
def test_each_argument_has_a_tangent_of_its_own(row, case):
    """With no tangent for the others, the rule gives this argument's part of the sum."""
    tensors = tensors_of(row, case, arrays_of(case))
    directions = unit_ball(np.random.default_rng(6), case.arguments)
    out = row.call(case, *tensors)
    together = [item.numpy() for item in flat(push(out, tangents_along(tensors, directions)))]
    parts = [np.zeros(item.shape) for item in flat(out)]
    for tensor, direction in zip(tensors, directions):
        if direction is not None:
            tangent = push(out, tangents_along([tensor], [direction]))
            parts = [part + item.numpy() for part, item in zip(parts, flat(tangent))]
    for part, whole in zip(parts, together):
        np.testing.assert_allclose(part, whole, **EXACT)


@with_tangent
def test_the_tangent_can_be_differentiated(row, case):
    """Reverse over forward: the gradient of ⟨w, J·t⟩ is its slope."""
    arrays, rng = arrays_of(case), np.random.default_rng(7)
    along, across = unit_ball(rng, case.arguments), unit_ball(rng, case.arguments)

    def tangent(tensors):
        return weighted_sum(push(row.call(case, *tensors), tangents_along(tensors, along)))

    tensors = tensors_of(row, case, arrays)
    computed = inner(again(tangent(tensors), [t for t in tensors if t.requires_grad]), given(across))
    slope = difference(lambda step: tangent(tensors_of(row, case, moved(arrays, across, step))).item())
    np.testing.assert_allclose(computed, slope, **CLOSE)


# --------------------------------------------------------------------------------------------------------------------
# Ties, kinks, large and small numbers


@pytest.mark.parametrize("choice", CHOSEN, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_derivative_where_it_is_a_matter_of_choice(choice, dtype):
    tensors = [
        ndl.Tensor(array, dtype=None if expected is None else dtype, requires_grad=expected is not None)
        for array, expected in zip(choice.arrays, choice.gradients)
    ]
    choice.call(*tensors).sum().backward()
    for tensor, expected in zip(tensors, choice.gradients):
        if expected is not None:
            np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=1e-7)


@pytest.mark.parametrize("choice", CHOSEN, ids=str)
def test_the_second_derivative_there_is_a_number(choice):
    """Nothing hides a nan or an infinity behind the first derivative, where the second one exists."""
    if choice.keywords.get("scalar") == 1.5 or choice.name == "power":
        return  # x**1.5 has no second derivative at 0
    tensors = [
        ndl.Tensor(array, requires_grad=expected is not None)
        for array, expected in zip(choice.arrays, choice.gradients)
    ]
    asked = [tensor for tensor in tensors if tensor.requires_grad]
    first = sum((grad.sum() for grad in gradients(choice.call(*tensors).sum(), asked)), start=ndl.Tensor(0.0))
    assert all(np.isfinite(grad.numpy()).all() for grad in again(first, asked))


LOG_SUM = lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(x / 2) + mpmath.exp(3 - x))  # of three functions of one x
STABLE = {
    "sigmoid": (ndl.ops.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    "tanh": (ndl.ops.tanh, mpmath.tanh),
    "softplus": (ndl.ops.softplus, lambda x: mpmath.log(1 + mpmath.exp(x))),
    "silu": (ndl.ops.silu, lambda x: x / (1 + mpmath.exp(-x))),
    "gelu": (
        ndl.ops.gelu,
        lambda x: x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))),
    ),
    "logsumexp": (lambda x: ndl.ops.logsumexp(ndl.ops.stack([x, x / 2, 3 - x], 0), 0), LOG_SUM),
    "softmax": (
        lambda x: ndl.ops.softmax(ndl.ops.stack([x, x / 2, 3 - x], 0), 0)[0],
        lambda x: mpmath.exp(x - LOG_SUM(x)),
    ),
    "logsoftmax": (
        lambda x: ndl.ops.logsoftmax(ndl.ops.stack([x, x / 2, 3 - x], 0), 0)[0],
        lambda x: x - LOG_SUM(x),
    ),
}


@pytest.mark.parametrize("name", STABLE)
def test_derivatives_of_every_order_are_right_at_large_arguments(name):
    """Orders 0 to 4, from -1000 to 1000, against 400 digits: to 1e-12 of the value, or of 1 where that has vanished."""
    function, exact = STABLE[name]
    points = [-1000.0, -100.0, -40.0, -10.0, -1.0, 0.0, 0.5, 3.0, 20.0, 100.0, 1000.0]
    x = ndl.Tensor(points)
    derivative = function(x)
    for order in range(5):
        with mpmath.workdps(400):
            expected = [float(mpmath.diff(exact, point, order)) for point in points]
        np.testing.assert_allclose(derivative.numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=f"order {order}")
        (derivative,) = gradients(derivative, [x])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", STABLE)
def test_no_nan_up_to_the_largest_numbers(name, dtype):
    function, _ = STABLE[name]
    largest = np.finfo(dtype).max / 4
    x = ndl.Tensor([-largest, -300.0, 0.0, 300.0, largest], dtype=dtype)
    derivative = function(x)
    for _ in range(3):
        assert np.isfinite(derivative.numpy()).all()
        (derivative,) = gradients(derivative, [x])


@pytest.mark.parametrize(
    "function, point, expected",
    [
        (ndl.ops.sigmoid, -700.0, np.exp(-700.0)),
        (ndl.ops.softplus, -700.0, np.exp(-700.0)),
        (ndl.ops.expm1, 1e-20, 1e-20),
        (ndl.ops.log1p, 1e-20, 1e-20),
        (lambda x: ndl.ops.log(ndl.ops.sigmoid(x)), -50.0, -50.0),
        (ndl.ops.softmax, [0.0, -700.0], [1.0, np.exp(-700.0)]),
        (ndl.ops.logsoftmax, [0.0, -1e5], [0.0, -1e5]),
        (ndl.ops.logsumexp, [-1e5, -1e5], -1e5 + np.log(2)),
        (ndl.ops.logsumexp, [-np.inf, -np.inf], -np.inf),
        (ndl.ops.logsumexp, [np.inf, 0.0], np.inf),
        (ndl.ops.softmax, [0.0, -np.inf], [1.0, 0.0]),
    ],
)
def test_small_values_keep_their_digits(function, point, expected):
    np.testing.assert_allclose(function(ndl.Tensor(point)).numpy(), expected, rtol=1e-13)


def test_the_mean_of_many_float16_does_not_overflow():
    x = ndl.Tensor(np.full(20000, 10), dtype="float16")
    assert ndl.ops.mean(x).item() == 10


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "where", "logical_and", "equal"])
def test_bools_behave_as_in_numpy(name):
    a, b = np.array([True, True, False]), np.array([True, False, False])
    arrays = (a, a, b) if name == "where" else (a, b)
    out, expected = getattr(ndl.ops, name)(*map(ndl.Tensor, arrays)), getattr(np, name)(*arrays)
    assert out.dtype == expected.dtype
    np.testing.assert_array_equal(out.numpy(), expected)


@pytest.mark.parametrize("name", ["exp", "sigmoid", "sqrt", "sum", "mean", "max", "logsumexp", "softmax", "logsoftmax"])
def test_functions_of_bools_are_those_of_zeros_and_ones(name):
    bools = np.array([True, True, False])
    function = getattr(ndl.ops, name)
    np.testing.assert_allclose(
        function(ndl.Tensor(bools)).numpy(), function(ndl.Tensor(bools.astype("float64"))).numpy(), rtol=1e-3
    )


# --------------------------------------------------------------------------------------------------------------------
# Numbers never promote


NUMBERS = [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.uint8(2)]
OPERATORS = {
    "x + n": lambda x, n: x + n,
    "n + x": lambda x, n: n + x,
    "x - n": lambda x, n: x - n,
    "n - x": lambda x, n: n - x,
    "x * n": lambda x, n: x * n,
    "n * x": lambda x, n: n * x,
    "x / n": lambda x, n: x / n,
    "n / x": lambda x, n: n / x,
    "x ** n": lambda x, n: x**n,
    "n ** x": lambda x, n: n**x,
}
FUNCTIONS_WITH_NUMBERS = {
    "add": (ndl.ops.add, np.add),
    "multiply": (ndl.ops.multiply, np.multiply),
    "divide": (ndl.ops.divide, np.divide),
    "power": (ndl.ops.power, np.power),
    "maximum": (ndl.ops.maximum, np.maximum),
    "where": (lambda x, n: ndl.ops.where(x > 1, x, n), lambda x, n: np.where(x > 1, x, n)),
    "clip": (lambda x, n: ndl.ops.clip(x, n, n + 1), lambda x, n: np.clip(x, n, n + 1)),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{type(n).__name__}({n})")
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_number_in_an_operator_keeps_the_dtype(operator, number, dtype):
    function = OPERATORS[operator]
    array = np.array([1.5, 2.0, 3.0], dtype)
    out = function(ndl.Tensor(array), number)
    assert out.dtype == dtype
    expected = function(array.astype("float64"), float(number))
    np.testing.assert_allclose(out.numpy(), expected, rtol=2 * ROUNDING.get(dtype, 1e-15))


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{type(n).__name__}({n})")
@pytest.mark.parametrize("name", FUNCTIONS_WITH_NUMBERS)
def test_a_number_in_a_function_keeps_the_dtype(name, number):
    function, reference = FUNCTIONS_WITH_NUMBERS[name]
    array = np.array([1.5, 2.0, 3.0], "float32")
    out = function(ndl.Tensor(array), number)
    assert out.dtype == "float32"
    np.testing.assert_allclose(out.numpy(), reference(array.astype("float64"), float(number)), rtol=1e-6)


@pytest.mark.parametrize("operator", ["x + n", "x - n", "n - x", "x * n"])
def test_unsigned_integers_wrap_as_in_numpy(operator):
    array = np.array([1, 5, 200], np.uint8)
    np.testing.assert_array_equal(OPERATORS[operator](ndl.Tensor(array), 3).numpy(), OPERATORS[operator](array, 3))


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "bool"])
def test_integers_have_gradients_too(dtype):
    x = ndl.Tensor([1, 0, 1], dtype=dtype)
    (x * 2.5 + x.astype("float64") * 0.25).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.75, 2.75, 2.75])
