"""One compiled signature: does a call fit, where do its arrays come from, where does what it computes go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..graph import Tensor, is_recording, new_handle
from ..init import random_state
from .capture import Capture, Given, Result, Source, Store
from .compile import Compiled


class Entry:
    """A program for one signature.  `call(args, kwargs)` gives the result, or this Entry itself if it does not fit.

    The function is written as Python source, since it stands between every call and the program.
    """

    def __init__(self, captured: Capture, compiled: Compiled, name: str, linked: Callable[..., list]):
        self.captured, self.compiled, self.name = captured, compiled, name
        roots = captured.roots
        self._names = {**roots.names, "MISS": self, "program": compiled.run, "build": self._build, "linked": linked}
        self._names |= {
            "new_handle": new_handle,
            "is_recording": is_recording,
        }
        self._names |= {"asarray": np.asarray, "random_state": random_state}
        self._guards = [f"if is_recording() is not {captured.recording}: return MISS"]
        self._guards += [line.replace("return None", "return MISS") for line in roots.lines]
        self._guards += [
            f"if {self._name(function)}() != {self._name(value)}: return MISS" for function, value in captured.checks
        ]
        self.tensors = {at: f"d{i}" for i, at in enumerate(roots.tensors.values())}
        self.source = "\n    ".join(["def call(args, kwargs):", *self._lines()])
        space = dict(self._names)
        exec(compile(self.source, f"<a call of {name}>", "exec"), space)
        self.call = space["call"]

    def _name(self, value) -> str:
        name = f"e{len(self._names)}"
        self._names[name] = value
        return name

    def _lines(self) -> list[str]:
        captured = self.captured
        lines = [*self._guards]
        for tensor, at in captured.roots.tensors.items():
            lines += self._fits(at, tensor)
        lines += self._distinct()
        for source in captured.sources:
            if source.kind == "state":
                holder, zeros = self._name(source.holder), self._name(source.zeros)
                lines.append(f"if {source.at!r} not in {holder}: {holder}[{source.at!r}] = {zeros}()")
        lines += [f"h{i} = {self._name(step)}()" for i, step in enumerate(captured.script)]
        if captured.draws and self._linked_results():
            lines.append("random = random_state()")
        arrays = ", ".join(map(self._array, captured.sources))
        outputs = "".join(f"r{i}, " for i in range(len(captured.program.outputs)))
        lines.append(f"{outputs}= program({arrays})" if outputs else f"program({arrays})")
        if results := self._linked_results():
            nodes = "".join(f"n{at[1:]}, " for at in self.tensors.values())
            numbers = "".join(
                f"Node(None, (), {self._array(source)}, False), "
                for source in captured.sources
                if source.kind == "number"
            )
            arrays = "".join(f"r{result.output}, " for result in results)
            random = "random" if captured.draws else "None"
            lines.append(f"linked_results = linked(MISS, args, kwargs, ({nodes}{numbers}), ({arrays}), {random})")
        for store in captured.stores:
            lines += self._stored(store)
        return [*lines, f"return {self._result()}"]

    def _linked_results(self) -> list[Result]:
        """The results of which a derivative may be asked."""
        if not self.captured.recording:
            return []
        return [result for result in self.captured.results if isinstance(result, Result) and result.requires_grad]

    def is_spent(self) -> bool:
        """Whether a call itself steps or goes back: then its results have no graph."""
        return any(store.kind == "gradient" or store.requires_grad for store in self.captured.stores)

    def _fits(self, at: str, tensor: Tensor) -> list[str]:
        node = tensor.node
        data = self.tensors[at]
        name = f"n{data[1:]}"
        dtype = self._name(node.data.dtype)
        return [
            f"{name} = {at}.node",
            f"if {name}.level or {name}.requires_grad is not {node.requires_grad}: return MISS",
            f"{data} = {name}.data",
            f"if {data}.dtype is not {dtype} or {data}.shape != {node.data.shape!r}: return MISS",
        ]

    def _distinct(self) -> list[str]:
        """Two ways that led to two Tensors must still do so, if one of them is written into."""
        if len(self.tensors) < 2 or not self.captured.stores:
            return []
        return [f"if len({{{', '.join(f'id({at})' for at in self.tensors)}}}) != {len(self.tensors)}: return MISS"]

    def _array(self, source: Source) -> str:
        if source.kind == "tensor":
            return self.tensors[source.at]
        if source.kind == "gradient":
            return f"{source.at}.grad.node.data"
        if source.kind == "array":
            return source.at
        if source.kind == "number":
            return f"asarray({source.at}, {self._name(source.dtype)})"
        if source.kind == "state":
            return f"{self._name(source.holder)}[{source.at!r}]"
        return f"h{source.at}[{source.place}]"

    def _stored(self, store: Store) -> list[str]:
        if store.output is None:
            return [f"{store.at}.grad = None"]
        if store.kind == "gradient":
            return [f"{store.at}.grad = new_handle(Node(None, (), r{store.output}, False))"]
        return [f"{store.at}._move(Node(None, (), r{store.output}, {store.requires_grad}))"]

    def _result(self) -> str:
        values = [self._value(result) for result in self.captured.results]
        if self.captured.out.alone and len(values) == 1:
            return values[0]
        return f"build([{', '.join(values)}])"

    def _build(self, values: list):
        return self.captured.out.build(values)

    def _value(self, result) -> str:
        """The source of one leaf of the result."""
        if isinstance(result, Given):
            return result.at
        if isinstance(result, list):
            arrays = "".join(f"r{item.output}, " for item in result)
            return f"new_handle(Node(None, (), ({arrays}), False))"
        if not isinstance(result, Result):
            return self._name(result)
        name = f"r{result.output}"
        linked = self._linked_results()
        if any(result is each for each in linked):
            return f"linked_results[{[each is result for each in linked].index(True)}]"
        if result.kind == "array" or not self.captured.tensors_came:
            return name if self.captured.program.outputs[result.output].ndim else f"{name}[()]"
        return f"new_handle(Node(None, (), {name}, False))"

    def explain(self, args, kwargs) -> str:
        """Why a call does not fit that was just traced: something that the guards look at changed during the trace."""
        space = dict(self._names)
        for i, line in enumerate(self._guards):
            source = "\n    ".join(["def fits(args, kwargs):", *self._guards[: i + 1], "return True"])
            exec(source, space)
            if space["fits"](args, kwargs) is self:
                return f"{self.name} changes something outside that its program depends on: {line}"
        return f"{self.name} does not fit its own program"
