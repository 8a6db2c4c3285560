"""needle.optim: the steps that the formulas prescribe, what a step leaves alone, schedules, clipping, state, errors."""

import copy
import math
import pickle

import numpy as np
import pytest

import needle as ndl
from needle.optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    CosineAnnealing,
    ExponentialLR,
    LinearWarmup,
    MultiStepLR,
    Optimizer,
    ReduceLROnPlateau,
    RMSProp,
    Schedule,
    StepLR,
    WarmupCosine,
    clip_grad_norm,
    clip_grad_value,
)

# --------------------------------------------------------------------------------------------------------------------
# The formulas once more, as they are printed: functions (p, g, state, t) -> p that keep their averages in a dict.


def sgd(p, g, s, t, lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * p
    s["u"] = momentum * s.get("u", 0) + (1 - momentum) * g
    u = momentum * s["u"] + (1 - momentum) * g if nesterov else s["u"]
    return p - lr * u


def adam(p, g, s, t, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    return p - lr * (s["m"] / (1 - beta1**t)) / (np.sqrt(s["v"] / (1 - beta2**t)) + eps)


def adamw(p, g, s, t, lr=0.1, weight_decay=0.01, **options):
    return adam(p, g, s, t, lr, **options) - lr * weight_decay * p


def rmsprop(p, g, s, t, lr=0.1, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
    g = g + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    s["u"] = momentum * s.get("u", 0) + g / (np.sqrt(s["v"]) + eps)
    return p - lr * s["u"]


def adagrad(p, g, s, t, lr=0.1, eps=1e-10, weight_decay=0.0):
    g = g + weight_decay * p
    s["s"] = s.get("s", 0) + g**2
    return p - lr * g / (np.sqrt(s["s"]) + eps)


CASES = [
    (SGD, sgd, {}),
    (SGD, sgd, {"weight_decay": 0.3}),
    (SGD, sgd, {"momentum": 0.9}),
    (SGD, sgd, {"momentum": 0.9, "weight_decay": 0.3}),
    (SGD, sgd, {"momentum": 0.8, "nesterov": True}),
    (SGD, sgd, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.3}),
    (SGD, sgd, {"nesterov": True}),
    (Adam, adam, {}),
    (Adam, adam, {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.3}),
    (Adam, adam, {"beta1": 0.0}),
    (AdamW, adamw, {}),
    (AdamW, adamw, {"weight_decay": 0.3, "beta1": 0.5, "eps": 1e-3}),
    (RMSProp, rmsprop, {}),
    (RMSProp, rmsprop, {"alpha": 0.5, "momentum": 0.9, "weight_decay": 0.3, "eps": 1e-3}),
    (Adagrad, adagrad, {}),
    (Adagrad, adagrad, {"eps": 1e-3, "weight_decay": 0.3}),
]
IDS = [f"{case[0].__name__}-{'-'.join(case[2]) or 'plain'}" for case in CASES]
TOLERANCE = {"float64": 1e-12, "float32": 1e-4, "complex128": 1e-12}  # float32: ten steps of rounding, m/√v of size 1

optimizers = pytest.mark.parametrize("kind, formula, options", CASES, ids=IDS)


def param(*shape, dtype="float64"):
    value = np.asarray(np.random.randn(*shape))
    if np.dtype(dtype).kind == "c":
        value = value + 1j * np.random.randn(*shape)
    return ndl.Tensor(value, dtype=dtype)


def with_grad(tensor):
    tensor.grad = param(*tensor.shape, dtype=tensor.dtype)
    return tensor


@optimizers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
# Several shapes; the last are longer than the blocks in which long arrays are worked on.
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 3), (70_001,), (300, 501)])
def test_ten_steps_are_those_of_the_formula(kind, formula, options, dtype, shape):
    p = param(*shape, dtype=dtype)
    optimizer = kind([p], lr=0.1, **options)
    expected, state = p.numpy().astype("float64"), {}
    for t in range(1, 11):
        p.grad = param(*shape, dtype=dtype)
        expected = formula(expected, p.grad.numpy().astype("float64"), state, t, lr=0.1, **options)
        optimizer.step()
    assert p.dtype == dtype and p.shape == shape
    np.testing.assert_allclose(p.numpy(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@optimizers
def test_a_complex_parameter_moves_as_its_real_and_imaginary_parts_do(kind, formula, options):
    z = param(3, 2, dtype="complex128")
    re, im = ndl.Tensor(z.numpy().real), ndl.Tensor(z.numpy().imag)
    together, apart = kind([z], lr=0.1, **options), kind([re, im], lr=0.1, **options)
    for _ in range(3):
        z.grad = param(3, 2, dtype="complex128")
        re.grad, im.grad = ndl.Tensor(z.grad.numpy().real), ndl.Tensor(z.grad.numpy().imag)
        together.step()
        apart.step()
    np.testing.assert_allclose(z.numpy(), re.numpy() + 1j * im.numpy(), rtol=1e-14)


@optimizers
@pytest.mark.parametrize("shape", [(40, 3), (400, 300)])
def test_the_memory_layout_makes_no_difference(kind, formula, options, shape):
    value, grads = np.random.randn(*shape), np.random.randn(3, *shape)
    straight, turned = ndl.Tensor(value), ndl.Tensor(value)
    turned.data = ndl.Tensor.make_const(np.asfortranarray(value))
    first, second = kind([straight], **options), kind([turned], **options)
    for grad in grads:
        straight.grad = ndl.Tensor.make_const(grad)
        turned.grad = ndl.Tensor.make_const(np.asfortranarray(grad))
        first.step()
        second.step()
    np.testing.assert_array_equal(straight.numpy(), turned.numpy())


@optimizers
@pytest.mark.parametrize("shape", [(3,), (70_001,)])
def test_a_step_writes_neither_into_the_gradient_nor_into_the_old_value(kind, formula, options, shape):
    p = with_grad(param(*shape))
    old, grad = p.node.data, p.grad
    copies = old.copy(), grad.numpy()
    optimizer = kind([p], **options)
    optimizer.step()
    optimizer.step()
    assert p.grad is grad and p.node.data is not old
    np.testing.assert_array_equal(old, copies[0])
    np.testing.assert_array_equal(grad.numpy(), copies[1])


@optimizers
def test_a_graph_recorded_before_a_step_keeps_the_old_parameter(kind, formula, options):
    w, x = param(3), ndl.Tensor(np.random.randn(3))
    y = (w * x).sum()
    before = w.numpy()
    y.backward()
    optimizer = kind([w], **options)
    optimizer.step()
    x.grad = None
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), before)
    assert w.is_leaf() and w.requires_grad


@optimizers
def test_no_graph_and_no_memory_is_left_behind(kind, formula, options):
    w = ndl.Tensor(np.random.randn(3, 3))
    optimizer = kind([w], **options)

    def step():
        optimizer.reset_grad()
        ((w @ w) ** 2).sum().backward()
        optimizer.step()
        return ndl.autograd.TENSOR_COUNTER

    step()
    counts = [step() for _ in range(5)]
    assert counts == counts[:1] * 5
    assert all(isinstance(array, np.ndarray) for array in optimizer.state_dict().values())


@optimizers
def test_a_first_derivative_is_all_that_a_step_asks_for(kind, formula, options):
    w = ndl.Tensor([1.0, 2.0])
    (w**3).sum().backward()
    optimizer = kind([w], **options)
    optimizer.step()
    assert w.grad.node._grown is None  # the gradient's own graph was not made


def test_a_parameter_without_gradient_stays_and_its_first_step_counts_as_the_first():
    late, steady = ndl.Tensor([1.0]), ndl.Tensor([1.0])
    optimizer = Adam([late, steady], lr=0.1)
    for _ in range(3):
        steady.grad = ndl.Tensor([2.0])
        optimizer.step()
    assert late.numpy() == 1.0
    late.grad, steady.grad = ndl.Tensor([2.0]), None
    optimizer.step()
    np.testing.assert_allclose(late.numpy(), 0.9)  # Adam's first step has the length lr
    np.testing.assert_allclose(steady.numpy(), 0.7)


@optimizers
def test_parameters_move_together_as_each_does_alone(kind, formula, options):
    shapes = [(3,), (), (90, 60), (2, 2), (0,), (5,)]
    together = [param(*shape, dtype="float32") for shape in shapes]
    alone = [ndl.Tensor(p.numpy()) for p in together]
    optimizer, single = kind(together, **options), [kind([p], **options) for p in alone]
    for absent in [(), (), (0,), (3, 5), (), (1, 2), ()]:  # who has no gradient in each of the steps
        for i, (p, q) in enumerate(zip(together, alone)):
            p.grad = q.grad = None if i in absent else param(*p.shape, dtype="float32")
        optimizer.step()
        for other in single:
            other.step()
        together[5].data = alone[5].data = param(5, dtype="float32")  # given another value in between
    for p, q in zip(together, alone):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    for i, other in enumerate(single):
        for name, value in other.state_dict().items():
            if name.startswith("state"):
                np.testing.assert_array_equal(optimizer.state_dict()[name.replace("state.0", f"state.{i}")], value)


@optimizers
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_an_optimizer_and_its_parameters_can_be_copied(kind, formula, options, copied):
    optimizer = stepped(kind, param(3), param(2), **options)
    again = copied(optimizer)
    for p, q in zip(optimizer.params, again.params):
        p.grad = q.grad = param(*p.shape)
    optimizer.step()
    again.step()
    ours, theirs = optimizer.state_dict(), again.state_dict()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(optimizer.params, again.params))


def test_momentum_can_be_switched_on_between_steps():
    p = ndl.Tensor([0.0])
    p.grad = ndl.Tensor([1.0])
    optimizer = SGD([p], lr=1.0)
    optimizer.step()
    optimizer.groups[0]["momentum"] = 0.5
    optimizer.step()
    assert p.numpy() == -1.5


def test_a_write_into_the_array_of_a_parameter_counts():
    p = ndl.Tensor([1.0, 2.0])
    p.grad = ndl.Tensor([0.0, 0.0])
    optimizer = SGD([p, param(3)], lr=1.0)
    optimizer.step()
    p.cached_data[0] = 5.0
    optimizer.step()
    np.testing.assert_array_equal(p.numpy(), [5, 2])


def test_a_frozen_parameter_stays_frozen_after_a_step():
    p = ndl.Tensor([1.0], requires_grad=False)
    p.grad = ndl.Tensor([1.0])
    SGD([p]).step()
    assert not p.requires_grad


def test_float16_with_a_zero_gradient_stays_where_it_is():
    p = ndl.Tensor([1.0], dtype="float16")
    p.grad = ndl.Tensor([0.0], dtype="float16")
    for optimizer in (Adam([p]), RMSProp([p]), Adagrad([p])):
        optimizer.step()  # eps is less than any positive float16: 0/0 if it were rounded to zero
    assert p.numpy() == 1.0 and p.dtype == "float16"


def test_a_gradient_of_another_float_is_taken_in_the_parameters_dtype():
    p = ndl.Tensor([1.0], dtype="float32")
    p.grad = ndl.Tensor([1.0], dtype="float64")
    SGD([p], lr=0.5).step()
    assert p.dtype == "float32" and p.numpy() == 0.5


@pytest.mark.parametrize("name", ["reset_grad", "zero_grad"])
def test_gradients_can_be_reset(name):
    p = with_grad(param(3))
    getattr(SGD([p]), name)()
    assert p.grad is None


def test_groups_have_options_of_their_own():
    a, b = ndl.Tensor([1.0]), ndl.Tensor([1.0])
    optimizer = SGD([{"params": [a]}, {"params": [b], "lr": 0.5, "weight_decay": 1.0}], lr=0.1)
    a.grad = b.grad = ndl.Tensor([1.0])
    optimizer.step()
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0]], [0.9, 0.0])
    assert [id(p) for p in optimizer.params] == [id(a), id(b)]
    optimizer.lr = 0.25
    assert [group["lr"] for group in optimizer.groups] == [0.25, 0.25] and optimizer.lr == 0.25


def test_a_parameter_that_two_modules_share_moves_once():
    p = ndl.Tensor([1.0])
    p.grad = ndl.Tensor([1.0])
    SGD([p, p], lr=0.5).step()
    assert p.numpy() == 0.5


def test_an_optimizer_of_ones_own_needs_two_methods():
    class Sign(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, lr=lr)

        def coefficients(self, options, step):
            return (options["lr"],)

        def update(self, p, g, new, scratch, coefficients):
            np.sign(g, out=scratch)
            np.multiply(scratch, coefficients[0], out=scratch)
            np.subtract(p, scratch, out=new)

    p = ndl.Tensor([1.0, 1.0])
    p.grad = ndl.Tensor([-3.0, 2.0])
    Sign([p], lr=0.5).step()
    np.testing.assert_array_equal(p.numpy(), [1.5, 0.5])


# --------------------------------------------------------------------------------------------------------------------
# State


@optimizers
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_a_loaded_optimizer_goes_on_bit_for_bit(kind, formula, options, dtype):
    grads = [param(3, 2, dtype=dtype) for _ in range(6)]
    p = param(3, 2, dtype=dtype)
    optimizer = kind([p], lr=0.05, **options)
    for grad in grads[:3]:
        p.grad = grad
        optimizer.step()
    q = ndl.Tensor(p.numpy())
    again = kind([q], lr=0.7)  # the options are part of the state
    again.load_state_dict(optimizer.state_dict())
    for grad in grads[3:]:
        p.grad = q.grad = grad
        optimizer.step()
        again.step()
    np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_a_state_does_not_change_with_the_steps_that_follow():
    p = with_grad(param(3))
    optimizer = Adam([p])
    optimizer.step()
    state = optimizer.state_dict()
    copy = {name: value.copy() for name, value in state.items()}
    optimizer.step()
    for name in state:
        np.testing.assert_array_equal(state[name], copy[name])


def stepped(kind, *params, **options):
    optimizer = kind([with_grad(p) for p in params], **options)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(
    "saved, message",
    [
        (lambda: stepped(SGD, param(3)), "no 'groups.0.beta1'.*not of this Adam"),
        (lambda: stepped(RMSProp, param(3)), "not of this Adam"),
        (lambda: stepped(Adam, param(4)), r"m of parameter 0 is float64\[4\] in the state, but .* float64\[3\]"),
        (lambda: stepped(Adam, param(3, dtype="float32")), r"float32\[3\] in the state, but .* float64\[3\]"),
        (lambda: stepped(Adam, param(3), param(3)), "group 0 of the state has 2 parameters, this Adam's has 1"),
        (lambda: Adam([{"params": param(3)}, {"params": param(2)}]), "the state has 'groups.1.beta1'"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(saved, message):
    optimizer = stepped(Adam, param(3), lr=0.3)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved().state_dict())
    after = optimizer.state_dict()
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


# --------------------------------------------------------------------------------------------------------------------
# Clipping


def test_clipping_scales_all_gradients_by_their_common_norm():
    p, q, r = param(2), param(2), param(2)
    p.grad, q.grad = ndl.Tensor([3.0, 0.0]), ndl.Tensor([0.0, 4.0])
    old = p.grad
    assert SGD([p, q, r]).clip_grad_norm(max_norm=0.5) == 5.0
    np.testing.assert_allclose(p.grad.numpy(), [0.3, 0], rtol=1e-6)
    np.testing.assert_allclose(q.grad.numpy(), [0, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(old.numpy(), [3, 0])
    assert r.grad is None


def test_a_norm_within_bounds_is_left_alone():
    p = param(2)
    p.grad = grad = ndl.Tensor([0.3, 0.4])
    assert clip_grad_norm([p], 1.0) == pytest.approx(0.5)
    assert p.grad is grad


def test_the_default_norm_is_a_quarter():
    p = param(1)
    p.grad = ndl.Tensor([1.0])
    SGD([p]).clip_grad_norm()
    np.testing.assert_allclose(p.grad.numpy(), 0.25, rtol=1e-5)


def test_squares_that_overflow_are_no_hindrance():
    p = param(2, dtype="float32")
    p.grad = ndl.Tensor([3e30, 4e30], dtype="float32")
    assert clip_grad_norm([p], 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-6)
    assert p.grad.dtype == "float32"


def test_clipping_by_value_bounds_each_number():
    p = param(3)
    p.grad = old = ndl.Tensor([-3.0, 0.2, 5.0])
    clip_grad_value([p], 1.0)
    np.testing.assert_array_equal(p.grad.numpy(), [-1, 0.2, 1])
    np.testing.assert_array_equal(old.numpy(), [-3, 0.2, 5])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_without_norm_is_an_error_that_names_the_parameter(bad):
    p, q = with_grad(param(2)), param(2)
    q.grad = ndl.Tensor([1.0, bad])
    with pytest.raises(FloatingPointError, match=r"parameter 1 \(shape \(2,\)\) holds nan or inf"):
        clip_grad_norm([p, q], 1.0)


# --------------------------------------------------------------------------------------------------------------------
# Schedules


def rates(make, steps, lr=1.0):
    optimizer = SGD([param(1)], lr=lr)
    schedule = make(optimizer)
    found = [optimizer.lr]
    for _ in range(steps):
        schedule.step()
        found.append(optimizer.lr)
    return found


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda o: StepLR(o, 2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
        (lambda o: MultiStepLR(o, [3, 1], 0.5), [1, 0.5, 0.5, 0.25, 0.25]),
        (lambda o: ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125, 0.0625]),
        (lambda o: CosineAnnealing(o, 4, 0.2), [0.2 + 0.4 * (1 + math.cos(math.pi * t / 4)) for t in range(5)]),
        (lambda o: CosineAnnealing(o, 2), [1, 0.5, 0, 0, 0]),
        (lambda o: LinearWarmup(o, 4, 0.2), [0.2, 0.4, 0.6, 0.8, 1.0]),
        (lambda o: LinearWarmup(o, 2), [0, 0.5, 1, 1, 1]),
        (lambda o: WarmupCosine(o, 4, 2), [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_a_schedule_sets_the_rate_at_once_and_at_each_step(make, expected):
    np.testing.assert_allclose(rates(make, 4), expected, atol=1e-15)


def test_repr_of_a_schedule_says_where_it_stands():
    schedule = StepLR(SGD([{"params": param(1)}, {"params": param(1), "lr": 10.0}], lr=1.0), 1, 0.5)
    schedule.step()
    assert repr(schedule) == "StepLR(SGD with lr=0.5, 5 after 1 steps)"


def test_each_group_starts_from_its_own_rate():
    optimizer = SGD([{"params": param(1), "lr": 1.0}, {"params": param(1), "lr": 10.0}])
    StepLR(optimizer, 1, 0.5).step()
    assert [group["lr"] for group in optimizer.groups] == [0.5, 5.0]


def test_the_rate_falls_on_a_plateau():
    optimizer = SGD([param(1)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, least=0.2)
    found = []
    for value in [5, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]:
        schedule.step(value)
        found.append(optimizer.lr)
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_an_accuracy_is_better_when_it_is_greater():
    optimizer = SGD([param(1)], lr=1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0, mode="max")
    for value in [0.5, 0.6, 0.7]:
        schedule.step(value)
    assert optimizer.lr == 1.0
    schedule.step(0.6)
    assert optimizer.lr == 0.5


SCHEDULES = {
    "step": lambda o: StepLR(o, 2, 0.5),
    "milestones": lambda o: MultiStepLR(o, [2, 5], 0.5),
    "exponential": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealing(o, 7, 0.01),
    "warmup": lambda o: LinearWarmup(o, 5),
    "warmup-cosine": lambda o: WarmupCosine(o, 8, 2),
    "plateau": lambda o: ReduceLROnPlateau(o, 0.5, patience=1, cooldown=1),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_loaded_schedule_goes_on_where_it_was(name, after):
    values = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0]
    make, first = SCHEDULES[name], SGD([param(1)], lr=0.3)
    schedule = make(first)
    advance = lambda schedule, value: schedule.step(*([value] if name == "plateau" else []))
    for value in values[:after]:
        advance(schedule, value)
    second = SGD([param(1)], lr=0.9)
    again = make(second)
    again.load_state_dict(schedule.state_dict())
    if after or name != "plateau":
        assert second.lr == first.lr
    second.lr = first.lr
    for value in values[after:]:
        advance(schedule, value)
        advance(again, value)
        assert second.lr == first.lr


# --------------------------------------------------------------------------------------------------------------------
# Errors


P = [ndl.Tensor([1.0, 2.0])]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: SGD(P[0]),
            TypeError,
            r"SGD takes a list of Tensors or of parameter groups, got one; write \[params\]",
        ),
        (lambda: SGD(3), TypeError, "SGD takes a list of Tensors .*got an? int"),
        (lambda: SGD([]), ValueError, "SGD was given no parameters"),
        (lambda: SGD([np.ones(3)]), TypeError, "SGD takes Tensors, but parameter 0 is of type ndarray"),
        (lambda: SGD([ndl.Tensor([1])]), TypeError, "SGD moves floating-point Tensors, but parameter 0 is int64"),
        (lambda: SGD(P, lr=-1), ValueError, "SGD needs lr >= 0; got -1"),
        (lambda: SGD(P, lr=float("nan")), ValueError, "SGD needs lr >= 0; got nan"),
        (lambda: SGD(P, lr="fast"), TypeError, "SGD needs a number for lr; got 'fast'"),
        (lambda: SGD(P, momentum=1.0), ValueError, "SGD needs momentum >= 0 and momentum < 1; got 1.0"),
        (lambda: Adam(P, beta2=1.5), ValueError, "Adam needs beta2 >= 0 and beta2 < 1; got 1.5"),
        (lambda: Adam(P, eps=-1.0), ValueError, "Adam needs eps >= 0; got -1.0"),
        (lambda: AdamW(P, weight_decay=-1.0), ValueError, "AdamW needs weight_decay >= 0"),
        (lambda: Adam([{"params": P, "rate": 1}]), ValueError, "Adam has no option rate; a group may set lr, beta1"),
        (lambda: Adam([{"params": P, "lr": -1}]), ValueError, "Adam needs lr >= 0; got -1"),
        (lambda: Adam([{"params": P}, {"params": P}]), ValueError, "parameter 0 of shape .* already in another group"),
        (lambda: Adam([{"param": P}]), TypeError, 'dict with Tensors under "params"; item 0 is not'),
        (lambda: Adam([{"params": P}, P[0]]), TypeError, "item 1 is not"),
        (lambda: StepLR(SGD(P), 0), ValueError, "StepLR needs every >= 1; got 0"),
        (lambda: ExponentialLR(SGD(P), -0.5), ValueError, "ExponentialLR needs gamma > 0; got -0.5"),
        (lambda: CosineAnnealing(SGD(P), 0), ValueError, "CosineAnnealing needs steps >= 1; got 0"),
        (lambda: WarmupCosine(SGD(P), 5, 5), ValueError, "needs warmup < steps; got warmup 5, steps 5"),
        (lambda: ReduceLROnPlateau(SGD(P), factor=2), ValueError, "needs 0 < factor < 1; got 2"),
        (lambda: ReduceLROnPlateau(SGD(P), mode="up"), ValueError, 'mode "min" or "max"; got \'up\''),
        (lambda: ReduceLROnPlateau(SGD(P)).step(), TypeError, "needs the value that it watches"),
        (lambda: StepLR(P, 3), TypeError, "StepLR takes an optimizer first, got list"),
        (
            lambda: StepLR(SGD(P), 3).load_state_dict({}),
            ValueError,
            "a StepLR holds steps, base_rates; .* holds nothing",
        ),
        (lambda: Schedule(SGD(P)), NotImplementedError, r"Schedule must define rate\(self, base, step\)"),
        (lambda: clip_grad_norm(P, 0), ValueError, "clip_grad_norm needs max_norm > 0; got 0"),
        (lambda: clip_grad_value(P, -1), ValueError, "clip_grad_value needs max_value > 0; got -1"),
        (lambda: clip_grad_norm([3.0]), TypeError, "clip_grad_norm takes Tensors, but parameter 0 is of type float"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "grad, error, message",
    [
        (ndl.Tensor([1.0]), ValueError, r"parameter 0 has shape \(2,\), but its .grad has shape \(1,\)"),
        (ndl.Tensor([1j, 1j]), TypeError, "parameter 0 is float64, but its .grad is complex128"),
        (np.ones(2), TypeError, "the .grad of parameter 0 must be a Tensor on its device, got ndarray"),
    ],
)
def test_a_gradient_that_cannot_be_one_is_refused(grad, error, message):
    p = param(2)
    p.grad = grad
    with pytest.raises(error, match=message):
        SGD([p]).step()


def test_an_optimizer_does_not_follow_a_parameter_into_another_shape():
    p = with_grad(param(2))
    optimizer = stepped(Adam, p)
    p.data = ndl.Tensor([1.0, 2.0, 3.0])
    with pytest.raises(
        ValueError, match=r"parameter 0 is now float64\[3\].*followed it as float64\[2\].*new optimizer"
    ):
        with_grad(p)
        optimizer.step()


# --------------------------------------------------------------------------------------------------------------------
# Compiled


def clipped_step(gradients, jit):
    """The norm and the gradients after a step that clips them to 1; the parameters have these gradients."""
    params = [ndl.Tensor(np.zeros_like(g)) for g in gradients]

    @jit
    def step(*targets):
        sum((param * target).sum() for param, target in zip(params, targets)).backward()
        return ndl.optim.clip_grad_norm(params, 1.0)

    norm = step(*[ndl.Tensor(g, requires_grad=False) for g in gradients])
    return float(norm), [param.grad.numpy() for param in params]


@pytest.mark.parametrize("size", [0.1, 10.0, 1e25])
def test_a_compiled_step_clips_as_an_eager_one(size):
    gradients = [size * np.ones((2, 3), "float32"), size * np.arange(4.0)]
    expected_norm, expected = clipped_step(gradients, lambda f: f)
    norm, found = clipped_step(gradients, ndl.jit)
    assert norm == pytest.approx(expected_norm, rel=1e-6)
    for a, b in zip(found, expected):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_gradient_without_a_norm_is_an_error_in_a_compiled_step_too():
    with pytest.raises(FloatingPointError, match="clip_grad_norm: a gradient holds nan or inf"):
        clipped_step([np.array([1.0, np.nan])], ndl.jit)
