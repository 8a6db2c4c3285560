"""Rows of `scipy.signal`: convolutions, in every mode and by both methods."""

from numpy_table import case, complex_, plain, real, row


def _modes(*arrays, **about):
    return [case(*arrays, mode=mode, **about) for mode in ("full", "same", "valid")]


def of(name, *cases, **about):
    return row(f"scipy.signal.{name}", *cases, only_needle=True, **about)


_SHAPES = [
    *_modes(real(6), real(3)),
    *_modes(real(3), real(6)),
    *_modes(real(4, 5), real(2, 3)),
    *_modes(real(5, 4), plain(real(2, 3))),
    *_modes(complex_(4), complex_(3)),
    case(real(3), complex_(2)),
    case(plain(real(3)), real(4)),
    case(real(), real()),
    case(real(1), real(4)),
    case(real(2, 3, 2), real(1, 2, 2)),
]

ROWS = [
    of(
        "convolve",
        *_SHAPES,
        *_modes(real(4, 5), real(2, 3), method="direct"),
        *_modes(real(4, 5), real(2, 3), method="fft"),
    ),
    of(
        "fftconvolve",
        *_SHAPES,
        *_modes(real(2, 6), real(2, 3), axes=1),
        *_modes(real(6, 2), real(3, 1), axes=0),
        *_modes(real(4, 1, 5), real(2, 2, 3), axes=(2, 0)),
    ),
    of("correlate", *_SHAPES, *_modes(real(2, 3), real(4, 5), method="fft")),
]
