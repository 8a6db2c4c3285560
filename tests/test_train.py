"""needle.train: what fit learns and records, how it stops and goes on, evaluate and predict, errors."""

import math
import os
import re
import signal
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest

import needle as ndl
from needle.data import DataLoader, Dataset, NDArrayDataset
from needle.io import FileError
from needle.optim import SGD, Adam, ExponentialLR, ReduceLROnPlateau
from needle.train import History, accuracy, evaluate, fit, predict

N = 24


def squared_error(prediction, target):
    return ((prediction.reshape(target.shape) - target) ** 2).mean()


def regression(n=N, seed=0):
    random = np.random.RandomState(seed)
    x = random.randn(n, 3).astype("float32")
    return x, (x @ [1.0, -2.0, 0.5]).astype("float32")


def classes(n=N, seed=0):
    x, y = regression(n, seed)
    return x, (y > 0).astype("int64")


def net(seed=0, outputs=1):
    np.random.seed(seed)
    return ndl.nn.Sequential(ndl.nn.Linear(3, 8), ndl.nn.ReLU(), ndl.nn.Dropout(0.2), ndl.nn.Linear(8, outputs))


class Case:
    """A net, its optimizer and what `fit` needs beside; equal each time it is made."""

    def __init__(self, data=None, outputs=1, loss=squared_error, batch_size=4, **options):
        self.model = net(outputs=outputs)
        self.optimizer = Adam(self.model.parameters(), lr=0.02)
        self.data = data if data is not None else DataLoader(NDArrayDataset(*regression()), batch_size, shuffle=True)
        self.options = {"loss": loss, "optimizer": self.optimizer, "progress": False, **options}

    def fit(self, epochs=3, **options):
        return fit(self.model, self.data, **{"epochs": epochs} | self.options | options)

    def weights(self):
        return [parameter.numpy() for parameter in self.model.parameters()]


def equal(a, b):
    return len(a) == len(b) and all(x.tobytes() == y.tobytes() for x, y in zip(a, b))


def without_seconds(history):
    return {name: values for name, values in history.items() if name != "seconds"}


# --------------------------------------------------------------------------------------------------------------------
# What fit does


def test_fit_makes_the_steps_that_a_loop_by_hand_makes():
    fitted = Case()
    history = fitted.fit(3)

    by_hand = Case()
    means = []
    for _ in range(3):
        total = 0.0
        for x, y in by_hand.data:
            by_hand.optimizer.reset_grad()
            loss = squared_error(by_hand.model(x), y)
            loss.backward()
            by_hand.optimizer.step()
            total += loss.item() * len(y)
        means.append(total / N)
    for fitted_weight, weight in zip(fitted.weights(), by_hand.weights()):
        np.testing.assert_allclose(fitted_weight, weight, rtol=1e-4, atol=1e-6)  # compiled, sums may be ordered anew
    np.testing.assert_allclose(history["loss"], means, rtol=1e-5)
    assert history.stopped == "epochs" and history.epochs == 3 and not history.interrupted


def test_arrays_datasets_and_loaders_train_alike():
    x, y = regression()
    losses = [
        Case(data, batch_size=None).fit(2, **batch)["loss"]
        for data, batch in [
            ((x, y), {"batch_size": 4}),
            ([ndl.Tensor(x), ndl.Tensor(y)], {"batch_size": 4}),
            (NDArrayDataset(x, y), {"batch_size": 4}),
            (list(zip(x, y)), {"batch_size": 4}),
            (DataLoader(NDArrayDataset(x, y), 4, shuffle=True), {}),
        ]
    ]
    assert losses == losses[:1] * 5


def test_any_object_that_gives_batches_can_be_trained_on():
    x, y = regression()
    batches = [(x[:16], y[:16]), (x[16:], y[16:])]

    class Batches:
        def __iter__(self):
            return iter(batches)

    assert len(Case(Batches()).fit(2)["loss"]) == 2


def test_integer_labels_are_counted_as_right_or_wrong():
    case = Case(classes(), outputs=2, loss=ndl.nn.SoftmaxLoss(), validation=classes(seed=1))
    history = case.fit(30)
    names = ["loss", "accuracy", "validation_loss", "validation_accuracy", "lr", "seconds"]
    assert list(history) == names and all(len(values) == 30 for values in history.values())
    assert history["accuracy"][-1] > 0.9 and history["loss"][-1] < history["loss"][0]


def test_metrics_of_ones_own_are_recorded():
    largest = lambda prediction, target: prediction.numpy().max()
    history = Case(metrics={"largest": largest}).fit(2)
    assert list(history) == ["loss", "largest", "lr", "seconds"]


def test_several_inputs_go_to_the_model_in_order():
    x, y = regression()
    w = ndl.Tensor([1.0])
    history = fit(
        lambda a, b: w * (a - b).sum((1,)),
        (x, 0 * x, y),
        loss=squared_error,
        optimizer=SGD([w], lr=0.01),
        epochs=1,
        progress=False,
    )
    assert history.epochs == 1


def test_accumulated_batches_make_the_step_of_one_large_batch():
    x, y = regression()
    losses = []
    for batch_size, accumulate in [(8, 1), (2, 4)]:
        case = Case(DataLoader(NDArrayDataset(x, y), batch_size))
        case.model.eval()
        case.model.train = lambda: None  # no dropout: its masks differ in shape
        case.optimizer = case.options["optimizer"] = SGD(case.model.parameters(), lr=0.1)
        case.fit(2, accumulate=accumulate)
        losses.append(case.weights())
    for a, b in zip(*losses):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # float32 sums in another order


def test_a_last_group_of_fewer_batches_is_a_mean_too():
    # Three batches, two at a time: the step of the third alone is not halved.
    x, y = np.ones((3, 1)), np.zeros(3)
    w = ndl.Tensor([[1.0]])
    fit(
        lambda x: x @ w,
        DataLoader(NDArrayDataset(x, y), 1),
        loss=lambda prediction, target: prediction.sum(),
        optimizer=SGD([w], lr=0.25),
        epochs=1,
        accumulate=2,
        progress=False,
    )
    assert w.numpy() == 0.5


def test_gradients_are_clipped_before_the_step():
    w = ndl.Tensor([1.0])
    fit(
        lambda x: x * w,
        (np.full((1, 1), 100.0), np.zeros(1)),
        loss=lambda prediction, target: prediction.sum(),
        optimizer=SGD([w], lr=0.5),
        epochs=1,
        clip=1.0,
        progress=False,
    )
    np.testing.assert_allclose(w.numpy(), 0.5, rtol=1e-6)


@pytest.mark.parametrize("every, expected", [("epoch", [1.0, 0.5, 0.25]), ("step", [0.5**6, 0.5**12, 0.5**18])])
def test_the_schedule_steps_once_an_epoch_or_once_a_step(every, expected):
    case = Case()
    case.optimizer.lr = 1.0
    history = case.fit(3, schedule=ExponentialLR(case.optimizer, 0.5), schedule_every=every)
    assert history["lr"] == expected


def test_a_plateau_schedule_sees_the_monitored_value():
    case = Case()
    schedule = ReduceLROnPlateau(case.optimizer)
    history = case.fit(3, schedule=schedule, validation=regression(seed=1))
    assert schedule.best == min(history["validation_loss"])


def test_nothing_is_left_of_the_steps():
    case = Case()
    case.fit(1)
    before = ndl.autograd.TENSOR_COUNTER
    case.fit(3)
    assert ndl.autograd.TENSOR_COUNTER <= before
    assert all(parameter.grad is None for parameter in case.model.parameters())


def test_the_progress_bar_shows_loss_and_accuracy(capsys):
    case = Case(classes(), outputs=2, loss=ndl.nn.SoftmaxLoss(), validation=classes(seed=1))
    case.fit(2, progress=True)
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown
    assert "loss" in shown and "accuracy" in shown and "validation accuracy" in shown


def test_without_tqdm_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match="pip install tqdm, or pass progress=False"):
        Case().fit(1, progress=True)
    Case().fit(1)


# --------------------------------------------------------------------------------------------------------------------
# Early stopping


class Falling:
    """A model of one weight, which is -k after k epochs, with `values` as its losses in these epochs."""

    def __init__(self, values):
        self.weight = ndl.nn.Parameter([0.0])
        self.model = ndl.nn.Module()
        self.model.weight = self.weight
        self.model.forward = lambda x: self.weight * 1.0
        self.values = values

    def fit(self, **options):
        left = iter(self.values)

        def loss(prediction, target):
            total = prediction.sum()
            return total - total.detach() + next(left)  # the next value, with a gradient of 1

        data = np.zeros((1, 1)), np.zeros(1)
        optimizer = SGD([self.weight], lr=1.0)
        return fit(self.model, data, loss=loss, optimizer=optimizer, epochs=len(self.values), progress=False, **options)


def test_patience_stops_the_run_and_restores_the_best_weights():
    case = Falling([5.0, 4.0, 3.0, 6.0, 6.0, 6.0, 1.0])
    history = case.fit(patience=2)
    assert history["loss"] == [5, 4, 3, 6, 6]
    assert history.stopped == "patience" and history.best_epoch == 2
    assert case.weight.numpy() == -3.0  # after the third epoch


def test_the_best_weights_are_restored_when_all_epochs_are_done():
    case = Falling([5.0, 4.0, 6.0])
    history = case.fit(patience=10)
    assert history.stopped == "epochs" and history.best_epoch == 1 and case.weight.numpy() == -2.0


def test_without_patience_the_last_weights_stay():
    case = Falling([5.0, 4.0, 6.0])
    history = case.fit()
    assert history.best_epoch is None and case.weight.numpy() == -3.0


@pytest.mark.parametrize("options, best", [({"mode": "max"}, 2), ({"mode": "min"}, 1), ({}, 1)])
def test_mode_says_which_values_are_better(options, best):
    assert Falling([5.0, 4.0, 6.0]).fit(patience=10, **options).best_epoch == best


def test_a_greater_accuracy_is_better():
    case = Case(classes(), outputs=2, loss=ndl.nn.SoftmaxLoss(), validation=classes(seed=1))
    history = case.fit(8, patience=8, monitor="validation_accuracy")
    assert history.best_epoch == int(np.argmax(history["validation_accuracy"]))


# --------------------------------------------------------------------------------------------------------------------
# Compiled steps

BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(find_spec("numba") is None, reason="no numba"))]
SITUATIONS = {
    "plain": {},
    "a smaller last batch": {"data": DataLoader(NDArrayDataset(*regression(n=22)), 4, shuffle=True)},
    "clipped": {"clip": 0.5},
    "accumulated": {"accumulate": 4},
    "accumulated and clipped": {"accumulate": 2, "clip": 0.5},
    "validated": {"validation": regression(n=10, seed=1)},
    "labels": {"data": classes(), "outputs": 2, "loss": ndl.nn.SoftmaxLoss(), "validation": classes(10, seed=1)},
    "metrics": {"metrics": {"largest": lambda prediction, target: prediction.numpy().max()}},
    "patience": {"patience": 2, "validation": regression(n=10, seed=1)},
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_compiled_steps_give_what_eager_ones_give(situation, backend):
    eager = Case(**SITUATIONS[situation])
    expected = eager.fit(4, jit=False)
    compiled = Case(**SITUATIONS[situation])
    history = compiled.fit(4, jit=backend)
    assert history.uncompiled == {}
    assert history.keys() == expected.keys() and history.stopped == expected.stopped
    for name in without_seconds(expected):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, atol=1e-6)
    for weight, other in zip(compiled.weights(), eager.weights()):
        np.testing.assert_allclose(weight, other, rtol=1e-3, atol=1e-5)
    slots = compiled.optimizer.state_dict(), eager.optimizer.state_dict()
    for name, value in slots[1].items():
        np.testing.assert_allclose(slots[0][name], value, rtol=1e-3, atol=1e-6)


def test_a_schedule_is_an_input_of_the_compiled_step():
    for every in ("step", "epoch"):
        found = []
        for jit in (False, True):
            case = Case()
            history = case.fit(3, jit=jit, schedule=ExponentialLR(case.optimizer, 0.9), schedule_every=every)
            found.append(case.weights())
        assert history.uncompiled == {}
        for weight, other in zip(*found):
            np.testing.assert_allclose(weight, other, rtol=1e-3, atol=1e-5)


def test_a_line_above_the_bar_says_what_is_compiled(capsys):
    Case().fit(2, progress=True)
    printed = capsys.readouterr().err
    assert printed.count('the training step is compiled (jit="numpy")') == 1


def asks(model):
    return lambda x: model(x) if model(x).sum().item() > -1e9 else x


def prints(model):
    return lambda x: (print("called"), model(x))[1]


def counts(model):
    calls = []
    return lambda x: (calls.append(1), model(x) * (1 if len(calls) < 3 else 0.5))[1]


def takes(model):
    numbers = iter(np.linspace(1, 2, 1000).tolist())
    return lambda x: model(x) * next(numbers)


def draws(model):
    numbers = np.random.default_rng(0)
    return lambda x: model(x) * float(numbers.random())


def hides(model):
    class Output:
        def __init__(self, value):
            self.reshape = value.reshape

    return lambda x: Output(model(x))


@pytest.mark.parametrize(
    "wrapped, why",
    [
        (asks, r"number of a traced value was asked for, in .*test_train.py:\d+: "),
        (prints, "it calls print, in .*test_train.py.*debug_print prints at each call"),
        (counts, "it changes what it depends on"),
        (takes, "numbers is an iterator"),
        (draws, "it holds a random generator"),
        (hides, r"the model returns an object \(Output\) into which jit does not look"),
    ],
)
def test_what_cannot_be_compiled_goes_on_with_nothing_lost(wrapped, why, capsys):
    def weights(jit, progress=False):
        np.random.seed(0)
        case = Case()
        model = wrapped(case.model)
        history = fit(
            model, case.data, loss=squared_error, optimizer=case.optimizer, epochs=2, jit=jit, progress=progress
        )
        return history, case.weights(), capsys.readouterr()

    history, found, printed = weights(True)
    _, expected, expected_print = weights(False)
    assert re.search(why, history.uncompiled["training step"])
    assert equal(found, expected) and printed == expected_print
    said = weights(True, progress=True)[2].err
    assert said.count("the training step goes on uncompiled: ") == 1


def test_a_loss_that_needs_another_program_each_time_is_not_compiled(monkeypatch):
    monkeypatch.setattr("needle.train.compiled.TRIES", 5)
    lengths = [(np.ones((n, 3), "float32"), np.ones(n, "float32")) for n in range(1, 20)]
    history = Case(lengths_of(lengths)).fit(1)
    assert "was traced 5 times in 5 calls" in history.uncompiled["training step"]


def lengths_of(batches):
    class Batches:
        def __iter__(self):
            return iter(batches)

    return Batches()


def test_an_optimizer_of_ones_own_is_compiled_unless_it_counts():
    class Plain(ndl.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, lr=0.1)

        def step(self):
            for param in self.params:
                param.data = param.data - 0.1 * param.grad.data

    class Counting(Plain):
        t = 0

        def step(self):
            self.t += 1
            for param in self.params:
                param.data = param.data - (0.1 / self.t) * param.grad.data

    for kind, names in ((Plain, set()), (Counting, {"optimizer step"})):
        found = []
        for jit in (True, False):
            case = Case()
            case.optimizer = kind(case.model.parameters())
            history = case.fit(2, jit=jit, optimizer=case.optimizer)
            found.append(case.weights())
            assert set(history.uncompiled) == (names if jit else set())
        for weight, other in zip(*found):
            np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-6)


def test_jit_must_be_the_name_of_a_backend():
    with pytest.raises(ValueError, match="fit needs jit to be True, False or one of auto, numpy, numba; got 'gpu'"):
        Case().fit(1, jit="gpu")


# --------------------------------------------------------------------------------------------------------------------
# Ctrl-C


class Breaking(Dataset):
    """A dataset that calls `act` when its examples are asked for the `count`-th time."""

    def __init__(self, act, count):
        super().__init__()
        self.x, self.y = regression()
        self.act, self.left = act, count

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.x[i], self.y[i]

    def take(self, indices):
        self.left -= 1
        if self.left == 0:
            self.act()
        return self.x[indices], self.y[indices]


def raise_interrupt():
    raise KeyboardInterrupt


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler():
    """Python's own handler of Ctrl-C, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler  # fit has put it back


def test_an_interrupt_in_the_data_keeps_what_was_learned():
    case = Case(DataLoader(Breaking(raise_interrupt, 9), 4))  # six batches an epoch: in the second
    start = case.weights()
    history = case.fit(5)
    assert history.interrupted and history.epochs == 1
    assert not equal(start, case.weights())
    assert all(parameter.grad is None for parameter in case.model.parameters())


def test_ctrl_c_ends_the_step_at_hand_and_stops(capsys):
    case = Case(DataLoader(Breaking(press_ctrl_c, 3), 4))
    history = case.fit(5)
    assert history.interrupted and history.epochs == 0
    assert case.optimizer.state_dict()["state.0.step"] == 3
    assert "stopping after this step; Ctrl-C again stops at once" in capsys.readouterr().err


def test_a_second_ctrl_c_stops_at_once():
    case = Case(DataLoader(Breaking(lambda: (press_ctrl_c(), press_ctrl_c()), 3), 4))
    assert case.fit(5).interrupted
    assert case.optimizer.state_dict()["state.0.step"] == 2


def test_ctrl_c_in_the_validation_stops():
    case = Case(validation=DataLoader(Breaking(press_ctrl_c, 2), 4))
    history = case.fit(5)
    assert history.interrupted and history.epochs == 0
    assert case.model.training


def test_a_run_in_another_thread_leaves_ctrl_c_alone():
    case, found = Case(), []
    thread = threading.Thread(target=lambda: found.append(case.fit(1)))
    thread.start()
    thread.join()
    assert found[0].stopped == "epochs"


# --------------------------------------------------------------------------------------------------------------------
# Checkpoints and going on


def options_of(case):
    return {
        "schedule": ExponentialLR(case.optimizer, 0.99),
        "schedule_every": "step",
        "validation": regression(seed=1),
        "patience": 10,
        "clip": 1.0,
    }


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("seed", [None, 3], ids=["global random state", "the loader's own"])
# Six batches an epoch: in the middle of one, on the last batch of one, in a validation, on a first batch.
@pytest.mark.parametrize("where, count", [("data", 9), ("data", 12), ("validation", 2), ("data", 1)])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, where, count, seed, accumulate):
    def make(act, count):
        breaking, plain = Breaking(act, count), Breaking(None, 0)
        case = Case(DataLoader(breaking if where == "data" else plain, 4, shuffle=True, seed=seed))
        case.options |= options_of(case) | {"accumulate": accumulate}
        case.options["validation"] = DataLoader(breaking if where == "validation" else plain, 16)
        return case

    whole = make(None, 0)
    expected = whole.fit(4)

    path = tmp_path / "run.safetensors"
    first = make(press_ctrl_c, count)
    assert first.fit(4, checkpoint=path).interrupted
    second = make(None, 0)
    np.random.rand(5)
    history = second.fit(4, checkpoint=path, resume=True)

    assert equal(whole.weights(), second.weights())
    assert without_seconds(history) == without_seconds(expected)
    assert (history.stopped, history.best_epoch) == (expected.stopped, expected.best_epoch)


@pytest.mark.parametrize("kill_at", [3, 8, 14])
def test_a_run_that_died_goes_on_from_its_last_checkpoint(tmp_path, kill_at):
    class Death(Exception):
        pass

    def die():
        raise Death

    whole = Case()
    expected = whole.fit(3)
    path = tmp_path / "run.safetensors"
    first = Case(DataLoader(Breaking(die, kill_at), 4, shuffle=True))
    with pytest.raises(Death):
        first.fit(3, checkpoint=path, checkpoint_every=2)
    second = Case()
    history = second.fit(3, checkpoint=path, resume=True)
    assert equal(whole.weights(), second.weights())
    assert without_seconds(history) == without_seconds(expected)


def test_a_finished_run_can_be_made_longer(tmp_path):
    path = tmp_path / "run.safetensors"
    whole = Case()
    expected = whole.fit(5)
    short = Case()
    short.fit(2, checkpoint=path)
    longer = Case()
    history = longer.fit(5, checkpoint=path, resume=True)
    assert equal(whole.weights(), longer.weights()) and without_seconds(history) == without_seconds(expected)
    assert history.stopped == "epochs"


def test_a_run_that_was_stopped_by_patience_stays_stopped(tmp_path):
    path = tmp_path / "run.safetensors"
    case = Falling([5.0, 3.0, 6.0, 6.0, 1.0])
    expected = case.fit(patience=2, checkpoint=path)
    again = Falling([5.0, 3.0, 6.0, 6.0, 1.0])
    history = again.fit(patience=2, checkpoint=path, resume=True)
    assert history == expected and history.stopped == "patience" and again.weight.numpy() == -2.0


def test_resume_without_a_checkpoint_begins(tmp_path):
    assert Case().fit(1, checkpoint=tmp_path / "none", resume=True).epochs == 1


def test_a_checkpoint_that_fit_did_not_write_is_refused(tmp_path):
    case = Case()
    path = tmp_path / "other"
    ndl.io.save_checkpoint(path, model=case.model, optimizer=case.optimizer, loader=case.data)
    with pytest.raises(FileError, match="was not written by fit"):
        case.fit(1, checkpoint=path, resume=True)


# --------------------------------------------------------------------------------------------------------------------
# History


def test_a_history_is_saved_as_json(tmp_path):
    history = History({"loss": [1.5, 0.1]}, stopped="patience", best_epoch=1)
    history.save(tmp_path / "history.json")
    again = History.load(tmp_path / "history.json")
    assert again == history and (again.stopped, again.best_epoch) == ("patience", 1)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"curves": 3, "stopped": null, "best_epoch": null}', "{"])
def test_a_file_that_is_no_history_is_named(tmp_path, content):
    path = tmp_path / "history.json"
    path.write_text(content)
    with pytest.raises(FileError, match="history.json is not a History"):
        History.load(path)


# --------------------------------------------------------------------------------------------------------------------
# evaluate and predict


def test_evaluate_is_the_mean_over_examples_in_evaluation_mode():
    model, (x, y) = net(), regression()
    model.eval()
    expected = float(((model(ndl.Tensor(x)).numpy()[:, 0] - y) ** 2).mean())
    model.train()
    model.modules[2].training = False
    found = evaluate(model, (x, y), loss=squared_error, batch_size=7)  # the last batch is smaller
    assert found == {"loss": pytest.approx(expected, rel=1e-5)}
    assert [m.training for m in (model, model.modules[0], model.modules[2])] == [True, True, False]


def test_evaluate_records_nothing():
    model, seen = net(), []
    evaluate(model, regression(), loss=lambda p, t: (seen.append(p.requires_grad), squared_error(p, t))[1])
    assert seen == [False]


@pytest.mark.parametrize("make", [lambda x, y: x, lambda x, y: ndl.Tensor(x), lambda x, y: (x, y)])
def test_predict_gives_an_array_with_an_entry_for_each_example(make):
    model, (x, y) = net(), regression()
    found = predict(model, make(x, y), batch_size=7)
    model.eval()
    np.testing.assert_allclose(found, model(ndl.Tensor(x)).numpy(), rtol=1e-5)
    assert isinstance(found, np.ndarray)


def test_predict_of_several_values_is_a_tuple():
    a, b = predict(lambda x: (x, x * 2), np.arange(5.0), batch_size=2)
    np.testing.assert_array_equal(b, 2 * a)


def test_accuracy_is_the_share_of_right_labels():
    assert accuracy(ndl.Tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]), ndl.Tensor([1, 1, 1])) == pytest.approx(2 / 3)


# --------------------------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"epochs": 0}, ValueError, "whole number >= 1 for epochs; got 0"),
        ({"epochs": 2.5}, ValueError, "whole number >= 1 for epochs; got 2.5"),
        ({"accumulate": 0}, ValueError, "for accumulate; got 0"),
        ({"patience": 0}, ValueError, "for patience; got 0"),
        ({"loss": 3}, TypeError, "a loss that can be called, got int"),
        ({"optimizer": "adam"}, TypeError, "an optimizer such as .* got 'adam'"),
        ({"schedule_every": "day"}, ValueError, 'schedule_every "epoch" or "step"; got \'day\''),
        ({"mode": "up"}, ValueError, 'mode "min" or "max"; got \'up\''),
        ({"resume": True}, ValueError, "needs checkpoint=path to resume from"),
        ({"checkpoint_every": 3}, ValueError, "needs checkpoint=path"),
        ({"monitor": "validation_loss"}, ValueError, "cannot watch monitor='validation_loss' without validation"),
        ({"monitor": "happiness", "patience": 2}, ValueError, "cannot watch monitor='happiness'; there are loss"),
        ({"metrics": {"loss": max}}, ValueError, "keeps the name 'loss'"),
        ({"batch_size": 3}, ValueError, "batch_size=3 is for arrays and datasets; this DataLoader has its own"),
        ({"metrics": [max]}, TypeError, "its metrics as a dict of functions by name, got .*max"),
        ({"schedule": "cosine"}, TypeError, "a schedule such as .* got 'cosine'"),
        ({"loss": lambda p, t: p}, TypeError, r"a Tensor of one number, .* got shape \(4, 1\)"),
        ({"loss": lambda p, t: 1.0}, TypeError, "a Tensor of one number, .* got a float"),
        (
            {"loss": lambda p, t: squared_error(p, t) * np.nan},
            FloatingPointError,
            "loss became nan in epoch 1, batch 1",
        ),
        ({"optimizer": SGD([ndl.Tensor([1.0])])}, ValueError, "depends on none of the optimizer's parameters"),
        ({"validation": (np.ones((0, 3)), np.ones(0))}, ValueError, "validation got data without examples"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(options, error, message):
    case = Case()
    with pytest.raises(error, match=message):
        case.fit(**options)


@pytest.mark.parametrize(
    "data, error, message",
    [
        (regression()[0], TypeError, r"fit takes a DataLoader, a dataset or arrays \(X, y\), got ndarray"),
        (iter([1]), TypeError, "an iterator can be gone through only once"),
        (3, TypeError, "got int"),
        ((regression()[0],), ValueError, r"needs batches of inputs and a target, like \(X, y\); got 1 field"),
        ((), ValueError, "data without examples"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        Case(data).fit(1)


def test_a_loss_that_is_not_finite_leaves_the_weights_before_it():
    calls = []

    def loss(prediction, target):
        calls.append(1)
        return squared_error(prediction, target) * (math.inf if len(calls) == 3 else 1.0)

    case = Case(loss=loss)
    with pytest.raises(FloatingPointError, match="loss became inf in epoch 1, batch 3"):
        case.fit(1)
    assert all(np.isfinite(weight).all() for weight in case.weights())
    assert case.optimizer.state_dict()["state.0.step"] == 2


def test_a_checkpoint_needs_a_model_with_state(tmp_path):
    w = ndl.Tensor([1.0])
    with pytest.raises(TypeError, match="need a model with a state_dict, such as a Module"):
        fit(lambda x: x * w, regression(), loss=squared_error, optimizer=SGD([w]), epochs=1, patience=2)


def test_a_schedule_must_be_of_the_optimizer():
    case = Case()
    with pytest.raises(ValueError, match="a schedule of another optimizer"):
        case.fit(1, schedule=ExponentialLR(SGD([ndl.Tensor([1.0])]), 0.9))


def test_no_temporary_file_is_left(tmp_path):
    Case().fit(2, checkpoint=tmp_path / "run.safetensors", checkpoint_every=1)
    assert os.listdir(tmp_path) == ["run.safetensors"]


def test_a_batch_size_of_zero_is_not_the_default_one():
    with pytest.raises(ValueError, match="batch_size >= 1; got 0"):
        Case(regression()).fit(1, batch_size=0)
