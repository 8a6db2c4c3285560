"""Parameter and Module: what a net consists of, and how its parts are found, named, saved and shown.

A Module's parts are whatever its attributes hold: Parameters, Tensors, Modules, and lists, tuples and dicts of them at
any depth.  Nothing is registered.  One walk, `_parts`, finds them in the order of `__dict__`, each once.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..device import Device, as_device, as_dtype, to_numpy
from ..graph import Node, Tensor, leaf, plain_array


class Parameter(Tensor):
    """A Tensor that a Module learns: `parameters()` finds it.  Made from anything that makes a Tensor (copied).

    >>> Parameter([1.0, 2.0]).requires_grad
    True
    """

    __slots__ = ()


class Module:
    """A part of a net: parameters, and a `forward` that says what is computed with them.

    Subclasses set Parameters and Modules as attributes, directly or in lists, tuples and dicts, and define `forward`.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter([2.0])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(Tensor([3.0]))
    needle.Tensor([6.])
    """

    training: bool = True

    def __init__(self, device=None, dtype="float32"):
        """Every Module takes a device and a dtype, those without parameters as well: for them they decide nothing."""

    def forward(self, *args, **kwargs):
        """What calling the Module computes."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(...)")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    # The parts

    def parameters(self) -> list[Parameter]:
        """Every Parameter inside, in the order of the attributes; a shared one once."""
        return [part for _, part in _parts(self) if isinstance(part, Parameter)]

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, Parameter) pairs; a name is the path of attributes, indices and keys, like "layers.0.weight"."""
        return ((name, part) for name, part in _parts(self) if isinstance(part, Parameter))

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """(name, Tensor) pairs of the Tensors inside that are state but no Parameters: running statistics, say.

        A Tensor that an op computed is no state, nor is one under an attribute whose name begins with an underscore.
        """
        return ((name, part) for name, part in _parts(self) if isinstance(part, Tensor) and _is_buffer(name, part))

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """(name, Module) pairs of this Module (named "") and all inside it, each once."""
        return ((name, part) for name, part in _parts(self) if isinstance(part, Module))

    def _children(self) -> "list[Module]":
        """The Modules inside, at every depth, without this one."""
        return [module for _, module in self.named_modules()][1:]

    # Switching all parts over

    def train(self, mode: bool = True) -> "Module":
        """Switch this Module and all inside it to training (Dropout drops, BatchNorm uses the batch); returns it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Switch this Module and all inside it to evaluation; returns it."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Let all Parameters be learned, or freeze them (and forget their `.grad`, so that no optimizer moves them)."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
            if not requires_grad:
                parameter.grad = None
        return self

    def to(self, dtype=None, *, device: Device | None = None) -> "Module":
        """Convert floating Parameters and buffers to `dtype`, and move all to `device`, in place; returns the Module.

        What they are afterwards has no `.grad`: make an optimizer after the conversion, not before.
        """
        if dtype is not None and as_dtype(dtype).kind not in "fc":
            raise TypeError(f"a Module can be converted to a floating dtype, got {np.dtype(dtype)}")
        for _, tensor in self._state():
            data = tensor.node.data
            wanted = dtype if dtype is not None and data.dtype.kind in "fc" else data.dtype
            home = tensor.device if device is None else as_device(device)
            tensor._move(Node(None, (), home.array(data, dtype=wanted), tensor.requires_grad))
            tensor.grad = None
        return self

    def apply(self, function: Callable[["Module"], object]) -> "Module":
        """Call `function` on every Module inside and then on this one (to draw weights anew, say); returns it."""
        for _, module in reversed(list(self.named_modules())):
            function(module)
        return self

    # Saving and loading

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for name, part in _parts(self):
            if isinstance(part, Parameter) or (isinstance(part, Tensor) and _is_buffer(name, part)):
                yield name, part

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the values of all Parameters and buffers, by name."""
        return {name: tensor.numpy() for name, tensor in self._state()}

    def load_state_dict(self, state: Mapping) -> None:
        """Take over the values (arrays or Tensors) that `state_dict` of a Module of the same structure gave.

        Raises KeyError if names are missing or unknown, ValueError for another shape, TypeError for another dtype.
        Nothing has changed when it raises.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict takes what state_dict gave, a dict of arrays, got {type(state).__name__}")
        own = dict(self._state())
        missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unexpected:
            raise KeyError(
                f"the state does not fit this {type(self).__name__}: "
                + "; ".join(
                    f"{word} {', '.join(sorted(map(str, names)))}"
                    for word, names in (("missing", missing), ("unexpected", unexpected))
                    if names
                )
            )
        values = {}
        for name, tensor in own.items():
            value = state[name]
            value = plain_array(value.node.data if isinstance(value, Tensor) else value)
            if value.shape != tensor.shape:
                raise ValueError(f"{name} has shape {tensor.shape} here, but {value.shape} in the state")
            if value.dtype != tensor.dtype:
                raise TypeError(
                    f"{name} is {tensor.dtype} here, but {value.dtype} in the state; "
                    f'convert the Module first: module.to("{value.dtype}")'
                )
            values[name] = tensor.device.array(to_numpy(value))
        for name, tensor in own.items():
            tensor.data = leaf(values[name])

    # How it looks

    def extra_repr(self) -> str:
        """The arguments that `repr` shows; subclasses say which."""
        return ""

    def __repr__(self) -> str:
        lines: list[str] = []
        shown: set[int] = set()
        stack: list[tuple[str, str, Module | None]] = [("", "", self)]
        while stack:  # a stack and not recursion: nets may be deep, and may hold themselves
            indent, name, module = stack.pop()
            if module is None:
                lines.append(f"{indent})")
                continue
            label = f"{indent}({name}): " if name else indent
            if id(module) in shown:
                lines.append(f"{label}{type(module).__name__}(…)  # shown above")
                continue
            shown.add(id(module))
            children = _direct_children(module)
            count = sum(parameter.size for parameter in module.parameters())
            comment = f"  # {count:,} parameters" if count else ""
            if children:
                lines.append(f"{label}{type(module).__name__}({module.extra_repr()}{comment}")
                stack.append((indent, "", None))
                stack.extend((indent + "  ", name, child) for name, child in reversed(children))
            else:
                lines.append(f"{label}{signature(module)}{comment}")
        return "\n".join(lines)


def signature(module: Module) -> str:
    """How errors and `repr` name a Module: its class and arguments, like "Linear(784, 10)"."""
    return f"{type(module).__name__}({module.extra_repr()})"


# --------------------------------------------------------------------------------------------------------------------
# Finding the parts


def _items(holder) -> list:
    """(name, value) pairs of what a Module, list, tuple or dict holds itself."""
    if isinstance(holder, Module):
        return list(vars(holder).items())
    if isinstance(holder, dict):
        return list(holder.items())
    return list(enumerate(holder))


_HOLDERS = (Module, list, tuple, dict)


def _parts(root: Module) -> Iterator[tuple[str, object]]:
    """(name, part) of every Module and Tensor in `root`, itself first: depth first, in order, each once."""
    seen = set()
    stack: list[tuple[str, object]] = [("", root)]
    while stack:
        path, value = stack.pop()
        holds = isinstance(value, _HOLDERS)
        if not (holds or isinstance(value, Tensor)) or id(value) in seen:
            continue
        seen.add(id(value))
        if not holds or isinstance(value, Module):
            yield path, value
        if holds:
            prefix = f"{path}." if path else ""
            stack.extend((f"{prefix}{name}", item) for name, item in reversed(_items(value)))


def _is_buffer(name: str, tensor: Tensor) -> bool:
    return (
        not isinstance(tensor, Parameter)
        and tensor.node.op is None
        and not any(part.startswith("_") for part in name.split("."))
    )


def _direct_children(module: Module) -> list[tuple[str, Module]]:
    """(name, Module) of the Modules between which and `module` no other Module stands."""
    found, seen = [], set()
    stack = list(reversed(_items(module)))
    while stack:
        path, value = stack.pop()
        if isinstance(value, Module):
            found.append((str(path), value))
        elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
            seen.add(id(value))
            stack.extend((f"{path}.{name}", item) for name, item in reversed(_items(value)))
    return found
