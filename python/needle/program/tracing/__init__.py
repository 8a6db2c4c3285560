"""From a function to a program: one run on arrays that write down what is done with them."""

from .capture import Capture, Followed, Given, Result, Store, capture
from .session import Change, Numbers, Source, State

__all__ = ["Capture", "Change", "Followed", "Given", "Numbers", "Result", "Source", "State", "Store", "capture"]
