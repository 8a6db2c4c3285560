"""The course's names for the graph and the adjoint walk, in one module.  `LAZY_MODE` and `TENSOR_COUNTER` are live."""

import gc
import sys
import types

from .adjoint import backward
from .device import Device, NDArray, all_devices, cpu
from .graph import (
    Node,
    Op,
    Tensor,
    TensorOp,
    TensorTuple,
    TensorTupleOp,
    Value,
    handle,
    lazy_mode,
    set_lazy_mode,
    topological_order,
)

__all__ = [
    "Device", "NDArray", "Op", "Tensor", "TensorOp", "TensorTuple", "TensorTupleOp", "Value",
    "all_devices", "compute_gradient_of_variables", "cpu", "find_topo_sort", "sum_node_list", "topo_sort_dfs",
]  # fmt: skip


def compute_gradient_of_variables(output_tensor: Tensor, out_grad: Tensor | None = None) -> None:
    """Fill `.grad` of everything that `output_tensor` depends on: what `output_tensor.backward(out_grad)` does."""
    backward(output_tensor, out_grad)


def find_topo_sort(node_list: list[Tensor]) -> list[Tensor]:
    """All that the given Tensors depend on, inputs first: the post-order of a depth-first search, left to right."""
    return [handle(node) for node in topological_order([tensor.node for tensor in node_list])]


def topo_sort_dfs(node: Tensor, visited: set, topo_order: list) -> None:
    """Append to `topo_order` what `node` depends on and is not in `visited` yet, in post-order (no recursion here)."""
    for found in find_topo_sort([node]):
        if found not in visited:
            visited.add(found)
            topo_order.append(found)


def sum_node_list(node_list: list[Tensor]) -> Tensor:
    """The sum of the Tensors, without a needless zero to start from."""
    total, *rest = node_list
    for tensor in rest:
        total = total + tensor
    return total


class _Live(types.ModuleType):
    """This module, with two names that are read and set anew each time."""

    @property
    def TENSOR_COUNTER(self) -> int:
        """How many nodes are alive.  Counted when asked for, so that nothing need be counted on the hot path."""
        return sum(isinstance(obj, Node) for obj in gc.get_objects())

    @property
    def LAZY_MODE(self) -> bool:
        """Whether values are computed only when they are asked for."""
        return lazy_mode()

    @LAZY_MODE.setter
    def LAZY_MODE(self, wanted: bool) -> None:
        set_lazy_mode(wanted)


sys.modules[__name__].__class__ = _Live
