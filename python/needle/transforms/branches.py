"""A choice between two functions as one op, of which one runs: the other's results nobody waits for."""

from collections.abc import Callable

from ..graph import Node, Tensor, TensorTupleOp
from ..ops.choices import where
from ..ops.movement import reshape
from ..ops.tuples import make_tuple
from .bodies import Lifted, Mapped, apart, as_terms, example_of, pulled, together
from .functions import Flat
from .loops import beside, handles, loose, spread, tangent_by_terms, zeros


class Cond(TensorTupleOp):
    """`on_true(inputs)` if `pred` holds, else `on_false(inputs)`.  The inputs are `pred` and what both close over."""

    __slots__ = ("on_true", "on_false")

    def __init__(self, on_true: Flat, on_false: Flat):
        self.on_true, self.on_false = on_true, on_false

    def title(self):
        return "cond"

    def record(self, trace, arrays):
        return trace.branch(self.on_true, self.on_false, arrays[0], list(arrays[1:]))

    def compute(self, *arrays):
        raise RuntimeError("a branch that was traced cannot be computed once the trace is over")

    def gradient(self, out_grad, node):
        pred, *inputs = loose(node.inputs)
        asked = [i for i, x in enumerate(inputs) if node.needs(i + 1) and x.dtype.kind in "fc"]
        cotangents = list(out_grad)
        live = [i for i, g in enumerate(cotangents) if g.dtype.kind in "fc"]

        def back(body: Flat) -> Flat:
            def pull(tensors):
                mine, given = tensors[: len(inputs)], dict(zip(live, tensors[len(inputs) :]))
                found = pulled(body, mine, asked, [given.get(i) for i in range(len(cotangents))])
                return [zeros(mine[i]) if g is None else g for i, g in zip(asked, found)]

            return pull

        op = Cond(back(self.on_true), back(self.on_false))
        found = dict(zip(asked, op(pred, *inputs, *[cotangents[i] for i in live])))
        return (None, *[found.get(i) for i in range(len(inputs))])

    def tangent(self, node, *tangents):
        return tangent_by_terms(self, node, tangents)

    def with_terms(self, primals: tuple[Node, ...], terms: list[list[Node | None]], box: Callable):
        """The results and the terms of their series, from those of the inputs, by one of two branches."""
        order = len(terms[0])
        (pred, *inputs), (_, *terms) = handles(primals, terms)
        given = [[term is not None for term in mine] for mine in terms]
        bodies = [Lifted(body, given, box) for body in (self.on_true, self.on_false)]
        tensors = apart(inputs, terms, given)
        for body in bodies:
            example_of(body, tensors)
        either = [[a or b for a, b in zip(*pair)] for pair in zip(*[body.results for body in bodies])]
        for body in bodies:
            body.results = either
        return as_terms(together(list(Cond(*bodies)(pred, *tensors)), either), order)

    def batch(self, size, inputs, batched):
        (pred, *inputs), (differs, *batched) = inputs, batched
        bodies = [Mapped(body, size, batched) for body in (self.on_true, self.on_false)]
        for body in bodies:
            example_of(body, inputs)
        either = [a or b for a, b in zip(*[body.results for body in bodies])]
        for body in bodies:
            body.results = either
        if not differs:
            return make_tuple(*_spread(Cond(*bodies)(pred, *inputs), either, size))
        pred = reshape(pred, (size,))
        pairs = zip(*[_spread(body(inputs), either, size) for body in bodies])
        return make_tuple(*[where(beside(pred, a), a, b) for a, b in pairs])


def _spread(results, batched: list[bool], size: int) -> list[Tensor]:
    return [x if b else spread(x, size) for x, b in zip(results, batched)]
