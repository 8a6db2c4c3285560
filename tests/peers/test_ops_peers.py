"""A sample of ops against PyTorch and JAX: values, gradients, and for smooth ones second derivatives, in float64.

Images are NHWC here and NCHW in PyTorch.  All three add up the same products in another order: 1e-10 is ample.
"""

import numpy as np
import pytest

from needle import Tensor, ops

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp, lax = jax.numpy, jax.lax

CLOSE = {"rtol": 1e-10, "atol": 1e-11}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_needle(function, arrays, weights):
    """The value, and the gradients of ⟨w, value⟩ and of the sum of squares of those."""
    tensors = [Tensor(array) for array in arrays]
    out = function(*tensors)
    out.backward(Tensor(weights(out.shape)))
    first = [tensor.grad for tensor in tensors]
    total = sum((ops.square(grad).sum() for grad in first), start=Tensor(0.0, requires_grad=False))
    for tensor in tensors:
        tensor.grad = None
    try:
        total.backward()
    except RuntimeError:  # a constant gradient
        pass
    second = [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in tensors]
    return out.numpy(), [grad.numpy() for grad in first], second


def with_torch(function, arrays, weights):
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*tensors)
    seed = torch.tensor(weights(tuple(out.shape)))
    first = torch.autograd.grad(out, tensors, seed, create_graph=True)
    total = sum((grad**2).sum() for grad in first)
    second = [torch.zeros_like(t) for t in tensors]
    if total.requires_grad:
        found = torch.autograd.grad(total, tensors, allow_unused=True)
        second = [zero if grad is None else grad for grad, zero in zip(found, second)]
    return out.detach().numpy(), [grad.detach().numpy() for grad in first], [grad.numpy(force=True) for grad in second]


def with_jax(function, arrays, weights):
    arrays = tuple(map(jnp.asarray, arrays))
    places = tuple(range(len(arrays)))
    seed = weights(jax.eval_shape(function, *arrays).shape)
    gradient = jax.grad(lambda *xs: (function(*xs) * seed).sum(), places)
    second = jax.grad(lambda *xs: sum((grad**2).sum() for grad in gradient(*xs)), places)
    return function(*arrays), gradient(*arrays), second(*arrays)


def assert_alike(function, peer, with_peer, arrays):
    weights = lambda shape: normal(*shape, seed=7)
    value, first, second = with_needle(function, arrays, weights)
    expected_value, expected_first, expected_second = with_peer(peer, arrays, weights)
    np.testing.assert_allclose(value, np.asarray(expected_value), **CLOSE)
    for found, expected in zip(first + second, [*expected_first, *expected_second], strict=True):
        np.testing.assert_allclose(found, np.asarray(expected), **CLOSE)


# --------------------------------------------------------------------------------------------------------------------
# Convolution and pooling


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


CONVOLUTIONS = [
    {"stride": 1, "padding": 0},
    {"stride": 2, "padding": 1},
    {"stride": 1, "padding": 2, "dilation": 2},
    {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)},
    {"stride": 3, "padding": 1},
    {"stride": 1, "padding": 1, "groups": 2},
    {"stride": 2, "padding": 1, "groups": 4, "dilation": 2},
]


@pytest.mark.parametrize("geometry", CONVOLUTIONS, ids=str)
def test_conv_is_torchs(geometry):
    groups = geometry.get("groups", 1)
    assert_alike(
        lambda x, w: ops.conv(x, w, **geometry),
        lambda x, w: nhwc(torch.nn.functional.conv2d(nchw(x), w.permute(3, 2, 0, 1), **geometry)),
        with_torch,
        [normal(2, 8, 9, 4), normal(3, 3, 4 // groups, 8, seed=1)],
    )


@pytest.mark.parametrize("geometry", CONVOLUTIONS[3::3], ids=str)  # each is compiled anew: a sample
def test_conv_is_jaxs(geometry):
    pair = lambda value: (value, value) if isinstance(value, int) else value
    groups = geometry.get("groups", 1)
    assert_alike(
        lambda x, w: ops.conv(x, w, **geometry),
        lambda x, w: lax.conv_general_dilated(
            x,
            w,
            pair(geometry["stride"]),
            [(p, p) for p in pair(geometry["padding"])],
            rhs_dilation=pair(geometry.get("dilation", 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        ),
        with_jax,
        [normal(2, 8, 9, 4), normal(3, 3, 4 // groups, 8, seed=1)],
    )


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 1), "output_padding": (2, 0)},
        {"dilation": 2, "padding": 2},
        {"stride": 2, "groups": 2},
    ],
    ids=str,
)
def test_conv_transpose_is_torchs(geometry):
    """PyTorch keeps the kernel as (C_in, C_out / groups, K, K), needle that of the convolution it transposes."""
    groups = geometry.get("groups", 1)
    assert_alike(
        lambda x, w: ops.conv_transpose(x, w, **geometry),
        lambda x, w: nhwc(torch.nn.functional.conv_transpose2d(nchw(x), w.permute(3, 2, 0, 1), **geometry)),
        with_torch,
        [normal(2, 4, 5, 4), normal(3, 3, 6 // groups, 4, seed=1)],
    )


POOLS = [
    {"kernel": 2},
    {"kernel": 3, "stride": 2, "padding": 1},
    {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0)},
]


@pytest.mark.parametrize("geometry", POOLS, ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_max_pool_is_torchs_also_at_ties(geometry, ties):
    x = np.random.default_rng(3).integers(0, 3, (2, 6, 7, 3)).astype(float) if ties else normal(2, 6, 7, 3)
    options = {"kernel_size" if key == "kernel" else key: value for key, value in geometry.items()}
    assert_alike(
        lambda x: ops.max_pool(x, **geometry),
        lambda x: nhwc(torch.nn.functional.max_pool2d(nchw(x), **options)),
        with_torch,
        [x],
    )


@pytest.mark.parametrize("geometry", POOLS, ids=str)
def test_avg_pool_is_torchs(geometry):
    options = {"kernel_size" if key == "kernel" else key: value for key, value in geometry.items()}
    assert_alike(
        lambda x: ops.avg_pool(x, **geometry),
        lambda x: nhwc(torch.nn.functional.avg_pool2d(nchw(x), **options)),
        with_torch,
        [normal(2, 6, 7, 3)],
    )


# --------------------------------------------------------------------------------------------------------------------
# Functions


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["moderate", "large"])
@pytest.mark.parametrize(
    "ours, torchs, jaxs",
    [
        (ops.relu, torch.relu, jax.nn.relu),
        (ops.gelu, lambda x: torch.nn.functional.gelu(x, approximate="tanh"), jax.nn.gelu),
        (ops.silu, torch.nn.functional.silu, jax.nn.silu),
        (ops.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x)), jax.nn.softplus),
        (ops.sigmoid, torch.sigmoid, jax.nn.sigmoid),
        (ops.tanh, torch.tanh, jnp.tanh),
        (ops.arctan, torch.arctan, jnp.arctan),
        (ops.abs, torch.abs, jnp.abs),
        (ops.softmax, lambda x: torch.softmax(x, -1), jax.nn.softmax),
        (ops.logsoftmax, lambda x: torch.log_softmax(x, -1), jax.nn.log_softmax),
        (ops.logsumexp, lambda x: torch.logsumexp(x, (0, 1)), jax.nn.logsumexp),
        (lambda x: ops.logsumexp(x, 0), lambda x: torch.logsumexp(x, 0), lambda x: jax.nn.logsumexp(x, 0)),
        (lambda x: ops.var(x, 1, 1), lambda x: torch.var(x, 1), lambda x: jnp.var(x, 1, ddof=1)),
        (lambda x: ops.mean(x, 0), lambda x: torch.mean(x, 0), lambda x: jnp.mean(x, 0)),
        (lambda x: ops.clip(x, -0.5, 1.0), lambda x: torch.clip(x, -0.5, 1.0), lambda x: jnp.clip(x, -0.5, 1.0)),
    ],
    ids=["relu", "gelu", "silu", "softplus", "sigmoid", "tanh", "arctan", "abs", "softmax", "logsoftmax",
         "logsumexp of all", "logsumexp", "var", "mean", "clip"],
)  # fmt: skip
def test_functions_are_those_of_torch_and_jax(ours, torchs, jaxs, scale):
    x = normal(4, 5) * scale
    assert_alike(ours, torchs, with_torch, [x])
    assert_alike(ours, jaxs, with_jax, [x])


@pytest.mark.parametrize(
    "ours, torchs, jaxs",
    [
        (ops.maximum, torch.maximum, jnp.maximum),
        (ops.minimum, torch.minimum, jnp.minimum),
    ],
    ids=["maximum", "minimum"],
)
def test_ties_of_two_are_shared_as_in_torch_and_jax(ours, torchs, jaxs):
    a, b = (np.random.default_rng(seed).integers(0, 2, (4, 5)).astype(float) for seed in (0, 1))
    assert_alike(ours, torchs, with_torch, [a, b])
    assert_alike(ours, jaxs, with_jax, [a, b])


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_along_an_axis_are_shared_as_in_torch_and_jax(name, axis):
    x = np.random.default_rng(0).integers(0, 2, (4, 5)).astype(float)
    everything = (0, 1) if axis is None else axis
    assert_alike(
        lambda x: getattr(ops, name)(x, axis), lambda x: getattr(torch, f"a{name}")(x, everything), with_torch, [x]
    )
    assert_alike(lambda x: getattr(ops, name)(x, axis), lambda x: getattr(jnp, name)(x, axis), with_jax, [x])


@pytest.mark.parametrize("base", [0.0, 2.0])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4])
def test_powers_are_jaxs_also_at_zero(base, exponent):
    assert_alike(lambda x: x**exponent, lambda x: x**exponent, with_jax, [np.full((3,), base)])
    fixed = Tensor(float(exponent), requires_grad=False)
    assert_alike(lambda x: ops.power(x, fixed), lambda x: x**exponent, with_jax, [np.full((3,), base)])


# --------------------------------------------------------------------------------------------------------------------
# Contractions and indexing


@pytest.mark.parametrize(
    "subscripts, shapes",
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("iij->j", [(3, 3, 2)]),
        ("ij,kl->", [(2, 3), (2, 2)]),
        ("i,j,k->ijk", [(2,), (3,), (4,)]),
        ("bij,bjk,bkl->bil", [(2, 2, 3), (2, 3, 2), (2, 2, 4)]),
    ],
)
def test_einsum_is_torchs_and_jaxs(subscripts, shapes):
    arrays = [normal(*shape, seed=k) for k, shape in enumerate(shapes)]
    assert_alike(lambda *xs: ops.einsum(subscripts, *xs), lambda *xs: torch.einsum(subscripts, *xs), with_torch, arrays)
    assert_alike(lambda *xs: ops.einsum(subscripts, *xs), lambda *xs: jnp.einsum(subscripts, *xs), with_jax, arrays)


MATRICES = [
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((3,), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (3,)),
]


@pytest.mark.parametrize("shapes", MATRICES, ids=str)
def test_matmul_is_torchs(shapes):
    arrays = [normal(*shape, seed=k) for k, shape in enumerate(shapes)]
    assert_alike(ops.matmul, torch.matmul, with_torch, arrays)


@pytest.mark.parametrize(
    "index",
    [
        (slice(None, None, 2), 1),
        (slice(1, 3), slice(None), 0),
        ([0, 0, 3],),
        ([0, 3, 3], [1, 1, 2]),
        (slice(None), [2, 2, 0]),
        ([1, 0], slice(None), [0, 1]),
        (..., None, 1),
        (np.array([True, False, True, True]),),
        (np.arange(24).reshape(4, 3, 2) % 3 == 0,),
        (np.array([[0], [2]]), np.array([[0, 1]])),
    ],
    ids=str,
)
def test_indexing_is_torchs_and_jaxs(index):
    x = normal(4, 3, 2)
    for_torch = tuple(torch.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
    for_jax = tuple(np.array(i) if isinstance(i, list) else i for i in index)
    assert_alike(lambda x: x[index] ** 2, lambda x: x[for_torch] ** 2, with_torch, [x])
    assert_alike(lambda x: x[index] ** 2, lambda x: x[for_jax] ** 2, with_jax, [x])


def test_take_along_axis_and_embedding_are_torchs():
    x, rows = normal(4, 3), np.array([[2, 0], [1, 1], [0, 2], [2, 2]])
    assert_alike(
        lambda x: ops.take_along_axis(x, rows, 1) ** 2,
        lambda x: torch.take_along_dim(x, torch.tensor(rows), 1) ** 2,
        with_torch,
        [x],
    )
    assert_alike(
        lambda w: ops.embedding_lookup(w, rows) ** 2,
        lambda w: torch.nn.functional.embedding(torch.tensor(rows), w) ** 2,
        with_torch,
        [x],
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_half_and_single_precision_agree_with_torch(dtype):
    """A few units in the last place of the dtype."""
    x = (normal(4, 5) * 3).astype(dtype)
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    for ours, peer in [
        (ops.sigmoid, torch.sigmoid),
        (ops.tanh, torch.tanh),
        (ops.softmax, lambda x: torch.softmax(x, -1)),
    ]:
        tensor, twin = Tensor(x), torch.tensor(x, requires_grad=True)
        out, expected = ours(tensor), peer(twin)
        out.sum().backward()
        expected.sum().backward()
        assert str(out.dtype) == str(tensor.grad.dtype) == dtype
        np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), **tolerance)
        np.testing.assert_allclose(tensor.grad.numpy(), twin.grad.numpy(), **tolerance)
