"""CIFAR-10 in its Python version: six pickles, which are read without trusting them."""

import pickle
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .datasets import ImageDataset, Transforms


class CIFAR10Dataset(ImageDataset):
    """Small photographs of ten kinds of things.

    `dataset[i]` is an image, float32 (3, 32, 32) in [0, 1], and its label, int64 in 0 … 9.

    Args:
        base_folder: the folder `cifar-10-batches-py`, with `data_batch_1` … `data_batch_5` and `test_batch`.
        train: whether to read the five training files, or the one to test on.
        p: has no effect: it belongs to the course's signature.  `transforms=[RandomFlipHorizontal(p)]` flips.
        transforms: functions from image (32, 32, 3) to image (32, 32, 3).

    Raises:
        FileNotFoundError: one of the files does not exist.
        ValueError: a file is truncated, or is not a batch of CIFAR-10.
    """

    def __init__(
        self,
        base_folder: str | PathLike[str],
        train: bool,
        p: float | None = 0.5,
        transforms: Transforms | None = None,
    ) -> None:
        names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
        batches = [read_batch(Path(base_folder) / name) for name in names]
        images = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32).astype(np.float32)
        images /= 255
        super().__init__(images, np.concatenate([labels for _, labels in batches]), transforms)


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, uint8 (n, 3072), and labels, int64 (n,), of one file."""
    try:
        with path.open("rb") as file:
            batch = ArraysOnly(file, encoding="bytes").load()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no {path}: CIFAR10Dataset reads the files of cifar-10-batches-py") from error
    except OSError:
        raise
    except Exception as error:  # a broken pickle may raise anything at all
        raise ValueError(f"{path} is truncated or not a CIFAR-10 batch: {error or type(error).__name__}") from error

    fields = {} if not isinstance(batch, dict) else {as_text(key): value for key, value in batch.items()}
    if not {"data", "labels"} <= fields.keys():
        found = ", ".join(sorted(fields)) or f"an object of type {type(batch).__name__}"
        raise ValueError(f"{path} is not a CIFAR-10 batch: expected 'data' and 'labels', found {found}")
    pixels, labels = np.asarray(fields["data"]), np.asarray(fields["labels"], dtype=np.int64)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (3072,) or labels.shape != pixels.shape[:1]:
        raise ValueError(
            f"{path} is not a CIFAR-10 batch: expected data uint8 (n, 3072) and n labels, "
            f"found {pixels.dtype} {pixels.shape} and labels of shape {labels.shape}"
        )
    return pixels, labels


def as_text(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


# What pickled arrays are made with; the modules of NumPy's core go without their package, whose name has changed.
ARRAY_MAKERS = {
    "_codecs.encode",
    "multiarray._reconstruct",
    "multiarray.scalar",
    "numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
}


class ArraysOnly(pickle.Unpickler):
    """An unpickler that makes plain containers and NumPy arrays, and refuses to call anything else."""

    def find_class(self, module: str, name: str) -> Any:
        core_module = module.removeprefix("numpy.core.").removeprefix("numpy._core.")
        if f"{core_module}.{name}" not in ARRAY_MAKERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        # The published files say numpy.core; NumPy 2 says numpy._core, and warns of the other.
        return super().find_class(module if core_module == module else f"numpy._core.{core_module}", name)
