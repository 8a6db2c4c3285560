"""Foxes and hares: the parameters of a differential equation, fitted to noisy counts through a Runge-Kutta loop.

The equations of Lotka and Volterra, dh/dt = α·h − β·h·f and df/dt = δ·h·f − γ·f, are integrated by the classical
Runge-Kutta method of order four, written as one writes it in NumPy: `np.array([...])` for the slopes, an array filled
step by step for the path.  One line is changed, `import needle.numpy as np`, since NumPy's own `np.array` of Tensors
would keep their numbers and lose their derivatives.

There are six unknowns (four parameters and the first two counts) and many residuals, so forward mode is the one to
take: `scipy.optimize.least_squares` is handed `ndl.jacfwd(residuals)` (needs the extra `scipy`).  The same Jacobian
says afterwards how well the parameters are known.
"""

import argparse
import time
from pathlib import Path

import needle as ndl
import needle.numpy as np
from minimisers import load_optimize
from pictures import BLUE, FAINT, GREY, INK, OUT, RED, load_pyplot, save

NAMES = ("α", "β", "γ", "δ", "h(0)", "f(0)")
TRUTH = (1.0, 0.1, 1.2, 0.08, 10.0, 5.0)
GUESS = (0.8, 0.07, 1.0, 0.07, 13.0, 7.0)
NOISE = 0.08  # standard deviation of the logarithm of a count


def slopes(state, alpha, beta, gamma, delta):
    """(dh/dt, df/dt) at the counts (h, f)."""
    hares, foxes = state
    return np.array([alpha * hares - beta * hares * foxes, delta * hares * foxes - gamma * foxes])


def integrate(unknowns, times):
    """Counts of hares and foxes at each of the times, (len(times), 2), by a Runge-Kutta step from one to the next."""
    parameters = unknowns[:4]
    path = np.zeros((len(times), 2))
    path[0] = unknowns[4:]
    for i in range(len(times) - 1):
        state, h = path[i], times[i + 1] - times[i]
        k1 = slopes(state, *parameters)
        k2 = slopes(state + h / 2 * k1, *parameters)
        k3 = slopes(state + h / 2 * k2, *parameters)
        k4 = slopes(state + h * k3, *parameters)
        path[i + 1] = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def residuals(unknowns, times, every, counts):
    """How far the logarithms of every `every`-th count lie from those of what was counted, in standard deviations."""
    return ((np.log(integrate(unknowns, times)[::every]) - np.log(counts)) / NOISE).ravel()


def counted(times, every: int, seed: int):
    """What one would count at every `every`-th time: the true numbers, each off by some percent."""
    exact = integrate(np.array(TRUTH), times)[::every]
    return exact * np.exp(NOISE * np.random.default_rng(seed).normal(size=exact.shape))


def timed(function, *arguments):
    """(the seconds that it took, what it returned)"""
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def picture(pyplot, times, every: int, counts, found, path: Path) -> None:
    """Counts against time, with the curves of the guess and of the fit; and both in the plane of hares and foxes."""
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11.5, 4.2), layout="constrained", gridspec_kw={"width_ratios": (2, 1.15)}
    )
    guessed, fitted = integrate(np.array(GUESS), times), integrate(found, times)
    for column, (animal, colour) in enumerate((("hares", BLUE), ("foxes", RED))):
        left.plot(times, guessed[:, column], color=colour, linewidth=1, linestyle=(0, (4, 2)), alpha=0.6)
        left.plot(times, fitted[:, column], color=colour, label=animal)
        left.plot(times[::every], counts[:, column], "o", color=colour, markersize=4, markeredgecolor="white")
    left.plot([], [], color=GREY, linewidth=1, linestyle=(0, (4, 2)), label="first guess")
    left.set(xlabel="years", ylabel="number (thousands)", title="Counts (dots) and the fitted curves")
    left.set_ylim(0, 1.22 * max(counts.max(), fitted.max()))
    left.legend(loc="upper center", ncols=3)
    left.grid(color=FAINT)
    right.plot(*guessed.T, color=GREY, linewidth=1, linestyle=(0, (4, 2)))
    right.plot(*fitted.T, color=INK)
    right.plot(*counts.T, "o", color=INK, markersize=4, markeredgecolor="white")
    right.set(xlabel="hares", ylabel="foxes", title="Foxes against hares: guess, counts, fit")
    right.grid(color=FAINT)
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fit the parameters of the Lotka-Volterra equations to noisy counts.")
    parser.add_argument("--steps", type=int, default=160, help="of Runge-Kutta, in 12 years (default: %(default)s)")
    parser.add_argument("--every", type=int, default=4, help="of these steps there is a count (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the counts' noise (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "ode_fit.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    if options.every < 1:
        parser.error(f"--every must be 1 or more, got {options.every}")
    if options.steps < 3 * options.every:
        parser.error(f"--steps must be 3 times --every or more, got {options.steps}: six unknowns need as many counts")

    least_squares = load_optimize().least_squares
    pyplot = load_pyplot()
    times = np.linspace(0, 12, options.steps + 1)
    counts = counted(times, options.every, options.seed)
    data = (times, options.every, counts)
    print(f"{counts.size} counts, {options.steps} Runge-Kutta steps, {len(TRUTH)} unknowns")

    guess = np.array(GUESS)
    forward_seconds, forward = timed(ndl.jacfwd(residuals), guess, *data)
    reverse_seconds, reverse = timed(ndl.jacrev(residuals), guess, *data)
    apart = abs(forward - reverse).max() / abs(forward).max()
    print(
        f"Jacobian {forward.shape}: {forward_seconds:.2f} s forward, {reverse_seconds:.2f} s reverse, {apart:.0e} apart"
    )

    fit = least_squares(residuals, guess, jac=ndl.jacfwd(residuals), x_scale="jac", args=data)
    deviations = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    before, expected = np.sum(residuals(guess, *data) ** 2), counts.size - len(TRUTH)
    print(
        f"{fit.nfev} trust-region steps, χ² from {before:.0f} to {2 * fit.cost:.1f} ({expected} are to be expected)\n"
    )
    print("        guess      fit            truth")
    for row in zip(NAMES, GUESS, fit.x, deviations, TRUTH):
        print("{:<5} {:7.3f} {:8.4f} ± {:6.4f} {:8.3f}".format(*row))
    far = abs(fit.x - np.array(TRUTH)) / deviations
    print(f"\nthe truth lies at most {far.max():.1f} standard deviations away")
    picture(pyplot, times, options.every, counts, fit.x, options.output)


if __name__ == "__main__":
    main()
