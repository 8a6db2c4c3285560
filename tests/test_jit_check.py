"""`jit(fun, check=True)`: it lets right programs run, once beside eager, and finds what guards cannot see."""

import threading

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.program import jit

X = np.linspace(-1, 1, 5)


def test_a_training_step_passes_and_is_done_once():
    def run(compiled):
        np.random.seed(0)
        model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3, bias=False)
        )
        optimizer, loss = ndl.optim.Adam(model.parameters(), lr=0.01), nn.SoftmaxLoss()
        x = ndl.Tensor(np.random.randn(6, 4).astype("float32"), requires_grad=False)
        y = ndl.Tensor(np.arange(6) % 3, requires_grad=False)

        def step(x, y):
            optimizer.reset_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            return value

        step = jit(step, backend="numpy", check=True) if compiled else step
        return [step(x, y).numpy() for _ in range(4)], optimizer._state[0]["step"], np.random.rand()

    (ours, steps, draw), (theirs, _, expected) = run(True), run(False)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert steps == 4 and draw == expected


def test_gradients_views_and_statistics_are_compared():
    w = ndl.Tensor(X)

    @jit(backend="numpy", check=True)
    def f(x, k):
        w.grad = None
        (w * x).sum().backward()
        w.data = w.data * k
        return w.grad, {"twice": x * 2, "name": "f"}

    for k in (2.0, 3.0):
        grad, rest = f(X, k)
    np.testing.assert_array_equal(grad.numpy(), X)
    np.testing.assert_allclose(w.numpy(), X * 6)
    assert rest["name"] == "f" and f.cache_size() == 1


def test_a_program_that_differs_is_an_error_that_says_where_and_by_how_much():
    class Lying(ndl.TensorOp):
        def compute(self, a):
            return a * 2 if type(a) is np.ndarray else np.where(np.arange(5) == 3, a * 3, a * 2)

        def gradient(self, out_grad, node):
            return out_grad

    w = ndl.Tensor([1.0])

    @jit(backend="numpy", check=True)
    def f(x):
        w.data = w + 1
        return Lying()(x)

    with pytest.raises(RuntimeError, match=r"the result differs in 1 of 5 elements, most at \[3\]: 1.5 instead of 1.0"):
        f(X)
    assert w.numpy() == 1 and f.cache_size() == 0


def test_an_effect_that_differs_is_named():
    class Lying(ndl.TensorOp):
        def compute(self, a):
            return a * 2 if type(a) is np.ndarray else a * 3

        def gradient(self, out_grad, node):
            return out_grad

    weight = ndl.Tensor([1.0], requires_grad=False)

    def f(x):
        weight.data = Lying()(weight)
        return x

    with pytest.raises(RuntimeError, match=r"the value of weight differs in 1 of 1 elements.*: 3.0 instead of 2.0"):
        jit(f, backend="numpy", check=True)(X)
    assert weight.numpy() == 1


def test_what_changes_behind_the_back_of_guards_is_found():
    hidden = threading.local()  # jit does not look into objects of the standard library
    hidden.calls = 0

    def f(x):
        hidden.calls += 1
        return x * hidden.calls

    with pytest.raises(RuntimeError, match="gives something else when it is called again.*the result differs in 4"):
        jit(f, backend="numpy", check=True)(X)


def test_side_effects_on_what_no_code_mentions_by_name_are_found():
    class Log:
        def __init__(self):
            self.lines = []

    log = Log()
    name = "li" + "nes"

    def append(holder, x):
        type(holder).__getattribute__(holder, name).append(1.0)
        return x

    def f(x):
        return append(log, x)

    with pytest.raises(RuntimeError, match="changes log.lines"):
        jit(f, backend="numpy", check=True)(X)


def test_rounding_that_the_function_itself_blows_up_is_no_difference():
    f = jit(lambda x: ndl.sin(x * 1e9) + ndl.log(ndl.exp(x) * 1.0 - ndl.exp(x) + 1e-12), backend="numpy", check=True)
    with np.errstate(all="ignore"):
        f(X)


def test_an_error_of_the_function_is_its_own():
    loss = nn.SoftmaxLoss()
    f = jit(lambda z, y: loss(z, y), backend="numpy", check=True)
    with pytest.raises(ValueError, match="every label must lie in"):
        f(ndl.Tensor(np.ones((2, 3), "float32")), ndl.Tensor(np.array([0, 7])))
