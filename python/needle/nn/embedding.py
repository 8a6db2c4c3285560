"""Embedding: rows of a learned table."""

from .. import init
from ..graph import Tensor
from ..ops.indexing import embedding_lookup
from .arguments import require_sizes, require_tensor
from .module import Module, Parameter
from .whole_numbers import whole_numbers


class Embedding(Module):
    """y[...] = weight[x[...]]: each whole number of x becomes a row of `embedding_dim` numbers.

    Shapes: x of any shape, such as (T, B), and any dtype that holds whole numbers in [0, num_embeddings), to
    y (*x.shape, embedding_dim); `weight` (num_embeddings, embedding_dim) drawn from N(0, 1).
    Raises ValueError for an index that is not whole or out of range.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, device=None, dtype="float32"):
        require_sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(init.randn(num_embeddings, embedding_dim, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        require_tensor(self, x)
        return embedding_lookup(self.weight, whole_numbers(x, self.weight.shape[0], "index", "Embedding"))

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"
