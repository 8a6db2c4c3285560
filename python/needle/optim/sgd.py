"""Stochastic gradient descent, with momentum."""

import numpy as np

from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent; with momentum, along a running average of the gradients.

        g = grad + weight_decay·p
        u ← momentum·u + (1 − momentum)·g,  u = 0 at first
        p ← p − lr·u                                         or, with nesterov (Nesterov 1983; Sutskever et al. 2013),
        p ← p − lr·(momentum·u + (1 − momentum)·g)

    (PyTorch's momentum leaves out the factor 1 − momentum: its SGD at lr·(1 − momentum) makes the same steps.)

    Args:
        params: Tensors, or dicts of parameter groups (see `Optimizer`).
        lr: learning rate, ≥ 0.
        momentum: in [0, 1); 0 for plain gradient descent.
        weight_decay: ≥ 0, added to the gradient as weight_decay·p.
        nesterov: whether to look one step of the momentum ahead.

    >>> import needle as ndl
    >>> p = ndl.Tensor([1.0, -2.0])
    >>> optimizer = ndl.optim.SGD([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    needle.Tensor([ 0.5 -1. ])
    """

    ranges = Optimizer.ranges | {"momentum": (0, 1)}

    def __init__(self, params, lr=0.01, momentum=0.0, weight_decay=0.0, *, nesterov=False):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def slots(self, options):
        return ("u",) if options["momentum"] else ()

    def coefficients(self, options, step):
        momentum = options["momentum"]
        ahead = momentum if options["nesterov"] and momentum else None
        return options["lr"], momentum, 1 - momentum, ahead, options["weight_decay"] or None

    def update(self, p, g, new, scratch, coefficients, u=None):
        lr, momentum, fresh, ahead, decay = coefficients
        if decay is not None:
            np.multiply(p, decay, out=new)
            g = np.add(new, g, out=new)
        if u is not None:
            np.multiply(g, fresh, out=scratch)
            np.multiply(u, momentum, out=u)
            np.add(u, scratch, out=u)
            g = u
            if ahead is not None:
                np.multiply(u, ahead, out=new)
                g = np.add(new, scratch, out=new)
        np.multiply(g, lr, out=new)
        np.subtract(p, new, out=new)
