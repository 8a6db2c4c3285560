"""Matrices made of others: block diagonal ones, Toeplitz matrices."""

import numpy as np
import scipy.linalg as sp

from ... import ops
from ...graph import Tensor
from ...numpy.dispatch import as_tensor
from ...ops.linalg import conj
from ..plainly import plainly
from .arguments import of_one_dtype


@plainly(sp.block_diag)
def block_diag(*arrs) -> Tensor:
    """The matrix that has `arrs` along its diagonal and zeros elsewhere; a vector is a row, leading axes a batch."""
    blocks = of_one_dtype(*map(as_tensor, arrs))
    blocks = [ops.reshape(a, (1,) * (2 - a.ndim) + a.shape) if a.ndim < 2 else a for a in blocks]
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in blocks])
    width = sum(a.shape[-1] for a in blocks)
    rows, start = [], 0
    for a in blocks:
        n = a.shape[-1]
        if a.shape[:-2] != batch:
            a = ops.broadcast_to(a, (*batch, *a.shape[-2:]))
        rows.append(ops.pad(a, [(0, 0)] * (a.ndim - 1) + [(start, width - start - n)]))
        start += n
    return ops.concatenate(rows, len(batch))


@plainly(sp.toeplitz)
def toeplitz(c, r=None) -> Tensor:
    """The matrix with the first column c and the first row r, constant along diagonals; r is the conjugate of c by
    default, and r[0] is not looked at.  Leading axes are a batch."""
    c = as_tensor(c)
    r = conj(c) if r is None else as_tensor(r)
    c, r = of_one_dtype(*[ops.reshape(x, (1,)) if x.ndim == 0 else x for x in (c, r)])
    batch = np.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    c, r = (x if x.shape[:-1] == batch else ops.broadcast_to(x, (*batch, x.shape[-1])) for x in (c, r))
    rows, columns = c.shape[-1], r.shape[-1]
    values = ops.concatenate([ops.flip(c, len(batch)), r[..., 1:]], len(batch))
    return values[..., (rows - 1) - np.arange(rows)[:, None] + np.arange(columns)]
