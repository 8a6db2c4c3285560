"""Compiled functions with kernels: they come in the background, all at once, and what they cannot know they look at."""

import sys
import time

import numpy as np
import pytest

import needle as ndl
from needle.program.kernels import library

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def test_kernels_come_after_the_second_call():
    f, x = ndl.jit(softplus), np.linspace(-3, 3, 50)
    first = f(x)
    assert "# kernel" not in f.source
    f(x)
    end = time.monotonic() + 60
    while "# kernel" not in f.source and time.monotonic() < end:
        time.sleep(0.01)
    assert "# kernel" in f.source
    np.testing.assert_allclose(f(x), first, rtol=1e-14)
    np.testing.assert_array_equal(f(x), f(x))


def test_waiting_for_kernels():
    f = ndl.jit(softplus, backend="numba", wait=True)
    np.testing.assert_allclose(f(np.arange(4.0)), softplus(np.arange(4.0)), rtol=1e-14)
    assert "# kernel" in f.source


def test_numpy_alone_has_no_kernels():
    f = ndl.jit(softplus, backend="numpy", wait=True)
    f(np.arange(4.0))
    assert "# kernel" not in f.source


@pytest.mark.parametrize(
    "lay", [lambda x: x, np.asfortranarray, lambda x: x[::-1], lambda x: np.repeat(x, 2, 1)[:, ::2], lambda x: x[:1]]
)
def test_arguments_in_any_order_in_memory(lay):
    def function(x):
        return softplus(x).sum(0) + x.T[0, 0]

    f, x = ndl.jit(function, backend="numba", wait=True), lay(np.arange(12.0).reshape(3, 4))
    for given in (np.ascontiguousarray(x), x):
        np.testing.assert_allclose(f(given), function(given), rtol=1e-14)


def test_loops_have_kernels_inside():
    def function(x):
        carry, _ = ndl.scan(lambda c, _: (ndl.tanh(c) * 2 + 1, None), x, None, length=5)
        return carry

    x = ndl.Tensor(np.linspace(0, 1, 7))
    f = ndl.jit(function, backend="numba", wait=True)
    np.testing.assert_allclose(f(x).numpy(), function(x).numpy(), rtol=1e-13)


def test_a_missing_compiler_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setattr(sys.modules[library.__module__], "_LIBRARY", [])
    with pytest.raises(ImportError, match=r"pip install needle-autodiff\[jit\]"):
        ndl.jit(softplus, backend="numba")(np.arange(3.0))


def test_a_damaged_cache_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setenv("NEEDLE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sys.modules[library.__module__], "_LIBRARY", [])
    x = np.linspace(-1, 1, 9)
    expected = ndl.jit(softplus, backend="numba", wait=True)(x)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(sys.modules[library.__module__], "_LIBRARY", [])
    np.testing.assert_array_equal(ndl.jit(softplus, backend="numba", wait=True)(x), expected)
    assert path.read_bytes() == whole
