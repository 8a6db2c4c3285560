"""Capture: one run of a function on traced arrays, after which everything is as it was before.

What the function did is a program (ir.py) and a list of effects: Tensors that hold other values or other gradients
afterwards, counters that moved on.  The run itself changes nothing.  Parameters, gradients, the optimizer's state and
the state of all random generators are put back, whether it ends well or with an error, so that the program can do it.
"""

from __future__ import annotations

import functools
import gc
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph import (
    Node,
    Tensor,
    TensorTuple,
    WeakNode,
    is_recording,
    new_handle,
    observing,
)
from ...transforms.trees import Tree, whole_modules
from ..ir import Program, Var
from . import array_functions, ufuncs  # noqa: F401  (they attach NumPy's protocols to traced arrays)
from .arguments import named, rebuilt, spelled
from .gradients import grad_slot, watching_gradients
from .recording import Traced, ValueAsked
from .roots import Roots
from .session import Change, Numbers, Session, Source, State


@dataclass
class Capture:
    """What one run of a function was found to do.

    Attributes:
        program: its outputs are first the results, then what the effects store.
        sources: where each of its inputs comes from.
        out: the tree of what the function returned, with a `Result` in place of each traced value.
        stores: what becomes of the other outputs.
        script: what happens outside of arrays, in order: numbers that are made, counters that move on.
        states: the arrays that are kept between calls.
        checks: (function, value) pairs: where the function gives another value, the call is traced again.
        recording: whether gradients were being recorded, outside.
        draws: whether random numbers are drawn.
        tensors_came: whether an argument holds a Tensor: without one, results are NumPy's.
    """

    roots: Roots
    program: Program
    sources: list[Source]
    out: Tree
    results: list[Any]
    stores: list[Store]
    script: list[Numbers | Change]
    states: list[State]
    checks: list[tuple[Callable[[], Any], Any]]
    recording: bool
    draws: bool
    tensors_came: bool


@dataclass
class Store:
    """What becomes of an output of a program: `kind` is "value", "gradient" (of the Tensor that `at` finds; None for a
    gradient that is gone)."""

    kind: str
    at: str
    output: int | None
    requires_grad: bool = False


@dataclass
class Result:
    """Stands for output `output` in what a function returned: as a Tensor, or as an array (`"array"`)."""

    output: int
    kind: str
    requires_grad: bool


@dataclass
class Given:
    """Stands for a Tensor or array that was there before the call, and that the function returned: `at` finds it."""

    at: str


class Followed(Exception):
    """A value that a function reaches belongs to another transform."""


class SideEffect(RuntimeError):
    """A function changes something that no program can change."""


ROUNDS = 8  # runs in which Tensors that no path leads to may come to light


def capture(fun: Callable, args: tuple, kwargs: dict, static: Callable[[tuple], bool]) -> Capture:
    """Run `fun` once on traced arrays in place of all that it reaches."""
    held: list[Tensor] = []
    for _ in range(ROUNDS):
        found, hidden = _captured(fun, args, kwargs, static, held)
        if not hidden:
            return found
        held += hidden  # Tensors that no path leads to, and that outlived the run: followed by themselves
    raise RuntimeError(
        "each run of the function leaves Tensors behind in places where jit cannot follow them; return them instead"
    )


def _captured(fun, args, kwargs, static, held) -> tuple[Capture, list[Tensor]]:
    roots = Roots(fun, args, kwargs, static, held)
    _require_followable(roots)
    session = Session(roots.generators)
    session.watched = roots.tensors
    inside = Inside(session, roots)
    unknown: dict[Node, Callable[[], Any]] = {}  # with their links to the Tensors on them

    def look(op, inputs, node) -> None:
        for source in inputs:
            if source.op is None and source._handle is not None and not isinstance(source.data, (Traced, tuple)):
                unknown[source] = source._handle

    with watching_gradients(roots.tensors) as watch:
        try:
            numbers = inside.enter()
            with session.running(), observing(look):
                inner_args, inner_kwargs = rebuilt(args, numbers), rebuilt(kwargs, numbers)
                tree = whole_modules(Tree(fun(*inner_args, **inner_kwargs)), roots.tensors)
                del inner_args, inner_kwargs
            _require_values(fun, tree.leaves)
            outputs: list[Var] = []
            results = [_result(session, value, roots, outputs) for value in tree.leaves]
            tree.forget(roots.tensors)
            after = {tensor: (tensor.node, grad_slot.__get__(tensor)) for tensor in roots.tensors}
            if changed := roots.snapshot.changed(_holds_nothing_traced):
                raise SideEffect(
                    f"{named(fun)} changes {changed}, and a compiled function can only change Tensors, gradients and "
                    "optimizers: keep it in a Tensor (x.data = ...), return it, or do that outside of the function"
                )
        except BaseException as error:
            roots.snapshot.restore()
            answered = isinstance(error, ValueAsked) or not isinstance(error, (TypeError, ValueError, IndexError))
            if session.question and not answered:  # NumPy makes its own of some of our errors
                error.add_note(f"Before that, {session.question}")
            raise
        finally:
            inside.leave()
    in_place = inside.written(outputs)
    stores = inside.stores(after, outputs)
    states = list(session.states.values())
    session.states.clear()  # or the session and its arrays would refer to each other
    for state in states:
        if state.traced.current is not state.first:
            in_place[_output(session, state.traced, outputs)] = state.first
    program = Program(session.inputs, session.instructions, outputs, in_place)
    _leave_out_gradients(program, session.sources)
    for tensor in watch.read:
        roots.require_gradient(tensor, inside.before[tensor][1])
    for array, at in roots.arrays.values():
        if not session.has_met(array):
            roots.require_elements(array, at)
    for state in states:
        del state.traced
    session.close()
    hidden = _alive(unknown, roots)
    capture = Capture(
        roots=roots,
        program=program,
        sources=session.sources,
        out=tree,
        results=results,
        stores=stores,
        script=session.script,
        states=states,
        checks=session.checks,
        recording=is_recording(),
        draws=session.draws,
        tensors_came=any(isinstance(value, Tensor) for value in Tree((args, kwargs)).leaves),
    )
    return capture, hidden


def _require_followable(roots: Roots) -> None:
    """Refuse Tensors that hold no arrays of their own: values of other transforms, or of another trace."""
    for tensor in roots.tensors:
        node = tensor.node
        if node.level or node.holds_tuple():
            raise Followed
        if isinstance(node.data, Traced):
            raise RuntimeError(
                f"{roots.called(tensor)} holds a value from inside a jitted function, which has none outside of it; "
                "return it from that function instead of storing it"
            )


def _alive(unknown: dict[Node, Callable[[], Any]], roots: Roots) -> list[Tensor]:
    """The Tensors on these nodes that still exist after the run, and that no path leads to."""
    if any(handle_of() is not None for handle_of in unknown.values()):
        gc.collect()  # what only a circle of references still held
    alive = [tensor for tensor in [handle_of() for handle_of in unknown.values()] if tensor is not None]
    return [tensor for tensor in alive if tensor not in roots.tensors]


def _require_values(fun: Callable, leaves: list) -> None:
    """Refuse results that compute only when something outside goes on with them."""
    for value in leaves:
        if hasattr(type(value), "__next__") or inspect.isawaitable(value):
            raise TypeError(
                f"{named(fun)} returned a {type(value).__name__}, which computes only outside of the jitted function; "
                "return a list, list(...), or an array"
            )


def _leave_out_gradients(program: Program, sources: list[Source]) -> None:
    """Do not ask for the gradients that nothing looks at: a later call may find none there."""
    uses = program.uses()
    kept = [i for i, var in enumerate(program.inputs) if sources[i].kind != "gradient" or var in uses]
    program.inputs[:] = [program.inputs[i] for i in kept]
    sources[:] = [sources[i] for i in kept]


def _holds_nothing_traced(value) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_holds_nothing_traced, value))
    if isinstance(value, dict):
        return all(map(_holds_nothing_traced, value.values()))
    return not isinstance(value, Traced) and not (isinstance(value, Tensor) and isinstance(value.node.data, Traced))


class Inside:
    """The Tensors that a function reaches, while it is traced: they hold traced arrays, and are put back afterwards."""

    def __init__(self, session: Session, roots: Roots):
        self.session, self.roots = session, roots
        self.before = {tensor: (tensor.node, grad_slot.__get__(tensor)) for tensor in roots.tensors}
        self.traced: dict[Tensor, tuple[Node, Traced, Var]] = {}  # what they hold at first
        self.gradients: dict[Tensor, Tensor] = {}

    def enter(self) -> dict[tuple, Tensor]:
        """Let traced arrays take the place of the others.  Returns the numbers among the arguments, by their paths."""
        session, roots = self.session, self.roots
        for tensor, at in roots.tensors.items():
            node = tensor.node
            traced = session.bring(node.data, _readable(roots.called(tensor), roots.parameters), Source("tensor", at))
            tensor._move(Node(None, (), traced, node.requires_grad))
            self.traced[tensor] = tensor.node, traced, traced.current
        for array, at in roots.arrays.values():
            bring = functools.partial(session.bring, array, _readable(at, roots.parameters), Source("array", at))
            session.stand_in(array, bring)
        for tensor, (_, grad) in self.before.items():
            if isinstance(grad, Tensor) and not grad.node.level and not grad.node.holds_tuple():
                traced = session.bring(grad.node.data, "grad", Source("gradient", roots.tensors[tensor]))
                self.gradients[tensor] = new_handle(Node(None, (), traced, False))
                grad_slot.__set__(tensor, self.gradients[tensor])
        return {
            path: new_handle(_number(session, value, path, at, roots.parameters)) for path, at, value in roots.numbers
        }

    def leave(self) -> None:
        for tensor, (node, grad) in self.before.items():
            tensor.node = node
            grad_slot.__set__(tensor, grad)

    def written(self, outputs: list[Var]) -> dict[int, Any]:
        """Outputs that go into the memory of a Tensor's array, since the function wrote into that
        (`x.cached_data[0] = 1`), each with the array."""
        return {
            _output(self.session, traced, outputs): first
            for _, traced, first in self.traced.values()
            if traced.current is not first
        }

    def stores(self, after: dict, outputs: list[Var]) -> list[Store]:
        """What a call changes of the Tensors: which nodes and gradients they have in the end."""
        stores = []
        for tensor, at in self.roots.tensors.items():
            node, grad = after[tensor]
            if node is not self.traced[tensor][0]:
                if node.level:
                    raise RuntimeError(
                        "a jitted function stored a value from inside another transform in a Tensor outside"
                    )
                output = _output(self.session, node.data, outputs)
                stores.append(Store("value", at, output, node.requires_grad))
            if grad is not self.gradients.get(tensor, self.before[tensor][1]):
                made = None if grad is None else _output(self.session, grad.node.data, outputs)
                stores.append(Store("gradient", at, made))
        return stores


def _number(session: Session, value, path: tuple, at: str, parameters: list[str]) -> Node:
    """The node that stands for a number or array among the arguments."""
    array = np.array(value)
    traced = session.bring(array, _readable(spelled(path), parameters), Source("number", at, array.dtype))
    return (Node if isinstance(value, np.ndarray) else WeakNode)(None, (), traced, False)


def _readable(path: str, parameters: list[str]) -> str:
    """A name for an input, from what the user calls it, and the names of the function's parameters."""
    place = re.match(r"argument (\d+)", path)
    if place and int(place[1]) < len(parameters):
        path = parameters[int(place[1])] + path[place.end() :]
    names = re.findall(r"[^\W\d]\w*", path)
    return names[-1] if names and names[-1] != "argument" else "x"


def _output(session: Session, array, outputs: list[Var]) -> int:
    outputs.append(session.var(array))
    return len(outputs) - 1


def _result(session: Session, value, roots: Roots, outputs: list[Var]):
    """What stands for a leaf of what the function returned."""
    if isinstance(value, Traced):
        return Result(_output(session, value, outputs), "array", False)
    if isinstance(value, TensorTuple):
        requires_grad = value.node.requires_grad
        return [Result(_output(session, item, outputs), "item", requires_grad) for item in value.node.data]
    if isinstance(value, np.ndarray):
        return Given(roots.arrays[id(value)][1]) if id(value) in roots.arrays else value.copy()
    if not isinstance(value, Tensor):
        return value
    if value in roots.tensors:
        return Given(roots.tensors[value])
    if value.node.level:
        raise RuntimeError("a jitted function returned a value from inside another transform")
    return Result(_output(session, value.node.data, outputs), "tensor", value.node.requires_grad)
