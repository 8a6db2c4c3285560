"""Bodies on values that carry the terms of a series (a tangent, for a start), so that a loop carries these as well.

In the lists of Tensors that such a body takes and gives, each value is followed by those of its terms that are not
zero, and by the mask of the lanes outside of which they are structurally zero, if there are such (see
structural_zeros.py).
"""

from collections.abc import Callable

from ..graph import Node, Tensor, carrying, frame, new_handle
from ..ops.tuples import make_tuple
from ..structural_zeros import Lanes, union
from .forward import Dual, zeros_like
from .functions import Flat
from .unwinding import everywhere

Terms = list[Tensor | None]  # the terms beyond the first (None for zero), and last the mask (None for all lanes)
Given = list[bool]  # which of these are there


class Lifted:
    """`body` on values with the terms that are `given`; `box(frame, primal, terms, lanes)` makes such a value."""

    def __init__(self, body: Flat, given: list[Given], box: Callable):
        self.body, self.given, self.box = body, given, box
        self.results: list[Given] | None = None  # which terms each result is to have; by default those it has

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        with carrying(), frame("jvp") as mine:
            inside = []
            for primal, (*terms, mask) in together(tensors, self.given):
                nodes = [None if term is None else term.node for term in terms]
                moves = any(node is not None for node in nodes)
                lanes = None if mask is None else [mask]
                inside.append(new_handle(self.box(mine, primal.node, nodes, lanes)) if moves else primal)
            nodes = [x.node for x in self.body(inside)]
            none = [None] * len(self.given[0])
            boxed = [node.level == mine.level for node in nodes]
            terms = [_terms_of(n.terms, n.lanes, n.primal) if b else none for n, b in zip(nodes, boxed)]
            primals = [new_handle(node.primal if b else node) for node, b in zip(nodes, boxed)]
        if self.results is None:
            self.results = [[term is not None for term in mine] for mine in terms]
        return apart(primals, terms, self.results)


def _terms_of(terms: list[Node | None], lanes: Lanes | None, primal: Node) -> Terms:
    return [
        *[None if term is None else new_handle(term) for term in terms],
        union(lanes, primal.data) if lanes else None,
    ]


def moves(given: Given) -> bool:
    """Whether there is a term that is not zero."""
    return any(given[:-1])


def handles(primals, terms, lanes) -> tuple[list[Tensor], list[Terms]]:
    """Values and their terms as Tensors."""
    return [new_handle(p) for p in primals], [_terms_of(t, of, p) for p, t, of in zip(primals, terms, lanes)]


def together(tensors: list[Tensor], given: list[Given]) -> list[tuple[Tensor, Terms]]:
    """Values beside their terms, of a list in which each value is followed by those that are given."""
    left = iter(tensors)
    return [(next(left), [next(left) if there else None for there in mine]) for mine in given]


def apart(primals: list[Tensor], terms: list[Terms], given: list[Given]) -> list[Tensor]:
    """The list in which each value is followed by those of its terms that are given; zeros for others."""
    out = []
    for primal, mine, there in zip(primals, terms, given, strict=True):
        out.append(primal)
        filled = _filled(primal, mine)
        out += [term for term, wanted in zip(filled, there, strict=True) if wanted]
    return out


def _filled(primal: Tensor, terms: Terms) -> list[Tensor]:
    *terms, mask = terms
    zero = zeros_like(primal)
    inside = any(term is not None for term in terms)
    return [*[zero if t is None else t for t in terms], everywhere(primal, inside) if mask is None else mask]


def shared(of_both: list[list[Given]]) -> list[Given]:
    """Which terms the results of branches are to have, each of which has some."""
    return [[any(there) for there in zip(*each)] for each in zip(*of_both)]


def settled(given: list[Given], results: list[Given]) -> bool:
    """Whether what is carried has the terms that a step gives it.  If not, `given` is brought nearer to that: with more
    terms, with fewer masks."""
    as_before = True
    for mine, after in zip(given, results):
        if moves(after) and not moves(mine):
            mine[:-1] = [True] * (len(mine) - 1)
            as_before = False
        if mine[-1] and moves(after) and not after[-1]:
            mine[-1] = False
            as_before = False
    return as_before


def carried_with(given: list[Given], count: int) -> None:
    """Let the first `count` of `given`, which are carried, have all terms or none."""
    for mine in given[:count]:
        mine[:-1] = [moves(mine)] * (len(mine) - 1)


def mark(given: list[Given], count: int) -> None:
    """Let the first `count` have masks."""
    for mine in given[:count]:
        mine[-1] = True


def as_terms(pairs: list[tuple[Tensor, Terms]]) -> tuple[Node, list[Node | None], Lanes | None]:
    """The results of an op with several, their terms and their lanes, as nodes that hold tuples."""
    filled = list(zip(*[_filled(primal, terms) for primal, terms in pairs]))
    absent = [all(term is None for term in mine) for mine in zip(*[terms for _, terms in pairs])]
    *found, masks = [None if gone else make_tuple(*mine) for mine, gone in zip(filled, absent)]
    out = make_tuple(*[primal for primal, _ in pairs]).node
    return out, [None if term is None else term.node for term in found], None if masks is None else [masks]


def tangent_by_terms(op, node, tangents) -> Tensor | None:
    """The tangent of an op that gives terms of series."""
    terms = [[None if t is None else t.node] for t in tangents]
    inputs = tuple([x.node for x in node.inputs])
    _, (found,), _ = op.with_terms(inputs, terms, [None] * len(inputs), Dual.of_terms)
    return None if found is None else new_handle(found)
