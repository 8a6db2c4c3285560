"""What happened in a training run, epoch by epoch."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ..io import FileError, write_whole


class History(dict[str, list[float]]):
    """The curves of a run, one number for each finished epoch: `history["loss"]`, `history["validation_accuracy"]`, ….

    Beside losses and metrics there are `"lr"`, the learning rate in the epoch's last step, and `"seconds"`.

    Attributes:
        stopped: why the run has ended: `"epochs"` (all are done), `"patience"` (no longer better) or `"interrupted"`;
            None while it goes on.
        best_epoch: the index of the epoch with the best value of what early stopping watches; None without it.
        uncompiled: what was to be compiled and could not be, with the reason; not saved.
    """

    def __init__(
        self, curves: Mapping[str, list[float]] | None = None, *, stopped: str | None = None, best_epoch=None
    ) -> None:
        super().__init__({name: list(values) for name, values in (curves or {}).items()})
        self.stopped = stopped
        self.best_epoch: int | None = best_epoch
        self.uncompiled: dict[str, str] = {}

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run."""
        return self.stopped == "interrupted"

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.get("loss", ()))

    def append(self, values: Mapping[str, float]) -> None:
        """One more epoch."""
        for name, value in values.items():
            self.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, for JSON and checkpoints."""
        return {"curves": dict(self), "stopped": self.stopped, "best_epoch": self.best_epoch}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all."""

        def write(temporary: str) -> None:
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(self.to_dict(), file, indent=1)

        write_whole(path, write)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "History":
        """What `save` wrote.

        Raises:
            FileError: it is no such file.
        """
        with open(path, encoding="utf-8") as file:
            try:
                content = json.load(file)
                return cls(content["curves"], stopped=content["stopped"], best_epoch=content["best_epoch"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FileError(f"{os.fspath(path)} is not a History that was saved as JSON: {error}") from error
