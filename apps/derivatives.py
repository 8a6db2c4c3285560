"""sin and its derivatives, each the gradient of the one before.

`y.backward()` leaves dy/dx in `x.grad`: a Tensor with a graph of its own, so that `x.grad.backward()` leaves d²y/dx²
there, and so on.  The closed form is sin⁽ᵏ⁾(x) = sin(x + kπ/2), where kπ/2 is itself rounded.
"""

import argparse
from pathlib import Path

import numpy as np

import needle as ndl
from pictures import FAINT, INK, OUT, load_pyplot, save


def derivatives(f, x: np.ndarray, order: int) -> list[np.ndarray]:
    """f and its first `order` derivatives at each of the points x, for an elementwise function f of a Tensor."""
    point = ndl.Tensor(x)
    y = f(point)
    values = [y.numpy()]
    for _ in range(order):
        y.backward()
        y = point.grad
        values.append(y.numpy())
    return values


def picture(pyplot, x: np.ndarray, values: list[np.ndarray], path: Path) -> None:
    """Draw one curve below the other, with dots where the closed form lies."""
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.62 * len(values)), layout="constrained")
    distance = 2.5  # between two curves of amplitude 1
    colours = pyplot.get_cmap("viridis")(np.linspace(0.05, 0.75, len(values)))
    checked = slice(None, None, len(x) // 48)
    for k, (value, colour) in enumerate(zip(values, colours)):
        middle = -distance * k
        axes.axhline(middle, color=FAINT, linewidth=0.8, zorder=0)
        axes.plot(x, value + middle, color=colour, linewidth=2)
        axes.plot(x[checked], closed_form(x[checked], k) + middle, ".", color=INK, markersize=3.5, clip_on=False)
        axes.text(x[-1] * 1.03, middle, name(k), color=colour, fontsize=12, va="center")
    axes.set_title("sin and its derivatives: lines by gradient of gradient, dots sin(x + kπ/2)")
    axes.set_xticks(np.pi * np.arange(-2, 3), ["−2π", "−π", "0", "π", "2π"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.margins(x=0)
    save(figure, path)


def closed_form(x: np.ndarray, k: int) -> np.ndarray:
    """The k-th derivative of sin."""
    return np.sin(x + k * np.pi / 2)


def name(k: int) -> str:
    """What the k-th derivative of sin is called."""
    superscript = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "sin" + ("′" * k if k <= 3 else f"⁽{str(k).translate(superscript)}⁾")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw sin and its derivatives, each the gradient of the one before.")
    parser.add_argument("--order", type=int, default=6, help="how many derivatives (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "derivatives.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    if options.order < 0:
        parser.error(f"--order must be 0 or more, got {options.order}")

    pyplot = load_pyplot()
    x = np.linspace(-2 * np.pi, 2 * np.pi, 481)
    values = derivatives(ndl.sin, x, options.order)
    errors = [float(abs(value - closed_form(x, k)).max()) for k, value in enumerate(values)]
    print(f"{len(x)} points from −2π to 2π, float64")
    for k, error in enumerate(errors):
        print(f"  {name(k):<8} largest error {error:.1e}")
    print(f"largest error of all: {max(errors):.1e}")
    picture(pyplot, x, values, options.output)


if __name__ == "__main__":
    main()
