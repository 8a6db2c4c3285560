"""What a trace keeps account of beside arrays: where inputs come from, state, counters, random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import init
from ...graph import Node, linked_handle, special, traced_by, tracing
from ...transforms.nan import user_line
from ..ir import Var
from .nested import Nest
from .recording import Traced
from .snapshot import Draws


@dataclass
class Source:
    """Where an input of a program comes from.

    `kind` is "tensor" (the array of the Tensor that `at` finds), "gradient" (that of its `.grad`), "array" (what `at`
    finds), "number" (the same, as an array of `dtype`), "state" (the array of state number `at`) or "host" (item
    `place` of what step `at` of the script gives).
    """

    kind: str
    at: Any
    dtype: np.dtype | None = None
    place: int = 0


@dataclass
class State:
    """An array that `holder` keeps under `name`, into which the program may write; `zeros()` makes the first one."""

    holder: dict
    name: str
    zeros: Callable[[], Any]
    traced: Traced
    first: Var


@dataclass
class Numbers:
    """A step of the script: `make()` gives a tuple of 0-d arrays, with None where it did in the trace (`absent`)."""

    make: Callable[[], tuple]
    absent: list[bool]


@dataclass
class Change:
    """A step of the script: `effect()` changes entries of `holder`."""

    holder: dict
    effect: Callable[[], None]


class Session(Nest):
    """A Recorder that keeps account of what lies outside of arrays: state, counters, random numbers."""

    def __init__(self, generators: list) -> None:
        super().__init__()
        self.sources: list[Source] = []
        self.script: list[Numbers | Change] = []
        self.checks: list[tuple[Callable[[], Any], Any]] = []
        self.states: dict[tuple[int, str], State] = {}
        self.draws = False
        self._snapshots: dict[int, tuple[dict, dict]] = {}
        self._random = Draws(generators)

    def bring(self, value, name: str, source: Source) -> Traced:
        """A traced array that each call brings from `source`."""
        self.sources.append(source)
        return self.input(np.asarray(value), name)

    # What the floors below ask of a trace (graph/tracing.py)

    def numbers(self, make):
        values = make()
        step = len(self.script)
        self.script.append(Numbers(make, [value is None for value in values]))
        return tuple(
            [
                None if value is None else self.bring(value, "number", Source("host", step, place=place))
                for place, value in enumerate(values)
            ]
        )

    def check(self, function):
        self.checks.append((function, function()))

    def state(self, holder, name, zeros):
        found = self.states.get((id(holder), name))
        if found is None:
            value = holder[name] if name in holder else zeros()
            traced = self.bring(value, name, Source("state", len(self.states)))
            found = self.states[id(holder), name] = State(holder, name, zeros, traced, traced.current)
        return found.traced

    def change(self, holder, effect):
        self._snapshots.setdefault(id(holder), (holder, dict(holder)))
        self.script.append(Change(holder, effect))
        effect()

    # Random numbers

    def drawn(self, outer, make, shape):
        """What `init` calls for a draw (see `init.drawing`)."""
        self.require_only_draws()
        recorder = tracing()
        traced = recorder.draw(lambda: outer(make, shape).node.data)
        if traced.size and self._random.are_known():
            raise RuntimeError(
                "random numbers were drawn from a Generator that was made inside of a jitted function, in\n  "
                f"{user_line()}\nMake it outside: a program would go on with its state, and not begin anew each time"
            )
        self.draws = True
        self._random.know()
        return linked_handle(Node(None, (), traced, False))

    def require_only_draws(self) -> None:
        """Refuse random numbers that were drawn without the trace being told."""
        if not self._random.are_known():
            self._refuse_draws()

    def _refuse_draws(self):
        raise RuntimeError(
            "random numbers were drawn under jit that the program cannot draw again (by numpy.random, the module "
            f"random, or a method of a generator), before\n  {user_line()}\nUse needle.init.rand, randn or randb, with "
            "generator= for a needle.init.Generator, or draw outside and pass them as an argument"
        )

    def note_draws(self) -> None:
        """Go on from here, if random numbers were drawn since."""
        if not self._random.are_known():
            self.draws = True
            self._random.know()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The block in which the function runs: what it draws and counts is undone at its end."""
        try:
            with special(), traced_by(self), init.drawing(self.drawn):
                yield
                if not self._random.are_all_known():
                    self._refuse_draws()
        finally:
            self._random.restore()
            for holder, snapshot in self._snapshots.values():
                holder.clear()
                holder.update(snapshot)
