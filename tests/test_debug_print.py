"""debug_print: once a call, with numbers, whatever runs the function."""

import numpy as np
import pytest

import needle as ndl


def f(x):
    y = ndl.sin(x)
    ndl.debug_print("y = {:.3f}", y.sum())
    return (y * x).sum()


ONE, TWO = ndl.Tensor([0.0, 1.0]), ndl.Tensor([0.0, 2.0])
LINE = f"y = {np.sin(1.0):.3f}\n"


@pytest.mark.parametrize(
    "function",
    [
        f,
        ndl.grad(f),
        ndl.checkpoint(f),
        ndl.grad(ndl.checkpoint(f)),
        lambda x: ndl.jvp(f, (x,), (x,)),
        lambda x: ndl.jet(f, (x,), ([x],)),
        ndl.laplacian(f),
        lambda x: ndl.hvp(f, (x,), (x,)),
    ],
    ids=["call", "grad", "checkpoint", "grad checkpoint", "jvp", "jet", "laplacian", "hvp"],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_it_prints_once_a_call(function, compiled, capsys):
    function = ndl.jit(function) if compiled else function
    for _ in range(2):
        function(ONE)
        assert capsys.readouterr().out == LINE
    function(TWO)
    assert capsys.readouterr().out == f"y = {np.sin(2.0):.3f}\n"


def test_the_derivative_of_a_compiled_function_prints_nothing_more(capsys):
    compiled = ndl.jit(f)
    assert np.allclose(ndl.grad(compiled)(TWO).numpy(), ndl.grad(f)(TWO).numpy())
    assert capsys.readouterr().out == f"y = {np.sin(2.0):.3f}\n" * 2


@pytest.mark.parametrize("compiled", [False, True])
def test_vmap_prints_the_batch_once(compiled, capsys):
    def square(x):
        ndl.debug_print("x is {}", x)
        return x * x

    mapped = ndl.vmap(square)
    (ndl.jit(mapped) if compiled else mapped)(ndl.Tensor([1.0, 2.0, 3.0]))
    assert capsys.readouterr().out == "x is [1. 2. 3.]\n"


def test_it_takes_trees_arrays_names_and_other_objects(capsys):
    scale = np.array([2.0, 3.0])

    @ndl.jit
    def g(x):
        ndl.debug_print("{0} {parts[a]} {parts[b]} {1:.1f} {name}", scale, 0.5, parts={"a": x, "b": (x,)}, name="g")
        return x

    for number in (1.0, 4.0):
        scale *= number  # closed-over arrays are read afresh
        g(ndl.Tensor(number))
        assert capsys.readouterr().out == f"{scale} {number} ({np.float64(number)!r},) 0.5 g\n"


def test_prints_keep_their_order_among_other_effects(capsys):
    counter = ndl.Tensor(0.0, requires_grad=False)

    @ndl.jit
    def g(x):
        ndl.debug_print("before {}", counter)
        counter.data = counter + x
        ndl.debug_print("after {}", counter)
        return x

    g(ndl.Tensor(2.0))
    g(ndl.Tensor(3.0))
    assert capsys.readouterr().out == "before 0.0\nafter 2.0\nbefore 2.0\nafter 5.0\n"


def test_a_mistake_in_the_format_is_an_error_where_it_was_made():
    with pytest.raises(TypeError, match=r'debug_print takes a format string first, such as "loss \{\}"; got Tensor'):
        ndl.debug_print(ONE)
    with pytest.raises(IndexError):
        ndl.jit(lambda x: ndl.debug_print("{} {}", x))(ONE)
