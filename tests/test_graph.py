"""Nodes and handles: versions, reference counts, depth, copies, recording on and off, lazy values, order."""

import copy
import gc
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import needle as ndl
from needle.graph import Node, topological_order


@pytest.fixture
def no_collector():
    """With the garbage collector off, only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def lazy():
    ndl.autograd.LAZY_MODE = True
    yield
    ndl.autograd.LAZY_MODE = False


# --------------------------------------------------------------------------------------------------------------------
# Node and handle


def test_a_handle_is_the_same_one_while_it_lives():
    x = ndl.Tensor([1.0])
    y = x * 2
    assert y.inputs[0] is x
    assert (y * 3).inputs[0] is y


def test_a_handle_made_on_request_is_the_same_one_while_it_lives():
    z = (ndl.Tensor([1.0]) * 2) * 3
    first = z.inputs[0]
    assert z.inputs[0] is first
    assert first.op.scalar == 2


def test_assigning_data_moves_the_handle_and_leaves_the_graph():
    x, w = ndl.Tensor([3.0]), ndl.Tensor([2.0])
    y = x * w
    w.data = ndl.Tensor([10.0])
    assert y.inputs[1].numpy() == 2.0
    assert y.inputs[1] is not w
    y.backward()
    assert x.grad.numpy() == 2.0
    assert w.grad.numpy() == 3.0


def test_assigning_data_between_two_uses_adds_up_both_adjoints():
    x, w = ndl.Tensor([3.0]), ndl.Tensor([2.0])
    before = x * w
    w.data = ndl.Tensor([10.0])
    (before + w * w).backward()
    assert w.grad.numpy() == 3.0 + 20.0


@pytest.mark.parametrize("uses_current", [True, False])
def test_the_gradient_over_versions_is_differentiable_again(uses_current):
    """L = x·w₀² + [w₁³]: the second derivatives 2x·w₀-wise belong to the values that were used."""
    x, w = ndl.Tensor([3.0]), ndl.Tensor([2.0])
    loss = x * w * w
    w.data = ndl.Tensor([10.0])
    if uses_current:
        loss = loss + w**3
    loss.backward()
    assert w.grad.numpy() == 12.0 + (300.0 if uses_current else 0.0)
    w.grad.backward()
    assert x.grad.numpy() == 4.0
    assert w.grad.numpy() == 6.0 + (60.0 if uses_current else 0.0)


def test_assigning_data_of_an_intermediate_makes_a_leaf_of_its_handle():
    x = ndl.Tensor([1.0])
    y = x * 2
    z = y * 3
    y.data = ndl.Tensor([7.0])
    z.backward()
    assert x.grad.numpy() == 6.0
    assert y.is_leaf()


def test_an_optimizer_step_does_not_change_what_was_recorded():
    x, w = ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0, 4.0])
    loss = (x * w * w).sum()
    loss.backward()
    first = w.grad
    w.data = w.data - 0.1 * first.data
    first.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [2.0, 4.0])  # of w² · x at the old w


def test_writing_into_the_cached_array_is_seen():
    x = ndl.Tensor([1.0, 2.0])
    x.cached_data[0] = 5.0
    assert x.numpy().tolist() == [5.0, 2.0]


def test_setting_requires_grad_of_a_result_is_refused():
    y = ndl.Tensor([1.0]) * 2
    with pytest.raises(RuntimeError, match="computed by MulScalar"):
        y.requires_grad = False


def test_freezing_a_leaf_leaves_its_recorded_uses():
    w = ndl.Tensor([2.0])
    y = w * w
    w.requires_grad = False
    assert not (w * w).requires_grad
    y.backward()
    assert w.grad.numpy() == 4.0


# --------------------------------------------------------------------------------------------------------------------
# Reference counts


def train_step(w, x, keep):
    loss = ndl.ops.tanh(x @ w).sum()
    loss.backward()
    if keep == "second":
        w.grad.sum().backward()
    kept = w.grad
    w.data = w.data - 0.01 * w.grad.data
    return kept if keep else None


@pytest.mark.parametrize("keep", [None, "first", "second"])
def test_live_values_do_not_grow_from_step_to_step(no_collector, keep):
    w = ndl.Tensor(np.random.default_rng(0).normal(size=(5, 4)))
    x = ndl.Tensor(np.ones((3, 5)), requires_grad=False)
    counts = []
    for _ in range(6):
        kept = train_step(w, x, keep)
        counts.append(ndl.autograd.TENSOR_COUNTER)
        del kept
    assert counts[1] == counts[-1]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_deleting_the_output_frees_the_graph_also_when_gradients_were_grown(no_collector, order):
    before = ndl.autograd.TENSOR_COUNTER
    x = ndl.Tensor([0.5, 1.0])
    y = ndl.ops.tanh(x * x)
    for _ in range(order):
        y.backward()
        y = x.grad
    assert ndl.autograd.TENSOR_COUNTER > before
    del x, y
    assert ndl.autograd.TENSOR_COUNTER == before


def test_memory_does_not_grow_from_step_to_step_while_grad_is_kept(no_collector):
    """Each step holds 3 MB; ten steps leave no more behind than the first."""
    w = ndl.Tensor(np.ones(100_000))

    def step():
        loss = (ndl.ops.exp(w * 0.5) * w).sum()
        loss.backward()

    tracemalloc.start()
    step()
    after_one = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        step()
    after_eleven = tracemalloc.get_traced_memory()[0]
    w.grad = None
    at_the_end = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after_eleven < after_one + 100_000
    assert at_the_end < 100_000


def test_a_graph_with_a_grad_inside_it_has_no_cycle(no_collector):
    """w.grad's graph contains w's node, and w holds w.grad: still no cycle through nodes."""
    before = ndl.autograd.TENSOR_COUNTER
    w = ndl.Tensor([2.0])
    (w**3).backward()
    penalty = (w.grad**2).sum() + w.grad.sum()
    penalty.backward()
    del penalty, w
    assert ndl.autograd.TENSOR_COUNTER == before


def test_tensor_tuples_are_freed(no_collector):
    before = ndl.autograd.TENSOR_COUNTER
    x = ndl.Tensor(np.ones((3, 2)))
    parts = ndl.ops.split(x, 0)
    (parts[0] * parts[2]).sum().backward()
    del x, parts
    assert ndl.autograd.TENSOR_COUNTER == before


# --------------------------------------------------------------------------------------------------------------------
# Depth is data


def chain(x, length):
    y = x
    for _ in range(length):
        y = y + x
    return y


def test_a_deep_chain_is_recorded_differentiated_and_freed(no_collector):
    before = ndl.autograd.TENSOR_COUNTER
    x = ndl.Tensor([1.0])
    y = chain(x, 100_000)
    y.backward()
    assert y.item() == x.grad.item() == 100_001
    del y
    x.grad = None
    assert ndl.autograd.TENSOR_COUNTER - before <= 1


def test_the_second_derivative_of_a_deep_chain():
    x = ndl.Tensor([1.0])
    y = x
    for _ in range(20_000):
        y = y + x * 1e-4
    (y * y).backward()
    x.grad.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * 3.0**2, rtol=1e-9)  # y = 3x


@pytest.mark.parametrize("copier", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_the_end_of_a_deep_chain_is_copied_as_a_leaf(copier):
    x = ndl.Tensor([1.0], dtype="float32")
    y = chain(x, 20_000)
    twin = copier(y)
    assert twin.is_leaf()
    assert twin.requires_grad
    assert (twin.dtype, twin.numpy().tolist()) == ("float32", [20_001.0])
    y.backward()
    gradient = copier(x.grad)
    assert gradient.is_leaf()
    assert gradient.item() == 20_001


def test_a_deep_chain_of_tuples():
    x = ndl.Tensor([1.0])
    y = x
    for _ in range(5_000):
        y = ndl.ops.fused_add_scalars(y, 0.0, 1.0)[0]
    y.backward()
    assert x.grad.item() == 1.0


def test_topological_order_of_a_deep_chain():
    x = ndl.Tensor([1.0])
    assert len(ndl.autograd.find_topo_sort([chain(x, 50_000)])) == 50_001


def test_a_lazy_deep_chain(lazy):
    assert chain(ndl.Tensor([1.0]), 20_000).item() == 20_001


# --------------------------------------------------------------------------------------------------------------------
# Copies


class Named(ndl.Tensor):
    """What nn.Parameter is: a Tensor under another name."""


@pytest.mark.parametrize("copier", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("make", [ndl.Tensor, Named])
def test_a_copy_shares_no_memory_and_keeps_class_dtype_and_requires_grad(copier, make):
    x = make([[1, 2]], dtype="float32", requires_grad=False)
    twin = copier(x)
    assert type(twin) is make
    assert (twin.dtype, twin.shape, twin.requires_grad) == ("float32", (1, 2), False)
    twin.cached_data[...] = 7
    assert x.numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("copier", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_keeps_the_attributes_of_a_subclass(copier):
    x = Named([1.0])
    x.group = "decayed"
    assert copier(x).group == "decayed"


def test_a_deepcopy_of_a_structure_keeps_what_is_shared():
    x = ndl.Tensor([1.0])
    a, b = copy.deepcopy([x, x])
    assert a is b


@pytest.mark.parametrize("copier", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_tensor_tuple_is_copied_as_a_leaf(copier):
    parts = ndl.ops.split(ndl.Tensor([[1.0], [2.0]]), 0)
    twin = copier(parts)
    assert twin.is_leaf()
    assert [part.tolist() for part in twin] == [[1.0], [2.0]]


# --------------------------------------------------------------------------------------------------------------------
# Recording on and off


def records():
    return (ndl.Tensor([1.0]) * 2).requires_grad


def test_no_grad_records_nothing_and_restores():
    with ndl.no_grad():
        assert not records()
        with ndl.enable_grad():
            assert records()
            with ndl.no_grad():
                assert not records()
            assert records()
        assert not records()
    assert records()


def test_no_grad_restores_after_an_error():
    with pytest.raises(ZeroDivisionError), ndl.no_grad():
        raise ZeroDivisionError
    assert records()


def test_no_grad_is_a_decorator():
    @ndl.no_grad()
    def quiet(depth):
        return [records(), *(quiet(depth - 1) if depth else [])]

    assert quiet(2) == [False, False, False]
    assert records()


def test_one_no_grad_object_can_be_entered_within_itself():
    block = ndl.no_grad()
    with block:
        with block:
            assert not records()
        assert not records()
    assert records()


def test_enable_grad_is_a_decorator():
    loud = ndl.enable_grad()(records)
    with ndl.no_grad():
        assert loud()
        assert not records()


def test_no_grad_is_per_thread():
    seen = []
    with ndl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(records()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_in_one_thread_while_another_records():
    inside, done = threading.Event(), threading.Event()

    def other():
        with ndl.no_grad():
            inside.set()
            done.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    try:
        assert records()
    finally:
        done.set()
        thread.join()


def test_no_grad_within_a_generator_ends_with_it():
    def numbers():
        with ndl.no_grad():
            yield records()

    assert list(numbers()) == [False]
    assert records()


def test_backward_inside_no_grad_gives_gradients_without_a_graph():
    x = ndl.Tensor([3.0])
    y = x * x
    with ndl.no_grad():
        y.backward()
    assert x.grad.numpy() == 6.0
    assert not x.grad.requires_grad


def test_a_gradient_taken_before_no_grad_can_grow_inside_it():
    x = ndl.Tensor([3.0])
    (x**3).backward()
    with ndl.no_grad():
        assert x.grad.requires_grad
        assert x.grad.op is not None
    x.grad.backward()
    assert x.grad.numpy() == 18.0


# --------------------------------------------------------------------------------------------------------------------
# Lazy values


class Counting(ndl.TensorOp):
    calls = 0

    def compute(self, x):
        Counting.calls += 1
        return x * 2

    def gradient(self, out_grad, node):
        return out_grad * 2


def test_lazy_values_are_computed_once_and_when_asked_for(lazy):
    Counting.calls = 0
    y = Counting()(ndl.Tensor([1.0]))
    z = y + y
    assert Counting.calls == 0
    assert z.item() == 4.0
    assert z.item() == 4.0
    assert Counting.calls == 1


def test_lazy_gradients_are_the_eager_ones(lazy):
    x = ndl.Tensor([0.5, 2.0])
    y = ndl.ops.tanh(x * x).sum()
    y.backward()
    x.grad.sum().backward()
    lazily = x.grad.numpy()
    ndl.autograd.LAZY_MODE = False
    ndl.ops.tanh(x * x).sum().backward()
    x.grad.sum().backward()
    np.testing.assert_allclose(lazily, x.grad.numpy())


def test_lazy_tuples(lazy):
    x = ndl.Tensor([[1.0, 2.0], [3.0, 4.0]])
    a, b = ndl.ops.split(x, 0)
    (a * b).sum().backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_lazy_constants_are_constants(lazy):
    y = ndl.Tensor([1.0], requires_grad=False) * 2
    assert not y.requires_grad
    assert y.item() == 2.0


def test_values_made_lazily_live_on_in_eager_mode():
    ndl.autograd.LAZY_MODE = True
    try:
        y = ndl.Tensor([1.0]) * 2
    finally:
        ndl.autograd.LAZY_MODE = False
    assert (y * 3).item() == 6.0


# --------------------------------------------------------------------------------------------------------------------
# Order


def test_topological_order_is_post_order_each_node_once():
    a, b = ndl.Tensor([1.0]), ndl.Tensor([2.0])
    c = a * b
    d = c + a
    e = d * c
    found = ndl.autograd.find_topo_sort([e])
    assert all(x is y for x, y in zip(found, [a, b, c, d, e], strict=True))


def test_topological_order_enters_only_where_it_is_asked_to():
    a = ndl.Tensor([1.0])
    b = a * 2
    c = b * 3
    assert topological_order([c.node], into=lambda node: node is not a.node) == [b.node, c.node]


def test_the_counter_counts_nodes(no_collector):
    before = ndl.autograd.TENSOR_COUNTER
    x = ndl.Tensor([1.0])
    y = x * 2 + 1
    assert ndl.autograd.TENSOR_COUNTER == before + 3
    assert isinstance(y.node, Node)
