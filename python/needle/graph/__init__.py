"""The graph that a computation leaves behind: nodes, the handles on them, the ops between them, and their order."""

from .box import Box, Frame, frame, innermost
from .following import is_followed, is_transforming, require_unfollowed, transforming
from .moving import Moves, move, put_back, standing, standing_at
from .op import (
    Op,
    TensorOp,
    TensorTupleOp,
    announce,
    as_tuple,
    call,
    carrying,
    dispatching,
    enable_grad,
    explain,
    is_carrying,
    is_recording,
    is_special,
    is_watched,
    lazy_mode,
    no_grad,
    observing,
    set_lazy_mode,
    special,
    substitute,
    substituting,
    substitution,
)
from .order import topological_order
from .tracing import Trace, Unrecorded, ValueUnknown, traced_by, tracing
from .values import (
    Node,
    Tensor,
    TensorTuple,
    Value,
    WeakNode,
    constant,
    handle,
    leaf,
    linked_handle,
    new_handle,
    plain_array,
)

__all__ = [
    "Box", "Frame", "Moves", "Node", "Op", "Tensor", "TensorOp", "TensorTuple", "TensorTupleOp", "Trace", "Unrecorded",
    "Value", "ValueUnknown", "WeakNode", "announce", "as_tuple", "call", "carrying", "constant", "dispatching",
    "enable_grad", "explain", "frame", "handle", "innermost", "is_carrying", "is_followed", "is_recording",
    "is_special", "is_transforming", "is_watched", "lazy_mode", "leaf", "linked_handle", "move", "new_handle",
    "no_grad", "observing", "plain_array", "put_back", "require_unfollowed", "set_lazy_mode", "special", "standing",
    "standing_at", "substitute", "substituting", "substitution", "topological_order", "traced_by", "tracing",
    "transforming",
]  # fmt: skip
