"""Writing and reading: what was just written is not read again, what is overwritten was never written."""

from __future__ import annotations

from ..functions import Assign, Full, Index
from ..ir import Function, Instruction, Var
from .rewriting import Rule, Walk, source
from .selection import NEW, Selection

DEPTH = 16  # how many older writes are looked at


def load(walk: Walk, instruction: Instruction) -> Var | None:
    """A part of an array into parts of which was written: of what was written there, or of what was there before."""
    (base,), output = instruction.inputs, instruction.output
    wanted = Selection.of(instruction.function.key_, base.shape)
    for _ in range(DEPTH):
        store = source(base, Assign)
        if store is None:
            break
        older, value = store.inputs
        written = Selection.of(store.function.key_, base.shape)
        if value.shape != written.shape:
            break
        if not wanted.is_apart(written):
            return _of_written(walk, wanted, written, value, output)
        base = older
    # What was there before is read from there only if it is one number: otherwise the older array would have to outlive
    # what overwrites it
    if base is instruction.inputs[0] or source(base, Full) is None:
        return None
    return walk.emit(instruction.function, [base], output.shape, output.dtype)


def _of_written(walk: Walk, wanted: Selection, written: Selection, value: Var, output: Var) -> Var | None:
    inside = wanted.within(written)
    if inside is None:
        return None
    part = Selection(
        value.shape,
        tuple([(0, 1, 1) if axis == NEW else inside[axis] for axis in written.layout]),
        tuple(range(value.ndim)),
    )
    if not part.is_all():
        value = walk.emit(Index(part.key()), [value], part.shape, value.dtype)
    return walk.reshaped(value, output.shape)


def store(walk: Walk, instruction: Instruction) -> Var | None:
    """A write that covers an array is that array; one that covers an older write makes that one void."""
    (base, value), output = instruction.inputs, instruction.output
    written = Selection.of(instruction.function.key_, base.shape)
    if value.dtype != output.dtype or value.shape != written.shape:
        return None
    if written.is_all():
        return walk.reshaped(value, output.shape)
    part = source(value, Index)
    if part and part.inputs[0] is base and Selection.of(part.function.key_, base.shape) == written:
        return base
    kept = []  # older writes that nobody else reads, and of which something is left
    void = False
    for _ in range(DEPTH):
        older = source(base, Assign)
        if older is None or not walk.is_single(base):
            break
        covered = Selection.of(older.function.key_, base.shape)
        if covered.within(written) is None:
            if not covered.is_apart(written):
                break
            kept.append(older)
        else:
            void = True
        base = older.inputs[0]
    if not void:
        return None
    for older in reversed(kept):
        base = walk.emit(older.function, [base, older.inputs[1]], output.shape, output.dtype)
    return walk.emit(instruction.function, [base, value], output.shape, output.dtype)


RULES: dict[type[Function], list[Rule]] = {Index: [load], Assign: [store]}
