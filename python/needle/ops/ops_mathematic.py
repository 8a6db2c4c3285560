"""The course's file name for arithmetic, movement and contraction: all of `needle.ops` can be imported from here."""

from . import *  # noqa: F403
