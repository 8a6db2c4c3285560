"""The text of a program, stage by stage."""

import numpy as np

import needle as ndl


def stages_of(function, *args):
    return dict(ndl.jit(function, backend="numpy").stages(*args))


def test_a_function_is_shown_as_it_is_recorded_simplified_fused_and_run():
    found = stages_of(lambda x: ndl.exp(ndl.negate(ndl.negate(x))) * 1 + 2, np.ones(3))
    assert [*found][:1] + [*found][-2:] == ["recorded", "fusion", "source"]
    assert "negative(" in found["recorded"] and "test_jit_stages.py:" in found["recorded"]
    assert "negative(" not in found["algebra"] and "fused(" in found["fusion"]
    assert found["source"].startswith("def program(")


def test_nothing_is_changed_by_looking():
    weight = ndl.Tensor([1.0, 2.0])
    optimizer = ndl.optim.SGD([weight], lr=0.1, momentum=0.9)

    def step(x):
        optimizer.reset_grad()
        (weight * x).sum().backward()
        optimizer.step()

    found = stages_of(step, ndl.Tensor([1.0, 1.0]))
    assert weight.numpy().tolist() == [1.0, 2.0] and weight.grad is None
    assert optimizer.state_dict()["state.0.step"] == 0
    assert " into " in found["recorded"].splitlines()[-1]  # momentum is written in place


def test_effects_draws_calls_and_loops_are_lines_too():
    def function(x):
        ndl.debug_print("x {}", x)
        y = x + ndl.init.rand(3)
        y, _ = ndl.scan(lambda carry, _: (carry * 2, carry), y, None, length=5)
        return np.linalg.norm(np.sort(y))

    text = stages_of(function, ndl.Tensor(np.ones(3)))["recorded"]
    for part in ("effect(", "draw()", "sort("):
        assert part in text
