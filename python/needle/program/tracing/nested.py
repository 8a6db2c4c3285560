"""The recorders of bodies: of loops and branches, within a trace.

What a body uses of the values around it becomes an input of its program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...graph import Node, Op, Tensor, carrying, explain, new_handle, no_grad, traced_by
from ...transforms.nan import user_line
from ..control import Branch, Control, Loop, While
from ..functions import Call, Check, Effect
from ..ir import Constant, Input, Program, Var
from .recording import Recorder, ShapeAsked, Traced, ValueAsked, plain
from .snapshot import Held

Body = Callable[[list[Tensor]], list[Tensor]]


class Opaque:
    """An op as one instruction: its `compute`, of which nothing is known."""

    def __init__(self, op: Op):
        self.op = op
        self.kinds: list | None = None  # of the results, when it was traced

    def __call__(self, *arrays):
        try:
            result = self.op.compute(*arrays)
        except Exception as error:
            if self.kinds is None:  # in the trace, where whoever calls the op says which it was
                raise
            raise explain(self.op, tuple([Node(None, (), array, False) for array in arrays]), error) from error
        several = isinstance(result, (tuple, list))
        kinds = [(np.shape(each), np.asarray(each).dtype) for each in (result if several else (result,))]
        if self.kinds is None:
            self.kinds = kinds
        elif self.kinds != kinds:
            came, expected = [[f"{dtype}{list(shape)}" for shape, dtype in each] for each in (kinds, self.kinds)]
            raise ValueAsked(
                f"{self.op.title()} gives {', '.join(came)} here and gave {', '.join(expected)} when it was traced: a "
                "shape that follows from values cannot be known under jit; call it outside of the jitted function"
            )
        return result

    @property
    def __name__(self) -> str:
        return self.op.title()


class Nest(Recorder):
    """A recorder that ops compute with, and that holds others for the bodies of loops and branches.

    Attributes:
        watched: the Tensors outside that an effect may reach, with the expressions that find them.
    """

    def __init__(self) -> None:
        super().__init__(user_line)
        self.watched: Mapping[Tensor, str] = {}

    def compute(self, op, arrays):
        if op.record is not None:
            return op.record(self, arrays)
        if not any(isinstance(array, Traced) or type(array) is tuple for array in arrays):
            with traced_by(None):
                return op.compute(*arrays)
        mark, moves = len(self.instructions), self.moves
        try:
            if op.opaque:
                raise ValueAsked
            return op.compute(*arrays)
        except Exception as error:
            if isinstance(error, ShapeAsked) and op.shape_follows_values:
                raise
            # It asks for values, or leaves NumPy: one opaque instruction
            self.root.question = ""
            self.root.require_only_draws()
            if self.moves == moves:
                del self.instructions[mark:]
            with traced_by(None):
                made = self.call(Opaque(op), tuple(arrays), kind=Check if op.checks else Call)
            self.root.note_draws()  # it draws by itself, and will do so at each call
            return made

    def effect(self, function, arrays):
        self.emit(Effect(function), [self.var(array) for array in arrays], [])

    def stands_in(self, array: np.ndarray) -> bool:
        """Whether something else is meant where this array is met."""
        return id(array) in self._stand_ins or id(array.base) in self._stand_ins

    @contextmanager
    def aside(self) -> Iterator[Inner]:
        """A block whose instructions are forgotten."""
        inner = Inner(self, "the body")
        with inner.running():
            yield inner

    def scan(self, body: Body, carry: list, xs: list, closed: list, length: int, reverse: bool) -> tuple:
        """The last carry and the stacked ys of a scan of at least one step."""
        row = length - 1 if reverse else 0
        inner = Inner(self, "the body of a loop")
        examples = [*map(plain, carry), *[plain(x)[row, ...] for x in xs], *map(plain, closed)]
        results = inner.run(body, examples)
        program = inner.program(results)
        carried = len(carry)
        values = list(map(plain, results[:carried]))  # after one step: no more is asked of them than their kind
        values += [np.array(np.broadcast_to(y, (length, *y.shape))) for y in map(plain, results[carried:])]
        function = Loop(program, carried, len(xs), length, reverse)
        return self._control(function, [*carry, *xs, *closed, *inner.captured], values)

    def branch(self, on_true: Body, on_false: Body, pred, arrays: list) -> tuple:
        """What one of two functions gives."""
        inners = [Inner(self, "a branch of cond") for _ in range(2)]
        results = [inner.run(body, list(map(plain, arrays))) for inner, body in zip(inners, (on_true, on_false))]
        captured = list(dict.fromkeys(var for inner in inners for var in inner.captured))
        programs = [inner.program(each, captured) for inner, each in zip(inners, results)]
        values = list(map(plain, results[0]))
        return self._control(Branch(*programs), [pred, *arrays, *captured], values)

    def while_loop(self, condition: Body, body: Body, carry: list, of_condition: list, of_body: list) -> tuple:
        """The last carry of a loop whose number of steps is not known."""
        arrays, start, count = [*carry, *of_condition, *of_body], len(carry), len(of_condition)
        inners = [Inner(self, "the condition of a loop"), Inner(self, "the body of a loop")]
        bodies = (
            lambda tensors: condition(tensors[: start + count]),
            lambda tensors: body([*tensors[:start], *tensors[start + count :]]),
        )
        results = [inner.run(each, list(map(plain, arrays))) for inner, each in zip(inners, bodies)]
        captured = list(dict.fromkeys(var for inner in inners for var in inner.captured))
        goes_on, step = [inner.program(each, captured) for inner, each in zip(inners, results)]
        return self._control(While(goes_on, step, start), [*arrays, *captured], list(map(plain, results[1])))

    def _control(self, function: Control, inputs: list, values: list) -> tuple:
        found = [x if isinstance(x, Var) else self.var(x) for x in inputs]
        made = self.emit(function, found, values)
        return tuple([Traced(self, var, value) for var, value in zip(made, values)])


class Inner(Nest):
    """The recorder of a body.

    Attributes:
        captured: arrays of the outer recorder that are used, and the inputs that stand for them.
    """

    def __init__(self, outer: Nest, name: str):
        super().__init__()
        self.outer, self.name, self.depth = outer, name, outer.depth + 1
        self.watched = outer.watched
        self.captured: dict[Var, Input] = {}

    @property
    def root(self) -> Any:
        return self.outer.root

    def var(self, array) -> Var:
        if isinstance(array, Traced) and array.recorder is not self:
            return self._captured(self.outer.var(array))
        return super().var(array)

    def constant(self, value) -> Var:
        array = np.asarray(value)
        if self.outer.stands_in(array):
            return self._captured(self.outer.constant(array))
        return super().constant(array)

    def stands_in(self, array: np.ndarray) -> bool:
        return super().stands_in(array) or self.outer.stands_in(array)

    def _captured(self, var: Var) -> Var:
        if isinstance(var, Constant):
            return var
        if var not in self.captured:
            self.captured[var] = Input(var.shape, var.dtype, getattr(var, "name", "x"))
        return self.captured[var]

    def compute(self, op, arrays):
        return super().compute(op, [self._imported(array) for array in arrays])

    def _imported(self, array):
        """The array as one of this recorder's own, so that what is done with it is done in the body."""
        if type(array) is tuple:
            return tuple([self._imported(item) for item in array])
        if isinstance(array, Traced) and array.recorder is not self:
            return Traced(self, self.var(array), array.value)
        return array

    def run(self, body: Body, examples: list[np.ndarray]) -> list:
        """The arrays that `body` gives, called on inputs of the program with these values."""
        inputs = [self.input(value, "x") for value in examples]
        with self.running(), no_grad(), carrying():
            results = body([new_handle(Node(None, (), x, False)) for x in inputs])
        if any(result.node.level for result in results):
            raise RuntimeError(
                f"{self.name} uses a value that an enclosing transform follows in a way that it cannot see; "
                "pass it as an argument instead"
            )
        return [self._imported(result.node.data) for result in results]

    def program(self, results: list, captured: list[Var] | None = None) -> Program:
        """The program of the body that gave `results`; its inputs are those of `run`, then what it captured."""
        outputs = [self.var(array) for array in results]
        others = [self.captured.get(var) for var in (self.captured if captured is None else captured)]
        stand_ins = [
            Input(var.shape, var.dtype, "x") if other is None else other
            for var, other in zip(captured or self.captured, others)
        ]
        self.active = False
        return Program([*self.inputs, *stand_ins], self.instructions, outputs)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The block in which the body runs.  What it does to Tensors outside is undone, and refused."""
        held = Held(self.watched)
        with traced_by(self):
            yield
        changed = held.changed()
        held.restore()
        if changed is not None:
            raise RuntimeError(
                f"{self.name} assigns the value or the .grad of a Tensor from outside, {self.watched[changed]}, "
                "which jit cannot do there; make it part of the carry (functional_call runs a module on parameters "
                "that are given), or write a Python loop, which is unrolled"
            )

    # What lies outside of arrays

    def numbers(self, make):
        return self.outer.numbers(make)

    def check(self, function):
        self.outer.check(function)

    def state(self, holder, name, zeros):
        raise self._refused()

    def change(self, holder, effect):
        raise self._refused()

    def _refused(self) -> Exception:
        return RuntimeError(
            f"{self.name} steps an optimizer, which jit cannot do there; write a Python loop, which is unrolled, or "
            "call the jitted step in a loop outside"
        )
