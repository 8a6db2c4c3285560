"""Gaussian-process regression: the kernel's parameters by the gradient of the marginal likelihood.

A slow trend and a yearly wave, measured with noise and with a hole in the middle, are modelled by a Gaussian process
whose kernel is the sum of a smooth part and a periodic one.  How smooth, how strong, which period, how noisy: six
numbers, found where the marginal likelihood (Rasmussen & Williams 2006, algorithm 2.1) is largest.  It is written in
plain NumPy, by Cholesky's factorisation, and handed to SciPy as

    minimize(ndl.jit(ndl.value_and_grad(negative_log_likelihood)), start, (t, y), jac=True)

(needs the extra `scipy`); `jit` makes one program of it, since it is called many times.  The Hessian at the lowest
point, from the same function, says how well each is known.
"""

import argparse
import os
import time
from pathlib import Path

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these matrices are too small to be shared out.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from minimisers import load_optimize
from pictures import BLUE, FAINT, GREEN, GREY, INK, ORANGE, OUT, load_pyplot, save

# The parameters, all positive: the process is given their logarithms.
NAMES = ("trend: size", "trend: length", "wave: size", "wave: period", "wave: roundness", "noise")
START = (1.0, 1.0, 1.0, 1.05, 1.0, 0.5)
BOUNDS = [(np.log(0.01), np.log(100))] * len(NAMES)  # beyond, a long step could leave the matrix singular
LENGTH, NOISE = NAMES.index("trend: length"), NAMES.index("noise")


def kernel(a, b, parameters):
    """The covariance of the process at times a (n,) with itself at times b (m,), (n, m), without the noise."""
    size, length, wave, period, roundness, _ = parameters
    gap = a[:, None] - b[None, :]
    smooth = size**2 * np.exp(-(gap**2) / (2 * length**2))
    sines = np.sin(np.pi * gap / period) ** 2
    return smooth + wave**2 * np.exp(-2 * sines / roundness**2)


def negative_log_likelihood(logarithms, t, y):
    """−log p(y | t, parameters) of the process with these parameters."""
    parameters = np.exp(logarithms)
    covariance = kernel(t, t, parameters) + parameters[-1] ** 2 * np.eye(len(t))
    L = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(L, y)
    return np.sum(whitened**2) / 2 + np.sum(np.log(np.diag(L))) + len(t) / 2 * np.log(2 * np.pi)


def predict(logarithms, t, y, at):
    """Mean and standard deviation, noise included, of what will be measured at the times `at`."""
    parameters = np.exp(logarithms)
    L = np.linalg.cholesky(kernel(t, t, parameters) + parameters[-1] ** 2 * np.eye(len(t)))
    cross = np.linalg.solve(L, kernel(t, at, parameters))
    mean = cross.T @ np.linalg.solve(L, y)
    variance = parameters[0] ** 2 + parameters[2] ** 2 - np.sum(cross**2, axis=0) + parameters[-1] ** 2
    return mean, np.sqrt(variance)


def truth(t):
    """The function that is measured: a trend, and a wave of period 1 with a sharp crest."""
    return np.sin(0.8 * t) - 0.1 * t + 0.8 * np.exp(np.sin(2 * np.pi * t)) - 1


def measured(count: int, seed: int):
    """Times (with a hole in the middle, sorted) and what was measured there."""
    rng = np.random.default_rng(seed)
    t = np.sort(np.concatenate([rng.uniform(0, 4.5, count // 2), rng.uniform(6.5, 10, count - count // 2)]))
    return t, truth(t) + 0.2 * rng.normal(size=count)


def picture(pyplot, t, y, stages, path_of_minimiser, found, path: Path) -> None:
    """The process before and after; and the likelihood as period and length vary, with the minimiser's way in it."""
    figure = pyplot.figure(figsize=(12.5, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.65, 1))
    at = np.linspace(-0.5, 11.5, 700)
    shared = None
    for i, (title, colour, logarithms) in enumerate(stages):
        axes = shared = figure.add_subplot(grid[i, 0], sharex=shared, sharey=shared)
        mean, deviation = predict(logarithms, t, y, at)
        band = 1.96 * deviation
        axes.fill_between(at, mean - band, mean + band, color=colour, alpha=0.18, linewidth=0, label="95 %")
        axes.plot(at, truth(at), color=GREY, linewidth=1, label="truth")
        axes.plot(at, mean, color=colour, label="mean")
        axes.plot(t, y, ".", color=INK, markersize=4, label="measured")
        axes.set(title=title, xlim=(at[0], at[-1]), ylim=(-4.2, 5))
        axes.grid(color=FAINT)
        if i == 0:
            axes.tick_params(labelbottom=False)
            axes.legend(loc="upper center", ncols=4, fontsize=9)
    axes.set_xlabel("time")

    axes = figure.add_subplot(grid[:, 1])
    steps = np.array(path_of_minimiser)[:, [NOISE, LENGTH]]
    noises, lengths = (
        np.linspace(low - 0.3, high + 0.3, 50) for low, high in zip(steps.min(axis=0), steps.max(axis=0))
    )
    heights = np.empty((len(lengths), len(noises)))
    for i, length in enumerate(lengths):
        for j, noise in enumerate(noises):
            point = found.copy()
            point[[LENGTH, NOISE]] = length, noise
            heights[i, j] = negative_log_likelihood(point, t, y)
    levels = heights.min() + np.array([0.5, 2, 5, 10, 20, 40, 80, 160])
    axes.contour(np.exp(noises), np.exp(lengths), heights, levels=levels, cmap="viridis", linewidths=1)
    axes.plot(*np.exp(steps).T, ".-", color=ORANGE, linewidth=1, markersize=5, label="way of L-BFGS")
    axes.plot(*np.exp(steps[-1]), "o", color=BLUE, markersize=7, label="found")
    axes.set(xlabel="noise", ylabel="length of the trend")
    axes.set_title("−log p, other parameters as found")
    axes.legend(loc="upper right")
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fit a Gaussian process by the gradient of its marginal likelihood.")
    parser.add_argument("--points", type=int, default=120, help="how many are measured (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of times and noise (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "gaussian_process.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    if options.points < 10:
        parser.error(f"--points must be 10 or more, got {options.points}")

    minimize = load_optimize().minimize
    pyplot = load_pyplot()
    t, y = measured(options.points, options.seed)
    start = np.log(START)
    way = [start]

    def remember(logarithms):
        way.append(logarithms.copy())

    print(f"{len(t)} points, {len(START)} parameters")
    began = time.perf_counter()
    found = minimize(
        ndl.jit(ndl.value_and_grad(negative_log_likelihood), backend="numpy"),
        start,
        (t, y),
        jac=True,
        bounds=BOUNDS,
        callback=remember,
    )
    seconds = time.perf_counter() - began
    print(f"with gradients:            {found.nfev:4} calls, {seconds:.2f} s, −log p = {found.fun:.4f}")
    began = time.perf_counter()
    blind = minimize(negative_log_likelihood, start, (t, y), bounds=BOUNDS)
    seconds = time.perf_counter() - began
    print(f"with difference quotients: {blind.nfev:4} calls, {seconds:.2f} s, −log p = {blind.fun:.4f}")

    hessian = ndl.hessian(negative_log_likelihood)(found.x, t, y)
    deviations = np.sqrt(np.diag(np.linalg.inv(hessian)))
    print("\n                   start    found   relative uncertainty")
    for row in zip(NAMES, START, np.exp(found.x), deviations):
        print("{:<16} {:7.2f} {:8.3f}   ± {:.1%}".format(*row))

    hole = np.linspace(4.5, 6.5, 200)
    stages = []
    for name, colour, logarithms in (("at the start", ORANGE, start), ("optimised", GREEN, found.x)):
        value = negative_log_likelihood(logarithms, t, y)
        mean, _ = predict(logarithms, t, y, hole)
        error = np.sqrt(np.mean((truth(hole) - mean) ** 2))
        print(f"\n{name}: −log p = {value:.2f}, error in the hole {error:.3f}", end="")
        stages.append((f"Parameters {name}: −log p = {value:.1f}", colour, logarithms))
    print()
    picture(pyplot, t, y, stages, way, found.x, options.output)


if __name__ == "__main__":
    main()
