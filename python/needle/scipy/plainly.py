"""Functions of SciPy that are SciPy's own where no Tensor is among their arguments."""

import functools
import inspect
from collections.abc import Callable

from ..numpy.dispatch import holds_tensor, without_rule


def plainly(plain: Callable) -> Callable[[Callable], Callable]:
    """A decorator: without a Tensor among the arguments (or in lists among them) the function is `plain`."""

    def decorate(rule: Callable) -> Callable:
        @functools.wraps(rule)
        def function(*args, **kwargs):
            if holds_tensor(args) or (kwargs and holds_tensor(kwargs.values())):
                return rule(*args, **kwargs)
            return plain(*args, **kwargs)

        return function

    return decorate


def handed_through(value):
    """Something of SciPy's that has no rule here: a function computes on the values of Tensors, and is an error where
    a derivative would be lost."""
    if not inspect.isroutine(value):
        return value

    @plainly(value)
    @functools.wraps(value)
    def function(*args, **kwargs):
        return without_rule(value, args, kwargs)

    return function
