"""Checkpoints: all that a training run needs to go on exactly where it stood, in one file."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..init import Generator
from .files import FileError, Path, load, save

PARTS = (
    "optimizer",
    "schedule",
    "generator",
    "model_generators",
    "model",
    "loader",
)  # in the order in which they are loaded


def save_checkpoint(
    path: Path,
    *,
    model: Any = None,
    optimizer: Any = None,
    schedule: Any = None,
    loader: Any = None,
    generator: Generator | None = None,
    random: bool = True,
    extra: Any = None,
) -> None:
    """Write the state of a training run to one safetensors file, whole or not at all.

    A run that loads it goes on bit for bit as this one does.

    Args:
        path: of the file; its folder must exist.
        model, optimizer, schedule, loader, generator: what has a `state_dict()` to be saved; any may be left out.
        random: whether to save NumPy's global random state, and that of the Generators that the model's modules hold.
        extra: anything that `needle.io.save` takes: the number of the epoch, the history, ….

    Raises:
        TypeError: one of the parts has no `state_dict()`, or extra holds what cannot be saved.
        OSError: the file cannot be written; what was there is unchanged.
    """
    parts = _given(random, model=model, optimizer=optimizer, schedule=schedule, loader=loader, generator=generator)
    tree = {name: part.state_dict() for name, part in parts.items()}
    if random:
        tree["random"] = _random_state()
    tree["extra"] = extra
    save(path, tree, {"needle.kind": "checkpoint"})


def load_checkpoint(
    path: Path,
    *,
    model: Any = None,
    optimizer: Any = None,
    schedule: Any = None,
    loader: Any = None,
    generator: Generator | None = None,
    random: bool | None = None,
) -> Any:
    """Load what `save_checkpoint` wrote into the parts that are given; parts of the file not asked for are left.

    Everything fits, or nothing is changed.

    Args:
        path: of the file.
        model, optimizer, schedule, loader, generator: what is to take over the state saved under its name.
        random: whether to set NumPy's global random state, and that of the Generators that the model's modules hold; by
            default when an optimizer is given: a run goes on.

    Returns:
        The `extra` that was saved.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is damaged, is no checkpoint, lacks a part that is asked for, or a part does not fit.
    """
    name = os.fspath(path)
    random = optimizer is not None if random is None else random
    parts = _given(random, model=model, optimizer=optimizer, schedule=schedule, loader=loader, generator=generator)
    tree = load(path)
    if not isinstance(tree, dict) or "extra" not in tree:
        raise FileError(f"{name} is no checkpoint; read it with needle.io.load")
    for part in [*parts, *(["random"] if random else [])]:
        if part not in tree:
            has = ", ".join(key for key in tree if key != "extra") or "nothing"
            raise FileError(f"the checkpoint {name} holds no state of the {part}; it holds {has}")
    if random:
        state = _checked_random_state(tree["random"], name)
    before: dict[str, Any] = {}
    try:
        for part in PARTS:
            if part in parts:
                # The loader comes last: it changes nothing when it raises, and cannot be set back between two batches.
                snapshot = None if part == "loader" else parts[part].state_dict()
                parts[part].load_state_dict(tree[part])
                before[part] = snapshot
    except Exception as error:
        for done in before:
            parts[done].load_state_dict(before[done])
        reason = error.args[0] if error.args else error
        raise FileError(f"the {part} in the checkpoint {name} does not fit: {reason}") from error
    if random:
        np.random.set_state(state)
    return tree["extra"]


def _given(random: bool, **parts: Any) -> dict[str, Any]:
    given = {name: part for name, part in parts.items() if part is not None}
    for name, part in given.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(f"{name} must have state_dict and load_state_dict; {type(part).__name__} has not")
    if random and "model" in given:
        generators = ModelGenerators(given["model"])
        if generators.found:
            given["model_generators"] = generators
    return given


class ModelGenerators:
    """The Generators that the modules of a model hold (Dropout's, say), each once, by the path of the attribute."""

    def __init__(self, model: Any) -> None:
        self.found: dict[str, Generator] = {}
        modules = model.named_modules() if hasattr(model, "named_modules") else []
        for path, module in modules:
            for name, value in vars(module).items():
                if isinstance(value, Generator) and not any(value is known for known in self.found.values()):
                    self.found[f"{path}.{name}" if path else name] = value

    def state_dict(self) -> dict[str, Any]:
        return {name: generator.state_dict() for name, generator in self.found.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.keys() != self.found.keys():
            raise ValueError(f"it has Generators at {', '.join(state)}, the model at {', '.join(self.found)}")
        for name, generator in self.found.items():
            generator.load_state_dict(state[name])


RANDOM = ("name", "keys", "position", "has_gauss", "gauss")  # the entries of NumPy's legacy state


def _random_state() -> dict[str, Any]:
    state = np.random.get_state()
    if not isinstance(state, tuple):
        raise TypeError(
            f"NumPy's global random state is saved when it is MT19937, not {state['bit_generator']}; use random=False"
        )
    return dict(zip(RANDOM, state, strict=True))


def _checked_random_state(state: Mapping[str, Any], path: str) -> tuple:
    try:
        values = tuple([state[name] for name in RANDOM])
        np.random.RandomState().set_state(values)
    except Exception as error:
        raise FileError(f"the checkpoint {path} holds no random state of NumPy's: {error}") from error
    return values
