"""What a compiled function keeps alive: nothing beyond its last reference, and no value of its trace."""

import gc
import weakref

import numpy as np
import pytest

import needle as ndl


@pytest.fixture(autouse=True)
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_compiled_function_is_freed_with_its_last_reference():
    weight = ndl.Tensor(np.ones(3))

    @ndl.jit
    def f(x):
        y = (x * weight).sum()
        return y, {"twice": 2 * y}

    before = ndl.autograd.TENSOR_COUNTER
    f(np.ones(3))
    f(np.ones((2, 3)))
    entry, function = weakref.ref(f._entries[0]), weakref.ref(f)
    del f
    assert entry() is None and function() is None and ndl.autograd.TENSOR_COUNTER == before


def step_and_optimizer():
    weight = ndl.nn.Parameter(np.ones(3))
    adam = ndl.optim.Adam([weight])

    @ndl.jit
    def step(x):
        loss = ((x * weight) ** 2).sum()
        adam.reset_grad()
        loss.backward()
        adam.step()
        return loss

    return step, weakref.ref(adam)


def test_a_compiled_step_does_not_keep_its_optimizer():
    step, optimizer = step_and_optimizer()
    for _ in range(3):
        step(np.ones(3))
    del step
    assert optimizer() is None


def test_a_trace_leaves_no_values_behind():
    big = np.ones((1000, 1000))
    f = ndl.jit(lambda x: (ndl.sin(x) * 2, x))
    f(big)
    gc.collect()
    held = [x for x in gc.get_objects() if type(x).__name__ == "Traced"]
    assert held == []
