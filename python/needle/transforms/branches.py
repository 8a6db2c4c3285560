"""A choice between two functions as one op, of which one runs: the other's results nobody waits for."""

from collections.abc import Callable

from ..graph import Node, Tensor, TensorTupleOp
from ..ops.choices import where
from ..ops.movement import reshape
from ..ops.selection import Selected, selected
from ..ops.tuples import make_tuple
from .bodies import Mapped, cut, example_of, loose, pulled
from .functions import Flat
from .lifting import Lifted, apart, as_terms, handles, shared, tangent_by_terms, together
from .loops import beside, spread
from .unwinding import mask_of, or_zero


class Cond(TensorTupleOp):
    """`on_true(inputs)` if `pred` holds, else `on_false(inputs)`.  The inputs are `pred` and what both close over."""

    __slots__ = ("on_true", "on_false")

    lanes = "inner"

    def __init__(self, on_true: Flat, on_false: Flat):
        self.on_true, self.on_false = on_true, on_false

    def title(self):
        return "cond"

    def record(self, trace, arrays):
        return trace.branch(self.on_true, self.on_false, arrays[0], list(arrays[1:]))

    def compute(self, *arrays):
        raise RuntimeError("a branch that was traced cannot be computed once the trace is over")

    def gradient(self, out_grad, node):
        return self.adjoints(list(out_grad), [], node)

    def inner_gradient(self, out_grad, node, mask):
        """`gradient` for adjoints that are structurally zero outside of `mask`."""
        return self.adjoints(list(out_grad), list(mask), node)

    def adjoints(self, grads: list[Tensor], masks: list[Tensor], node) -> tuple:
        pred, *inputs = loose(node.inputs)
        asked = [i for i, x in enumerate(inputs) if node.needs(i + 1) and x.dtype.kind in "fc"]
        live = [i for i, g in enumerate(grads) if g.dtype.kind in "fc"]
        masks = [masks[i] for i in live] if masks else []
        tensors = [*inputs, *[grads[i] for i in live], *masks]

        def back(body: Flat, tensors: list[Tensor]) -> list[Tensor | None]:
            mine, given, lanes = cut(tensors, len(inputs), len(live))
            given = map(selected, given, lanes) if lanes else given
            cotangents = dict(zip(live, given))
            return pulled(body, mine, asked, [cotangents.get(i) for i in range(len(grads))])

        kinds: list[list[type]] = []
        for body in (self.on_true, self.on_false):
            example_of(lambda tensors, body=body: kinds.append(list(map(type, back(body, tensors)))) or [], tensors)
        marked = [Selected in both for both in zip(*kinds)]

        def adjoints_by(body: Flat) -> Flat:
            def pull(tensors):
                found = list(zip(back(body, tensors), [tensors[i] for i in asked]))
                results = [or_zero(g, x) for g, x in found]
                return results + [mask_of(g, x) for (g, x), wanted in zip(found, marked) if wanted]

            return pull

        found = list(Cond(adjoints_by(self.on_true), adjoints_by(self.on_false))(pred, *tensors)) if asked else []
        left = iter(found[len(asked) :])
        by_input = {i: selected(g, next(left)) if m else g for i, g, m in zip(asked, found, marked)}
        return (None, *[by_input.get(i) for i in range(len(inputs))])

    def tangent(self, node, *tangents):
        return tangent_by_terms(self, node, tangents)

    def with_terms(self, primals: tuple[Node, ...], terms: list, lanes: list, box: Callable):
        """The results, the terms of their series and their lanes, from those of the inputs, by one of two branches."""
        (pred, *inputs), (_, *terms) = handles(primals, terms, lanes)
        given = [[term is not None for term in mine] for mine in terms]
        bodies = [Lifted(body, given, box) for body in (self.on_true, self.on_false)]
        tensors = apart(inputs, terms, given)
        for body in bodies:
            example_of(body, tensors)
        results = shared([body.results for body in bodies])
        for body in bodies:
            body.results = results
        return as_terms(together(list(Cond(*bodies)(pred, *tensors)), results))

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
