"""Products in programs with kernels: what NumPy's give, however the matrices lie, shared or not, at each call."""

import os
import threading

import numpy as np
import pytest

import needle as ndl
from needle.program import pool
from needle.program.ir import Input, Instruction
from needle.program.kernels.products import Product, blas, cut

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.skipif(blas() is None, reason="NumPy's BLAS is not OpenBLAS")


@pytest.fixture(autouse=True)
def _two_threads(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))
    monkeypatch.setattr(pool, "WORKERS", max(pool.WORKERS, 2))
    before = blas().get()
    blas().set(2)
    yield
    assert blas().get() == 2
    blas().set(before)


def matrix(rows, columns, dtype="f4", order="C", seed=0):
    found = np.random.default_rng(seed).normal(size=(rows, columns)).astype(dtype)
    return np.asarray(found, order=order)


def compiled(a, b, unknown=()):
    inputs = [Input(x.shape, x.dtype, f"x{i}") for i, x in enumerate((a, b))]
    instruction = Instruction(Product(), inputs, [((a.shape[0], b.shape[1]), a.dtype)])
    return instruction.function.compiled(instruction, [a.strides, b.strides], list(unknown))


def check(a, b, product=None):
    result = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    assert (product or compiled(a, b)).call(a, b, result)
    exact = a.astype("f8") @ b.astype("f8")
    within = np.abs(a).astype("f8") @ np.abs(b).astype("f8")  # the error of a sum is small beside the sum of sizes
    assert np.all(np.abs(result - exact) <= 8 * np.finfo(a.dtype).eps * within + np.finfo(a.dtype).tiny)
    return result


SIZES = [(2, 2, 2), (3, 5, 7), (100, 10, 100), (64, 64, 64), (100, 100, 784), (784, 100, 100), (100, 784, 100)]
SIZES += [(64, 64, 3000), (9, 7, 5001), (16, 500, 64), (500, 16, 64), (101, 103, 107), (8, 1000, 300), (2, 2, 100_000)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("orders", ["CC", "CF", "FC", "FF"])
def test_values_and_bits(sizes, dtype, orders):
    m, n, k = sizes
    a, b = matrix(m, k, dtype, orders[0]), matrix(k, n, dtype, orders[1], seed=1)
    product = compiled(a, b)
    first = check(a, b, product)
    for _ in range(5):
        np.testing.assert_array_equal(check(a, b, product), first)


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("sizes", SIZES[2:], ids=str)
def test_parts(monkeypatch, workers, sizes):
    monkeypatch.setattr(pool, "WORKERS", workers)
    m, n, k = sizes
    check(matrix(m, k), matrix(k, n, seed=1))


def test_where_a_product_is_cut():
    assert cut(100, 10, 100, 2) == ("m", 1)  # too small
    assert cut(784, 100, 100, 2) == ("m", 2)
    assert cut(100, 784, 100, 2) == ("n", 2)
    assert cut(64, 64, 3000, 2) == ("k", 2)
    assert cut(2000, 2000, 2000, 2) == ("m", 1)  # left to OpenBLAS


def test_rows_that_lie_apart():
    whole, b = matrix(200, 300), matrix(150, 120, seed=1)
    check(whole[20:120, 100:250], b)
    check(whole[::2, 100:250], b)
    check(whole.T[20:170, 30:180], b)


@pytest.mark.parametrize("a", [matrix(20, 60)[:, ::2], matrix(20, 30)[::-1], np.broadcast_to(matrix(1, 30), (20, 30))])
def test_what_blas_cannot_be_told_is_left_to_numpy(a):
    assert compiled(a, matrix(30, 40)) is None


def test_other_dtypes_and_vectors_are_left_to_numpy():
    assert compiled(np.ones((3, 4), "i8"), np.ones((4, 5), "i8")) is None
    assert compiled(np.ones((3, 4), "c8"), np.ones((4, 5), "c8")) is None
    assert compiled(np.ones((1, 4)), np.ones((4, 5))) is None
    x = Input((5, 5), np.dtype("f4"), "x")
    instruction = Instruction(Product(), [x, x], [((5, 5), x.dtype)])
    assert instruction.function.compiled(instruction, [(20, 4), (20, 4)], []) is None  # x @ x.T is symmetric, there


def test_an_array_that_lies_in_another_way_is_refused():
    a, b = matrix(100, 200), matrix(200, 100, seed=1)
    product = compiled(a, b, unknown=[0, 1])
    result = np.full((100, 100), np.nan, "f4")
    assert not product.call(np.asfortranarray(a), b, result)
    assert not product.call(a, np.asfortranarray(b), result)
    assert np.isnan(result).all()
    check(a, b, product)


def test_nan_and_infinity_go_through():
    a, b = matrix(100, 800), matrix(800, 100, seed=1)
    a[3, 5], a[99, 700] = np.nan, np.inf
    result = np.full((100, 100), np.nan, "f4")
    assert compiled(a, b).call(a, b, result)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(a @ b))
    np.testing.assert_array_equal(np.isinf(result), np.isinf(a @ b))


def test_the_number_of_threads_of_openblas_is_put_back_whoever_calls():
    a, b = matrix(100, 784), matrix(784, 100, seed=1)
    product, failed = compiled(a, b), []
    expected = check(a, b, product)

    def work():
        result = np.empty((100, 100), "f4")
        for _ in range(200):
            if not product.call(a, b, result) or not np.array_equal(result, expected):
                failed.append(result.copy())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert blas().get() == 2


def test_numpy_in_another_thread_meanwhile():
    """OpenBLAS is told to use another number of threads while it is at work."""
    a, b = matrix(100, 784), matrix(784, 100, seed=1)
    product = compiled(a, b)
    expected = check(a, b, product)
    c, d = matrix(300, 500, "f8", seed=2), matrix(500, 200, "f8", seed=3)
    exact, differences, over = c @ d, [], threading.Event()

    def by_numpy():
        while not over.is_set():
            differences.append(np.max(np.abs(c @ d - exact)))

    other = threading.Thread(target=by_numpy)
    other.start()
    result = np.empty((100, 100), "f4")
    wrong = [i for i in range(500) if not product.call(a, b, result) or not np.array_equal(result, expected)]
    over.set()
    other.join()
    assert not wrong
    assert max(differences) < 1e-11


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process():
    a, b = matrix(100, 784), matrix(784, 100, seed=1)
    product = compiled(a, b)
    expected = check(a, b, product)
    result = np.empty((100, 100), "f4")
    busy = threading.Thread(target=lambda: [product.call(a, b, result) for _ in range(1000)])
    busy.start()
    child = os.fork()
    if not child:
        status = 1
        try:
            for _ in range(5):
                np.testing.assert_array_equal(check(a, b, product), expected)
            status = 0 if blas().get() == 2 else 2
        finally:
            os._exit(status)
    busy.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_training_step_has_them():
    x, w, g = matrix(100, 784), matrix(784, 100, seed=1), matrix(100, 100, seed=2)

    def step(x, w, g):
        y = np.maximum(x @ w, 0)
        return x.T @ (y * g), y @ w.T, y

    run = ndl.jit(step, backend="numba", wait=True)
    found = run(x, w, g)
    assert run.source.count("= product") + run.source.count("    product") == 3
    for result, again, expected in zip(found, run(x, w, g), step(x, w, g), strict=True):
        np.testing.assert_array_equal(result, again)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-2)
    for a, b in [(np.asfortranarray(x), w), (x, np.asfortranarray(w)), (np.repeat(x, 2, axis=1)[:, ::2], w)]:
        for result, expected in zip(run(a, b, g), found, strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-2)
