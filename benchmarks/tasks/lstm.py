"""lstm: one layer, 32 → 64, over 20 steps of a batch of 16: forward and backward."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.weights import random_weights, set_needle_weights, set_torch_weights

STEPS = 20
BATCH = 16
INPUT = 32
HIDDEN = 64


def inputs():
    rng = np.random.default_rng(0)
    shapes = [(INPUT, 4 * HIDDEN), (HIDDEN, 4 * HIDDEN), (4 * HIDDEN,), (4 * HIDDEN,)]
    X = rng.standard_normal((STEPS, BATCH, INPUT), dtype=np.float32)
    return {"X": X, "weights": random_weights(rng, shapes)}


def needle(inputs, jit=as_it_is):
    import needle as ndl

    X = ndl.Tensor(inputs["X"], requires_grad=False)
    model = set_needle_weights(ndl.nn.LSTM(INPUT, HIDDEN), inputs["weights"])
    parameters = model.parameters()

    def step():
        for parameter in parameters:
            parameter.grad = None
        output, _ = model(X)
        total = output.sum()
        total.backward()
        return total, *(parameter.grad for parameter in parameters)

    return jit(step)


def torch(inputs, compile=lambda model: model):
    import torch

    X = torch.from_numpy(inputs["X"])
    model = set_torch_weights(torch.nn.LSTM(INPUT, HIDDEN), inputs["weights"])
    parameters = list(model.parameters())

    function = compile(model)

    def step():
        model.zero_grad()
        output, _ = function(X)
        total = output.sum()
        total.backward()
        # As needle holds them: weights are (in, out). The transpose is a view.
        return total, *(parameter.grad.T if parameter.ndim == 2 else parameter.grad for parameter in parameters)

    return step


def torch_compile(inputs):
    import torch as library

    return torch(inputs, library.compile)


def jax(inputs):
    import jax

    X = jax.numpy.asarray(inputs["X"])
    weights = [jax.numpy.asarray(weight) for weight in inputs["weights"]]

    def total(weights):
        W_ih, W_hh, bias_ih, bias_hh = weights

        def cell(state, x):
            h, c = state
            i, f, g, o = jax.numpy.split(x @ W_ih + h @ W_hh + bias_ih + bias_hh, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
            return (h, c), h

        start = jax.numpy.zeros((BATCH, HIDDEN))
        _, output = jax.lax.scan(cell, (start, start), X)
        return output.sum()

    function = jax.jit(jax.value_and_grad(total))

    def step():
        value, gradients = jax.block_until_ready(function(weights))
        return value, *gradients

    return step


TASK = Task(
    name="lstm",
    summary="20 steps, batch 16, 32 → 64, forward + backward",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.compile": torch_compile,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "torch", 1.0),
        Reach("needle.jit", "torch", 0.42),
    ),
)
