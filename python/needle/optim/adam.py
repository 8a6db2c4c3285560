"""Adam, and Adam with decoupled weight decay."""

import math

import numpy as np

from .optimizer import Optimizer


class Adam(Optimizer):
    """Running mean of the gradients over their root mean square (Kingma & Ba 2015, arXiv:1412.6980, alg. 1).

        g = grad + weight_decay·p
        m ← beta1·m + (1 − beta1)·g        m̂ = m / (1 − beta1ᵗ)
        v ← beta2·v + (1 − beta2)·g²       v̂ = v / (1 − beta2ᵗ)
        p ← p − lr·m̂ / (√v̂ + eps)

    m and v are zero at first, and t counts the steps of each parameter from 1 (those in which it had a `.grad`).

    Args:
        params: Tensors, or dicts of parameter groups (see `Optimizer`).
        lr: learning rate, ≥ 0.
        beta1, beta2: decay of the two moments, in [0, 1).
        eps: ≥ 0, keeps the quotient finite.
        weight_decay: ≥ 0, added to the gradient as weight_decay·p.
    """

    ranges = Optimizer.ranges | {"beta1": (0, 1), "beta2": (0, 1), "eps": (0, np.inf)}

    def __init__(self, params, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)

    def slots(self, options):
        return "m", "v"

    def coefficients(self, options, step):
        beta1, beta2 = options["beta1"], options["beta2"]
        # lr·m̂/(√v̂ + eps) = rate·m/(√v + small): both corrections and lr in two numbers, not in two more passes.
        root = math.sqrt(1 - beta2**step)
        rate, small = options["lr"] * root / (1 - beta1**step), options["eps"] * root
        return rate, small, beta1, 1 - beta1, beta2, 1 - beta2, *self.decay(options)

    def decay(self, options):
        """What is added to the gradient and what the parameter is multiplied by: a number, or None for nothing."""
        return options["weight_decay"] or None, None

    def update(self, p, g, new, scratch, coefficients, m, v):
        rate, small, beta1, fresh1, beta2, fresh2, decay, shrink = coefficients
        if decay is not None:
            np.multiply(p, decay, out=new)
            g = np.add(new, g, out=new)
        np.multiply(m, beta1, out=m)
        np.multiply(g, fresh1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(g, g, out=scratch)
        np.multiply(scratch, fresh2, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, small, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        if shrink is not None:
            p = np.multiply(p, shrink, out=new)
        np.subtract(p, scratch, out=new)


class AdamW(Adam):
    """Adam with the weight decay beside the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101, alg. 2).

        p ← (1 − lr·weight_decay)·p − lr·m̂ / (√v̂ + eps)     m̂, v̂ as in `Adam`, with g = grad

    Args:
        params, lr, beta1, beta2, eps: as in `Adam`.
        weight_decay: ≥ 0.
    """

    def __init__(self, params, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, beta1, beta2, eps, weight_decay)

    def decay(self, options):
        shrink = 1 - options["lr"] * options["weight_decay"]
        return None, None if shrink == 1 else shrink
