"""What a dataset is, datasets from arrays, and parts of datasets."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..graph import Tensor
from ..init import Generator

Transforms = Sequence[Callable[[np.ndarray], np.ndarray]]


class Dataset:
    """A collection of examples: `len(dataset)` of them, `dataset[i]` is one, a tuple of its fields.

    A subclass defines `__getitem__` and `__len__`, and may run its images through `apply_transforms`.  A `DataLoader`
    takes anything else that has the two as well: a list of tuples, say.

    Args:
        transforms: functions from image (H, W, C) to image (H, W, C), applied one after the other.
    """

    def __init__(self, transforms: Transforms | None = None) -> None:
        self.transforms = transforms

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index): one example")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__(self): the number of examples")

    def __repr__(self) -> str:
        known = type(self).__len__ is not Dataset.__len__
        return f"{type(self).__name__}({f'{len(self):,} examples' if known else ''})"

    def apply_transforms(self, x: Any) -> Any:
        """`x` after every transform, in order; `x` itself where there are none."""
        for transform in self.transforms or ():
            x = transform(x)
        return x

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        """Several examples at once: each field stacked on a new leading axis.  This is what a `DataLoader` asks for.

        A dataset that can do better than example by example defines it beside `__getitem__`.
        """
        return stack([self[i] for i in indices.tolist()], indices)

    def __init_subclass__(cls) -> None:
        # Whoever redefines what one example is must not go on getting batches made from the old definition.
        if "__getitem__" in vars(cls) and "take" not in vars(cls):
            cls.take = Dataset.take  # type: ignore[method-assign]

    def check_index(self, index: Any) -> None:
        """Raise IndexError when `index` is an integer outside of -len(self) … len(self) - 1."""
        if isinstance(index, int | np.integer) and not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} examples, there is none with index {index}")


class NDArrayDataset(Dataset):
    """Examples held in arrays: field k of example i is `arrays[k][i]`.

    Args:
        arrays: arrays (or Tensors, or lists) of equal length, one for each field.  Arrays are kept, not copied.

    Raises:
        ValueError: the arrays differ in length, or one of them is 0-d, or there are none.

    >>> import numpy as np
    >>> from needle.data import NDArrayDataset
    >>> points = NDArrayDataset(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 1]))
    >>> points[1]
    (array([2., 3.]), np.int64(1))
    >>> len(points)
    2
    """

    def __init__(self, *arrays: Any) -> None:
        super().__init__()
        self.arrays = tuple(as_array(array) for array in arrays)
        if not self.arrays or any(array.ndim == 0 for array in self.arrays):
            shapes = ", ".join(str(array.shape) for array in self.arrays) or "none"
            raise ValueError(f"NDArrayDataset takes one or more arrays with an axis of examples; got shapes: {shapes}")
        check_equal_lengths(*self.arrays)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        """The fields of one example, or of several where `index` is a slice or an array of indices."""
        self.check_index(index)
        return tuple([array[index] for array in self.arrays])

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple([array[indices] for array in self.arrays])

    def __len__(self) -> int:
        return len(self.arrays[0])


class ImageDataset(Dataset):
    """Labelled images, laid out as `nn.Conv` takes them.

    `dataset[i]` is an image (C, H, W) and its label; a slice gives images (n, C, H, W) and n labels.

    Args:
        images: array (n, C, H, W).
        labels: array (n,).
        transforms: functions from image (H, W, C) to image (H, W, C): each image is laid out so for them, and back.

    Raises:
        ValueError: the images do not have four axes, or labels differ from them in number.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, transforms: Transforms | None = None) -> None:
        super().__init__(transforms)
        self.X, self.y = as_array(images), as_array(labels)
        if self.X.ndim != 4:
            raise ValueError(f"{type(self).__name__} takes images of shape (n, C, H, W); got shape {self.X.shape}")
        check_equal_lengths(self.X, self.y)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, Any]:
        self.check_index(index)
        images, labels = self.X[index], self.y[index]
        if not self.transforms:
            return images, labels
        if images.ndim == 3:
            return self._transformed(images), labels
        return np.stack([self._transformed(image) for image in images]) if len(images) else images, labels

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return self[indices]

    def __len__(self) -> int:
        return len(self.X)

    def _transformed(self, image: np.ndarray) -> np.ndarray:
        return self.apply_transforms(image.transpose(1, 2, 0)).transpose(2, 0, 1)


class Subset(Dataset):
    """The examples of `dataset` at `indices`, in that order.

    Raises:
        IndexError: one of the indices is not an example of `dataset`.

    >>> from needle.data import Subset
    >>> list(Subset("abcdef", [4, 0]))
    ['e', 'a']
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        super().__init__()
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        outside = self.indices[(self.indices < -len(dataset)) | (self.indices >= len(dataset))]
        if outside.size:
            raise IndexError(f"Subset of a dataset with {len(dataset)} examples: there is none with index {outside[0]}")

    def __getitem__(self, index: Any) -> Any:
        """One example; a smaller Subset where `index` is a slice or an array of indices."""
        self.check_index(index)
        chosen = self.indices[index]
        return self.dataset[int(chosen)] if chosen.ndim == 0 else Subset(self.dataset, chosen)

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        return take(self.dataset, self.indices[indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], seed: int | Generator | None = None) -> list[Subset]:
    """Divide `dataset` at random into parts that have no example in common.

    Args:
        dataset: anything with a length and an index.
        lengths: numbers of examples that add up to len(dataset), or fractions that add up to 1 (the parts then
            begin and end at the nearest example).
        seed: of the split: an integer, or a `needle.Generator` to draw it from.  Without one, it is drawn from NumPy's
            global random state.

    Raises:
        ValueError: the lengths are negative, or add up to something else.

    >>> from needle.data import random_split
    >>> train, validation = random_split(range(10), [0.8, 0.2], seed=0)
    >>> len(train), len(validation)
    (8, 2)
    """
    n = len(dataset)
    counts = list(lengths)
    if not all(isinstance(length, Integral) for length in counts) and abs(sum(counts) - 1) < 1e-9:
        ends = np.round(np.cumsum([0.0, *counts[:-1], max(0.0, 1 - sum(counts[:-1]))]) * n).astype(int)
        counts = list(np.diff(ends))
    if any(count < 0 or count != int(count) for count in counts) or sum(counts) != n:
        raise ValueError(
            f"random_split needs lengths that add up to the {n} examples, or fractions that add up to 1; "
            f"got {list(lengths)}"
        )
    order = (as_generator(seed) or np.random).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts[:-1]).astype(int))]


def as_generator(seed: int | Generator | None) -> Generator | None:
    """A generator seeded with `seed`, or `seed` itself where it is a generator already, or None."""
    if isinstance(seed, int | np.integer):
        return Generator(int(seed))
    if seed is None or isinstance(seed, Generator):
        return seed
    raise TypeError(f"seed must be an integer, a needle.Generator or None; got {seed!r}")


def as_array(data: Any) -> np.ndarray:
    """`data` as a NumPy array: an array as it is, a Tensor's values, anything else as `np.asarray` has it."""
    return data.numpy() if isinstance(data, Tensor) else np.asarray(data)


def check_equal_lengths(*arrays: np.ndarray) -> None:
    """Raise ValueError unless all arrays hold equally many examples."""
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"each array must hold one entry for each example, but their lengths are {lengths}")


def take(dataset: Any, indices: np.ndarray) -> tuple[np.ndarray, ...]:
    """The examples of `dataset` at `indices`, each field stacked on a new leading axis."""
    if isinstance(dataset, Dataset):
        return dataset.take(indices)
    return stack([dataset[i] for i in indices.tolist()], indices)


def stack(examples: list[Any], indices: np.ndarray) -> tuple[np.ndarray, ...]:
    """Field by field, the arrays of all examples on a new leading axis; `indices` names them in errors."""
    rows = [example if isinstance(example, tuple | list) else (example,) for example in examples]
    try:
        fields = [np.stack([as_array(entry) for entry in column]) for column in zip(*rows, strict=True)]
    except ValueError as error:
        shapes = [[np.shape(entry) for entry in row] for row in rows]
        odd = next((k for k in range(len(rows)) if shapes[k] != shapes[0]), 0)
        raise ValueError(
            "the examples of a batch must have equally many fields, of equal shapes, "
            f"but those of example {indices[0]} are {shapes[0]} and those of example {indices[odd]} {shapes[odd]}"
        ) from error
    for k, column in enumerate(fields):
        if column.dtype.kind not in "biufc":
            raise TypeError(
                f"a batch is made of arrays and numbers, but field {k} of its examples holds {rows[0][k]!r}"
            )
    return tuple(fields)
