"""NumPy with derivatives: `import needle.numpy as np` in place of `import numpy as np`.

Functions of NumPy's differentiable surface are those that `numpy`'s own reach when a Tensor is among the arguments;
without one they are NumPy's.  Ufuncs, and everything else of NumPy, are handed through.  What plain `numpy` cannot do
is here: `array([x[0], x[1] ** 2])`, `asarray(x)`, and arrays to be filled while something is being differentiated.

Where a function stands: `grep "implements.*cumsum"` in this folder.
"""

import importlib

import numpy as _numpy

from . import (
    along_axis,
    assignment,
    constants,
    contraction,
    creation,
    cumulative,
    diagonals,
    differences,
    dispatch,
    elementwise,
    joining,
    methods,
    padding,
    polynomials,
    quantiles,
    ranges,
    reductions,
    selection,
    shapes,
    sorting,
    statistics,
    ufunc_calls,
    ufuncs,
)
from .creation import (
    array,
    asanyarray,
    asarray,
    ascontiguousarray,
    asfortranarray,
    bmat,
    empty,
    eye,
    full,
    identity,
    ones,
    require,
    tri,
    zeros,
)

__all__ = _numpy.__all__

# Modules of our own, imported when first used: `needle.numpy.linalg` has NumPy's names, and so on.
_MODULES = ("fft", "linalg")


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name.startswith("__") and name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    try:
        value = getattr(_numpy, name)
    except AttributeError as error:
        raise AttributeError(f"module {__name__} has no attribute {name!r}: {error}") from None
    value = globals()[name] = dispatch.face(value)
    return value


def __dir__():
    return sorted({*globals(), *dir(_numpy)})
