"""What NumPy's piecewise constant functions say: an op, so that traces and batches see the call, without derivative.

This file is loaded with `needle.numpy`.
"""

from collections.abc import Callable

from .indexing import PLACE
from .kinds import PiecewiseConstant

__all__ = ["Constant"]


class Constant(PiecewiseConstant):
    """`function(*arguments, **keywords)` of NumPy, where PLACE stands for the next Tensor"""

    __slots__ = ("function", "arguments", "keywords")

    def __init__(self, function: Callable, arguments: tuple, keywords: dict):
        self.function, self.arguments, self.keywords = function, arguments, keywords

    def title(self):
        return self.function.__name__

    def compute(self, *arrays):
        arrays = iter(arrays)
        arguments = [next(arrays) if argument is PLACE else argument for argument in self.arguments]
        keywords = {name: next(arrays) if value is PLACE else value for name, value in self.keywords.items()}
        return self.function(*arguments, **keywords)
