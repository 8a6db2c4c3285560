"""SciPy with derivatives (extra `scipy`).

The ufuncs of `scipy.special` can be called on Tensors as they are.  Its other functions cannot see a Tensor: they are
in `needle.scipy`, in modules and under names that are SciPy's.  What has no derivative here is SciPy's own.
"""

import importlib

try:
    import scipy as _scipy
except ModuleNotFoundError:
    raise ModuleNotFoundError("needle.scipy needs SciPy: pip install needle-autodiff[scipy]") from None

from . import special

_MODULES = ("integrate", "linalg", "signal", "sparse", "stats")  # imported when first used


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(_scipy, name)


def __dir__():
    return sorted({*globals(), *_MODULES, *dir(_scipy)})
