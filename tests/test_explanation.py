"""The evaluation trace as a table, the graph as a picture, and backprop beside backward."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import needle as ndl


@pytest.fixture
def lecture():
    """f(x1, x2) = ln x1 + x1·x2 - sin x2 at (2, 5), the example of the lecture."""
    x1, x2 = ndl.Tensor(2.0), ndl.Tensor(5.0)
    return x1, x2, ndl.log(x1) + x1 * x2 - ndl.sin(x2)


def test_the_trace_has_the_lectures_numbers(lecture):
    _, _, y = lecture
    rows = {row["node"]: row for row in ndl.explain(y).rows}
    assert list(rows) == ["x1", "v1", "x2", "v2", "v3", "v4", "v5", "y"]
    np.testing.assert_allclose(
        [rows[n]["value"] for n in ("v1", "v2", "y")], [np.log(2), 10, np.log(2) + 10 - np.sin(5)]
    )
    np.testing.assert_allclose([rows[n]["tangent"] for n in ("x1", "x2", "v2", "y")], [1, 0, 5, 5.5])
    np.testing.assert_allclose([rows[n]["adjoint"] for n in ("x1", "x2", "y")], [5.5, 2 - np.cos(5), 1])


def test_partial_adjoints_sum_to_the_adjoint(lecture):
    for row in ndl.explain(lecture[2]).rows[:-1]:
        np.testing.assert_allclose(sum(value for _, value in row["partials"]), row["adjoint"])


def test_tangents_go_in_the_direction_that_is_asked_for(lecture):
    _, x2, y = lecture
    assert ndl.explain(y, x2).rows[-1]["tangent"] == pytest.approx(2 - np.cos(5))


def test_the_table_is_text_markdown_and_html(lecture):
    table = ndl.explain(lecture[2])
    assert "ln x1" in str(table) and str(table).count("\n") == 9
    assert table.to_markdown().splitlines()[1].startswith("| --- |")
    ElementTree.fromstring(table._repr_html_())


@pytest.mark.parametrize(
    "make", [lambda x: ndl.stack(list(ndl.split(x, 0)), 0).sum(), lambda x: ndl.softmax(x @ x).sum()]
)
def test_tables_and_pictures_are_made_of_arrays_and_tuples(make):
    y = make(ndl.Tensor(np.eye(3)))
    assert len(ndl.explain(y).rows) == len(ndl.autograd.find_topo_sort([y]))
    ElementTree.fromstring(ndl.draw(y, backward=True).svg)


def test_explain_refuses_what_has_no_derivative():
    with pytest.raises(RuntimeError, match="requires grad"):
        ndl.explain(ndl.Tensor(1.0, requires_grad=False))
    x = ndl.Tensor(1.0)
    with pytest.raises(ValueError, match="wrt of explain"):
        ndl.explain(x * 2, wrt=ndl.Tensor(2.0))


def test_the_adjoint_graph_is_drawn_in_its_own_colour(lecture):
    forward, both = ndl.draw(lecture[2]), ndl.draw(lecture[2], backward=True)
    assert "#c4391d" not in forward.dot and "#c4391d" in both.dot and "∂y/∂x1" in both.dot
    assert both.dot.count("->") > forward.dot.count("->") == 9


def test_a_drawing_is_saved_as_what_its_name_says(lecture, tmp_path):
    drawing = ndl.draw(lecture[2])
    drawing.save(tmp_path / "graph.svg")
    drawing.save(tmp_path / "graph.dot")
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")
    with pytest.raises(ValueError, match=r"\.svg or \.dot"):
        drawing.save(tmp_path / "graph.png")


def test_backprop_gives_the_numbers_of_backward(lecture):
    x1, x2, y = lecture
    y.backward()
    expected = x1.grad.numpy(), x2.grad.numpy()
    ndl.backprop(y)
    assert (x1.grad.numpy(), x2.grad.numpy()) == expected


@pytest.mark.parametrize(
    "again",
    [
        lambda x: x.grad.backward(),
        lambda x: (x.grad * x).sum().backward(),
        lambda x: ndl.backprop(x.grad),
    ],
)
def test_a_second_derivative_through_backprop_is_an_error(again):
    x = ndl.Tensor([2.0])
    ndl.backprop(x * x * x)
    with pytest.raises(RuntimeError, match="no graph behind"):
        again(x)


def test_a_transform_through_backprop_is_an_error():
    def f(x):
        ndl.backprop(x * x)
        return x.grad

    with pytest.raises(RuntimeError, match="no graph behind"):
        ndl.grad(f)(2.0)


@pytest.mark.parametrize("name", ["explain", "draw", "backprop"])
def test_what_is_no_tensor_or_has_no_derivative_is_refused_in_the_name_of_the_function(name):
    function = getattr(ndl, name)
    with pytest.raises(TypeError, match=f"^{name} takes a Tensor, got a float$"):
        function(3.0)
    constant = ndl.Tensor([1.0], requires_grad=False)
    with pytest.raises(RuntimeError, match=rf"^{name}\(\) needs a Tensor that requires grad"):
        function(constant, backward=True) if name == "draw" else function(constant)
