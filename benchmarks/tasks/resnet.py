"""resnet: the MLPResNet of apps/ (784, hidden 128, 3 blocks, LayerNorm, no dropout), batch 128, Adam step."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit
from benchmarks.tasks.training import jax_adam, jax_cross_entropy, jax_step, needle_step, torch_compile_step, torch_step
from benchmarks.tasks.weights import norm_weights, random_weights, set_needle_weights, set_torch_weights

BATCH = 128
HIDDEN = 128
BLOCKS = 3
LEARNING_RATE = 0.001


def inputs():
    rng = np.random.default_rng(0)
    weights = random_weights(rng, [(784, HIDDEN), (HIDDEN,)])
    for _ in range(BLOCKS):
        weights += random_weights(rng, [(HIDDEN, HIDDEN // 2), (HIDDEN // 2,)]) + norm_weights(HIDDEN // 2)
        weights += random_weights(rng, [(HIDDEN // 2, HIDDEN), (HIDDEN,)]) + norm_weights(HIDDEN)
    weights += random_weights(rng, [(HIDDEN, 10), (10,)])
    batch = rng.random((BATCH, 784), dtype=np.float32), rng.integers(0, 10, BATCH)
    return {"batch": batch, "weights": weights}


def needle(inputs, jit=as_it_is):
    import needle as ndl
    from apps.mlp_resnet import MLPResNet

    # Dropout draws differently in every library; without it the losses can be compared.
    model = MLPResNet(784, hidden_dim=HIDDEN, num_blocks=BLOCKS, norm=ndl.nn.LayerNorm1d, drop_prob=0.0)
    set_needle_weights(model, inputs["weights"])
    return jit(needle_step(model, ndl.optim.Adam(model.parameters(), lr=LEARNING_RATE), inputs["batch"]))


def torch(inputs, wrap=torch_step):
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, fn):
            super().__init__()
            self.fn = fn

        def forward(self, x):
            return x + self.fn(x)

    def block(dim, hidden_dim):
        body = nn.Sequential(
            nn.Linear(dim, hidden_dim),
            nn.LayerNorm(hidden_dim),
            nn.ReLU(),
            nn.Dropout(0.0),
            nn.Linear(hidden_dim, dim),
            nn.LayerNorm(dim),
        )
        return nn.Sequential(Residual(body), nn.ReLU())

    model = nn.Sequential(
        nn.Linear(784, HIDDEN),
        nn.ReLU(),
        *(block(HIDDEN, HIDDEN // 2) for _ in range(BLOCKS)),
        nn.Linear(HIDDEN, 10),
    )
    set_torch_weights(model, inputs["weights"])
    return wrap(model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE), inputs["batch"])


def torch_compile(inputs):
    return torch(inputs, torch_compile_step)


def jax(inputs):
    import jax

    def norm(x, weight, bias):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return weight * centred / (variance + 1e-5) ** 0.5 + bias

    def loss(weights, X, y):
        W, b, *blocks, W_out, b_out = weights
        x = jax.nn.relu(X @ W + b)
        for i in range(0, len(blocks), 8):
            W1, b1, scale1, shift1, W2, b2, scale2, shift2 = blocks[i : i + 8]
            inner = jax.nn.relu(norm(x @ W1 + b1, scale1, shift1))
            x = jax.nn.relu(x + norm(inner @ W2 + b2, scale2, shift2))
        return jax_cross_entropy(x @ W_out + b_out, y)

    return jax_step(loss, jax_adam(LEARNING_RATE), inputs["weights"], inputs["batch"])


TASK = Task(
    name="resnet",
    summary="MLPResNet 784-128, 3 blocks, LayerNorm, batch 128, Adam step",
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
        Reach("needle.jit", "torch", 0.55),
    ),
    checked_steps=4,
    tolerance=1e-2,  # Adam's first steps divide each gradient by its own size, rounding errors included
)
