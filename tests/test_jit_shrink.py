"""Loops and branches of a program made smaller."""

import numpy as np
import pytest

import needle as ndl
from needle.program.control import Branch, Control, Loop
from needle.program.functions import Matmul, Ufunc
from needle.program.ir import interpret
from needle.program.shrink import shrink

A = np.array([[0.3, -0.2], [0.1, 0.4]])
XS = np.array([[0.3, -1.2], [0.7, 0.1], [-0.4, 0.9]])


def program(f, *args):
    """The program of a function, as it was recorded."""
    compiled = ndl.jit(f)
    compiled(*args)
    return compiled._last().captured.program


def controls(program) -> list[Control]:
    return [step.function for step in program if isinstance(step.function, Control)]


def checked(f, *args):
    """The shrunk program of a function; it must give what the recorded one gives."""
    recorded = program(f, *args)
    smaller = shrink(recorded)
    random = np.random.RandomState(0)
    arrays = [random.rand(*var.shape) for var in recorded.inputs]
    for a, b in zip(interpret(recorded, arrays), interpret(smaller, arrays), strict=True):
        np.testing.assert_array_equal(a, b)
    return smaller


def test_carries_and_rows_that_nobody_uses_go():
    def f(x):
        step = lambda c, row: ((c[0] * row, c[1] + c[0], ndl.exp(c[2])), (c[1], row * row))
        (last, _, _), (firsts, _) = ndl.scan(step, (x, x, x), XS)
        return last + firsts[1]

    (loop,) = controls(checked(f, np.ones(2)))
    assert isinstance(loop, Loop) and loop.carried == 2 and len(loop.body.outputs) == 3


def test_the_carries_of_each_step_are_kept_for_gradients_only():
    x = ndl.Tensor([0.3, 0.8])
    recorded = program(lambda x: ndl.scan(lambda c, row: (ndl.sin(c) * row, None), x, XS)[0], x)
    assert len(controls(recorded)[0].body.outputs) == 2
    assert len(controls(shrink(recorded))[0].body.outputs) == 1


def test_what_is_the_same_at_each_step_is_computed_once():
    def f(a, x):
        return ndl.scan(lambda c, row: (c @ ndl.exp(a @ a.T) + row, None), x, XS)[0]

    smaller = checked(f, A, np.ones(2))
    (loop,) = controls(smaller)
    count = lambda steps, kind: sum(isinstance(step.function, kind) for step in steps)
    assert count(loop.body, Matmul) == 1 and count(smaller, Matmul) == 1
    assert not any(isinstance(step.function, Ufunc) and step.function.ufunc is np.exp for step in loop.body)


def test_what_is_the_same_goes_out_of_all_loops():
    def f(a, x):
        inner = lambda c: ndl.fori_loop(0, 3, lambda i, c: c @ ndl.exp(a), c)
        return ndl.scan(lambda c, row: (inner(c) + row, None), x, XS)[0]

    smaller = checked(f, A, np.ones(2))
    assert any(isinstance(step.function, Ufunc) and step.function.ufunc is np.exp for step in smaller)


def test_carries_that_never_change_are_no_obstacle():
    def f(a, x):
        return ndl.scan(lambda c, row: ((c[0] @ ndl.exp(c[1]) + row, c[1]), None), (x, a), XS)[0][0]

    smaller = checked(f, A, np.ones(2))
    assert any(isinstance(step.function, Ufunc) and step.function.ufunc is np.exp for step in smaller)


def test_branches_give_what_is_used():
    def f(x):
        used, _ = ndl.cond(x.sum() > 0, lambda: (x * 2, ndl.exp(x)), lambda: (-x, x @ A))
        return used

    (branch,) = controls(checked(f, np.ones(2)))
    assert isinstance(branch, Branch) and [len(each.outputs) for each in branch.programs] == [1, 1]


def test_loops_carry_what_their_condition_needs():
    def f(x):
        go_on = lambda c: c[1].sum() < 9
        return ndl.while_loop(go_on, lambda c: (c[0] * 2, c[1] + c[3], ndl.exp(c[2]), c[3] * 1.5), (x, x, x, x))[0]

    (loop,) = controls(checked(f, np.ones(2)))
    assert loop.carried == 3


@pytest.mark.parametrize("result", [lambda c, ys: c, lambda c, ys: ys, lambda c, ys: (c, c, ys)])
def test_results_lie_in_memory_of_their_own(result):
    x = np.ones(2)
    compiled = ndl.jit(lambda x: result(*ndl.scan(lambda c, row: ((c[1], c[0]), c[0]), (x, x * 2), XS)))
    first = ndl.transforms.trees.Tree(compiled(x)).leaves
    kept = [each.copy() for each in first]
    for each in ndl.transforms.trees.Tree(compiled(x)).leaves:
        each[...] = 7.0
    assert (x == 1).all()
    for each, was in zip(first, kept):
        np.testing.assert_array_equal(each, was)
