"""vmap: every op against a loop over the examples, in both orders with grad, and what users ask of a batch.

A batched op computes the same sums in another order at most: values agree to 1e-12 relative in float64.
"""

import itertools

import numpy as np
import pytest
from ops_table import cases

import needle as ndl
from needle import init, nn
from needle.transforms import grad, jvp, vjp, vmap

EXACT = {"rtol": 1e-12, "atol": 1e-12}
SIZE = 3


def combinations():
    """Every row and case with every choice of which arguments are batched (at least one)."""
    for row, case in cases():
        for axes in itertools.product([0, None], repeat=len(case.arguments)):
            mask = any(a.domain == "bool" and axis == 0 for a, axis in zip(case.arguments, axes))
            if any(axis == 0 for axis in axes) and not (row.name == "GetItem" and mask):  # tested below: an error
                yield pytest.param(row, case, axes, id=f"{row}: {case} {axes}")


every_combination = pytest.mark.parametrize("row, case, axes", list(combinations()))
differentiable = pytest.mark.parametrize(
    "row, case, axes", [p for p in combinations() if not p.values[0].constant and not p.values[1].empty]
)


def batches(case, axes, size=SIZE):
    """An array for each argument, with the examples along axis 0 where it is batched."""
    rng = np.random.default_rng(0)
    return [
        np.stack([a.draw(rng) for _ in range(size)]) if axis == 0 else a.draw(rng)
        for a, axis in zip(case.arguments, axes)
    ]


def example(arrays, axes, i):
    return [array[i] if axis == 0 else array for array, axis in zip(arrays, axes)]


def outputs(row, case):
    """The call of a row as a function that returns a tuple of Tensors."""

    def function(*tensors):
        out = row.call(case, *tensors)
        return tuple(out) if isinstance(out, ndl.TensorTuple) else (out,)

    return function


def scalar(row, case):
    """The call of a row reduced to a number, not linearly, so that second-order terms are seen."""

    def function(*tensors):
        out = outputs(row, case)(*tensors)
        return sum(((item * item).sum() + item.sum() * 0.5 for item in out[1:]), (out[0] * out[0]).sum() + out[0].sum())

    return function


def floats(case):
    return tuple(i for i, argument in enumerate(case.arguments) if argument.differentiable)


# --------------------------------------------------------------------------------------------------------------------
# Every op


@every_combination
def test_a_batch_is_the_loop_over_its_examples(row, case, axes):
    function, arrays = outputs(row, case), batches(case, axes)
    found = vmap(function, in_axes=axes)(*arrays)
    one = [function(*map(ndl.Tensor, example(arrays, axes, i))) for i in range(SIZE)]
    for out, expected in zip(found, zip(*one, strict=True), strict=True):
        expected = np.stack([item.numpy() for item in expected])
        assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(out, expected, **EXACT)


@every_combination
def test_a_batch_of_none_has_the_shape_and_dtype_of_an_example(row, case, axes):
    one = example(batches(case, axes, 1), axes, 0)
    none = [np.zeros((0, *array.shape), array.dtype) if axis == 0 else array for array, axis in zip(one, axes)]
    found = vmap(outputs(row, case), in_axes=axes)(*none)
    for out, expected in zip(found, outputs(row, case)(*map(ndl.Tensor, one)), strict=True):
        assert (out.shape, out.dtype) == ((0, *expected.shape), expected.dtype)


@differentiable
def test_gradients_of_a_batch_are_the_loop(row, case, axes):
    function, arrays, asked = scalar(row, case), batches(case, axes), floats(case)
    gradient = grad(function, asked)
    found = vmap(gradient, in_axes=axes)(*arrays)
    for i in range(SIZE):
        expected = gradient(*map(ndl.Tensor, example(arrays, axes, i)))
        for out, expect in zip(found, expected, strict=True):
            np.testing.assert_allclose(out[i], expect.numpy(), **EXACT)


@differentiable
def test_the_gradient_of_a_batched_function_is_that_of_the_loop(row, case, axes):
    function, arrays, asked = scalar(row, case), batches(case, axes), floats(case)

    def batched(*tensors):
        return vmap(function, in_axes=axes)(*tensors).sum()

    def loop(*tensors):
        return sum(
            (function(*[t[i] if axis == 0 else t for t, axis in zip(tensors, axes)]) for i in range(SIZE)),
            ndl.Tensor(0.0, requires_grad=False),
        )

    tensors = [ndl.Tensor(array, requires_grad=False) for array in arrays]
    for out, expect in zip(grad(batched, asked)(*tensors), grad(loop, asked)(*tensors), strict=True):
        np.testing.assert_allclose(out.numpy(), expect.numpy(), **EXACT)


@differentiable
def test_tangents_of_a_batch_are_a_batch_of_tangents(row, case, axes):
    """jvp of vmap and vmap of jvp against each other, and against a loop."""
    function, arrays = scalar(row, case), batches(case, axes)
    tangents = [np.cos(array) if array.dtype.kind == "f" else np.zeros_like(array) for array in arrays]

    def pushed(*both):
        count = len(both) // 2
        return jvp(function, both[:count], both[count:])[1]

    inside = vmap(pushed, in_axes=(*axes, *axes))(*arrays, *tangents)
    outside = jvp(vmap(function, in_axes=axes), tuple(arrays), tuple(tangents))[1]
    loop = [pushed(*example(arrays, axes, i), *example(tangents, axes, i)) for i in range(SIZE)]
    np.testing.assert_allclose(inside, loop, **EXACT)
    np.testing.assert_allclose(outside, loop, **EXACT)


@pytest.mark.parametrize("axes", [(0, 0), (None, 0)])
def test_a_mask_of_another_count_for_each_example_is_an_error(axes):
    a, mask = np.ones((2, 3)), np.array([[True, False, True], [True, True, True]])
    with pytest.raises(ValueError, match="boolean mask .* needle.where"):
        vmap(lambda a, mask: a[mask], in_axes=axes)(a if axes[0] == 0 else a[0], mask)


INDICES = [
    lambda a, i: a[i], lambda a, i: a[:, i], lambda a, i: a[..., i], lambda a, i: a[i, :, i], lambda a, i: a[1, :, i],
    lambda a, i: a[:, i, None, i], lambda a, i: a[None, :, i, i], lambda a, i: a[i, 0], lambda a, i: a[i, [[0], [2]]],
    lambda a, i: a[[1, 0], :, i], lambda a, i: a[::2, i, 1], lambda a, i: a[i, ..., i], lambda a, i: a[:, :, None, i],
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("shape", [(), (2,), (2, 2)])
def test_index_arrays_land_where_numpy_puts_them(index, axes, shape):
    rng = np.random.default_rng(0)
    a, i = rng.normal(size=(5, 3, 3, 3)), rng.integers(0, 3, (5, *shape))
    a, i = (x if axis == 0 else x[0] for x, axis in zip((a, i), axes))
    try:
        expected = [index(*example((a, i), axes, k)) for k in range(5)]
    except IndexError:  # the shapes do not broadcast
        return
    np.testing.assert_array_equal(vmap(index, in_axes=axes)(a, i), expected)
    slope = vmap(grad(lambda a, i: (index(a, i) ** 2).sum()), in_axes=axes)(a, i)
    for k in range(5):
        one, where = example((a, i), axes, k)
        expected = np.zeros(one.shape)
        np.add.at(expected, _entries(index, where), 2 * index(one, where))
        np.testing.assert_allclose(slope[k], expected, **EXACT)


def _entries(index, where):
    class Shown:
        def __getitem__(self, entries):
            return entries

    return index(Shown(), where)


# --------------------------------------------------------------------------------------------------------------------
# Axes and trees


def test_axes_may_be_any_and_negative():
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (-3, -2, -1, 0, 1, 2):
        out = vmap(lambda x: x * 2, in_axes=axis, out_axes=axis)(x)
        np.testing.assert_array_equal(out, x * 2)


def test_axes_may_be_trees_that_begin_like_the_arguments():
    d = {"a": np.arange(3.0), "b": (np.arange(6.0).reshape(2, 3), np.float64(2.0))}
    out = vmap(
        lambda d, c: {"sum": d["a"] + d["b"][0].sum() * d["b"][1] + c, "shared": d["b"][1]},
        in_axes=({"a": 0, "b": (1, None)}, None),
        out_axes={"sum": 0, "shared": None},
    )(d, 1.0)
    np.testing.assert_allclose(out["sum"], np.arange(3) + d["b"][0].sum(0) * 2 + 1)
    assert out["shared"] == 2.0


def test_keyword_arguments_are_mapped_over_their_first_axis():
    np.testing.assert_array_equal(vmap(lambda x, y: x * y.sum())(np.ones(2), y=np.ones((2, 3))), [3.0, 3.0])


def test_what_all_examples_share_is_repeated_or_left_whole():
    np.testing.assert_array_equal(vmap(lambda x: ndl.Tensor([1.0, 2.0]))(np.zeros(3)), [[1.0, 2.0]] * 3)
    assert vmap(lambda x, y: y, in_axes=(0, None), out_axes=None)(np.zeros(3), 5.0) == 5.0


def test_nested_vmap_takes_two_axes():
    x, y = np.arange(3.0), np.arange(4.0)
    outer = vmap(vmap(lambda a, b: a * b + a, in_axes=(None, 0)), in_axes=(0, None))(x, y)
    np.testing.assert_array_equal(outer, x[:, None] * y + x[:, None])


def test_numpy_in_numpy_out_and_tensors_in_tensors_out():
    assert type(vmap(lambda x: x + 1)(np.zeros(2))) is np.ndarray
    assert type(vmap(lambda x: x + 1)(ndl.Tensor([0.0]))) is ndl.Tensor
    assert vmap(lambda x: x + 1)(np.zeros(2, np.float32)).dtype == np.float32


def test_a_closed_over_weight_keeps_its_derivative():
    w = ndl.Tensor([1.0, 2.0])
    vmap(lambda x: (w * x).sum())(np.array([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [4.0, 6.0])


def test_no_grad_within_stops_the_derivative():
    def function(x):
        with ndl.no_grad():
            y = x * x
        return y * x

    np.testing.assert_array_equal(vmap(grad(function))(np.array([1.0, 2.0])), [1.0, 4.0])
    np.testing.assert_array_equal(grad(lambda x: vmap(function)(x).sum())(np.array([1.0, 2.0])), [1.0, 4.0])


def test_shape_and_dtype_are_those_of_one_example():
    seen = []
    vmap(lambda x: seen.append((x.shape, x.ndim, x.size, x.dtype, len(x))) or x)(np.zeros((5, 2, 3), np.float32))
    assert seen == [((2, 3), 2, 6, np.float32, 2)]


def test_whole_numbers_and_casts_go_through():
    x = np.array([[0.2, 1.7], [2.0, -3.4]])
    assert vmap(lambda x: x.astype("int64"))(x).dtype == np.int64
    np.testing.assert_array_equal(vmap(lambda x: x.astype("int64"))(x), x.astype(int))
    np.testing.assert_array_equal(
        vmap(lambda x: ndl.embedding_lookup(ndl.Tensor(np.eye(3)), x))(np.array([1.0, 2.0])), np.eye(3)[1:]
    )


def test_derivatives_nest_with_batches_both_ways_round():
    f = lambda x: ndl.sin(x) * x**2
    x = np.linspace(0.1, 1.0, 4)
    third = -np.cos(x) * x**2 - 6 * x * np.sin(x) + 6 * np.cos(x)
    tangent = lambda f: lambda x: jvp(f, (x,), (ndl.Tensor(1.0),))[1]
    np.testing.assert_allclose(vmap(grad(tangent(grad(f))))(x), third, rtol=1e-12)
    np.testing.assert_allclose(vmap(tangent(grad(grad(f))))(x), third, rtol=1e-12)
    np.testing.assert_allclose(grad(lambda x: vmap(tangent(grad(f)))(x).sum())(x), third, rtol=1e-12)
    np.testing.assert_allclose(vmap(lambda x: vjp(grad(grad(f)), x)[1](1.0)[0])(x), third, rtol=1e-12)


# --------------------------------------------------------------------------------------------------------------------
# A user's own op


class Cube(ndl.TensorOp):
    def compute(self, x):
        return x**3

    def gradient(self, out_grad, node):
        return out_grad * 3 * node.inputs[0] ** 2


class Halves(ndl.TensorTupleOp):
    def compute(self, x):
        return x[:1] ** 2, x[1:] ** 2

    def gradient(self, out_grad, node):
        return ndl.concatenate([out_grad[0], out_grad[1]]) * node.inputs[0] * 2


class Looks(ndl.TensorOp):
    """relu with a rule that asks for the value, as many course solutions do."""

    def compute(self, x):
        return np.maximum(x, 0)

    def gradient(self, out_grad, node):
        return out_grad * ndl.Tensor(node.inputs[0].realize_cached_data() > 0)


def test_a_users_op_needs_no_rule_for_batches():
    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    np.testing.assert_array_equal(vmap(Cube())(x), x**3)
    np.testing.assert_array_equal(vmap(grad(lambda x: Cube()(x).sum()))(x), 3 * x**2)
    np.testing.assert_array_equal(vmap(grad(lambda x: grad(lambda x: Cube()(x).sum())(x).sum()))(x), 6 * x)
    np.testing.assert_array_equal(grad(lambda x: vmap(Cube())(x).sum())(x), 3 * x**2)
    np.testing.assert_array_equal(vmap(lambda x: jvp(Cube(), (x,), (x,))[1])(x), 3 * x**3)
    np.testing.assert_array_equal(vmap(vmap(Cube()))(x), x**3)


def test_a_users_op_on_a_batch_of_none():
    assert vmap(Cube())(np.zeros((0, 2))).shape == (0, 2)
    assert [out.shape for out in vmap(lambda x: tuple(Halves()(x)))(np.zeros((0, 3)))] == [(0, 1), (0, 2)]


def test_a_users_op_with_several_results():
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    first, second = vmap(lambda x: tuple(Halves()(x)))(x)
    np.testing.assert_array_equal(np.concatenate([first, second], 1), x**2)
    np.testing.assert_array_equal(vmap(grad(lambda x: Halves()(x)[1].sum()))(x), x * [0, 2, 2])


def test_a_rule_that_asks_for_a_value_is_used_example_by_example():
    x = np.array([[1.0, -2.0], [-3.0, 4.0]])
    function = lambda x: (Looks()(x) * x).sum()
    np.testing.assert_array_equal(vmap(grad(function))(x), 2 * np.maximum(x, 0))
    np.testing.assert_array_equal(grad(lambda x: vmap(function)(x).sum())(x), 2 * np.maximum(x, 0))
    np.testing.assert_array_equal(vmap(vmap(grad(lambda x: Looks()(x) * x)))(x), 2 * np.maximum(x, 0))
    np.testing.assert_array_equal(vmap(lambda x: jvp(function, (x,), (x,))[1])(x), 2 * (np.maximum(x, 0) ** 2).sum(1))


def test_the_second_derivative_of_such_a_rule_says_how_to_write_it():
    function = lambda x: (Looks()(x) * x).sum()
    with pytest.raises(TypeError, match="a rule of Looks asks for values.*Tensor ops"):
        vmap(grad(lambda x: grad(function)(x).sum()))(np.ones((2, 2)))


# --------------------------------------------------------------------------------------------------------------------
# Nets


def loss(model, x, label):
    return nn.SoftmaxLoss()(model(x.reshape((1, *x.shape))), label.reshape((1,)))


def data(shape=(5,), classes=3, count=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *shape)), rng.integers(0, classes, count)


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.LayerNorm1d(4), nn.Linear(4, 3)), (5,)),
    "cnn": (
        lambda: nn.Sequential(nn.Conv(2, 4, 3), nn.ReLU(), nn.MaxPool(2), nn.Flatten(), nn.Linear(4 * 2 * 2, 3)),
        (2, 4, 4),
    ),
    "grouped": (
        lambda: nn.Sequential(nn.Conv(2, 4, 3, groups=2, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 2 * 2, 3)),
        (2, 4, 4),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_each_example_are_those_of_the_loop(name):
    make, shape = NETS[name]
    model = make().to("float64")
    x, labels = data(shape)
    found = vmap(grad(loss), in_axes=(None, 0, 0))(model, x, labels)
    for i in range(len(x)):
        one = grad(loss)(model, ndl.Tensor(x[i]), ndl.Tensor(labels[i]))
        for batch, alone in zip(found.parameters(), one.parameters(), strict=True):
            np.testing.assert_allclose(batch.numpy()[i], alone.numpy(), rtol=1e-10, atol=1e-12)


def test_an_ensemble_is_a_module_with_stacked_weights():
    models = [nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).to("float64") for _ in range(3)]
    stacked = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).to("float64")
    for parameter, *each in zip(stacked.parameters(), *[model.parameters() for model in models], strict=True):
        parameter.data = ndl.Tensor(np.stack([p.numpy() for p in each]))
    x = np.random.default_rng(0).normal(size=(7, 5))
    out = vmap(lambda model, x: model(x), in_axes=(0, None))(stacked, ndl.Tensor(x))
    for i, model in enumerate(models):
        np.testing.assert_allclose(out.numpy()[i], model(ndl.Tensor(x)).numpy(), rtol=1e-12)
    out.sum().backward()
    assert all(p.grad.shape == p.shape for p in stacked.parameters())


def test_a_module_that_all_examples_share_still_gets_its_grad():
    model = nn.Linear(2, 1)
    vmap(lambda model, x: model(x).sum(), in_axes=(None, 0))(model, np.ones((3, 2), np.float32)).sum().backward()
    np.testing.assert_allclose(model.weight.grad.numpy(), [[3.0], [3.0]])


def test_running_statistics_of_each_example_are_not_stored():
    model = nn.BatchNorm1d(2)
    with pytest.raises(TypeError, match=r"from inside vmap.*\.eval\(\)"):
        vmap(lambda x: model(x))(np.ones((3, 4, 2), np.float32))
    assert vmap(lambda x: model.eval()(x))(np.ones((3, 4, 2), np.float32)).shape == (3, 4, 2)


# --------------------------------------------------------------------------------------------------------------------
# Randomness


def test_random_numbers_are_drawn_for_each_example_or_shared():
    draw = lambda x: x + init.randn(2, dtype="float64")
    np.random.seed(3)
    each = vmap(draw)(np.zeros(4))
    np.random.seed(3)
    np.testing.assert_array_equal(each, np.random.randn(4, 2))
    shared = vmap(draw, randomness="same")(np.zeros(4))
    assert (shared == shared[0]).all()


def test_the_innermost_vmap_that_says_different_draws():
    out = vmap(vmap(lambda x: x + init.rand(dtype="float64")), randomness="same")(np.zeros((3, 4)))
    assert (out == out[0]).all() and len(np.unique(out)) == 4
    assert len(np.unique(vmap(vmap(lambda x: x + init.rand(dtype="float64")))(np.zeros((3, 4))))) == 12


def test_dropout_drops_for_each_example():
    x = np.ones((50, 20), np.float32)
    out = vmap(nn.Dropout(0.5))(x)
    assert not (out == out[0]).all() and set(np.unique(out)) == {0.0, 2.0}
    shared = vmap(nn.Dropout(0.5), randomness="same")(x)
    assert (shared == shared[0]).all()


# --------------------------------------------------------------------------------------------------------------------
# Mistakes


@pytest.mark.parametrize(
    "mistake, error, message",
    [
        (lambda: vmap(lambda x: x if x > 0 else -x)(np.ones(3)), TypeError, "asked for inside vmap.*needle.where"),
        (lambda: vmap(lambda x: float(x))(np.ones(3)), TypeError, "asked for inside vmap"),
        (lambda: vmap(lambda x: x.numpy())(np.ones(3)), TypeError, "asked for inside vmap"),
        (
            lambda: vmap(lambda x, y: x)(np.ones(3), np.ones(4)),
            ValueError,
            r"one length.*3 \(axis 0 of argument 0.*4 \(",
        ),
        (lambda: vmap(lambda x: x)(2.0), ValueError, r"axis 0 of argument 0, which has shape \(\).*None"),
        (lambda: vmap(lambda x: x, in_axes=2)(np.ones((2, 2))), ValueError, "axis 2 of argument 0"),
        (lambda: vmap(lambda x: x, in_axes=None)(2.0), ValueError, "at least one argument"),
        (lambda: vmap(lambda x, y: x, in_axes=(0,))(np.ones(2), np.ones(2)), ValueError, "1 entries for 2 arguments"),
        (lambda: vmap(lambda d: d, in_axes=({"a": 0},))({"b": np.ones(2)}), ValueError, r"in_axes\[0\].*'b'.*'a'"),
        (lambda: vmap(lambda x: x, out_axes=2)(np.ones(3)), ValueError, r"axis 2 of a result of shape \(3,\)"),
        (lambda: vmap(lambda x: x, out_axes=None)(np.ones(3)), ValueError, "differs between examples"),
        (lambda: vmap(lambda x: "a")(np.ones(3)), TypeError, "vmap returns.*str"),
        (lambda: vmap(lambda x: x, randomness="error"), ValueError, "different.*same.*error"),
    ],
)
def test_mistakes_are_named(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()


def test_a_value_that_outlives_its_vmap_is_refused():
    kept = []
    vmap(lambda x: kept.append(x) or x)(np.ones(3))
    with pytest.raises(RuntimeError, match="after vmap had ended"):
        kept[0] + 1
