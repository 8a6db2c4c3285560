"""Plain NumPy versions of what the contract describes, written from its formulas: the expected values of the tests.

Functions named `draw_…` take from NumPy's global random state what the needle object of that name must take, in the
same order, so that after the same `np.random.seed` both hold the same numbers.
"""

import numpy as np


def draw_uniform(*shape, bound, dtype="float32"):
    """U(-bound, bound) by the formula of `init.rand`: drawn in float64, cast afterwards."""
    low, high = -bound, bound
    return np.asarray(np.random.rand(*shape) * (high - low) + low).astype(dtype)


def draw_normal(*shape, mean=0.0, std=1.0, dtype="float32"):
    return np.asarray(np.random.randn(*shape) * std + mean).astype(dtype)


def draw_kaiming_uniform(fan_in, fan_out, shape=None, dtype="float32"):
    bound = np.sqrt(2.0) * np.sqrt(3.0 / fan_in)
    return draw_uniform(*(shape or (fan_in, fan_out)), bound=bound, dtype=dtype)


def draw_linear(fan_in, fan_out, dtype="float32"):
    """(weight, bias) of Linear: the bias is a kaiming draw of shape (out, 1), laid down as (1, out)."""
    weight = draw_kaiming_uniform(fan_in, fan_out, dtype=dtype)
    return weight, draw_kaiming_uniform(fan_out, 1, dtype=dtype).reshape(1, fan_out)


def draw_conv(channels_in, channels_out, kernel_size, dtype="float32"):
    taps = kernel_size**2
    shape = (kernel_size, kernel_size, channels_in, channels_out)
    weight = draw_kaiming_uniform(taps * channels_in, taps * channels_out, shape=shape, dtype=dtype)
    return weight, draw_uniform(channels_out, bound=1.0 / np.sqrt(channels_in * taps), dtype=dtype)


def draw_recurrent_cell(input_size, hidden_size, gates=1, dtype="float32"):
    """W_ih, W_hh, bias_ih, bias_hh of a cell; an LSTM's are four gates wide."""
    width, bound = gates * hidden_size, np.sqrt(1.0 / hidden_size)
    shapes = [(input_size, width), (hidden_size, width), (width,), (width,)]
    return [draw_uniform(*shape, bound=bound, dtype=dtype) for shape in shapes]


def relu(x):
    return np.where(x > 0, x, 0).astype(x.dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logsumexp(x, axes=None):
    largest = x.max(axis=axes, keepdims=True)
    total = np.exp(x - largest).sum(axis=axes, keepdims=True)
    return np.squeeze(np.log(total) + largest, axis=axes)


def softmax(x):
    return np.exp(x - logsumexp(x, -1)[..., None])


def one_hot(labels, classes):
    return (np.asarray(labels)[..., None] == np.arange(classes)).astype(float)


def softmax_loss(logits, labels):
    return np.mean(logsumexp(logits, -1) - logits[np.arange(len(labels)), labels])


def softmax_loss_gradient(logits, labels):
    return (softmax(logits) - one_hot(labels, logits.shape[1])) / len(labels)


def normalize(x, axes, eps=1e-5):
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


def convolve(images, kernel, stride=1, padding=0):
    """Cross-correlation of NHWC images with a (K, K, C_in, C_out) kernel, tap by tap."""
    size = kernel.shape[0]
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height = (padded.shape[1] - size) // stride + 1
    width = (padded.shape[2] - size) // stride + 1
    total = 0
    for row in range(size):
        for column in range(size):
            rows = slice(row, row + stride * (height - 1) + 1, stride)
            columns = slice(column, column + stride * (width - 1) + 1, stride)
            total = total + padded[:, rows, columns] @ kernel[row, column]
    return total


def convolve_channels_first(images, kernel, bias, stride=1):
    """What `nn.Conv` computes: NCHW outside, padding K // 2."""
    out = convolve(images.transpose(0, 2, 3, 1), kernel, stride, kernel.shape[0] // 2)
    return (out + bias).transpose(0, 3, 1, 2)


def rnn_cell(x, h, cell, nonlinearity=np.tanh):
    weight_x, weight_h, bias_x, bias_h = cell
    return nonlinearity(x @ weight_x + bias_x + h @ weight_h + bias_h)


def lstm_cell(x, h, c, cell):
    weight_x, weight_h, bias_x, bias_h = cell
    i, f, g, o = np.split(x @ weight_x + bias_x + h @ weight_h + bias_h, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
