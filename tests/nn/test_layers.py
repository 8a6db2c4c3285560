"""Layers beyond the course's: formulas in NumPy, finite differences, dtypes, memory layouts, generators."""

import numpy as np
import pytest

import needle as ndl
from needle import nn


def normal(*shape, seed=4):
    return np.random.default_rng(seed).normal(size=shape)


def tensor(*shape, dtype="float64", seed=4):
    return ndl.Tensor(normal(*shape, seed=seed), dtype=dtype)


def first(result):
    return result[0] if isinstance(result, tuple) else result


# name: (how to make it, the shape of its input)
LAYERS = {
    "Linear": (lambda **o: nn.Linear(4, 3, **o), (5, 4)),
    "Linear, 3-D": (lambda **o: nn.Linear(4, 3, **o), (2, 5, 4)),
    "Flatten": (lambda **o: nn.Flatten(**o), (3, 2, 2)),
    "GELU": (lambda **o: nn.GELU(**o), (5, 4)),
    "SiLU": (lambda **o: nn.SiLU(**o), (5, 4)),
    "Softplus": (lambda **o: nn.Softplus(**o), (5, 4)),
    "Softmax": (lambda **o: nn.Softmax(**o), (5, 4)),
    "LogSoftmax": (lambda **o: nn.LogSoftmax(dim=0, **o), (5, 4)),
    "LayerNorm1d": (lambda **o: nn.LayerNorm1d(4, **o), (5, 4)),
    "BatchNorm1d": (lambda **o: nn.BatchNorm1d(4, **o), (5, 4)),
    "BatchNorm2d": (lambda **o: nn.BatchNorm2d(3, **o), (2, 3, 4, 4)),
    "GroupNorm": (lambda **o: nn.GroupNorm(2, 4, **o), (3, 4, 2, 2)),
    "GroupNorm, 2-D": (lambda **o: nn.GroupNorm(2, 4, **o), (3, 4)),
    "Conv": (lambda **o: nn.Conv(2, 4, 3, stride=2, **o), (2, 2, 5, 6)),
    "Conv, no bias": (lambda **o: nn.Conv(2, 4, 3, bias=False, **o), (2, 2, 5, 5)),
    "Conv, groups": (lambda **o: nn.Conv(4, 6, 3, groups=2, padding=0, dilation=2, **o), (2, 4, 6, 6)),
    "ConvTranspose": (lambda **o: nn.ConvTranspose(2, 4, 3, stride=2, padding=1, output_padding=1, **o), (2, 2, 3, 4)),
    "ConvTranspose, groups": (lambda **o: nn.ConvTranspose(4, 6, 3, groups=2, **o), (2, 4, 3, 3)),
    "MaxPool": (lambda **o: nn.MaxPool(2, **o), (2, 3, 4, 4)),
    "AvgPool": (lambda **o: nn.AvgPool(3, stride=2, padding=1, **o), (2, 3, 5, 5)),
    "RNN": (lambda **o: nn.RNN(4, 3, 2, **o), (3, 2, 4)),
    "GRU": (lambda **o: nn.GRU(4, 3, 2, **o), (3, 2, 4)),
    "GRU, no bias": (lambda **o: nn.GRU(4, 3, bias=False, **o), (3, 2, 4)),
    "GRUCell": (lambda **o: nn.GRUCell(4, 3, **o), (2, 4)),
    "LSTM": (lambda **o: nn.LSTM(4, 3, 2, **o), (3, 2, 4)),
    "LSTM, no bias": (lambda **o: nn.LSTM(4, 3, bias=False, **o), (3, 2, 4)),
    "AttentionLayer": (lambda **o: nn.AttentionLayer(4, 2, 3, **o), (2, 3, 4)),
    "TransformerLayer": (lambda **o: nn.TransformerLayer(4, 2, 3, 5, **o), (2, 3, 4)),
    "Transformer": (lambda **o: nn.Transformer(4, 5, 1, num_head=2, dim_head=3, sequence_len=6, **o), (3, 2, 4)),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


@each_layer
def test_gradients_are_the_slopes(name):
    """The derivative along a direction of all inputs and parameters, against a central difference of error h²."""
    make, shape = LAYERS[name]
    module, x = make(dtype="float64"), tensor(*shape)
    weights = ndl.Tensor(normal(*first(module(x)).shape, seed=1), requires_grad=False)
    variables = [x, *module.parameters()]
    directions = [normal(*v.shape, seed=i) for i, v in enumerate(variables)]

    def value():
        return (first(module(x)) * weights).sum()

    value().backward()
    slope = sum((v.grad.numpy() * d).sum() for v, d in zip(variables, directions) if v.grad is not None)
    h, values = 1e-5, [v.numpy() for v in variables]
    ends = []
    for sign in (1, -1):
        for v, start, d in zip(variables, values, directions):
            v.data = ndl.Tensor(start + sign * h * d)
        ends.append(value().item())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-8)


@each_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept(name, dtype):
    make, shape = LAYERS[name]
    module, x = make(dtype=dtype), tensor(*shape, dtype=dtype)
    out = first(module(x))
    out.sum().backward()
    assert out.dtype == x.grad.dtype == dtype
    assert {p.grad.dtype.name for p in module.parameters()} <= {dtype}


@each_layer
def test_a_float32_module_takes_float64(name):
    make, shape = LAYERS[name]
    module, x = make(), tensor(*shape)
    out = first(module(x))
    out.sum().backward()
    assert out.dtype == "float64" and {p.grad.dtype.name for p in module.parameters()} <= {"float32"}
    module.eval()
    assert first(module(x)).dtype == "float64"


@each_layer
def test_memory_layout_does_not_matter(name):
    make, shape = LAYERS[name]
    module = make(dtype="float64")
    results = []
    for array in (normal(*shape), np.asfortranarray(normal(*shape))):
        x = ndl.Tensor(array)
        out = first(module(x))
        (out * out).sum().backward()
        results.append([out.numpy(), x.grad.numpy(), *[p.grad.numpy() for p in module.parameters()]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@each_layer
def test_a_second_derivative_exists(name):
    """The gradient of ⟨gradient, v⟩, against a central difference of the gradient along v."""
    make, shape = LAYERS[name]
    module, x, v = make(dtype="float64"), tensor(*shape), normal(*shape, seed=2)
    weights = ndl.Tensor(normal(*first(module(x)).shape, seed=1), requires_grad=False)

    def gradient(at):
        out = first(module(at))
        (out * out * weights).sum().backward()
        return at.grad

    (gradient(x) * v).sum().backward()
    found, h = x.grad.numpy(), 1e-5
    ends = [gradient(ndl.Tensor(normal(*shape) + sign * h * v)).numpy() for sign in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * h)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * max(1, np.abs(expected).max()))


def test_running_statistics_of_a_float32_norm_stay_float32():
    norm = nn.BatchNorm1d(3)
    norm(tensor(4, 3))
    assert norm.running_mean.dtype == norm.running_var.dtype == "float32"


def test_batch_norm_is_right_far_from_zero():
    """float32 holds 1000 ± 1 to 6e-5; a variance from mean squares would be wrong in the first digit."""
    x = (normal(4096, 8) + 1000).astype("float32")
    out = nn.BatchNorm1d(8)(ndl.Tensor(x)).numpy()
    exact = x.astype("float64")
    np.testing.assert_allclose(out, (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5), atol=2e-4)


def test_group_norm_normalizes_groups_of_channels():
    x = normal(2, 4, 3, 3)
    groups = x.reshape(2, 2, -1)
    expected = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    out = nn.GroupNorm(2, 4, dtype="float64")(ndl.Tensor(x))
    np.testing.assert_allclose(out.numpy(), expected.reshape(x.shape), rtol=1e-10)


def test_dropout_draws_from_its_own_generator():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    x = ndl.init.ones(30)
    draws = [nn.Dropout(0.5, generator=ndl.Generator(3))(x).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_causal_mask_hides_what_comes_later():
    attention = nn.AttentionLayer(4, 2, 3, dtype="float64")
    x = normal(1, 5, 4)
    before = attention(ndl.Tensor(x)).numpy()
    x[0, 3:] += 1
    np.testing.assert_allclose(attention(ndl.Tensor(x)).numpy()[0, :3], before[0, :3], rtol=1e-12)


# Losses


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
def test_softmax_loss_with_probabilities(shape):
    z, p = normal(*shape), softmax(normal(*shape, seed=1))
    loss = nn.SoftmaxLoss()(ndl.Tensor(z), ndl.Tensor(p))
    assert loss.item() == pytest.approx(-(p * np.log(softmax(z))).sum(-1).mean())


def test_softmax_loss_of_one_hot_probabilities_is_that_of_labels():
    z, y = tensor(5, 3), np.array([0, 2, 1, 1, 0])
    one_hot = nn.SoftmaxLoss()(z, ndl.Tensor(np.eye(3)[y]))
    assert one_hot.item() == pytest.approx(nn.SoftmaxLoss()(z, ndl.Tensor(y)).item())


EACH = {
    "MSELoss": (nn.MSELoss, {}, lambda x, y: (x - y) ** 2),
    "L1Loss": (nn.L1Loss, {}, lambda x, y: np.abs(x - y)),
    "HuberLoss": (
        nn.HuberLoss,
        {"delta": 0.7},
        lambda x, y: np.where(np.abs(x - y) <= 0.7, (x - y) ** 2 / 2, 0.7 * (np.abs(x - y) - 0.35)),
    ),
    "BCEWithLogitsLoss": (
        nn.BCEWithLogitsLoss,
        {},
        lambda x, y: -y * np.log(1 / (1 + np.exp(-x))) - (1 - y) * np.log(1 / (1 + np.exp(x))),
    ),
    "KLDivLoss": (nn.KLDivLoss, {}, lambda x, y: y * (np.log(y) - x)),
    "KLDivLoss, log": (nn.KLDivLoss, {"log_target": True}, lambda x, y: np.exp(y) * (y - x)),
}


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("reduction, reduce", [("mean", np.mean), ("sum", np.sum), ("none", lambda each: each)])
def test_loss(name, reduction, reduce):
    make, options, formula = EACH[name]
    x, y = normal(4, 3), np.abs(normal(4, 3, seed=1))
    loss = make(reduction, **options)(ndl.Tensor(x), ndl.Tensor(y))
    np.testing.assert_allclose(loss.numpy(), reduce(formula(x, y)), rtol=1e-10)


def test_kl_divergence_of_absent_classes_is_finite_and_so_is_its_gradient():
    x, y = ndl.Tensor([[-1.0, -2.0]]), ndl.Tensor([[1.0, 0.0]])
    loss = nn.KLDivLoss("batchmean")(x, y)
    loss.backward()
    assert loss.item() == 1.0
    np.testing.assert_array_equal(x.grad.numpy(), [[-1.0, 0.0]])
    assert np.isfinite(y.grad.numpy()).all()


def test_binary_cross_entropy_is_stable_at_large_logits():
    x = ndl.Tensor([1000.0, -1000.0])
    loss = nn.BCEWithLogitsLoss()(x, ndl.Tensor([0.0, 0.0]))
    loss.backward()
    assert loss.item() == 500
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, 0.0])


def test_lstm_takes_none_for_either_state():
    model, x = nn.LSTM(3, 4, 2), ndl.init.randn(5, 2, 3)
    zeros = ndl.init.zeros(2, 2, 4)
    for state in ((None, None), (zeros, None), (None, zeros)):
        np.testing.assert_array_equal(model(x, state)[0].numpy(), model(x)[0].numpy())
