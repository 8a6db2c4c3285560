"""A training run: epochs of steps, with validation, early stopping and checkpoints, that can be stopped and resumed."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..graph import Tensor
from ..io import FileError, load_checkpoint, save_checkpoint
from ..io.files import Path
from ..optim import Optimizer, ReduceLROnPlateau, Schedule
from .batches import inputs_and_target, length
from .compiled import Attempt, forward_of, gradient_of, update_of
from .evaluation import Averages, Metrics, averages_over, examples_in, measure
from .history import History
from .interrupt import Interrupt, Stopped
from .progress import ProgressBar

Loss = Callable[[Any, Tensor], Tensor]


@dataclass
class Position:
    """How far a run has come: in its epochs, and in the epoch at hand."""

    epoch: int = 0  # epochs that are finished
    batches: int = 0  # of the epoch at hand that are done
    averages: Averages = field(default_factory=Averages)  # over these
    is_trained: bool = False  # whether that was all of the epoch, so that only its validation is left


@dataclass
class Best:
    """The best value of what early stopping watches, and the weights that reached it."""

    value: float
    weights: dict[str, Any]


@dataclass
class Run:
    """What `fit` was asked to do, and how far it has come."""

    model: Callable[..., Any]
    loader: Iterable[Any]
    loss: Loss
    optimizer: Optimizer
    epochs: int
    validation: Iterable[Any] | None
    metrics: Metrics | None
    schedule: Schedule | None
    schedule_every: str
    clip: float | None
    accumulate: int
    patience: int | None
    monitor: str
    sign: int  # 1 where greater values of the monitored curve are better, -1 where smaller ones are
    checkpoint: Path | None
    checkpoint_every: int | None
    progress: bool
    backend: str | None  # of jit; None for steps as they are

    history: History = field(default_factory=History)
    position: Position = field(default_factory=Position)
    best: Best | None = None
    interrupt: Interrupt = field(default_factory=Interrupt)
    bar: ProgressBar | None = None

    def __post_init__(self) -> None:
        self.gradient = Attempt(gradient_of(self.model, self.loss), self.backend)
        is_ours = type(self.optimizer).__module__.startswith(Optimizer.__module__.rpartition(".")[0])
        self.update = Attempt(update_of(self.optimizer, self.clip), self.backend, is_ours, undo=False)
        self.forward = Attempt(forward_of(self.model, self.loss), self.backend)

    def go(self) -> History:
        """Train until all epochs are done, nothing gets better any more, or Ctrl-C."""
        try:
            with self.interrupt:
                while self.history.stopped is None and self.position.epoch < self.epochs:
                    self._do_epoch()
        except Stopped:  # between two steps, so the run can be resumed exactly here
            self.history.stopped = "interrupted"
            if self.position.is_trained or self.position.batches == 0 or hasattr(self.loader, "state_dict"):
                self._save()
        except KeyboardInterrupt:  # anywhere: the last checkpoint is the place to resume from
            self.history.stopped = "interrupted"
        else:
            self.history.stopped = self.history.stopped or "epochs"
            if self.best is not None:
                self.model.load_state_dict(self.best.weights)
        finally:
            self.optimizer.reset_grad()
        return self.history

    # One epoch

    def _do_epoch(self) -> None:
        start, position = time.perf_counter(), self.position
        label = f"epoch {position.epoch + 1}/{self.epochs}"
        with ProgressBar(self.progress, label, length(self.loader), position.batches) as bar:
            self.bar = bar
            if not position.is_trained:
                self._train(bar)
            values = position.averages.means()
            if self.validation is not None:
                means = averages_over(
                    self.model, self.forward, self.validation, self.metrics, "fit's validation", self.interrupt.check
                ).means()
                self._tell(self.forward)
                values |= {f"validation_{name}": value for name, value in means.items()}
            bar.show(values)
        self.history.append(values | {"lr": self.optimizer.lr, "seconds": time.perf_counter() - start})
        self._look_for_the_best(values)
        if self.schedule is not None and self.schedule_every == "epoch":
            if isinstance(self.schedule, ReduceLROnPlateau):
                self.schedule.step(self._monitored(values))
            else:
                self.schedule.step()
        self.position = Position(position.epoch + 1)
        if self.position.epoch == self.epochs and self.history.stopped is None:
            self.history.stopped = "epochs"
        self._save()

    def _train(self, bar: ProgressBar) -> None:
        if hasattr(self.model, "train"):
            self.model.train()
        position, total, steps = self.position, length(self.loader), 0
        self.optimizer.reset_grad()
        pending = 0  # batches whose gradients wait for their step
        for batch in self.loader:
            if pending == 0:
                left = self.accumulate if total is None else total - position.batches
                share = 1 / max(1, min(self.accumulate, left))
            inputs, target = inputs_and_target(batch, "fit")
            values = self._add_gradient(inputs, target, share)
            position.averages.add(values, examples_in(target))
            position.batches += 1
            pending += 1
            bar.advance(position.averages.means())
            if pending == self.accumulate or position.batches == total:
                self._step()
                pending, steps = 0, steps + 1
                self.interrupt.check()
                if self.checkpoint_every and steps % self.checkpoint_every == 0:
                    self._save()
        if pending:
            self._step()
        if position.batches == 0:
            raise ValueError("fit got data without batches")
        position.is_trained = True
        self.interrupt.check()

    def _add_gradient(self, inputs: tuple[Tensor, ...], target: Tensor, share: float) -> dict[str, float]:
        """The loss and metrics of a batch, and `share` of its gradient, added to what waits in `.grad`."""
        prediction, loss = self.gradient(inputs, target, None if share == 1 else share)
        self._tell(self.gradient)
        number = float(loss.item())
        if not math.isfinite(number):
            place = f"epoch {self.position.epoch + 1}, batch {self.position.batches + 1}"
            raise FloatingPointError(
                f"the loss became {number} in {place}; the weights are those before that step. "
                "Try a lower learning rate or clip=1.0, and look for nan in the data"
            )
        return {"loss": number} | measure(self.metrics, prediction, target)

    def _step(self) -> None:
        optimizer = self.optimizer
        if all(param.grad is None for param in optimizer.params):
            raise ValueError(
                "the loss depends on none of the optimizer's parameters; "
                "make the optimizer of this model's parameters(), after any conversion or replacement of them"
            )
        self.update()
        self._tell(self.update)
        if self.schedule is not None and self.schedule_every == "step":
            self.schedule.step()

    def _tell(self, attempt: Attempt) -> None:
        """Say, once, that the steps are compiled, and what is not and why."""
        if attempt.why_not and attempt.name not in self.history.uncompiled:
            self.history.uncompiled[attempt.name] = attempt.why_not
            text = f"the {attempt.name} goes on uncompiled: {attempt.why_not}"
        elif attempt is self.gradient and attempt.calls == 1 and not attempt.why_not:
            text = f'the {attempt.name} is compiled (jit="{self.backend}")'
        else:
            return
        if self.bar is not None:
            self.bar.say(text)

    # Early stopping

    def _monitored(self, values: dict[str, float]) -> float:
        if self.monitor not in values:
            raise ValueError(f"fit cannot watch monitor={self.monitor!r}; there are {', '.join(values)}")
        return values[self.monitor]

    def _look_for_the_best(self, values: dict[str, float]) -> None:
        if self.patience is None:
            return
        value = self._monitored(values)
        if self.best is None or math.isnan(self.best.value) or self.sign * value > self.sign * self.best.value:
            self.best = Best(value, self.model.state_dict())
            self.history.best_epoch = self.position.epoch
        elif self.position.epoch - (self.history.best_epoch or 0) >= self.patience:
            self.history.stopped = "patience"

    # Checkpoints

    def _parts(self) -> dict[str, Any]:
        loader = self.loader if hasattr(self.loader, "state_dict") else None
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "loader": loader}

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        position, best = self.position, self.best
        extra = {
            "history": self.history.to_dict(),
            "epoch": position.epoch,
            "batches": position.batches,
            "sums": position.averages.sums,
            "count": position.averages.count,
            "is_trained": position.is_trained,
            "best": None if best is None else {"value": best.value, "weights": best.weights},
        }
        save_checkpoint(self.checkpoint, **self._parts(), extra=extra)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint that a run of `fit` wrote."""
        extra = load_checkpoint(path, **self._parts())
        if not isinstance(extra, dict) or "is_trained" not in extra:
            raise FileError(f"{path} was not written by fit, so fit cannot go on from it")
        self.history = History(extra["history"]["curves"], best_epoch=extra["history"]["best_epoch"])
        if extra["history"]["stopped"] == "patience":
            self.history.stopped = "patience"
        averages = Averages(extra["sums"], extra["count"])
        self.position = Position(extra["epoch"], extra["batches"], averages, extra["is_trained"])
        if extra["best"] is not None:
            self.best = Best(**extra["best"])
