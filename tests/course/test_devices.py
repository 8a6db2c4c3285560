"""Devices, the thin backend faces, and what importing needle makes reachable."""

import os
import subprocess
import sys

import numpy as np
import pytest

import needle as ndl
from needle import autograd
from needle import backend_ndarray as nd


def test_names_of_the_cpu():
    assert str(ndl.cpu()) == "cpu()"
    assert repr(ndl.cpu()) == "needle.cpu()"


def test_devices_compare_and_hash_by_what_they_are():
    assert ndl.cpu() == ndl.cpu()
    assert ndl.cpu() != ndl.cuda()
    assert len({ndl.cpu(), ndl.cpu(), ndl.cuda()}) == 2


def test_the_cpu_is_there():
    assert ndl.cpu().enabled() is True


def test_cuda_can_be_named_and_says_whether_it_is_there():
    assert ndl.cuda().enabled() in (True, False)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cpu_numpy", "default_device", "all_devices"])
def test_device_function_is_at_the_top(name):
    assert callable(getattr(ndl, name))


def test_default_device_holds_new_tensors():
    assert ndl.Tensor([1.0]).device == ndl.default_device()
    assert ndl.init.rand(2).device == ndl.default_device()


def test_all_devices_lists_the_cpu():
    assert ndl.cpu() in ndl.all_devices()


def test_cpu_numpy_holds_tensors():
    x = ndl.Tensor([1.0], device=ndl.cpu_numpy())
    assert x.device == ndl.cpu_numpy()
    np.testing.assert_array_equal(x.numpy(), [1])


def test_autograd_offers_the_same_devices():
    assert autograd.cpu() == ndl.cpu()
    assert isinstance(ndl.cpu(), autograd.Device)
    assert ndl.cpu() in autograd.all_devices()


@pytest.mark.parametrize(
    "make, shape",
    [
        (lambda device: device.rand(2, 3), (2, 3)),
        (lambda device: device.randn(2, 3), (2, 3)),
        (lambda device: device.randb(2, 3), (2, 3)),
        (lambda device: device.ones(2, 3), (2, 3)),
        (lambda device: device.zeros(2, 3), (2, 3)),
        (lambda device: device.empty((2, 3)), (2, 3)),
        (lambda device: device.full((2, 3), 7.0), (2, 3)),
        (lambda device: device.one_hot(3, np.array([0, 2])), (2, 3)),
    ],
)
def test_a_device_makes_arrays(make, shape):
    out = make(ndl.cpu())
    assert not isinstance(out, ndl.Tensor)
    assert out.shape == shape


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda device: device.ones(2, 2), [[1, 1], [1, 1]]),
        (lambda device: device.zeros(2), [0, 0]),
        (lambda device: device.full((2,), 7.0), [7, 7]),
        (lambda device: device.one_hot(3, np.array([0, 2])), [[1, 0, 0], [0, 0, 1]]),
    ],
)
def test_values_that_a_device_makes(make, expected):
    np.testing.assert_array_equal(make(ndl.cpu()), expected)


@pytest.mark.parametrize("name, draw", [("rand", np.random.rand), ("randn", np.random.randn)])
def test_a_device_draws_from_numpys_global_state(name, draw):
    np.random.seed(91)
    expected = draw(2, 3)
    np.random.seed(91)
    np.testing.assert_allclose(getattr(ndl.cpu(), name)(2, 3), expected, rtol=1e-6)


# The array face


@pytest.mark.parametrize("source", [[1.0, 2.0], [1, 2], np.ones((2, 3), "float32"), np.arange(4, dtype="int8"), 3.0])
def test_nd_array_is_an_ndarray_of_the_same_values(source):
    array = nd.array(source)
    assert isinstance(array, nd.NDArray)
    assert issubclass(nd.NDArray, np.ndarray)
    assert array.dtype == np.array(source).dtype
    np.testing.assert_array_equal(array, source)


def test_numpy_of_an_ndarray_is_a_plain_copy():
    array = nd.array([1.0, 2.0])
    copy = array.numpy()
    assert type(copy) is np.ndarray
    copy[0] = 100
    np.testing.assert_array_equal(array, [1, 2])


def test_a_tensor_can_be_made_of_an_ndarray():
    x = ndl.Tensor(nd.array(np.ones((2, 3), "float32")), device=ndl.cpu())
    assert (x.shape, x.dtype) == ((2, 3), "float32")
    np.testing.assert_array_equal(x.cached_data.numpy(), np.ones((2, 3)))


def test_the_array_face_names_devices():
    assert nd.cpu() == ndl.cpu()
    assert nd.cuda() == ndl.cuda()


def test_plain_numpy_works_on_what_a_tensor_hands_out():
    x = ndl.Tensor([3.0, 4.0])
    assert np.linalg.norm(x.cached_data) == 5
    assert [piece.tolist() for piece in np.array_split(x.cached_data, 2)] == [[3], [4]]
    assert x.cached_data.astype(np.uint8).dtype == "uint8"
    assert ndl.Tensor(np.array_split(x.cached_data, 2)[0], dtype="float32").dtype == "float32"


# Imports, each in a fresh process


def run(code, **environment):
    search = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": search, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_importing_needle_alone_makes_its_parts_reachable():
    code = (
        "import needle as n; n.autograd, n.ops, n.init, n.nn, n.optim, n.data, n.Tensor, n.TensorTuple, n.cpu, n.cuda; "
        "n.NDArray, n.Device"
    )
    assert run(code) == (0, "", "")


@pytest.mark.parametrize("backend", ["np", "nd"])
def test_both_backends_are_accepted_and_nothing_is_printed(backend):
    code = "import needle as n; assert n.nn.Linear(2, 3)(n.init.ones(1, 2)).shape == (1, 3)"
    assert run(code, NEEDLE_BACKEND=backend) == (0, "", "")


@pytest.mark.parametrize("module", ["backend_numpy", "backend_selection", "backend_ndarray"])
def test_backend_module_imports(module):
    assert run(f"import needle.{module}; from needle import {module}") == (0, "", "")
