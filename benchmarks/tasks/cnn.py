"""cnn: two 3×3 convolutions of stride 2 and a linear layer on 32 images of 1×28×28, SGD step."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.training import jax_cross_entropy, jax_sgd, jax_step, needle_step, torch_compile_step, torch_step
from benchmarks.tasks.weights import random_weights, set_needle_weights, set_torch_weights

BATCH = 32
LEARNING_RATE = 0.1
FEATURES = 32 * 7 * 7


def inputs():
    rng = np.random.default_rng(0)
    return {
        "batch": (rng.random((BATCH, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, BATCH)),
        "weights": random_weights(rng, [(3, 3, 1, 16), (16,), (3, 3, 16, 32), (32,), (FEATURES, 10), (10,)]),
    }


def needle(inputs, jit=as_it_is):
    import needle as ndl

    nn = ndl.nn
    model = nn.Sequential(
        nn.Conv(1, 16, 3, stride=2),
        nn.ReLU(),
        nn.Conv(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(FEATURES, 10),
    )
    set_needle_weights(model, inputs["weights"])
    return jit(needle_step(model, ndl.optim.SGD(model.parameters(), lr=LEARNING_RATE), inputs["batch"]))


def torch(inputs, wrap=torch_step):
    import torch
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(FEATURES, 10),
    )
    set_torch_weights(model, inputs["weights"])
    return wrap(model, torch.optim.SGD(model.parameters(), lr=LEARNING_RATE), inputs["batch"])


def torch_compile(inputs):
    return torch(inputs, torch_compile_step)


def jax(inputs):
    import jax

    def conv(x, weight, bias):
        convolved = jax.lax.conv_general_dilated(
            x, weight, window_strides=(2, 2), padding=((1, 1), (1, 1)), dimension_numbers=("NCHW", "HWIO", "NCHW")
        )
        return convolved + bias[:, None, None]

    def loss(weights, X, y):
        W1, b1, W2, b2, W3, b3 = weights
        x = jax.nn.relu(conv(jax.nn.relu(conv(X, W1, b1)), W2, b2))
        return jax_cross_entropy(x.reshape(BATCH, FEATURES) @ W3 + b3, y)

    return jax_step(loss, jax_sgd(LEARNING_RATE), inputs["weights"], inputs["batch"])


TASK = Task(
    name="cnn",
    summary="1×28×28, two 3×3 stride-2 convolutions (16, 32), linear, batch 32, SGD step",
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
        Reach("needle.jit", "torch", 0.80),
    ),
    checked_steps=4,
    tolerance=1e-3,
)
