"""Elementwise neighbours as one instruction: what lies between them never reaches memory.

Instructions are put into an order in which the members of each group follow one another, so no group can wait for
something that waits for it.  A group takes in what is ready, touches an array of the group, and fits its loops
(space.py): work element by element, and sums, maxima and the like of what it computes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from .functions import BroadcastTo, Full, Fused, Reduce
from .ir import Constant, Input, Instruction, Program, Var
from .space import Space, base_of, is_free, is_number

MOST = 400  # instructions in one group
_DTYPES = frozenset("?bhilqBHILQfd")
_REDUCTIONS = frozenset("add multiply maximum minimum logical_and logical_or".split())


def can_fuse(instruction: Instruction) -> bool:
    """Whether an instruction may belong to a group at all."""
    function = instruction.function
    if not (function.elementwise or (isinstance(function, Reduce) and function.ufunc.__name__ in _REDUCTIONS)):
        return False
    arrays = (*instruction.inputs, *instruction.outputs)
    return all(var.dtype.char in _DTYPES and var.dtype.isnative and var.size for var in arrays)


def fuse(program: Program, admits: Callable[[Instruction], bool] = can_fuse, alone: bool = False) -> Program:
    """The program with its elementwise groups as `Fused` instructions.

    Args:
        program: what to fuse.
        admits: which instructions may be members; each must be one that `can_fuse` allows.
        alone: whether one instruction is a group, too.
    """
    return _Fusion(program, admits, alone).fused()


class _Fusion:
    def __init__(self, program: Program, admits: Callable[[Instruction], bool], alone: bool):
        self.program, self.alone = program, alone
        self.instructions = [step for step in program.instructions if not is_free(step)]
        self.at = {step: i for i, step in enumerate(self.instructions)}
        self.member = [admits(step) for step in self.instructions]
        self.waits: list[int] = []  # how many instructions each waits for
        self.users: dict[Var, list[int]] = {}  # of each array, below the free views, who uses it
        self.followers: dict[int, list[int]] = {}  # impure instructions stay in their order
        last_impure = None
        for i, step in enumerate(self.instructions):
            bases = dict.fromkeys(base_of(var) for var in step.inputs)
            for base in bases:
                self.users.setdefault(base, []).append(i)
            waits = {base.source for base in bases if base.source is not None and not is_free(base.source)}
            self.waits.append(len(waits))
            if not step.function.pure:
                if last_impure is not None:
                    self.followers.setdefault(last_impure, []).append(i)
                    self.waits[i] += 1
                last_impure = i
        self.ready: list[int] = []
        self.views: list[int] = []  # ready, too; they cost nothing, and groups wait for what they show
        for i, n in enumerate(self.waits):
            if not n:
                self._is_ready(i)
        self.done = [False] * len(self.instructions)

    def fused(self) -> Program:
        order: list[list[int]] = []  # groups; what cannot be fused is a group of its own
        while self.views or self.ready:
            i = heapq.heappop(self.views or self.ready)
            if not self.done[i]:
                order.append(self._group(i) if self.member[i] else [i])
                if not self.member[i]:
                    self._finish(i)
        return self._written(order)

    def _finish(self, i: int) -> list[int]:
        """Instruction i has run; which ones are ready now?"""
        self.done[i] = True
        found = list(self.followers.get(i, ()))
        waiting = {user: None for var in self.instructions[i].outputs for user in self.users.get(var, ())}
        found += waiting
        ready = []
        for user in found:
            self.waits[user] -= 1
            if not self.waits[user]:
                self._is_ready(user)
                ready.append(user)
        return ready

    def _is_ready(self, i: int) -> None:
        is_view = self.instructions[i].function.view and not self.member[i]
        heapq.heappush(self.views if is_view else self.ready, i)

    def _group(self, first: int) -> list[int]:
        """The group that begins with instruction `first`."""
        space = Space()
        members: list[int] = []
        candidates = [first]
        refused: set[int] = set()
        while candidates and len(members) < MOST:
            i = heapq.heappop(candidates)
            if self.done[i]:
                continue
            axes = len(space.axes)
            step = self.instructions[i]
            if not space.admit(step):
                refused.add(i)
                continue
            members.append(i)
            self._finish(i)
            touched = [step.output, *[base for base in map(base_of, step.inputs) if base.size > 1]]
            found = {user for var in touched for user in self.users.get(var, ())}
            if len(space.axes) != axes:
                found |= refused
                refused.clear()
            for user in found:
                for each in self._runnable(user):
                    if each not in refused:
                        heapq.heappush(candidates, each)
        return members

    def _runnable(self, user: int) -> list[int]:
        """The instruction, if it may run now and be fused; or what it waits for, if all of that may."""
        found: list[int] = []
        stack = [user]
        while stack:
            i = stack.pop()
            if not self.member[i] or self.done[i] or len(found) > 20:
                return []
            found.append(i)
            if self.waits[i]:
                sources = [base_of(var).source for var in self.instructions[i].inputs]
                waits = {self.at[source] for source in sources if source in self.at}
                stack += [each for each in waits if not self.done[each] and each not in found]
                if not self.instructions[i].function.pure:
                    return []
        return [i for i in found if not self.waits[i]]

    # Writing the program down

    def _written(self, order: list[list[int]]) -> Program:
        grouped = [self._is_group(group) for group in order]
        outside: set[Var] = set(self.program.outputs)  # what must be in memory for others than its own group
        group_of = {i: k for k, group in enumerate(order) for i in group}
        for k, group in enumerate(order):
            for i in group:
                for var in self.instructions[i].inputs:
                    if not grouped[k]:
                        outside.add(var)
                    base = base_of(var)
                    if base.source in self.at and group_of[self.at[base.source]] != k:
                        outside.add(base)
        outside |= {base_of(var) for var in outside}
        written: list[Instruction] = []
        replaced: dict[Var, Var] = {}
        shown: set[Instruction] = set()
        for k, group in enumerate(order):
            steps = [self.instructions[i] for i in group]
            if grouped[k]:
                fused, outputs = fused_instruction(steps, outside)
                written.append(fused)
                replaced.update(zip(outputs, fused.outputs))
                continue
            written += _views(steps[0].inputs, shown)
            written.append(steps[0])
        written += _views(self.program.outputs, shown)
        return self.program.rebuilt(replaced, written)

    def _is_group(self, group: list[int]) -> bool:
        if not self.member[group[0]]:
            return False
        return self.alone or len(group) > 1


def _views(arrays: Iterable[Var], shown: set[Instruction]) -> list[Instruction]:
    """The free instructions that these arrays need and that have not been written yet, in order."""
    found: list[Instruction] = []
    for var in arrays:
        chain = []
        while is_free(var.source) and var.source not in shown:
            chain.append(var.source)
            shown.add(var.source)  # type: ignore[arg-type]
            if not var.source.inputs:  # type: ignore[union-attr]
                break
            var = var.source.inputs[0]  # type: ignore[union-attr]
        found += reversed(chain)  # type: ignore[arg-type]
    return found


def fused_instruction(steps: list[Instruction], outside: set[Var]) -> tuple[Instruction, list[Var]]:
    """The steps as one instruction, and those of their results, all in `outside`, that it gives."""
    inputs: dict[Var, Input] = {}
    inner: dict[Var, Var] = {}
    body: list[Instruction] = []

    def within(var: Var) -> Var:
        chain = []
        while var not in inner and is_free(var.source):
            chain.append(var)
            if not var.source.inputs:  # type: ignore[union-attr]
                break
            var = var.source.inputs[0]  # type: ignore[union-attr]
        if chain and not chain[-1].source.inputs:  # type: ignore[union-attr]
            made = chain.pop()
            inner[made] = _constant(made, body)
            var = made
        elif var not in inner:
            if is_number(var):
                inner[var] = var
            else:
                inputs[var] = inner[var] = Input(var.shape, var.dtype, f"x{len(inputs)}")
        for view in reversed(chain):
            step = Instruction(view.source.function, [inner[var]], [(view.shape, view.dtype)])  # type: ignore
            body.append(step)
            inner[view] = step.output
            var = view
        return inner[var]

    for step in steps:
        operands = [within(var) for var in step.inputs]
        made = Instruction(step.function, operands, [(step.output.shape, step.output.dtype)], step.line)
        body.append(made)
        inner[step.output] = made.output
    outputs = [step.output for step in steps if step.output in outside]
    program = Program(list(inputs.values()), body, [inner[var] for var in outputs])
    described = [(var.shape, var.dtype) for var in outputs]
    return Instruction(Fused(program), list(inputs), described, steps[-1].line), outputs


def _constant(var: Var, body: list[Instruction]) -> Var:
    """A `Full` as a number, repeated."""
    function: Full = var.source.function  # type: ignore
    number = Constant(function(*()).reshape(-1)[:1].reshape(()).copy())
    if not var.ndim:
        return number
    step = Instruction(BroadcastTo(var.shape), [number], [(var.shape, var.dtype)])
    body.append(step)
    return step.output
