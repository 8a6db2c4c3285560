"""Fused groups of a program as functions that compiled kernels carry out."""

from __future__ import annotations

from functools import cached_property

from ..functions import Fused, Group, Matmul
from ..fuse import can_fuse, fuse
from ..ir import Program
from ..listing import listing
from .elements import can_compile
from .kernel import CompiledKernel, overwritable
from .products import Product
from .schedule import Schedule


class Native(Group):
    """A group that one kernel computes."""

    @cached_property
    def _overwritable(self) -> list[list[int]]:
        schedule = Schedule(self.body)
        return [overwritable(schedule, i) for i in range(len(self.body.outputs))]

    def overwritable(self, i: int) -> list[int]:
        """The inputs, by their numbers, in whose memory result i may be written."""
        return self._overwritable[i]

    def compiled(self, strides: list, shared: dict[int, int], unknown: list[int]) -> CompiledKernel:
        """The kernel, for arrays that lie as is told (see CompiledKernel)."""
        return CompiledKernel(self.body, strides, shared, unknown)

    def listing(self, name: str) -> str:
        """What the kernel computes, as a person reads it."""
        return f"# kernel {name}\n{listing(self.body, '#     ')}\n"


def in_kernels(program: Program) -> Program:
    """The program, fused, with its groups as `Native` and its products as `Product`.  The program itself is used up."""
    fused = fuse(program, lambda step: can_fuse(step) and can_compile(step), alone=True)
    for step in fused:
        if isinstance(step.function, Fused):
            step.function = Native(step.function.body)
        elif type(step.function) is Matmul and all(var.ndim == 2 for var in step.inputs):
            step.function = Product()
    return fused
