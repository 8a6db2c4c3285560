"""Basic indexing as data: which elements a key takes, so that keys can be composed and compared."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

NEW = -1  # stands for None in a layout


@dataclass(frozen=True)
class Selection:
    """What `a[key]` takes of an array of shape `base`.

    Attributes:
        ranges: for each axis of the base, (start, count, step).
        layout: for each axis of the result, the axis of the base that it runs along, or NEW.  Axes of the base that are
            not in it were given a whole number.
    """

    base: tuple[int, ...]
    ranges: tuple[tuple[int, int, int], ...]
    layout: tuple[int, ...]

    @classmethod
    def of(cls, key: Any, base: tuple[int, ...]) -> Selection:
        """The selection that a key of whole numbers, slices, None and Ellipsis makes."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if not any(each is ... for each in keys):
            keys.append(...)
        gap = next(i for i, each in enumerate(keys) if each is ...)
        missing = len(base) - sum(each is not None and each is not ... for each in keys)
        keys[gap : gap + 1] = [slice(None)] * missing
        ranges: list[tuple[int, int, int]] = []
        layout = []
        for each in keys:
            if each is None:
                layout.append(NEW)
                continue
            axis = len(ranges)
            if isinstance(each, slice):
                start, stop, step = each.indices(base[axis])
                ranges.append((start, len(range(start, stop, step)), step))
                layout.append(axis)
            else:
                ranges.append((operator.index(each) % base[axis], 1, 1))
        return cls(base, tuple(ranges), tuple(layout))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return tuple([1 if axis == NEW else self.ranges[axis][1] for axis in self.layout])

    def key(self) -> tuple:
        """A key that makes this selection, in one form whatever it was written as."""
        keys: list[Any] = []
        axes = list(range(len(self.base)))
        for at in self.layout:
            while at != NEW and axes[0] != at:
                keys.append(self.ranges[axes.pop(0)][0])
            if at == NEW:
                keys.append(None)
            else:
                keys.append(_slice(*self.ranges[axes.pop(0)], self.base[at]))
        keys += [self.ranges[axis][0] for axis in axes]
        while keys and keys[-1] == slice(None):
            keys.pop()
        return tuple(keys) if self.layout else (*keys, ...)  # an array without axes, where NumPy might give a number

    def is_all(self) -> bool:
        """Whether every element is taken, in order."""
        return all(
            count == length and (step == 1 or count <= 1) for (_, count, step), length in zip(self.ranges, self.base)
        )

    def then(self, inner: Selection) -> Selection | None:
        """The selection that takes `inner` of what this one takes; None if one of them is empty."""
        if 0 in self.shape or 0 in inner.shape:
            return None
        ranges = list(self.ranges)
        for axis, (start, count, step) in zip(self.layout, inner.ranges):
            if axis != NEW:
                first, _, by = ranges[axis]
                ranges[axis] = (first + start * by, count, by * step)
        return Selection(self.base, tuple(ranges), tuple([NEW if i == NEW else self.layout[i] for i in inner.layout]))

    def is_apart(self, other: Selection) -> bool:
        """Whether no element is taken by both, where that is seen on one axis."""
        return any(_apart(mine, yours) for mine, yours in zip(self.ranges, other.ranges))

    def within(self, outer: Selection) -> tuple[tuple[int, int, int], ...] | None:
        """Where this selection lies in what `outer` takes, as ranges along the axes of the base; None if it is not in
        it."""
        ranges = tuple([_within(mine, yours) for mine, yours in zip(self.ranges, outer.ranges)])
        return None if None in ranges else ranges  # type: ignore[return-value]


def _slice(start: int, count: int, step: int, length: int) -> slice:
    if count == length and step == 1:
        return slice(None)
    if count == 0:
        return slice(0, 0)
    stop = start + (count - 1) * step + (1 if step > 0 else -1)
    return slice(start, None if stop < 0 or (step == 1 and stop == length) else stop, None if step == 1 else step)


def _apart(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
    if not a[1] or not b[1]:
        return True
    first, second = range(a[0], a[0] + a[1] * a[2], a[2]), range(b[0], b[0] + b[1] * b[2], b[2])
    if max(first[0], first[-1]) < min(second[0], second[-1]) or max(second[0], second[-1]) < min(first[0], first[-1]):
        return True
    return abs(a[2]) == abs(b[2]) and (a[0] - b[0]) % a[2] != 0


def _within(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int] | None:
    if not a[1] or not b[1]:
        return None
    outer = range(b[0], b[0] + b[1] * b[2], b[2])
    last = a[0] + (a[1] - 1) * a[2]
    if a[0] not in outer or last not in outer or (a[1] > 1 and a[2] % b[2]):
        return None
    return outer.index(a[0]), a[1], a[2] // b[2] if a[1] > 1 else 1
