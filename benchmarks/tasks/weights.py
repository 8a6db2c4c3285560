"""Equal weights for every library: made by NumPy in needle's shapes, handed to each in its own layout."""

import math

import numpy as np


def random_weights(rng, shapes):
    """float32 arrays of these shapes, scaled by the fan-in so that activations keep their size; biases are small."""
    return [
        (rng.standard_normal(shape, dtype=np.float32) / math.sqrt(math.prod(shape[:-1]))).astype(np.float32)
        if len(shape) > 1
        else rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
        for shape in shapes
    ]


def norm_weights(size):
    """Weight and bias of a normalisation over `size` features, as every library begins."""
    return [np.ones(size, np.float32), np.zeros(size, np.float32)]


def set_needle_weights(model, weights):
    """Assign the arrays to the parameters of a needle model, in their order."""
    import needle as ndl

    for parameter, weight in zip(model.parameters(), weights, strict=True):
        parameter.data = ndl.Tensor(weight.reshape(parameter.shape))
    return model


def set_torch_weights(model, weights):
    """Assign the arrays to the parameters of a PyTorch model, in their order.

    PyTorch holds a linear map as (out, in) and a convolution as (out, in, k, k), needle as (in, out) and
    (k, k, in, out): both are a reversal of the axes, with the two axes of the kernel put back in order.
    """
    import torch

    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            if weight.ndim == 4:
                weight = weight.transpose(3, 2, 0, 1)
            elif weight.ndim == 2:
                weight = weight.T
            parameter.copy_(torch.from_numpy(weight.copy()))
    return model
