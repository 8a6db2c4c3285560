"""Contractions: matrix products and Einstein sums.  All are linear in each operand; each one's transpose is another."""

import math

import numpy as np

from ..graph import Tensor
from .arithmetic import multiply
from .kinds import Broadcasting, BroadcastTo, Multilinear, SumTo
from .movement import reshape, transpose

__all__ = [
    "Einsum", "MatMul", "einsum", "matmul",
]  # fmt: skip


class MatMul(Multilinear):
    """a @ b with NumPy's rules: leading axes broadcast, 1-D operands are vectors"""

    __slots__ = ()

    def compute(self, a, b):
        if not (a.ndim and b.ndim):
            raise ValueError("a 0-d operand has no axis to sum over; use multiply")
        if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
            raise ValueError(
                f"the last axis of a, {a.shape[-1]}, must be as long as the "
                f"{'last but one axis' if b.ndim > 1 else 'axis'} of b, {b.shape[-2 if b.ndim > 1 else 0]}"
            )
        if a.ndim > 1 and b.ndim > 1 and a.shape[-1] == b.shape[-2] == 1:  # outer products: BLAS is slow with them
            return np.multiply(a, b)
        if b.ndim == 2 and a.ndim > 2:  # one large product instead of many small ones
            return np.matmul(a.reshape(rows(a), a.shape[-1]), b).reshape(a.shape[:-1] + b.shape[-1:])
        return np.matmul(a, b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        if a.ndim == 1 or b.ndim == 1:
            return self._vector_gradient(a, b, out_grad, node)
        by_a = matmul(out_grad, transpose(b)) if node.needs(0) else None
        by_b = None
        if node.needs(1):
            if b.ndim == 2 and a.ndim > 2:  # the sum over leading axes is part of the product
                a = reshape(a, (rows(a), a.shape[-1]))
                out_grad = reshape(out_grad, (rows(out_grad), out_grad.shape[-1]))
            by_b = matmul(transpose(a), out_grad)
        return by_a, by_b

    def _vector_gradient(self, a, b, out_grad, node):
        """The rule where an operand is a vector: laid out as a matrix, and taken back."""
        if a.ndim == b.ndim == 1:
            return (multiply(out_grad, b) if node.needs(0) else None, multiply(out_grad, a) if node.needs(1) else None)
        row = a if a.ndim > 1 else reshape(a, (1, -1))
        column = b if b.ndim > 1 else reshape(b, (-1, 1))
        shape = out_grad.shape
        if a.ndim == 1:
            shape = (*shape[: len(shape) - (b.ndim > 1)], 1, *shape[len(shape) - (b.ndim > 1) :])
        if b.ndim == 1:
            shape = (*shape, 1)
        out_grad = reshape(out_grad, shape)
        by_a = matmul(out_grad, transpose(column)) if node.needs(0) else None
        by_b = matmul(transpose(row), out_grad) if node.needs(1) else None
        if by_a is not None and a.ndim == 1:
            by_a = reshape(SumTo((1, a.shape[0]))(by_a), a.shape)
        if by_b is not None and b.ndim == 1:
            by_b = reshape(SumTo((b.shape[0], 1))(by_b), b.shape)
        return by_a, by_b

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    def batch(self, size, inputs, batched):
        (a, b), (in_a, in_b) = inputs, batched
        row, column = a.ndim - in_a == 1, b.ndim - in_b == 1  # whether an example is a vector
        if in_a != in_b and (b.ndim <= 2 if in_a and row else a.ndim <= 2 and in_b and column):
            # the examples that are vectors are the rows of one matrix
            return self(a, b) if in_a else self(b, transpose(a) if a.ndim == 2 else a)
        if in_a and row:
            a = reshape(a, (size, 1, a.shape[1]))
        if in_b and column:
            b = reshape(b, (size, b.shape[1], 1))
        out = Broadcasting.batch(self, size, (a, b), batched)
        shape = list(out.shape)
        if in_a and row:
            del shape[-2]
        if in_b and column:
            del shape[-1]
        return reshape(out, shape) if len(shape) < out.ndim else out


def rows(a) -> int:
    """How many vectors lie along the last axis of a (-1 in a reshape would not know it where there are no elements)."""
    return math.prod(a.shape[:-1])


class Einsum(Multilinear):
    """Σ over the letters that the output lacks of the product of the operands, as `numpy.einsum`

    `subscripts` is written out in full: no ellipsis, an explicit output.
    """

    __slots__ = ("subscripts",)

    def __init__(self, subscripts: str):
        self.subscripts = subscripts

    def compute(self, *arrays):
        try:
            return np.einsum(self.subscripts, *arrays, optimize=_is_worth_a_plan(arrays))
        except ValueError:
            self.check_lengths(arrays)
            raise

    def check_lengths(self, arrays) -> None:
        """An error that names the letter, if one stands for axes of different lengths."""
        lengths: dict[str, int] = {}
        for term, array in zip(self.subscripts.split("->")[0].split(","), arrays):
            for letter, n in zip(term, array.shape):
                if 1 != n != lengths.setdefault(letter, n) != 1:
                    raise ValueError(f"{letter!r} of {self.subscripts!r} stands for lengths {lengths[letter]} and {n}")
                lengths[letter] = max(n, lengths[letter])

    def gradient(self, out_grad, node):
        terms, output = self.subscripts.split("->")
        terms = terms.split(",")
        return tuple(
            self._gradient(i, terms, output, out_grad, node) if node.needs(i) else None for i in range(len(terms))
        )

    def _gradient(self, i, terms, output, out_grad, node):
        operands = node.inputs
        target = terms[i]
        others = [(terms[j], operands[j]) for j in range(len(terms)) if j != i]
        sizes = dict(zip(target, operands[i].shape, strict=True))
        # A letter that appears twice in the operand (a trace, a diagonal) is renamed, and an identity ties the two.
        free = iter(sorted(set(_LETTERS) - set("".join(terms)) - set(output)))
        unique = ""
        for letter in target:
            if letter in unique:
                twin = next(free)
                others.append((letter + twin, _constant(np.eye(sizes[letter]), out_grad)))
                unique += twin
            else:
                unique += letter
        known = set(output).union(*[term for term, _ in others])
        reachable = "".join([letter for letter in unique if letter in known])
        subscripts = ",".join([output, *[term for term, _ in others]]) + "->" + reachable
        grad = Einsum(subscripts)(out_grad, *[operand for _, operand in others])
        if reachable != unique:  # letters that only this operand had were summed: their adjoint is spread
            lengths = dict(zip(reachable, grad.shape))
            shape = [lengths.get(letter, n) for letter, n in zip(unique, operands[i].shape, strict=True)]
            grad = BroadcastTo(shape)(reshape(grad, [lengths.get(letter, 1) for letter in unique]))
        return grad

    def fit(self, grad, shape):
        return SumTo(shape)(grad)

    def batch(self, size, inputs, batched):
        terms, output = self.subscripts.split("->")
        letter = next(letter for letter in _LETTERS[::-1] if letter not in self.subscripts)
        terms = [letter + term if b else term for term, b in zip(terms.split(","), batched)]
        return Einsum(",".join(terms) + "->" + letter + output)(*inputs)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _is_worth_a_plan(arrays) -> bool:
    """Whether NumPy should plan the contraction, as matrix products where it can: 10 µs for a plan, 10 times the speed
    after it."""
    return len(arrays) > 2 or (len(arrays) == 2 and arrays[0].size * arrays[1].size > 100_000)


def _constant(array, like: Tensor) -> Tensor:
    return Tensor(array, dtype=like.dtype, requires_grad=False)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b: matrix products over the last two axes, leading axes broadcast, 1-D operands as in `numpy.matmul`."""
    return _MATMUL(a, b)


_MATMUL = MatMul()


def einsum(subscripts: str, *operands: Tensor) -> Tensor:
    """The Einstein sum of the operands, as `numpy.einsum`; ellipses and an implicit output are understood."""
    return Einsum(_explicit(subscripts, [operand.ndim for operand in operands]))(*operands)


def _explicit(subscripts: str, ndims: list[int]) -> str:
    """`subscripts` with ellipses written out as letters, and with an explicit output."""
    if not isinstance(subscripts, str):
        raise TypeError(f'einsum takes its subscripts first, e.g. "ij,jk->ik", got {type(subscripts).__name__}')
    subscripts = subscripts.replace(" ", "")
    left, arrow, output = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum {subscripts!r} names {len(terms)} operands, got {len(ndims)}")
    spare = [letter for letter in _LETTERS[::-1] if letter not in subscripts]
    lengths = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    longest = max([n for term, n in zip(terms, lengths, strict=True) if "..." in term], default=0)
    rest = "".join(spare[:longest][::-1])
    full = []
    for term, ndim, length in zip(terms, ndims, lengths, strict=True):
        if "..." in term:
            term = term.replace("...", rest[longest - length :] if length > 0 else "")
        if len(term) != ndim:
            raise ValueError(f"einsum term {term!r} of {subscripts!r} does not fit an operand of {ndim} dimensions")
        full.append(term)
    if arrow:
        output = output.replace("...", rest)
    else:
        letters = "".join(terms).replace("...", "")
        output = ("" if "..." not in left else rest) + "".join(
            sorted({letter for letter in letters if letters.count(letter) == 1})
        )
    return ",".join(full) + "->" + output
