"""pinn: the Laplacian of a net at 1,000 points in a loss, and the gradient of that loss by the weights."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.hvp import net
from benchmarks.tasks.weights import random_weights

SHAPES = [(2, 64), (64,), (64, 64), (64,), (64, 64), (64,), (64, 1), (1,)]
POINTS = 1000


def inputs():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (POINTS, 2)).astype(np.float32)
    return {"x": x, "f": 20 * np.sin(3 * x).prod(axis=1), "weights": random_weights(rng, SHAPES)}


def needle(inputs, jit=as_it_is):
    import needle as ndl

    x, f = (ndl.Tensor(inputs[name], requires_grad=False) for name in ("x", "f"))
    weights = [ndl.Tensor(weight) for weight in inputs["weights"]]

    def field(points):
        return net(weights, points, ndl.tanh)[..., 0]

    def step():
        loss = ((ndl.laplacian(field)(x) + f) ** 2).mean()
        loss.backward()
        return loss, *[weight.grad for weight in weights[:-1]]  # the last bias is in no second derivative

    return jit(step)


def torch(inputs):
    import torch

    x, f = torch.tensor(inputs["x"], requires_grad=True), torch.tensor(inputs["f"])
    weights = [torch.tensor(weight, requires_grad=True) for weight in inputs["weights"]]

    def step():
        u = net(weights, x, torch.tanh).sum()
        (slope,) = torch.autograd.grad(u, x, create_graph=True)
        laplacian = 0
        for i in range(2):
            laplacian = laplacian + torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i]
        loss = ((laplacian + f) ** 2).mean()
        return loss, *torch.autograd.grad(loss, weights[:-1])

    return step


def torch_func(inputs):
    """Forward over reverse, in both directions at once, for all points at once."""
    import torch

    x, f = torch.tensor(inputs["x"]), torch.tensor(inputs["f"])
    weights = [torch.tensor(weight, requires_grad=True) for weight in inputs["weights"]]
    units = torch.eye(2)

    def laplacian(point):
        slope = torch.func.grad(lambda point: net(weights, point, torch.tanh)[0])
        return torch.func.vmap(lambda unit: torch.func.jvp(slope, (point,), (unit,))[1] @ unit)(units).sum()

    def step():
        loss = ((torch.func.vmap(laplacian)(x) + f) ** 2).mean()
        return loss, *torch.autograd.grad(loss, weights[:-1])

    return step


def torch_compile(inputs):
    """What `torch_func` does, with its gradient by `torch.func` too, compiled as a whole."""
    import torch

    x, f = torch.tensor(inputs["x"]), torch.tensor(inputs["f"])
    weights = [torch.tensor(weight) for weight in inputs["weights"]]
    units = torch.eye(2)

    def loss(weights):
        def laplacian(point):
            slope = torch.func.grad(lambda point: net(weights, point, torch.tanh)[0])
            return torch.func.vmap(lambda unit: torch.func.jvp(slope, (point,), (unit,))[1] @ unit)(units).sum()

        return ((torch.func.vmap(laplacian)(x) + f) ** 2).mean()

    function = torch.compile(torch.func.grad_and_value(loss))

    def step():
        gradient, value = function(weights)
        return value, *gradient[:-1]

    return step


def jax(inputs):
    import jax
    import jax.numpy as jnp

    x, f, units = jnp.asarray(inputs["x"]), jnp.asarray(inputs["f"]), jnp.eye(2)
    weights = [jnp.asarray(weight) for weight in inputs["weights"]]

    def laplacian(weights, point):
        slope = jax.grad(lambda point: net(weights, point, jnp.tanh)[0])
        return jax.vmap(lambda unit: jax.jvp(slope, (point,), (unit,))[1] @ unit)(units).sum()

    def loss(weights):
        return ((jax.vmap(laplacian, (None, 0))(weights, x) + f) ** 2).mean()

    function = jax.jit(jax.value_and_grad(loss))

    def step():
        value, gradient = jax.block_until_ready(function(weights))
        return value, *gradient[:-1]

    return step


TASK = Task(
    name="pinn",
    summary=f"Laplacian of a 2-64-64-64-1 net at {POINTS:,} points in a loss, gradient by the weights",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.func": torch_func,
        "torch.compile": torch_compile,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "torch", 0.8),
        Reach("needle.jit", "torch", 0.30),
    ),
)
