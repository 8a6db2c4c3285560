"""What ops of the table compute, where NumPy has no function for it: element by element, not as needle does it.

Each takes NumPy arrays and a row's keywords.
"""

import math

import numpy as np
from scipy import special

from needle.ops import PLACE


def gelu(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def swap(a, axes=(-2, -1)):
    return np.swapaxes(a, *axes)


def sum_to(a, shape):
    """Every element of `a` goes to where broadcasting would fetch it from."""
    out = np.zeros(shape, a.dtype)
    places = np.broadcast_to(np.arange(out.size).reshape(shape), a.shape)
    np.add.at(out.reshape(-1), places, a)
    return out


def dilate(a, axes, dilation):
    axes = [axis % a.ndim for axis in axes if -a.ndim <= axis < a.ndim]
    out = np.zeros([n * (dilation + 1) if i in axes else n for i, n in enumerate(a.shape)], a.dtype)
    out[np.ix_(*[np.arange(n) * (dilation + 1 if i in axes else 1) for i, n in enumerate(a.shape)])] = a
    return out


def undilate(a, axes, dilation):
    axes = [axis % a.ndim for axis in axes if -a.ndim <= axis < a.ndim]
    return a[np.ix_(*[np.arange(0, n, dilation + 1 if i in axes else 1) for i, n in enumerate(a.shape)])]


def crop_or_pad(a, widths):
    grown = np.pad(a, [(max(before, 0), max(after, 0)) for before, after in widths])
    return grown[tuple([slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(grown.shape, widths)])]


def log_softmax(a, axis=-1):
    return special.log_softmax(a, axis)


def pick(a, *indices, index):
    indices = iter(indices)
    return a[tuple([next(indices) if entry is PLACE else entry for entry in index])]


def scatter(g, *indices, index, shape):
    indices = iter(indices)
    out = np.zeros(shape, g.dtype)
    np.add.at(out, tuple([next(indices) if entry is PLACE else entry for entry in index]), g)
    return out


def put_along_axis(g, indices, axis, shape):
    """One element after the other; where `shape` has length 1 and g does not, all go to the one place."""
    out = np.zeros(shape, g.dtype)
    indices = np.broadcast_to(indices, [m if i == axis else n for i, (n, m) in enumerate(zip(g.shape, indices.shape))])
    for place in np.ndindex(g.shape):
        target = [0 if shape[i] == 1 else k for i, k in enumerate(place)]
        target[axis] = indices[place]
        out[tuple(target)] += g[place]
    return out


def tie_share(a, b, chosen):
    return np.where(a == b, 0.5, np.where(a == chosen, 1.0, 0.0)).astype(a.dtype)


def reduce_tie_share(a, extremum, axes=None):
    tied = np.equal(a, extremum)
    return (tied / tied.sum(axes, keepdims=True)).astype(a.dtype)


def positions(kernel, size, stride, padding, dilation):
    """Each output position (p, q), kernel position (i, j) and image position (y, x) that they meet at, if inside."""
    pair = lambda value: (value, value) if isinstance(value, int) else value
    (sh, sw), (ph, pw), (dh, dw), (kh, kw), (h, w) = map(pair, (stride, padding, dilation, kernel, size))
    for p in range((h + 2 * ph - dh * (kh - 1) - 1) // sh + 1):
        for q in range((w + 2 * pw - dw * (kw - 1) - 1) // sw + 1):
            for i in range(kh):
                for j in range(kw):
                    y, x = p * sh + i * dh - ph, q * sw + j * dw - pw
                    yield (p, q), (i, j), (y, x) if 0 <= y < h and 0 <= x < w else None


def output_size(kernel, size, stride, padding, dilation):
    last = [p for p, _, _ in positions(kernel, size, stride, padding, dilation)][-1]
    return last[0] + 1, last[1] + 1


def grouped(w, groups):
    """The kernel (K, K, C/groups, O) as one of (K, K, C, O) with zeros between the groups."""
    kh, kw, c, o = w.shape
    out = np.zeros((kh, kw, c * groups, o), w.dtype)
    for g in range(groups):
        channels = slice(g * (o // groups), (g + 1) * (o // groups))
        out[:, :, g * c : (g + 1) * c, channels] = w[..., channels]
    return out


def conv(x, w, stride=1, padding=1, dilation=1, groups=1):
    geometry = w.shape[:2], x.shape[1:3], stride, padding, dilation
    out = np.zeros((x.shape[0], *output_size(*geometry), w.shape[3]), x.dtype)
    w = grouped(w, groups)
    for (p, q), (i, j), place in positions(*geometry):
        if place is not None:
            out[:, p, q] += x[:, place[0], place[1]] @ w[i, j]
    return out


def conv_op(x, w, stride=1, padding=0, dilation=1, groups=1):
    return conv(x, w, stride, padding, dilation, groups)


def conv_back(g, w, size, stride=1, padding=0, dilation=1, groups=1):
    out = np.zeros((g.shape[0], *size, w.shape[2] * groups), g.dtype)
    kernel, w = w.shape[:2], grouped(w, groups)
    for (p, q), (i, j), place in positions(kernel, size, stride, padding, dilation):
        if place is not None:
            out[:, place[0], place[1]] += g[:, p, q] @ w[i, j].T
    return out


def conv_transpose(g, w, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    pair = lambda value: (value, value) if isinstance(value, int) else value
    s, p, e, d = map(pair, (stride, padding, output_padding, dilation))
    size = [(g.shape[i + 1] - 1) * s[i] - 2 * p[i] + d[i] * (w.shape[i] - 1) + e[i] + 1 for i in (0, 1)]
    return conv_back(g, w, size, stride, padding, dilation, groups)


def conv_kernel(x, g, kernel, stride=1, padding=0, dilation=1, groups=1):
    c, o = x.shape[3], g.shape[3]
    full = np.zeros((*kernel, c, o), x.dtype)
    for (p, q), (i, j), place in positions(kernel, x.shape[1:3], stride, padding, dilation):
        if place is not None:
            full[i, j] += x[:, place[0], place[1]].T @ g[:, p, q]
    parts = zip(np.split(full, groups, axis=2), np.arange(groups))
    return np.concatenate([part[..., k * (o // groups) : (k + 1) * (o // groups)] for part, k in parts], axis=3)


def unfold(x, kernel, stride, padding, fill=0):
    out_size = output_size(kernel, x.shape[1:3], stride, padding, 1)
    out = np.full((x.shape[0], *out_size, math.prod(kernel), x.shape[3]), fill, x.dtype)
    for (p, q), (i, j), place in positions(kernel, x.shape[1:3], stride, padding, 1):
        if place is not None:
            out[:, p, q, i * kernel[1] + j] = x[:, place[0], place[1]]
    return out


def fold(parts, shape, kernel, stride, padding):
    out = np.zeros(shape, parts.dtype)
    for (p, q), (i, j), place in positions(kernel, shape[1:3], stride, padding, 1):
        if place is not None:
            out[:, place[0], place[1]] += parts[:, p, q, i * kernel[1] + j]
    return out


def pool(reduce, fill):
    def pooled(x, kernel, stride=None, padding=0):
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        return reduce(unfold(x, kernel, kernel if stride is None else stride, padding, fill), axis=3)

    return pooled


def items(a, axis):
    return tuple(np.moveaxis(a, axis, 0))
