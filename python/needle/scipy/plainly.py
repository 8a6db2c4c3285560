"""Functions of SciPy that are SciPy's own where no Tensor is among their arguments."""

import functools
from collections.abc import Callable

from ..numpy.dispatch import holds_tensor


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
