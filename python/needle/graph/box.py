"""Boxes: nodes that carry more than a value, for the sake of one transform.

`jvp`, `jet` and `vmap` give the function boxes in place of its arguments.  When an op is called, the innermost box says
what the op is to do with what the boxes carry, and the result is a box again.  A box can be recorded like any node, so
that reverse mode works inside and outside of every transform.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from .following import transforming
from .tracing import ValueUnknown
from .values import Node

_levels = itertools.count(1)


class Frame:
    """One run of a transform.  Frames that are entered later are further in and have a higher level."""

    __slots__ = ("level", "name", "active")

    def __init__(self, name: str):
        self.level = next(_levels)
        self.name = name
        self.active = True


@contextmanager
def frame(name: str) -> Iterator[Frame]:
    """A new frame for the length of a block; its boxes are of no use afterwards."""
    entered = Frame(name)
    try:
        with transforming():
            yield entered
    finally:
        entered.active = False


def innermost() -> int:
    """A level that is further in than every frame so far; frames that are entered later lie above it."""
    return next(_levels)


class Box(Node):
    """A node that belongs to one frame.  `call(op, inputs)` is what an op does to boxes of that frame."""

    __slots__ = ("frame", "level")

    def __init__(self, frame: Frame):
        self.op, self.inputs, self.requires_grad, self._handle = None, (), False, None
        self.frame, self.level = frame, frame.level

    def check(self) -> None:
        """Refuse a box that outlived its transform."""
        if not self.frame.active:
            raise RuntimeError(
                f"a value from inside {self.frame.name} was used after {self.frame.name} had ended; "
                "return it from the function instead of storing it"
            )

    def copy(self) -> "Box":
        """A new box of the same frame that carries the same, without history."""
        raise TypeError(f"{type(self).__name__} must say how it is copied")

    def beneath(self) -> Node:
        """The node that holds what is known of the value: of a batch, that of all examples."""
        raise ValueUnknown(f"a value inside {self.frame.name} has no numbers yet")

    def constant(self) -> Node:
        return self.copy()

    def followed(self, identity) -> Node:
        node = self.copy()
        node.requires_grad = True
        if self.requires_grad:
            node.op, node.inputs = identity, (self,)
        return node
