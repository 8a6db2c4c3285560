"""What is wrong with a derivative, in words: how two arrays that should be the same differ."""

import numpy as np

__all__ = []


class Directions(np.ndarray):
    """Derivatives along random directions: their places say nothing to the reader."""


def agree(found, expected, tolerance: float, scale: float = 1.0) -> bool:
    """Whether the arrays are the same within tolerance·max(scale, |expected|)."""
    found, expected = np.asarray(found) * 1.0, np.asarray(expected) * 1.0  # bools have no difference
    if found.shape != expected.shape:
        return False
    limit = tolerance * max([scale, float(np.abs(expected).max(initial=0))])
    return bool(np.all(np.abs(found - expected) <= limit))  # nan is never


def difference(found, expected, tolerance: float) -> str:
    """How `found` differs from `expected`: sign, constant factor, zero, not finite, or just the largest difference."""
    found, expected = np.asanyarray(found) * 1.0, np.asanyarray(expected) * 1.0
    if not np.isfinite(found).all():
        return f"is {_element(found, ~np.isfinite(found))} where {_element(expected, ~np.isfinite(found))} is right"
    if agree(found, np.zeros_like(expected), tolerance, float(np.abs(expected).max(initial=0))):
        return f"is zero where {_element(expected, np.abs(expected))} is right"
    if agree(-found, expected, tolerance):
        return f"has the wrong sign ({_worst(found, expected)})"
    factor = constant_factor(found, expected, tolerance)
    if factor is not None:
        return f"is off by a constant factor of {factor} ({_worst(found, expected)})"
    error = np.abs(found - expected)
    relative = error.max() / max(float(np.abs(expected).max()), 1e-300)
    return f"is wrong by up to {relative:.2g} of the largest element ({_worst(found, expected)})"


def constant_factor(found, expected, tolerance: float) -> str | None:
    """The number by which all of `expected` would have to be multiplied, in figures; None if there is none.

    One element alone has a factor always; it is told if it is as round as what one forgets (2, 0.5, the number 12).
    """
    squared = float(np.sum(np.abs(expected) ** 2))
    if squared == 0:
        return None
    factor = float(np.real(np.sum(np.conj(expected) * found))) / squared
    if not agree(found, factor * expected, tolerance, float(np.abs(found).max())):
        return None
    nice = float(f"{factor:.4g}")
    if np.count_nonzero(np.abs(expected) > tolerance) < 2 and not (2 * nice).is_integer():
        return None
    return repr(nice)


def _worst(found, expected) -> str:
    error = np.abs(found - expected)
    return f"{_element(found, error)} instead of {_element(expected, error)}"


def _element(array, weight) -> str:
    """The element of the largest weight, with its place."""
    index = np.unravel_index(int(np.argmax(weight)), array.shape)
    place = f" at {[int(i) for i in index]}" if array.ndim > 0 and not isinstance(array, Directions) else ""
    return f"{array[index]:.6g}{place}"
