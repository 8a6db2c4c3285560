"""hessian: of Rosenbrock's function of 100 variables."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.compiled import as_it_is, with_jit


def inputs():
    return {"x": np.random.default_rng(0).normal(size=100)}


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def needle(inputs, jit=as_it_is):
    from needle.transforms import hessian

    function, x = jit(hessian(rosenbrock)), inputs["x"]
    return lambda: function(x)


def torch(inputs):
    import torch

    x = torch.tensor(inputs["x"])
    return lambda: torch.autograd.functional.hessian(rosenbrock, x, vectorize=True)


def torch_func(inputs):
    import torch

    function, x = torch.func.hessian(rosenbrock), torch.tensor(inputs["x"])
    return lambda: function(x)


def torch_compile(inputs):
    import torch

    function, x = torch.compile(torch.func.hessian(rosenbrock)), torch.tensor(inputs["x"])
    return lambda: function(x)


def autograd(inputs):
    import autograd
    import autograd.numpy as anp

    function = autograd.hessian(lambda x: anp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    return lambda: function(inputs["x"])


def jax(inputs):
    import jax
    import jax.numpy as jnp

    function, x = jax.jit(jax.hessian(rosenbrock)), jnp.asarray(inputs["x"])  # JAX computes in float32
    return lambda: function(x).block_until_ready()


TASK = Task(
    name="hessian",
    summary="Hessian of Rosenbrock's function, 100 variables",
    inputs=inputs,
    contenders={
        "needle": needle,
        **with_jit(needle),
        "torch": torch,
        "torch.func": torch_func,
        "torch.compile": torch_compile,
        "autograd": autograd,
        "jax.jit": jax,
    },
    reaches=(
        Reach("needle", "torch", 1.0),
        Reach("needle", "autograd", 0.05),
        Reach("needle.jit", "torch", 0.11),
    ),
)
