"""Handing on a value: what would lose a derivative is an error that says what to do; all else just works."""

import math

import numpy as np
import pytest

import needle as ndl
import needle.numpy as ndlnp
from needle.transforms import grad, jet, jvp, vmap

LOSES = {
    "float": float,
    "int": int,
    "complex": complex,
    "math.sin": math.sin,
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "numpy.array": lambda x: np.array([x, x]),
    "numpy.array of one": np.array,
    "numpy.asarray": np.asarray,
    "numpy.asarray in float32": lambda x: np.asarray(x, dtype="float32"),
    "numpy.ascontiguousarray": np.ascontiguousarray,
    "numpy.full": lambda x: np.full(3, x),
    "numpy.full_like": lambda x: np.full_like(np.zeros(3), x),
    "numpy.float64": np.float64,
    "numpy.sum of a list": lambda x: np.sum([x, x]),
    "numpy.sin of a list": lambda x: np.sin([x, x]),
    "an array of objects": lambda x: np.array([x, None], dtype=object).sum(),
    "numpy.vectorize": lambda x: np.vectorize(lambda v: v * v)(x),
    "numpy.apply_along_axis of a list": lambda x: np.poly1d([x, 1.0])(2.0),
    "no rule": lambda x: np.lib.stride_tricks.sliding_window_view(ndlnp.array([x, x]), 1),
}
TRANSFORMS = {
    "grad": lambda f: grad(f)(2.0),
    "jvp": lambda f: jvp(f, (2.0,), (1.0,)),
    "jet": lambda f: jet(f, (2.0,), ([1.0],)),
    "grad of grad": lambda f: grad(lambda x: x * grad(f)(3.0))(2.0),
    "vmap": lambda f: vmap(f)(np.array([1.0, 2.0])),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("call", LOSES.values(), ids=LOSES)
def test_a_followed_value_is_not_handed_on(call, transform):
    with pytest.raises((TypeError, ValueError)) as caught:
        transform(call)
    messages, error = [], caught.value
    while error is not None:
        messages.append(str(error))
        error = error.__cause__
    assert any("lose" in message or "vmap" in message for message in messages)


@pytest.mark.parametrize("index", [0, slice(0, 1), [0]])
def test_a_followed_value_is_not_assigned_into_an_array(index):
    def f(x):
        y = np.zeros(3)
        y[index] = x
        return y.sum()

    for transform in (TRANSFORMS["grad"], TRANSFORMS["jvp"]):
        with pytest.raises((TypeError, ValueError)):
            transform(f)


def test_the_message_names_what_to_call_instead():
    with pytest.raises(TypeError, match="numpy.sin"):
        grad(math.sin)(1.0)
    with pytest.raises(TypeError, match="needle.numpy.array"):
        grad(lambda x: np.array([x, x]).sum())(1.0)
    with pytest.raises(TypeError, match="knows no derivative of numpy.lib.stride_tricks.sliding_window_view"):
        grad(lambda x: np.lib.stride_tricks.sliding_window_view(x, 1).sum())(np.ones(3))


def test_a_constant_inside_a_transform_is_handed_on():
    def f(x):
        shown = float(ndl.stop_gradient(x)) + x.detach().item() + np.asarray(x.data).sum() + math.sin(x.detach())
        with ndl.no_grad():
            shown += float(x)
        assert shown > 0 and f"{x:.2f}" == "2.00" and str(x) == "2.0" and repr(x)
        steps = int(np.floor(x))
        return x * steps if x > 1 else x

    assert grad(f)(2.0) == 2
    assert jvp(f, (2.0,), (1.0,)) == (4, 2)


def test_outside_of_transforms_a_whole_tensor_just_works():
    x, y = ndl.Tensor(1.5), ndl.Tensor([[1.0, 2.0]])
    assert float(x) == x.item() == x.tolist() == 1.5 and int(x) == 1 and complex(x) == 1.5
    assert f"{x:.1f}" == "1.5" and math.floor(x) == 1 and round(x) == 2
    assert y.item(1) == y.item(0, 1) == 2.0 and y.tolist() == [[1.0, 2.0]]
    assert type(np.asarray(y)) is np.ndarray and np.asarray(y, dtype="float32").dtype == "float32"
    np.testing.assert_allclose(y, [[1.0, 2.0]])
    np.testing.assert_array_equal(y, y)
    array = np.zeros(2)
    array[0], array[:] = x, y
    np.testing.assert_array_equal(array, [1, 2])


def test_an_array_of_the_value_is_a_copy():
    x = ndl.Tensor([1.0, 2.0])
    np.asarray(x)[0] = 5
    assert x.tolist() == [1, 2]


def test_outside_of_transforms_numbers_in_a_list_are_not_turned_into_an_array():
    x, y = ndl.Tensor(1.5), ndl.Tensor(2.5)
    with pytest.raises((TypeError, ValueError)) as caught:
        np.array([x, y])
    assert "needle.numpy.array" in str(caught.value.__cause__ or caught.value)
    with pytest.raises((TypeError, ValueError)):
        np.array([[x, y], [1.0, 2.0]])
    joined = ndlnp.array([x, y])
    (joined * joined).sum().backward()
    assert x.grad.item() == 3 and y.grad.item() == 5
    np.testing.assert_array_equal(np.array([x.detach(), y.detach()]), [1.5, 2.5])
    for t in (x, y):  # one after the other, at one place of the program
        assert np.asarray(t) == float(t)


def test_without_a_rule_an_unfollowed_tensor_gives_the_plain_value():
    x = ndl.Tensor([1.0, 2.0, 3.0])
    assert type(np.lib.stride_tricks.sliding_window_view(x.detach(), 2)) is np.ndarray
    with ndl.no_grad():
        assert np.lib.stride_tricks.sliding_window_view(x, 2).shape == (2, 2)
    with pytest.raises(TypeError, match="knows no derivative"):
        np.lib.stride_tricks.sliding_window_view(x, 2)


def test_what_asks_for_no_derivative_is_handed_through(tmp_path):
    x = ndl.Tensor([1.0, 2.0])
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), [1, 2])
    np.savetxt(tmp_path / "x.txt", x)
    assert np.can_cast(x.dtype, "float64") and not np.isscalar(x)
