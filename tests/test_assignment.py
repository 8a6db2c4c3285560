"""Index assignment: values as NumPy's, derivatives in every mode, versions kept, views and leaves refused."""

import gc

import numpy as np
import pytest

import needle as ndl
import needle.numpy as ndlnp
from needle.transforms import grad, hessian, jacfwd, jacrev, jet, jvp, vmap

RNG = np.random.default_rng(0)
A, V = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
ROWS, COLUMNS = np.array([2, 0, 2]), np.array([1, 3, 1])
MASK = A > 0

# An index into A, and the shape of a value that fits there.
INDICES = {
    "int": (1, (4,)),
    "negative": (-1, (4,)),
    "element": ((1, 2), ()),
    "slice": (slice(0, 2), (2, 4)),
    "steps": ((slice(None, None, -2), slice(1, 3)), (2, 2)),
    "column": ((slice(None), 0), (3,)),
    "column, broadcast": ((slice(None), 0), ()),
    "ellipsis": ((..., 1), (3,)),
    "new axis": ((None, 1), (1, 4)),
    "more axes than there are": (slice(0, 2), (1, 1, 2, 4)),
    "all": (..., (3, 4)),
    "rows": (np.array([2, 0]), (2, 4)),
    "rows twice": (ROWS, (3, 4)),
    "a list": ([0, 2], (4,)),
    "pairs": ((ROWS, COLUMNS), (3,)),
    "pairs, one number": ((ROWS, COLUMNS), ()),
    "apart": ((ROWS[:2], None, COLUMNS[:2]), (2, 1)),
    "slice and array": ((slice(1, 3), COLUMNS), (2, 3)),
    "array and int": ((ROWS, 1), (3,)),
    "mask": (MASK, (int(MASK.sum()),)),
    "mask, one number": (MASK, ()),
    "mask of rows": (np.array([True, False, True]), (2, 4)),
    "grid": (np.ix_([2, 0], [1, 3]), (2, 2)),
    "nothing": (np.zeros(0, int), (0, 4)),
}
each_index = pytest.mark.parametrize("index, shape", INDICES.values(), ids=INDICES)


def assigned(index):
    """y = a copy of a with v at the index, times itself: of second order in both."""

    def f(a, v):
        y = a * 1.0
        y[index] = v * v
        return y * y

    return f


def value_for(shape):
    return np.random.default_rng(1).normal(size=shape)


@each_index
def test_the_value_is_that_of_numpy(index, shape):
    expected = A.copy()
    expected[index] = value_for(shape)
    y = ndl.Tensor(A) * 1
    y[index] = ndl.Tensor(value_for(shape))
    np.testing.assert_array_equal(y.numpy(), expected)


@each_index
def test_both_modes_agree_with_differences(index, shape):
    v, weights = value_for(shape), RNG.normal(size=A.shape)

    def f(a, v):
        return (assigned(index)(a, v) * weights).sum()

    gradients = grad(f, (0, 1))(A, v)
    for place, (gradient, at) in enumerate(zip(gradients, (A, v))):
        d = np.asarray(RNG.normal(size=np.shape(at)))
        points = [(A, v), (A, v)]
        points = [tuple(x + s * 1e-5 * d if i == place else x for i, x in enumerate((A, v))) for s in (1, -1)]
        difference = (float(f(*points[0])) - float(f(*points[1]))) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * d), difference, rtol=1e-6, atol=1e-8)
        tangents = tuple(d if i == place else np.zeros_like(x) for i, x in enumerate((A, v)))
        np.testing.assert_allclose(jvp(f, (A, v), tangents)[1], np.sum(gradient * d), rtol=1e-10, atol=1e-12)


@each_index
def test_jets_and_second_derivatives(index, shape):
    v, d = value_for(shape), np.asarray(RNG.normal(size=shape))

    def along(t):
        return (assigned(index)(A + t, v + t * d) ** 2).sum()

    _, series = jet(along, (0.3,), ([1.0, 0.0],))
    second = grad(grad(along))(0.3)
    np.testing.assert_allclose(series[1], second, rtol=1e-9)
    h = 1e-4
    difference = (float(along(0.3 + h)) - 2 * float(along(0.3)) + float(along(0.3 - h))) / h**2
    np.testing.assert_allclose(second, difference, rtol=1e-4, atol=1e-5)


@each_index
@pytest.mark.parametrize("mapped", [(0, 0), (0, None), (None, 0)])
def test_a_batch_is_the_loop_over_its_examples(index, shape, mapped):
    a = RNG.normal(size=(2, *A.shape)) if mapped[0] == 0 else A
    v = RNG.normal(size=(2, *shape)) if mapped[1] == 0 else value_for(shape)
    found = vmap(assigned(index), in_axes=mapped)(a, v)
    for i in range(2):
        one = assigned(index)(ndl.Tensor(a[i] if mapped[0] == 0 else a), ndl.Tensor(v[i] if mapped[1] == 0 else v))
        np.testing.assert_allclose(found[i], one.numpy(), rtol=1e-14)
    inner = grad(lambda a, v: assigned(index)(a, v).sum(), (0, 1))
    for i, per_example in enumerate(vmap(inner, in_axes=mapped)(a, v)):
        one = inner(a[1] if mapped[0] == 0 else a, v[1] if mapped[1] == 0 else v)[i]
        np.testing.assert_allclose(per_example[1], one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("index", [np.array([[0, 2], [1, 1]]), np.array([2, 1])], ids=["rows each", "row each"])
def test_an_index_that_differs_between_examples(index):
    v = RNG.normal(size=(2, *index.shape[1:], 4))

    def f(i, v):
        y = ndl.Tensor(A, requires_grad=False) * 1
        y[i] = v
        return y

    found = vmap(f)(index, v)
    for i in range(2):
        expected = A.copy()
        expected[index[i]] = v[i]
        np.testing.assert_array_equal(found[i], expected)
    slopes = vmap(grad(lambda v, i: (f(i, v) ** 2).sum()), in_axes=(0, 0))(v, index)
    for i in range(2):
        one = grad(lambda v, i=i: (f(index[i], v) ** 2).sum())(v[i])
        np.testing.assert_allclose(slopes[i], one)


def test_column_indices_that_differ_between_examples():
    index, v = np.array([[0, 2], [1, 1], [3, 0]]), RNG.normal(size=(3, 3, 2))

    def f(i, v):
        y = ndl.Tensor(A, requires_grad=False) * 1
        y[:, i] = v
        return y

    found = vmap(f)(index, v)
    for i in range(3):
        expected = A.copy()
        expected[:, index[i]] = v[i]
        np.testing.assert_array_equal(found[i], expected)
    both = vmap(grad(lambda v, i: (f(i, v) ** 3).sum()))(v, index)
    for i in range(3):
        np.testing.assert_allclose(both[i], grad(lambda v, i=i: (f(index[i], v) ** 3).sum())(v[i]))


def test_a_mask_that_differs_between_examples_takes_one_number():
    def f(x):
        y = x * 2
        y[x > 0] = 0.5
        return y

    x = RNG.normal(size=(3, 4))
    np.testing.assert_array_equal(vmap(f)(x), np.where(x > 0, 0.5, 2 * x))
    np.testing.assert_array_equal(vmap(grad(lambda x: f(x).sum()))(x), np.where(x > 0, 0.0, 2.0))


def test_augmented_assignment():
    def f(x):
        y = np.sin(x)
        y[0] += x[1]
        y[:, 0] *= 2
        y[x > 0] -= 1.0
        y[1:] **= 2
        return y

    def plain(x):
        y = np.sin(x)
        y[0] += x[1]
        y[:, 0] *= 2
        y[x > 0] -= 1.0
        y[1:] **= 2
        return y

    np.testing.assert_allclose(f(ndl.Tensor(A)).numpy(), plain(A), rtol=1e-15)
    np.testing.assert_allclose(jacrev(f)(A), jacfwd(f)(A), rtol=1e-12, atol=1e-14)
    d = RNG.normal(size=A.shape)
    difference = (plain(A + 1e-6 * d) - plain(A - 1e-6 * d)) / 2e-6
    np.testing.assert_allclose(np.tensordot(jacrev(f)(A), d), difference, rtol=1e-7, atol=1e-8)


def test_a_loop_that_fills_an_array():
    def f(x):
        y = ndlnp.zeros(4)
        y[0] = x
        for i in range(1, 4):
            y[i] = y[i - 1] * x
        return y.sum()

    assert f(2.0) == 30
    assert grad(f)(2.0) == 1 + 4 + 12 + 32
    assert grad(grad(f))(2.0) == 2 + 12 + 48
    assert hessian(f)(2.0) == 62


# --------------------------------------------------------------------------------------------------------------------
# Versions


def test_what_was_recorded_keeps_the_version_that_it_used():
    x = ndl.Tensor([1.0, 2.0, 3.0])
    y = x * 2
    before = (y * y).sum()
    y[0] = 10.0
    after = (y * y).sum()
    before.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 8 * x.numpy())
    after.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 16, 24])


def test_grad_lands_on_the_version_that_the_handle_shows():
    x = ndl.Tensor([1.0, 2.0, 3.0])
    y = x * 2
    old = y * 5
    y[0] = 10.0
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [20, 8, 12])
    y.grad = None
    old.sum().backward()
    assert y.grad is None  # nobody holds the old version


def test_memory_is_not_shared_with_the_old_value():
    x = ndl.Tensor([1.0, 2.0])
    y = x * 1
    z = y + 0
    alias = y
    y[0] = 9.0
    assert z.numpy()[0] == 1 and x.numpy()[0] == 1 and alias is y and alias.numpy()[0] == 9


def test_an_augmented_name_is_bound_anew():
    a = ndl.Tensor([1.0, 2.0]) * 1
    b = a
    a += 1
    np.testing.assert_array_equal(b.numpy(), [1, 2])
    np.testing.assert_array_equal(a.numpy(), [2, 3])


def test_old_versions_are_freed():
    y = ndl.Tensor(np.zeros(3), requires_grad=False) * 1
    gc.disable()
    try:
        for i in range(3):
            y[i] = 1.0
        assert y.op is None and y.numpy().sum() == 3
    finally:
        gc.enable()


# --------------------------------------------------------------------------------------------------------------------
# What is refused


def test_a_leaf_that_requires_grad_is_refused():
    x = ndl.Tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"x\.copy\(\)"):
        x[0] = 3.0
    with pytest.raises(RuntimeError, match="copy"):
        grad(lambda x: _assign(x, 0, 1.0).sum())(np.ones(2))
    with ndl.no_grad():
        x[0] = 3.0
    assert x.numpy()[0] == 3 and x.requires_grad and x.op is None


def _assign(y, index, value):
    y[index] = value
    return y


VIEWS = {
    "index": lambda a: a[0],
    "slice": lambda a: a[1:],
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "reshape": lambda a: a.reshape((4, 3)),
    "ravel": lambda a: np.ravel(a),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "expand_dims": lambda a: np.expand_dims(a, 0),
    "of a view": lambda a: a[1:][0],
    "iteration": lambda a: next(iter(a)),
    "broadcast": lambda a: np.broadcast_to(a, (2, 3, 4)),
    "flip": lambda a: np.flip(a),
    "split": lambda a: np.split(a, 3)[1],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_view_is_refused(view, requires_grad):
    a = ndl.Tensor(A, requires_grad=requires_grad) * 2
    with pytest.raises(ValueError, match=r"copy\(\)"):
        view(a)[0] = 1.0
    b = view(a).copy()
    b[0] = 1.0
    np.testing.assert_array_equal(a.numpy(), A * 2)


def test_a_view_is_refused_inside_transforms():
    def f(a):
        b = a * 2
        b[0][1] = 1.0
        return b.sum()

    for transformed in (grad(f), vmap(f), lambda a: jvp(f, (a,), (a,)), lambda a: grad(grad(f))(a)):
        with pytest.raises(ValueError, match="copy"):
            transformed(A)


def test_what_lies_in_memory_of_its_own_is_no_view():
    a = ndl.Tensor(A) * 2
    for y in (
        a[[0, 1]],
        a.flatten() * 1,
        np.reshape(np.sin(a), (4, 3)),
        np.dot(a, a.T),
        np.tile(a, 2),
        np.stack([a, a]),
    ):
        y[0] = 1.0
        assert np.all(y.numpy()[0] == 1)


def test_assigning_to_data_that_is_thrown_away_is_refused():
    x = ndl.Tensor(A)
    with pytest.raises(ValueError, match="copy"):
        x.data[0] = 1.0


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_view_of_what_is_assigned_into_does_not_stand_in_the_way(requires_grad):
    a = ndl.Tensor(A, requires_grad=requires_grad) * 2
    row = a[0]
    a[1] = row
    np.testing.assert_array_equal(a.numpy(), 2 * A[[0, 0, 2]])


def test_a_path_is_filled_step_by_step_in_every_mode():
    def path(x):
        states = ndlnp.zeros((4, 2))
        states[0] = x
        for i in range(3):
            state = states[i]
            states[i + 1] = state * state[::-1] / 2
        return states

    x = np.array([1.5, 2.0])
    reverse = jacrev(path)(x)
    np.testing.assert_allclose(jacfwd(path)(x), reverse, rtol=1e-14)
    h, d = 1e-6, np.array([0.6, -0.8])
    np.testing.assert_allclose(reverse @ d, (path(x + h * d) - path(x - h * d)) / (2 * h), rtol=1e-8, atol=1e-9)


def test_numpys_errors_come_through():
    y = ndl.Tensor(A) * 1
    with pytest.raises(IndexError):
        y[7] = 1.0
    with pytest.raises(ValueError, match="SetItem"):
        y[0] = np.ones(3)
    with pytest.raises(ValueError):
        y[0] = "text"


def test_the_dtype_stays():
    y = ndl.Tensor(np.zeros(3, "float32"), requires_grad=False)
    x = ndl.Tensor(2.0)
    y[0] = x * 1.5
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.numpy() == 1.5 and x.grad.dtype == float
    whole = ndl.Tensor(np.zeros(3, int), requires_grad=False)
    whole[0] = x * 1.5
    assert whole.dtype == int and whole.numpy()[0] == 3 and not whole.requires_grad


def test_a_list_of_tensors_is_joined():
    x = ndl.Tensor(2.0)
    y = ndl.Tensor(np.zeros(3), requires_grad=False)
    y[:2] = [x, 1.0]
    (y * np.array([3.0, 1.0, 1.0])).sum().backward()
    assert x.grad.numpy() == 3


# --------------------------------------------------------------------------------------------------------------------
# NumPy's functions that write into an array

WRITERS = {
    "put": lambda np_, y, v: np_.put(y, [0, 5, -1], v[:2]),
    "put clip": lambda np_, y, v: np_.put(y, [0, 50], v[:2], mode="clip"),
    "put wrap": lambda np_, y, v: np_.put(y, [0, 13], v[:2], mode="wrap"),
    "copyto": lambda np_, y, v: np_.copyto(y, v),
    "copyto where": lambda np_, y, v: np_.copyto(y, v, where=MASK),
    "fill_diagonal": lambda np_, y, v: np_.fill_diagonal(y, v[:2]),
    "place": lambda np_, y, v: np_.place(y, MASK, v[:3]),
    "putmask": lambda np_, y, v: np_.putmask(y, MASK, v),
    "putmask repeated": lambda np_, y, v: np_.putmask(y, MASK, v[:3]),
    "put_along_axis": lambda np_, y, v: np_.put_along_axis(y, np.array([[1], [0], [2]]), v[:1, None], axis=1),
    "put_along_axis flat": lambda np_, y, v: np_.put_along_axis(y, np.array([1, 7]), v[:2], axis=None),
    "fill": lambda np_, y, v: y.fill(v[0]),
    "method put": lambda np_, y, v: y.put([1, 2], v[:2]),
    "method sort": lambda np_, y, v: y.sort(axis=0),
    "method partition": lambda np_, y, v: y.partition(1, axis=0),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("module", [np, ndlnp], ids=["numpy", "needle.numpy"])
def test_functions_that_write_behave_like_assignment(write, module):
    v = RNG.normal(size=4)
    expected = A.copy()
    write(np, expected, v)

    def f(a, v):
        y = a * 1.0
        assert write(module, y, v) is None
        return y

    np.testing.assert_array_equal(f(ndl.Tensor(A), ndl.Tensor(v)).numpy(), expected)

    def number(a, v):
        return (f(a, v) ** 2).sum()

    of_a, of_v = grad(number, (0, 1))(A, v)
    d, e = RNG.normal(size=A.shape), RNG.normal(size=v.shape)
    tangent = jvp(number, (A, v), (d, e))[1]
    np.testing.assert_allclose(tangent, np.sum(of_a * d) + np.sum(of_v * e), rtol=1e-12)
    ahead, behind = number(A + 1e-6 * d, v + 1e-6 * e), number(A - 1e-6 * d, v - 1e-6 * e)
    np.testing.assert_allclose(tangent, (ahead - behind) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("write", [WRITERS["put"], WRITERS["copyto"], WRITERS["place"]])
def test_writing_a_tensor_into_an_array_of_numpy_is_refused(write):
    with pytest.raises(TypeError, match="lose"):
        grad(lambda v: write(np, A.copy(), v).sum())(np.ones(4))
