"""A small training loop, evaluation and prediction."""

from .evaluation import accuracy, evaluate, predict
from .history import History
from .loop import fit
