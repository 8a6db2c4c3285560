"""Optimizers, learning-rate schedules, and gradient clipping."""

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .clipping import clip_grad_norm, clip_grad_value
from .optimizer import Optimizer
from .rmsprop import RMSProp
from .schedules import (
    CosineAnnealing,
    ExponentialLR,
    LinearWarmup,
    MultiStepLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
    WarmupCosine,
)
from .sgd import SGD
