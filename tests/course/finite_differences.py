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


def slopes(value, tensor):
    """d value() / d tensor, one entry after the other."""
    result = np.zeros(tensor.shape)
    entries = tensor.realize_cached_data().flat
    for i in range(result.size):
        start = entries[i]
        entries[i] = start + EPS
        above = float(value())
        entries[i] = start - EPS
        below = float(value())
        entries[i] = start
        result.flat[i] = (above - below) / (2 * EPS)
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
    """The second derivatives of sum(weights * out**2), which is curved also where the function itself is not.

    The squares of the arguments are added for `x ** 0`, whose gradient is a constant that has no `backward`.
    """
    weights = ndl.Tensor(weights_like(function(*arguments, **keywords)), requires_grad=False)

    def value():
        total = (weights * function(*arguments, **keywords) ** 2).sum()
        for argument in arguments:
            total = total + (argument * argument).sum()
        return total

    assert_curvature_along_two_directions(value, arguments)


def values_nearby(value, tensors, moves):
    """`value()` with the tensors moved by each of `moves`, lists of one array a tensor."""
    arrays = [tensor.realize_cached_data() for tensor in tensors]
    starts = [array.copy() for array in arrays]
    results = []
    for move in moves:
        for array, start, change in zip(arrays, starts, move):
            array[...] = start + change
        results.append(float(value().numpy()))
    for array, start in zip(arrays, starts):
        array[...] = start
    return results


def directions_like(tensors, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=tensor.shape) for tensor in tensors]


def assert_slopes_along_a_direction(value, tensors):
    """For nets: `value()` is a scalar Tensor; each tensor's `.grad` against one random direction of its own."""
    value().backward()
    gradients = [tensor.grad.numpy() for tensor in tensors]
    for tensor, gradient, direction in zip(tensors, gradients, directions_like(tensors, 8)):
        above, below = values_nearby(value, [tensor], [[EPS * direction], [-EPS * direction]])
        assert gradient.shape == tensor.shape
        np.testing.assert_allclose((gradient * direction).sum(), (above - below) / (2 * EPS), rtol=1e-5, atol=1e-6)


def assert_curvature_along_two_directions(value, tensors):
    """v' H w of the scalar `value()`, with `backward` of a sum of `.grad`s, for random v and w over all tensors.

    The mixed difference of four values has a rounding error near 1e-16 |value| / eps**2, and eps = 1e-4.
    """
    eps, v, w = 1e-4, directions_like(tensors, 8), directions_like(tensors, 9)
    moves = [[eps * (i * a + j * b) for a, b in zip(v, w)] for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    upper, mixed, mixed_too, lower = values_nearby(value, tensors, moves)
    expected = (upper - mixed - mixed_too + lower) / (4 * eps**2)

    value().backward()
    slope = None
    for tensor, direction in zip(tensors, v):
        term = (tensor.grad * ndl.Tensor(direction, requires_grad=False)).sum()
        slope = term if slope is None else slope + term
    slope.backward()
    computed = sum((tensor.grad.numpy() * direction).sum() for tensor, direction in zip(tensors, w))
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4)


def assert_first_and_second_derivatives(value, tensors):
    assert_slopes_along_a_direction(value, tensors)
    assert_curvature_along_two_directions(value, tensors)
