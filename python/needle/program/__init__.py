"""The walk that leaves a program: trace, optimise, emit, run."""

from .compile import BACKENDS
from .jit import JitFunction, jit

__all__ = ["BACKENDS", "JitFunction", "jit"]
