"""The stages that a program goes through on its way to source: what each pass makes of it."""

from __future__ import annotations

from .compile import compile_program
from .fuse import fuse
from .ir import Program
from .listing import listing
from .passes import simplify


def stages(program: Program, backend: str) -> list[tuple[str, str]]:
    """The program as it was recorded, after each pass that changed it, and the source that is run in the end.

    Each stage is a pair: its name, and its text.
    """
    found = [("recorded", listing(program))]

    def look(name: str, program: Program) -> None:
        text = listing(program)
        if text != found[-1][1]:
            found.append((name, text))

    simple = simplify(program, look=look)
    look("outputs in memory of their own", simple)
    look("fusion", fuse(simple))
    return [*found, ("source", compile_program(program, backend).source)]
