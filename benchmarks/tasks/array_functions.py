"""cumsum, cumprod, sort, fancy: the gradients of array functions, beside one call of NumPy's own function."""

import functools

import numpy as np

from benchmarks.race import Reach, Task

SIZE = 1_000_000
AT_MOST = 3.0


def inputs(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=SIZE)
    return {
        "x": 1 + x / SIZE if name == "cumprod" else x,  # the running product neither vanishes nor overflows
        "weights": rng.normal(size=SIZE),
        "index": rng.integers(0, SIZE, SIZE),
    }


# Each is given a module that has NumPy's functions, x, and the index.
FUNCTIONS = {
    "cumsum": lambda np, x, index: np.cumsum(x),
    "cumprod": lambda np, x, index: np.cumprod(x),
    "sort": lambda np, x, index: np.sort(x),
    "fancy": lambda np, x, index: x[index],
}


def task(name, function):
    """The race of one function: its vjp from forward call to gradient, and the forward call of plain NumPy."""

    def needle(inputs):
        import needle as ndl

        x = ndl.Tensor(inputs["x"])
        weights = ndl.Tensor(inputs["weights"], requires_grad=False)

        def step():
            function(np, x, inputs["index"]).backward(weights)
            return x.grad

        return step

    def autograd(inputs):
        import autograd.numpy as anp
        from autograd import make_vjp

        make = make_vjp(lambda x: function(anp, x, inputs["index"]))
        return lambda: make(inputs["x"])[0](inputs["weights"])

    def jax(inputs):
        import jax

        x, weights, index = (jax.numpy.asarray(inputs[name]) for name in ("x", "weights", "index"))
        compiled = jax.jit(lambda x, w: jax.vjp(lambda x: function(jax.numpy, x, index), x)[1](w)[0])
        return lambda: compiled(x, weights).block_until_ready()

    def numpy(inputs):
        return lambda: function(np, inputs["x"], inputs["index"])

    contenders = {"needle": needle, "autograd": autograd, "jax.jit": jax, "numpy": numpy}
    if name == "cumprod":
        del contenders["autograd"]  # which has no rule for it
    return Task(
        name=name,
        summary=f"{name} of 10⁶ float64 numbers: forward and gradient, against NumPy's forward call",
        inputs=functools.partial(inputs, name),
        contenders=contenders,
        reaches=(Reach("needle", "numpy", AT_MOST),),
        unlike=("numpy", "jax.jit"),  # the one computes no gradient, the other computes in float32
    )


TASKS = tuple(task(name, function) for name, function in FUNCTIONS.items())
