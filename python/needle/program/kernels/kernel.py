"""A fused group as a function of arrays: `compile_kernel(body)` is called as `kernel(*inputs, *results)`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..ir import Program
from .elements import can_compile
from .library import bound, library
from .loops import Kernel, kernel
from .schedule import Schedule

LONG = 20_000  # additions' worth of work above which other threads of Python's may run beside


class CompiledKernel:
    """A compiled body.  `call(*inputs, *results)` computes; all arrays must have the shapes, dtypes and strides of
    the body's, which are those of C order unless others were given."""

    def __init__(self, body: Program, strides: list | None = None, shared: dict[int, int] | None = None):
        self.schedule = Schedule(body, strides)
        self.kernel: Kernel = kernel(self.schedule, shared)
        self.work = sum(np.prod(self.schedule.extents[: self.schedule.depth(step)]) for step in self.schedule.steps)
        length = self.schedule.extents[0] if self.schedule.extents else 0
        sizes = np.array([0, length, 0, 0, int(self.work > LONG), *self.kernel.sizes], np.int64)
        self.call: Callable[..., None] = bound(library().address(self.kernel.text), sizes)


def compile_kernel(body: Program, strides: list | None = None, shared: dict[int, int] | None = None) -> CompiledKernel:
    """Compile a body, or find what was compiled for one with the same code."""
    return CompiledKernel(body, strides, shared)


__all__ = ["CompiledKernel", "can_compile", "compile_kernel"]
