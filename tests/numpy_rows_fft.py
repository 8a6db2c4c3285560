"""Rows of `numpy.fft`."""

from numpy_table import case, complex_, real, row, whole

NORMS = ("backward", "ortho", "forward")


def one_axis(draw, *more):
    """n and axis in all combinations that are not the same; longer, shorter, even and odd."""
    return (
        case(draw(4)),
        case(draw(5)),
        case(draw(2, 4), 6),
        case(draw(2, 5), n=3),
        case(draw(4, 3), axis=0),
        case(draw(5, 2), 4, 0),
        case(draw(2, 3, 4), axis=-2),
        *[case(draw(6), norm=norm) for norm in NORMS],
        *[case(draw(2, 5), 7, -1, norm) for norm in NORMS],
        *more,
    )


def several_axes(draw, *more):
    return (
        case(draw(3, 4)),
        case(draw(2, 3, 5)),
        case(draw(3, 4), (4, 3), (-2, -1)),
        case(draw(2, 3, 4), s=(5, 2), axes=(0, 2)),
        case(draw(2, 3, 4), axes=(2, 0)),
        case(draw(2, 3, 4), axes=(1,)) if draw is real else case(draw(2, 3, 4), axes=(-2,)),
        *[case(draw(3, 4), norm=norm) for norm in NORMS],
        *more,
    )


ROWS = [
    row("fft.fft", *one_axis(real), *one_axis(complex_), case(real(1))),
    row("fft.ifft", *one_axis(real), *one_axis(complex_)),
    row("fft.rfft", *one_axis(real), case(real(1))),
    row("fft.irfft", *one_axis(real), *one_axis(complex_)),
    row("fft.hfft", *one_axis(real), *one_axis(complex_)),
    row("fft.ihfft", *one_axis(real)),
    row("fft.fft2", *several_axes(real), *several_axes(complex_)),
    row("fft.ifft2", *several_axes(real), *several_axes(complex_)),
    row("fft.fftn", *several_axes(real), *several_axes(complex_), case(real(2, 3, 4), s=(3, 4), axes=(-2, -1))),
    row("fft.ifftn", *several_axes(real), *several_axes(complex_)),
    row("fft.rfft2", *several_axes(real)),
    row("fft.irfft2", *several_axes(complex_), case(real(3, 4))),
    row("fft.rfftn", *several_axes(real), case(real(2, 3, 4), s=(4, 3), axes=(-2, -1))),
    row("fft.irfftn", *several_axes(complex_), case(real(3, 4)), case(complex_(3, 4), s=(3, 5), axes=(0, 1))),
    row(
        "fft.fftshift",
        case(real(4)),
        case(real(5)),
        case(real(3, 4)),
        case(real(3, 4), axes=1),
        case(complex_(2, 3), (0, -1)),
        case(real(0)),
        case(whole(5)),
    ),
    row(
        "fft.ifftshift",
        case(real(4)),
        case(real(5)),
        case(real(3, 4)),
        case(real(3, 4), axes=(0,)),
        case(complex_(2, 3)),
    ),
]
