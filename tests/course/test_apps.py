"""The course's scripts, on data sets of a few dozen items in the course's file formats."""

import functools
import importlib
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

import needle as ndl
from needle import nn

from . import reference
from .finite_differences import assert_backward_gradients, assert_first_and_second_derivatives
from .signatures import assert_signature

FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


@functools.cache
def app(name):
    return importlib.import_module(name)


def normal(*shape, seed=23):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# simple_ml: MNIST by hand


def test_parse_mnist_gives_rows_in_the_unit_interval_and_bytes(mnist):
    images, labels = app("simple_ml").parse_mnist(mnist.train.image_file, mnist.train.label_file)
    assert (images.shape, images.dtype) == ((60, 784), "float32")
    assert labels.dtype == "uint8"
    np.testing.assert_allclose(images, mnist.train.images.reshape(60, 784) / 255, rtol=1e-6)
    np.testing.assert_array_equal(labels, mnist.train.labels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_loss_is_the_mean_over_the_batch(dtype):
    logits, labels = normal(20, 10), np.arange(20) % 10
    loss = app("simple_ml").softmax_loss(
        ndl.Tensor(logits, dtype=dtype), ndl.Tensor(reference.one_hot(labels, 10), dtype=dtype)
    )
    assert isinstance(loss, ndl.Tensor)
    assert (loss.shape, loss.dtype) == ((), dtype)
    np.testing.assert_allclose(loss.numpy(), reference.softmax_loss(logits, labels), rtol=1e-6)


def test_softmax_loss_of_zeros_is_log_ten():
    loss = app("simple_ml").softmax_loss(
        ndl.Tensor(np.zeros((6, 10), "float32")), ndl.Tensor(reference.one_hot(np.arange(6), 10))
    )
    np.testing.assert_allclose(loss.numpy(), np.log(10), rtol=1e-6)


def test_softmax_loss_is_differentiable_in_both_arguments():
    logits, targets = ndl.Tensor(normal(4, 3), dtype="float64"), ndl.Tensor(reference.one_hot([0, 2, 1, 1], 3))
    assert_backward_gradients(lambda z, y: app("simple_ml").softmax_loss(z, y).sum(), logits, targets)


def numpy_epoch(x, labels, w1, w2, lr, batch):
    for start in range(0, len(x), batch):
        xs, ys = x[start : start + batch], labels[start : start + batch]
        hidden = reference.relu(xs @ w1)
        slope = reference.softmax_loss_gradient(hidden @ w2, ys)
        w1, w2 = w1 - lr * xs.T @ ((slope @ w2.T) * (hidden > 0)), w2 - lr * hidden.T @ slope
    return w1, w2


@pytest.mark.parametrize("options", [{"lr": 1.0, "batch": 50}, {"lr": 0.2, "batch": 10}, {}])
def test_nn_epoch_is_plain_sgd_in_order(options):
    x, labels = normal(150, 5), np.random.default_rng(1).integers(3, size=150).astype(np.uint8)
    w1, w2 = normal(5, 10, seed=2) / np.float32(np.sqrt(5)), normal(10, 3, seed=3) / np.float32(np.sqrt(10))
    updated = app("simple_ml").nn_epoch(x, labels, ndl.Tensor(w1), ndl.Tensor(w2), **options)
    expected = numpy_epoch(x, labels, w1, w2, **{"lr": 0.1, "batch": 100, **options})
    assert isinstance(updated, tuple) and all(isinstance(w, ndl.Tensor) for w in updated)
    assert [w.dtype for w in updated] == ["float32"] * 2
    for computed, wanted in zip(updated, expected):
        np.testing.assert_allclose(computed.numpy(), wanted, **FLOAT32)


def test_nn_epoch_can_be_called_again_with_what_it_gave():
    x, labels = normal(20, 5), np.arange(20).astype(np.uint8) % 3
    w1, w2 = normal(5, 10, seed=2), normal(10, 3, seed=3)
    updated = ndl.Tensor(w1), ndl.Tensor(w2)
    for _ in range(3):
        updated = app("simple_ml").nn_epoch(x, labels, *updated, lr=0.1, batch=5)
        w1, w2 = numpy_epoch(x, labels, w1, w2, 0.1, 5)
    np.testing.assert_allclose(updated[0].numpy(), w1, **FLOAT32)


def test_loss_err_gives_loss_and_error_rate():
    logits, labels = normal(20, 10), (np.arange(20) % 10).astype(np.uint8)
    loss, error = app("simple_ml").loss_err(ndl.Tensor(logits), labels)
    np.testing.assert_allclose(loss, reference.softmax_loss(logits, labels), rtol=1e-6)
    np.testing.assert_allclose(error, np.mean(logits.argmax(axis=1) != labels))


# simple_ml: CIFAR-10


class Affine:
    """Flatten and Linear in NumPy, trained by SGD with weight decay."""

    def __init__(self, parameters):
        self.weight, self.bias = (p.numpy() for p in parameters)

    def logits(self, x):
        return x.reshape(len(x), -1) @ self.weight + self.bias

    def step(self, x, labels, lr, weight_decay):
        slope = reference.softmax_loss_gradient(self.logits(x), labels)
        self.weight = self.weight - lr * (x.reshape(len(x), -1).T @ slope + weight_decay * self.weight)
        self.bias = self.bias - lr * (slope.sum(0, keepdims=True) + weight_decay * self.bias)


class Watched(nn.Module):
    """Flatten and Linear, and a diary of the modes in which it was called."""

    def __init__(self, features, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(features, classes))
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return self.layers(x)


def cifar_loader(cifar):
    return ndl.data.DataLoader(ndl.data.CIFAR10Dataset(cifar.folder, train=True), batch_size=8, shuffle=False)


def evaluated(model, x, labels):
    """(accuracy, loss) over all samples."""
    logits = model.logits(x)
    return np.mean(logits.argmax(1) == labels), reference.softmax_loss(logits, labels)


def test_evaluate_cifar10_gives_average_accuracy_and_loss_in_eval_mode(cifar):
    model = Watched(3072, 10)
    accuracy, loss = app("simple_ml").evaluate_cifar10(model, cifar_loader(cifar))
    expected = evaluated(Affine(model.parameters()), cifar.train.rows / 255, cifar.train.labels)
    np.testing.assert_allclose([float(accuracy), float(loss)], expected, rtol=1e-4)
    assert model.modes == [False] * 5


def test_train_cifar10_trains_and_gives_the_averages_of_its_last_epoch(cifar):
    np.random.seed(24)
    model = Watched(3072, 10)
    expected = Affine(model.parameters())
    images, labels = cifar.train.rows / 255, cifar.train.labels
    accuracy, loss = app("simple_ml").train_cifar10(
        model, cifar_loader(cifar), n_epochs=2, optimizer=ndl.optim.SGD, lr=0.001, weight_decay=0.01
    )
    for _ in range(2):
        seen = []
        for start in range(0, 40, 8):
            x, y = images[start : start + 8], labels[start : start + 8]
            seen.append(evaluated(expected, x, y))
            expected.step(x, y, 0.001, 0.01)
    np.testing.assert_allclose([float(accuracy), float(loss)], np.mean(seen, axis=0), rtol=1e-3)
    np.testing.assert_allclose(model.parameters()[0].numpy(), expected.weight, rtol=1e-3, atol=1e-5)
    assert model.modes == [True] * 10


@pytest.mark.parametrize("train", [False, True])
def test_epoch_general_cifar10_trains_only_with_an_optimizer(cifar, train):
    model = Watched(3072, 10)
    before = model.parameters()[0].numpy()
    optimizer = ndl.optim.SGD(model.parameters(), lr=0.001) if train else None
    accuracy, loss = app("simple_ml").epoch_general_cifar10(cifar_loader(cifar), model, opt=optimizer)
    assert 0 <= float(accuracy) <= 1 and float(loss) > 0
    assert (model.parameters()[0].numpy() != before).any() == train
    assert model.modes == [train] * 5


# simple_ml: Penn Treebank


class NextWord(nn.Module):
    """Logits looked up by word. Its state counts the calls since the last None and tells whether it has a graph."""

    def __init__(self, words, pair=False):
        super().__init__()
        self.words, self.pair = words, pair
        self.embedding = nn.Embedding(words, words)
        self.states = []

    def forward(self, x, state=None):
        parts = state if self.pair and state is not None else (state,)
        self.states.append(None if state is None else [(float(part.numpy()[0]), part.op is None) for part in parts])
        out = self.embedding(x).reshape((x.shape[0] * x.shape[1], self.words))
        count = (out * 0).sum().reshape((1,)) + (1 if state is None else parts[0] + 1)
        return out, (count, count * 10) if self.pair else count


def ptb_batches():
    tokens = np.random.default_rng(26).integers(0, 6, size=4 * 13)
    return ndl.data.batchify(tokens.tolist(), 4, device=ndl.cpu(), dtype="float32")


def ptb_chunks(length):
    columns = np.asarray(ptb_batches()).astype(int)
    for start in range(0, len(columns) - 1, length):
        yield columns[start : start + length].ravel(), columns[start + 1 : start + length + 1].ravel()


def test_evaluate_ptb_gives_average_accuracy_and_loss():
    model = NextWord(6)
    weight = model.embedding.weight.numpy()
    expected = []
    for words, following in ptb_chunks(4):
        logits = weight[words]
        expected.append((np.mean(logits.argmax(1) == following), reference.softmax_loss(logits, following)))
    accuracy, loss = app("simple_ml").evaluate_ptb(model, ptb_batches(), seq_len=4, device=ndl.cpu())
    np.testing.assert_allclose([float(accuracy), float(loss)], np.mean(expected, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(model.embedding.weight.numpy(), weight)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_train_ptb_is_sgd_over_chunks(clip):
    np.random.seed(27)
    model = NextWord(6)
    weight = model.embedding.weight.numpy().astype("float64")
    accuracy, loss = app("simple_ml").train_ptb(
        model, ptb_batches(), seq_len=4, n_epochs=2, optimizer=ndl.optim.SGD, lr=0.5, clip=clip, device=ndl.cpu()
    )
    for _ in range(2):
        seen = []
        for words, following in ptb_chunks(4):
            logits = weight[words]
            seen.append((np.mean(logits.argmax(1) == following), reference.softmax_loss(logits, following)))
            slope = np.zeros_like(weight)
            np.add.at(slope, words, reference.softmax_loss_gradient(logits, following))
            if clip:
                slope *= min(1.0, clip / np.linalg.norm(slope))
            weight = weight - 0.5 * slope
    np.testing.assert_allclose([float(accuracy), float(loss)], np.mean(seen, axis=0), rtol=1e-4)
    np.testing.assert_allclose(model.embedding.weight.numpy(), weight, **FLOAT32)


def test_a_state_is_carried_from_chunk_to_chunk_without_its_graph():
    model = NextWord(6)
    app("simple_ml").train_ptb(model, ptb_batches(), seq_len=4, n_epochs=1, optimizer=ndl.optim.SGD, lr=0.1)
    assert model.states == [None, [(1.0, True)], [(2.0, True)]]


def test_a_pair_of_states_is_carried_from_chunk_to_chunk_without_its_graph():
    model = NextWord(6, pair=True)
    app("simple_ml").train_ptb(model, ptb_batches(), seq_len=4, n_epochs=1, optimizer=ndl.optim.SGD, lr=0.1)
    assert model.states == [None, [(1.0, True), (10.0, True)], [(2.0, True), (20.0, True)]]


@pytest.mark.parametrize("seq_model", ["rnn", "lstm", "transformer"])
def test_a_language_model_learns_a_corpus(ptb, seq_model):
    np.random.seed(28)
    corpus = ndl.data.Corpus(ptb)
    batches = ndl.data.batchify(list(corpus.train) * 8, 4, device=ndl.cpu(), dtype="float32")
    model = app("models").LanguageModel(6, len(corpus.dictionary), 8, 1, seq_model, seq_len=10)
    simple_ml, options = app("simple_ml"), {"seq_len": 10, "device": ndl.cpu()}
    _, before = simple_ml.evaluate_ptb(model, batches, **options)
    simple_ml.train_ptb(model, batches, n_epochs=12, optimizer=ndl.optim.Adam, lr=0.02, clip=1.0, **options)
    _, after = simple_ml.evaluate_ptb(model, batches, **options)
    assert float(after) < 0.6 * float(before)


# mlp_resnet


def flat_shapes(model):
    return [p.shape for p in model.parameters()]


def batch_norm(x):
    return reference.normalize(x, 0)


def numpy_block(x, first, second, norm, p):
    hidden = reference.relu(norm(x @ first[0] + first[1]))
    hidden = hidden * (np.random.rand(*hidden.shape) <= 1 - p) / (1 - p)
    return reference.relu(x + norm(hidden @ second[0] + second[1]))


NORMS = [(nn.BatchNorm1d, batch_norm), (nn.LayerNorm1d, lambda x: reference.normalize(x, -1))]


@pytest.mark.parametrize("norm, formula", NORMS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_residual_block(norm, formula, p):
    x = normal(4, 6)
    np.random.seed(29)
    first, second = reference.draw_linear(6, 3), reference.draw_linear(3, 6)
    expected = numpy_block(x, first, second, formula, p)
    np.random.seed(29)
    block = app("mlp_resnet").ResidualBlock(6, 3, norm, p)
    np.testing.assert_allclose(block(ndl.Tensor(x)).numpy(), expected, **FLOAT32)
    assert flat_shapes(block) == [(6, 3), (1, 3), (3,), (3,), (3, 6), (1, 6), (6,), (6,)]


def test_residual_block_is_a_sequential():
    block = app("mlp_resnet").ResidualBlock(dim=6, hidden_dim=3)
    assert isinstance(block, nn.Sequential)
    assert [type(module) for module in block.modules] == [nn.Residual, nn.ReLU]
    assert [type(module) for module in block.modules[0].fn.modules] == [
        nn.Linear,
        nn.BatchNorm1d,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
        nn.BatchNorm1d,
    ]


def test_residual_block_takes_a_batch_of_one_in_float64():
    out = app("mlp_resnet").ResidualBlock(15, 5, nn.BatchNorm1d, 0.1)(ndl.Tensor(np.ones((1, 15))))
    assert out.shape == (1, 15) and np.isfinite(out.numpy()).all()


@pytest.mark.parametrize("norm, formula", NORMS)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_mlp_resnet(norm, formula, blocks):
    x = normal(4, 9)
    np.random.seed(30)
    start = reference.draw_linear(9, 7)
    layers = [(reference.draw_linear(7, 3), reference.draw_linear(3, 7)) for _ in range(blocks)]
    end = reference.draw_linear(7, 5)
    expected = reference.relu(x @ start[0] + start[1])
    for first, second in layers:
        expected = numpy_block(expected, first, second, formula, 0.5)
    np.random.seed(30)
    model = app("mlp_resnet").MLPResNet(9, 7, blocks, 5, norm, 0.5)
    np.testing.assert_allclose(model(ndl.Tensor(x)).numpy(), expected @ end[0] + end[1], **FLOAT32)


@pytest.mark.parametrize("dim, hidden, blocks, classes", [(784, 100, 3, 10), (25, 8, 1, 4), (6, 7, 0, 2)])
def test_number_of_parameters_of_mlp_resnet(dim, hidden, blocks, classes):
    half = hidden // 2
    block = hidden * half + half + 2 * half + half * hidden + hidden + 2 * hidden
    expected = dim * hidden + hidden + blocks * block + hidden * classes + classes
    model = app("mlp_resnet").MLPResNet(dim, hidden, blocks, classes)
    assert sum(np.prod(shape) for shape in flat_shapes(model)) == expected


def mnist_loader(part, batch_size=10):
    return ndl.data.DataLoader(ndl.data.MNISTDataset(part.image_file, part.label_file), batch_size=batch_size)


def test_epoch_without_optimizer_gives_error_rate_and_loss_in_eval_mode(mnist):
    model = Watched(784, 10)
    error, loss = app("mlp_resnet").epoch(mnist_loader(mnist.train), model)
    images = mnist.train.images.reshape(60, 784) / 255
    accuracy, expected = evaluated(Affine(model.parameters()), images, mnist.train.labels)
    np.testing.assert_allclose([float(error), float(loss)], [1 - accuracy, expected], rtol=1e-4)
    assert model.modes == [False] * 6


def test_epoch_with_an_optimizer_trains_in_training_mode(mnist):
    np.random.seed(31)
    model = Watched(784, 10)
    model.eval()
    expected = Affine(model.parameters())
    error, loss = app("mlp_resnet").epoch(mnist_loader(mnist.train), model, ndl.optim.SGD(model.parameters(), lr=0.05))
    seen = []
    for start in range(0, 60, 10):
        x, y = mnist.train.images[start : start + 10].reshape(10, 784) / 255, mnist.train.labels[start : start + 10]
        accuracy, batch_loss = evaluated(expected, x, y)
        seen.append((1 - accuracy, batch_loss))
        expected.step(x, y, 0.05, 0.0)
    np.testing.assert_allclose([float(error), float(loss)], np.mean(seen, axis=0), rtol=1e-4)
    np.testing.assert_allclose(model.parameters()[0].numpy(), expected.weight, **FLOAT32)
    assert model.modes == [True] * 6


class FlatOnly(nn.Module):
    """Takes (B, 784) only, and lets a random draw into its output."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)
        self.draws = []

    def forward(self, x):
        assert x.shape == (10, 784)
        self.draws.append(np.random.rand())
        return self.linear(x)


def test_epoch_flattens_its_batches_and_starts_from_seed_four(mnist):
    model = FlatOnly()
    np.random.seed(1000)
    app("mlp_resnet").epoch(mnist_loader(mnist.train), model)
    np.random.seed(4)
    np.testing.assert_array_equal(model.draws, np.random.rand(6))


def test_train_mnist_gives_four_numbers_and_learns(mnist):
    np.random.seed(1)
    result = app("mlp_resnet").train_mnist(
        10, 12, ndl.optim.Adam, 0.005, 0.001, hidden_dim=16, data_dir=str(mnist.folder)
    )
    train_error, train_loss, test_error, test_loss = (float(number) for number in result)
    assert 0 <= train_error < 0.5 and 0 <= test_error < 0.7
    assert train_loss < np.log(10) and test_loss < np.log(10)


def test_train_mnist_is_reproducible(mnist):
    results = []
    for _ in range(2):
        np.random.seed(1)
        results.append(app("mlp_resnet").train_mnist(20, 1, ndl.optim.SGD, 0.01, 0.0, 8, str(mnist.folder)))
    np.testing.assert_array_equal(*results)


# models


# in, out, kernel size, stride of the eight convolutions
PLAN = [(3, 16, 7, 4), (16, 32, 3, 2), (32, 32, 3, 1), (32, 32, 3, 1)]
PLAN += [(32, 64, 3, 2), (64, 128, 3, 2), (128, 128, 3, 1), (128, 128, 3, 1)]


class NumpyResNet9:
    """The forward pass in training mode, its parameters drawn in the order in which the page lists the layers."""

    def __init__(self):
        self.convs = [reference.draw_conv(*sizes[:3]) for sizes in PLAN]
        self.linears = [reference.draw_linear(128, 128), reference.draw_linear(128, 10)]

    def layer(self, x, number):
        x = reference.convolve_channels_first(x, *self.convs[number], PLAN[number][3])
        return reference.relu(reference.normalize(x, (0, 2, 3)))

    def __call__(self, x):
        for number in (0, 1):
            x = self.layer(x, number)
        x = x + self.layer(self.layer(x, 2), 3)
        for number in (4, 5):
            x = self.layer(x, number)
        x = x + self.layer(self.layer(x, 6), 7)
        (w1, b1), (w2, b2) = self.linears
        return reference.relu(x.reshape(len(x), -1) @ w1 + b1) @ w2 + b2


def test_resnet9_has_its_number_of_parameters_in_order():
    shapes = flat_shapes(app("models").ResNet9())
    expected = []
    for channels_in, channels_out, size, _ in PLAN:
        expected += [(size, size, channels_in, channels_out)] + [(channels_out,)] * 3
    assert shapes == [*expected, (128, 128), (1, 128), (128, 10), (1, 10)]
    assert sum(np.prod(shape) for shape in shapes) == 431_946


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resnet9_is_its_plan_and_takes_images_of_either_precision(dtype):
    x = np.random.default_rng(32).normal(size=(2, 3, 32, 32)).astype(dtype)
    np.random.seed(33)
    expected = NumpyResNet9()(x)
    np.random.seed(33)
    out = app("models").ResNet9(device=ndl.cpu(), dtype="float32")(ndl.Tensor(x, device=ndl.cpu()))
    assert out.shape == (2, 10)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-3, atol=1e-3)  # nine float32 layers, batches of two


def test_resnet9_takes_an_adam_step():
    np.random.seed(34)
    model = app("models").ResNet9()
    optimizer = ndl.optim.Adam(model.parameters(), lr=0.001, weight_decay=0.001)
    x, labels = ndl.Tensor(normal(4, 3, 32, 32)), ndl.Tensor([1, 0, 9, 3])
    losses = []
    for _ in range(5):
        optimizer.reset_grad()
        loss = nn.SoftmaxLoss()(model(x), labels)
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.data.numpy()))
    assert losses[-1] < losses[0]


def test_language_model_is_embedding_then_rnn_then_linear():
    words = np.array([[0, 3], [5, 1], [2, 2]])
    np.random.seed(35)
    embedding = reference.draw_normal(6, 4)
    cells = [reference.draw_recurrent_cell(width, 5) for width in (4, 5)]
    weight, bias = reference.draw_linear(5, 6)
    h, expected = [np.zeros((2, 5))] * 2, []
    for step in embedding[words]:
        for layer, cell in enumerate(cells):
            h[layer] = step = reference.rnn_cell(step, h[layer], cell)
        expected.append(step @ weight + bias)
    np.random.seed(35)
    model = app("models").LanguageModel(4, 6, 5, num_layers=2, seq_model="rnn", device=ndl.cpu())
    out, state = model(ndl.Tensor(words, dtype="float32"))
    np.testing.assert_allclose(out.numpy(), np.concatenate(expected), **FLOAT32)
    np.testing.assert_allclose(state.numpy(), h, **FLOAT32)


@pytest.mark.parametrize("seq_model", ["rnn", "lstm"])
@pytest.mark.parametrize("steps, layers, batch", [(1, 1, 1), (7, 2, 3)])
@pytest.mark.parametrize("with_state", [True, False])
def test_language_model_shapes_states_and_gradients(seq_model, steps, layers, batch, with_state):
    model = app("models").LanguageModel(4, 6, 5, layers, seq_model, device=ndl.cpu())
    x = ndl.Tensor(np.random.default_rng(36).integers(0, 6, size=(steps, batch)).astype("float32"), device=ndl.cpu())
    h, c = ndl.Tensor(normal(layers, batch, 5)), ndl.Tensor(normal(layers, batch, 5, seed=2))
    state = (h if seq_model == "rnn" else (h, c)) if with_state else None
    out, state = model(x, state)
    assert isinstance(state, tuple) == (seq_model == "lstm")
    parts = state if seq_model == "lstm" else (state,)
    assert [part.shape for part in parts] == [(layers, batch, 5)] * len(parts)
    assert out.shape == (steps * batch, 6)
    assert all(p.grad is None for p in model.parameters())
    out.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_transformer_language_model():
    model = app("models").LanguageModel(4, 6, 5, 2, "transformer", seq_len=10)
    out, _ = model(ndl.Tensor(np.array([[0, 3], [5, 1], [2, 2]]), dtype="float32"))
    out.backward()
    assert out.shape == (6, 6)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("seq_model", ["rnn", "lstm", "transformer"])
def test_language_model_gradients(seq_model):
    np.random.seed(37)
    model = app("models").LanguageModel(3, 4, 3, 1, seq_model, seq_len=5, dtype="float64")
    x = ndl.Tensor(np.array([[0, 3], [3, 1], [2, 2]]))
    assert_first_and_second_derivatives(lambda: (model(x)[0] ** 2).sum(), model.parameters())


# Signatures and imports


@pytest.mark.parametrize(
    "module, name, contract",
    [
        ("simple_ml", "parse_mnist", "image_filename, label_filename"),
        ("simple_ml", "softmax_loss", "Z, y_one_hot"),
        ("simple_ml", "nn_epoch", "X, y, W1, W2, lr=0.1, batch=100"),
        ("simple_ml", "loss_err", "h, y"),
        (
            "simple_ml",
            "train_cifar10",
            "model, dataloader, n_epochs=1, optimizer=ndl.optim.Adam, lr=0.001, "
            "weight_decay=0.001, loss_fn=ndl.nn.SoftmaxLoss",
        ),
        (
            "simple_ml",
            "train_ptb",
            "model, data, seq_len=40, n_epochs=1, optimizer=ndl.optim.SGD, lr=4.0, "
            "weight_decay=0.0, loss_fn=ndl.nn.SoftmaxLoss, clip=None",
        ),
        ("mlp_resnet", "ResidualBlock", "dim, hidden_dim, norm=ndl.nn.BatchNorm1d, drop_prob=0.1"),
        (
            "mlp_resnet",
            "MLPResNet",
            "dim, hidden_dim=100, num_blocks=3, num_classes=10, norm=ndl.nn.BatchNorm1d, drop_prob=0.1",
        ),
        ("mlp_resnet", "epoch", "dataloader, model, opt=None"),
        (
            "mlp_resnet",
            "train_mnist",
            "batch_size=100, epochs=10, optimizer=ndl.optim.Adam, lr=0.001, weight_decay=0.001, "
            "hidden_dim=100, data_dir='data'",
        ),
        ("models", "ResNet9", "device=None, dtype='float32'"),
        (
            "models",
            "LanguageModel",
            "embedding_size, output_size, hidden_size, num_layers=1, seq_model='rnn', seq_len=40, "
            "device=None, dtype='float32'",
        ),
    ],
)
def test_signature(module, name, contract):
    assert_signature(getattr(app(module), name), contract)


def test_signature_of_epoch_general_ptb():
    parameters = inspect.signature(app("simple_ml").epoch_general_ptb).parameters
    assert list(parameters)[:8] == ["data", "model", "seq_len", "loss_fn", "opt", "clip", "device", "dtype"]
    assert isinstance(parameters["loss_fn"].default, nn.SoftmaxLoss)
    assert [parameters[name].default for name in ("seq_len", "opt", "clip", "device", "dtype")] == [
        40,
        None,
        None,
        None,
        "float32",
    ]


SIMPLE_ML = (
    "parse_mnist softmax_loss nn_epoch loss_err epoch_general_cifar10 train_cifar10 evaluate_cifar10 "
    "epoch_general_ptb train_ptb evaluate_ptb"
).split()


@pytest.mark.parametrize(
    "module, names",
    [("simple_ml", SIMPLE_ML), ("mlp_resnet", ["ResidualBlock", "MLPResNet", "epoch", "train_mnist"])],
)
def test_a_star_import_gives_the_names_and_rebinds_no_other(module, names):
    held = {"np": np, "ndl": ndl, "nn": nn, "nd": object(), "device": object(), "pytest": pytest}
    namespace = dict(held)
    exec(f"from {module} import *", namespace)
    assert set(names) <= set(namespace)
    assert {name: namespace[name] for name in held} == held


@pytest.mark.parametrize(
    "module, name", [("models", "ResNet9"), ("simple_ml", "softmax_loss"), ("models", "LanguageModel")]
)
def test_an_app_can_be_imported_from_either_place(module, name):
    for path in (module, f"apps.{module}"):
        assert callable(getattr(importlib.import_module(path), name))


@pytest.mark.parametrize("module", ["simple_ml", "mlp_resnet", "models", "apps.models", "apps.simple_ml"])
def test_importing_an_app_does_nothing(module, tmp_path):
    search = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    code = f"import numpy as n; n.random.seed(0); import {module}; assert n.random.rand() == 0.5488135039273248"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
