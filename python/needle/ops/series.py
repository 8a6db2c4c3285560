"""Truncated Taylor series x₀ + x₁t + … + xₙtⁿ, as lists of Tensors: what the `taylor` rules of ops have in common.

None stands for a coefficient that is zero for certain.  The coefficients are x⁽ᵏ⁾/k!, which need no binomials.  The
recurrences are those of Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), chapter 13: for y = f(x) they solve
y' = f'(x)·x', coefficient by coefficient, in a number of products that grows with n².
"""

import math

import numpy as np

from ..graph import Node, Tensor


class Unit(Tensor):
    """The number 1 as a term: what is multiplied by it stays as it is, without an op."""

    __slots__ = ()

    def __init__(self, dtype):
        self.grad, self.node = None, Node(None, (), np.ones((), dtype), False)


def each(first, function, x) -> list:
    """`first`, then `function` of x₁ … xₙ: what a function that is linear near x₀ does to a series."""
    return [first, *[None if coefficient is None else function(coefficient) for coefficient in x[1:]]]


def total(*terms):
    """The sum of terms, each a Tensor or None for zero."""
    result = None
    for term in terms:
        if term is not None:
            result = term if result is None else result + term
    return result


def times(x, y):
    """x·y."""
    if x is None or y is None:
        return None
    return x if type(y) is Unit else y if type(x) is Unit else x * y


def divided(x, number):
    """x / number."""
    return x if x is None or number == 1 else x / number


def negated(x):
    """-x."""
    return None if x is None else -x


def coefficient(a, b, k: int, start: int = 0):
    """Coefficient k of a·b without the terms in which a's index is below `start`: Σ aⱼ·bₖ₋ⱼ for start ≤ j ≤ k."""
    return total(*[times(a[j], b[k - j]) for j in range(start, k + 1)])


def half_square(a, k: int, start: int = 0):
    """Coefficient k of a²/2, without the terms in which an index is below `start`: each product appears once, but a
    middle one counts half."""
    pairs = total(*[times(a[j], a[k - j]) for j in range(start, (k + 1) // 2)])
    middle = times(a[k // 2], a[k // 2]) if k % 2 == 0 and k // 2 >= start else None
    return total(pairs, divided(middle, 2))


def scaled(x, number):
    """x · number."""
    return x if x is None or number == 1 else -x if number == -1 else x * number


def product(a, b, first=None) -> list:
    """a·b (Cauchy's product), which begins with `first` where that is known; as long as the shorter of the two."""
    known = [] if first is None else [first]
    indices = range(len(known), min(len(a), len(b)))
    return known + [scaled(half_square(a, k), 2) if a is b else coefficient(a, b, k) for k in indices]


def square_root(y0, x) -> list:
    """√x, which begins with y0: from y·y = x."""
    y, twice = [y0], y0 * 2
    for k in range(1, len(x)):
        rest = total(x[k], scaled(half_square(y, k, start=1), -2))
        y.append(None if rest is None else rest / twice)
    return y


def quotient(a, b, first=None) -> list:
    """a / b, which begins with `first` where that is known: from q·b = a."""
    q = [] if first is None else [first]
    for k in range(len(q), len(a)):
        rest = total(a[k], negated(coefficient(b, q, k, start=1)))
        q.append(None if rest is None else rest / b[0])
    return q


def reciprocal(y0, x) -> list:
    """A number divided by x, which begins with y0."""
    return quotient([y0, *[None] * (len(x) - 1)], x, first=y0)


def power(x, n: int) -> list:
    """xⁿ for a whole n ≥ 1 by repeated squaring: no division, so it is right at x₀ = 0."""
    if n == 1:
        return x
    root = power(x, n // 2)
    squared = product(root, root)
    return product(squared, x) if n % 2 else squared


def slope(x) -> list:
    """x', the derivative with respect to t."""
    return [None if x[k] is None else x[k] if k == 1 else x[k] * k for k in range(1, len(x))]


def integral(start, dx) -> list:
    """The series that begins with `start` and has the derivative dx."""
    return [start, *[divided(dx[k], k + 1) for k in range(len(dx))]]


def exponential(y0, x) -> list:
    """The series of eˣ, which begins with y0: y' = y·x'."""
    y, dx = [y0], slope(x)
    for k in range(len(dx)):
        y.append(divided(coefficient(y, dx, k), k + 1))
    return y


def sine_and_cosine(sine, cosine, x) -> tuple[list, list]:
    """The series of sin x and cos x, which begin with `sine` and `cosine`: s' = c·x', c' = -s·x'."""
    s, c, dx = [sine], [cosine], slope(x)
    for k in range(len(dx)):
        s.append(divided(coefficient(c, dx, k), k + 1))
        c.append(negated(divided(coefficient(s, dx, k), k + 1)))
    return s, c


def tangent(y0, slope0, sign: int, x) -> list:
    """The series of tan x (sign 1) or tanh x (sign -1), which begins with y0: y' = w·x', w = 1 ± y².

    `slope0` is w₀, which the caller knows without the rounding error of 1 - y₀² where that is tiny.
    """
    y, half, dx = [y0], [None], slope(x)  # w/2, but for the first coefficient
    for k in range(len(dx)):
        if k > 0:
            half.append(scaled(half_square(y, k), sign))
        # the factors of 2 cancel where they can: a pass over the array costs as much as a product
        later = scaled(coefficient(half, dx, k, start=1), 2 / (k + 1))
        y.append(total(divided(times(slope0, dx[k]), k + 1), later))
    return y


def composition(derivatives, x) -> list:
    """The series of f(x) from f⁽ᵐ⁾(x₀), m = 0 … n: (f⁽ᵐ⁾)' = f⁽ᵐ⁺¹⁾·x' for all m together.

    It divides by nothing.  It costs n² products where x is linear in t, n³ otherwise.
    """
    table, dx = [[value] for value in derivatives], slope(x)
    for k in range(1, len(x)):
        for m in range(len(x) - k):
            table[m].append(divided(coefficient(table[m + 1], dx, k - 1), k))
    return table[0]


def binomial(n, k: int):
    """n·(n - 1)⋯(n - k + 1) / k! for a number or Tensor n."""
    result = 1
    for i in range(k):
        result = result * (n - i)
    return result / math.factorial(k)
