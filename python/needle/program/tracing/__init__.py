"""From a function to a program: one run on arrays that write down what is done with them."""

from .capture import Capture, Change, Followed, Given, Numbers, Result, Source, State, Store, capture

__all__ = ["Capture", "Change", "Followed", "Given", "Numbers", "Result", "Source", "State", "Store", "capture"]
