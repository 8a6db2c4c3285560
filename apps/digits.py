"""The demo: two nets learn to read handwritten digits, in less than a minute on two cores.

`python apps/digits.py` trains a multi-layer perceptron and a small residual net on 1,437 digits of 8 × 8 pixels that
come with needle, tests both on 360 others, and draws how they learned and what they read.
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# One thread for BLAS, unless told otherwise, and before NumPy starts it: these matrices are too small to be shared out,
# and on a busy machine threads that wait for each other took ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import needle as ndl
from needle import nn
from needle.data import DataLoader, DigitsDataset
from pictures import BLUE, INK, ORANGE, OUT, RED, load_pyplot, save

BATCH = 32


def mlp() -> nn.Module:
    """Two hidden layers of 128 features."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def resnet() -> nn.Module:
    """Six convolutions, four of them inside two residual connections: 16 channels of 8 × 8, then 32 of 4 × 4."""

    def conv(channels_in: int, channels_out: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv(channels_in, channels_out, 3, stride, bias=False), nn.BatchNorm2d(channels_out)]

    def residual(channels: int) -> list[nn.Module]:
        return [nn.Residual(nn.Sequential(*conv(channels, channels), nn.ReLU(), *conv(channels, channels))), nn.ReLU()]

    return nn.Sequential(
        *conv(1, 16),
        nn.ReLU(),
        *residual(16),
        *conv(16, 32, stride=2),
        nn.ReLU(),
        *residual(32),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


@dataclass
class Run:
    """What became of one net: its losses, epoch by epoch, and what it reads in the test digits."""

    name: str
    colour: str
    net: nn.Module
    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    guesses: np.ndarray | None = None
    accuracy: float = 0.0
    seconds: float = 0.0


def train(run: Run, epochs: int, lr: float, seed: int) -> None:
    """Train `run.net` with Adam, at a rate that sinks from `lr` to 0."""
    digits, test = DigitsDataset(), DigitsDataset(train=False)
    loader = DataLoader(digits, BATCH, shuffle=True, seed=seed)
    loss_fn = nn.SoftmaxLoss()
    optimizer = ndl.optim.Adam(run.net.parameters(), lr=lr)
    schedule = ndl.optim.CosineAnnealing(optimizer, steps=epochs * len(loader))

    @ndl.jit(backend="numpy")  # recorded once for each size of a batch, and run as one program from then on
    def step(images, labels):
        loss = loss_fn(run.net(images), labels)
        optimizer.reset_grad()
        loss.backward()
        optimizer.step()
        return loss

    weights = sum(parameter.size for parameter in run.net.parameters())
    print(f"{run.name}, {weights:,} weights")
    print("  epoch   loss: train   test   test digits read")
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        run.net.train()
        total = 0.0
        for images, labels in loader:
            total += step(images, labels).item() * len(labels)
            schedule.step()
        run.train_loss.append(total / len(digits))
        logits = predict(run.net, test.X)
        run.guesses = logits.numpy().argmax(axis=1)
        run.test_loss.append(loss_fn(logits, ndl.Tensor(test.y)).item())
        run.accuracy = float((run.guesses == test.y).mean())
        print(f"  {epoch:5}   {run.train_loss[-1]:11.3f}  {run.test_loss[-1]:5.3f}   {run.accuracy:7.1%}  ", bar(run))
    run.seconds = time.perf_counter() - start
    print()


def predict(net: nn.Module, images: np.ndarray) -> ndl.Tensor:
    """The logits that the net, as it is, gives for images (n, 1, 8, 8)."""
    net.eval()
    with ndl.no_grad():
        return net(ndl.Tensor(images))


# --------------------------------------------------------------------------------------------------------------------
# What one sees


def bar(run: Run) -> str:
    """How large the last training loss is, beside the first."""
    return "█" * max(1, round(30 * run.train_loss[-1] / run.train_loss[0]))


def as_text(images: np.ndarray) -> str:
    """Digits (n, 8, 8) beside each other, in shades of ink, two characters to a pixel."""
    shades = np.array(["  ", "░░", "▒▒", "▓▓", "██"])
    pixels = shades[np.minimum(images * 5, 4).astype(int)]
    return "\n".join("  " + "   ".join("".join(row) for row in rows) for rows in pixels.transpose(1, 0, 2))


def show_misread(run: Run, test: DigitsDataset, most: int = 4) -> None:
    """Print the digits that the net got wrong, for the reader to try."""
    wrong = np.flatnonzero(run.guesses != test.y)
    if not len(wrong):
        print(f"{run.name} read all of them.")
        return
    some = f"the first {most} of {len(wrong)}" if len(wrong) > most else f"all {len(wrong)}"
    print(f"What {run.name} misread ({some}):\n")
    wrong = wrong[:most]
    print(as_text(test.X[wrong, 0]))
    print("  " + "   ".join(f"read {run.guesses[i]}, is {test.y[i]}".ljust(16) for i in wrong))
    print()


def picture(pyplot, runs: list[Run], test: DigitsDataset, path: Path) -> None:
    """Losses on the left; on the right test digits and what the last net reads in them, those it misreads first."""
    figure = pyplot.figure(figsize=(10.5, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.15), wspace=0.05)
    axes = left.subplots()
    for run in runs:
        epochs = range(1, len(run.train_loss) + 1)
        axes.plot(epochs, run.train_loss, color=run.colour, label=f"{run.name}, training")
        axes.plot(epochs, run.test_loss, color=run.colour, linestyle=(0, (4, 2)), label=f"{run.name}, test")
    axes.set_yscale("log")
    axes.set_title("Loss")
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    axes.legend()

    run, rows, columns = runs[-1], 4, 7
    wrong = run.guesses != test.y
    order = np.argsort(~wrong, kind="stable")[: rows * columns]
    right.suptitle(
        f"Test digits as {run.name} reads them: {wrong.sum()} of {len(test)} wrong",
        x=0.0, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
    for axes, i in zip(right.subplots(rows, columns).flat, order):
        axes.imshow(test.X[i, 0], cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        label = f"{run.guesses[i]}, is {test.y[i]}" if wrong[i] else f"{run.guesses[i]}"
        axes.set_title(label, color=RED if wrong[i] else INK, loc="center", fontsize=10, fontweight="normal", pad=3)
        for spine in axes.spines.values():
            spine.set(visible=True, color=RED if wrong[i] else "#b9c1ca")
    save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train two nets to read handwritten digits, and draw how they did.")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the digits (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and orders (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=OUT / "digits.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs must be 1 or more, got {options.epochs}")

    pyplot = load_pyplot()
    train_digits, test = DigitsDataset(), DigitsDataset(train=False)
    print(f"{len(train_digits):,} handwritten digits to learn from, {len(test)} others to test on. Four of them:\n")
    print(as_text(train_digits.X[:4, 0]), "\n")
    np.random.seed(options.seed)
    runs = [Run("MLP", ORANGE, mlp()), Run("ResNet", BLUE, resnet())]
    for run, lr in zip(runs, (0.003, 0.005)):
        train(run, options.epochs, lr, options.seed)
    show_misread(runs[-1], test)
    for run in runs:
        print(f"{run.name} reads {run.accuracy:.1%} of the test digits, after {run.seconds:.1f} s of training.")
    picture(pyplot, runs, test, options.output)


if __name__ == "__main__":
    main()
