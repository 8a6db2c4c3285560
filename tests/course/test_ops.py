"""Every op of the contract from one table: value, node, gradients by op and by backward, second order, dtype."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import needle as ndl

from . import reference
from .finite_differences import (
    assert_backward_gradients,
    assert_op_gradients,
    assert_second_derivative,
    flat_tuple,
)
from .signatures import assert_signature

rng = np.random.default_rng(1)


def normal(*shape):
    return rng.normal(size=shape)


def positive(*shape):
    """In [0.5, 2): for logarithms and bases of powers."""
    return rng.uniform(0.5, 2.0, size=shape)


def nonzero(*shape):
    """At least 0.5 away from 0: for divisors, and for relu, whose kink a central difference must not straddle."""
    return positive(*shape) * rng.choice([-1.0, 1.0], size=shape)


class Case(NamedTuple):
    """`helper(*arrays, **keywords)` makes one node of class `op`, and its value is `expected(*arrays)`."""

    helper: str
    op: str
    arrays: list
    keywords: dict
    expected: Callable[..., Any]

    def __repr__(self):
        shapes = " ".join(str(array.shape) for array in self.arrays)
        return f"{self.helper} {shapes} {self.keywords or ''}".rstrip()

    def tensors(self, dtype="float64"):
        return [ndl.Tensor(array, dtype=dtype) for array in self.arrays]

    def function(self, *tensors):
        return getattr(ndl, self.helper)(*tensors, **self.keywords)


def dilated(x, axes, dilation):
    for axis in axes:
        if axis < x.ndim:
            wide = list(x.shape)
            wide[axis] *= dilation + 1
            out = np.zeros(wide)
            out[(slice(None),) * axis + (slice(None, None, dilation + 1),)] = x
            x = out
    return x


def undilated(x, axes, dilation):
    return x[tuple(slice(None, None, dilation + 1) if axis in axes else slice(None) for axis in range(x.ndim))]


def swapped(x, axes):
    first, second = axes or (x.ndim - 2, x.ndim - 1)
    return np.swapaxes(x, first, second)


CASES = [
    # Two tensors, of one shape and of shapes that broadcast.
    *(
        Case(helper, op, [left(*first), right(*second)], {}, expected)
        for helper, op, left, right, expected in [
            ("add", "EWiseAdd", normal, normal, np.add),
            ("multiply", "EWiseMul", normal, normal, np.multiply),
            ("divide", "EWiseDiv", normal, nonzero, np.divide),
            ("power", "EWisePow", positive, normal, np.power),
        ]
        for first, second in [
            ((5, 4), (5, 4)),
            ((1, 3), (3,)),
            ((2, 3), (3,)),
            ((2, 1, 3), (4, 1)),
            ((), (2, 2)),
            ((3,), ()),
            ((), ()),
        ]
    ),
    # A tensor and a number: Python's, NumPy's, or an array of shape (1,).
    *(
        Case(helper, op, [sample(3, 4)], {"scalar": scalar}, lambda x, f=formula, scalar=scalar: f(x, scalar))
        for helper, op, sample, formula, scalars in [
            ("add_scalar", "AddScalar", normal, np.add, [2, -1.5, np.float64(0.25), np.array([1.7])]),
            ("mul_scalar", "MulScalar", normal, np.multiply, [3, 0, -1.5, np.float32(0.5), np.array([1.7])]),
            ("divide_scalar", "DivScalar", normal, np.divide, [5, -0.5, np.float64(4), np.array([1.7])]),
            ("power_scalar", "PowerScalar", nonzero, np.power, [2, 3, 0, 1, -1, np.int64(2), np.float64(3)]),
            ("power_scalar", "PowerScalar", positive, np.power, [0.5, -1.5, np.array([1.7])]),
        ]
        for scalar in scalars
    ),
    # One tensor.
    *(
        Case(helper, op, [sample(*shape)], {}, expected)
        for helper, op, sample, expected in [
            ("negate", "Negate", normal, np.negative),
            ("log", "Log", positive, np.log),
            ("exp", "Exp", normal, np.exp),
            ("relu", "ReLU", nonzero, lambda x: np.maximum(x, 0)),
            ("tanh", "Tanh", normal, np.tanh),
        ]
        for shape in [(5, 4), (3,), ()]
    ),
    *(
        Case("matmul", "MatMul", [normal(*first), normal(*second)], {}, np.matmul)
        for first, second in [
            ((5, 4), (4, 3)),
            ((1, 3), (3, 1)),
            ((2, 3, 2, 3), (2, 3, 3, 2)),
            ((2, 2, 3, 2), (2, 3)),
            ((3, 2), (2, 2, 2, 3)),
            ((2, 3, 2), (2, 3)),
            ((1, 3, 2), (4, 2, 3)),
            ((2, 1, 2, 3), (3, 3, 2)),
        ]
    ),
    *(
        Case("summation", "Summation", [normal(2, 3, 4)], {"axes": axes}, lambda x, axes=axes: np.sum(x, axis=axes))
        for axes in [None, 0, 1, 2, -1, -3, (1,), (0, 1), (0, 2), (-1, 0), (2, 1), (0, 1, 2)]
    ),
    *(
        Case(
            "broadcast_to",
            "BroadcastTo",
            [normal(*shape)],
            {"shape": wide},
            lambda x, wide=wide: np.broadcast_to(x, wide),
        )
        for shape, wide in [
            ((3, 1), (3, 3)),
            ((1, 3), (3, 3)),
            ((3,), (2, 3)),
            ((1,), (2, 3, 2)),
            ((), (2, 3)),
            ((1, 3, 1), (2, 2, 3, 4)),
            ((2, 1, 3), (2, 2, 3)),
            ((2, 3), (2, 3)),
        ]
    ),
    *(
        Case("reshape", "Reshape", [normal(*shape)], {"shape": other}, lambda x, other=other: x.reshape(other))
        for shape, other in [((2, 6), (3, 4)), ((12,), (2, 3, 2)), ((2, 3, 2), (12,)), ((1,), ()), ((), (1, 1))]
    ),
    *(
        Case("transpose", "Transpose", [normal(*shape)], {"axes": axes}, lambda x, axes=axes: swapped(x, axes))
        for shape, axes in [
            ((2, 3), None),
            ((2, 3, 4), None),
            ((2, 3), (0, 1)),
            ((2, 3, 4), (0, 1)),
            ((2, 3, 4), (1, 2)),
            ((2, 3, 4), (0, 2)),
            ((2, 3, 4), (2, 0)),
            ((2, 2, 3, 2), (1, 3)),
        ]
    ),
    Case("logsoftmax", "LogSoftmax", [normal(4, 5)], {}, lambda x: np.log(reference.softmax(x))),
    Case("logsoftmax", "LogSoftmax", [normal(1, 3)], {}, lambda x: np.log(reference.softmax(x))),
    *(
        Case(
            "logsumexp",
            "LogSumExp",
            [normal(2, 3, 4)],
            {"axes": axes},
            lambda x, axes=axes: reference.logsumexp(x, axes),
        )
        for axes in [None, 0, 1, 2, -1, (0,), (1, 2), (0, 2), (0, 1, 2)]
    ),
    *(
        Case("flip", "Flip", [normal(2, 3, 2)], {"axes": axes}, lambda x, axes=axes: np.flip(x, axes))
        for axes in [(0,), (1,), (0, 1), (0, 1, 2), (2, 0)]
    ),
    *(
        Case(
            "dilate",
            "Dilate",
            [normal(*shape)],
            {"axes": axes, "dilation": dilation},
            lambda x, axes=axes, dilation=dilation: dilated(x, axes, dilation),
        )
        for shape, axes, dilation in [
            ((2, 3), (0,), 1),
            ((2, 3), (1,), 2),
            ((2, 3), (0, 1), 1),
            ((2, 3), (0, 1), 0),
            ((2, 2), (2,), 1),
            ((2, 2), (1, 2), 1),
            ((2, 2, 2, 1), (1, 2), 1),
            ((2, 2, 2, 1), (0, 1, 2, 3), 1),
        ]
    ),
    *(
        Case(
            "undilate",
            "UnDilate",
            [normal(*shape)],
            {"axes": axes, "dilation": dilation},
            lambda x, axes=axes, dilation=dilation: undilated(x, axes, dilation),
        )
        for shape, axes, dilation in [((4, 3), (0,), 1), ((4, 6), (0, 1), 1), ((2, 6), (1,), 2), ((2, 2), (0, 1), 0)]
    ),
    *(
        Case(
            "conv",
            "Conv",
            [normal(*images), normal(*kernel)],
            {"stride": stride, "padding": padding},
            lambda x, w, stride=stride, padding=padding: reference.convolve(x, w, stride, padding),
        )
        for images, kernel, stride, padding in [
            ((1, 4, 4, 1), (3, 3, 1, 1), 1, 0),
            ((2, 4, 4, 2), (3, 3, 2, 3), 1, 1),
            ((1, 5, 5, 2), (3, 3, 2, 2), 2, 1),
            ((1, 6, 6, 1), (3, 3, 1, 2), 2, 0),  # the last row and column are never reached
            ((2, 4, 5, 2), (3, 3, 2, 1), 1, 1),  # not square
            ((1, 4, 6, 1), (3, 3, 1, 1), 2, 1),
            ((2, 3, 3, 2), (1, 1, 2, 3), 1, 0),
            ((1, 4, 4, 1), (1, 1, 1, 1), 2, 0),
            ((1, 4, 4, 1), (2, 2, 1, 2), 2, 1),  # an even kernel
            ((1, 7, 7, 1), (3, 3, 1, 1), 3, 2),
            ((1, 3, 3, 1), (3, 3, 1, 2), 1, 3),  # padding wider than what the kernel needs
            ((1, 3, 3, 2), (3, 3, 2, 1), 1, 0),  # a single output pixel
        ]
    ),
]
each_case = pytest.mark.parametrize("case", CASES, ids=repr)


@each_case
def test_value_is_numpys(case):
    out = case.function(*case.tensors())
    expected = case.expected(*case.arrays)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12, atol=1e-12)


@each_case
def test_one_function_makes_one_node_whose_inputs_are_the_arguments(case):
    tensors = case.tensors()
    out = case.function(*tensors)
    assert type(out.op) is getattr(ndl.ops, case.op)
    assert len(out.inputs) == len(tensors)
    assert all(given is argument for given, argument in zip(out.inputs, tensors))
    assert len(ndl.autograd.find_topo_sort([out])) == len(tensors) + 1


@each_case
def test_the_class_called_directly_is_the_helper(case):
    out = getattr(ndl.ops, case.op)(**case.keywords)(*case.tensors())
    np.testing.assert_array_equal(out.numpy(), case.function(*case.tensors()).numpy())


@each_case
def test_gradient_of_the_op_is_the_slope(case):
    assert_op_gradients(case.function, *case.tensors())


@each_case
def test_backward_is_the_slope(case):
    assert_backward_gradients(case.function, *case.tensors())


@each_case
def test_second_derivative_is_the_mixed_difference(case):
    assert_second_derivative(case.function, *case.tensors())


@each_case
def test_float32_stays_float32(case):
    tensors = case.tensors("float32")
    out = case.function(*tensors)
    out.backward()
    assert out.dtype == "float32"
    assert [tensor.grad.dtype for tensor in tensors] == ["float32"] * len(tensors)


@each_case
def test_compute_takes_and_gives_arrays(case):
    out = case.function(*case.tensors())
    result = out.op.compute(*case.arrays)
    assert not isinstance(result, ndl.Tensor)
    np.testing.assert_allclose(result, out.numpy(), rtol=1e-12, atol=1e-12)


def test_the_arguments_of_an_op_are_not_changed():
    for case in CASES:
        tensors = case.tensors()
        out = case.function(*tensors)
        out.backward()
        for tensor, array in zip(tensors, case.arrays):
            np.testing.assert_array_equal(tensor.numpy(), array)


# Names and signatures


@pytest.mark.parametrize(
    "helper, contract",
    [
        ("add", "a, b"),
        ("add_scalar", "a, scalar"),
        ("multiply", "a, b"),
        ("mul_scalar", "a, scalar"),
        ("divide", "a, b"),
        ("divide_scalar", "a, scalar"),
        ("power", "a, b"),
        ("power_scalar", "a, scalar"),
        ("matmul", "a, b"),
        ("summation", "a, axes=None"),
        ("broadcast_to", "a, shape"),
        ("reshape", "a, shape"),
        ("transpose", "a, axes=None"),
        ("logsoftmax", "a"),
        ("logsumexp", "a, axes=None"),
        ("stack", "args, axis"),
        ("split", "a, axis"),
        ("flip", "a, axes"),
        ("dilate", "a, axes, dilation"),
        ("undilate", "a, axes, dilation"),
        ("conv", "a, b, stride=1, padding=1"),
        ("make_tuple", "*args"),
        ("tuple_get_item", "value, index"),
        ("fused_add_scalars", "x, c0, c1"),
    ],
)
def test_helper_signature(helper, contract):
    assert_signature(getattr(ndl.ops, helper), contract)


@pytest.mark.parametrize(
    "op, contract",
    [
        *((op, "") for op in ("EWiseAdd", "EWiseMul", "EWiseDiv", "EWisePow", "Negate", "Log", "Exp", "ReLU")),
        *((op, "") for op in ("Tanh", "MatMul", "LogSoftmax", "MakeTensorTuple")),
        *((op, "scalar") for op in ("AddScalar", "MulScalar", "DivScalar", "PowerScalar")),
        ("Summation", "axes=None"),
        ("BroadcastTo", "shape"),
        ("Reshape", "shape"),
        ("Transpose", "axes=None"),
        ("LogSumExp", "axes=None"),
        ("Stack", "axis"),
        ("Split", "axis"),
        ("Flip", "axes"),
        ("Dilate", "axes, dilation"),
        ("UnDilate", "axes, dilation"),
        ("Conv", "stride=1, padding=0"),
        ("TupleGetItem", "index"),
        ("FusedAddScalars", "c0, c1"),
    ],
)
def test_op_signature(op, contract):
    assert_signature(getattr(ndl.ops, op), contract)


HELPERS = (
    "add add_scalar multiply mul_scalar divide divide_scalar power power_scalar negate log exp relu tanh matmul "
    "summation broadcast_to reshape transpose logsoftmax logsumexp stack split flip dilate undilate conv make_tuple "
    "tuple_get_item fused_add_scalars"
).split()
CLASSES = (
    "EWiseAdd AddScalar EWiseMul MulScalar EWiseDiv DivScalar EWisePow PowerScalar Negate Log Exp ReLU Tanh MatMul "
    "Summation BroadcastTo Reshape Transpose LogSoftmax LogSumExp Stack Split Flip Dilate UnDilate Conv "
    "MakeTensorTuple TupleGetItem FusedAddScalars"
).split()


@pytest.mark.parametrize("name", HELPERS + CLASSES)
def test_each_op_is_in_ops_and_at_the_top(name):
    assert getattr(ndl, name) is getattr(ndl.ops, name)


@pytest.mark.parametrize(
    "file, names",
    [
        ("ops_logarithmic", ["LogSoftmax", "LogSumExp", "logsoftmax", "logsumexp"]),
        (
            "ops_tuple",
            "MakeTensorTuple TupleGetItem FusedAddScalars make_tuple tuple_get_item fused_add_scalars".split(),
        ),
        (
            "ops_mathematic",
            [
                name
                for name in HELPERS + CLASSES
                if "tuple" not in name.lower() and "fused" not in name.lower() and "logs" not in name.lower()
            ],
        ),
    ],
)
def test_the_files_that_students_import_from(file, names):
    module = importlib.import_module(f"needle.ops.{file}")
    for name in names:
        assert getattr(module, name) is getattr(ndl.ops, name)


# Ops on several tensors at once


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sequence", [list, tuple, lambda tensors: ndl.make_tuple(*tensors)])
def test_stack_takes_a_list_a_tuple_or_a_tensor_tuple(axis, sequence):
    arrays = [normal(2, 3) for _ in range(4)]
    out = ndl.stack(sequence([ndl.Tensor(array) for array in arrays]), axis)
    np.testing.assert_array_equal(out.numpy(), np.stack(arrays, axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stack_as_the_class_takes_a_tensor_tuple(axis):
    arrays = [normal(2, 3) for _ in range(2)]
    out = ndl.ops.Stack(axis)(ndl.make_tuple(*[ndl.Tensor(array) for array in arrays]))
    np.testing.assert_array_equal(out.numpy(), np.stack(arrays, axis))


@pytest.mark.parametrize("check", [assert_op_gradients, assert_backward_gradients, assert_second_derivative])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stack_gradients(check, axis):
    check(lambda *tensors: ndl.stack(list(tensors), axis=axis), *[ndl.Tensor(normal(2, 3)) for _ in range(3)])


def test_stack_of_one_tensor():
    check = assert_backward_gradients
    check(lambda a: ndl.stack([a], axis=0), ndl.Tensor(normal(2, 3)))


def test_stack_of_one_tensor_twice_adds_its_gradients():
    a = ndl.Tensor(normal(2, 3))
    ndl.stack([a, a], 0).backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.full((2, 3), 2.0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_split_gives_a_tuple_of_slices_without_that_axis(axis):
    array = normal(2, 3, 4)
    pieces = ndl.split(ndl.Tensor(array), axis)
    assert isinstance(pieces, ndl.TensorTuple)
    assert len(pieces) == array.shape[axis]
    for i, piece in enumerate(pieces):
        np.testing.assert_array_equal(piece.numpy(), np.take(array, i, axis))


@pytest.mark.parametrize("check", [assert_backward_gradients, assert_second_derivative])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_split_gradients(check, axis):
    def product_of_pieces(a):
        pieces = ndl.split(a, axis)
        return pieces[0] * ndl.exp(pieces[1])

    check(product_of_pieces, ndl.Tensor(normal(2, 3, 2)))


def test_a_piece_that_nobody_uses_has_gradient_zero():
    a = ndl.Tensor(normal(3, 2))
    (ndl.split(a, 0)[1] * 5).backward()
    np.testing.assert_array_equal(a.grad.numpy(), [[0, 0], [5, 5], [0, 0]])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_split_undoes_stack(axis):
    tensors = [ndl.Tensor(normal(2, 3)) for _ in range(3)]
    for piece, tensor in zip(ndl.split(ndl.stack(tensors, axis), axis), tensors):
        np.testing.assert_array_equal(piece.numpy(), tensor.numpy())


def test_tuple_get_item_picks_one():
    tensors = [ndl.Tensor(normal(2)) for _ in range(3)]
    np.testing.assert_array_equal(ndl.tuple_get_item(ndl.make_tuple(*tensors), 1).numpy(), tensors[1].numpy())


def test_tuple_get_item_sends_its_gradient_back():
    a, b = ndl.Tensor(normal(2)), ndl.Tensor(normal(2))
    (ndl.tuple_get_item(ndl.make_tuple(a * 2, b * 3), 1) * 7).backward()
    np.testing.assert_array_equal(b.grad.numpy(), [21, 21])


def test_fused_add_scalars_is_a_tuple_of_two_sums():
    x = ndl.Tensor(normal(3))
    out = ndl.fused_add_scalars(x, 2, 5)
    assert isinstance(out, ndl.TensorTuple)
    np.testing.assert_allclose([part.numpy() for part in out], [x.numpy() + 2, x.numpy() + 5], rtol=1e-15)


def test_fused_add_scalars_adds_both_gradients():
    x = ndl.Tensor(normal(3))
    first, second = ndl.fused_add_scalars(x, 2, 5)
    (first * second).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.numpy() + 7, rtol=1e-14)


# Points where a formula needs care


def test_helper_default_of_conv_padding_is_one():
    images, kernel = normal(1, 4, 4, 1), normal(3, 3, 1, 1)
    np.testing.assert_allclose(
        ndl.conv(ndl.Tensor(images), ndl.Tensor(kernel)).numpy(), reference.convolve(images, kernel, 1, 1), rtol=1e-12
    )


def test_class_default_of_conv_padding_is_zero():
    images, kernel = normal(1, 4, 4, 1), normal(3, 3, 1, 1)
    np.testing.assert_allclose(
        ndl.ops.Conv()(ndl.Tensor(images), ndl.Tensor(kernel)).numpy(), reference.convolve(images, kernel), rtol=1e-12
    )


def test_conv_of_arrays_that_are_not_contiguous():
    images, kernel = normal(2, 4, 4, 2), normal(3, 3, 2, 2)
    flipped = ndl.flip(ndl.Tensor(images).transpose((1, 2)), (1,))
    np.testing.assert_allclose(
        ndl.conv(flipped, ndl.Tensor(kernel), stride=1, padding=1).numpy(),
        reference.convolve(images.swapaxes(1, 2)[:, ::-1], kernel, 1, 1),
        rtol=1e-12,
        atol=1e-12,
    )


def test_relu_has_slope_zero_at_zero():
    x = ndl.Tensor([-1.0, 0.0, 2.0])
    ndl.relu(x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0, 1])


@pytest.mark.parametrize("exponent, slope", [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_slope_of_an_integer_power_at_zero(exponent, slope):
    x = ndl.Tensor([0.0])
    (x**exponent).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [slope])


def test_power_at_base_zero_is_quiet_where_the_exponent_asks_for_nothing():
    base = ndl.Tensor([0.0, 2.0])
    with np.errstate(all="raise"):
        ndl.power(base, ndl.Tensor([2.0, 3.0], requires_grad=False)).backward()
    np.testing.assert_array_equal(base.grad.numpy(), [0, 12])


@pytest.mark.parametrize("function", [lambda x: ndl.logsumexp(x, axes=(1,)), lambda x: ndl.logsumexp(x, axes=1)])
def test_logsumexp_is_stable_at_large_arguments(function):
    x = ndl.Tensor([[1e10, 1e9, -1e10], [-1e10, -1e10, -1e10], [700.0, 710.0, 720.0]])
    out = function(x)
    out.backward()
    np.testing.assert_allclose(out.numpy(), [1e10, -1e10 + np.log(3), 720 + np.log1p(np.exp(-10) + np.exp(-20))])
    # Doubles near 1e10 lie 2e-6 apart, and the gradient exp(x - out) inherits that.
    expected = [[1, 0, 0], [1 / 3] * 3, reference.softmax(np.array([[700.0, 710, 720]]))[0]]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=2e-6)


def test_logsumexp_of_everything_is_stable():
    x = ndl.Tensor([[1e10, 1e9], [1e8, -10.0]])
    out = ndl.logsumexp(x)
    out.backward()
    assert float(out.numpy()) == 1e10
    np.testing.assert_array_equal(x.grad.numpy(), [[1, 0], [0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsoftmax_is_stable_at_large_logits(dtype):
    x = ndl.Tensor([[1e5, 0.0, -1e5], [-1e5, -1e5, -1e5]], dtype=dtype)
    out = ndl.logsoftmax(x)
    (out * ndl.Tensor([[1, 0, 0], [0, 1, 0]], dtype=dtype)).sum().backward()
    np.testing.assert_allclose(out.numpy(), [[0, -1e5, -2e5], [-np.log(3)] * 3], rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0, 0], [-1 / 3, 2 / 3, -1 / 3]], rtol=1e-6, atol=1e-7)


def test_the_gradients_of_a_broadcasting_power_have_the_shapes_of_its_arguments():
    base, exponent = ndl.Tensor(positive(1, 3)), ndl.Tensor(normal(3))
    out = ndl.power(base, exponent)
    gradients = out.op.gradient_as_tuple(ndl.Tensor(np.ones(out.shape)), out)
    assert [gradient.shape for gradient in gradients] == [(1, 3), (3,)]


def test_one_tensor_as_both_arguments():
    a = ndl.Tensor(positive(3))
    out = ndl.power(a, a)
    out.backward()
    np.testing.assert_allclose(a.grad.numpy(), a.numpy() ** a.numpy() * (np.log(a.numpy()) + 1), rtol=1e-12)


def test_gradient_as_tuple_of_every_op_gives_tensors():
    for case in CASES:
        out = case.function(*case.tensors())
        gradients = out.op.gradient_as_tuple(ndl.Tensor(np.ones(out.shape)), out)
        assert isinstance(gradients, tuple)
        assert all(isinstance(gradient, ndl.Tensor) for gradient in gradients)


def test_the_gradient_of_stack_in_the_calling_style_of_the_course():
    tensors = [ndl.Tensor(normal(2)) for _ in range(2)]
    out = ndl.stack(tensors, axis=1)
    weights = normal(2, 2)
    gradients = flat_tuple(out.op.gradient_as_tuple(ndl.Tensor(weights), out))
    np.testing.assert_array_equal(gradients, weights.T)
