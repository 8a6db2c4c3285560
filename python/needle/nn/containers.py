"""Modules that hold Modules."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence

from ..graph import Tensor
from ..ops.arithmetic import add
from .module import Module


class Sequential(Module):
    """y = fₙ(… f₂(f₁(x))): one Module after the other.  Has `len`, can be indexed and iterated; without any, y = x."""

    def __init__(self, *modules: Module, device=None, dtype="float32"):
        for i, module in enumerate(modules):
            if not callable(module):
                raise TypeError(
                    f"Sequential takes Modules one by one, argument {i + 1} is a {type(module).__name__}"
                    + ("; unpack it: Sequential(*modules)" if isinstance(module, (list, tuple)) else "")
                )
        self.modules = modules

    def forward(self, x):
        for module in self.modules:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(self.modules)

    def __getitem__(self, index):
        return Sequential(*self.modules[index]) if isinstance(index, slice) else self.modules[index]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules)


class Residual(Module):
    """y = x + fn(x) (He et al. 2015, arXiv:1512.03385).  fn keeps the shape of x."""

    def __init__(self, fn: Module, device=None, dtype="float32"):
        if not callable(fn):
            raise TypeError(f"Residual takes a Module, got {fn!r}")
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        y = self.fn(x)
        if y.shape != x.shape:
            raise ValueError(f"Residual adds x and fn(x), whose shapes must agree; got {x.shape} and {y.shape}")
        return add(x, y)


class ModuleList(Module, MutableSequence):
    """A list of Modules.  It behaves as Python's list; it has no `forward`."""

    def __init__(self, modules: Iterable[Module] = ()):
        self.items = list(modules)

    def __getitem__(self, index):
        return ModuleList(self.items[index]) if isinstance(index, slice) else self.items[index]

    def __setitem__(self, index, module) -> None:
        self.items[index] = module

    def __delitem__(self, index) -> None:
        del self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def insert(self, index: int, module: Module) -> None:
        self.items.insert(index, module)


class ModuleDict(Module, MutableMapping):
    """A dict of Modules.  It behaves as Python's dict; it has no `forward`."""

    def __init__(self, modules: Mapping[str, Module] | Iterable = ()):
        self.items_by_key = dict(modules)

    def __getitem__(self, key: str) -> Module:
        return self.items_by_key[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.items_by_key[key] = module

    def __delitem__(self, key: str) -> None:
        del self.items_by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_by_key)

    def __len__(self) -> int:
        return len(self.items_by_key)

    __hash__ = Module.__hash__  # two dicts of Modules are equal only if they are one
    __eq__ = Module.__eq__
