"""Guards: the conditions under which a program serves a call, each a line of Python source.

The lines stand in a function of `args` and `kwargs`, which returns MISS at the first one that does not hold.  Objects
are named by an expression that finds them: by their own name, if they are the same at each call, or by the way that
leads to them from the arguments (`bind`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Node, Tensor

MISSING = object()  # stands for an attribute or entry that is not there
SMALL = 65536  # bytes: up to here, what a closed-over array holds is compared where no op has met it


class Guards:
    """The guards of one signature.

    Attributes:
        lines: the source.
        reasons: what a guard looks at, as the user would write it, by the number of its line.
        names: the objects that the source refers to.
        held: which of the lines are about what is held, and not about arguments.
        quick: expressions for what holds that, none of which gives another object (or, with True, other ids) unless
            something there changed.
        mixed: whether the lines about what is held need to know the arguments.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.reasons: dict[int, str] = {}
        self.names: dict[str, Any] = {"MISSING": MISSING, "Tensor": Tensor, "Node": Node, "ndarray": np.ndarray}
        self.held = range(0)
        self.quick: list[tuple[str, bool]] = []
        self.mixed = False
        self._are_about_held = False
        self._expressions: dict[int, str] = {}  # of objects, by id
        self._bound: set[int] = set()  # objects that are found anew at each call, by way of the arguments

    def begin_held(self) -> None:
        """From here on, the lines are about what is held."""
        self._are_about_held = True
        self.held = range(len(self.lines), len(self.lines))

    def end_held(self) -> None:
        """They were, up to here."""
        self.held = range(self.held.start, len(self.lines))

    def require(self, condition: str, path: str) -> None:
        """A guard; `path` is what it looks at."""
        self.reasons[len(self.lines)] = path
        self.lines.append(f"if not ({condition}): return MISS")

    # Expressions

    def name(self, value) -> str:
        """The expression for an object."""
        name = self._expressions.get(id(value))
        self.mixed = self.mixed or (id(value) in self._bound and self._are_about_held)
        if name is None:
            name = self._expressions[id(value)] = f"o{len(self.names)}"
            self.names[name] = value
        return name

    def local(self, at: str) -> str:
        """A variable with what an expression gives."""
        if at.isidentifier():
            return at
        local = f"a{len(self.lines)}"
        self.lines.append(f"{local} = {at}")
        return local

    def key(self, key) -> str:
        """The expression for a key of a dict."""
        return repr(key) if type(key) in (str, int) else self.name(key)

    def bind(self, value, at: str, path: str) -> None:
        """Find an object by its way from the arguments at each call, instead of by its identity."""
        local = self.local(at)
        self.kind(value, local, path, sized=isinstance(value, (list, dict, tuple)))
        self._expressions[id(value)] = local
        self._bound.add(id(value))

    def is_bound(self, value) -> bool:
        """Whether an object is found that way."""
        return id(value) in self._bound

    # Kinds of guards

    def same(self, value, at: str, path: str) -> None:
        """What `at` finds is this object."""
        self.require(f"{at} is {self.name(value)}", path)

    def kind(self, value, at: str, path: str, sized: bool = False) -> None:
        """What `at` finds is of the type of `value`; with `sized`, of its length, too."""
        length = f" and len({at}) == {len(value)}" if sized else ""
        self.require(f"type({at}) is {self.name(type(value))}{length}", path)

    def array(self, array: np.ndarray, at: str, path: str) -> None:
        """What `at` finds is an array of the type, dtype and shape of this one."""
        self.require(
            f"type({at}) is {self.name(type(array))} and {at}.dtype is {self.name(array.dtype)} "
            f"and {at}.shape == {array.shape!r}",
            path,
        )

    def equal(self, value, at: str, path: str) -> None:
        """What `at` finds is a number, a string or the like that equals `value`, and of its type."""
        if value is None or value is True or value is False or value is ...:
            self.require(f"{at} is {value!r}", path)
            return
        local = self.local(at)
        if type(value) is int and abs(value) < 2**30:
            self.require(f"{local} == {value} and type({local}) is int", path)
            return
        name = self.name(value)
        same = f"{local} == {name}" if value == value else f"{local} != {local}"  # nan is not equal to itself
        self.require(f"{local} is {name} or (type({local}) is {self.name(type(value))} and {same})", path)
        if type(value) is float and value == 0:  # -0.0 is not 0.0
            self.require(f"str({local}) == {str(value)!r}", path)

    def gradient(self, at: str, grad: Tensor | None) -> None:
        """Whether the Tensor there has a `.grad`, and of what kind."""
        if grad is None:
            self.require(f"{at}.grad is None", "whether a .grad is there")
        else:
            self.require(
                f"isinstance({at}.grad, Tensor) and {at}.grad.shape == {grad.shape!r} "
                f"and {at}.grad.dtype is {self.name(grad.dtype)}",
                "whether a .grad is there",
            )

    def elements(self, array: np.ndarray, at: str, path: str) -> None:
        """What an array holds, which the trace may have read unseen; of a large one, that it is this one."""
        if array.nbytes <= SMALL and array.dtype.kind in "biufcSUmM":
            self.require(f"{at}.tobytes() == {self.name(array.tobytes())}", f"the numbers in {path}")
        else:
            self.same(array, at, path)

    def watch(self, at: str, several: bool = False) -> None:
        """Note that a quick look at `at` tells whether what is held there is another object (see `quick`)."""
        if self._are_about_held:
            self.quick.append((at, several))


def first_failing(lines: list[str], names: dict[str, Any], args: tuple, kwargs: dict) -> int | None:
    """The number of the first guard that does not hold for these arguments; None if all do."""
    space = dict(names)
    body = [line.replace("return MISS", f"return {i}") for i, line in enumerate(lines)]
    exec("\n    ".join(["def look(args, kwargs):", *body, "return None"]), space)
    return space["look"](args, kwargs)
