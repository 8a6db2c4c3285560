"""Softmax cross-entropy with integer labels as one op."""

import numpy as np

from ..fused import Fused, items_of
from ..graph import Tensor, tracing
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
        shifted = z - np.maximum.reduce(z, 1, keepdims=True)
        chosen = at_labels(shifted, labels.reshape(-1))
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
        if by_comparison(probabilities):
            by_logits = (probabilities - one_hot(probabilities, labels.reshape(-1))) * scale
        else:
            by_logits = probabilities * scale
            by_logits[np.arange(len(by_logits)), labels.reshape(-1)] -= scale
        return by_logits.reshape(inputs[0].shape), None


FEW = 256  # classes


def by_comparison(rows) -> bool:
    """Whether to find the labels by comparing each with all classes: a program does so in the pass that it makes over
    the rows in any case."""
    return tracing() is not None and rows.shape[1] <= FEW


def one_hot(rows, labels):
    """Whether a place in the rows (n, K) is that of the label (n,)."""
    return labels[:, None] == np.arange(rows.shape[1])


def at_labels(rows, labels):
    """The numbers in the rows (n, K) at the labels (n,)."""
    if by_comparison(rows):
        return add_reduce(np.where(one_hot(rows, labels), rows, 0), 1)
    return rows[np.arange(len(rows)), labels]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of  logsumexp(z) - z[y]  over logits z (..., K) and integer labels y (...) in [0, K): a 0-d Tensor."""
    return items_of(CrossEntropy()(logits, labels), 1)[0]
