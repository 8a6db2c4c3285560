"""A physics-informed net: it learns the solution of a differential equation from the equation itself.

Poisson's equation on the unit square, −Δu = f, with u = 0 on the border.  f is chosen so that the solution is known,
u(x, y) = sin πx · sin πy; the net never sees it.  What it sees is how far −Δu is from f at points drawn in the square:
second derivatives by the points inside the loss, and the loss differentiated by the weights (Raissi, Perdikaris &
Karniadakis 2019, doi:10.1016/j.jcp.2018.10.045).  The border is no part of the loss: a factor that is 0 there makes
every net obey it (Lagaris, Likas & Fotiadis 1998, doi:10.1109/72.712178).
"""

import argparse
import os
import time
from pathlib import Path

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these matrices are too small to be shared out.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from needle import nn
from pictures import BLUE, ORANGE, OUT, load_pyplot, save

GRID = 65  # points along a side of the square, where the solution is looked at


def solution(points: np.ndarray) -> np.ndarray:
    """u = sin πx · sin πy at points (..., 2): what the net is to find."""
    return np.sin(np.pi * points).prod(axis=-1)


def source(points: np.ndarray) -> np.ndarray:
    """f = −Δu = 2π² · sin πx · sin πy at points (..., 2)."""
    return 2 * np.pi**2 * solution(points)


class Field(nn.Module):
    """u(x, y) = 16·x(1 − x)·y(1 − y) · net(x, y): points (..., 2) to values (...), 0 on the border of the square."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, points):
        x, y = points[..., 0], points[..., 1]
        return 16 * x * (1 - x) * y * (1 - y) * self.net(points)[..., 0]


def residual(field: Field, points) -> ndl.Tensor:
    """How far the net is from Δu + f = 0, at each of the points (n, 2)."""
    return ndl.laplacian(field)(points) + source(points)


def training_step(field: Field, optimizer: ndl.optim.Optimizer):
    """The function that makes a step of the optimizer at points (n, 2), and returns the loss before it."""

    def step(points):
        loss = (residual(field, points) ** 2).mean()
        optimizer.reset_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def train(field: Field, steps: int, batch: int, lr: float, rng: np.random.Generator, report) -> list[float]:
    """Adam on the mean square of the residual at points drawn anew in each step.  Returns the losses.

    `report(step, loss)` is called ten times.
    """
    optimizer = ndl.optim.Adam(field.parameters(), lr=lr)
    schedule = ndl.optim.CosineAnnealing(optimizer, steps=steps)
    compiled = ndl.jit(training_step(field, optimizer), backend="numpy")
    losses = []
    for step in range(1, steps + 1):
        losses.append(float(compiled(rng.random((batch, 2)).astype(np.float32))))
        schedule.step()
        if step % max(1, steps // 10) == 0:
            report(step, losses[-1])
    return losses


def on_grid(field: Field) -> tuple[np.ndarray, np.ndarray, float]:
    """Solution and prediction on a grid over the square, and the relative L² distance of the two."""
    side = np.linspace(0, 1, GRID)
    points = np.stack(np.meshgrid(side, side, indexing="xy"), axis=-1)
    exact = solution(points)
    with ndl.no_grad():
        found = field(ndl.Tensor(points, dtype="float32")).numpy()
    return exact, found, float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def picture(pyplot, exact: np.ndarray, found: np.ndarray, losses: list[float], path: Path) -> None:
    """Solution, prediction, error and the losses, side by side."""
    figure, panels = pyplot.subplots(1, 4, figsize=(13, 3.1), layout="constrained", width_ratios=(1, 1, 1, 1.2))
    error = found - exact
    power = int(np.floor(np.log10(abs(error).max())))
    most = abs(error).max() / 10.0**power
    for axes, values, title, look in (
        (panels[0], exact, "Solution sin πx · sin πy", {"cmap": "viridis", "vmin": 0, "vmax": 1}),
        (panels[1], found, "What the net found", {"cmap": "viridis", "vmin": 0, "vmax": 1}),
        (
            panels[2],
            error / 10.0**power,
            rf"Difference, in $\mathbf{{10^{{{power}}}}}$",
            {"cmap": "RdBu_r", "vmin": -most, "vmax": most},
        ),
    ):
        image = axes.imshow(values, origin="lower", extent=(0, 1, 0, 1), interpolation="bilinear", **look)
        axes.set(title=title, xlabel="x", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        figure.colorbar(image, ax=axes, shrink=0.9, aspect=18).outline.set_visible(False)
    panels[0].set_ylabel("y", rotation=0)
    axes, steps = panels[3], np.arange(1, len(losses) + 1)
    window = max(1, len(losses) // 50)
    axes.plot(steps, losses, color="#b9c1ca", linewidth=1)
    axes.plot(steps[window - 1 :], np.convolve(losses, np.ones(window) / window, mode="valid"), color=BLUE)
    nothing = np.mean(source(np.random.default_rng(0).random((4096, 2))) ** 2)
    axes.axhline(nothing, color=ORANGE, linewidth=1, linestyle=(0, (4, 2)))
    axes.annotate(
        "u = 0 everywhere", (len(losses), nothing), (0, 4), textcoords="offset points", color=ORANGE, ha="right"
    )
    axes.set(title="Loss" if window == 1 else f"Loss, mean of {window} steps", xlabel="step", yscale="log")
    axes.grid(axis="y")
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Solve Poisson's equation on a square by a physics-informed net.")
    parser.add_argument("--steps", type=int, default=1000, help="of Adam (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=256, help="points in a step (default: %(default)s)")
    parser.add_argument("--width", type=int, default=32, help="of the two hidden layers (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.01, help="of the first step (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and points (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "pinn.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    for name in ("steps", "batch", "width"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(options, name)}")

    pyplot = load_pyplot()
    np.random.seed(options.seed)
    field = Field(options.width)
    weights = sum(parameter.size for parameter in field.parameters())
    print(
        f"−Δu = f on the unit square, u = 0 on its border; a net of {weights:,} weights, {options.batch} points a step"
    )

    def report(step: int, loss: float) -> None:
        print(f"  step {step:5}   loss {loss:9.2e}   relative L² error {on_grid(field)[2]:8.2%}")

    start = time.perf_counter()
    losses = train(field, options.steps, options.batch, options.lr, np.random.default_rng(options.seed), report)
    exact, found, distance = on_grid(field)
    print(f"relative L² error {distance:.2%}, largest error {abs(found - exact).max():.1e}")
    print(f"{time.perf_counter() - start:.1f} s")
    picture(pyplot, exact, found, losses, options.output)


if __name__ == "__main__":
    main()
