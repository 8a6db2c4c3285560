"""Loops and branches made smaller: what nobody uses is not carried, what is the same at each step comes before."""

from __future__ import annotations

from .control import Branch, Control, Loop, While
from .functions import Full
from .ir import Constant, Input, Instruction, Program, Var
from .passes.dead import without_dead_code
from .passes.rewriting import copied


def shrink(program: Program) -> Program:
    """The program with its loops and branches, at all depths, made smaller."""
    if not any(isinstance(instruction.function, Control) for instruction in program):
        return program
    return _rebuilt(_without_unused(program))


def _without_unused(program: Program) -> Program:
    """The program without results and inputs of loops and branches that nobody uses."""
    used = set(program.outputs)
    kept: list[tuple[Instruction, Control | None, list[int], list[int]]] = []
    for instruction in reversed(program.instructions):
        function = instruction.function
        if function.pure and used.isdisjoint(instruction.outputs):
            continue
        if not isinstance(function, Control):
            used.update(instruction.inputs)
            kept.append((instruction, None, [], []))
            continue
        wanted = [i for i, var in enumerate(instruction.outputs) if var in used]
        narrow, inputs, outputs = _narrowed(function, wanted)
        used.update([instruction.inputs[i] for i in inputs])
        kept.append((instruction, narrow, inputs, outputs))
    now: dict[Var, Var] = {}
    instructions = []
    for instruction, smaller, inputs, outputs in reversed(kept):
        given = [now.get(var, var) for var in instruction.inputs]
        old = instruction.outputs
        if smaller is not None:
            given, old = [given[i] for i in inputs], tuple([old[i] for i in outputs])
        new = Instruction(smaller or instruction.function, given, [(v.shape, v.dtype) for v in old], instruction.line)
        now.update(zip(old, new.outputs))
        instructions.append(new)
    return Program(program.inputs, instructions, [now.get(var, var) for var in program.outputs], program.in_place)


def _narrowed(function: Control, wanted: list[int]) -> tuple[Control, list[int], list[int]]:
    """The function that gives the wanted results (and others, where it cannot do without): with the places of the
    inputs that it takes, and of the results that it gives."""
    if isinstance(function, Loop):
        return _narrowed_loop(function, wanted)
    if isinstance(function, Branch):
        programs = [_of_outputs(program, wanted) for program in function.programs]
        count = len(programs[0].inputs)
        inputs = [i for i in range(count) if any(program.inputs[i] in _reached(program) for program in programs)]
        narrow = [Program([p.inputs[i] for i in inputs], p.instructions, p.outputs) for p in programs]
        return Branch(*narrow), [0, *[i + 1 for i in inputs]], wanted
    assert isinstance(function, While)
    condition, body = map(without_dead_code, function.programs)
    carries = _needed_carries(function.carried, body, set(wanted), _reached(condition) | _effects(body), condition)
    body = _of_outputs(body, carries)
    reached = [
        i
        for i in range(function.carried, len(body.inputs))
        if body.inputs[i] in _reached(body) or condition.inputs[i] in _reached(condition)
    ]
    inputs = [*carries, *reached]
    narrow = [Program([p.inputs[i] for i in inputs], p.instructions, p.outputs) for p in (condition, body)]
    return While(narrow[0], narrow[1], len(carries)), inputs, carries


def _narrowed_loop(function: Loop, wanted: list[int]) -> tuple[Loop, list[int], list[int]]:
    body, carried = function.body, function.carried
    rows = [i for i in wanted if i >= carried]
    always = _reached(_of_outputs(body, rows))
    carries = _needed_carries(carried, body, {i for i in wanted if i < carried}, always, body)
    outputs = [*carries, *rows]
    body = _of_outputs(body, outputs)
    reached = [i for i in range(carried, len(body.inputs)) if body.inputs[i] in _reached(body)]
    inputs = [*carries, *reached]
    scanned = sum(i < carried + function.scanned for i in reached)
    narrow = Program([body.inputs[i] for i in inputs], body.instructions, body.outputs)
    return Loop(narrow, len(carries), scanned, function.length, function.reverse), inputs, outputs


def _needed_carries(carried: int, body: Program, wanted: set[int], always: set[Var], beside: Program) -> list[int]:
    """Which carries are wanted afterwards, or by a step for what is: `always` is what each step needs in any case, of
    the inputs of `beside`."""
    needed = set(wanted) | {i for i in range(carried) if beside.inputs[i] in always or body.inputs[i] in always}
    while True:
        reached = _reached(_of_outputs(body, sorted(needed)))
        more = {i for i in range(carried) if body.inputs[i] in reached} - needed
        if not more:
            return sorted(needed)
        needed |= more


def _of_outputs(program: Program, places: list[int]) -> Program:
    return without_dead_code(Program(program.inputs, program.instructions, [program.outputs[i] for i in places]))


def _effects(program: Program) -> set[Var]:
    return _reached(_of_outputs(program, []))


def _reached(program: Program) -> set[Var]:
    """All that the outputs, and whatever is done beside computing, depend on."""
    reached = set(program.outputs)
    for instruction in reversed(program.instructions):
        if not instruction.function.pure or not reached.isdisjoint(instruction.outputs):
            reached.update(instruction.inputs)
    return reached


# --------------------------------------------------------------------------------------------------------------------
# What is the same at each step


def _rebuilt(program: Program) -> Program:
    """The program with its bodies shrunk, and what they compute anew at each step without need moved out of loops."""
    instructions: list[Instruction] = []
    for instruction in program:
        function = instruction.function
        if isinstance(function, Control):
            function.programs = tuple(map(shrink, function.programs))
            if isinstance(function, Loop):
                _move_out(instruction, function, instructions)
        instructions.append(instruction)
    return Program(program.inputs, instructions, program.outputs, program.in_place)


def _move_out(instruction: Instruction, loop: Loop, before: list[Instruction]) -> None:
    """Move what depends on nothing that changes out of a loop, to the end of `before`."""
    body = copied(loop.body)
    first = loop.carried + loop.scanned
    outside: dict[Var, Var] = dict(zip(body.inputs[first:], instruction.inputs[first:]))
    for i in range(loop.carried):
        if body.outputs[i] is body.inputs[i]:  # carried along as it is
            outside[body.inputs[i]] = instruction.inputs[i]
    same = set(outside)
    constant = [step for step in body if _is_constant(step, same)]
    moved = {step for step in constant if step.inputs and not step.function.view}
    if not moved:
        return
    kept = [step for step in body if step not in moved]
    wanted = {var for step in kept for var in step.inputs} | set(body.outputs)
    given = [var for step in body if step in moved for var in step.outputs if var in wanted]
    for step in _needed(constant, moved):
        inputs = [outside.get(var, var) for var in step.inputs]
        made = Instruction(step.function, inputs, [(var.shape, var.dtype) for var in step.outputs], step.line)
        before.append(made)
        outside.update(zip(step.outputs, made.outputs))
    stand_ins = {var: Input(var.shape, var.dtype, "x") for var in given}
    for step in kept:
        step.inputs = tuple([stand_ins.get(var, var) for var in step.inputs])
    outputs = [stand_ins.get(var, var) for var in body.outputs]
    loop.programs = (Program([*body.inputs, *stand_ins.values()], kept, outputs),)
    instruction.inputs = (*instruction.inputs, *[outside[var] for var in given])


def _is_constant(step: Instruction, same: set[Var]) -> bool:
    """Whether an instruction gives the same at each step, as the arrays in `same` do; if so, its results join these."""
    if not step.function.pure or not all(isinstance(var, Constant) or var in same for var in step.inputs):
        return False
    if not step.inputs and not isinstance(step.function, Full):
        return False
    same.update(step.outputs)
    return True


def _needed(steps: list[Instruction], wanted: set[Instruction]) -> list[Instruction]:
    """The steps that are wanted, and those on which they depend."""
    needed: set[Var] = set()
    found = []
    for step in reversed(steps):
        if step in wanted or not needed.isdisjoint(step.outputs):
            needed.update(step.inputs)
            found.append(step)
    return found[::-1]
