"""Gradients kept within bounds.  A clipped gradient is a new constant; the old `.grad` is not written into."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import Tensor, Trace, leaf, tracing


def clip_grad_norm(params: Iterable[Tensor], max_norm: float = 0.25) -> float:
    """Scale the gradients by min(1, max_norm / (‖g‖₂ + 1e-6)), g being all of them in one vector (Pascanu et al. 2013,
    arXiv:1211.5063, alg. 1).

    Args:
        params: Tensors; those without a `.grad` are left out.
        max_norm: > 0.

    Returns:
        ‖g‖₂ before clipping: a number; under `jit` a Tensor.

    Raises:
        ValueError: max_norm is not positive.
        FloatingPointError: a gradient holds nan or inf.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm needs max_norm > 0; got {max_norm}")
    norms, found = [], _with_grad(params, "clip_grad_norm")
    trace = tracing()
    if trace is not None:
        return _clipped_in(trace, found, max_norm)
    for i, _, g in found:
        norm = float(np.linalg.norm(g))
        if not math.isfinite(norm):  # unless only the squares overflowed
            norm = float(np.linalg.norm(g.astype("complex128" if g.dtype.kind == "c" else "float64")))
            if not math.isfinite(norm):
                raise FloatingPointError(
                    f"clip_grad_norm: the gradient of parameter {i} (shape {g.shape}) holds nan or inf: it has no norm"
                )
        norms.append(norm)
    total = math.hypot(*norms)
    factor = max_norm / (total + 1e-6)
    if factor < 1:
        for _, param, g in found:
            param.grad = leaf(np.multiply(g, factor, out=np.empty_like(g)))
    return total


def _clipped_in(trace: Trace, found: list, max_norm: float) -> Any:
    """`clip_grad_norm` under jit, where no value can be looked at."""
    parts = [part for _, _, g in found for part in ((g.real, g.imag) if g.dtype.kind == "c" else (g,))]
    squares: list = [np.square(part.astype("float64")).sum() for part in parts]  # of a float32 they could overflow
    total = np.sqrt(sum(squares[1:], squares[0])) if squares else np.zeros(())
    trace.effect(_require_finite, [total])
    factor = np.minimum(max_norm / (total + 1e-6), 1)
    for _, param, g in found:
        param.grad = leaf(g * factor.astype(g.real.dtype))
    return leaf(total)


def _require_finite(norm) -> None:
    if not math.isfinite(norm):
        raise FloatingPointError("clip_grad_norm: a gradient holds nan or inf: it has no norm")


def clip_grad_value(params: Iterable[Tensor], max_value: float) -> None:
    """Clip every number of every gradient to [-max_value, max_value].

    Args:
        params: Tensors; those without a `.grad` are left out.
        max_value: > 0.

    Raises:
        ValueError: max_value is not positive.
        TypeError: a gradient is complex: clip its norm instead.
    """
    if not max_value > 0:
        raise ValueError(f"clip_grad_value needs max_value > 0; got {max_value}")
    for i, param, g in _with_grad(params, "clip_grad_value"):
        if g.dtype.kind == "c":
            raise TypeError(f"clip_grad_value: the gradient of parameter {i} is {g.dtype}; use clip_grad_norm")
        param.grad = leaf(np.clip(g, -max_value, max_value, out=np.empty_like(g)))


def _with_grad(params: Iterable[Tensor], name: str) -> list[tuple[int, Tensor, np.ndarray]]:
    """Index, Tensor and the array of its gradient, of those that have one."""
    found = []
    for i, param in enumerate([params] if isinstance(params, Tensor) else params):
        if not isinstance(param, Tensor) or not isinstance(param.grad, Tensor | None):
            odd = f"the .grad of parameter {i}" if isinstance(param, Tensor) else f"parameter {i}"
            came = type(param.grad if isinstance(param, Tensor) else param).__name__
            raise TypeError(f"{name} takes Tensors, but {odd} is of type {came}")
        if param.grad is not None:
            found.append((i, param, param.grad.node.data))
    return found
