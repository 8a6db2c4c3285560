"""The adjoint of a scan: one step back, to be scanned from the last step to the first.

What is carried back are the adjoints of the carry, and the sums so far of those of what the body closes over.  Where
the body or what follows on the scan selects (`where`), the lanes outside of which these are structurally zero go along
as masks (see structural_zeros.py): at each step, 0·∞ is to be 0.
"""

from collections.abc import Callable

import numpy as np

from ..graph import Tensor, leaf, new_handle
from ..ops.arithmetic import add
from ..ops.selection import Selected, selected
from ..ops.steps import logical_or
from ..structural_zeros import union
from .bodies import cut, example_of, first_of, pulled, zeros
from .functions import Flat


class Unwinding:
    """One step back of `body`, which has a carry of `carried` values.

    Args:
        inputs: the carries that the steps began with, the xs, what is closed over.
        needs: which of these an adjoint is asked for (the carries': which can have one).
        grads: the adjoints of the last carry and of the ys.
        masks: their lanes, as masks, if they have any.
    """

    def __init__(self, body: Flat, inputs: tuple, needs: tuple, grads: list[Tensor], masks: list[Tensor] | None):
        self.body, self.inputs, self.needs, self.grads = body, inputs, needs, grads
        self.carried = len(needs[0])
        self.asked = [i for i, wanted in enumerate([*needs[0], *needs[1], *needs[2]]) if wanted]
        self.counts = [sum(needs[0]), sum(needs[2]), sum(needs[1])]  # adjoints carried, summed, and given at each step
        self.ys = [i for i, g in enumerate(grads) if i >= self.carried and g.dtype.kind in "fc"]
        self.masks = masks
        self.marked = [masks is not None] * sum(self.counts)  # which of these adjoints have masks

    def run(self, scan: Callable) -> tuple:
        """The adjoints of the inputs, by `scan(body, carry, xs, closed)`."""
        history, xs, closed = self.inputs
        rows = [*history, *xs, *[self.grads[i] for i in self.ys]]
        if self.masks is not None:
            rows += [self.masks[i] for i in self.ys]
        self._settle(rows)
        found = scan(self.step, self._first(), rows, closed)
        later, sums, marks, of_xs, marks_of_xs = cut(found, *self._sizes(), self.counts[2])
        marks = iter([*marks, *marks_of_xs])
        results = [selected(x, next(marks)) if marked else x for x, marked in zip((*later, *sums, *of_xs), self.marked)]
        parts = iter(cut(results, *self.counts[:2]))
        of_carry, of_closed, of_xs = map(iter, parts)
        ordered = ((of_carry, self.needs[0]), (of_xs, self.needs[1]), (of_closed, self.needs[2]))
        return tuple([next(given) if wanted else None for given, needs in ordered for wanted in needs])

    def _sizes(self) -> list[int]:
        carried, summed, _ = self.counts
        return [carried, summed, sum(self.marked[: carried + summed])]

    def _first(self) -> list[Tensor]:
        """What is carried into the last step."""
        live = [i for i, wanted in enumerate(self.needs[0]) if wanted]
        sums = [zeros(x) for x, wanted in zip(self.inputs[2], self.needs[2]) if wanted]
        marks = [everywhere(self.grads[i]) if self.masks is None else self.masks[i] for i in live]
        marks += [everywhere(x, False) for x in sums]
        return [*[self.grads[i] for i in live], *sums, *[mark for mark, marked in zip(marks, self.marked) if marked]]

    def _settle(self, rows: list[Tensor]) -> None:
        """Find out which adjoints have lanes at each step."""
        if self.masks is None:
            self.marked = [Selected in self._kinds(rows)] * len(self.marked)
        while any(self.marked):
            still = [before and kind is not Tensor for before, kind in zip(self.marked, self._kinds(rows))]
            if still == self.marked:
                break
            self.marked = still

    def _kinds(self, rows: list[Tensor]) -> list[type]:
        """What the adjoints by a step are: None, Tensors, or selected."""
        found: list[type] = []

        def look(tensors):
            found.extend(map(type, self._pulled(tensors)[0]))
            return []

        example_of(look, [*self._first(), *map(first_of, rows), *self.inputs[2]])
        return found

    def _pulled(self, tensors: list[Tensor]):
        """The adjoints by one step: of the carry, of what is closed over, of the x."""
        later, sums, marks, tensors = cut(tensors, *self._sizes())
        history, xs, _ = self.inputs
        inputs, g, tensors = cut(tensors, len(history) + len(xs), len(self.ys))
        masks, closed = cut(tensors, len(self.ys) if self.masks is not None else 0)
        cotangents: list[Tensor | None] = [None] * len(self.grads)
        left = iter(marks)
        live = [i for i, wanted in enumerate(self.needs[0]) if wanted]
        for i, adjoint, marked in zip(live, later, self.marked):
            cotangents[i] = selected(adjoint, next(left)) if marked else adjoint
        for k, (i, adjoint) in enumerate(zip(self.ys, g)):
            cotangents[i] = selected(adjoint, masks[k]) if masks else adjoint
        found = pulled(self.body, [*inputs, *closed], self.asked, cotangents)
        of_carry, of_xs, of_closed = cut(found, self.counts[0], self.counts[2])
        return [*of_carry, *of_closed, *of_xs], later, sums, list(left), inputs

    def step(self, tensors: list[Tensor]) -> list[Tensor]:
        """One step back."""
        adjoints, later, sums, marks, inputs = self._pulled(tensors)
        of_carry, of_closed, of_xs = cut(adjoints, *self.counts[:2])
        xs = [x for x, wanted in zip(inputs[len(self.inputs[0]) :], self.needs[1]) if wanted]
        carried = [or_zero(a, like) for a, like in zip(of_carry, later)]
        totals = [total if a is None else add(total, _plain(a)) for a, total in zip(of_closed, sums)]
        given = [or_zero(a, x) for a, x in zip(of_xs, xs)]
        masks = []
        for k, (adjoint, like) in enumerate(zip(adjoints, (*later, *sums, *xs))):
            if self.marked[k]:
                masks.append(mask_of(adjoint, like))
        first = sum(self.marked[: self.counts[0]])
        stop = first + len(marks)
        masks[first:stop] = [logical_or(old, new) for old, new in zip(marks, masks[first:stop])]
        return [*carried, *totals, *masks[:stop], *given, *masks[stop:]]


def _plain(adjoint: Tensor) -> Tensor:
    return new_handle(adjoint.node)


def or_zero(adjoint: Tensor | None, like: Tensor) -> Tensor:
    return zeros(like) if adjoint is None else _plain(adjoint)


def mask_of(adjoint: Tensor | None, like: Tensor) -> Tensor:
    """Where an adjoint may be other than zero."""
    if adjoint is None:
        return everywhere(like, False)
    return union(adjoint.lanes, like.node.data) if isinstance(adjoint, Selected) else everywhere(like)


def everywhere(like: Tensor, inside: bool = True) -> Tensor:
    """The mask of all lanes, or of none."""
    return leaf(np.full(like.shape, inside))
