"""Module: how parts are found, named, saved, loaded, converted and shown."""

import copy
import pickle

import numpy as np
import pytest

import needle as ndl
from needle import nn


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 3)
        self.blocks = {"a": [nn.BatchNorm1d(3)], "b": (nn.Parameter([1.0, 2.0]),)}
        self.scale = nn.Parameter([3.0])
        self._scratch = ndl.Tensor([9.0])
        self.table = ndl.Tensor([4.0], requires_grad=False)

    def forward(self, x):
        return self.blocks["a"][0](self.first(x)) * self.scale


NAMES = ["first.weight", "first.bias", "blocks.a.0.weight", "blocks.a.0.bias", "blocks.b.0", "scale"]
BUFFERS = ["blocks.a.0.running_mean", "blocks.a.0.running_var", "table"]


def same(state, other):
    return state.keys() == other.keys() and all(np.array_equal(state[name], other[name]) for name in state)


def test_names_are_paths_of_attributes_keys_and_indices():
    assert [name for name, _ in Net().named_parameters()] == NAMES


def test_buffers_are_plain_tensors_that_no_op_made_and_no_underscore_hides():
    net = Net()
    net.seen = net.scale * 2
    assert [name for name, _ in net.named_buffers()] == BUFFERS


def test_named_modules_begin_with_the_module_itself():
    net = Net()
    assert [(name, type(module).__name__) for name, module in net.named_modules()] == [
        ("", "Net"),
        ("first", "Linear"),
        ("blocks.a.0", "BatchNorm1d"),
    ]


def test_a_shared_parameter_is_found_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    assert len(nn.Sequential(first, second, first).parameters()) == 3


def test_cycles_end():
    net = Net()
    net.parent = nn.Sequential(net)
    net.list = [net]
    net.list.append(net.list)
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert "shown above" in repr(net)
    net.eval()
    assert not net.parent.training


def test_depth_is_no_obstacle():
    net = nn.Linear(1, 1)
    for _ in range(1200):  # more than Python may recurse
        net = nn.Sequential(net)
    assert len(net.parameters()) == 2
    assert repr(net).count("\n") == 2400


def test_super_init_need_not_be_called():
    class Bare(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter([1.0])

    assert Bare().training and len(Bare().parameters()) == 1


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()()


# State


def test_state_dict_holds_copies_of_parameters_and_buffers():
    net = Net()
    state = net.state_dict()
    assert sorted(state) == sorted(NAMES + BUFFERS)
    state["scale"][:] = 7
    assert net.scale.item() == 3


def test_load_state_dict_takes_over_every_value_and_keeps_the_parameters():
    source, target = Net(), Net()
    source(ndl.Tensor(np.random.randn(4, 2), dtype="float32"))
    held = target.parameters()
    target.load_state_dict(source.state_dict())
    assert same(target.state_dict(), source.state_dict())
    assert all(a is b for a, b in zip(target.parameters(), held, strict=True))


def test_load_state_dict_takes_tensors_too():
    net = nn.Linear(2, 2, bias=False)
    net.load_state_dict({"weight": ndl.init.ones(2, 2)})
    np.testing.assert_array_equal(net.weight.numpy(), np.ones((2, 2)))


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda state: state.pop("scale"), KeyError, "missing scale"),
        (lambda state: state.update(extra=np.zeros(1)), KeyError, "unexpected extra"),
        (lambda state: state.update(scale=np.zeros(2)), ValueError, r"scale has shape \(1,\) here, but \(2,\)"),
        (
            lambda state: state.update(scale=np.zeros(1, "int64")),
            TypeError,
            r"scale is float64 here, but int64 in the state; convert the Module first",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    net = Net()
    before, state = net.state_dict(), Net().state_dict()
    change(state)
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    assert same(net.state_dict(), before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_modules_copy_and_pickle(copied):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    twin = copied(net)
    assert same(net.state_dict(), twin.state_dict())
    assert not any(a is b for a, b in zip(net.parameters(), twin.parameters()))
    assert all(isinstance(p, nn.Parameter) for p in twin.parameters())


# Switching over


def test_to_converts_parameters_and_buffers_in_place():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    held = net.parameters()
    assert net.to("float64") is net
    assert {value.dtype.name for value in net.state_dict().values()} == {"float64"}
    assert all(a is b for a, b in zip(net.parameters(), held))
    assert net(ndl.Tensor(np.random.randn(4, 2))).dtype == "float64"


def test_to_refuses_integers():
    with pytest.raises(TypeError, match="converted to a floating dtype, got int32"):
        nn.Linear(1, 1).to("int32")


def test_frozen_parameters_get_no_gradient():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net(ndl.init.ones(4, 2)).sum().backward()
    net.modules[0].requires_grad_(False)
    assert net.modules[0].weight.grad is None
    net(ndl.init.ones(4, 2)).sum().backward()
    assert net.modules[0].weight.grad is None and net.modules[1].weight.grad is not None
    assert len(net.parameters()) == 4
    net.requires_grad_()
    net(ndl.init.ones(4, 2)).sum().backward()
    assert net.modules[0].weight.grad is not None


def test_apply_reaches_every_module_and_itself_last():
    net, met = nn.Sequential(nn.Linear(2, 3), nn.Residual(nn.ReLU())), []
    assert net.apply(met.append) is net
    assert met[-1] is net and len(met) == 4


# How it looks


def test_repr_shows_the_structure_and_counts_parameters():
    assert repr(nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10, bias=False))) == "\n".join(
        [
            "Sequential(  # 79,500 parameters",
            "  (modules.0): Linear(784, 100)  # 78,500 parameters",
            "  (modules.1): ReLU()",
            "  (modules.2): Linear(100, 10, bias=False)  # 1,000 parameters",
            ")",
        ]
    )


@pytest.mark.parametrize(
    "conv, shown",
    [
        (nn.Conv(2, 4, 3), "Conv(2, 4, 3, stride=1)"),
        (nn.Conv(2, 4, 3, bias=False, padding=0, groups=2), "Conv(2, 4, 3, stride=1, padding=0, groups=2, bias=False)"),
        (nn.ConvTranspose(2, 4, 3, 2, dilation=2), "ConvTranspose(2, 4, 3, stride=2, dilation=2)"),
    ],
)
def test_repr_of_a_convolution_shows_what_is_not_as_usual(conv, shown):
    assert repr(conv).startswith(shown + "  #")


def test_summary_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout())
    model.modules[1].eval()
    before, state = model.state_dict(), np.random.get_state()[1].copy()
    table = nn.summary(model, (5, 4))
    assert "(5, 3)" in table and "21 parameters, 21 of them trained" in table
    assert same(model.state_dict(), before)
    assert [module.training for _, module in model.named_modules()] == [True, True, False, True]
    assert all("forward" not in vars(module) for _, module in model.named_modules())
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_summary_of_a_model_of_indices():
    assert "(7, 2, 3)" in nn.summary(nn.Embedding(10, 3), (7, 2))


# Containers


def test_module_list_is_a_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.append(nn.Linear(2, 1))
    assert len(layers) == 4 and layers[-1].out_features == 1
    assert isinstance(layers[:2], nn.ModuleList) and len(layers[:2]) == 2
    del layers[0]
    assert len(layers.parameters()) == 6


def test_module_dict_is_a_dict():
    layers = nn.ModuleDict({"a": nn.Linear(2, 2)})
    layers["b"] = nn.Linear(2, 1)
    assert list(layers) == ["a", "b"] and len(layers.parameters()) == 4
    assert list(layers.values())[1] is layers["b"]
    assert layers != nn.ModuleDict(layers)


def test_sequential_can_be_sliced():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model[:2]) == 2 and model[0] is model.modules[0]
