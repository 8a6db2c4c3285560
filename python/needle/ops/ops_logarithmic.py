"""The course's file name for logarithms of sums; everything of `needle.ops` can be imported from here."""

from . import *  # noqa: F403
