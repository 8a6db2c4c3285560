"""Compiled functions as people use them: what went wrong once in a program that somebody might write."""

import argparse
import copy
import dataclasses
import functools
import pickle
import sys
import types
import warnings
from collections import deque
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.program import jit

compiled = functools.partial(jit, backend="numpy")


def constant(array) -> ndl.Tensor:
    return ndl.Tensor(np.asarray(array), requires_grad=False)


def sgd_step(net, optimizer):
    def step(x, y):
        optimizer.reset_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("is_compiled", [False, True])
def test_gradients_that_are_overwritten_may_be_there_or_not(is_compiled):
    np.random.seed(0)
    net = nn.Linear(3, 1)
    step = sgd_step(net, optim.SGD(net.parameters(), lr=0.1))
    step = compiled(step) if is_compiled else step
    losses = []
    for rows in (4, 2, 2):  # the program for 2 rows is traced while gradients are there
        losses.append(step(constant(np.ones((rows, 3))), constant(np.ones((rows, 1)))).item())
    for parameter in net.parameters():
        parameter.grad = None
    losses.append(step(constant(np.ones((2, 3))), constant(np.ones((2, 1)))).item())
    assert losses == sorted(losses, reverse=True)
    assert all(parameter.grad is not None for parameter in net.parameters())


# ----------------------------------------------------------------------------------------------------------------
# Mistakes in the call of jit, and in what a function takes and gives


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"backend": "gpu"}, ValueError, "backend of jit must be one of 'auto', 'numpy', 'numba', got 'gpu'"),
        ({"backend": None}, ValueError, "got None"),
        ({"check": "no"}, TypeError, "check of jit must be True or False, got 'no'"),
        ({"wait": 1}, TypeError, "wait of jit must be True or False, got 1"),
        ({"static_argnums": 1.0}, TypeError, "static_argnums of jit must be one argument or a tuple of them"),
        ({"static_argnums": None}, TypeError, r"\(\) for none, got None"),
        ({"static_argnames": 1}, TypeError, "static_argnames of jit must be one argument or a tuple of them"),
    ],
)
def test_wrong_options(options, error, said):
    with pytest.raises(error, match=said):
        jit(lambda x: x, **options)


def test_a_static_tensor_is_refused():
    with pytest.raises(TypeError, match="argument 1 is static, and a Tensor"):
        compiled(lambda x, y: x * y, static_argnums=1)(np.ones(2), constant(np.ones(2)))


def doubled(x):
    yield x * 2


async def awaited(x):
    return x * 2


@pytest.mark.parametrize(("fun", "kind"), [(doubled, "doubled, a generator"), (awaited, "awaited, an async function")])
def test_functions_that_compute_later_are_refused(fun, kind):
    with pytest.raises(TypeError, match=f"jit cannot compile {kind}"):
        jit(fun)


@pytest.mark.parametrize("fun", [lambda x: (x * i for i in range(3)), lambda x: map(abs, x), iter])
def test_results_that_are_computed_later_are_refused(fun):
    with pytest.raises(TypeError, match="returned a .*, which computes only outside of the jitted function"):
        compiled(fun)(np.ones(2))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.matrix([[1.0]]), "is a matrix"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "is a MaskedArray"),
        (2**70, "is 1180591620717411303424, too large"),
        (np.array([1, "a"], dtype=object), "must hold numbers, got dtype object"),
    ],
)
def test_arguments_that_no_program_can_stand_for(value, said):
    with pytest.raises(TypeError, match=f"argument 0 of a jitted function {said}"):
        compiled(lambda x: x)(value)


def test_what_numpy_makes_of_a_question_for_a_value_names_the_way_out():
    with pytest.raises(TypeError) as caught:
        compiled(lambda x, n: np.zeros(n) + x)(np.ones(3), 3)
    (note,) = caught.value.__notes__
    assert "test_jit_acceptance.py" in note and "static_argnums" in note


def test_what_needle_asks_by_itself_is_not_spoken_of():
    loss = nn.SoftmaxLoss()  # looks at its labels, as one opaque instruction

    def wrong(x, y):
        return loss(x, y) + x.sum() + "3"

    with pytest.raises(TypeError) as caught:
        compiled(wrong)(constant(np.ones((2, 3))), constant(np.array([0, 1])))
    assert not hasattr(caught.value, "__notes__")


def test_an_index_that_is_asked_for_is_said_once():
    with pytest.raises(ndl.graph.ValueUnknown, match=r"^the number of a traced value was asked for"):
        compiled(lambda x, n: x[:n])(np.ones(3), 2)


def test_a_mistake_in_an_op_is_explained_once():
    with pytest.raises(ValueError, match=r"^MatMul on float64\[3\], float64\[4, 4\]: the last axis"):
        compiled(lambda x: x @ np.ones((4, 4)))(np.ones(3))


# ----------------------------------------------------------------------------------------------------------------
# Copies


@jit
def module_level(x):
    return x * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.compiled = jit(self.plain)

    def plain(self, x):
        return self.layer(x)

    @jit
    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_of_a_module_compiles_for_itself(copied):
    net, x = Net(), constant(np.ones((1, 2), "float32"))
    before = net(x).numpy(), net.compiled(x).numpy()
    other = copied(net)
    other.layer.weight.data = other.layer.weight.data * 0
    other.layer.bias.data = other.layer.bias.data * 0 + 7
    assert other(x).item() == other.compiled(x).item() == 7
    np.testing.assert_array_equal((net(x).numpy(), net.compiled(x).numpy()), before)


def test_a_function_of_a_module_is_saved_by_its_name():
    assert copy.deepcopy(module_level) is module_level
    assert pickle.loads(pickle.dumps(module_level)) is module_level


# ----------------------------------------------------------------------------------------------------------------
# Kernels that cannot be had


def test_a_blocked_compiler_is_one_that_is_not_installed(monkeypatch):
    def blocked(name, package=None):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.util.find_spec", blocked)
    assert jit(np.sin, backend="auto", wait=True)(0.0) == 0


def test_kernels_that_could_not_be_compiled_are_spoken_of(monkeypatch):
    def broken(*_):
        raise OSError("no LLVM here")

    monkeypatch.setattr("needle.program.compile._with_kernels", broken)
    monkeypatch.setattr("needle.program.compile.later", lambda job: job())
    monkeypatch.setattr("needle.program.compile.is_installed", lambda: True)
    f = jit(np.sin)
    f(0.0)
    with pytest.warns(RuntimeWarning, match=r"could not compile kernels.*OSError: no LLVM here"):
        assert f(0.0) == 0
    assert f(0.0) == 0


def test_a_user_without_a_home_has_kernels(monkeypatch):
    pytest.importorskip("llvmlite")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NEEDLE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    x = np.linspace(0, 1, 5)
    np.testing.assert_allclose(jit(lambda x: np.sin(x) + x, backend="numba", wait=True)(x), np.sin(x) + x, rtol=1e-14)


# ----------------------------------------------------------------------------------------------------------------
# What a function takes from outside


def test_arrays_made_tensors_inside():
    def gradient(x):
        x = ndl.Tensor(x)
        (x**2).sum().backward()
        return x.grad, ndl.Tensor(x.data, dtype="float32", requires_grad=False)

    f = compiled(gradient)
    for x in (np.ones(3), np.arange(3.0)):
        for ours, theirs in zip(f(x), gradient(x), strict=True):
            np.testing.assert_array_equal(ours, theirs.numpy(), strict=True)
    assert f.traces == 1


class Settings:
    rate = 2.0
    rates: ClassVar = [1.0]
    array = np.ones(2)


def of_a_class():
    settings = type("Settings", (Settings,), {"rate": 2.0})
    return lambda x: x * settings.rate, lambda: setattr(settings, "rate", 3.0)


def of_a_list_in_a_class():
    settings = Settings
    return lambda x: x * settings.rates[0], lambda: settings.rates.append(settings.rates.pop() + 1)


def of_an_attribute_that_is_a_class():
    class Holder:
        settings = Settings

        def scaled(self, x):
            return x * self.settings.rates[0]

    return Holder().scaled, lambda: Settings.rates.append(Settings.rates.pop() + 1)


def of_a_namespace(kind=types.SimpleNamespace):
    config = kind(rate=1.0, inner=kind(power=2))
    return lambda x: (x * config.rate) ** config.inner.power, lambda: setattr(config.inner, "power", 3)


def of_parsed_arguments():
    return of_a_namespace(argparse.Namespace)


def of_a_set():
    names = {"a"}
    return lambda x: x * len(names), lambda: names.add("b")


def of_a_deque():
    recent = deque([1.0], maxlen=2)
    return lambda x: x * sum(recent), lambda: recent.append(5.0)


class AnyName:
    """Answers to any name, and not with an AttributeError."""

    def __init__(self):
        self.entries = {"rate": 2.0}

    def __getattr__(self, name):
        return self.__dict__["entries"][name]


def of_what_answers_to_any_name():
    config = AnyName()
    return lambda x: x * config.rate, lambda: config.entries.update(rate=3.0)


@pytest.mark.parametrize(
    "make",
    [
        of_a_class,
        of_a_list_in_a_class,
        of_an_attribute_that_is_a_class,
        of_a_namespace,
        of_parsed_arguments,
        of_a_set,
        of_a_deque,
        of_what_answers_to_any_name,
    ],
)
def test_what_is_closed_over_is_looked_at_again(make):
    fun, change = make()
    f, x = compiled(fun), np.array([1.0, 2.0])
    np.testing.assert_array_equal((f(x), f(x)), (fun(x), fun(x)))
    change()
    np.testing.assert_array_equal((f(x), f(x)), (fun(x), fun(x)))
    assert f.traces == 2


def test_a_set_or_deque_that_a_trace_changed_is_put_back():
    seen, recent = {1}, deque([1])

    def note(x):
        seen.add(2)
        return x

    def push(x):
        recent.append(x)
        return x

    for fun, name in ((note, "seen"), (push, "recent")):
        with pytest.raises(RuntimeError, match=f"{fun.__name__} changes {name}"):
            compiled(fun)(np.ones(2))
    assert seen == {1} and list(recent) == [1]


def test_a_dataclass_with_a_field_called_parameters_is_an_argument_like_others():
    @dataclasses.dataclass
    class State:
        parameters: object
        count: int

    f = compiled(lambda state: State(state.parameters * state.count, state.count + 1))
    first = f(State(np.ones(2), 1))
    second = f(f(State(np.ones(2), np.int64(1))))
    assert second.count == 3 and second.parameters.tolist() == [2, 2] and first.parameters.tolist() == [1, 1]
    assert f.traces == 2  # an int, and what NumPy counts with


@pytest.mark.parametrize("given", ["rate", "shape"])
def test_what_is_traced_again_and_again_is_said_once(given, monkeypatch):
    monkeypatch.setattr(sys.modules["needle.program.jit"], "LIMIT", 3)
    rate = 1.0
    f = compiled(lambda x: x * rate)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(8):
            if given == "rate":
                rate += 1
            f(np.ones(i if given == "shape" else 2))
    (warning,) = caught
    assert warning.filename == __file__ and "was traced 4 times" in str(warning.message)
    assert f"since {'rate' if given == 'rate' else 'argument 0'} is not what it was" in str(warning.message)


# ----------------------------------------------------------------------------------------------------------------
# Dtypes


def below_zero(x, y):
    return -x + y, y - (-x), (-x) * y, np.abs(-x) + y


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_whole_numbers_that_turn_over_before_they_are_widened(dtype):
    x, y = np.array([1, 2, 128]).astype(dtype), np.array([0.5, 1.0, 2.0])
    for ours, theirs in zip(compiled(below_zero)(x, y), below_zero(x, y), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_factors_that_have_no_negative():
    factor = np.full(3, 2, "uint8")

    def f(x):
        return -(x * factor), (-x) * factor, -(x * np.full(3, 2, "uint8")), (-x) * np.full(3, 2, "uint8")

    x = np.arange(3.0)
    for result in compiled(f)(x):
        np.testing.assert_array_equal(result, -2 * x)


@pytest.mark.parametrize("fun", [lambda x, n: x // n, lambda x, n: n // x, lambda x, n: x > n])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
def test_numbers_among_the_arguments_do_not_widen_floor_division(fun, dtype):
    x = constant(np.array([1, 2, 3]).astype(dtype))
    np.testing.assert_array_equal(compiled(fun)(x, 2).numpy(), fun(x, 2).numpy(), strict=True)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint32"])
def test_differences_from_whole_numbers_are_those_of_numpy(dtype):
    whole, other = np.array([1, 2, 128]).astype(dtype), np.array([0.5, 1.0, 2.0])
    for fun in (
        lambda a, b: b - a,
        lambda a, b: a - b,
        lambda a, b: 2.5 - a,
        lambda a, b: a - 2.5,
        lambda a, b: a - a[::-1],
    ):
        expected = fun(whole, other)
        for ours in (fun(constant(whole), constant(other)), compiled(fun)(whole, other), fun(constant(whole), other)):
            np.testing.assert_array_equal(ours, expected, strict=False)
    np.testing.assert_array_equal(ndl.ops.subtract(constant(other), constant(whole)).numpy(), other - whole)
