"""The table of NumPy's functions: one row a function of the surface, with the cases on which it is checked.

Rows stand in the files `numpy_rows_*.py`, each with a list ROWS:

    row("cumsum", case(real(3, 4), axis=1), case(real(5)), case(real()))

The name is NumPy's, dotted for a submodule (`linalg.norm`), a method (`ndarray.cumsum`) or SciPy (`scipy.special.erf`).
What `real(...)` and its like describe is drawn anew for each check and handed over as a Tensor, wherever it stands
among the arguments; all else is handed over as it is.  How a row is checked is the business of `test_numpy.py`.
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import needle as ndl
import needle.numpy as ndlnp
from needle.numpy import dispatch

# --------------------------------------------------------------------------------------------------------------------
# Arguments


@dataclass(frozen=True)
class Drawn:
    """An array of `shape` with elements from `domain` (a key of DOMAINS), in `dtype` if one is given.

    followed: whether it is handed over as a Tensor to be differentiated; else as it is, an array.
    """

    shape: tuple[int, ...]
    domain: str = "real"
    dtype: str | None = None
    followed: bool = True

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        array = np.asarray(DOMAINS[self.domain](rng, self.shape))
        return array if self.dtype is None else array.astype(self.dtype)

    @property
    def differentiable(self) -> bool:
        return self.followed and self.domain not in _WHOLE and (self.dtype is None or np.dtype(self.dtype).kind in "fc")

    def __str__(self) -> str:
        name = f"{self.domain}({','.join(map(str, self.shape))})"
        return name + (f":{self.dtype}" if self.dtype else "") + ("" if self.followed else " array")


def _signs(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


def _complex(rng, shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _with(value):
    """Numbers of which about a third are `value`, the first certainly."""

    def draw(rng, shape):
        array = rng.uniform(0.5, 2.0, shape) * _signs(rng, shape)
        array = np.where(np.random.default_rng(7).random(shape) < 0.3, value, array)
        if array.size:
            array[(0,) * array.ndim] = value
        return array

    return draw


def _distinct(rng, shape):
    return (rng.permutation(math.prod(shape)).reshape(shape) - math.prod(shape) // 2 + 0.3) / 4


# Kinks (abs at 0, max at a tie) lie further from what these draw than the step of the differences, unless that is
# what the domain is for.
DOMAINS: dict[str, Callable] = {
    "real": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, shape),
    "nonzero": lambda rng, shape: rng.uniform(0.5, 2.0, shape) * _signs(rng, shape),
    "small": lambda rng, shape: rng.uniform(-0.9, 0.9, shape),
    "above one": lambda rng, shape: rng.uniform(1.2, 3.0, shape),
    "far": lambda rng, shape: rng.uniform(5.0, 50.0, shape) * _signs(rng, shape),
    "distinct": _distinct,  # no two alike: 0.25 apart, none of them whole or a half
    "distinct too": lambda rng, shape: _distinct(rng, shape) + 0.125,  # the same, and none equal to a "distinct" one
    "with zeros": _with(0.0),
    "with nan": _with(np.nan),
    "complex": _complex,
    "whole": lambda rng, shape: rng.integers(-3, 7, shape),
    "natural": lambda rng, shape: rng.integers(1, 7, shape),
    "bool": lambda rng, shape: rng.random(shape) < 0.5,
}
_WHOLE = {"whole", "natural", "bool"}


def _drawer(domain: str):
    def make(*shape: int, dtype: str | None = None) -> Drawn:
        return Drawn(shape, domain, dtype)

    return make


real, positive, nonzero, small = map(_drawer, ("real", "positive", "nonzero", "small"))
above_one, far, distinct, distinct_too = map(_drawer, ("above one", "far", "distinct", "distinct too"))
with_zeros, with_nan, complex_, whole = map(_drawer, ("with zeros", "with nan", "complex", "whole"))
natural, boolean = map(_drawer, ("natural", "bool"))


def plain(drawn: Drawn) -> Drawn:
    """The same, handed over as an array of NumPy."""
    return Drawn(drawn.shape, drawn.domain, drawn.dtype, followed=False)


# --------------------------------------------------------------------------------------------------------------------
# Cases and rows


@dataclass(frozen=True)
class Case:
    """One call: its arguments, in which a `Drawn` may stand anywhere, also in lists, tuples and dicts."""

    args: tuple
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def drawn(self) -> list[Drawn]:
        """What is drawn, in the order of the arguments."""
        found: list[Drawn] = []
        _mapped((self.args, self.kwargs), lambda drawn: found.append(drawn))
        return found

    @property
    def empty(self) -> bool:
        return any(0 in drawn.shape for drawn in self.drawn)

    @property
    def differentiable(self) -> list[int]:
        """Which of the drawn arrays can be differentiated with respect to."""
        return [i for i, drawn in enumerate(self.drawn) if drawn.differentiable]

    def draw(self, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [drawn.draw(rng) for drawn in self.drawn]

    def filled(self, values) -> tuple[tuple, dict]:
        """The arguments with one value for each that is drawn."""
        values = iter(values)
        return _mapped((self.args, self.kwargs), lambda _: next(values))

    def __str__(self) -> str:
        words = [*map(_shown, self.args), *[f"{name}={_shown(value)}" for name, value in self.kwargs.items()]]
        return ", ".join(words).replace("\n", " ")[:120]


def _shown(value) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(_shown, value))}]"
    if callable(value) and not isinstance(value, (type, np.ufunc)):
        return getattr(value, "__name__", "function")
    return str(value)


def _mapped(value, function: Callable):
    if isinstance(value, Drawn):
        return function(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(item, function) for item in value])
    if isinstance(value, dict):
        return {key: _mapped(item, function) for key, item in value.items()}
    return value


def case(*args, **kwargs) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True)
class Row:
    """A function of NumPy, and what is true of it.

    name: as in SURFACE.
    constant: piecewise constant: the result is a constant, whatever goes in.
    only_needle: cannot see a Tensor through plain `numpy`: tested through `needle.numpy` alone.
    batched: False where the shape of the result depends on values: an error inside `vmap`.
    float32: whether float32 is tried as well (False where a case's tolerance has no meaning in it).
    second: whether the second derivative is compared with differences (False where it does not exist).
    value: how the values are compared, if not as numbers: a function that turns a result into what is compared.
    tolerance: of derivatives, relative to their size.
    """

    name: str
    cases: tuple[Case, ...]
    constant: bool = False
    only_needle: bool = False
    batched: bool = True
    float32: bool = True
    second: bool = True
    value: Callable | None = None
    tolerance: float = 2e-6

    def functions(self) -> list[Callable]:
        """The function as plain `numpy` has it, and as `needle.numpy` does; on arrays both are NumPy's."""
        if self.name.startswith("ndarray."):
            return [functools.partial(_member, self.name.removeprefix("ndarray."))]
        if self.name.startswith("scipy."):
            ours = "needle." + self.name
            return [_found(ours)] if self.only_needle else [_found(self.name), _found(ours)]
        ours = functools.reduce(getattr, self.name.split("."), ndlnp)
        return [ours] if self.only_needle else [self.numpy_function(), ours]

    def numpy_function(self) -> Callable:
        """The reference."""
        if self.name.startswith("ndarray."):
            return functools.partial(_member, self.name.removeprefix("ndarray."))
        if self.name.startswith("scipy."):
            return _found(self.name)
        return functools.reduce(getattr, self.name.split("."), np)

    def exists(self) -> bool:
        """Whether this NumPy has the function."""
        try:
            return self.name.startswith("ndarray.") or self.numpy_function() is not None
        except AttributeError:
            return False

    def __str__(self) -> str:
        return self.name


_IN_PLACE = {"fill", "partition", "put", "sort"}  # they return None: what is compared is the array afterwards


def _member(name: str, array, *args, **kwargs):
    """A method or attribute of an array; of a Tensor, where it meets one among the arguments."""
    if isinstance(array, np.ndarray) and dispatch.holds_tensor(args):
        array = ndl.Tensor(array, requires_grad=False)
    if name in _IN_PLACE:
        array = array.copy()
        getattr(array, name)(*args, **kwargs)
        return array
    member = getattr(array, name)
    return member(*args, **kwargs) if callable(member) and not isinstance(member, ndl.Tensor) else member


def _found(dotted: str):
    """scipy.special.erf, scipy.stats.norm.pdf: something in a module, or in something there."""
    names = dotted.split(".")
    depth = names.index("scipy") + 2
    return functools.reduce(getattr, names[depth:], importlib.import_module(".".join(names[:depth])))


def row(name: str, *cases: Case, **about) -> Row:
    return Row(name, cases, **about)


def constant(name: str, *cases: Case, **about) -> Row:
    """A row of a piecewise constant function."""
    return Row(name, cases, constant=True, **about)


# --------------------------------------------------------------------------------------------------------------------
# The table


def rows() -> list[Row]:
    """The rows of all files, without those of functions that this NumPy lacks."""
    files = sorted(Path(__file__).parent.glob("numpy_rows_*.py"))
    found = [row for file in files for row in importlib.import_module(file.stem).ROWS]
    return [row for row in found if row.exists()]


def cases() -> Iterator[tuple[Row, Case]]:
    return ((row, case) for row in rows() for case in row.cases)
