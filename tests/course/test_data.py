"""needle.data: draws, shapes, dtypes, splits, and the course's file formats."""

import numpy as np
import pytest

import needle as ndl
from needle import backend_ndarray, data

from .signatures import assert_signature


class Squares(data.Dataset):
    """Students' datasets answer to integers and `len`; nothing else."""

    def __getitem__(self, index):
        image = np.full((2, 2, 1), index, dtype="float32")
        return self.apply_transforms(image), index**2

    def __len__(self):
        return 10


def pairs(n):
    return data.NDArrayDataset(np.arange(3 * n, dtype="float32").reshape(n, 3), np.arange(n, dtype="uint8"))


@pytest.mark.parametrize(
    "name",
    "Dataset DataLoader NDArrayDataset RandomFlipHorizontal RandomCrop MNISTDataset CIFAR10Dataset Dictionary Corpus "
    "batchify get_batch".split(),
)
def test_name_is_in_data(name):
    assert callable(getattr(data, name)) and getattr(ndl.data, name) is getattr(data, name)


@pytest.mark.parametrize(
    "name, contract",
    [
        ("Dataset", "transforms=None"),
        ("DataLoader", "dataset, batch_size=1, shuffle=False"),
        ("NDArrayDataset", "*arrays"),
        ("RandomFlipHorizontal", "p=0.5"),
        ("RandomCrop", "padding=3"),
        ("MNISTDataset", "image_filename, label_filename, transforms=None"),
        ("CIFAR10Dataset", "base_folder, train, p=0.5, transforms=None"),
        ("Corpus", "base_dir, max_lines=None"),
        ("get_batch", "batches, i, bptt, device=None, dtype=None"),
    ],
)
def test_signature(name, contract):
    assert_signature(getattr(data, name), contract)


# Dataset and NDArrayDataset


def test_transforms_are_applied_in_order():
    dataset = Squares(transforms=[lambda x: x + 1, lambda x: x * 10])
    np.testing.assert_array_equal(dataset[2][0], np.full((2, 2, 1), 30))


@pytest.mark.parametrize("dataset", [Squares(), Squares(None), Squares([]), Squares(transforms=[])])
def test_without_transforms_an_item_stays_as_it_is(dataset):
    x = np.ones((2, 2, 1))
    np.testing.assert_array_equal(dataset.apply_transforms(x), x)


def test_an_array_dataset_has_a_length():
    assert len(pairs(7)) == 7


@pytest.mark.parametrize("index", [0, 3, np.int64(2), slice(1, 4), slice(None), slice(0, 7, 2)])
def test_an_index_gives_a_tuple_with_one_array_for_each_array(index):
    item = pairs(7)[index]
    assert isinstance(item, tuple) and len(item) == 2
    np.testing.assert_array_equal(item[0], np.arange(21.0).reshape(7, 3)[index])
    np.testing.assert_array_equal(item[1], np.arange(7)[index])


@pytest.mark.parametrize("index", [0, slice(1, 3)])
def test_one_array_gives_a_tuple_of_one(index):
    item = data.NDArrayDataset(np.arange(5))[index]
    assert isinstance(item, tuple) and len(item) == 1
    np.testing.assert_array_equal(item[0], np.arange(5)[index])


# DataLoader


@pytest.mark.parametrize("dataset, length", [(pairs(10), 10), (Squares(), 10)])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 100])
def test_unshuffled_batches_are_the_items_in_order(dataset, length, batch_size):
    batches = list(data.DataLoader(dataset, batch_size=batch_size))
    starts = range(0, length, batch_size)
    assert [len(batch[1].numpy()) for batch in batches] == [min(batch_size, length - start) for start in starts]
    for start, (x, y) in zip(starts, batches, strict=True):
        items = [dataset[i] for i in range(start, min(start + batch_size, length))]
        np.testing.assert_array_equal(x.numpy(), np.stack([item[0] for item in items]))
        np.testing.assert_array_equal(y.numpy(), np.stack([item[1] for item in items]))


def test_a_batch_is_a_tuple_of_tensors_of_the_datasets_dtypes():
    batch = next(iter(data.DataLoader(pairs(10), batch_size=4)))
    assert isinstance(batch, tuple)
    assert all(isinstance(field, ndl.Tensor) for field in batch)
    assert [field.dtype for field in batch] == ["float32", "uint8"]
    assert all(isinstance(field.cached_data, backend_ndarray.NDArray) for field in batch)


def test_a_batch_of_one_field_is_a_tuple_too():
    batch = next(iter(data.DataLoader(data.NDArrayDataset(np.arange(5)), batch_size=2)))
    assert isinstance(batch, tuple) and len(batch) == 1
    np.testing.assert_array_equal(batch[0].numpy(), [0, 1])


@pytest.mark.parametrize("make", [data.DataLoader, lambda dataset: data.DataLoader(dataset, 1, False)])
def test_a_batch_of_one_item_has_a_leading_axis(make):
    x, y = next(iter(make(pairs(10))))
    assert (x.shape, y.shape) == ((1, 3), (1,))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_can_be_iterated_many_times(shuffle):
    loader = data.DataLoader(pairs(10), batch_size=3, shuffle=shuffle)
    for _ in range(3):
        labels = np.concatenate([y.numpy() for _, y in loader])
        assert sorted(labels) == list(range(10))


def test_an_iterator_answers_next_and_stops():
    iterator = iter(data.DataLoader(pairs(4), batch_size=3))
    assert [len(next(iterator)[1].numpy()), len(next(iterator)[1].numpy())] == [3, 1]
    with pytest.raises(StopIteration):
        next(iterator)


def test_shuffled_order_is_one_numpy_shuffle_an_epoch():
    np.random.seed(71)
    orders = []
    for _ in range(3):
        order = np.arange(10)
        np.random.shuffle(order)
        orders.append(order)
    np.random.seed(71)
    loader = data.DataLoader(pairs(10), batch_size=4, shuffle=True)
    for order in orders:
        np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in loader]), order)


def test_shuffled_batches_split_the_order_every_batch_size():
    loader = data.DataLoader(pairs(10), batch_size=4, shuffle=True)
    assert [y.shape for _, y in loader] == [(4,), (4,), (2,)]


def test_the_draw_is_made_by_iter_and_nothing_is_drawn_elsewhere():
    np.random.seed(72)
    np.random.shuffle(np.arange(10))
    expected = np.random.rand()
    np.random.seed(72)
    iterator = iter(data.DataLoader(pairs(10), batch_size=4, shuffle=True))
    assert np.random.rand() == expected
    np.random.seed(72)
    list(iterator)
    np.random.shuffle(np.arange(10))
    assert np.random.rand() == expected


def test_an_unshuffled_loader_draws_nothing():
    np.random.seed(73)
    expected = np.random.rand()
    np.random.seed(73)
    list(data.DataLoader(pairs(10), batch_size=4))
    assert np.random.rand() == expected


def test_batches_of_a_shuffled_and_an_ordered_loader_differ():
    """The course's test compares the tuples themselves with `!=`."""
    np.random.seed(74)
    ordered, shuffled = data.DataLoader(pairs(100), 10), data.DataLoader(pairs(100), 10, shuffle=True)
    for first, second in zip(shuffled, ordered, strict=True):
        assert first != second, "shuffling had no effect"


def test_transforms_draw_item_after_item():
    dataset = data.NDArrayDataset(np.arange(4.0))
    dataset = Squares(transforms=[lambda image: image + np.random.rand()])
    np.random.seed(75)
    draws = np.random.rand(10)
    np.random.seed(75)
    images = np.concatenate([x.numpy() for x, _ in data.DataLoader(dataset, batch_size=4)])
    np.testing.assert_allclose(images[:, 0, 0, 0], np.arange(10) + draws, rtol=1e-6)


# Transforms


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_a_flip_happens_when_its_draw_is_below_p(p):
    flip, image = data.RandomFlipHorizontal(p), np.random.default_rng(1).normal(size=(3, 4, 2))
    np.random.seed(76)
    draws = np.random.rand(20)
    np.random.seed(76)
    for draw in draws:
        np.testing.assert_array_equal(flip(image), image[:, ::-1] if draw < p else image)


def test_a_flip_has_probability_one_half():
    image = np.arange(2.0).reshape(1, 2, 1)
    np.random.seed(77)
    expected = (np.random.rand(50) < 0.5).tolist()
    np.random.seed(77)
    flip = data.RandomFlipHorizontal()
    assert [bool(flip(image)[0, 0, 0]) for _ in range(50)] == expected


@pytest.mark.parametrize("padding", [0, 1, 3, 8])
@pytest.mark.parametrize("shape", [(5, 5, 1), (4, 6, 3)])
def test_a_crop_is_cut_from_the_padded_image_where_its_draws_say(padding, shape):
    crop, image = data.RandomCrop(padding), np.random.default_rng(2).normal(size=shape)
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    height, width, _ = shape
    np.random.seed(78)
    shifts = [np.random.randint(low=-padding, high=padding + 1, size=2) for _ in range(30)]
    np.random.seed(78)
    for x, y in shifts:
        expected = padded[padding + x : padding + x + height, padding + y : padding + y + width]
        np.testing.assert_array_equal(crop(image), expected)


def test_a_crop_pads_by_three():
    image = np.ones((4, 4, 1))
    np.random.seed(79)
    expected = data.RandomCrop(padding=3)(image)
    np.random.seed(79)
    np.testing.assert_array_equal(data.RandomCrop()(image), expected)


def test_transforms_leave_their_input_alone():
    image = np.random.default_rng(3).normal(size=(4, 4, 1))
    before = image.copy()
    data.RandomCrop(2)(data.RandomFlipHorizontal(1.0)(image))[...] = 0
    np.testing.assert_array_equal(image, before)


# MNIST


def mnist_dataset(part, **options):
    return data.MNISTDataset(part.image_file, part.label_file, **options)


def test_mnist_items_are_images_in_the_unit_interval_and_labels(mnist):
    dataset = mnist_dataset(mnist.train)
    assert len(dataset) == 60
    for i in (0, 1, 42, 59):
        image, label = dataset[i]
        assert (image.shape, image.dtype) == ((28, 28, 1), "float32")
        np.testing.assert_allclose(image[:, :, 0], mnist.train.images[i] / 255, rtol=1e-6)
        assert label == mnist.train.labels[i]


def test_a_slice_of_mnist_has_all_its_images_and_labels(mnist):
    images, labels = mnist_dataset(mnist.test)[5:12]
    assert images.dtype == "float32"
    np.testing.assert_allclose(images.reshape(7, 784), mnist.test.images[5:12].reshape(7, 784) / 255, rtol=1e-6)
    np.testing.assert_array_equal(labels, mnist.test.labels[5:12])


def test_transforms_see_mnist_images_one_by_one(mnist):
    transforms = [data.RandomCrop(15), data.RandomFlipHorizontal()]
    dataset = mnist_dataset(mnist.train, transforms=transforms)
    np.random.seed(80)
    expected = []
    for i in (3, 1, 4):
        image = (mnist.train.images[i] / 255).astype("float32")[:, :, None]
        for transform in transforms:
            image = transform(image)
        expected.append(image)
    np.random.seed(80)
    for i, image in zip((3, 1, 4), expected):
        np.testing.assert_allclose(dataset[i][0], image, rtol=1e-6)


def test_transforms_are_applied_to_each_image_of_a_slice(mnist):
    dataset = mnist_dataset(mnist.train, transforms=[lambda image: image[::-1]])
    images, _ = dataset[2:5]
    np.testing.assert_allclose(
        images.reshape(3, 28, 28), mnist.train.images[2:5, ::-1].astype("float32") / 255, rtol=1e-6
    )


@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_batches_of_mnist_agree_with_its_slices(mnist, batch_size):
    dataset = mnist_dataset(mnist.test)
    loader = data.DataLoader(dataset=dataset, batch_size=batch_size, shuffle=False)
    for i, (images, labels) in enumerate(loader):
        expected_images, expected_labels = dataset[i * batch_size : (i + 1) * batch_size]
        assert images.shape == (len(expected_labels), 28, 28, 1)
        assert images.dtype == "float32"
        np.testing.assert_array_equal(images.numpy().ravel(), expected_images.ravel())
        np.testing.assert_array_equal(labels.numpy(), expected_labels)


# CIFAR-10


@pytest.mark.parametrize("train, part, length", [(True, "train", 40), (False, "test", 8)])
def test_cifar_items_are_channels_first_in_the_unit_interval(cifar, train, part, length):
    dataset = data.CIFAR10Dataset(cifar.folder, train=train)
    assert len(dataset) == length
    held = getattr(cifar, part)
    for i in (0, length // 2, length - 1):
        item = dataset[i]
        assert isinstance(item, tuple)
        image, label = item
        assert isinstance(image, np.ndarray)
        assert (image.shape, image.dtype) == ((3, 32, 32), "float32")
        np.testing.assert_allclose(image, held.rows[i].reshape(3, 32, 32) / 255, rtol=1e-6)
        assert label == held.labels[i]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_batches_of_cifar(cifar, train, batch_size):
    loader = data.DataLoader(data.CIFAR10Dataset(cifar.folder, train), batch_size, shuffle=True)
    images, labels = next(iter(loader))
    assert (images.shape, images.dtype) == ((batch_size, 3, 32, 32), "float32")
    assert labels.shape == (batch_size,)
    assert isinstance(images.cached_data, backend_ndarray.NDArray)


# Text


def test_a_dictionary_numbers_words_in_the_order_in_which_they_come():
    dictionary = data.Dictionary()
    assert [dictionary.add_word(word) for word in ["a", "b", "a", "c"]] == [0, 1, 0, 2]
    assert dictionary.word2idx == {"a": 0, "b": 1, "c": 2}
    assert list(dictionary.idx2word) == ["a", "b", "c"]
    assert len(dictionary) == 3


WORDS = ["the", "cat", "sat", "<eos>", "dog", "on", "a", "ran", "bird"]
TRAIN = [0, 1, 2, 3, 0, 4, 2, 5, 0, 1, 3, 6, 4, 7, 3]
TEST = [6, 8, 2, 3, 0, 8, 7, 3]


def test_a_corpus_is_train_and_test_as_indices_with_an_end_of_each_line(ptb):
    corpus = data.Corpus(ptb)
    assert list(corpus.dictionary.idx2word) == WORDS
    assert list(corpus.train) == TRAIN
    assert list(corpus.test) == TEST


def test_a_corpus_may_be_cut_after_some_lines(ptb):
    corpus = data.Corpus(ptb, max_lines=1)
    assert list(corpus.train) == TRAIN[:4]
    assert len(corpus.test) == 4
    assert len(corpus.dictionary) == 6


def test_tokenize_reads_a_file_into_the_same_dictionary(ptb, tmp_path):
    corpus, path = data.Corpus(ptb), tmp_path / "more.txt"
    path.write_text("the new bird\na cat\n")
    assert list(corpus.tokenize(str(path))) == [0, 9, 8, 3, 6, 1, 3]
    assert list(corpus.tokenize(str(path), max_lines=1)) == [0, 9, 8, 3]
    assert len(corpus.dictionary) == 10


@pytest.mark.parametrize("length, batch_size", [(12, 3), (14, 3), (26, 4), (5, 5), (7, 1)])
def test_batchify_lays_consecutive_tokens_down_the_columns(length, batch_size):
    batches = data.batchify(list(range(length)), batch_size, device=ndl.cpu(), dtype="float32")
    rows = length // batch_size
    assert len(batches) == rows
    assert batches.dtype == "float32"
    np.testing.assert_array_equal(
        np.asarray(batches), np.arange(rows * batch_size).reshape(batch_size, rows).transpose()
    )


@pytest.mark.parametrize("i, rows", [(0, 3), (3, 3), (5, 2), (6, 1)])
def test_get_batch_gives_a_chunk_and_the_words_that_follow(i, rows):
    batches = data.batchify(list(range(32)), 4, device=ndl.cpu(), dtype="float32")
    x, y = data.get_batch(batches, i, 3, device=ndl.cpu())
    columns = np.arange(32).reshape(4, 8).transpose()
    assert (x.shape, y.shape) == ((rows, 4), (rows * 4,))
    assert isinstance(x, ndl.Tensor) and isinstance(y, ndl.Tensor)
    np.testing.assert_array_equal(x.numpy(), columns[i : i + rows])
    np.testing.assert_array_equal(y.numpy(), columns[i + 1 : i + 1 + rows].ravel())


def test_get_batch_keeps_the_dtype_of_its_batches():
    x, _ = data.get_batch(data.batchify(list(range(32)), 4, device=ndl.cpu(), dtype="float32"), 0, 3)
    assert (x.dtype, x.device) == ("float32", ndl.cpu())
    assert isinstance(x.cached_data, backend_ndarray.NDArray)


def test_get_batch_may_be_told_a_dtype():
    batches = data.batchify(list(range(32)), 4, device=ndl.cpu(), dtype="float32")
    assert data.get_batch(batches, 0, 3, device=ndl.cpu(), dtype="float64")[0].dtype == "float64"
