"""Loops as ops: a scan or a while loop is one node of the graph, whatever the number of its steps.

Each transform of a loop is a loop again, around the transformed body: the adjoints of a scan are a scan that runs
backwards over the carries that were kept, tangents travel in the carry, a batch is carried as a batch.
"""

import functools
from collections.abc import Callable

from ..graph import Node, Tensor, TensorTupleOp, is_recording
from ..ops.choices import where
from ..ops.movement import broadcast_to, moveaxis, reshape
from ..ops.reductions import max as largest
from ..ops.tuples import make_tuple
from .bodies import Mapped, cut, example_of, first_of, loose
from .functions import Flat
from .lifting import Lifted, apart, as_terms, carried_with, handles, mark, settled, tangent_by_terms, together
from .unwinding import Unwinding


class Scan(TensorTupleOp):
    """`carry, y = body(carry, x, closed)` for each x of xs.

    The inputs are the first carry, the xs (whose axis 0 is gone along) and what the body closes over; the results are
    the last carry and the ys, stacked.
    """

    __slots__ = ("body", "carried", "scanned", "length", "reverse", "keeps")

    lanes = "inner"

    def __init__(self, body: Flat, carried: int, scanned: int, length: int, reverse: bool, keeps: bool = False):
        self.body, self.carried, self.scanned, self.length, self.reverse = body, carried, scanned, length, reverse
        self.keeps = keeps  # whether the last ys are the carries that each step began with

    def title(self):
        return "scan"

    def parts(self, values) -> tuple[list, list, list]:
        """What belongs to the carry, to the xs, and to what is closed over."""
        values, first, second = list(values), self.carried, self.carried + self.scanned
        return values[:first], values[first:second], values[second:]

    def record(self, trace, arrays):
        return trace.scan(self.body, *self.parts(arrays), self.length, self.reverse)

    def compute(self, *arrays):
        raise RuntimeError("a scan that was traced cannot be computed once the trace is over")

    def gradient(self, out_grad, node):
        return self.adjoints(out_grad, None, node)

    def inner_gradient(self, out_grad, node, mask):
        """`gradient` for adjoints that are structurally zero outside of `mask`."""
        return self.adjoints(out_grad, list(mask), node)

    def adjoints(self, out_grad, masks: list[Tensor] | None, node) -> tuple:
        carry, xs, closed = self.parts(loose(node.inputs))
        inputs = self.history(node, carry, xs, closed), xs, closed
        _, *needs = self.parts([node.needs(i) and x.dtype.kind in "fc" for i, x in enumerate(node.inputs)])
        carries = [x.dtype.kind in "fc" for x in carry]
        unwinding = Unwinding(self.body, inputs, (carries, *needs), list(out_grad), masks)
        return unwinding.run(functools.partial(scanned, length=self.length, reverse=not self.reverse))

    def history(self, node, carry, xs, closed) -> list[Tensor]:
        """The carry that each step began with."""
        if not carry:
            return []
        if not self.keeps:
            op = Scan(keeping(self.body, self.carried), self.carried, self.scanned, self.length, self.reverse)
            node = op(*carry, *xs, *closed)
        return list(node)[-self.carried :]

    def tangent(self, node, *tangents):
        return tangent_by_terms(self, node, tangents)

    def with_terms(self, primals: tuple[Node, ...], terms: list, lanes: list, box: Callable):
        """The results, the terms of their series and their lanes, from those of the inputs, in one scan."""
        inputs, terms = handles(primals, terms, lanes)
        given = [[term is not None for term in mine] for mine in terms]
        carried_with(given, self.carried)
        selects = any(lanes)
        if selects:
            mark(given, self.carried)
        while True:
            ends = [sum(1 + sum(there) for there in part) for part in self.parts(given)]
            carry, xs, closed = cut(apart(inputs, terms, given), *ends[:2])
            body = Lifted(self.body, given, box)
            example_of(body, [*carry, *map(first_of, xs), *closed])
            if not selects and any(after[-1] for after in body.results):
                selects = True
                mark(given, self.carried)
            elif settled(given[: self.carried], body.results):
                break
        body.results[: self.carried] = given[: self.carried]
        found = scanned(body, carry, xs, closed, self.length, self.reverse)
        return as_terms(together(found, body.results))

    def batch(self, size, inputs, batched):
        carry, xs, closed = self.parts(inputs)
        batched = list(batched)
        xs = [moveaxis(x, 0, 1) if b else x for x, b in zip(xs, self.parts(batched)[1])]
        while True:
            body = Mapped(self.body, size, batched)
            example_of(body, [*carry, *[first_of(x) for x in xs], *closed])
            more = [now and not was for now, was in zip(body.results, batched)][: self.carried]
            if not any(more):
                break
            carry = [spread(x, size) if m else x for x, m in zip(carry, more)]
            batched[: self.carried] = [b or m for b, m in zip(batched, more)]
        body.results[: self.carried] = batched[: self.carried]
        found = scanned(body, carry, xs, closed, self.length, self.reverse)
        last = [x if b else spread(x, size) for x, b in zip(found, batched[: self.carried])]
        rows = zip(found[self.carried :], body.results[self.carried :])
        return make_tuple(*last, *[moveaxis(y, 0, 1) if b else spread(y, size) for y, b in rows])


def scanned(body: Flat, carry: list, xs: list, closed: list, length: int, reverse: bool) -> list[Tensor]:
    """The last carry and the ys of a scan."""
    keeps = bool(carry) and is_recording() and any(x.node.requires_grad for x in (*carry, *xs, *closed))
    op = Scan(keeping(body, len(carry)) if keeps else body, len(carry), len(xs), length, reverse, keeps)
    found = list(op(*carry, *xs, *closed))
    return found[: len(found) - len(carry)] if keeps else found


def keeping(body: Flat, carried: int) -> Flat:
    """A body that gives the carry that it began with as well."""
    return lambda tensors: [*body(tensors), *tensors[:carried]]


class While(TensorTupleOp):
    """`carry = body(carry, closed)` as long as `condition(carry, closed)` holds.

    The inputs are the first carry, what the condition closes over (`count` of them), and what the body does.
    """

    __slots__ = ("condition", "body", "carried", "count", "instead")

    def __init__(self, condition: Flat, body: Flat, carried: int, count: int, instead: str):
        self.condition, self.body, self.carried, self.count = condition, body, carried, count
        self.instead = instead  # what to do where a reverse mode is asked for

    def title(self):
        return "while_loop"

    def parts(self, values) -> tuple[list, list, list]:
        """What belongs to the carry, to the condition and to the body."""
        values, first, second = list(values), self.carried, self.carried + self.count
        return values[:first], values[first:second], values[second:]

    def record(self, trace, arrays):
        return trace.while_loop(self.condition, self.body, *self.parts(arrays))

    def compute(self, *arrays):
        raise RuntimeError("a loop that was traced cannot be computed once the trace is over")

    def gradient(self, out_grad, node):
        raise TypeError(self.instead)

    def tangent(self, node, *tangents):
        return tangent_by_terms(self, node, tangents)

    def with_terms(self, primals: tuple[Node, ...], terms: list, lanes: list, box: Callable):
        """The results, the terms of their series and their lanes, from those of the inputs, in one loop."""
        inputs, terms = handles(primals, terms, lanes)
        carry, of_condition, of_body = self.parts(inputs)
        mine, _, others = self.parts(terms)
        given = [[term is not None for term in each] for each in (*mine, *others)]
        carried_with(given, self.carried)
        selects = any(lanes)
        if selects:
            mark(given, self.carried)
        while True:
            tensors = apart([*carry, *of_body], [*mine, *others], given)
            body = Lifted(self.body, given, box)
            example_of(body, tensors)
            if not selects and any(after[-1] for after in body.results):
                selects = True
                mark(given, self.carried)
            elif settled(given[: self.carried], body.results):
                break
        body.results = given[: self.carried]
        first, rest = cut(tensors, sum(1 + sum(there) for there in body.results))

        def condition(tensors):
            values, closed = cut(tensors, len(first))
            return self.condition([*[primal for primal, _ in together(values, body.results)], *closed])

        op = While(condition, body, len(first), self.count, self.instead)
        return as_terms(together(list(op(*first, *of_condition, *rest)), body.results))

    def batch(self, size, inputs, batched):
        carry, of_condition, of_body = self.parts(inputs)
        mine, theirs, others = self.parts(batched)
        while True:
            condition = Mapped(self.condition, size, [*mine, *theirs])
            body = Mapped(self.body, size, [*mine, *others])
            example_of(condition, [*carry, *of_condition])
            (each_stops,) = condition.results
            example_of(body, [*carry, *of_body])
            more = [(now or each_stops) and not was for now, was in zip(body.results, mine)]
            if not any(more):
                break
            carry = [spread(x, size) if m else x for x, m in zip(carry, more)]
            mine = [b or m for b, m in zip(mine, more)]
        body.results = mine
        if not each_stops:
            op = While(condition, body, self.carried, self.count, self.instead)
            found = op(*carry, *of_condition, *of_body)
        else:  # it goes on as long as one of them does; those that have stopped stay as they are

            def one_goes_on(tensors):
                return [largest(*condition(tensors))]

            def those_go_on(tensors):
                now, of_condition, of_body = self.parts(tensors)
                (goes_on,) = condition([*now, *of_condition])
                goes_on = reshape(goes_on, (size,))
                return [where(beside(goes_on, x), new, x) for x, new in zip(now, body([*now, *of_body]))]

            op = While(one_goes_on, those_go_on, self.carried, self.count, self.instead)
            found = op(*carry, *of_condition, *of_condition, *of_body)
        return make_tuple(*[x if b else spread(x, size) for x, b in zip(found, mine)])


# --------------------------------------------------------------------------------------------------------------------


def spread(x: Tensor, size: int) -> Tensor:
    """The same for each of a batch."""
    return broadcast_to(x, (size, *x.shape))


def beside(mask: Tensor, x: Tensor) -> Tensor:
    """A mask of a batch, to stand beside a batch with more axes."""
    return reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
