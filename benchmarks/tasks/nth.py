"""nth: the sixth derivative of tanh at 1,000 points, and what twice that order costs."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit

POINTS, ORDER = 1000, 6


def inputs():
    return {"x": np.linspace(-3.0, 3.0, POINTS)}


def needle(inputs, jit=as_it_is, order=ORDER):
    import needle as ndl

    function, x = jit(ndl.nth_derivative(ndl.tanh, order)), inputs["x"]
    return lambda: function(x)


def needle_twice(inputs):
    return needle(inputs, order=2 * ORDER)


def needle_nested(inputs):
    import needle as ndl

    x = ndl.Tensor(inputs["x"])

    def step():
        y = ndl.tanh(x)
        for _ in range(ORDER):
            y.backward()
            y = x.grad
        return y

    return step


def torch(inputs):
    import torch

    x = torch.tensor(inputs["x"], requires_grad=True)

    def step():
        y = torch.tanh(x)
        for k in range(ORDER):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=k < ORDER - 1)
        return y

    return step


def torch_compile(inputs):
    import torch

    def derivative(function):
        return torch.func.grad(lambda x: function(x).sum())

    function, x = torch.tanh, torch.tensor(inputs["x"])
    for _ in range(ORDER):
        function = derivative(function)
    compiled = torch.compile(function)
    return lambda: compiled(x)


def jax(inputs):
    import jax
    from jax.experimental.jet import jet

    x = jax.numpy.asarray(inputs["x"])  # JAX computes in float32
    series = [jax.numpy.ones_like(x)] + [jax.numpy.zeros_like(x)] * (ORDER - 1)
    function = jax.jit(lambda x: jet(jax.numpy.tanh, (x,), (series,))[1][-1])
    return lambda: function(x).block_until_ready()


TASK = Task(
    name="nth",
    summary=f"derivative of tanh of order {ORDER}, {POINTS:,} points, float64",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "needle.nested": needle_nested,
        "needle.twice": needle_twice,
        "torch": torch,
        "torch.compile": torch_compile,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "torch", 0.5),
        Reach("needle.twice", "needle", 4.0),
        Reach("needle.jit", "torch", 0.08),
    ),
    unlike=("needle.twice",),
)
