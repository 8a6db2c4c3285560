"""One compiled signature: does a call fit, where do its arrays come from, where does what it computes go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from ..graph import Node, Tensor, is_recording, linked_handle, new_handle
from ..init import random_state
from .compile import Compiled
from .tracing import Capture, Change, Given, Numbers, Result, Source, State, Store
from .tracing.guards import first_failing

MISS = object()  # what a call gives that does not fit


class Entry:
    """A program for one signature.  `call(args, kwargs)` gives the result, or MISS if it does not fit.

    The function is written as Python source, since it stands between every call and the program.  It refers to this
    Entry only weakly, so that the Entry is freed with the last reference to it.
    """

    __slots__ = (
        "__weakref__", "_data", "_guards", "_names", "_reasons", "_results", "call", "captured", "compiled", "name",
        "pullback", "source",
    )  # fmt: skip

    def __init__(self, captured: Capture, compiled: Compiled, name: str, linked: Callable[..., list]):
        self.captured, self.compiled, self.name = captured, compiled, name
        roots = captured.roots
        self._names = {**roots.guards.names, "MISS": MISS, "program": compiled.run, "build": captured.out.build}
        self._names |= {
            "linked": linked,
            "entry": ref(self),
            "new_handle": new_handle,
            "linked_handle": linked_handle,
            "Node": Node,
            "new": object.__new__,
            "ref": ref,
        }
        self._names |= {"is_recording": is_recording, "asarray": np.asarray, "random_state": random_state}
        self._data = {at: f"d{i}" for i, at in enumerate(roots.tensors.values())}  # the arrays of the Tensors
        self._results = [result for result in captured.results if isinstance(result, Result) and result.requires_grad]
        if not captured.recording:
            self._results = []
        self.pullback: Any = None  # made when it is first asked for
        self._reasons: dict[int, str] = {}
        self._guards = self._guard_lines()
        guards, held = self._split()
        head = "call(args, kwargs, look=look)" if held else "call(args, kwargs)"
        self.source = "\n".join([*held, _function(head, [*guards, *self._body()])])
        self.call = self._compiled(self.source, "call")
        compiled.when_changed(partial(self.call.__globals__.__setitem__, "program"))
        roots.release()

    def _compiled(self, source: str, name: str):
        space = dict(self._names)
        exec(compile(source, f"<{name} of {self.name}>", "exec"), space)
        space.pop("look", None)  # which the call has as a default: no function is in the namespace that it refers to
        return space.pop(name)

    def _name(self, value) -> str:
        name = f"e{len(self._names)}"
        self._names[name] = value
        return name

    # Does a call fit?

    def _guard_lines(self) -> list[str]:
        captured, roots = self.captured, self.captured.roots
        lines = [f"if is_recording() is not {captured.recording}: return MISS"]
        self._reasons = {i + 1: reason for i, reason in roots.guards.reasons.items()}
        lines += roots.guards.lines
        for function, value in captured.checks:
            lines.append(f"if {self._name(function)}() != {self._name(value)}: return MISS")
        for tensor, at in roots.tensors.items():
            self._reasons |= dict.fromkeys(range(len(lines), len(lines) + 5), roots.called(tensor))
            lines += self._fits(at, tensor)
        if len(self._data) > 1 and captured.stores:  # two ways that led to two Tensors must do so still
            lines.append(f"if len({{{', '.join(f'id({at})' for at in self._data)}}}) != {len(self._data)}: return MISS")
        lines += ["is_new = False"] if captured.states else []
        for i, state in enumerate(captured.states):
            lines += self._keeps(i, state)
        return lines

    def _split(self) -> tuple[list[str], list[str]]:
        """The guards as the call itself looks at them, and the source of the function that looks at what is held.

        That function is called when a quick look finds other objects there than the last time; what it finds it leaves
        in global variables.
        """
        roots, guards = self.captured.roots, self.captured.roots.guards
        held = range(guards.held.start + 1, guards.held.stop + 1)  # the first line asks whether gradients are recorded
        if guards.mixed or len(held) < 4:
            return self._guards, []
        expressions = [*roots.tensors.values(), *[at for _, at in roots.arrays.values()]]
        lines = [self._guards[i] for i in held]
        found = [name for name in expressions if any(line.startswith(f"{name} = ") for line in lines)]
        looks, news, keeps = [], [], []
        for i, (at, several) in enumerate(guards.quick):
            looks.append(f"(*map(id, {at}),) == q{i}" if several else f"{at} is q{i}")
            news.append(f"(*map(id, k{i}),)" if several else f"k{i}")
            keeps.append(f"k{i} = [*{at}]" if several else f"k{i} = {at}")  # kept, lest another take its place and id
        count = range(len(looks))
        names = [*found, *[f"q{i}" for i in count], *[f"k{i}" for i in count], "is_ready"]
        look = [
            *[f"{name} = None" for name in names],
            "def look():",
            f"    global {', '.join(f'q{i}, k{i}' for i in count)}, is_ready",
            *[f"    {keep}" for keep in keeps],
            *[f"    {line}" for line in lines],
            f"    globals().update(({', '.join(f'({name!r}, {name})' for name in found)}{',' if found else ''}))",
            *[f"    q{i} = {new}" for i, new in enumerate(news)],
            "    is_ready = True",
        ]
        guard = f"if not (is_ready and {' and '.join(looks) or 'True'}) and look() is MISS: return MISS"
        return [*self._guards[: held.start], guard, *self._guards[held.stop :]], look

    def _fits(self, at: str, tensor: Tensor) -> list[str]:
        node, data = tensor.node, self._data[at]
        name, dtype = f"n{data[1:]}", self._name(node.data.dtype)
        return [
            f"{name} = {at}.node",
            f"if {name}.level or {'not ' if node.requires_grad else ''}{name}.requires_grad: return MISS",
            f"{data} = {name}.data",
            f"if {data}.dtype is not {dtype} or {data}.shape != {node.data.shape!r} or type({data}) is not ndarray: "
            "return MISS",
        ]

    def _keeps(self, i: int, state: State) -> list[str]:
        holder, zeros, value = self._name(state.holder), self._name(state.zeros), state.first
        dtype = self._name(value.dtype)
        return [
            f"s{i} = {holder}.get({state.name!r})",
            f"if s{i} is None: s{i}, is_new = {zeros}(), True",
            f"if s{i}.dtype is not {dtype} or s{i}.shape != {value.shape!r}: return MISS",
        ]

    def fits(self, args: tuple, kwargs: dict) -> bool:
        """Whether the program is one for these arguments, and for what is closed over as it is now."""
        return first_failing(self._guards[1:], self._names, args, kwargs) is None

    def explain(self, args: tuple, kwargs: dict) -> str:
        """Why a call does not fit that was just traced: something that the guards look at changed during the trace."""
        at = first_failing(self._guards, self._names, args, kwargs)
        if at is None:
            return f"{self.name} does not fit its own program"
        return (
            f"{self.name} changes {self._reason(at)} each time that it runs, and a compiled function can only change "
            "Tensors, gradients and optimizers: keep that in a Tensor (x.data = ...), or do it outside of the "
            f"jitted function [{self._guards[at].strip()}]"
        )

    def difference(self, args: tuple, kwargs: dict) -> str:
        """What keeps a call from fitting, as the user would write it."""
        return self._reason(first_failing(self._guards, self._names, args, kwargs))

    def _reason(self, at: int | None) -> str:
        return (None if at is None else self._reasons.get(at)) or "something outside"

    # What a call does

    def _body(self) -> list[str]:
        captured = self.captured
        lines = []
        steps = captured.script
        makes = [i for i, step in enumerate(steps) if isinstance(step, Numbers)]
        late = makes[-1] + 1 if makes else 0  # from here on nothing is made of what the changes change
        early = [step for step in steps[:late] if isinstance(step, Change)]
        for i, step in enumerate(steps[:late]):
            lines += self._step(i, step, any(isinstance(before, Change) for before in steps[:i]))
        if captured.draws and self._results and not self.is_spent():
            lines.append("random = random_state()")
        arrays = ", ".join(map(self._array, captured.sources))
        outputs = "".join(f"r{i}, " for i in range(len(captured.program.outputs)))
        lines.append(f"{outputs}= program({arrays})" if outputs else f"program({arrays})")
        if early:  # an error must leave everything as it was
            holders = [self._name(holder) for holder in {id(step.holder): step.holder for step in early}.values()]
            lines = [
                *[f"before_{holder} = dict({holder})" for holder in holders],
                "try:",
                *[f"    {line}" for line in lines],
                "except BaseException:",
                *[f"    {holder}.clear(); {holder}.update(before_{holder})" for holder in holders],
                "    raise",
            ]
        if captured.states:
            lines.append("if is_new:")
            lines += [
                f"    {self._name(state.holder)}[{state.name!r}] = s{i}" for i, state in enumerate(captured.states)
            ]
        if self._results:
            nodes = "".join(f"n{data[1:]}, " for data in self._data.values())
            numbers = "".join(
                f"Node(None, (), {self._array(source)}, False), "
                for source in captured.sources
                if source.kind == "number"
            )
            arrays = "".join(f"r{result.output}, " for result in self._results)
            tensors = "".join(f"{at}, " for at in self._data)
            closed = "".join(f"{source.at}, " for source in captured.sources if source.kind == "array")
            random = "random" if captured.draws and not self.is_spent() else "None"
            lines.append(
                f"linked_results = linked(entry(), args, kwargs, ({tensors}), [{closed}], ({nodes}{numbers}), "
                f"({arrays}), {random})"
            )
        for store in captured.stores:
            lines.append(self._stored(store))
        for i, step in enumerate(steps[late:]):
            lines += self._step(i, step, False)
        return [*lines, f"return {self._result()}"]

    def _step(self, i: int, step: Numbers | Change, changed: bool) -> list[str]:
        if isinstance(step, Change):
            return [f"{self._name(step.effect)}()"]
        made = [f"h{i} = {self._name(step.make)}()"]
        wrong = " or ".join(f"h{i}[{j}] is {'not ' if absent else ''}None" for j, absent in enumerate(step.absent))
        if wrong and not changed:
            made.append(f"if {wrong}: return MISS")
        return made

    def is_spent(self) -> bool:
        """Whether a call itself steps or goes back: then its results have no graph."""
        return any(store.kind == "gradient" or store.requires_grad for store in self.captured.stores)

    def _array(self, source: Source) -> str:
        if source.kind == "tensor":
            return self._data[source.at]
        if source.kind == "gradient":
            return f"{source.at}.grad.node.data"
        if source.kind == "array":
            return source.at
        if source.kind == "number":
            return f"asarray({source.at}, {self._name(source.dtype)})"
        if source.kind == "state":
            return f"s{source.at}"
        return f"h{source.at}[{source.place}]"

    def _stored(self, store: Store) -> str:
        # As new_handle(Node(None, (), data, requires_grad)) and Tensor._move do it, in a third of the time
        if store.output is None:
            return f"{store.at}.grad = None"
        node = (
            f"n = new(Node); n.op = None; n.inputs = (); n.data = r{store.output}; "
            f"n.requires_grad = {store.requires_grad}; n._handle = "
        )
        if store.kind == "gradient":
            return f"{node}None; t = new(Tensor); t.node = n; t.grad = None; {store.at}.grad = t"
        return f"{node}ref({store.at}); {store.at}.node = n"

    def _result(self) -> str:
        values = [self._value(result) for result in self.captured.results]
        if self.captured.out.alone and len(values) == 1:
            return values[0]
        return f"build([{', '.join(values)}])"

    def _value(self, result) -> str:
        """The source of one leaf of the result."""
        if isinstance(result, Given):
            return result.at
        if isinstance(result, list):
            arrays = "".join(f"r{item.output}, " for item in result)
            return f"new_handle(Node(None, (), ({arrays}), False))"
        if isinstance(result, np.ndarray):
            return f"{self._name(result)}.copy()"
        if not isinstance(result, Result):
            return self._name(result)
        name = f"r{result.output}"
        if any(result is each for each in self._results):
            return f"linked_results[{[each is result for each in self._results].index(True)}]"
        if result.kind == "array" or not self.captured.tensors_came:
            return name if self.captured.program.outputs[result.output].ndim else f"{name}[()]"
        return f"linked_handle(Node(None, (), {name}, {result.requires_grad}))"


def _function(head: str, lines: list[str]) -> str:
    return "\n    ".join([f"def {head}:", *lines])
