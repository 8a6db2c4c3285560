"""Hunting for nan: where the first nan or inf is born, and by whose fault."""

import functools
import itertools
import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np

from .. import adjoint
from ..graph import Node, Op, Trace, observing, tracing
from ..structural_zeros import is_quiet

NEEDLE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # where code of our own lies
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_PASSED_THROUGH = (contextmanager.__code__.co_filename, functools.__file__)

_OVERFLOW = (
    "numbers outgrew {dtype}: scale the inputs, lower the learning rate, clip the gradients, or compute in a wider "
    "dtype"
)
_DIVISION = "division by 0: add a small number to the divisor, or divide by where(b == 0, 1, b) and choose with where"
_POWER = "a negative power of 0 is inf, a fractional power of a negative number nan: clip before it"

# What usually mends it, by the op that made the value, and by the op whose gradient rule did.
_FORWARD = {
    "Log": "the logarithm of 0 is -inf, that of a negative number nan: clip or add a small number before it, or use "
    "log1p, logsumexp, logsoftmax, which take their logarithms themselves",
    "Log1p": "log1p of -1 is -inf, below it is nan: clip before it",
    "Sqrt": "the square root of a negative number is nan (rounding makes -1e-17 of 0): clip at 0 before it",
    "EWiseDiv": _DIVISION,
    "ScalarDiv": _DIVISION,
    "DivScalar": "division by 0",
    "PowerScalar": _POWER,
    "EWisePow": _POWER,
    "Exp": "exp overflows (in float32 beyond 88, in float64 beyond 709): subtract the largest element first, or use "
    "softmax, logsumexp, sigmoid, softplus, which are stable",
    "Expm1": "expm1 overflows (in float32 beyond 88, in float64 beyond 709): clip before it",
    "ScalarPower": "the power overflows: clip the exponent",
}
_BACKWARD = {
    "Sqrt": "the slope of the square root is infinite at 0: add a small number under it, sqrt(x + 1e-12)",
    "PowerScalar": "the slope of a power below 1 is infinite at 0: add a small number to the base",
    "EWisePow": "the slope of a power below 1 is infinite at 0: add a small number to the base",
    "Log": "the slope of the logarithm is infinite at 0: add a small number before it",
    "EWiseDiv": "1 / b² overflows where b is tiny: add a small number to the divisor",
    "ScalarDiv": "1 / b² overflows where b is tiny: add a small number to the divisor",
}


@contextmanager
def detect_nan(inf: bool = True) -> Iterator[None]:
    """Context manager: raise where the first nan or inf is born, going forward or backward.

    It holds for this thread, in `grad`, `jvp`, `vmap` and `backward` as well, and costs a look at every result.  What
    `where` will not select counts going forward (nobody knows yet), but not going backward, where it is known.

    Args:
        inf: whether infinities count; False where they are meant (a mask of -inf under a softmax).

    Raises:
        FloatingPointError: names the op, the line that called it, and what usually mends it.  For the backward pass it
            is the op whose gradient rule made the value, and the line that called that op (if that was in the block).
            What was in the inputs already is said to be.

    >>> import needle as ndl
    >>> with ndl.detect_nan():
    ...     ndl.log(ndl.Tensor([1.0, 0.0]))
    Traceback (most recent call last):
    ...
    FloatingPointError: Log made the first -inf: 1 of 2 elements, at [1], from 0.0 ...
    """
    hunt = _Hunt(inf)
    with observing(hunt.observe):
        yield


class _Hunt:
    """What one `detect_nan` block has seen."""

    def __init__(self, inf: bool):
        self.inf = inf
        # The line that called each recorded op, by the node's id, with the op to tell a node that took over an id.
        self.lines: dict[int, tuple[Op, str]] = {}
        self.forgiven: dict[int, Node] = {}  # made where structural zeros will cover some of it

    def observe(self, op: Op, inputs: tuple, node: Node) -> None:
        if node.level:  # a box of a transform: the calls on what it carries are seen by themselves
            return
        if node.requires_grad:
            self.lines[id(node)] = op, user_line()
        trace = tracing()
        if trace is not None and not all(isinstance(array, np.ndarray) for array in _arrays(node)):
            self._look_later(trace, op, inputs, node)
            return
        if all(self._fine(array) for array in _arrays(node)):
            return
        if is_quiet():
            self.forgiven[id(node)] = node
            return
        forgives = any(self.forgiven.get(id(x)) is x for x in inputs)
        self._look(op.title(), type(op).__name__, self._here(), forgives, _arrays(node), [_arrays(x) for x in inputs])

    def _look_later(self, trace: Trace, op: Op, inputs: tuple, node: Node) -> None:
        """Under jit: let the program look, at each call, and say what is known of the place now."""
        if is_quiet():
            self.forgiven[id(node)] = node
            return
        forgives = any(self.forgiven.get(id(x)) is x for x in inputs)
        title, name, here = op.title(), type(op).__name__, self._here()
        counts = [len(_arrays(x)) for x in (node, *inputs)]
        starts = [sum(counts[:i]) for i in range(len(counts) + 1)]

        def look(*arrays) -> None:
            outputs, *given = [arrays[i:j] for i, j in itertools.pairwise(starts)]
            if not all(self._fine(array) for array in outputs):
                self._look(title, name, here, forgives, outputs, given)

        trace.effect(look, [array for x in (node, *inputs) for array in _arrays(x)])

    def _here(self) -> tuple[Op | None, str, str]:
        """The op whose gradient rule runs, if one does, the line that called it, and the line where we are."""
        forward = _rule_running()
        return (None, "", user_line()) if forward is None else (forward.op, self._line_of(forward), user_line())

    def _look(self, title: str, name: str, here: tuple, forgives: bool, outputs, inputs) -> None:
        """Raise for `outputs`, which are not all fine."""
        bad = [i for i, arrays in enumerate(inputs) if not all(self._fine(array) for array in arrays)]
        if bad and not forgives:
            raise FloatingPointError(self._brought(title, here, inputs, bad[0]))
        raise FloatingPointError(self._born(title, name, here, outputs, inputs))

    def _fine(self, array) -> bool:
        if array.dtype.kind not in "fc":
            return True
        return bool(np.isfinite(array).all() if self.inf else not np.isnan(array).any())

    def _born(self, title: str, name: str, here: tuple, outputs, inputs) -> str:
        array = next(array for array in outputs if not self._fine(array))
        forward, called, line = here
        what = f"the first {self._described(array, inputs if forward is None else ())}"
        if forward is None:
            hint = _FORWARD.get(name, _OVERFLOW).format(dtype=array.dtype)
            return f"{title} made {what}\n  in {line}\nUsually: {hint}"
        hint = _BACKWARD.get(type(forward).__name__, _OVERFLOW).format(dtype=array.dtype)
        return (
            f"going backward, the gradient rule of {forward.title()} made {what}\n"
            f"  {forward.title()} was called in {called}\n"
            f"  the backward pass was begun in {line}\nUsually: {hint}"
        )

    def _brought(self, title: str, here: tuple, inputs, i: int) -> str:
        array = next(array for array in inputs[i] if not self._fine(array))
        forward, called, line = here
        where = f"{title} was called in {line}"
        if forward is not None:
            where = f"it came up going backward, in the gradient rule of {forward.title()}, called in {called}"
        return (
            f"input {i} of {title} holds {self._described(array, ())} already: it was not computed inside "
            f"detect_nan(), or put there as a constant\n  {where}\nUsually: look at the data and the parameters that "
            "go in, or enter detect_nan() earlier; detect_nan(inf=False) lets infinities pass that are meant"
        )

    def _described(self, array, inputs: tuple) -> str:
        """What is not fine about the array: the value, how many elements, where the first is, what went in there."""
        wrong = ~np.isfinite(array) if self.inf else np.isnan(array)
        index = tuple(map(int, np.argwhere(wrong)[0]))
        text = f"{array[index]}: {int(wrong.sum())} of {array.size} elements"
        if index:
            text += f", at {list(index)}"
        operands = [arrays[0] for arrays in inputs if len(arrays) == 1]
        if operands and all(x.shape in ((), array.shape) for x in operands):
            text += f", from {', '.join(str(x[index] if x.shape else x[()]) for x in operands)}"
        return text

    def _line_of(self, node: Node) -> str:
        op, line = self.lines.get(id(node), (None, ""))
        return line if op is node.op else "a line that is not known: it was before detect_nan() was entered"


def _arrays(node: Node):
    return node.data if node.holds_tuple() else (node.data,)


def _frames() -> Iterator[FrameType]:
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def user_line() -> str:
    """The first line outside of needle and NumPy on the way up: file, line number and text."""
    for frame in _frames():
        file = frame.f_code.co_filename
        if not file.startswith((NEEDLE, _NUMPY)) and file not in _PASSED_THROUGH:
            text = linecache.getline(file, frame.f_lineno).strip()
            return f"{file}:{frame.f_lineno}" + (f": {text}" if text else "")
    return "needle itself"


def _rule_running() -> Node | None:
    """The node of the forward pass whose gradient rule is running now, as the reverse walk up the stack knows it."""
    for frame in _frames():
        if frame.f_code is adjoint.adjoints.__code__:
            return frame.f_locals.get("node")
        if not frame.f_code.co_filename.startswith(NEEDLE):
            return None  # a function of the user's, called by a transform within the rule
    return None
