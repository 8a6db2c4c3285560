"""needle: tensors with derivatives, on NumPy."""

import importlib

from . import autograd, graph, init, operators, ops
from .device import Device, NDArray, all_devices, cpu, cpu_numpy, cuda, default_device
from .graph import Op, Tensor, TensorOp, TensorTuple, TensorTupleOp, Value, enable_grad, no_grad
from .init import Generator, ones, ones_like, zeros, zeros_like
from .ops import *

# What is imported when it is first used, so that `import needle` costs little more than `import numpy`.
_MODULES = (
    "nn", "optim", "data", "train", "io", "numeric", "numpy", "scipy", "symbolic", "transforms",
    "backend_ndarray", "backend_numpy", "backend_selection",
)  # fmt: skip
_TRANSFORMS = (
    "check_gradients", "check_op", "checkpoint", "cond", "custom_gradient", "custom_jvp", "detect_nan", "fixed_point",
    "fori_loop", "functional_call", "grad",
    "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jet", "jvp", "laplacian", "linearize", "map", "nth_derivative",
    "root", "scan", "sparse_hessian", "sparse_jacobian", "sparsity", "stop_gradient", "value_and_grad", "vjp", "vmap",
    "while_loop",
)  # fmt: skip


_OTHERS = {
    "backprop": "backpropagation", "debug_print": "debugging", "draw": "drawing", "explain": "explanation",
    "jit": "program",
}  # fmt: skip


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _TRANSFORMS:
        return getattr(importlib.import_module(f"{__name__}.transforms"), name)
    if name in _OTHERS:
        return getattr(importlib.import_module(f"{__name__}.{_OTHERS[name]}"), name)
    raise AttributeError(f"module needle has no attribute {name!r}")


def _of_graph(name: str):
    """`needle.graph.draw` is `needle.draw`: the graph, on the ground floor, cannot know of pictures itself."""
    if name == "draw":
        return __getattr__(name)
    raise AttributeError(f"module needle.graph has no attribute {name!r}")


graph.__getattr__ = _of_graph  # type: ignore[method-assign]


def __dir__():
    return sorted({*globals(), *_MODULES, *_TRANSFORMS, *_OTHERS})
