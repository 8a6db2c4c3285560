"""needle.optim against a few lines of NumPy, over several steps."""

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim

from . import reference
from .signatures import assert_signature

FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}  # several steps, each rounded to 7 digits


class NumpySGD:
    def __init__(self, lr=0.01, momentum=0.0, weight_decay=0.0):
        self.lr, self.momentum, self.weight_decay, self.u = lr, momentum, weight_decay, {}

    def step(self, values, gradients):
        for key, gradient in gradients.items():
            gradient = gradient + self.weight_decay * values[key]
            self.u[key] = self.momentum * self.u.get(key, 0.0) + (1 - self.momentum) * gradient
            values[key] = values[key] - self.lr * self.u[key]


class NumpyAdam:
    def __init__(self, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
        self.lr, self.beta1, self.beta2, self.eps, self.weight_decay = lr, beta1, beta2, eps, weight_decay
        self.m, self.v, self.t = {}, {}, 0

    def step(self, values, gradients):
        self.t += 1
        for key, gradient in gradients.items():
            gradient = gradient + self.weight_decay * values[key]
            self.m[key] = self.beta1 * self.m.get(key, 0.0) + (1 - self.beta1) * gradient
            self.v[key] = self.beta2 * self.v.get(key, 0.0) + (1 - self.beta2) * gradient**2
            m = self.m[key] / (1 - self.beta1**self.t)
            v = self.v[key] / (1 - self.beta2**self.t)
            values[key] = values[key] - self.lr * m / (np.sqrt(v) + self.eps)


OPTIMIZERS = [
    (optim.SGD, NumpySGD, {}),
    (optim.SGD, NumpySGD, {"lr": 0.1}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "weight_decay": 0.05}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}),
    (optim.Adam, NumpyAdam, {}),
    (optim.Adam, NumpyAdam, {"lr": 0.1}),
    (optim.Adam, NumpyAdam, {"lr": 0.1, "beta1": 0.5, "beta2": 0.8, "eps": 1e-3}),
    (optim.Adam, NumpyAdam, {"lr": 0.1, "weight_decay": 0.05}),
    (optim.Adam, NumpyAdam, {"lr": 0.1, "weight_decay": 0.05, "beta1": 0.0}),
]
each_optimizer = pytest.mark.parametrize("optimizer, formula, options", OPTIMIZERS)


def parameters(dtype="float64"):
    rng = np.random.default_rng(81)
    return [nn.Parameter(ndl.Tensor(rng.normal(size=shape), dtype=dtype)) for shape in [(3, 2), (2,), (1, 2)]]


def loss_of(w, b, c, step):
    """Its gradients change from step to step in sign and size."""
    x = ndl.Tensor(np.random.default_rng(step).normal(size=(4, 3)), dtype=w.dtype, requires_grad=False)
    return ((x @ w + b) ** 2).sum() / 4 + (ndl.tanh(c) * (step - 3)).sum()


@each_optimizer
@pytest.mark.parametrize("dtype, tolerance", [("float64", {"rtol": 1e-10, "atol": 1e-12}), ("float32", FLOAT32)])
def test_steps_are_the_formulas(optimizer, formula, options, dtype, tolerance):
    params = parameters(dtype)
    opt, expected = optimizer(params, **options), formula(**options)
    values = {i: p.numpy() for i, p in enumerate(params)}
    for step in range(8):
        opt.reset_grad()
        loss_of(*params, step).backward()
        expected.step(values, {i: p.grad.numpy() for i, p in enumerate(params)})
        opt.step()
        for i, p in enumerate(params):
            np.testing.assert_allclose(p.numpy(), values[i], **tolerance)
        # From here on both go from the same numbers, so that rounding does not pile up.
        values = {i: p.numpy() for i, p in enumerate(params)}


@each_optimizer
def test_a_parameter_without_gradient_is_skipped(optimizer, formula, options):
    params = parameters()
    before = params[1].numpy()
    opt = optimizer(params, **options)
    (params[0] * params[0]).sum().backward()
    opt.step()
    assert params[1].grad is None
    np.testing.assert_array_equal(params[1].numpy(), before)


@each_optimizer
def test_gradients_are_not_modified(optimizer, formula, options):
    params = parameters()
    loss_of(*params, 0).backward()
    tensors = [p.grad for p in params]
    before = [p.grad.numpy() for p in params]
    opt = optimizer(params, **options)
    opt.step()
    opt.step()
    for p, tensor, array in zip(params, tensors, before):
        assert p.grad is tensor
        np.testing.assert_array_equal(p.grad.numpy(), array)


@each_optimizer
def test_a_step_replaces_arrays_and_writes_into_none(optimizer, formula, options):
    params = parameters()
    loss_of(*params, 0).backward()
    arrays = [p.cached_data for p in params]
    before = [array.copy() for array in arrays]
    optimizer(params, **options).step()
    for p, array, value in zip(params, arrays, before):
        np.testing.assert_array_equal(array, value)
        assert (p.numpy() != value).any()


@each_optimizer
def test_after_steps_a_parameter_is_still_a_leaf_of_its_dtype(optimizer, formula, options):
    params = parameters("float32")
    opt = optimizer(params, **options)
    for step in range(3):
        loss_of(*params, step).backward()
        opt.step()
    for p in params:
        assert isinstance(p, nn.Parameter)
        assert p.op is None and p.requires_grad and p.dtype == "float32"


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_reset_grad_forgets_the_gradients(optimizer):
    params = parameters()
    loss_of(*params, 0).backward()
    optimizer(params).reset_grad()
    assert [p.grad for p in params] == [None] * 3


class SignDescent(optim.Optimizer):
    """Students' optimizers have a list of parameters and replace `.data`."""

    def __init__(self, params, lr):
        super().__init__(params)
        self.lr = lr

    def step(self):
        for param in self.params:
            param.data = ndl.Tensor(param.data - self.lr * ndl.Tensor(np.sign(param.grad.numpy())), dtype=param.dtype)


def test_an_own_optimizer():
    param = nn.Parameter(ndl.Tensor([1.0, -2.0], dtype="float32"))
    opt = SignDescent([param], lr=0.5)
    (param * param).sum().backward()
    opt.step()
    opt.reset_grad()
    assert param.grad is None and param.op is None
    np.testing.assert_array_equal(param.numpy(), [0.5, -1.5])


@each_optimizer
def test_training_a_net_equals_training_it_in_numpy(optimizer, formula, options):
    rng = np.random.default_rng(82)
    x, labels = rng.normal(size=(16, 5)), rng.integers(0, 3, size=16)
    np.random.seed(83)
    model = nn.Sequential(nn.Linear(5, 8, dtype="float64"), nn.ReLU(), nn.Linear(8, 3, dtype="float64"))
    opt, expected = optimizer(model.parameters(), **options), formula(**options)
    values = {i: p.numpy() for i, p in enumerate(model.parameters())}
    for _ in range(3):
        for start in range(0, 16, 4):
            batch = slice(start, start + 4)
            opt.reset_grad()
            nn.SoftmaxLoss()(model(ndl.Tensor(x[batch])), ndl.Tensor(labels[batch])).backward()
            opt.step()

            hidden = reference.relu(x[batch] @ values[0] + values[1])
            slope = reference.softmax_loss_gradient(hidden @ values[2] + values[3], labels[batch])
            back = (slope @ values[2].T) * (hidden > 0)
            gradients = {
                0: x[batch].T @ back,
                1: back.sum(0, keepdims=True),
                2: hidden.T @ slope,
                3: slope.sum(0, keepdims=True),
            }
            expected.step(values, gradients)
    for i, p in enumerate(model.parameters()):
        # Adam divides by √v̂, which magnifies rounding where a gradient nearly vanishes.
        np.testing.assert_allclose(p.numpy(), values[i], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("max_norm", [0.25, 1.0])
def test_clip_grad_norm_scales_all_gradients_by_the_global_norm(max_norm):
    params = parameters()
    loss_of(*params, 0).backward()
    before = [p.grad.numpy() for p in params]
    norm = np.sqrt(sum((g**2).sum() for g in before))
    assert norm > max_norm
    optim.SGD(params).clip_grad_norm(max_norm)
    for p, gradient in zip(params, before):
        # The norm may have a tiny number added to keep a division by zero away.
        np.testing.assert_allclose(p.grad.numpy(), gradient * max_norm / norm, rtol=1e-5)


def test_clip_grad_norm_clips_at_a_quarter():
    params = parameters()
    loss_of(*params, 0).backward()
    optim.SGD(params).clip_grad_norm()
    np.testing.assert_allclose(np.sqrt(sum((p.grad.numpy() ** 2).sum() for p in params)), 0.25, rtol=1e-5)


def test_clip_grad_norm_leaves_small_gradients_and_none_alone():
    params = parameters()
    (params[0] * 1e-3).sum().backward()
    optim.SGD(params).clip_grad_norm(max_norm=0.25)
    np.testing.assert_allclose(params[0].grad.numpy(), np.full((3, 2), 1e-3))
    assert params[1].grad is None


@pytest.mark.parametrize(
    "function, contract",
    [
        (optim.Optimizer, "params"),
        (optim.SGD, "params, lr=0.01, momentum=0.0, weight_decay=0.0"),
        (optim.Adam, "params, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0"),
        (optim.SGD.clip_grad_norm, "self, max_norm=0.25"),
    ],
)
def test_signature(function, contract):
    assert_signature(function, contract)


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_optimizers_are_optimizers(optimizer):
    assert issubclass(optimizer, optim.Optimizer)
