"""Tensors to start from: constants and random draws, and the initializers of weights.

Draws come from NumPy's global legacy state (`numpy.random.seed` governs them), in float64, and are cast afterwards;
a `Generator` given as `generator=` has a state of its own instead.
"""

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .device import Device, as_device, as_dtype
from .graph import Tensor, leaf


class Generator:
    """A private source of random numbers, beside NumPy's global state.

    Its whole state can be read and set (`state_dict`, `load_state_dict`), so that a run can be resumed exactly.
    """

    def __init__(self, seed: int | None = None):
        self._random = np.random.RandomState(seed)
        _generators.add(self)

    def rand(self, *shape: int) -> np.ndarray:
        """Uniform float64 numbers in [0, 1)."""
        return np.asarray(self._random.rand(*shape))

    def randn(self, *shape: int) -> np.ndarray:
        """Standard normal float64 numbers."""
        return np.asarray(self._random.randn(*shape))

    def permutation(self, n: int) -> np.ndarray:
        """0 … n-1 in random order."""
        return self._random.permutation(n)

    def state_dict(self) -> dict:
        """The state, as plain arrays and numbers."""
        name, keys, position, has_gauss, gauss = self._random.get_state()
        return {"name": name, "keys": keys, "position": position, "has_gauss": has_gauss, "gauss": gauss}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state that `state_dict` gave."""
        names = ("name", "keys", "position", "has_gauss", "gauss")
        missing = [name for name in names if name not in state]
        if missing:
            raise KeyError(f"the state of a Generator lacks {', '.join(missing)}")
        self._random.set_state(tuple(state[name] for name in names))


# Generators that are alive, so that a computation can be repeated with the same draws
_generators: "weakref.WeakSet[Generator]" = weakref.WeakSet()


def random_state() -> list:
    """The state of NumPy's global random numbers and of every Generator, to be handed to `restored`."""
    return [(None, np.random.get_state()), *[(weakref.ref(g), g.state_dict()) for g in _generators]]


@contextmanager
def restored(state: list) -> Iterator[None]:
    """A block that draws again what was drawn after `random_state()` gave `state`; draws after it are not disturbed."""
    now = random_state()
    set_random_state(state)
    try:
        yield
    finally:
        set_random_state(now)


def set_random_state(state: list) -> None:
    """Go back to a state that `random_state()` gave."""
    for link, value in state:
        if link is None:
            np.random.set_state(value)
        elif (generator := link()) is not None:
            generator.load_state_dict(value)


def _lengths(shape: tuple) -> tuple:
    """`shape` as it came, or an error if it is not a row of lengths."""
    for n in shape:
        if not hasattr(n, "__index__") or n < 0:
            raise TypeError(f"the shape is given as separate lengths of at least 0, e.g. zeros(2, 3), got {n!r}")
    return shape


def _finish(array, device: Device | None, dtype, requires_grad: bool) -> Tensor:
    device = as_device(device)
    return leaf(device.xp.asarray(array, dtype=as_dtype(dtype)), requires_grad)


def _drawn(source: Callable, shape: tuple, device: Device | None, dtype, requires_grad: bool) -> Tensor:
    """What `source(*lengths)` gives, as a Tensor; inside `vmap`, for each example if it says so."""

    def make(shape: tuple) -> Tensor:
        return _finish(source(*shape), device, dtype, False)

    out = draw(make, _lengths(shape))
    out.node.requires_grad = requires_grad
    return out


# How a draw of a shape is made: `make(shape)` plainly, or what an enclosing transform puts in its place
_drawing: ContextVar[Callable] = ContextVar("drawing", default=lambda make, shape: make(shape))


def draw(make: Callable, shape: tuple) -> Tensor:
    """What `make(shape)` draws, in the way that enclosing transforms want it drawn."""
    return _drawing.get()(make, shape)


@contextmanager
def drawing(how: Callable) -> Iterator[None]:
    """A block in which a random draw is `how(outer, make, shape)`, where `outer(make, shape)` would draw without it."""
    outer = _drawing.get()
    token = _drawing.set(lambda make, shape: how(outer, make, shape))
    try:
        yield
    finally:
        _drawing.reset(token)


def rand(*shape: int, low=0.0, high=1.0, device=None, dtype="float32", requires_grad=False, generator=None) -> Tensor:
    """Uniform numbers in [low, high)."""
    source = generator or np.random
    return _drawn(lambda *n: source.rand(*n) * (high - low) + low, shape, device, dtype, requires_grad)


def randn(*shape: int, mean=0.0, std=1.0, device=None, dtype="float32", requires_grad=False, generator=None) -> Tensor:
    """Normal numbers."""
    source = generator or np.random
    return _drawn(lambda *n: source.randn(*n) * std + mean, shape, device, dtype, requires_grad)


def randb(*shape: int, p=0.5, device=None, dtype="bool", requires_grad=False, generator=None) -> Tensor:
    """True with probability p."""
    source = generator or np.random
    return _drawn(lambda *n: np.asarray(source.rand(*n) <= p), shape, device, dtype, requires_grad)


def constant(*shape: int, c=1.0, device=None, dtype="float32", requires_grad=False) -> Tensor:
    """The number c everywhere."""
    return _finish(np.full(_lengths(shape), c, as_dtype(dtype)), device, dtype, requires_grad)


def ones(*shape: int, device=None, dtype="float32", requires_grad=False) -> Tensor:
    """Ones."""
    return constant(*shape, c=1, device=device, dtype=dtype, requires_grad=requires_grad)


def zeros(*shape: int, device=None, dtype="float32", requires_grad=False) -> Tensor:
    """Zeros."""
    return constant(*shape, c=0, device=device, dtype=dtype, requires_grad=requires_grad)


def one_hot(n: int, i, device=None, dtype="float32", requires_grad=False) -> Tensor:
    """Rows of the n×n identity: i (a Tensor or array of whole numbers in [0, n)) gives shape i.shape + (n,)."""
    index = np.asarray(i.numpy() if isinstance(i, Tensor) else i)
    whole = index.astype(np.int64)
    if index.dtype.kind == "f" and not (whole == index).all():
        raise ValueError(f"one_hot needs whole numbers, got {index[whole != index].flat[0]}")
    if whole.size and not 0 <= whole.min() <= whole.max() < n:
        wrong = whole.min() if whole.min() < 0 else whole.max()
        raise ValueError(f"one_hot needs numbers in [0, {n}), got {wrong}")
    return _finish(np.eye(n, dtype=dtype)[whole], device, dtype, requires_grad)


def _like(array) -> Tensor:
    """The Tensor whose shape, dtype and device are meant: `array` itself, or one on a NumPy array or number."""
    return array if isinstance(array, Tensor) else leaf(np.asarray(array))


def zeros_like(array: Tensor, *, device=None, requires_grad=False) -> Tensor:
    """Zeros of the shape and dtype of `array`."""
    array = _like(array)
    return zeros(*array.shape, device=device or array.device, dtype=array.dtype, requires_grad=requires_grad)


def ones_like(array: Tensor, *, device=None, requires_grad=False) -> Tensor:
    """Ones of the shape and dtype of `array`."""
    array = _like(array)
    return ones(*array.shape, device=device or array.device, dtype=array.dtype, requires_grad=requires_grad)


# --------------------------------------------------------------------------------------------------------------------
# Weights


def xavier_uniform(fan_in: int, fan_out: int, gain=1.0, **kwargs) -> Tensor:
    """U(±gain·√(6 / (fan_in + fan_out))) of shape (fan_in, fan_out) (Glorot & Bengio 2010, eq. 16)."""
    bound = gain * math.sqrt(6 / _fan(fan_in + fan_out, "fan_in + fan_out"))
    return rand(fan_in, fan_out, low=-bound, high=bound, **kwargs)


def xavier_normal(fan_in: int, fan_out: int, gain=1.0, **kwargs) -> Tensor:
    """N(0, std² = gain²·2 / (fan_in + fan_out)) of shape (fan_in, fan_out) (Glorot & Bengio 2010, eq. 12)."""
    return randn(fan_in, fan_out, std=gain * math.sqrt(2 / _fan(fan_in + fan_out, "fan_in + fan_out")), **kwargs)


def kaiming_uniform(fan_in: int, fan_out: int, shape=None, nonlinearity="relu", **kwargs) -> Tensor:
    """U(±√2·√(3 / fan_in)) of `shape`, (fan_in, fan_out) by default (He et al. 2015, arXiv:1502.01852, eq. 10)."""
    bound = _relu_gain(nonlinearity) * math.sqrt(3 / _fan(fan_in))
    return rand(*(shape or (fan_in, fan_out)), low=-bound, high=bound, **kwargs)


def kaiming_normal(fan_in: int, fan_out: int, shape=None, nonlinearity="relu", **kwargs) -> Tensor:
    """N(0, std = √2 / √fan_in) of `shape`, (fan_in, fan_out) by default (He et al. 2015, arXiv:1502.01852, eq. 10)."""
    std = _relu_gain(nonlinearity) / math.sqrt(_fan(fan_in))
    return randn(*(shape or (fan_in, fan_out)), std=std, **kwargs)


def _fan(fan: int, name: str = "fan_in") -> int:
    """`fan` as it came, or an error where there is nothing to divide by."""
    if not fan > 0:
        raise ValueError(f"{name} must be positive, got {fan}")
    return fan


def _relu_gain(nonlinearity: str) -> float:
    if nonlinearity != "relu":
        raise ValueError(f'kaiming initialisation is defined for nonlinearity="relu", got {nonlinearity!r}')
    return math.sqrt(2)
