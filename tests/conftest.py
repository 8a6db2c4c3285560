"""What holds for every test: a fixed random state, no window on the screen, the same examples each time."""

import os

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")

# No deadline: the first call of a function imports what it needs, and two workers share the machine.
settings.register_profile("needle", deadline=None, derandomize=True)
settings.load_profile("needle")


@pytest.fixture(autouse=True)
def seeded() -> None:
    np.random.seed(0)
