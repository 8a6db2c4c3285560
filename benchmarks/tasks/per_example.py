"""per_example: the gradient of each of 256 examples by the weights of a 32-64-10 net."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.weights import random_weights

BATCH = 256


def inputs():
    rng = np.random.default_rng(0)
    return {
        "batch": (rng.normal(size=(BATCH, 32)).astype(np.float32), rng.normal(size=(BATCH, 10)).astype(np.float32)),
        "weights": random_weights(rng, [(32, 64), (64,), (64, 10), (10,)]),
    }


def loss_with(tanh):
    def loss(weights, x, y):
        W1, b1, W2, b2 = weights
        return ((tanh(x @ W1 + b1) @ W2 + b2 - y) ** 2).sum()

    return loss


def needle(inputs):
    import needle as ndl
    from needle.transforms import grad, vmap

    function = vmap(grad(loss_with(ndl.tanh)), in_axes=(None, 0, 0))
    return lambda: tuple(function(inputs["weights"], *inputs["batch"]))


def needle_loop(inputs):
    import needle as ndl
    from needle.transforms import grad

    function = grad(loss_with(ndl.tanh))

    def step():
        each = [function(inputs["weights"], x, y) for x, y in zip(*inputs["batch"], strict=True)]
        return tuple(np.stack(gradients) for gradients in zip(*each, strict=True))

    return step


def torch(inputs):
    import torch

    function = torch.func.vmap(torch.func.grad(loss_with(torch.tanh)), in_dims=(None, 0, 0))
    weights, batch = [[torch.tensor(array) for array in inputs[name]] for name in ("weights", "batch")]
    return lambda: tuple(function(weights, *batch))


def jax(inputs):
    import jax
    import jax.numpy as jnp

    function = jax.jit(jax.vmap(jax.grad(loss_with(jnp.tanh)), in_axes=(None, 0, 0)))
    weights, batch = [[jnp.asarray(array) for array in inputs[name]] for name in ("weights", "batch")]
    return lambda: jax.block_until_ready(tuple(function(weights, *batch)))


TASK = Task(
    name="per_example",
    summary="gradient of each of 256 examples, 32-64-10 net",
    inputs=inputs,
    contenders={"needle": needle, "needle.loop": needle_loop, "torch": torch, "jax.jit": jax},
    reaches=(Reach("needle", "needle.loop", 0.05),),
)
