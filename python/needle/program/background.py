"""Work that is done beside the program: one thread, one job after the other."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

_jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
_thread: threading.Thread | None = None
_lock = threading.Lock()


def _work(jobs: queue.SimpleQueue) -> None:
    while (job := jobs.get()) is not None:
        job()


def later(job: Callable[[], None]) -> None:
    """Run `job`, which raises nothing, when those before it are done."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_work, args=(_jobs,), name="needle-kernels", daemon=True)
            _thread.start()
        _jobs.put(job)


def _end() -> None:
    """What was not begun is not done; the compiler must not run while the interpreter goes away."""
    if _thread is not None and _thread.is_alive():
        while not _jobs.empty():
            _jobs.get()
        _jobs.put(None)
        _thread.join()


def _forget() -> None:
    """A process that was forked has none of its parent's threads."""
    global _thread, _jobs, _lock
    _thread, _jobs, _lock = None, queue.SimpleQueue(), threading.Lock()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
