"""Ops, and what happens when one is called.

An `Op` is mathematics: `compute` takes arrays to an array, `gradient` takes Tensors to Tensors.  Calling an op records
a node when one of its inputs requires grad.  Whatever else can happen at a call (nothing is to be recorded, values are
to be postponed, an input is a box of some transform) is told apart by one test of one global number.
"""

import threading
from collections.abc import Callable
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from weakref import ref

import numpy as np

from .order import topological_order
from .tracing import ValueUnknown, tracing
from .values import Node, Tensor, TensorTuple, Value, WeakNode, _kind, _new, linked_handle, new_handle, plain_array

_ndarray = np.ndarray


class Op:
    """A mathematical operation.  `compute` and `gradient` are the whole contract; all else follows from them."""

    __slots__ = ()

    # Maybe a second form of `gradient`, for walks that record nothing: a method
    # `array_gradient(out_grad, output, inputs, needs)` that takes arrays (of a tuple op's outputs, tuples, with None
    # for an adjoint that is zero) and whether each input's adjoint is asked for.  It returns one array an input,
    # anything where none is asked for.
    array_gradient = None

    # Maybe the tangent as an array, for forward walks that nobody looks on at: a method
    # `array_tangent(output, inputs, tangents)` that takes None for a tangent that is zero, which not all are.
    array_tangent = None

    differentiable = True  # False for what is piecewise constant: its result is a constant, whatever goes in

    # Under jit, `compute` runs on arrays that write down what NumPy is asked for.  What that cannot show, an op says:

    opaque = False  # True if `compute` always asks for values: it is one instruction, and nobody looks into it
    checks = False  # True if `compute` raises where the values will not do: it runs even if its result is not used
    shape_follows_values = False  # True if the result's shape may, as that of x[mask]: then it is refused

    # Maybe a method `record(trace, arrays)` that does the writing down in place of `compute`: of loops and branches.
    record = None

    def __init_subclass__(cls, **kwargs):
        """A class that gives the mathematics anew does not inherit an `array_tangent` that was the old one's."""
        super().__init_subclass__(**kwargs)
        source = next(base for base in cls.__mro__ if "array_tangent" in base.__dict__)
        renewed = {"compute", "gradient", "tangent"} & cls.__dict__.keys()
        if source is not cls and renewed and ("tangent" in renewed or "compute" in source.__dict__):
            cls.array_tangent = None

    def __call__(self, *args):
        raise TypeError(f"{type(self).__name__} must be a TensorOp or a TensorTupleOp to be called")

    def compute(self, *arrays):
        """The value: arrays in, array out."""
        raise TypeError(f"{type(self).__name__} defines no compute(*arrays)")

    def gradient(self, out_grad, node):
        """The adjoints of the inputs, given that of the output, built from Tensor ops.

        `node` is the output, `node.inputs` are the inputs.  A rule may return None for an input that is not asked for
        (`node.needs(i)` is False) or on which the output does not depend in a differentiable way.
        """
        raise TypeError(f"{type(self).__name__} defines no gradient(out_grad, node): it cannot be differentiated")

    def gradient_as_tuple(self, out_grad, node) -> tuple:
        """`gradient`, always as a tuple of one Tensor an input, each of its input's shape."""
        grads, inputs = as_tuple(self.gradient(out_grad, node), self), node.inputs
        if len(grads) != len(inputs):
            raise self.wrong_count(grads, inputs)
        return tuple(
            g if g is None or isinstance(g, TensorTuple) or g.shape == x.shape else self.fit(g, x.shape)
            for g, x in zip(grads, inputs)
        )

    def wrong_count(self, grads, inputs) -> Exception:
        """The error for a rule that gave more or fewer adjoints than the op has inputs."""
        return ValueError(
            f"{type(self).__name__}.gradient must return one Tensor for each of its {len(inputs)} inputs, "
            f"got {len(grads)}"
        )

    def fit(self, grad, shape):
        """Bring a partial adjoint of another shape to that of its input.  Kinds of ops that broadcast sum it back; here
        it is an error."""
        raise ValueError(
            f"{type(self).__name__}.gradient gave an adjoint of shape {grad.shape} for an input of shape {shape}; "
            "was a broadcast axis not summed back, or a transpose forgotten?"
        )

    def title(self) -> str:
        """How error messages name this op."""
        return type(self).__name__

    def strengthened(self, inputs: tuple, weak: list[bool]) -> tuple:
        """The inputs, some of which are Python numbers (`weak`), as the op is to see them."""
        return inputs

    def weakened(self, node: Node) -> Node:
        """What the op made of nothing but Python numbers."""
        return node

    def __repr__(self) -> str:
        names = [name for cls in type(self).__mro__ for name in getattr(cls, "__slots__", ())]
        names += getattr(self, "__dict__", {})
        shown = (f"{name}={getattr(self, name, None)!r}" for name in names if not name.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"


class TensorOp(Op):
    """An op with one Tensor as its result.

    >>> class Cube(TensorOp):
    ...     def compute(self, x):
    ...         return x**3
    ...     def gradient(self, out_grad, node):
    ...         return out_grad * 3 * node.inputs[0] ** 2
    >>> Cube()(Tensor([2.0]))
    needle.Tensor([8.])
    """

    __slots__ = ()

    def __call__(self, *args) -> Tensor:
        # This is the hot path of eager execution: what one or two inputs need is written out.
        count = len(args)
        try:
            if count == 2:
                a, b = args
                inputs = a, b = a.node, b.node
            elif count == 1:
                (a,) = args
                a = a.node
                inputs = (a,)
            else:
                inputs = tuple([arg.node for arg in args])
        except AttributeError:
            inputs = _admit(self, args)
            count = 0
        if _special and not _is_plain(inputs):
            node = call(self, inputs)
            tensor = _new(Tensor)
            tensor.grad, tensor.node = None, node
            if node.requires_grad:
                node._handle = ref(tensor)
            return tensor
        try:
            if count == 2:
                data = self.compute(a.data, b.data)
                requires_grad = a.requires_grad or b.requires_grad
            elif count == 1:
                data = self.compute(a.data)
                requires_grad = a.requires_grad
            else:
                data = self.compute(*[node.data for node in inputs])
                requires_grad = _any_requires_grad(inputs)
        except Exception as error:
            raise explain(self, inputs, error) from error
        if type(data) is not _ndarray:
            data = _numbers(self, data)
        tensor = _new(Tensor)
        tensor.grad = None
        tensor.node = node = _new(Node)
        node.data = data
        if requires_grad and self.differentiable and (not _special or _recording.get()):
            node.op = self
            node.inputs = inputs
            node.requires_grad = True
            node._handle = ref(tensor)
        else:
            node.op = node._handle = None
            node.inputs = ()
            node.requires_grad = False
        return tensor


class TensorTupleOp(Op):
    """An op with several Tensors as its result: `compute` returns a tuple of arrays."""

    __slots__ = ()

    def __call__(self, *args) -> TensorTuple:
        try:
            inputs = tuple([arg.node for arg in args])
        except AttributeError:
            inputs = _admit(self, args)
        if _special:
            return _result(call(self, inputs))
        return _result(_record(self, inputs, _any_requires_grad(inputs)))


def _is_plain(inputs: tuple) -> bool:
    """Whether nothing that may be active has to do with a call on these nodes, but for `no_grad`."""
    if _lazy or _observers.get() or tracing() is not None:
        return False
    for node in inputs:
        if node.level or type(node) is WeakNode:
            return False
    return True


def _any_requires_grad(nodes) -> bool:
    for node in nodes:
        if node.requires_grad:
            return True
    return False


def _result(node: Node):
    return linked_handle(node) if node.requires_grad else new_handle(node)


def _run(op: Op, inputs: tuple):
    """The value of `op` on the values of `inputs`: a plain array, or a tuple of them."""
    arrays = [node.data for node in inputs]
    try:
        trace = tracing() if _special else None
        data = op.compute(*arrays) if trace is None else trace.compute(op, arrays)
    except ValueUnknown:  # which names the user's line
        raise
    except Exception as error:
        raise explain(op, inputs, error) from error
    if isinstance(op, TensorTupleOp):
        if not isinstance(data, (tuple, list)):
            raise TypeError(f"{op.title()}.compute must return a tuple of arrays, got {_kind(data)}")
        return tuple([_numbers(op, item) for item in data])
    return data if type(data) is _ndarray else _numbers(op, data)


def _numbers(op: Op, data):
    """What `op.compute` returned, as a plain array."""
    array = np.asarray(data) if isinstance(data, np.generic) else plain_array(data)  # a scalar: what 0-d arrays give
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{op.title()}.compute must return an array of numbers, got {_kind(data)}")
    return array


def _record(op: Op, inputs: tuple, requires_grad: bool) -> Node:
    data = _run(op, inputs)
    return Node(op, inputs, data, True) if requires_grad else Node(None, (), data, False)


def _admit(op: Op, args) -> tuple:
    """Nodes for arguments that are not all Tensors: arrays and numbers become constants, the rest is refused.

    A number never promotes a Tensor: it takes the dtype that the Tensors and arrays have, within its kind.
    """
    nodes = []
    dtypes = [arg.dtype for arg in args if isinstance(arg, (Tensor, _ndarray))]
    for position, arg in enumerate(args):
        if isinstance(arg, Value):
            nodes.append(arg if isinstance(arg, Node) else arg.node)
        elif isinstance(arg, (_ndarray, np.generic, int, float, complex)) and np.asarray(arg).dtype.kind in "biufc":
            if dtypes and not isinstance(arg, _ndarray):
                number = arg.item() if isinstance(arg, np.generic) else arg
                arg = np.asarray(number, np.result_type(*dtypes, number))
            nodes.append(Node(None, (), plain_array(arg), False))
        else:
            raise TypeError(
                f"{op.title()} takes Tensors, but argument {position + 1} is {_kind(arg)}; "
                "make it one with needle.Tensor(...)"
                + (", or join Tensors with needle.stack(...)" if isinstance(arg, (list, tuple)) else "")
            )
    return tuple(nodes)


def explain(op: Op, inputs: tuple, error: Exception) -> Exception:
    """The same kind of error as `error`, with the op and the shapes and dtypes that went in."""
    came = ", ".join(
        f"{node.data.dtype}{list(node.data.shape)}" if hasattr(node.data, "dtype") else f"a tuple of {len(node.data)}"
        for node in inputs
    )
    kind = next((kind for kind in type(error).__mro__ if kind in _EXPLAINED), RuntimeError)
    return kind(f"{op.title()} on {came or 'nothing'}: {str(error).strip()}")


_EXPLAINED = {ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError, MemoryError, FloatingPointError}
_EXPLAINED |= {np.exceptions.AxisError, np.linalg.LinAlgError, NotImplementedError, AttributeError, KeyError}


def as_tuple(result, op: Op) -> tuple:
    """What the rule of `op` returned, as a tuple with one entry an input."""
    if type(result) is tuple:
        return result
    if result is None:  # a forgotten `return` would be a silent zero
        raise TypeError(f"{op.title()}.gradient must return a Tensor or a tuple, one entry an input, got None")
    return tuple(result) if isinstance(result, list) else (result,)


# --------------------------------------------------------------------------------------------------------------------
# What can be special at a call


_special = 0  # how many things are active, in any thread, that make a call more than "compute and record"
_special_lock = threading.Lock()
_recording: ContextVar[bool] = ContextVar("recording", default=True)
_carrying: ContextVar[bool] = ContextVar("carrying", default=True)
_observers: ContextVar[tuple] = ContextVar("observers", default=())
_substitution: ContextVar[Callable[[Node], Node] | None] = ContextVar("substitution", default=None)
_dispatching: ContextVar[int] = ContextVar("dispatching", default=0)
_lazy = False


@contextmanager
def special():
    """While this is open (in any thread) ops take the road that looks at everything that may be active."""
    _add_special(1)
    try:
        yield
    finally:
        _add_special(-1)


def _add_special(change: int) -> None:
    global _special
    with _special_lock:
        _special += change


def call(op: Op, inputs: tuple) -> Node:
    """Call `op` on nodes, looking at everything that may be active: the box of the innermost transform goes first."""
    innermost, level, weak, requires_grad = None, 0, False, False
    if replace := _substitution.get():
        inputs = tuple(map(replace, inputs))
    for node in inputs:
        if node.level > level:
            innermost, level = node, node.level
        elif type(node) is WeakNode:
            weak = True
        if node.requires_grad:
            requires_grad = True
    requires_grad = requires_grad and op.differentiable and _recording.get()
    if innermost is not None:
        node = _call_box(op, inputs, innermost, requires_grad)
    elif _lazy:
        node = LazyNode(op, inputs, requires_grad)
    elif weak:
        node = _call_weak(op, inputs, requires_grad)
    else:
        node = _record(op, inputs, requires_grad)
    for observe in _observers.get():
        observe(op, inputs, node)
    return node


def announce(op: Op, inputs: tuple, node: Node) -> None:
    """Tell observers of a node that `op` gave; also of one that was made without a call."""
    for observe in _observers.get():
        observe(op, inputs, node)


def _call_box(op: Op, inputs: tuple, innermost: Node, requires_grad: bool) -> Node:
    if hasattr(op, "unfused"):
        return op.unfused(*map(new_handle, inputs)).node
    if _observers.get():
        token = _dispatching.set(_dispatching.get() + 1)
        try:
            node = innermost.call(op, inputs)
        finally:
            _dispatching.reset(token)
    else:
        node = innermost.call(op, inputs)
    if requires_grad and node.level == innermost.level:
        node.op, node.inputs, node.requires_grad = op, inputs, True
    return node


def _call_weak(op: Op, inputs: tuple, requires_grad: bool) -> Node:
    weak = [type(node) is WeakNode for node in inputs]
    node = _record(op, op.strengthened(inputs, weak), requires_grad)
    return op.weakened(node) if all(weak) else node


@contextmanager
def observing(observe):
    """In this block, and this thread, `observe(op, inputs, node)` is told of every call, of nodes, once it is done."""
    token = _observers.set((*_observers.get(), observe))
    try:
        with special():
            yield
    finally:
        _observers.reset(token)


@contextmanager
def substituting(replace: Callable[[Node], Node] | None):
    """In this block, and this thread, ops that are called on a node are given `replace(node)` instead."""
    token = _substitution.set(replace)
    try:
        with special():
            yield
    finally:
        _substitution.reset(token)


def substitution() -> Callable[[Node], Node] | None:
    """What is given to ops instead of a node, now: a function, or None if it is the node itself."""
    return _substitution.get()


def substitute(node: Node) -> Node:
    """What is given to ops now that are called on `node`: itself, unless something was put in its place."""
    replace = _substitution.get()
    return node if replace is None else replace(node)


def is_special() -> bool:
    """Whether anything is active that makes a call more than "compute and record"."""
    return _special > 0


def is_watched() -> bool:
    """Whether somebody wants to know of every call, or values are to be postponed."""
    return _lazy or bool(_observers.get())


def dispatching() -> int:
    """For observers: how many calls of boxes are being carried out, by calls on what these carry."""
    return _dispatching.get()


def is_recording() -> bool:
    """Whether ops on Tensors that require grad are recorded, in this thread, now."""
    return _recording.get()


def is_carrying() -> bool:
    """Whether tangents travel with values, in this thread, now: inside `no_grad` they only do in a transform within."""
    return _carrying.get()


@contextmanager
def carrying():
    """Let tangents travel in this block, for a forward-mode transform."""
    token = _carrying.set(True)
    try:
        with special():
            yield
    finally:
        _carrying.reset(token)


class _Recording(ContextDecorator):
    """Switches recording for a block or a function, in this thread."""

    wanted: bool

    def __init__(self):
        self._entered = []  # a block may be entered within itself

    def __enter__(self):
        _add_special(1)
        self._entered.append((_recording.set(self.wanted), _carrying.set(self.wanted)))
        return self

    def __exit__(self, *exc):
        recording, carrying = self._entered.pop()
        _recording.reset(recording)
        _carrying.reset(carrying)
        _add_special(-1)
        return False

    def _recreate_cm(self):
        return type(self)()


class no_grad(_Recording):
    """Context manager and decorator: what is computed inside has no history.

    >>> x = Tensor([1.0])
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    wanted = False


class enable_grad(_Recording):
    """Context manager and decorator: record again inside a `no_grad`."""

    wanted = True


def lazy_mode() -> bool:
    return _lazy


def set_lazy_mode(wanted: bool) -> None:
    """With lazy mode on, values are computed when they are first asked for."""
    global _lazy
    if bool(wanted) != _lazy:
        _lazy = bool(wanted)
        _add_special(1 if wanted else -1)


class LazyNode(Node):
    """A node whose array is computed when it is first asked for (LAZY_MODE)."""

    __slots__ = ("_data",)

    def __init__(self, op, inputs, requires_grad):
        self.op, self.inputs, self.requires_grad, self._handle, self._data = op, inputs, requires_grad, None, None

    def holds_tuple(self) -> bool:
        return isinstance(self.op, TensorTupleOp)

    @property
    def data(self):
        if self._data is None:
            for node in topological_order([self], into=lambda node: isinstance(node, LazyNode) and node._data is None):
                if isinstance(node, LazyNode) and node._data is None:
                    node._data = _run(node.op, node.inputs)
        return self._data

    @data.setter
    def data(self, data):
        self._data = data
