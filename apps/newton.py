"""Newton-CG on logistic regression: curvature from Hessian-vector products, beside methods that see only the gradient.

Ten-class logistic regression on handwritten digits has 650 weights, and its Hessian 422,500 entries.  Newton's method
needs none of them.  Each step solves H·d = −g by conjugate gradients, which ask only for products H·v, and `ndl.hvp`
gives these at the price of about two gradients.  `scipy.optimize.minimize` takes `ndl.value_and_grad` and `ndl.hvp` as
they stand (needs the extra `scipy`).

A dozen steps of Newton's method arrive where gradient descent is not after thousands.  Counted in passes over the
graph, L-BFGS, which guesses the curvature from the gradients that it meets, is as good.
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these matrices are too small to be shared out.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from minimisers import load_optimize
from needle.data import DigitsDataset
from pictures import BLUE, FAINT, GREEN, INK, ORANGE, OUT, load_pyplot, save

TARGET = 1e-6  # the gradient norm at which a method has arrived


def regression(penalty: float):
    """The mean cross-entropy of ten-class logistic regression on the digits, plus penalty/2 · |w|², as a function of
    the 650 weights w (650,); the weights to begin with, zeros; and a function that says how well w reads the test
    digits."""

    def with_ones(images: np.ndarray) -> np.ndarray:
        pixels = images.reshape(len(images), -1).astype(np.float64)
        return np.hstack([pixels, np.ones((len(pixels), 1))])

    train, test = DigitsDataset(), DigitsDataset(train=False)
    x, wanted = with_ones(train.X), np.eye(10)[train.y]

    def loss(w):
        logits = x @ w.reshape((x.shape[1], 10))
        fit = (ndl.logsumexp(logits, axes=1) - (logits * wanted).sum(axis=1)).mean()
        return fit + penalty / 2 * (w**2).sum()

    def accuracy(w: np.ndarray) -> float:
        guesses = (with_ones(test.X) @ w.reshape((-1, 10))).argmax(axis=1)
        return float((guesses == test.y).mean())

    return loss, np.zeros(x.shape[1] * 10), accuracy


@dataclass
class Run:
    """One method on its way: what each gradient that it asked for was, and how many passes it had taken by then."""

    name: str
    colour: str
    loss: object
    iterations: int = 0
    passes: int = 0
    products: int = 0
    seconds: float = 0.0
    best: float = np.inf
    w: np.ndarray | None = None
    path: list[tuple[int, float]] = field(default_factory=list)  # passes so far, norm of the gradient

    def __post_init__(self):
        self._value_and_grad = ndl.jit(ndl.value_and_grad(self.loss), backend="numpy")
        self._product = ndl.jit(lambda w, v: ndl.hvp(self.loss, (w,), (v,))[1], backend="numpy")

    def value_and_grad(self, w: np.ndarray):
        """Loss and gradient at w: one pass forward, one back."""
        value, gradient = self._value_and_grad(w)
        self.passes += 2
        self.path.append((self.passes, float(np.linalg.norm(gradient))))
        if value < self.best:
            self.best, self.w = value, w.copy()
        return value, gradient

    def hvp(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian at w times v: forward mode over reverse mode, so each of the two passes carries a tangent."""
        self.passes += 4
        self.products += 1
        return self._product(w, v)


def newton(run: Run, w: np.ndarray) -> None:
    minimize = load_optimize().minimize
    options = {"maxiter": 100, "xtol": 1e-12}
    found = minimize(run.value_and_grad, w, jac=True, hessp=run.hvp, method="Newton-CG", options=options)
    run.iterations = found.nit


def quasi_newton(run: Run, w: np.ndarray) -> None:
    minimize = load_optimize().minimize
    options = {"maxiter": 5000, "maxfun": 10000, "gtol": TARGET / np.sqrt(len(w)), "ftol": 0.0}
    found = minimize(run.value_and_grad, w, jac=True, method="L-BFGS-B", options=options)
    run.iterations = found.nit


def gradient_descent(run: Run, w: np.ndarray, steps: int) -> None:
    """Steps of length 1/λ along −g, where λ is the largest curvature: the longest that cannot overshoot."""
    step = 1 / largest_curvature(run, w)
    for _ in range(steps):
        _, gradient = run.value_and_grad(w)
        if run.path[-1][1] < TARGET:
            break
        w = w - step * gradient
        run.iterations += 1


def largest_curvature(run: Run, w: np.ndarray, products: int = 20) -> float:
    """The largest eigenvalue of the Hessian at w, by the power method."""
    v = np.random.default_rng(0).standard_normal(w.shape)
    for _ in range(products):
        v /= np.linalg.norm(v)
        v = run.hvp(w, v)
    return float(np.linalg.norm(v))


def picture(pyplot, runs: list[Run], path: Path) -> None:
    """The smallest gradient norm so far, against gradients asked for and against passes over the graph."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4), layout="constrained", sharey=True)
    for run in runs:
        passes, norms = np.array(run.path).T
        for axes, places in ((left, np.arange(1, len(norms) + 1)), (right, passes)):
            axes.plot(places, norms, color=run.colour, linewidth=0.7, alpha=0.35)
            axes.plot(places, np.minimum.accumulate(norms), color=run.colour, label=run.name)
    for axes, title in ((left, "gradients"), (right, "passes over the graph")):
        axes.axhline(TARGET, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set(xscale="log", yscale="log", xlabel=title, title=f"Norm of the gradient against {title}")
        axes.grid(color=FAINT)
    right.legend(loc="center left")
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Logistic regression by Newton-CG, L-BFGS and gradient descent.")
    parser.add_argument("--steps", type=int, default=3000, help="of gradient descent (default: %(default)s)")
    parser.add_argument("--penalty", type=float, default=1e-3, help="on the weights' squares (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "newton.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps must be 1 or more, got {options.steps}")
    if options.penalty <= 0:
        parser.error(f"--penalty must be above 0, or there is no lowest point; got {options.penalty}")

    load_optimize()
    pyplot = load_pyplot()
    loss, start, accuracy = regression(options.penalty)
    runs = [
        Run("gradient descent", ORANGE, loss),
        Run("L-BFGS", GREEN, loss),
        Run("Newton-CG", BLUE, loss),
    ]
    print(f"Logistic regression on {len(DigitsDataset()):,} digits, {len(start)} weights, penalty {options.penalty:g}")
    print("A gradient takes 2 passes over the graph (forward, back), a product with the Hessian 4.\n")
    print(
        "method             iterations  gradients  H·v products   passes   seconds   |gradient|         loss  test read"
    )
    for run, method in zip(runs, (lambda *at: gradient_descent(*at, options.steps), quasi_newton, newton)):
        began = time.perf_counter()
        method(run, start)
        run.seconds = time.perf_counter() - began
        print(
            f"{run.name:<18} {run.iterations:10} {len(run.path):10} {run.products:13} {run.passes:8} {run.seconds:9.2f}"
            f" {min(norm for _, norm in run.path):12.1e} {run.best:12.9f} {accuracy(run.w):10.1%}"
        )
    print()
    for run in runs:
        arrived = [passes for passes, norm in run.path if norm < TARGET]
        print(f"{run.name} " + (f"arrives at {TARGET:g} in {arrived[0]} passes" if arrived else "has not arrived"))
    picture(pyplot, runs, options.output)


if __name__ == "__main__":
    main()
