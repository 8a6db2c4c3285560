"""Checking an op: what is wrong with its rules, said so that one knows where to look."""

from collections.abc import Callable

import numpy as np

from ..adjoint import Pullback, recording
from ..graph import Node, Op, Tensor, TensorOp, TensorTuple, TensorTupleOp, call, new_handle
from ..ops.slices import one_by_one
from ..ops.tuples import make_tuple
from .comparison import agree, difference
from .differences import central_difference
from .forward import tangent_of
from .taylor import by_tangents, terms_and_lanes

_TOLERANCE = 1e-5  # differences in float64 are good to about 1e-9; what is wrong is seldom wrong by less than 1e-3
_SERIES_ORDER = 3


def check_op(op: Op, *inputs) -> None:
    """Check the rules of an op at `inputs`: its value, its gradient, the derivative of that, and `tangent`, `batch`
    and `taylor` where it has them.

    Args:
        op: an instance, say `MyOp()`: yours or needle's.
        inputs: arrays, Tensors or numbers, as the op takes them.  Floating-point ones are differentiated, in float64;
            whole numbers and bools are constants.  A few elements each will do (the cost is theirs, squared), at a
            place where the op is smooth.

    Raises:
        AssertionError: something is wrong.  It says what: a value that is not the same twice, inputs written to; a
            gradient of the wrong shape (a broadcast axis not summed, a transpose missing), sign, or size (a constant
            factor), for which input, not linear in out_grad, not differentiable again (built from raw NumPy arrays), or
            with a wrong derivative; a rule that disagrees with the gradient.
        TypeError: no op instance, or inputs that cannot be checked.

    >>> import needle as ndl
    >>> class Cube(ndl.TensorOp):
    ...     def compute(self, x):
    ...         return x**3
    ...     def gradient(self, out_grad, node):
    ...         return out_grad * 2 * node.inputs[0] ** 2
    >>> check_op(Cube(), np.array([1.0, 2.0]))
    Traceback (most recent call last):
    ...
    AssertionError: Cube: the gradient of input 0 is off by a constant factor of 0.6667 ...
    """
    if isinstance(op, type):
        raise TypeError(f"check_op takes an instance of an op: write {op.__name__}(...) instead of {op.__name__}")
    if not isinstance(op, (TensorOp, TensorTupleOp)):
        raise TypeError(f"check_op takes a TensorOp or a TensorTupleOp, got {type(op).__name__}")
    check = _OpCheck(op, [_array(value, i) for i, value in enumerate(inputs)])
    check.value()
    check.jacobians()
    if op.differentiable:
        check.shapes()
        check.linearity()
        check.first_order()
        check.second_order()
        check.tangents()
        check.series()
    check.batches()


def _array(value, i: int) -> np.ndarray:
    if isinstance(value, TensorTuple):
        raise TypeError(f"input {i} is a TensorTuple; check_op takes Tensors, arrays and numbers")
    array = np.array(value.node.data if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"check_op takes real numbers as inputs, but input {i} is {array.dtype}")
    return array.astype(float) if array.dtype.kind == "f" else array


class _OpCheck:
    """An op at some inputs."""

    def __init__(self, op: Op, arrays: list[np.ndarray]):
        self.op, self.arrays = op, arrays
        self.rng = np.random.default_rng(0)
        self.smooth = [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]

    def fail(self, text: str):
        raise AssertionError(f"{self.op.title()}: {text}")

    # What the op is asked

    def compute(self, arrays) -> list[np.ndarray]:
        """The values for raw arrays, a list even of one."""
        result = self.op.compute(*[array.copy() for array in arrays])
        return [np.asarray(item) for item in (result if isinstance(self.op, TensorTupleOp) else [result])]

    def called(self, arrays) -> tuple[list[Tensor], Tensor | TensorTuple]:
        """Fresh leaves, and the op's result on them, recorded."""
        leaves = [Tensor(a, requires_grad=i in self.smooth) for i, a in enumerate(arrays)]
        with recording():
            return leaves, self.op(*leaves)

    def adjoint(self, weights, requires_grad: bool = False):
        """The adjoint of the output, as the op's rule gets it."""
        tensors = [Tensor(w, requires_grad=requires_grad) for w in weights]
        return (make_tuple(*tensors) if isinstance(self.op, TensorTupleOp) else tensors[0]), tensors

    def gradients(self, weights, arrays=None) -> list:
        """What `gradient` returns for the adjoint `weights`, one entry an input, as arrays (or None)."""
        arrays = self.arrays if arrays is None else arrays
        _, node = self.called(arrays)
        with recording():
            found = self.op.gradient_as_tuple(self.adjoint(weights)[0], node)
        return [None if g is None else np.asarray(g.node.data) for g in found]

    def weights(self) -> list[np.ndarray]:
        """A random adjoint of the output."""
        return [self.rng.normal(size=out.shape) for out in self.out]

    # The checks

    def value(self) -> None:
        """compute: leaves its inputs alone, says the same twice, and returns arrays."""
        op, given = self.op, [array.copy() for array in self.arrays]
        result = op.compute(*given)
        for i, (before, after) in enumerate(zip(self.arrays, given, strict=True)):
            if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
                self.fail(
                    f"compute writes to its input {i}; work on a copy, or use an operation that makes a new array"
                )
        if isinstance(op, TensorTupleOp) and not isinstance(result, tuple):
            self.fail(f"compute of a TensorTupleOp must return a tuple of arrays, got {type(result).__name__}")
        for item in result if isinstance(op, TensorTupleOp) else (result,):
            if not isinstance(item, (np.ndarray, np.generic)) or item.dtype.kind not in "biufc":
                came = f"an array of dtype {item.dtype}" if isinstance(item, np.ndarray) else type(item).__name__
                self.fail(f"compute must return a NumPy array of numbers, got {came}; it gets and returns raw arrays")
        self.out = [np.array(out) for out in self.compute(self.arrays)]
        again = self.compute(self.arrays)
        if not all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in zip(self.out, again, strict=True)):
            self.fail(
                "compute gives another value each time it is called with the same inputs; draw random numbers and keep "
                "state outside of it, and pass them in"
            )
        if not all(np.isfinite(out).all() for out in self.out):
            self.fail("the value is nan or inf at these inputs, where nothing can be checked; choose others")

    def jacobians(self) -> None:
        """By central differences: for each output the Jacobian with respect to each floating-point input."""
        self.jacobian = {i: [self._jacobian(i, k) for k in range(len(self.out))] for i in self.smooth}
        if not self.op.differentiable and any(self._slopes(i, k) for i in self.smooth for k in range(len(self.out))):
            self.fail("differentiable is False, but the value changes with its inputs: they would get no gradient")

    def _jacobian(self, i: int, k: int, eps: float | None = None) -> np.ndarray:
        def values(x):
            return self.compute([*self.arrays[:i], x, *self.arrays[i + 1 :]])[k].astype(float)

        return central_difference(values, self.arrays[i], eps)

    def _slopes(self, i: int, k: int) -> bool:
        """Whether output k has a slope in input i.  Where it jumps, differences grow as the step falls."""
        if np.abs(self.jacobian[i][k]).max(initial=0) <= _TOLERANCE:
            return False
        return agree(self._jacobian(i, k, 1e-3), self._jacobian(i, k, 1e-4), 1e-2, 0)

    def _all_jacobians(self):
        return [jacobian for mine in self.jacobian.values() for jacobian in mine]

    def expected(self, i: int, weights) -> np.ndarray:
        """Jᵀ·w for input i."""
        shape = self.arrays[i].shape
        return sum(
            (w.ravel() @ j.reshape(w.size, self.arrays[i].size)).reshape(shape)
            for w, j in zip(weights, self.jacobian[i], strict=True)
        )

    def depends(self, i: int) -> bool:
        return any(np.abs(jacobian).max(initial=0) > _TOLERANCE for jacobian in self.jacobian[i])

    def shapes(self) -> None:
        """gradient: one Tensor an input, of its shape, and None only where there is nothing."""
        _, node = self.called(self.arrays)
        try:
            with recording():
                found = self.op.gradient(self.adjoint(self.weights())[0], node)
        except Exception as error:
            raise AssertionError(f"{self.op.title()}: gradient raises {type(error).__name__}: {error}") from error
        found = found if isinstance(found, tuple) else tuple(found) if isinstance(found, list) else (found,)
        if len(found) != len(self.arrays):
            self.fail(
                f"gradient returns {len(found)} adjoints for {len(self.arrays)} inputs; it must return one for each"
            )
        for i, g in enumerate(found):
            if g is None:
                if i in self.smooth and self.depends(i):
                    self.fail(f"the gradient of input {i} is None, although the output depends on that input")
            elif not isinstance(g, Tensor):
                self.fail(
                    f"the gradient of input {i} is {type(g).__name__}, not a Tensor; build it from Tensor ops, so that "
                    "it can be differentiated again"
                )
            elif i in self.smooth and g.shape != self.arrays[i].shape:
                self._shape(i, g)

    def _shape(self, i: int, g: Tensor) -> None:
        shape = self.arrays[i].shape
        if type(self.op).fit is not Op.fit and _stretched(g.shape, shape) is not None:
            return  # a kind of op whose adjoints are summed back for it
        axes = _stretched(g.shape, shape)
        if axes is not None:
            why = (
                f"it is not summed back over the broadcast {'axes' if len(axes) > 1 else 'axis'} "
                f"{', '.join(map(str, axes))}"
            )
        elif sorted(g.shape) == sorted(shape):
            why = "the transpose is missing: its axes are in another order"
        else:
            why = "an adjoint has the shape of what it belongs to"
        self.fail(f"the gradient of input {i} has shape {g.shape} for an input of shape {shape}; {why}")

    def linearity(self) -> None:
        """gradient is linear in out_grad: twice as much for twice as much, and the sum for a sum."""
        one, other = self.weights(), self.weights()
        mixed = [2 * a - 3 * b for a, b in zip(one, other, strict=True)]
        for i, (a, b, c) in enumerate(zip(self.gradients(one), self.gradients(other), self.gradients(mixed))):
            if i not in self.smooth or a is None or b is None or c is None:
                continue
            scale = max(float(np.abs(a).max(initial=0)), float(np.abs(b).max(initial=0)))
            if np.isfinite(c).all() and not agree(c, 2 * a - 3 * b, _TOLERANCE, scale):
                ignores = a.size and agree(a, b, _TOLERANCE, scale)
                self.fail(
                    f"the gradient of input {i} is not linear in out_grad: "
                    + (
                        "it is the same whatever out_grad is; multiply by out_grad"
                        if ignores
                        else "for 2·a - 3·b it is not twice that for a minus 3 times that for b; out_grad must enter "
                        "as a factor, once"
                    )
                )

    def first_order(self) -> None:
        """gradient: Jᵀ·out_grad, as differences have it."""
        weights = self.weights()
        found = self.gradients(weights)
        right, wrong = [], []
        for i in self.smooth:
            g = np.zeros(self.arrays[i].shape) if found[i] is None else found[i]
            (right if agree(g, self.expected(i, weights), _TOLERANCE, self._size()) else wrong).append(i)
        if not wrong:
            return
        also = f"; the gradient of input {', '.join(map(str, right))} is right" if right else ""
        for i in wrong:
            for j in wrong:
                if i < j and self._same(found[i], self.expected(j, weights)):
                    if self._same(found[j], self.expected(i, weights)):
                        self.fail(f"the gradients of inputs {i} and {j} are swapped{also}")
        texts = [f"the gradient of input {i} {self._what(i, found[i], weights)}" for i in wrong]
        self.fail("; ".join(texts) + also)

    def _size(self) -> float:
        """How large a partial derivative is here: what differences get wrong is a part of it."""
        return max([1.0, *[float(np.abs(j).max(initial=0)) for j in self._all_jacobians()]])

    def _same(self, found, expected) -> bool:
        return found is not None and agree(found, expected, _TOLERANCE)

    def _what(self, i: int, found: np.ndarray, weights) -> str:
        expected = self.expected(i, weights)
        how = difference(found, expected, _TOLERANCE)
        if "constant factor" in how or "wrong sign" in how:
            return how
        if found.ndim >= 2 and self._same(found.swapaxes(-1, -2), expected):
            return f"is transposed; the transpose is missing ({how})"
        if len(self.out) == 1 and self.out[0].shape == self.arrays[i].shape:
            forward = self.jacobian[i][0].reshape(found.size, found.size) @ weights[0].ravel()
            if self._same(found, forward.reshape(found.shape)):
                return f"is J·out_grad instead of Jᵀ·out_grad; the transpose is missing ({how})"
        return how

    def second_order(self) -> None:
        """The derivative of ⟨gradient(w), v⟩ with respect to the inputs and w, by reverse mode and by differences."""
        weights = self.weights()
        directions = {i: self.rng.normal(size=self.arrays[i].shape) for i in self.smooth}
        leaves, node = self.called(self.arrays)
        with recording():
            out_grad, ws = self.adjoint(weights, requires_grad=True)
            found = self.op.gradient_as_tuple(out_grad, node)
            terms = [(found[i] * directions[i]).sum() for i in self.smooth if found[i] is not None]
            total = sum(terms[1:], terms[0]) if terms else None
        sources = [leaves[i] for i in self.smooth]
        adjoints: list = [None] * (len(sources) + len(ws))
        if total is not None and total.node.requires_grad:
            one = Tensor(np.ones(()), requires_grad=False)
            try:
                adjoints = Pullback([total.node], [x.node for x in (*sources, *ws)])([one])
            except Exception as error:
                raise AssertionError(
                    f"{self.op.title()}: right at order one, but the gradient cannot be differentiated again: {error}"
                ) from error

        def inner(arrays, weights):
            found = self.gradients(weights, arrays)
            return sum(float(np.sum(found[i] * directions[i])) for i in self.smooth if found[i] is not None)

        names = [f"input {i}" for i in self.smooth] + [
            "out_grad" if len(ws) == 1 else f"out_grad[{k}]" for k in range(len(ws))
        ]
        numeric: list[Callable] = [
            lambda x, i=i: inner([*self.arrays[:i], x, *self.arrays[i + 1 :]], weights) for i in self.smooth
        ]
        numeric += [lambda w, k=k: inner(self.arrays, [*weights[:k], w, *weights[k + 1 :]]) for k in range(len(ws))]
        places = [self.arrays[i] for i in self.smooth] + weights
        for name, adjoint, function, place in zip(names, adjoints, numeric, places, strict=True):
            expected = central_difference(function, place)
            g = np.zeros(place.shape) if adjoint is None else adjoint.numpy()
            if agree(g, expected, _TOLERANCE, self._size()):
                continue
            if adjoint is None or not g.any():
                self.fail(
                    f"right at order one, but the second derivative is lost: the gradient depends on {name}, but not "
                    "through Tensor ops; it is built from raw NumPy arrays (.numpy(), .data, .detach(), cached_data); "
                    "use node.inputs, node and needle's functions"
                )
            self.fail(
                f"right at order one, wrong at order two: the derivative of the gradient with respect to {name} "
                f"{difference(g, expected, _TOLERANCE)}; is a part of the rule built from raw NumPy arrays, or a rule "
                "wrong that it is built from?"
            )

    # Rules that an op may have

    def tangents(self) -> None:
        """`tangent`, against J·t."""
        if getattr(self.op, "tangent", None) is None:
            return
        everyone = [[i] for i in self.smooth] + ([self.smooth] if len(self.smooth) > 1 else [])
        for moved in everyone:
            given = {i: self.rng.normal(size=self.arrays[i].shape) for i in moved}
            found = self._rule("tangent", lambda given=given: self._tangent(given))
            for k, out in enumerate(self.out):
                expected = sum(
                    (self.jacobian[i][k].reshape(out.size, t.size) @ t.ravel()).reshape(out.shape)
                    for i, t in given.items()
                )
                g = np.zeros(out.shape) if found is None else found[k]
                if not agree(g, expected, _TOLERANCE, self._size()):
                    self.fail(
                        f"tangent disagrees with gradient, which is right: for a tangent of "
                        f"input {' and '.join(map(str, moved))} {self._how(g, expected)}"
                    )

    def _tangent(self, given: dict[int, np.ndarray]):
        primals = tuple([Node(None, (), array, False) for array in self.arrays])
        tangents = [Node(None, (), given[i], False) if i in given else None for i in range(len(primals))]
        found = tangent_of(self.op, primals, call(self.op, primals), tangents)
        return None if found is None else _arrays(found)

    def series(self) -> None:
        """`taylor`, against repeated tangents."""
        if getattr(self.op, "taylor", None) is None or not self.smooth or isinstance(self.op, TensorTupleOp):
            return
        primals = tuple([Node(None, (), array, False) for array in self.arrays])
        out = call(self.op, primals)
        terms = [
            [
                Node(None, (), self.rng.normal(size=array.shape), False) if i in self.smooth else None
                for _ in range(_SERIES_ORDER)
            ]
            for i, array in enumerate(self.arrays)
        ]
        lanes = [None] * len(terms)
        found, _ = self._rule("taylor", lambda: terms_and_lanes(self.op, primals, out, terms, lanes, _SERIES_ORDER))
        expected = by_tangents(self.op, primals, out, terms, _SERIES_ORDER)
        for k, (mine, theirs) in enumerate(zip(found, expected, strict=True), 1):
            for j, value in enumerate(self.out):
                a, b = [np.zeros(value.shape) if term is None else _arrays(term)[j] for term in (mine, theirs)]
                if not agree(a, b, _TOLERANCE, self._size()):
                    self.fail(f"taylor disagrees with gradient, which is right: coefficient {k} {self._how(a, b)}")

    def batches(self) -> None:
        """`batch`, against one example after the other."""
        if getattr(self.op, "batch", None) is None:
            return
        size = 3
        several = [[i] for i in range(len(self.arrays))] + [list(range(len(self.arrays)))]
        for moved in several if len(self.arrays) > 1 else several[:1]:
            batched = [i in moved for i in range(len(self.arrays))]
            inputs = [
                new_handle(Node(None, (), self._several(array, size) if b else array, False))
                for array, b in zip(self.arrays, batched, strict=True)
            ]
            try:
                expected = _arrays(one_by_one(self.op, size, inputs, batched).node)
            except ValueError:
                continue  # results of different shapes, say, which make no batch
            try:
                found = _arrays(self.op.batch(size, inputs, batched).node)
            except Exception as error:
                if "vmap" in str(error):  # the rule refuses a batch of this input, and says so
                    continue
                raise AssertionError(f"{self.op.title()}: batch raises {type(error).__name__}: {error}") from error
            for mine, theirs in zip(found, expected, strict=True):
                if not agree(mine, theirs, _TOLERANCE):
                    how = (
                        f"has shape {mine.shape} instead of {theirs.shape}"
                        if mine.shape != theirs.shape
                        else difference(mine, theirs, _TOLERANCE)
                    )
                    self.fail(
                        f"batch disagrees with compute on one example after the other: for a batch of "
                        f"input {' and '.join(map(str, moved))} the result {how}"
                    )

    def _several(self, array: np.ndarray, size: int) -> np.ndarray:
        """Examples near `array`: the same numbers, in other places along the last axis."""
        if array.ndim == 0:
            return array * np.linspace(1, 1.25, size) if array.dtype.kind == "f" else np.full(size, array)
        return np.stack([np.roll(array, k, -1) for k in range(size)])

    def _rule(self, name: str, rule: Callable):
        try:
            return rule()
        except Exception as error:
            raise AssertionError(f"{self.op.title()}: {name} raises {type(error).__name__}: {error}") from error

    def _how(self, found, expected) -> str:
        if found.shape != expected.shape:
            return f"the result has shape {found.shape} instead of {expected.shape}"
        return f"the result {difference(found, expected, _TOLERANCE)}"


def _arrays(node: Node) -> list[np.ndarray]:
    return list(node.data) if node.holds_tuple() else [node.data]


def _stretched(shape, target) -> tuple[int, ...] | None:
    """The axes of `shape` along which `target` was broadcast to it; None if it was not."""
    extra = len(shape) - len(target)
    if extra < 0:
        return None
    axes = list(range(extra))
    for axis, (n, m) in enumerate(zip(shape[extra:], target, strict=True), extra):
        if n != m:
            if m != 1:
                return None
            axes.append(axis)
    return tuple(axes)
