"""Threads that share the work of one call.

NumPy lets go of the interpreter's lock while it computes, so blocks of rows run at the same time on several cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import count

_pool: ThreadPoolExecutor | None = None


def workers() -> int:
    """How many threads work at the same time, the caller's among them: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache() -> int:
    """The bytes of a core's own second-level cache, where Linux tells."""
    try:
        with open("/sys/devices/system/cpu/cpu0/cache/index2/size") as file:
            return int(file.read().strip().removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 1 << 20


WORKERS, CACHE = workers(), cache()


def _forget() -> None:
    """A process that was forked has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share(work: Callable[[int], object], parts: int) -> None:
    """`work(i)` for each i below `parts`, by all threads, each taking the next one when it is done with the last.

    Threads see the caller's context, and so its `numpy.errstate`.  The first error is raised here.
    """
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(WORKERS - 1, 1), "needle")
    turn = count()

    def take() -> None:
        while (i := next(turn)) < parts:
            work(i)

    others: list[Future] = [_pool.submit(copy_context().run, take) for _ in range(min(WORKERS, parts) - 1)]
    try:
        take()
    finally:
        # Those that have not begun have nothing left to do: somebody else's long blocks may be in their way
        begun = [future for future in others if not future.cancel()]
        for future in begun:
            future.exception()
    for future in begun:
        future.result()
