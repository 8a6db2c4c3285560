"""What `jit` promises: the same results, derivatives, effects and kinds as eager, at every call, or a clear error.

float64 throughout unless dtypes are the subject: compiled and eager compute the same formulas, perhaps summed in
another order, so 1e-9 leaves room for a million roundings.
"""

import dataclasses
import functools
import inspect
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest

import needle as ndl
from needle import init, nn
from needle.program import jit
from needle.transforms import (
    checkpoint,
    custom_gradient,
    fixed_point,
    grad,
    hessian,
    jet,
    jvp,
    laplacian,
    nth_derivative,
    root,
    value_and_grad,
    vmap,
)

X = np.linspace(-1, 1, 5)

compiled = functools.partial(jit, backend="numpy")


def constant(array) -> ndl.Tensor:
    return ndl.Tensor(array, requires_grad=False)


def close(ours, expected) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(ours) == len(expected)
        for each in zip(ours, expected):
            close(*each)
        return
    ours, expected = [x.numpy() if isinstance(x, ndl.Tensor) else x for x in (ours, expected)]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-10)


def wave(x):
    return ndl.tanh(x) * ndl.sin(x)


def total(x):
    return wave(x).sum()


# --------------------------------------------------------------------------------------------------------------------
# Transforms


@custom_gradient
def steep(x):
    return ndl.sin(x), lambda out_grad: out_grad * 10.0


TRANSFORMED = {
    "jit(grad)": (lambda j: j(grad(total)), grad(total)),
    "grad(jit)": (lambda j: grad(j(total)), grad(total)),
    "jit(value_and_grad)": (lambda j: j(value_and_grad(total)), value_and_grad(total)),
    "jit(vmap)": (lambda j: j(vmap(wave)), wave),
    "vmap(jit)": (lambda j: vmap(j(wave)), wave),
    "vmap(grad(jit))": (lambda j: vmap(grad(j(wave))), vmap(grad(wave))),
    "jit(jvp)": (lambda j: j(lambda x: jvp(wave, (x,), (x,))), lambda x: jvp(wave, (x,), (x,))),
    "jvp(jit)": (lambda j: lambda x: jvp(j(wave), (x,), (x,)), lambda x: jvp(wave, (x,), (x,))),
    "jit(hessian)": (lambda j: j(hessian(total)), hessian(total)),
    "hessian(jit)": (lambda j: hessian(j(total)), hessian(total)),
    "jit(jet)": (
        lambda j: j(lambda x: jet(wave, (x,), ([x * 0 + 1, x * 0],))[1]),
        lambda x: jet(wave, (x,), ([x * 0 + 1, x * 0],))[1],
    ),
    "jet(jit)": (
        lambda j: lambda x: jet(j(wave), (x,), ([x * 0 + 1, x * 0],))[1],
        lambda x: jet(wave, (x,), ([x * 0 + 1, x * 0],))[1],
    ),
    "jit(nth_derivative)": (lambda j: j(nth_derivative(wave, 4)), nth_derivative(wave, 4)),
    "nth_derivative(jit)": (lambda j: nth_derivative(j(wave), 4), nth_derivative(wave, 4)),
    "jit(laplacian)": (lambda j: j(laplacian(total)), laplacian(total)),
    "laplacian(jit)": (lambda j: laplacian(j(total)), laplacian(total)),
    "jit(grad(checkpoint))": (lambda j: j(grad(checkpoint(total))), grad(total)),
    "grad(checkpoint(jit))": (lambda j: grad(checkpoint(j(total))), grad(total)),
    "jit(grad(custom_gradient))": (lambda j: j(grad(lambda x: steep(x).sum())), lambda x: x * 0 + 10),
    "jit(grad(jit(vmap(jit))))": (lambda j: j(grad(lambda x: j(vmap(j(wave)))(x).sum())), grad(total)),
}


@pytest.mark.parametrize("make, expected", TRANSFORMED.values(), ids=TRANSFORMED)
def test_a_transform_of_or_under_jit(make, expected):
    f = make(compiled)
    for x in (X, X + 0.5, X):
        close(f(x), expected(x))


SOLVED = {
    "fixed_point": lambda a: fixed_point(lambda x, a: ndl.cos(x) * a, 0.5, a),
    "root": lambda a: root(lambda x, a: x * x - a, 1.0, a),
}


@pytest.mark.parametrize("solve", SOLVED.values(), ids=SOLVED)
def test_solutions_of_equations_and_their_derivatives(solve):
    for make in (lambda f: f, grad, lambda f: grad(grad(f)), lambda f: lambda x: jvp(f, (x,), (1.0,))):
        f = compiled(make(solve))
        for a in (0.7, 0.8):
            np.testing.assert_allclose(f(a), make(solve)(a), rtol=1e-8)
        assert f.cache_size() == 1


def test_a_fixed_point_that_is_not_reached_is_an_error_when_the_program_runs():
    f = compiled(lambda a: fixed_point(lambda x, a: x * a + 1, 0.5, a, max_iter=50))
    np.testing.assert_allclose(f(0.1), 1 / 0.9)
    with pytest.raises(RuntimeError, match="fixed_point did not converge in 50 steps"):
        f(1.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_a_compiled_function_to_every_order(order):
    f, g = compiled(wave), wave
    for _ in range(order):
        f, g = grad(f), grad(g)
    close(f(0.3), g(0.3))
    close(f(-0.7), g(-0.7))


def test_a_pullback_is_traced_once_a_signature():
    traces = []

    def f(x):
        traces.append(1) if len(traces) < 0 else None
        return wave(x).sum()

    j = compiled(f)
    x = ndl.Tensor(X)
    for _ in range(3):
        j(x).backward()
    (entry,) = j._entries
    assert entry.pullback.traces == 1


def test_backward_through_a_compiled_function_reaches_arguments_and_closed_over_tensors():
    w = ndl.Tensor(X)
    f = compiled(lambda x: (wave(x * w)).sum())
    for shift in (0.0, 1.0):
        x = ndl.Tensor(X + shift)
        f(x).backward()
        ours = x.grad.numpy(), w.grad.numpy()
        wave(x * w).sum().backward()
        close(ours, (x.grad, w.grad))


def test_a_flag_that_is_flipped_between_the_call_and_the_first_backward_is_an_error():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2))
    out = compiled(model)(ndl.Tensor(np.ones((4, 3), "float32")))
    model.eval()
    with pytest.raises(RuntimeError, match="changed between the call and the first backward"):
        out.sum().backward()


# --------------------------------------------------------------------------------------------------------------------
# The same kind out as in


def test_numpy_and_numbers_give_numpy_and_tensors_give_tensors():
    f = compiled(lambda x: x * 2)
    assert type(f(X)) is np.ndarray and type(f(ndl.Tensor(X))) is ndl.Tensor
    assert type(f(3.0)) is np.float64 and type(f(3)) is np.int64 and type(f(np.float32(3))) is np.float32
    assert f(np.float32([1, 2])).dtype == np.float32


def test_what_depends_on_a_closed_over_tensor_that_requires_grad_is_a_tensor():
    w = ndl.Tensor([1.0, 2.0])
    f = compiled(lambda x: (x * w).sum())
    out = f(np.array([3.0, 4.0]))
    assert isinstance(out, ndl.Tensor) and out.requires_grad
    out.backward()
    close(w.grad, [3.0, 4.0])
    with ndl.no_grad():
        assert isinstance(f(np.array([3.0, 4.0])), np.generic)


def test_numbers_are_weak_inputs():
    f = compiled(lambda x, k: x * k)
    single = np.float32([1, 2])
    for k in (2.0, 3.5):
        assert f(single, k).dtype == np.float32
        close(f(single, k), single * np.float32(k))
    assert f.cache_size() == 1
    assert f(single, 3).dtype == np.float32 and f(single, np.float64(2)).dtype == np.float32
    assert f.cache_size() == 3


def test_trees_come_and_go_as_they_are():
    Pair = namedtuple("Pair", "a b")

    @dataclasses.dataclass
    class Both:
        a: object
        b: object

    def f(p, d, q, *rest, k=1, **more):
        return {
            "s": p.a * d.b + q["z"][0],
            "t": Pair(p.b, d.a),
            "u": [more["m"] * k, None, "s", 3],
            "v": Both(p.a, rest),
        }

    out = compiled(f)(Pair(X, X * 2), Both(X, X * 3), {"z": (X,)}, X, k=2, m=X)
    close(out["s"], X * X * 3 + X)
    close(out["t"].b, X)
    assert out["u"][1:] == [None, "s", 3] and type(out["t"]) is Pair and type(out["v"]) is Both
    close(out["u"][0], X * 2)
    close(out["v"].b[0], X)


def test_returned_arguments_parameters_and_constants():
    x, w, table = ndl.Tensor(X), ndl.Tensor([2.0]), np.arange(3.0)
    assert compiled(lambda x: x)(x) is x
    assert compiled(lambda x: w)(x) is w
    assert compiled(lambda x: table)(x) is table
    f = compiled(lambda x: (x * 2, np.arange(3)))
    f(X)[1][0] = 9
    assert f(X)[1][0] == 0
    model = nn.Linear(2, 2)
    assert compiled(lambda x: (model, x))(x)[0] is model


def test_a_result_is_never_overwritten_by_a_later_call():
    f = compiled(lambda x: (ndl.sin(x), (x * 2).T, ndl.ones(3)))
    first = f(X)
    kept = [np.array(each.numpy() if isinstance(each, ndl.Tensor) else each) for each in first]
    for shift in range(3):
        f(X + shift)
    close(first, kept)


# --------------------------------------------------------------------------------------------------------------------
# What is read afresh, and what traces again


def test_closed_over_tensors_are_read_afresh():
    w = ndl.Tensor([1.0, 2.0], requires_grad=False)
    f = compiled(lambda x: x * w)
    close(f(np.array([3.0, 4.0])), [3.0, 8.0])
    w.data = constant([5.0, 6.0])
    close(f(np.array([3.0, 4.0])), [15.0, 24.0])
    w.cached_data[0] = 7.0
    close(f(np.array([3.0, 4.0])), [21.0, 24.0])
    assert f.cache_size() == 1


def test_closed_over_arrays_replaced_or_changed_in_place_are_seen():
    table = np.ones(5)

    def f(x):
        return x * table

    j = compiled(f)
    close(j(X), X)
    table[:] = 2
    close(j(X), 2 * X)
    table = np.full(5, 3.0)
    close(j(X), 3 * X)
    assert j.cache_size() == 1


@pytest.mark.parametrize("part", [lambda a: a[:5], lambda a: a[::-2], lambda a: a.reshape(2, 5).T[:, 1]])
def test_views_of_closed_over_arrays_are_followed(part):
    table = np.arange(10.0)

    def f(x):
        return x * part(table)

    j = compiled(f)
    close(j(X), f(X))
    table += 3
    close(j(X), f(X))
    table = np.arange(10.0)[::-1] ** 2
    close(j(X), f(X))
    assert j.cache_size() == 1


def test_numbers_taken_out_of_closed_over_arrays_trace_again_when_they_change():
    table = np.array([2.0, 3.0])
    f = compiled(lambda x: x * float(table[0]) + table.max())
    close(f(X), X * 2 + 3)
    table[:] = 5, 7
    close(f(X), X * 5 + 7)


SCALE = 2.0


def test_a_changed_closed_over_number_global_or_flag_traces_again():
    k = 2

    def f(x):
        return x * k * SCALE

    global SCALE
    j = compiled(f)
    close(j(X), 4 * X)
    k = 3
    close(j(X), 6 * X)
    try:
        SCALE = 5.0
        close(j(X), 15 * X)
    finally:
        SCALE = 2.0
    close(j(X), 6 * X)
    assert j.cache_size() == 3


def test_minus_zero_is_not_zero_and_true_is_not_one():
    k = 0.0
    f = compiled(lambda x: ndl.divide(x, ndl.Tensor(1.0) * k) if k.__class__ is float else x)
    with np.errstate(divide="ignore"):
        assert f(np.ones(1))[0] == np.inf
        k = -0.0
        assert f(np.ones(1))[0] == -np.inf
    k = 0
    close(f(X), X)


def test_attributes_of_objects_and_classes_trace_again():
    class Turn:
        by = 2.0

        def __init__(self):
            self.sign = 1.0

        def __call__(self, x):
            return x * self.sign * self.by

    turn = Turn()
    f = compiled(turn)
    close(f(X), 2 * X)
    turn.sign = -1.0
    close(f(X), -2 * X)
    Turn.by = 3.0
    close(f(X), -3 * X)
    turn.by = 4.0
    close(f(X), -4 * X)


def test_lists_and_dicts_of_modules_trace_again_when_they_change():
    layers = [nn.Linear(5, 5, dtype="float64")]
    options = {"twice": False}

    def f(x):
        for layer in layers:
            x = layer(x)
        return x * 2 if options["twice"] else x

    j = compiled(f)
    x = constant(X[None])
    close(j(x), f(x))
    layers.append(nn.Linear(5, 5, dtype="float64"))
    close(j(x), f(x))
    options["twice"] = True
    close(j(x), f(x))
    layers.pop(0)
    close(j(x), f(x))
    assert j.traces == 4


def test_shapes_dtypes_and_static_values_trace_again_and_are_kept():
    f = compiled(total)
    for x in (X, X[:3], X.astype("float32"), X, X[:3]):
        close(f(x), np.float64(np.sum(np.tanh(x) * np.sin(x)))) if x.dtype == np.float64 else f(x)
    assert f.traces == f.cache_size() == 3
    f.clear_cache()
    assert f.cache_size() == 0


def test_train_and_eval_trace_again():
    model = nn.Sequential(nn.Dropout(0.5))
    f, x = compiled(model), ndl.Tensor(np.ones(100, "float32"))
    assert (f(x).numpy() == 0).any()
    model.eval()
    close(f(x), np.ones(100))
    assert f.cache_size() == 2


def test_parameters_replaced_shared_and_swapped_between_calls():
    class Scale(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.weight = nn.Parameter(ndl.Tensor([k]))

        def forward(self, x):
            return x * self.weight

    a, b = Scale(2.0), Scale(3.0)
    f, x = compiled(lambda x: a(x) + b(x) * 10), constant([1.0])
    close(f(x), [32.0])
    a.weight, b.weight = b.weight, a.weight
    close(f(x), [23.0])
    a.weight = nn.Parameter(ndl.Tensor([5.0]))
    close(f(x), [25.0])
    b.weight = a.weight
    close(f(x), [55.0])
    b.weight.data = constant([1.0])
    close(f(x), [11.0])


def test_modules_as_arguments_are_any_with_the_same_inside():
    f = compiled(lambda model, x: model(x))
    x = constant(np.ones((2, 3)))
    for _ in range(3):
        model = nn.Sequential(nn.Linear(3, 4, dtype="float64"), nn.Tanh(), nn.Linear(4, 2, dtype="float64"))
        close(f(model, x), model(x))
    assert f.cache_size() == 1
    f(model, x).sum().backward()
    ours = model.modules[0].weight.grad.numpy() if hasattr(model, "modules") else model[0].weight.grad.numpy()
    model(x).sum().backward()
    close(ours, next(iter(model.parameters())).grad)


def test_the_same_tensor_twice():
    f = compiled(lambda a, b: a * b)
    t = ndl.Tensor([3.0])
    close(f(t, t), [9.0])
    close(f(ndl.Tensor([2.0]), ndl.Tensor([5.0])), [10.0])
    close(f(t, t), [9.0])

    def assign(a, b):
        a.data = a + 1
        return a * b

    j = compiled(assign)
    t = constant([3.0])
    close(j(t, t), [16.0])
    u, v = constant([3.0]), constant([4.0])
    close((j(u, v), u, v), ([16.0], [4.0], [4.0]))


def test_tensors_that_no_path_leads_to_are_followed():
    w = constant([3.0])
    link = weakref.ref(w)
    f = compiled(lambda x: x * link())
    close(f(X), 3 * X)
    w.data = constant([5.0])
    close(f(X), 5 * X)


def test_defaults_are_followed():
    def f(x, w=constant([2.0]), *, shift=constant([1.0])):
        return x * w + shift

    j = compiled(f)
    close(j(X), 2 * X + 1)
    f.__defaults__[0].data = constant([3.0])
    f.__kwdefaults__["shift"].data = constant([0.0])
    close(j(X), 3 * X)


def test_what_no_code_mentions_costs_nothing():
    class Holder:
        def __init__(self):
            self.weight, self.log = constant([2.0]), [object() for _ in range(30_000)]

        def __call__(self, x):
            return x * self.weight

        def unused(self):
            return self.log

    holder = Holder()
    f = compiled(holder.__call__)
    close(f(X), 2 * X)
    assert len(f._entries[0].source) < 3000


# --------------------------------------------------------------------------------------------------------------------
# Effects


def test_data_assignment_and_setitem():
    w = constant([2.0, 3.0])

    def f(x):
        w[0] = x.sum()
        w.data = w * 2
        return x * w

    j = compiled(f)
    for _ in range(2):
        close(j(np.array([1.0, 4.0])), [2 * 5.0, 4 * w.numpy()[1]])
    close(w, [10.0, 12.0])


def test_writes_into_the_live_array():
    w = constant([2.0, 3.0])
    array = w.cached_data

    def f(x):
        w.cached_data[0] = x.sum()
        return x * w

    j = compiled(f)
    close(j(np.array([1.0, 4.0])), [5.0, 12.0])
    close((w, array), ([5.0, 3.0], [5.0, 3.0]))
    close(j(np.array([1.0, 1.0])), [2.0, 3.0])
    close((w, array), ([2.0, 3.0], [2.0, 3.0]))


def test_gradients_none_present_and_accumulated():
    w = ndl.Tensor([2.0])

    def f(x):
        (w * x).sum().backward(accumulate=True)
        return w.grad

    j = compiled(f)
    for x, expected in ((1.0, 1.0), (3.0, 4.0), (5.0, 9.0)):
        close(j(constant([x])), [expected])
        close(w.grad, [expected])
    assert j.cache_size() == 2
    w.grad = None
    close(j(constant([7.0])), [7.0])
    assert j.cache_size() == 2


def test_a_gradient_that_is_set_to_none():
    w = ndl.Tensor([2.0])
    w.grad = ndl.Tensor([1.0])

    def f(x):
        w.grad = None
        return x

    j = compiled(f)
    j(X)
    assert w.grad is None


def test_effects_happen_in_order():
    w, v = constant([1.0]), constant([10.0])

    def f():
        w.data = w + v
        v.data = w * 2
        w.data = v - w
        return w + v

    j, expected_w, expected_v = compiled(f), 1.0, 10.0
    for _ in range(3):
        expected_w += expected_v
        expected_v = 2 * expected_w
        expected_w = expected_v - expected_w
        close((j(), w, v), ([expected_w + expected_v], [expected_w], [expected_v]))


def test_draws_are_made_anew_at_each_call_as_eager_makes_them():
    generator = init.Generator(7)

    def f(x):
        return x + init.randn(5, dtype="float64") * init.rand(5, generator=generator) + init.randb(5, p=0.3)

    def run(f):
        np.random.seed(3)
        generator.load_state_dict(init.Generator(7).state_dict())
        return [np.array(f(constant(X)).numpy()) for _ in range(3)]

    j = compiled(f)
    close(run(j), run(f))
    assert j.cache_size() == 1


def test_dropout_goes_back_through_the_mask_that_it_drew():
    drop = nn.Dropout(0.5)
    f, x = compiled(lambda x: drop(x)), ndl.Tensor(np.ones(50, "float32"))
    out = f(x)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), out.numpy())


def test_running_statistics_are_those_of_eager():
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
    ours, theirs = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    f = compiled(ours)
    for batch in x:
        np.testing.assert_allclose(f(constant(batch)).numpy(), theirs(constant(batch)).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.running_mean.numpy(), theirs.running_mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.running_var.numpy(), theirs.running_var.numpy(), rtol=1e-6)


# --------------------------------------------------------------------------------------------------------------------
# Questions that only values answer

ASKED = {
    "if": lambda x: x if x.sum() > 3 else -x,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "complex": lambda x: complex(x.sum()),
    "numpy": lambda x: x.numpy(),
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "asarray": lambda x: np.asarray(x),
    "format": lambda x: f"{x.sum():.3f}",
    "a shape": lambda x: ndl.zeros(int(x.sum())),
    "reshape": lambda x: x.reshape((x.sum().astype(int), -1)),
    "an index": lambda x: [1, 2, 3][x.sum().astype(int)],
    "range": lambda x: range(x.sum().astype(int)),
    "a mask": lambda x: x[x > 0],
    "nonzero": lambda x: np.nonzero(x),
    "unique": lambda x: np.unique(x),
    "bincount": lambda x: np.bincount(x.astype(int)),
}


@pytest.mark.parametrize("f", ASKED.values(), ids=ASKED)
def test_a_value_that_is_asked_for_is_an_error_with_the_line_and_the_ways_out(f):
    with pytest.raises(TypeError) as caught:
        compiled(f)(ndl.Tensor(np.ones(3)))
    text = str(caught.value)
    assert f"test_jit.py:{inspect.getsourcelines(f)[1]}" in text
    for way in ("where", "cond", "static_argnums", "return it"):
        assert way in text


def test_a_tensor_can_be_shown():
    f = compiled(lambda x: x * len(f"{x} {x!s} {x!r}") * 0 + x)
    close(f(X), X)


def test_labels_are_checked_at_each_call_with_the_message_of_eager():
    loss = nn.SoftmaxLoss()
    f, logits = compiled(lambda z, y: loss(z, y)), ndl.Tensor(np.ones((2, 3), "float32"))
    f(logits, constant(np.array([0, 1])))
    with pytest.raises(ValueError, match=r"every label must lie in \[0, 3\), got 5"):
        f(logits, constant(np.array([0, 5])))
    f(logits, constant(np.array([2, 1])))


def test_a_shape_that_follows_from_values_within_an_op_is_an_error_when_it_changes():
    class Chosen(ndl.TensorOp):
        def compute(self, a):
            return np.array([v for v in a if v > 0])

        def gradient(self, out_grad, node):
            return out_grad

    f = compiled(lambda x: Chosen()(x))
    close(f(np.array([1.0, 2.0])), [1.0, 2.0])
    with pytest.raises(TypeError, match="shape that follows from values"):
        f(np.array([1.0, -2.0]))


class CourseReLU(ndl.TensorOp):
    def compute(self, a):
        return np.maximum(a, 0)

    def gradient(self, out_grad, node):
        return out_grad * ndl.Tensor(node.inputs[0].realize_cached_data() > 0)


class CourseReLUByNumpy(CourseReLU):
    def gradient(self, out_grad, node):
        return out_grad * ndl.Tensor(node.inputs[0].numpy() > 0)


class CourseReLUInPython(CourseReLU):
    def compute(self, a):
        return np.array([max(v, 0.0) for v in a])

    def gradient(self, out_grad, node):
        return (out_grad * ndl.Tensor(np.array([float(v > 0) for v in node.inputs[0].numpy()])),)


@pytest.mark.parametrize("op", [CourseReLU(), CourseReLUByNumpy(), CourseReLUInPython()])
def test_ops_of_a_course_whose_rules_look_at_values(op):
    f = lambda x: (op(x) * x).sum()
    for j in (compiled(grad(f)), grad(compiled(f))):
        for x in (X, -X, X + 0.3):
            close(j(x), grad(f)(x))
    g = lambda x: jvp(f, (x,), (x,))
    j = compiled(g)
    close(j(X), g(X))
    close(j(-X), g(-X))


# --------------------------------------------------------------------------------------------------------------------
# Mistakes


def test_numbers_drawn_by_numpy_python_or_a_private_generator_are_an_error():
    import random

    private = np.random.default_rng(0)
    for f in (
        lambda x: x + np.random.rand(5),
        lambda x: x + random.random(),
        lambda x: x + private.normal(size=5),
        lambda x: x + init.rand(5, generator=init.Generator(0)),
    ):
        state = np.random.get_state()[1].tolist(), random.getstate(), private.bit_generator.state
        with pytest.raises(RuntimeError, match="needle.init|Generator"):
            compiled(f)(X)
        assert state == (np.random.get_state()[1].tolist(), random.getstate(), private.bit_generator.state)


def test_python_side_effects_are_errors_that_name_them_and_are_undone():
    class Counter:
        def __init__(self):
            self.calls = 0

        def __call__(self, x):
            self.calls += 1
            return x

    counter, history, found, count = Counter(), [], {"best": 1.0}, 0

    def append(x):
        history.append(x.sum())
        return x

    def store(x):
        found["best"] = x.sum()
        return x

    def nonlocal_count(x):
        nonlocal count
        count += 1
        return x

    for f, name in ((counter, "calls"), (append, "history"), (store, "best"), (nonlocal_count, "count")):
        with pytest.raises(RuntimeError, match=f"changes.*{name}"):
            compiled(f)(X)
    assert (counter.calls, history, found, count) == (0, [], {"best": 1.0}, 0)


def test_what_is_made_at_the_first_call_is_found_at_the_next():
    class Masked:
        mask = None

        def __init__(self):
            self.mask = None

        def __call__(self, x):
            if self.mask is None:
                self.mask = np.tri(x.shape[0])
            return self.mask @ x

    f = compiled(Masked())
    close(f(X), np.cumsum(X))
    close(f(2 * X), np.cumsum(2 * X))
    assert f.cache_size() == 1


def test_an_iterator_is_refused_before_anything_is_taken():
    items = iter([1.0, 2.0])
    with pytest.raises(TypeError, match="items is an iterator"):
        compiled(lambda x: x * next(items))(X)
    assert next(items) == 1.0


def test_a_value_that_leaked_from_a_trace_is_an_error():
    sink = threading.local()  # jit does not look into objects of the standard library

    def f(x):
        sink.value = x * 3
        return x

    compiled(f)(ndl.Tensor(X))
    with pytest.raises(RuntimeError, match=r"after the trace had ended, in\n  .*test_jit.py:\d+"):
        sink.value + 1
    with pytest.raises(RuntimeError, match="a value of one trace was used in another"):
        compiled(lambda x: x + sink.value)(X)


def test_an_error_during_the_trace_leaves_everything_as_it_was():
    model, norm = nn.Linear(3, 2), nn.BatchNorm1d(2)
    optimizer = ndl.optim.Adam(model.parameters(), lr=0.1)
    x = ndl.Tensor(np.ones((4, 3), "float32"))
    weight, mean, state = model.weight.node, norm.running_mean.numpy(), np.random.get_state()[1].tolist()

    def step(x):
        optimizer.reset_grad()
        loss = norm(model(x)).sum()
        loss.backward()
        optimizer.step()
        init.rand(3)
        raise KeyError("boo")

    with pytest.raises(KeyError, match="boo"):
        compiled(step)(x)
    assert model.weight.node is weight and model.weight.grad is None
    assert optimizer._state[0] == {"step": 0} and np.random.get_state()[1].tolist() == state
    close(norm.running_mean, mean)


def test_an_error_in_a_call_leaves_everything_as_it_was():
    model = nn.Linear(3, 2)
    optimizer, loss = ndl.optim.Adam(model.parameters(), lr=0.1), nn.SoftmaxLoss()

    def step(x, y):
        optimizer.reset_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    j, x = compiled(step), constant(np.ones((2, 3), "float32"))
    j(x, constant(np.array([0, 1])))
    weight, count = model.weight.node, optimizer._state[0]["step"]
    with pytest.raises(ValueError, match="every label"):
        j(x, constant(np.array([0, 7])))
    assert model.weight.node is weight and optimizer._state[0]["step"] == count == 1
    j(x, constant(np.array([0, 1])))
    assert optimizer._state[0]["step"] == 2


def test_static_arguments():
    f = lambda x, n=1: sum([x] * n)
    for options in ({"static_argnums": 1}, {"static_argnums": (-1,)}, {"static_argnames": "n"}):
        j = compiled(f, **options)
        close((j(X, 3), j(X, n=3), j(X, 2), j(X)), (3 * X, 3 * X, 2 * X, X))
    with pytest.raises(TypeError, match="argument 1 is static, so it must be hashable, got list"):
        compiled(f, static_argnums=1)(X, [1])
    with pytest.raises(ValueError, match="takes 2 by position"):
        compiled(f, static_argnums=2)
    with pytest.raises(ValueError, match="'m', which"):
        compiled(f, static_argnames="m")


def test_bools_strings_and_none_are_static():
    f = compiled(lambda x, mode, flip, z: (x if mode == "up" else -x) * (2 if flip else 1) + (0 if z is None else z))
    close(f(X, "up", True, None), 2 * X)
    close(f(X, "down", False, 1.0), -X + 1)
    close(f(X, "up", False, 1.0), X + 1)
    assert f.cache_size() == 3


def test_jit_takes_functions_and_is_a_decorator():
    for wrong in (3, None.__class__, "f"):
        if not callable(wrong):
            with pytest.raises(TypeError, match="jit takes a function"):
                jit(wrong)

    @jit(static_argnums=1, backend="numpy")
    def scaled(x, n=2):
        """x·n"""
        return x * n

    assert scaled.__name__ == "scaled" and scaled.__doc__ == "x·n" and scaled.__wrapped__(X, 3) is not None
    assert list(inspect.signature(scaled).parameters) == ["x", "n"]
    close((scaled(X), scaled(X, 3)), (2 * X, 3 * X))


def test_methods_modules_and_partials():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        @jit(backend="numpy")
        def compiled_forward(self, x):
            return self.linear(x)

        def forward(self, x):
            return self.linear(x)

    model, x = Model(), constant(np.ones((4, 3), "float32"))
    for f in (
        model.compiled_forward,
        compiled(model),
        compiled(model.forward),
        compiled(functools.partial(Model.forward, model)),
    ):
        np.testing.assert_allclose(f(x).numpy(), model(x).numpy(), rtol=1e-6)


def test_two_threads_may_call_one_function():
    f, model = compiled(total), nn.Linear(5, 2, dtype="float64")
    g = compiled(lambda x: model(x).sum())
    wrong = []

    def work(i):
        x = X + i % 3
        if not (np.allclose(f(x), np.sum(np.tanh(x) * np.sin(x))) and np.isfinite(g(constant(x[None])).numpy())):
            wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and f.cache_size() == g.cache_size() == 1


def test_no_grad_around_and_inside():
    w = ndl.Tensor([2.0])
    f = compiled(lambda x: x * w)
    with ndl.no_grad():
        assert not f(ndl.Tensor([1.0])).requires_grad
    assert f(ndl.Tensor([1.0])).requires_grad

    def g(x):
        with ndl.no_grad():
            a = x * w
        with ndl.no_grad(), ndl.enable_grad():
            b = x * w
        return a, b

    a, b = compiled(g)(constant([1.0]))
    assert not a.requires_grad and b.requires_grad


def test_detect_nan_around_a_compiled_function_finds_the_op():
    f = compiled(lambda x: ndl.log(x))
    f(ndl.Tensor([1.0]))
    with pytest.raises(FloatingPointError, match="Log made the first -inf"), ndl.detect_nan():
        f(ndl.Tensor([0.0]))


def test_detect_nan_inside_a_compiled_function_looks_at_each_call():
    def f(x):
        with ndl.detect_nan():
            y = ndl.log(x)
            y.sum().backward()
        return x.grad

    j = compiled(f)
    close(j(ndl.Tensor([1.0, 2.0])), [1.0, 0.5])
    with pytest.raises(FloatingPointError, match=r"Log made the first -inf: 1 of 2 elements, at \[1\]") as caught:
        j(ndl.Tensor([1.0, 0.0]))
    assert "test_jit.py" in str(caught.value) and "y = ndl.log(x)" in str(caught.value)
    with pytest.raises(FloatingPointError, match="input 0 of Log holds nan: 1 of 2 elements, at .1. already"):
        j(ndl.Tensor([1.0, np.nan]))
    j(ndl.Tensor([1.0, 3.0]))
    assert j.cache_size() == 1


def test_lazy_mode_goes_on_without_a_program():
    try:
        ndl.autograd.LAZY_MODE = True
        close(compiled(wave)(constant(X)), np.tanh(X) * np.sin(X))
    finally:
        ndl.autograd.LAZY_MODE = False


def test_a_counter_of_what_jit_keeps_and_a_report_before_the_first_call():
    f = compiled(wave)
    assert f.cache_size() == 0
    with pytest.raises(RuntimeError, match="has not been called yet"):
        _ = f.source
    with pytest.warns(RuntimeWarning, match="was traced 65 times, now since argument 0"):
        for n in range(70):
            f(np.ones(n))
    assert f.cache_size() == 64
