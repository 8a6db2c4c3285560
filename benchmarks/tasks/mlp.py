"""mlp: a 784-100-10 net on a batch of 100: loss, backward, SGD step."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.training import jax_cross_entropy, jax_sgd, jax_step, needle_step, torch_compile_step, torch_step
from benchmarks.tasks.weights import random_weights, set_needle_weights, set_torch_weights

BATCH = 100
LEARNING_RATE = 0.1


def inputs():
    rng = np.random.default_rng(0)
    return {
        "batch": (rng.random((BATCH, 784), dtype=np.float32), rng.integers(0, 10, BATCH)),
        "weights": random_weights(rng, [(784, 100), (100,), (100, 10), (10,)]),
    }


def needle(inputs, jit=as_it_is):
    import needle as ndl

    model = ndl.nn.Sequential(ndl.nn.Linear(784, 100), ndl.nn.ReLU(), ndl.nn.Linear(100, 10))
    set_needle_weights(model, inputs["weights"])
    return jit(needle_step(model, ndl.optim.SGD(model.parameters(), lr=LEARNING_RATE), inputs["batch"]))


def torch(inputs, wrap=torch_step):
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
    set_torch_weights(model, inputs["weights"])
    return wrap(model, torch.optim.SGD(model.parameters(), lr=LEARNING_RATE), inputs["batch"])


def torch_compile(inputs):
    return torch(inputs, torch_compile_step)


def autograd(inputs):
    import autograd.numpy as anp
    from autograd import value_and_grad

    X, y = inputs["batch"]
    weights = [weight.copy() for weight in inputs["weights"]]

    def loss(weights):
        W1, b1, W2, b2 = weights
        logits = anp.maximum(X @ W1 + b1, 0) @ W2 + b2
        shifted = logits - anp.max(logits, axis=1, keepdims=True)
        log_sum = anp.log(anp.sum(anp.exp(shifted), axis=1))
        return anp.mean(log_sum - shifted[np.arange(BATCH), y])

    function = value_and_grad(loss)

    def step():
        value, gradient = function(weights)
        for weight, g in zip(weights, gradient, strict=True):
            weight -= LEARNING_RATE * g
        return value

    return step


def jax(inputs):
    import jax

    def loss(weights, X, y):
        W1, b1, W2, b2 = weights
        return jax_cross_entropy(jax.nn.relu(X @ W1 + b1) @ W2 + b2, y)

    return jax_step(loss, jax_sgd(LEARNING_RATE), inputs["weights"], inputs["batch"])


def numpy(inputs):
    X, y = inputs["batch"]
    weights = list(inputs["weights"])
    rows = np.arange(BATCH)

    def step():
        W1, b1, W2, b2 = weights
        hidden = X @ W1
        hidden += b1
        np.maximum(hidden, 0, out=hidden)
        logits = hidden @ W2
        logits += b2
        logits -= logits.max(axis=1, keepdims=True)
        true_logits = logits[rows, y]
        exponentials = np.exp(logits, out=logits)
        total = exponentials.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - true_logits)

        d_logits = np.divide(exponentials, total, out=exponentials)
        d_logits[rows, y] -= 1
        d_logits /= BATCH
        d_hidden = d_logits @ W2.T
        d_hidden *= hidden > 0
        gradient = X.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)
        for i, g in enumerate(gradient):
            g *= LEARNING_RATE
            # Into the gradient's own buffer, not into the weight's: the weight is also in the other core's cache, and
            # writing to it would have to wait for that.
            weights[i] = np.subtract(weights[i], g, out=g)
        return loss

    return step


TASK = Task(
    name="mlp",
    summary="784-100-10, batch 100: loss, backward, SGD step",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.compile": torch_compile,
        "autograd": autograd,
        "jax.jit": jax,
        "numpy": numpy,
    },
    reaches=(
        Reach("needle", "torch", 0.80),
        Reach("needle.jit", "torch", 0.50),
    ),
    checked_steps=4,
    tolerance=1e-3,
)
