"""Attention and transformers against NumPy that starts from the same seed: parameters, masks and dropouts alike."""

import numpy as np
import pytest

import needle as ndl
from needle import nn

from . import reference
from .finite_differences import assert_first_and_second_derivatives

FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}  # several float32 products, softmax and normalisations in a row


def normal(*shape, seed=18):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def drop(x, p):
    return x * (np.random.rand(*x.shape) <= 1 - p) / (1 - p)


def attend(q, k, v, p, causal):
    """(result, probabilities after dropout) of q, k, v of shape (B, H, T, D)."""
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:])) > 0, scores, -np.inf)
    probabilities = drop(reference.softmax(scores), p)
    return probabilities @ v, probabilities


def layer_norm(x):
    return reference.normalize(x, -1)


class NumpyAttention:
    def __init__(
        self, q_features, num_head, dim_head, k_features=None, v_features=None, out_features=None, p=0.0, causal=True
    ):
        inner = num_head * dim_head
        features = (q_features, k_features or q_features, v_features or q_features)
        self.projections = [reference.draw_kaiming_uniform(n, inner) for n in features]
        self.out = reference.draw_kaiming_uniform(inner, out_features or q_features)
        self.num_head, self.p, self.causal = num_head, p, causal

    def __call__(self, q, k=None, v=None):
        k, v = (q if x is None else x for x in (k, v))
        heads = []
        for x, weight in zip((q, k, v), self.projections):
            projected = layer_norm(x) @ weight
            heads.append(projected.reshape(*projected.shape[:2], self.num_head, -1).swapaxes(1, 2))
        result, _ = attend(*heads, self.p, self.causal)
        return result.swapaxes(1, 2).reshape(*q.shape[:2], -1) @ self.out


class NumpyTransformerLayer:
    def __init__(self, features, num_head, dim_head, hidden_size, p=0.0, causal=True):
        self.attention = NumpyAttention(features, num_head, dim_head, p=p, causal=causal)
        self.first = reference.draw_linear(features, hidden_size)
        self.second = reference.draw_linear(hidden_size, features)
        self.p = p

    def __call__(self, x):
        x = x + drop(self.attention(x), self.p)
        hidden = layer_norm(x) @ self.first[0] + self.first[1]
        hidden = drop(reference.relu(hidden), self.p)
        return x + drop(hidden @ self.second[0] + self.second[1], self.p)


class NumpyTransformer:
    def __init__(
        self, features, hidden_size, num_layers, num_head=8, dim_head=32, p=0.0, causal=True, sequence_len=2048
    ):
        self.positions = reference.draw_normal(sequence_len, features)
        self.layers = [
            NumpyTransformerLayer(features, num_head, dim_head, hidden_size, p, causal) for _ in range(num_layers)
        ]

    def __call__(self, x):
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return x


def same_seed(*makers):
    made = []
    for make in makers:
        np.random.seed(19)
        made.append(make())
    return made


each_dropout = pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
each_causal = pytest.mark.parametrize("causal", [False, True])


@each_dropout
@each_causal
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (2, 3, 5, 4), (1, 5, 8, 2)])
def test_multi_head_attention(p, causal, shape):
    q, k, v = (normal(*shape, seed=seed) for seed in (1, 2, 3))
    layer = nn.MultiHeadAttention(dropout=p, causal=causal)
    computed, expected = same_seed(
        lambda: layer(ndl.Tensor(q), ndl.Tensor(k), ndl.Tensor(v)), lambda: attend(q, k, v, p, causal)
    )
    assert [part.dtype for part in computed] == ["float32", "float32"]
    np.testing.assert_allclose(computed[0].numpy(), expected[0], **FLOAT32)
    np.testing.assert_allclose(computed[1].numpy(), expected[1], **FLOAT32)


def test_attention_neither_drops_nor_masks_unless_told():
    q = normal(2, 3, 5, 4)
    result, _ = nn.MultiHeadAttention()(ndl.Tensor(q), ndl.Tensor(q), ndl.Tensor(q))
    np.testing.assert_allclose(result.numpy(), attend(q, q, q, 0.0, False)[0], **FLOAT32)


def test_keys_may_be_longer_than_queries():
    q, k, v = normal(2, 3, 4, 6), normal(2, 3, 7, 6, seed=2), normal(2, 3, 7, 6, seed=3)
    result, probabilities = nn.MultiHeadAttention()(ndl.Tensor(q), ndl.Tensor(k), ndl.Tensor(v))
    expected = attend(q, k, v, 0.0, False)
    assert probabilities.shape == (2, 3, 4, 7)
    np.testing.assert_allclose(result.numpy(), expected[0], **FLOAT32)


def test_attention_is_stable_at_large_scores():
    q = normal(1, 1, 4, 8) * 1e3
    result, _ = nn.MultiHeadAttention(causal=True)(ndl.Tensor(q), ndl.Tensor(q), ndl.Tensor(q))
    assert np.isfinite(result.numpy()).all()


@each_causal
def test_attention_gradients(causal):
    q, k, v = (ndl.Tensor(normal(2, 2, 3, 4, seed=seed), dtype="float64") for seed in (1, 2, 3))
    layer = nn.MultiHeadAttention(causal=causal, dtype="float64")
    assert_first_and_second_derivatives(lambda: (layer(q, k, v)[0] ** 2).sum(), [q, k, v])


@each_dropout
@each_causal
@pytest.mark.parametrize("num_head, dim_head", [(1, 4), (3, 8)])
def test_attention_layer(p, causal, num_head, dim_head):
    x = normal(2, 5, 6)
    computed, expected = same_seed(
        lambda: nn.AttentionLayer(6, num_head, dim_head, dropout=p, causal=causal)(ndl.Tensor(x)),
        lambda: NumpyAttention(6, num_head, dim_head, p=p, causal=causal)(x),
    )
    assert (computed.shape, computed.dtype) == ((2, 5, 6), "float32")
    np.testing.assert_allclose(computed.numpy(), expected, **FLOAT32)


def test_attention_layer_with_features_of_its_own_for_keys_values_and_result():
    q, k, v = normal(2, 4, 6), normal(2, 7, 5, seed=2), normal(2, 7, 3, seed=3)
    options = {"k_features": 5, "v_features": 3, "out_features": 10, "causal": False}
    computed, expected = same_seed(
        lambda: nn.AttentionLayer(6, 2, 4, **options)(ndl.Tensor(q), ndl.Tensor(k), ndl.Tensor(v)),
        lambda: NumpyAttention(6, 2, 4, **options)(q, k, v),
    )
    assert computed.shape == (2, 4, 10)
    np.testing.assert_allclose(computed.numpy(), expected, **FLOAT32)


def test_keys_and_values_of_none_are_the_queries():
    layer = nn.AttentionLayer(6, 2, 4)
    q, k = ndl.Tensor(normal(2, 4, 6)), ndl.Tensor(normal(2, 4, 6, seed=2))
    np.testing.assert_array_equal(layer(q).numpy(), layer(q, q, q).numpy())
    np.testing.assert_array_equal(layer(q, k).numpy(), layer(q, k, q).numpy())


def test_attention_layer_is_causal_unless_told():
    layer, x = nn.AttentionLayer(6, 2, 4), normal(1, 5, 6)
    before = layer(ndl.Tensor(x)).numpy()
    x[0, 3:] = 0
    np.testing.assert_allclose(layer(ndl.Tensor(x)).numpy()[0, :3], before[0, :3], **FLOAT32)


def test_attention_layer_has_three_norms_and_four_projections_without_bias():
    shapes = [p.shape for p in nn.AttentionLayer(6, 2, 4, out_features=5).parameters()]
    assert sorted(shapes) == sorted([(6,)] * 6 + [(6, 8)] * 3 + [(8, 5)])


@each_dropout
@each_causal
def test_transformer_layer(p, causal):
    x = normal(2, 5, 6)
    computed, expected = same_seed(
        lambda: nn.TransformerLayer(6, 2, 4, 7, dropout=p, causal=causal)(ndl.Tensor(x)),
        lambda: NumpyTransformerLayer(6, 2, 4, 7, p, causal)(x),
    )
    assert (computed.shape, computed.dtype) == ((2, 5, 6), "float32")
    np.testing.assert_allclose(computed.numpy(), expected, **FLOAT32)


def test_transformer_layer_does_not_drop_in_eval_mode():
    x = normal(2, 5, 6)

    def quiet():
        layer = nn.TransformerLayer(6, 2, 4, 7, dropout=0.5)
        layer.eval()
        return layer(ndl.Tensor(x))

    computed, expected = same_seed(quiet, lambda: NumpyTransformerLayer(6, 2, 4, 7)(x))
    np.testing.assert_allclose(computed.numpy(), expected, **FLOAT32)


def test_transformer_layer_gradients():
    np.random.seed(20)
    layer = nn.TransformerLayer(4, 2, 3, 5, dtype="float64")
    x = ndl.Tensor(normal(2, 3, 4), dtype="float64")
    assert_first_and_second_derivatives(lambda: (layer(x) ** 2).sum(), [x, *layer.parameters()])


@each_dropout
@each_causal
@pytest.mark.parametrize("num_layers", [1, 3])
def test_transformer_with_the_batch_first(p, causal, num_layers):
    x = normal(2, 5, 6)
    computed, expected = same_seed(
        lambda: nn.Transformer(
            6, 7, num_layers, num_head=2, dim_head=4, dropout=p, causal=causal, batch_first=True, sequence_len=9
        )(ndl.Tensor(x)),
        lambda: NumpyTransformer(6, 7, num_layers, 2, 4, p, causal, 9)(x),
    )
    assert (computed[0].shape, computed[0].dtype) == ((2, 5, 6), "float32")
    np.testing.assert_allclose(computed[0].numpy(), expected, **FLOAT32)


def test_transformer_with_its_defaults_takes_time_first():
    x = normal(5, 2, 6)
    computed, expected = same_seed(
        lambda: nn.Transformer(6, 7, 2)(ndl.Tensor(x)),
        lambda: NumpyTransformer(6, 7, 2)(x.swapaxes(0, 1)).swapaxes(0, 1),
    )
    assert computed[0].shape == (5, 2, 6)
    np.testing.assert_allclose(computed[0].numpy(), expected, **FLOAT32)


@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer_gives_a_state_of_zeros(batch_first):
    model = nn.Transformer(6, 7, 1, num_head=2, dim_head=4, batch_first=batch_first, sequence_len=9)
    x = ndl.Tensor(normal(5, 2, 6))
    for out, state in (model(x), model(x, None), model(x, ndl.Tensor(normal(5, 2, 6)))):
        assert out.shape == (5, 2, 6)
        np.testing.assert_array_equal(state.numpy(), np.zeros((5, 2, 6)))


def test_every_parameter_of_a_transformer_gets_a_gradient():
    model = nn.Transformer(6, 7, 2, num_head=2, dim_head=4, sequence_len=9)
    model(ndl.Tensor(normal(5, 2, 6)))[0].backward()
    parameters = model.parameters()
    assert parameters[0].shape == (9, 6)
    assert [p.grad.shape for p in parameters] == [p.shape for p in parameters]
    assert not parameters[0].grad.numpy()[5:].any()
