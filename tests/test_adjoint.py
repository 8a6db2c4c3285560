"""The reverse walk: higher orders, adjoints that grow, seeds, tuples, hooks, accumulation, users' own ops."""

import mpmath
import numpy as np
import pytest

import needle as ndl
from needle import Tensor, TensorOp, TensorTupleOp, ops


def derivatives(function, points, order):
    """f, f′, …, by gradient of gradient, each as an array."""
    x = Tensor(points)
    out, result = function(x), []
    for _ in range(order + 1):
        result.append(out.numpy())
        if out.requires_grad:
            x.grad = None
            out.backward()
            out = ndl.zeros_like(x) if x.grad is None else x.grad
        else:
            out = ndl.zeros_like(x)
    return result


# --------------------------------------------------------------------------------------------------------------------
# Gradient of gradient


SMOOTH = {
    "sin": (ops.sin, mpmath.sin),
    "exp(-x²)": (lambda x: ops.exp(-(x**2)), lambda x: mpmath.exp(-(x**2))),
    "tanh": (ops.tanh, mpmath.tanh),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    "1/(1+x²)": (lambda x: 1 / (1 + x * x), lambda x: 1 / (1 + x**2)),
    "log(2+sin x)": (lambda x: ops.log(2 + ops.sin(x)), lambda x: mpmath.log(2 + mpmath.sin(x))),
    "sqrt(1+x²)": (lambda x: ops.sqrt(1 + ops.square(x)), lambda x: mpmath.sqrt(1 + x**2)),
    "(1+x²)ˣ": (lambda x: ops.power(1 + x * x, x), lambda x: (1 + x**2) ** x),
    "x³/eˣ": (lambda x: x**3 / ops.exp(x), lambda x: x**3 / mpmath.exp(x)),
    "2ˣ·arctan x": (lambda x: 2**x * ops.arctan(x), lambda x: 2**x * mpmath.atan(x)),
    "softplus": (ops.softplus, lambda x: mpmath.log(1 + mpmath.exp(x))),
    "tan(x/2)": (lambda x: ops.tan(x / 2), lambda x: mpmath.tan(x / 2)),
    "log1p(expm1(x)²)": (lambda x: ops.log1p(ops.expm1(x) ** 2), lambda x: mpmath.log(1 + mpmath.expm1(x) ** 2)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_up_to_the_sixth_are_exact(name):
    """Against 40 digits: a few hundred roundings and cancelling terms of size 1000 leave 1e-9."""
    function, exact = SMOOTH[name]
    points = [-1.3, 0.0, 0.4, 2.0]
    with mpmath.workdps(40):
        expected = [[float(mpmath.diff(exact, point, order)) for point in points] for order in range(7)]
    for order, (found, expect) in enumerate(zip(derivatives(function, points, 6), expected)):
        np.testing.assert_allclose(found, expect, rtol=1e-9, atol=1e-9, err_msg=f"order {order}")


@pytest.mark.parametrize("order", range(8))
def test_derivatives_of_a_power_end_in_zero(order):
    found = derivatives(lambda x: x**5, [0.0, 2.0], 7)[order]
    factor = np.prod([5.0 - k for k in range(order)])
    np.testing.assert_allclose(found, [factor * 0.0 ** max(5 - order, 0), factor * 2.0 ** max(5 - order, 0)])


def test_mixed_partial_derivatives_commute():
    x, y = Tensor([0.5]), Tensor([1.5])
    f = ops.sin(x * y) * ops.exp(x)
    f.backward()
    by_x, by_y = x.grad, y.grad
    by_x.backward()
    xy = y.grad.numpy()
    by_y.backward()
    np.testing.assert_allclose(xy, x.grad.numpy())
    expected = (np.cos(0.75) - 0.75 * np.sin(0.75) + 0.5 * np.cos(0.75)) * np.exp(0.5)
    np.testing.assert_allclose(xy, expected)


# --------------------------------------------------------------------------------------------------------------------
# Adjoints that grow


def test_a_gradient_is_a_tensor_with_op_and_inputs():
    x = Tensor([3.0])
    (x**3).backward()
    assert x.grad.requires_grad
    assert x.grad.op is not None
    assert x.grad.inputs
    assert not x.grad.is_leaf()


def test_a_constant_gradient_is_a_constant():
    x = Tensor([3.0])
    (x * 2).backward()
    assert not x.grad.requires_grad
    assert x.grad.op is None
    assert x.grad.is_leaf()


def test_gradients_of_intermediates_can_be_differentiated():
    """z = y², y = x³: ∂z/∂y = 2y, so its derivative in x is 6x²."""
    x = Tensor([2.0])
    y = x**3
    z = y**2
    z.backward()
    assert y.grad.numpy() == 16.0
    y.grad.backward()
    assert x.grad.numpy() == 24.0


def test_a_gradient_inside_a_loss():
    """L = Σ (∂Σsin(xw)/∂x)² = Σ (w cos(xw))²; ∂L/∂w = 2w cos²(xw) - 2w²x cos(xw) sin(xw)."""
    x, w = Tensor([0.3, 0.8]), Tensor([1.5, 0.7])
    ops.sin(x * w).sum().backward()
    (x.grad**2).sum().backward()
    a, b = np.array([0.3, 0.8]), np.array([1.5, 0.7])
    c, s = np.cos(a * b), np.sin(a * b)
    np.testing.assert_allclose(w.grad.numpy(), 2 * b * c**2 - 2 * b**2 * a * c * s)


def test_a_gradient_used_twice_and_beside_what_it_came_from():
    x = Tensor([1.2])
    y = x**3
    y.backward()
    g = x.grad
    (y * g + g * g).backward()  # 3x⁵ + 9x⁴
    np.testing.assert_allclose(x.grad.numpy(), 15 * 1.2**4 + 36 * 1.2**3)


def test_gradients_of_several_inputs_grow_together():
    x, y = Tensor([2.0]), Tensor([3.0])
    (x * x * y).backward()
    gx, gy = x.grad, y.grad
    (gx * gy).backward()  # 2xy · x² = 2x³y
    np.testing.assert_allclose([x.grad.item(), y.grad.item()], [6 * 4 * 3, 2 * 8])


def test_gradients_of_two_outputs_are_kept_apart():
    x = Tensor([2.0])
    (x**2).backward()
    first = x.grad
    (x**3).backward()
    second = x.grad
    (first * second).backward()  # 2x · 3x² = 6x³
    assert x.grad.item() == 18 * 4


def test_a_gradient_outlives_the_output():
    x = Tensor([2.0])
    y = x**3
    y.backward()
    del y
    x.grad.backward()
    assert x.grad.item() == 12.0


def test_backward_twice_through_one_gradient():
    x = Tensor([2.0])
    (x**4).backward()
    g = x.grad
    g.backward()
    g.backward()
    assert x.grad.item() == 48.0


def test_a_gradient_grows_after_its_input_has_moved_on():
    x = Tensor([2.0])
    (x**3).backward()
    g = x.grad
    x.data = Tensor([100.0])
    g.backward()
    assert x.grad.item() == 12.0


def test_a_gradient_that_passes_through_unchanged():
    """The adjoints of x, of y and of the output are one array; each can be differentiated on its own."""
    x, y, w = Tensor([2.0]), Tensor([3.0]), Tensor([5.0])
    ((x + y) * w).backward()
    (x.grad * y.grad).backward()
    assert w.grad.item() == 10.0


def test_unrolled_gradient_descent_is_differentiable_in_its_rate():
    """x ← x - r·x for f = x²/2, so x_n = x₀(1 - r)ⁿ and ∂x_n/∂r = -n x₀ (1 - r)ⁿ⁻¹."""
    x, rate = Tensor([2.0]), Tensor([0.1])
    for _ in range(20):
        (x * x * 0.5).backward()
        x = x - rate * x.grad
    x.backward()
    np.testing.assert_allclose(rate.grad.numpy(), -20 * 2.0 * 0.9**19)


def test_a_gradient_is_not_shared_with_the_array_of_the_seed():
    x = Tensor([1.0, 2.0])
    seed = Tensor([1.0, 1.0], requires_grad=False)
    (x + 1).backward(seed)
    assert x.grad.numpy().tolist() == [1.0, 1.0]


def test_only_what_is_asked_for_is_computed():
    """No adjoint is computed for what does not require grad."""

    asked = []

    class Spy(TensorOp):
        def compute(self, a, b):
            return a * b

        def gradient(self, out_grad, node):
            asked.extend([node.needs(0), node.needs(1)])
            a, b = node.inputs
            return out_grad * b, out_grad * a

    Spy()(Tensor([1.0], requires_grad=False), Tensor([2.0])).backward()
    assert asked == [False, True]


# --------------------------------------------------------------------------------------------------------------------
# Seeds


def test_a_seed_that_requires_grad_is_differentiated():
    """∂⟨v, f(x)⟩/∂x = v·f′, whose derivative in v is f′: the trick that makes a jvp of two vjps."""
    x, v = Tensor([0.5, 1.0]), Tensor([1.0, 2.0])
    ops.sin(x).backward(v)
    x.grad.backward(Tensor([3.0, 4.0]))
    np.testing.assert_allclose(v.grad.numpy(), [3 * np.cos(0.5), 4 * np.cos(1.0)])


def test_a_seed_that_passes_straight_through_is_differentiated():
    x, v = Tensor([0.5]), Tensor([2.0])
    (x + 1).backward(v * 3)
    x.grad.backward()
    assert v.grad.item() == 3.0


def test_a_seed_that_is_the_gradient_of_a_leaf():
    x, v = Tensor([0.5]), Tensor([2.0])
    x.backward(v)
    assert x.grad is not v
    x.grad.backward()
    assert v.grad.item() == 1.0


@pytest.mark.parametrize("seed", [np.array([1.0, 2.0]), [1.0, 2.0]], ids=["array", "list"])
def test_a_seed_may_be_an_array_or_a_list(seed):
    x = Tensor([3.0, 4.0], dtype="float32")
    (x * x).backward(seed)
    assert x.grad.dtype == "float32"
    assert x.grad.tolist() == [6.0, 16.0]


def test_a_seed_takes_the_dtype_of_the_output():
    x = Tensor([3.0], dtype="float32")
    y = x * x
    y.backward(Tensor([1.0], dtype="float64"))
    assert (y.grad.dtype, x.grad.dtype) == ("float32", "float32")


# --------------------------------------------------------------------------------------------------------------------
# Tuples


def test_an_item_that_nothing_depends_on_has_gradient_zero():
    x = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    parts = ops.split(x, 0)
    (parts[0] * parts[2]).sum().backward()
    assert x.grad.tolist() == [[5.0, 6.0], [0.0, 0.0], [1.0, 2.0]]


def test_an_item_taken_twice_adds_up():
    x = Tensor([[1.0], [2.0]])
    parts = ops.split(x, 0)
    (parts[0] * 2 + parts[0] * 3 + ops.tuple_get_item(parts, 1)).sum().backward()
    assert x.grad.tolist() == [[5.0], [1.0]]


def test_partly_used_tuples_are_differentiated_again():
    x = Tensor([[1.0], [2.0], [3.0]])
    parts = ops.split(x, 0)
    (parts[0] ** 3 * parts[2]).sum().backward()
    x.grad.sum().backward()  # 3a²c + a³, in a and c
    assert x.grad.tolist() == [[6 * 3 + 3], [0.0], [3.0]]


def test_a_tuple_of_different_shapes():
    a, b = Tensor([1.0, 2.0]), Tensor([[3.0]])
    pair = ops.make_tuple(a, b)
    (pair[0].sum() * pair[1]).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([3.0, 3.0], [[3.0]])


def test_tuples_of_tuples_of_an_op():
    x = Tensor([1.0, 2.0])
    twice = ops.fused_add_scalars(ops.fused_add_scalars(x, 1.0, 2.0)[1], 3.0, 4.0)
    (twice[0] * twice[1]).sum().backward()  # (x+5)(x+6)
    assert x.grad.tolist() == [13.0, 15.0]


def test_tuples_add_up():
    x = Tensor([1.0])
    total = ops.make_tuple(x, x * 2) + ops.make_tuple(x * 3, x * 4)
    (total[0] * total[1]).backward()  # 4x · 6x
    assert x.grad.item() == 48.0


def test_the_tuple_has_a_gradient_too():
    parts = ops.split(Tensor([[1.0], [2.0]]), 0)
    (parts[1] * 3).backward()
    assert [item.tolist() for item in parts.grad] == [[0.0], [3.0]]


def test_unpacking_iterating_slicing():
    a, b, c = ops.split(Tensor([1.0, 2.0, 3.0]), 0)
    assert [t.item() for t in (a, b, c)] == [1.0, 2.0, 3.0]
    parts = ops.split(Tensor([1.0, 2.0, 3.0]), 0)
    assert [t.item() for t in parts[1:]] == [2.0, 3.0]
    assert parts[-1].item() == 3.0


# --------------------------------------------------------------------------------------------------------------------
# Hooks, accumulation, graphs or none


@pytest.fixture
def hooks(monkeypatch):
    """As if no hook had ever been registered, before and after: with hooks about, gradients do not grow lazily."""
    monkeypatch.setattr(ndl.adjoint, "_hooks_exist", False)


def test_a_hook_sees_the_gradient(hooks):
    seen = []
    x = Tensor([2.0])
    remove = x.register_hook(lambda grad: seen.append(grad.item()))
    (x * x).backward()
    remove()
    (x * x).backward()
    assert seen == [4.0]


def test_a_hook_changes_the_gradient_and_all_that_follows(hooks):
    x = Tensor([2.0])
    y = x * x
    y.register_hook(lambda grad: grad * 10)
    (y * 3).backward()
    assert (y.grad.item(), x.grad.item()) == (30.0, 120.0)


def test_what_a_hook_did_is_differentiated(hooks):
    x, w = Tensor([2.0]), Tensor([5.0])
    y = x**3
    y.register_hook(lambda grad: grad * w)
    y.backward()  # x.grad = w · 3x²
    x.grad.backward()
    assert (x.grad.item(), w.grad.item()) == (60.0, 12.0)


@pytest.mark.parametrize("wrong", ["text", Tensor([1.0, 2.0])], ids=["no Tensor", "wrong shape"])
def test_a_hook_that_returns_something_else_is_an_error(hooks, wrong):
    x = Tensor([2.0])
    x.register_hook(lambda grad: wrong)
    with pytest.raises(TypeError, match="hook must return None or a Tensor of the gradient's shape"):
        (x * x).backward()


def test_accumulation_adds_up():
    x = Tensor([2.0])
    for _ in range(3):
        (x * x).backward(accumulate=True)
    assert x.grad.item() == 12.0
    assert not x.grad.requires_grad


def test_accumulation_with_a_graph():
    x = Tensor([2.0])
    (x**2).backward(accumulate=True, create_graph=True)
    (x**3).backward(accumulate=True, create_graph=True)
    x.grad.backward()
    assert x.grad.item() == 2 + 12


def test_without_create_graph_the_gradient_is_a_constant():
    x = Tensor([2.0])
    (x**3).backward(create_graph=False)
    assert x.grad.item() == 12.0
    assert not x.grad.requires_grad


def test_backward_overwrites_by_default():
    x = Tensor([2.0])
    (x * x).backward()
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_many_partial_adjoints_are_summed_without_touching_what_was_handed_out():
    x = Tensor(np.ones(4))
    branches = [x * float(k) for k in range(1, 7)]
    total = branches[0]
    for branch in branches[1:]:
        total = total + branch
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full(4, 21.0))
    assert all((branch.grad.numpy() == 1).all() for branch in branches)


# --------------------------------------------------------------------------------------------------------------------
# A user's own ops


class Cube(TensorOp):
    def compute(self, x):
        return x**3

    def gradient(self, out_grad, node):
        return out_grad * 3 * node.inputs[0] ** 2


def test_compute_and_gradient_are_enough_for_every_order():
    for found, expected in zip(derivatives(Cube(), [2.0], 4), [8.0, 12.0, 12.0, 6.0, 0.0], strict=True):
        assert found.item() == expected


class Pair(TensorTupleOp):
    """(a·b, a + b)"""

    def compute(self, a, b):
        return a * b, a + b

    def gradient(self, out_grad, node):
        a, b = node.inputs
        return out_grad[0] * b + out_grad[1], out_grad[0] * a + out_grad[1]


def test_an_own_tuple_op():
    a, b = Tensor([2.0]), Tensor([3.0])
    product, total = Pair()(a, b)
    (product * total).backward()  # a²b + ab²
    assert (a.grad.item(), b.grad.item()) == (2 * 2 * 3 + 9, 4 + 2 * 2 * 3)
    a.grad.backward()
    assert (a.grad.item(), b.grad.item()) == (6.0, 2 * 2 + 2 * 3)


class SinCos(TensorTupleOp):
    """(sin x, cos x), whose rule uses the results"""

    def compute(self, x):
        return np.sin(x), np.cos(x)

    def gradient(self, out_grad, node):
        sine, cosine = node
        assert len(node) == 2 and node.tuple()[0].shape == node[0].shape
        return out_grad[0] * cosine - out_grad[1] * sine


def test_the_rule_of_a_tuple_op_is_given_the_results():
    def product(x):
        return ndl.multiply(*SinCos()(x)).sum()  # sin 2x / 2

    x = Tensor([0.3, 0.5])
    product(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.6, 1.0]))
    x.grad.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), -2 * np.sin([0.6, 1.0]))
    _, tangent = ndl.jvp(product, (x,), (Tensor([1.0, 0.0]),))
    np.testing.assert_allclose(tangent.numpy(), np.cos(0.6))


class Weighted(TensorOp):
    """Keeps a number and a list, as students' ops do."""

    def __init__(self, weight):
        self.weight = weight

    def compute(self, x):
        return x * self.weight

    def gradient(self, out_grad, node):
        return [out_grad * self.weight]


def test_an_op_may_have_attributes_and_return_a_list():
    x = Tensor([2.0])
    y = Weighted(5.0)(x)
    y.backward()
    assert x.grad.item() == 5.0
    assert repr(y.op) == "Weighted(weight=5.0)"


class FromMask(TensorOp):
    """relu as many course solutions write it, asking for a value."""

    def compute(self, x):
        return np.maximum(x, 0)

    def gradient(self, out_grad, node):
        return out_grad * Tensor(node.inputs[0].realize_cached_data() > 0)


def test_a_rule_may_ask_for_values():
    x = Tensor([-1.0, 2.0])
    (FromMask()(x) ** 2).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0]
    x.grad.sum().backward()
    assert x.grad.tolist() == [0.0, 2.0]


class FirstOnly(TensorOp):
    """Not differentiable in its second input."""

    def compute(self, a, b):
        return a * (b > 0)

    def gradient(self, out_grad, node):
        return out_grad * (node.inputs[1] > 0), None


def test_a_rule_may_return_none():
    a, b = Tensor([2.0]), Tensor([1.0])
    FirstOnly()(a, b).backward()
    assert a.grad.item() == 1.0
    assert b.grad is None


def test_compute_may_return_a_number():
    class Total(TensorOp):
        def compute(self, x):
            return float(x.sum())

        def gradient(self, out_grad, node):
            return ops.broadcast_to(out_grad, node.inputs[0].shape)

    x = Tensor([1.0, 2.0])
    y = Total()(x)
    assert y.shape == ()
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_float32_adjoints_stay_float32_whatever_a_rule_returns():
    class Careless(TensorOp):
        def compute(self, x):
            return x * 2

        def gradient(self, out_grad, node):
            return out_grad * Tensor(np.full(node.shape, 2.0))  # float64

    x = Tensor([1.0], dtype="float32")
    Careless()(x * 1).backward()
    assert x.grad.dtype == "float32"


def with_gradient(rule, compute=lambda x: x * 2):
    """An op class whose gradient is `rule`."""
    return type("Mine", (TensorOp,), {"compute": lambda self, *x: compute(*x), "gradient": rule})()


WRONG_RULES = {
    "shape": (lambda self, g, node: g.sum(), ValueError, r"Mine.gradient gave .* shape \(\) for .* shape \(2,\)"),
    "too many": (lambda self, g, node: (g, g), ValueError, "Mine.gradient must return .* each of its 1 inputs, got 2"),
    "none at all": (lambda self, g, node: (), ValueError, "Mine.gradient must return .* each of its 1 inputs, got 0"),
    "nothing": (lambda self, g, node: None, TypeError, "Mine.gradient must return a Tensor or a tuple.*, got None"),
    "an array": (lambda self, g, node: g.numpy(), TypeError, "Mine.gradient must return Tensors, got ndarray"),
    "a number": (lambda self, g, node: 2.0, TypeError, "Mine.gradient must return Tensors, got float"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_wrong_rule_is_an_error_that_names_the_op(name):
    rule, error, message = WRONG_RULES[name]
    x = Tensor([1.0, 2.0])
    with pytest.raises(error, match=message):
        with_gradient(rule)(x).sum().backward()


@pytest.mark.parametrize("name", ["shape", "too many", "none at all", "nothing"])
def test_gradient_as_tuple_finds_the_same_mistakes(name):
    rule, error, message = WRONG_RULES[name]
    y = with_gradient(rule)(Tensor([1.0, 2.0]))
    with pytest.raises(error, match=message):
        y.op.gradient_as_tuple(Tensor([1.0, 1.0]), y)


@pytest.mark.parametrize("wrong", [None, "text", object()])
def test_a_compute_that_returns_no_numbers_is_an_error(wrong):
    with pytest.raises(TypeError, match=f"Mine.compute must return an array of numbers, got .*{type(wrong).__name__}"):
        with_gradient(lambda self, g, node: g, lambda x: wrong)(Tensor([1.0]))


def test_a_tuple_op_that_returns_one_array_is_an_error():
    class Alone(TensorTupleOp):
        def compute(self, x):
            return x

    with pytest.raises(TypeError, match="Alone.compute must return a tuple of arrays, got a.* ndarray"):
        Alone()(Tensor([1.0]))


def test_an_op_without_gradient_says_so():
    class Opaque(TensorOp):
        def compute(self, x):
            return x

    with pytest.raises(TypeError, match=r"Opaque defines no gradient\(out_grad, node\): it cannot be differentiated"):
        Opaque()(Tensor([1.0])).backward()


def test_an_op_without_compute_says_so():
    with pytest.raises(TypeError, match=r"defines no compute"):
        TensorOp()(Tensor([1.0]))


def test_an_error_in_compute_names_the_op_and_what_came():
    def compute(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"Mine on float64\[2\]: no"):
        with_gradient(lambda self, g, node: g, compute)(Tensor([1.0, 2.0]))
