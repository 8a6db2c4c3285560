"""detect_nan: the first nan or inf is named with its op, its line, and what usually mends it."""

import threading

import numpy as np
import pytest

import needle as ndl
from needle import detect_nan, ops

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ZERO = ndl.Tensor([1.0, 0.0])


def raised(function) -> str:
    with pytest.raises(FloatingPointError) as caught, detect_nan():
        function()
    return str(caught.value)


FORWARD = {
    "log": (lambda: ndl.log(ZERO), "Log made the first -inf: 1 of 2 elements, at [1], from 0.0", "logsumexp"),
    "sqrt": (lambda: ndl.sqrt(ZERO - 1), "Sqrt made the first nan: 1 of 2 elements, at [1], from -1.0", "clip at 0"),
    "divide": (lambda: 1 / ZERO, "ScalarDiv made the first inf", "division by 0"),
    "0 / 0": (lambda: ZERO / ZERO, "EWiseDiv made the first nan: 1 of 2 elements, at [1], from 0.0, 0.0", "where(b"),
    "exp": (lambda: ndl.exp(ZERO * 1e4), "Exp made the first inf: 1 of 2 elements, at [0]", "softmax"),
    "power": (lambda: ZERO**-1.5, "PowerScalar made the first inf", "negative power of 0"),
    "overflow": (lambda: (ZERO * 1e200) * (ZERO * 1e200), "EWiseMul made the first inf", "outgrew float64"),
    "a number": (lambda: ndl.log(ndl.Tensor(0.0)), "Log made the first -inf: 1 of 1 elements, from 0.0", "clip"),
}


@pytest.mark.parametrize(("function", "what", "mend"), FORWARD.values(), ids=FORWARD)
def test_forward(function, what, mend):
    text = raised(function)
    assert text.startswith(what)
    assert "test_nan.py:" in text
    assert mend in text.split("Usually: ")[1]


def line_of(marker: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(i for i, line in enumerate(file, 1) if line.rstrip().endswith(f"# {marker}"))


def test_forward_names_the_line():
    def f():
        x = ZERO * 2
        y = ndl.log(x)  # the logarithm
        return y + 1

    assert f"test_nan.py:{line_of('the logarithm')}: y = ndl.log(x)" in raised(f)


def backward_of_sqrt():
    x = ndl.Tensor([4.0, 0.0])
    y = ndl.sqrt(x)  # the root
    y.sum().backward()  # the way back


@pytest.mark.parametrize(
    "function",
    [
        backward_of_sqrt,
        lambda: ndl.grad(lambda x: ndl.sqrt(x).sum())(np.array([4.0, 0.0])),
        lambda: ndl.vmap(ndl.grad(lambda x: ndl.sqrt(x)))(np.array([4.0, 0.0])),
        lambda: ndl.vjp(ndl.sqrt, np.array([4.0, 0.0]))[1](np.ones(2)),
        lambda: ndl.grad(lambda x: ndl.checkpoint(ndl.sqrt)(x).sum())(np.array([4.0, 0.0])),
    ],
    ids=["backward", "grad", "vmap of grad", "vjp", "checkpoint"],
)
def test_backward_names_the_op_of_the_forward_pass(function):
    text = raised(function)
    assert "going backward, the gradient rule of Sqrt made the first inf: 1 of 2 elements, at [1]" in text
    assert "sqrt(x + 1e-12)" in text


def test_backward_names_the_line_of_the_forward_pass():
    text = raised(backward_of_sqrt)
    assert f"Sqrt was called in {__file__}:{line_of('the root')}: y = ndl.sqrt(x)" in text
    assert f"begun in {__file__}:{line_of('the way back')}" in text


def test_backward_of_what_was_computed_before():
    y = ndl.sqrt(ndl.Tensor([0.0])).sum()
    assert "a line that is not known: it was before detect_nan() was entered" in raised(y.backward)


def test_forward_mode():
    text = raised(lambda: ndl.jvp(ndl.sqrt, (np.array(0.0),), (np.array(1.0),)))
    assert "made the first inf" in text


def test_vmap():
    assert "Log made the first -inf: 1 of 3 elements" in raised(lambda: ndl.vmap(ndl.log)(np.arange(3.0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_was_in_the_inputs_already(bad):
    text = raised(lambda: ndl.Tensor([1.0, bad]) * 2)
    assert f"input 0 of MulScalar holds {bad}: 1 of 2 elements, at [1] already" in text


def test_an_adjoint_that_was_bad_already():
    x = ndl.Tensor([1.0])
    text = raised(lambda: (x * 2).backward(ndl.Tensor([np.nan])))
    assert "holds nan" in text
    assert "already" in text
    assert "gradient rule of MulScalar" in text


def test_infinities_that_are_meant_pass():
    with detect_nan(inf=False):
        x = ndl.Tensor([[1.0, 2.0]])
        ops.softmax(ops.where(np.array([True, False]), x, -np.inf)).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    with pytest.raises(FloatingPointError, match="first nan"), detect_nan(inf=False):
        ndl.sqrt(ZERO - 1)


def test_what_is_structurally_zero_is_no_alarm():
    x = ndl.Tensor([4.0, 0.0])
    with detect_nan():
        ops.where(x > 0, ndl.sqrt(x), 0.0).sum().backward()
        second = ndl.grad(lambda x: ndl.grad(lambda x: ops.where(x > 0, ndl.sqrt(x), 0.0).sum())(x).sum())
        np.testing.assert_allclose(second(np.array([4.0, 0.0])), [-1 / 32, 0])
    np.testing.assert_allclose(x.grad.numpy(), [1 / 4, 0])


def test_a_selected_infinity_behind_where_is_an_alarm():
    x = ndl.Tensor([4.0, 0.0])
    text = raised(lambda: ops.where(x >= 0, ndl.sqrt(x), 0.0).sum().backward())
    assert "the gradient rule of Sqrt made the first inf: 1 of 2 elements, at [1]" in text


def test_finite_computations_pass_and_nothing_is_left_behind():
    with detect_nan(), detect_nan():
        x = ndl.Tensor([1.0, 2.0])
        (ndl.exp(x) * ndl.log(x)).sum().backward()
    ndl.log(ZERO)
    with pytest.raises(FloatingPointError), detect_nan():
        ndl.log(ZERO)
    ndl.log(ZERO)


def test_other_threads_are_left_alone():
    results = []
    with detect_nan():
        thread = threading.Thread(target=lambda: results.append(ndl.log(ZERO).numpy()[1]))
        thread.start()
        thread.join()
    assert results == [-np.inf]


def test_integers_and_tuples_pass():
    with detect_nan():
        ops.argmax(ndl.Tensor([1.0, 2.0]))
        ops.split(ndl.Tensor([[1.0], [2.0]]), 0)
