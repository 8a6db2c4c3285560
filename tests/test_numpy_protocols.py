"""NumPy's protocols on Tensors: `out=`, `where=`, `dtype=`, methods of ufuncs, numbers and arrays on either side."""

import numpy as np
import pytest

import needle as ndl
import needle.numpy as ndlnp
from needle.transforms import grad, hessian, jvp, vmap

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
ROW = np.array([0.5, 2.0, -1.0])
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def agrees(function, *arrays) -> None:
    """The value is NumPy's, and the derivative that of central differences, in both modes."""
    tensors = [ndl.Tensor(array) for array in arrays]
    out, expected = function(*tensors), function(*arrays)
    assert isinstance(out, ndl.Tensor)
    assert out.shape == expected.shape and out.dtype == expected.dtype
    np.testing.assert_allclose(out.numpy(), expected, **CLOSE)
    weights = np.random.default_rng(0).normal(size=expected.shape)
    along = [np.random.default_rng(1).normal(size=a.shape) for a in arrays]

    def number(*arguments):
        return (function(*arguments) * weights).sum()

    step = 1e-6
    ahead, behind = (number(*[a + s * d for a, d in zip(arrays, along)]) for s in (step, -step))
    gradients = grad(number, argnums=tuple(range(len(arrays))))(*arrays)
    slope = sum((g * d).sum() for g, d in zip(gradients, along))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(jvp(number, arrays, tuple(along))[1], slope, rtol=1e-10)


# --------------------------------------------------------------------------------------------------------------------
# One op, however it is called


@pytest.mark.parametrize("name", "sin cos tan exp log sqrt square tanh arctan expm1 log1p".split())
def test_a_ufunc_is_the_op_of_that_name(name):
    x = ndl.Tensor([0.5, 0.75])
    assert type(getattr(np, name)(x).op) is type(getattr(ndl, name)(x).op)
    assert getattr(ndlnp, name) is getattr(np, name)


@pytest.mark.parametrize(
    "plain, ours",
    [(np.add(1.5, ndl.Tensor([1.0])), "AddScalar"), (np.multiply(ndl.Tensor([1.0]), np.float64(2)), "MulScalar")],
)
def test_a_number_beside_a_tensor_is_one_node(plain, ours):
    assert type(plain.op).__name__ == ours


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array([2.0])[0]])
def test_numbers_of_numpy_on_either_side_keep_float32(number):
    x = ndl.Tensor([1.0, 3.0], dtype="float32")
    for out in (number * x, x * number, number + x, x - number, number - x, x / number, number / x, x**number):
        assert isinstance(out, ndl.Tensor) and out.dtype == "float32"


def test_arrays_on_either_side_give_tensors():
    x = ndl.Tensor(ROW)
    for out in (ROW + x, x + ROW, ROW - x, ROW * x, ROW / x, X @ x, x @ X.T, ROW**2 * x, ROW % x, ROW // x):
        assert isinstance(out, ndl.Tensor)
    for out in (ROW < x, ROW == x, x >= ROW, ROW != x, np.less(2, x)):
        assert isinstance(out, ndl.Tensor) and out.dtype == bool and out.op is None


def test_operators_beyond_arithmetic():
    a, b = np.array([7, -3, 4]), np.array([2, 2, 3])
    x, y = ndl.Tensor(a), ndl.Tensor(b)
    for ours, theirs in [
        (x % y, a % b), (x // y, a // b), (7 % y, 7 % b), (x & y, a & b), (x | 1, a | 1), (x ^ y, a ^ b),
        (x << y, a << b), (x >> 1, a >> 1), (~x, ~a), (divmod(x, y)[1], divmod(a, b)[1]),
    ]:  # fmt: skip
        np.testing.assert_array_equal(ours.numpy(), theirs)
    assert 4 in x and 5 not in x


def test_bools_can_be_taken_from_numbers():
    x, few = ndl.Tensor(ROW), ndl.Tensor(ROW) > 0
    for ours, theirs in [(1 - few, 1 - (ROW > 0)), (x - few, ROW - (ROW > 0)), (1.5 - few, 1.5 - (ROW > 0))]:
        np.testing.assert_array_equal(ours.numpy(), theirs)
        assert ours.dtype == theirs.dtype
    with pytest.raises(TypeError, match="boolean"):
        few - few


UFUNCS = sorted({getattr(np, n).__name__ for n in dir(np) if isinstance(getattr(np, n), np.ufunc)} - {"isnat"})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "bool", "float16", "float32", "complex64"])
@pytest.mark.parametrize("name", [name for name in UFUNCS if getattr(np, name).signature is None])
def test_a_ufunc_gives_the_dtype_that_numpy_gives_or_its_error(name, dtype):
    ufunc = getattr(np, name)
    arrays = [np.array([1, 0, 3]).astype(dtype), np.array([2, 1, 2]).astype(dtype)][: ufunc.nin]
    try:
        expected = ufunc(*arrays)
    except (TypeError, ValueError) as error:
        with pytest.raises(TypeError if isinstance(error, TypeError) else ValueError):
            ufunc(*map(ndl.Tensor, arrays))
        return
    found = ufunc(*map(ndl.Tensor, arrays))
    for ours, theirs in zip(*[r if isinstance(r, tuple) else (r,) for r in (found, expected)], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-3 if dtype == "float16" else 1e-5)


# --------------------------------------------------------------------------------------------------------------------
# Arguments of ufuncs


def test_where_of_a_ufunc_computes_only_there():
    mask = X > 0
    out = np.log(ndl.Tensor(X), where=mask)
    np.testing.assert_allclose(out.numpy()[mask], np.log(X[mask]), **CLOSE)
    np.testing.assert_array_equal(grad(lambda x: np.log(x, where=mask).sum())(X), np.where(mask, 1 / X, 0))


def test_where_with_out_keeps_what_was_there():
    def f(x, y):
        out = y * 1.0
        return (np.multiply(x, x, out=out, where=X > 0) * out).sum()

    by_x, by_y = grad(f, argnums=(0, 1))(X, 3 * X)
    np.testing.assert_allclose(by_x, np.where(X > 0, 4 * X**3, 0))
    np.testing.assert_allclose(by_y, np.where(X > 0, 0, 6 * X))


def test_dtype_of_a_ufunc_is_the_dtype_in_which_it_computes():
    x = ndl.Tensor(X, dtype="float32")
    assert np.add(x, x, dtype="float64").dtype == "float64"
    assert np.sin(x, dtype="float64").numpy()[0, 0] == np.sin(np.float32(0.5), dtype="float64")
    assert grad(lambda x: np.exp(x, dtype="float64").sum())(X.astype("float32")).dtype == "float32"
    with pytest.raises(TypeError):
        np.add(ndl.Tensor(X), 1.0, dtype="int64")


def test_out_may_be_a_tensor():
    def f(x):
        out = ndlnp.empty((2, 3))
        assert np.square(x, out=out) is out
        return (out * ROW).sum()

    np.testing.assert_allclose(grad(f)(X), 2 * X * ROW)


def test_out_of_a_function_may_be_a_tensor():
    def f(x):
        out = ndlnp.zeros(3)
        np.sum(x * x, 0, None, out)
        return (out * ROW).sum()

    np.testing.assert_allclose(grad(f)(X), 2 * X * ROW)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, array: np.sin(t, out=array),
        lambda t, array: np.add(t, 1.0, array),
        lambda t, array: np.cumsum(t, axis=0, out=array),
        lambda t, array: np.clip(t, 0, 1, out=array),
        lambda t, array: np.add.accumulate(t, out=array),
    ],
)
def test_out_an_array_is_an_error_that_names_the_way_out(call):
    with pytest.raises(TypeError, match="leave it away"):
        call(ndl.Tensor(X), np.zeros(X.shape))


def test_adding_to_an_array_in_place_gives_a_tensor_and_the_array_the_values():
    def f(x):
        total = old = np.zeros(3)
        for row in x:
            total += row * row
        assert isinstance(total, ndl.Tensor)
        seen.append(old.copy())
        return (total * ROW).sum()

    seen = []
    np.testing.assert_allclose(grad(f)(X), 2 * X * ROW)
    np.testing.assert_allclose(seen[0], X[0] ** 2)  # the first sum: the name stood for another object afterwards
    np.testing.assert_allclose(hessian(lambda x: f(x))(X).sum(), 2 * 2 * ROW.sum())
    np.testing.assert_allclose(vmap(f)(np.stack([X, 2 * X])), [(X**2 @ ROW).sum(), 4 * (X**2 @ ROW).sum()])


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_an_array_of_whole_numbers_refuses_a_tensor_in_place(dtype):
    total = np.zeros(3, dtype)
    with pytest.raises(TypeError):
        total += ndl.Tensor(ROW)


def test_an_array_refuses_a_larger_tensor_in_place():
    total = np.zeros(3)
    with pytest.raises(ValueError):
        total += ndl.Tensor(X)


# --------------------------------------------------------------------------------------------------------------------
# Methods of ufuncs

POSITIVE = np.abs(X) + 0.1


@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.hypot, np.fmax, np.logaddexp2, np.subtract]
)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_reduce_and_accumulate(ufunc, axis):
    agrees(lambda x: ufunc.reduce(x, axis=axis), X)
    agrees(lambda x: ufunc.reduce(x, axis=axis, keepdims=True), X)
    agrees(lambda x: ufunc.accumulate(x, axis=axis), X)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.hypot])
def test_reduce_of_several_axes_and_from_a_start(ufunc):
    agrees(lambda x: ufunc.reduce(x, axis=(0, 2)), np.stack([POSITIVE, 2 * POSITIVE]))
    agrees(lambda x: ufunc.reduce(x, axis=None), POSITIVE)
    agrees(lambda x: ufunc.reduce(x, initial=1.75), POSITIVE)
    agrees(lambda x: ufunc.reduce(x), ROW)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.logaddexp])
def test_reduce_where(ufunc):
    agrees(lambda x: ufunc.reduce(x, axis=1, where=X > 0, initial=0.5), POSITIVE)


def test_reduce_in_another_dtype():
    assert np.add.reduce(ndl.Tensor(X, dtype="float32"), dtype="float64").dtype == "float64"


@pytest.mark.parametrize("ufunc", [np.logical_and, np.logical_or, np.bitwise_or, np.logical_xor])
def test_reduce_of_what_is_piecewise_constant(ufunc):
    a = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(ufunc.reduce(ndl.Tensor(a), axis=0).numpy(), ufunc.reduce(a, axis=0))


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.subtract, np.true_divide, np.arctan2, np.power])
def test_outer(ufunc):
    agrees(lambda a, b: ufunc.outer(a, b), POSITIVE, np.abs(ROW))


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.logaddexp])
def test_reduceat(ufunc):
    x = np.linspace(0.3, 2.0, 8)
    agrees(lambda x: ufunc.reduceat(x, [0, 4, 1, 5]), x)
    agrees(lambda x: ufunc.reduceat(x, np.array([0, 1]), axis=1), POSITIVE)
    with pytest.raises(IndexError):
        ufunc.reduceat(ndl.Tensor(x), [0, 8])


def test_at_is_an_error_that_names_the_way_out():
    with pytest.raises(TypeError, match="bincount"):
        np.add.at(ndl.Tensor(ROW), [0, 0], 1.0)
    with pytest.raises(TypeError, match="bincount"):
        np.add.at(np.zeros(3), [0, 0], ndl.Tensor([1.0, 2.0]))


# --------------------------------------------------------------------------------------------------------------------
# needle.numpy


def test_without_a_tensor_it_is_numpy():
    assert type(ndlnp.cumsum([1, 2])) is np.ndarray and type(ndlnp.array([1.0])) is np.ndarray
    assert type(ndlnp.zeros(3)) is np.ndarray and type(ndlnp.mean([1.0, 2.0])) is np.float64
    assert ndlnp.pi is np.pi and ndlnp.random is np.random and ndlnp.float32 is np.float32
    with pytest.raises(AttributeError, match="no attribute"):
        ndlnp.nothing_of_that_name  # noqa: B018


def test_a_function_is_the_one_that_numpy_reaches():
    assert ndlnp.concat is ndlnp.concatenate
    assert all(name in dir(ndlnp) for name in ("cumsum", "array", "linalg", "pi"))


def test_every_public_name_of_numpy_is_there():
    assert [name for name in np.__all__ if not hasattr(ndlnp, name)] == []


@pytest.mark.parametrize("make", ["zeros", "ones", "empty", "full", "eye", "zeros_like", "ones_like", "empty_like"])
def test_what_is_made_to_be_filled_is_a_tensor_while_something_is_differentiated(make):
    arguments = {"full": ((2,), 1.0), "eye": (2,)}.get(make, (X,) if make.endswith("like") else ((2, 2),))

    def f(x):
        y = getattr(ndlnp, make)(*arguments)
        y[...] = x
        return (y * y).sum()

    size = X.size if make.endswith("like") else 2 if make == "full" else 4
    np.testing.assert_allclose(grad(f)(3.0), 6 * size)
    np.testing.assert_allclose(jvp(f, (3.0,), (1.0,))[1], 6 * size)
    np.testing.assert_allclose(vmap(f)(np.array([1.0, 2.0])), [size, 4 * size])
    assert type(getattr(ndlnp, make)(*arguments)) is np.ndarray


def test_lists_that_hold_tensors_are_joined():
    def f(x):
        return (
            ndlnp.sum(ndlnp.array([x[0], x[1] ** 2, 3.0]))
            + ndlnp.mean([x[0], x[2]])
            + ndlnp.dot([x[0], 1.0], [2.0, x[1]])
        )

    np.testing.assert_allclose(grad(f)(ROW), [1 + 0.5 + 2, 2 * 2.0 + 1, 0.5])


# --------------------------------------------------------------------------------------------------------------------
# Traps


def test_a_product_with_zeros_is_right_to_second_order():
    x = np.array([0.0, 2.0, 3.0, 0.0])
    np.testing.assert_array_equal(grad(np.prod)(x), [0, 0, 0, 0])
    second = hessian(np.prod)(x)
    expected = np.zeros((4, 4))
    expected[0, 3] = expected[3, 0] = 6
    np.testing.assert_array_equal(second, expected)
    np.testing.assert_array_equal(grad(np.prod)(np.array([0.0, 2.0, 3.0])), [6, 0, 0])
    np.testing.assert_array_equal(grad(np.prod)(np.array([1e-200, 1e-200])), [1e-200, 1e-200])


def test_a_running_product_with_zeros_is_right_to_second_order():
    x = np.array([2.0, 0.0, 3.0, 4.0])
    last = lambda x: np.cumprod(x)[-1]
    np.testing.assert_array_equal(grad(last)(x), [0, 24, 0, 0])
    np.testing.assert_array_equal(hessian(last)(x)[1], [12, 0, 8, 6])


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.0, 1e20])
def test_the_deviation_of_constant_data_has_derivative_zero(value):
    x = np.full((2, 3), value)
    for f in (np.std, lambda x: np.std(x, axis=1, ddof=1).sum(), lambda x: np.std(x, where=X > 0), np.nanstd):
        np.testing.assert_array_equal(grad(f)(x), np.zeros((2, 3)))
        np.testing.assert_array_equal(jvp(f, (x,), (X,))[1], 0)
        assert np.isfinite(hessian(f)(x)).all()


def test_kinks_at_zero():
    zero = np.zeros(2)
    for f in (np.abs, np.fabs, np.sign, lambda x: np.hypot(x, 0 * x), lambda x: np.arctan2(x, 0 * x)):
        np.testing.assert_array_equal(grad(lambda x, f=f: f(x).sum())(zero), zero)
    np.testing.assert_array_equal(grad(lambda z: np.abs(z).sum())(zero + 0j), zero)


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_ties_are_shared(f):
    assert grad(f, argnums=(0, 1))(1.0, 1.0) == (0.5, 0.5)


def test_ties_of_a_reduction_are_shared():
    x = np.array([2.0, 1.0, 2.0, 2.0])
    for f in (np.max, np.nanmax, np.maximum.reduce):
        np.testing.assert_allclose(grad(f)(x), [1 / 3, 0, 1 / 3, 1 / 3])


def test_powers_at_zero():
    assert grad(lambda x: x**0)(0.0) == 0 and grad(lambda x: np.power(x, 1.0))(0.0) == 1
    assert grad(lambda x: np.power(x, np.array(2.0)))(0.0) == 0 and grad(lambda n: np.power(0.0, n))(2.0) == 0


def test_logaddexp_is_stable():
    for a, b, expected in [
        (1e4, 0.0, (1, 0)),
        (-1e4, 0.0, (0, 1)),
        (-np.inf, -np.inf, (0.5, 0.5)),
        (2.0, 2.0, (0.5, 0.5)),
    ]:
        assert grad(np.logaddexp, argnums=(0, 1))(a, b) == expected
    np.testing.assert_allclose(grad(grad(np.logaddexp))(1.0, 1.0), 0.25)


def test_sinc_is_smooth_at_zero():
    d1 = grad(np.sinc)
    d2, d4 = grad(d1), grad(grad(grad(d1)))
    assert d1(0.0) == 0
    np.testing.assert_allclose(d2(0.0), -(np.pi**2) / 3)
    np.testing.assert_allclose(d4(0.0), np.pi**4 / 5)
    np.testing.assert_allclose(d2(1e-4), d2(0.0), rtol=1e-6)


def test_nan_functions_leave_nan_out_of_the_derivative():
    x = np.array([1.0, np.nan, 3.0])
    for f, expected in [
        (np.nansum, [1, 0, 1]),
        (np.nanmean, [0.5, 0, 0.5]),
        (np.nanprod, [3, 0, 1]),
        (np.nanmax, [0, 0, 1]),
    ]:
        np.testing.assert_array_equal(grad(f)(x), expected)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_a_long_recurrence_is_the_short_one(n):
    x = np.random.default_rng(n).uniform(0.5, 1.5, n)
    x[n // 2] = 0
    by_rule = jvp(np.cumprod, (x,), (np.ones(n),))[1]
    step_by_step = _tangent_of_products(x)
    np.testing.assert_allclose(by_rule, step_by_step, rtol=1e-11, atol=1e-300)


def _tangent_of_products(x):
    value, tangent, found = 1.0, 0.0, []
    for factor in x:
        value, tangent = value * factor, tangent * factor + value
        found.append(tangent)
    return found
