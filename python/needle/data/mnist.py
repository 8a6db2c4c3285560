"""IDX files (the format of MNIST and its relatives), and the dataset made of two of them."""

import gzip
import zlib
from math import prod
from os import PathLike
from typing import Any

import numpy as np

from .datasets import Dataset, Transforms, check_equal_lengths

# Third byte of an IDX file -> dtype of its entries, which are stored with the most significant byte first.
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(filename: str | PathLike[str]) -> np.ndarray:
    """The array in an IDX file, gzipped or plain, in its own shape and dtype.

    The format: two zero bytes, a byte for the dtype, a byte for the number of axes, the length of each axis as a
    big-endian 32-bit integer, then the entries in C order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no IDX file, is truncated, or goes on after its last entry.
    """
    with open(filename, "rb") as file:
        content = file.read()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{filename} is a truncated or corrupt gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES:
        raise ValueError(
            f"{filename} is not an IDX file: it starts with {content[:4]!r} instead of 0, 0, a dtype, an ndim"
        )
    dtype, ndim = np.dtype(IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{filename} is truncated: its header needs {start} bytes, it has {len(content)}")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    promised, found = prod(shape) * dtype.itemsize, len(content) - start
    if found != promised:
        what = "is truncated" if found < promised else "has trailing bytes"
        raise ValueError(f"{filename} {what}: shape {shape} needs {promised} bytes of data, it has {found}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


class MNISTDataset(Dataset):
    """Images and labels from two IDX files, gzipped or plain.

    `dataset[i]` is an image, float32 (28, 28, 1) in [0, 1], and its label, uint8.  A slice gives flattened rows,
    (n, 784), and their labels; with transforms, images (n, 28, 28, 1), each transformed by itself.

    Args:
        image_filename: IDX file of unsigned bytes (n, height, width).
        label_filename: IDX file of unsigned bytes (n,).
        transforms: functions from image (H, W, C) to image (H, W, C).

    Raises:
        FileNotFoundError: one of the files does not exist.
        ValueError: a file is corrupt or holds something else, or there are not as many labels as images.
    """

    def __init__(
        self,
        image_filename: str | PathLike[str],
        label_filename: str | PathLike[str],
        transforms: Transforms | None = None,
    ) -> None:
        super().__init__(transforms)
        images, self.labels = read_bytes(image_filename, "images", 3), read_bytes(label_filename, "labels", 1)
        check_equal_lengths(images, self.labels)
        self.image_shape = (*images.shape[1:], 1)
        self.images = images.reshape(len(images), prod(self.image_shape)).astype(np.float32) / 255

    def __getitem__(self, index: Any) -> tuple[np.ndarray, Any]:
        self.check_index(index)
        rows, labels = self.images[index], self.labels[index]
        if rows.ndim == 1:
            return self.apply_transforms(rows.reshape(self.image_shape)), labels
        if not self.transforms:
            return rows, labels
        images = rows.reshape(-1, *self.image_shape)
        return np.stack([self.apply_transforms(image) for image in images]) if len(images) else images, labels

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        if self.transforms:
            return self[indices]
        return self.images[indices].reshape(-1, *self.image_shape), self.labels[indices]

    def __len__(self) -> int:
        return len(self.labels)


def read_bytes(filename: str | PathLike[str], what: str, ndim: int) -> np.ndarray:
    array = read_idx(filename)
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise ValueError(
            f"{filename} should hold {what}: unsigned bytes, {ndim} axes; it holds {array.dtype}, shape {array.shape}"
        )
    return array
