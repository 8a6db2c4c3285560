"""sparse_hessian: of Rosenbrock's function of 10,000 variables, beside one gradient of it."""

import numpy as np

from benchmarks.race import Reach, Task
from benchmarks.tasks.hessian import rosenbrock


def inputs():
    return {"x": np.random.default_rng(0).normal(size=10_000)}


def needle(inputs):
    import needle as ndl

    x = inputs["x"]

    def step():
        hessian = ndl.sparse_hessian(rosenbrock, x)
        return hessian.diagonal(), hessian.diagonal(1)

    return step


def needle_gradient(inputs):
    import needle as ndl

    gradient, x = ndl.grad(rosenbrock), inputs["x"]
    return lambda: gradient(x)


def numpy(inputs):
    """The formula, by hand."""
    x = inputs["x"]

    def step():
        diagonal = np.zeros_like(x)
        diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
        diagonal[1:] += 200
        return diagonal, -400 * x[:-1]

    return step


TASK = Task(
    name="sparse_hessian",
    summary="Hessian of Rosenbrock's function, 10,000 variables, as a sparse matrix",
    inputs=inputs,
    contenders={"needle": needle, "needle.gradient": needle_gradient, "numpy": numpy},
    reaches=(Reach("needle", "needle.gradient", 5.0),),
    unlike=("needle.gradient",),
)
