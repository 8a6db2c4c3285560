"""Ten steps of every app, eager and compiled, are the same to rounding.

Each case makes, from a seed, a function that takes the number of a step and gives what that step computed; with `jit`
it compiles what a user of the app would.
"""

from importlib.util import find_spec

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.data import DigitsDataset

STEPS = 10
BACKENDS = ["numpy", pytest.param("auto", marks=pytest.mark.skipif(find_spec("numba") is None, reason="no numba"))]


def training(model, optimizer, batches, jit, loss_fn=nn.SoftmaxLoss()):
    """Steps as an app makes them, on the batches in turn; a step gives its loss and the first weights."""

    @jit
    def step(X, y):
        loss = loss_fn(model(X), y)
        optimizer.reset_grad()
        loss.backward()
        optimizer.step()
        return loss

    def run(i):
        X, y = batches[i % len(batches)]
        return step(ndl.Tensor(X, requires_grad=False), ndl.Tensor(y, requires_grad=False)), model.parameters()[0]

    return run


def digits(number, flat=False):
    data = DigitsDataset()
    images = data.X.reshape(len(data), -1) if flat else data.X
    return [(images[i : i + 32], data.y[i : i + 32]) for i in range(0, 32 * number, 32)]


def digits_mlp(jit):
    from digits import mlp

    net = mlp()
    return training(net, ndl.optim.Adam(net.parameters(), lr=0.003), digits(5), jit)


def digits_resnet(jit):
    from digits import resnet

    net = resnet()
    return training(net, ndl.optim.Adam(net.parameters(), lr=0.005), digits(5), jit)


def mlp_resnet(jit):
    from mlp_resnet import MLPResNet

    model = MLPResNet(64, hidden_dim=32)  # with BatchNorm and Dropout
    return training(model, ndl.optim.Adam(model.parameters(), lr=0.001, weight_decay=0.001), digits(5, flat=True), jit)


def resnet9(jit):
    from models import ResNet9

    random = np.random.RandomState(0)
    # float64: of four images, whether a ReLU is on can hang on the last digit of a float32
    batches = [(random.rand(4, 3, 32, 32), random.randint(0, 10, 4)) for _ in range(3)]
    model = ResNet9(dtype="float64")
    return training(model, ndl.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), batches, jit)


def simple_ml(jit):
    from simple_ml import softmax_loss

    W1, W2 = (ndl.Tensor(np.random.randn(*shape).astype("float32") / 8) for shape in ((64, 30), (30, 10)))
    batches = digits(5, flat=True)

    @jit
    def step(W1, W2, X, y_one_hot):
        loss = softmax_loss(ndl.relu(X @ W1) @ W2, y_one_hot)
        loss.backward()
        return loss, W1.detach() - 0.1 * W1.grad.detach(), W2.detach() - 0.1 * W2.grad.detach()

    def run(i):
        nonlocal W1, W2
        X, y = batches[i % len(batches)]
        targets = ndl.init.one_hot(10, y)
        loss, *new = step(W1, W2, ndl.Tensor(X, requires_grad=False), targets)
        W1, W2 = map(ndl.Tensor, new)
        return loss, W1, W2

    return run


def language_model(kind):
    def case(jit):
        from models import LanguageModel
        from needle.data import batchify, get_batch
        from simple_ml import language_step

        model = LanguageModel(8, 20, 16, 1, kind, seq_len=12)
        optimizer = ndl.optim.Adam(model.parameters(), lr=0.005)
        step = jit(language_step(model, nn.SoftmaxLoss(), optimizer, clip=1.0))
        text = batchify(np.random.RandomState(0).randint(0, 20, 600), 4, dtype="int64")
        state = None

        def run(i):
            nonlocal state
            X, y = get_batch(text, 12 * i, 12, dtype="int64")
            logits, state, loss = step(X, y, state)
            return logits, loss, model.parameters()[0]

        return run

    return case


def pinn(jit):
    from pinn import Field, training_step

    field = Field(16)
    optimizer = ndl.optim.Adam(field.parameters(), lr=0.01)
    step = jit(training_step(field, optimizer))
    random = np.random.default_rng(0)
    return lambda i: (step(random.random((32, 2)).astype(np.float32)), *field.parameters())


def newton(jit):
    from newton import regression

    loss, w, _ = regression(1e-3)
    value_and_grad = jit(ndl.value_and_grad(loss))
    product = jit(lambda w, v: ndl.hvp(loss, (w,), (v,))[1])

    def run(i):
        nonlocal w
        value, gradient = value_and_grad(w)
        w = w - 0.1 * gradient
        return value, gradient, product(w, gradient)

    return run


def wave(jit):
    from wave import misfit

    random = np.random.default_rng(0)
    start, target = random.normal(size=(2, 12, 12)), random.normal(size=(12, 12))
    value_and_grad = jit(ndl.value_and_grad(misfit), static_argnums=2)

    def run(i):
        nonlocal start
        value, gradient = value_and_grad(start, target, 20)
        start = start - 10 * gradient
        return value, gradient

    return run


def gaussian_process(jit):
    from gaussian_process import START, measured, negative_log_likelihood

    t, y = measured(30, 0)
    at = np.log(START)
    value_and_grad = jit(ndl.value_and_grad(negative_log_likelihood))

    def run(i):
        nonlocal at
        value, gradient = value_and_grad(at, t, y)
        at = at - 0.001 * gradient
        return value, gradient

    return run


def ode_fit(jit):
    from ode_fit import GUESS, counted, residuals

    times = np.linspace(0, 3, 13)
    counts = counted(times, 4, 0)
    unknowns = np.array(GUESS)
    jacobian = jit(ndl.jacfwd(residuals), static_argnums=2)

    def run(i):
        nonlocal unknowns
        found = jacobian(unknowns, times, 4, counts)
        unknowns = unknowns - 1e-5 * found.sum(axis=0)
        return found

    return run


CASES = {
    "digits: MLP": digits_mlp,
    "digits: ResNet": digits_resnet,
    "mlp_resnet": mlp_resnet,
    "models.ResNet9": resnet9,
    "simple_ml": simple_ml,
    "char_lm: rnn": language_model("rnn"),
    "char_lm: lstm": language_model("lstm"),
    "char_lm: transformer": language_model("transformer"),
    "pinn": pinn,
    "newton": newton,
    "wave": wave,
    "gaussian_process": gaussian_process,
    "ode_fit": ode_fit,
}


def arrays(result):
    """What a step gave, as float64 arrays."""
    leaves = result if isinstance(result, (tuple, list)) else (result,)
    return [np.array(leaf.numpy() if isinstance(leaf, ndl.Tensor) else leaf, dtype="float64") for leaf in leaves]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_ten_steps_are_the_same_to_rounding(name, backend):
    compiled = []

    def jit(function, **options):
        compiled.append(ndl.jit(function, backend=backend, wait=True, **options))
        return compiled[-1]

    def ten(jit):
        np.random.seed(0)
        step = CASES[name](jit)
        return [arrays(step(i)) for i in range(STEPS)]

    expected, found = ten(lambda function, **options: function), ten(jit)
    for i, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        for a, b in zip(theirs, ours, strict=True):
            # A step of float32 rounds by 1e-7, and each step makes what the ones before it differ by a little larger.
            scale = max(np.abs(a).max(), 1e-3)
            assert np.abs(a - b).max() <= 1e-4 * scale, f"step {i}: {np.abs(a - b).max() / scale:.1e} of the largest"
    assert all(function.traces <= 2 for function in compiled)
