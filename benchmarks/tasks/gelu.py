"""gelu: written in plain NumPy, on a million float32 numbers, and its gradient."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit

SIZE = 1_000_000


def inputs():
    return {"x": np.random.default_rng(0).standard_normal(SIZE, dtype=np.float32)}


def gelu(np, x):
    """The approximation by tanh (Hendrycks & Gimpel 2016), given a module that has NumPy's functions."""
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def needle(inputs, jit=as_it_is):
    import needle as ndl

    function, x = jit(ndl.grad(lambda x: np.sum(gelu(np, x)))), inputs["x"]
    return lambda: function(x)


def torch(inputs):
    import torch

    x = torch.tensor(inputs["x"], requires_grad=True)

    def step():
        x.grad = None
        gelu(torch, x).sum().backward()
        return x.grad

    return step


def torch_compile(inputs):
    import torch

    x = torch.tensor(inputs["x"], requires_grad=True)
    function = torch.compile(lambda x: gelu(torch, x).sum())

    def step():
        x.grad = None
        function(x).backward()
        return x.grad

    return step


def autograd(inputs):
    import autograd.numpy as anp
    from autograd import grad

    function, x = grad(lambda x: anp.sum(gelu(anp, x))), inputs["x"]
    return lambda: function(x)


def jax(inputs):
    import jax

    jnp = jax.numpy
    function, x = jax.jit(jax.grad(lambda x: jnp.sum(gelu(jnp, x)))), jnp.asarray(inputs["x"])
    return lambda: function(x).block_until_ready()


TASK = Task(
    name="gelu",
    summary="gelu in plain NumPy and its gradient, 10⁶ float32 numbers",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.compile": torch_compile,
        "autograd": autograd,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "autograd", 0.8),
        Reach("needle.jit", "torch", 0.09),
    ),
)
