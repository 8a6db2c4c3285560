"""SciPy with derivatives (extra `scipy`).

The ufuncs of `scipy.special` can be called on Tensors as they are.  Its other functions cannot see a Tensor: they are
in `needle.scipy.special`, under SciPy's names.  What has no derivative here is SciPy's own.
"""

try:
    import scipy as _scipy
except ModuleNotFoundError:
    raise ModuleNotFoundError("needle.scipy needs SciPy: pip install needle-autodiff[scipy]") from None

from . import special


def __getattr__(name: str):
    return getattr(_scipy, name)


def __dir__():
    return sorted({*globals(), *dir(_scipy)})
