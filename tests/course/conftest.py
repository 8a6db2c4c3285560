"""Small data sets in the course's file formats: MNIST, CIFAR-10, Penn Treebank."""

import gzip
import pickle
import struct
from types import SimpleNamespace

import numpy as np
import pytest


def write_idx(path, values):
    """An IDX file of unsigned bytes: 0, 0, type 8, number of axes; each axis as a big-endian int32; the bytes."""
    header = struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + values.astype(np.uint8).tobytes())


@pytest.fixture(scope="session")
def mnist(tmp_path_factory):
    """60 train and 20 test images in MNIST's four files. Class k is bright in row 2k + 4, so nets can learn it."""
    folder = tmp_path_factory.mktemp("mnist")
    rng = np.random.default_rng(11)
    data = SimpleNamespace(folder=folder)
    for part, name, count in (("train", "train", 60), ("test", "t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        rng.shuffle(labels)
        images = rng.integers(0, 100, size=(count, 28, 28)).astype(np.uint8)
        images[np.arange(count), 2 * labels + 4] = 255
        image_file = folder / f"{name}-images-idx3-ubyte.gz"
        label_file = folder / f"{name}-labels-idx1-ubyte.gz"
        write_idx(image_file, images)
        write_idx(label_file, labels)
        setattr(
            data,
            part,
            SimpleNamespace(images=images, labels=labels, image_file=str(image_file), label_file=str(label_file)),
        )
    return data


@pytest.fixture(scope="session")
def cifar(tmp_path_factory):
    """CIFAR-10's six pickled batches with 8 images each: rows of 3072 bytes, channel by channel."""
    folder = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(12)
    parts = {"train": [], "test": []}
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        rows = rng.integers(0, 256, size=(8, 3072)).astype(np.uint8)
        labels = rng.integers(0, 10, size=8).tolist()
        with open(folder / name, "wb") as file:
            pickle.dump({b"data": rows, b"labels": labels, b"batch_label": name.encode()}, file)
        parts["test" if name == "test_batch" else "train"].append((rows, labels))
    data = SimpleNamespace(folder=str(folder))
    for part, batches in parts.items():
        rows = np.concatenate([rows for rows, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
        setattr(data, part, SimpleNamespace(rows=rows, labels=labels))
    return data


@pytest.fixture(scope="session")
def ptb(tmp_path_factory):
    """A Penn-Treebank-like folder: train.txt and test.txt, a sentence a line."""
    folder = tmp_path_factory.mktemp("ptb")
    (folder / "train.txt").write_text(" the cat sat \n the dog sat on the cat \n a dog ran \n")
    (folder / "test.txt").write_text(" a bird sat \n the bird ran \n")
    return str(folder)
