"""Compiled functions as people use them: what went wrong once in a program that somebody might write."""

import functools

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.program import jit

compiled = functools.partial(jit, backend="numpy")


def constant(array) -> ndl.Tensor:
    return ndl.Tensor(np.asarray(array), requires_grad=False)


def sgd_step(net, optimizer):
    def step(x, y):
        optimizer.reset_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("is_compiled", [False, True])
def test_gradients_that_are_overwritten_may_be_there_or_not(is_compiled):
    np.random.seed(0)
    net = nn.Linear(3, 1)
    step = sgd_step(net, optim.SGD(net.parameters(), lr=0.1))
    step = compiled(step) if is_compiled else step
    losses = []
    for rows in (4, 2, 2):  # the program for 2 rows is traced while gradients are there
        losses.append(step(constant(np.ones((rows, 3))), constant(np.ones((rows, 1)))).item())
    for parameter in net.parameters():
        parameter.grad = None
    losses.append(step(constant(np.ones((2, 3))), constant(np.ones((2, 1)))).item())
    assert losses == sorted(losses, reverse=True)
    assert all(parameter.grad is not None for parameter in net.parameters())
