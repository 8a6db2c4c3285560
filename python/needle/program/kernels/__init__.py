"""Fused groups as compiled kernels: loops in LLVM's language, compiled by the LLVM that Numba brings."""

from .elements import can_compile
from .kernel import CompiledKernel, overwritable
from .library import Unavailable, is_installed, library
from .native import Native, in_kernels
from .products import Product
from .sequence import (
    Move,
    Place,
    Sequence,
    copy_operation,
    kernel_operation,
    product_operation,
    run_table,
    ufunc_operation,
)
