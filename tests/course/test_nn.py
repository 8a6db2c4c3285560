"""needle.nn: Parameter and Module, and the layers of dense nets, each against its formula in NumPy."""

import numpy as np
import pytest

import needle as ndl
from needle import nn

from . import reference
from .finite_differences import (
    assert_curvature_along_two_directions,
    assert_first_and_second_derivatives,
    assert_slopes_along_a_direction,
)
from .signatures import assert_signature

# float32 carries 7 digits; sums over tens of terms, and squares of them, lose one or two.
FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}


def normal(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape)


def tensor(*shape, dtype="float32", seed=5):
    return ndl.Tensor(normal(*shape, seed=seed), dtype=dtype)


def assert_module_gradients(module, *inputs):
    """First and second derivatives in the inputs and every parameter, for a module in float64."""
    weights = ndl.Tensor(normal(*module(*inputs).shape, seed=6), requires_grad=False)
    tensors = [*inputs, *module.parameters()]
    assert_slopes_along_a_direction(lambda: (module(*inputs) * weights).sum(), tensors)
    assert_curvature_along_two_directions(lambda: (module(*inputs) ** 2 * weights).sum(), tensors)


# Parameter and Module


def test_a_parameter_is_a_tensor_that_requires_grad():
    parameter = nn.Parameter(ndl.Tensor([1.0, 2.0], dtype="float32"))
    assert isinstance(parameter, ndl.Tensor)
    assert parameter.requires_grad and parameter.op is None
    assert parameter.dtype == "float32"


def test_a_parameter_of_a_drawn_tensor_requires_grad():
    assert nn.Parameter(ndl.init.rand(2, 3)).requires_grad


def test_a_parameter_of_a_computed_tensor_is_a_leaf():
    parameter = nn.Parameter(ndl.init.rand(3, 1, requires_grad=True).transpose())
    assert parameter.op is None and parameter.requires_grad and parameter.shape == (1, 3)


def test_a_parameter_is_made_with_the_options_of_a_tensor():
    parameter = nn.Parameter(np.ones(3), device=ndl.cpu(), dtype="float32", requires_grad=True)
    assert (parameter.dtype, parameter.device) == ("float32", ndl.cpu())


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.tagged = {"first": nn.Linear(2, 3), "second": [nn.Parameter(ndl.init.ones(7))]}
        self.single = nn.Parameter(ndl.init.ones(8))
        self.listed = [nn.Linear(4, 5), (nn.Linear(6, 7, bias=False), nn.ReLU())]
        self.constant = ndl.init.ones(9)
        self.number = 3

    def forward(self, x, *, shift=0):
        return x + shift


def test_parameters_are_found_in_containers_in_the_order_of_the_attributes():
    parameters = Nested().parameters()
    assert isinstance(parameters, list)
    assert [p.shape for p in parameters] == [(2, 3), (1, 3), (7,), (8,), (4, 5), (1, 5), (6, 7)]
    assert all(isinstance(p, nn.Parameter) for p in parameters)


def test_the_order_of_parameters_is_that_of_dict_not_of_names():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.z = nn.Parameter(ndl.init.ones(1))
            self.a = nn.Parameter(ndl.init.ones(2))

    assert [p.shape for p in Backwards().parameters()] == [(1,), (2,)]


def test_children_are_the_modules_inside():
    module = Nested()
    children = module._children()
    for child in (module.tagged["first"], module.listed[0], module.listed[1][0], module.listed[1][1]):
        assert any(child is found for found in children)


def test_calling_a_module_is_its_forward():
    x = tensor(3)
    np.testing.assert_array_equal(Nested()(x, shift=2).numpy(), (x + 2).numpy())


def test_a_module_starts_in_training_mode():
    assert nn.Linear(1, 1).training is True


def test_train_and_eval_reach_every_depth():
    inner = Nested()
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Residual(nn.Sequential(nn.Linear(4, 4), nn.Dropout())), inner)
    modules = [
        model,
        *model.modules,
        model.modules[1].fn,
        *model.modules[1].fn.modules,
        inner.tagged["first"],
        inner.listed[0],
        *inner.listed[1],
    ]
    model.eval()
    assert [module.training for module in modules] == [False] * len(modules)
    model.train()
    assert [module.training for module in modules] == [True] * len(modules)


def test_a_parameter_replaced_by_a_plain_tensor_still_works():
    module = nn.Linear(2, 3)
    module.weight = tensor(2, 3)
    out = module(tensor(4, 2))
    out.backward()
    np.testing.assert_allclose(out.numpy(), normal(4, 2) @ normal(2, 3) + module.bias.numpy(), **FLOAT32)
    assert module.weight.grad.shape == (2, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: nn.Linear(2, 3, **options),
        lambda **options: nn.BatchNorm1d(3, **options),
        lambda **options: nn.BatchNorm2d(3, **options),
        lambda **options: nn.LayerNorm1d(3, **options),
        lambda **options: nn.Conv(2, 3, 3, **options),
        lambda **options: nn.RNNCell(2, 3, **options),
        lambda **options: nn.RNN(2, 3, **options),
        lambda **options: nn.LSTMCell(2, 3, **options),
        lambda **options: nn.LSTM(2, 3, **options),
        lambda **options: nn.Embedding(2, 3, **options),
        lambda **options: nn.AttentionLayer(4, 2, 3, **options),
        lambda **options: nn.TransformerLayer(4, 2, 3, 5, **options),
        lambda **options: nn.Transformer(4, 5, 2, **options),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_device_and_dtype_of_the_parameters(make, dtype):
    options = {} if dtype == "float32" else {"device": ndl.cpu(), "dtype": dtype}
    parameters = make(**options).parameters()
    assert [(p.device, p.dtype) for p in parameters] == [(ndl.cpu(), dtype)] * len(parameters)
    assert all(p.requires_grad and p.grad is None for p in parameters)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("Flatten", []),
        ("ReLU", []),
        ("Tanh", []),
        ("Sigmoid", []),
        ("Identity", []),
        ("Sequential", [nn.ReLU()]),
        ("Residual", [nn.ReLU()]),
        ("SoftmaxLoss", []),
        ("Dropout", [0.5]),
        ("MultiHeadAttention", []),
    ],
)
def test_modules_without_parameters_take_device_and_dtype_too(name, arguments):
    assert getattr(nn, name)(*arguments, device=ndl.cpu(), dtype="float32").parameters() == []


@pytest.mark.parametrize(
    "name, contract",
    [
        ("Linear", "in_features, out_features, bias=True, device=None, dtype='float32'"),
        ("Sequential", "*modules"),
        ("Residual", "fn"),
        ("BatchNorm1d", "dim, eps=1e-5, momentum=0.1, device=None, dtype='float32'"),
        ("BatchNorm2d", "dim, eps=1e-5, momentum=0.1, device=None, dtype='float32'"),
        ("LayerNorm1d", "dim, eps=1e-5, device=None, dtype='float32'"),
        ("Dropout", "p=0.5"),
        (
            "Conv",
            "in_channels, out_channels, kernel_size, stride=1, bias=True, device=None, dtype='float32'",
        ),
        ("RNNCell", "input_size, hidden_size, bias=True, nonlinearity='tanh', device=None, dtype='float32'"),
        (
            "RNN",
            "input_size, hidden_size, num_layers=1, bias=True, nonlinearity='tanh', device=None, dtype='float32'",
        ),
        ("LSTMCell", "input_size, hidden_size, bias=True, device=None, dtype='float32'"),
        ("LSTM", "input_size, hidden_size, num_layers=1, bias=True, device=None, dtype='float32'"),
        ("Embedding", "num_embeddings, embedding_dim, device=None, dtype='float32'"),
        ("MultiHeadAttention", "*, dropout=0.0, causal=False, device=None, dtype='float32'"),
        (
            "AttentionLayer",
            "q_features, num_head, dim_head, *, k_features=None, v_features=None, "
            "out_features=None, dropout=0.0, causal=True, device=None, dtype='float32'",
        ),
        (
            "TransformerLayer",
            "q_features, num_head, dim_head, hidden_size, *, dropout=0.0, causal=True, device=None, dtype='float32'",
        ),
        (
            "Transformer",
            "embedding_size, hidden_size, num_layers, *, num_head=8, dim_head=32, dropout=0.0, "
            "causal=True, device=None, dtype='float32', batch_first=False, sequence_len=2048",
        ),
    ],
)
def test_signature(name, contract):
    assert_signature(getattr(nn, name), contract)


@pytest.mark.parametrize(
    "name", ["Parameter", "Module", "Flatten", "ReLU", "Tanh", "Sigmoid", "Identity", "SoftmaxLoss"]
)
def test_name_is_in_nn(name):
    assert isinstance(getattr(nn, name), type)


# Linear


def test_linear_draws_its_weight_first_then_its_bias():
    np.random.seed(21)
    weight, bias = reference.draw_linear(7, 4)
    np.random.seed(21)
    module = nn.Linear(7, 4)
    assert [p.shape for p in module.parameters()] == [(7, 4), (1, 4)]
    np.testing.assert_array_equal(module.weight.numpy(), weight)
    np.testing.assert_array_equal(module.bias.numpy(), bias)


def test_linear_without_bias_draws_its_weight_only():
    np.random.seed(21)
    reference.draw_kaiming_uniform(7, 4)
    expected = np.random.rand()
    np.random.seed(21)
    module = nn.Linear(7, 4, bias=False)
    assert np.random.rand() == expected
    assert len(module.parameters()) == 1


@pytest.mark.parametrize("leading", [(3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_acts_on_the_last_axis(leading, bias):
    module = nn.Linear(5, 4, bias=bias)
    x = tensor(*leading, 5)
    expected = x.numpy() @ module.weight.numpy() + (module.bias.numpy()[0] if bias else 0)
    out = module(x)
    assert (out.shape, out.dtype) == ((*leading, 4), "float32")
    np.testing.assert_allclose(out.numpy(), expected, **FLOAT32)


@pytest.mark.parametrize("leading", [(3,), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_gradients(leading, bias):
    assert_module_gradients(nn.Linear(5, 4, bias=bias, dtype="float64"), tensor(*leading, 5, dtype="float64"))


def test_linear_takes_a_bias_of_shape_out():
    module = nn.Linear(5, 4)
    module.bias.data = tensor(4)
    out = module(tensor(3, 5))
    out.sum().backward()
    np.testing.assert_allclose(out.numpy(), normal(3, 5) @ module.weight.numpy() + normal(4), **FLOAT32)
    np.testing.assert_allclose(module.bias.grad.numpy(), [3] * 4)


# Without parameters


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 2), (3, 2, 1, 5)])
def test_flatten_keeps_the_first_axis(shape):
    x = tensor(*shape)
    out = nn.Flatten()(x)
    (out * out).sum().backward()
    np.testing.assert_array_equal(out.numpy(), x.numpy().reshape(3, -1))
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.numpy())


@pytest.mark.parametrize(
    "module, formula",
    [
        (nn.ReLU, reference.relu),
        (nn.Tanh, np.tanh),
        (nn.Sigmoid, reference.sigmoid),
        (nn.Identity, lambda x: x),
    ],
)
def test_activation(module, formula):
    x = tensor(3, 4)
    out = module()(x)
    assert out.dtype == "float32"
    np.testing.assert_allclose(out.numpy(), formula(x.numpy()), **FLOAT32)
    assert_module_gradients(module(), tensor(3, 4, dtype="float64"))


def test_sequential_keeps_its_modules_in_order():
    modules = [nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)]
    model = nn.Sequential(*modules)
    assert all(held is given for held, given in zip(model.modules, modules, strict=True))
    assert model.modules[2] is modules[2]
    assert [p.shape for p in model.parameters()] == [(5, 8), (1, 8), (8, 2), (1, 2)]


def test_sequential_applies_one_module_after_the_other():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
    w1, b1, w2, b2 = (p.numpy() for p in model.parameters())
    x = tensor(3, 5)
    np.testing.assert_allclose(model(x).numpy(), reference.relu(x.numpy() @ w1 + b1) @ w2 + b2, **FLOAT32)


def test_an_empty_sequential_is_the_identity():
    x = tensor(3)
    np.testing.assert_array_equal(nn.Sequential()(x).numpy(), x.numpy())


def test_residual_adds_its_input():
    layer = nn.Linear(4, 4)
    x = tensor(3, 4)
    np.testing.assert_allclose(nn.Residual(layer)(x).numpy(), x.numpy() + layer(x).numpy(), **FLOAT32)


def test_residual_gradients():
    module = nn.Residual(nn.Sequential(nn.Linear(4, 4, dtype="float64"), nn.Tanh()))
    assert_module_gradients(module, tensor(3, 4, dtype="float64"))


# SoftmaxLoss


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64"])
def test_softmax_loss_is_the_mean_cross_entropy_with_labels_of_any_dtype(dtype):
    labels = np.array([3, 0, 2, 3, 1])
    loss = nn.SoftmaxLoss()(tensor(5, 4), ndl.Tensor(labels, dtype=dtype))
    assert loss.shape == ()
    np.testing.assert_allclose(loss.numpy(), reference.softmax_loss(normal(5, 4), labels), rtol=1e-5)


def test_softmax_loss_of_float32_logits_is_float32():
    assert nn.SoftmaxLoss()(tensor(5, 4), ndl.Tensor([3, 0, 2, 3, 1])).dtype == "float32"


def test_softmax_loss_gradient():
    logits, labels = tensor(5, 4, dtype="float64"), np.array([3, 0, 2, 3, 1])
    nn.SoftmaxLoss()(logits, ndl.Tensor(labels)).backward()
    np.testing.assert_allclose(
        logits.grad.numpy(), reference.softmax_loss_gradient(logits.numpy(), labels), rtol=1e-10, atol=1e-15
    )


def test_softmax_loss_second_derivative():
    logits, labels = tensor(5, 4, dtype="float64"), ndl.Tensor([3, 0, 2, 3, 1])
    assert_curvature_along_two_directions(lambda: nn.SoftmaxLoss()(logits, labels), [logits])


def test_softmax_loss_of_equal_logits_is_log_n():
    loss = nn.SoftmaxLoss()(ndl.init.zeros(6, 10), ndl.Tensor(np.arange(6)))
    np.testing.assert_allclose(loss.numpy(), np.log(10), rtol=1e-6)


def test_softmax_loss_is_stable_at_large_logits():
    logits = ndl.Tensor([[1e4, 0.0], [0.0, 1e4]], dtype="float32")
    loss = nn.SoftmaxLoss()(logits, ndl.Tensor([0, 0]))
    loss.backward()
    np.testing.assert_allclose(loss.numpy(), 5e3)
    np.testing.assert_allclose(logits.grad.numpy(), [[0, 0], [-0.5, 0.5]], atol=1e-7)


# BatchNorm


def batch_norm_cases():
    return [(nn.BatchNorm1d, (6, 3), (0,), (1, 3)), (nn.BatchNorm2d, (4, 3, 2, 5), (0, 2, 3), (1, 3, 1, 1))]


each_batch_norm = pytest.mark.parametrize("module, shape, axes, wide", batch_norm_cases())


@each_batch_norm
def test_batch_norm_starts_with_ones_and_zeros_of_shape_dim(module, shape, axes, wide):
    norm = module(3)
    held = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    np.testing.assert_array_equal([value.numpy() for value in held], [[1] * 3, [0] * 3, [0] * 3, [1] * 3])
    assert [value.dtype for value in held] == ["float32"] * 4


@each_batch_norm
def test_running_values_of_batch_norm_are_plain_tensors(module, shape, axes, wide):
    norm = module(3)
    assert len(norm.parameters()) == 2
    assert norm.parameters()[0] is norm.weight and norm.parameters()[1] is norm.bias
    for value in (norm.running_mean, norm.running_var):
        assert isinstance(value, ndl.Tensor) and not isinstance(value, nn.Parameter)


@each_batch_norm
def test_batch_norm_normalizes_a_batch_in_training(module, shape, axes, wide):
    norm = module(3)
    norm.weight.data, norm.bias.data = tensor(3, seed=1), tensor(3, seed=2)
    x = tensor(*shape)
    expected = reference.normalize(normal(*shape), axes) * normal(3, seed=1).reshape(wide) + normal(3, seed=2).reshape(
        wide
    )
    out = norm(x)
    assert out.dtype == "float32"
    np.testing.assert_allclose(out.numpy(), expected, **FLOAT32)


@each_batch_norm
@pytest.mark.parametrize("momentum", [0.1, 0.3])
def test_running_values_move_towards_the_batch_with_its_biased_variance(module, shape, axes, wide, momentum):
    norm = module(3, momentum=momentum)
    mean, variance = np.zeros(3), np.ones(3)
    for seed in range(5):
        x = normal(*shape, seed=seed) * (seed + 1) + seed
        norm(ndl.Tensor(x, dtype="float32"))
        mean = (1 - momentum) * mean + momentum * x.mean(axis=axes)
        variance = (1 - momentum) * variance + momentum * x.var(axis=axes)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, **FLOAT32)
    np.testing.assert_allclose(norm.running_var.numpy(), variance, **FLOAT32)


@each_batch_norm
def test_running_values_hold_no_graph(module, shape, axes, wide):
    norm = module(3)
    for _ in range(3):
        norm(tensor(*shape)).sum().backward()
    for value in (norm.running_mean, norm.running_var):
        assert value.op is None and not value.requires_grad
        assert (value.shape, value.dtype) == ((3,), "float32")


@each_batch_norm
def test_batch_norm_uses_its_running_values_in_eval_mode(module, shape, axes, wide):
    norm = module(3, eps=1e-3)
    norm.running_mean, norm.running_var = tensor(3, seed=1), ndl.Tensor([0.5, 1.5, 2.5], dtype="float32")
    norm.eval()
    x = tensor(*shape)
    mean, variance = normal(3, seed=1).reshape(wide), np.array([0.5, 1.5, 2.5]).reshape(wide)
    np.testing.assert_allclose(norm(x).numpy(), (normal(*shape) - mean) / np.sqrt(variance + 1e-3), **FLOAT32)
    np.testing.assert_allclose(norm.running_mean.numpy(), normal(3, seed=1), rtol=1e-6)


@each_batch_norm
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batch_norm_gradients(module, shape, axes, wide, mode):
    norm = module(3, dtype="float64")
    norm.weight.data, norm.bias.data = tensor(3, seed=1, dtype="float64"), tensor(3, seed=2, dtype="float64")
    norm(tensor(*shape, dtype="float64", seed=3))
    getattr(norm, mode)()
    assert_module_gradients(norm, tensor(*shape, dtype="float64"))


def test_batch_norm_gradient_of_the_sum_of_squares_vanishes():
    """A normalised batch has mean 0 and variance 1 whatever its inputs: its sum of squares is nearly constant."""
    x = tensor(16, 3, dtype="float64")
    (nn.BatchNorm1d(3, eps=1e-12, dtype="float64")(x) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-9)


# LayerNorm


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
def test_layer_norm_normalizes_the_last_axis(shape):
    norm = nn.LayerNorm1d(6, eps=1e-3)
    norm.weight.data, norm.bias.data = tensor(6, seed=1), tensor(6, seed=2)
    expected = reference.normalize(normal(*shape), -1, 1e-3) * normal(6, seed=1) + normal(6, seed=2)
    out = norm(tensor(*shape))
    assert (out.shape, out.dtype) == (shape, "float32")
    np.testing.assert_allclose(out.numpy(), expected, **FLOAT32)


def test_layer_norm_has_parameters_of_shape_dim():
    norm = nn.LayerNorm1d(6)
    assert [p is held for p, held in zip(norm.parameters(), [norm.weight, norm.bias], strict=True)] == [True, True]
    np.testing.assert_array_equal([norm.weight.numpy(), norm.bias.numpy()], [[1] * 6, [0] * 6])


def test_layer_norm_is_the_same_in_eval_mode():
    norm, x = nn.LayerNorm1d(6), tensor(4, 6)
    before = norm(x).numpy()
    norm.eval()
    np.testing.assert_array_equal(norm(x).numpy(), before)


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
def test_layer_norm_gradients(shape):
    norm = nn.LayerNorm1d(6, dtype="float64")
    norm.weight.data = tensor(6, seed=1, dtype="float64")
    assert_module_gradients(norm, tensor(*shape, dtype="float64"))


# Dropout


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(50,), (6, 7), (2, 3, 4)])
def test_dropout_keeps_where_its_draw_is_at_most_the_complement(p, shape):
    x = tensor(*shape)
    np.random.seed(31)
    mask = np.random.rand(*shape) <= 1 - p
    after = np.random.rand()
    np.random.seed(31)
    out = nn.Dropout(p)(x)
    assert np.random.rand() == after
    assert out.dtype == "float32"
    np.testing.assert_allclose(out.numpy(), x.numpy() * mask / (1 - p), rtol=1e-6)


def test_dropout_gradient_is_the_mask():
    x = tensor(40)
    np.random.seed(31)
    mask = np.random.rand(40) <= 0.75
    np.random.seed(31)
    nn.Dropout(0.25)(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), mask / 0.75, rtol=1e-6)


def test_dropout_draws_anew_each_call():
    np.random.seed(31)
    dropout, x = nn.Dropout(), ndl.init.ones(50)
    assert (dropout(x).numpy() != dropout(x).numpy()).any()


def test_dropout_does_nothing_in_eval_mode():
    dropout, x = nn.Dropout(0.9), tensor(40)
    dropout.eval()
    np.testing.assert_array_equal(dropout(x).numpy(), x.numpy())


# Mixed precision


@pytest.mark.parametrize(
    "make, shape, formula",
    [
        (
            lambda: nn.Linear(6, 4),
            (5, 6),
            lambda x, m: x @ m.weight.numpy().astype(float) + m.bias.numpy(),
        ),
        (lambda: nn.BatchNorm1d(6), (5, 6), lambda x, m: reference.normalize(x, 0)),
        (lambda: nn.BatchNorm2d(3), (2, 3, 4, 4), lambda x, m: reference.normalize(x, (0, 2, 3))),
        (lambda: nn.LayerNorm1d(6), (5, 6), lambda x, m: reference.normalize(x, -1)),
        (lambda: nn.LayerNorm1d(6), (2, 5, 6), lambda x, m: reference.normalize(x, -1)),
        (
            lambda: nn.Conv(3, 2, 3),
            (2, 3, 5, 5),
            lambda x, m: reference.convolve_channels_first(x, m.weight.numpy().astype(float), m.bias.numpy()),
        ),
    ],
    ids=["Linear", "BatchNorm1d", "BatchNorm2d", "LayerNorm1d of 2 axes", "LayerNorm1d of 3 axes", "Conv"],
)
def test_a_float64_input_is_computed_in_float64_by_a_float32_module(make, shape, formula):
    module, x = make(), tensor(*shape, dtype="float64")
    out = module(x)
    out.backward()
    assert (out.dtype, x.grad.shape) == ("float64", shape)
    np.testing.assert_allclose(out.numpy(), formula(x.numpy(), module), rtol=1e-12, atol=1e-12)
    assert [p.grad.shape for p in module.parameters()] == [p.shape for p in module.parameters()]


# A net learns


def test_the_gradient_of_a_whole_net():
    np.random.seed(41)
    double = {"dtype": "float64"}
    block = nn.Sequential(nn.Linear(5, 5, **double), nn.BatchNorm1d(5, **double), nn.Tanh())
    model = nn.Sequential(
        nn.Linear(4, 5, **double), nn.Residual(block), nn.LayerNorm1d(5, **double), nn.Linear(5, 3, **double)
    )
    x, labels = tensor(6, 4, dtype="float64"), ndl.Tensor(np.arange(6) % 3)
    tensors = [x, *model.parameters()]
    assert_first_and_second_derivatives(lambda: nn.SoftmaxLoss()(model(x), labels), tensors)
