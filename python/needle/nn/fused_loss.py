"""Softmax cross-entropy with integer labels as one op."""

import numpy as np

from ..fused import Fused, items_of
from ..graph import Tensor
from ..ops.indexing import take_along_axis
from ..ops.kinds import add_reduce
from ..ops.movement import reshape
from ..ops.reductions import logsumexp, mean


class CrossEntropy(Fused):
    """The mean of  logsumexp(z) - z[y]  over logits z (..., K) and integer labels y (...) in [0, K)

    Kept for the adjoint (softmax(z) - onehot(y)) / n are the probabilities.
    """

    __slots__ = ()

    def compute(self, logits, labels):
        z = logits.reshape(-1, logits.shape[-1])
        rows, y = np.arange(len(z)), labels.reshape(-1)
        shifted = z - np.maximum.reduce(z, 1, keepdims=True)
        chosen = shifted[rows, y]
        probabilities = np.exp(shifted, out=shifted)
        totals = add_reduce(probabilities, 1, keepdims=True)
        probabilities /= totals
        losses = np.log(totals[:, 0])
        losses -= chosen
        return np.true_divide(add_reduce(losses), len(z), dtype=z.dtype), probabilities

    def formula(self, logits, labels):
        of_label = take_along_axis(logits, reshape(labels, (*labels.shape, 1)), -1)
        return mean(logsumexp(logits, -1) - reshape(of_label, labels.shape))

    def adjoint(self, out_grads, outputs, inputs, needs):
        (grad,), probabilities, labels = out_grads, outputs[1], inputs[1]
        scale = grad / np.asarray(len(probabilities), grad.dtype)
        by_logits = probabilities * scale
        by_logits[np.arange(len(by_logits)), labels.reshape(-1)] -= scale
        return by_logits.reshape(inputs[0].shape), None


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of  logsumexp(z) - z[y]  over logits z (..., K) and integer labels y (...) in [0, K): a 0-d Tensor."""
    return items_of(CrossEntropy()(logits, labels), 1)[0]
