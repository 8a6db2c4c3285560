"""Recurrent nets and Embedding, each against its recurrence in NumPy."""

import numpy as np
import pytest

import needle as ndl
from needle import nn

from . import reference
from .finite_differences import assert_first_and_second_derivatives

FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}
NONLINEARITIES = [("tanh", np.tanh), ("relu", reference.relu)]


def normal(*shape, seed=15):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def drawn_cells(layers, input_size, hidden_size, gates, bias=True):
    cells = []
    for layer in range(layers):
        width = input_size if layer == 0 else hidden_size
        if bias:
            cells.append(reference.draw_recurrent_cell(width, hidden_size, gates))
        else:
            bound = np.sqrt(1.0 / hidden_size)
            shapes = [(width, gates * hidden_size), (hidden_size, gates * hidden_size)]
            weights = [reference.draw_uniform(*shape, bound=bound) for shape in shapes]
            cells.append([*weights, np.zeros(gates * hidden_size), np.zeros(gates * hidden_size)])
    return cells


def run_rnn(x, h, cells, nonlinearity):
    h, outputs = list(h), []
    for step in x:
        for layer, cell in enumerate(cells):
            h[layer] = step = reference.rnn_cell(step, h[layer], cell, nonlinearity)
        outputs.append(step)
    return np.stack(outputs), np.stack(h)


def run_lstm(x, h, c, cells):
    h, c, outputs = list(h), list(c), []
    for step in x:
        for layer, cell in enumerate(cells):
            h[layer], c[layer] = reference.lstm_cell(step, h[layer], c[layer], cell)
            step = h[layer]
        outputs.append(step)
    return np.stack(outputs), np.stack(h), np.stack(c)


# Cells


@pytest.mark.parametrize("make, gates", [(nn.RNNCell, 1), (nn.LSTMCell, 4)])
def test_a_cell_draws_its_four_parameters_in_order(make, gates):
    np.random.seed(61)
    expected = reference.draw_recurrent_cell(5, 3, gates)
    np.random.seed(61)
    cell = make(5, 3)
    for held, value in zip([cell.W_ih, cell.W_hh, cell.bias_ih, cell.bias_hh], expected):
        np.testing.assert_array_equal(held.numpy(), value)
    for held, value in zip(cell.parameters(), expected, strict=True):
        np.testing.assert_array_equal(held.numpy(), value)


@pytest.mark.parametrize("make, gates", [(nn.RNNCell, 1), (nn.LSTMCell, 4)])
def test_a_cell_without_bias_has_two_parameters(make, gates):
    np.random.seed(61)
    drawn_cells(1, 5, 3, gates, bias=False)
    after = np.random.rand()
    np.random.seed(61)
    cell = make(5, 3, bias=False)
    assert np.random.rand() == after
    assert [p.shape for p in cell.parameters()] == [(5, 3 * gates), (3, 3 * gates)]


@pytest.mark.parametrize("nonlinearity, formula", NONLINEARITIES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("with_state", [True, False])
def test_rnn_cell(nonlinearity, formula, bias, batch, with_state):
    np.random.seed(62)
    [parameters] = drawn_cells(1, 5, 3, 1, bias)
    np.random.seed(62)
    cell = nn.RNNCell(5, 3, bias=bias, nonlinearity=nonlinearity)
    x, h = normal(batch, 5), normal(batch, 3, seed=16) * with_state
    out = cell(ndl.Tensor(x), ndl.Tensor(h) if with_state else None)
    assert (out.dtype, out.device) == ("float32", ndl.cpu())
    np.testing.assert_allclose(out.numpy(), reference.rnn_cell(x, h, parameters, formula), **FLOAT32)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("with_state", [True, False])
def test_lstm_cell(bias, batch, with_state):
    np.random.seed(63)
    [parameters] = drawn_cells(1, 5, 3, 4, bias)
    np.random.seed(63)
    cell = nn.LSTMCell(5, 3, bias=bias)
    x = normal(batch, 5)
    h, c = normal(batch, 3, seed=16) * with_state, normal(batch, 3, seed=17) * with_state
    out_h, out_c = cell(ndl.Tensor(x), (ndl.Tensor(h), ndl.Tensor(c)) if with_state else None)
    expected_h, expected_c = reference.lstm_cell(x, h, c, parameters)
    np.testing.assert_allclose(out_h.numpy(), expected_h, **FLOAT32)
    np.testing.assert_allclose(out_c.numpy(), expected_c, **FLOAT32)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_cell_gradients(nonlinearity):
    np.random.seed(64)
    cell = nn.RNNCell(3, 2, nonlinearity=nonlinearity, dtype="float64")
    x, h = ndl.Tensor(normal(4, 3), dtype="float64"), ndl.Tensor(normal(4, 2), dtype="float64")
    assert_first_and_second_derivatives(lambda: (cell(x, h) ** 2).sum(), [x, h, *cell.parameters()])


def test_lstm_cell_gradients():
    np.random.seed(64)
    cell = nn.LSTMCell(3, 2, dtype="float64")
    x, h, c = (ndl.Tensor(normal(4, n, seed=n), dtype="float64") for n in (3, 2, 2))

    def value():
        out_h, out_c = cell(x, (h, c))
        return (out_h * out_h + out_c * 2).sum()

    assert_first_and_second_derivatives(value, [x, h, c, *cell.parameters()])


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_cell_whose_parameters_were_replaced_by_tensors(nonlinearity):
    cell = nn.RNNCell(5, 3, nonlinearity=nonlinearity)
    parameters = [normal(5, 3), normal(3, 3), normal(3), normal(3)]
    cell.W_ih, cell.W_hh, cell.bias_ih, cell.bias_hh = (ndl.Tensor(p, device=ndl.cpu()) for p in parameters)
    x, h = normal(4, 5), normal(4, 3, seed=16)
    out = cell(ndl.Tensor(x), ndl.Tensor(h))
    out.sum().backward()
    expected = reference.rnn_cell(x, h, parameters, dict(NONLINEARITIES)[nonlinearity])
    np.testing.assert_allclose(out.numpy(), expected, **FLOAT32)
    slope = (1 - expected**2) if nonlinearity == "tanh" else (expected > 0).astype("float32")
    np.testing.assert_allclose(cell.W_ih.grad.numpy(), x.T @ slope, **FLOAT32)
    np.testing.assert_allclose(cell.bias_hh.grad.numpy(), slope.sum(0), **FLOAT32)


# Layers over time


@pytest.mark.parametrize("nonlinearity, formula", NONLINEARITIES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps, layers, batch", [(1, 1, 1), (5, 1, 2), (4, 3, 2)])
@pytest.mark.parametrize("with_state", [True, False])
def test_rnn(nonlinearity, formula, bias, steps, layers, batch, with_state):
    np.random.seed(65)
    cells = drawn_cells(layers, 5, 3, 1, bias)
    np.random.seed(65)
    model = nn.RNN(5, 3, layers, bias=bias, nonlinearity=nonlinearity)
    x, h0 = normal(steps, batch, 5), normal(layers, batch, 3, seed=16) * with_state
    output, h = model(ndl.Tensor(x), ndl.Tensor(h0) if with_state else None)
    expected_output, expected_h = run_rnn(x, h0, cells, formula)
    assert (output.shape, h.shape) == ((steps, batch, 3), (layers, batch, 3))
    np.testing.assert_allclose(output.numpy(), expected_output, **FLOAT32)
    np.testing.assert_allclose(h.numpy(), expected_h, **FLOAT32)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps, layers, batch", [(1, 1, 1), (5, 1, 2), (4, 3, 2)])
@pytest.mark.parametrize("with_state", [True, False])
def test_lstm(bias, steps, layers, batch, with_state):
    np.random.seed(66)
    cells = drawn_cells(layers, 5, 3, 4, bias)
    np.random.seed(66)
    model = nn.LSTM(5, 3, layers, bias=bias)
    x = normal(steps, batch, 5)
    h0, c0 = normal(layers, batch, 3, seed=16) * with_state, normal(layers, batch, 3, seed=17) * with_state
    output, state = model(ndl.Tensor(x), (ndl.Tensor(h0), ndl.Tensor(c0)) if with_state else None)
    assert type(state) is tuple and all(isinstance(part, ndl.Tensor) for part in state)
    assert [part.shape for part in state] == [(layers, batch, 3)] * 2
    for computed, expected in zip((output, *state), run_lstm(x, h0, c0, cells), strict=True):
        np.testing.assert_allclose(computed.numpy(), expected, **FLOAT32)


@pytest.mark.parametrize("make, cells", [(nn.RNN, "rnn_cells"), (nn.LSTM, "lstm_cells")])
def test_the_cells_are_a_list_in_the_order_of_layers(make, cells):
    model = make(5, 3, 2)
    held = getattr(model, cells)
    assert isinstance(held, list) and len(held) == 2
    assert [p is q for p, q in zip(model.parameters(), held[0].parameters() + held[1].parameters(), strict=True)] == [
        True
    ] * 8


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM])
def test_the_state_may_be_left_out(make):
    model, x = make(5, 3, 2), ndl.Tensor(normal(4, 2, 5))
    np.testing.assert_array_equal(model(x)[0].numpy(), model(x, None)[0].numpy())


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell])
def test_the_state_of_a_cell_may_be_left_out(make):
    cell, x = make(5, 3), ndl.Tensor(normal(2, 5))
    first, second = cell(x), cell(x, None)
    if make is nn.LSTMCell:
        first, second = first[0], second[0]
    np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM])
@pytest.mark.parametrize("steps", [1, 3])
def test_every_parameter_gets_a_gradient_from_a_state_of_none(make, steps):
    model = make(5, 3, 2)
    assert all(p.grad is None for p in model.parameters())
    model(ndl.Tensor(normal(steps, 2, 5)), None)[0].backward()
    assert [p.grad.shape for p in model.parameters()] == [p.shape for p in model.parameters()]


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell])
def test_every_parameter_of_a_cell_gets_a_gradient_from_a_state_of_none(make):
    cell = make(5, 3)
    out = cell(ndl.Tensor(normal(2, 5)), None)
    (out[0] if make is nn.LSTMCell else out).backward()
    np.testing.assert_array_equal(cell.W_hh.grad.numpy(), np.zeros(cell.W_hh.shape))
    assert cell.bias_hh.grad.numpy().any()


@pytest.mark.parametrize("layers", [1, 2])
def test_rnn_gradients(layers):
    np.random.seed(67)
    model = nn.RNN(3, 2, layers, dtype="float64")
    x, h0 = ndl.Tensor(normal(3, 2, 3), dtype="float64"), ndl.Tensor(normal(layers, 2, 2), dtype="float64")

    def value():
        output, h = model(x, h0)
        return (output * output).sum() + (h * 3).sum()

    assert_first_and_second_derivatives(value, [x, h0, *model.parameters()])


@pytest.mark.parametrize("layers", [1, 2])
def test_lstm_gradients(layers):
    np.random.seed(67)
    model = nn.LSTM(3, 2, layers, dtype="float64")
    x = ndl.Tensor(normal(3, 2, 3), dtype="float64")
    h0, c0 = (ndl.Tensor(normal(layers, 2, 2, seed=seed), dtype="float64") for seed in (1, 2))

    def value():
        output, (h, c) = model(x, (h0, c0))
        return (output * output).sum() + (h * 3).sum() + (c * c).sum()

    assert_first_and_second_derivatives(value, [x, h0, c0, *model.parameters()])


def test_the_weights_of_a_layer_may_be_replaced_by_tensors():
    model = nn.LSTM(5, 3, 2)
    cells = [[normal(n, 12), normal(3, 12, seed=2), normal(12, seed=3), normal(12, seed=4)] for n in (5, 3)]
    for cell, values in zip(model.lstm_cells, cells):
        cell.W_ih, cell.W_hh, cell.bias_ih, cell.bias_hh = (ndl.Tensor(value) for value in values)
    x, zeros = normal(4, 2, 5), np.zeros((2, 2, 3), "float32")
    output, _ = model(ndl.Tensor(x), None)
    output.sum().backward()
    np.testing.assert_allclose(output.numpy(), run_lstm(x, zeros, zeros, cells)[0], **FLOAT32)
    assert model.lstm_cells[0].W_ih.grad.numpy().any()


# Embedding


def test_embedding_draws_a_standard_normal():
    np.random.seed(68)
    expected = np.random.randn(7, 3).astype("float32")
    np.random.seed(68)
    module = nn.Embedding(7, 3)
    assert [p is module.weight for p in module.parameters()] == [True]
    np.testing.assert_array_equal(module.weight.numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8"])
def test_embedding_looks_up_rows_by_indices_of_any_dtype(dtype):
    module = nn.Embedding(7, 3)
    indices = np.array([[0, 6], [2, 2], [5, 0], [1, 3]])
    out = module(ndl.Tensor(indices, dtype=dtype))
    assert (out.shape, out.dtype) == ((4, 2, 3), "float32")
    np.testing.assert_array_equal(out.numpy(), module.weight.numpy()[indices])


def test_embedding_adds_the_gradients_of_repeated_indices():
    module = nn.Embedding(4, 2)
    weights = normal(3, 2, 2)
    indices = np.array([[0, 2], [2, 2], [0, 1]])
    (module(ndl.Tensor(indices, dtype="float32")) * ndl.Tensor(weights)).sum().backward()
    expected = np.zeros((4, 2))
    np.add.at(expected, indices, weights)
    np.testing.assert_allclose(module.weight.grad.numpy(), expected, **FLOAT32)
