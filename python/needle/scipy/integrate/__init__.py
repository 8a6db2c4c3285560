"""`scipy.integrate` on Tensors: ordinary differential equations, differentiated by differential equations."""

import scipy.integrate as _integrate

from ..plainly import handed_through as _handed_through
from .odeint import odeint
from .solve_ivp import solve_ivp


def __getattr__(name: str):
    return _handed_through(getattr(_integrate, name))


def __dir__():
    return dir(_integrate)
