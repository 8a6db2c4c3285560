"""The walk that leaves a program: trace, optimise, emit, run."""

from .jit import JitFunction, jit

__all__ = ["JitFunction", "jit"]
