"""Fused groups as compiled kernels: loops in LLVM's language, compiled by the LLVM that Numba brings."""

from .kernel import CompiledKernel, can_compile, compile_kernel
from .library import Unavailable, library
