"""needle.io: what is saved comes back, whole or not at all; a checkpoint fits, or nothing is changed."""

import json
import os
import signal
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy

import needle as ndl
from needle.io import FileError, load, load_checkpoint, read_metadata, save, save_checkpoint, write_whole


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def same(a, b):
    if isinstance(a, ndl.Tensor):
        return isinstance(b, ndl.Tensor) and same(a.numpy(), b.numpy())
    if isinstance(a, np.ndarray | np.generic):
        return isinstance(b, np.ndarray) and b.dtype == a.dtype and b.shape == a.shape and b.tobytes() == a.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_bit_for_bit(path, dtype, shape):
    array = np.asarray(np.random.randn(*shape) * 3).astype(dtype)
    save(path, array)
    assert same(array, load(path))


def test_a_tree_comes_back_as_it_was(path):
    tree = {
        "w": np.arange(3.0),
        "tensor": ndl.Tensor([1.0, 2.0]),
        "numbers": [1, 2**70, 0.1, float("inf"), float("nan"), True, None, "text ∂"],
        "nested": {"a": (np.zeros((2, 2), "float32"), {"b": []}), "empty": {}, "": np.float32(3)},
        "a.b": np.array(1),
        "a": {"b": np.array(2)},  # the same path as the line before
        "complex": ndl.Tensor([1 + 2j]),
    }
    save(path, tree)
    assert same(tree, load(path))


def test_loaded_arrays_can_be_written_into_and_outlive_the_file(path):
    save(path, {"w": np.arange(3), "t": ndl.Tensor([1.0])})
    loaded = load(path)
    path.unlink()
    loaded["w"][0] = 7
    assert loaded["w"].tolist() == [7, 1, 2]
    assert not loaded["t"].requires_grad


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-2],
        np.broadcast_to(np.arange(3.0), (2, 3)),
        np.arange(3, dtype=">f8"),
        np.asfortranarray(np.random.randn(3, 4)),
    ],
    ids=["transposed", "strided", "broadcast", "big-endian", "fortran"],
)
def test_the_memory_layout_makes_no_difference(path, array):
    save(path, array)
    np.testing.assert_array_equal(load(path), array)


def test_other_programs_can_read_the_arrays(path):
    save(path, {"model": {"layers.0.weight": np.ones((2, 2), "float32")}}, {"note": "hello"})
    assert safetensors.numpy.load_file(path)["model.layers.0.weight"].tolist() == [[1, 1], [1, 1]]


def test_files_of_other_programs_can_be_read(path):
    safetensors.numpy.save_file({"w": np.arange(3)}, path, {"format": "pt"})
    assert same({"w": np.arange(3)}, load(path))
    assert read_metadata(path) == {"format": "pt"}


def test_metadata_comes_back(path):
    save(path, [1], {"note": "hello"})
    assert read_metadata(path) == {"note": "hello"}


# --------------------------------------------------------------------------------------------------------------------
# Whole or not at all


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(path, monkeypatch, step, error):
    save(path, {"w": np.arange(3)})

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)) as caught:
        save(path, {"w": np.arange(4)})
    monkeypatch.undo()
    if isinstance(error, OSError):
        assert f"cannot write {path}, what was there is unchanged: no space left on device" in str(caught.value)
    assert same({"w": np.arange(3)}, load(path))
    assert os.listdir(path.parent) == [path.name]


def test_the_new_file_is_on_the_disk_before_it_takes_the_name(path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (happened.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda a, b: (happened.append("replace"), replace(a, b)))
    save(path, {"w": np.arange(3)})
    assert happened == ["fsync", "replace", "fsync"]  # the file, its name, the folder that holds the name


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_process_killed_while_it_saves_leaves_the_old_file(path, step):
    save(path, {"w": np.arange(3)})
    program = f"""
        import os, signal
        import numpy as np
        from needle.io import save
        os.{step} = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        save({str(path)!r}, {{"w": np.arange(100_000)}})
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert same({"w": np.arange(3)}, load(path))


def test_a_save_through_a_link_replaces_what_it_leads_to(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    save(target, 1)
    link.symlink_to(target)
    save(link, 2)
    assert load(target) == 2 and link.is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_saved_file_has_the_permissions_of_any_new_file(path, tmp_path):
    save(path, np.arange(3))
    (tmp_path / "other").write_text("")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


# --------------------------------------------------------------------------------------------------------------------
# Damaged files, and what cannot be saved


def test_a_file_cut_off_anywhere_is_an_error_that_names_it(path):
    save(path, {"w": np.arange(30.0), "n": 3})
    whole = path.read_bytes()
    for size in [0, 1, 7, 8, 20, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match=rf"{path.name} \({size} bytes\) is not a whole safetensors file"):
            load(path)


def test_a_changed_byte_anywhere_is_an_error(path):
    save(path, {"w": np.arange(8, dtype="uint8"), "n": 3})
    whole = path.read_bytes()
    for place in range(8, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            loaded = load(path)
        except FileError as error:
            assert str(path) in str(error)
        else:  # spaces after the header, or the name of our own entry: the content is what it was, or plain arrays
            assert same(loaded, {"w": np.arange(8, dtype="uint8"), "n": 3}) or list(loaded) == ["w"]


def test_a_damaged_array_is_noticed_by_its_checksum(path):
    save(path, {"w": np.arange(8, dtype="uint8")})
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 16
    path.write_bytes(whole)
    with pytest.raises(FileError, match="file.safetensors is damaged: its checksum is not that of its contents"):
        load(path)


def test_a_dtype_that_numpy_lacks_is_an_error_that_names_the_file(path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    with pytest.raises(FileError, match="file.safetensors"):
        load(path)


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"a": object()}, "dicts, lists and tuples can be saved; a is of type object"),
        ({"a": [1, {2, 3}]}, "a.1 is of type set"),
        ({"a": {1: 2}}, "dicts must have strings as keys to be saved; a has the key 1"),
        (np.array(["x"]), "arrays of numbers .* the tree is <U1"),
        ({"a": np.array([None])}, "a is object"),
        ({"a": 1j}, "a is of type complex"),
    ],
)
def test_what_cannot_be_saved_is_named_and_no_file_is_made(path, tree, message):
    with pytest.raises(TypeError, match=message):
        save(path, tree)
    assert not path.exists()


def test_files_and_folders_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*none"):
        load(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="cannot write .*there is no folder .*no"):
        save(tmp_path / "no" / "file", 1)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load(tmp_path)


def test_metadata_must_be_strings_and_not_our_own(path):
    with pytest.raises(TypeError, match="metadata holds strings by name; got 'n': 3"):
        save(path, 1, {"n": 3})
    with pytest.raises(ValueError, match="needle.tree.* is needle's own"):
        save(path, 1, {"needle.tree": "x"})


@pytest.mark.parametrize("package", ["safetensors.numpy"])
def test_without_safetensors_the_error_says_what_to_install(path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        save(path, 1)


def test_importing_needle_io_imports_no_safetensors():
    program = "import sys, needle.io; sys.exit('safetensors' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


def test_whatever_writes_a_file_can_do_it_whole(tmp_path):
    write_whole(tmp_path / "text", lambda temporary: open(temporary, "w").close())
    assert os.listdir(tmp_path) == ["text"]


# --------------------------------------------------------------------------------------------------------------------
# Checkpoints


class Setting:
    """A net with dropout, its optimizer, a schedule and shuffled batches."""

    def __init__(self, hidden=8, optimizer=ndl.optim.Adam, seed=None, examples=20):
        own = ndl.Generator(5)
        self.model = ndl.nn.Sequential(
            ndl.nn.Linear(3, hidden),
            ndl.nn.BatchNorm1d(hidden),
            ndl.nn.Dropout(0.3),
            ndl.nn.Dropout(0.3, generator=own),
            ndl.nn.Linear(hidden, 1),
        )
        self.optimizer = optimizer(self.model.parameters(), lr=0.01)
        self.schedule = ndl.optim.ExponentialLR(self.optimizer, 0.9)
        random = np.random.RandomState(0)
        data = ndl.data.NDArrayDataset(random.randn(examples, 3).astype("float32"), np.arange(float(examples)))
        self.loader = ndl.data.DataLoader(data, batch_size=3, shuffle=True, seed=seed)
        self.generator = ndl.Generator(7)

    def parts(self):
        return vars(self)

    def run(self, steps):
        while steps:
            for x, y in self.loader:
                self.optimizer.reset_grad()
                noise = ndl.Tensor(self.generator.rand(), dtype="float32", requires_grad=False)
                ((self.model(x).reshape((-1,)) * noise - y) ** 2).mean().backward()
                self.optimizer.step()
                self.schedule.step()
                steps -= 1
                if not steps:
                    return

    def state(self):
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.state_dict(),
            "random": list(np.random.get_state()),
        }


@pytest.mark.parametrize("seed", [None, 3], ids=["global random state", "the loader's own"])
@pytest.mark.parametrize("optimizer", [ndl.optim.SGD, ndl.optim.Adam, ndl.optim.RMSProp])
def test_a_run_resumed_in_mid_epoch_goes_on_bit_for_bit(path, seed, optimizer):
    np.random.seed(1)
    whole = Setting(optimizer=optimizer, seed=seed)
    whole.run(23)

    np.random.seed(1)
    first = Setting(optimizer=optimizer, seed=seed)
    first.run(11)  # an epoch has 7 batches
    save_checkpoint(path, **first.parts(), extra={"epoch": 1})

    np.random.seed(99)
    second = Setting(optimizer=optimizer, seed=None if seed is None else 1234)
    second.generator.rand(10)
    assert load_checkpoint(path, **second.parts()) == {"epoch": 1}
    second.run(12)
    assert same(whole.state(), second.state())


def test_saving_changes_nothing_in_the_run(path):
    np.random.seed(1)
    plain = Setting()
    plain.run(10)
    expected = plain.state()

    np.random.seed(1)
    saved = Setting()
    steps = 0
    while steps < 10:
        for x, y in saved.loader:
            saved.optimizer.reset_grad()
            noise = ndl.Tensor(saved.generator.rand(), dtype="float32", requires_grad=False)
            ((saved.model(x).reshape((-1,)) * noise - y) ** 2).mean().backward()
            saved.optimizer.step()
            saved.schedule.step()
            save_checkpoint(path, **saved.parts())
            steps += 1
            if steps == 10:
                break
    assert same(expected, saved.state())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Setting(hidden=9), r"the (model|optimizer) in the checkpoint .* does not fit: "),
        (
            lambda: Setting(optimizer=ndl.optim.SGD),
            "the optimizer in the checkpoint .* does not fit: .*not of this SGD",
        ),
        (lambda: Setting(seed=1), "the loader in the checkpoint .* does not fit: .*without seed="),
        (lambda: Setting(examples=19), "the loader in the checkpoint .* does not fit: .*20 examples.* 19"),
    ],
    ids=["net", "optimizer", "seed", "data"],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(path, make, message):
    first = Setting()
    first.run(4)
    save_checkpoint(path, **first.parts())
    second = make()
    second.run(2)
    before = second.state()
    with pytest.raises(FileError, match=message):
        load_checkpoint(path, **second.parts())
    assert same(before, second.state())


def test_a_model_alone_can_be_loaded_and_leaves_the_random_state(path):
    first = Setting()
    first.run(4)
    save_checkpoint(path, **first.parts())
    second, before = Setting(), list(np.random.get_state())
    load_checkpoint(path, model=second.model)
    assert same(first.model.state_dict(), second.model.state_dict())
    assert same(before, list(np.random.get_state()))


def test_a_part_that_the_file_lacks_is_named(path):
    setting = Setting()
    save_checkpoint(path, model=setting.model)
    with pytest.raises(FileError, match="holds no state of the optimizer; it holds model, model_generators, random"):
        load_checkpoint(path, model=setting.model, optimizer=setting.optimizer)


def test_a_file_that_is_no_checkpoint_is_named(path):
    save(path, {"w": 1})
    with pytest.raises(FileError, match="file.safetensors is no checkpoint"):
        load_checkpoint(path, model=Setting().model)


def test_a_part_without_state_is_named(path):
    with pytest.raises(TypeError, match="model must have state_dict and load_state_dict; function has not"):
        save_checkpoint(path, model=lambda x: x)
