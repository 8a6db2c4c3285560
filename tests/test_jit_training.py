"""Training under `jit`: every layer, optimizer and schedule, step by step as eager goes.

Ten steps in float64; a sum in another order changes 1e-16, which an optimizer that divides by a small gradient may
carry to 1e-9.  Adam and its like turn a gradient that is zero but for rounding into a step of full size, so there are
no biases before a normalization here.
"""

import functools

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.program import jit

compiled = functools.partial(jit, backend="numpy")


def constant(array) -> ndl.Tensor:
    return ndl.Tensor(np.asarray(array), requires_grad=False)


def net():
    return nn.Sequential(
        nn.Linear(4, 8, bias=False, dtype="float64"),
        nn.BatchNorm1d(8, dtype="float64"),
        nn.GELU(),
        nn.Dropout(0.25),
        nn.Residual(nn.Sequential(nn.Linear(8, 8, dtype="float64"), nn.Tanh())),
        nn.LayerNorm1d(8, dtype="float64"),
        nn.Linear(8, 3, dtype="float64"),
    )


def run(make_step, is_compiled: bool, steps: int = 10, between=lambda i, *_: None):
    """What `steps` steps leave behind: losses, parameters, statistics, and where the random numbers stand."""
    np.random.seed(0)
    model = net()
    step, *others = make_step(model)
    call = compiled(step) if is_compiled else step
    rng = np.random.default_rng(1)
    losses = []
    for i in range(steps):
        losses.append(call(constant(rng.normal(size=(6, 4))), constant(rng.integers(0, 3, 6))).numpy())
        between(i, model, *others)
    return losses, model.state_dict(), np.random.rand(), call


def assert_same_as_eager(make_step, programs: int = 2, **options):
    ours, theirs = run(make_step, True, **options), run(make_step, False, **options)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-8)
    for name, value in theirs[1].items():
        np.testing.assert_allclose(ours[1][name], value, rtol=1e-7, atol=1e-9, err_msg=name)
    assert ours[2] == theirs[2]
    assert ours[3].cache_size() <= programs


def step_of(make_optimizer, clip=lambda optimizer: None, accumulate=False):
    def make(model):
        optimizer, loss = make_optimizer(model.parameters()), nn.SoftmaxLoss()

        def step(x, y):
            optimizer.reset_grad()
            value = loss(model(x), y)
            value.backward()
            if accumulate:
                loss(model(x * 0.5), y).backward(accumulate=True)
            clip(optimizer)
            optimizer.step()
            return value

        return step, optimizer

    return make


OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "SGD, momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
    "SGD, weight decay": lambda params: optim.SGD(params, lr=0.1, momentum=0.5, weight_decay=0.01),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "Adam, weight decay": lambda params: optim.Adam(params, lr=0.01, weight_decay=0.1),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01, weight_decay=0.1),
    "RMSProp": lambda params: optim.RMSProp(params, lr=0.01),
    "RMSProp, momentum": lambda params: optim.RMSProp(params, lr=0.01, momentum=0.5),
    "Adagrad": lambda params: optim.Adagrad(params, lr=0.1),
    "groups": lambda params: optim.Adam([{"params": params[:3], "lr": 0.1}, {"params": params[3:]}], lr=0.01),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer(make):
    assert_same_as_eager(step_of(make))


def test_clipping():
    for clip in (lambda o: o.clip_grad_norm(0.1), lambda o: o.clip_grad_value(0.01)):
        assert_same_as_eager(step_of(OPTIMIZERS["Adam"], clip))


def test_accumulated_gradients():
    assert_same_as_eager(step_of(OPTIMIZERS["SGD, momentum"], accumulate=True))


SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda o: optim.ExponentialLR(o, 0.8),
    "CosineAnnealing": lambda o: optim.CosineAnnealing(o, 8),
    "LinearWarmup": lambda o: optim.LinearWarmup(o, 5),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_neither_traces_again_nor_is_frozen(make):
    schedules = {}

    def between(i, model, optimizer):
        schedules.setdefault(id(optimizer), make(optimizer)).step()

    assert_same_as_eager(step_of(OPTIMIZERS["Adam"]), programs=2, between=between)


def test_changed_options_of_an_optimizer_neither_trace_again_nor_are_frozen():
    def between(i, model, optimizer):
        optimizer.groups[0]["lr"] *= 0.7
        optimizer.groups[0]["momentum"] = 0.5 + 0.04 * i

    assert_same_as_eager(step_of(OPTIMIZERS["SGD, momentum"]), programs=2, between=between)


def test_evaluation_in_between_and_frozen_parameters():
    def between(i, model, optimizer):
        if i == 3:
            next(iter(model.parameters())).requires_grad = False
            next(iter(model.parameters())).grad = None
        model.eval()
        with ndl.no_grad():
            model(constant(np.ones((2, 4))))
        model.train()

    assert_same_as_eager(step_of(OPTIMIZERS["Adam"]), programs=4, between=between)


def test_loaded_states_go_on_from_there():
    kept = {}

    def between(i, model, optimizer):
        if i == 2:
            kept[id(model)] = model.state_dict(), optimizer.state_dict()
        if i == 6:
            model.load_state_dict(kept[id(model)][0])
            optimizer.load_state_dict(kept[id(model)][1])

    assert_same_as_eager(step_of(OPTIMIZERS["Adam"]), programs=2, between=between)


def test_eager_and_compiled_steps_take_turns():
    def make(model):
        step, optimizer = step_of(OPTIMIZERS["Adam"])(model)
        return step, optimizer

    np.random.seed(0)
    model = net()
    step, _ = make(model)
    both = [compiled(step), step]
    rng = np.random.default_rng(1)
    ours = [both[i % 2](constant(rng.normal(size=(6, 4))), constant(rng.integers(0, 3, 6))).numpy() for i in range(6)]
    np.testing.assert_allclose(ours, run(make, False, steps=6)[0], rtol=1e-8)


# --------------------------------------------------------------------------------------------------------------------
# Layers

IMAGES = (2, 3, 6, 6)
SEQUENCES = (5, 2, 4)
LAYERS = {
    "Linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "Flatten": (nn.Flatten, (2, 3, 4)),
    **{kind.__name__: (kind, (2, 4)) for kind in (nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus)},
    "Softmax": (nn.Softmax, (2, 4)),
    "LogSoftmax": (nn.LogSoftmax, (2, 4)),
    "Conv": (lambda: nn.Conv(3, 4, 3, stride=2), IMAGES),
    "Conv, groups": (lambda: nn.Conv(4, 4, 3, groups=2), (2, 4, 6, 6)),
    "ConvTranspose": (lambda: nn.ConvTranspose(3, 4, 3, stride=2), IMAGES),
    "MaxPool": (lambda: nn.MaxPool(2), IMAGES),
    "AvgPool": (lambda: nn.AvgPool(2), IMAGES),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (6, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), IMAGES),
    "LayerNorm1d": (lambda: nn.LayerNorm1d(4), (6, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 6, 6)),
    "Dropout": (lambda: nn.Dropout(0.4), (20, 4)),
    "RNN": (lambda: nn.RNN(4, 3, num_layers=2), SEQUENCES),
    "GRU": (lambda: nn.GRU(4, 3), SEQUENCES),
    "LSTM": (lambda: nn.LSTM(4, 3, num_layers=2), SEQUENCES),
    "Transformer": (lambda: nn.Transformer(8, 16, 2, num_head=2, dim_head=4, dropout=0.1, causal=True), (2, 5, 8)),
}


def outputs(result) -> list:
    if isinstance(result, ndl.Tensor):
        return [result]
    return [part for item in result if item is not None for part in outputs(item)]


@pytest.mark.parametrize("make, shape", LAYERS.values(), ids=LAYERS)
def test_a_layer_and_its_gradients(make, shape):
    found = []
    for is_compiled in (True, False):
        np.random.seed(0)
        layer = make()
        call = compiled(layer) if is_compiled else layer
        rng, made = np.random.default_rng(0), []
        for _ in range(2):
            x = ndl.Tensor(rng.normal(size=shape).astype("float32"))
            result = outputs(call(x))
            sum([(part * part).sum() for part in result[1:]], (result[0] * result[0]).sum()).backward()
            made += [part.numpy() for part in result]
            made += [p.grad.numpy() for p in [x, *layer.parameters()]]
        found.append([*made, *layer.state_dict().values()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4 * max(1.0, np.abs(theirs).max(initial=0.0)))


def test_an_embedding():
    layer = nn.Embedding(7, 3)
    f, index = compiled(lambda i: (layer(i) ** 2).sum()), constant(np.array([[1, 2, 2], [6, 0, 1]]))
    f(index).backward()
    ours = layer.weight.grad.numpy()
    (layer(index) ** 2).sum().backward()
    np.testing.assert_allclose(ours, layer.weight.grad.numpy(), rtol=1e-6)
    with pytest.raises(ValueError, match=r"\[0, 7\)"):
        f(constant(np.array([[1, 2, 2], [6, 0, 7]])))


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss])
def test_a_loss(kind):
    loss, rng = kind(), np.random.default_rng(0)
    f = compiled(lambda x, y: loss(x, y))
    for _ in range(2):
        x, y = ndl.Tensor(rng.normal(size=(3, 4))), constant(rng.random(size=(3, 4)))
        f(x, y).backward()
        ours = f(x, y).numpy(), x.grad.numpy()
        value = loss(x, y)
        value.backward()
        np.testing.assert_allclose(ours[0], value.numpy(), rtol=1e-12)
        np.testing.assert_allclose(ours[1], x.grad.numpy(), rtol=1e-12)
