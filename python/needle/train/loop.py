"""`fit`: what can be asked of a training run, and the run that follows."""

import os
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from ..io.files import Path
from ..optim import Optimizer, ReduceLROnPlateau, Schedule
from ..program import BACKENDS
from .batches import as_loader
from .evaluation import Metrics
from .history import History
from .run import Loss, Run


def fit(
    model: Callable[..., Any],
    data: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    validation: Any = None,
    metrics: Metrics | None = None,
    batch_size: int | None = None,
    schedule: Schedule | None = None,
    schedule_every: str = "epoch",
    clip: float | None = None,
    accumulate: int = 1,
    patience: int | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = True,
    jit: bool | str = True,
) -> History:
    """Train `model`: for each batch (X, y) the loss of `model(X)`, its gradient, and one step of the optimizer.

    Ctrl-C stops after the step at hand (a second one at once): the model keeps what it has learned, the history comes
    back marked `interrupted`, and the checkpoint, if there is one, is written: `resume=True` goes on exactly there.

    Args:
        model: a Module, which is put into training mode, or any function of Tensors.
        data: a DataLoader, a dataset or arrays (X, y); of more fields the last is the target, the others are inputs.
        loss: `loss(prediction, target)`, a Tensor of one number: the mean over the batch.
        optimizer: of the model's parameters.
        epochs: how many times to go through the data (those of a run that is resumed included).
        validation: data that is evaluated after each epoch.
        metrics: functions of (prediction, target) by name, means over the batch; by default the accuracy where the
            targets are integer labels.
        batch_size: for a dataset or arrays, which are shuffled; 32 by default.
        schedule: of the learning rate; a ReduceLROnPlateau receives the value of `monitor`.
        schedule_every: `"epoch"` or `"step"`: when to call `schedule.step()`.
        clip: the greatest norm of all gradients together (`clip_grad_norm`).
        accumulate: how many batches make one step, with the mean of their gradients.
        patience: stop after this many epochs on end without a better value of `monitor`; the best weights are
            restored, also when all epochs are done (but not on Ctrl-C).
        monitor: the name of a curve in the history; by default `"validation_loss"`, or `"loss"` without validation.
        mode: `"min"` or `"max"`: which values of `monitor` are better; by default the greater ones of an accuracy.
        checkpoint: file to write after each epoch, and when interrupted between two steps.
        checkpoint_every: also write it after this many steps within an epoch.
        resume: whether to go on from the checkpoint, if it is there.
        progress: whether to show a progress bar, and above it a line on whether steps are compiled.
        jit: whether to compile the steps (`needle.jit`): True for NumPy, which takes no time to compile; or the name of
            one of jit's backends.  What cannot be compiled, or does more than compute (prints, appends to a list, takes
            from an iterator), runs as it is: `history.uncompiled` says what and why.  Compiled steps give the same
            numbers to rounding.

    Returns:
        The History: a dict with a list for each curve.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the message says which.
        FloatingPointError: the loss became nan or infinite; the weights are those before that step.
        FileError: the checkpoint to resume from is damaged or does not fit.

    >>> import numpy as np
    >>> import needle as ndl
    >>> x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)
    >>> model = ndl.nn.Linear(1, 1)
    >>> optimizer = ndl.optim.SGD(model.parameters(), lr=0.3)
    >>> def squared_error(prediction, target):
    ...     return ((prediction - target) ** 2).mean()
    >>> history = fit(model, (x, 3 * x + 1), loss=squared_error, optimizer=optimizer, epochs=40, progress=False)
    >>> bool(np.allclose(model.weight.numpy(), 3, atol=1e-3))
    True
    """
    _check_counts(epochs=epochs, accumulate=accumulate, patience=patience, checkpoint_every=checkpoint_every)
    if not callable(model) or not callable(loss):
        odd, value = ("model", model) if not callable(model) else ("loss", loss)
        raise TypeError(f"fit needs a {odd} that can be called, got {type(value).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit needs an optimizer such as needle.optim.Adam(model.parameters()), got {optimizer!r}")
    if not isinstance(schedule, Schedule | None):
        raise TypeError(f"fit needs a schedule such as needle.optim.CosineAnnealing(optimizer, 10), got {schedule!r}")
    if not isinstance(metrics, Mapping | None):
        raise TypeError(f"fit needs its metrics as a dict of functions by name, got {metrics!r}")
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("fit got a schedule of another optimizer than the one that it is to use")
    if schedule_every not in ("epoch", "step"):
        raise ValueError(f'fit needs schedule_every "epoch" or "step"; got {schedule_every!r}')
    if schedule_every == "step" and isinstance(schedule, ReduceLROnPlateau):
        raise ValueError('fit calls a ReduceLROnPlateau once an epoch; leave schedule_every at "epoch"')
    if mode not in (None, "min", "max"):
        raise ValueError(f'fit needs mode "min" or "max"; got {mode!r}')
    for name in metrics or ():
        if name in ("loss", "lr", "seconds") or name.startswith("validation_"):
            raise ValueError(f"fit keeps the name {name!r} for a curve of its own; call the metric something else")
    if checkpoint is None and (resume or checkpoint_every):
        raise ValueError("fit needs checkpoint=path to resume from, and to write every few steps")
    if (checkpoint is not None or patience is not None) and not hasattr(model, "state_dict"):
        raise TypeError(f"checkpoints and patience need a model with a state_dict, such as a Module; got {model!r}")
    loader = as_loader(data, "fit", batch_size=batch_size, shuffle=True)
    if checkpoint_every and not hasattr(loader, "state_dict"):
        raise TypeError(
            f"checkpoint_every needs data with a state_dict, such as a DataLoader; got {type(loader).__name__}"
        )
    if validation is not None:
        is_loader = hasattr(validation, "__iter__") and not hasattr(validation, "__getitem__")
        validation = as_loader(validation, "fit's validation", batch_size=None if is_loader else batch_size)
    if monitor is not None and monitor.startswith("validation_") and validation is None:
        raise ValueError(f"fit cannot watch monitor={monitor!r} without validation data")
    if not isinstance(jit, bool) and jit not in BACKENDS:
        raise ValueError(f"fit needs jit to be True, False or one of {', '.join(BACKENDS)}; got {jit!r}")
    monitor = monitor or ("loss" if validation is None else "validation_loss")
    run = Run(
        model=model,
        loader=loader,
        loss=loss,
        optimizer=optimizer,
        epochs=epochs,
        validation=validation,
        metrics=metrics,
        schedule=schedule,
        schedule_every=schedule_every,
        clip=clip,
        accumulate=accumulate,
        patience=patience,
        monitor=monitor,
        sign=1 if mode == "max" or (mode is None and monitor.endswith("accuracy")) else -1,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        progress=progress,
        backend="numpy" if jit is True else jit or None,
    )
    if resume and checkpoint is not None and os.path.exists(checkpoint):
        run.resume(checkpoint)
    return run.go()


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and (not isinstance(count, Integral) or count < 1):
            raise ValueError(f"fit needs a whole number >= 1 for {name}; got {count!r}")
