"""checkpoint: forget what a function computed on the way, and compute it again when the adjoints come by."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from .. import init
from ..graph import Node, Tensor, tracing
from ..init import random_state, restored
from .functions import FunctionOp, call_as_op


class Checkpoint(FunctionOp):
    """A function of which only the arguments and the results are kept"""

    __slots__ = ("again",)

    lanes = "inner"

    def __init__(self, fun, closed: tuple[Node, ...], again: Callable):
        super().__init__(fun, closed)
        self.again = again  # gives a block that draws the same random numbers as the first run

    def run_again(self, node):
        with self.again():
            return super().run_again(node)


class _Kept:
    """The random numbers that a function draws under a trace, which are not known and so are kept, not drawn again."""

    def __init__(self) -> None:
        self.numbers: list[Tensor] = []
        self.left: Iterator[Tensor] | None = None

    def drawn(self, outer: Callable, make: Callable, shape: tuple) -> Tensor:
        if self.left is not None:
            return next(self.left)
        self.numbers.append(outer(make, shape))
        return self.numbers[-1]

    @contextmanager
    def again(self) -> Iterator[None]:
        self.left = iter(self.numbers)
        try:
            yield
        finally:
            self.left = None


def checkpoint(fun: Callable) -> Callable:
    """A function with the same values and derivatives of every order as `fun`, that keeps less.

    What `fun` computes on the way is not kept for the backward pass but computed again there (random draws included:
    the same ones).  A chain of n steps in √n checkpointed blocks needs memory for about 2√n steps, for one more forward
    pass (Chen et al. 2016, arXiv:1604.06174).  Whole numbers, strings and other objects are handed to `fun` as they
    are.

    >>> import needle as ndl
    >>> ndl.grad(ndl.checkpoint(lambda x: ndl.sin(x) * x))(0.0)
    np.float64(0.0)
    """

    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        kept = None if tracing() is None else _Kept()

        def call(inner):
            with nullcontext() if kept is None else init.drawing(kept.drawn):
                return fun(*inner[0], **inner[1])

        again = functools.partial(restored, random_state()) if kept is None else kept.again

        def make(flat, closed):
            return Checkpoint(flat, closed, again)

        # Forward transforms keep nothing anyway.
        return call_as_op(make, call, ((args, kwargs),), as_it_is_on_boxes=True, options=True)

    return wrapped
