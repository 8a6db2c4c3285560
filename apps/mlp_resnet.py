"""A multi-layer perceptron with residual connections, and its training on MNIST.

`python apps/mlp_resnet.py DATA_DIR` trains on the four files of MNIST in that folder.
Importing this module trains nothing and reads no file.
"""

import argparse
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np

import needle as ndl
from needle import nn
from needle.data import DataLoader, MNISTDataset

__all__ = ["MLPResNet", "ResidualBlock", "epoch", "train_mnist"]


def ResidualBlock(dim: int, hidden_dim: int, norm=nn.BatchNorm1d, drop_prob: float = 0.1) -> nn.Module:
    """relu(x + f(x)), where f goes from `dim` features to `hidden_dim` and back.

    Args:
        norm: the class of the normalisations, made with a number of features.
        drop_prob: the share of hidden features that are dropped in training.
    """
    body = nn.Sequential(
        nn.Linear(dim, hidden_dim),
        norm(hidden_dim),
        nn.ReLU(),
        nn.Dropout(drop_prob),
        nn.Linear(hidden_dim, dim),
        norm(dim),
    )
    return nn.Sequential(nn.Residual(body), nn.ReLU())


def MLPResNet(
    dim: int,
    hidden_dim: int = 100,
    num_blocks: int = 3,
    num_classes: int = 10,
    norm=nn.BatchNorm1d,
    drop_prob: float = 0.1,
) -> nn.Module:
    """`num_blocks` residual blocks of `hidden_dim` features between two linear layers: (n, dim) to (n, num_classes)."""
    return nn.Sequential(
        nn.Linear(dim, hidden_dim),
        nn.ReLU(),
        *[ResidualBlock(hidden_dim, hidden_dim // 2, norm, drop_prob) for _ in range(num_blocks)],
        nn.Linear(hidden_dim, num_classes),
    )


def epoch(dataloader: Iterable, model: nn.Module, opt: ndl.optim.Optimizer | None = None) -> tuple[float, float]:
    """One pass over `dataloader`: training with an optimizer `opt`, measuring without one.

    The model is switched to train or eval mode accordingly, and NumPy's global random state is seeded, so that orders
    and dropout are the same in every pass.

    Returns:
        The share of wrong guesses and the loss, both averaged over the examples.
    """
    np.random.seed(4)
    if opt is None:
        model.eval()
    else:
        model.train()
    loss_fn = nn.SoftmaxLoss()
    examples, wrong, total_loss = 0, 0, 0.0
    for X, y in dataloader:
        n = X.shape[0]
        logits = model(X.reshape((n, -1)))
        loss = loss_fn(logits, y)
        if opt is not None:
            opt.reset_grad()
            loss.backward()
            opt.step()
        examples += n
        wrong += int((logits.numpy().argmax(axis=1) != y.numpy()).sum())
        total_loss += loss.item() * n
    return wrong / examples, total_loss / examples


def train_mnist(
    batch_size: int = 100,
    epochs: int = 10,
    optimizer=ndl.optim.Adam,
    lr: float = 0.001,
    weight_decay: float = 0.001,
    hidden_dim: int = 100,
    data_dir: str | PathLike[str] = "data",
) -> tuple[float, float, float, float]:
    """Train an MLPResNet on the MNIST files in `data_dir`.

    Returns:
        Error rate and loss of the last pass over the training images, then of the test images.
    """
    np.random.seed(4)
    train, test = (
        MNISTDataset(
            Path(data_dir) / f"{part}-images-idx3-ubyte.gz",
            Path(data_dir) / f"{part}-labels-idx1-ubyte.gz",
        )
        for part in ("train", "t10k")
    )
    train_loader = DataLoader(train, batch_size, shuffle=True)
    model = MLPResNet(train.images.shape[1], hidden_dim)
    opt = optimizer(model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(epochs):
        train_error, train_loss = epoch(train_loader, model, opt)
    return train_error, train_loss, *epoch(DataLoader(test, batch_size), model)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train a residual multi-layer perceptron on MNIST.")
    parser.add_argument("data_dir", help="the folder with train-images-idx3-ubyte.gz and the three other files")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs must be 1 or more, got {options.epochs}")
    try:
        result = train_mnist(epochs=options.epochs, data_dir=options.data_dir)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print("train: {:.2%} wrong, loss {:.4f};  test: {:.2%} wrong, loss {:.4f}".format(*result))


if __name__ == "__main__":
    main()
