"""The order of the graph: inputs before what uses them."""

from collections.abc import Container, Iterable

from .values import Node


def topological_order(outputs: Iterable[Node], into=None, stop: Container[Node] = ()) -> list[Node]:
    """Every node that `outputs` depend on, inputs before what uses them.

    This is the post-order of a depth-first search over `inputs` from left to right, each node once, without recursion
    (depth is data).  `into(node)` says whether to enter an input; all are entered by default.
    Nodes in `stop` are taken for leaves.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = list(outputs)[::-1]
    while stack:
        node = stack.pop()
        if node is None:  # all inputs of the node below are done
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            inputs = node.inputs
            if not inputs or (stop and node in stop):
                order.append(node)
                continue
            stack.append(node)
            stack.append(None)
            for child in inputs[::-1]:
                if child not in seen and (into is None or into(child)):
                    stack.append(child)
    return order
