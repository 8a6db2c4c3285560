"""Kernels, small matrix products and copies that one native call does: the same numbers as from single statements."""

import threading

import numpy as np
import pytest

import needle as ndl

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))


def compiled(function):
    return ndl.jit(function, backend="numba", wait=True)


def randn(*shape, dtype=np.float64):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def two_layers(x, w, v):
    return np.tanh(np.tanh(x @ w) @ v) * 2.0


def stacked(x, w):
    h, all_h = x, []
    for _ in range(4):
        h = np.tanh(h @ w + x)
        all_h.append(h)
    return np.stack(all_h, 1).sum(0)


def transposed(x, w, v):
    h = np.tanh(x @ w)
    return np.exp(-np.abs(h.T @ x)) + np.tanh(w.T @ x.T).sum(), (h @ v).T + 1.0


def batched(x, w):
    h = np.tanh(np.stack([x, x + 1.0, x * 2.0]) @ w)
    return np.tanh(h @ w.T).sum(0)


def parts(x, w):
    joined = np.concatenate([np.tanh(x), np.exp(-x), x[:, ::2]], axis=1)
    return np.tanh(joined.T @ w), joined[1:, 3] + 1.0


def rows_and_columns(x, w):
    h = np.tanh(x @ w)
    return np.tanh(h[0] @ w), np.tanh(w @ h[:, 0][: w.shape[1]]), h


def gram(x, w):
    h = np.tanh(x @ w) + 1.0
    return np.tanh(h @ h.T) + np.tanh(h.T @ h).sum()


def nothing_between(x, w):
    return np.tanh(x @ w) @ w.T, x @ w


def cut_in_the_middle(x, w):
    h = np.tanh(np.tanh(x @ w) @ w.T)
    order = np.argsort(h[:, 0])
    return np.tanh(np.tanh(h[order] @ w) @ w.T), order


SHAPES = {
    two_layers: [(7, 5), (5, 6), (6, 4)],
    stacked: [(6, 5), (5, 5)],
    transposed: [(7, 5), (5, 6), (6, 4)],
    batched: [(7, 5), (5, 6)],
    parts: [(4, 6), (4, 3)],
    rows_and_columns: [(7, 6), (6, 6)],
    gram: [(7, 5), (5, 6)],
    nothing_between: [(7, 5), (5, 6)],
    cut_in_the_middle: [(7, 5), (5, 6)],
}
LAYS = {
    "C order": lambda x: x,
    "Fortran order": np.asfortranarray,
    "reversed": lambda x: x[::-1],
    "every other": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "misaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}


def assert_same(results, expected, rtol):
    results, expected = [y if isinstance(y, tuple) else (y,) for y in (results, expected)]
    for result, right in zip(results, expected, strict=True):
        assert result.dtype == right.dtype and result.shape == right.shape
        np.testing.assert_allclose(result, right, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", SHAPES, ids=lambda f: f.__name__)
def test_values(function, dtype):
    arrays = [randn(*shape, dtype=dtype) for shape in SHAPES[function]]
    f = compiled(function)
    assert_same(f(*arrays), function(*arrays), 1e-5 if dtype == "float32" else 1e-13)
    assert "run_table(" in f.source


@pytest.mark.parametrize("lay", LAYS)
@pytest.mark.parametrize("function", SHAPES, ids=lambda f: f.__name__)
def test_arguments_in_any_order_in_memory(function, lay):
    arrays = [randn(*shape) for shape in SHAPES[function]]
    f = compiled(function)
    expected = f(*arrays)
    for i in range(len(arrays)):
        given = [LAYS[lay](array) if i == j else array for j, array in enumerate(arrays)]
        assert_same(f(*given), function(*given), 1e-13)
    assert_same(f(*arrays), expected, 0)


def test_replays_are_equal_bit_by_bit():
    f, arrays = compiled(stacked), [randn(16, 64, dtype=np.float32), randn(64, 64, dtype=np.float32)]
    first = f(*arrays)
    for _ in range(5):
        np.testing.assert_array_equal(f(*arrays), first)


def test_one_array_for_two_arguments():
    f, x = compiled(lambda a, b: np.tanh(np.tanh(a @ b) @ a) + b), randn(5, 5)
    np.testing.assert_allclose(f(x, x), np.tanh(np.tanh(x @ x) @ x) + x, rtol=1e-13)
    np.testing.assert_allclose(f(x, x.T), np.tanh(np.tanh(x @ x.T) @ x) + x.T, rtol=1e-13)


def test_results_are_not_written_over_by_later_calls():
    f, w = compiled(lambda x, w: (np.tanh(np.tanh(x @ w) @ w), x @ w)), randn(5, 5)
    kept = f(w, w)
    copies = [y.copy() for y in kept]
    f(w + 1, w)
    for result, copy in zip(kept, copies):
        np.testing.assert_array_equal(result, copy)


def test_parameters_and_state_in_place():
    def trained(backend):
        np.random.seed(0)
        net = ndl.nn.Sequential(ndl.nn.Linear(4, 8), ndl.nn.Tanh(), ndl.nn.Linear(8, 2), ndl.nn.Tanh())
        adam = ndl.optim.Adam(net.parameters(), lr=0.01)
        x, y = ndl.Tensor(randn(16, 4, dtype=np.float32)), ndl.Tensor(randn(16, 2, dtype=np.float32))

        def step():
            loss = ((net(x) - y) ** 2).mean()
            adam.reset_grad()
            loss.backward()
            adam.step()
            return loss

        run = ndl.jit(step, backend=backend, wait=True) if backend else step
        losses = [run().item() for _ in range(20)]
        return [*losses, *[p.numpy() for p in net.parameters()]]

    for result, expected in zip(trained("numba"), trained(None), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-5)


def test_an_lstm_is_nearly_one_call():
    np.random.seed(0)
    net, x = ndl.nn.LSTM(3, 4), ndl.Tensor(randn(6, 2, 3, dtype=np.float32))

    def step():
        for parameter in net.parameters():
            parameter.grad = None
        net(x)[0].sum().backward()
        return [parameter.grad for parameter in net.parameters()]

    f = compiled(step)
    for result, expected in zip(f(), step(), strict=True):
        np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert f.source.count("run_table(") <= 2


def test_two_threads_at_once():
    f, w = compiled(stacked), randn(32, 32, dtype=np.float32) / 6
    arrays = [randn(24, 32, dtype=np.float32) + i for i in range(4)]
    expected = [f(x, w) for x in arrays]
    wrong = []

    def work(x, right):
        for _ in range(200):
            if not np.array_equal(f(x, w), right):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(arrays, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_error_between_two_calls_leaves_the_function_usable():
    def function(x, w):
        h = np.tanh(np.tanh(x @ w) @ w)
        return np.tanh(np.tanh(np.linalg.inv(h) @ w) @ w)

    f, w = compiled(function), np.eye(4) + 0.1 * randn(4, 4)
    expected = f(w, w)
    with pytest.raises(np.linalg.LinAlgError):
        f(np.zeros((4, 4)), w)
    np.testing.assert_array_equal(f(w, w), expected)


def test_large_products_stay_statements():
    f, x = compiled(lambda x, w: np.tanh(np.tanh(x @ w) @ w)), randn(128, 128)
    f(x, x)
    assert f.source.count(" matmul(") == 2 and "run_table(" not in f.source


def test_the_report_has_each_statement():
    f, arrays = compiled(stacked), [randn(6, 5), randn(5, 5)]
    f(*arrays)
    assert sum("matmul" in text for _, text, _ in f.report(*arrays).times) == 4


# --------------------------------------------------------------------------------------------------------------------
# Loops


def pendulum(state, _):
    angle, speed = state
    speed = speed - 0.01 * ndl.sin(angle)
    return (angle + 0.01 * speed, speed), angle


def swung(angle, speed):
    (angle, speed), angles = ndl.scan(pendulum, (angle, speed), None, length=57)
    return angle, speed, angles


def recurrent(h, x, w):
    def step(h, x):
        h = ndl.tanh(h @ w + x)
        return h, h.T

    return ndl.scan(step, h, x)


def backwards(h, x):
    return ndl.scan(lambda h, x: (h * 0.5 + x, h - x), h, x, reverse=True)


def exchanged(a, b):
    return ndl.scan(lambda state, _: ((state[1], state[0] * 1.0), state), (a, b), None, length=7)


def unchanged(a, x):
    return ndl.scan(lambda a, x: (a, x * 2.0 + a), a, x)


def counted(a, b):
    return ndl.fori_loop(0, 9, lambda i, state: (state[0] * 0.9 + i, state[1] - state[0]), (a, b))


def halved(a, b):
    return ndl.while_loop(lambda state: state[0].sum() > 1e-3, lambda state: (state[0] * 0.5, state[1] + 1.0), (a, b))


def never(a, b):
    return ndl.while_loop(lambda state: state[0].sum() < -1e9, lambda state: (state[0] * 0.5, state[1] + 1.0), (a, b))


def nested(a, b):
    def step(state, _):
        a, b = ndl.fori_loop(0, 3, lambda i, s: (s[0] * 0.9 + s[1], s[1] * 0.5), state)
        return (a, b), a

    return ndl.scan(step, (a, b), None, length=4)


LOOPS = {
    swung: [(), ()],
    recurrent: [(4, 5), (6, 4, 5), (5, 5)],
    backwards: [(3,), (8, 3)],
    exchanged: [(3,), (3,)],
    unchanged: [(3,), (5, 3)],
    counted: [(2, 3), (2, 3)],
    halved: [(3,), ()],
    never: [(3,), ()],
    nested: [(3,), (3,)],
}
IN_PYTHON = {nested}  # their steps are loops


def leaves(result):
    return [x for each in result for x in leaves(each)] if isinstance(result, tuple) else [result.numpy()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", LOOPS, ids=lambda f: f.__name__)
def test_loops(function, dtype):
    def run(backend):
        tensors = [ndl.Tensor(abs(randn(*shape, dtype=dtype)) * 0.3, requires_grad=False) for shape in LOOPS[function]]
        f = ndl.jit(function, backend=backend, wait=True)
        f(*[tensor + 1.0 for tensor in tensors])
        return leaves(f(*tensors))

    for result, expected in zip(run("numba"), run("numpy"), strict=True):
        assert result.dtype == expected.dtype and result.shape == expected.shape
        rtol = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=rtol)


def in_native_code(function, arrays):
    """Whether the loop of a compiled function runs without Python."""
    f = compiled(function)
    f(*arrays)
    emitter = f._entries[0].compiled.emitter
    (step,) = [step for step in emitter.plan.program if hasattr(step.function, "looped")]
    return step.function.prepared().__module__ == "needle.program.looping"


@pytest.mark.parametrize("function", [f for f in LOOPS if f not in IN_PYTHON], ids=lambda f: f.__name__)
def test_loops_without_python_between_the_steps(function):
    assert in_native_code(function, [ndl.Tensor(abs(randn(*shape))) for shape in LOOPS[function]])


def test_loops_whose_steps_need_python():
    def sorted_rows(h, x):
        return ndl.scan(lambda h, x: (np.sort(h + x), h), h, x)

    arrays = ndl.Tensor(randn(3)), ndl.Tensor(randn(4, 3))
    assert not in_native_code(sorted_rows, arrays)
    for result, expected in zip(leaves(compiled(sorted_rows)(*arrays)), leaves(sorted_rows(*arrays)), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-13)


@pytest.mark.parametrize("lay", [name for name in LAYS if name != "misaligned"])
def test_rows_in_any_order_in_memory(lay):
    f, h, w = compiled(recurrent), randn(4, 5), randn(5, 5)
    x = randn(6, 4, 5)
    expected = leaves(f(ndl.Tensor(h), ndl.Tensor(LAYS[lay](x).copy()), ndl.Tensor(w)))
    result = leaves(f(ndl.Tensor(h), ndl.Tensor(LAYS[lay](x)), ndl.Tensor(LAYS[lay](w)[::1])))
    right = leaves(f(ndl.Tensor(h), ndl.Tensor(LAYS[lay](x).copy()), ndl.Tensor(np.ascontiguousarray(LAYS[lay](w)))))
    for got, want, other in zip(result, right, expected, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.shape == other.shape


def test_what_a_loop_returned_stays():
    f, a, b = compiled(swung), ndl.Tensor(0.5), ndl.Tensor(0.1)
    kept = leaves(f(a, b))
    copies = [array.copy() for array in kept]
    f(a + 1.0, b)
    for result, copy in zip(kept, copies):
        np.testing.assert_array_equal(result, copy)


def test_a_long_loop_in_several_calls(monkeypatch):
    monkeypatch.setattr("needle.program.looping.AT_ONCE", 1e-6)
    for result, expected in zip(
        leaves(compiled(swung)(ndl.Tensor(0.5), ndl.Tensor(0.1))), leaves(swung(ndl.Tensor(0.5), ndl.Tensor(0.1)))
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    monkeypatch.setattr("needle.program.looping.AT_ONCE", 1e-7)
    a, b = ndl.Tensor(np.array([0.5, 4.0])), ndl.Tensor(np.array(0.0))
    for result, expected in zip(leaves(compiled(halved)(a, b)), leaves(halved(a, b)), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-13)


def test_two_threads_in_one_loop():
    f = compiled(swung)
    starts = [ndl.Tensor(np.array(0.1 * i)) for i in range(4)]
    expected = [leaves(f(a, a)) for a in starts]
    wrong = []

    def work(a, right):
        for _ in range(100):
            wrong.extend(x for x, y in zip(leaves(f(a, a)), right, strict=True) if not np.array_equal(x, y))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(starts, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_gradient_of_a_loop():
    def loss(a, b):
        angle, _, angles = swung(a, b)
        return (angles**2).sum() + angle

    a, b = ndl.Tensor(np.array(0.5)), ndl.Tensor(np.array(0.1))
    for result, expected in zip(compiled(ndl.grad(loss, (0, 1)))(a, b), ndl.grad(loss, (0, 1))(a, b), strict=True):
        np.testing.assert_allclose(result.numpy(), expected.numpy(), rtol=1e-12)
