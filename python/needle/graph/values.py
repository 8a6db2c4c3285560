"""Nodes, and the handles that programs hold on them.

A `Node` is immutable: the op that made it, the nodes that went in, the array that came out.  Nodes refer only to
nodes, so the graph has no cycles and reference counting frees it.  A `Tensor` is a light handle on a node; it alone
carries `.grad`, and assigning `.data` moves it to a new node while all that was recorded keeps the old one.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from ..device import Device, NDArray, as_device, as_dtype, device_of, to_numpy
from .tracing import tracing

_ndarray = np.ndarray
_new = object.__new__  # on the hot path slots are set one by one: a call of __init__ would cost as much again


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
    def make_from_op(op, inputs: Iterable["Tensor"]) -> "Tensor":
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

    def detached(self) -> "Node":
        """The same value with no derivative of any kind."""
        return Node(None, (), self.data, False)

    def followed(self, identity) -> "Node":
        """The same value as a node of its own, to differentiate with respect to.  An outer derivative flows on through
        it, by way of the op `identity`."""
        return Node(identity, (self,), self.data, True) if self.requires_grad else Node(None, (), self.data, True)

    def holds_tuple(self) -> bool:
        """Whether the value is a tuple of arrays, and its handle a TensorTuple."""
        return type(self.data) is tuple

    def is_differentiable(self) -> bool:
        """Whether `backward` passes through here, for certain (the attribute may say so of a node yet to be grown)."""
        return self.requires_grad


class WeakNode(Node):
    """A Python number inside a transform: as the number itself would, it takes the dtype of what it meets."""

    __slots__ = ()

    def constant(self) -> "Node":
        return WeakNode(None, (), self.data, False)

    detached = constant

    def followed(self, identity) -> "Node":
        op, inputs = (identity, (self,)) if self.requires_grad else (None, ())
        return WeakNode(op, inputs, self.data, True)


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
        if isinstance(array, TensorTuple):
            raise TypeError("a TensorTuple holds several arrays; take one with [index], or join them with needle.stack")
        if isinstance(array, Value):
            source = array.data if isinstance(array, Node) else array.node.data
            device = as_device(device if device is not None else device_of(source))
            array = source
        else:
            device = as_device(device)
        data = numeric_array(device, array, dtype)
        self.node = node = Node(None, (), data, bool(requires_grad))
        self.grad: Tensor | None = None
        node._handle = ref(self)

    # What the node knows

    @property
    def op(self):
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

    @property
    def cached_data(self) -> NDArray:
        """The live array.  Assigning another array gives this Tensor a new value, as assigning `.data` does."""
        return self.realize_cached_data()

    @cached_data.setter
    def cached_data(self, array) -> None:
        array = plain_array(array)
        if array.shape == self.shape and np.shares_memory(array, self.node.data):
            return  # `x.cached_data -= y` has written into it already, and now hands it back
        self._move(Node(None, (), array, self.node.requires_grad))

    def needs(self, index: int) -> bool:
        """For rules: whether the gradient with respect to input `index` is asked for.  True when called by hand."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; () for a number."""
        return self.node.data.shape

    @property
    def dtype(self) -> np.dtype:
        """What the elements are: `x.dtype == "float32"`, say."""
        return self.node.data.dtype

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self.node.data.ndim

    @property
    def size(self) -> int:
        """How many elements there are."""
        return self.node.data.size

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.node.data)

    def numpy(self) -> np.ndarray:
        """An independent copy of the value as a plain NumPy array."""
        return np.array(to_numpy(self.node.data))

    # Values without history, and new values for the same handle

    def detach(self) -> "Tensor":
        """The same value (sharing memory) as a constant: no derivative flows through it."""
        node = self.node.detached()
        if type(node) is Node:
            node.data = node.data.view()  # so that assigning into it can be told from assigning into this Tensor
        return new_handle(node)

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
        node = value.node.detached()
        if node.level > self.node.level:
            raise TypeError(
                f"a value from inside {node.frame.name}, which is another one for each example, cannot be stored in a "
                "Tensor outside; return it from the function (or switch what keeps statistics to .eval())"
            )
        node.requires_grad = self.node.requires_grad
        self._move(node)

    def _move(self, node: Node) -> None:
        """Point this handle to another node.  The old one keeps its link: `backward` through it still finds `.grad`."""
        self.node = node
        node._handle = ref(self)

    # Leaving and entering a process

    def __reduce__(self):
        attributes = getattr(self, "__dict__", None)  # of a subclass: a Parameter's name, say
        return _rebuild, (type(self), self.numpy(), self.requires_grad), attributes or None

    def __deepcopy__(self, memo):
        twin = self.__copy__()
        if hasattr(twin, "__dict__"):
            twin.__dict__ = copy.deepcopy(twin.__dict__, memo)
        return twin

    def __copy__(self):
        twin = _rebuild(type(self), self.node.data, self.requires_grad)
        if hasattr(twin, "__dict__"):
            twin.__dict__.update(self.__dict__)
        return twin

    # How it looks

    def __repr__(self) -> str:
        return f"needle.{type(self).__name__}({self.node.data})"

    def __str__(self) -> str:
        return str(self.node.data)

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # what operators.py attaches, for type checkers, which cannot see it there

        def _binary(self, other: Any) -> "Tensor": ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _binary
        __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __lt__ = __le__ = __gt__ = __ge__ = _binary

        def __eq__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __ne__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __neg__(self) -> "Tensor": ...
        def __pos__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __iter__(self) -> Iterator["Tensor"]: ...
        def __len__(self) -> int: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def __index__(self) -> int: ...
        def __bool__(self) -> bool: ...
        def __getattr__(self, name: str) -> Any: ...  # the methods, which have NumPy's names

        def backward(
            self, out_grad: "Tensor | None" = None, *, accumulate: bool = False, create_graph: bool | None = None
        ) -> None: ...


def _rebuild(kind: type, data, requires_grad: bool) -> Tensor:
    """A leaf of class `kind` (Tensor, Parameter, …) with a copy of `data`: Tensors copy and pickle as leaves."""
    tensor = _new(kind)
    data = tuple(array.copy() for array in data) if type(data) is tuple else data.copy()
    tensor.node = node = Node(None, (), data, requires_grad)
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
    __reduce__, __deepcopy__, __copy__ = Tensor.__reduce__, Tensor.__deepcopy__, Tensor.__copy__

    def __len__(self) -> int:
        return len(self.node.data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def tuple(self) -> tuple:
        """The values as a Python tuple of Tensors."""
        return tuple(self)

    def detach(self) -> "TensorTuple":
        """The same values as constants."""
        return new_handle(self.node.detached())

    def numpy(self) -> tuple:
        """Independent copies of the values, as a tuple of NumPy arrays."""
        return tuple(item.numpy() for item in self)

    def __repr__(self) -> str:
        return f"needle.TensorTuple{tuple(self)}"

    __str__ = __repr__
    __hash__ = object.__hash__


def new_handle(node: Node):
    """A Tensor (or TensorTuple) on `node` that the node does not know of."""
    new = _new(TensorTuple if node.holds_tuple() else Tensor)
    new.node = node
    new.grad = None
    return new


def constant(array) -> Tensor:
    """A Tensor on a raw array, which it shares: a constant that no graph need find again."""
    tensor = _new(Tensor)  # written out, since rules and walks make many
    tensor.grad = None
    tensor.node = node = _new(Node)
    node.op = node._handle = None
    node.inputs = ()
    node.data = array
    node.requires_grad = False
    return tensor


def linked_handle(node: Node):
    """A new Tensor (or TensorTuple) on `node`, to which the node keeps a weak link."""
    new = new_handle(node)
    node._handle = ref(new)
    return new


def handle(node: Node):
    """The Tensor on `node`: the one that the program holds, or a new one, the same while somebody holds it."""
    link = node._handle
    if link is not None:
        tensor = link()
        if tensor is not None and tensor.node is node:
            return tensor
    return linked_handle(node) if link is None or link() is None else new_handle(node)


def leaf(data, requires_grad: bool = False) -> Tensor:
    """A Tensor on a raw array, which it shares."""
    return linked_handle(Node(None, (), data, requires_grad))


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
    if tracing() is not None and not isinstance(data, _ndarray) and hasattr(data, "__array_function__"):
        return data.astype(data.dtype if dtype is None else as_dtype(dtype))  # an array that a trace follows
    try:
        array = device.array(data, dtype=dtype)
    except ValueError as error:
        if isinstance(data, (list, tuple)) and "inhomogeneous" in str(error):
            raise ValueError("a Tensor needs rows of equal length, got a list whose rows differ in length") from None
        raise
    except TypeError:
        as_dtype(dtype)  # if that is what is wrong, it says so better
        raise
    if array.dtype.kind not in "biufc" and dtype is not None:
        as_dtype(dtype)
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
