"""Adagrad."""

import numpy as np

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Divides each gradient by the root of the sum of all its squares so far (Duchi et al. 2011, JMLR 12, §1.1).

        g = grad + weight_decay·p
        s ← s + g²,  s = 0 at first
        p ← p − lr·g / (√s + eps)

    Args:
        params: Tensors, or dicts of parameter groups (see `Optimizer`).
        lr: learning rate, ≥ 0.
        eps: ≥ 0, keeps the quotient finite.
        weight_decay: ≥ 0, added to the gradient as weight_decay·p.
    """

    ranges = Optimizer.ranges | {"eps": (0, np.inf)}

    def __init__(self, params, lr=0.01, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def slots(self, options):
        return ("s",)

    def coefficients(self, options, step):
        return options["lr"], options["eps"], options["weight_decay"] or None

    def update(self, p, g, new, scratch, coefficients, s):
        lr, eps, decay = coefficients
        if decay is not None:
            np.multiply(p, decay, out=new)
            g = np.add(new, g, out=new)
        np.multiply(g, g, out=scratch)
        np.add(s, scratch, out=s)
        np.sqrt(s, out=scratch)
        np.add(scratch, eps, out=scratch)
        np.divide(g, scratch, out=scratch)
        np.multiply(scratch, lr, out=scratch)
        np.subtract(p, scratch, out=new)
