"""resnet9: the ResNet9 of apps/ on 32 images of 3×32×32, Adam step."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.training import needle_step, torch_step
from benchmarks.tasks.weights import norm_weights, random_weights, set_needle_weights, set_torch_weights

BATCH = 32
LEARNING_RATE = 0.001
# (channels in, channels out, kernel, stride) of each convolution, in the order in which they are made.
CONVOLUTIONS = (
    (3, 16, 7, 4),
    (16, 32, 3, 2),
    (32, 32, 3, 1),
    (32, 32, 3, 1),
    (32, 64, 3, 2),
    (64, 128, 3, 2),
    (128, 128, 3, 1),
    (128, 128, 3, 1),
)


def inputs():
    rng = np.random.default_rng(0)
    weights = []
    for channels_in, channels_out, kernel, _ in CONVOLUTIONS:
        weights += random_weights(rng, [(kernel, kernel, channels_in, channels_out), (channels_out,)])
        weights += norm_weights(channels_out)
    weights += random_weights(rng, [(128, 128), (128,), (128, 10), (10,)])
    batch = rng.random((BATCH, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, BATCH)
    return {"batch": batch, "weights": weights}


def needle(inputs):
    import needle as ndl
    from apps.models import ResNet9

    model = ResNet9()
    set_needle_weights(model, inputs["weights"])
    return needle_step(model, ndl.optim.Adam(model.parameters(), lr=LEARNING_RATE), inputs["batch"])


def torch(inputs):
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, fn):
            super().__init__()
            self.fn = fn

        def forward(self, x):
            return x + self.fn(x)

    def conv_bn(channels_in, channels_out, kernel, stride):
        conv = nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2)
        return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())

    layers = [conv_bn(*convolution) for convolution in CONVOLUTIONS]
    model = nn.Sequential(
        *layers[0:2],
        Residual(nn.Sequential(*layers[2:4])),
        *layers[4:6],
        Residual(nn.Sequential(*layers[6:8])),
        nn.Flatten(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    set_torch_weights(model, inputs["weights"])
    return torch_step(model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE), inputs["batch"])


TASK = Task(
    name="resnet9",
    summary="ResNet9, batch 32 of 3×32×32, Adam step",
    inputs=inputs,
    contenders={"needle": needle, "torch": torch},
    reaches=(Reach("needle", "torch", 1.3),),
    checked_steps=3,
    tolerance=1e-2,  # Adam's first steps divide each gradient by its own size, rounding errors included
)
