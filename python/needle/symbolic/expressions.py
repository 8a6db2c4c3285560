"""Symbolic differentiation through SymPy: a function as an expression, its derivative by SymPy's rules, and back.

A function is traced: it is run once on boxes that carry arrays of SymPy expressions in place of numbers.  What an op
means to SymPy is said here, in one table keyed by the op's class; ops that only lay numbers out or add and multiply
them need no entry, since NumPy does that to expressions too.
"""

from collections.abc import Callable

import numpy as np

from .. import ops
from ..graph import Box, Node, Op, Tensor, TensorTupleOp, ValueUnknown, frame, new_handle, special
from ..ops.functions import TanhSlope, TimesTanhSlope
from .sympy_import import sympy_module


class _Unknown:
    """What is known of a symbolic array: its shape."""

    __slots__ = ("shape",)

    dtype = np.dtype(float)

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def unknown(self, *args, **kwargs):
        raise ValueUnknown(
            "the value of a Tensor was asked for while its function was turned into an expression, where it has none; "
            "choose with needle.where(condition, a, b)"
        )

    __array__ = item = tolist = copy = unknown


class Symbolic(Box):
    """An array of SymPy expressions."""

    __slots__ = ("expressions",)

    def __init__(self, frame, expressions: np.ndarray):
        Box.__init__(self, frame)
        self.expressions = expressions

    @property
    def data(self):
        self.check()
        if isinstance(self.expressions, tuple):
            return tuple(_Unknown(item.shape) for item in self.expressions)
        return _Unknown(self.expressions.shape)

    def copy(self) -> "Symbolic":
        return Symbolic(self.frame, self.expressions)

    def detached(self) -> "Symbolic":
        return self.copy()

    def call(self, op: Op, inputs: tuple) -> Node:
        self.check()
        arrays = [node.expressions if node.level == self.level else _numbers(node.data) for node in inputs]
        return Symbolic(self.frame, evaluate(op, arrays))


def evaluate(op: Op, arrays: list):
    """The value of `op` on arrays of expressions."""
    table = _table()
    for kind in type(op).__mro__:
        if kind in table:
            return _as_objects(table[kind](op, *arrays))
    try:
        result = op.compute(*arrays)
    except Exception as error:
        raise TypeError(
            f"{type(op).__name__} has no symbolic form here: its compute does not take expressions ({error})"
        ) from error
    if isinstance(op, TensorTupleOp):
        return tuple(_as_objects(item) for item in result)
    return _as_objects(result)


def _as_objects(result) -> np.ndarray:
    array = np.empty((), object)
    if isinstance(result, np.ndarray):
        return result.astype(object)
    array[()] = result
    return array


def _numbers(data):
    """A constant's array as SymPy numbers: integers exact, floats as they are."""
    if isinstance(data, tuple):
        return tuple(map(_numbers, data))
    if data.dtype.kind in "b":
        return data
    sympy = sympy_module()
    whole = data.dtype.kind in "iu" or (
        data.dtype.kind == "f" and np.isfinite(data).all() and (data == np.rint(data)).all()
    )
    if data.dtype.kind in "iu" and data.ndim:
        return data  # an index, most likely: leave it to NumPy
    return _map(
        lambda x: sympy.Integer(int(x)) if whole else sympy.sympify(x.item() if hasattr(x, "item") else x), data
    )


def _map(function: Callable, *arrays) -> np.ndarray:
    """`function` on each element, broadcasting."""
    arrays = np.broadcast_arrays(*arrays)
    out = np.empty(arrays[0].shape, object)
    for index in np.ndindex(out.shape):
        out[index] = function(*(array[index] for array in arrays))
    return out


def _number(scalar):
    sympy = sympy_module()
    return (
        sympy.Integer(int(scalar))
        if isinstance(scalar, (int, float)) and scalar == int(scalar)
        else sympy.sympify(scalar)
    )


_tables: dict = {}


def _table() -> dict:
    """What ops mean to SymPy: op class -> function of (op, *arrays of expressions)."""
    if _tables:
        return _tables
    sympy = sympy_module()

    def elementwise(function):
        return lambda op, *arrays: _map(function, *arrays)

    def scalar(function):
        return lambda op, a: _map(lambda x: function(x, _number(op.number)), a)

    half = sympy.Rational(1, 2)
    _tables.update(
        {
            ops.AddScalar: scalar(lambda x, n: x + n),
            ops.MulScalar: scalar(lambda x, n: x * n),
            ops.DivScalar: scalar(lambda x, n: x / n),
            ops.PowerScalar: scalar(lambda x, n: x**n),
            ops.ScalarDiv: scalar(lambda x, n: n / x),
            ops.ScalarPower: scalar(lambda x, n: n**x),
            ops.EWiseDiv: elementwise(lambda a, b: a / b),
            ops.EWisePow: elementwise(lambda a, b: a**b),
            ops.Abs: elementwise(sympy.Abs),
            ops.Arctan: elementwise(sympy.atan),
            ops.Conjugate: elementwise(sympy.conjugate),
            ops.Cos: elementwise(sympy.cos),
            ops.Exp: elementwise(sympy.exp),
            ops.Expm1: elementwise(lambda x: sympy.exp(x) - 1),
            ops.Log: elementwise(sympy.log),
            ops.Log1p: elementwise(lambda x: sympy.log(1 + x)),
            ops.Maximum: elementwise(sympy.Max),
            ops.Minimum: elementwise(sympy.Min),
            ops.ReLU: elementwise(lambda x: sympy.Max(x, 0)),
            ops.Sigmoid: elementwise(lambda x: 1 / (1 + sympy.exp(-x))),
            ops.SiLU: elementwise(lambda x: x / (1 + sympy.exp(-x))),
            ops.Sin: elementwise(sympy.sin),
            ops.Softplus: elementwise(lambda x: sympy.log(1 + sympy.exp(x))),
            ops.Sqrt: elementwise(sympy.sqrt),
            ops.Square: elementwise(lambda x: x**2),
            ops.Tan: elementwise(sympy.tan),
            ops.Tanh: elementwise(sympy.tanh),
            TanhSlope: elementwise(lambda y: 1 - y**2),
            TimesTanhSlope: elementwise(lambda g, y: g * (1 - y**2)),
            ops.GELU: elementwise(
                lambda x: half * x * (1 + sympy.tanh(sympy.sqrt(2 / sympy.pi) * (x + sympy.Float("0.044715") * x**3)))
            ),
            ops.Clip: lambda op, a: _map(lambda x: _held(x, op.low, op.high), a),
            ops.Where: elementwise(
                lambda c, a, b: a if c is sympy.true or c is True else sympy.Piecewise((a, c), (b, True))
            ),
            ops.Step: _step,
            ops.Mean: lambda op, a: np.add.reduce(a, op.axis(a), keepdims=op.keepdims) / _count(op, a),
            ops.Max: lambda op, a: _reduce(sympy.Max, op, a),
            ops.Min: lambda op, a: _reduce(sympy.Min, op, a),
            ops.LogSumExp: lambda op, a: _map(
                sympy.log, np.add.reduce(_map(sympy.exp, a), op.axis(a), keepdims=op.keepdims)
            ),
            ops.Softmax: lambda op, a: _softmax(op, a),
            ops.LogSoftmax: lambda op, a: _map(sympy.log, _softmax(op, a)),
            ops.Cast: lambda op, a: a,
        }
    )
    return _tables


def _held(x, low, high):
    sympy = sympy_module()
    x = x if low is None else sympy.Max(x, _number(low))
    return x if high is None else sympy.Min(x, _number(high))


def _step(op, *arrays):
    sympy = sympy_module()
    relations = {
        np.greater: sympy.Gt, np.greater_equal: sympy.Ge, np.less: sympy.Lt, np.less_equal: sympy.Le,
        np.equal: sympy.Eq, np.not_equal: sympy.Ne, np.logical_and: sympy.And, np.logical_or: sympy.Or,
        np.logical_not: sympy.Not, np.sign: sympy.sign, np.floor: sympy.floor, np.ceil: sympy.ceiling,
    }  # fmt: skip
    if op.ufunc not in relations:
        raise TypeError(f"numpy.{op.ufunc.__name__} has no symbolic form in needle.symbolic")
    extra = [] if op.scalar is None else [_number(op.scalar)]
    return _map(lambda *xs: relations[op.ufunc](*xs, *extra), *arrays)


def _count(op, a) -> int:
    axis = op.axis(a)
    return int(np.prod([a.shape[i] for i in (range(a.ndim) if axis is None else axis)], dtype=np.int64))


def _reduce(function, op, a):
    ufunc = np.frompyfunc(function, 2, 1)
    return ufunc.reduce(a, op.axis(a), keepdims=op.keepdims)


def _softmax(op, a):
    weights = _map(sympy_module().exp, a)
    return weights / np.add.reduce(weights, op.axis, keepdims=True)


# --------------------------------------------------------------------------------------------------------------------
# Expressions


def symbols_of(*shapes_or_symbols) -> list[np.ndarray]:
    """Object arrays of symbols, one for each argument: a name or Symbol is itself, a shape gets x0, x1, … by position.

    An array of shape (2,) in place i is x{i}_0, x{i}_1; lists and arrays of symbols are taken as they are.
    """
    sympy = sympy_module()
    arrays = []
    for i, given in enumerate(shapes_or_symbols):
        if isinstance(given, str):
            given = sympy.Symbol(given, real=True)
        if isinstance(given, tuple) and all(isinstance(n, int) for n in given):
            array = np.empty(given, object)
            for index in np.ndindex(given):
                array[index] = sympy.Symbol("_".join([f"x{i}", *map(str, index)]), real=True)
        elif isinstance(given, (sympy.Basic, list, np.ndarray)):
            array = _as_objects(np.array(given, object))
        else:
            raise TypeError(f"expected a shape, a name or SymPy symbols for argument {i}, got {type(given).__name__}")
        arrays.append(array)
    return arrays


def expression(f: Callable, *shapes_or_symbols):
    """What `f` computes, as a SymPy expression (an object array of them for an array).

    Args:
        f: a function of Tensors.
        shapes_or_symbols: one for each argument: a SymPy symbol, a name, an array or list of symbols, or a shape, whose
            symbols are then named x0_0, x0_1, … after the argument's and the element's position.

    Raises:
        ValueUnknown: `f` asks for a value, as `if x > 0` does.
        TypeError: an op has no symbolic form.
        ModuleNotFoundError: SymPy is missing (extra `symbolic`).

    >>> import needle as ndl
    >>> expression(lambda x, y: ndl.log(x) + x * y - ndl.sin(y), "x", "y")
    x*y + log(x) - sin(y)
    """
    with special(), frame("symbolic") as mine:
        out = f(*[new_handle(Symbolic(mine, array)) for array in symbols_of(*shapes_or_symbols)])
        if not isinstance(out, Tensor):
            return sympy_module().sympify(out)
        result = out.node.expressions if isinstance(out.node, Symbolic) else _numbers(out.node.data)
    return result[()] if result.ndim == 0 else result


def derivative(f: Callable, *shapes_or_symbols):
    """The derivative of `f` by SymPy's rules: of a sum, a product, a chain.

    Returns the derivative with respect to the one argument, or a tuple with one for each; each has the shape
    output.shape + argument.shape, as object arrays of expressions (one expression where that is 0-d).

    >>> import needle as ndl
    >>> derivative(lambda x, y: ndl.log(x) + x * y - ndl.sin(y), "x", "y")
    (y + 1/x, x - cos(y))
    """
    arguments = symbols_of(*shapes_or_symbols)
    out = np.array(expression(f, *arguments), object)
    results = []
    for symbols in arguments:
        partials = np.empty(out.shape + symbols.shape, object)
        for i in np.ndindex(out.shape):
            for j in np.ndindex(symbols.shape):
                partials[i + j] = sympy_module().diff(out[i], symbols[j])
        results.append(partials[()] if partials.ndim == 0 else partials)
    return results[0] if len(results) == 1 else tuple(results)
