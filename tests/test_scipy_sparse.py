"""Products of sparse matrices of SciPy with Tensors."""

import numpy as np
import pytest
import scipy.sparse

import needle as ndl
from needle.scipy import sparse

DENSE = np.array([[1.0, 0.0, 2.0], [0.0, -3.0, 0.0]])
KINDS = [
    scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.coo_array, scipy.sparse.csr_matrix,
    scipy.sparse.dia_array, scipy.sparse.lil_array,
]  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
X, COLUMNS = np.array([0.5, -1.0, 2.0]), np.arange(6.0).reshape(3, 2)


@kinds
@pytest.mark.parametrize("x", [X, COLUMNS], ids=["vector", "matrix"])
def test_a_product_from_the_left_has_value_and_derivatives(kind, x):
    a, t = kind(DENSE), ndl.Tensor(x)
    for product in (a @ t, sparse.matmul(a, t)):
        assert isinstance(product, ndl.Tensor)
        np.testing.assert_array_equal(product.numpy(), DENSE @ x)
    np.testing.assert_array_equal(ndl.grad(lambda x: (a @ x).sum())(x), ndl.grad(lambda x: (DENSE @ x).sum())(x))
    np.testing.assert_array_equal(ndl.jvp(lambda x: a @ x, (x,), (2 * x,))[1], DENSE @ (2 * x))


@kinds
def test_a_product_from_the_right_has_value_and_derivatives(kind):
    a, x = kind(DENSE), np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    for rows in (x, x[0]):
        np.testing.assert_array_equal((ndl.Tensor(rows) @ a).numpy(), rows @ DENSE)
        np.testing.assert_array_equal(
            ndl.grad(lambda x: ((x @ a) ** 2).sum())(rows), ndl.grad(lambda x: ((x @ DENSE) ** 2).sum())(rows)
        )


def test_second_derivatives_and_batches():
    a = scipy.sparse.csr_array(DENSE)
    np.testing.assert_allclose(ndl.hessian(lambda x: ((a @ x) ** 2).sum() / 2)(X), DENSE.T @ DENSE)
    xs = np.stack([X, 2 * X, -X, X + 1])
    np.testing.assert_array_equal(ndl.vmap(lambda x: a @ x)(xs), xs @ DENSE.T)
    batch = np.random.default_rng(0).normal(size=(4, 3, 2))
    np.testing.assert_allclose(ndl.vmap(lambda x: a @ x)(batch), DENSE @ batch)
    assert ndl.vmap(lambda x: a @ x)(xs[:0]).shape == (0, 2)


def test_complex_numbers_and_dtypes():
    a = scipy.sparse.csr_array(DENSE * (1 + 2j))
    z = X + 1j * X[::-1]
    dense = DENSE * (1 + 2j)

    def size(matrix):
        return lambda z: (np.abs(matrix @ z) ** 2).sum()

    np.testing.assert_allclose(ndl.grad(size(a))(z), ndl.grad(size(dense))(z))
    assert (scipy.sparse.csr_array(DENSE.astype("float32")) @ ndl.Tensor(X, dtype="float32")).dtype == np.float32


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda a, t: sparse.matmul(a, t[:2]), ValueError, r"\(2, 3\) and \(2,\)"),
        (lambda a, t: t @ a, ValueError, r"\(3,\) and \(2, 3\)"),
        (lambda a, t: sparse.matmul(a, a), TypeError, "one sparse matrix with one Tensor"),
        (lambda a, t: a * t, TypeError, "would lose the derivative.*needle.scipy.sparse.matmul"),
        (lambda a, t: a.multiply(t), TypeError, "would lose the derivative"),
    ],
)
def test_a_mistake_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(scipy.sparse.csr_array(DENSE), ndl.Tensor(X))


def test_a_constant_can_be_multiplied_elementwise():
    product = scipy.sparse.csr_array(DENSE).multiply(ndl.Tensor(X, requires_grad=False))
    np.testing.assert_array_equal(product.toarray(), DENSE * X)
