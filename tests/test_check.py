"""check_gradients and check_op: right derivatives pass in silence, and of each wrong one they say what is wrong."""

import numpy as np
import pytest
from ops_table import cases

import needle as ndl
from needle import TensorOp, check_gradients, check_op, ops
from needle.graph import observing

rng = np.random.default_rng(0)
X, Y, ROW = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(3,))


# --------------------------------------------------------------------------------------------------------------------
# Right ops


def calls():
    """The ops that the rows of the table call, with their inputs."""
    for row, case in cases():
        if case.empty:
            continue
        found = []
        with observing(lambda op, inputs, node, found=found: found.append((op, inputs))):
            row.call(case, *map(ndl.Tensor, case.draw(np.random.default_rng(0))))
        for op, inputs in found:
            if any(node.holds_tuple() or not np.isfinite(node.data).all() for node in inputs):
                continue
            if (
                getattr(op, "fill", 0) or type(op).__name__ == "ReduceTieShare"
            ):  # -inf; a piece of `max`, not a function
                continue
            yield pytest.param(op, inputs, id=f"{row} {case}: {type(op).__name__}")


def arrays(nodes):
    return [node.data.copy() for node in nodes]


@pytest.mark.parametrize(("op", "inputs"), list(calls()))
def test_right_ops_pass(op, inputs):
    check_op(op, *arrays(inputs))


# --------------------------------------------------------------------------------------------------------------------
# Wrong ops


class Square(TensorOp):
    """Right; the others are this with something wrong."""

    def compute(self, x):
        return x * x

    def gradient(self, out_grad, node):
        return out_grad * node.inputs[0] * 2


class Product(TensorOp):
    def compute(self, x, y):
        return x * y

    def gradient(self, out_grad, node):
        x, y = node.inputs
        return ops.sum_to(out_grad * y, x.shape), ops.sum_to(out_grad * x, y.shape)


class MatMul(TensorOp):
    def compute(self, a, b):
        return a @ b

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return out_grad @ b.T, a.T @ out_grad


def broken(base, **methods):
    """A class like `base` but for some methods."""
    return type("Broken", (base,), methods)()


def raw(tensor):
    return ndl.Tensor(tensor.numpy(), requires_grad=False)


def in_place(self, x):
    x *= x
    return x


def random(self, x):
    return x * x + np.random.normal()


def tangent_without_factor(self, node, t):
    return t * node.inputs[0]


def taylor_without_cross_terms(self, node, x):
    return [node, x[1] * x[0] * 2, *[x[0] * x[k] * 2 for k in range(2, len(x))]]


def second_wrong(self, out_grad, node):
    x = node.inputs[0]
    return out_grad * (x + raw(x))


def swapped(self, out_grad, node):
    x, y = node.inputs
    return out_grad * x, out_grad * y


def matmul_untransposed(self, out_grad, node):
    return out_grad @ node.inputs[1], node.inputs[0].T @ out_grad


WRONG = {
    "mutates": (broken(Square, compute=in_place), [X], "compute writes to its input 0"),
    "not pure": (broken(Square, compute=random), [X], "compute gives another value each time"),
    "a list": (broken(Square, compute=lambda self, x: (x * x).tolist()), [X], "must return a NumPy array.*got list"),
    "a Tensor": (broken(Square, compute=lambda self, x: ndl.Tensor(x)), [X], "must return a NumPy array.*got Tensor"),
    "objects": (broken(Square, compute=lambda self, x: x.astype(object)), [X], "dtype object"),
    "nan": (broken(Square, compute=lambda self, x: x * np.nan), [X], "nan or inf at these inputs"),
    "sign": (
        broken(Square, gradient=lambda s, g, n: g * n.inputs[0] * -2),
        [X], "the gradient of input 0 has the wrong sign",
    ),
    "factor": (
        broken(Square, gradient=lambda s, g, n: g * n.inputs[0] * 4), [X], r"off by a constant factor of 2\.0",
    ),
    "factor at one point": (
        broken(Square, gradient=lambda s, g, n: g * n.inputs[0]), [3.0], r"off by a constant factor of 0\.5",
    ),
    "plainly wrong": (broken(Square, gradient=lambda s, g, n: g * n * 2), [X], "input 0 is wrong by up to"),
    "zero": (broken(Square, gradient=lambda s, g, n: g * 0), [X], "input 0 is zero where"),
    "without out_grad": (
        broken(Square, gradient=lambda s, g, n: n.inputs[0] * 2),
        [X], "not linear in out_grad: it is the same whatever",
    ),
    "out_grad squared": (
        broken(Square, gradient=lambda s, g, n: g * g * n.inputs[0] * 2), [X], "input 0 is not linear in out_grad",
    ),
    "one broadcast axis": (
        broken(Product, gradient=lambda s, g, n: (g * n.inputs[1], ops.sum_to(g * n.inputs[0], n.inputs[1].shape))),
        [ROW, X], "input 0 has shape .*not summed back over the broadcast axis 0",
    ),
    "two broadcast axes": (
        broken(Product, gradient=lambda s, g, n: (g * n.inputs[1], g * n.inputs[0])),
        [rng.normal(size=(3, 1)), rng.normal(size=(2, 3, 4))], "not summed back over the broadcast axes 0, 2",
    ),
    "a shape of its own": (
        broken(Square, gradient=lambda s, g, n: (g * n.inputs[0]).sum()), [X], "has the shape of what it belongs to",
    ),
    "transposed shape": (
        broken(Square, gradient=lambda s, g, n: (g * n.inputs[0] * 2).T), [X], "the transpose is missing",
    ),
    "untransposed factor": (
        broken(MatMul, gradient=matmul_untransposed),
        [rng.normal(size=(3, 3)), rng.normal(size=(3, 3))], "input 0 .*; the gradient of input 1 is right",
    ),
    "transposed": (
        broken(MatMul, gradient=lambda s, g, n: ((g @ n.inputs[1].T).T, n.inputs[0].T @ g)),
        [rng.normal(size=(3, 3)), rng.normal(size=(3, 3))], "input 0 is transposed; the transpose is missing",
    ),
    "J instead of its transpose": (
        broken(
            MatMul,
            compute=lambda self, a: M @ a, gradient=lambda s, g, n: ndl.Tensor(M, requires_grad=False) @ g,
        ),
        [rng.normal(size=(3,))], "instead of Jᵀ·out_grad; the transpose is missing",
    ),
    "one right, one wrong": (
        broken(Product, gradient=lambda s, g, n: (g * n.inputs[1] * 3, g * n.inputs[0])),
        [X, Y], r"input 0 is off by a constant factor of 3\.0 .*the gradient of input 1 is right",
    ),
    "swapped": (broken(Product, gradient=swapped), [X, Y], "the gradients of inputs 0 and 1 are swapped"),
    "an array": (
        broken(Square, gradient=lambda s, g, n: g.numpy() * 2 * n.inputs[0].numpy()), [X], "is ndarray, not a Tensor",
    ),
    "raw": (
        broken(Square, gradient=lambda s, g, n: g * raw(n.inputs[0]) * 2),
        [X], "second derivative is lost: the gradient depends on input 0.*raw NumPy",
    ),
    "raw out_grad": (
        broken(Square, gradient=lambda s, g, n: raw(g) * n.inputs[0] * 2),
        [X], "second derivative is lost: the gradient depends on out_grad",
    ),
    "order two": (
        broken(Square, gradient=second_wrong),
        [X], r"right at order one, wrong at order two: .* input 0 is off by a constant factor of 0\.5",
    ),
    "None": (
        broken(Product, gradient=lambda s, g, n: (g * n.inputs[1], None)),
        [X, Y], "the gradient of input 1 is None, although the output depends on that input",
    ),
    "too few": (broken(Product, gradient=lambda s, g, n: g * n.inputs[1]), [X, Y], "1 adjoints for 2 inputs"),
    "raises": (broken(Square, gradient=lambda s, g, n: g.nothing), [X], "gradient raises AttributeError"),
    "constant": (broken(Square, differentiable=False), [X], "differentiable is False, but the value changes"),
    "tangent": (
        broken(Square, tangent=tangent_without_factor), [X], r"tangent disagrees with gradient.*factor of 0\.5",
    ),
    "batch": (
        broken(Square, batch=lambda s, size, inputs, batched: inputs[0] * 2), [X], "batch disagrees with compute",
    ),
    "batch of a wrong shape": (
        broken(Square, batch=lambda s, size, inputs, batched: inputs[0].sum(0)), [X], "result has shape",
    ),
    "taylor": (
        broken(Square, taylor=taylor_without_cross_terms), [X], "taylor disagrees with gradient.*coefficient 2",
    ),
}  # fmt: skip
M = rng.normal(size=(3, 3))


@pytest.mark.parametrize(("op", "inputs", "message"), WRONG.values(), ids=WRONG)
def test_each_wrong_op_is_told_what_is_wrong(op, inputs, message):
    with pytest.raises(AssertionError, match="(?s)Broken: .*" + message):
        check_op(op, *inputs)


@pytest.mark.parametrize(("op", "inputs"), [(Square(), [X]), (Product(), [X, ROW]), (MatMul(), [X, Y.T])])
def test_users_right_ops_pass(op, inputs):
    check_op(op, *inputs)


def test_check_op_refuses_what_is_no_op_instance():
    with pytest.raises(TypeError, match=r"write Square\(...\) instead of Square"):
        check_op(Square, X)
    with pytest.raises(TypeError, match="takes a TensorOp"):
        check_op(np.sin, X)
    with pytest.raises(TypeError, match="real numbers"):
        check_op(Square(), X * 1j)


# --------------------------------------------------------------------------------------------------------------------
# Functions


@ndl.custom_gradient
def twice_too_much(x, y):
    return x * y, lambda g: (g * y * 2, g * x)


@ndl.custom_gradient
def wrong_sign(x):
    return ndl.sin(x), lambda g: -g * ndl.cos(x)


@ndl.custom_gradient
def raw_slope(x):
    return ndl.sin(x), lambda g: g * ndl.cos(ndl.stop_gradient(x))


RIGHT = {
    "matmul, order 3": (lambda x, y: ndl.sin(x) @ y, (X, Y.T), {"order": 3}),
    "trees": (lambda d: {"a": d["p"] ** 2, "b": [ndl.exp(d["q"][0]).sum()]}, ({"p": X, "q": (2.0, 3)},), {}),
    "one argument": (ndl.tanh, X, {}),
    "float32": (ndl.tanh, (X.astype("f4"),), {}),
    "Tensors": (lambda x: (x**3).sum(), (ndl.Tensor(X),), {}),
    "Modules": (lambda m, x: m(x), (ndl.nn.Sequential(ndl.nn.Linear(3, 2), ndl.nn.Tanh()), X), {}),
    "complex": (lambda x: x * x * 1j, (X + 1j * Y,), {"order": 1}),
    "where": (lambda x: ops.where(x > 0, x**2, ndl.exp(x)), (X,), {}),
}


@pytest.mark.parametrize(("f", "args", "options"), RIGHT.values(), ids=RIGHT)
def test_right_gradients_pass(f, args, options):
    assert check_gradients(f, args, **options) is None


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize(
    ("f", "args", "message"),
    [
        (
            twice_too_much,
            (X, Y),
            r"order 1: .*argument 0 is off by a constant factor of 2\.0 .*right with .*argument 1",
        ),
        (wrong_sign, (X,), "order 1: .*argument 0 has the wrong sign"),
        (raw_slope, (X,), r"order 2 \((\w+) over \1\): .*argument 0 is zero where"),
    ],
)
def test_wrong_gradients_are_named(f, args, mode, message):
    name = {"fwd": "forward", "rev": "reverse"}[mode]
    with pytest.raises(AssertionError, match=f"{name} mode .*{message}"):
        check_gradients(f, args, modes=(mode,))


def test_the_leaf_of_a_tree_is_named():
    f = lambda d: twice_too_much(d["a"], d["b"])
    with pytest.raises(AssertionError, match="argument 0, leaf 0 of 2 is off"):
        check_gradients(f, ({"a": X, "b": Y},))


def test_directions_are_from_the_unit_ball_and_the_same_each_time():
    seen = []

    def f(x):
        seen.append(x.numpy() if x.node.level == 0 else None)
        return x**2

    check_gradients(f, (X,), order=1, eps=1.0, modes="rev")
    moved = [np.linalg.norm(x - X) for x in seen if x is not None and not np.array_equal(x, X)]
    assert moved and max(moved) <= 1
    first = [x for x in seen if x is not None]
    seen.clear()
    check_gradients(f, (X,), order=1, eps=1.0, modes="rev")
    np.testing.assert_array_equal(first, [x for x in seen if x is not None])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: check_gradients(ndl.sin, (X,), modes=("up",)), ValueError, '"fwd" and "rev"'),
        (lambda: check_gradients(ndl.sin, (X,), order=0), ValueError, "at least 1"),
        (lambda: check_gradients(ndl.sin, (3,)), TypeError, "needs a floating-point argument"),
        (lambda: check_gradients(lambda x: x > 0, (X,)), TypeError, "returns no floating-point number"),
    ],
)
def test_mistakes_in_the_call_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
