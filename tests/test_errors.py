"""What the person who made a mistake reads: the op or argument, what came, what was expected, in a sentence or two."""

import numpy as np
import pytest

import needle as ndl
from needle import Tensor, init, ops

AxisError = np.exceptions.AxisError


def t(*shape, dtype="float64", requires_grad=True):
    return Tensor(np.ones(shape), dtype=dtype, requires_grad=requires_grad)


def grad_of_a_line():
    x = t(2)
    (x * 3).backward()
    return x.grad


PAIR = ops.make_tuple(t(2), t(2))

MISTAKES = [
    # Shapes
    (lambda: t(2, 3) + t(4), ValueError, ["EWiseAdd", "float64[2, 3]", "float64[4]"]),
    (lambda: t(2, 3, dtype="float32") * np.ones(4), ValueError, ["EWiseMul", "float32[2, 3]", "float64[4]"]),
    (lambda: ops.where(t(3) > 0, t(2), 1.0), ValueError, ["Where", "bool[3]", "float64[2]"]),
    (lambda: t(2, 3) @ t(4, 5), ValueError, ["MatMul", "float64[2, 3]", "float64[4, 5]", "3", "4"]),
    (lambda: np.ones(3) @ t(2), ValueError, ["MatMul", "float64[3]", "float64[2]"]),
    (lambda: ops.matmul(t(), t(2)), ValueError, ["MatMul", "0-d", "multiply"]),
    (lambda: t(2, 3).reshape((4, 2)), ValueError, ["Reshape", "float64[2, 3]", "(4,2)"]),
    (lambda: ops.reshape(t(2, 3), (-1, -1)), ValueError, ["Reshape", "one unknown dimension"]),
    (lambda: t(2, 3).broadcast_to((2, 4)), ValueError, ["BroadcastTo", "(2, 3)", "(2, 4)"]),
    (lambda: ops.broadcast_to(t(2, 3), 3), ValueError, ["BroadcastTo", "(2, 3)", "(3,)"]),
    (lambda: ops.stack([t(2), t(3)], 0), ValueError, ["Stack", "float64[2], float64[3]", "same shape"]),
    (lambda: ops.concatenate([t(2, 3), t(2, 4)]), ValueError, ["Concatenate", "dimension 1", "3", "4"]),
    (lambda: ops.pad(t(2, 3), [(1, 1)]), ValueError, ["Pad", "1 pairs", "2 axes"]),
    (lambda: ops.max(t(0)), ValueError, ["Max", "zero-size"]),
    (lambda: ops.einsum("ij,jk->ik", t(2, 3), t(4, 5)), ValueError, ["Einsum", "'j'", "3 and 4"]),
    (lambda: ops.einsum("ij,jk->ik", t(2, 3)), ValueError, ["einsum", "'ij,jk->ik'", "2 operands", "got 1"]),
    (lambda: ops.einsum("ijk->i", t(2, 3)), ValueError, ["einsum", "'ijk'", "2 dimensions"]),
    (lambda: ops.einsum("ij->ik", t(2, 3)), ValueError, ["Einsum", "'k'"]),
    (lambda: ops.einsum(t(2), t(2)), TypeError, ["einsum", "subscripts first", "Tensor"]),
    (lambda: ops.conv(t(4, 4, 3), t(3, 3, 3, 5)), ValueError, ["Conv", "(N, H, W, C)", "3-D"]),
    (lambda: ops.conv(t(1, 4, 4, 3), t(3, 3, 2, 5)), ValueError, ["Conv", "3 channels", "takes 2"]),
    (lambda: ops.conv(t(1, 4, 4, 3), t(3, 3, 1, 4), groups=3), ValueError, ["Conv", "3 groups", "makes 4"]),
    (lambda: ops.conv(t(1, 1, 1, 1), t(3, 3, 1, 1), padding=0), ValueError, ["Conv", "3x3", "1x1"]),
    (lambda: ops.conv(t(1, 4, 4, 1), t(3, 3, 1, 1), stride=0), ValueError, ["stride", "at least 1", "got 0"]),
    (lambda: ops.conv(t(1, 4, 4, 1), t(3, 3, 1, 1), padding=-1), ValueError, ["padding", "at least 0", "got -1"]),
    (lambda: ops.conv(t(1, 4, 4, 1), t(3, 3, 1, 1), dilation=(1, 2, 3)), ValueError, ["dilation", "(1, 2, 3)"]),
    (lambda: ops.conv(t(1, 4, 4, 1), t(3, 3, 1, 1), groups=0), ValueError, ["groups", "at least 1"]),
    (lambda: ops.conv_transpose(t(1, 4, 4, 3), t(3, 3, 2, 4)), ValueError, ["ConvTranspose", "3 channels", "4"]),
    (lambda: ops.conv_transpose(t(1, 4, 4, 4), t(3, 3, 2, 4), output_padding=1), ValueError, ["output_padding", "1"]),
    (lambda: ops.max_pool(t(4, 4, 1), 2), ValueError, ["pooling", "(N, H, W, C)", "(4, 4, 1)"]),
    (lambda: ops.max_pool(t(1, 4, 4, 1), 7), ValueError, ["7x7", "4x4"]),
    (lambda: ops.max_pool(t(1, 4, 4, 1), 2, padding=2), ValueError, ["padding", "half the kernel", "(2, 2)"]),
    (lambda: ops.avg_pool(t(1, 4, 4, 1), 0), ValueError, ["kernel", "at least 1", "got 0"]),
    # Axes
    (lambda: t(2, 3).sum(axis=3), AxisError, ["Summation", "axis 3", "2"]),
    (lambda: ops.summation(t(2, 3), (0, 5)), AxisError, ["Summation", "axis 5", "2"]),
    (lambda: ops.summation(t(2, 3), (0, -2)), ValueError, ["Summation", "(0, -2)", "twice"]),
    (lambda: ops.summation(t(2, 3), "rows"), TypeError, ["Summation", "an axis is an int", "'rows'"]),
    (lambda: ops.max(t(2, 3), axis=1.5), TypeError, ["Max", "an axis is an int", "1.5"]),
    (lambda: ops.argmax(t(2, 3), axis=4), AxisError, ["argmax", "axis 4"]),
    (lambda: ops.logsumexp(t(2, 3), 7), AxisError, ["LogSumExp", "axis 7"]),
    (lambda: ops.softmax(t(2, 3), 7), AxisError, ["Softmax", "axis 7"]),
    (lambda: ops.logsoftmax(t(2, 3), axis=7), AxisError, ["LogSoftmax", "axis 7"]),
    (lambda: ops.split(t(2, 3), 2), AxisError, ["Split", "axis 2"]),
    (lambda: ops.stack([t(2)], 5), AxisError, ["Stack", "axis 5"]),
    (lambda: ops.flip(t(2, 3), (3,)), AxisError, ["Flip", "axis 3"]),
    (lambda: ops.transpose(t(2, 3), (0, 5)), AxisError, ["Transpose", "axis 5"]),
    (lambda: ops.transpose(t(2, 3), (0, 1, 2)), ValueError, ["pair of axes", "(0, 1, 2)", "permute"]),
    (lambda: ops.transpose(t(2)), ValueError, ["Transpose", "float64[2]", "at least 2 dimensions"]),
    (lambda: ops.permute(t(2, 3), (0,)), ValueError, ["Permute", "2 axes", "(0,)"]),
    (lambda: ops.permute(t(2, 3), (0, 0)), ValueError, ["Permute", "repeated axis"]),
    (lambda: ops.take_along_axis(t(2, 3), np.zeros((2, 1), int), 4), AxisError, ["TakeAlongAxis", "axis 4"]),
    # Indices
    (lambda: t(2, 3)[5], IndexError, ["GetItem", "index 5", "size 2"]),
    (lambda: t(2, 3)[0, 0, 0], IndexError, ["GetItem", "too many indices", "2-dimensional"]),
    (lambda: t(2, 3)[1.5], IndexError, ["GetItem", "only integers"]),
    (lambda: t(2, 3)["a"], IndexError, ["GetItem", "only integers"]),
    (lambda: t(2, 3)[t(2)], IndexError, ["GetItem", "integer (or boolean)"]),
    (lambda: t(2, 3)[np.ones((3, 3), bool)], IndexError, ["GetItem", "boolean", "2", "3"]),
    (lambda: t(2, 3)[[0, 1, 1], [0, 1]], IndexError, ["GetItem", "(3,)", "(2,)"]),
    (lambda: ops.embedding_lookup(t(3, 2), np.array([7])), IndexError, ["index 7", "size 3"]),
    (lambda: ops.embedding_lookup(t(3, 2), np.array([0.5])), ValueError, ["embedding_lookup", "whole numbers", "0.5"]),
    (lambda: ops.embedding_lookup(t(3, 2), Tensor([np.nan])), ValueError, ["embedding_lookup", "whole numbers", "nan"]),
    (lambda: PAIR[2], IndexError, ["index 2", "TensorTuple of 2"]),
    (lambda: PAIR["a"], TypeError, ["TensorTuple", "int or a slice", "'a'"]),
    (lambda: ops.tuple_get_item(t(2), 0), TypeError, ["tuple_get_item", "TensorTuple", "Tensor"]),
    (lambda: range(3)[Tensor(1.0)], TypeError, ["integer Tensor", "float64"]),
    # Not a Tensor
    (lambda: ops.exp([t(2)]), TypeError, ["Exp takes Tensors", "argument 1 is a list", "needle.stack"]),
    (lambda: ops.add(t(2), None), TypeError, ["EWiseAdd takes Tensors", "argument 2 is a NoneType"]),
    (lambda: ops.relu("x"), TypeError, ["ReLU takes Tensors", "argument 1 is a str", "needle.Tensor"]),
    (lambda: ops.greater(t(2), "x"), TypeError, ["greater takes Tensors", "argument 2 is a str"]),
    (lambda: ops.maximum(t(2), [1, 2]), TypeError, ["Maximum takes Tensors", "argument 2 is a list"]),
    (lambda: ops.stack(3, 0), TypeError, ["stack takes a list of Tensors", "int"]),
    (lambda: ops.stack([], 0), ValueError, ["stack needs at least one Tensor"]),
    (lambda: ops.concatenate([t(2), "x"]), TypeError, ["Concatenate takes Tensors", "argument 2 is a str"]),
    (lambda: t(2) + "a", TypeError, ["+", "Tensor", "str"]),
    (lambda: t(2) @ 3, TypeError, ["@", "Tensor", "int"]),
    (lambda: PAIR + 1, TypeError, ["TensorTuple of 2", "1"]),
    (lambda: ops.mul_scalar(t(2), "a"), TypeError, ["scalar must be a number", "str 'a'"]),
    (lambda: ops.power_scalar(t(2), np.ones(3)), TypeError, ["scalar must be a number", "one element"]),
    (lambda: ops.clip(t(2), "a", 1), TypeError, ["low must be a number", "'a'"]),
    (lambda: ops.clip(t(2), 0, "b"), TypeError, ["high must be a number", "'b'"]),
    (lambda: ops.EWiseAdd()(t(2)), TypeError, ["EWiseAdd", "missing", "'b'"]),
    (lambda: ops.Exp()(), TypeError, ["Exp", "missing", "'a'"]),
    (lambda: ndl.Op()(t(2)), TypeError, ["Op must be a TensorOp or a TensorTupleOp"]),
    # Making Tensors
    (lambda: Tensor("abc"), TypeError, ["a Tensor holds numbers", "a str"]),
    (lambda: Tensor([1, "a"]), TypeError, ["a Tensor holds numbers", "a list"]),
    (lambda: Tensor(None), TypeError, ["a Tensor holds numbers", "NoneType"]),
    (lambda: Tensor({1: 2}), TypeError, ["a Tensor holds numbers", "a dict"]),
    (lambda: Tensor([[1, 2], [3]]), ValueError, ["rows of equal length"]),
    (lambda: Tensor([t(2), t(2)]), TypeError, ["list that holds Tensors", "needle.stack"]),
    (lambda: Tensor(PAIR), TypeError, ["TensorTuple holds several arrays", "needle.stack"]),
    (lambda: Tensor([1.0], dtype="banana"), TypeError, ["dtype must be", "float32", "'banana'"]),
    (lambda: Tensor([1.0], dtype="str"), TypeError, ["dtype", "numbers", "'str'"]),
    (lambda: Tensor([300], dtype="int8"), OverflowError, ["300", "int8"]),
    (lambda: Tensor([1.0], device="gpu"), TypeError, ["device must be one of cpu(), cuda()", "'gpu'"]),
    (lambda: init.rand(2, device="gpu"), TypeError, ["device must be one of cpu(), cuda()", "'gpu'"]),
    (lambda: init.ones((2, 3)), TypeError, ["separate lengths", "zeros(2, 3)", "(2, 3)"]),
    (lambda: init.rand(-1), TypeError, ["separate lengths", "-1"]),
    (lambda: init.rand(2, dtype="banana"), TypeError, ["dtype must be", "float32", "'banana'"]),
    (lambda: init.zeros(2, dtype="str"), TypeError, ["dtype must be", "float32", "'str'"]),
    (lambda: init.kaiming_uniform(0, 3), ValueError, ["fan_in must be positive", "0"]),
    (lambda: init.xavier_normal(0, 0), ValueError, ["fan_in + fan_out must be positive", "0"]),
    (lambda: init.randn(2.5), TypeError, ["separate lengths", "2.5"]),
    (lambda: init.one_hot(3, Tensor([5])), ValueError, ["one_hot", "[0, 3)", "got 5"]),
    (lambda: init.one_hot(3, Tensor([np.nan])), ValueError, ["one_hot", "whole numbers", "nan"]),
    (lambda: init.kaiming_uniform(3, 3, nonlinearity="tanh"), ValueError, ["relu", "'tanh'"]),
    # Derivatives
    (lambda: t(2).detach().backward(), RuntimeError, ["backward()", "requires grad", "requires_grad=True"]),
    (lambda: (t(2) > 0).backward(), RuntimeError, ["backward()", "requires grad"]),
    (lambda: (t(2, requires_grad=False) * 2).sum().backward(), RuntimeError, ["backward()", "requires grad"]),
    (lambda: grad_of_a_line().backward(), RuntimeError, ["backward()", "same everywhere", "zero"]),
    (lambda: t(2).backward(t(3)), ValueError, ["out_grad", "(2,)", "(3,)"]),
    (lambda: t(2).backward([1, 2, 3]), ValueError, ["out_grad", "(2,)", "(3,)"]),
    (lambda: t(2).backward("a"), TypeError, ["out_grad", "numbers", "str"]),
    (lambda: t(2).register_hook(3), TypeError, ["hook", "function", "int"]),
    # Values of Tensors
    (lambda: setattr(t(2), "data", np.ones(2)), TypeError, ["data must be assigned a Tensor", "ndarray"]),
    (lambda: setattr(t(2), "data", t(2, dtype="float32")), TypeError, ["float64", "float32", "astype"]),
    (lambda: setattr(t(2) * 2, "requires_grad", False), RuntimeError, ["leaf", "MulScalar", "detach"]),
    (lambda: bool(t(2)), ValueError, ["truth", "(2,)", "ambiguous"]),
    (lambda: float(t(2)), ValueError, ["one element", "(2,)"]),
    (lambda: t(2, 2).item(), ValueError, ["one element", "(2, 2)"]),
    (lambda: len(t()), TypeError, ["0-d"]),
    (lambda: list(t()), TypeError, ["0-d"]),
    (lambda: Tensor([2]) ** -1, ValueError, ["PowerScalar", "int64[1]", "negative integer powers"]),
    (lambda: ndl.add_scalar(t(2), t(2)), TypeError, ["scalar must be a number", "got Tensor of shape (2,)"]),
    (lambda: ndl.make_tuple(t(2)) + ndl.make_tuple(t(2), t(2)), TypeError, ["TensorTuple of 1", "got one of 2"]),
    (lambda: t(2, 3).transpose(0), ValueError, ["axes must name each of the 2 axes once, got (0,)"]),
]  # fmt: skip


@pytest.mark.parametrize("mistake, error, fragments", MISTAKES, ids=[" ".join(f)[:60] for _, _, f in MISTAKES])
def test_the_message_says_what_came_and_what_was_expected(mistake, error, fragments):
    with pytest.raises(error) as caught:
        mistake()
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert len(message) < 260
    assert "\n" not in message


@pytest.mark.skipif(ndl.cuda().enabled(), reason="a GPU is there")
def test_a_device_that_is_not_there_says_what_it_needs():
    with pytest.raises(RuntimeError, match=r"cuda\(\) is not available: it needs an NVIDIA GPU and CuPy .*use cpu\(\)"):
        Tensor([1.0], device=ndl.cuda())


def test_the_error_of_numpy_stays_the_cause():
    with pytest.raises(ValueError) as caught:
        t(2, 3) + t(4)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_subclass_of_a_known_error_stays_catchable_as_that_error():
    class Special(ValueError):
        """What a user's op may raise."""

    class Raises(ndl.TensorOp):
        def compute(self, x):
            raise Special("no")

    with pytest.raises(ValueError, match=r"Raises on float64\[2\]: no"):
        Raises()(t(2))


@pytest.mark.parametrize("make", [np.ones(3, "float32"), 3.0], ids=["array", "number"])
def test_zeros_like_takes_arrays_and_numbers(make):
    zeros = init.zeros_like(make)
    assert (zeros.shape, zeros.dtype) == (np.shape(make), np.asarray(make).dtype)


def test_one_axis_is_a_permutation_of_a_vector():
    np.testing.assert_array_equal(t(3).transpose(0).numpy(), t(3).numpy().transpose(0))


@pytest.mark.parametrize("other", [[1, 3], (1.0, 3.0), [[1, 2], [2, 1]]])
def test_lists_of_numbers_are_compared_elementwise_as_numpy_does(other):
    array = np.array([1.0, 2.0])
    np.testing.assert_array_equal((Tensor(array) == other).numpy(), array == other)
    np.testing.assert_array_equal((Tensor(array) != other).numpy(), array != other)
    np.testing.assert_array_equal((Tensor(array) < other).numpy(), array < other)


@pytest.mark.parametrize("other", [["a"], None, "ab", [1, [2, 3]]])
def test_what_is_no_number_equals_no_tensor(other):
    assert (Tensor([1.0, 2.0]) == other) is False
