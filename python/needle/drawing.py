"""Pictures of graphs: Graphviz DOT as text, and SVG drawn here, which needs no Graphviz."""

import html

import numpy as np

from .adjoint import adjoints, differentiable, recording, require_tensor, seed_of
from .explanation import names_of
from .graph import Node, Tensor, topological_order

# fill, line: inputs, constants, forward ops, adjoint ops, output
_COLORS = {
    "input": ("#fff3cd", "#b08900"),
    "constant": ("#f1f3f5", "#868e96"),
    "forward": ("#d6e9ff", "#1c6dd0"),
    "adjoint": ("#ffd9d2", "#c4391d"),
}
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 128, 40, 26, 46, 16


class Drawing:
    """A graph as a picture: `dot` is Graphviz text, `svg` an SVG file; a notebook shows it.  `save` writes either."""

    def __init__(self, nodes: list[Node], labels: dict[Node, tuple[str, str]], kinds: dict[Node, str]):
        self._nodes, self._labels, self._kinds = nodes, labels, kinds

    @property
    def dot(self) -> str:
        """The graph in Graphviz' DOT language."""
        number = {node: i for i, node in enumerate(self._nodes)}
        lines = ["digraph needle {", '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];']
        for node in self._nodes:
            fill, line = _COLORS[self._kinds[node]]
            text = "\\n".join(part.replace('"', '\\"') for part in self._labels[node])
            lines.append(f'  n{number[node]} [label="{text}", fillcolor="{fill}", color="{line}"];')
        for node in self._nodes:
            for source in node.inputs:
                lines.append(f'  n{number[source]} -> n{number[node]} [color="{_COLORS[self._kinds[node]][1]}"];')
        return "\n".join([*lines, "}", ""])

    @property
    def svg(self) -> str:
        """The graph as an SVG file."""
        places, width, height = _layout(self._nodes)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        for node in self._nodes:
            x, y = places[node]
            color = _COLORS[self._kinds[node]][1]
            for source in node.inputs:
                from_x, from_y = places[source]
                start, end = from_y + _HEIGHT / 2, y - _HEIGHT / 2 - 5
                bend = max(18.0, (end - start) / 2)
                parts.append(
                    f'<path d="M{from_x:.1f},{start:.1f} C{from_x:.1f},{start + bend:.1f} {x:.1f},{end - bend:.1f} '
                    f'{x:.1f},{end:.1f}" fill="none" stroke="{color}" stroke-opacity="0.7"/>'
                    f'<path d="M{x - 3.5:.1f},{end:.1f} h7 l-3.5,5 Z" fill="{color}"/>'
                )
        for node in self._nodes:
            x, y = places[node]
            fill, line = _COLORS[self._kinds[node]]
            name, shape = (html.escape(part) for part in self._labels[node])
            parts.append(
                f'<rect x="{x - _WIDTH / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
                f'fill="{fill}" stroke="{line}"/>'
                f'<text x="{x:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="12">{name}</text>'
                f'<text x="{x:.1f}" y="{y + 12:.1f}" text-anchor="middle" font-size="10" fill="#555">{shape}</text>'
            )
        return "\n".join([*parts, "</svg>", ""])

    def save(self, path) -> None:
        """Write the picture to a file whose name ends in .svg or .dot."""
        path = str(path)
        if not path.endswith((".svg", ".dot")):
            raise ValueError(f"a drawing is saved as .svg or .dot, got {path!r}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg if path.endswith(".svg") else self.dot)

    def _repr_svg_(self) -> str:
        return self.svg


def draw(out: Tensor, backward: bool = False) -> Drawing:
    """The graph behind `out` as a picture, inputs above what uses them.

    Args:
        out: what to draw.
        backward: draw the adjoint graph too, in another colour: the gradients of `out`, for which it must require grad.

    >>> x = Tensor([2.0])
    >>> print(draw(x * 3).dot)
    digraph needle {
      node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];
      n0 [label="x1\\nfloat64 (1,)", fillcolor="#fff3cd", color="#b08900"];
      n1 [label="× 3\\nfloat64 (1,)", fillcolor="#d6e9ff", color="#1c6dd0"];
      n0 -> n1 [color="#1c6dd0"];
    }
    <BLANKLINE>
    """
    require_tensor(out, "draw")
    root = out.node
    forward = topological_order([root])
    kinds = {node: _kind(node) for node in forward}
    letters = names_of(forward, root)
    names = {node: letters[node] if kinds[node] == "input" else _name(node) for node in forward}
    nodes = forward
    if backward:
        found = _gradients(root, seed_of(out, None, "draw"))
        nodes = topological_order([root, *[gradient for _, gradient in found]])
        for node in nodes:
            kinds.setdefault(node, "adjoint" if node.op is not None else "constant")
            names.setdefault(node, _name(node))
        for source, gradient in found:
            if source.op is None:
                names[gradient] = f"∂y/∂{letters[source]}: {names[gradient]}"
    return Drawing(nodes, {node: (names[node], _shape(node)) for node in nodes}, kinds)


def _gradients(root: Node, seed: Tensor) -> list[tuple[Node, Node]]:
    """The leaves of the graph and the nodes of their gradients, recorded."""
    order = topological_order([root], into=differentiable)
    found: list[tuple[Node, Node]] = []

    def receiver(node: Node):
        def receive(adjoint):
            found.append((node, adjoint.node))
            return adjoint

        return receive

    leaves = {node: receiver(node) for node in order if node.op is None}
    with recording():
        adjoints(order, {root: seed}, leaves, record=True)
    return found


def _kind(node: Node) -> str:
    if node.op is not None:
        return "forward"
    return "input" if node.requires_grad else "constant"


_SIGNS = {"AddScalar": "+", "MulScalar": "×", "DivScalar": "/", "PowerScalar": "^"}


def _name(node: Node) -> str:
    if node.op is None:
        data = node.data
        if not node.requires_grad and not node.holds_tuple() and np.size(data) == 1:
            return f"{data.item():.4g}"
        return _kind(node)
    name = type(node.op).__name__
    return f"{_SIGNS[name]} {node.op.number:.4g}" if name in _SIGNS else name


def _shape(node: Node) -> str:
    if node.holds_tuple():
        return f"{len(node.data)} Tensors"
    return f"{node.data.dtype} {node.data.shape}"


def _layout(nodes: list[Node]) -> tuple[dict[Node, tuple[float, float]], int, int]:
    """Where each node stands: in layers by the longest way from an input, ordered so that neighbours lie close."""
    depth: dict[Node, int] = {}
    for node in nodes:
        depth[node] = 1 + max((depth[source] for source in node.inputs), default=-1)
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            users[source].append(node)
    for node in reversed(nodes):  # inputs stand right above their first use
        if not node.inputs and users[node]:
            depth[node] = min(depth[user] for user in users[node]) - 1
    layers: list[list[Node]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    place = {node: float(i) for layer in layers for i, node in enumerate(layer)}
    for sweep in range(8):  # the barycentre heuristic of Sugiyama et al. 1981
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            near = {
                node: [place[other] for other in (node.inputs if sweep % 2 == 0 else users[node])] for node in layer
            }
            layer.sort(key=lambda node: float(np.mean(near[node])) if near[node] else place[node])
            for i, node in enumerate(layer):
                place[node] = i - len(layer) / 2
    widest = max(map(len, layers))
    width = 2 * _MARGIN + widest * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + len(layers) * (_HEIGHT + _GAP_Y) - _GAP_Y
    places = {}
    for row, layer in enumerate(layers):
        for i, node in enumerate(layer):
            x = width / 2 + (i - (len(layer) - 1) / 2) * (_WIDTH + _GAP_X)
            places[node] = (x, _MARGIN + _HEIGHT / 2 + row * (_HEIGHT + _GAP_Y))
    return places, width, height
