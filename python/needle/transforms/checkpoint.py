"""checkpoint: forget what a function computed on the way, and compute it again when the adjoints come by."""

import functools
from collections.abc import Callable

from ..graph import Node
from ..init import random_state, restored
from .functions import FunctionOp, call_as_op


class Checkpoint(FunctionOp):
    """A function of which only the arguments and the results are kept"""

    __slots__ = ("state",)

    lanes = "inner"

    def __init__(self, fun, closed: tuple[Node, ...] = (), state=None):
        super().__init__(fun, closed)
        self.state = random_state() if state is None else state

    def run_again(self, node):
        with restored(self.state):
            return super().run_again(node)


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
        state = random_state()

        def call(inner):
            return fun(*inner[0], **inner[1])

        def make(flat, closed):
            return Checkpoint(flat, closed, state)

        # Forward transforms keep nothing anyway.
        return call_as_op(make, call, ((args, kwargs),), as_it_is_on_boxes=True, options=True)

    return wrapped
