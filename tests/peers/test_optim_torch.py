"""needle.optim beside PyTorch: ten steps from equal weights, and the learning rates of every schedule."""

import numpy as np
import pytest

import needle as ndl
from needle import optim

torch = pytest.importorskip("torch")

STEPS = 10
SHAPES = [(5, 4), (1, 4), (4,), ()]

# PyTorch's momentum has no factor 1 − momentum: with its learning rate times that, both make the same steps.
OPTIMIZERS = {
    "sgd": (optim.SGD, {"lr": 0.1}, torch.optim.SGD, {"lr": 0.1}),
    "sgd-decay": (optim.SGD, {"lr": 0.1, "weight_decay": 0.2}, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.2}),
    "sgd-momentum": (
        optim.SGD,
        {"lr": 0.1, "momentum": 0.75, "weight_decay": 0.2},
        torch.optim.SGD,
        {"lr": 0.025, "momentum": 0.75, "weight_decay": 0.2},
    ),
    "sgd-nesterov": (
        optim.SGD,
        {"lr": 0.1, "momentum": 0.75, "nesterov": True, "weight_decay": 0.2},
        torch.optim.SGD,
        {"lr": 0.025, "momentum": 0.75, "nesterov": True, "weight_decay": 0.2},
    ),
    "adam": (optim.Adam, {"lr": 0.1}, torch.optim.Adam, {"lr": 0.1}),
    "adam-decay": (
        optim.Adam,
        {"lr": 0.1, "beta1": 0.7, "beta2": 0.9, "eps": 1e-4, "weight_decay": 0.2},
        torch.optim.Adam,
        {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.2},
    ),
    "adamw": (optim.AdamW, {}, torch.optim.AdamW, {}),  # the defaults agree
    "adamw-decay": (
        optim.AdamW,
        {"lr": 0.1, "beta1": 0.7, "weight_decay": 0.2},
        torch.optim.AdamW,
        {"lr": 0.1, "betas": (0.7, 0.999), "weight_decay": 0.2},
    ),
    "rmsprop": (optim.RMSProp, {}, torch.optim.RMSprop, {}),
    "rmsprop-momentum": (
        optim.RMSProp,
        {"lr": 0.02, "alpha": 0.8, "momentum": 0.6, "weight_decay": 0.2, "eps": 1e-4},
        torch.optim.RMSprop,
        {"lr": 0.02, "alpha": 0.8, "momentum": 0.6, "weight_decay": 0.2, "eps": 1e-4},
    ),
    "adagrad": (optim.Adagrad, {}, torch.optim.Adagrad, {}),
    "adagrad-decay": (
        optim.Adagrad,
        {"lr": 0.3, "weight_decay": 0.2},
        torch.optim.Adagrad,
        {"lr": 0.3, "weight_decay": 0.2},
    ),
}


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])  # float32: 10 steps of rounding
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_are_pytorchs(name, dtype, tolerance):
    ours, our_options, theirs, their_options = OPTIMIZERS[name]
    random = np.random.RandomState(0)
    start = [np.asarray(random.randn(*shape)).astype(dtype) for shape in SHAPES]
    params = [ndl.Tensor(array) for array in start]
    peers = [torch.nn.Parameter(torch.tensor(array)) for array in start]
    optimizer, peer = ours(params, **our_options), theirs(peers, **their_options)
    for _ in range(STEPS):
        for param, twin in zip(params, peers):
            grad = np.asarray(random.randn(*param.shape)).astype(dtype)
            param.grad, twin.grad = ndl.Tensor(grad), torch.tensor(grad)
        optimizer.step()
        peer.step()
    for param, twin in zip(params, peers):
        np.testing.assert_allclose(param.numpy(), twin.detach().numpy(), rtol=tolerance, atol=tolerance)


def sequence(optimizer):
    schedules = torch.optim.lr_scheduler
    warmup = schedules.LinearLR(optimizer, start_factor=0.1, end_factor=1.0, total_iters=4)
    cosine = schedules.CosineAnnealingLR(optimizer, T_max=6, eta_min=0.01)
    return schedules.SequentialLR(optimizer, [warmup, cosine], milestones=[4])


SCHEDULES = {
    "step": (lambda o: optim.StepLR(o, 3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    "milestones": (
        lambda o: optim.MultiStepLR(o, [2, 7], 0.5),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 7], 0.5),
    ),
    "exponential": (
        lambda o: optim.ExponentialLR(o, 0.9),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    ),
    "cosine": (
        lambda o: optim.CosineAnnealing(o, STEPS, 0.02),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, 0.02),
    ),
    "warmup": (
        lambda o: optim.LinearWarmup(o, 6, 0.2),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.2, end_factor=1.0, total_iters=6),
    ),
    "warmup-cosine": (lambda o: optim.WarmupCosine(o, STEPS, 4, start=0.1, least=0.01), sequence),
}


def optimizer_pair(lr=0.3):
    return optim.SGD([ndl.Tensor([1.0])], lr=lr), torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)


# PyTorch's SequentialLR says through a warning of its own how it calls the schedules inside it.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rates_are_pytorchs(name):
    optimizer, peer = optimizer_pair()
    schedule, twin = (make(o) for make, o in zip(SCHEDULES[name], (optimizer, peer)))
    for _ in range(STEPS):
        assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12, abs=1e-15)
        optimizer.step()
        peer.step()
        schedule.step()
        twin.step()
    assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("patience", [0, 1, 3])
def test_plateaus_are_pytorchs(mode, cooldown, patience):
    optimizer, peer = optimizer_pair()
    options = {"mode": mode, "factor": 0.5, "patience": patience, "cooldown": cooldown, "threshold": 0.01}
    schedule = optim.ReduceLROnPlateau(optimizer, **options, least=0.02)
    twin = torch.optim.lr_scheduler.ReduceLROnPlateau(peer, **options, min_lr=0.02, eps=0.0)
    values = np.random.RandomState(0).rand(60).round(1) + (0.5 if mode == "max" else 1.0)
    for value in values:
        schedule.step(value)
        twin.step(value)
        assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("max_norm", [0.25, 1.0, 100.0])
def test_clipping_by_norm_is_pytorchs(max_norm):
    random = np.random.RandomState(0)
    arrays = [random.randn(3, 2), random.randn(4)]
    params, peers = [ndl.Tensor(a) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    for param, twin in zip(params, peers):
        grad = random.randn(*param.shape)
        param.grad, twin.grad = ndl.Tensor(grad), torch.tensor(grad)
    norm = optim.clip_grad_norm(params, max_norm)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(peers, max_norm).item(), rel=1e-12)
    for param, twin in zip(params, peers):
        np.testing.assert_allclose(param.grad.numpy(), twin.grad.numpy(), rtol=1e-12)


def test_clipping_by_value_is_pytorchs():
    grad = np.random.RandomState(0).randn(5)
    param, twin = ndl.Tensor(np.zeros(5)), torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    param.grad, twin.grad = ndl.Tensor(grad), torch.tensor(grad)
    optim.clip_grad_value([param], 0.5)
    torch.nn.utils.clip_grad_value_([twin], 0.5)
    np.testing.assert_array_equal(param.grad.numpy(), twin.grad.numpy())
