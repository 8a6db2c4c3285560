"""The course's file name for ops on TensorTuples; everything of `needle.ops` can be imported from here."""

from . import *  # noqa: F403
