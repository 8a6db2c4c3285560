"""`needle.scipy.signal` beyond its rows in the table: errors, and large arrays."""

import numpy as np
import pytest
import scipy.signal

import needle as ndl
from needle.scipy import signal


def t(*shape):
    return ndl.Tensor(np.ones(shape))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: signal.convolve(t(2), t(2, 2)), ValueError, r"dimensionality.*\(2,\).*\(2, 2\)"),
        (lambda: signal.convolve(t(2), t(2), mode="most"), ValueError, "mode of convolve.*'most'"),
        (lambda: signal.convolve(t(2), t(2), method="slow"), ValueError, "method"),
        (lambda: signal.fftconvolve(t(2, 3), t(3, 2), mode="valid"), ValueError, r"\(2, 3\) and \(3, 2\)"),
        (lambda: signal.fftconvolve(t(2, 3), t(3, 2), axes=1), ValueError, "do not broadcast along axis 0"),
        (lambda: signal.fftconvolve(t(2, 3), t(3, 2), axes=2), np.exceptions.AxisError, "axis 2"),
        (lambda: signal.hilbert(t(4)), TypeError, "no derivative of scipy.signal.*hilbert"),
    ],
)
def test_a_mistake_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_empty_arrays_convolve_to_nothing():
    assert signal.fftconvolve(t(0), t(3)).shape == scipy.signal.fftconvolve(np.ones(0), np.ones(3)).shape


def test_whole_numbers_stay_whole():
    a = ndl.Tensor([1, 2, 3], dtype="int64", requires_grad=False)
    found = signal.convolve(a, np.array([1, 1]))
    assert found.dtype == np.int64 and found.numpy().tolist() == [1, 3, 5, 3]


def test_a_long_convolution_goes_by_way_of_fourier_transforms_in_every_mode():
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=2000), rng.normal(size=1500)
    out, pull = ndl.vjp(lambda a, v: signal.convolve(a, v, "same"), a, v)
    np.testing.assert_allclose(out, np.convolve(a, v, "full")[749:2749], atol=1e-10)
    g = rng.normal(size=2000)
    by_a, by_v = pull(g)
    np.testing.assert_allclose(by_a @ a, g @ out, rtol=1e-9)  # linear in each
    np.testing.assert_allclose(by_v @ v, g @ out, rtol=1e-9)
