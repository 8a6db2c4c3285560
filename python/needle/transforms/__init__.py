"""Walks over functions: derivatives in every mode, batches, and functions with a derivative of their own."""

from ..graph import enable_grad, no_grad
from .batch import vmap
from .checkpoint import checkpoint
from .custom import custom_gradient, custom_jvp, stop_gradient
from .forward import jvp, linearize
from .reverse import grad, value_and_grad, vjp

__all__ = [
    "checkpoint", "custom_gradient", "custom_jvp", "enable_grad", "grad", "jvp", "linearize", "no_grad", "stop_gradient",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip
