"""hvp: the Hessian of a net's loss by its weights, times a direction, without making the Hessian."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.weights import random_weights

SHAPES = [(2, 100), (100,), (100, 100), (100,), (100, 100), (100,), (100, 1), (1,)]
POINTS = 256


def inputs():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (POINTS, 2)).astype(np.float32)
    return {
        "x": x,
        "y": np.sin(3 * x.sum(axis=1, keepdims=True)),
        "weights": random_weights(rng, SHAPES),
        "direction": random_weights(rng, SHAPES),
    }


def net(weights, x, tanh):
    W1, b1, W2, b2, W3, b3, W4, b4 = weights
    return tanh(tanh(tanh(x @ W1 + b1) @ W2 + b2) @ W3 + b3) @ W4 + b4


def needle(inputs, jit=as_it_is):
    import needle as ndl

    x, y = ndl.Tensor(inputs["x"], requires_grad=False), ndl.Tensor(inputs["y"], requires_grad=False)

    def loss(weights):
        return ((net(weights, x, ndl.tanh) - y) ** 2).mean()

    function = jit(lambda weights, direction: ndl.hvp(loss, (weights,), (direction,))[1])
    return lambda: tuple(function(inputs["weights"], inputs["direction"]))


def torch(inputs):
    """Back twice: the gradient of ⟨gradient, direction⟩, PyTorch's own way without torch.func."""
    import torch

    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    weights = [torch.tensor(weight, requires_grad=True) for weight in inputs["weights"]]
    direction = [torch.tensor(weight) for weight in inputs["direction"]]

    def step():
        loss = ((net(weights, x, torch.tanh) - y) ** 2).mean()
        gradient = torch.autograd.grad(loss, weights, create_graph=True)
        return torch.autograd.grad(gradient, weights, direction)

    return step


def torch_func(inputs):
    """Forward over reverse, as needle does it."""
    import torch

    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    weights, direction = ([torch.tensor(weight) for weight in inputs[name]] for name in ("weights", "direction"))

    def loss(weights):
        return ((net(weights, x, torch.tanh) - y) ** 2).mean()

    return lambda: tuple(torch.func.jvp(torch.func.grad(loss), (weights,), (direction,))[1])


def torch_compile(inputs):
    """Forward over reverse, compiled as a whole."""
    import torch

    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    weights, direction = ([torch.tensor(weight) for weight in inputs[name]] for name in ("weights", "direction"))

    def loss(weights):
        return ((net(weights, x, torch.tanh) - y) ** 2).mean()

    function = torch.compile(lambda weights, v: torch.func.jvp(torch.func.grad(loss), (weights,), (v,))[1])
    return lambda: tuple(function(weights, direction))


def autograd(inputs):
    import autograd
    import autograd.numpy as anp

    def loss(weights):
        return anp.mean((net(weights, inputs["x"], anp.tanh) - inputs["y"]) ** 2)

    product = autograd.make_hvp(loss)
    return lambda: tuple(product(inputs["weights"])[0](inputs["direction"]))


def jax(inputs):
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    weights, direction = ([jnp.asarray(weight) for weight in inputs[name]] for name in ("weights", "direction"))

    def loss(weights):
        return ((net(weights, x, jnp.tanh) - y) ** 2).mean()

    function = jax.jit(lambda w, v: jax.jvp(jax.grad(loss), (w,), (v,))[1])
    return lambda: tuple(jax.block_until_ready(function(weights, direction)))


TASK = Task(
    name="hvp",
    summary=f"Hessian-vector product, 2-100-100-100-1 net, {POINTS} points",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.func": torch_func,
        "torch.compile": torch_compile,
        "autograd": autograd,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "torch", 0.8),
        Reach("needle.jit", "torch", 0.42),
    ),
)
