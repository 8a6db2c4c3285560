"""What a net is worth: losses and metrics averaged over examples, and predictions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..graph import Tensor, no_grad
from .batches import as_loader, as_tensor, inputs_and_target
from .compiled import forward_of

Metrics = Mapping[str, Callable[[Any, Tensor], Any]]


def evaluate(
    model: Callable[..., Any],
    data: Any,
    *,
    loss: Callable[[Any, Tensor], Tensor] | None = None,
    metrics: Metrics | None = None,
    batch_size: int | None = None,
) -> dict[str, float]:
    """The mean loss and metrics of `model` on `data`, in evaluation mode and without recording anything.

    Args:
        model, loss, metrics: as in `fit`; without a loss, metrics only.
        data: a DataLoader, a dataset or arrays (X, y).
        batch_size: for a dataset or arrays; 32 by default.

    Returns:
        The means over all examples, by name: `"loss"`, `"accuracy"`, …

    Raises:
        TypeError, ValueError: the data is none of these, is empty, or its batches are not inputs and a target.
    """
    loader = as_loader(data, "evaluate", batch_size=batch_size)
    means = averages_over(model, forward_of(model, loss), loader, metrics, "evaluate").means()
    if not means:
        raise ValueError("evaluate has nothing to measure: the targets are no labels; give it a loss or metrics")
    return means


def predict(model: Callable[..., Any], data: Any, *, batch_size: int | None = None) -> Any:
    """What `model` makes of `data`, in evaluation mode and without recording anything.

    Args:
        model: as in `fit`.
        data: an array or Tensor of inputs; or a DataLoader, a dataset or arrays (X, y): without their targets.
        batch_size: for all but a DataLoader; 32 by default.

    Returns:
        A NumPy array with an entry for each example; a tuple of such arrays where the model returns several values.

    Raises:
        TypeError, ValueError: the data is none of these, or is empty.
    """
    if isinstance(data, np.ndarray | Tensor):
        data = (data,)
    outputs = []
    with no_grad(), evaluation_mode(model):
        for batch in as_loader(data, "predict", batch_size=batch_size):
            fields = batch if isinstance(batch, tuple | list) else (batch,)
            outputs.append(model(*[as_tensor(field) for field in (fields[:-1] if len(fields) > 1 else fields)]))
    if not outputs:
        raise ValueError("predict got data without batches")
    if isinstance(outputs[0], tuple | list):
        return tuple([np.concatenate([part.numpy() for part in column]) for column in zip(*outputs, strict=True)])
    return np.concatenate([output.numpy() for output in outputs])


def accuracy(prediction: Tensor, target: Tensor) -> float:
    """The share of rows of scores (n, classes) whose greatest one is at the label (n,)."""
    scores, labels = prediction.node.data, target.node.data
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"accuracy takes scores (n, classes) and labels (n,); got {scores.shape} and {labels.shape}")
    return float((scores.argmax(axis=1) == labels).mean())


class Averages:
    """Means over examples of values that are means over batches."""

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0) -> None:
        self.sums = dict(sums or {})
        self.count = count

    def add(self, values: Mapping[str, float], examples: int) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * examples
        self.count += examples

    def means(self) -> dict[str, float]:
        return {name: total / self.count for name, total in self.sums.items()}


def averages_over(
    model: Callable[..., Any],
    forward: Callable[..., Any],
    loader: Iterable[Any],
    metrics: Metrics | None,
    caller: str,
    after_batch: Callable[[], object] = lambda: None,
) -> Averages:
    """The means over `loader` of the loss and the metrics, by `forward`, which gives prediction and loss of a batch."""
    averages = Averages()
    with no_grad(), evaluation_mode(model):
        for batch in loader:
            inputs, target = inputs_and_target(batch, caller)
            prediction, loss = forward(inputs, target)
            values = {} if loss is None else {"loss": loss.item()}
            averages.add(values | measure(metrics, prediction, target), examples_in(target))
            after_batch()
    if not averages.count:
        raise ValueError(f"{caller} got data without batches")
    return averages


def measure(metrics: Metrics | None, prediction: Any, target: Tensor) -> dict[str, float]:
    """The metrics of one batch; by default the accuracy, where there are scores and integer labels."""
    if metrics is None:
        is_labels = isinstance(prediction, Tensor) and prediction.ndim == 2 and target.dtype.kind in "iu"
        return {"accuracy": accuracy(prediction, target)} if is_labels and target.shape == prediction.shape[:1] else {}
    with no_grad():
        return {name: float(metric(prediction, target)) for name, metric in metrics.items()}


def examples_in(target: Tensor) -> int:
    return target.shape[0] if target.ndim else 1


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Every module in evaluation mode, and afterwards in the mode in which it was."""
    modules = [module for _, module in model.named_modules()] if hasattr(model, "named_modules") else []
    before = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in zip(modules, before):
            module.training = mode
