"""Ctrl-C in a training run: the first one asks to stop between two steps, the second stops at once."""

import signal
import sys
import threading
from types import FrameType
from typing import Any


class Stopped(Exception):
    """The run was asked to stop, and is between two steps."""


class Interrupt:
    """While the block runs, Ctrl-C makes the next `check()` raise Stopped; a second Ctrl-C raises KeyboardInterrupt.

    Signals reach the main thread only, and programs may have a handler of their own: elsewhere Ctrl-C does what it did.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *exc: object) -> None:
        self._give_back()

    def check(self) -> None:
        """Raise Stopped if Ctrl-C was pressed."""
        if self.wanted:
            raise Stopped

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        self._give_back()
        print("\nstopping after this step; Ctrl-C again stops at once", file=sys.stderr)

    def _give_back(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
