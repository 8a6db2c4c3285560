"""chain: 50 times y ← y·1.01 + x on ten numbers. Arithmetic costs nothing here: it measures the price of an op."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit

LENGTH = 50


def inputs():
    return {"x": np.random.default_rng(0).standard_normal(10, dtype=np.float32)}


def chain(x):
    """The computation itself; every library's arrays take Python's operators."""
    y = x
    for _ in range(LENGTH):
        y = y * 1.01 + x
    return y.sum()


def needle(inputs, jit=as_it_is):
    import needle as ndl

    x = ndl.Tensor(inputs["x"])

    def step():
        y = chain(x)
        y.backward()
        return y, x.grad

    return jit(step)


def torch(inputs):
    import torch

    x = torch.tensor(inputs["x"], requires_grad=True)

    def step():
        x.grad = None
        y = chain(x)
        y.backward()
        return y, x.grad

    return step


def torch_compile(inputs):
    import torch

    x = torch.tensor(inputs["x"], requires_grad=True)
    function = torch.compile(chain)

    def step():
        x.grad = None
        y = function(x)
        y.backward()
        return y, x.grad

    return step


def autograd(inputs):
    from autograd import value_and_grad

    function = value_and_grad(chain)
    return lambda: function(inputs["x"])


def jax(inputs):
    import jax

    x = jax.numpy.asarray(inputs["x"])
    function = jax.jit(jax.value_and_grad(chain))
    return lambda: jax.block_until_ready(function(x))


def numpy(inputs):
    x = inputs["x"]

    def step():
        value = chain(x)
        adjoint = np.ones_like(x)
        gradient = np.zeros_like(x)
        for _ in range(LENGTH):
            gradient += adjoint
            adjoint *= 1.01
        return value, gradient + adjoint

    return step


TASK = Task(
    name="chain",
    summary="50 × (y·1.01 + x), n = 10, forward + backward",
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
        Reach("needle", "torch", 0.70),
        Reach("needle", "autograd", 0.35),
        Reach("needle.jit", "torch", 0.02),
    ),
)
