"""Rolling: the elements along an axis, each some places further, and those at the end come in at the start.

This file is loaded with `needle.numpy`.
"""

import numpy as np

from .kinds import Movement

__all__ = ["Roll"]


class Roll(Movement):
    """a rolled by `shifts` along `axes`, as `numpy.roll`"""

    __slots__ = ("shifts", "axes")

    def __init__(self, shifts, axes):
        self.shifts, self.axes = tuple(shifts), tuple(axes)  # axes are counted from 0

    def compute(self, a):
        for shift, axis in zip(self.shifts, self.axes):  # numpy.roll takes five times as long for a few numbers
            n = a.shape[axis]
            before = (slice(None),) * axis
            cut = n - shift % n if n else 0
            a = np.concatenate((a[(*before, slice(cut, None))], a[(*before, slice(cut))]), axis)
        return a

    def gradient(self, out_grad, node):
        return Roll([-shift for shift in self.shifts], self.axes)(out_grad)

    def batch(self, size, inputs, batched):
        return Roll(self.shifts, [axis + 1 for axis in self.axes])(*inputs)
