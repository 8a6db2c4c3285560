"""RMSProp."""

import numpy as np

from .optimizer import Optimizer


class RMSProp(Optimizer):
    """Divides each gradient by its root mean square (Tieleman & Hinton 2012, Coursera lecture 6e; Graves 2013).

        g = grad + weight_decay·p
        v ← alpha·v + (1 − alpha)·g²,      v = 0 at first
        u ← momentum·u + g / (√v + eps),   u = 0 at first
        p ← p − lr·u

    Args:
        params: Tensors, or dicts of parameter groups (see `Optimizer`).
        lr: learning rate, ≥ 0.
        alpha: decay of the mean square, in [0, 1).
        eps: ≥ 0, keeps the quotient finite.
        momentum: in [0, 1); 0 for none.
        weight_decay: ≥ 0, added to the gradient as weight_decay·p.
    """

    ranges = Optimizer.ranges | {"alpha": (0, 1), "momentum": (0, 1), "eps": (0, np.inf)}

    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def slots(self, options):
        return ("v", "u") if options["momentum"] else ("v",)

    def coefficients(self, options, step):
        alpha = options["alpha"]
        return options["lr"], alpha, 1 - alpha, options["eps"], options["momentum"], options["weight_decay"] or None

    def update(self, p, g, new, scratch, coefficients, v, u=None):
        lr, alpha, fresh, eps, momentum, decay = coefficients
        if decay is not None:
            np.multiply(p, decay, out=new)
            g = np.add(new, g, out=new)
        np.multiply(v, alpha, out=v)
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, fresh, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, eps, out=scratch)
        np.divide(g, scratch, out=scratch)
        if u is not None:
            np.multiply(u, momentum, out=u)
            np.add(u, scratch, out=u)
            np.multiply(u, lr, out=scratch)
        else:
            np.multiply(scratch, lr, out=scratch)
        np.subtract(p, scratch, out=new)
