"""needle: tensors with derivatives, on NumPy."""

import importlib

from . import autograd, init, operators, ops
from .device import all_devices, cpu, cpu_numpy, cuda, default_device
from .graph import Op, Tensor, TensorOp, TensorTuple, TensorTupleOp, Value, enable_grad, no_grad
from .init import Generator, ones, ones_like, zeros, zeros_like
from .ops import *

_ON_FIRST_USE = {"nn", "optim", "data", "train", "io", "backend_ndarray", "backend_numpy", "backend_selection"}


def __getattr__(name: str):
    if name in _ON_FIRST_USE:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module needle has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | _ON_FIRST_USE)
