"""The walk that leaves a program: trace, optimise, emit, run.

`tracing/` runs a function once and writes down what it does, in the language of ir.py and functions.py; `passes/` and
fuse.py make the program smaller, plan.py places its arrays, emit.py writes it as Python, with `kernels/` for what is
compiled.  entry.py stands between a call and its program, jit.py holds them all (docs/how_it_works.md has a map).
"""

from .compile import BACKENDS
from .jit import JitFunction, jit
from .watch import watched

__all__ = ["BACKENDS", "JitFunction", "jit", "watched"]
