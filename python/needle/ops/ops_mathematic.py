"""The course's file name for arithmetic, movement, contraction and convolution; everything of `needle.ops` can be imported from here."""

from . import *  # noqa: F403
