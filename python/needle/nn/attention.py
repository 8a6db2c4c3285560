"""Attention and the Transformer (Vaswani et al. 2017, arXiv:1706.03762), with layer norm before each part (Xiong et al.
2020, arXiv:2002.04745)."""

import math

import numpy as np

from .. import init
from ..graph import Tensor, leaf
from ..ops.arithmetic import add, divide_scalar
from ..ops.contraction import matmul
from ..ops.movement import permute, reshape, transpose
from ..ops.reductions import softmax
from .activations import ReLU
from .arguments import require_features, require_sizes, require_tensor
from .containers import Residual, Sequential
from .dropout import Dropout
from .embedding import Embedding
from .linear import Linear
from .module import Module, signature
from .normalization import LayerNorm1d


class MultiHeadAttention(Module):
    """softmax(q·kᵀ/√D + mask)·v, for every head by itself.

    Called (q, k, v) with q (B, H, T, D), k and v (B, H, S, D); returns the result (B, H, T, D) and the probabilities
    (B, H, T, S) after dropout.  With `causal`, position t sees the keys up to t only: the mask is -(the largest
    float32) beyond it.  Raises ValueError for other shapes.
    """

    def __init__(self, *, dropout: float = 0.0, causal: bool = False, device=None, dtype="float32"):
        self.dropout = Dropout(dropout)
        self.causal = causal

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        for name, x in (("q", q), ("k", k), ("v", v)):
            require_tensor(self, x, name)
            if x.ndim != 4:
                raise ValueError(f"{signature(self)} takes {name} of shape (B, H, T, D), got shape {x.shape}")
        if not (q.shape[:2] == k.shape[:2] == v.shape[:2] and q.shape[3] == k.shape[3] and k.shape[2] == v.shape[2]):
            raise ValueError(
                f"{signature(self)} takes q (B, H, T, D), k and v (B, H, S, D), got {q.shape}, {k.shape}, {v.shape}"
            )
        scores = matmul(divide_scalar(q, math.sqrt(q.shape[3])), transpose(k))
        if self.causal:
            scores = add(scores, leaf(causal_mask(q.shape[2], k.shape[2], scores.dtype)))
        probs = self.dropout(softmax(scores))
        return matmul(probs, v), probs

    def extra_repr(self) -> str:
        return f"causal={self.causal}"


def causal_mask(queries: int, keys: int, dtype) -> np.ndarray:
    """0 up to the diagonal, -(the largest float32) above it."""
    return np.triu(np.full((queries, keys), -np.finfo(np.float32).max, dtype), 1)


class AttentionLayer(Module):
    """Attention with its projections: LayerNorm on q, k and v, a Linear without bias on each, heads, a last Linear.

    Called (q, k=None, v=None) with q (B, T, q_features), k (B, S, k_features), v (B, S, v_features); None means q.
    Returns (B, T, out_features).  `out_features`, `k_features` and `v_features` are q_features unless given.
    """

    def __init__(
        self,
        q_features: int,
        num_head: int,
        dim_head: int,
        *,
        k_features: int | None = None,
        v_features: int | None = None,
        out_features: int | None = None,
        dropout: float = 0.0,
        causal: bool = True,
        device=None,
        dtype="float32",
    ):
        require_sizes(self, q_features=q_features, num_head=num_head, dim_head=dim_head)
        options = {"device": device, "dtype": dtype}
        self.q_features, self.num_head, self.dim_head = q_features, num_head, dim_head
        self.k_features = q_features if k_features is None else k_features
        self.v_features = q_features if v_features is None else v_features
        self.out_features = q_features if out_features is None else out_features
        inner = num_head * dim_head
        self.prenorm_q = LayerNorm1d(self.q_features, **options)
        self.prenorm_k = LayerNorm1d(self.k_features, **options)
        self.prenorm_v = LayerNorm1d(self.v_features, **options)
        self.q_projection = Linear(self.q_features, inner, bias=False, **options)
        self.k_projection = Linear(self.k_features, inner, bias=False, **options)
        self.v_projection = Linear(self.v_features, inner, bias=False, **options)
        self.attn = MultiHeadAttention(dropout=dropout, causal=causal, **options)
        self.out_projection = Linear(inner, self.out_features, bias=False, **options)

    def forward(self, q: Tensor, k: Tensor | None = None, v: Tensor | None = None) -> Tensor:
        k, v = (q if k is None else k), (q if v is None else v)
        for name, x, features in (("q", q, self.q_features), ("k", k, self.k_features), ("v", v, self.v_features)):
            require_tensor(self, x, name)
            if x.ndim != 3 or x.shape[2] != features:
                raise ValueError(f"{signature(self)} takes {name} of shape (B, T, {features}), got shape {x.shape}")
        result, _ = self.attn(
            self.heads(self.q_projection(self.prenorm_q(q))),
            self.heads(self.k_projection(self.prenorm_k(k))),
            self.heads(self.v_projection(self.prenorm_v(v))),
        )
        batch, length = q.shape[:2]
        joined = reshape(permute(result, (0, 2, 1, 3)), (batch, length, self.num_head * self.dim_head))
        return self.out_projection(joined)

    def heads(self, x: Tensor) -> Tensor:
        """(B, T, H·D) as (B, H, T, D)."""
        return permute(reshape(x, (*x.shape[:2], self.num_head, self.dim_head)), (0, 2, 1, 3))

    def extra_repr(self) -> str:
        return f"{self.q_features}, {self.num_head}, {self.dim_head}"


class TransformerLayer(Module):
    """x + Dropout(Attention(x)), and then x + Dropout(Linear₂(Dropout(ReLU(Linear₁(LayerNorm(x)))))).

    x (B, T, q_features) to the same shape; `hidden_size` is the width between the Linears.
    """

    def __init__(
        self,
        q_features: int,
        num_head: int,
        dim_head: int,
        hidden_size: int,
        *,
        dropout: float = 0.0,
        causal: bool = True,
        device=None,
        dtype="float32",
    ):
        options = {"device": device, "dtype": dtype}
        attention = AttentionLayer(q_features, num_head, dim_head, dropout=dropout, causal=causal, **options)
        self.attention = Residual(Sequential(attention, Dropout(dropout)))
        self.feed_forward = Residual(
            Sequential(
                LayerNorm1d(q_features, **options),
                Linear(q_features, hidden_size, **options),
                ReLU(),
                Dropout(dropout),
                Linear(hidden_size, q_features, **options),
                Dropout(dropout),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.feed_forward(self.attention(x))


class Transformer(Module):
    """Learned positions added to the input, and `num_layers` TransformerLayers.

    Called (x, h=None) with x (T, B, embedding_size), or (B, T, embedding_size) with `batch_first`; h is ignored.
    Returns a Tensor of the shape of x, and zeros like x in the place of a recurrent net's state.
    Raises ValueError if x has another number of features or more than `sequence_len` steps.
    """

    def __init__(
        self,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        num_head: int = 8,
        dim_head: int = 32,
        dropout: float = 0.0,
        causal: bool = True,
        device=None,
        dtype="float32",
        batch_first: bool = False,
        sequence_len: int = 2048,
    ):
        require_sizes(self, 0, num_layers=num_layers)
        options = {"device": device, "dtype": dtype}
        self.embedding_size, self.sequence_len, self.batch_first = embedding_size, sequence_len, batch_first
        self.positions = Embedding(sequence_len, embedding_size, **options)
        self.layers = [
            TransformerLayer(embedding_size, num_head, dim_head, hidden_size, dropout=dropout, causal=causal, **options)
            for _ in range(num_layers)
        ]

    def forward(self, x: Tensor, h=None) -> tuple[Tensor, Tensor]:
        require_features(self, x, self.embedding_size)
        if x.ndim != 3:
            raise ValueError(f"{signature(self)} takes inputs of 3 axes, got shape {x.shape}")
        out = x if self.batch_first else transpose(x, (0, 1))
        length = out.shape[1]
        if length > self.sequence_len:
            raise ValueError(f"{signature(self)} knows {self.sequence_len} positions, got a sequence of {length}")
        out = add(out, self.positions.weight[:length])
        for layer in self.layers:
            out = layer(out)
        if not self.batch_first:
            out = transpose(out, (0, 1))
        return out, init.zeros_like(x)

    def extra_repr(self) -> str:
        return f"{self.embedding_size}, sequence_len={self.sequence_len}"
