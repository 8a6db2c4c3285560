"""Symbolic differentiation through SymPy: the third way, beside numerical and automatic (extra `symbolic`)."""

from .expressions import derivative, expression, symbols_of
from .functions import from_sympy

__all__ = ["derivative", "expression", "from_sympy", "symbols_of"]
