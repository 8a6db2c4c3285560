"""needle.autograd: Tensors, nodes, students' own ops, topological order, backward, lazy mode, the live counter."""

import gc
import importlib

import numpy as np
import pytest

import needle as ndl
from needle import autograd, backend_ndarray, ops
from needle.autograd import Tensor, TensorOp, TensorTuple, TensorTupleOp, Value, find_topo_sort

from .finite_differences import assert_backward_gradients, assert_op_gradients
from .signatures import assert_signature


@pytest.mark.parametrize(
    "name",
    "Op TensorOp TensorTupleOp Value Tensor TensorTuple NDArray Device cpu all_devices compute_gradient_of_variables "
    "find_topo_sort topo_sort_dfs sum_node_list LAZY_MODE TENSOR_COUNTER".split(),
)
def test_name_is_importable_from_autograd(name):
    exec(f"from needle.autograd import {name}", {})


@pytest.mark.parametrize("name", ["Tensor", "TensorTuple", "cpu"])
def test_name_at_the_top_is_the_one_in_autograd(name):
    assert getattr(ndl, name) is getattr(autograd, name)


@pytest.mark.parametrize("name", ["cuda", "ones", "zeros", "zeros_like", "ones_like"])
def test_name_is_at_the_top(name):
    assert callable(getattr(ndl, name))


def test_tensor_op_classes_are_ops():
    assert issubclass(TensorOp, autograd.Op)
    assert issubclass(TensorTupleOp, autograd.Op)


# Making Tensors


def test_signature_of_tensor():
    assert_signature(Tensor, "array, *, device=None, dtype=None, requires_grad=True")


@pytest.mark.parametrize(
    "array, dtype, shape",
    [
        ([1.5, 2], "float64", (2,)),
        ([1, 2], np.array([1, 2]).dtype, (2,)),
        ([[1.0], [2.0]], "float64", (2, 1)),
        ((1.0, 2.0), "float64", (2,)),
        (3, np.array(3).dtype, ()),
        (3.0, "float64", ()),
        (np.float32(3), "float32", ()),
        (np.ones((2, 3), "float32"), "float32", (2, 3)),
        (np.ones(2, "uint8"), "uint8", (2,)),
        (np.array([True, False]), "bool", (2,)),
        (np.ones((0, 3)), "float64", (0, 3)),
    ],
)
def test_a_tensor_has_the_dtype_and_shape_that_np_array_gives(array, dtype, shape):
    x = Tensor(array)
    assert (x.dtype, x.shape) == (dtype, shape)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_dtype_may_be_a_name_or_a_numpy_type(dtype):
    assert Tensor([1, 2], dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_tensor_made_of_a_tensor_keeps_dtype_and_device(dtype):
    x = Tensor([1, 2], dtype=dtype, device=ndl.cpu())
    assert (Tensor(x).dtype, Tensor(x).device) == (dtype, ndl.cpu())


def test_a_tensor_made_of_a_tensor_may_change_its_dtype():
    x = Tensor(Tensor([1.5, 2.0]), dtype="float32", device=ndl.cpu())
    assert x.dtype == "float32"


def test_a_tensor_made_of_a_tensor_is_a_leaf():
    x = Tensor(Tensor([1.0]) * 2)
    assert x.op is None and x.requires_grad


@pytest.mark.parametrize("wrap", [np.array, backend_ndarray.array, Tensor], ids=["array", "NDArray", "Tensor"])
def test_a_tensor_copies_its_input(wrap):
    source = wrap([1.0, 2.0])
    x = Tensor(source)
    (source.cached_data if isinstance(source, Tensor) else source)[0] = 100
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_a_tensor_copies_its_input_also_when_the_dtype_is_named():
    source = np.ones(2, "float32")
    x = Tensor(source, dtype="float32", device=ndl.cpu())
    source[0] = 100
    np.testing.assert_array_equal(x.numpy(), [1, 1])


@pytest.mark.parametrize(
    "given, held", [({}, True), ({"requires_grad": True}, True), ({"requires_grad": False}, False)]
)
def test_requires_grad(given, held):
    assert Tensor([1.0], **given).requires_grad is held


def test_the_default_device_is_the_cpu():
    assert Tensor([1.0]).device == ndl.cpu()


def test_integers_stay_integers_and_can_be_differentiated():
    x = Tensor([6])
    y = x * x
    y.backward()
    assert np.issubdtype(y.dtype, np.integer)
    np.testing.assert_array_equal(x.grad.numpy(), [12])


# What a Tensor answers


def test_a_leaf_answers_as_a_value():
    x = Tensor([1.0])
    assert isinstance(x, Value)
    assert x.op is None
    assert x.is_leaf()
    assert len(x.inputs) == 0
    assert x.grad is None


def test_a_result_answers_as_a_value():
    x = Tensor([1.0])
    y = x + 1
    assert isinstance(y, Value)
    assert isinstance(y.op, ops.AddScalar)
    assert not y.is_leaf()
    assert len(y.inputs) == 1 and y.inputs[0] is x
    assert y.requires_grad


def test_make_const_is_a_leaf_without_gradient():
    x = Tensor.make_const(np.array([1.0, 2.0]))
    assert isinstance(x, Tensor)
    assert x.op is None and not x.requires_grad
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_make_const_may_require_a_gradient():
    x = Tensor.make_const(np.array([1.0, 2.0]), requires_grad=True)
    (x * x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


def test_make_from_op_applies_the_op():
    x = Tensor([1.0, 2.0])
    y = Tensor.make_from_op(ops.MulScalar(3), [x])
    y.backward()
    np.testing.assert_array_equal(y.numpy(), [3, 6])
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])


def test_a_value_can_be_made_without_a_tensor():
    value = Value.make_const(np.array([1.0, 2.0]))
    assert isinstance(value, Value)
    assert value.op is None and value.is_leaf() and not value.requires_grad and len(value.inputs) == 0
    for array in (value.cached_data, value.realize_cached_data()):
        np.testing.assert_array_equal(array, [1, 2])


def test_a_gradient_may_be_taken_away_or_put_in_place():
    x = Tensor([1.0, 2.0])
    (x * 3).backward()
    x.grad = x.grad * 0.5
    np.testing.assert_array_equal(x.grad.numpy(), [1.5, 1.5])
    x.grad = None
    assert x.grad is None


def test_an_update_written_with_arrays():
    w = Tensor(np.ones(3), dtype="float32")
    (w * w).sum().backward()
    w = Tensor(w.realize_cached_data() - 0.25 * w.grad.realize_cached_data())
    assert w.op is None and w.requires_grad and w.dtype == "float32"
    np.testing.assert_array_equal(w.numpy(), [0.5] * 3)


def test_numpy_is_a_copy():
    x = Tensor([1.0, 2.0])
    x.numpy()[0] = 100
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_numpy_is_a_plain_array():
    assert type(Tensor([1.0, 2.0]).numpy()) is np.ndarray


def test_numpy_of_a_scalar_result_has_shape_empty():
    assert Tensor([1.0, 2.0]).sum().numpy().shape == ()


@pytest.mark.parametrize("read", [lambda x: x.detach(), lambda x: x.data], ids=["detach", "data"])
def test_detached_means_a_constant_of_the_same_value(read):
    x = Tensor([1.0, 2.0]) * 2
    y = read(x)
    assert isinstance(y, Tensor)
    assert y.op is None and not y.requires_grad and y.is_leaf()
    assert (y.dtype, y.shape, y.device) == (x.dtype, x.shape, x.device)
    np.testing.assert_array_equal(y.numpy(), [2, 4])


def test_no_gradient_flows_through_detach():
    x = Tensor([3.0])
    (x * x.detach()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3])


def test_assigning_data_replaces_the_array():
    w = Tensor([1.0, 2.0])
    old = w.cached_data
    w.data = Tensor([5.0, 6.0])
    np.testing.assert_array_equal(w.numpy(), [5, 6])
    np.testing.assert_array_equal(old, [1, 2])


def test_assigning_data_leaves_a_leaf_that_requires_grad():
    w = Tensor([1.0, 2.0])
    w.data = w.data - 0.1 * (w * 3).data
    assert w.op is None and w.requires_grad
    (w * w).backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * np.array([0.7, 1.4]))


def test_a_recorded_graph_keeps_the_value_that_it_used():
    x, w = Tensor([3.0]), Tensor([2.0])
    y = x * w
    w.data = Tensor([100.0])
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2])


def test_assigning_data_of_another_dtype_is_refused():
    w = Tensor([1.0], dtype="float32")
    with pytest.raises((AssertionError, TypeError, ValueError)):
        w.data = Tensor([1.0], dtype="float64")


def test_tensors_can_be_keys():
    x, y = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    assert {x: "x", y: "y"}[y] == "y"


# cached_data: live, writable, an NDArray


def leaf():
    return Tensor([1.0, 2.0])


def gradient():
    x = Tensor([[1.0, 2.0]])
    (x * x).sum().backward()
    return x.grad


def gradient_of_a_sum():
    x = Tensor([[1.0, 2.0]])
    x.sum().backward()
    return x.grad


MAKERS = {
    "leaf": leaf,
    "0-d leaf": lambda: Tensor(2.0),
    "parameter": lambda: ndl.nn.Parameter(leaf()),
    "gradient": gradient,
    "gradient of a sum": gradient_of_a_sum,
    "sum": lambda: leaf().sum(),
    "addition": lambda: leaf() + leaf(),
    "scaling": lambda: leaf() * 2,
    "reshape": lambda: leaf().reshape((2, 1)),
    "broadcast_to": lambda: leaf().broadcast_to((3, 2)),
    "transpose": lambda: Tensor([[1.0, 2.0]]).transpose(),
    "detach": lambda: leaf().detach(),
    "stack": lambda: ndl.stack([leaf(), leaf()], 0),
    "split": lambda: ndl.split(Tensor([[1.0, 2.0], [3.0, 4.0]]), 1)[0],
    "flip": lambda: ndl.flip(leaf(), (0,)),
    "ones": lambda: ndl.init.ones(2, 2),
    "rand": lambda: ndl.init.rand(2, 2),
}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
each_reader = pytest.mark.parametrize(
    "read", [lambda x: x.cached_data, lambda x: x.realize_cached_data()], ids=["cached_data", "realize_cached_data"]
)


@each_maker
@each_reader
def test_the_array_is_a_writable_ndarray(make, read):
    array = read(make())
    assert isinstance(array, backend_ndarray.NDArray)
    assert isinstance(array, np.ndarray)
    assert array.flags.writeable


@each_maker
@each_reader
def test_the_array_is_live(make, read):
    x = make()
    before = x.numpy()
    read(x).flat[0] += 1
    assert x.numpy().flat[0] == before.flat[0] + 1
    np.testing.assert_array_equal((x * 2).numpy(), 2 * x.numpy())


@each_maker
def test_the_array_has_numpy_which_is_a_plain_copy(make):
    x = make()
    before = x.numpy()
    copy = x.cached_data.numpy()
    assert type(copy) is np.ndarray
    copy += 1
    np.testing.assert_array_equal(x.numpy(), before)


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_the_array_may_be_updated_in_place_through_the_attribute(shape):
    x = Tensor(np.ones(shape))
    x.cached_data -= 0.25
    np.testing.assert_array_equal(x.numpy(), np.full(shape, 0.75))


def test_writing_into_a_broadcast_result_leaves_its_argument_alone():
    x = leaf()
    x.broadcast_to((3, 2)).cached_data[0, 0] = 100
    np.testing.assert_array_equal(x.numpy(), [1, 2])


# dtypes

NUMBERS = [2, 2.5, -1, 0.5]
SCALAR_OPERATIONS = {
    "x + c": lambda x, c: x + c,
    "c + x": lambda x, c: c + x,
    "x - c": lambda x, c: x - c,
    "c - x": lambda x, c: c - x,
    "x * c": lambda x, c: x * c,
    "c * x": lambda x, c: c * x,
    "x / c": lambda x, c: x / c,
    "c / x": lambda x, c: c / x,
    "x ** c": lambda x, c: x**c,
    "2 ** x * c": lambda x, c: 2**x * c,
}
each_scalar_operation = pytest.mark.parametrize("operation", SCALAR_OPERATIONS.values(), ids=SCALAR_OPERATIONS)


@pytest.mark.parametrize("number", [*NUMBERS, np.float64(2.5), np.float32(2.5), np.int64(2)])
@each_scalar_operation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_never_promotes(operation, number, dtype):
    x = Tensor([1.0, 2.0], dtype=dtype)
    y = operation(x, number)
    y.backward()
    assert isinstance(y, Tensor)
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)


@pytest.mark.parametrize("number", NUMBERS)
@each_scalar_operation
def test_operators_with_numbers_compute_what_numpy_computes(operation, number):
    values = np.array([1.0, 2.0, 0.25])
    np.testing.assert_allclose(operation(Tensor(values), number).numpy(), operation(values, number), rtol=1e-14)


@pytest.mark.parametrize("number", NUMBERS)
@each_scalar_operation
def test_gradients_of_operators_with_numbers(operation, number):
    assert_backward_gradients(lambda x: operation(x, number), Tensor([1.0, 2.0, 0.25]))


@pytest.mark.parametrize("first", ["float32", "float64", "int32", "int64", "uint8", "float16"])
@pytest.mark.parametrize("second", ["float32", "float64", "int32"])
def test_two_tensors_promote_as_arrays_do(first, second):
    x, y = Tensor([1, 2], dtype=first), Tensor([3, 4], dtype=second)
    assert (x * y).dtype == np.result_type(first, second)


def test_the_gradient_of_a_promoted_argument_has_its_own_shape_and_value():
    x, y = Tensor([1.0, 2.0], dtype="float32"), Tensor([3.0, 4.0], dtype="float64")
    (x * y).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 4])
    np.testing.assert_array_equal(y.grad.numpy(), [1, 2])


def test_an_integer_tensor_and_a_fraction_lose_nothing():
    np.testing.assert_array_equal((Tensor([3]) * 0.5).numpy(), [1.5])
    np.testing.assert_array_equal((Tensor([3]) / 2).numpy(), [1.5])


def test_dtype_compares_equal_to_its_name():
    assert Tensor([1.0], dtype="float32").dtype == "float32"
    assert Tensor([1.0]).dtype != "float32"


# Operators and methods

BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
each_operator = pytest.mark.parametrize("operation", BINARY.values(), ids=BINARY)


@each_operator
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,))])
def test_operators_between_tensors_compute_what_numpy_computes(operation, shapes):
    rng = np.random.default_rng(2)
    a, b = (rng.uniform(0.5, 2, size=shape) for shape in shapes)
    np.testing.assert_allclose(operation(Tensor(a), Tensor(b)).numpy(), operation(a, b), rtol=1e-15)


@each_operator
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,))])
def test_gradients_of_operators_between_tensors(operation, shapes):
    rng = np.random.default_rng(2)
    assert_backward_gradients(operation, *(Tensor(rng.uniform(0.5, 2, size=shape)) for shape in shapes))


def test_matmul_and_negation_are_operators():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal((Tensor(a) @ Tensor(b)).numpy(), a @ b)
    np.testing.assert_array_equal((-Tensor(a)).numpy(), -a)


@pytest.mark.parametrize(
    "method, expected",
    [
        (lambda x: x.sum(), lambda a: a.sum()),
        (lambda x: x.sum(axes=None), lambda a: a.sum()),
        (lambda x: x.sum(1), lambda a: a.sum(1)),
        (lambda x: x.sum((0, 1)), lambda a: a.sum((0, 1))),
        (lambda x: x.sum(axes=(0,)), lambda a: a.sum(0)),
        (lambda x: x.sum(axes=-1), lambda a: a.sum(-1)),
        (lambda x: x.reshape((4, 6)), lambda a: a.reshape(4, 6)),
        (lambda x: x.reshape(shape=(24,)), lambda a: a.reshape(24)),
        (lambda x: x.broadcast_to((2, 2, 3, 4)), lambda a: np.broadcast_to(a, (2, 2, 3, 4))),
        (lambda x: x.broadcast_to(shape=(2, 2, 3, 4)), lambda a: np.broadcast_to(a, (2, 2, 3, 4))),
        (lambda x: x.transpose(), lambda a: a.swapaxes(1, 2)),
        (lambda x: x.transpose(axes=None), lambda a: a.swapaxes(1, 2)),
        (lambda x: x.transpose((0, 1)), lambda a: a.swapaxes(0, 1)),
        (lambda x: x.transpose(axes=(0, 2)), lambda a: a.swapaxes(0, 2)),
        (lambda x: x.matmul(x.transpose()), lambda a: a @ a.swapaxes(1, 2)),
    ],
)
def test_methods(method, expected):
    array = np.random.default_rng(3).normal(size=(2, 3, 4))
    assert_backward_gradients(method, Tensor(array))
    np.testing.assert_allclose(method(Tensor(array)).numpy(), expected(array), rtol=1e-12, atol=1e-13)


# Node structure


@pytest.mark.parametrize(
    "operation, op, scalar",
    [
        (lambda a: a + 2, ops.AddScalar, 2),
        (lambda a: 2 + a, ops.AddScalar, 2),
        (lambda a: a - 2, ops.AddScalar, -2),
        (lambda a: a * 3, ops.MulScalar, 3),
        (lambda a: 3 * a, ops.MulScalar, 3),
        (lambda a: a / 5, ops.DivScalar, 5),
        (lambda a: a**2, ops.PowerScalar, 2),
        (lambda a: a + np.float64(2), ops.AddScalar, 2),
        (lambda a: np.float64(3) * a, ops.MulScalar, 3),
    ],
)
def test_a_number_is_an_attribute_of_one_node(operation, op, scalar):
    a = Tensor([1.0, 2.0])
    out = operation(a)
    assert type(out.op) is op
    assert out.op.scalar == scalar
    assert [node is a for node in find_topo_sort([out])] == [True, False]


@pytest.mark.parametrize(
    "operation, op",
    [
        (lambda a, b: a + b, ops.EWiseAdd),
        (lambda a, b: a * b, ops.EWiseMul),
        (lambda a, b: a / b, ops.EWiseDiv),
        (lambda a, b: a**b, ops.EWisePow),
        (lambda a, b: a @ b, ops.MatMul),
    ],
)
def test_an_operator_between_tensors_is_one_node(operation, op):
    a, b = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[5.0, 6.0], [7.0, 8.0]])
    out = operation(a, b)
    assert type(out.op) is op
    assert out.inputs[0] is a and out.inputs[1] is b


def test_subtraction_is_the_sum_with_a_negated_tensor():
    a, b = Tensor([1.0]), Tensor([2.0])
    out = a - b
    assert type(out.op) is ops.EWiseAdd
    assert out.inputs[0] is a
    assert type(out.inputs[1].op) is ops.Negate
    assert out.inputs[1].inputs[0] is b


def op_names(nodes):
    return [type(node.op).__name__ if node.op else "leaf" for node in nodes]


def polynomial():
    a, b = Tensor([[0.9]]), Tensor([[0.7]])
    out = 3 * a * a + 4 * b * a - a
    values = [0.9, 2.7, 2.43, 0.7, 2.8, 2.52, 4.95, -0.9, 4.05]
    names = ["leaf", "MulScalar", "EWiseMul", "leaf", "MulScalar", "EWiseMul", "EWiseAdd", "Negate", "EWiseAdd"]
    return out, [np.array([[value]]) for value in values], names


def products():
    a, b = Tensor([[1.0], [2.0]]), Tensor([[3.0, -1.0]])
    out = 3 * ((b @ a) + (2 * b) @ a) + 1.5
    values = [
        [[3.0, -1.0]],
        [[1.0], [2.0]],
        [[1.0]],
        [[6.0, -2.0]],
        [[2.0]],
        [[3.0]],
        [[9.0]],
        [[10.5]],
    ]
    names = ["leaf", "leaf", "MatMul", "MulScalar", "MatMul", "EWiseAdd", "MulScalar", "AddScalar"]
    return out, values, names


def shared():
    a, b = Tensor([[1.0, 2.0], [0.0, -1.0]]), Tensor([[2.0, 0.0], [1.0, 1.0]])
    out = (a @ b + b - a) @ a
    values = [
        [[1.0, 2.0], [0.0, -1.0]],
        [[2.0, 0.0], [1.0, 1.0]],
        [[4.0, 2.0], [-1.0, -1.0]],
        [[6.0, 2.0], [0.0, 0.0]],
        [[-1.0, -2.0], [0.0, 1.0]],
        [[5.0, 0.0], [0.0, 1.0]],
        [[5.0, 10.0], [0.0, -1.0]],
    ]
    return out, values, ["leaf", "leaf", "MatMul", "EWiseAdd", "Negate", "EWiseAdd", "MatMul"]


def diamond():
    a = Tensor([2.0])
    b = a + 1
    out = b * (b - a)
    return out, [[2.0], [3.0], [-2.0], [1.0], [3.0]], ["leaf", "AddScalar", "Negate", "EWiseAdd", "EWiseMul"]


def right_before_left_is_not_the_order():
    a, b = Tensor([2.0]), Tensor([5.0])
    out = (b / 5) / (a**2)
    return out, [[5.0], [1.0], [2.0], [4.0], [0.25]], ["leaf", "DivScalar", "leaf", "PowerScalar", "EWiseDiv"]


GRAPHS = [polynomial, products, shared, diamond, right_before_left_is_not_the_order]


@pytest.mark.parametrize("graph", GRAPHS)
def test_topological_order_is_post_order_from_left_to_right(graph):
    out, values, names = graph()
    order = find_topo_sort([out])
    assert op_names(order) == names
    for node, value in zip(order, values, strict=True):
        np.testing.assert_allclose(node.numpy(), value, rtol=1e-12)


@pytest.mark.parametrize("graph", GRAPHS)
def test_topo_sort_dfs_appends_the_same_order(graph):
    out, _, names = graph()
    order = []
    autograd.topo_sort_dfs(out, set(), order)
    assert op_names(order) == names


def test_topological_order_of_two_outputs_lists_what_they_share_once():
    a = Tensor([2.0])
    b = a * 3
    c, d = b + 1, b * a
    order = find_topo_sort([c, d])
    assert op_names(order) == ["leaf", "MulScalar", "AddScalar", "EWiseMul"]
    assert [any(node is tensor for node in order) for tensor in (a, b, c, d)] == [True] * 4


def test_topological_order_lists_a_tensor_used_twice_once():
    a = Tensor([2.0])
    assert op_names(find_topo_sort([a * a])) == ["leaf", "EWiseMul"]


def test_sum_node_list_adds_up():
    tensors = [Tensor([1.0]), Tensor([2.0]), Tensor([4.0])]
    total = autograd.sum_node_list(tensors)
    total.backward()
    np.testing.assert_array_equal(total.numpy(), [7])
    np.testing.assert_array_equal([tensor.grad.numpy() for tensor in tensors], [[1]] * 3)


def test_sum_node_list_of_one_is_that_one():
    np.testing.assert_array_equal(autograd.sum_node_list([Tensor([3.0])]).numpy(), [3])


# Constants


CONSTANT_RESULTS = {
    "add": lambda a, b: a + b,
    "scale": lambda a, b: a * 2,
    "matmul": lambda a, b: a @ b,
    "exp": lambda a, b: ndl.exp(a),
    "sum": lambda a, b: a.sum(),
    "stack": lambda a, b: ndl.stack([a, b], 0),
}
each_result = pytest.mark.parametrize("operation", CONSTANT_RESULTS.values(), ids=CONSTANT_RESULTS)


@each_result
def test_an_op_on_constants_gives_a_detached_constant(operation):
    a = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=False)
    out = operation(a, Tensor(a, requires_grad=False))
    assert isinstance(out, Tensor)
    assert out.op is None and not out.requires_grad and len(out.inputs) == 0


@each_result
def test_one_input_that_requires_grad_is_enough_to_record(operation):
    a = Tensor([[1.0, 2.0], [3.0, 4.0]])
    out = operation(a, Tensor(a, requires_grad=False))
    assert out.op is not None and out.requires_grad


# backward


@pytest.mark.parametrize(
    "function, shapes",
    [
        (lambda a, b, c: ndl.summation((a @ b + c) * (a @ b)), [(3, 4), (4, 2), (3, 2)]),
        (lambda a, b: ndl.summation(ndl.broadcast_to(a, shape=(3, 4)) * b), [(3, 1), (3, 4)]),
        (lambda a, b, c: ndl.summation(ndl.reshape(a, shape=(4, 3)) @ b / 5 + c), [(12,), (3, 2), (4, 2)]),
        (lambda a: ndl.summation(ndl.exp(a) * ndl.tanh(a) + ndl.logsumexp(a)), [(2, 3)]),
        (lambda a, b: a * b / (a * a + b * b) - a, [(2, 3), (3,)]),
        (lambda a: (a.transpose() @ a).reshape((9,)) ** 3, [(2, 3)]),
    ],
)
def test_backward_of_a_composition_is_the_slope(function, shapes):
    rng = np.random.default_rng(4)
    assert_backward_gradients(function, *(Tensor(rng.normal(size=shape)) for shape in shapes))


def test_backward_reaches_intermediate_nodes():
    a, b = Tensor([2.0, 3.0]), Tensor([5.0, 7.0])
    h = a * b
    k = h * h
    y = k.sum()
    y.backward()
    np.testing.assert_array_equal(y.grad.numpy(), 1)
    np.testing.assert_array_equal(k.grad.numpy(), [1, 1])
    np.testing.assert_array_equal(h.grad.numpy(), [20, 42])
    np.testing.assert_array_equal(a.grad.numpy(), [100, 294])


def test_backward_starts_from_ones_of_the_output_shape():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    (x * x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.numpy())


@pytest.mark.parametrize("call", [lambda y, g: y.backward(g), lambda y, g: y.backward(out_grad=g)])
def test_backward_starts_from_what_it_is_given(call):
    x = Tensor([1.0, 2.0])
    call(x * x, Tensor([10.0, 100.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [20, 400])


def test_backward_of_a_leaf_is_its_out_grad():
    x = Tensor([1.0, 2.0])
    x.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1])


def test_partial_adjoints_add_up():
    x = Tensor([3.0])
    (x * x + x * 5 + x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [12])


def test_a_second_backward_overwrites():
    x = Tensor([3.0])
    (x * x).backward()
    (x * 5).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5])


def test_backward_twice_on_one_graph_gives_the_same():
    x = Tensor([3.0])
    y = x * x
    y.backward()
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [6])


def test_a_tensor_that_was_not_reached_has_no_gradient():
    x, z = Tensor([3.0]), Tensor([4.0])
    (x * 2).backward()
    assert z.grad is None


def test_the_gradient_is_a_tensor_with_shape_dtype_and_device_of_its_own():
    x = Tensor(np.ones((1, 3)), dtype="float32", device=ndl.cpu())
    (x + Tensor(np.ones((2, 3)), dtype="float32")).sum().backward()
    assert isinstance(x.grad, Tensor)
    assert (x.grad.shape, x.grad.dtype, x.grad.device) == ((1, 3), "float32", ndl.cpu())


def test_the_gradient_of_a_gradient_at_integers():
    x, z = Tensor([6]), Tensor([0])
    y = x * x + x * z
    y.backward()
    slope_x, slope_z = x.grad, z.grad
    slope_x.backward()
    np.testing.assert_array_equal([y.numpy(), slope_x.numpy(), slope_z.numpy()], [[36], [12], [6]])
    np.testing.assert_array_equal([x.grad.numpy(), z.grad.numpy()], [[2], [1]])


@pytest.mark.parametrize(
    "function, derivatives",
    [
        (lambda x: x**4, [lambda x: 4 * x**3, lambda x: 12 * x**2, lambda x: 24 * x, lambda x: 24 + 0 * x]),
        (ndl.exp, [np.exp] * 4),
        (ndl.log, [lambda x: 1 / x, lambda x: -(x**-2), lambda x: 2 * x**-3, lambda x: -6 * x**-4]),
        (lambda x: 1 / x, [lambda x: -(x**-2), lambda x: 2 * x**-3, lambda x: -6 * x**-4]),
        (lambda x: x * x * x, [lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6 + 0 * x]),
        (
            ndl.tanh,
            [
                lambda x: 1 - np.tanh(x) ** 2,
                lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
                lambda x: (1 - np.tanh(x) ** 2) * (6 * np.tanh(x) ** 2 - 2),
            ],
        ),
    ],
)
def test_backward_of_a_gradient_is_the_next_derivative(function, derivatives):
    x = Tensor([0.5, 1.5, 2.0])
    y = function(x)
    for derivative in derivatives:
        y.backward()
        y = x.grad
        np.testing.assert_allclose(y.numpy(), derivative(x.numpy()), rtol=1e-9, atol=1e-12)


def test_compute_gradient_of_variables_fills_the_gradients():
    a, b = Tensor([2.0]), Tensor([3.0])
    h = a * b
    autograd.compute_gradient_of_variables(h * a, Tensor([10.0]))
    np.testing.assert_array_equal([a.grad.numpy(), b.grad.numpy(), h.grad.numpy()], [[120], [40], [20]])


def lecture_walk(out):
    """Reverse mode as the lecture writes it, on top of the names that a student has."""
    node_to_grad = {out: [Tensor(np.ones(out.shape))]}
    for node in reversed(find_topo_sort([out])):
        node.grad = autograd.sum_node_list(node_to_grad[node])
        if node.op is None:
            continue
        for value, partial in zip(node.inputs, node.op.gradient_as_tuple(node.grad, node), strict=True):
            node_to_grad.setdefault(value, []).append(partial)


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_lectures_walk_can_be_written_on_top(graph):
    out, _, _ = graph()
    order = find_topo_sort([out])
    lecture_walk(out)
    written = [node.grad.numpy() for node in order]
    out.backward()
    for node, gradient in zip(order, written):
        np.testing.assert_allclose(node.grad.numpy(), gradient, rtol=1e-12)


# Students' own ops


class Square(TensorOp):
    def compute(self, a):
        assert isinstance(a, np.ndarray) and not isinstance(a, Value)
        return a * a

    def gradient(self, out_grad, node):
        return out_grad * node.inputs[0] * 2


class Hinge(TensorOp):
    """max(0, x), with the mask taken from the array as many course solutions do."""

    def compute(self, a):
        return np.maximum(a, 0)

    def gradient(self, out_grad, node):
        return out_grad * Tensor(node.inputs[0].realize_cached_data() > 0)


class ScaledProduct(TensorOp):
    def __init__(self, scale, container):
        self.scale = scale
        self.container = container

    def compute(self, a, b):
        return self.scale * a * b

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return self.container((self.scale * out_grad * b, self.scale * out_grad * a))


class Exponential(TensorOp):
    """Its gradient uses the node itself."""

    def compute(self, a):
        return np.exp(a)

    def gradient(self, out_grad, node):
        return (out_grad * node,)


class Total(TensorOp):
    """Its `compute` gives NumPy's scalar, not an array."""

    def compute(self, a):
        return np.sum(a)

    def gradient(self, out_grad, node):
        return ops.broadcast_to(out_grad, node.inputs[0].shape)


class SumAndProduct(TensorTupleOp):
    def compute(self, a, b):
        return (a + b, a * b)

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return out_grad[0] + out_grad[1] * b, out_grad[0] + out_grad[1] * a


class Join(TensorOp):
    """Stacks the members of a TensorTuple, which is its one input."""

    def compute(self, arrays):
        return np.stack(list(arrays), axis=0)

    def gradient(self, out_grad, node):
        return ops.split(out_grad, 0)


@pytest.mark.parametrize(
    "op, arguments",
    [
        (Square(), [[1.0, -2.0]]),
        (Hinge(), [[1.0, -2.0, 0.5]]),
        (Exponential(), [[1.0, -2.0]]),
        (Total(), [[[1.0, -2.0], [0.5, 3.0]]]),
        (ScaledProduct(3.0, tuple), [[1.0, -2.0], [0.5, 4.0]]),
        (ScaledProduct(3.0, list), [[1.0, -2.0], [0.5, 4.0]]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("check", [assert_op_gradients, assert_backward_gradients])
def test_an_op_with_compute_and_gradient_is_enough(check, op, arguments):
    check(op, *[Tensor(argument) for argument in arguments])


def test_an_own_op_makes_an_ordinary_node():
    x, op = Tensor([1.0, 2.0]), Square()
    y = op(x)
    assert isinstance(y, Tensor) and y.op is op
    assert y.inputs[0] is x
    assert op_names(find_topo_sort([y])) == ["leaf", "Square"]


@pytest.mark.parametrize("op", [Square(), Exponential(), ScaledProduct(2, list)], ids=lambda op: type(op).__name__)
def test_gradient_as_tuple_is_always_a_tuple(op):
    out = op(*[Tensor([3.0])] * (2 if isinstance(op, ScaledProduct) else 1))
    gradients = op.gradient_as_tuple(Tensor([1.0]), out)
    assert type(gradients) is tuple
    assert all(isinstance(gradient, Tensor) for gradient in gradients)


def test_an_own_op_is_differentiable_twice():
    x = Tensor([3.0])
    y = Square()(x) * x
    for expected in (27.0, 18.0, 6.0):
        y.backward()
        y = x.grad
        np.testing.assert_allclose(y.numpy(), [expected])


def test_a_mask_taken_from_the_array_is_a_constant_of_the_second_derivative():
    x = Tensor([3.0, -2.0])
    y = Hinge()(x) ** 2
    for expected in ([6.0, 0.0], [2.0, 0.0]):
        y.backward()
        y = x.grad
        np.testing.assert_array_equal(y.numpy(), expected)


def test_an_own_op_that_gives_a_scalar():
    out = Total()(Tensor([1.0, 2.0]))
    assert isinstance(out.cached_data, backend_ndarray.NDArray)
    assert (out.shape, float(out.numpy())) == ((), 3.0)


def test_an_own_op_inside_a_composition():
    assert_backward_gradients(
        lambda a, b: ndl.summation(Square()(Hinge()(a @ b)) + Exponential()(a @ b)),
        Tensor([[1.0, -2.0]]),
        Tensor([[0.5, 1.0], [1.0, 0.25]]),
    )


def test_an_own_op_on_constants_is_constant():
    y = Square()(Tensor([3.0], requires_grad=False))
    assert y.op is None and not y.requires_grad


def test_an_own_tuple_op():
    out = SumAndProduct()(Tensor([2.0]), Tensor([5.0]))
    assert isinstance(out, TensorTuple)
    np.testing.assert_array_equal([part.numpy() for part in out], [[7], [10]])


@pytest.mark.parametrize("index", [0, 1])
def test_gradients_of_an_own_tuple_op_of_which_one_part_is_used(index):
    assert_backward_gradients(lambda a, b: SumAndProduct()(a, b)[index], Tensor([2.0, 3.0]), Tensor([5.0, 7.0]))


def test_gradients_of_an_own_tuple_op():
    def function(a, b):
        total, product = SumAndProduct()(a, b)
        return total * total * product

    assert_backward_gradients(function, Tensor([2.0, 3.0]), Tensor([5.0, 7.0]))


def test_an_own_op_on_a_tensor_tuple():
    def function(a, b):
        return Join()(ndl.make_tuple(a, b * 2))

    np.testing.assert_array_equal(function(Tensor([1.0]), Tensor([2.0])).numpy(), [[1], [4]])
    assert_backward_gradients(function, Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))


def test_a_plain_gradient_of_ones_may_come_from_a_boolean_mask():
    x = Tensor([1.0, -2.0], dtype="float32")
    Hinge()(x).backward()
    assert x.grad.dtype == "float32"
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0])


# TensorTuple


def test_tensor_tuple_has_length_index_iteration_and_tuple():
    a, b = Tensor([1.0]), Tensor([2.0])
    pair = ndl.make_tuple(a, b)
    assert isinstance(pair, TensorTuple) and isinstance(pair, Value)
    assert len(pair) == 2
    assert type(pair.tuple()) is tuple and len(pair.tuple()) == 2
    for members in (list(pair), pair.tuple(), [pair[0], pair[1]]):
        np.testing.assert_array_equal([member.numpy() for member in members], [[1], [2]])
        assert all(isinstance(member, Tensor) for member in members)


def test_tensor_tuples_add_member_by_member():
    total = ndl.make_tuple(Tensor([1.0]), Tensor([2.0])) + ndl.make_tuple(Tensor([10.0]), Tensor([20.0]))
    assert isinstance(total, TensorTuple)
    np.testing.assert_array_equal([member.numpy() for member in total], [[11], [22]])


def test_detached_tensor_tuple_stops_gradients():
    x = Tensor([3.0])
    pair = ndl.make_tuple(x * 2, x * 5).detach()
    assert isinstance(pair, TensorTuple)
    (x * pair[1]).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [15])


# LAZY_MODE


class CountingSquare(Square):
    def __init__(self):
        self.count = 0

    def compute(self, a):
        self.count += 1
        return a * a


@pytest.fixture
def lazy(monkeypatch):
    monkeypatch.setattr(autograd, "LAZY_MODE", True)


def test_eager_is_the_default():
    op = CountingSquare()
    op(Tensor([3.0]))
    assert autograd.LAZY_MODE is False
    assert op.count == 1


def test_lazy_mode_computes_when_asked_and_once(lazy):
    op = CountingSquare()
    y = op(Tensor([3.0]))
    assert op.count == 0
    np.testing.assert_array_equal([y.numpy(), y.realize_cached_data()], [[9], [9]])
    assert op.count == 1


def test_lazy_mode_computes_what_is_needed_through_a_chain(lazy):
    op = CountingSquare()
    y = op(op(Tensor([3.0]))) + 1
    assert op.count == 0
    np.testing.assert_array_equal(y.numpy(), [82])
    assert op.count == 2


def test_lazy_mode_differentiates(lazy):
    x = Tensor([3.0])
    y = CountingSquare()(x) * x
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [27])


def test_lazy_mode_knows_shapes_and_dtypes(lazy):
    y = Tensor(np.ones((2, 3)), dtype="float32") * 2
    assert (y.shape, y.dtype) == ((2, 3), "float32")


@pytest.mark.parametrize("graph", GRAPHS)
def test_lazy_mode_records_the_same_graph(lazy, graph):
    out, values, names = graph()
    assert op_names(find_topo_sort([out])) == names
    np.testing.assert_allclose(out.numpy(), values[-1], rtol=1e-12)


def train_with_everything():
    """Parameters after two steps of a net with state, chance and several outputs."""
    np.random.seed(9)
    nn = ndl.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.LayerNorm1d(8))
    recurrent = nn.LSTM(8, 3)
    optimizer = ndl.optim.Adam(model.parameters() + recurrent.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.reset_grad()
        output, (h, c) = recurrent(model(ndl.init.rand(6, 4)).reshape((3, 2, 8)))
        (nn.SoftmaxLoss()(output.reshape((6, 3)), Tensor(np.arange(6) % 3)) + h.sum() * c.sum()).backward()
        optimizer.step()
    return [p.numpy() for p in optimizer.params]


def test_lazy_mode_trains_to_the_same_numbers(monkeypatch):
    expected = train_with_everything()
    monkeypatch.setattr(autograd, "LAZY_MODE", True)
    for computed, value in zip(train_with_everything(), expected, strict=True):
        np.testing.assert_array_equal(computed, value)


# TENSOR_COUNTER


@pytest.fixture
def no_collector():
    """Reference counts alone must free graphs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def train(steps):
    nn = ndl.nn
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    optimizer = ndl.optim.Adam(model.parameters(), lr=0.01)
    counts = []
    for _ in range(steps):
        optimizer.reset_grad()
        logits = model(ndl.init.rand(6, 4))
        loss = nn.SoftmaxLoss()(logits, Tensor(np.arange(6) % 3))
        loss.backward()
        optimizer.step()
        del logits, loss
        counts.append(autograd.TENSOR_COUNTER)
    return counts


def test_tensor_counter_is_a_number():
    assert isinstance(autograd.TENSOR_COUNTER, int)
    assert np.array(autograd.TENSOR_COUNTER).dtype.kind == "i"


def test_tensor_counter_counts_live_values(no_collector):
    start = autograd.TENSOR_COUNTER
    x = Tensor([1.0])
    y = x * 2 + 1
    assert autograd.TENSOR_COUNTER == start + 3
    del x, y
    assert autograd.TENSOR_COUNTER == start


def test_tensor_counter_falls_after_backward(no_collector):
    start = autograd.TENSOR_COUNTER
    x = Tensor([1.0])
    y = ndl.exp(x) * x
    y.backward()
    x.grad.backward()
    del x, y
    assert autograd.TENSOR_COUNTER == start


def test_training_keeps_no_graph_from_step_to_step(no_collector):
    counts = train(6)
    assert len(set(counts[1:])) == 1


def test_after_training_and_deletion_few_values_are_left(no_collector):
    train(2)
    start = autograd.TENSOR_COUNTER
    train(20)
    assert autograd.TENSOR_COUNTER == start
    assert autograd.TENSOR_COUNTER <= 1380


@pytest.mark.parametrize("name", ["autograd", "ops", "init", "nn", "optim", "data"])
def test_submodule_is_an_attribute_of_the_package(name):
    assert getattr(ndl, name) is importlib.import_module(f"needle.{name}")
