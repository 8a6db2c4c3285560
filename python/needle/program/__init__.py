"""The walk that leaves a program: trace, optimise, emit, run."""

from .compile import BACKENDS
from .jit import JitFunction, jit
from .watch import watched

__all__ = ["BACKENDS", "JitFunction", "jit", "watched"]
