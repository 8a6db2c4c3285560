"""Gradients against central differences, in the way the course's own tests go about it.

The tests add eps into an argument's live array, call the function again, and compare the slope with what
`gradient_as_tuple` or `backward` says. In float64 with eps = 1e-5 the difference quotient of a function of size
about 1 carries a truncation error near eps**2 = 1e-10 and a rounding error near 1e-16 / eps = 1e-11.
"""

import numpy as np

import needle as ndl

EPS = 1e-5
TOLERANCE = {"rtol": 1e-6, "atol": 1e-7}  # room for functions and third derivatives up to about 1000


def flat_tuple(gradients):
    """Gradients as arrays; an op on a TensorTuple has one gradient, which is a tuple itself."""
    arrays = []
    for gradient in gradients:
        pieces = gradient.tuple() if isinstance(gradient, ndl.TensorTuple) else (gradient,)
        arrays.extend(piece.numpy() for piece in pieces)
    return arrays


def weights_like(out):
    """Random weights for the outputs: a plain sum would not see an error whose entries cancel."""
    return np.random.default_rng(7).normal(size=out.shape)


def slopes(value, tensor, eps=EPS):
    """d value() / d tensor, one entry after the other."""
    result = np.zeros(tensor.shape)
    entries = tensor.realize_cached_data().flat
    for i in range(result.size):
        start = entries[i]
        entries[i] = start + eps
        above = float(value())
        entries[i] = start - eps
        below = float(value())
        entries[i] = start
        result.flat[i] = (above - below) / (2 * eps)
    return result


def assert_op_gradients(function, *arguments, **keywords):
    """The op that made `function(*arguments)` knows its gradients."""
    out = function(*arguments, **keywords)
    weights = weights_like(out)
    computed = flat_tuple(out.op.gradient_as_tuple(ndl.Tensor(weights), out))
    assert len(computed) == len(arguments)
    for gradient, argument in zip(computed, arguments):
        expected = slopes(lambda: (function(*arguments, **keywords).numpy() * weights).sum(), argument)
        assert gradient.shape == argument.shape
        np.testing.assert_allclose(gradient, expected, **TOLERANCE)


def assert_backward_gradients(function, *arguments, **keywords):
    """`backward` fills `.grad` of each argument."""
    out = function(*arguments, **keywords)
    weights = weights_like(out)
    out.backward(ndl.Tensor(weights))
    for argument in arguments:
        expected = slopes(lambda: (function(*arguments, **keywords).numpy() * weights).sum(), argument)
        assert argument.grad.shape == argument.shape
        np.testing.assert_allclose(argument.grad.numpy(), expected, **TOLERANCE)


def assert_second_derivative(function, *arguments, **keywords):
    """w' H v of f = sum(weights * out**2), for random directions v and w, by `backward` of a sum of `.grad`s.

    The mixed difference over four values has a rounding error near 1e-16 |f| / eps**2; eps = 1e-4 gives 1e-8 |f|.
    """
    eps = 1e-4
    out = function(*arguments, **keywords)
    weights = weights_like(out)
    rng = np.random.default_rng(8)
    first = [rng.normal(size=argument.shape) for argument in arguments]
    second = [rng.normal(size=argument.shape) for argument in arguments]

    def value(step_first, step_second):
        moved = [
            ndl.Tensor(argument.numpy() + step_first * v + step_second * w)
            for argument, v, w in zip(arguments, first, second)
        ]
        return float((weights * function(*moved, **keywords).numpy() ** 2).sum())

    expected = (value(eps, eps) - value(eps, -eps) - value(-eps, eps) + value(-eps, -eps)) / (4 * eps**2)

    (ndl.Tensor(weights) * out**2).sum().backward()
    along_first = None
    for argument, v in zip(arguments, first):
        term = (argument.grad * ndl.Tensor(v)).sum()
        along_first = term if along_first is None else along_first + term
    along_first.backward()
    computed = sum((argument.grad.numpy() * w).sum() for argument, w in zip(arguments, second))
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4)


def assert_slopes_along_a_direction(value, tensors):
    """For nets: `value()` is a scalar Tensor; each tensor's `.grad` against one random direction of its own."""
    value().backward()
    gradients = [tensor.grad.numpy() for tensor in tensors]
    rng = np.random.default_rng(9)
    for tensor, gradient in zip(tensors, gradients):
        direction = rng.normal(size=tensor.shape)
        array = tensor.realize_cached_data()
        start = array.copy()
        array[...] = start + EPS * direction
        above = float(value().numpy())
        array[...] = start - EPS * direction
        below = float(value().numpy())
        array[...] = start
        assert gradient.shape == tensor.shape
        np.testing.assert_allclose((gradient * direction).sum(), (above - below) / (2 * EPS), rtol=1e-5, atol=1e-6)
