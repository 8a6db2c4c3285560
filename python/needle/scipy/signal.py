"""`scipy.signal` on Tensors: convolution and correlation."""

import numpy as np
import scipy.signal as sp

from .. import ops
from ..graph import Tensor, leaf
from ..numpy.dispatch import as_tensor, plain
from ..numpy.ufuncs import inexact
from ..ops.kinds import Broadcasting, Multilinear, SumTo, normalize_axes
from ..ops.linalg import conj
from .plainly import handed_through, plainly


def __getattr__(name: str):
    return handed_through(getattr(sp, name))


def __dir__():
    return dir(sp)


class Convolution(Multilinear):
    """cₖ = Σᵢ aᵢ·vₖ₋ᵢ over the last `ndim` axes, wherever the two overlap; leading axes broadcast.

    The adjoint of a is the convolution of that of c with v turned round, where all of v is there.
    """

    __slots__ = ("ndim", "fourier")

    def __init__(self, ndim: int, fourier: bool):
        self.ndim, self.fourier = ndim, fourier

    def compute(self, a, v):
        ndim = max(a.ndim, v.ndim)
        a, v = (x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in (a, v))
        if self.fourier:
            return sp.fftconvolve(a, v, axes=range(ndim - self.ndim, ndim))
        batch = np.broadcast_shapes(a.shape[: -self.ndim], v.shape[: -self.ndim])
        a, v = (np.broadcast_to(x, (*batch, *x.shape[-self.ndim :])) for x in (a, v))
        lengths = [n + m - 1 for n, m in zip(a.shape[-self.ndim :], v.shape[-self.ndim :])]
        out = np.empty((*batch, *lengths), np.result_type(a, v))
        for i in np.ndindex(batch):
            out[i] = sp.convolve(a[i], v[i], method="direct")
        return out

    def gradient(self, out_grad, node):
        a, v = node.inputs
        return (
            self._adjoint(out_grad, v, a) if node.needs(0) else None,
            self._adjoint(out_grad, a, v) if node.needs(1) else None,
        )

    def _adjoint(self, out_grad, other, of):
        turned = ops.flip(other, range(other.ndim - self.ndim, other.ndim))
        starts = [n - 1 for n in other.shape[-self.ndim :]]
        return _part(self(out_grad, turned), starts, of.shape[-self.ndim :])

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    batch = Broadcasting.batch


def _part(a: Tensor, starts, lengths) -> Tensor:
    """Of the last axes of a so many elements from there on."""
    return a[(..., *[slice(start, start + n) for start, n in zip(starts, lengths, strict=True)])]


@plainly(sp.convolve)
def convolve(in1, in2, mode="full", method="auto") -> Tensor:
    """The convolution of two arrays of as many dimensions: Σᵢ in1ᵢ·in2ₖ₋ᵢ.

    Args:
        mode: "full" wherever the two overlap; "same" as much of the middle as in1 has; "valid" where all of the
            smaller one is there.
        method: "direct", "fft", or "auto": what SciPy expects to be faster.
    """
    in1, in2 = as_tensor(in1), as_tensor(in2)
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"method of convolve must be 'auto', 'direct' or 'fft', got {method!r}")
    _check_mode(mode, "convolve")
    dtype = np.result_type(in1.dtype, in2.dtype)
    if dtype.kind not in "fc":
        return leaf(np.asarray(sp.convolve(plain(in1), plain(in2), mode, method)))
    if in1.size and in2.size and method == "auto" and in1.ndim == in2.ndim > 0:
        like = [np.broadcast_to(np.zeros((), dtype), x.shape) for x in (in1, in2)]
        method = sp.choose_conv_method(*like, mode=mode)
    return _convolve(in1, in2, mode, None, method == "fft", "convolve")


@plainly(sp.fftconvolve)
def fftconvolve(in1, in2, mode="full", axes=None) -> Tensor:
    """`convolve` by Fourier transforms, over all axes or some; the others broadcast."""
    return _convolve(inexact(as_tensor(in1)), inexact(as_tensor(in2)), mode, axes, True, "fftconvolve")


@plainly(sp.correlate)
def correlate(in1, in2, mode="full", method="auto") -> Tensor:
    """Σᵢ in1ᵢ₊ₖ·conj(in2ᵢ); `mode` and `method` as in `convolve`."""
    in2 = as_tensor(in2)
    return convolve(in1, conj(ops.flip(in2, range(in2.ndim))) if in2.ndim else conj(in2), mode, method)


def _check_mode(mode, name: str) -> None:
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode of {name} must be 'full', 'same' or 'valid', got {mode!r}")


def _convolve(in1: Tensor, in2: Tensor, mode: str, axes, fourier: bool, name: str) -> Tensor:
    if in1.ndim != in2.ndim:
        raise ValueError(f"in1 and in2 of {name} should have the same dimensionality, got {in1.shape} and {in2.shape}")
    _check_mode(mode, name)
    if in1.ndim == 0:
        return ops.multiply(in1, in2)
    if not (in1.size and in2.size):
        return leaf(np.zeros(0))
    axes = normalize_axes(axes, in1.ndim)
    if not axes:
        raise ValueError(f"axes of {name} are none")
    kept = [axis for axis in range(in1.ndim) if axis not in axes]
    for axis in kept:
        if in1.shape[axis] != in2.shape[axis] and 1 not in (in1.shape[axis], in2.shape[axis]):
            raise ValueError(f"in1 and in2 of {name} do not broadcast along axis {axis}: {in1.shape} and {in2.shape}")
    lengths = [(in1.shape[axis], in2.shape[axis]) for axis in axes]
    if mode == "valid" and any(n < m for n, m in lengths) and any(n > m for n, m in lengths):
        raise ValueError(
            "For 'valid' mode, one must be at least as large as the other in every dimension, "
            f"got {in1.shape} and {in2.shape}"
        )
    order = [*kept, *axes]
    in_order = order == list(range(in1.ndim))
    out = Convolution(len(axes), fourier)(*[x if in_order else ops.permute(x, order) for x in (in1, in2)])
    if mode == "same":
        out = _part(out, [(m - 1) // 2 for _, m in lengths], [n for n, _ in lengths])
        # SciPy takes the middle along the other axes, too
        for place, axis in enumerate(kept):
            if out.shape[place] != in1.shape[axis]:
                start = (out.shape[place] - in1.shape[axis]) // 2
                out = out[(*[slice(None)] * place, slice(start, start + in1.shape[axis]))]
    elif mode == "valid":
        out = _part(out, [min(n, m) - 1 for n, m in lengths], [abs(n - m) + 1 for n, m in lengths])
    return out if in_order else ops.permute(out, np.argsort(order).tolist())
