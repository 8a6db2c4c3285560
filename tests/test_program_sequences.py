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
