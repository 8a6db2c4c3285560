"""`numpy.linalg` on Tensors."""

import numpy as _numpy

from .. import dispatch as _dispatch
from . import decompositions, equations, norms, products


def __getattr__(name: str):
    return _dispatch.face(getattr(_numpy.linalg, name))


def __dir__():
    return dir(_numpy.linalg)
