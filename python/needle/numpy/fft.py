"""`numpy.fft` on Tensors: three linear ops (ops/fourier.py), with cropping and padding in front of them."""

import operator

import numpy as np

from .. import ops
from ..graph import Tensor
from ..ops.fourier import Fourier, HalfFourier, InverseHalfFourier
from ..ops.linalg import conj
from .dispatch import as_tensor, face, implements


def __getattr__(name: str):
    return face(getattr(np.fft, name))


def __dir__():
    return dir(np.fft)


def fitted(a: Tensor, lengths: dict[int, int]) -> Tensor:
    """a, cropped or filled up with zeros at the end to the lengths of some of its axes."""
    widths = [(0, 0)] * a.ndim
    for axis, n in lengths.items():
        if n < 1:
            raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
        widths[axis] = (0, n - a.shape[axis])
    return ops.pad(a, widths) if any(after for _, after in widths) else a


def one_axis(a, n, axis) -> tuple[Tensor, int, int]:
    """(the argument as a Tensor, how long it shall be, the axis, counted from the end)."""
    a = as_tensor(a)
    axis = ops.kinds.normalize_axes(axis, a.ndim)[0] - a.ndim
    return a, a.shape[axis] if n is None else operator.index(n), axis


def several_axes(a, s, axes) -> tuple[Tensor, list[int], tuple[int, ...]]:
    """(the argument as a Tensor, how long it shall be along each axis, the axes, counted from the end)."""
    a = as_tensor(a)
    if axes is None:
        axes = range(-a.ndim, 0) if s is None else range(-len(s), 0)
    axes = tuple([ops.kinds.normalize_axes(axis, a.ndim)[0] - a.ndim for axis in axes])
    if s is None:
        s = [a.shape[axis] for axis in axes]
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return a, [a.shape[axis] if n in (None, -1) else operator.index(n) for n, axis in zip(s, axes)], axes


def _norm(norm):
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    return norm


_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


# --------------------------------------------------------------------------------------------------------------------
# One axis


@implements(np.fft.fft)
def fft(a, n=None, axis=-1, norm=None, out=None):
    """The discrete Fourier transform."""
    a, n, axis = one_axis(a, n, axis)
    return Fourier((axis,), False, _norm(norm))(fitted(a, {axis: n}))


@implements(np.fft.ifft)
def ifft(a, n=None, axis=-1, norm=None, out=None):
    """The inverse of `fft`."""
    a, n, axis = one_axis(a, n, axis)
    return Fourier((axis,), True, _norm(norm))(fitted(a, {axis: n}))


@implements(np.fft.rfft)
def rfft(a, n=None, axis=-1, norm=None, out=None):
    """The first half of the transform of real numbers."""
    a, n, axis = one_axis(_real(a), n, axis)
    return HalfFourier(axis, _norm(norm))(fitted(a, {axis: n}))


def _real(a):
    a = as_tensor(a)
    if a.dtype.kind == "c":
        raise TypeError(f"rfft and ihfft take real numbers, got {a.dtype}")
    return a


@implements(np.fft.irfft)
def irfft(a, n=None, axis=-1, norm=None, out=None):
    """The n real numbers (by default the most even number) of whose transform a is the first half."""
    a, length, axis = one_axis(a, n, axis)
    if n is None:
        length = 2 * (length - 1)
    if length < 1:
        raise ValueError(f"Invalid number of FFT data points ({length}) specified.")
    return InverseHalfFourier(axis, length, _norm(norm))(fitted(a, {axis: length // 2 + 1}))


@implements(np.fft.hfft)
def hfft(a, n=None, axis=-1, norm=None, out=None):
    """The transform, which is real, of a signal with Hermitian symmetry, of which a is the first half."""
    return irfft(conj(as_tensor(a)), n, axis, _OPPOSITE[_norm(norm)])


@implements(np.fft.ihfft)
def ihfft(a, n=None, axis=-1, norm=None, out=None):
    """The inverse of `hfft`."""
    return conj(rfft(a, n, axis, _OPPOSITE[_norm(norm)]))


# --------------------------------------------------------------------------------------------------------------------
# Several axes


@implements(np.fft.fftn)
def fftn(a, s=None, axes=None, norm=None, out=None):
    """The transform along several axes (all)."""
    return _along(a, s, axes, norm, inverse=False)


@implements(np.fft.ifftn)
def ifftn(a, s=None, axes=None, norm=None, out=None):
    """The inverse of `fftn`."""
    return _along(a, s, axes, norm, inverse=True)


@implements(np.fft.fft2)
def fft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """The transform along two axes."""
    return _along(a, s, axes, norm, inverse=False)


@implements(np.fft.ifft2)
def ifft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """The inverse of `fft2`."""
    return _along(a, s, axes, norm, inverse=True)


def _along(a, s, axes, norm, inverse: bool) -> Tensor:
    a, s, axes = several_axes(a, s, axes)
    a = fitted(a, dict(zip(axes, s)))
    if not axes:
        return a if a.dtype.kind == "c" else a.astype(np.result_type(a.dtype, np.complex64))
    return Fourier(axes, inverse, _norm(norm))(a)


@implements(np.fft.rfftn)
def rfftn(a, s=None, axes=None, norm=None, out=None):
    """The transform of real numbers along several axes (all), of which the last is kept by half."""
    a, s, axes = several_axes(_real(a), s, axes)
    half = HalfFourier(axes[-1], _norm(norm))(fitted(a, dict(zip(axes, s))))
    return Fourier(axes[:-1], False, norm)(half) if len(axes) > 1 else half


@implements(np.fft.irfftn)
def irfftn(a, s=None, axes=None, norm=None, out=None):
    """The inverse of `rfftn`; `s` is the shape of the result along the axes."""
    last_is_given = s is not None and s[-1] not in (None, -1)
    a, s, axes = several_axes(a, s, axes)
    n = s[-1] if last_is_given else 2 * (a.shape[axes[-1]] - 1)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    a = fitted(a, dict(zip(axes, [*s[:-1], n // 2 + 1])))
    if len(axes) > 1:
        a = Fourier(axes[:-1], True, _norm(norm))(a)
    return InverseHalfFourier(axes[-1], n, _norm(norm))(a)


@implements(np.fft.rfft2)
def rfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`rfftn` along two axes."""
    return rfftn(a, s, axes, norm)


@implements(np.fft.irfft2)
def irfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`irfftn` along two axes."""
    return irfftn(a, s, axes, norm)


# --------------------------------------------------------------------------------------------------------------------
# Order


@implements(np.fft.fftshift)
def fftshift(x, axes=None):
    """The zero frequency brought to the middle of the axes (all)."""
    return _shifted(x, axes, lambda n: n - n // 2)


@implements(np.fft.ifftshift)
def ifftshift(x, axes=None):
    """The inverse of `fftshift`."""
    return _shifted(x, axes, lambda n: n // 2)


def _shifted(x, axes, cut) -> Tensor:
    x = as_tensor(x)
    for axis in ops.kinds.normalize_axes(axes, x.ndim):
        at = cut(x.shape[axis])
        if 0 < at < x.shape[axis]:
            before = (slice(None),) * axis
            x = ops.concatenate([x[(*before, slice(at, None))], x[(*before, slice(None, at))]], axis)
    return x
