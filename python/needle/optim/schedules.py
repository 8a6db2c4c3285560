"""Learning rates that change while a net trains.

A schedule is made after its optimizer, sets the optimizer's learning rates at once, and again at each `step()`: once an
epoch or once a batch, as the schedule's numbers are meant.  Of each group of the optimizer it scales the rate that the
group had when the schedule was made, its base rate.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Optimizer


class Schedule:
    """What the schedules share.  A subclass defines `rate(base, step)`, the rate after `step` calls of `step()`.

    Args:
        optimizer: the optimizer whose learning rates are set.

    >>> import needle as ndl
    >>> class InverseRoot(ndl.optim.Schedule):
    ...     def rate(self, base, step):
    ...         return base / (1 + step) ** 0.5
    >>> optimizer = ndl.optim.SGD([ndl.Tensor([1.0])], lr=0.1)
    >>> schedule = InverseRoot(optimizer)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> optimizer.lr
    0.05
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} takes an optimizer first, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_rates = [float(group["lr"]) for group in optimizer.groups]
        self.steps = 0
        self._set_rates()

    def __repr__(self) -> str:
        rates = ", ".join(f"{group['lr']:g}" for group in self.optimizer.groups)
        return f"{type(self).__name__}({type(self.optimizer).__name__} with lr={rates} after {self.steps} steps)"

    def rate(self, base: float, step: int) -> float:
        """The learning rate after `step` steps, of a group whose base rate is `base`."""
        raise NotImplementedError(f"{type(self).__name__} must define rate(self, base, step)")

    def step(self) -> None:
        """One epoch (or batch) has passed: set the rates that follow."""
        self.steps += 1
        self._set_rates()

    def _set_rates(self) -> None:
        for group, base in zip(self.optimizer.groups, self.base_rates):
            group["lr"] = self.rate(base, self.steps)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The number of steps and the base rates, as a flat dict of arrays."""
        return {"steps": np.array(self.steps), "base_rates": np.array(self.base_rates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken, and set the rates of that moment.  On an error nothing is changed.

        Raises:
            ValueError: the state is of another kind of schedule, or of an optimizer with other groups.
        """
        state = _checked(self, state)
        self.steps, self.base_rates = int(state["steps"]), state["base_rates"].tolist()
        self._set_rates()


class StepLR(Schedule):
    """base · gamma^⌊step / every⌋: multiplied by gamma after each `every` steps."""

    def __init__(self, optimizer: Optimizer, every: int, gamma: float = 0.1) -> None:
        self.every, self.gamma = _at_least_one(self, "every", every), _positive(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma ** (step // self.every)


class MultiStepLR(Schedule):
    """base · gamma^(number of milestones ≤ step): multiplied by gamma at each milestone."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), _positive(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma ** sum(milestone <= step for milestone in self.milestones)


class ExponentialLR(Schedule):
    """base · gamma^step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = _positive(self, "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * self.gamma**step


class CosineAnnealing(Schedule):
    """Half a cosine from base down to least, in `steps` steps; least from then on (Loshchilov & Hutter 2017,
    arXiv:1608.03983, eq. 5, without restarts):

        least + (base − least)·(1 + cos(π·step/steps)) / 2
    """

    def __init__(self, optimizer: Optimizer, steps: int, least: float = 0.0) -> None:
        self.length, self.least = _at_least_one(self, "steps", steps), least
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return _cosine(base, self.least, min(step / self.length, 1.0))


class LinearWarmup(Schedule):
    """A straight line from start·base up to base, in `steps` steps; base from then on:

    base · (start + (1 − start)·min(step/steps, 1))
    """

    def __init__(self, optimizer: Optimizer, steps: int, start: float = 0.0) -> None:
        self.length, self.start = _at_least_one(self, "steps", steps), start
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        return base * _line(self.start, min(step / self.length, 1.0))


class WarmupCosine(Schedule):
    """`LinearWarmup` over the first `warmup` of `steps` steps, `CosineAnnealing` to least over the others."""

    def __init__(
        self, optimizer: Optimizer, steps: int, warmup: int, *, start: float = 0.0, least: float = 0.0
    ) -> None:
        self.length, self.warmup = _at_least_one(self, "steps", steps), _at_least_one(self, "warmup", warmup)
        if warmup >= steps:
            raise ValueError(f"WarmupCosine needs warmup < steps; got warmup {warmup}, steps {steps}")
        self.start, self.least = start, least
        super().__init__(optimizer)

    def rate(self, base: float, step: int) -> float:
        if step < self.warmup:
            return base * _line(self.start, step / self.warmup)
        return _cosine(base, self.least, min((step - self.warmup) / (self.length - self.warmup), 1.0))


class ReduceLROnPlateau(Schedule):
    """The rate times `factor`, never below `least`, when `patience` + 1 values on end were no better than the best.

    Args:
        optimizer: the optimizer whose learning rates are set.
        factor: in (0, 1).
        patience: how many values in a row may be no better before the rate falls.
        threshold: a value is better than the best by more than threshold·|best|, or it is not.
        mode: `"min"` when smaller values are better (a loss), `"max"` when greater ones are (an accuracy).
        cooldown: how many values after a reduction are not counted.
        least: the lowest learning rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 0.1,
        patience: int = 10,
        *,
        threshold: float = 1e-4,
        mode: str = "min",
        cooldown: int = 0,
        least: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau needs 0 < factor < 1; got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f'ReduceLROnPlateau needs mode "min" or "max"; got {mode!r}')
        self.factor, self.patience, self.threshold, self.mode = factor, patience, threshold, mode
        self.cooldown, self.least = cooldown, least
        self.best = math.inf if mode == "min" else -math.inf
        self.waited = self.cooling = 0
        super().__init__(optimizer)
        self.rates = list(self.base_rates)

    def step(self, value: float | None = None) -> None:
        """`value` was reached in this epoch."""
        if value is None:
            raise TypeError(
                "ReduceLROnPlateau.step needs the value that it watches, e.g. schedule.step(validation_loss)"
            )
        value = float(value)
        self.steps += 1
        if self._is_better(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling -= 1
            self.waited = 0
        if self.waited > self.patience:
            self.rates = [max(float(group["lr"]) * self.factor, self.least) for group in self.optimizer.groups]
            self.waited, self.cooling = 0, self.cooldown
            self._set_rates()

    def _is_better(self, value: float) -> bool:
        if math.isinf(self.best):
            return value < self.best if self.mode == "min" else value > self.best
        margin = self.threshold * abs(self.best)
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def _set_rates(self) -> None:
        if self.steps:
            for group, rate in zip(self.optimizer.groups, self.rates):
                group["lr"] = rate

    def state_dict(self) -> dict[str, np.ndarray]:
        """As for every schedule, and the best value, the present rates, and how long it has waited and cooled."""
        return {
            **super().state_dict(),
            "rates": np.array(self.rates),
            "best": np.array(self.best),
            "waited": np.array(self.waited),
            "cooling": np.array(self.cooling),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        checked = _checked(self, state)
        self.rates, self.best = checked["rates"].tolist(), float(checked["best"])
        self.waited, self.cooling = int(checked["waited"]), int(checked["cooling"])
        super().load_state_dict(state)


def _cosine(high: float, low: float, passed: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * passed)) / 2


def _line(start: float, passed: float) -> float:
    return start + (1 - start) * passed


def _at_least_one(schedule: Schedule, name: str, value: int) -> int:
    if not value >= 1:
        raise ValueError(f"{type(schedule).__name__} needs {name} >= 1; got {value}")
    return value


def _positive(schedule: Schedule, name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{type(schedule).__name__} needs {name} > 0; got {value}")
    return value


def _checked(schedule: Schedule, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    kind, wanted = type(schedule).__name__, schedule.state_dict()
    if state.keys() != wanted.keys():
        raise ValueError(
            f"the state of a {kind} holds {', '.join(wanted)}; this one holds {', '.join(state) or 'nothing'}"
        )
    arrays = {name: np.asarray(value) for name, value in state.items()}
    for name, array in arrays.items():
        if array.shape != wanted[name].shape:
            raise ValueError(
                f"{name} of this {kind}'s state has shape {array.shape}, but its optimizer has "
                f"{len(schedule.optimizer.groups)} groups"
            )
    return arrays
