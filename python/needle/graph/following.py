"""Whether somebody follows a value: then to hand on its number alone would lose a derivative.

Outside of transforms a number may be taken from a Tensor at any time; what was recorded is still there.  Inside of one
it leaves the computation that is being differentiated, and nobody would notice.
"""

from contextvars import ContextVar, Token

from .op import is_carrying, is_recording
from .values import Node

_transforming: ContextVar[bool] = ContextVar("transforming", default=False)


class transforming:
    """A block in which a function runs on behalf of a transform."""

    __slots__ = ("_token",)
    _token: Token

    def __enter__(self) -> None:
        self._token = _transforming.set(True)

    def __exit__(self, *exc) -> None:
        _transforming.reset(self._token)


def is_transforming() -> bool:
    """Whether a function runs on behalf of a transform, in this thread, now."""
    return _transforming.get()


def is_followed(node: Node) -> bool:
    """Whether an enclosing transform or, while recording is on, a Tensor that requires grad hangs on this value."""
    return (node.level > 0 and is_carrying()) or (is_recording() and node.is_differentiable())


def require_unfollowed(node: Node, asked: str, instead: str) -> None:
    """Refuse to give the number of a value that a transform follows: `asked` was called, `instead` says what to do."""
    if _transforming.get() and is_followed(node) and hasattr(node.data, "data"):  # a batch has no one value to give
        raise TypeError(
            f"{asked} of a Tensor that is being differentiated would lose the derivative; {instead}, "
            "or take a constant first, needle.stop_gradient(x)"
        )
