"""The evaluation trace of a small graph as a table, as a lecture on automatic differentiation writes it."""

import html

import numpy as np

from .adjoint import Primal, adjoints, differentiable, seed_of
from .graph import Node, Tensor, topological_order
from .transforms.forward import tangent_of

_WORDS = {
    "EWiseAdd": "{} + {}", "EWiseMul": "{} × {}", "EWiseDiv": "{} / {}", "EWisePow": "{} ^ {}", "Negate": "−{}",
    "MatMul": "{} @ {}", "Log": "ln {}", "Exp": "exp {}", "Sin": "sin {}", "Cos": "cos {}", "Sqrt": "√{}",
    "Square": "{}²", "Summation": "Σ {}",
}  # fmt: skip
_SCALAR_WORDS = {
    "AddScalar": "{} + {s}", "MulScalar": "{} × {s}", "DivScalar": "{} / {s}", "PowerScalar": "{} ^ {s}",
    "ScalarDiv": "{s} / {}", "ScalarPower": "{s} ^ {}",
}  # fmt: skip


class Explanation:
    """A table with one row a node, inputs first; `str()` is text, `to_markdown()` Markdown, a notebook shows HTML.

    `rows` is a list of dicts: "node", "operation", "value", "tangent", "adjoint" and "partials", a list of pairs: the
    name of the node that a partial adjoint comes from, and its value.
    """

    columns = ("node", "operation", "value", "tangent", "adjoint", "partial adjoints")

    def __init__(self, rows: list[dict], direction: str):
        self.rows = rows
        self.direction = direction

    def _cells(self) -> list[list[str]]:
        cells = []
        for row in self.rows:
            partials = " + ".join(f"{_number(value)} (from {name})" for name, value in row["partials"])
            numbers = [_number(row[key]) for key in ("value", "tangent", "adjoint")]
            cells.append([row["node"], row["operation"], *numbers, partials])
        return cells

    def _heads(self) -> list[str]:
        return [f"tangent ({self.direction})" if column == "tangent" else column for column in self.columns]

    def __str__(self) -> str:
        table = [self._heads(), *self._cells()]
        widths = [max(len(line) for row in table for line in row[i].split("\n")) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join(lines)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """The table in Markdown."""
        rows = [self._heads(), ["---"] * len(self.columns), *self._cells()]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self._heads())
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self._cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def explain(out: Tensor, wrt: Tensor | None = None) -> Explanation:
    """The evaluation trace of the graph behind `out`: values and tangents going forward, adjoints going back.

    Args:
        out: a Tensor that requires grad; its graph should be small enough to read.
        wrt: the input in whose direction the tangents go (1 there, 0 at all others); by default the first one.

    >>> x1, x2 = Tensor(2.0), Tensor(5.0)
    >>> print(explain(x1 * x2))
    node  operation  value  tangent (x1)  adjoint  partial adjoints
    ────  ─────────  ─────  ────────────  ───────  ────────────────
    x1    input      2      1             5        5 (from y)
    x2    input      5      0             2        2 (from y)
    y     x1 × x2    10     5             1
    """
    seed, root = seed_of(out, None, "explain"), out.node
    order = topological_order([root])
    names = names_of(order, root)
    inputs = [node for node in order if node.op is None and node.requires_grad]
    chosen = inputs[0] if wrt is None else wrt.node
    if chosen not in inputs:
        raise ValueError("wrt of explain must be one of the Tensors that the output was computed from")
    tangents = _tangents(order, chosen)
    found, partials = _adjoints(order, root, seed, names)
    rows = [
        {
            "node": names[node],
            "operation": _operation(node, names),
            "value": _array(node),
            "tangent": tangents.get(node) if node.requires_grad else None,
            "adjoint": found.get(node),
            "partials": partials.get(node, []),
        }
        for node in order
    ]
    return Explanation(rows, names[chosen])


def names_of(order: list[Node], root: Node) -> dict[Node, str]:
    """x1, x2, … for inputs, c1, … for constants, v1, … for what lies between, y for the output."""
    names, counts = {}, {"x": 0, "c": 0, "v": 0}
    for node in order:
        kind = "v" if node.op is not None else "x" if node.requires_grad else "c"
        counts[kind] += 1
        names[node] = "y" if node is root and node.op is not None else f"{kind}{counts[kind]}"
    return names


def _operation(node: Node, names: dict[Node, str]) -> str:
    if node.op is None:
        return "input" if node.requires_grad else "constant"
    inputs = [names[source] for source in node.inputs]
    name = type(node.op).__name__
    if name in _SCALAR_WORDS:
        return _SCALAR_WORDS[name].format(*inputs, s=f"{node.op.number:.6g}")
    return _WORDS[name].format(*inputs) if name in _WORDS else f"{name}({', '.join(inputs)})"


def _array(node: Node):
    return tuple(np.array(item) for item in node.data) if node.holds_tuple() else np.array(node.data)


def _tangents(order: list[Node], chosen: Node) -> dict[Node, np.ndarray]:
    """The tangent of every node in the direction of `chosen`, going forward over the recorded graph."""
    tangents: dict[Node, Node | None] = {chosen: Node(None, (), np.ones_like(chosen.data), False)}
    for node in order:
        if node.op is not None:
            sources = [source.constant() for source in node.inputs]
            coming = [tangents.get(source) for source in node.inputs]
            tangents[node] = tangent_of(node.op, tuple(sources), node.constant(), coming)
    found = {node: tangent for node, tangent in tangents.items() if tangent is not None}
    return {node: _array(found[node]) if node in found else np.zeros_like(node.data) for node in order}


def _adjoints(order: list[Node], root: Node, seed: Tensor, names: dict[Node, str]):
    """The adjoint of every node, and the partial adjoints that make it up, each with the node that it comes from."""
    found: dict[Node, np.ndarray] = {}
    partials: dict[Node, list] = {}

    def receiver(node: Node):
        def receive(adjoint):
            found[node] = _array(adjoint.node)
            if node.op is not None:
                rule = node.op.gradient_as_tuple(adjoint, _primal(node))
                for source, partial in zip(node.inputs, rule, strict=True):
                    if source.requires_grad and isinstance(partial, Tensor):
                        partials.setdefault(source, []).append((names[node], _array(partial.node)))
            return adjoint

        return receive

    walked = topological_order([root], into=differentiable)
    adjoints(walked, {root: seed.detach()}, {node: receiver(node) for node in walked}, record=False)
    return found, partials


def _primal(node: Node) -> Primal:
    primal = object.__new__(Primal)
    primal._source, primal._needed, primal._recorded, primal._node = node, None, False, None
    return primal


def _number(value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_number, value)) + ")"
    if value.size == 1:
        return f"{value.item():.6g}"
    return " ".join(np.array2string(value, precision=4, threshold=8, edgeitems=2).split())
