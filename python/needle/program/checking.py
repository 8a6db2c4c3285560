"""`jit(fun, check=True)`: eager beside the program, once for each signature.

Eager runs three times from the same state: twice as it is, to see whether it depends on something that no guard sees,
and once with inputs that differ by a rounding, to know by how much results may differ.  Then the program runs, from the
same state again, and all that comes out is compared: results, new values and gradients of Tensors, optimizers' state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..debugging import silent
from ..graph import Node, Tensor, TensorTuple, WeakNode, new_handle, special
from ..transforms.trees import Tree, whole_modules
from .entry import MISS
from .tracing import Capture, Change
from .tracing.arguments import named, rebuilt
from .tracing.roots import Roots
from .tracing.snapshot import Draws

ROUNDINGS = 1000  # how many of them results may differ by, relative to the largest element
SHAKEN = 100  # and how many times what a rounding of the inputs changes

Found = dict[str, Any]  # what came out, by what the user calls it


def checked(fun: Callable, args: tuple, kwargs: dict, static: Callable, captured: Capture, call: Callable) -> Any:
    """What `call()` gives, which runs the program of `fun`, if that is what eager gives and does.

    Raises:
        RuntimeError: something differs, between eager and the program or between two eager calls.
    """
    world = World(fun, args, kwargs, static, captured)
    try:
        first = world.eager()
        again = world.eager()
        shaken = world.eager(shake=True)
    finally:
        world.back()
    if differs := _difference(again, first, {}):
        raise RuntimeError(
            f"{named(fun)} gives something else when it is called again from the same state: {differs}. It depends on "
            "something that jit cannot see and will keep as it was when it was traced: an iterator, a private random "
            "generator, a file, the time, an object of a C library. Pass that as an argument"
        )
    result = call()
    if result is MISS:
        return result
    if differs := _difference(world.found(result), first, shaken):
        world.back()
        raise RuntimeError(
            f"{named(fun)}, compiled, does not do what it does as it is: {differs}. All has been put back. Code that "
            "asks whether it is being traced, or what no guard sees (docs/jit.md), leads to this; if there is no such "
            "thing, it is a mistake of needle's: please report it"
        )
    return result


def _difference(ours: Found, expected: Found, shaken: Found) -> str | None:
    """Where the first of them is not the second, to rounding; said for a person."""
    if ours.keys() != expected.keys():
        other = sorted(ours.keys() ^ expected.keys())[0]
        return f"{other} is there only in one of the two"
    for name, theirs in expected.items():
        mine = ours[name]
        if not isinstance(theirs, np.ndarray) or not isinstance(mine, np.ndarray):
            if type(mine) is not type(theirs) or not (mine is theirs or _equal(mine, theirs)):
                return f"{name} is {mine!r:.80} instead of {theirs!r:.80}"
            continue
        if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            return f"{name} is {mine.dtype}{list(mine.shape)} instead of {theirs.dtype}{list(theirs.shape)}"
        allowed = _allowed(theirs, shaken.get(name))
        with np.errstate(all="ignore"):
            wrong = ~((np.abs(mine - theirs) <= allowed) | (mine == theirs) | ((mine != mine) & (theirs != theirs)))
            wrong &= np.isfinite(allowed)
        if wrong.any():
            at = np.unravel_index(np.argmax(np.where(wrong, np.abs(_plain(mine) - _plain(theirs)), -1)), wrong.shape)
            place = f" at {[int(i) for i in at]}" if at else ""
            return (
                f"{name} differs in {int(wrong.sum())} of {wrong.size} elements, most{place}: {mine[at]} instead of "
                f"{theirs[at]}, where {np.broadcast_to(allowed, wrong.shape)[at]:.2g} would be rounding"
            )
    return None


def _allowed(expected: np.ndarray, shaken) -> Any:
    """By how much each element may differ: not at all in whole numbers, some roundings in others."""
    if expected.dtype.kind not in "fc" or not expected.size:
        return np.zeros(())
    with np.errstate(all="ignore"):
        allowed = np.asarray(ROUNDINGS * np.finfo(expected.dtype).eps * np.max(np.abs(expected), initial=0))
        if isinstance(shaken, np.ndarray) and shaken.shape == expected.shape:
            allowed = allowed + SHAKEN * np.max(np.abs(shaken - expected))
    return allowed


def _plain(array: np.ndarray) -> np.ndarray:
    return array.astype(float) if array.dtype.kind in "bu" else array


def _equal(a, b) -> bool:
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


class World:
    """All that a function may change, as it is now, to run the function and to go back."""

    def __init__(self, fun: Callable, args: tuple, kwargs: dict, static: Callable, captured: Capture):
        self.fun, self.args, self.kwargs = fun, args, kwargs
        self.roots = Roots(fun, args, kwargs, static, thorough=True)
        self._draws = Draws(self.roots.generators)
        self._tensors = {tensor: (tensor.node, tensor.grad, tensor.node.data.copy()) for tensor in self.roots.tensors}
        dicts = [state.holder for state in captured.states]
        dicts += [step.holder for step in captured.script if isinstance(step, Change)]
        self._named = {id(holder): (holder, f"state {i} of an optimizer") for i, holder in enumerate(_once(dicts))}
        for owner in self.roots.owners:
            dicts += _dicts_in(owner)
        self._dicts = [(holder, dict(holder), _copies(holder)) for holder in _once(dicts)]

    def back(self) -> None:
        """Let everything be as it was."""
        self.roots.snapshot.restore()
        self._draws.restore()
        for tensor, (node, grad, data) in self._tensors.items():
            tensor.node, tensor.grad = node, grad
            if not np.array_equal(node.data, data, equal_nan=data.dtype.kind in "fc"):
                np.copyto(node.data, data)
        for holder, before, arrays in self._dicts:
            holder.clear()
            holder.update(before)
            for key, array in arrays.items():
                np.copyto(holder[key], array)

    def eager(self, shake: bool = False) -> Found:
        """What eager gives and does, from the state that was.  With `shake`, from inputs other by a rounding."""
        self.back()
        rng = np.random.default_rng(0)
        numbers = {}
        for path, _, value in self.roots.numbers:
            array = np.array(value)
            kind = Node if isinstance(value, np.ndarray) else WeakNode
            numbers[path] = new_handle(kind(None, (), _shaken(array, rng) if shake else array, False))
        if shake:
            for tensor, (node, _, _) in self._tensors.items():
                tensor._move(Node(None, (), _shaken(node.data, rng), node.requires_grad))
        with special(), silent():
            result = self.fun(*rebuilt(self.args, numbers), **rebuilt(self.kwargs, numbers))
        found = self.found(result)
        if not shake and (changed := self.roots.snapshot.changed(lambda value: True)):
            self.back()
            raise RuntimeError(
                f"{named(self.fun)} changes {changed}, which a compiled function would not do: return it, keep it in a "
                "Tensor, or do that outside of the function"
            )
        return found

    def found(self, result) -> Found:
        """Copies of what came out, and of what is in the Tensors and optimizers now."""
        found: Found = {}
        leaves = whole_modules(Tree(result), self._tensors).leaves
        for i, leaf in enumerate(leaves):
            found["the result" if len(leaves) == 1 else f"result {i}"] = _copied(leaf)
        for tensor in self._tensors:
            name = self.roots.called(tensor)
            name += f" ({len(found)})" if f"the value of {name}" in found else ""
            found[f"the value of {name}"] = tensor.node.data.copy()
            found[f"the gradient of {name}"] = None if tensor.grad is None else tensor.grad.node.data.copy()
        for holder, name in self._named.values():
            found |= {f"{key!r} in {name}": _copied(value) for key, value in holder.items()}
        return found


def _once(dicts: list[dict]) -> list[dict]:
    return list({id(holder): holder for holder in dicts}.values())


def _dicts_in(owner) -> Iterator[dict]:
    """The attributes of an object, and the dicts directly in lists there."""
    yield vars(owner)
    for value in vars(owner).values():
        if isinstance(value, (list, tuple)):
            yield from [item for item in value if isinstance(item, dict)]


def _copies(holder: dict) -> dict[Any, np.ndarray]:
    return {key: value.copy() for key, value in holder.items() if isinstance(value, np.ndarray)}


def _copied(value):
    """The numbers of a leaf, apart from it: arrays are compared as such, whatever they came in."""
    if isinstance(value, TensorTuple):
        return np.concatenate([np.ravel(item) for item in value.node.data])
    if isinstance(value, Tensor):
        return value.node.data.copy()
    return np.array(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _shaken(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind not in "fc":
        return array
    eps = np.finfo(array.dtype).eps
    return np.asarray(array * (1 + eps * rng.choice([-1, 1], array.shape))).astype(array.dtype)
