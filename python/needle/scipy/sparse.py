"""`scipy.sparse` with Tensors: products of a sparse matrix, a constant, with a Tensor.

`A @ x` and `x @ A` come here, too.
"""

import scipy.sparse as sp

from .. import ops
from ..graph import Tensor
from ..numpy.dispatch import as_tensor
from ..ops.kinds import Linear
from .plainly import handed_through


def __getattr__(name: str):
    return handed_through(getattr(sp, name))


def __dir__():
    return dir(sp)


class SparseProduct(Linear):
    """A·x with a sparse matrix A, for a vector or a matrix x.  Its transpose is the product with Aᵀ"""

    __slots__ = ("matrix",)

    def __init__(self, matrix):
        self.matrix = matrix

    def compute(self, x):
        return self.matrix @ x

    def gradient(self, out_grad, node):
        return SparseProduct(self.matrix.T)(out_grad)

    def batch(self, size, inputs, batched):
        (x,) = inputs  # the columns of all examples beside each other: one product
        n, columns = x.shape[1], x.shape[2:]
        side_by_side = ops.reshape(ops.moveaxis(x, 0, 1), (n, -1) if x.size else (n, 0))
        out = self(side_by_side)
        return ops.moveaxis(ops.reshape(out, (out.shape[0], size, *columns)), 1, 0)


def matmul(a, b) -> Tensor:
    """a @ b, where one is a sparse matrix or array of SciPy and the other a Tensor of one or two dimensions.

    >>> import needle as ndl
    >>> matmul(sp.diags_array([1.0, 2.0]), ndl.Tensor([3.0, 4.0]))
    needle.Tensor([3. 8.])
    """
    if sp.issparse(a) == sp.issparse(b):
        raise TypeError(
            "needle.scipy.sparse.matmul multiplies one sparse matrix with one Tensor, "
            f"got {type(a).__name__} and {type(b).__name__}"
        )
    matrix, x = (a, as_tensor(b)) if sp.issparse(a) else (b, as_tensor(a))
    inner, from_left = matrix.shape[1 if matrix is a else 0], matrix is a
    if x.ndim not in (1, 2) or x.shape[0 if from_left else -1] != inner:
        shapes = f"{matrix.shape} and {x.shape}" if from_left else f"{x.shape} and {matrix.shape}"
        raise ValueError(f"the product of a sparse matrix and a Tensor: shapes {shapes} do not fit")
    if from_left:
        return SparseProduct(matrix)(x)
    out = SparseProduct(matrix.T)(x if x.ndim == 1 else ops.transpose(x))
    return out if x.ndim == 1 else ops.transpose(out)
