"""needle's step of a task, compiled."""

import functools


def as_it_is(function):
    """What a task does with the function that `jit` could compile, if it is not to."""
    return function


def with_jit(build):
    """The contenders `build(inputs, jit)`, by name: with Numba's kernels, if it is installed, and with NumPy alone."""
    return {"needle.jit": jitted(build, "auto"), "needle.jit (numpy)": jitted(build, "numpy")}


def jitted(build, backend, wait=True):
    """The contender `build(inputs, jit)`; with `wait` it has all its kernels from the first call on."""

    def contender(inputs):
        import needle as ndl

        return build(inputs, functools.partial(ndl.jit, backend=backend, wait=wait))

    return contender
