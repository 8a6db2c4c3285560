"""The order of a fused group's work: which loops there are, and what is computed how deep within them, and when."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ..functions import Reduce
from ..ir import Instruction, Program, Var
from ..space import Axis, Space, base_of, is_free, long_axes
from .elements import cost_of

CHEAP = 12  # additions for which computing again beats memory


def contiguous(extents: list[int]) -> list[int]:
    """The strides of an array in C order, in elements."""
    return [prod(extents[i + 1 :]) for i in range(len(extents))]


class Schedule:
    """The loops of a body.  Neighbouring axes are one loop where every array goes along both in one stride.

    Attributes:
        extents: of the loops, outermost first.
        rows: how many of them go over rows; the others go over a row, once for each stage.
        steps: the instructions that compute.
        terminal: those that reduce over rows, too; their results are known at the very end.
        late: those that work on such results.
        stage: for each result, how many sets of reductions of the row it must wait for.
        kept: the results within a row that a later stage reads instead of computing them again.
    """

    def __init__(self, body: Program, strides: list | None = None):
        self.body, self.space = body, Space()
        self.steps = [step for step in body if not is_free(step)]
        for step in self.steps:
            if not self.space.admit(step):
                raise ValueError(f"{step} does not fit into the loops of its group")
        self.argument: dict[Var, int] = {var: i for i, var in enumerate(body.inputs)}
        self._strides = strides or [None] * len(body.inputs)
        self._make_loops()
        self._set_stages()
        self.results = set(body.outputs)
        self.kept = self._kept() if self.rows < len(self.extents) else set()

    # Loops

    def _make_loops(self) -> None:
        space, axes = self.space, self.space.axes
        apart = [i == 0 for i in range(len(axes))]  # whether a loop begins at this axis
        levels = {len(space.lies[step.output]) for step in self.steps if step.output not in space.ended}
        for level in {*levels, space.split or 0}:
            if 0 < level < len(axes):
                apart[level] = True
        arrays = [(lies, self.strides_of(var)) for var, lies in space.reads]
        ended = [space.lies[var] for var in space.ended]
        arrays += [(lies, contiguous([axis.extent for axis in lies])) for lies in ended]
        for lies, strides in arrays:
            along = dict(zip(lies, strides))
            for i in range(1, len(axes)):
                apart[i] |= along.get(axes[i - 1], 0) != along.get(axes[i], 0) * axes[i].extent
        self.loop_of: dict[Axis, int] = {}
        self.extents: list[int] = []
        for axis, begins in zip(axes, apart):
            if begins:
                self.extents.append(1)
            self.extents[-1] *= axis.extent
            self.loop_of[axis] = len(self.extents) - 1
        split = space.split
        self.rows = len(self.extents) if split is None else self.loop_of[axes[split - 1]] + 1 if split else 0

    def given(self, var: Var) -> tuple[int, ...] | None:
        """The strides of an input as they were given."""
        return self._strides[self.argument[var]]

    def strides_of(self, var: Var) -> list[int]:
        """Of an input, along its axes longer than 1, in elements."""
        given = self._strides[self.argument[var]]
        long = long_axes(var.shape)
        return [given[i] for i in long] if given is not None else contiguous([var.shape[i] for i in long])

    def along(self, lies: Iterable[Axis], strides: Iterable[int]) -> list[int]:
        """Strides along axes as strides along the loops."""
        steps = [0] * len(self.extents)
        for axis, stride in zip(lies, strides):
            steps[self.loop_of[axis]] = stride  # that of the loop's last axis
        return steps

    def level(self, var: Var) -> int:
        """How many loops are around a result."""
        lies = self.space.lies[var]
        return self.loop_of[lies[-1]] + 1 if lies else 0

    def depth(self, step: Instruction) -> int:
        """How many loops are around an instruction: around a reduction, those around what it reduces."""
        if not isinstance(step.function, Reduce):
            return self.level(step.output)
        base = base_of(step.inputs[0])
        if base in self.space.lies:
            return self.level(base)
        return max([self.loop_of[axis] + 1 for axis in self.space.taken[step, step.inputs[0]][1]], default=0)

    # Stages

    def reduces(self, step: Instruction) -> bool:
        """Whether it is a reduction of more than one element to each."""
        return isinstance(step.function, Reduce) and step.inputs[0].size != step.output.size

    def reduces_row(self, step: Instruction) -> bool:
        return self.reduces(step) and step not in self.terminal

    def _set_stages(self) -> None:
        ended, late = self.space.ended, self.space.late
        self.terminal = {step for step in self.steps if self.reduces(step) and step.output in {*ended, *late}}
        self.late = [step for step in self.steps if step.output in late and step not in self.terminal]
        self.maker = {step.output: step for step in self.steps}
        self.stage: dict[Var, int] = {}
        for step in self.steps:
            waits = max([self.stage.get(base_of(var), 0) for var in step.inputs], default=0)
            self.stage[step.output] = waits + self.reduces_row(step)

    def stage_of(self, step: Instruction) -> int:
        """The stage that carries an instruction out; the result of a row's reduction is of the next."""
        return self.stage[step.output] - self.reduces_row(step)

    def is_inner(self, step: Instruction) -> bool:
        """Whether it gives something for each element of a row."""
        return self.depth(step) > self.rows and not self.reduces(step)

    def _kept(self) -> set[Var]:
        crossing = set()
        for step in self.steps:
            bases = [base_of(var) for var in step.inputs]
            crossing |= {var for var in bases if self.stage.get(var, 0) < self.stage_of(step)}
        kept: set[Var] = set()
        cost: dict[Var, int] = {}
        for step in self.steps:
            if self.is_inner(step):
                var = step.output
                cost[var] = cost_of(step) + sum(cost.get(base, 0) for base in {base_of(each) for each in step.inputs})
                if var in crossing and (var in self.results or cost[var] > CHEAP):
                    kept.add(var)
                    cost[var] = 1
        return kept

    def in_stage(self, stage: int) -> list[Instruction]:
        """What the loops over a row carry out in a stage, in order: what leaves them then, and all that this needs."""
        inner = [step for step in self.steps if self.depth(step) > self.rows]
        stack = [
            step
            for step in inner
            if self.stage_of(step) == stage
            and (self.reduces(step) or step.output in self.results or step.output in self.kept)
        ]
        wanted = set(stack)
        while stack:
            step = stack.pop()
            if self.is_recalled(step, stage):
                continue
            for var in step.inputs:
                maker = self.maker.get(base_of(var))
                if maker is not None and maker not in wanted and self.is_inner(maker):
                    wanted.add(maker)
                    stack.append(maker)
        return [step for step in inner if step in wanted]

    def is_recalled(self, step: Instruction, stage: int) -> bool:
        """Whether a stage reads the result from memory, where an earlier one has left it."""
        return step.output in self.kept and self.stage[step.output] < stage
