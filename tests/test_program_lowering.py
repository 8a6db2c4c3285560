"""What ops record: simple instructions that passes know, with the values and derivatives that they have in eager."""

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.program.functions import Call, Empty, Windows


def randn(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def gradients_of(run, parameters):
    """`run()` with the gradients of its weighted sum, as a step that `jit` takes."""

    def step():
        for parameter in parameters:
            parameter.grad = None
        outputs = run()
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        total = sum((y * ndl.Tensor(randn(*y.shape), requires_grad=False)).sum() for y in outputs)
        total.backward()
        return [*outputs, *[parameter.grad for parameter in parameters if parameter.grad is not None]]

    return step


def opaque(compiled) -> set[str]:
    """The functions of which the program of a compiled function knows nothing."""
    program = compiled._entries[0].captured.program
    return {i.function.function.__name__ for i in program if isinstance(i.function, Call)}


def check(run, tensors, allowed=()):
    """Compiled, `run` gives what it gives in eager, and has no opaque calls but the allowed ones."""
    step = gradients_of(run, tensors)
    expected = [y.numpy() for y in step()]
    compiled = ndl.jit(step, backend="numpy")
    for _ in range(2):
        for y, z in zip(compiled(), expected, strict=True):
            np.testing.assert_allclose(y.numpy(), z, rtol=2e-4, atol=2e-5)  # float32, in another order
    assert opaque(compiled) <= set(allowed)


LAYERS = {
    "Conv": (lambda: nn.Conv(3, 8, 3, stride=2), (4, 3, 9, 8)),
    "Conv with short rows": (lambda: nn.Conv(1, 4, 3), (2, 1, 6, 6)),
    "Conv of large steps": (lambda: nn.Conv(2, 4, 2, stride=3), (2, 2, 8, 8)),
    "Conv, dilated": (lambda: nn.Conv(2, 4, 3, dilation=2), (2, 2, 8, 8)),
    "Conv in groups": (lambda: nn.Conv(4, 4, 3, groups=2), (2, 4, 6, 6)),
    "ConvTranspose": (lambda: nn.ConvTranspose(4, 2, 3, stride=2), (2, 4, 5, 5)),
    "LayerNorm1d": (lambda: nn.LayerNorm1d(12), (5, 12)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(6), (4, 6, 3, 3)),
    "Softmax": (lambda: nn.Softmax() if hasattr(nn, "Softmax") else ndl.ops.softmax, (3, 5)),
    "Linear": (lambda: nn.Linear(6, 4), (2, 3, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_record_simple_instructions(name):
    make, shape = LAYERS[name]
    layer, x = make(), ndl.Tensor(randn(*shape))
    parameters = layer.parameters() if isinstance(layer, nn.Module) else []
    check(lambda: layer(x), [x, *parameters])


def test_a_convolution_with_too_many_windows_is_one_call(monkeypatch):
    monkeypatch.setattr(ndl.ops.convolution, "RECORDED", 100)
    layer, x = nn.Conv(2, 4, 3), ndl.Tensor(randn(2, 2, 6, 6))
    check(lambda: layer(x), [x, *layer.parameters()], allowed={"ConvWithBias", "ConvKernel", "ConvTranspose"})


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("used", ["outputs", "state", "both"])
def test_lstm_records_its_steps(bias, used):
    layer = nn.LSTM(5, 4, bias=bias)
    x, h, c = ndl.Tensor(randn(3, 2, 5)), ndl.Tensor(randn(1, 2, 4)), ndl.Tensor(randn(1, 2, 4) / 2)

    def run():
        outputs, (_, cell) = layer(x, (h, c))
        return {"outputs": outputs, "state": cell, "both": (outputs, cell)}[used]

    check(run, [x, h, c, *layer.parameters()], allowed={"stack", "concatenate"})


def test_a_long_lstm_is_one_call(monkeypatch):
    monkeypatch.setattr("needle.nn.lstm_program.STEPS", 2)
    layer, x = nn.LSTM(5, 4), ndl.Tensor(randn(3, 2, 5))
    check(lambda: layer(x)[0], [x, *layer.parameters()], allowed={"LSTMSequence", "FusedAdjoint"})


@pytest.mark.parametrize("classes", [7, 300])
def test_cross_entropy(classes):
    logits = ndl.Tensor(randn(6, classes))
    labels = ndl.Tensor(np.arange(6) * 31 % classes, requires_grad=False)
    allowed = {"SoftmaxLoss", *(["getitem", "_assigned"] if classes == 300 else [])}  # the first checks the labels
    check(lambda: nn.SoftmaxLoss()(logits, labels), [logits], allowed)


def test_a_laplacian_in_a_loss():
    weights = [ndl.Tensor(randn(2, 8)), ndl.Tensor(randn(8, 1))]
    points = ndl.Tensor(randn(10, 2), requires_grad=False)

    def field(x):
        return (ndl.tanh(x @ weights[0]) @ weights[1])[..., 0]

    check(lambda: ndl.laplacian(field)(points), weights)


def test_softmax_of_infinite_numbers():
    x = np.array([[np.inf, 0.0], [-np.inf, -np.inf], [-np.inf, 1.0]])
    with np.errstate(all="ignore"):
        expected = ndl.ops.softmax(ndl.Tensor(x)).numpy()
        found = ndl.jit(ndl.ops.softmax, backend="numpy")(ndl.Tensor(x)).numpy()
    np.testing.assert_array_equal(found, expected)


def test_where_knows_conditions_that_are_bools_and_values_of_one_dtype():
    x, y = randn(3, 200), randn(3, 200) > 0
    compiled = ndl.jit(lambda x, y: np.where(np.round(x), np.float64(0.5) * x, y), backend="numpy")
    np.testing.assert_array_equal(compiled(x, y), np.where(np.round(x), np.float64(0.5) * x, y))


def test_the_shares_at_ties():
    x, y = ndl.Tensor(np.array([1.0, 2.0, 3.0])), ndl.Tensor(np.array([1.0, 3.0, 2.0]))
    check(lambda: (ndl.maximum(x, y), ndl.minimum(x, y)), [x, y])


def test_windows_are_a_view_of_each_place():
    x = randn(2, 5, 6)
    seen = Windows((3, 2), (1, 2))(x)
    assert seen.shape == (2, 3, 5, 3, 2)
    assert np.shares_memory(seen, x)
    np.testing.assert_array_equal(seen[1, 2, 3], x[1, 2:5, 3:5])
    with pytest.raises(ValueError, match="read-only"):
        Windows((2,), (0,)).put_back((4,))


def test_empty_is_the_same_at_each_call():
    np.testing.assert_array_equal(Empty((2, 3), np.float32)(), np.zeros((2, 3), np.float32))
