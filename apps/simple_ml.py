"""Training loops written out in full: a two-layer net on MNIST, image classifiers, language models.

Importing this module trains nothing and reads no file.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from os import PathLike

import numpy as np

import needle as ndl
from needle import nn
from needle.data import get_batch, read_idx

__all__ = [
    "epoch_general_cifar10",
    "epoch_general_ptb",
    "evaluate_cifar10",
    "evaluate_ptb",
    "loss_err",
    "nn_epoch",
    "parse_mnist",
    "softmax_loss",
    "train_cifar10",
    "train_ptb",
]


# --------------------------------------------------------------------------------------------------------------------
# A two-layer net, by hand


def parse_mnist(
    image_filename: str | PathLike[str], label_filename: str | PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from two IDX files, gzipped or plain.

    Returns:
        images: float32 (n, height·width) in [0, 1].
        labels: uint8 (n,).
    """
    images, labels = read_idx(image_filename), read_idx(label_filename)
    return images.reshape(len(images), -1).astype(np.float32) / 255, labels


def softmax_loss(Z: ndl.Tensor, y_one_hot: ndl.Tensor) -> ndl.Tensor:
    """The mean over the batch of ln Σⱼ exp(Zᵢⱼ) − Σⱼ yᵢⱼ Zᵢⱼ, a scalar.

    Args:
        Z: logits (batch, classes).
        y_one_hot: probabilities of the true classes (batch, classes), usually one 1 a row.
    """
    return (ndl.logsumexp(Z, axes=1).sum() - (Z * y_one_hot).sum()) / Z.shape[0]


def nn_epoch(
    X: np.ndarray, y: np.ndarray, W1: ndl.Tensor, W2: ndl.Tensor, lr: float = 0.1, batch: int = 100
) -> tuple[ndl.Tensor, ndl.Tensor]:
    """One pass of gradient descent over X for the net relu(X @ W1) @ W2, in the order of the examples.

    Args:
        X: float array (n, features).
        y: integer labels (n,).
        W1: weights (features, hidden).
        W2: weights (hidden, classes).
        lr: what a gradient is multiplied with before it is subtracted.
        batch: examples in one step; the last step has what is left.

    Returns:
        W1 and W2 after the pass, as new Tensors; those that were given are left as they were.
    """
    for start in range(0, len(X), batch):
        images = ndl.Tensor(X[start : start + batch], requires_grad=False)
        targets = ndl.init.one_hot(W2.shape[1], y[start : start + batch], dtype=W2.dtype)
        W1, W2 = ndl.Tensor(W1), ndl.Tensor(W2)
        softmax_loss(ndl.relu(images @ W1) @ W2, targets).backward()
        W1, W2 = W1.detach() - lr * W1.grad.detach(), W2.detach() - lr * W2.grad.detach()
    return ndl.Tensor(W1), ndl.Tensor(W2)


def loss_err(h: ndl.Tensor, y: np.ndarray) -> tuple[np.ndarray, np.floating]:
    """The softmax loss of logits `h` (n, classes) for integer labels `y` (n,), and the share of wrong guesses."""
    loss = softmax_loss(h, ndl.init.one_hot(h.shape[1], y, dtype=h.dtype))
    return loss.numpy(), np.mean(h.numpy().argmax(axis=1) != np.asarray(y))


# --------------------------------------------------------------------------------------------------------------------
# Image classifiers


def epoch_general_cifar10(
    dataloader: Iterable, model: nn.Module, loss_fn=nn.SoftmaxLoss(), opt: ndl.optim.Optimizer | None = None
) -> tuple[float, float]:
    """One pass over `dataloader`: training with an optimizer `opt`, measuring without one.

    The model is switched to train or eval mode accordingly.

    Returns:
        The accuracy and the loss, both averaged over the examples.
    """
    tally = Tally()
    with _mode(model, opt):
        for X, y in dataloader:
            X, y = _constant(X), _constant(y)
            logits = model(X)
            loss = loss_fn(logits, y)
            if opt is not None:
                opt.reset_grad()
                loss.backward()
                opt.step()
            tally.add(logits, y, loss)
    return tally.accuracy, tally.loss


def train_cifar10(
    model: nn.Module,
    dataloader: Iterable,
    n_epochs: int = 1,
    optimizer=ndl.optim.Adam,
    lr: float = 0.001,
    weight_decay: float = 0.001,
    loss_fn=nn.SoftmaxLoss,
) -> tuple[float, float]:
    """Train for `n_epochs` passes with a new `optimizer` (a class).  Accuracy and loss of the last pass."""
    opt = optimizer(model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(n_epochs):
        result = epoch_general_cifar10(dataloader, model, loss_fn(), opt)
    return result


def evaluate_cifar10(model: nn.Module, dataloader: Iterable, loss_fn=nn.SoftmaxLoss) -> tuple[float, float]:
    """Accuracy and loss of the model as it is, averaged over the examples."""
    return epoch_general_cifar10(dataloader, model, loss_fn())


# --------------------------------------------------------------------------------------------------------------------
# Language models


def epoch_general_ptb(
    data: np.ndarray,
    model: nn.Module,
    seq_len: int = 40,
    loss_fn=nn.SoftmaxLoss(),
    opt: ndl.optim.Optimizer | None = None,
    clip: float | None = None,
    device=None,
    dtype="float32",
    step: Callable | None = None,
) -> tuple[float, float]:
    """One pass over the text `data`: training with an optimizer `opt`, measuring without one.

    The state of the model is carried from one stretch to the next, its history is not: gradients reach back to the
    beginning of their stretch.

    Args:
        data: word ids (length, batch), from `needle.data.batchify`.
        model: called as `model(x, state)` with x (seq_len, batch), returns logits (seq_len·batch, words) and a state.
        seq_len: the length of a stretch; the last one may be shorter.
        clip: the largest norm that all gradients together may have; None for any.
        step: the `language_step` to make, if it is not to be made of what comes before: `ndl.jit(language_step(...))`.

    Returns:
        The accuracy and the loss, both averaged over the words.
    """
    tally, state = Tally(), None
    step = step or language_step(model, loss_fn, opt, clip)
    with _mode(model, opt):
        for start in range(0, len(data) - 1, seq_len):
            X, y = get_batch(data, start, seq_len, device=device, dtype=dtype)
            logits, state, loss = step(X, y, state)
            tally.add(logits, y, loss)
    return tally.accuracy, tally.loss


def language_step(model: nn.Module, loss_fn, opt: ndl.optim.Optimizer | None, clip: float | None = None) -> Callable:
    """The function from a stretch of text, what follows each word of it, and the state before it, to the logits, the
    state after it and the loss; with an optimizer it trains.  It can be compiled."""

    def step(X: ndl.Tensor, y: ndl.Tensor, state):
        logits, state = model(X, state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        loss = loss_fn(logits, y)
        if opt is not None:
            opt.reset_grad()
            loss.backward()
            if clip is not None:
                opt.clip_grad_norm(clip)
            opt.step()
        return logits, state, loss

    return step


def train_ptb(
    model: nn.Module,
    data: np.ndarray,
    seq_len: int = 40,
    n_epochs: int = 1,
    optimizer=ndl.optim.SGD,
    lr: float = 4.0,
    weight_decay: float = 0.0,
    loss_fn=nn.SoftmaxLoss,
    clip: float | None = None,
    device=None,
    dtype="float32",
) -> tuple[float, float]:
    """Train for `n_epochs` passes with a new `optimizer` (a class).  Accuracy and loss of the last pass."""
    opt = optimizer(model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(n_epochs):
        result = epoch_general_ptb(data, model, seq_len, loss_fn(), opt, clip, device, dtype)
    return result


def evaluate_ptb(
    model: nn.Module, data: np.ndarray, seq_len: int = 40, loss_fn=nn.SoftmaxLoss, device=None, dtype="float32"
) -> tuple[float, float]:
    """Accuracy and loss of the model as it is, averaged over the words."""
    return epoch_general_ptb(data, model, seq_len, loss_fn(), device=device, dtype=dtype)


# --------------------------------------------------------------------------------------------------------------------
# What the loops share


class Tally:
    """Right guesses and losses, added up over batches that may differ in size."""

    def __init__(self) -> None:
        self.examples = self.right = 0
        self.total_loss = 0.0

    def add(self, logits: ndl.Tensor, y: ndl.Tensor, loss: ndl.Tensor) -> None:
        """Count a batch: logits (n, classes), labels (n,), and the mean loss over the batch."""
        n = logits.shape[0]
        self.examples += n
        self.right += int((logits.numpy().argmax(axis=1) == y.numpy()).sum())
        self.total_loss += loss.item() * n

    @property
    def accuracy(self) -> float:
        return self.right / self.examples

    @property
    def loss(self) -> float:
        return self.total_loss / self.examples


def _mode(model: nn.Module, opt: ndl.optim.Optimizer | None):
    """Switch the model to train mode if there is an optimizer; else to eval mode, and record nothing meanwhile."""
    if opt is None:
        model.eval()
        return ndl.no_grad()
    model.train()
    return nullcontext()


def _constant(batch) -> ndl.Tensor:
    """A field of a batch as a Tensor: loaders of the user's own may yield arrays."""
    return batch if isinstance(batch, ndl.Tensor) else ndl.Tensor(batch, requires_grad=False)
