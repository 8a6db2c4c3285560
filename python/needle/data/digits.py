"""The data that needle brings along: scikit-learn's 1,797 handwritten digits.

`digits.npz` holds `images` (1797, 8, 8), uint8 in 0 … 16, and `labels` (1797,), uint8 in 0 … 9, both in the order of
`sklearn.datasets.load_digits`, from which they were taken.  Their source and licence stand in `DIGITS.md` beside it.
"""

from importlib.resources import files

import numpy as np

from .datasets import ImageDataset, Transforms

TRAINING_EXAMPLES = 1437


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All handwritten digits, in their source's order.

    Returns:
        images: float32 (1797, 8, 8) in [0, 1], 1 being ink.
        labels: int64 (1797,) in 0 … 9.

    >>> from needle.data import load_digits
    >>> images, labels = load_digits()
    >>> images.shape, labels[:5]
    ((1797, 8, 8), array([0, 1, 2, 3, 4]))
    """
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["images"].astype(np.float32) / 16, arrays["labels"].astype(np.int64)


class DigitsDataset(ImageDataset):
    """Handwritten digits: 1,437 to train on, or the 360 others to test on.

    `dataset[i]` is an image, float32 (1, 8, 8) in [0, 1], and its label, int64 in 0 … 9.  The split was drawn once for
    all: it is the same on every machine, whatever the random state.

    Args:
        train: whether to take the training part.
        transforms: functions from image (8, 8, 1) to image (8, 8, 1).

    >>> from needle.data import DigitsDataset
    >>> train, test = DigitsDataset(train=True), DigitsDataset(train=False)
    >>> len(train), len(test), train[0][0].shape
    (1437, 360, (1, 8, 8))
    """

    def __init__(self, train: bool = True, transforms: Transforms | None = None) -> None:
        images, labels = load_digits()
        # RandomState, whose stream NumPy has frozen: default_rng may draw otherwise in a later version.
        order = np.random.RandomState(0).permutation(len(images))
        part = order[:TRAINING_EXAMPLES] if train else order[TRAINING_EXAMPLES:]
        super().__init__(images[part, np.newaxis], labels[part], transforms)
