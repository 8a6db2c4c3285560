"""Fused ops: the NumPy of `compute` and `adjoint` against `formula`, which defines them, at every order."""

import numpy as np
import pytest

import needle as ndl
from needle.nn.fused_loss import CrossEntropy
from needle.nn.fused_lstm import LSTMSequence
from needle.nn.fused_normalization import BatchNorm, LayerNorm

LSTM_SHAPES = [(3, 2, 4), (2, 3), (2, 3), (4, 12), (3, 12)]
CASES = {
    "layer norm": (LayerNorm(1e-3), [(4, 5), (5,), (5,)], None),
    "layer norm, 3-D": (LayerNorm(1e-3), [(2, 3, 5), (5,), (5,)], None),
    "layer norm without weight": (LayerNorm(1e-3), [(4, 5)], None),
    "batch norm": (BatchNorm(1e-3), [(6, 3), (3,), (3,)], None),
    "batch norm, images": (BatchNorm(1e-3), [(2, 3, 2, 4), (3,), (3,)], None),
    "batch norm, many rows": (BatchNorm(1e-3), [(64, 3, 1, 1), (3,), (3,)], None),
    "cross-entropy": (CrossEntropy(), [(5, 4)], [0, 3, 3, 1, 2]),
    "cross-entropy, 3-D": (CrossEntropy(), [(2, 3, 4)], [[0, 3, 3], [1, 2, 0]]),
    "lstm": (LSTMSequence(), [*LSTM_SHAPES, (12,), (12,)], None),
    "lstm without bias": (LSTMSequence(), LSTM_SHAPES, None),
    "lstm, one step": (LSTMSequence(), [(1, 2, 4), *LSTM_SHAPES[1:], (12,), (12,)], None),
}
each_case = pytest.mark.parametrize("name", CASES)


def arguments(name, dtype="float64"):
    op, shapes, labels = CASES[name]
    rng = np.random.default_rng(3)
    inputs = [ndl.Tensor(rng.normal(size=shape), dtype=dtype) for shape in shapes]
    constants = [] if labels is None else [ndl.Tensor(np.array(labels), requires_grad=False)]
    return op, inputs, constants


def as_tuple(result):
    return (result,) if isinstance(result, ndl.Tensor) else tuple(result)


def fused(op, inputs):
    return tuple(op(*inputs)[i] for i in range(op.values))


def formula(op, inputs):
    return as_tuple(op.formula(*inputs))


def scalar(values):
    """One number that depends on every element of every value, and not linearly."""
    total = None
    for i, value in enumerate(values):
        weights = ndl.Tensor(np.random.default_rng(i).normal(size=value.shape), dtype=value.dtype, requires_grad=False)
        term = (value * value * weights + value * weights).sum()
        total = term if total is None else total + term
    return total


def derivatives(apply, name, order):
    """The derivatives of orders 1 … `order` of a scalar, each along a direction of all inputs."""
    op, inputs, constants = arguments(name)
    directions = [np.random.default_rng(9 + i).normal(size=x.shape) for i, x in enumerate(inputs)]
    value = scalar(apply(op, [*inputs, *constants]))
    found = []
    for _ in range(order):
        value.backward()
        gradients = [x.grad for x in inputs]
        found.append([gradient.numpy() for gradient in gradients])
        value = sum((g * v).sum() for g, v in zip(gradients, directions))
    return found


@each_case
def test_value(name):
    op, inputs, constants = arguments(name)
    for found, expected in zip(fused(op, [*inputs, *constants]), formula(op, [*inputs, *constants]), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-14)


@each_case
@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivative_of_order(name, order):
    found, expected = derivatives(fused, name, order)[-1], derivatives(formula, name, order)[-1]
    largest = max(np.abs(array).max() for array in expected)
    for computed, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(computed, wanted, rtol=1e-9, atol=1e-11 * max(largest, 1))


@each_case
def test_float32_stays_float32(name):
    op, inputs, constants = arguments(name, "float32")
    values = fused(op, [*inputs, *constants])
    scalar(values).backward()
    assert {value.dtype.name for value in values} | {x.grad.dtype.name for x in inputs} == {"float32"}


@pytest.mark.parametrize("name, alone", [(name, i) for name, case in CASES.items() for i in range(len(case[1]))])
def test_the_gradient_of_one_input_alone(name, alone):
    op, inputs, constants = arguments(name)
    scalar(fused(op, [*inputs, *constants])).backward()
    expected = inputs[alone].grad.numpy()
    for i, x in enumerate(inputs):
        x.requires_grad = i == alone
        x.grad = None
    scalar(fused(op, [*inputs, *constants])).backward()
    np.testing.assert_allclose(inputs[alone].grad.numpy(), expected, rtol=1e-10, atol=1e-12)
    assert all(x.grad is None for i, x in enumerate(inputs) if i != alone)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][0].values > 1])
def test_a_value_that_nothing_depends_on(name):
    """The gradient of one value alone, each in turn, against the formula's."""
    op, inputs, _ = arguments(name)
    for i in range(op.values):
        found = []
        for apply in (fused, formula):
            scalar(apply(op, inputs)[i : i + 1]).backward()
            found.append([x.grad.numpy() if x.grad is not None else np.zeros(x.shape) for x in inputs])
            for x in inputs:
                x.grad = None
        for computed, wanted in zip(*found, strict=True):
            np.testing.assert_allclose(computed, wanted, rtol=1e-9, atol=1e-12)


@each_case
def test_the_adjoint_by_hand(name):
    """`gradient_as_tuple` called as the course's tests call it, on the op's own result."""
    op, inputs, constants = arguments(name)
    result = op(*inputs, *constants)
    rng = np.random.default_rng(1)
    seeds = [rng.normal(size=result[i].shape) for i in range(op.values)]
    zeros = [np.zeros(result[i].shape) for i in range(op.values, len(result))]
    out_grad = ndl.make_tuple(*[ndl.Tensor(array) for array in [*seeds, *zeros]])
    found = op.gradient_as_tuple(out_grad, result)
    sum((value * seed).sum() for value, seed in zip(formula(op, [*inputs, *constants]), seeds)).backward()
    for computed, x in zip(found, inputs):
        np.testing.assert_allclose(computed.numpy(), x.grad.numpy(), rtol=1e-9, atol=1e-11)
