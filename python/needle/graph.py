"""The graph that a computation leaves behind: nodes, the handles that programs hold on them, and the ops between them.

A `Node` is immutable: the op that made it, the nodes that went in, the array that came out.  Nodes refer only to
nodes, so the graph has no cycles and reference counting frees it.  A `Tensor` is a light handle on a node; it alone
carries `.grad`, and assigning `.data` moves it to a new node while all that was recorded keeps the old one.

An `Op` is mathematics: `compute` takes arrays to an array, `gradient` takes Tensors to Tensors.  Calling an op records
a node when one of its inputs requires grad.  Whatever else can happen at a call (nothing is to be recorded, values are
to be postponed, an input is a box of some transform) is told apart by one test of one global number.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from weakref import ref

import numpy as np

from .device import Device, NDArray, as_device, device_of, to_numpy

_ndarray = np.ndarray


# --------------------------------------------------------------------------------------------------------------------
# Values: the node, and the handles on it


class Value:
    """What nodes and handles answer alike: `op`, `inputs`, `requires_grad`, the array, and whether it is a leaf."""

    __slots__ = ()

    def is_leaf(self) -> bool:
        """True if no op made this value."""
        return self.op is None

    @property
    def cached_data(self) -> NDArray:
        """The live array of this value (not a copy): a write into it is seen by every op that reads the value later."""
        return self.realize_cached_data()

    @staticmethod
    def make_const(data, requires_grad: bool = False) -> "Tensor":
        """A leaf on `data` itself (an array, not copied)."""
        return leaf(plain_array(data), requires_grad)

    @staticmethod
    def make_from_op(op: "Op", inputs: Iterable["Tensor"]) -> "Tensor":
        """The result of calling `op` on `inputs`."""
        return op(*inputs)


class Node(Value):
    """One step of a computation.  Never changed once made, apart from `_handle`, a weak link to the Tensor on it."""

    __slots__ = ("op", "inputs", "data", "requires_grad", "_handle")

    level = 0  # boxes of transforms (jvp, vmap, …) are subclasses with the number of their transform here

    def __init__(self, op, inputs: tuple, data, requires_grad: bool):
        self.op = op
        self.inputs = inputs
        self.data = data
        self.requires_grad = requires_grad
        self._handle = None

    def realize_cached_data(self) -> NDArray:
        data = self.data
        if type(data) is tuple:
            return data
        if isinstance(data, _ndarray) and not data.flags.writeable:  # a broadcast, say: give it memory of its own
            self.data = data = data.copy()
        return data.view(NDArray) if isinstance(data, _ndarray) else data

    def constant(self) -> "Node":
        """The same value with no history."""
        return Node(None, (), self.data, False)

    def is_differentiable(self) -> bool:
        """Whether `backward` passes through here, for certain (the attribute may say so of a node yet to be grown)."""
        return self.requires_grad


class LazyNode(Node):
    """A node whose array is computed when it is first asked for (LAZY_MODE)."""

    __slots__ = ("_data",)

    def __init__(self, op, inputs, requires_grad):
        self.op, self.inputs, self.requires_grad, self._handle, self._data = op, inputs, requires_grad, None, None

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


class Tensor(Value):
    """A multi-dimensional array that remembers how it was computed.

    Args:
        array: numbers (nested lists, a NumPy array, a Tensor, a number for a 0-d Tensor); copied.
        device: where the array is to live; `cpu()` by default, a Tensor's own when `array` is a Tensor.
        dtype: a name or NumPy type; by default what `numpy.array` gives, a Tensor's own when `array` is a Tensor.
        requires_grad: whether `backward` should find the derivative with respect to this Tensor.

    >>> x = Tensor([1.0, 2.0])
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    needle.Tensor([2. 4.])
    """

    __slots__ = ("node", "grad", "_hooks", "__weakref__")

    def __init__(self, array, *, device: Device | None = None, dtype=None, requires_grad: bool = True):
        if isinstance(array, Value):
            source = array.data if isinstance(array, Node) else array.node.data
            device = as_device(device if device is not None else device_of(source))
            array = source
        else:
            device = as_device(device)
        data = numeric_array(device, array, dtype)
        self.node = node = Node(None, (), data, bool(requires_grad))
        self.grad = None
        node._handle = ref(self)

    # What the node knows

    @property
    def op(self) -> "Op | None":
        """The op that made this value; None for a leaf."""
        return self.node.op

    @property
    def inputs(self) -> "list[Tensor]":
        """The values that went into `op`, as handles."""
        return [handle(node) for node in self.node.inputs]

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` passes through here."""
        return self.node.is_differentiable()

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if bool(wanted) != self.requires_grad:
            if self.node.op is not None:
                raise RuntimeError(
                    "requires_grad can only be set on a leaf, and this Tensor was computed by "
                    f"{type(self.node.op).__name__}; use .detach() for a constant copy"
                )
            self._move(Node(None, (), self.node.data, bool(wanted)))

    def realize_cached_data(self) -> NDArray:
        """The live array of this value; computed now if it was postponed."""
        return self.node.realize_cached_data()

    def needs(self, index: int) -> bool:
        """For rules: whether the gradient with respect to input `index` is asked for.  True when called by hand."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.node.data.dtype

    @property
    def ndim(self) -> int:
        return self.node.data.ndim

    @property
    def size(self) -> int:
        return self.node.data.size

    @property
    def device(self) -> Device:
        return device_of(self.node.data)

    def numpy(self) -> np.ndarray:
        """An independent copy of the value as a plain NumPy array."""
        return np.array(to_numpy(self.node.data))

    # Values without history, and new values for the same handle

    def detach(self) -> "Tensor":
        """The same value (sharing memory) as a constant: no derivative flows through it."""
        return _new_handle(self.node.constant())

    @property
    def data(self) -> "Tensor":
        """Reads as `detach()`.  Assigning a Tensor of the same dtype gives this Tensor a new value; what was recorded
        with the old one keeps it."""
        return self.detach()

    @data.setter
    def data(self, value: "Tensor") -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be assigned a Tensor, got {_kind(value)}; write x.data = needle.Tensor(value)")
        if value.dtype != self.dtype:
            raise TypeError(
                f"data must keep its dtype: this Tensor is {self.dtype}, the new value is {value.dtype}; "
                f'convert it first, e.g. value.astype("{self.dtype}")'
            )
        self._move(Node(None, (), value.node.data, self.node.requires_grad))

    def _move(self, node: Node) -> None:
        """Point this handle to another node.  The old node keeps its link, so that `backward` through it finds `.grad`."""
        self.node = node
        node._handle = ref(self)

    # Leaving and entering a process

    def __reduce__(self):
        return _rebuild, (type(self), self.numpy(), self.requires_grad)

    def __deepcopy__(self, memo):
        return _rebuild(type(self), self.node.data, self.requires_grad)

    def __copy__(self):
        return _rebuild(type(self), self.node.data, self.requires_grad)

    # How it looks

    def __repr__(self) -> str:
        return f"needle.{type(self).__name__}({self.node.data})"

    def __str__(self) -> str:
        return str(self.node.data)

    __hash__ = object.__hash__


def _rebuild(kind: type, data, requires_grad: bool) -> Tensor:
    """A leaf of class `kind` (Tensor, Parameter, …) with a copy of `data`: Tensors copy and pickle as leaves."""
    tensor = object.__new__(kind)
    tensor.node = node = Node(None, (), data.copy(), requires_grad)
    tensor.grad = None
    node._handle = ref(tensor)
    return tensor


class TensorTuple(Value):
    """Several values made by one op (`split`, say): has `len`, can be indexed, iterated, added to another."""

    __slots__ = ("node", "grad", "__weakref__")

    op = Tensor.op
    inputs = Tensor.inputs
    requires_grad = property(Tensor.requires_grad.fget)
    realize_cached_data = Tensor.realize_cached_data
    needs = Tensor.needs

    def __len__(self) -> int:
        return len(self.node.data)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for a TensorTuple of {size}")
        return TupleGetItem(index % size)(self)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def tuple(self) -> tuple:
        """The values as a Python tuple of Tensors."""
        return tuple(self)

    def detach(self) -> "TensorTuple":
        """The same values as constants."""
        return _new_handle(self.node.constant())

    def numpy(self) -> tuple:
        """Independent copies of the values, as a tuple of NumPy arrays."""
        return tuple(item.numpy() for item in self)

    def __add__(self, other):
        if not isinstance(other, TensorTuple) or len(self) != len(other):
            raise TypeError(f"a TensorTuple of {len(self)} can be added to another of that length, got {_kind(other)}")
        return MakeTensorTuple()(*(a + b for a, b in zip(self, other, strict=True)))

    def __repr__(self) -> str:
        return f"needle.TensorTuple{tuple(self)}"

    __str__ = __repr__
    __hash__ = object.__hash__


def _new_handle(node: Node):
    new = object.__new__(TensorTuple if type(node.data) is tuple else Tensor)
    new.node = node
    new.grad = None
    return new


def handle(node: Node):
    """The Tensor on `node`: the one that the program holds, or a new one (the same for as long as somebody holds it)."""
    link = node._handle
    if link is not None:
        tensor = link()
        if tensor is not None and tensor.node is node:
            return tensor
    tensor = _new_handle(node)
    if link is None or link() is None:
        node._handle = ref(tensor)
    return tensor


def leaf(data, requires_grad: bool = False) -> Tensor:
    """A Tensor on a raw array, which it shares."""
    tensor = object.__new__(Tensor)
    tensor.node = node = Node(None, (), data, requires_grad)
    tensor.grad = None
    node._handle = ref(tensor)
    return tensor


def plain_array(data):
    """A raw array of exactly the base type: no subclass, no NumPy scalar, no copy where none is needed."""
    if type(data) is _ndarray:
        return data
    if isinstance(data, _ndarray):
        return data.view(_ndarray)
    if hasattr(data, "__array_function__") and hasattr(data, "dtype"):  # an array of another device
        return data
    return np.asarray(data)


def numeric_array(device: Device, data, dtype):
    """A copy of `data` on `device`, or an error if it is not made of numbers."""
    if isinstance(data, (list, tuple)):
        _refuse_tensors_within(data)
    array = device.array(data, dtype=dtype)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"a Tensor holds numbers, got {_kind(data)} that NumPy reads as dtype {array.dtype}")
    return array


def _refuse_tensors_within(items) -> None:
    stack = list(items)
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple)):
            stack.extend(item)
        elif isinstance(item, Value):
            raise TypeError(
                "a list that holds Tensors would lose their derivatives; use needle.stack(list, axis=0) to join them"
            )


def _kind(value) -> str:
    """How an error names what came."""
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


# --------------------------------------------------------------------------------------------------------------------
# Ops


class Op:
    """A mathematical operation.  `compute` and `gradient` are the whole contract; all else follows from them."""

    __slots__ = ()

    differentiable = True  # False for what is piecewise constant: its result is a constant, whatever goes in

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
        grads = as_tuple(self.gradient(out_grad, node))
        return tuple(
            g if g is None or isinstance(g, TensorTuple) or g.shape == x.shape else self.fit(g, x.shape)
            for g, x in zip(grads, node.inputs, strict=True)
        )

    def fit(self, grad, shape):
        """Bring a partial adjoint of another shape to that of its input.  Kinds of ops that broadcast sum it back; here
        it is an error."""
        raise ValueError(
            f"{type(self).__name__}.gradient gave an adjoint of shape {grad.shape} for an input of shape {shape}; "
            "was a broadcast axis not summed back, or a transpose forgotten?"
        )

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
        try:
            if len(args) == 2:
                a, b = args
                inputs = (a.node, b.node)
            elif len(args) == 1:
                inputs = (args[0].node,)
            else:
                inputs = tuple([arg.node for arg in args])
        except AttributeError:
            inputs = _admit(self, args)
        if _special:
            return _new_linked_handle(_special_call(self, inputs))
        try:
            if len(inputs) == 2:
                a, b = inputs
                data = self.compute(a.data, b.data)
                requires_grad = a.requires_grad or b.requires_grad
            elif len(inputs) == 1:
                (a,) = inputs
                data = self.compute(a.data)
                requires_grad = a.requires_grad
            else:
                data = self.compute(*[node.data for node in inputs])
                requires_grad = any([node.requires_grad for node in inputs])
        except Exception as error:
            raise explain(self, inputs, error) from error
        if type(data) is not _ndarray:
            data = plain_array(data)
        tensor = _new(Tensor)
        tensor.grad = None
        if requires_grad and self.differentiable:
            tensor.node = node = Node(self, inputs, data, True)
            node._handle = ref(tensor)
        else:
            tensor.node = Node(None, (), data, False)
        return tensor


_new = object.__new__


class TensorTupleOp(Op):
    """An op with several Tensors as its result: `compute` returns a tuple of arrays."""

    __slots__ = ()

    def __call__(self, *args) -> TensorTuple:
        try:
            inputs = tuple([arg.node for arg in args])
        except AttributeError:
            inputs = _admit(self, args)
        if _special:
            return _new_linked_handle(_special_call(self, inputs))
        return _new_linked_handle(_record(self, inputs, any([node.requires_grad for node in inputs])))


def _new_linked_handle(node: Node):
    new = _new_handle(node)
    if node.requires_grad:
        node._handle = ref(new)
    return new


def _run(op: Op, inputs: tuple):
    """The value of `op` on the values of `inputs`: a plain array, or a tuple of them."""
    try:
        data = op.compute(*[node.data for node in inputs])
    except Exception as error:
        raise explain(op, inputs, error) from error
    if isinstance(op, TensorTupleOp):
        return tuple([plain_array(item) for item in data])
    return plain_array(data)


def _record(op: Op, inputs: tuple, requires_grad: bool) -> Node:
    data = _run(op, inputs)
    return Node(op, inputs, data, True) if requires_grad else Node(None, (), data, False)


def _admit(op: Op, args) -> tuple:
    """Nodes for arguments that are not all Tensors: arrays and numbers become constants, the rest is refused."""
    nodes = []
    for position, arg in enumerate(args):
        if isinstance(arg, Value):
            nodes.append(arg if isinstance(arg, Node) else arg.node)
        elif isinstance(arg, (_ndarray, np.generic, int, float, complex)) and np.asarray(arg).dtype.kind in "biufc":
            nodes.append(Node(None, (), plain_array(arg), False))
        else:
            raise TypeError(
                f"{type(op).__name__} takes Tensors, but argument {position + 1} is {_kind(arg)}; "
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
    kind = type(error) if type(error) in _EXPLAINED else RuntimeError
    return kind(f"{type(op).__name__} on {came}: {error}")


_EXPLAINED = {ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError, MemoryError, FloatingPointError}
_EXPLAINED |= {np.exceptions.AxisError, np.linalg.LinAlgError, NotImplementedError, AttributeError, KeyError}


def as_tuple(result) -> tuple:
    """What a rule returned, as a tuple with one entry an input."""
    if type(result) is tuple:
        return result
    return tuple(result) if isinstance(result, list) else (result,)


class MakeTensorTuple(TensorTupleOp):
    """(x₁, …, xₙ) as one value."""

    __slots__ = ()

    def compute(self, *arrays):
        return arrays

    def gradient(self, out_grad, node):
        return tuple(out_grad)


class TupleGetItem(TensorOp):
    """Entry `index` of a TensorTuple."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index

    def __call__(self, value: TensorTuple) -> Tensor:
        if not isinstance(value, TensorTuple):
            raise TypeError(f"TupleGetItem takes a TensorTuple, got {_kind(value)}")
        return super().__call__(value)

    def compute(self, arrays):
        return arrays[self.index]

    def gradient(self, out_grad, node):
        arrays = node.inputs[0].node.data
        zero = [leaf(np.zeros_like(array)) for array in arrays]
        zero[self.index] = out_grad
        return MakeTensorTuple()(*zero)


# --------------------------------------------------------------------------------------------------------------------
# What can be special at a call


_special = 0  # how many things are active, in any thread, that make a call more than "compute and record"
_special_lock = threading.Lock()
_recording: ContextVar[bool] = ContextVar("recording", default=True)
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


def _special_call(op: Op, inputs: tuple) -> Node:
    level = max((node.level for node in inputs), default=0)
    if level:
        box = next(node for node in inputs if node.level == level)
        return box.call(op, inputs)
    requires_grad = op.differentiable and _recording.get() and any([node.requires_grad for node in inputs])
    if _lazy:
        return LazyNode(op, inputs, requires_grad)
    return _record(op, inputs, requires_grad)


def is_recording() -> bool:
    """Whether ops on Tensors that require grad are recorded, in this thread, now."""
    return _recording.get()


class _Recording(ContextDecorator):
    """Switches recording for a block or a function, in this thread."""

    wanted: bool

    def __enter__(self):
        _add_special(1)
        self._token = _recording.set(self.wanted)
        return self

    def __exit__(self, *exc):
        _recording.reset(self._token)
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


# --------------------------------------------------------------------------------------------------------------------
# The order of the graph


def topological_order(outputs: Iterable[Node], into=None) -> list[Node]:
    """Every node that `outputs` depend on, inputs before what uses them.

    This is the post-order of a depth-first search over `inputs` from left to right, each node once, without recursion
    (depth is data).  `into(node)` says whether to enter an input; all are entered by default.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = list(outputs)[::-1]
    while stack:
        node = stack.pop()
        if node is None:  # all inputs of the node below are done
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            inputs = node.inputs
            if inputs:
                stack.append(node)
                stack.append(None)
                for child in reversed(inputs):
                    if child not in seen and (into is None or into(child)):
                        stack.append(child)
            else:
                order.append(node)
    return order
