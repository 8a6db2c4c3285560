"""The progress bar of an epoch."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any


class ProgressBar:
    """A tqdm bar with the means so far beside it; nothing at all unless `wanted`."""

    def __init__(self, wanted: bool, label: str, total: int | None, done: int) -> None:
        self._bar: Any = None
        if wanted:
            try:
                tqdm = importlib.import_module("tqdm")
            except ImportError as error:
                raise ImportError(
                    "the progress bar needs the package tqdm: pip install tqdm, or pass progress=False"
                ) from error
            self._bar = tqdm.tqdm(desc=label, total=total, initial=done, unit="batch", dynamic_ncols=True)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, means: Mapping[str, float]) -> None:
        """One batch more."""
        if self._bar is not None:
            self._bar.set_postfix_str(_as_text(means), refresh=False)
            self._bar.update()

    def say(self, text: str) -> None:
        """A line of text above the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)

    def show(self, means: Mapping[str, float]) -> None:
        """What is known at the end of the epoch."""
        if self._bar is not None:
            self._bar.set_postfix_str(_as_text(means))


def _as_text(means: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in means.items())
