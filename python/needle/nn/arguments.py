"""Checks of what a layer is given, worded for the person who called it."""

from numbers import Integral, Real

from ..graph import Tensor
from .module import Module, signature


def require_sizes(layer: Module, least: int = 1, /, **sizes) -> None:
    """TypeError or ValueError unless each argument that makes `layer` is a whole number of at least `least`."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < least:
            raise (ValueError if isinstance(size, Integral) else TypeError)(
                f"{type(layer).__name__} needs a whole number of at least {least} for {name}, got {size!r}"
            )


def require_tensor(layer: Module, x, name: str = "input") -> None:
    """TypeError unless x is a Tensor."""
    if not isinstance(x, Tensor):
        kind = type(x).__name__
        raise TypeError(f"{signature(layer)} takes a Tensor as its {name}, got {kind}; write needle.Tensor(...)")


def require_features(layer: Module, x, features: int) -> None:
    """ValueError unless the last axis of x is `features` long."""
    if not isinstance(x, Tensor):
        require_tensor(layer, x)
    shape = x.node.data.shape
    if not shape or shape[-1] != features:
        raise ValueError(
            f"{signature(layer)} takes inputs with {features} features in the last axis, got shape {shape}"
        )


def require_channels(layer: Module, x, channels: int, axes: str) -> None:
    """ValueError unless x has the axes named in `axes` ("N, C, H, W") and `channels` of them in axis 1."""
    require_tensor(layer, x)
    shape = x.shape
    if len(shape) != axes.count(",") + 1:
        raise ValueError(f"{signature(layer)} takes inputs of shape ({axes}), got shape {shape}")
    if shape[1] != channels:
        raise ValueError(
            f"{signature(layer)} takes inputs ({axes}) with {channels} channels in axis 1, got shape {shape}"
        )


def require_sequence(layer: Module, x, features: int) -> None:
    """ValueError unless x is (T, B, features) with at least one step."""
    require_tensor(layer, x)
    shape = x.shape
    if len(shape) != 3 or shape[2] != features or shape[0] == 0:
        raise ValueError(
            f"{signature(layer)} takes sequences of shape (T, B, {features}) with T at least 1, got shape {shape}"
        )


def require_state(layer: Module, state, shape: tuple[int, ...], name: str = "h") -> None:
    """ValueError unless the state of a recurrent layer has exactly this shape."""
    require_tensor(layer, state, f"state {name}")
    if state.shape != shape:
        raise ValueError(f"{signature(layer)} takes a state {name} of shape {shape} here, got shape {state.shape}")


def require_probability(value: float, name: str) -> None:
    """ValueError unless 0 <= value < 1."""
    if not isinstance(value, Real) or not 0 <= value < 1:
        raise ValueError(f"{name} must be a probability in [0, 1), got {value!r}")
