"""Text as word ids, and the batches of it on which a language model learns to say the next word."""

from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..device import Device
from ..graph import Tensor

END_OF_LINE = "<eos>"


class Dictionary:
    """Words and their ids: `word2idx[word]` is the id, `idx2word[id]` the word, ids count up from 0.

    >>> from needle.data import Dictionary
    >>> words = Dictionary()
    >>> [words.add_word(word) for word in "to be or not to be".split()]
    [0, 1, 2, 3, 0, 1]
    >>> len(words), words.idx2word[2]
    (4, 'or')
    """

    def __init__(self) -> None:
        self.word2idx: dict[str, int] = {}
        self.idx2word: list[str] = []

    def add_word(self, word: str) -> int:
        """The id of `word`: a new one the first time."""
        if word not in self.word2idx:
            self.word2idx[word] = len(self.idx2word)
            self.idx2word.append(word)
        return self.word2idx[word]

    def __len__(self) -> int:
        return len(self.idx2word)


class Corpus:
    """A text to train on and one to test on, as lists of word ids over one `dictionary`.

    Args:
        base_dir: a folder with `train.txt` and `test.txt`, in UTF-8, words separated by white space.
        max_lines: how many lines of each to read; None for all.

    Raises:
        FileNotFoundError: one of the two files does not exist.
    """

    def __init__(self, base_dir: str | PathLike[str], max_lines: int | None = None) -> None:
        self.dictionary = Dictionary()
        self.train = self.tokenize(Path(base_dir) / "train.txt", max_lines)
        self.test = self.tokenize(Path(base_dir) / "test.txt", max_lines)

    def tokenize(self, path: str | PathLike[str], max_lines: int | None = None) -> list[int]:
        """The ids of the words in the file at `path`, each line closed by `<eos>`; new words enter the dictionary."""
        try:
            file = open(path, encoding="utf-8")
        except FileNotFoundError as error:
            raise FileNotFoundError(f"there is no {path}: Corpus reads train.txt and test.txt in its folder") from error
        with file:
            return [
                self.dictionary.add_word(word)
                for line in islice(file, max_lines)
                for word in [*line.split(), END_OF_LINE]
            ]


def batchify(data: Any, batch_size: int, device: Device | None = None, dtype: Any = "float32") -> np.ndarray:
    """Cut a text into `batch_size` stretches of equal length and lay them side by side.

    Args:
        data: n word ids.
        batch_size: how many stretches; the n % batch_size words that are left over at the end are dropped.
        device: where `get_batch` will want its Tensors; the array itself stays NumPy's.
        dtype: of the result.

    Returns:
        array (n // batch_size, batch_size): column b is the b-th stretch of the text.

    Raises:
        ValueError: batch_size < 1, or there are fewer words than stretches.

    >>> from needle.data import batchify
    >>> batchify(range(7), 2, dtype="int64")
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """
    words = np.asarray(data, dtype=dtype)
    if not 1 <= batch_size <= max(1, len(words)):
        raise ValueError(
            f"batchify needs a batch_size between 1 and the {len(words)} words of the text; got {batch_size}"
        )
    length = len(words) // batch_size
    return np.ascontiguousarray(words[: length * batch_size].reshape(batch_size, length).T)


def get_batch(
    batches: np.ndarray, i: int, bptt: int, device: Device | None = None, dtype: Any = None
) -> tuple[Tensor, Tensor]:
    """Rows i … i + bptt - 1 of `batches` and, as targets, the words that follow each of theirs.

    Args:
        batches: array (nbatch, B) from `batchify`.
        i: the first row, 0 ≤ i < nbatch - 1: the last row has no next word.
        bptt: how many rows; fewer come where `batches` ends.
        device: of both Tensors.
        dtype: of both Tensors; None keeps that of `batches`.

    Returns:
        data, a Tensor (bptt, B), and target, a Tensor (bptt·B,); neither requires grad.

    Raises:
        IndexError: i is out of range.
        ValueError: bptt < 1.

    >>> import numpy as np
    >>> from needle.data import batchify, get_batch
    >>> data, target = get_batch(batchify(range(8), 2, dtype="int64"), 0, bptt=2)
    >>> data.numpy(), target.numpy()
    (array([[0, 4], [1, 5]]), array([1, 5, 2, 6]))
    """
    if not 0 <= i < len(batches) - 1:
        raise IndexError(
            f"get_batch needs 0 <= i < {len(batches) - 1} (each of {len(batches)} rows needs a next); got {i}"
        )
    if bptt < 1:
        raise ValueError(f"get_batch needs bptt >= 1; got {bptt}")
    stop = min(i + bptt, len(batches) - 1)
    data, target = batches[i:stop], batches[i + 1 : stop + 1].reshape(-1)
    return (
        Tensor(data, device=device, dtype=dtype, requires_grad=False),
        Tensor(target, device=device, dtype=dtype, requires_grad=False),
    )
