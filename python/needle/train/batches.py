"""What `fit`, `evaluate` and `predict` take as data, as batches of Tensors."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..data import DataLoader, NDArrayDataset
from ..graph import Tensor

BATCH_SIZE = 32


def as_loader(data: Any, caller: str, *, batch_size: int | None = None, shuffle: bool = False) -> Iterable[Any]:
    """A loader as it is; a DataLoader for a dataset, or for the arrays (X, y, …)."""
    is_arrays = isinstance(data, tuple | list) and any(isinstance(item, np.ndarray | Tensor) for item in data)
    if is_arrays:
        data = NDArrayDataset(*data)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, np.ndarray | Tensor):
        if len(data) == 0:
            raise ValueError(f"{caller} got data without examples")
        return DataLoader(data, BATCH_SIZE if batch_size is None else batch_size, shuffle=shuffle)
    if not hasattr(data, "__iter__") or hasattr(data, "__next__") or isinstance(data, np.ndarray | Tensor):
        raise TypeError(
            f"{caller} takes a DataLoader, a dataset or arrays (X, y), got {type(data).__name__}"
            + ("; an iterator can be gone through only once" if hasattr(data, "__next__") else "")
        )
    if batch_size is not None:
        raise ValueError(f"batch_size={batch_size} is for arrays and datasets; this {type(data).__name__} has its own")
    return data


def inputs_and_target(batch: Any, caller: str) -> tuple[tuple[Tensor, ...], Tensor]:
    """The fields of a batch: the last is the target, those before it are what the model is called with."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        came = f"{len(batch)} field(s)" if isinstance(batch, tuple | list) else f"a {type(batch).__name__}"
        raise ValueError(f"{caller} needs batches of inputs and a target, like (X, y); got {came}")
    *inputs, target = (as_tensor(field) for field in batch)
    return tuple(inputs), target


def as_tensor(field: Any) -> Tensor:
    return field if isinstance(field, Tensor) else Tensor(field, requires_grad=False)


def length(loader: Any) -> int | None:
    """How many batches there are, where the loader knows."""
    return len(loader) if hasattr(loader, "__len__") else None
