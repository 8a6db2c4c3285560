"""How things are before a function runs, to see what it changed and undo that: objects, variables, Tensors, draws."""

from __future__ import annotations

import random
import types
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ... import init
from ...graph import Tensor

_NOTHING = object()


class Snapshot:
    """What lists, dicts, objects and variables held before a function ran, to see what it changed, and to undo that."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []  # what holds, what the user calls it, a copy of what was in it

    def take(self, holder, path: str) -> None:
        """Keep what a list, deque, set, dict or variable's cell holds now.  A path that ends with a dot is that of an
        object's attributes."""
        if isinstance(holder, types.CellType):
            self._before.append((holder, path, holder.cell_contents))
        else:
            kind = next(kind for kind in (list, dict, set, deque) if isinstance(holder, kind))
            self._before.append((holder, path, kind(holder)))

    def take_entry(self, space: dict, name: str) -> None:
        """Keep what one name stands for."""
        self._before.append((_Entry(space, name), name, space[name]))

    def changed(self, may_stay: Callable[[Any], bool]) -> str | None:
        """Something that was changed, but for what was put where there was nothing, and `may_stay`."""
        for holder, path, before in self._before:
            if isinstance(holder, set):
                if holder != before:
                    return path
            elif isinstance(holder, (list, deque)):
                if len(holder) != len(before) or any(a is not b for a, b in zip(holder, before)):
                    return path
            elif isinstance(holder, dict):
                for key in [*before, *[key for key in holder if key not in before]]:
                    if _is_other(before.get(key), holder.get(key, _NOTHING), may_stay):
                        return f"{path}{key}" if path.endswith(".") else f"{path}[{key!r}]"
            elif _is_other(before, holder.cell_contents, may_stay):
                return path
        return None

    def restore(self) -> None:
        """Put everything back."""
        for holder, _, before in self._before:
            if isinstance(holder, list):
                holder[:] = before
            elif isinstance(holder, set):
                holder.intersection_update(before)
                holder.update(before)
            elif isinstance(holder, deque):
                holder.clear()
                holder.extend(before)
            elif not isinstance(holder, dict):
                holder.cell_contents = before
            elif len(holder) != len(before) or any(holder.get(key, _NOTHING) is not before[key] for key in before):
                holder.clear()
                holder.update(before)


class _Entry:
    """A name in a namespace, as a cell."""

    def __init__(self, space: dict, name: str):
        self.space, self.name = space, name

    @property
    def cell_contents(self):
        return self.space.get(self.name, _NOTHING)

    @cell_contents.setter
    def cell_contents(self, value) -> None:
        self.space[self.name] = value


def _is_other(before, now, may_stay) -> bool:
    return now is not before and not (before is None and now is not _NOTHING and may_stay(now))


class Held:
    """What Tensors held before: their nodes and their gradients."""

    def __init__(self, tensors: Iterable[Tensor]):
        self._before = [(tensor, tensor.node, tensor.grad) for tensor in tensors]

    def changed(self) -> Tensor | None:
        """One that holds something else now."""
        found = (tensor for tensor, node, grad in self._before if tensor.node is not node or tensor.grad is not grad)
        return next(found, None)

    def restore(self) -> None:
        """Put everything back."""
        for tensor, node, grad in self._before:
            tensor.node, tensor.grad = node, grad


class Draws:
    """The states of all random generators: NumPy's global one, needle's, Python's, and `private` ones of NumPy's and
    Python's that the function reaches."""

    def __init__(self, private: list):
        self._private = private
        self._known = init.random_state()
        self._others = self._states()
        self._seen = _fingerprint()

    def are_known(self) -> bool:
        """Whether nothing was drawn from the first two kinds since `know` was called."""
        now = _fingerprint()
        return all(now.get(link, state) == state for link, state in self._seen.items())

    def know(self) -> None:
        """What has been drawn by now is known."""
        now = _fingerprint()
        self._seen = {link: now.get(link, state) for link, state in self._seen.items()}

    def are_all_known(self) -> bool:
        """Whether nothing was drawn from any generator, but for what is known."""
        return self.are_known() and not self.are_others_used()

    def are_others_used(self) -> bool:
        """Whether something was drawn from Python's generator or a private one."""
        return str(self._others) != str(self._states())

    def restore(self) -> None:
        """Put all generators back."""
        init.set_random_state(self._known)
        for generator, state in zip([random, *self._private], self._others):
            if isinstance(generator, np.random.RandomState):
                generator.set_state(state)
            elif isinstance(generator, np.random.Generator):
                generator.bit_generator.state = state
            else:
                generator.setstate(state)

    def _states(self) -> list:
        return [random.getstate(), *map(_state, self._private)]


def _state(generator) -> Any:
    if isinstance(generator, np.random.RandomState):
        name, keys, *rest = generator.get_state()
        return (name, keys.tolist(), *rest)
    return generator.bit_generator.state if isinstance(generator, np.random.Generator) else generator.getstate()


def _fingerprint() -> dict[Any, tuple]:
    """Of each generator, something that differs once random numbers have been drawn from it."""
    found = {}
    for link, value in init.random_state():
        _, keys, position, has_gauss, gauss = value if link is None else value.values()
        found[link] = (keys[:3].tolist(), position, has_gauss, gauss)
    return found
