"""Which gradients a function reads before it has written them: `Tensor.grad`, watched while it is traced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...graph import Tensor

_lock = threading.RLock()  # one trace at a time puts its own in the place of `Tensor.grad`
grad_slot = Tensor.__dict__["grad"]  # the attribute itself


class Watch:
    """Stands for `Tensor.grad` while a function is traced in this thread.

    Attributes:
        read: the Tensors, of those known beforehand, whose gradients are read before they are written.
    """

    def __init__(self, known) -> None:
        self.read: set[Tensor] = set()
        self._known, self._thread = known, threading.get_ident()
        self._written: set[Tensor] = set()

    def _is_mine(self, tensor) -> bool:
        return tensor in self._known and threading.get_ident() == self._thread

    def __get__(self, tensor, owner=None):
        if tensor is None:
            return grad_slot
        if self._is_mine(tensor) and tensor not in self._written:
            self.read.add(tensor)
        return grad_slot.__get__(tensor, owner)

    def __set__(self, tensor, value):
        if self._is_mine(tensor):
            self._written.add(tensor)
        grad_slot.__set__(tensor, value)


@contextmanager
def watching_gradients(known) -> Iterator[Watch]:
    """A block in which the gradients of the Tensors in `known` are watched."""
    with _lock:
        before = Tensor.__dict__["grad"]
        watch = Watch(known)
        setattr(Tensor, "grad", watch)  # noqa: B010
        try:
            yield watch
        finally:
            setattr(Tensor, "grad", before)  # noqa: B010
