"""Facts about needle.data: datasets, transforms, the loader and its resumption, the readers of files."""

import gzip
import pickle
import struct
from itertools import islice

import numpy as np
import pytest

from needle import Generator, Tensor
from needle.data import (
    CIFAR10Dataset,
    Corpus,
    DataLoader,
    Dataset,
    Dictionary,
    DigitsDataset,
    ImageDataset,
    MNISTDataset,
    NDArrayDataset,
    RandomCrop,
    RandomFlipHorizontal,
    Subset,
    batchify,
    get_batch,
    load_digits,
    random_split,
    read_idx,
)

RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 12, dtype=np.uint8)


def idx_bytes(array):
    codes = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, codes[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def mnist_files(tmp_path):
    paths = tmp_path / "images.gz", tmp_path / "labels.gz"
    for path, array in zip(paths, (IMAGES, LABELS)):
        path.write_bytes(gzip.compress(idx_bytes(array)))
    return paths


@pytest.fixture
def cifar_folder(tmp_path):
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {b"data": RNG.integers(0, 256, (4, 3072), dtype=np.uint8), b"labels": [3, 1, 4, 1]}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path


@pytest.fixture
def text_folder(tmp_path):
    (tmp_path / "train.txt").write_text("the cat sat\non the mat\n\nthe end\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("the dog sat\n", encoding="utf-8")
    return tmp_path


def values(batches):
    return [tuple(field.numpy().tolist() for field in batch) for batch in batches]


# Datasets from arrays -------------------------------------------------------------------------------------------------


def test_an_index_gives_one_entry_of_every_array():
    dataset = NDArrayDataset(np.arange(6).reshape(3, 2), np.array([7, 8, 9]), np.array([0.5, 1.5, 2.5]))
    row, label, weight = dataset[1]
    assert (row.tolist(), label, weight) == ([2, 3], 8, 1.5)


def test_a_slice_gives_one_array_for_each_array():
    dataset = NDArrayDataset(np.arange(6).reshape(3, 2), np.array([7, 8, 9]))
    rows, labels = dataset[1:]
    assert rows.tolist() == [[2, 3], [4, 5]] and labels.tolist() == [8, 9]


def test_a_dataset_of_one_array_gives_tuples_too():
    assert NDArrayDataset(np.arange(3))[2] == (2,)


def test_tensors_and_lists_make_datasets():
    dataset = NDArrayDataset(Tensor([1.0, 2.0]), [3, 4])
    assert dataset[1] == (2.0, 4) and isinstance(dataset.arrays[0], np.ndarray)


@pytest.mark.parametrize("index", [3, -4, np.int64(3)])
def test_an_index_out_of_range_names_itself_and_the_length(index):
    with pytest.raises(IndexError, match=rf"NDArrayDataset has 3 examples, .* index {index}"):
        NDArrayDataset(np.arange(3))[index]


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"lengths are \[3, 4\]"):
        NDArrayDataset(np.arange(3), np.arange(4))


@pytest.mark.parametrize("arrays", [(), (np.float32(1),)])
def test_a_dataset_needs_an_axis_of_examples(arrays):
    with pytest.raises(ValueError, match="axis of examples"):
        NDArrayDataset(*arrays)


def test_a_dataset_ends_a_for_loop():
    assert len(list(NDArrayDataset(np.arange(3)))) == 3


def test_transforms_are_applied_in_order():
    dataset = Dataset(transforms=[lambda x: x + 1, lambda x: x * 10])
    assert dataset.apply_transforms(2) == 30
    assert Dataset().apply_transforms(2) == 2


@pytest.mark.parametrize("method", ["__len__", "__getitem__"])
def test_an_unfinished_dataset_says_what_it_must_define(method):
    class Unfinished(Dataset):
        pass

    with pytest.raises(NotImplementedError, match=f"Unfinished must define {method}"):
        len(Unfinished()) if method == "__len__" else Unfinished()[0]


def test_image_transforms_see_height_width_channels():
    seen = []
    dataset = ImageDataset(np.zeros((2, 3, 8, 5)), np.arange(2), [lambda image: seen.append(image.shape) or image])
    assert dataset[0][0].shape == (3, 8, 5)
    assert dataset[:2][0].shape == (2, 3, 8, 5)
    assert dataset[:0][0].shape == (0, 3, 8, 5)
    assert seen == [(8, 5, 3)] * 3


def test_images_need_four_axes():
    with pytest.raises(ValueError, match=r"\(n, C, H, W\); got shape \(2, 8, 8\)"):
        ImageDataset(np.zeros((2, 8, 8)), np.arange(2))


# Parts of datasets ----------------------------------------------------------------------------------------------------


def test_a_subset_has_its_indices_order():
    subset = Subset(NDArrayDataset(np.arange(10) * 10), [7, -1, 0])
    assert [example for (example,) in subset] == [70, 90, 0]
    assert [example for (example,) in subset[1:]] == [90, 0]


@pytest.mark.parametrize("index", [10, -11])
def test_a_subset_refuses_what_is_not_there(index):
    with pytest.raises(IndexError, match=f"10 examples: .* {index}"):
        Subset(range(10), [0, index])
    with pytest.raises(IndexError, match="Subset has 1 examples"):
        Subset(range(10), [0])[1]


@pytest.mark.parametrize(
    ("lengths", "counts"),
    [([7, 3], [7, 3]), ([0.5, 0.25, 0.25], [5, 3, 2]), ([1.0], [10]), ([10, 0], [10, 0]), ([0.1] * 10, [1] * 10)],
)
def test_a_random_split_divides_everything(lengths, counts):
    parts = random_split(range(10), lengths, seed=3)
    # 2.5 examples round to either neighbour: what counts is that none is lost and none is shared.
    assert [len(part) for part in parts] == pytest.approx(counts, abs=1)
    assert sorted(example for part in parts for example in part) == list(range(10))


def test_a_split_is_repeated_by_its_seed_and_governed_by_np_random_without():
    assert list(random_split(range(50), [40, 10], seed=1)[0]) == list(random_split(range(50), [40, 10], seed=1)[0])
    np.random.seed(5)
    expected = np.random.permutation(50)[:40].tolist()
    np.random.seed(5)
    assert list(random_split(range(50), [40, 10])[0]) == expected


@pytest.mark.parametrize("lengths", [[4, 5], [0.5, 0.6], [11, -1], [1.5, -0.5], [], [0.5, 5], [2.5, 7.5]])
def test_lengths_that_do_not_add_up_are_refused(lengths):
    with pytest.raises(ValueError, match="add up to the 10 examples"):
        random_split(range(10), lengths)


# Transforms -----------------------------------------------------------------------------------------------------------


def test_a_flip_is_governed_by_one_draw():
    image = RNG.random((4, 5, 3))
    for seed in range(6):
        np.random.seed(seed)
        expected = image[:, ::-1] if np.random.rand() < 0.5 else image
        np.random.seed(seed)
        np.testing.assert_array_equal(RandomFlipHorizontal()(image), expected)
        assert np.random.rand() == np.random.RandomState(seed).rand(2)[1]


@pytest.mark.parametrize("padding", [0, 1, 3, 9])
def test_a_crop_is_a_shift_with_zeros_from_beyond(padding):
    image = RNG.random((6, 7, 2))
    for seed in range(8):
        np.random.seed(seed)
        dx, dy = np.random.randint(low=-padding, high=padding + 1, size=2)
        np.random.seed(seed)
        cropped = RandomCrop(padding)(image)
        expected = np.zeros_like(image)
        for i in range(6):
            for j in range(7):
                if 0 <= i + dx < 6 and 0 <= j + dy < 7:
                    expected[i, j] = image[i + dx, j + dy]
        np.testing.assert_array_equal(cropped, expected)


@pytest.mark.parametrize("transform", [RandomCrop(), RandomFlipHorizontal()])
def test_a_flat_row_is_no_image(transform):
    with pytest.raises(ValueError, match=r"\(H, W, C\); got shape \(784,\)"):
        transform(np.zeros(784))


@pytest.mark.parametrize(
    ("make", "message"), [(lambda: RandomFlipHorizontal(1.5), "1.5"), (lambda: RandomCrop(-1), "-1")]
)
def test_transforms_refuse_senseless_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# The loader -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 11])
def test_unshuffled_batches_follow_the_dataset(batch_size):
    loader = DataLoader(NDArrayDataset(np.arange(10)), batch_size)
    batches = [batch[0] for batch in values(loader)]
    assert batches == [list(range(10))[i : i + batch_size] for i in range(0, 10, batch_size)]
    assert len(loader) == len(batches)


@pytest.mark.parametrize(("batch_size", "count"), [(1, 10), (3, 3), (5, 2), (11, 0)])
def test_drop_last_leaves_out_what_does_not_fill_a_batch(batch_size, count):
    loader = DataLoader(NDArrayDataset(np.arange(10)), batch_size, drop_last=True)
    assert len(loader) == len(list(loader)) == count
    assert all(batch[0].shape == (batch_size,) for batch in loader)


def test_a_batch_is_a_tuple_of_tensors_that_keep_dtypes():
    dataset = NDArrayDataset(np.zeros((4, 2, 3), np.float32), np.zeros(4, np.uint8), np.zeros(4, bool))
    batch = next(iter(DataLoader(dataset, 1)))
    assert isinstance(batch, tuple) and all(type(field) is Tensor and not field.requires_grad for field in batch)
    assert [field.shape for field in batch] == [(1, 2, 3), (1,), (1,)]
    assert [field.dtype for field in batch] == ["float32", "uint8", "bool"]


def test_one_field_makes_a_tuple_too():
    (field,) = next(iter(DataLoader([1.0, 2.0], 2)))
    assert field.numpy().tolist() == [1.0, 2.0]


def test_a_loader_can_be_iterated_many_times_at_once():
    loader = DataLoader(NDArrayDataset(np.arange(4)), 2)
    first, second = iter(loader), iter(loader)
    assert values([next(first), next(second), next(first), next(second)]) == [
        ([0, 1],),
        ([0, 1],),
        ([2, 3],),
        ([2, 3],),
    ]
    with pytest.raises(StopIteration):
        next(first)


def test_a_shuffled_epoch_is_one_draw_of_np_random_shuffle():
    loader = DataLoader(NDArrayDataset(np.arange(10)), 3, shuffle=True)
    for _ in range(2):
        state = np.random.get_state()
        expected = np.arange(10)
        np.random.shuffle(expected)
        after = np.random.get_state()[1].tolist(), np.random.get_state()[2]
        np.random.set_state(state)
        iterator = iter(loader)
        assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == after
        assert [i for (batch,) in values(iterator) for i in batch] == expected.tolist()
        assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == after


def test_an_unshuffled_epoch_draws_nothing():
    state = np.random.get_state()
    list(DataLoader(NDArrayDataset(np.arange(10)), 3))
    assert np.random.get_state()[2] == state[2]


def test_a_seed_fixes_every_epoch_and_leaves_np_random_alone():
    def three_epochs(seed):
        loader = DataLoader(NDArrayDataset(np.arange(20)), 20, shuffle=True, seed=seed)
        return [values(loader) for _ in range(3)]

    state = np.random.get_state()
    first = three_epochs(4)
    assert first == three_epochs(4) == three_epochs(Generator(4))
    assert first != three_epochs(5) and first[0] != first[1] != first[2]
    assert np.random.get_state()[2] == state[2]


@pytest.mark.parametrize(
    "dataset",
    [
        [(1, 2.0), (3, 4.0)],
        [[1, 2.0], [3, 4.0]],
        NDArrayDataset([1, 3], [2.0, 4.0]),
        [(Tensor(1), 2.0), (Tensor(3), 4.0)],
    ],
)
def test_whatever_has_a_length_and_an_index_is_a_dataset(dataset):
    assert values(DataLoader(dataset, 2)) == [([1, 3], [2.0, 4.0])]


def test_a_subclass_that_redefines_an_example_gets_batches_of_it():
    class Doubled(NDArrayDataset):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            return (2 * x,)

    assert values(DataLoader(Doubled(np.arange(4)), 2)) == [([0, 2],), ([4, 6],)]
    assert values(DataLoader(Subset(Doubled(np.arange(4)), [3, 1]), 2)) == [([6, 2],)]


def test_each_image_of_a_batch_is_transformed_by_itself():
    dataset = DigitsDataset(train=False, transforms=[RandomCrop(2), RandomFlipHorizontal()])
    np.random.seed(1)
    expected = [dataset[i][0] for i in range(5)]
    np.random.seed(1)
    images, _ = next(iter(DataLoader(dataset, 5)))
    np.testing.assert_array_equal(images.numpy(), expected)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_holds_at_least_one_example(batch_size):
    with pytest.raises(ValueError, match=f"batch_size >= 1; got {batch_size}"):
        DataLoader(NDArrayDataset(np.arange(3)), batch_size)


@pytest.mark.parametrize("batch_size", [2.0, "2", None])
def test_a_batch_size_is_an_integer(batch_size):
    with pytest.raises(TypeError, match="integer batch_size"):
        DataLoader(NDArrayDataset(np.arange(3)), batch_size)


@pytest.mark.parametrize("make", [lambda seed: DataLoader([1], seed=seed), lambda seed: random_split([1], [1], seed)])
def test_a_seed_is_an_integer_or_a_generator(make):
    with pytest.raises(TypeError, match="needle.Generator or None; got '4'"):
        make("4")


@pytest.mark.parametrize("dataset", [5, iter([1, 2])])
def test_a_loader_needs_a_length_and_an_index(dataset):
    with pytest.raises(TypeError, match="__len__ and __getitem__"):
        DataLoader(dataset)


@pytest.mark.parametrize("odd", [(np.zeros(3), 0), (np.zeros(2),), (np.zeros((2, 1)), 0)])
def test_examples_that_do_not_fit_together_are_named(odd):
    dataset = [(np.zeros(2), 0), (np.zeros(2), 0), odd]
    with pytest.raises(ValueError, match="example 0 .* example 2"):
        list(DataLoader(dataset, 3))


def test_a_batch_is_made_of_numbers():
    with pytest.raises(TypeError, match="field 1 of its examples holds 'cat'"):
        list(DataLoader([(0, "cat")]))


# Stopping and going on ------------------------------------------------------------------------------------------------


def loader_of(seed, drop_last=False, shuffle=True):
    return DataLoader(NDArrayDataset(np.arange(10)), 3, shuffle=shuffle, seed=seed, drop_last=drop_last)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("stop", range(8))
def test_a_restored_loader_hands_out_the_same_batches(stop, drop_last):
    loader = loader_of(4, drop_last)
    batches = (batch for _ in range(3) for batch in loader)
    list(islice(batches, stop))
    restored = loader_of(99, drop_last)
    restored.load_state_dict(loader.state_dict())
    epochs_left = 3 - max(0, stop - 1) // len(loader)  # the one under way among them
    assert values(batch for _ in range(epochs_left) for batch in restored) == values(batches)


def test_a_state_does_not_move_with_its_loader():
    loader = loader_of(4)
    epoch = iter(loader)
    next(epoch)
    state = loader.state_dict()
    rest = values(epoch) + values(loader)
    restored = loader_of(0)
    restored.load_state_dict(state)
    assert values(restored) + values(restored) == rest


def test_without_a_seed_np_random_and_the_state_together_restore_a_run():
    loader = loader_of(None)
    epoch = iter(loader)
    next(epoch)
    state, random_state = loader.state_dict(), np.random.get_state()
    rest = values(epoch) + values(loader)
    assert state["generator"] is None
    restored = loader_of(None)
    np.random.set_state(random_state)
    restored.load_state_dict(state)
    assert values(restored) + values(restored) == rest


def test_an_ended_epoch_leaves_nothing_to_go_on_with():
    loader = loader_of(None, shuffle=False)
    list(loader)
    state = loader.state_dict()
    assert (state["position"], len(state["order"])) == (0, 0)
    restored = loader_of(None, shuffle=False)
    restored.load_state_dict(state)
    assert len(list(restored)) == 4


def test_a_state_taken_after_the_last_batch_ends_that_epoch_first():
    loader = loader_of(None, shuffle=False)
    epoch = iter(loader)
    for _ in range(len(loader)):
        next(epoch)
    restored = loader_of(None, shuffle=False)
    restored.load_state_dict(loader.state_dict())
    assert [len(list(restored)), len(list(restored))] == [0, 4]


def test_a_loaded_state_is_a_state():
    loader = loader_of(1)
    next(iter(loader))
    state = loader.state_dict()
    restored = loader_of(2)
    restored.load_state_dict(state)
    assert restored.state_dict()["position"] == 3
    np.testing.assert_array_equal(restored.state_dict()["order"], state["order"])


def test_a_state_of_other_data_is_refused():
    loader = loader_of(None)
    next(iter(loader))
    with pytest.raises(ValueError, match="10 examples; .* has 7"):
        DataLoader(NDArrayDataset(np.arange(7))).load_state_dict(loader.state_dict())


@pytest.mark.parametrize(
    ("saved", "loading", "message"), [(1, None, "with seed=.* without"), (None, 1, "without seed=")]
)
def test_a_state_with_a_seed_needs_a_loader_with_one(saved, loading, message):
    with pytest.raises(ValueError, match=message):
        loader_of(loading).load_state_dict(loader_of(saved).state_dict())


# Digits ---------------------------------------------------------------------------------------------------------------


def test_the_digits_are_those_of_scikit_learn():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.float32 and labels.dtype == np.int64
    assert (images.min(), images.max()) == (0, 1)
    # Counted once in sklearn.datasets.load_digits().
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (images * 16).sum() == 561718
    np.testing.assert_array_equal(images[0, 0] * 16, [0, 0, 5, 13, 9, 1, 0, 0])


def test_the_digits_are_split_alike_every_time():
    state = np.random.get_state()
    train, test = DigitsDataset(), DigitsDataset(train=False)
    assert np.random.get_state()[2] == state[2]
    assert (len(train), len(test)) == (1437, 360)
    everything = np.concatenate([train.X, test.X]).reshape(1797, -1)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, load_digits()[0]))
    assert train.y[:8].tolist() == [2, 8, 2, 6, 6, 7, 1, 9]  # as the split was drawn; results in the docs rest on it
    assert np.bincount(test.y).min() >= 25


def test_a_digit_is_an_image_with_one_channel_and_a_label():
    image, label = DigitsDataset()[0]
    assert (image.shape, image.dtype, label.dtype) == ((1, 8, 8), "float32", "int64")


# IDX and MNIST --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_files_are_read_in_shape_and_dtype(tmp_path, dtype, pack):
    array = (100 * RNG.standard_normal((3, 2, 4))).astype(dtype)
    (tmp_path / "file").write_bytes(pack(idx_bytes(array)))
    read = read_idx(tmp_path / "file")
    assert read.dtype == dtype and read.dtype.isnative and read.flags.writeable
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (b"\0\0\x07\1\0\0\0\1\0", "not an IDX file"),
        (b"\0\0\x08\3\0\0", "truncated: its header needs 16 bytes, it has 6"),
        (idx_bytes(LABELS)[:-5], r"truncated: shape \(12,\) needs 12 bytes of data, it has 7"),
        (idx_bytes(LABELS) + b"\0", r"trailing bytes: shape \(12,\) needs 12 bytes of data, it has 13"),
        (gzip.compress(idx_bytes(LABELS))[:-12], "truncated or corrupt gzip"),
        (gzip.compress(idx_bytes(LABELS))[:12] + b"\xff" * 20, "truncated or corrupt gzip"),
    ],
    ids=["empty", "picture", "dtype", "header cut", "data cut", "data over", "gzip cut", "gzip garbled"],
)
def test_a_broken_idx_file_says_what_is_wrong_with_it(tmp_path, content, message):
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(ValueError, match=f"labels.*{message}"):
        read_idx(tmp_path / "labels")


def test_a_missing_idx_file_is_named():
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        read_idx("no-such-file")


def test_mnist_items_are_images_and_labels(mnist_files):
    dataset = MNISTDataset(*map(str, mnist_files))
    image, label = dataset[5]
    assert len(dataset) == 12 and image.shape == (28, 28, 1) and image.dtype == np.float32
    assert label == LABELS[5] and label.dtype == np.uint8
    np.testing.assert_allclose(image[..., 0], IMAGES[5] / 255, rtol=1e-6)  # float32 carries 7 digits


def test_mnist_slices_are_rows_or_transformed_images(mnist_files):
    rows, labels = MNISTDataset(*mnist_files)[2:6]
    assert rows.shape == (4, 784) and labels.tolist() == LABELS[2:6].tolist()
    dataset = MNISTDataset(*mnist_files, transforms=[lambda image: 1 - image])
    images, _ = dataset[2:6]
    np.testing.assert_array_equal(images.reshape(4, 784), 1 - rows)
    assert images.shape == (4, 28, 28, 1) and dataset[:0][0].shape == (0, 28, 28, 1)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_mnist_batches_are_its_slices(mnist_files, batch_size):
    dataset = MNISTDataset(*mnist_files)
    for i, (images, labels) in enumerate(DataLoader(dataset, batch_size)):
        rows, truth = dataset[i * batch_size : (i + 1) * batch_size]
        assert images.shape == (len(rows), 28, 28, 1)
        np.testing.assert_array_equal(images.numpy().reshape(rows.shape), rows)
        np.testing.assert_array_equal(labels.numpy(), truth)


def test_mnist_transforms_run_in_batches(mnist_files):
    dataset = MNISTDataset(*mnist_files, transforms=[RandomCrop(28), RandomFlipHorizontal()])
    np.random.seed(3)
    expected = [dataset[i][0] for i in range(12)]
    np.random.seed(3)
    ((images, _),) = DataLoader(dataset, 12)
    np.testing.assert_array_equal(images.numpy(), expected)


def test_mnist_index_out_of_range(mnist_files):
    with pytest.raises(IndexError, match="MNISTDataset has 12 examples"):
        MNISTDataset(*mnist_files)[12]


def test_mnist_files_in_the_wrong_order_are_refused(mnist_files):
    with pytest.raises(ValueError, match=r"labels.gz should hold images: .* 3 axes; it holds uint8, shape \(12,\)"):
        MNISTDataset(*mnist_files[::-1])


def test_mnist_needs_a_label_for_each_image(mnist_files):
    mnist_files[1].write_bytes(idx_bytes(LABELS[:-1]))
    with pytest.raises(ValueError, match=r"lengths are \[12, 11\]"):
        MNISTDataset(*mnist_files)


# CIFAR-10 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("train", "length"), [(True, 20), (False, 4)])
def test_cifar_items_are_images_and_labels(cifar_folder, train, length):
    dataset = CIFAR10Dataset(str(cifar_folder), train=train)
    image, label = dataset[1]
    assert len(dataset) == length and image.shape == (3, 32, 32) and image.dtype == np.float32
    assert label == 1 and 0 <= dataset.X.min() <= dataset.X.max() <= 1


def test_cifar_pixels_keep_their_places(cifar_folder):
    raw = pickle.loads((cifar_folder / "test_batch").read_bytes())[b"data"]
    np.testing.assert_allclose(CIFAR10Dataset(cifar_folder, False).X.reshape(4, 3072), raw / 255, rtol=1e-6)


def test_cifar_transforms_flip_left_and_right(cifar_folder):
    plain = CIFAR10Dataset(cifar_folder, train=False)
    flipped = CIFAR10Dataset(cifar_folder, train=False, transforms=[RandomFlipHorizontal(p=1)])
    np.testing.assert_array_equal(flipped[2][0], plain[2][0][:, :, ::-1])


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [list, np.array, lambda labels: [np.int64(label) for label in labels]])
def test_cifar_files_of_every_pickle_protocol_are_read(cifar_folder, protocol, kind):
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": kind([8, 9])}
    (cifar_folder / "test_batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    assert CIFAR10Dataset(cifar_folder, train=False).y.tolist() == [8, 9]


class Mischief:
    def __reduce__(self):
        return print, ("run by a pickle",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated or not a CIFAR-10 batch"),
        (b"not a pickle", "truncated or not a CIFAR-10 batch"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 2]})[:-100], "truncated"),
        (pickle.dumps(Mischief()), "asks for builtins.print"),
        (pickle.dumps([1, 2]), "expected 'data' and 'labels', found an object of type list"),
        (pickle.dumps({b"pixels": 1}), "found pixels"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [1, 2]}), r"found float64 \(2, 3072\)"),
        (pickle.dumps({"data": np.zeros((2, 784), np.uint8), "labels": [1, 2]}), r"found uint8 \(2, 784\)"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}), r"labels of shape \(1,\)"),
    ],
    ids=["empty", "text", "cut", "mischief", "list", "keys", "floats", "small images", "few labels"],
)
def test_a_broken_cifar_file_says_what_is_wrong_with_it(cifar_folder, capsys, content, message):
    (cifar_folder / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match=f"test_batch .*{message}"):
        CIFAR10Dataset(cifar_folder, train=False)
    assert capsys.readouterr().out == ""


def test_a_missing_cifar_file_is_named(cifar_folder):
    (cifar_folder / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3: CIFAR10Dataset reads"):
        CIFAR10Dataset(cifar_folder, train=True)


# Text -----------------------------------------------------------------------------------------------------------------


def test_a_corpus_shares_one_dictionary(text_folder):
    corpus = Corpus(str(text_folder))
    words = ["the", "cat", "sat", "<eos>", "on", "mat", "end", "dog"]
    assert corpus.dictionary.idx2word == words and len(corpus.dictionary) == 8
    assert corpus.train == [0, 1, 2, 3, 4, 0, 5, 3, 3, 0, 6, 3]
    assert corpus.test == [0, 7, 2, 3]


@pytest.mark.parametrize(("max_lines", "length"), [(None, 12), (0, 0), (1, 4), (2, 8), (100, 12)])
def test_max_lines_limits_what_is_read(text_folder, max_lines, length):
    assert len(Corpus(text_folder, max_lines=max_lines).train) == length


def test_tokenize_extends_the_dictionary(text_folder):
    corpus = Corpus(text_folder, max_lines=1)
    corpus.tokenize(str(text_folder / "train.txt"))
    assert "mat" in corpus.dictionary.word2idx


def test_a_missing_text_is_named(text_folder):
    (text_folder / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="test.txt: Corpus reads train.txt and test.txt"):
        Corpus(text_folder)


def test_a_dictionary_counts_up():
    words = Dictionary()
    assert [words.add_word(word) for word in "a b a c".split()] == [0, 1, 0, 2]
    assert words.word2idx == {"a": 0, "b": 1, "c": 2}


def test_batchify_lays_stretches_side_by_side():
    batches = batchify(list(range(26)), 4, None, "float32")
    assert batches.shape == (6, 4) and batches.dtype == np.float32
    np.testing.assert_array_equal(batches[:, 1], [6, 7, 8, 9, 10, 11])


@pytest.mark.parametrize("batch_size", [0, -2, 5])
def test_batchify_needs_enough_words(batch_size):
    with pytest.raises(ValueError, match=f"between 1 and the 4 words .* got {batch_size}"):
        batchify([1, 2, 3, 4], batch_size)


@pytest.mark.parametrize(("i", "rows"), [(0, 3), (2, 3), (3, 2), (4, 1)])
def test_targets_are_the_next_words_and_the_last_chunk_is_shorter(i, rows):
    batches = batchify(range(24), 4)
    data, target = get_batch(batches, i, bptt=3)
    np.testing.assert_array_equal(data.numpy(), batches[i : i + rows])
    np.testing.assert_array_equal(target.numpy().reshape(rows, 4), data.numpy() + 1)
    assert data.shape == (rows, 4) and target.shape == (rows * 4,) and not data.requires_grad


@pytest.mark.parametrize(("dtype", "expected"), [(None, "float32"), ("int64", "int64")])
def test_get_batch_keeps_the_dtype_unless_told(dtype, expected):
    data, target = get_batch(batchify(range(24), 4, None, "float32"), 0, 3, dtype=dtype)
    assert data.dtype == expected and target.dtype == expected


@pytest.mark.parametrize("i", [-1, 5, 6])
def test_the_last_row_has_no_next_word(i):
    with pytest.raises(IndexError, match=f"0 <= i < 5.*got {i}"):
        get_batch(batchify(range(24), 4), i, 3)


def test_a_chunk_has_a_row():
    with pytest.raises(ValueError, match="bptt >= 1; got 0"):
        get_batch(batchify(range(24), 4), 0, 0)


def test_batches_can_be_compared_as_a_whole():
    shuffled, plain = (DataLoader(NDArrayDataset(np.arange(100)), batch_size=15, shuffle=s) for s in (True, False))
    assert any(a != b for a, b in zip(shuffled, plain, strict=True))
    batch = next(iter(plain))
    assert batch == batch and batch != next(iter(plain))


def test_repr_says_what_and_how_many():
    dataset = NDArrayDataset(np.zeros((1200, 3)), np.zeros(1200))
    assert repr(DataLoader(dataset, 64, shuffle=True)) == (
        "DataLoader(NDArrayDataset(1,200 examples), batch_size=64, shuffle=True)"
    )
    assert repr(DataLoader([1, 2])) == "DataLoader(list, batch_size=1)"
    assert repr(Dataset()) == "Dataset()"
