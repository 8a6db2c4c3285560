"""Random changes of an image that leave its label true.  Images are arrays (H, W, C); draws come from `np.random`."""

import numpy as np


class Transform:
    """A function from image (H, W, C) to image (H, W, C)."""

    def __call__(self, img: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, img)")


class RandomFlipHorizontal(Transform):
    """Mirror the image left to right with probability `p`.

    >>> import numpy as np
    >>> from needle.data import RandomFlipHorizontal
    >>> RandomFlipHorizontal(p=1)(np.array([[[1], [2], [3]]]))[0, :, 0]
    array([3, 2, 1])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomFlipHorizontal needs a probability p in [0, 1]; got {p}")
        self.p = p

    def __call__(self, img: np.ndarray) -> np.ndarray:
        check_image(self, img)
        return img[:, ::-1] if np.random.rand() < self.p else img

    def __repr__(self) -> str:
        return f"RandomFlipHorizontal(p={self.p})"


class RandomCrop(Transform):
    """Shift the image by up to `padding` pixels along each axis; zeros move in from beyond its edges.

    >>> import numpy as np
    >>> from needle.data import RandomCrop
    >>> RandomCrop(padding=3)(np.ones((28, 28, 1))).shape
    (28, 28, 1)
    """

    def __init__(self, padding: int = 3) -> None:
        if padding < 0:
            raise ValueError(f"RandomCrop needs padding >= 0; got {padding}")
        self.padding = padding

    def __call__(self, img: np.ndarray) -> np.ndarray:
        check_image(self, img)
        p = self.padding
        shift_x, shift_y = np.random.randint(low=-p, high=p + 1, size=2)
        height, width = img.shape[:2]
        padded = np.pad(img, [(p, p), (p, p)] + [(0, 0)] * (img.ndim - 2))
        return padded[p + shift_x : p + shift_x + height, p + shift_y : p + shift_y + width]

    def __repr__(self) -> str:
        return f"RandomCrop(padding={self.padding})"


def check_image(transform: Transform, img: np.ndarray) -> None:
    """Raise ValueError for a flattened row or a batch: sliced as an image, it would quietly come out wrong."""
    if img.ndim not in (2, 3):
        raise ValueError(f"{transform!r} takes one image of shape (H, W, C); got shape {img.shape}")
