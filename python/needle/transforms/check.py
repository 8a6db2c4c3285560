"""Gradient checking: the derivatives of a function against differences along random directions."""

from collections.abc import Callable, Sequence

import numpy as np

from ..graph import Tensor, new_handle, put_back
from .comparison import Directions, difference
from .differences import directional
from .forward import jvp
from .reverse import vjp
from .trees import Tree, node_of, tensor_of

_TOLERANCES = {"e": 0.3, "f": 2e-2, "d": 1e-5}
_NAMES = {"fwd": "forward mode (jvp)", "rev": "reverse mode (vjp)"}

Flat = Callable[..., tuple[Tensor, ...]]  # of the leaves that are differentiated, as Tensors


def check_gradients(
    fun: Callable,
    args,
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    *,
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    seed: int = 0,
) -> None:
    """Check the derivatives of `fun` at `args` against central differences along random directions.

    Along t from the unit ball, J·t of forward mode must be the directional derivative d/dh fun(x + h·t), and the
    gradient g of ⟨w, fun⟩ by reverse mode must have ⟨g, t⟩ = ⟨w, J·t⟩.  The same is then asked of the derivatives, as
    functions of x, up to `order`: every mode over every mode.

    Args:
        fun: takes and returns Tensors, arrays, numbers, trees and Modules of these.
        args: a tuple or list of its arguments.  Integers and bools among the leaves are held constant.
        order: up to which order; 1 or more.  The cost doubles with each.
        modes: "fwd", "rev" or both.
        atol, rtol: |difference| ≤ atol + rtol·|expected| passes.  rtol is 1e-5 by default if all is float64, 2e-2 with
            a float32, and atol the same times the size of the function's values: differences know no more.
        eps: the step of the differences; see `needle.numeric.directional`.
        seed: of the random directions.

    Raises:
        AssertionError: a derivative is wrong; it says in which mode and order, for which input, and by how much.

    >>> import needle as ndl
    >>> check_gradients(lambda x: ndl.sin(x) * x, (np.array([0.5, 1.0]),))
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or any(mode not in _NAMES for mode in modes):
        raise ValueError(f'modes of check_gradients are "fwd" and "rev", got {modes!r}')
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order of check_gradients must be a whole number of at least 1, got {order!r}")
    flat, primals, names = _flattened(fun, args if isinstance(args, (tuple, list)) else (args,))
    if not primals:
        raise TypeError("check_gradients needs a floating-point argument to differentiate with respect to, got none")
    coarsest = max((p.dtype.char.lower() for p in primals), key=lambda char: _TOLERANCES.get(char, 0))
    rtol = _TOLERANCES.get(coarsest, 1e-5) if rtol is None else rtol
    _Check(primals, names, modes, rtol, atol, eps, np.random.default_rng(seed)).run(flat, order, ())


def _flattened(fun: Callable, args) -> tuple[Flat, list[Tensor], list[str]]:
    """`fun` as a function of the floating-point leaves of its arguments, these leaves, and what to call them."""
    trees = [Tree(arg) for arg in args]
    tree = Tree(tuple(args))
    nodes = [node_of(value, "an argument of the function given to check_gradients") for value in tree.leaves]
    names = [
        f"argument {i}" + (f", leaf {k} of {len(part.leaves)}" if len(part.leaves) > 1 else "")
        for i, part in enumerate(trees)
        for k in range(len(part.leaves))
    ]
    chosen = [i for i, node in enumerate(nodes) if node.data.dtype.kind in "fc"]

    def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
        inside = [new_handle(node.constant()) for node in nodes]
        for i, tensor in zip(chosen, tensors, strict=True):
            inside[i] = tensor
        swapped: list = []
        try:
            out = fun(*tree.inside(inside, swapped))
        finally:
            put_back(swapped)
        tensors = [tensor_of(v, "what the function given to check_gradients returns") for v in Tree(out).leaves]
        return tuple([t for t in tensors if t.dtype.kind in "fc"])

    return flat, [new_handle(nodes[i].constant()) for i in chosen], [names[i] for i in chosen]


class _Check:
    """One run: where, along what, and how exactly."""

    def __init__(self, primals: list[Tensor], names: list[str], modes, rtol, atol, eps, rng):
        self.primals, self.names, self.modes = primals, names, modes
        self.rtol, self.atol, self.eps, self.rng = rtol, atol, eps, rng

    def run(self, flat: Flat, order: int, done: tuple[str, ...]) -> None:
        """Check the first derivative of `flat`, which is itself a derivative taken by the modes `done`, innermost
        first; then go on to the derivatives of the derivatives."""
        outputs = [out.numpy() for out in flat(*self.primals)]
        if not outputs:
            raise TypeError("the function given to check_gradients returns no floating-point number")
        tangents, cotangents = self._direction(self.primals), self._direction(outputs)
        followed: dict[str, Flat] = {
            "fwd": lambda *xs: jvp(flat, xs, tuple(map(Tensor, tangents)))[1],
            "rev": lambda *xs: vjp(flat, *xs)[1](tuple(map(Tensor, cotangents))),
        }
        for mode in self.modes:
            if not self._holds(flat, mode, tangents, cotangents, outputs)[0]:
                raise AssertionError(self._complaint(flat, mode, cotangents, outputs, (*done, mode)))
            if order > 1:
                self.run(followed[mode], order - 1, (*done, mode))

    def _direction(self, like) -> list[np.ndarray]:
        """A random point of the unit ball, in pieces of the shapes and dtypes of `like`."""
        pieces = [self.rng.normal(size=(2, *x.shape)) for x in like]
        pieces = [
            p[0] + 1j * p[1] if x.dtype.kind == "c" else np.asarray(p[0]) for p, x in zip(pieces, like, strict=True)
        ]
        norm = np.sqrt(sum(float(np.sum(np.abs(p) ** 2)) for p in pieces)) or 1.0
        radius = self.rng.uniform() ** (1 / max(1, sum(p.size for p in pieces)))
        return [(p * (radius / norm)).astype(x.dtype) for p, x in zip(pieces, like, strict=True)]

    def _holds(self, flat: Flat, mode: str, tangents, cotangents, outputs) -> tuple[bool, np.ndarray, np.ndarray]:
        """Whether the derivative in `mode` is that by differences; and both."""

        def values(xs):
            return np.concatenate([out.numpy().ravel() for out in flat(*xs)])

        primals = tuple(self.primals)
        expected = directional(values, primals, tuple(map(Tensor, tangents)), self.eps).numpy()
        weights = np.concatenate([w.ravel() for w in cotangents])
        scale = max([float(np.abs(out).max(initial=0)) for out in outputs])
        if mode == "fwd":
            derivatives = jvp(flat, primals, tuple(map(Tensor, tangents)))[1]
            found = np.concatenate([t.numpy().ravel() for t in derivatives])
        else:
            adjoints = vjp(flat, *primals)[1](tuple(map(Tensor, cotangents)))
            found = np.array([_inner(g.numpy(), t) for g, t in zip(adjoints, tangents, strict=True)]).sum(keepdims=True)
            expected = np.array([_inner(weights, expected)])
        length = max([float(np.abs(t).max(initial=0)) for t in tangents])
        atol = self.rtol * scale * length if self.atol is None else self.atol
        return bool(np.all(np.abs(found - expected) <= atol + self.rtol * np.abs(expected))), found, expected

    def _complaint(self, flat: Flat, mode: str, cotangents, outputs, path: tuple[str, ...]) -> str:
        """What is wrong: looked at one input after the other, along several directions."""
        wrong, right = [], []
        for i, name in enumerate(self.names):
            fits, found, expected = [], [], []
            for _ in range(3):
                tangents = [np.zeros(p.shape, p.dtype) for p in self.primals]
                tangents[i] = self._direction([self.primals[i]])[0]
                fit, *both = self._holds(flat, mode, tangents, cotangents, outputs)
                fits.append(fit)
                found.append(both[0])
                expected.append(both[1])
            if all(fits):
                right.append(name)
            else:
                both = [np.concatenate(values).view(Directions) for values in (found, expected)]
                what = difference(*both, self.rtol)
                wrong.append(f"the derivative with respect to {name} {what}")
        how = " over ".join(path[::-1])
        where = f"{_NAMES[mode]}, order {len(path)}" + (f" ({how})" if len(path) > 1 else "")
        text = f"{where}: " + ("; ".join(wrong) or "the inputs' derivatives are right one by one, but not together")
        if right and wrong:
            text += f"; right with respect to {', '.join(right)}"
        return f"{text}. Compared along random directions of the unit ball with central differences"


def _inner(a: np.ndarray, b: np.ndarray) -> float:
    """⟨a, b⟩ = Re Σ conj(a)·b."""
    return float(np.sum(np.conj(a) * b).real)
