"""DataLoader: batches of Tensors, in order or shuffled, that can stop and go on in the middle of an epoch."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..device import Device
from ..graph import Tensor
from ..init import Generator
from .datasets import Dataset, as_generator, take


class Batch(tuple):
    """The fields of one batch, a tuple of Tensors.

    Two batches are equal if they hold the very same Tensors: Tensors compare elementwise, and a tuple of such answers
    has no truth of its own.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and len(self) == len(other) and all(map(operator.is_, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class DataLoader:
    """The examples of a dataset in batches; each `for` over it is one epoch.

    A batch is a tuple of Tensors, one for each field of an example, stacked on a new leading axis (of length 1 at batch
    size 1); they keep the fields' dtypes and do not require grad.

    Args:
        dataset: anything with a length whose `dataset[i]` is a tuple of arrays and numbers, or just one of them.
        batch_size: examples a batch; the last batch of an epoch may hold fewer.
        shuffle: whether to draw a new order at the start of each epoch.
        drop_last: whether to leave out a last batch that is not full.
        seed: of the shuffled orders: an integer, or a `needle.Generator` to draw them from.  Without one, each
            `iter(loader)` makes one draw from NumPy's global random state.
        device: of the Tensors.

    Raises:
        TypeError: the dataset has no length or no index, batch_size is no integer, or seed is none of the above.
        ValueError: batch_size < 1.

    >>> import numpy as np
    >>> from needle.data import DataLoader, NDArrayDataset
    >>> loader = DataLoader(NDArrayDataset(np.arange(5), np.arange(5) ** 2), batch_size=2)
    >>> for x, y in loader:
    ...     print(x.numpy(), y.numpy())
    [0 1] [0 1]
    [2 3] [4 9]
    [4] [16]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int | Generator | None = None,
        device: Device | None = None,
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"DataLoader needs a dataset with __len__ and __getitem__; got {type(dataset).__name__}")
        if not isinstance(batch_size, int | np.integer):
            raise TypeError(f"DataLoader needs an integer batch_size; got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"DataLoader needs batch_size >= 1; got {batch_size}")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.device = device
        self.generator = as_generator(seed)
        self._progress = Progress()  # of the epoch begun last
        self._resumes = False  # whether the next iter() goes on with that epoch

    def __repr__(self) -> str:
        data = repr(self.dataset) if isinstance(self.dataset, Dataset) else type(self.dataset).__name__
        options = [f"batch_size={self.batch_size}"]
        options += [f"{name}=True" for name in ("shuffle", "drop_last") if getattr(self, name)]
        return f"DataLoader({data}, {', '.join(options)})"

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if not self._resumes:
            self._progress = Progress(self._draw_order())
        self._resumes = False
        return self._batches(self._progress)

    def _batches(self, progress: "Progress") -> Iterator[tuple[Tensor, ...]]:
        order, least = progress.order, self.batch_size if self.drop_last else 1
        while len(indices := order[progress.position : progress.position + self.batch_size]) >= least:
            fields = take(self.dataset, indices)
            progress.position += len(indices)
            yield Batch(Tensor(field, device=self.device, requires_grad=False) for field in fields)
        progress.order, progress.position = NO_ORDER, 0

    def _draw_order(self) -> np.ndarray:
        n = len(self.dataset)
        if self.shuffle and self.generator is not None:
            return self.generator.permutation(n)
        order = np.arange(n)
        if self.shuffle:
            np.random.shuffle(order)
        return order

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, between two batches:

        - `"order"`: int64 array, the order of examples in the epoch that was begun last; empty once that has ended,
        - `"position"`: int, how many examples of it were handed out,
        - `"generator"`: the `state_dict()` of the loader's own generator; None without `seed`: orders to come are then
          drawn from NumPy's global random state, which whoever saves a training run saves too.

        >>> import numpy as np
        >>> from needle.data import DataLoader, NDArrayDataset
        >>> def make_loader():
        ...     return DataLoader(NDArrayDataset(np.arange(6)), batch_size=2, shuffle=True, seed=0)
        >>> loader = make_loader()
        >>> epoch = iter(loader)
        >>> first = next(epoch)
        >>> again = make_loader()
        >>> again.load_state_dict(loader.state_dict())
        >>> [x.numpy().tolist() for (x,) in again] == [x.numpy().tolist() for (x,) in epoch]
        True
        """
        return {
            "order": self._progress.order.copy(),
            "position": self._progress.position,
            "generator": None if self.generator is None else self.generator.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict()` was taken: the next `iter(loader)` hands out the rest of that epoch, the one after
        it begins a new epoch.

        Raises:
            ValueError: the state is of a dataset of another length, or only one of the two loaders has a seed.
        """
        order, position = np.asarray(state["order"], dtype=np.int64), int(state["position"])
        if len(order) not in (0, len(self.dataset)):
            raise ValueError(f"the state is of {len(order)} examples; this loader's dataset has {len(self.dataset)}")
        if (state["generator"] is None) != (self.generator is None):
            then, now = ("without", "with") if state["generator"] is None else ("with", "without")
            raise ValueError(f"the state is of a DataLoader {then} seed=, this one was made {now} it: make both alike")
        if self.generator is not None:
            self.generator.load_state_dict(state["generator"])
        self._progress, self._resumes = Progress(order, position), len(order) > 0


NO_ORDER = np.empty(0, np.int64)


@dataclass
class Progress:
    """How far an epoch has come: `position` examples of `order` were handed out.  Without an order there is none."""

    order: np.ndarray = field(default_factory=lambda: NO_ORDER)
    position: int = 0
