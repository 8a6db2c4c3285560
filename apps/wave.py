"""A wave that becomes a picture: how the surface must move at the start is found by a gradient through time.

`propagate` is the wave equation ∂²u/∂t² = c²·Δu as one writes it in NumPy: the five-point Laplacian by `np.roll`,
leapfrog in time.  It knows nothing of needle.  `ndl.value_and_grad` differentiates it as it stands, and SciPy's L-BFGS
looks for the height and the speed of the water, everywhere, from which a hundred steps later the wave shows a ∂ (needs
the extra `scipy`).

A gradient with respect to all heights costs a few simulations, however many heights there are.  Difference quotients
would cost one simulation for each.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import needle as ndl
from minimisers import load_optimize
from pictures import FAINT, GREY, INK, OUT, load_pyplot, save

C = 0.5  # the speed of waves, in cells a step; above 1/√2 the leapfrog is unstable
DT = 0.1  # a step, in units of time


def step(before, now):
    """The surface one step after `now`; opposite edges are joined."""
    laplacian = np.roll(now, 1, 0) + np.roll(now, -1, 0) + np.roll(now, 1, 1) + np.roll(now, -1, 1) - 4 * now
    return 2 * now - before + C**2 * laplacian


def propagate(start, steps):
    """The surfaces, from that of the start on: `start` (2, n, n) holds its height and its speed upwards, a unit
    of time."""
    height, speed = start
    surfaces = [height - DT * speed, height]
    for _ in range(steps):
        surfaces.append(step(*surfaces[-2:]))
    return surfaces[1:]


def misfit(start, target, steps):
    """The mean square distance of the last surface from the target."""
    return np.mean((propagate(start, steps)[-1] - target) ** 2)


def letter(pyplot, size: int) -> np.ndarray:
    """A ∂ of height 1 on a ground of 0, (size, size), its edges softened: waves on a grid cannot be sharper."""
    figure = pyplot.figure(figsize=(1, 1), dpi=size)
    figure.text(0.5, 0.47, "∂", fontsize=58, ha="center", va="center", color="black")
    figure.canvas.draw()
    image = 1 - np.asarray(figure.canvas.buffer_rgba())[..., 0] / 255
    pyplot.close(figure)
    for axis in (0, 1, 0, 1):
        image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image


def find_start(target: np.ndarray, steps: int, iterations: int):
    """The start that L-BFGS finds, (2, n, n), and the misfits on its way, one for each gradient it asked for."""
    misfits = []
    compiled = ndl.jit(ndl.value_and_grad(misfit), static_argnums=2, backend="numpy")

    def value_and_grad(heights):
        value, gradient = compiled(heights.reshape((2, *target.shape)), target, steps)
        misfits.append(float(value))
        return value, gradient.ravel()

    options = {"maxiter": iterations, "maxcor": 20, "ftol": 0.0, "gtol": 0.0}
    found = load_optimize().minimize(
        value_and_grad, np.zeros(2 * target.size), jac=True, method="L-BFGS-B", options=options
    )
    return found.x.reshape((2, *target.shape)), misfits


def slope_error(start: np.ndarray, target: np.ndarray, steps: int) -> float:
    """By how much the gradient's slope along a random direction differs from a difference quotient, relatively."""
    direction = np.random.default_rng(0).normal(size=start.shape)
    slope = np.sum(ndl.grad(misfit)(start, target, steps) * direction)
    h = 1e-5
    ahead, behind = (misfit(start + s * direction, target, steps) for s in (h, -h))
    return float(abs(slope - (ahead - behind) / (2 * h)) / abs(slope))


def picture(pyplot, surfaces: list[np.ndarray], target: np.ndarray, misfits: list[float], path: Path) -> None:
    """The wave at six moments, the target beside the last, and below how the misfit fell."""
    last = len(surfaces) - 1
    moments = [round(last * part) for part in (0, 0.3, 0.6, 0.8, 0.9, 1)]
    figure = pyplot.figure(figsize=(12, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 7, height_ratios=(2, 1.5))
    frames = [(f"step {moment}", surfaces[moment]) for moment in moments] + [("target", target)]
    for column, (title, surface) in enumerate(frames):
        axes = figure.add_subplot(grid[0, column])
        shown = axes.imshow(surface, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="bicubic")
        axes.set_title(title)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(FAINT)
    figure.colorbar(shown, ax=axes, shrink=0.72, ticks=(-1, 0, 1), label="height")
    axes = figure.add_subplot(grid[1, :])
    axes.plot(np.arange(1, len(misfits) + 1), np.minimum.accumulate(misfits), color=INK)
    axes.axhline(misfits[0], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.text(len(misfits), misfits[0] * 0.9, "a flat surface", color=GREY, ha="right", va="top")
    axes.set(
        xlabel="gradients", ylabel="mean square", yscale="log", title="Distance of the last surface from the target"
    )
    axes.margins(x=0.01)
    axes.grid(color=FAINT)
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Find the surface from which a wave becomes a picture.")
    parser.add_argument("--size", type=int, default=96, help="cells along an edge (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="of time (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=60, help="of L-BFGS (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "wave.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    for name in ("size", "steps", "iterations"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(options, name)}")

    load_optimize()
    pyplot = load_pyplot()
    target = letter(pyplot, options.size)
    print(f"{target.size:,} heights and as many speeds, {options.steps} time steps, all through np.roll")
    apart = slope_error(np.stack([target, target]), target, options.steps)
    print(f"gradient against a difference quotient: {apart:.0e} apart")

    began = time.perf_counter()
    start, misfits = find_start(target, options.steps, options.iterations)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    surfaces = propagate(start, options.steps)
    once = time.perf_counter() - began
    print(
        f"{len(misfits)} gradients in {seconds:.1f} s, each the time of {seconds / len(misfits) / once:.0f} simulations"
    )
    left = np.sqrt(misfits[-1] / misfits[0])
    print(f"the wave differs from the target by {left:.2%} of it")
    picture(pyplot, surfaces, target, misfits, options.output)


if __name__ == "__main__":
    main()
