"""Handles that stand on other nodes for a while: the parameters of a Module while a transform follows them.

A function that is kept, to be run again for a derivative, must find them where they stood when it was first run.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .values import Node, Tensor

Moves = list[tuple[Tensor, Node]]  # handles, and the nodes that they stood on before


class _Moved(threading.local):
    def __init__(self) -> None:
        self.counts: dict[Tensor, int] = {}  # how often each handle is away from where it was, in this thread


_moved = _Moved()


def move(tensor: Tensor, node: Node, moves: Moves) -> None:
    """Let a handle stand on `node`, until `put_back(moves)`."""
    moves.append((tensor, tensor.node))
    _moved.counts[tensor] = _moved.counts.get(tensor, 0) + 1
    tensor.node = node


def put_back(moves: Moves) -> None:
    """Let handles stand where they stood before."""
    counts = _moved.counts
    while moves:
        tensor, node = moves.pop()
        tensor.node = node
        counts[tensor] -= 1
        if not counts[tensor]:
            del counts[tensor]


def standing() -> Moves:
    """Where the handles stand that are away now."""
    return [(tensor, tensor.node) for tensor in _moved.counts]


@contextmanager
def standing_at(places: Moves) -> Iterator[None]:
    """A block in which handles stand where `standing()` found them."""
    moves: Moves = []
    try:
        for tensor, node in places:
            if tensor.node is not node:
                move(tensor, node, moves)
        yield
    finally:
        put_back(moves)
