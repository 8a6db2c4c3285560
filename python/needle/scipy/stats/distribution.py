"""What distributions have in common: SciPy's arguments, the support, `loc` and `scale`."""

import functools
import inspect
import math

import numpy as np

from ... import ops
from ...graph import Tensor, ValueUnknown
from ...numpy.dispatch import as_tensor, as_tensors, holds_tensor, plain, without_rule
from ...numpy.ufuncs import inexact
from ..plainly import handed_through

_Parameter = inspect.Parameter


class Distribution:
    """A distribution of SciPy's, some of whose methods take Tensors; the others are SciPy's own.

    A subclass says what its parameters are, where they are `valid`, and what its `METHODS` are on standardised
    arguments.  SciPy's answers hold beyond: nan for parameters that are not valid, 0 outside of the support.
    """

    METHODS: tuple[str, ...] = ()
    DEFAULTS: tuple[tuple[str, int], ...] = (("loc", 0), ("scale", 1))

    def __init__(self, scipys):
        self.scipys = scipys
        names = [name.strip() for name in (scipys.shapes or "").split(",") if name.strip()]
        kind = _Parameter.POSITIONAL_OR_KEYWORD
        parameters = [_Parameter(name, kind) for name in names]
        parameters += [_Parameter(name, kind, default=value) for name, value in self.DEFAULTS]
        self.signature = inspect.Signature(parameters)

    def __call__(self, *args, **kwds) -> "Frozen":
        """The distribution with these parameters."""
        return Frozen(self, args, kwds)

    freeze = __call__

    def __getattr__(self, name: str):
        if name == "scipys":  # while it is being unpickled
            raise AttributeError(name)
        if name in self.METHODS:
            return functools.partial(self._evaluate, name)
        return handed_through(getattr(self.scipys, name))

    def _evaluate(self, method: str, x, *args, **kwds):
        """`method(x, *parameters)`: SciPy's own without a Tensor."""
        if not (holds_tensor((x, *args)) or holds_tensor(kwds.values())):
            return getattr(self.scipys, method)(x, *args, **kwds)
        try:
            bound = self.signature.bind(*args, **kwds)
        except TypeError as error:
            raise TypeError(f"{self.scipys.name}.{method}: {error}; its parameters are {self.signature}") from None
        bound.apply_defaults()
        x, *parameters = [inexact(value) for value in as_tensors([x, *bound.arguments.values()])]
        return self._at(method, x, *parameters)


class Frozen:
    """A distribution with parameters, as SciPy's `norm(loc, scale)`."""

    def __init__(self, distribution: Distribution, args: tuple, kwds: dict):
        self.dist, self.args, self.kwds = distribution, args, kwds

    def __getattr__(self, name: str):
        if name in ("dist", "args", "kwds"):
            raise AttributeError(name)
        if name in self.dist.METHODS:
            return lambda x: self.dist._evaluate(name, x, *self.args, **self.kwds)
        return getattr(without_rule(self.dist.scipys.freeze, self.args, self.kwds), name)


# --------------------------------------------------------------------------------------------------------------------


class Continuous(Distribution):
    """A continuous distribution, with `logpdf`, `pdf`, `cdf` and `logcdf` of standardised z in (low, high)."""

    METHODS = ("pdf", "logpdf", "cdf", "logcdf")
    low, high = -math.inf, math.inf
    somewhere = 1.0  # a point inside of the support

    def valid(self, *shapes):
        """Whether the shape parameters are."""
        return True

    def _pdf(self, z, *shapes):
        return np.exp(self._logpdf(z, *shapes))

    def _logcdf(self, z, *shapes):
        return np.log(self._cdf(z, *shapes))

    def _at(self, method: str, x: Tensor, *parameters: Tensor) -> Tensor:
        *shapes, loc, scale = parameters
        z = (x - loc) / scale
        is_density = method in ("pdf", "logpdf")
        if is_density:  # it is there on the ends of the support, too, but not at infinity
            inside = np.logical_and(np.isfinite(z), np.logical_and(z >= self.low, z <= self.high))
        else:
            inside = np.logical_and(z > self.low, z < self.high)
        if _holds(inside):
            result = getattr(self, f"_{method}")(z, *shapes)
        else:
            result = getattr(self, f"_{method}")(ops.where(inside, z, self.somewhere), *shapes)
            result = ops.where(inside, result, -math.inf if method.startswith("log") else 0.0)
            if not is_density:
                result = ops.where(z >= self.high, 0.0 if method == "logcdf" else 1.0, result)
        if method == "pdf":
            result = result / scale
        elif method == "logpdf":
            result = result - np.log(scale)
        return only_where(np.logical_and(scale > 0, np.logical_and(self.valid(*shapes), z == z)), result)


def only_where(valid, result: Tensor) -> Tensor:
    """`result`, nan where the parameters are not valid."""
    return result if _holds(valid) else ops.where(valid, result, math.nan)


def _holds(condition) -> bool:
    """Whether a condition is known to hold everywhere."""
    try:
        return bool(np.all(plain(condition)))
    except ValueUnknown:  # inside vmap
        return False


def power_law(p: Tensor, x: Tensor) -> Tensor:
    """p·ln x for x ≥ 0.  At x = 0 it is 0, inf or -inf as the sign of p says, whatever the other derivatives are."""
    zero = x == 0
    at_zero = ops.where(p == 0, 0.0, ops.where(p > 0, -math.inf, math.inf))
    return ops.where(zero, at_zero, p * np.log(ops.where(zero, 1.0, x)))


def constant(value) -> Tensor:
    """An argument in which there is no derivative."""
    return as_tensor(value).detach()
