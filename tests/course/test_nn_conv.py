"""nn.Conv: NCHW outside, NHWC inside, padding k // 2, and its draws."""

import numpy as np
import pytest

import needle as ndl
from needle import nn

from . import reference
from .finite_differences import assert_curvature_along_two_directions, assert_slopes_along_a_direction

SIZES = [(2, 3, 3, 1), (3, 2, 3, 2), (1, 4, 1, 1), (2, 2, 5, 2), (2, 1, 7, 4), (3, 3, 1, 2)]


def images(*shape, dtype="float32"):
    return ndl.Tensor(np.random.default_rng(14).normal(size=shape), dtype=dtype)


@pytest.mark.parametrize("channels_in, channels_out, size, stride", SIZES)
def test_conv_draws_its_weight_first_then_its_bias(channels_in, channels_out, size, stride):
    np.random.seed(51)
    weight, bias = reference.draw_conv(channels_in, channels_out, size)
    np.random.seed(51)
    module = nn.Conv(channels_in, channels_out, size, stride=stride)
    assert [p.shape for p in module.parameters()] == [(size, size, channels_in, channels_out), (channels_out,)]
    np.testing.assert_array_equal(module.weight.numpy(), weight)
    # The bound 1/√(in·k²) may be rounded in another order.
    np.testing.assert_allclose(module.bias.numpy(), bias, rtol=1e-6)


def test_conv_without_bias():
    np.random.seed(51)
    reference.draw_kaiming_uniform(18, 27, shape=(3, 3, 2, 3))
    after = np.random.rand()
    np.random.seed(51)
    module = nn.Conv(2, 3, 3, bias=False)
    assert np.random.rand() == after
    assert module.bias is None
    assert [p is module.weight for p in module.parameters()] == [True]


@pytest.mark.parametrize("channels_in, channels_out, size, stride", SIZES)
@pytest.mark.parametrize("height, width", [(8, 8), (7, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_conv_is_the_cross_correlation(channels_in, channels_out, size, stride, height, width, bias):
    module = nn.Conv(channels_in, channels_out, size, stride=stride, bias=bias)
    x = images(2, channels_in, height, width)
    shift = module.bias.numpy() if bias else 0
    expected = reference.convolve_channels_first(x.numpy(), module.weight.numpy(), shift, stride)
    out = module(x)
    assert (out.shape, out.dtype) == (expected.shape, "float32")
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-5)  # float32 sums of up to 98 products


@pytest.mark.parametrize("size", [1, 3, 5])
def test_an_odd_kernel_keeps_the_size_of_the_image(size):
    assert nn.Conv(2, 3, size)(images(1, 2, 6, 7)).shape == (1, 3, 6, 7)


@pytest.mark.parametrize("channels_in, channels_out, size, stride", SIZES)
def test_conv_gradients(channels_in, channels_out, size, stride):
    module = nn.Conv(channels_in, channels_out, size, stride=stride, dtype="float64")
    x = images(2, channels_in, 5, 6, dtype="float64")
    weights, tensors = images(*module(x).shape, dtype="float64"), [x, module.weight, module.bias]
    assert_slopes_along_a_direction(lambda: (module(x) * weights).sum(), tensors)
    assert_curvature_along_two_directions(lambda: (module(x) ** 2 * weights).sum(), tensors)


def test_gradients_of_the_input_are_asked_for_like_those_of_the_course():
    module = nn.Conv(2, 3, 3, stride=2)
    x = ndl.init.rand(2, 2, 6, 6, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.cached_data.numpy().shape == (2, 2, 6, 6)
    assert module.weight.grad.cached_data.numpy().shape == (3, 3, 2, 3)
    np.testing.assert_allclose(module.bias.grad.cached_data.numpy(), [2 * 3 * 3] * 3)
