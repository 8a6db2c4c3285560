"""Every nn Module against PyTorch's, from equal weights: value, gradients of the input and of every parameter.

In float64, where both add up the same products in another order: 1e-9 is ample.  PyTorch holds a linear map as
(out, in), needle as (in, out); a convolution's kernel is (out, in, k, k) there and (k, k, in, out) here.
"""

import numpy as np
import pytest

import needle as ndl
from needle import nn

torch = pytest.importorskip("torch")

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
DOUBLE = {"dtype": "float64"}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def to_torch(array):
    """A parameter's array in PyTorch's layout."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.ndim == 2 and array.shape[0] == 1:  # the bias of a Linear
        return array[0]
    return array.T if array.ndim == 2 else array


def copy_weights(module, peer):
    with torch.no_grad():
        for theirs, ours in zip(peer.parameters(), module.parameters(), strict=True):
            ours.data = ndl.Tensor(normal(*ours.shape, seed=len(ours.shape)) * 0.5)
            theirs.copy_(torch.tensor(to_torch(ours.numpy())))


def first(result):
    return result[0] if isinstance(result, tuple) else result


def assert_alike(module, peer, arrays):
    copy_weights(module, peer)
    peer.zero_grad()  # the cases are shared between tests, and PyTorch adds up
    ours = [ndl.Tensor(array) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    out, expected = first(module(*ours)), first(peer(*theirs))
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), **CLOSE)
    seed = normal(*out.shape, seed=9)
    out.backward(ndl.Tensor(seed))
    expected.backward(torch.tensor(seed))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), **CLOSE)
    for mine, other in zip(module.parameters(), peer.parameters(), strict=True):
        np.testing.assert_allclose(to_torch(mine.grad.numpy()), other.grad.numpy(), **CLOSE)


CASES = {
    "Linear": (nn.Linear(5, 3, **DOUBLE), torch.nn.Linear(5, 3), (4, 5)),
    "Linear, 3-D": (nn.Linear(5, 3, **DOUBLE), torch.nn.Linear(5, 3), (2, 4, 5)),
    "Linear, no bias": (nn.Linear(5, 3, bias=False, **DOUBLE), torch.nn.Linear(5, 3, bias=False), (4, 5)),
    "Flatten": (nn.Flatten(), torch.nn.Flatten(), (3, 2, 4)),
    "ReLU": (nn.ReLU(), torch.nn.ReLU(), (4, 5)),
    "Tanh": (nn.Tanh(), torch.nn.Tanh(), (4, 5)),
    "Sigmoid": (nn.Sigmoid(), torch.nn.Sigmoid(), (4, 5)),
    "GELU": (nn.GELU(), torch.nn.GELU(approximate="tanh"), (4, 5)),
    "SiLU": (nn.SiLU(), torch.nn.SiLU(), (4, 5)),
    "Softplus": (nn.Softplus(), torch.nn.Softplus(), (4, 5)),
    "Softmax": (nn.Softmax(dim=-1), torch.nn.Softmax(dim=-1), (4, 5)),
    "LogSoftmax": (nn.LogSoftmax(dim=0), torch.nn.LogSoftmax(dim=0), (4, 5)),
    "Identity": (nn.Identity(), torch.nn.Identity(), (4, 5)),
    "BatchNorm1d": (nn.BatchNorm1d(5, **DOUBLE), torch.nn.BatchNorm1d(5), (4, 5)),
    "BatchNorm2d": (nn.BatchNorm2d(3, **DOUBLE), torch.nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "LayerNorm1d": (nn.LayerNorm1d(5, **DOUBLE), torch.nn.LayerNorm(5), (2, 4, 5)),
    "GroupNorm": (nn.GroupNorm(2, 4, **DOUBLE), torch.nn.GroupNorm(2, 4), (2, 4, 3, 5)),
    "Conv": (nn.Conv(2, 4, 3, **DOUBLE), torch.nn.Conv2d(2, 4, 3, padding=1), (2, 2, 5, 6)),
    "Conv, stride": (nn.Conv(2, 4, 7, stride=4, **DOUBLE), torch.nn.Conv2d(2, 4, 7, stride=4, padding=3), (2, 2, 9, 8)),
    "Conv, groups and dilation": (
        nn.Conv(4, 6, 3, groups=2, dilation=2, padding=1, bias=False, **DOUBLE),
        torch.nn.Conv2d(4, 6, 3, groups=2, dilation=2, padding=1, bias=False),
        (2, 4, 6, 7),
    ),
    "ConvTranspose": (
        nn.ConvTranspose(3, 4, 3, stride=2, padding=1, output_padding=1, **DOUBLE),
        torch.nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        (2, 3, 4, 5),
    ),
    "ConvTranspose, dilation": (
        nn.ConvTranspose(3, 4, 3, dilation=2, **DOUBLE),
        torch.nn.ConvTranspose2d(3, 4, 3, dilation=2),
        (2, 3, 4, 5),
    ),
    "MaxPool": (nn.MaxPool(3, stride=2, padding=1), torch.nn.MaxPool2d(3, stride=2, padding=1), (2, 3, 6, 7)),
    "AvgPool": (nn.AvgPool(2), torch.nn.AvgPool2d(2), (2, 3, 6, 5)),
    "RNN": (nn.RNN(4, 3, 2, **DOUBLE), torch.nn.RNN(4, 3, 2), (5, 2, 4)),
    "RNN, relu": (nn.RNN(4, 3, nonlinearity="relu", **DOUBLE), torch.nn.RNN(4, 3, nonlinearity="relu"), (5, 2, 4)),
    "RNNCell": (nn.RNNCell(4, 3, **DOUBLE), torch.nn.RNNCell(4, 3), (2, 4)),
    "LSTM": (nn.LSTM(4, 3, 2, **DOUBLE), torch.nn.LSTM(4, 3, 2), (5, 2, 4)),
    "LSTM, no bias": (nn.LSTM(4, 3, bias=False, **DOUBLE), torch.nn.LSTM(4, 3, bias=False), (5, 2, 4)),
    "LSTMCell": (nn.LSTMCell(4, 3, **DOUBLE), torch.nn.LSTMCell(4, 3), (2, 4)),
    "GRU": (nn.GRU(4, 3, 2, **DOUBLE), torch.nn.GRU(4, 3, 2), (5, 2, 4)),
    "GRUCell": (nn.GRUCell(4, 3, **DOUBLE), torch.nn.GRUCell(4, 3), (2, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_module(name):
    module, peer, shape = CASES[name]
    assert_alike(module, peer.double(), [normal(*shape)])


@pytest.mark.parametrize("ours, theirs", [(nn.LSTM, torch.nn.LSTM), (nn.GRU, torch.nn.GRU), (nn.RNN, torch.nn.RNN)])
def test_the_last_state_of_a_recurrent_net_from_a_given_one(ours, theirs):
    module, peer = ours(4, 3, 2, dtype="float64"), theirs(4, 3, 2).double()
    copy_weights(module, peer)
    x, states = normal(5, 2, 4), [normal(2, 2, 3, seed=i) for i in range(2 if ours is nn.LSTM else 1)]
    mine, others = [ndl.Tensor(s) for s in states], [torch.tensor(s, requires_grad=True) for s in states]
    pack = tuple if len(states) == 2 else lambda values: values[0]
    last, expected = module(ndl.Tensor(x), pack(mine))[1], peer(torch.tensor(x), pack(others))[1]
    last, expected = (v if isinstance(v, tuple) else (v,) for v in (last, expected))
    for a, b in zip(last, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), **CLOSE)
    sum((a * a).sum() for a in last).backward()
    sum((b * b).sum() for b in expected).backward()
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_batch_norm_in_evaluation(name):
    module, peer, shape = CASES[name]
    peer = peer.double()
    peer.running_mean.copy_(torch.tensor(normal(*peer.running_mean.shape)))
    peer.running_var.copy_(torch.tensor(normal(*peer.running_var.shape) ** 2 + 0.1))
    module.running_mean = ndl.Tensor(peer.running_mean.numpy(), requires_grad=False)
    module.running_var = ndl.Tensor(peer.running_var.numpy(), requires_grad=False)
    try:
        assert_alike(module.eval(), peer.eval(), [normal(*shape)])
    finally:
        module.train(), peer.train()


def test_embedding():
    module, peer = nn.Embedding(6, 3, dtype="float64"), torch.nn.Embedding(6, 3).double()
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(module.weight.numpy()))
    indices = np.array([[0, 5, 5], [2, 0, 5]])
    out, expected = module(ndl.Tensor(indices)), peer(torch.tensor(indices))
    np.testing.assert_array_equal(out.numpy(), expected.detach().numpy())
    (out * out).sum().backward()
    (expected**2).sum().backward()
    np.testing.assert_allclose(module.weight.grad.numpy(), peer.weight.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal):
    arrays = [normal(2, 3, 4, 5, seed=i) for i in range(3)]
    ours, theirs = [ndl.Tensor(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    out, _ = nn.MultiHeadAttention(causal=causal)(*ours)
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=causal)
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), **CLOSE)
    (out * out).sum().backward()
    (expected**2).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **CLOSE)


def test_transformer_layer():
    """PyTorch's own block with the norm first: needle's norms of q, k and v are one norm there, so equal weights."""
    width, heads = 8, 2
    module = nn.TransformerLayer(width, heads, width // heads, 16, causal=True, dtype="float64").eval()
    peer = torch.nn.TransformerEncoderLayer(width, heads, 16, dropout=0.0, batch_first=True, norm_first=True).double()
    attention, feed = module.attention.fn[0], module.feed_forward.fn
    projections = [attention.q_projection, attention.k_projection, attention.v_projection]
    with torch.no_grad():
        peer.self_attn.in_proj_weight.copy_(torch.tensor(np.concatenate([p.weight.numpy().T for p in projections])))
        peer.self_attn.in_proj_bias.zero_()
        peer.self_attn.out_proj.weight.copy_(torch.tensor(attention.out_projection.weight.numpy().T))
        peer.self_attn.out_proj.bias.zero_()
        for ours, theirs in ((feed[1], peer.linear1), (feed[4], peer.linear2)):
            theirs.weight.copy_(torch.tensor(ours.weight.numpy().T))
            theirs.bias.copy_(torch.tensor(ours.bias.numpy()[0]))
    array = normal(2, 5, width)
    x, y = ndl.Tensor(array), torch.tensor(array, requires_grad=True)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5).double()
    out, expected = module(x), peer(y, src_mask=mask)
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), **CLOSE)
    (out * out).sum().backward()
    (expected**2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), **CLOSE)
    np.testing.assert_allclose(feed[1].weight.grad.numpy(), peer.linear1.weight.grad.numpy().T, **CLOSE)


# Losses


LOSSES = {
    "MSELoss": (nn.MSELoss, torch.nn.MSELoss, {}),
    "L1Loss": (nn.L1Loss, torch.nn.L1Loss, {}),
    "HuberLoss": (nn.HuberLoss, torch.nn.HuberLoss, {"delta": 0.7}),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss, {}),
    "KLDivLoss": (nn.KLDivLoss, torch.nn.KLDivLoss, {}),
    "KLDivLoss, log": (nn.KLDivLoss, torch.nn.KLDivLoss, {"log_target": True}),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore:reduction. .mean. divides:UserWarning")
def test_loss(name, reduction):
    ours, theirs, options = LOSSES[name]
    x, y = normal(4, 5), np.abs(normal(4, 5, seed=1)) % 1
    mine, other = ndl.Tensor(x), torch.tensor(x, requires_grad=True)
    loss = ours(reduction=reduction, **options)(mine, ndl.Tensor(y))
    expected = theirs(reduction=reduction, **options)(other, torch.tensor(y))
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), **CLOSE)
    loss.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("target", [np.array([2, 0, 4, 4]), np.full((4, 5), 0.2)])
def test_softmax_loss(target):
    x = normal(4, 5)
    mine, other = ndl.Tensor(x), torch.tensor(x, requires_grad=True)
    loss = nn.SoftmaxLoss()(mine, ndl.Tensor(target))
    expected = torch.nn.functional.cross_entropy(other, torch.tensor(target))
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), **CLOSE)
    loss.backward()
    expected.backward()
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), **CLOSE)


# Training


def test_ten_steps_of_a_convolutional_net_and_its_running_statistics():
    ours = nn.Sequential(
        nn.Conv(1, 4, 3, stride=2, **DOUBLE),
        nn.BatchNorm2d(4, **DOUBLE),
        nn.ReLU(),
        nn.Conv(4, 8, 3, **DOUBLE),
        nn.ReLU(),
        nn.MaxPool(2),
        nn.Flatten(),
        nn.Linear(32, 5, **DOUBLE),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 5),
    ).double()
    copy_weights(ours, theirs)
    X, y = normal(6, 1, 8, 8), np.arange(6) % 5
    for _ in range(10):
        loss = nn.SoftmaxLoss()(ours(ndl.Tensor(X)), ndl.Tensor(y))
        loss.backward()
        for p in ours.parameters():
            p.data = p.data - p.grad.data * 0.1
        theirs.zero_grad()
        expected = torch.nn.functional.cross_entropy(theirs(torch.tensor(X)), torch.tensor(y))
        expected.backward()
        with torch.no_grad():
            for p in theirs.parameters():
                p -= 0.1 * p.grad
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-8)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(to_torch(a.numpy()), b.detach().numpy(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours[1].running_mean.numpy(), theirs[1].running_mean.numpy(), rtol=1e-7)
    # Each starts at 1, of which 0.9^10 is left; the rest is the batches' variance, unbiased in PyTorch, here biased.
    n = 6 * 4 * 4
    moved = (theirs[1].running_var.numpy() - 0.9**10) * (n - 1) / n
    np.testing.assert_allclose(ours[1].running_var.numpy() - 0.9**10, moved, rtol=1e-6)
