"""Sparse Jacobians and Hessians against the dense ones."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import rosen_hess

import needle as ndl
from needle.nn import LayerNorm1d
from needle.transforms.sparse import color_columns, sparse_hessian, sparse_jacobian, sparsity

W = np.array([[1.0, 0, 0, 2], [0, 3, 0, 0], [0, 0, 4, 5]])


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


FUNCTIONS = {
    "neighbours": lambda x: x[1:] * x[:-1],
    "elementwise": lambda x: ndl.sin(x) * x,
    "a constant matrix": lambda x: ndl.tanh(x.reshape((4, 3)) @ W),
    "a constant matrix before": lambda x: ndl.Tensor(W, requires_grad=False) @ x.reshape((4, 3)) ** 2,
    "sums of rows": lambda x: (x.reshape((3, 4)) ** 2).sum(axis=1),
    "means with keepdims": lambda x: x.reshape((3, 4)) - x.reshape((3, 4)).mean(axis=0, keepdims=True),
    "all of x": lambda x: ndl.logsumexp(x) * x[:2],
    "stacked": lambda x: ndl.stack([x[:6] * x[6:], x[6:]], 1),
    "stacked with whole numbers": lambda x: ndl.stack([x, ndl.Tensor(np.arange(12), requires_grad=False)], 1) ** 2,
    "many summed": lambda x: ndl.concatenate([x.sum().reshape((1,)), x[:2] * x.sum(), x]) ** 2,
    "a layer norm of rows": lambda x: LayerNorm1d(4)(x.reshape((3, 4))),
    "split": lambda x: ndl.split(x.reshape((3, 4)), 0)[1] ** 3,
    "flipped and padded": lambda x: ndl.pad(ndl.flip(x, (0,)), 2) ** 2,
    "an index twice": lambda x: x[np.array([3, 3, 0])] ** 2,
    "chosen": lambda x: ndl.where(x > 0, x**2, 0.0),
    "constant": lambda x: ndl.Tensor(np.ones(2), requires_grad=False),
    "broadcast": lambda x: x.reshape((12, 1))[:3] * x[3:5],
    "transposed": lambda x: x.reshape((3, 4)).T * np.arange(3.0),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_sparse_jacobian_is_the_dense_one(f):
    x = np.random.default_rng(0).normal(size=12)
    dense = ndl.jacrev(f)(x).reshape(-1, 12)
    ours = sparse_jacobian(f, x)
    assert sparse.issparse(ours) and ours.format == "csr"
    np.testing.assert_allclose(ours.toarray(), dense, atol=1e-12)


@pytest.mark.parametrize(
    "name, entries",
    [
        ("neighbours", 22),
        ("elementwise", 12),
        ("sums of rows", 12),
        ("an index twice", 3),
        ("a layer norm of rows", 48),
    ],
)
def test_the_pattern_has_no_more_than_there_is(name, entries):
    assert sparsity(FUNCTIONS[name], np.ones(12)).nnz == entries


def test_the_hessian_of_rosenbrock_takes_three_colours():
    x = np.random.default_rng(0).normal(size=500)
    ours = sparse_hessian(rosenbrock, x)
    np.testing.assert_allclose(ours.toarray(), rosen_hess(x), rtol=1e-12, atol=1e-9)
    pattern = sparsity(ndl.grad(rosenbrock), x)
    assert color_columns(pattern).max() == 2
    np.testing.assert_array_equal(sparse_hessian(rosenbrock, x, pattern).toarray(), ours.toarray())


def test_a_row_that_depends_on_everything_does_not_make_the_others_wide():
    assert sparsity(ndl.grad(lambda x: (x[0] * x).sum() + (x**2).sum()), np.ones(3000)).nnz == 3 * 3000 - 2


@pytest.mark.parametrize("seed", range(8))
def test_no_row_has_two_columns_of_one_colour(seed):
    pattern = sparse.random_array((30, 20), density=0.15, format="csr", rng=np.random.default_rng(seed)).astype(bool)
    colors = color_columns(pattern)
    for row in range(30):
        mine = colors[pattern.indices[pattern.indptr[row] : pattern.indptr[row + 1]]]
        assert len(set(mine.tolist())) == len(mine)


def test_tensors_are_taken_too():
    x = ndl.Tensor(np.arange(3.0))
    np.testing.assert_allclose(sparse_jacobian(lambda x: x * x, x).toarray(), np.diag([0, 2, 4]))


def test_nothing_has_a_hessian_of_no_elements():
    assert sparse_hessian(lambda x: (x**3).sum(), np.zeros(0)).shape == (0, 0)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: sparse_jacobian(ndl.sin, np.arange(3)), "^sparse_jacobian differentiates .* dtype int64"),
        (lambda: sparse_jacobian(lambda x: "text", np.ones(3)), "given to sparse_jacobian returns .* str 'text'"),
        (lambda: sparse_jacobian(lambda d: d["a"], {"a": np.ones(3)}), "x of sparse_jacobian .* got dict"),
        (lambda: sparse_hessian(ndl.sin, np.ones(3)), r"^sparse_hessian .* one number.* shape \(3,\)"),
    ],
)
def test_mistakes_are_named(wrong, message):
    with pytest.raises(TypeError, match=message):
        wrong()


def test_a_missing_scipy_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse", None)
    with pytest.raises(ModuleNotFoundError, match=r"needle-autodiff\[scipy\]"):
        sparse_jacobian(lambda x: x, np.ones(2))
