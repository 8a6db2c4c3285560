"""What a mistake's message says."""

import numpy as np
import pytest

import needle as ndl
from needle import nn


def zeros(*shape, dtype="float32"):
    return ndl.init.zeros(*shape, dtype=dtype)


def labels(*values):
    return ndl.Tensor(list(values), requires_grad=False)


MISTAKES = [
    (
        lambda: nn.Linear(784, 10)(zeros(32, 100)),
        ValueError,
        r"Linear\(784, 10\) takes inputs with 784 features in the last axis, got shape \(32, 100\)",
    ),
    (lambda: nn.Linear(4, 2)(zeros()), ValueError, r"4 features in the last axis, got shape \(\)"),
    (lambda: nn.Linear(4, 2)(np.zeros((3, 4))), TypeError, r"Linear\(4, 2\) takes a Tensor as its input, got ndarray"),
    (lambda: nn.Linear(4, 2)([1.0, 2.0]), TypeError, r"takes a Tensor as its input, got list"),
    (lambda: nn.Linear(0, 3), ValueError, r"Linear needs a whole number of at least 1 for in_features, got 0"),
    (lambda: nn.Linear(4, 2.0), TypeError, r"at least 1 for out_features, got 2\.0"),
    (lambda: nn.Conv(3, 8, (3, 3)), TypeError, r"Conv needs .* for kernel_size, got \(3, 3\)"),
    (lambda: nn.Conv(3, 8, 3, stride=0), ValueError, r"stride must be an int or a pair of ints, at least 1, got 0"),
    (lambda: nn.ConvTranspose(0, 8, 3), ValueError, r"ConvTranspose needs .* for in_channels, got 0"),
    (lambda: nn.BatchNorm1d(0), ValueError, r"BatchNorm1d needs .* for dim, got 0"),
    (lambda: nn.LayerNorm1d((3, 4)), TypeError, r"LayerNorm1d needs .* for dim, got \(3, 4\)"),
    (lambda: nn.GroupNorm(0, 4), ValueError, r"GroupNorm needs .* for num_groups, got 0"),
    (lambda: nn.Embedding("5", 2), TypeError, r"Embedding needs .* for num_embeddings, got '5'"),
    (lambda: nn.LSTM(4, 0), ValueError, r"LSTMCell needs .* for hidden_size, got 0"),
    (lambda: nn.RNN(4, 5, 0), ValueError, r"RNN needs .* for num_layers, got 0"),
    (lambda: nn.AttentionLayer(4, 0, 3), ValueError, r"AttentionLayer needs .* for num_head, got 0"),
    (lambda: nn.Transformer(4, 5, -1), ValueError, r"at least 0 for num_layers, got -1"),
    (lambda: nn.ReLU().load_state_dict([1]), TypeError, r"load_state_dict takes what state_dict gave, .* got list"),
    (lambda: nn.ReLU().to("float23"), TypeError, r'dtype must be .* such as "float32", got \'float23\''),
    (lambda: nn.Residual(3), TypeError, r"Residual takes a Module, got 3"),
    (lambda: nn.Dropout("half"), ValueError, r"probability in \[0, 1\), got 'half'"),
    (lambda: nn.Sequential([nn.ReLU()]), TypeError, r"argument 1 is a list; unpack it: Sequential\(\*modules\)"),
    (lambda: nn.Residual(nn.Linear(4, 3))(zeros(2, 4)), ValueError, r"got \(2, 4\) and \(2, 3\)"),
    (lambda: nn.LayerNorm1d(4)(zeros(2, 5)), ValueError, r"LayerNorm1d\(4\) takes inputs with 4 features"),
    (lambda: nn.BatchNorm1d(4)(zeros(2, 5)), ValueError, r"with 4 channels in axis 1, got shape \(2, 5\)"),
    (lambda: nn.BatchNorm2d(4)(zeros(2, 4)), ValueError, r"inputs of shape \(N, C, H, W\), got shape \(2, 4\)"),
    (lambda: nn.BatchNorm1d(4)(zeros(0, 4)), ValueError, r"needs at least one sample"),
    (lambda: nn.GroupNorm(3, 4), ValueError, r"num_groups must divide num_channels, got 3 groups for 4 channels"),
    (lambda: nn.GroupNorm(2, 4)(zeros(2, 3)), ValueError, r"with 4 channels in axis 1, got shape \(2, 3\)"),
    (lambda: nn.Dropout(1.0), ValueError, r"Dropout's p must be a probability in \[0, 1\), got 1.0"),
    (lambda: nn.Conv(3, 8, 3)(zeros(2, 8, 8, 3)), ValueError, r"3 channels in axis 1, got shape \(2, 8, 8, 3\)"),
    (lambda: nn.Conv(3, 8, 3, groups=2), ValueError, r"groups must divide the channels"),
    (lambda: nn.Conv(3, 8, 5, padding=0)(zeros(2, 3, 4, 4)), ValueError, r"window of 5x5 .* does not fit .* 4x4"),
    (lambda: nn.MaxPool(2)(zeros(3, 4)), ValueError, r"MaxPool\(2, .*\(N, C, H, W\), got shape \(3, 4\)"),
    (lambda: nn.RNNCell(4, 3, nonlinearity="gelu"), ValueError, r'nonlinearity must be "tanh" or "relu", got \'gelu\''),
    (lambda: nn.RNNCell(4, 3)(zeros(2, 5)), ValueError, r"RNNCell\(4, 3\) takes inputs with 4 features"),
    (
        lambda: nn.RNNCell(4, 3)(zeros(2, 4), zeros(2, 4)),
        ValueError,
        r"a state h of shape \(2, 3\) here, got .*\(2, 4\)",
    ),
    (lambda: nn.LSTM(4, 3)(zeros(2, 4)), ValueError, r"sequences of shape \(T, B, 4\) with T at least 1"),
    (lambda: nn.LSTM(4, 3)(zeros(0, 2, 4)), ValueError, r"T at least 1, got shape \(0, 2, 4\)"),
    (lambda: nn.LSTM(4, 3)(zeros(5, 2, 4), zeros(1, 2, 3)), TypeError, r"its state as a pair \(h, c\) or None"),
    (
        lambda: nn.LSTM(4, 3, 2)(zeros(5, 2, 4), (zeros(2, 2, 3), zeros(1, 2, 3))),
        ValueError,
        r"a state c of shape \(2, 2, 3\) here, got shape \(1, 2, 3\)",
    ),
    (
        lambda: nn.Embedding(5, 2)(labels(0, 5)),
        ValueError,
        r"Embedding on int64\[2\]: every index must lie in \[0, 5\), got 5 at \[1\]",
    ),
    (lambda: nn.Embedding(5, 2)(labels(-1)), ValueError, r"must lie in \[0, 5\), got -1"),
    (lambda: nn.Embedding(5, 2)(labels(0.5)), ValueError, r"must be a whole number, got 0.5 at \[0\]"),
    (
        lambda: nn.SoftmaxLoss()(zeros(3, 4), labels(0, 4, 1)),
        ValueError,
        r"SoftmaxLoss on int64\[3\]: every label must lie in \[0, 4\), got 4 at \[1\]",
    ),
    (lambda: nn.SoftmaxLoss()(zeros(2, 4), labels(0.0, np.nan)), ValueError, r"whole number, got nan at \[1\]"),
    (lambda: nn.SoftmaxLoss()(zeros(3, 4), labels(0, 1)), ValueError, r"got shapes \(3, 4\) and \(2,\)"),
    (lambda: nn.SoftmaxLoss()(zeros(0, 4), zeros(0)), ValueError, r"this batch is empty"),
    (
        lambda: nn.MSELoss()(zeros(3, 1), zeros(3)),
        ValueError,
        r"MSELoss\(\) compares Tensors of one shape, got \(3, 1\)",
    ),
    (lambda: nn.MSELoss("average"), ValueError, r'reduction must be "mean", "sum" or "none", got \'average\''),
    (lambda: nn.HuberLoss(delta=0), ValueError, r"delta of a HuberLoss must be positive, got 0"),
    (
        lambda: nn.MultiHeadAttention()(zeros(1, 2, 3, 4), zeros(1, 2, 3, 5), zeros(1, 2, 3, 5)),
        ValueError,
        r"takes q \(B, H, T, D\), k and v \(B, H, S, D\), got \(1, 2, 3, 4\)",
    ),
    (lambda: nn.AttentionLayer(4, 2, 3)(zeros(2, 4)), ValueError, r"takes q of shape \(B, T, 4\), got shape \(2, 4\)"),
    (
        lambda: nn.Transformer(4, 5, 1, sequence_len=2)(zeros(3, 1, 4)),
        ValueError,
        r"knows 2 positions, got a sequence of 3",
    ),
]


@pytest.mark.parametrize("mistake, error, message", MISTAKES, ids=[message for _, _, message in MISTAKES])
def test_message(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()
