"""Matrices with many short rows, and a vector that belongs to each row: the channels of an image, say."""

import numpy as np

from ..graph import tracing


def over_rows(ufunc, rows, vector, out=None):
    """ufunc(rows, vector) with `vector` beside each row.  Short rows are taken many at a time: NumPy's loop starts anew
    at each row, which for 16 channels costs more than the arithmetic.  (A program has loops of its own.)"""
    n, c = rows.shape
    many = 1
    while many * c < 1024 and n % (2 * many) == 0 and tracing() is None:
        many *= 2
    if many > 1:
        vector = np.concatenate([vector] * many)
    wide = (n // many, many * c)
    if out is None:
        return ufunc(rows.reshape(wide), vector).reshape(n, c)
    ufunc(rows.reshape(wide), vector, out=out.reshape(wide))
    return out


def sum_of_rows(rows):
    """The sum of the rows (n, c): as a product with ones, for which BLAS adds many numbers at a time."""
    return np.matmul(np.ones_like(rows, shape=len(rows)), rows)
