"""Structural zeros: partial adjoints that say outside of which elements they are zero.

The adjoint that `where` sends to what it did not select is zero whatever else happens, and stays so through all that
is upstream: 0·∞ makes no nan there.  (An adjoint that merely happens to be zero is another thing: its derivative need
not be.)  A rule of an op that selects says so by returning `selected(partial, lanes)`.
"""

from collections.abc import Callable

from ..graph import Tensor

__all__ = []


class Selected(Tensor):
    """A partial adjoint that is structurally zero outside of its lanes.

    `lanes` is a list, whose union is meant: bool Tensors that broadcast to the partial adjoint's shape, or functions
    that make one (most are never asked for).
    """

    __slots__ = ("lanes",)

    def __repr__(self) -> str:
        return f"needle.Tensor({self.node.data})"


def selected(partial: Tensor, *lanes: Tensor | Callable[[], Tensor]) -> Tensor:
    """`partial`, which is zero outside of the union of `lanes` whatever the values are."""
    new = object.__new__(Selected)
    new.node, new.grad, new.lanes = partial.node, None, list(lanes)
    return new
