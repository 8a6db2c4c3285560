"""The passes that make a program smaller: each is a function from a program to a program that computes the same.

Shapes and dtypes of results stay exactly as they were.  Values do, too, to the bit, save where a pass says otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from ..functions import Copy
from ..ir import Constant, Instruction, Program, Var
from . import algebra, constants, layout, reductions, stores, views
from .aliases import aliases
from .dead import without_dead_code, without_repetition
from .rewriting import Rule, Walk, copied
from .sums import sums_as_products

__all__ = ["PASSES", "aliases", "simplify", "sums_as_products"]

ROUNDS = 8  # far more than ever found something to do


def _walk(rules: dict[type, list[Rule]]) -> Callable[[Program], Program]:
    return lambda program: Walk(program, rules).run()


PASSES: dict[str, Callable[[Program], Program]] = {
    "dead code": without_dead_code,
    "writing and reading": _walk(stores.RULES),
    "views": _walk(views.RULES),
    "reductions": _walk(reductions.RULES),
    "layout": _walk(layout.RULES),
    "constants": _walk(constants.RULES),
    "algebra": _walk(algebra.RULES),
    "common subexpressions": without_repetition,
}


def simplify(
    program: Program,
    record: Callable[[str, int, int], None] | None = None,
    look: Callable[[str, Program], None] | None = None,
) -> Program:
    """The program after all passes, again and again until none of them finds anything more.

    Args:
        record: told of each pass what it is called, how many instructions there were before it and how many after.
        look: shown the program after each pass that changed it, with the name of the pass.
    """
    before = program
    program = copied(program)
    idle = 0  # how many passes in a row have found nothing
    for name, each in itertools.islice(itertools.cycle(PASSES.items()), ROUNDS * len(PASSES)):
        length, after = len(program), each(program)
        if record is not None:
            record(name, length, len(after))
        if look is not None and after is not program:
            look(name, after)
        idle = idle + 1 if after is program else 0
        program = after
        if idle == len(PASSES):
            break
    return parted(program, before)


def parted(program: Program, before: Program) -> Program:
    """The program, with outputs copied that share memory with each other or with an input, and did not before.

    Constants are left out: whoever runs a program hands back copies of them.
    """
    old, new = aliases(before), aliases(program)
    instructions = list(program.instructions)
    outputs: list[Var] = []
    inputs = set(program.inputs)
    taken: dict[Var, Var] = {}  # the memory that outputs lie in: what it was before
    for i, (var, was) in enumerate(zip(program.outputs, before.outputs)):
        root, old_root = new[var], old[was]
        given = root in inputs or isinstance(root, Constant)
        shares = root is not old_root if given else taken.setdefault(root, old_root) is not old_root
        if shares and i not in program.in_place and not isinstance(var, Constant):
            instruction = Instruction(Copy(), [var], [(var.shape, var.dtype)])
            instructions.append(instruction)
            var = instruction.output
        outputs.append(var)
    return Program(program.inputs, instructions, outputs, program.in_place)
