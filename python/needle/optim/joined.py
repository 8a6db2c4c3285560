"""Short parameters in one long array, so that a step calls NumPy once for all of them instead of once for each."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import is_
from typing import Any

import numpy as np


class Joined:
    """Arrays of one dtype, end to end in a long one.

    Attributes:
        shapes: of the arrays.
        names, slots: what an optimizer remembers of them, each as one long array.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], names: tuple[str, ...], slots: Sequence[Sequence[np.ndarray]]
    ) -> None:
        self.shapes = [array.shape for array in arrays]
        self.names = names
        self.slots = [_join(arrays) for arrays in slots]
        ends = accumulate([array.size for array in arrays], initial=0)
        self._parts = [(slice(*part), shape) for part, shape in zip(pairwise(ends), self.shapes)]
        self._values: Any = None  # what split was given last, and
        self._views: list[np.ndarray] = []  # its parts
        self._gradient = np.empty(sum(array.size for array in arrays), arrays[0].dtype)

    def values(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The parameters, joined: without a copy where they are the parts of what `split` was given last."""
        if len(self._views) == len(arrays) and all(map(is_, arrays, self._views)):
            return self._values
        return _join(arrays)

    def gradient(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Their gradients, joined, in memory that the next call overwrites."""
        return np.concatenate([array.reshape(-1) for array in arrays], out=self._gradient)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """The new values as the parts of `values`, which becomes theirs."""
        self._values = values
        self._views = self.parts(values)
        return self._views

    def parts(self, array: np.ndarray) -> list[np.ndarray]:
        """Views of a long array, in the shapes of the arrays."""
        return [array[part].reshape(shape) for part, shape in self._parts]


def _join(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.reshape(-1) for array in arrays])
