"""From SymPy back to needle: an expression as a function of Tensors."""

import functools
import math
import operator
from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Tensor
from .sympy_import import sympy_module


def from_sympy(expr, symbols) -> Callable:
    """A function of Tensors that computes a SymPy expression, elementwise over its arguments.

    Args:
        expr: a SymPy expression.
        symbols: its variables, in the order of the function's arguments: SymPy's symbols, or their names.

    >>> import sympy, needle as ndl
    >>> x = sympy.Symbol("x")
    >>> ndl.grad(from_sympy(sympy.sin(x) * x, [x]))(0.0)
    np.float64(0.0)
    """
    sympy = sympy_module()
    expr = sympy.sympify(expr)
    named = {symbol.name: symbol for symbol in expr.free_symbols}  # they may have assumptions, e.g. to be real
    symbols = [
        named.get(symbol, sympy.Symbol(symbol)) if isinstance(symbol, str) else sympy.sympify(symbol)
        for symbol in (symbols if isinstance(symbols, (list, tuple)) else [symbols])
    ]
    missing = sorted(map(str, expr.free_symbols - set(symbols)))
    if missing:
        raise ValueError(f"the expression has variables that symbols does not name: {', '.join(missing)}")
    expr = _in_known_functions(expr)
    order = list(dict.fromkeys(sympy.postorder_traversal(expr)))

    def function(*args):
        if len(args) != len(symbols):
            raise TypeError(
                f"this function takes {len(symbols)} arguments ({', '.join(map(str, symbols))}), got {len(args)}"
            )
        values = dict(zip(symbols, args))
        for node in order:
            if node not in values:
                values[node] = _back_table()[_kind_of(node)](node, *[values[child] for child in node.args])
        return values[expr]

    return function


def _kind_of(node) -> type | None:
    return next((kind for kind in type(node).__mro__ if kind in _back_table()), None)


def _in_known_functions(expr):
    """`expr` with functions that have no counterpart here written by others that have: sec by cos, cosh by exp."""
    sympy = sympy_module()
    for node in sympy.postorder_traversal(expr):
        if not node.is_Symbol and _kind_of(node) is None:
            for basis in (sympy.cos, sympy.exp):
                written = node.rewrite(basis)
                if written.func != node.func and not written.has(sympy.I):
                    return _in_known_functions(expr.xreplace({node: written}))
            raise TypeError(f"SymPy's {type(node).__name__} has no counterpart among needle's ops")
    return expr


_back_tables: dict = {}


def _back_table() -> dict:
    """What SymPy's classes mean to needle: class -> function of (expression, *values of its arguments)."""
    if _back_tables:
        return _back_tables
    sympy = sympy_module()

    def ours(function, plain):
        """An op for Tensors; NumPy's function for what is a number within the expression."""
        return lambda _, *args: (function if any(isinstance(arg, Tensor) for arg in args) else plain)(*args)

    def fold(function):
        return lambda _, *args: functools.reduce(function, args)

    _back_tables.update(
        {
            sympy.Add: fold(operator.add),
            sympy.Mul: fold(operator.mul),
            sympy.Pow: lambda _, a, b: a**b,
            sympy.Integer: lambda node: int(node),
            sympy.Rational: lambda node: float(node),
            sympy.Float: lambda node: float(node),
            sympy.NumberSymbol: lambda node: float(node),
            sympy.logic.boolalg.BooleanAtom: lambda node: bool(node),
            sympy.Piecewise: lambda _, *pairs: _choose(pairs),
            sympy.functions.elementary.piecewise.ExprCondPair: lambda _, value, condition: (value, condition),
            sympy.Abs: ours(ops.abs, np.abs),
            sympy.atan: ours(ops.arctan, np.arctan),
            sympy.ceiling: ours(ops.ceil, np.ceil),
            sympy.cos: ours(ops.cos, np.cos),
            sympy.exp: ours(ops.exp, np.exp),
            sympy.floor: ours(ops.floor, np.floor),
            sympy.log: ours(ops.log, np.log),
            sympy.sign: ours(ops.sign, np.sign),
            sympy.sin: ours(ops.sin, np.sin),
            sympy.tan: ours(ops.tan, np.tan),
            sympy.tanh: ours(ops.tanh, np.tanh),
            sympy.Max: fold(lambda a, b: _either(ops.maximum, np.maximum, a, b)),
            sympy.Min: fold(lambda a, b: _either(ops.minimum, np.minimum, a, b)),
            sympy.Gt: lambda _, a, b: a > b,
            sympy.Ge: lambda _, a, b: a >= b,
            sympy.Lt: lambda _, a, b: a < b,
            sympy.Le: lambda _, a, b: a <= b,
            sympy.Eq: lambda _, a, b: a == b,
            sympy.Ne: lambda _, a, b: a != b,
            sympy.And: fold(lambda a, b: _either(ops.logical_and, np.logical_and, a, b)),
            sympy.Or: fold(lambda a, b: _either(ops.logical_or, np.logical_or, a, b)),
            sympy.Not: ours(ops.logical_not, np.logical_not),
        }
    )
    return _back_tables


def _either(function: Callable, plain: Callable, a, b):
    """A symmetric function of two values, of which at least one must be a Tensor to be an op."""
    if isinstance(a, Tensor):
        return function(a, b)
    return function(b, a) if isinstance(b, Tensor) else plain(a, b)


def _choose(pairs):
    """The value of the first pair whose condition holds; nan where none does, as in SymPy."""
    last, condition = pairs[-1]
    value = last if condition is True else math.nan
    for branch, holds in reversed(pairs[:-1] if condition is True else pairs):
        if isinstance(holds, Tensor):
            value = ops.where(holds, branch, value)
        else:
            value = branch if holds else value
    return value
