"""needle.init: every draw is the stated formula on NumPy's global random state, in float64, cast afterwards."""

import numpy as np
import pytest

import needle as ndl
from needle import init

from .signatures import assert_signature

NAMES = (
    "rand randn constant ones zeros randb one_hot zeros_like ones_like "
    "xavier_uniform xavier_normal kaiming_uniform kaiming_normal"
).split()


def uniform(low, high, shape):
    return np.random.rand(*shape) * (high - low) + low


def gaussian(mean, std, shape):
    return np.random.randn(*shape) * std + mean


DRAWS = [
    (lambda **options: init.rand(3, 4, **options), lambda: uniform(0.0, 1.0, (3, 4))),
    (lambda **options: init.rand(3, 4, low=-2.5, high=0.3, **options), lambda: uniform(-2.5, 0.3, (3, 4))),
    (lambda **options: init.rand(5, low=-1, high=1, **options), lambda: uniform(-1, 1, (5,))),
    (lambda **options: init.rand(2, 3, 4, 5, **options), lambda: uniform(0.0, 1.0, (2, 3, 4, 5))),
    (lambda **options: init.randn(3, 4, **options), lambda: gaussian(0.0, 1.0, (3, 4))),
    (lambda **options: init.randn(3, 4, mean=-0.7, std=0.1, **options), lambda: gaussian(-0.7, 0.1, (3, 4))),
    (lambda **options: init.randn(6, std=3, **options), lambda: gaussian(0.0, 3, (6,))),
]

FANS = [
    (
        lambda **options: init.xavier_uniform(3, 5, **options),
        lambda: uniform(-np.sqrt(6 / 8), np.sqrt(6 / 8), (3, 5)),
    ),
    (
        lambda **options: init.xavier_uniform(3, 5, gain=1.5, **options),
        lambda: uniform(-1.5 * np.sqrt(6 / 8), 1.5 * np.sqrt(6 / 8), (3, 5)),
    ),
    (lambda **options: init.xavier_normal(3, 5, **options), lambda: gaussian(0.0, np.sqrt(2 / 8), (3, 5))),
    (
        lambda **options: init.xavier_normal(3, 5, gain=0.33, **options),
        lambda: gaussian(0.0, 0.33 * np.sqrt(2 / 8), (3, 5)),
    ),
    (
        lambda **options: init.kaiming_uniform(3, 5, **options),
        lambda: uniform(-np.sqrt(2) * np.sqrt(3 / 3), np.sqrt(2) * np.sqrt(3 / 3), (3, 5)),
    ),
    (
        lambda **options: init.kaiming_uniform(7, 5, nonlinearity="relu", **options),
        lambda: uniform(-np.sqrt(2) * np.sqrt(3 / 7), np.sqrt(2) * np.sqrt(3 / 7), (7, 5)),
    ),
    (
        lambda **options: init.kaiming_uniform(18, 27, shape=(3, 3, 2, 3), **options),
        lambda: uniform(-np.sqrt(2) * np.sqrt(3 / 18), np.sqrt(2) * np.sqrt(3 / 18), (3, 3, 2, 3)),
    ),
    (lambda **options: init.kaiming_normal(3, 5, **options), lambda: gaussian(0.0, np.sqrt(2) / np.sqrt(3), (3, 5))),
    (
        lambda **options: init.kaiming_normal(18, 27, shape=(2, 9), **options),
        lambda: gaussian(0.0, np.sqrt(2) / np.sqrt(18), (2, 9)),
    ),
]


@pytest.mark.parametrize("draw, formula", DRAWS + FANS)
def test_a_draw_is_bit_equal_to_its_formula_cast_to_float32(draw, formula):
    np.random.seed(0)
    expected = formula().astype("float32")
    np.random.seed(0)
    drawn = draw()
    assert drawn.dtype == "float32"
    np.testing.assert_array_equal(drawn.numpy(), expected)


@pytest.mark.parametrize("draw, formula", DRAWS)
def test_a_draw_is_bit_equal_to_its_formula_in_float64(draw, formula):
    np.random.seed(1)
    expected = formula()
    np.random.seed(1)
    np.testing.assert_array_equal(draw(dtype="float64").numpy(), expected)


@pytest.mark.parametrize("draw, formula", FANS)
def test_a_fan_draw_equals_its_formula_in_float64(draw, formula):
    np.random.seed(1)
    expected = formula()
    np.random.seed(1)
    # The bound may be rounded once more or less, √2·√(3/n) or √(6/n): a few units in the last place.
    np.testing.assert_allclose(draw(dtype="float64").numpy(), expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("draw, formula", DRAWS + FANS)
def test_nothing_else_is_drawn(draw, formula):
    np.random.seed(2)
    formula()
    expected = np.random.rand()
    np.random.seed(2)
    draw()
    assert np.random.rand() == expected


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_randb_is_where_a_uniform_draw_is_at_most_p(p):
    np.random.seed(3)
    expected = np.random.rand(4, 5) <= p
    np.random.seed(3)
    drawn = init.randb(4, 5, p=p)
    assert drawn.dtype == "bool"
    np.testing.assert_array_equal(drawn.numpy(), expected)


def test_randb_has_probability_one_half_and_may_be_cast():
    np.random.seed(3)
    expected = (np.random.rand(4, 5) <= 0.5).astype("float32")
    np.random.seed(3)
    drawn = init.randb(4, 5, dtype="float32")
    assert drawn.dtype == "float32"
    np.testing.assert_array_equal(drawn.numpy(), expected)


@pytest.mark.parametrize(
    "made, expected",
    [
        (lambda **options: init.constant(2, 3, c=7.5, **options), np.full((2, 3), 7.5)),
        (lambda **options: init.constant(2, 3, **options), np.ones((2, 3))),
        (lambda **options: init.ones(4, **options), np.ones(4)),
        (lambda **options: init.zeros(2, 1, 3, **options), np.zeros((2, 1, 3))),
        (lambda **options: ndl.ones(2, 2, **options), np.ones((2, 2))),
        (lambda **options: ndl.zeros(2, 2, **options), np.zeros((2, 2))),
        (lambda **options: init.one_hot(4, ndl.Tensor([2, 0, 3]), **options), np.eye(4)[[2, 0, 3]]),
        (lambda **options: init.one_hot(4, ndl.Tensor([2.0, 0.0]), **options), np.eye(4)[[2, 0]]),
        (lambda **options: init.one_hot(3, ndl.Tensor([[0, 1], [2, 2]]), **options), np.eye(3)[[[0, 1], [2, 2]]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_without_chance(made, expected, dtype):
    options = {} if dtype == "float32" else {"dtype": dtype}
    out = made(**options)
    assert (out.dtype, out.shape) == (dtype, expected.shape)
    np.testing.assert_array_equal(out.numpy(), expected)


@pytest.mark.parametrize(
    "made, value", [(init.zeros_like, 0), (init.ones_like, 1), (ndl.zeros_like, 0), (ndl.ones_like, 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_like_keeps_shape_dtype_and_device(made, value, dtype):
    model = ndl.Tensor([[1, 2, 3]], dtype=dtype)
    out = made(model)
    assert (out.shape, out.dtype, out.device) == ((1, 3), dtype, model.device)
    np.testing.assert_array_equal(out.numpy(), [[value] * 3])


ALL = [
    lambda **options: init.rand(2, **options),
    lambda **options: init.randn(2, **options),
    lambda **options: init.randb(2, dtype="float32", **options),
    lambda **options: init.constant(2, **options),
    lambda **options: init.ones(2, **options),
    lambda **options: init.zeros(2, **options),
    lambda **options: init.one_hot(2, ndl.Tensor([1]), **options),
    lambda **options: init.zeros_like(ndl.Tensor([1.0]), **options),
    lambda **options: init.ones_like(ndl.Tensor([1.0]), **options),
    lambda **options: init.xavier_uniform(2, 2, **options),
    lambda **options: init.xavier_normal(2, 2, **options),
    lambda **options: init.kaiming_uniform(2, 2, **options),
    lambda **options: init.kaiming_normal(2, 2, **options),
]


@pytest.mark.parametrize("made", ALL)
def test_requires_grad_is_false_unless_asked_for(made):
    assert [made().requires_grad, made(requires_grad=True).requires_grad] == [False, True]


@pytest.mark.parametrize("made", ALL)
def test_the_result_is_a_leaf_on_the_device(made):
    out = made(device=ndl.cpu())
    assert isinstance(out, ndl.Tensor)
    assert out.op is None and out.device == ndl.cpu()


@pytest.mark.parametrize("name", NAMES)
def test_name_is_in_init(name):
    assert callable(getattr(init, name))


@pytest.mark.parametrize(
    "name, contract",
    [
        ("rand", "*shape, low=0.0, high=1.0, device=None, dtype='float32', requires_grad=False"),
        ("randn", "*shape, mean=0.0, std=1.0, device=None, dtype='float32', requires_grad=False"),
        ("constant", "*shape, c=1.0, device=None, dtype='float32', requires_grad=False"),
        ("ones", "*shape, device=None, dtype='float32', requires_grad=False"),
        ("zeros", "*shape, device=None, dtype='float32', requires_grad=False"),
        ("randb", "*shape, p=0.5, device=None, dtype='bool', requires_grad=False"),
        ("xavier_uniform", "fan_in, fan_out, gain=1.0"),
        ("xavier_normal", "fan_in, fan_out, gain=1.0"),
        ("kaiming_uniform", "fan_in, fan_out, shape=None, nonlinearity='relu'"),
        ("one_hot", "n, i"),
        ("zeros_like", "array"),
        ("ones_like", "array"),
    ],
)
def test_signature(name, contract):
    assert_signature(getattr(init, name), contract)
